"""What every notebook keeps to, read from the stored files. That their outputs are true, nbval shows."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.chapters import ROOT
from tools.execute_notebooks import KERNEL

EXEMPT = {"nbval-ignore-output", "nbval-skip"}
LONGEST = 10  # lines of a function that builds an idea; what is longer belongs into the module
ABSOLUTE = re.compile(r"(?<![\w.:/<])/(home|root|tmp|Users|work|usr|opt|var|private)/\w|[A-Z]:\\\\Users")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


def code_cells(notebook) -> list:
    """The code cells in their order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell) -> set[str]:
    """The tags of a cell."""
    return set(cell.metadata.get("tags", []))


def parse(cell) -> ast.Module:
    """The cell's Python, without the lines that only IPython understands."""
    return ast.parse("\n".join("" if line.startswith(("%", "!")) else line for line in cell.source.split("\n")))


def asserts(cell) -> bool:
    """Whether the cell asserts something: by ``assert``, or by calling something named assert… or check…."""
    for node in ast.walk(parse(cell)):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name.startswith(("assert", "check")):
                return True
    return False


def mentions(cell, name: str) -> bool:
    """Whether the cell's code uses ``name``."""
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(parse(cell)))


def texts(output) -> dict[str, str]:
    """What an output shows as text, by its type; pictures are left out."""
    data = {"stream": output.get("text", ""), **output.get("data", {})}
    return {kind: str(text) for kind, text in data.items() if kind not in ("image/png", "image/jpeg")}


def has_alt(cell, output) -> bool:
    """Whether the picture says in words what it shows: in the cell's ``mystnb`` metadata or in the output's own."""
    of_cell = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    of_output = [value.get("alt", "") for value in output.get("metadata", {}).values() if isinstance(value, dict)]
    return any(text.strip() for text in [of_cell, *of_output])


def not_run(notebook) -> list[str]:
    """Cells without an execution count, or with one out of order: run from an empty kernel they count 1, 2, 3 …"""
    cells = [cell for cell in code_cells(notebook) if cell.source.strip()]
    wrong = [i for i, cell in enumerate(cells, start=1) if cell.execution_count != i]
    return [f"code cell {i} has not been run in order (make notebooks)" for i in wrong]


def exempt(notebook) -> list[str]:
    """Exempt cells without an assertion beneath, and too many of them."""
    cells = code_cells(notebook)
    marked = [i for i, cell in enumerate(cells) if tags(cell) & EXEMPT]
    found = []
    if 4 * len(marked) > len(cells):
        found.append(f"{len(marked)} of {len(cells)} code cells are exempt from comparison: at most a quarter may be")
    for i in marked:
        if "nbval-skip" in tags(cells[i]):
            found.append(f"code cell {i + 1} is skipped: no cell may be")
        if i + 1 == len(cells) or tags(cells[i + 1]) & EXEMPT or not asserts(cells[i + 1]):
            found.append(f"code cell {i + 1} is exempt from comparison, and no assertion follows in the next cell")
    return found


def implements(notebook) -> list[str]:
    """Classes, long functions, and functions compared with nothing: a notebook shows, it does not implement."""
    found = []
    cells = code_cells(notebook)
    for cell in cells:
        for node in ast.walk(parse(cell)):
            if isinstance(node, ast.ClassDef):
                found.append(f"class {node.name}: classes belong into the module")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if node.end_lineno - node.lineno >= LONGEST:
                    found.append(f"{node.name} has more than {LONGEST} lines: it belongs into the module")
                if not any(mentions(other, node.name) and asserts(other) for other in cells):
                    found.append(f"{node.name} is not compared with anything in a cell that uses it and asserts")
    return found


def untellable(notebook) -> list[str]:
    """Outputs that differ between machines or that a reader cannot see: paths, addresses, pictures without words."""
    found = []
    for i, cell in enumerate(code_cells(notebook), start=1):
        if cell.source.rstrip().endswith(";"):
            found.append(f"code cell {i} ends with a semicolon, which nbval does not heed: assign the value to _")
        for output in cell.outputs:
            shown = "\n".join(texts(output).values())
            if path := ABSOLUTE.search(shown):
                found.append(f"code cell {i} shows a path of this machine: {path[0]}")
            if ADDRESS.search(shown):
                found.append(f"code cell {i} shows an address of this run's memory")
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                found.append(f"code cell {i} ends in an error")
            if any(kind.startswith("image/") for kind in output.get("data", {})) and not has_alt(cell, output):
                found.append(f"code cell {i} shows a picture without alt text (cell metadata: mystnb.image.alt)")
    return found


