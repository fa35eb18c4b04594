"""Reading what the experiments wrote: ``load("bottleneck").over_seeds("attention.exact.21-30")``.

``load("exercises/bottleneck")`` reads what the solutions of that chapter's exercises measured.
"""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from attention_src.experiments import EXERCISES, Places, flatten

KEYS = {"stem", "command", "versions", "settings", "tolerance", "rules", "models", "seconds", "seeds"}


class ResultsError(ValueError):
    """A results file that is damaged, or a name that is not in it."""


class MissingResults(ResultsError, FileNotFoundError):
    """A results or model file that is not there."""


class NoSuchPath(LookupError):
    """A path that ends too early: ``name`` is not ``among`` what stands there."""

    def __init__(self, name: str, among: Any):
        super().__init__(name)
        self.name, self.among = name, among


def descend(tree: Any, path: str) -> Any:
    """What stands at ``path`` in a nest of dicts and lists.

    >>> descend({"exact": [1, {"low": 5}]}, "exact.1.low")
    5
    """
    for name in path.split("."):
        if isinstance(tree, list) and name.isdecimal() and int(name) < len(tree):
            tree = tree[int(name)]
        elif isinstance(tree, dict) and name in tree:
            tree = tree[name]
        else:
            raise NoSuchPath(name, tree)
    return tree


class Interval(NamedTuple):
    """One measure over all seeds."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]  # in the order of the seeds


@dataclass(frozen=True)
class Results:
    """The results file of one chapter."""

    stem: str
    path: Path
    command: str
    versions: dict[str, str]
    settings: dict[str, Any]
    rules: dict[str, dict]  # by name: rule, at_least, holds, seeds_passing, seeds_total
    models: dict[str, dict]  # name -> the part that wrote it, and the sha256 of the file
    seconds: dict[str, dict[str, float]]  # seed -> part -> seconds
    seeds: dict[str, dict]  # seed -> part -> measures

    def at(self, path: str) -> list:
        """What stands at ``path`` (a number, a list, a dict) in each seed, in the order of the seeds."""
        return [self._step(measures, path) for measures in self.seeds.values()]

    def over_seeds(self, path: str) -> Interval:
        """The number at ``path``, such as ``attention.exact.21-30`` or ``attention.loss.3``, over all seeds."""
        values = self.at(path)
        if not all(isinstance(value, int | float) for value in values):
            raise ResultsError(f"{path!r} in {self.path.name} is not one number a seed; below it: {self._below(path)}")
        return Interval(median(values), min(values), max(values), tuple(values))

    def table(self, path: str) -> tuple[list[str], list[list[float]]]:
        """The names below ``path`` and, for each seed, their numbers: what the plots take."""
        rows = self.at(path)
        if not all(isinstance(row, dict | list) for row in rows):
            raise ResultsError(f"{path!r} in {self.path.name} is one number a seed; use over_seeds")
        names = list(rows[0]) if isinstance(rows[0], dict) else [str(index) for index in range(len(rows[0]))]
        return names, [list(row.values()) if isinstance(row, dict) else row for row in rows]

    def rule(self, name: str) -> dict:
        """The outcome of a rule."""
        if name not in self.rules:
            raise ResultsError(f"no rule is called {name!r} in {self.path.name}; {_near(name, self.rules)}")
        return self.rules[name]

    def _step(self, measures, path):
        try:
            return descend(measures, path)
        except NoSuchPath:
            raise ResultsError(f"no measure {path!r} in {self.path.name}; {_near(path, _paths(measures))}") from None

    def _below(self, path):
        return ", ".join(f"{path}.{name}" for name in list(self.table(path)[0])[:6])


def read(stem: str, folder: Path = Places.results) -> dict:
    """The results file of a chapter as plain data."""
    path = folder / f"{stem}.json"
    package = EXERCISES.package if path.parent.name == EXERCISES.results.name else Places.package
    again = f"to get it: python -m {package} {path.stem} --seeds 5"
    if not path.is_file():
        there = sorted(file.stem for file in path.parent.glob("*.json"))
        raise MissingResults(f"there is no results file {path}; there are: {', '.join(there) or 'none'}; {again}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ResultsError(f"{path} is damaged ({error}); remove it, then {again}") from None
    if not isinstance(content, dict) or (absent := sorted(KEYS - content.keys())):
        absent = absent if isinstance(content, dict) else sorted(KEYS)
        raise ResultsError(f"{path} is damaged (it lacks {', '.join(absent)}); remove it, then {again}")
    if not content["seeds"] or content["stem"] != path.stem:
        raise ResultsError(f"{path} is damaged (no seeds, or of another stem); remove it, then {again}")
    return content


def load(stem: str, folder: Path = Places.results) -> Results:
    """The results of a chapter, by its stem, or of its exercises, by ``exercises/<stem>``."""
    content = read(stem, folder)
    return Results(
        path=folder / f"{stem}.json",
        rules={rule["name"]: rule for rule in content["rules"]},
        **{name: content[name] for name in ("stem", "command", "versions", "settings", "models", "seconds", "seeds")},
    )


def load_model(name: str, folder: Path = Places.models) -> tuple[dict, dict[str, Any]]:
    """The state dict and the settings of the trained model ``book/models/<name>.safetensors``."""
    from attention_src import training

    path = folder / f"{name}.safetensors"
    again = "the experiment of its chapter writes it: python -m attention_src.experiments <stem>"
    if not path.is_file():
        there = sorted(file.stem for file in folder.glob("*.safetensors"))
        raise MissingResults(f"there is no model file {path}; {_near(name, there)}; {again}")
    try:
        return training.load_model(path)
    except ValueError as error:
        raise ResultsError(f"{error}; {again}") from None


def _paths(measures):
    """All paths to numbers, and to the lists and dicts that hold them."""
    return {path.rsplit(".", cut)[0] for path in flatten(measures) for cut in range(path.count(".") + 1)}


def _near(name, names):
    names = sorted(names)
    close = difflib.get_close_matches(name, names, n=4, cutoff=0.5) or names[:6]
    return f"near it: {', '.join(close)}" if close else "there is none"
