"""The widget of chapter 01: a picture, what stands out in it, what the reader asks for, and where to look first."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from attention_src import plots
from attention_src.looking import COLOURS, FEATURES, SHAPES, focus, order, priority, query, saliency

from .base import Widget

LOOKS = 3
MOST = 2.0  # how much a kind of feature may count
PAINT = {"red": "#cc3333", "green": "#33cc33", "blue": "#3333cc", "yellow": "#cccc33"}


class Seen(NamedTuple):
    """What the widget shows: three maps, one number for each cell, and the first cells that are looked at."""

    saliency: Tensor
    weights: Tensor
    priority: Tensor
    looks: list[int]


class Gaze(Widget):
    """Ask for a colour and a shape, say what counts and who decides, and see where the first three looks go.

    ``scene`` (a name), ``colour`` and ``shape`` ("" for any), ``counts`` (of colour and of edges, 0 to 2) and ``will``
    (0: what stands out decides, 1: what is asked) are what the reader moves; set one in Python and the picture moves.

    :param scenes: by the name that the reader sees, ``side``, ``things`` (a colour and a shape for each cell, row by
        row) and ``features`` (eight numbers for each cell); the first is shown
    :param colour: the colour that is asked for at first
    :param shape: the shape that is asked for at first
    """

    scenes = traitlets.Dict().tag(sync=True)
    scene = traitlets.Unicode().tag(sync=True)
    colour = traitlets.Unicode("").tag(sync=True)
    shape = traitlets.Unicode("").tag(sync=True)
    counts = traitlets.List(traitlets.Float(), minlen=2, maxlen=2).tag(sync=True)
    will = traitlets.Float(0.0).tag(sync=True)

    def __init__(self, scenes: Mapping[str, Mapping], colour: str = "red", shape: str = "circle"):
        if not scenes:
            raise ValueError("scenes must hold at least one scene: the first is shown")
        for name, scene in scenes.items():
            check_scene(name, scene)
        super().__init__(
            scenes={name: dict(scene) for name, scene in scenes.items()},
            scene=next(iter(scenes)),
            colour=colour,
            shape=shape,
            counts=[1.0, 1.0],
        )

    @traitlets.validate("scene")
    def _known(self, proposal):
        if proposal["value"] not in self.scenes:
            raise traitlets.TraitError(f"scene must be one of {list(self.scenes)}, but is {proposal['value']!r}")
        return proposal["value"]

    @traitlets.validate("colour", "shape")
    def _askable(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        known = COLOURS if name == "colour" else SHAPES
        if value and value not in known:
            raise traitlets.TraitError(f"{name} must be one of {', '.join(known)}, or '' for any, but is {value!r}")
        return value

    @traitlets.validate("counts")
    def _countable(self, proposal):
        for number in proposal["value"]:
            if not 0 <= number <= MOST:
                raise traitlets.TraitError(f"counts must be between 0 and {MOST:g}, but holds {number}")
        return proposal["value"]

    @traitlets.validate("will")
    def _share(self, proposal):
        if not 0 <= proposal["value"] <= 1:
            raise traitlets.TraitError(f"will must be between 0 and 1, but is {proposal['value']}")
        return proposal["value"]

    @property
    def seen(self) -> Seen:
        """The maps of the state and the first looks, in float64."""
        scene = self.scenes[self.scene]
        side = scene["side"]
        known = torch.tensor(scene["features"], dtype=torch.float64).reshape(side, side, len(FEATURES))
        out = saliency(known, self.counts)
        wish = query(self.colour or None, self.shape or None, self.counts)
        _, asked = focus(known, wish, known.new_zeros(side * side, 1))
        both = priority(out, asked, self.will)
        return Seen(out, asked, both, order(both.round(decimals=9))[:LOOKS].tolist())

    def asked(self) -> str:
        """What is asked for, in words."""
        return " ".join(part for part in (self.colour or "any", self.shape or "thing") if part)

    def named(self, place: int) -> str:
        """What is in a cell, and where the cell is."""
        scene = self.scenes[self.scene]
        row, column = divmod(place, scene["side"])
        return f"{' '.join(scene['things'][place])} in row {row + 1}, column {column + 1}"

    def still(self):
        """Draw the picture and the map, both with the first looks."""
        seen, scene = self.seen, self.scenes[self.scene]
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(6.4, 3.3), layout="constrained")
            left, right = figure.subplots(1, 2)
            plots.objects(
                scene["side"], [(PAINT[colour], shape) for colour, shape in scene["things"]], seen.looks, left
            )
            plots.cells(seen.priority.tolist(), seen.looks, right)
            left.set_title(self.scene, loc="left")
            right.set_title(f"{self.asked()} decides {self.will:.0%}", loc="left")
        return figure

    def summary(self) -> str:
        """Say where the first looks go."""
        looks = "; ".join(f"{number}. {self.named(place)}" for number, place in enumerate(self.seen.looks, 1))
        return (
            f"A picture of coloured shapes ({self.scene}) with its map; asked for: {self.asked()}, which decides "
            f"{self.will:.0%}, and what stands out the rest. The first looks: {looks}"
        )


def check_scene(name: str, scene: Mapping) -> None:
    """Refuse a scene that the page cannot show."""
    cells = scene["side"] ** 2
    for part in ("things", "features"):
        if len(scene[part]) != cells:
            raise ValueError(
                f"scenes[{name!r}][{part!r}] must hold one entry for each of {cells} cells, "
                f"but holds {len(scene[part])}"
            )
    if wrong := [row for row in scene["features"] if not is_row(row)]:
        raise ValueError(
            f"scenes[{name!r}]['features'] must hold rows of {len(FEATURES)} numbers from 0 to 1, not {wrong[0]}"
        )


def is_row(row: Sequence[float]) -> bool:
    """Whether these are the features of one cell."""
    return len(row) == len(FEATURES) and all(0 <= number <= 1 for number in row)
