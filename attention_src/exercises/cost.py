"""Exercises of chapter 14: one pass, joining two halves, attention in chunks of keys, and the slope of a softmax."""

import math
from collections.abc import Iterable
from functools import partial
from statistics import median

import torch
from torch import Tensor
from torch.testing import assert_close

from attention_src.cost import chunked_attention
from attention_src.exercises import Checker, LargestTensor
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.cost import in_turns


def one_pass(scores: Iterable[float]) -> tuple[float, float]:
    """Read each score once; give the largest, and the sum e^(score - it)."""
    largest, total = -math.inf, 0.0
    for score in scores:
        larger = max(largest, score)
        total = total * math.exp(largest - larger) + math.exp(score - larger)
        largest = larger
    return largest, total


def join(left: tuple, right: tuple) -> tuple[Tensor, Tensor, Tensor]:
    """Make one of two halves: (largest, sum, mixture not yet divided)."""
    largest = torch.maximum(left[0], right[0])
    shrink = [(half[0] - largest).exp() for half in (left, right)]
    total = shrink[0] * left[1] + shrink[1] * right[1]
    mixed = shrink[0] * left[2] + shrink[1] * right[2]
    return largest, total, mixed


def attend_in_chunks(query, key, value, chunk: int) -> Tensor:
    """Attend with ``chunk`` keys at a time: (Q, d), (K, d), (K, v)."""
    largest = query.new_full((len(query), 1), -torch.inf)
    total = torch.zeros_like(largest)
    mixed = query.new_zeros(len(query), value.shape[1])
    for start in range(0, len(key), chunk):
        scores = query @ key[start : start + chunk].mT / query.shape[1] ** 0.5
        larger = torch.maximum(largest, scores.amax(dim=1, keepdim=True))
        shrink, weights = (largest - larger).exp(), (scores - larger).exp()
        total = total * shrink + weights.sum(dim=1, keepdim=True)
        mixed = mixed * shrink + weights @ value[start : start + chunk]
        largest = larger
    return mixed / total


def gradient_of_scores(weights, value, context, d_context) -> Tensor:
    """Weights (Q, K), value (K, v), context and its gradient (Q, v)."""
    common = (d_context * context).sum(dim=1, keepdim=True)
    return weights * (d_context @ value.mT - common)


@torch.no_grad()
def best_chunk(run: Run) -> Measures:
    """Time attention in chunks of several sizes, in turns."""
    random = torch.Generator().manual_seed(run.seed)
    shape = 1, 1, SETTINGS["length"], SETTINGS["width"]
    given = [torch.randn(shape, generator=random) for _ in range(3)]
    attend = partial(chunked_attention, *given)
    ways = {str(size): partial(attend, chunk=size) for size in SETTINGS["chunks"]}
    took = in_turns(ways, SETTINGS["rounds"])
    ms = {chunk: 1000 * median(took[chunk]) for chunk in ways}
    best = min(ms, key=ms.get)
    times = {chunk: ms[chunk] / ms[best] for chunk in ways}
    return {"best": int(best), "ms": ms, "times_best": times}


SETTINGS = {"length": 4096, "width": 64, "chunks": [64, 128, 256, 512, 1024, 2048, 4096], "rounds": 5}
PARTS = {"best_chunk": best_chunk}
RULES = [
    Rule(
        "both-ends-are-slow",
        "The best size lies between 256 and 1,024, and the smallest and the largest take at least 1.5 times its time.",
        lambda m: (
            256 <= m["best_chunk"]["best"] <= 1024
            and min(m["best_chunk"]["times_best"][end] for end in ("64", "4096")) >= 1.5
        ),
    ),
]
TOLERANCE = {"*": Tolerance(relative=50.0)}  # times of another machine, and what is best there


def _some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _hand_in_one_pass(answer):
    """for the scores 0, 0 and 0 the largest is 0 and the sum is 3."""
    assert tuple(map(float, answer(iter([0.0, 0.0, 0.0])))) == (0.0, 3.0)


def _shrinks(answer):
    """a larger score that comes later shrinks the sum: the scores log 1, log 4 and log 3 give the sum 2."""
    largest, total = answer(iter(torch.tensor([1.0, 4.0, 3.0], dtype=torch.float64).log().tolist()))
    assert_close(torch.tensor([float(largest), float(total)]), torch.tensor([1.3862944, 2.0]))


def _reads_once(answer):
    """it works on an iterator, which can be read once."""
    largest, total = answer(iter([1.0, 2.0]))
    assert_close(torch.tensor([float(largest), float(total)]), torch.tensor([2.0, 1.3678794]))


