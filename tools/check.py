"""Run every check of the book, cheap ones first, and say in the last line how many passed."""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tools import book

ROOT = book.ROOT
REPORTS = ROOT / "_build" / "reports"
# The tests of one file, or the cells of one notebook, stay together; files begin in the order of their names.
TWO_AT_ONCE = ("-n", "2", "--dist", "loadscope", "--no-loadscope-reorder")


class Tally(NamedTuple):
    """How many checks of a stage passed, and how many did not."""

    passed: int
    failed: int


class Stage(NamedTuple):
    """A group of checks with a name."""

    name: str
    run: Callable[[], Tally]


def commands(*lines: str) -> Tally:
    """Run Python modules with their arguments; each line is one check."""
    results = [subprocess.run([sys.executable, "-m", *line.split()], cwd=ROOT).returncode == 0 for line in lines]
    return Tally(results.count(True), results.count(False))


def pytest(name: str, *arguments: str, **environment: str) -> Tally:
    """Run pytest with ``arguments`` and count its tests. A skipped test counts as failed: nothing is left out here."""
    report = REPORTS / f"{name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
    status = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode
    return count(report, status)


def count(report: Path, status: int) -> Tally:
    """Read pytest's report. At least one check has failed if pytest says so or if nothing ran."""
    suites = ElementTree.parse(report).getroot().iter("testsuite") if report.exists() else ()
    total = bad = 0
    for suite in suites:
        total += int(suite.get("tests", 0))
        bad += sum(int(suite.get(kind, 0)) for kind in ("failures", "errors", "skipped"))
    passed = max(total - bad, 0)
    if bad == 0 and (status != 0 or passed == 0):
        bad = 1
    return Tally(passed, bad)


def build_book() -> Tally:
    """Build the book from nothing: a warning that an earlier build has shown must not be lost."""
    return Tally(1, 0) if book.build(fresh=True) == 0 else Tally(0, 1)


def notebooks(name: str, paths: list[Path], **environment: str) -> Tally:
    """Execute notebooks and compare every output with the stored one; each code cell is one check."""
    if not paths:
        print("There are no notebooks to check.", file=sys.stderr)
        return Tally(0, 1)
    arguments = ("--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval.cfg")
    parallel = TWO_AT_ONCE if len(paths) > 1 else ()
    return pytest(name, *arguments, *parallel, *map(str, paths), **environment)


def spread(paths: list[Path], number: int = 3) -> list[Path]:
    """Choose ``number`` of the sorted ``paths``, from the first to the last, or all if there are fewer."""
    if len(paths) <= number:
        return paths
    return [paths[round(i * (len(paths) - 1) / (number - 1))] for i in range(number)]


def stages(plain_all: bool) -> list[Stage]:
    """All checks, in the order in which they run."""
    every = sorted((ROOT / "notebooks").glob("*.ipynb"))
    plain = every if plain_all else spread(every)
    return [
        Stage("style", lambda: commands("ruff check .", "ruff format --check .")),
        Stage(
            "tests",
            lambda: pytest("tests", "-m", "not browser", *TWO_AT_ONCE, "--doctest-modules", "attention_src", "tests"),
        ),
        Stage("book", build_book),
        Stage("notebooks", lambda: notebooks("notebooks", every)),
        # PyTorch without AVX, as on another processor: the stored outputs must not depend on it
        Stage("plain", lambda: notebooks("plain", plain, ATEN_CPU_CAPABILITY="default")),
        Stage("site", lambda: pytest("site", "-m", "browser", *TWO_AT_ONCE, "tests")),
    ]


def check(todo: list[Stage]) -> int:
    """Run the stages until one fails. The last line says how many checks passed."""
    rows, total = [], Tally(0, 0)
    for number, stage in enumerate(todo):
        print(f"\n=== {stage.name} ({number + 1} of {len(todo)})", flush=True)
        start = time.monotonic()
        tally = stage.run()
        if tally == (0, 0):
            tally = Tally(0, 1)  # nothing ran, so nothing is known
        rows.append(
            f"{stage.name:10} {tally.passed:5} passed {tally.failed:5} failed {time.monotonic() - start:7.1f} s"
        )
        total = Tally(total.passed + tally.passed, total.failed + tally.failed)
        if tally.failed:
            rows += [f"{later.name:10} not run" for later in todo[number + 1 :]]
            break
    print("", *rows, sep="\n")
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(check(stages(plain_all="--plain-all" in sys.argv[1:])))
