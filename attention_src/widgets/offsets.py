"""The score of two places over the distance between them: does the curve stay where it is when both places move?"""

from collections.abc import Sequence

import matplotlib
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from attention_src import plots
from attention_src.positions import rotary, waves

from .base import Widget

SPAN = 32  # offsets that are drawn, to either side
PLACES = (SPAN, 256)  # from the first on, all these offsets lead to places that there are
KINDS = {
    "waves": "two waves",
    "words": "waves added to words",
    "rotary": "rotary, both turned",
    "half": "rotary, only the query turned",
}


class Offsets(Widget):
    """Choose how places come into a score, a width and a place; read the score at each offset from it.

    ``kind``, ``width``, ``place`` (that of the query) and ``offset`` (from the query to the key) are what the reader
    moves; set one in Python and the picture moves.

    :param query: the numbers of the query's word, before its place; a narrower score takes the first of them
    :param back: the key's word is the query's, turned by so many places: turned both, they fit best at this offset back
    :param kind: what is scored, see ``KINDS``
    :param width: how many numbers query and key have; even
    :param place: the place of the query, 32 to 256
    :param offset: the offset to begin with, -32 to 32
    """

    query = traitlets.List(traitlets.Float()).tag(sync=True)
    back = traitlets.Int().tag(sync=True)
    kind = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    place = traitlets.Int().tag(sync=True)
    offset = traitlets.Int().tag(sync=True)

    def __init__(self, query: Sequence[float], back: int, kind: str, width: int, place: int, offset: int = 0):
        if len(query) < 2 or len(query) % 2:
            raise ValueError(f"query must have an even number of numbers, 2 or more, but has {len(query)}")
        self._widest = len(query)
        super().__init__(query=list(query), back=back, kind=kind, width=width, place=place, offset=offset)

    @traitlets.validate("kind")
    def _good_kind(self, proposal):
        if proposal["value"] not in KINDS:
            raise traitlets.TraitError(f"kind must be one of {', '.join(KINDS)}, but is {proposal['value']!r}")
        return proposal["value"]

    @traitlets.validate("width")
    def _good_width(self, proposal):
        if not 2 <= proposal["value"] <= self._widest or proposal["value"] % 2:
            raise traitlets.TraitError(
                f"width must be even and 2 to {self._widest}, the length of query, but is {proposal['value']}"
            )
        return proposal["value"]

    @traitlets.validate("place", "offset")
    def _inside(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        low, high = {"place": PLACES, "offset": (-SPAN, SPAN)}[name]
        if not low <= value <= high:
            raise traitlets.TraitError(f"{name} must be {low} to {high}, but is {value}")
        return value

    def curve(self, place: int) -> Tensor:
        """The scores of a query at ``place`` at all offsets, from -32 to 32."""
        query = torch.tensor(self.query[: self.width], dtype=torch.float64)
        return scores(self.kind, query, self.back, place)

    @property
    def score(self) -> float:
        """The score at the chosen place and offset."""
        return float(self.curve(self.place)[self.offset + SPAN])

    @property
    def change(self) -> float:
        """The largest difference, over all offsets, from the curve of the first place."""
        return float((self.curve(self.place) - self.curve(PLACES[0])).abs().max())

    def still(self):
        """Draw the curve of the place and that of the first place, and mark the chosen offset."""
        offsets = range(-SPAN, SPAN + 1)
        with matplotlib.rc_context(plots.STYLE):
            axes = Figure(layout="constrained").add_subplot()
            axes.set(xlabel="offset, places", ylabel="score")
            axes.plot(offsets, self.curve(PLACES[0]), "--", color=plots.LIGHT["muted"], label=f"at place {PLACES[0]}")
            axes.plot(offsets, self.curve(self.place), color=plots.LIGHT["accent"], label=f"at place {self.place}")
            axes.plot(self.offset, self.score, "o", color=plots.LIGHT["ink"])
            axes.legend(frameon=False)
        return axes.figure

    def summary(self) -> str:
        """Say the score at the chosen place and offset, and whether the curve has moved."""
        moved = f"by up to {self.change:.2f}" if self.change >= 0.005 else "nowhere"
        return (
            f"Scores over the offset, {KINDS[self.kind]}, width {self.width}: at place {self.place} and offset "
            f"{self.offset} the score is {self.score:.2f}; the curve differs from that of place {PLACES[0]} {moved}"
        )


def scores(kind: str, query: Tensor, back: int, place: int) -> Tensor:
    """The scores of a query at ``place`` with the keys at all offsets from -32 to 32."""
    here, there = torch.tensor([place]), place + torch.arange(-SPAN, SPAN + 1)
    (key,) = rotary(query[None], torch.tensor([back]))
    keys = key.expand(len(there), -1)
    if kind == "rotary":
        asked, known = rotary(query[None], here), rotary(keys, there)
    elif kind == "half":
        asked, known = rotary(query[None], here), keys
    else:
        words = kind == "words"
        asked = waves(here, len(query)).double() + words * query
        known = waves(there, len(query)).double() + words * keys
    return (known @ asked.T)[:, 0]
