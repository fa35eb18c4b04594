"""Exercises of chapter 17: a distribution over free places, a mixture with copied words, and the hull itself."""

from collections.abc import Sequence
from statistics import mean
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.testing import assert_close

from attention_src import pointer_networks
from attention_src.data.hulls import Task
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments import pointer_networks as chapter
from attention_src.experiments.results import load
from attention_src.training import Plan, fit


def point(scores: Tensor, used: Tensor) -> Tensor:
    """Turn scores (batch, places) into probabilities; a place that is used gets none. Place 0 is the mark."""
    free = ~used
    free[:, 0] = True
    return scores.masked_fill(~free, float("-inf")).softmax(dim=-1)


def copy_or_say(said: Tensor, weights: Tensor, words: Tensor, share: Tensor, extra: int) -> Tensor:
    """Mix what the vocabulary says (batch, vocab) with the words (batch, source) that the weights point at."""
    share = share[:, None]
    p = torch.cat([share * said, said.new_zeros(len(said), extra)], dim=1)
    return p.scatter_add(1, words, (1 - share) * weights)


def hull(points: Sequence[tuple[float, float]]) -> list[int]:
    """Give the places of the hull's corners, from the leftmost (of several the lowest) counter-clockwise."""
    start = min(range(len(points)), key=lambda place: (*points[place], place))
    corners = [start]
    while True:
        (x, y), best = points[corners[-1]], None
        for place, (u, v) in enumerate(points):
            if (u, v) == (x, y):
                continue
            if best is not None:
                (p, q) = points[best]
                turn = (p - x) * (v - y) - (q - y) * (u - x)
                farther = (u - x) ** 2 + (v - y) ** 2 > (p - x) ** 2 + (q - y) ** 2
            if best is None or turn < 0 or (turn == 0 and farther):
                best = place
        if best is None or points[best] == points[start]:
            return corners
        corners.append(best)


def from_left_to_right(task: Task) -> Task:
    """Give the same points sorted from left to right, and the same corners by their new places."""
    order = task.inputs[..., 0].argsort(dim=1)
    inputs = task.inputs.gather(1, order[..., None].expand_as(task.inputs))
    new_place = pad(1 + order.argsort(dim=1), (1, 0))  # the mark is 0 as before
    return Task(inputs, new_place.gather(1, task.answer), task.mask)


def sorted_points(run: Run) -> Measures:
    """Train the pointer that reads in order on sorted points; give the share of right hulls by the number of points."""
    model = chapter.new_pointer("hull", "in_order")

    def batch_at(step: int) -> Task:
        return from_left_to_right(chapter.batch_of("hull", run.seed, step))

    plan = Plan(chapter.TRAINING["steps"], chapter.TRAINING["rate"])
    fit(model, chapter.pointing_loss, batch_at, plan, report=run.progress)
    measures: Measures = {"right": {}}
    for size in chapter.TEST["lengths"]:
        task = from_left_to_right(chapter.fresh_rows("hull", run.seed, size))
        measures["right"][str(size)] = mean(chapter.right(chapter.answers(model, task.inputs), task))
    return measures


def nothing_used(given: Tensor, width: int) -> Tensor:
    """Say of no place that it was used."""
    return torch.zeros(*given.shape, width, dtype=torch.bool)


def may_repeat(run: Run) -> Measures:
    """Train the pointer that looks around to sort, with no place hidden after its use: right answers, and repeats."""
    model, measures = chapter.new_pointer("sort", "around"), {"right": {}, "twice": {}}
    with patch.object(pointer_networks, "is_input", nothing_used):
        chapter.train_pointer(model, "sort", run.seed, chapter.TRAINING["sorting_steps"], run.progress)
        for size in chapter.TEST["lengths"]:
            task = chapter.fresh_rows("sort", run.seed, size)
            found = chapter.answers(model, task.inputs)
            measures["right"][str(size)] = mean(chapter.right(found, task))
            measures["twice"][str(size)] = mean(len(set(one.tokens)) < len(one.tokens) for one in found)
    return measures


SETTINGS = {name: chapter.SETTINGS[name] for name in ("network", "training", "test")}
PARTS = {"sorted_points": sorted_points, "may_repeat": may_repeat}


def theirs(path: str) -> float:
    """The median over seeds of a number that the chapter measured."""
    return load("pointer_networks").over_seeds(path).median


