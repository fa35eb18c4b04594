"""A widget of chapter 09: a picture seen through small windows, placed by the reader, by a policy or by chance."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import traitlets
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from attention_src import plots
from attention_src.hard_attention import Viewer, best, thumbnail

from .base import Widget, pack, rounded
from .chance import uniform

SEEDS = 999
INK = 16  # the darkest pixel
SIGNS = "0123456789abcdefg"
WHO = {"reader": "You", "policy": "The policy", "random": "Random"}


class Looked(NamedTuple):
    """Where somebody looked, and what the network said after each glimpse."""

    places: list[int]
    said: list[list[float]]  # (glimpses, answers): probabilities


class Glimpses(Widget):
    """Place small windows on a picture that is hidden but for a coarse thumbnail, and see what a viewer makes of them.

    ``number`` (which picture, from 0), ``places`` (the reader's windows, counted row by row), ``seed`` (of the random
    windows) and ``shown`` (the whole picture) are what the reader moves; set one in Python and the picture moves.

    :param model: a trained viewer; what runs is rounded to float16, in the page and here
    :param pictures: (pictures, rows, columns), from 0 for paper to 1 for ink, in sixteenths
    :param answers: the digit of each picture
    :param glimpses: how many there may be
    """

    weights = traitlets.Dict().tag(sync=True)
    pictures = traitlets.List(traitlets.Unicode()).tag(sync=True)
    answers = traitlets.List(traitlets.Int()).tag(sync=True)
    size = traitlets.Int().tag(sync=True)
    side = traitlets.Int().tag(sync=True)
    stride = traitlets.Int().tag(sync=True)
    block = traitlets.Int().tag(sync=True)
    glimpses = traitlets.Int().tag(sync=True)
    number = traitlets.Int().tag(sync=True)
    places = traitlets.List(traitlets.Int()).tag(sync=True)
    seed = traitlets.Int().tag(sync=True)
    shown = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        model: Viewer,
        pictures: np.ndarray,
        answers: Sequence[int],
        glimpses: int,
        number: int = 0,
        places: Sequence[int] = (),
        seed: int = 0,
        shown: bool = False,
    ):
        pictures = np.asarray(pictures)
        if pictures.ndim != 3 or not np.array_equal(pictures * INK, (pictures * INK).round().clip(0, INK)):
            raise ValueError(
                f"pictures must be (pictures, rows, columns) in sixteenths from 0 to 1, but are {pictures}"
            )
        if len(pictures) != len(answers):
            raise ValueError(f"answers must be one for each of {len(pictures)} pictures, but are {len(answers)}")
        weights = pack(model.state_dict())
        self._model, self._windows, self._most = rounded(model, weights).double(), model.across**2, glimpses
        self._pictures = torch.from_numpy(pictures).double()
        super().__init__(
            weights=weights,
            pictures=["".join(SIGNS[int(ink)] for ink in one.ravel() * INK) for one in pictures],
            answers=[int(answer) for answer in answers],
            size=pictures.shape[1],
            side=model.side,
            stride=model.stride,
            block=model.block,
            glimpses=glimpses,
            number=number,
            places=list(places),
            seed=seed,
            shown=shown,
        )

    @traitlets.validate("places")
    def _good_places(self, proposal):
        if len(proposal["value"]) > self._most:
            raise traitlets.TraitError(f"places must be at most {self._most}, but are {len(proposal['value'])}")
        for place in proposal["value"]:
            check_range("places", place, self._windows - 1)
        return proposal["value"]

    @traitlets.validate("number", "seed")
    def _good_number(self, proposal):
        name = proposal["trait"].name
        check_range(name, proposal["value"], {"number": len(self._pictures) - 1, "seed": SEEDS}[name])
        return proposal["value"]

    @property
    def seen(self) -> dict[str, Looked]:
        """What the reader's windows show, as many that the policy chooses, and as many random ones."""
        chance = uniform(1000 * self.seed + self.number, self.glimpses)
        anywhere = np.floor(chance * self._windows).astype(int).tolist()
        ways = {"reader": following(self.places), "policy": best, "random": following(anywhere)}
        return {who: self._look(choose) for who, choose in ways.items()}

    def _look(self, choose) -> Looked:
        if not self.places:
            return Looked([], [])
        with torch.no_grad():
            seen = self._model(self._pictures[[self.number]], len(self.places), choose)
        return Looked(seen.places[0].tolist(), seen.logits[0].softmax(dim=-1).tolist())

    def still(self):
        """Draw the coarse picture with the windows of the reader, of the policy and of chance."""
        whole, colours = self._pictures[self.number], plots.LIGHT
        across = (self.size - self.side) // self.stride + 1
        coarse = thumbnail(whole[None], self.block)[0].reshape(self.size // self.block, -1)
        base = whole if self.shown else coarse.repeat_interleave(self.block, 0).repeat_interleave(self.block, 1)
        inks = LinearSegmentedColormap.from_list("ink", [colours["paper"], colours["ink"]])
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(plots.WIDTH, 2.5), layout="constrained")
            for axes, (who, looked) in zip(figure.subplots(1, 3), self.seen.items(), strict=True):
                shades = base.numpy() * 0.6
                for place in looked.places:
                    row, column = (self.stride * part for part in divmod(place, across))
                    window = slice(row, row + self.side), slice(column, column + self.side)
                    shades[window] = whole.numpy()[window]
                    frame = {"fill": False, "edgecolor": colours["accent"], "linewidth": 1.5}
                    axes.add_patch(Rectangle((column - 0.5, row - 0.5), self.side, self.side, **frame))
                axes.imshow(shades, cmap=inks, vmin=0, vmax=1)
                axes.spines[:].set_visible(True)
                axes.set(xticks=[], yticks=[], title=WHO[who], xlabel=guesses(looked))
        return figure

    def summary(self) -> str:
        """Say what the network said of each one's windows."""
        count = len(self.places)
        said = "; ".join(f"{WHO[who]}: {guesses(looked)}" for who, looked in self.seen.items())
        return (
            f"A picture of {self.size} by {self.size} pixels with the digit {self.answers[self.number]}, seen through "
            f"{count} window{'' if count == 1 else 's'} of {self.side} by {self.side}. The network's guesses, {said}"
        )


def following(places: Iterable[int]):
    """A way to choose: these places, one after the other."""
    coming = iter(places)

    def choose(scores: Tensor) -> Tensor:
        return torch.full(scores.shape[:1], next(coming))

    return choose


def guesses(looked: Looked) -> str:
    """The digits that were guessed, one after each glimpse."""
    return ", ".join(str(int(np.argmax(one))) for one in looked.said) or "no glimpse yet"


def check_range(name: str, number: int, most: int) -> None:
    """Refuse a number that the page cannot show."""
    if not 0 <= number <= most:
        raise traitlets.TraitError(f"{name} must lie between 0 and {most}, but is {number}")