def _survives_a_thousand(answer):
    """scores of 1,000 and of -1,000 make no infinity."""
    for score in (1000.0, -1000.0):
        assert tuple(map(float, answer(iter([score, score])))) == (score, 2.0)


def _part(scores: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    largest = scores.amax(dim=-1, keepdim=True)
    weights = (scores - largest).exp()
    return largest, weights.sum(dim=-1, keepdim=True), weights @ value


def _halves() -> tuple[Tensor, Tensor]:
    return 5 * _some(3, 7), _some(7, 2, seed=1)


def _joins_two_halves(answer):
    """two halves give what the whole gives."""
    scores, value = _halves()
    found = answer(_part(scores[:, :3], value[:3]), _part(scores[:, 3:], value[3:]))
    for one, other in zip(found, _part(scores, value), strict=True):
        assert_close(one, other)


def _joins_in_any_order(answer):
    """left and right can change places."""
    scores, value = _halves()
    left, right = _part(scores[:, :3], value[:3]), _part(scores[:, 3:], value[3:])
    for one, other in zip(answer(left, right), answer(right, left), strict=True):
        assert_close(one, other)


def _joins_large_scores(answer):
    """halves with scores near 1,000 and near -1,000 make no infinity."""
    scores, value = _halves()
    scores = torch.cat([scores[:, :3] + 1000, scores[:, 3:] - 1000], dim=1)
    found = answer(_part(scores[:, :3], value[:3]), _part(scores[:, 3:], value[3:]))
    for one, other in zip(found, _part(scores, value), strict=True):
        assert_close(one, other)


def _attends(answer):
    """the context is that of scaled dot-product attention, for any chunk, also one that does not divide the keys."""
    query, key, value = _some(5, 3), _some(7, 3, seed=1), _some(7, 2, seed=2)
    wanted = (query @ key.mT / 3**0.5).softmax(dim=1) @ value
    for chunk in (1, 2, 7, 9):
        assert_close(answer(query, key, value, chunk), wanted)


def _attends_to_large_scores(answer):
    """scores of 1,000 make no infinity."""
    query, key, value = 100 * _some(5, 3), 100 * _some(7, 3, seed=1), _some(7, 2, seed=2)
    wanted = (query @ key.mT / 3**0.5).softmax(dim=1) @ value
    assert_close(answer(query, key, value, 2), wanted)


def _holds_no_table(answer):
    """nothing of the size of all scores is made: at most a chunk of keys for each query."""
    query, key, value = _some(64, 3), _some(128, 3, seed=1), _some(128, 2, seed=2)
    with LargestTensor() as watch:
        answer(query, key, value, 8)
    assert watch.numbers <= 64 * 8, f"a tensor of {watch.numbers} numbers was made"


def _autograd(weights_of: Tensor, value: Tensor, d_context: Tensor) -> tuple[Tensor, ...]:
    scores = weights_of.requires_grad_()
    weights = scores.softmax(dim=1)
    context = weights @ value
    (wanted,) = torch.autograd.grad(context, scores, d_context)
    return weights.detach(), value, context.detach(), d_context, wanted


def _is_the_gradient(answer):
    """it is what autograd gives."""
    *given, wanted = _autograd(_some(5, 7), _some(7, 2, seed=1), _some(5, 2, seed=2))
    assert_close(answer(*given), wanted)


def _rows_sum_to_zero(answer):
    """each row sums to zero: adding a number to all scores of a row changes nothing."""
    *given, _ = _autograd(_some(5, 7), _some(7, 2, seed=1), _some(5, 2, seed=2))
    assert_close(answer(*given).sum(dim=1), torch.zeros(5, dtype=torch.float64))


def _works_on_a_chunk(answer):
    """it works on some of the keys alone: then the rows of the weights do not sum to one."""
    weights, value, context, d_context, wanted = _autograd(_some(5, 7), _some(7, 2, seed=1), _some(5, 2, seed=2))
    assert_close(answer(weights[:, :3], value[:3], context, d_context), wanted[:, :3])


check_one_pass = Checker("one_pass", [_hand_in_one_pass, _shrinks, _reads_once, _survives_a_thousand])
check_join = Checker("join", [_joins_two_halves, _joins_in_any_order, _joins_large_scores])
check_attend_in_chunks = Checker("attend_in_chunks", [_attends, _attends_to_large_scores, _holds_no_table])
check_gradient_of_scores = Checker("gradient_of_scores", [_is_the_gradient, _rows_sum_to_zero, _works_on_a_chunk])
