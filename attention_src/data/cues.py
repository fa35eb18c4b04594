"""Small pictures of nine objects, each with shape, texture and colour; marks say which of them are asked about."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

CUES = ("shape", "texture", "colour")
SHAPES = ("disc", "cross", "frame")
TEXTURES = ("rows", "columns", "checks")
COLOURS = ("red", "green", "blue")
CELLS, SIDE = 9, 6  # objects in a picture; pixels along the side of an object


class Pictures(NamedTuple):
    """Pictures, cut into their cells, with what is asked of each."""

    cells: Float[Tensor, "batch k pixels"]  # 3 colours of 6 x 6 pixels each, from 0 to 1
    places: Int[Tensor, "batch questions"]  # the marked object for shape, for texture, for colour
    answers: Int[Tensor, "batch questions"]  # its shape, its texture, its colour


def pictures(count: int, random: torch.Generator, apart: bool) -> Pictures:
    """Draw pictures. Three marks, in three corners of a cell, ask for the shape, the texture and the colour.

    ``apart``: the marks are on three different objects; otherwise all three are on one.
    """
    kinds = torch.randint(3, (count, CELLS, len(CUES)), generator=random)
    order = torch.rand(count, CELLS, generator=random, dtype=torch.float32).argsort(dim=1)
    places = order[:, :3] if apart else order[:, :1].expand(-1, 3)
    cells = _shapes()[kinds[..., 0]] * _textures()[kinds[..., 1]]  # (batch, 9, 6, 6)
    cells = cells[..., None, :, :] * _colours()[kinds[..., 2]][..., None, None]
    cells = cells + 0.05 * torch.rand(cells.shape, generator=random, dtype=torch.float32)
    rows = torch.arange(count)
    for cue, (y, x) in enumerate(((0, 0), (0, SIDE - 1), (SIDE - 1, 0))):
        cells[rows, places[:, cue], :, y, x] = 1.0  # a white corner
    answers = kinds.gather(1, places[..., None].expand(-1, -1, 3)).diagonal(dim1=1, dim2=2)
    return Pictures(cells.flatten(start_dim=2).clamp(max=1.0), places, answers)


def _shapes() -> Tensor:
    """Where each shape is: 3 tables of 6 x 6, corners free for the marks."""
    y, x = torch.meshgrid(*2 * [torch.arange(SIDE, dtype=torch.float32) - 2.5], indexing="ij")
    disc = x**2 + y**2 < 8
    cross = (x.abs() < 1) | (y.abs() < 1)
    frame = (torch.maximum(x.abs(), y.abs()) > 2) & (x.abs() + y.abs() < 5)
    return torch.stack([disc, cross, frame]).float()


def _textures() -> Tensor:
    """How bright each texture is: 3 tables of 6 x 6."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return torch.stack([y % 2, x % 2, (x + y) % 2]).float() * 0.6 + 0.4


def _colours() -> Tensor:
    """Red, green and blue, none of them pure: 3 rows of 3 numbers."""
    return torch.eye(3, dtype=torch.float32) * 0.7 + 0.2
