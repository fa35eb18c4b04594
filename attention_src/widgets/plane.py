"""The widget of chapters 03 and 04: a query and a few keys in the plane, and the weights that follow when they move."""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor, nn

from attention_src import plots, scores
from attention_src.attention import attend

from .base import Widget, pack

KINDS = tuple(
    getattr(scores, name)
    for name in ("Dot", "ScaledDot", "Cosine", "Bilinear", "LowRankBilinear", "Additive", "Concat", "Location")
)
EDGE = 3.0  # the plane goes from -EDGE to EDGE in both directions
COOLEST, HOTTEST = 0.05, 20.0
MOST = 8  # keys


class Seen(NamedTuple):
    """What the widget shows: a number for each key, and their mixtures."""

    scores: Tensor
    weights: Tensor
    value: float
    point: Tensor


class Plane(Widget):
    """Drag a query and keys in the plane; choose a score and a temperature; see the weights and what they mix.

    Each key carries a number, its value. ``query``, ``points`` (the places of the keys), ``mask`` (True: may look),
    ``score`` (one of the names) and ``temperature`` are what the reader moves; set one in Python and the picture moves.

    :param scores: modules of ``attention_src.scores`` for vectors of width 2, by the names that the reader sees; what
        runs is the module with its weights rounded to float16, in the page and here
    :param query: where the query begins, two numbers from -3 to 3
    :param points: where the keys begin, at most 8
    :param values: the number that each key carries
    :param score: the name of the score to begin with; the first if None
    :param temperature: what scores are divided by, from 0.05 to 20
    """

    scores = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    weights = traitlets.Dict().tag(sync=True)
    values = traitlets.List(traitlets.Float()).tag(sync=True)
    query = traitlets.List(traitlets.Float(), minlen=2, maxlen=2).tag(sync=True)
    points = traitlets.List(traitlets.List(traitlets.Float(), minlen=2, maxlen=2)).tag(sync=True)
    mask = traitlets.List(traitlets.Bool()).tag(sync=True)
    score = traitlets.Unicode().tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)

    def __init__(
        self,
        scores: Mapping[str, nn.Module],
        query: Sequence[float],
        points: Sequence[Sequence[float]],
        values: Sequence[float],
        score: str | None = None,
        temperature: float = 1.0,
    ):
        if not scores:
            raise ValueError("scores must hold at least one score, such as {'dot product': Dot()}, but is empty")
        for name, module in scores.items():
            if type(module) not in KINDS:
                names = ", ".join(kind.__name__ for kind in KINDS)
                raise TypeError(f"scores[{name!r}] must be one of {names}, but is a {type(module).__name__}")
        if not 1 <= len(points) <= MOST:
            raise ValueError(f"points must hold 1 to {MOST} keys, but holds {len(points)}")
        if len(values) != len(points):
            raise ValueError(f"values must hold one number for each of the {len(points)} keys, but holds {len(values)}")
        modules = nn.ModuleList(scores.values())
        weights = pack(modules.state_dict())  # this rounds them to float16
        self._modules = dict(zip(scores, copy.deepcopy(modules).half().double(), strict=True))
        for name, module in self._modules.items():
            self._try(name, module, query, points)
        super().__init__(
            scores=[[name, type(module).__name__] for name, module in scores.items()],
            weights=weights,
            values=[float(value) for value in values],
            points=[[float(x) for x in point] for point in points],
            query=[float(x) for x in query],
            mask=[True] * len(points),
            score=next(iter(scores)) if score is None else score,
            temperature=float(temperature),
        )

    @staticmethod
    def _try(name: str, module: nn.Module, query, points) -> None:
        try:
            module(doubles([query]), doubles(points))
        except Exception as error:
            raise ValueError(f"scores[{name!r}] must score vectors of width 2, but: {error}") from error

    @traitlets.validate("query", "points")
    def _inside(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        for x in value if name == "query" else [x for point in value for x in point]:
            if not -EDGE <= x <= EDGE:
                raise traitlets.TraitError(f"{name} must lie between -{EDGE:g} and {EDGE:g}, but holds {x}")
        self._one_for_each_value(name, value)
        return value

    @traitlets.validate("mask")
    def _as_many(self, proposal):
        self._one_for_each_value("mask", proposal["value"])
        return proposal["value"]

    def _one_for_each_value(self, name: str, value: list) -> None:
        if name != "query" and len(value) != len(self.values):
            raise traitlets.TraitError(
                f"{name} must have one entry for each of {len(self.values)} keys, not {len(value)}"
            )

    @traitlets.validate("score")
    def _known(self, proposal):
        if proposal["value"] not in self._modules:
            raise traitlets.TraitError(f"score must be one of {list(self._modules)}, but is {proposal['value']!r}")
        return proposal["value"]

    @traitlets.validate("temperature")
    def _warm(self, proposal):
        if not COOLEST <= proposal["value"] <= HOTTEST:
            raise traitlets.TraitError(f"temperature must be {COOLEST} to {HOTTEST:g}, but is {proposal['value']}")
        return proposal["value"]

    @property
    def seen(self) -> Seen:
        """The scores, the weights, the mixed value and the mixed point of the state, in float64."""
        points, values = doubles(self.points), doubles(self.values)
        with torch.no_grad():
            scored = self._modules[self.score](doubles([self.query]), points)
            carried = torch.cat([values[:, None], points], dim=1)  # each key gives its number and its place
            (mixed,), (weights,) = attend(scored / self.temperature, carried, torch.tensor([self.mask]))
        return Seen(scored[0], weights, float(mixed[0]), mixed[1:])

    def still(self):
        """Draw the plane, and a bar for each weight."""
        seen, colours = self.seen, plots.LIGHT
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(6.6, 3.3), layout="constrained")
            plane, bars = figure.subplots(1, 2, width_ratios=(1, 0.9))
            draw_plane(plane, self, seen)
            names = [f"k{i + 1}" for i in range(len(self.points))]
            bars.barh(names, seen.weights.tolist(), height=0.55, color=colours["accent"])
            for place, (weight, value) in enumerate(zip(seen.weights.tolist(), self.values, strict=True)):
                bars.text(weight + 0.02, place, f"{weight:.3f}", va="center")
                bars.text(1.42, place, f"{value:g}", va="center", ha="right", color=colours["value"])
            bars.text(1.42, -0.85, "value", ha="right", va="center", color=colours["value"])
            bars.set(xlim=(0, 1.45), ylim=(len(names) - 0.4, -1.2), xticks=[0, 0.5, 1], xlabel="weight")
            bars.set_title(f"mixed value {seen.value:.1f}", loc="left", color=colours["value"])
        return figure

    def summary(self) -> str:
        """Say which key has the largest weight, and what comes out."""
        seen = self.seen
        if not any(self.mask):
            return f"{len(self.points)} keys in the plane, and the query may look at none of them"
        best = int(seen.weights.argmax())
        return (
            f"A query and {len(self.points)} keys in the plane, scored by the {self.score}; at temperature "
            f"{self.temperature:g} key {best + 1} has the largest weight, {float(seen.weights[best]):.3f}, and the "
            f"mixed value is {seen.value:.1f}"
        )


