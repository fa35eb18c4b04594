"""Points in the plane and numbers in a row, with answers that point back at them: convex hulls and sorted orders.

The **hull** of some points is the list of its corners, as places in the list of points: from the leftmost corner (of
several the lowest) counter-clockwise. What is a corner when points are not in general position:

- of points that coincide, the one that comes first in the list stands for all;
- a point on an edge, between two corners, is no corner;
- points that all lie on one line have two corners, the two ends; points that all coincide have one;
- one point is its own corner, two different points are both corners; without points there is no hull, and an error.

Left and right are decided exactly (`turn`), so that rounding never makes a corner or loses one.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Point = Sequence[float]  # x and y
END = 0  # in an answer: no more points. The points have the numbers 1, 2, …

ROUNDING = 4 * 2.0**-53  # more than the relative error of the difference in `turn`
TINY = 1e-290  # below it, products may lose digits without being relatively small


class Task(NamedTuple):
    """Rows of inputs, and for each the places that an answer points at, one after the other."""

    inputs: Float[Tensor, "batch source features"]
    answer: Int[Tensor, "batch steps"]  # places counted from 1, then `END`, then zeros as padding
    mask: Bool[Tensor, "batch steps"]  # True for the places and the end mark, False for padding


def turn(a: Point, b: Point, c: Point) -> int:
    """Give 1 if the way from a over b to c turns left, -1 if it turns right, 0 if a, b and c lie on one line. Exact.

    >>> turn((0, 0), (1, 0), (1, 1)), turn((0, 0), (1, 0), (2, 0)), turn((0, 0), (1, 0), (1, -1))
    (1, 0, -1)
    """
    one, other = (b[0] - a[0]) * (c[1] - a[1]), (b[1] - a[1]) * (c[0] - a[0])
    found = one - other
    if abs(found) > ROUNDING * (abs(one) + abs(other)) + TINY and math.isfinite(found):
        return 1 if found > 0 else -1
    (ax, ay), (bx, by), (cx, cy) = ([Fraction(number) for number in point] for point in (a, b, c))
    exact = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    return (exact > 0) - (exact < 0)


def convex_hull(points: Sequence[Point]) -> list[int]:
    """Give the places of the corners, from the leftmost (of several the lowest) counter-clockwise.

    >>> convex_hull([(0, 0), (2, 1), (4, 0), (4, 3), (0, 3)])  # the second lies inside
    [0, 2, 3, 4]
    >>> convex_hull([(0, 0), (1, 1), (3, 3), (0, 0)]), convex_hull([(5, 5)])  # a line, one point
    ([0, 2], [0])
    """
    _check(points)
    order = sorted(range(len(points)), key=lambda place: (*points[place], place))
    order = [p for p, before in zip(order, [None, *order], strict=False) if not _same(points, p, before)]
    if len(order) == 1:
        return order
    return _chain(points, order)[:-1] + _chain(points, order[::-1])[:-1]


def area(corners: Sequence[Point]) -> float:
    """The area of a polygon that does not cross itself, by the shoelace formula; either way round.

    >>> area([(0, 0), (4, 0), (4, 3), (0, 3)])
    12.0
    """
    ahead = [*corners[1:], *corners[:1]]
    return abs(math.fsum(x * v - u * y for (x, y), (u, v) in zip(corners, ahead, strict=True))) / 2


def is_simple(corners: Sequence[Point]) -> bool:
    """Whether these corners make a polygon: three or more, edges that meet their neighbours at one point and no others.

    >>> is_simple([(0, 0), (1, 0), (1, 1), (0, 1)]), is_simple([(0, 0), (1, 1), (1, 0), (0, 1)])
    (True, False)
    """
    count = len(corners)
    edges = [(corners[i], corners[(i + 1) % count]) for i in range(count)]
    if count < 3 or any(tuple(a) == tuple(b) for a, b in edges):
        return False
    for i in range(count):
        if _turns_back(*edges[i], edges[(i + 1) % count][1]):
            return False
        apart = range(i + 2, count - (i == 0))  # the first and the last edge are neighbours
        if any(_meet(*edges[i], *edges[j]) for j in apart):
            return False
    return True


def covered(points: Sequence[Point], answer: Sequence[int]) -> float | None:
    """How much of the hull's area the polygon of an answer has; None if the answer is no polygon (`is_simple`).

    Its corners are among the points, so it lies within the hull and the share is at most 1. A hull without area has
    no polygon either, so the answer is None.

    >>> square = [(0, 0), (1, 0), (1, 1), (0, 1)]
    >>> covered(square, [0, 1, 2]), covered(square, [0, 2, 1, 3]), covered(square, [0, 1])
    (0.5, None, None)
    """
    corners = [points[place] for place in answer]
    if not is_simple(corners):
        return None
    return area(corners) / area([points[place] for place in convex_hull(points)])


def hulls(count: int, size: int, random: torch.Generator) -> Task:
    """Draw ``count`` lists of ``size`` points in the unit square, each with its hull.

    >>> task = hulls(1, 4, torch.Generator().manual_seed(0))
    >>> task.inputs[0].round(decimals=2).tolist(), task.answer.tolist()
    ([[0.5, 0.77], [0.09, 0.13], [0.31, 0.63], [0.49, 0.9]], [[2, 1, 4, 3, 0]])
    """
    points = _drawn(count, size, 2, random)
    return Task(points, *_padded([convex_hull(row) for row in points.tolist()]))


def sorting(count: int, size: int, random: torch.Generator) -> Task:
    """Draw ``count`` lists of ``size`` numbers from 0 to 1, each with its order; of two equal ones the first is first.

    >>> task = sorting(1, 4, torch.Generator().manual_seed(0))
    >>> task.inputs[0, :, 0].round(decimals=2).tolist(), task.answer.tolist()
    ([0.5, 0.77, 0.09, 0.13], [[3, 4, 1, 2, 0]])
    """
    numbers = _drawn(count, size, 1, random)
    return Task(numbers, *_padded(numbers[..., 0].argsort(dim=1, stable=True).tolist()))


def _drawn(count: int, size: int, features: int, random: torch.Generator) -> Tensor:
    for name, number in (("count", count), ("size", size)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, but is {number}")
    return torch.rand(count, size, features, generator=random, dtype=torch.float32)


def _padded(answers: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Answers counted from 1 and closed by the end mark, padded with zeros; and the mask."""
    longest = 1 + max(map(len, answers))
    rows = [[*(place + 1 for place in answer), *[END] * (longest - len(answer))] for answer in answers]
    lengths = torch.tensor([len(answer) + 1 for answer in answers])
    return torch.tensor(rows), torch.arange(longest) < lengths[:, None]


