"""Look-ups: several keys with their values, and a query that was made from one of the keys by a hidden turn."""

from typing import NamedTuple

import numpy as np


class Lookups(NamedTuple):
    """Queries, keys and values, and which key each query was made from."""

    query: np.ndarray  # (lookups, d)
    key: np.ndarray  # (lookups, k, d)
    value: np.ndarray  # (lookups, k, v)
    item: np.ndarray  # (lookups,), which key each query was made from


def hidden_turn(width: int, seed: int) -> np.ndarray:
    """Give the turn (an orthogonal matrix) that a model has to find.

    >>> turn = hidden_turn(3, seed=0)
    >>> np.allclose(turn @ turn.T, np.eye(3))
    True
    """
    return np.linalg.qr(np.random.default_rng([seed, width]).normal(size=(width, width)))[0]


def lookups(count: int, items: int, widths: tuple[int, int], noise: float, seed: tuple[int, int]) -> Lookups:
    """Draw look-ups: a query is one of its keys, turned, with noise.

    :param widths: numbers in a key and in a value
    :param seed: of the turn, and of the draw

    >>> one = lookups(1, items=5, widths=(3, 2), noise=0.0, seed=(0, 7))
    >>> np.allclose(one.query[0], one.key[0, one.item[0]] @ hidden_turn(3, seed=0))
    True
    """
    random = np.random.default_rng([*seed, 1])
    key, value = (random.normal(size=(count, items, width)) for width in widths)
    item = random.integers(items, size=count)
    query = key[np.arange(count), item] @ hidden_turn(widths[0], seed[0])
    query = query + noise * random.normal(size=query.shape)
    return Lookups(query, key, value, item)
