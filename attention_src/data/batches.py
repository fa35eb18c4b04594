"""Sentence pairs as padded batches of numbers."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from .vocabulary import BEGIN, END, PAD, Vocabulary

POOL = 50  # batches that are sorted by length together: little padding, and still a new mix in every epoch


class SentencePair(Protocol):
    source: Sequence[str]
    target: Sequence[str]


class Batch(NamedTuple):
    """Sentence pairs side by side; rows are padded at the end, and the masks are True where a word stands."""

    source: Int[Tensor, "batch source"]
    source_mask: Bool[Tensor, "batch source"]
    given: Int[Tensor, "batch target"]  # begin mark, y_1 … y_T: what the decoder is fed in training
    wanted: Int[Tensor, "batch target"]  # y_1 … y_T, end mark: what it should say
    target_mask: Bool[Tensor, "batch target"]


def pad(rows: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "batch length"], Bool[Tensor, "batch length"]]:
    """Put rows of numbers into one tensor, padded at the end, with its mask.

    >>> numbers, mask = pad([[7, 8], [9]])
    >>> numbers
    tensor([[7, 8],
            [9, 0]])
    >>> mask
    tensor([[ True,  True],
            [ True, False]])
    """
    if not rows:
        raise ValueError("rows is empty: a batch needs at least one sentence")
    empty = [number for number, row in enumerate(rows) if len(row) == 0]
    if empty:
        raise ValueError(f"rows[{empty[0]}] has no words: leave empty sentences out of a batch")
    longest = max(map(len, rows))
    numbers = torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in rows])
    return numbers, mask


class Bitext:
    """Sentence pairs as numbers, to be cut into batches.

    ``batch_at(step)`` depends on nothing but ``seed``, ``size`` and ``step``, so that training can stop and go on.
    """

    def __init__(self, pairs: Sequence[SentencePair], source: Vocabulary, target: Vocabulary, size: int, seed: int = 0):
        if not pairs:
            raise ValueError("pairs is empty: a bitext needs at least one sentence pair")
        if size < 1:
            raise ValueError(f"size must be at least 1, but is {size}")
        self._rows = [(source.encode(pair.source), target.encode(pair.target)) for pair in pairs]
        self._lengths = np.array([len(row) + len(other) for row, other in self._rows])
        self._size, self._seed = size, seed
        self._epoch: tuple[int, list[np.ndarray]] = (-1, [])

    def __len__(self) -> int:
        """The number of batches in one pass over the pairs."""
        return -(-len(self._rows) // self._size)

    def batch_at(self, step: int) -> Batch:
        """Give the batch of training step ``step``: pairs of about the same length, shuffled anew in every epoch."""
        epoch, place = divmod(step, len(self))
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._shuffle(np.random.default_rng([self._seed, epoch])))
        return self._make(self._epoch[1][place])

    def in_order(self) -> Iterator[Batch]:
        """Give all pairs once, in the order in which they came."""
        for start in range(0, len(self._rows), self._size):
            yield self._make(range(start, min(start + self._size, len(self._rows))))

    def _shuffle(self, rng: np.random.Generator) -> list[np.ndarray]:
        order = rng.permutation(len(self._rows))
        pools = [order[start : start + POOL * self._size] for start in range(0, len(order), POOL * self._size)]
        by_length = np.concatenate([pool[np.argsort(self._lengths[pool], kind="stable")] for pool in pools])
        cuts = [by_length[start : start + self._size] for start in range(0, len(by_length), self._size)]
        return [cuts[place] for place in rng.permutation(len(cuts))]

    def _make(self, rows: Sequence[int]) -> Batch:
        sources, targets = zip(*(self._rows[row] for row in rows), strict=True)
        given, target_mask = pad([[BEGIN, *target] for target in targets])
        wanted, _ = pad([[*target, END] for target in targets])
        return Batch(*pad(sources), given, wanted, target_mask)
