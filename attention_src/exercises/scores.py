"""Exercises of chapter 04: the scale, the side of the query, the place of the bend, pairs that need not be built;
the rank that a rotation needs.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.testing import assert_close

from attention_src.exercises import Checker, LargestTensor
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.scores import learned


def scaled_dot(query: Tensor, key: Tensor) -> Tensor:
    """Score (…, Q, d) with (…, K, d) by the dot product over √d: (…, Q, K)."""
    return query @ key.mT / math.sqrt(key.shape[-1])


def bilinear(query: Tensor, key: Tensor, W: Tensor) -> Tensor:
    """Score (Q, Dq) with (K, Dk) by q^T W k, W of shape (Dq, Dk): (Q, K)."""
    return query @ W @ key.mT


def additive(
    query: Tensor,
    key: Tensor,
    W: Tensor,
    U: Tensor,
    v: Tensor,
) -> Tensor:
    """Score (Q, Dq) with (K, Dk) by v^T tanh(W q + U k): (Q, K).

    W is (hidden, Dq), U is (hidden, Dk), v is (hidden,).
    """
    pairs = (query @ W.mT)[:, None, :] + (key @ U.mT)[None, :, :]
    return torch.tanh(pairs) @ v


def concat(query: Tensor, key: Tensor, W: Tensor, v: Tensor) -> Tensor:
    """Score (Q, Dq) with (K, Dk) by v^T tanh(W [q; k]), no pair built: (Q, K).

    W is (hidden, Dq + Dk), v is (hidden,).
    """
    left, right = W[:, : query.shape[-1]], W[:, query.shape[-1] :]
    return additive(query, key, left, right, v)


def ranks(run: Run) -> Measures:
    """Train the low-rank score on *turned*: right keys by rank."""

    def right(rank: int) -> float:
        return learned("low_rank", "turned", run.seed, rank=rank)

    return {"right": {str(rank): right(rank) for rank in SETTINGS["ranks"]}}


SETTINGS = {"ranks": [1, 2, 4, 6, 8]}
PARTS = {"ranks": ranks}
RULES = [
    Rule(
        "every-rank-helps",
        "Each rank gets more right than the one before.",
        lambda m: all(less < more for less, more in pairwise(m["ranks"]["right"].values())),
    ),
    Rule(
        "half-is-not-enough",
        "Rank 4 of 8 gets less than three quarters of what rank 8 gets.",
        lambda m: m["ranks"]["right"]["4"] < 0.75 * m["ranks"]["right"]["8"],
    ),
]
TOLERANCE = {"*": Tolerance(absolute=0.05)}


def _some(*shapes: tuple[int, ...]) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]


def _has_a_row_for_each_query(answer):
    """2 queries and 3 keys give 2 rows of 3 scores."""
    found = answer(*_some((2, 5), (3, 5)))
    assert found.shape == (2, 3), f"its shape is {tuple(found.shape)}"


def _divides_by_the_root(answer):
    """with 16 numbers in a vector, the dot product is divided by 4."""
    ones = torch.ones(1, 16)
    assert_close(answer(ones, ones), torch.tensor([[4.0]]))


def _scores_each_pair(answer):
    """row i, column j holds the score of query i with key j."""
    query, key = _some((2, 9), (3, 9))
    expected = torch.stack([torch.stack([(q * k).sum() / 3 for k in key]) for q in query])
    assert_close(answer(query, key), expected)


def _takes_a_batch(answer):
    """a batch of 4 is scored example by example."""
    query, key = _some((4, 2, 9), (4, 3, 9))
    assert_close(answer(query, key), torch.stack([scaled_dot(q, k) for q, k in zip(query, key, strict=True)]))


def _takes_two_widths(answer):
    """a query of 2 numbers, a key of 3 and a matrix of 2 rows and 3 columns give one score."""
    found = answer(torch.ones(1, 2), torch.ones(1, 3), torch.ones(2, 3))
    assert_close(found, torch.tensor([[6.0]]))


def _has_the_query_on_the_left(answer):
    """the row of the matrix belongs to the query: with W = [[0, 1], [0, 0]], only q_1 times k_2 counts."""
    W = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert_close(answer(torch.tensor([[3.0, 5.0]]), torch.tensor([[7.0, 11.0]]), W), torch.tensor([[33.0]]))


def _is_bilinear_for_all_pairs(answer):
    """row i, column j holds q_i^T W k_j."""
    query, key, W = _some((2, 5), (3, 7), (5, 7))
    assert_close(answer(query, key, W), torch.stack([torch.stack([q @ W @ k for k in key]) for q in query]))


def _hidden_example():
    return _some((2, 5), (3, 7), (11, 5), (11, 7), (11,))


def _lets_the_query_change_the_order(answer):
    """the difference between two keys' scores depends on the query; tanh must bend the sum of both."""
    scores = answer(*_hidden_example())
    difference = scores[:, 0] - scores[:, 1]
    assert abs(float(difference[0] - difference[1])) > 1e-6, "it is the same for both queries"


def _is_the_perceptron(answer):
    """row i, column j holds v^T tanh(W q_i + U k_j)."""
    query, key, W, U, v = _hidden_example()
    expected = torch.stack([torch.stack([v @ torch.tanh(W @ q + U @ k) for k in key]) for q in query])
    assert_close(answer(query, key, W, U, v), expected)


def _is_the_perceptron_of_the_pair(answer):
    """row i, column j holds v^T tanh(W [q_i; k_j])."""
    query, key, W, v = _some((2, 5), (3, 7), (11, 12), (11,))
    expected = torch.stack([torch.stack([v @ torch.tanh(W @ torch.cat([q, k])) for k in key]) for q in query])
    assert_close(answer(query, key, W, v), expected)


def _builds_no_pairs(answer):
    """no tensor has more numbers than queries x keys x hidden units: the pairs [q; k] are not built."""
    arguments = _some((20, 30), (20, 30), (3, 60), (3,))
    with LargestTensor() as largest:
        answer(*arguments)
    limit = 20 * 20 * 3
    assert largest.numbers <= limit, f"one has {largest.numbers:,}, more than {limit:,}"


check_scaled_dot = Checker(
    "scaled_dot", [_has_a_row_for_each_query, _divides_by_the_root, _scores_each_pair, _takes_a_batch]
)
check_bilinear = Checker("bilinear", [_takes_two_widths, _has_the_query_on_the_left, _is_bilinear_for_all_pairs])
check_additive = Checker("additive", [_lets_the_query_change_the_order, _is_the_perceptron])
check_concat = Checker("concat", [_is_the_perceptron_of_the_pair, _builds_no_pairs])
