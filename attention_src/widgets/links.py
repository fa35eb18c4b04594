"""The widget of chapter 07: maps of weights, read as links in ways that the reader chooses, and counted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import traitlets

from attention_src import plots
from attention_src.alignment import alignment_error_rate, hardest, heavier, later

from .base import Widget

READINGS = ("largest", "threshold")
LEAST, MOST = 0.05, 0.95


class Seen(NamedTuple):
    """What the widget shows."""

    links: list[tuple[int, int]]  # that are said, sorted
    right: int  # how many of them are true
    error: float
    precision: float
    recall: float


class AlignmentLinks(Widget):
    """Choose a map and how to read it; add and remove links; see what is said and true, and the error.

    ``chosen`` (the number of the map), ``reading`` ("largest" or "threshold"), ``least`` (the threshold), ``shift``
    (to which target word a row speaks: -1 for the word before, 1 for the one after) and ``toggled`` (links that the
    reader has added or removed) are what moves; set one in Python and the picture moves.

    :param maps: each with ``title``, ``source`` and ``target`` (words), ``weights`` (a row for each target word) and
        ``gold`` (true links, source place first; None where nobody knows them)
    """

    maps = traitlets.List(traitlets.Dict()).tag(sync=True)
    chosen = traitlets.Int(0).tag(sync=True)
    reading = traitlets.Enum(READINGS, "largest").tag(sync=True)
    least = traitlets.Float(0.3).tag(sync=True)
    shift = traitlets.Int(0).tag(sync=True)
    toggled = traitlets.List(traitlets.List(traitlets.Int(), minlen=2, maxlen=2)).tag(sync=True)

    def __init__(self, maps: Sequence[Mapping]):
        if not maps:
            raise ValueError("maps is empty: give at least one map of weights")
        tidy = []
        for number, one in enumerate(maps):
            weights = torch.as_tensor(one["weights"], dtype=torch.float64)
            size = (len(one["target"]), len(one["source"]))
            if tuple(weights.shape) != size:
                raise ValueError(f"maps[{number}] must have weights of shape {size}, but has {tuple(weights.shape)}")
            for i, j in one["gold"] or ():
                if not (0 <= i < size[1] and 0 <= j < size[0]):
                    raise ValueError(f"maps[{number}] has the true link {(i, j)}, which lies outside the sentences")
            tidy.append(
                {
                    "title": one["title"],
                    "source": list(one["source"]),
                    "target": list(one["target"]),
                    "weights": [[round(float(x), 4) for x in row] for row in weights],
                    "gold": None if one["gold"] is None else sorted([i, j] for i, j in one["gold"]),
                }
            )
        super().__init__(maps=tidy)

    @traitlets.validate("chosen")
    def _one_of_them(self, proposal):
        if not 0 <= proposal["value"] < len(self.maps):
            raise traitlets.TraitError(f"chosen must be 0 to {len(self.maps) - 1}, but is {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("least")
    def _a_share(self, proposal):
        if not LEAST <= proposal["value"] <= MOST:
            raise traitlets.TraitError(f"least must be {LEAST} to {MOST}, but is {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("shift")
    def _a_step(self, proposal):
        if proposal["value"] not in (-1, 0, 1):
            raise traitlets.TraitError(f"shift must be -1, 0 or 1, but is {proposal['value']}")
        return proposal["value"]

    @property
    def seen(self) -> Seen:
        """The links that are said, and how well they agree with the true ones."""
        one = self.maps[self.chosen]
        weights, gold = torch.tensor(one["weights"], dtype=torch.float64), {tuple(link) for link in one["gold"] or ()}
        links = hardest(weights) if self.reading == "largest" else heavier(weights, self.least)
        steps, words = weights.shape
        links = later(links, self.shift, steps)
        links ^= {(i, j) for i, j in self.toggled if 0 <= i < words and 0 <= j < steps}
        found = alignment_error_rate([links], [gold])
        return Seen(sorted(links), len(links & gold), found.error, found.precision, found.recall)

    def still(self):
        """Draw the map with its true links."""
        one = self.maps[self.chosen]
        return plots.heatmap(one["weights"], one["target"], one["source"], gold={(j, i) for i, j in one["gold"] or ()})

    def summary(self) -> str:
        """Say how many links there are and how many are true."""
        one, seen = self.maps[self.chosen], self.seen
        way = "the largest weight of each row" if self.reading == "largest" else f"weights of at least {self.least:.2f}"
        said = f"A map of weights, {one['title']}, read by {way}: {len(seen.links)} links are said"
        if one["gold"] is None:
            return f"{said}; what is true is not known"
        return (
            f"{said}, {seen.right} of them "
            f"true, of {len(one['gold'])} true links; alignment error {100 * seen.error:.0f} %"
        )
