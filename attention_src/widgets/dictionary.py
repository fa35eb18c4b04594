"""The first widget of chapter 08: a soft dictionary that the reader edits, an ordinary one, and the hard limit."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from attention_src import plots
from attention_src.attention import attend
from attention_src.query_key_value import Distance
from attention_src.scores import Cosine, Dot

from .base import Widget

SCORES = {"dot product": Dot(), "cosine": Cosine(), "distance": Distance()}
MOST = 8  # entries
LARGEST = 99.0  # of the numbers in keys, values and query
COOLEST, HOTTEST = 0.01, 100.0  # of the temperatures above 0
TIE = 1e-9  # scores that lie closer than this share; the last digits of a cosine differ between machines


class Seen(NamedTuple):
    """What the widget shows."""

    scores: Tensor
    weights: Tensor
    answer: float  # at the temperature
    limit: float  # at temperature 0
    mean: float  # at a temperature without end
    exact: float | None  # of an ordinary dictionary; None where no key equals the query


class Dictionary(Widget):
    """Edit keys, values and a query; see what an ordinary dictionary, the soft one and its hard limit answer.

    ``rows`` (each a key of two numbers and a value), ``query``, ``score`` (dot product, cosine or distance) and
    ``temperature`` (0, or 0.01 to 100) are what the reader moves; set one in Python and the picture moves.

    :param examples: dictionaries by the name that the reader sees, each with its rows and its query; the first is shown
    :param score: the score to begin with
    :param temperature: the temperature to begin with
    """

    examples = traitlets.Dict().tag(sync=True)
    rows = traitlets.List(traitlets.List(traitlets.Float(), minlen=3, maxlen=3)).tag(sync=True)
    query = traitlets.List(traitlets.Float(), minlen=2, maxlen=2).tag(sync=True)
    score = traitlets.Unicode().tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)

    def __init__(self, examples: Mapping[str, Mapping], score: str = "dot product", temperature: float = 1.0):
        if not examples:
            raise ValueError("examples must hold at least one dictionary: the first is shown")
        tidy = {
            name: {"rows": [[float(x) for x in row] for row in one["rows"]], "query": [float(x) for x in one["query"]]}
            for name, one in examples.items()
        }
        for one in tidy.values():
            check_rows(one["rows"])
            check_numbers("query", one["query"])
        super().__init__(examples=tidy, **next(iter(tidy.values())), score=score, temperature=float(temperature))

    @traitlets.validate("rows")
    def _good_rows(self, proposal):
        check_rows(proposal["value"])
        return proposal["value"]

    @traitlets.validate("query")
    def _good_query(self, proposal):
        check_numbers("query", proposal["value"])
        return proposal["value"]

    @traitlets.validate("score")
    def _known(self, proposal):
        if proposal["value"] not in SCORES:
            raise traitlets.TraitError(f"score must be one of {', '.join(SCORES)}, but is {proposal['value']!r}")
        return proposal["value"]

    @traitlets.validate("temperature")
    def _warm(self, proposal):
        if proposal["value"] != 0 and not COOLEST <= proposal["value"] <= HOTTEST:
            raise traitlets.TraitError(
                f"temperature must be 0, or {COOLEST} to {HOTTEST:g}, but is {proposal['value']}"
            )
        return proposal["value"]

    @property
    def seen(self) -> Seen:
        """The scores, the weights and the answers, in float64."""
        return self._at(self.temperature)

    def _at(self, temperature: float) -> Seen:
        rows, query = doubles(self.rows), doubles([self.query])
        key, value = rows[:, :2], rows[:, 2:]
        scores = SCORES[self.score](query, key)
        lead = scores - scores.amax()
        limit, best = attend(torch.zeros_like(lead), value, lead > -TIE)
        answer, weights = attend(lead / temperature, value) if temperature else (limit, best)
        equal = (key == query).all(dim=1)
        exact = float(value[equal][-1]) if equal.any() else None  # what was stored last
        return Seen(scores[0], weights[0], float(answer), float(limit), float(value.mean()), exact)

    def still(self):
        """Draw the entries with their weights, and the answer by temperature."""
        seen, colours = self.seen, plots.LIGHT
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(6.6, 2.9), layout="constrained")
            bars, line = figure.subplots(1, 2, width_ratios=(1, 1))
            names = [f"({row[0]:g}, {row[1]:g}): {row[2]:g}" for row in self.rows]
            bars.barh(range(len(names)), seen.weights.tolist(), height=0.55, color=colours["accent"])
            for place, weight in enumerate(seen.weights.tolist()):
                bars.text(weight + 0.03, place, f"{weight:.3f}", va="center")
            bars.set(xlim=(0, 1.3), ylim=(len(names) - 0.4, -0.6), xticks=[0, 0.5, 1], xlabel="weight")
            bars.set_yticks(range(len(names)), names)
            bars.set_title(f"query ({self.query[0]:g}, {self.query[1]:g})", loc="left", color=colours["query"])
            warm = np.geomspace(COOLEST, HOTTEST, 80)
            line.plot(np.log10(warm), [self._at(t).answer for t in warm], color=colours["value"])
            at = max(self.temperature, COOLEST)
            line.plot(math.log10(at), seen.answer, "o", color=colours["value"], markersize=8)
            line.set(xlabel="temperature", xticks=[-2, 0, 2])
            line.set_xticklabels(["0.01", "1", "100"])
            line.set_title(f"answer {seen.answer:.2f}", loc="left", color=colours["value"])
        return figure

    def summary(self) -> str:
        """Say what the three dictionaries answer."""
        seen = self.seen
        ordinary = "has no such key" if seen.exact is None else f"answers {seen.exact:g}"
        return (
            f"A soft dictionary of {len(self.rows)} entries, asked with ({self.query[0]:g}, {self.query[1]:g}) by "
            f"{self.score}: at temperature {self.temperature:g} it answers {seen.answer:.2f}, in the limit "
            f"{seen.limit:g}; an ordinary dictionary {ordinary}"
        )


def check_rows(rows) -> None:
    """Refuse too few or too many entries, and numbers that are out of range."""
    if not 1 <= len(rows) <= MOST:
        raise traitlets.TraitError(f"rows must hold 1 to {MOST} entries, but holds {len(rows)}")
    for row in rows:
        check_numbers("rows", row)


def check_numbers(name: str, numbers) -> None:
    """Refuse numbers that the page cannot show."""
    for number in numbers:
        if not abs(number) <= LARGEST:
            raise traitlets.TraitError(
                f"{name} must hold numbers between -{LARGEST:g} and {LARGEST:g}, but holds {number}"
            )


def doubles(numbers) -> Tensor:
    """The numbers as a tensor of float64."""
    return torch.tensor(numbers, dtype=torch.float64)
