"""One stem, one thing, everywhere: each chapter has all its files, and nothing else lies about."""

import fnmatch
import importlib.metadata
import os
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement

from tests.chapters import ROOT, numbered, stems

# Modules that belong to no single chapter, and exercises with a notebook that do not either.
SHARED = {"shapes", "attention", "scores", "recurrent", "decoding", "training", "evaluation", "plots", "translate"}
MUSEUM = "bug_museum"
TOP = {
    *("book", "notebooks", "attention_src", "tests", "tools", "_config.yml", "_toc.yml", "requirements.txt"),
    *("README.md", "pyproject.toml", "Makefile", "LICENSE", "LICENSE-prose", "CITATION.cff", "CONTRIBUTING.md"),
    *("CHANGELOG.md", "constraints.txt", ".binder", ".ci", ".github", ".gitignore", ".git", ".gitattributes", "shared"),
}


def missing(root: Path) -> list[str]:
    """Files that a chapter of _toc.yml should have and has not."""
    wanted = []
    for number, stem in numbered(root):
        page = root / f"book/{number}_{stem}.md"
        wanted += [page, root / f"notebooks/{number}_{stem}.ipynb", root / f"attention_src/{stem}.py"]
        wanted += [root / f"tests/test_{stem}.py", root / f"attention_src/exercises/{stem}.py"]
        if measures(page):
            wanted += [root / f"attention_src/experiments/{stem}.py", root / f"book/results/{stem}.json"]
        if page.exists() and f"`exercises/{stem}:" in page.read_text(encoding="utf-8"):
            wanted.append(root / f"book/results/exercises/{stem}.json")
    return [path.relative_to(root).as_posix() for path in wanted if not path.exists()]


def measures(page: Path) -> bool:
    """Whether the page quotes what an experiment measured."""
    return page.exists() and re.search(r"\{result[\w-]*\}", page.read_text(encoding="utf-8")) is not None


def extra(root: Path) -> list[str]:
    """Files that belong to no chapter of _toc.yml and to nothing shared."""
    toc = (root / "_toc.yml").read_text(encoding="utf-8")
    known = set(stems(root))
    prefixed = {f"{number}_{stem}" for number, stem in numbered(root)}
    found = [path for path in (root / "book").glob("*.md") if not re.search(rf"\bbook/{path.stem}(\.md)?\s", toc)]
    found += [
        path for path in (root / "notebooks").glob("*") if path.stem not in prefixed | {MUSEUM} and path.name[0] != "."
    ]
    modules = {path.stem for path in (root / "attention_src").glob("*.py")}
    found += [root / f"attention_src/{name}.py" for name in modules - known - SHARED - {"__init__"}]
    runner = {"__init__", "__main__"}
    for folder, also in (("exercises", runner | {MUSEUM}), ("experiments", runner | {"results", "protocol"})):
        files = (root / "attention_src" / folder).glob("*.py")
        found += [path for path in files if path.stem not in known | also]
    experiments = {path.stem for path in (root / "attention_src/experiments").glob("*.py")} & known
    found += [path for path in (root / "book/results").glob("*.json") if path.stem not in experiments]
    found += [path for path in (root / "book/results/exercises").glob("*") if path.stem not in known]
    ignored = [line.rstrip("/") for line in (root / ".gitignore").read_text("utf-8").split()]
    for path in root.iterdir():
        if path.name not in TOP and not any(fnmatch.fnmatch(path.name, pattern) for pattern in ignored):
            found.append(path)
    return sorted(path.relative_to(root).as_posix() for path in found)


def out_of_order(root: Path) -> list[str]:
    """Chapters whose number is not greater than that of the chapter before them in _toc.yml."""
    return [f"{later[0]}_{later[1]}" for earlier, later in pairwise(numbered(root)) if later[0] <= earlier[0]]


def test_every_chapter_has_all_its_files():
    assert stems(ROOT), "_toc.yml names no chapter"
    assert missing(ROOT) == []


def test_nothing_else_lies_about():
    assert extra(ROOT) == []


def test_chapters_stand_in_the_order_of_their_numbers():
    assert out_of_order(ROOT) == []