def _check(points: Sequence[Point]) -> None:
    if len(points) == 0:
        raise ValueError("points is empty: a hull needs at least one point")
    for place, point in enumerate(points):
        if len(point) != 2 or not all(map(math.isfinite, point)):
            raise ValueError(f"points[{place}] must be two finite numbers, but is {point!r}")


def _same(points: Sequence[Point], one: int, other: int | None) -> bool:
    return other is not None and tuple(points[one]) == tuple(points[other])


def _chain(points: Sequence[Point], order: Sequence[int]) -> list[int]:
    """The corners met on the way along ``order`` if one never turns right: one half of the hull, both ends included."""
    kept: list[int] = []
    for place in order:
        while len(kept) > 1 and turn(points[kept[-2]], points[kept[-1]], points[place]) <= 0:
            kept.pop()
        kept.append(place)
    return kept


def _between(a: Point, b: Point, c: Point) -> bool:
    """Whether c, on the line through a and b, lies from a to b."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])


def _turns_back(a: Point, b: Point, c: Point) -> bool:
    """Whether c lies on the way from a to b; beyond a, another edge is met there, and that is seen."""
    return turn(a, b, c) == 0 and _between(a, b, c)


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the edge from a to b and the edge from c to d have a point in common."""
    on_ab, on_cd = (turn(a, b, c), turn(a, b, d)), (turn(c, d, a), turn(c, d, b))
    if on_ab[0] * on_ab[1] < 0 and on_cd[0] * on_cd[1] < 0:
        return True
    ends = ((on_ab[0], a, b, c), (on_ab[1], a, b, d), (on_cd[0], c, d, a), (on_cd[1], c, d, b))
    return any(side == 0 and _between(*three) for side, *three in ends)