RULES = [
    Rule(
        "sorting-helps-the-hull",
        "With sorted points, the pointer that reads in order gets at least 10 points more hulls of 10 points right "
        "than without, and more than the pointer that looks around.",
        lambda m: m["sorted_points"]["right"]["10"] > max(theirs("in_order.right.10") + 0.1, theirs("around.right.10")),
    ),
    Rule(
        "repeats-come-beyond-the-trained-lengths",
        "Without the mask of used places, fewer than 5 % of the answers to 10 numbers name a place twice, and more "
        "than 20 % of those to 20.",
        lambda m: m["may_repeat"]["twice"]["10"] < 0.05 and m["may_repeat"]["twice"]["20"] > 0.2,
    ),
    Rule(
        "the-mask-helps-beyond",
        "Without it, fewer answers to 15 numbers are right than with it.",
        lambda m: m["may_repeat"]["right"]["15"] < theirs("sort_around.right.15"),
    ),
]
TOLERANCE = {"*": Tolerance(absolute=0.25)}


def _is_a_softmax_when_nothing_is_used(answer):
    """scores log 1, log 2 and log 5 give the probabilities 1/8, 2/8 and 5/8."""
    scores = torch.tensor([[1.0, 2.0, 5.0]]).log()
    assert_close(answer(scores, torch.zeros(1, 3, dtype=torch.bool)), torch.tensor([[0.125, 0.25, 0.625]]))


def _gives_what_is_used_nothing(answer):
    """a place that is used has probability 0, and the others share all of it."""
    scores = torch.tensor([[1.0, 2.0, 5.0]]).log()
    assert_close(answer(scores, torch.tensor([[False, False, True]])), torch.tensor([[1 / 3, 2 / 3, 0]]))


def _can_always_end(answer):
    """the mark, place 0, can be pointed at even if it counts as used, for example after the beginning."""
    found = answer(torch.tensor([[1.0, 2.0, 5.0]]).log(), torch.tensor([[True, True, True]]))
    assert_close(found, torch.tensor([[1.0, 0, 0]]))


def _leaves_what_it_is_given(answer):
    """what was used before is not changed: the next step still needs it."""
    used = torch.tensor([[True, False, True]])
    answer(torch.zeros(1, 3), used)
    assert used.tolist() == [[True, False, True]], f"used is now {used.tolist()}"


def _some_mixture() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    said, weights = torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([[0.25, 0.5, 0.25]])
    return said, weights, torch.tensor([[4, 1, 3]]), torch.tensor([0.5])


def _new_words_come_from_the_source(answer):
    """a new word has what the pointer gives its place, and a word of both has both parts."""
    assert_close(answer(*_some_mixture(), 2), torch.tensor([[0.25, 0.375, 0.125, 0.125, 0.125]]))


def _places_of_one_word_add_up(answer):
    """a word that stands at two places has the sum of their weights."""
    said, weights, _, share = _some_mixture()
    found = answer(said, weights, torch.tensor([[3, 1, 3]]), share, 1)
    assert_close(found, torch.tensor([[0.25, 0.375, 0.125, 0.25]]))


def _is_a_distribution(answer):
    """each row sums to one, whatever the share."""
    said, weights, words, _ = _some_mixture()
    for share in (0.0, 0.2, 1.0):
        assert_close(answer(said, weights, words, torch.tensor([share]), 2).sum(dim=1), torch.ones(1))


def _finds_a_square(answer):
    """a square has its four corners, from the leftmost and lowest counter-clockwise, and a point inside is none."""
    _same(answer, [(1, 1), (0, 2), (2, 2), (2, 0), (0, 0)], [4, 3, 2, 1])


def _leaves_out_edges(answer):
    """a point on an edge, between two corners, is no corner."""
    _same(answer, [(0, 0), (1, 0), (2, 0), (2, 2), (0, 2), (0, 1), (1, 2)], [0, 2, 3, 4])


def _takes_coinciding_points_once(answer):
    """of points that coincide, the first stands for all."""
    _same(answer, [(1, 0), (0, 0), (1, 1), (0, 0), (1, 1)], [1, 0, 2])


def _handles_lines_and_single_points(answer):
    """points on a line have two corners, one point has one."""
    _same(answer, [(1, 1), (0, 0), (3, 3), (2, 2)], [1, 2])
    _same(answer, [(5, 5)], [0])
    _same(answer, [(5, 5), (5, 5)], [0])


def _same(answer, points, wanted):
    found = answer(points)
    assert list(found) == wanted, f"for {points} it gave {found}, not {wanted}"


check_point = Checker(
    "point",
    [_is_a_softmax_when_nothing_is_used, _gives_what_is_used_nothing, _can_always_end, _leaves_what_it_is_given],
)
check_copy_or_say = Checker(
    "copy_or_say", [_new_words_come_from_the_source, _places_of_one_word_add_up, _is_a_distribution]
)
check_hull = Checker(
    "hull",
    [_finds_a_square, _leaves_out_edges, _takes_coinciding_points_once, _handles_lines_and_single_points],
)
