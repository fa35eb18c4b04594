"""The import rules of the code, read from the code: which part may know which."""

import ast
import re
import sys
from pathlib import Path

import nbformat
import pytest

from tests.chapters import ROOT, stems

PACKAGE = "attention_src"
BASE = ("shapes", "attention", "scores", "recurrent")  # what chapters may build on, beside earlier chapters
BLIND = ("training", "evaluation", "decoding")  # know no model and no data set
TOGETHER = ("experiments", "exercises", "translate")  # put things together
TYPES = {"jaxtyping", "beartype"}  # shapes in signatures are no dependency of the idea


def imports(source: str, package: tuple[str, ...]) -> set[str]:
    """All modules that ``source`` imports, as dotted names; ``package`` is where it lies, for relative imports.

    ``from a import b`` gives ``a`` and ``a.b``: b may be a module.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join((*above, *filter(None, [node.module])))
            found |= {origin} | {f"{origin}.{alias.name}" for alias in node.names}
    return found


def parts(names: set[str], root: Path) -> set[str]:
    """The parts of our package among ``names``: ``attention_src.data.batches`` belongs to the part ``data``."""
    ours = {name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}.")}
    return {part for part in ours if (root / PACKAGE / part).is_dir() or (root / PACKAGE / f"{part}.py").exists()}


def others(names: set[str]) -> set[str]:
    """The packages among ``names`` that are neither ours nor Python's own."""
    return {name.split(".")[0] for name in names} - {PACKAGE, ""} - set(sys.stdlib_module_names)


def allowed(part: str, order: list[str], every: set[str]) -> set[str]:
    """The parts of our package that ``part`` may import; ``every`` is all there are."""
    if part in ("shapes", "plots"):
        return set()
    if part in BASE:
        return {"shapes"}
    if part in BLIND:
        return {*BASE, *BLIND}
    if part == "data":
        return {"data"}
    if part == "widgets":
        return {
            "widgets",
            "plots",
            "decoding",
            *BASE,
            *order,
        }  # decoding: a widget says in Python what it says in the page
    if part in TOGETHER:
        also = {"translate": {"widgets"}, "exercises": {"experiments"}}.get(part, set())
        return every - set(TOGETHER) - {"widgets"} | {part} | also
    if part in order:
        return {*BASE, *order[: order.index(part)]}
    return set()


def violations(root: Path) -> list[str]:
    """Every import under ``root`` that a rule forbids, in words."""
    order = stems(root)
    files = sorted((root / PACKAGE).rglob("*.py"))
    part_of = {path: path.relative_to(root / PACKAGE).with_suffix("").parts[0] for path in files}
    every = set(part_of.values())
    found = []
    for path, part in part_of.items():
        name = path.relative_to(root).as_posix()
        names = imports(path.read_text(encoding="utf-8"), path.relative_to(root).parent.parts)
        for wrong in sorted(parts(names, root) - allowed(part, order, every)):
            found.append(f"{name} must not import {PACKAGE}.{wrong}")
        if part in ("scores", "recurrent"):
            found += [f"{name} must not import {wrong}" for wrong in sorted(others(names) - {"torch"} - TYPES)]
    tools = [path for path in (root / "tools").rglob("*.py") if not path.name.startswith("bench_")]  # those time it all
    for path in sorted(tools):
        names = imports(path.read_text(encoding="utf-8"), path.relative_to(root).parent.parts)
        for wrong in sorted(parts(names, root) & {*TOGETHER, "widgets"}):
            found.append(f"{path.relative_to(root).as_posix()} must not import {PACKAGE}.{wrong}")
    for path in sorted((root / "book").rglob("*.md")):
        if re.search(r"^\s*(`{3,}|:{3,})\{code-cell\}|^\s*>*\s*(from \S+ )?import \w", path.read_text("utf-8"), re.M):
            found.append(f"{path.relative_to(root).as_posix()} must not import: quote the code with literalinclude")
    return found


def test_every_import_of_the_book_follows_the_rules():
    assert violations(ROOT) == []


def test_the_rules_see_the_code():  # a renamed folder must not make the test above empty
    assert len(list((ROOT / PACKAGE).rglob("*.py"))) > 5
    assert stems(ROOT)


