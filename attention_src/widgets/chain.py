"""The widget of chapter 16: a short chain of gates whose scores and ties the reader drags."""

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from attention_src import plots
from attention_src.structured import Choice, Gates, TiedGates

from .base import Widget

FEWEST, MOST = 2, 8  # places
LARGEST = 4.0  # of the scores and ties
TIE = 1e-9  # sequences whose scores lie closer than this share the first place


class Seen(NamedTuple):
    """What the widget shows."""

    softmax: Tensor  # one place is chosen
    gates: Tensor  # each place open or shut, alone
    chain: Tensor  # each place open or shut, tied to its neighbours
    best: list[int]  # the best sequence, 1 for open; of several the first in counting order
    share: float  # its probability
    as_good: int  # how many sequences have its score
    log_partition: float


class Chain(Widget):
    """Drag the scores of a short chain of gates and its ties; compare marginals, sigmoids and a softmax.

    ``scores`` (one for each place, for open against shut) and ``ties`` (row: a place is shut or open; column: the next
    one is) are what the reader moves; set one in Python and the picture moves.

    :param examples: chains by the name that the reader sees, each with its scores and ties; the first is shown
    """

    examples = traitlets.Dict().tag(sync=True)
    scores = traitlets.List(traitlets.Float()).tag(sync=True)
    ties = traitlets.List(traitlets.List(traitlets.Float(), minlen=2, maxlen=2), minlen=2, maxlen=2).tag(sync=True)

    def __init__(self, examples: Mapping[str, Mapping]):
        if not examples:
            raise ValueError("examples must hold at least one chain: the first is shown")
        tidy = {
            name: {
                "scores": [float(x) for x in one["scores"]],
                "ties": [[float(x) for x in row] for row in one["ties"]],
            }
            for name, one in examples.items()
        }
        for one in tidy.values():
            check_scores(one["scores"])
            check_ties(one["ties"])
        super().__init__(examples=tidy, **next(iter(tidy.values())))

    @traitlets.validate("scores")
    def _good_scores(self, proposal):
        check_scores(proposal["value"])
        return proposal["value"]

    @traitlets.validate("ties")
    def _good_ties(self, proposal):
        check_ties(proposal["value"])
        return proposal["value"]

    @property
    def seen(self) -> Seen:
        """The three kinds of weights and the best sequence, in float64."""
        scores = torch.tensor([self.scores], dtype=torch.float64)
        mask = torch.ones_like(scores, dtype=torch.bool)
        tied = TiedGates().double()
        with torch.no_grad():
            tied.chain.transition.copy_(torch.tensor(self.ties))
            emissions = torch.stack([torch.zeros_like(scores), scores], dim=-1)
            log_z = float(tied.chain.log_partition(emissions, mask))
            totals = {path: self.total(path) for path in itertools.product((0, 1), repeat=len(self.scores))}
            top = max(totals.values())
            best = [path for path, total in totals.items() if top - total < TIE]
            return Seen(
                Choice()(scores, mask)[0],
                Gates()(scores, mask)[0],
                tied(scores, mask)[0],
                list(best[0]),
                math.exp(top - log_z),
                len(best),
                log_z,
            )

    def total(self, path: tuple[int, ...]) -> float:
        """The score of one sequence of gates: the scores of the open ones, and the tie of each two neighbours."""
        opened = sum(score * gate for score, gate in zip(self.scores, path, strict=True))
        return opened + sum(self.ties[a][b] for a, b in itertools.pairwise(path))

    def still(self):
        """Draw the scores, the three kinds of weights and the best sequence."""
        seen, colours, places = self.seen, plots.LIGHT, range(len(self.scores))
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(5.4, 4.2), layout="constrained")
            above, below = figure.subplots(2, 1, height_ratios=(1, 1.5), sharex=True)
            above.axhline(0, color=colours["rule"], linewidth=1)
            above.vlines(places, 0, self.scores, color=colours["key"])
            above.plot(places, self.scores, "o", color=colours["key"], markersize=9)
            above.set(ylim=(-LARGEST - 0.5, LARGEST + 0.5), ylabel="score")
            kinds = (
                ("softmax", seen.softmax, "muted"),
                ("gate alone", seen.gates, "query"),
                ("chain", seen.chain, "accent"),
            )
            for shift, (name, weights, colour) in zip((-0.26, 0, 0.26), kinds, strict=True):
                below.bar([p + shift for p in places], weights.tolist(), 0.24, color=colours[colour], label=name)
            below.set(ylim=(0, 1.25), yticks=[0, 0.5, 1], ylabel="weight", xlabel="place")
            below.set_xticks(list(places), [f"{p + 1}\n{'open' if seen.best[p] else 'shut'}" for p in places])
            below.legend(loc="upper center", ncols=3, frameon=False)
        return figure

    def summary(self) -> str:
        """Say what the chain does with its places."""
        seen = self.seen
        others = f", one of {seen.as_good} that tie" if seen.as_good > 1 else ""
        return (
            f"A chain of {len(self.scores)} gates: the marginals are {listed(seen.chain)}, without ties "
            f"{listed(seen.gates)}, the softmax {listed(seen.softmax)}; the best sequence is "
            f"{' '.join('open' if gate else 'shut' for gate in seen.best)}, with probability {seen.share:.2f}{others}"
        )


def listed(weights: Tensor) -> str:
    """Numbers with two digits, side by side."""
    return " ".join(f"{weight:.2f}" for weight in weights.tolist())


def check_scores(scores) -> None:
    """Refuse too few or too many places, and scores that are out of range."""
    if not FEWEST <= len(scores) <= MOST:
        raise traitlets.TraitError(f"scores must hold {FEWEST} to {MOST} numbers, but holds {len(scores)}")
    check_range("scores", scores)


def check_ties(ties) -> None:
    """Refuse ties that are no table of two rows and two columns, or out of range."""
    if [len(row) for row in ties] != [2, 2]:
        raise traitlets.TraitError(f"ties must be two rows of two numbers, but is {ties}")
    for row in ties:
        check_range("ties", row)


def check_range(name: str, numbers) -> None:
    """Refuse numbers that the page cannot show."""
    for number in numbers:
        if not abs(number) <= LARGEST:
            raise traitlets.TraitError(
                f"{name} must hold numbers between -{LARGEST:g} and {LARGEST:g}, but holds {number}"
            )