def test_every_module_has_its_test():
    modules = [path for path in (ROOT / "attention_src").rglob("*.py") if path.stem != "__init__"]
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    untested = []
    for path in modules:
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        parent, name = dotted.rsplit(".", 1)
        if not re.search(rf"{re.escape(dotted)}\b|from {re.escape(parent)} import [^\n]*\b{name}\b", text):
            untested.append(dotted)
    assert untested == []


def test_page_and_notebook_begin_with_a_title():
    for number, stem in numbered(ROOT):
        page = (ROOT / f"book/{number}_{stem}.md").read_text("utf-8")
        first = nbformat.read(ROOT / f"notebooks/{number}_{stem}.ipynb", 4).cells[0]
        assert first.cell_type == "markdown", stem
        assert first.source.startswith("# "), stem
        assert re.search(r"^# .", page, re.MULTILINE), stem


# What the package and the environment need


def names(lines: list[str]) -> set[str]:
    """Names of requirements, normalised as pip does it."""
    found = [re.match(r"[\w.-]+", line) for line in lines if line.strip() and not line.startswith(("#", "-"))]
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}


def test_every_requirement_is_pinned_and_the_package_asks_for_no_more():
    required = names((ROOT / "requirements.txt").read_text("utf-8").splitlines())
    pins = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert required <= names(pins)
    assert names(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]) <= required
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    assert pins == sorted(pins, key=str.lower)


def test_what_is_installed_is_what_is_pinned():  # also finds what requirements pull in and constraints.txt lacks
    if os.environ.get("NEWEST"):
        return  # newer versions may need packages that the tested ones did not
    pins = names((ROOT / "constraints.txt").read_text("utf-8").splitlines())
    todo, seen = list(names((ROOT / "requirements.txt").read_text("utf-8").splitlines())), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                todo += names([needed.name])
    # the parts of a CUDA build of torch, which torch pins itself
    free = {name for name in seen if re.match(r"nvidia-|cuda-|triton$|setuptools$|pip$", name)}
    assert seen - free <= pins


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A book of one chapter that has all it needs."""
    files = {
        "_toc.yml": "root: book/index\nchapters:\n- file: book/02_bottleneck\n",
        ".gitignore": ".venv/\n*.egg-info/\n",
        "book/index.md": "",
        "book/02_bottleneck.md": "# One\n\nIt wins by {result}`bottleneck:gain`, {median}`exercises/bottleneck:a`.\n",
        "book/results/bottleneck.json": "{}",
        "book/results/exercises/bottleneck.json": "{}",
        "notebooks/02_bottleneck.ipynb": "",
        "attention_src/bottleneck.py": "",
        "attention_src/attention.py": "",
        "attention_src/exercises/bottleneck.py": "",
        "attention_src/experiments/bottleneck.py": "",
        "tests/test_bottleneck.py": "",
        "x.egg-info/PKG-INFO": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_complete_book_passes(tree):
    assert (missing(tree), extra(tree), out_of_order(tree)) == ([], [], [])


@pytest.mark.parametrize(
    "file",
    [
        "book/02_bottleneck.md",
        "notebooks/02_bottleneck.ipynb",
        "attention_src/bottleneck.py",
        "attention_src/exercises/bottleneck.py",
        "attention_src/experiments/bottleneck.py",
        "tests/test_bottleneck.py",
        "book/results/bottleneck.json",
        "book/results/exercises/bottleneck.json",
    ],
)
def test_a_missing_file_is_named(tree, file):
    (tree / file).unlink()
    assert file in missing(tree)


@pytest.mark.parametrize(
    "file",
    [
        "book/03_attention.md",
        "notebooks/scratch.ipynb",
        "attention_src/utils.py",
        "attention_src/exercises/attention.py",
        "attention_src/experiments/old.py",
        "book/results/attention.json",
        "book/results/exercises/attention.json",
        "notes.txt",
    ],
)
def test_a_file_too_many_is_named(tree, file):
    (tree / file).write_text("")
    assert extra(tree) == [file]


def test_a_chapter_out_of_order_is_named(tree):
    (tree / "_toc.yml").write_text("chapters:\n- file: book/05_bahdanau\n- file: book/02_bottleneck\n")
    assert out_of_order(tree) == ["02_bottleneck"]
