"""Run tests of the book with a mistake planted in one of its modules.

A program of its own: it reads a JSON list of ``{"module": …, "right": …, "wrong": …, "test": …}`` and writes how these
tests end in the sound book and, one by one, with their mistake. It loads the large packages once, and for each run a
child process loads the small ones of the book.
"""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path

import hypothesis.strategies  # noqa: F401
import jaxtyping  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import pytest
import torch  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]


class Planted(SourceFileLoader):
    """Loads a module whose source has a mistake in one place."""

    def __init__(self, name: str, path: str, right: str, wrong: str):
        super().__init__(name, path)
        self.right, self.wrong = right, wrong

    def get_code(self, fullname: str):
        """Compile the source with ``wrong`` in the place of ``right``."""
        source = Path(self.path).read_text(encoding="utf-8")
        if source.count(self.right) != 1:
            raise ValueError(f"{self.path} must hold once what is to be replaced, {self.right!r}: write the plant anew")
        return compile(source.replace(self.right, self.wrong), self.path, "exec")


class Finder(MetaPathFinder):
    """Finds the module that is to be planted, and nothing else."""

    def __init__(self, module: str, right: str, wrong: str):
        self.module, self.change = f"attention_src.{module}", (right, wrong)

    def find_spec(self, fullname, path=None, target=None):
        """Give the loader of the planted module."""
        if fullname != self.module:
            return None
        file = str(ROOT.joinpath(*fullname.split(".")).with_suffix(".py"))
        return spec_from_file_location(fullname, file, loader=Planted(fullname, file, *self.change))


class Watch:
    """How each test ended: None, or the kinds of error that its exception is, the nearest first."""

    def __init__(self):
        self.ends: list[list[str] | None] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        """Note the end of a test; an error outside of its body is none of the kinds that count."""
        report = yield
        if call.excinfo is not None:
            kinds = [kind.__name__ for kind in call.excinfo.type.__mro__]
            self.ends.append(kinds if call.when == "call" else [f"error in {call.when}"])
        elif call.when == "call":
            self.ends.append(None)
        return report

    def pytest_collectreport(self, report):
        """Note what could not be collected."""
        if report.failed:
            self.ends.append([f"not collected: {report.longrepr}"])


def run(tests: list[str]) -> list[list[str] | None]:
    """How these tests end."""
    watch = Watch()
    with contextlib.redirect_stdout(sys.stderr):
        pytest.main(["-q", "--tb=no", "-p", "no:cacheprovider", *tests], plugins=[watch])
    return watch.ends


def run_with(plant: dict) -> list[list[str] | None]:
    """How the test of a plant ends while its mistake is there."""
    sys.meta_path.insert(0, Finder(plant["module"], plant["right"], plant["wrong"]))
    return run([plant["test"]])


def apart(task: Callable, argument: object) -> object:
    """What ``task(argument)`` gives in a process of its own, so that nothing that it loads stays."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            with os.fdopen(writing, "w") as answer:
                json.dump(task(argument), answer)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)  # what the parent has open is the parent's to close
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    sound = apart(run, sorted({plant["test"] for plant in asked}))
    json.dump({"sound": sound, "planted": [apart(run_with, plant) for plant in asked]}, sys.stdout)
