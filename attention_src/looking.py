"""Chapter 01: where to look. What stands out, what is asked for, and a few looks to spend.

A picture is cut into cells. A coarse glance gives eight numbers for each cell, its features: how red, green, blue and
yellow it is, and how much edge of four directions it has. From the same features come two maps:

- :func:`saliency`: how much a cell differs from the cells around it;
- :func:`focus`: how well a cell fits what is asked for.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d

from .attention import attend
from .shapes import checked

COLOURS = ("red", "green", "blue", "yellow")
EDGES = ("level", "rising", "upright", "falling")
FEATURES = (*COLOURS, *EDGES)
GROUPS = {"colour": slice(0, 4), "edges": slice(4, 8)}
HALF = 0.5**0.5
SHAPES = {  # how much edge of each direction, as a vector of length 1
    "circle": (0.5, 0.5, 0.5, 0.5),
    "square": (HALF, 0.0, HALF, 0.0),
    "diamond": (0.0, HALF, 0.0, HALF),
}
REACHES = (1, 2)  # how far the surround goes: 1 is 3 x 3 cells, 2 is 5 x 5, without the centre
SHARPNESS = 8.0  # what scores are multiplied by before the softmax
GRAIN = 0.2  # how far a number of the coarse picture is moved, at most
FAINT = 0.002  # colours and edges much weaker than this count as none


@checked
def glance(
    picture: Float[Tensor, "*batch 3 down across"], random: torch.Generator, by: int = 2, grain: float = GRAIN
) -> Float[Tensor, "*batch 3 coarse_down coarse_across"]:
    """See a picture from the corner of the eye: coarse, ``by`` x ``by`` pixels in one, and unsure by ``grain``."""
    coarse = in_cells(picture, by)
    return coarse + grain * (2 * torch.rand(coarse.shape, generator=random, dtype=torch.float64) - 1)


@checked
def features(
    picture: Float[Tensor, "*batch 3 down across"], cell: int
) -> Float[Tensor, "*batch rows columns features"]:
    """Give eight numbers for each cell of ``cell`` x ``cell`` pixels, named by ``FEATURES``."""
    colours = hues(in_cells(picture, cell).movedim(-3, -1))
    directions = torch.stack([in_cells(part, cell) for part in edges(picture.amax(dim=-3))], dim=-1)
    return torch.cat([even(colours), even(directions)], dim=-1)


@checked
def in_cells(pixels: Float[Tensor, "*batch down across"], cell: int) -> Float[Tensor, "*batch rows columns"]:
    """Give the mean of each cell."""
    down, across = pixels.shape[-2:]
    if down % cell or across % cell:
        raise ValueError(f"cell must divide the picture of {down} x {across} pixels without a rest, but is {cell}")
    return pixels.unflatten(-2, (-1, cell)).unflatten(-1, (-1, cell)).mean(dim=(-3, -1))


@checked
def hues(colour: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 4"]:
    """Turn red, green and blue light into how red, green, blue and yellow a place is; a grey place is none of them."""
    r, g, b = colour.unbind(dim=-1)
    yellow = (r + g) / 2 - (r - g).abs() / 2 - b
    return torch.stack([r - (g + b) / 2, g - (r + b) / 2, b - (r + g) / 2, yellow], dim=-1).clamp(min=0)


@checked
def edges(light: Float[Tensor, "*batch down across"]) -> list[Float[Tensor, "*batch down across"]]:
    """Give how strong an edge runs through each pixel: level, rising (from left to right), upright, falling."""
    y, x = torch.gradient(light, dim=(-2, -1))  # the change of light to the pixel below, and to the right
    straight, slant = y**2 - x**2, 2 * x * y
    return [part.clamp(min=0) for part in (straight, slant, -straight, -slant)]


@checked
def even(vectors: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """Bring vectors to a length near 1, but leave those that are much shorter than ``FAINT`` short."""
    return vectors / (vectors.norm(dim=-1, keepdim=True) + FAINT)


@checked
def against_surround(
    maps: Float[Tensor, "*batch rows columns"],
    reach: int,
) -> Float[Tensor, "*batch rows columns"]:
    """Give how far each cell is from the mean of the cells around it.

    The surround goes up to ``reach`` cells away, without the cell itself.
    """
    size = 2 * reach + 1
    flat = maps.reshape(-1, 1, *maps.shape[-2:])
    ones = torch.ones_like(flat[:1])
    total = size**2 * avg_pool2d(flat, size, 1, reach)
    count = size**2 * avg_pool2d(ones, size, 1, reach)
    around = (total - flat) / (count - 1).clamp(min=1)
    return (flat - around).abs().reshape(maps.shape)


@checked
def promote(
    maps: Float[Tensor, "*batch rows columns"],
) -> Float[Tensor, "*batch rows columns"]:
    """Bring the largest number to 1; weaken a map in which much stands out."""
    top = maps.amax(dim=(-2, -1), keepdim=True)
    scaled = maps / top.clamp(min=1e-12)
    mean = scaled.mean(dim=(-2, -1), keepdim=True)
    return scaled * (1 - mean) ** 2


@checked
def saliency(
    features: Float[Tensor, "*batch rows columns features"],
    counts: Sequence[float] = (1.0, 1.0),
) -> Float[Tensor, "*batch rows columns"]:
    """Give how much each cell stands out.

    ``counts``: how much colour and edges count.
    """
    maps = features.movedim(-1, -3)
    rings = [against_surround(maps, reach) for reach in REACHES]
    maps = promote(sum(rings) / len(REACHES))
    groups = [maps[..., part, :, :].sum(dim=-3) for part in GROUPS.values()]
    pairs = zip(counts, groups, strict=True)
    return sum(count * promote(group) for count, group in pairs)


@checked
def query(
    colour: str | None = None, shape: str | None = None, counts: Sequence[float] = (1.0, 1.0)
) -> Float[Tensor, " features"]:
    """Turn a wish, such as "red" and "circle", into a vector that can be compared with the features of a cell."""
    for name, value, known in (("colour", colour, COLOURS), ("shape", shape, SHAPES)):
        if value is not None and value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, or None for any, but is {value!r}")
    wish = torch.zeros(len(FEATURES), dtype=torch.float64)
    if colour is not None:
        wish[FEATURES.index(colour)] = counts[0]
    if shape is not None:
        wish[GROUPS["edges"]] = counts[1] * torch.tensor(SHAPES[shape], dtype=torch.float64)
    return wish


@checked
def focus(
    features: Float[Tensor, "*batch rows columns features"],
    query: Float[Tensor, "*batch features"],
    value: Float[Tensor, "*batch k v"],
) -> tuple[
    Float[Tensor, "*batch v"],
    Float[Tensor, "*batch rows columns"],
]:
    """Look for ``query``: give the mixture of values and each cell's weight.

    ``value`` has one row for each cell.
    """
    key = features.flatten(start_dim=-3, end_dim=-2)  # (*batch, k, features)
    scores = query[..., None, :] @ key.mT  # (*batch, 1, k)
    found, weights = attend(SHARPNESS * scores, value)
    return found[..., 0, :], weights.reshape(features.shape[:-1])


@checked
def priority(
    stands_out: Float[Tensor, "*batch rows columns"], is_asked: Float[Tensor, "*batch rows columns"], will: float
) -> Float[Tensor, "*batch rows columns"]:
    """Mix the two maps, each with its largest number brought to 1; ``will`` is the share of what is asked, 0 to 1."""
    if not 0 <= will <= 1:
        raise ValueError(f"will must be between 0, only what stands out, and 1, only what is asked, but is {will}")
    one, other = (map_ / map_.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-12) for map_ in (stands_out, is_asked))
    return (1 - will) * one + will * other


@checked
def order(map_: Float[Tensor, "*batch rows columns"]) -> Int[Tensor, "*batch k"]:
    """Give the cells in the order in which they are looked at: the largest first, and none twice."""
    return map_.flatten(start_dim=-2).argsort(dim=-1, descending=True, stable=True)
