"""Time every function ``bench_…`` of the files ``tools/bench_*.py``: once to warm up, then three times."""

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPEATS = 3


def found(folder: Path) -> dict[str, Callable[[], None]]:
    """The functions to time by their names, in the order in which the files define them."""
    functions = {}
    for path in sorted(folder.glob("bench_*.py")):
        module = importlib.import_module(f"tools.{path.stem}")
        for name, thing in vars(module).items():
            if name.startswith("bench_") and callable(thing):
                functions[f"{path.stem.removeprefix('bench_')}: {name.removeprefix('bench_').replace('_', ' ')}"] = (
                    thing
                )
    return functions


def seconds(function: Callable[[], None], repeats: int = REPEATS) -> list[float]:
    """How long each of ``repeats`` calls took, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def main(folder: Path = Path(__file__).parent) -> int:
    """Print the median and the range of each function."""
    functions = found(folder)
    if not functions:
        print(f"There is no function bench_… in {folder}/bench_*.py", file=sys.stderr)
        return 1
    for name, function in functions.items():
        times = seconds(function)
        print(f"{name:40} {statistics.median(times):8.3f} s  ({min(times):.3f} to {max(times):.3f})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
