"""What the book measures: one module per chapter, run over several seeds.

``attention_src/experiments/<stem>.py`` gives five names:

``SETTINGS``
    A dict of numbers, strings and lists: all that the measures depend on. Kept seeds are void when it changes.
``PARTS``
    A dict from a part's name to a function ``part(run: Run) -> measures``. A part makes its data, trains, evaluates,
    and returns a nested dict whose leaves are numbers or lists of numbers. Parts do not depend on each other: each is
    kept as soon as it is done, and each can be run again alone. One part that takes under 20 s a seed lets the
    tests run it again. The measures of a seed are ``{part name: measures}``, and a path such as
    ``attention.exact.21-30`` leads to one of them.
``RULES``
    A list of `Rule`, written before the run.
``TOLERANCE``
    A dict from a pattern of paths (``"*"``, ``"attention.exact.*"``; the first that matches counts) to a `Tolerance`:
    how far a second run of the same seed may be from the first, on another processor.
``CHARTS``
    Optional: a dict from a name to a function ``chart(results: Results) -> matplotlib Figure``, for the pages.

::

    def attention(run: Run) -> dict:
        model = Translator(**SETTINGS["attention"], generator=torch.Generator().manual_seed(run.seed))
        fit(model, corpus(run.seed), steps=SETTINGS["steps"], progress=run.progress)
        run.keep("bottleneck-attention", model, SETTINGS["attention"])  # seed 0 writes book/models/…
        return {"exact": by_length(model, test_pairs())}

    PARTS = {"attention": attention, **{f"fixed-{size}": partial(fixed, size=size) for size in SETTINGS["sizes"]}}

``python -m attention_src.experiments`` runs them (see ``__main__``); ``attention_src.experiments.results`` reads what
they wrote. An exercise that asks for a measurement has its solution in ``attention_src/exercises/<stem>.py``, under the
same names; ``python -m attention_src.exercises`` runs it.
"""

import importlib
import json
import math
import pkgutil
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from numbers import Real
from pathlib import Path
from typing import Any

Measures = dict[str, Any]  # a nested dict; its leaves are numbers or lists of numbers

ROOT = Path(__file__).resolve().parents[2]
HELPERS = {"protocol", "results"}  # modules of this package that are no experiments


class ExperimentError(ValueError):
    """An experiment, or what it returned, is not as the contract says."""


@dataclass(frozen=True)
class Places:
    """Where experiments are found and where they write."""

    package: str = "attention_src.experiments"
    results: Path = ROOT / "book" / "results"
    models: Path = ROOT / "book" / "models"
    kept: Path = ROOT / ".cache" / "experiments"  # finished parts of an unfinished run


EXERCISES = Places("attention_src.exercises", Places.results / "exercises", kept=ROOT / ".cache" / "exercises")


@dataclass(frozen=True)
class Rule:
    """A claim with its test: ``passes(measures of one seed)`` must be true in ``at_least`` of every ``of`` seeds."""

    name: str
    sentence: str
    passes: Callable[[Measures], bool]
    at_least: int = 4
    of: int = 5


@dataclass(frozen=True)
class Tolerance:
    """Two numbers agree if they differ by at most ``absolute + relative * |stored|``."""

    relative: float = 0.0
    absolute: float = 0.0


@dataclass(frozen=True)
class Run:
    """What a part is given: its seed, a way to say how far it is, and a way to keep a trained model."""

    seed: int
    progress: Callable[..., None] = lambda step, total, note="": None
    keep: Callable[[str, Any, Mapping], None] = lambda name, model, settings: None


@dataclass(frozen=True)
class Experiment:
    """The names that a chapter's module gives, checked."""

    stem: str
    settings: dict
    parts: dict[str, Callable[[Run], Measures]]
    rules: list[Rule]
    tolerance: dict[str, Tolerance]
    charts: dict[str, Callable]

    def run_part(self, part: str, run: Run) -> tuple[Measures, float]:
        """The measures of one part for ``run.seed``, and the seconds it took. The same whatever ran before it."""
        import numpy
        import torch

        torch.set_num_threads(1)  # on more threads, sums are taken in another order
        torch.manual_seed(run.seed)
        numpy.random.seed(run.seed)  # noqa: NPY002 (for libraries that still use the global generator)
        random.seed(run.seed)
        began = time.perf_counter()
        measures = self.parts[part](run)
        return clean(measures, f"part {part!r} of {self.stem!r}, seed {run.seed}"), time.perf_counter() - began