def faults(notebook) -> list[str]:
    """Everything that is wrong with the notebook."""
    found = [rule for check in (not_run, exempt, implements, untellable) for rule in check(notebook)]
    if {key: notebook.metadata.get(key) for key in KERNEL} != KERNEL:
        found.append("the kernel's metadata is not the book's (make notebooks)")
    return found


def test_there_are_notebooks():
    assert list((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("*.ipynb")) or [None], ids=lambda path: str(path and path.stem)
)
def test_notebook_keeps_to_the_rules(path: Path | None):
    assert path is not None, "there is no notebook"
    assert faults(nbformat.read(path, 4)) == []


# The rules themselves


def cell(source: str, count: int, outputs=(), *, tag: str | None = None, alt: str | None = None):
    """A code cell that has been run."""
    made = new_code_cell(source, execution_count=count, outputs=list(outputs))
    if tag:
        made.metadata["tags"] = [tag]
    if alt:
        made.metadata["mystnb"] = {"image": {"alt": alt}}
    return made


def notebook(*cells):
    """A notebook of these cells, after a title."""
    return new_notebook(cells=[new_markdown_cell("# A title"), *cells], metadata=KERNEL)


PICTURE = new_output("display_data", {"image/png": "AAAA", "text/plain": "<Figure>"})


def test_a_notebook_that_keeps_to_the_rules_has_no_faults():
    good = notebook(
        cell("def twice(x):\n    return 2 * x\n\nassert twice(3) == 6", 1),
        cell("%matplotlib inline\ndraw()", 2, [PICTURE], alt="Two bars, the left one higher"),
        cell("time()", 3, [new_output("stream", text="3 s")], tag="nbval-ignore-output"),
        cell("assert seconds < 60", 4),
    )
    assert faults(good) == []


@pytest.mark.parametrize(
    ("says", "cells"),
    [
        ("not been run", [new_code_cell("1 + 1")]),
        ("not been run", [cell("1", 1), cell("2", 3)]),
        ("at most a quarter", [cell("t()", 1, tag="nbval-ignore-output"), cell("assert t", 2), cell("1", 3)]),
        ("no assertion follows", [*[cell("1", i) for i in (1, 2, 3)], cell("t()", 4, tag="nbval-ignore-output")]),
        (
            "no assertion follows",
            [cell("t()", 1, tag="nbval-ignore-output"), *[cell("print(1)", i) for i in (2, 3, 4)]],
        ),
        ("no cell may be", [cell("t()", 1, tag="nbval-skip"), cell("assert t", 2), cell("1", 3), cell("1", 4)]),
        ("class Model", [cell("class Model:\n    pass", 1)]),
        ("more than 10 lines", [cell("def f():\n" + "    x = 1\n" * 10 + "assert f()", 1)]),
        ("not compared", [cell("def f(x):\n    return x\nf(1)", 1)]),
        ("path of this machine", [cell("p", 1, [new_output("stream", text="in /home/ada/book")])]),
        ("address", [cell("p", 1, [new_output("execute_result", {"text/plain": "<X at 0x7f9bfecb2bd0>"})])]),
        ("ends in an error", [cell("p", 1, [new_output("error", ename="E", evalue="", traceback=[])])]),
        ("without alt text", [cell("draw()", 1, [PICTURE])]),
        ("semicolon", [cell("plot();", 1)]),
    ],
)
def test_each_rule_finds_its_fault(says, cells):
    found = faults(notebook(*cells))
    assert len(found) == 1
    assert says in found[0]


def test_another_kernel_is_a_fault():
    assert faults(new_notebook(cells=[cell("1", 1)])) == ["the kernel's metadata is not the book's (make notebooks)"]
