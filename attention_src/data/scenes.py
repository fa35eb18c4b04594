"""Pictures of coloured shapes on a grid, made for search: one object is the target, and each object carries a mark.

>>> scene = both(torch.Generator().manual_seed(0), side=3)
>>> scene.target.place, scene.target.colour, scene.target.shape, len(scene.things)
(6, 'red', 'circle', 9)
>>> render(scene, torch.Generator().manual_seed(0)).shape
torch.Size([3, 48, 48])
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

CELL = 16  # pixels along the side of a cell
COLOURS = {"red": (0.8, 0.2, 0.2), "green": (0.2, 0.8, 0.2), "blue": (0.2, 0.2, 0.8), "yellow": (0.8, 0.8, 0.2)}
SHAPES = ("circle", "square", "diamond")
MARKS = {
    "upper left": (6, 6),
    "upper right": (6, 9),
    "lower left": (9, 6),
    "lower right": (9, 9),
}  # row, column in a cell
GROUND, INK = 0.2, 0.0  # of the ground, and of a mark
NOISE = 0.1  # how far a pixel is moved, at most


class Thing(NamedTuple):
    """One object: its cell, counted from 0 row by row, its colour and shape, and where its mark is."""

    place: int
    colour: str
    shape: str
    mark: str


class Scene(NamedTuple):
    """The objects of a picture, one in each of ``side`` x ``side`` cells; the first is the target."""

    side: int
    things: tuple[Thing, ...]

    @property
    def target(self) -> Thing:
        """The object that is looked for."""
        return self.things[0]


def one_colour(random: torch.Generator, side: int) -> Scene:
    """All objects are alike, but the target has another colour."""
    (mine, yours), (shape, _) = _draw(random, COLOURS, 2), _draw(random, SHAPES, 2)
    return _scene(random, (mine, shape), [(yours, shape)], side)


def one_shape(random: torch.Generator, side: int) -> Scene:
    """All objects are alike, but the target has another shape."""
    (colour, _), (mine, yours) = _draw(random, COLOURS, 2), _draw(random, SHAPES, 2)
    return _scene(random, (colour, mine), [(colour, yours)], side)


def both(random: torch.Generator, side: int) -> Scene:
    """Half of the others have the target's colour, half its shape; only the target has both."""
    (mine, yours), (own, other) = _draw(random, COLOURS, 2), _draw(random, SHAPES, 2)
    return _scene(random, (mine, own), [(mine, other), (yours, own)], side)


def surprise(random: torch.Generator, side: int) -> Scene:
    """As :func:`both`, but the last object is like no other: it has a third colour and a third shape."""
    (mine, yours, odd), (own, other, third) = _draw(random, COLOURS, 3), _draw(random, SHAPES, 3)
    scene = _scene(random, (mine, own), [(mine, other), (yours, own)], side)
    *rest, last = scene.things
    return Scene(side, (*rest, last._replace(colour=odd, shape=third)))


KINDS = {"one_colour": one_colour, "one_shape": one_shape, "both": both, "surprise": surprise}


def render(scene: Scene, random: torch.Generator, noise: float = NOISE) -> Float[Tensor, "3 down across"]:
    """Draw a scene as pixels: red, green and blue from 0 to 1, with some noise on each."""
    size = scene.side * CELL
    picture = torch.full((3, size, size), GROUND, dtype=torch.float64)
    for thing in scene.things:
        row, column = (CELL * number for number in divmod(thing.place, scene.side))
        cell = picture[:, row : row + CELL, column : column + CELL]
        cell[:, stencil(thing.shape)] = torch.tensor(COLOURS[thing.colour], dtype=torch.float64)[:, None]
        cell[:, *MARKS[thing.mark]] = INK
    moved = 2 * torch.rand(picture.shape, generator=random, dtype=torch.float64) - 1
    return (picture + noise * moved).clamp(0, 1)


def stencil(shape: str) -> Tensor:
    """Say which pixels of a cell belong to a shape: a table of CELL x CELL."""
    y, x = torch.meshgrid(*2 * [torch.arange(CELL) - (CELL - 1) / 2], indexing="ij")
    insides = {
        "circle": x**2 + y**2 < 30,
        "square": torch.maximum(x.abs(), y.abs()) < 5,
        "diamond": x.abs() + y.abs() < 7,
    }
    return insides[shape]


def read_mark(cell: Float[Tensor, "3 down across"]) -> str:
    """Read where the mark of an object is: the darkest of the four places, in a cell of sharp pixels."""
    return min(MARKS, key=lambda name: float(cell[:, *MARKS[name]].sum()))


def _scene(random, target, others, side) -> Scene:
    if side < 2:
        raise ValueError(f"side must be 2 or more cells, so that there is something to choose from, but is {side}")
    places = torch.randperm(side * side, generator=random).tolist()
    marks = [list(MARKS)[i] for i in torch.randint(len(MARKS), (side * side,), generator=random).tolist()]
    looks = [target, *(others[i % len(others)] for i in range(side * side - 1))]
    return Scene(side, tuple(Thing(p, *look, mark) for p, look, mark in zip(places, looks, marks, strict=True)))


def _draw(random, names, count) -> list[str]:
    return [list(names)[i] for i in torch.randperm(len(names), generator=random)[:count].tolist()]