def stems(package: str = Places.package) -> list[str]:
    """The stems that have an experiment."""
    folder = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(folder) if m.name not in HELPERS and not m.name.startswith("_"))


def load(stem: str, package: str = Places.package) -> Experiment:
    """The experiment of a chapter."""
    module = importlib.import_module(f"{package}.{stem}")
    for name in ("SETTINGS", "PARTS", "RULES", "TOLERANCE"):
        if not hasattr(module, name):
            raise ExperimentError(f"{module.__name__} must define {name}; see attention_src/experiments/__init__.py")
    settings = json.loads(json.dumps(module.SETTINGS))  # as it will read back: tuples become lists
    names = [rule.name for rule in module.RULES]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ExperimentError(f"{module.__name__}: RULES must have different names; {twice} come twice")
    for name in [*module.PARTS, *names]:
        _check_name(name, f"{module.__name__}: the name of a part or rule")
    charts = dict(getattr(module, "CHARTS", {}))
    return Experiment(stem, settings, dict(module.PARTS), list(module.RULES), dict(module.TOLERANCE), charts)


def judge(rules: list[Rule], seeds: Mapping[str, Measures]) -> list[dict]:
    """The outcome of each rule over the measures of all seeds, as the results file holds it."""
    outcomes = []
    for rule in rules:
        passing = sum(bool(rule.passes(measures)) for measures in seeds.values())
        outcomes.append(
            {
                "name": rule.name,
                "rule": rule.sentence,
                "at_least": f"{rule.at_least} of {rule.of}",
                "holds": passing * rule.of >= rule.at_least * len(seeds),
                "seeds_passing": passing,
                "seeds_total": len(seeds),
            }
        )
    return outcomes


def tolerance_as_data(tolerance: Mapping[str, Tolerance]) -> dict:
    """``TOLERANCE`` as the results file holds it."""
    return {pattern: asdict(value) for pattern, value in tolerance.items()}


def clean(measures: Measures, where: str) -> Measures:
    """``measures`` with plain numbers of six digits; an error that names the path if something else is in it."""
    if not isinstance(measures, Mapping) or not measures:
        raise ExperimentError(f"{where} must return a dict of measures that is not empty; it returned {measures!r:.80}")

    def visit(value, path):
        if hasattr(value, "tolist"):  # an array or tensor, also one of no axes
            value = value.tolist()
        if isinstance(value, Mapping) and value:
            for name in value:
                _check_name(name, f"{where}: a measure's name under {path or 'the top'!r}")
            return {name: visit(inner, f"{path}.{name}".lstrip(".")) for name, inner in value.items()}
        if isinstance(value, list | tuple) and value:
            return [visit(inner, f"{path}.{index}") for index, inner in enumerate(value)]
        if not isinstance(value, Real):
            raise ExperimentError(f"{where}: {path} must be a number, a list of numbers or a dict; it is {value!r:.80}")
        if not math.isfinite(value):
            raise ExperimentError(f"{where}: {path} must be a finite number; it is {value}")
        return int(value) if isinstance(value, int) else float(f"{value:.6g}")

    return visit(measures, "")


def flatten(measures: Measures) -> dict[str, float]:
    """``{"a": {"b": [1, 2]}}`` as ``{"a.b.0": 1, "a.b.1": 2}``."""
    flat = {}

    def visit(value, path):
        if isinstance(value, dict | list):
            for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
                visit(inner, f"{path}.{name}" if path else str(name))
        else:
            flat[path] = value

    visit(measures, "")
    return flat


def differences(stored: Measures, fresh: Measures, tolerance: Mapping[str, Tolerance]) -> list[str]:
    """One sentence for each number that is in one of the two only, or further apart than ``tolerance`` allows."""
    old, new = flatten(stored), flatten(fresh)
    found = [f"{path} is in the results file, but no run gives it any more" for path in old if path not in new]
    found += [f"{path} is measured, but is not in the results file" for path in new if path not in old]
    for path in old.keys() & new.keys():
        limit = next((t for pattern, t in tolerance.items() if fnmatchcase(path, pattern)), None)
        if limit is None:
            found.append(f"{path} matches no pattern of TOLERANCE")
        elif abs(old[path] - new[path]) > limit.absolute + limit.relative * abs(old[path]):
            found.append(f"{path} was {old[path]}, now {new[path]}: further apart than {limit} allows")
    return sorted(found)


def _check_name(name, what):
    if not isinstance(name, str) or not name or set(name) & set(".:` "):
        raise ExperimentError(f"{what} must be a word without dots, colons, blanks and backquotes; it is {name!r}")
