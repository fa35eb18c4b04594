"""Points and their hulls, numbers and their order."""

import itertools
import math
import random as chance
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from attention_src.data.hulls import END, area, convex_hull, covered, hulls, is_simple, sorting, turn

GRID = st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=9)  # many lines, many twice
SQUARE = [(0, 0), (1, 0), (1, 1), (0, 1)]


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def corners_by_definition(points):
    """Those points that no segment between two others and no other point holds: the extreme ones, exactly."""
    different = set(points)

    def within(p, a, b, c):
        """Whether p lies in the triangle a, b, c, its border included; it may be flat."""
        signs = [turn(a, b, p), turn(b, c, p), turn(c, a, p)]
        boxed = all(min(q[i] for q in (a, b, c)) <= p[i] <= max(q[i] for q in (a, b, c)) for i in (0, 1))
        return boxed and not (min(signs) < 0 < max(signs))

    return {
        p
        for p in different
        if not any(within(p, *three) for three in itertools.combinations_with_replacement(sorted(different - {p}), 3))
    }


def test_a_house_by_hand():
    """Four corners of a house, its roof, and a cat inside; it begins at the lower of the two leftmost."""
    house = [(0, 2), (1, 1), (2, 2), (1, 3), (2, 0), (0, 0)]
    assert convex_hull(house) == [5, 4, 2, 3, 0]
    assert area([house[place] for place in convex_hull(house)]) == 5.0


@pytest.mark.parametrize(
    ("points", "corners"),
    [
        ([(3, 4)], [0]),
        ([(3, 4), (3, 4), (3, 4)], [0]),  # all coincide
        ([(3, 4), (1, 5)], [1, 0]),
        ([(1, 5), (1, 4)], [1, 0]),  # equally far left: the lower one begins
        ([(1, 1), (0, 0), (2, 2), (3, 3)], [1, 3]),  # a line
        ([(0, 0), (0, 2), (0, 1)], [0, 1]),  # an upright line
        ([(0, 0), (1, 0), (2, 0), (2, 2), (0, 2), (0, 1)], [0, 2, 3, 4]),  # points on edges
        ([(0, 0), (1, 0), (0, 0), (1, 1), (1, 1)], [0, 1, 3]),  # the first of two stands for both
        ([(1, 1), (0, 0), (1, 0), (0, 0)], [1, 2, 0]),
    ],
)
def test_points_that_are_not_in_general_position(points, corners):
    assert convex_hull(points) == corners


@pytest.mark.parametrize("size", [3, 5, 7, 11, 50])
def test_the_hull_is_that_of_scipy(size):
    for points in np.random.default_rng(size).random((40, size, 2)):
        wanted = ConvexHull(points).vertices.tolist()  # counter-clockwise, from any corner
        first = wanted.index(min(wanted, key=lambda place: tuple(points[place])))
        found = convex_hull(points.tolist())
        assert found == wanted[first:] + wanted[:first]
        assert area(points[found].tolist()) == pytest.approx(ConvexHull(points).volume)


@given(GRID)
@settings(max_examples=150, deadline=None)
def test_the_corners_are_the_extreme_points_whatever_coincides_or_lies_on_a_line(points):
    found = convex_hull(points)
    corners = [points[place] for place in found]
    assert set(corners) == corners_by_definition(points)
    assert len(set(corners)) == len(corners)
    assert all(place == points.index(points[place]) for place in found)
    assert corners[0] == min(points)
    assert len(corners) < 3 or all(
        turn(a, b, c) == 1
        for a, b, c in zip(corners, corners[1:] + corners[:1], corners[2:] + corners[:2], strict=True)
    )