def draw_plane(axes, widget: Plane, seen: Seen) -> None:
    """Draw the query, the keys (larger with more weight) and their mixture."""
    colours = plots.LIGHT
    axes.axhline(0, color=colours["muted"], linewidth=0.8)
    axes.axvline(0, color=colours["muted"], linewidth=0.8)
    axes.grid()
    for number, ((x, y), weight, open_) in enumerate(
        zip(widget.points, seen.weights.tolist(), widget.mask, strict=True), 1
    ):
        axes.plot([seen.point[0], x], [seen.point[1], y], color=colours["value"], linewidth=0.6 + 3 * weight, alpha=0.5)
        size = 7 + 13 * math.sqrt(weight)
        axes.plot(x, y, "o", markersize=size, color=colours["paper"], markeredgecolor=colours["paper"])
        axes.plot(x, y, "o", markersize=size, color=colours["accent"], alpha=max(0.05, weight), markeredgewidth=0)
        edge = {"markerfacecolor": "none", "markeredgecolor": colours["key"], "markeredgewidth": 1.4}
        axes.plot(x, y, "o" if open_ else "x", markersize=size, **edge)
        axes.annotate(f"k{number}", (x, y), (size / 2 + 2, -4), textcoords="offset points", color=colours["key"])
    axes.plot([0, widget.query[0]], [0, widget.query[1]], color=colours["query"])
    axes.plot(*widget.query, "o", color=colours["query"], markersize=7)
    axes.annotate("q", widget.query, (6, 5), textcoords="offset points", color=colours["query"], style="italic")
    if any(widget.mask):
        axes.plot(*seen.point, "D", color=colours["value"], markersize=7)
    axes.set(xlim=(-EDGE - 0.2, EDGE + 0.2), ylim=(-EDGE - 0.2, EDGE + 0.2), xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    axes.set_aspect("equal")


def doubles(numbers) -> Tensor:
    """The numbers as a tensor of float64."""
    return torch.tensor(numbers, dtype=torch.float64)