def test_notebooks_import_only_public_parts():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        source = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code")
        names = imports("\n".join(line for line in source.split("\n") if not line.startswith(("%", "!"))), ())
        assert not [name for name in names if name.split(".")[0] in ("tests", "tools", "book")], path.name


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small copy of the book's layout that breaks no rule."""
    files = {
        "_toc.yml": "chapters:\n- file: book/02_bottleneck\n- file: book/05_bahdanau\n",
        "book/02_bottleneck.md": "# One vector\n\nAttention is of great import here.\n",
        "book/_ext/house.py": "import attention_src.widgets\n",
        "tools/bench.py": "import attention_src.data\n",
        "attention_src/attention.py": "import torch\n",
        "attention_src/recurrent.py": "import math\nimport torch\nfrom jaxtyping import Float\n",
        "attention_src/data/batches.py": "from attention_src.data.vocabulary import Vocabulary\n",
        "attention_src/data/vocabulary.py": "",
        "attention_src/bottleneck.py": "from attention_src.recurrent import Encoder\n",
        "attention_src/bahdanau.py": "from attention_src import bottleneck\nfrom .attention import attend\n",
        "attention_src/training.py": "import torch\n",
        "attention_src/plots.py": "import matplotlib\n",
        "attention_src/widgets/map.py": "from attention_src.bahdanau import Model\nfrom ..plots import draw\n",
        "attention_src/experiments/bahdanau.py": "from attention_src import bahdanau, data, training\n",
        "attention_src/exercises/bahdanau.py": "from attention_src import bahdanau, experiments\n",
        "attention_src/translate.py": "from attention_src import widgets, data\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_tree_that_follows_the_rules_passes(tree):
    assert violations(tree) == []


@pytest.mark.parametrize(
    ("file", "line", "says"),
    [
        ("attention_src/attention.py", "from attention_src.recurrent import x", "import attention_src.recurrent"),  # 1
        ("attention_src/recurrent.py", "import numpy", "import numpy"),
        ("attention_src/recurrent.py", "from . import attention", "import attention_src.attention"),
        ("attention_src/data/batches.py", "import attention_src.training", "import attention_src.training"),
        ("attention_src/data/batches.py", "from ..bottleneck import Model", "import attention_src.bottleneck"),
        ("attention_src/bottleneck.py", "from attention_src.data import batches", "import attention_src.data"),  # 2
        ("attention_src/bottleneck.py", "from attention_src import bahdanau", "import attention_src.bahdanau"),
        ("attention_src/bahdanau.py", "def f():\n    from .training import fit", "import attention_src.training"),
        ("attention_src/bahdanau.py", "from . import plots", "import attention_src.plots"),
        ("attention_src/bahdanau.py", "from .widgets.map import Map", "import attention_src.widgets"),
        ("attention_src/training.py", "from .bottleneck import Model", "import attention_src.bottleneck"),  # 3
        ("attention_src/training.py", "import attention_src.data.batches", "import attention_src.data"),
        ("attention_src/plots.py", "from .data import batches", "import attention_src.data"),
        ("attention_src/widgets/map.py", "from ..data import batches", "import attention_src.data"),  # 4
        ("attention_src/widgets/map.py", "from ..training import fit", "import attention_src.training"),
        ("attention_src/bottleneck.py", "from .exercises import bahdanau", "import attention_src.exercises"),  # 5
        ("attention_src/experiments/bahdanau.py", "from ..exercises import bahdanau", "attention_src.exercises"),
        ("attention_src/exercises/bahdanau.py", "from ..widgets import map", "import attention_src.widgets"),
        ("tools/bench.py", "import attention_src.experiments.bahdanau", "import attention_src.experiments"),
        ("book/02_bottleneck.md", "```python\nfrom attention_src import data\n```", "literalinclude"),  # 6
        ("book/02_bottleneck.md", "```{code-cell}\n1 + 1\n```", "literalinclude"),
    ],
)
def test_each_rule_finds_its_violation(tree, file, line, says):
    path = tree / file
    path.write_text(path.read_text() + line + "\n")
    found = violations(tree)
    assert len(found) == 1
    assert found[0].startswith(file)
    assert says in found[0]