@given(GRID, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_points_does_not_matter(points, mixer):
    mixed = points.copy()
    mixer.shuffle(mixed)
    assert [points[place] for place in convex_hull(points)] == [mixed[place] for place in convex_hull(mixed)]


def test_turns_are_exact():
    """0.1, 0.2 and 0.3 are no exact thirds of a line; and a point one rounding off a line is seen."""
    for seed in range(300):
        mixer = chance.Random(seed)
        a, b = [(mixer.random(), mixer.random()) for _ in range(2)]
        share = mixer.random() * 2
        c = [math.nextafter(a[i] + share * (b[i] - a[i]), mixer.choice([-9.0, 9.0])) for i in (0, 1)]
        exact = [[Fraction(n) for n in p] for p in (a, b, c)]
        (ax, ay), (bx, by), (cx, cy) = exact
        wanted = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        assert turn(a, b, c) == (wanted > 0) - (wanted < 0)
    assert turn((0, 0), (1e-200, 1e-200), (2e-200, 1e-200)) == -1
    assert turn((0, 0), (1e200, 1e200), (2e200, 1e200)) == -1
    assert turn((0.5, 0.5), (12.0, 12.0), (24.0, 24.0)) == 0
    assert turn((0.5, math.nextafter(0.5, 1)), (12.0, 12.0), (24.0, 24.0)) == 1


@pytest.mark.parametrize(
    ("corners", "simple"),
    [
        (SQUARE, True),
        (SQUARE[::-1], True),
        ([(0, 0), (2, 0), (1, 1), (2, 2), (0, 2)], True),  # not convex, but a polygon
        ([(0, 0), (1, 1), (1, 0), (0, 1)], False),  # crosses itself
        ([(0, 0), (2, 0), (2, 2), (1, 0)], False),  # a corner on another edge
        ([(0, 0), (2, 0), (1, 0), (1, 1)], False),  # goes back on its way
        ([(1, 0), (2, 0), (0, 0), (0, 1)], False),  # the same, past the corner before
        ([(0, 0), (1, 0), (2, 1), (1, 0), (0, 1)], False),  # a corner twice
        ([(0, 0), (1, 0), (1, 0), (0, 1)], False),  # an edge without length
        ([(0, 0), (1, 0), (2, 0)], False),  # flat
        ([(0, 0), (1, 0), (2, 0), (2, 1)], True),  # a flat corner does no harm
        ([(0, 0), (1, 0)], False),
        ([], False),
    ],
)
def test_a_polygon_does_not_meet_itself(corners, simple):
    for shift in range(max(1, len(corners))):
        assert is_simple(corners[shift:] + corners[:shift]) == simple


def test_the_area_that_an_answer_covers():
    points = [*SQUARE, (0.5, 0.25)]
    assert covered(points, convex_hull(points)) == 1.0
    assert covered(points, [0, 4, 1, 2, 3]) == 0.875  # dented
    assert covered(points, [0, 1, 2]) == 0.5
    assert covered(points, [0, 2, 1, 3]) is None
    assert covered([(0, 0), (1, 1), (2, 2)], [0, 2]) is None
    assert area([(0, 0), (0, 1), (1, 1), (1, 0)]) == 1.0  # clockwise


def test_hulls_are_drawn_with_their_answers():
    task = hulls(13, 7, random())
    assert task.inputs.shape == (13, 7, 2)
    assert 0 <= task.inputs.min() < 0.1 < 0.9 < task.inputs.max() <= 1
    for points, answer, mask in zip(task.inputs.tolist(), task.answer.tolist(), task.mask, strict=True):
        places = [place + 1 for place in convex_hull(points)]
        assert answer == places + [END] * (len(answer) - len(places))
        assert mask.sum() == len(places) + 1
        assert mask.tolist() == sorted(mask.tolist(), reverse=True)
    assert task.mask[:, -1].any()


def test_numbers_are_drawn_with_their_order():
    task = sorting(13, 7, random())
    assert task.inputs.shape == (13, 7, 1)
    assert task.mask.all()
    ordered = task.inputs[..., 0].gather(1, task.answer[:, :-1] - 1)
    assert torch.equal(ordered, task.inputs[..., 0].sort(dim=1).values)
    assert task.answer[:, -1].eq(END).all()


@pytest.mark.parametrize("draw", [hulls, sorting])
def test_a_seed_draws_the_same_again_whatever_the_default_type(draw):
    first = draw(5, 4, random(3))
    torch.set_default_dtype(torch.float64)
    try:
        again = draw(5, 4, random(3))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert not torch.equal(first.inputs, draw(5, 4, random(4)).inputs)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="points is empty"):
        convex_hull([])
    with pytest.raises(ValueError, match=r"points\[1\] must be two finite numbers, but is \(0, nan\)"):
        convex_hull([(0, 0), (0, math.nan)])
    with pytest.raises(ValueError, match=r"points\[0\] must be two finite numbers"):
        convex_hull([(0, 0, 0)])
    with pytest.raises(ValueError, match="size must be at least 1, but is 0"):
        hulls(2, 0, random())
    with pytest.raises(ValueError, match="count must be at least 1, but is 0"):
        sorting(0, 2, random())
