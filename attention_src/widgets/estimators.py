"""A widget of chapter 09: estimators of the gradient of a choice, draw by draw, beside the exact gradient."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from attention_src import plots
from attention_src.hard_attention import draw, exact_gradient, pathwise, quality, reinforce, running_mean

from .base import Widget
from .chance import uniform

FEWEST, MOST = 2, 5  # options
LARGEST = 3.0  # of scores and values
COLDEST, HOTTEST = 0.05, 5.0
DRAWS, SEEDS = 5000, 999
ZERO = 1e-9  # an exact gradient shorter than this counts as zero
NAMES = {
    "reinforce": "REINFORCE",
    "running": "REINFORCE, running mean",
    "mean": "REINFORCE, exact mean",
    "soft": "Gumbel-softmax",
    "straight": "straight-through",
}


class Measured(NamedTuple):
    """What some estimates say together; the last three relative to the length of the exact gradient if it has one."""

    mean: Tensor | None  # None without draws
    bias: float | None  # how far the mean is from the exact gradient
    variance: float | None  # None before there are two draws
    chance: float | None  # how far chance alone brings the mean of so many unbiased estimates


class Seen(NamedTuple):
    """What the widget shows."""

    exact: Tensor  # (k,)
    places: Tensor  # (samples,): the options that were drawn
    estimates: dict[str, Tensor]  # by the name of the estimator, (samples, k)
    measured: dict[str, Measured]


class Estimators(Widget):
    """Draw from a few options and estimate how their scores move the expected loss, in five ways.

    The loss is half the squared distance of what is read from ``wanted``. ``options`` (for each its score and its
    value), ``wanted``, ``temperature`` (of Gumbel-softmax and straight-through), ``draws`` (how many), ``seed`` (which)
    and ``shown`` (the score whose gradient is drawn, from 0) are what the reader moves; set one in Python and the
    picture moves.

    :param examples: choices by the name that the reader sees, each with its options and what is wanted
    """

    examples = traitlets.Dict().tag(sync=True)
    options = traitlets.List(traitlets.List(traitlets.Float(), minlen=2, maxlen=2)).tag(sync=True)
    wanted = traitlets.Float().tag(sync=True)
    temperature = traitlets.Float().tag(sync=True)
    draws = traitlets.Int().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)
    shown = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        options: Sequence[Sequence[float]],
        wanted: float,
        temperature: float = 1.0,
        draws: int = 0,
        seed: int = 0,
        shown: int = 0,
        examples: Mapping[str, Mapping] | None = None,
    ):
        super().__init__(
            examples={name: dict(one) for name, one in (examples or {}).items()},
            options=[[float(score), float(value)] for score, value in options],
            wanted=wanted,
            temperature=temperature,
            draws=draws,
            seed=seed,
            shown=shown,
        )

    @traitlets.validate("options")
    def _good_options(self, proposal):
        if not FEWEST <= len(proposal["value"]) <= MOST:
            raise traitlets.TraitError(f"options must be {FEWEST} to {MOST}, but are {len(proposal['value'])}")
        for number in (number for one in proposal["value"] for number in one):
            check_range("options", number, -LARGEST, LARGEST)
        return proposal["value"]

    @traitlets.validate("wanted", "temperature", "draws", "seed", "shown")
    def _good_number(self, proposal):
        low, high = {
            "wanted": (-LARGEST, LARGEST),
            "temperature": (COLDEST, HOTTEST),
            "draws": (0, DRAWS),
            "seed": (0, SEEDS),
            "shown": (0, MOST - 1),
        }[proposal["trait"].name]
        check_range(proposal["trait"].name, proposal["value"], low, high)
        return proposal["value"]

    @property
    def seen(self) -> Seen:
        """The exact gradient, and the estimates from the draws so far, in float64."""
        scores, values = torch.tensor(self.options, dtype=torch.float64).T
        value = values[:, None]
        count = len(scores)

        def loss(context: Tensor) -> Tensor:
            return (context[..., 0] - self.wanted).square() / 2

        noise = -torch.from_numpy(uniform(self.seed, self.draws * count)).log().neg().log()
        noise = noise.reshape(self.draws, count)
        places = draw(scores.expand_as(noise), noise)
        losses, given = loss(value[places]), (scores, value, loss)
        by_noise = (*given, noise, self.temperature)
        exact = exact_gradient(*given)
        estimates = {
            "reinforce": reinforce(*given, places),
            "running": reinforce(*given, places, running_mean(losses)),
            "mean": reinforce(*given, places, (scores.softmax(dim=0) @ loss(value)).item()),
            "soft": pathwise(*by_noise),
            "straight": pathwise(*by_noise, straight=True),
        }
        return Seen(exact, places, estimates, {name: measure(rows, exact) for name, rows in estimates.items()})

    @property
    def at(self) -> int:
        """The score whose gradient is drawn: the last, where there are too few."""
        return min(self.shown, len(self.options) - 1)

    def still(self):
        """Draw for each estimator how its estimates of one score's gradient lie, their mean and the truth."""
        seen, colours = self.seen, plots.LIGHT
        truth = seen.exact[self.at].item()
        far = reach(self, seen)
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(plots.WIDTH, 4.6), layout="constrained")
            panels = figure.subplots(len(NAMES), 1, sharex=True)
            for axes, (name, text) in zip(panels, NAMES.items(), strict=True):
                numbers = seen.estimates[name][:, self.at].clamp(truth - far, truth + far)
                heaps = np.histogram(numbers.numpy().round(6), bins=61, range=(truth - far, truth + far))
                axes.stairs(*heaps, fill=True, color=colours["muted"])
                axes.axvline(truth, color=colours["ink"], linestyle="--", linewidth=1.2)
                if len(numbers):
                    axes.axvline(seen.measured[name].mean[self.at].item(), color=colours["accent"], linewidth=2)
                axes.set(yticks=[], xlim=(truth - far, truth + far))
                axes.spines["left"].set_visible(False)
                axes.set_title(f"{text}: {said(seen.measured[name])}", loc="left", pad=2, fontsize=8.8)
            panels[-1].set_xlabel(f"gradient of score {self.at + 1}")
        return figure

    def summary(self) -> str:
        """Say how good each estimator is after the draws."""
        measured = self.seen.measured
        numbers = "; ".join(f"{text} {said(measured[name])}" for name, text in NAMES.items())
        return f"{len(self.options)} options, temperature {self.temperature:g}, {self.draws} draws: {numbers}"


