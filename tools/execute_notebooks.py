"""Run the notebooks again and store their outputs, so that a second run changes no byte."""

import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class Failed(Exception):
    """A cell did not run to its end; the message names the notebook and the cell."""


def execute(path: Path) -> int:
    """Run the notebook at ``path`` from an empty kernel, write it back whole and return its number of cells.

    If a cell fails, the file stays as it was and ``Failed`` is raised.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    running = 0

    def note(cell, cell_index: int) -> None:
        nonlocal running
        running = cell_index + 1
        show(f"{path.name}: cell {running} of {len(notebook.cells)}")

    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # its warning about sockets would stand between the lines
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=note,
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise Failed(f"{path.name}: cell {running} of {len(notebook.cells)} failed.\n{error}") from error
    write(path, settle(notebook, path.stem))
    return len(notebook.cells)


def settle(notebook: nbformat.NotebookNode, name: str) -> str:
    """Return the notebook's text without what differs between two runs: model ids, versions, times."""
    kept = {key: value for key, value in notebook.metadata.items() if key not in KERNEL}
    notebook.metadata = nbformat.from_dict({**kept, **KERNEL})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    text = nbformat.writes(notebook)
    states = kept.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for number, model in enumerate(order_of_models(text, states)):
        text = text.replace(model, hashlib.sha256(f"{name} {number}".encode()).hexdigest()[:32])
    return json.dumps(json.loads(text), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def order_of_models(text: str, states: dict) -> list[str]:
    """Widget models in an order that is the same in every run: as they are shown, each followed by what it refers to.

    ``states`` maps model id to state. Models that are never shown come last, sorted by what they hold.
    """
    order: list[str] = []

    def visit(model: str) -> None:
        if model in states and model not in order:
            order.append(model)
            for other in re.findall(r"IPY_MODEL_(\w+)", json.dumps(states[model], sort_keys=True)):
                visit(other)

    def without_new_ids(model: str) -> str:
        held = json.dumps(states[model], sort_keys=True)
        return re.sub(r"IPY_MODEL_(\w+)", lambda m: str(order.index(m[1])) if m[1] in order else "other", held)

    for model in re.findall(r'"model_id": "(\w+)"', text):
        visit(model)
    for model in sorted(set(states) - set(order), key=without_new_ids):
        visit(model)
    return order


def write(path: Path, text: str) -> None:
    """Replace the file at ``path`` by ``text`` in one step, so that an interruption leaves the old or the new one."""
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def show(line: str) -> None:
    """Show progress on one line that the next one overwrites, where a person is looking."""
    if sys.stdout.isatty():
        print(f"\r{line}", end="\x1b[K", flush=True)


def main(paths: list[Path]) -> int:
    """Execute each notebook, with its name, number of cells and seconds; return 1 if one failed."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this environment, not one of the user's
    if not paths:
        print(f"There are no notebooks in {NOTEBOOKS.name}/.", file=sys.stderr)
        return 1
    failed = []
    for path in paths:
        start = time.monotonic()
        try:
            cells = execute(path)
        except Failed as error:
            failed.append(path.name)
            show("")
            print(error, file=sys.stderr)
        else:
            show("")
            print(f"{path.name}: {cells} cells, {time.monotonic() - start:.1f} s", flush=True)
    if failed:
        print(f"Left as they were: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]] or sorted(NOTEBOOKS.glob("*.ipynb"))))
