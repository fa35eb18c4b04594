"""The widget of chapter 17: points that the reader puts down, and a trained pointer network that draws their hull."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure

from attention_src import plots
from attention_src.pointer_networks import MARK, LookAround, PointerNetwork

from .base import Widget, pack, rounded

SIDE = 100  # points lie on whole numbers from 0 to SIDE, so that left and right are exact; the network sees 0 to 1
MOST = 20
CLOSE = 1e-9  # weights that differ by less share the first place


class Seen(NamedTuple):
    """What the network answers, and what is true; places are counted from 1."""

    answer: list[int]
    weights: np.ndarray  # (steps, places): the mark first; at the last step the mark has most
    truth: list[int]
    covered: float | None  # the share of the hull's area; None for an answer that is no polygon


class Hull(Widget):
    """Put points down and go through the steps of a trained pointer network.

    :param model: a trained network for points in the plane that looks around
    :param hull: gives the places, from 0, of the corners of a list of points
    :param covered: ``covered(points, answer)``, the share of the hull's area, or None
    :param trained: the fewest and the most points that the network was trained on
    :param examples: lists of points by the name that the reader sees; the first is shown
    """

    weights = traitlets.Dict().tag(sync=True)
    heads = traitlets.Int().tag(sync=True)
    trained = traitlets.List(traitlets.Int(), minlen=2, maxlen=2).tag(sync=True)
    examples = traitlets.Dict().tag(sync=True)
    points = traitlets.List(traitlets.List(traitlets.Int(), minlen=2, maxlen=2)).tag(sync=True)
    at = traitlets.Int(1).tag(sync=True)  # the step that is shown; a large number stands for the last
    truth = traitlets.Bool(False).tag(sync=True)  # whether the true hull is shown

    def __init__(
        self,
        model: PointerNetwork,
        hull: Callable,
        covered: Callable,
        trained: Sequence[int],
        examples: Mapping[str, Sequence[Sequence[int]]],
    ):
        if type(model) is not PointerNetwork or not isinstance(model.encoder, LookAround):
            raise TypeError("model must be a PointerNetwork with the encoder LookAround: the page computes no other")
        if len(model.begin) != 2:
            raise ValueError(f"model must point at inputs of 2 numbers, but they have {len(model.begin)}")
        if not examples:
            raise ValueError("examples must hold at least one list of points: the first is shown")
        tidy = {name: [list(point) for point in points] for name, points in examples.items()}
        for points in tidy.values():
            check_points(points)
        packed = pack(model.state_dict())
        self._model, self._hull, self._covered = rounded(model, packed).double(), hull, covered
        more = {"heads": model.encoder.layers[0].itself.heads, "trained": list(trained), "examples": tidy}
        super().__init__(weights=packed, points=next(iter(tidy.values())), **more)

    @traitlets.validate("points")
    def _good_points(self, proposal):
        check_points(proposal["value"])
        return proposal["value"]

    @traitlets.validate("at")
    def _a_step(self, proposal):
        if proposal["value"] < 1:
            raise traitlets.TraitError(f"at must be a step, 1 or more, but is {proposal['value']}")
        return proposal["value"]

    @property
    def seen(self) -> Seen:
        """The network's answer with its weights, and the truth."""
        if not self.points:
            return Seen([], np.zeros((0, 1)), [], None)
        answer, weights = point(self._model, torch.tensor(self.points).double() / SIDE)
        truth = [place + 1 for place in self._hull(self.points)]
        return Seen(answer, weights, truth, self._covered(self.points, [place - 1 for place in answer]))

    @property
    def step(self) -> int:
        """The step that is shown, counted from 1; 0 without points."""
        return min(self.at, len(self.seen.weights))

    def still(self):
        """Draw the points, the way up to the step that is shown, and its weights."""
        seen, step, colours = self.seen, self.step, plots.LIGHT
        said, done = seen.answer[: max(step - 1, 0)], step == len(seen.weights)
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(plots.WIDTH, 3.1), layout="constrained")
            plane, bars = figure.subplots(1, 2, width_ratios=(1.35, 1))
            plane.set(xlim=(-5, SIDE + 5), ylim=(-5, SIDE + 5), xticks=[], yticks=[], aspect="equal")
            plane.spines[:].set(visible=True, color=colours["rule"])
            if self.truth:
                _path(plane, self.points, [*seen.truth, *seen.truth[:1]], color=colours["muted"], linestyle="--")
            _path(plane, self.points, [*said, *(said[:1] if done else seen.answer[step - 1 : step])], linewidth=2.2)
            for place, (x, y) in enumerate(self.points, start=1):
                plane.plot(x, y, "o", color=colours["panel"], markeredgecolor=colours["source"], markersize=13)
                plane.text(x, y, str(place), ha="center", va="center", size=8)
            row = seen.weights[step - 1] if step else np.zeros(1)
            names = ["mark", *map(str, range(1, len(row)))]
            bars.barh(names, np.round(row, 4), 0.7)
            bars.set(xlim=(0, 1), xticks=[0, 1], xlabel="weight" if not step else f"weight at step {step}")
            bars.tick_params(axis="y", labelsize=10 if len(row) < 14 else 7)
            bars.invert_yaxis()
        return figure

    def summary(self) -> str:
        """Say where the network points at this step, and at the end whether its answer is right."""
        seen, step = self.seen, self.step
        if not step:
            return "no points yet, so nothing to point at"
        row = seen.weights[step - 1]
        best = first_best(row)
        there = f"point {best}" if best else "the mark"
        text = f"{len(self.points)} points; at step {step} the network points at {there}, with weight {row[best]:.2f}"
        if best:
            return text
        right = "is right" if seen.answer == seen.truth else f"is not right: the hull is {_listed(seen.truth)}"
        return f"{text}; its answer {_listed(seen.answer)} {right}"


@torch.no_grad()
def point(model: PointerNetwork, inputs: torch.Tensor) -> tuple[list[int], np.ndarray]:
    """Where a network points for one list of inputs, up to the mark, and its weights, one row a step.

    If several places have the most, it points at the first, as the hull's rule for coinciding points wants.
    """
    inputs = inputs[None]
    places, state = model.encode(inputs, torch.ones(inputs.shape[:2], dtype=torch.bool))
    answer, weights, token = [], [], torch.tensor([MARK])
    while True:
        step = model.step(token, state, places)
        state = step.state
        weights.append(step.weights[0].numpy())
        best = first_best(weights[-1])
        if best == MARK:
            return answer, np.stack(weights)
        answer.append(best)
        token = torch.tensor([best])


def first_best(weights: np.ndarray) -> int:
    """The first place whose weight is the largest."""
    return int(np.argmax(weights > weights.max() - CLOSE))


def check_points(points) -> None:
    """Refuse points that the page cannot show."""
    if len(points) > MOST:
        raise traitlets.TraitError(f"points must hold at most {MOST} points, but holds {len(points)}")
    for one in points:
        if len(one) != 2 or not all(isinstance(x, int) and 0 <= x <= SIDE for x in one):
            raise traitlets.TraitError(f"points must hold pairs of whole numbers from 0 to {SIDE}, but holds {one}")


def _path(axes, points, places, **style) -> None:
    xs, ys = [points[place - 1][0] for place in places], [points[place - 1][1] for place in places]
    axes.plot(xs, ys, zorder=1, **style)


def _listed(places: list[int]) -> str:
    return " ".join(map(str, places)) if places else "(nothing)"