def measure(estimates: Tensor, exact: Tensor) -> Measured:
    """Measure estimates by the module's ``quality``; where the exact gradient is zero, in absolute numbers."""
    count, size = len(estimates), exact.norm()
    if not count:
        return Measured(None, None, None, None)
    mean, length = estimates.mean(dim=0), 1.0 if size < ZERO else size.item()
    bias = (mean - exact).norm().item() / length
    if count == 1:
        return Measured(mean, bias, None, None)
    variance = estimates.var(dim=0).sum().item() / length**2 if size < ZERO else quality(estimates, exact).variance
    return Measured(mean, bias, variance, math.sqrt(variance / count))


def reach(widget: Estimators, seen: Seen) -> float:
    """How far the picture goes to each side of the exact gradient: to the farthest estimate of REINFORCE."""
    scores, values = np.array(widget.options).T
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    losses = (values - widget.wanted) ** 2 / 2
    toward = (np.arange(len(scores)) == widget.at) - chances[widget.at]
    estimates = np.concatenate([losses * toward, (losses - chances @ losses) * toward])
    truth = seen.exact[widget.at].item()
    return 1.1 * max(abs(truth), np.abs(estimates - truth).max()) or 1.0


def said(one: Measured) -> str:
    """What is written beside an estimator."""
    if one.bias is None:
        return "no draw yet"
    rest = "" if one.variance is None else f" (chance {one.chance:.2f}), variance {one.variance:.2f}"
    return f"off by {one.bias:.2f}{rest}"


def check_range(name: str, number: float, low: float, high: float) -> None:
    """Refuse a number that the page cannot show."""
    if not low <= number <= high:
        raise traitlets.TraitError(f"{name} must lie between {low:g} and {high:g}, but is {number:g}")
