"""Exercises of chapter 01: what stands out, shares from scores, a few looks in order; looks counted by shape."""

import math

import numpy as np
import torch

from attention_src.data.scenes import SHAPES
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.looking import Seen


def stands_out(grid: list[list[float]]) -> list[list[float]]:
    """Give how far each number of a grid is from the mean of the up to eight numbers around it."""

    def around(row, column):
        near = [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
        return [grid[i][j] for i, j in near if 0 <= i < len(grid) and 0 <= j < len(grid[0])]

    def contrast(row, column):
        others = around(row, column)
        return abs(grid[row][column] - sum(others) / len(others))

    return [[contrast(row, column) for column in range(len(grid[0]))] for row in range(len(grid))]


def shares(scores: list[float]) -> list[float]:
    """Turn scores into shares that are positive and sum to 1: a larger score gets a larger share."""
    raised = [math.exp(score - max(scores)) for score in scores]
    return [number / sum(raised) for number in raised]


def first_looks(map_: list[float], budget: int) -> list[int]:
    """Give the places of the largest numbers, the largest first, none twice; of equal ones the earlier first."""
    return sorted(range(len(map_)), key=lambda place: -map_[place])[:budget]


def looks_by_shape(run: Run) -> Measures:
    """Count looks by the target's shape, and by the other shape."""
    random = torch.Generator().manual_seed(run.seed)
    side, count = SETTINGS["side"], SETTINGS["scenes"]
    seen = Seen("both", side, count, random)
    looks = seen.rank(seen.maps["query"])
    own = np.array([scene.target.shape for scene in seen.scenes])
    rival = [scene.things[1] for scene in seen.scenes]  # of the target's colour
    other = np.array([thing.shape for thing in rival])

    def mean(shape: str, among: str) -> float:
        return looks[(own == shape) & (other == among)].mean()

    by_other = {s: [o for o in SHAPES if o != s] for s in SHAPES}
    return {
        "looks": {s: looks[own == s].mean() for s in SHAPES},
        "among": {s: {o: mean(s, o) for o in by_other[s]} for s in SHAPES},
    }


SETTINGS = {"side": 8, "scenes": 300}
PARTS = {"shapes": looks_by_shape}
RULES = [
    Rule(
        "circles-are-hard",
        "A circle needs more looks than a square, and more than a diamond.",
        lambda m: m["shapes"]["looks"]["circle"] > max(m["shapes"]["looks"][s] for s in ("square", "diamond")),
    )
]
TOLERANCE = {"*": Tolerance(relative=1e-3, absolute=0.5)}  # two maps may order near ties in another way


def _near(found, wanted):
    flat, goal = ([x for row in rows for x in (row if isinstance(row, list) else [row])] for rows in (found, wanted))
    assert len(flat) == len(goal), f"{len(goal)} numbers are wanted, found {len(flat)}"
    assert all(math.isclose(x, y, abs_tol=1e-9) for x, y in zip(flat, goal, strict=True)), f"{found} is not {wanted}"


def _nothing_stands_out_of_sameness(answer):
    """in a grid of equal numbers, nothing stands out."""
    _near(answer([[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]), [[0.0] * 3, [0.0] * 3])


def _the_centre_does_not_count_itself(answer):
    """a 1 among eight 0s stands out by 1: its own number is not in the mean around it."""
    found = answer([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    _near([found[1][1]], [1.0])


def _the_edge_has_fewer_neighbours(answer):
    """at the edge only the numbers that are there count: in the corner of that grid the 1 is one of three."""
    found = answer([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    _near([found[0][0], found[0][1]], [1 / 3, 1 / 5])


def _low_stands_out_as_high_does(answer):
    """a 0 among 1s stands out as much as a 1 among 0s."""
    _near(answer([[1.0, 1.0], [1.0, 0.0]]), answer([[0.0, 0.0], [0.0, 1.0]]))


def _two_and_one_and_one_and_none(answer):
    """the scores 2, 1, 1, 0 of the case by hand give 0.534, 0.197, 0.197 and 0.072."""
    assert [round(share, 3) for share in answer([2.0, 1.0, 1.0, 0.0])] == [0.534, 0.197, 0.197, 0.072]


def _shares_sum_to_one(answer):
    """the shares sum to 1, also when scores are below 0."""
    _near([sum(answer([-3.0, 0.5, 2.0, -1.0]))], [1.0])


def _only_differences_count(answer):
    """adding 1000 to every score changes nothing, and nothing overflows."""
    _near(answer([1002.0, 1001.0, 1001.0, 1000.0]), answer([2.0, 1.0, 1.0, 0.0]))


def _the_largest_first(answer):
    """the largest comes first, then the next."""
    assert list(answer([0.1, 0.7, 0.2], 2)) == [1, 2]


def _none_is_looked_at_twice(answer):
    """no place is looked at twice, and all are looked at when the budget is large."""
    assert sorted(answer([0.4, 0.1, 0.3, 0.2], 9)) == [0, 1, 2, 3]


def _of_equals_the_earlier(answer):
    """of equal numbers the earlier place comes first."""
    assert list(answer([0.2, 0.5, 0.2, 0.5], 3)) == [1, 3, 0]


def _the_map_is_left_alone(answer):
    """the map that was given is the same afterwards."""
    map_ = [0.4, 0.1, 0.3]
    answer(map_, 2)
    assert map_ == [0.4, 0.1, 0.3]


check_stands_out = Checker(
    "stands_out",
    [
        _nothing_stands_out_of_sameness,
        _the_centre_does_not_count_itself,
        _low_stands_out_as_high_does,
        _the_edge_has_fewer_neighbours,
    ],
)
check_shares = Checker("shares", [_two_and_one_and_one_and_none, _shares_sum_to_one, _only_differences_count])
check_first_looks = Checker(
    "first_looks", [_the_largest_first, _none_is_looked_at_twice, _of_equals_the_earlier, _the_map_is_left_alone]
)
