"""Time every function ``bench_…`` of the files ``tools/bench_*.py``: once to warm up, then three times.

A function ``rate_…`` gives how many things it did and what they are: ``(640, "words")``; it is timed in the same way.
A function ``ratio_…`` compares two ways of doing one thing; it gives how many times as long the first takes, and the
most that it may be.
"""

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPEATS = 3


def found(folder: Path, prefix: str = "bench_") -> dict[str, Callable]:
    """The functions whose name begins with ``prefix`` by their names, in the order in which the files define them."""
    functions = {}
    for path in sorted(folder.glob("bench_*.py")):
        module = importlib.import_module(f"tools.{path.stem}")
        for name, thing in vars(module).items():
            if name.startswith(prefix) and callable(thing):
                said = name.removeprefix(prefix).replace("_", " ")
                functions[f"{path.stem.removeprefix('bench_')}: {said}"] = thing
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
    """Print the median and the range of each function, and each ratio; give 1 if a ratio is over its limit."""
    functions, rates, ratios = (found(folder, prefix) for prefix in ("bench_", "rate_", "ratio_"))
    if not functions and not rates and not ratios:
        print(f"There is no function bench_… in {folder}/bench_*.py", file=sys.stderr)
        return 1
    for name, function in functions.items():
        times = seconds(function)
        print(f"{name:40} {statistics.median(times):8.3f} s  ({min(times):.3f} to {max(times):.3f})", flush=True)
    for name, function in rates.items():
        number, things = function()
        times = seconds(function)
        print(f"{name:40} {number / statistics.median(times):8.0f} {things} a second", flush=True)
    slow = False
    for name, function in ratios.items():
        ratio, limit = function()
        slow |= ratio > limit
        print(f"{name:40} {ratio:8.2f} ×  (at most {limit:g}{', TOO SLOW' if ratio > limit else ''})", flush=True)
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
