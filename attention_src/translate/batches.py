"""Batches of about equally long sentences, with as many tokens as fit."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.batches import Batch
from ..data.vocabulary import BEGIN, END, PAD
from .corpus import Corpus, Side


class Buckets:
    """Cut rows of a corpus into batches by length.

    Rows are sorted by length, equal ones in a new random order in every epoch, and cut so that rows times longest
    sentence is at most ``tokens``; then the batches are shuffled. What an epoch holds depends on ``seed`` and on its
    number alone, so that training can stop and go on. All epochs have as many batches.

    >>> side = Side(np.arange(9), np.array([0, 1, 2, 5, 9]))
    >>> [rows.tolist() for rows in Buckets(Corpus(side, side), np.arange(4), tokens=5, seed=0).in_order()]
    [[0, 1], [2], [3]]
    """

    def __init__(self, corpus: Corpus, rows: np.ndarray, tokens: int, seed: int):
        self._rows, self._seed = rows, seed
        self._source, self._target = corpus.source.lengths[rows], corpus.target.lengths[rows] + 1  # and the end mark
        self._cuts = self._cut(tokens)
        self._epoch: tuple[int, np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        """The number of batches in one pass."""
        return len(self._cuts) - 1

    @property
    def words(self) -> int:
        """How many target tokens one pass predicts."""
        return int(self._target.sum())

    def at(self, step: int) -> np.ndarray:
        """The rows of the batch of training step ``step``."""
        epoch, place = divmod(step, len(self))
        if self._epoch is None or self._epoch[0] != epoch:
            random = np.random.default_rng([self._seed, 2, epoch])
            self._epoch = epoch, self._sorted(random.permutation(len(self._rows))), random.permutation(len(self))
        _, order, places = self._epoch
        return self._batch(order, places[place])

    def in_order(self) -> Iterator[np.ndarray]:
        """The rows of all batches, from short sentences to long ones."""
        order = self._sorted(np.arange(len(self._rows)))
        for place in range(len(self)):
            yield self._batch(order, place)

    def _batch(self, order: np.ndarray, place: int) -> np.ndarray:
        return self._rows[order[self._cuts[place] : self._cuts[place + 1]]]

    def _sorted(self, order: np.ndarray) -> np.ndarray:
        return order[np.lexsort((self._source[order], self._target[order]))]  # stable: by target, then by source

    def _cut(self, tokens: int) -> list[int]:
        """Where batches begin among the sorted rows; the same in every epoch, as only equal rows change places."""
        order = self._sorted(np.arange(len(self._rows)))
        longer = np.maximum(self._source, self._target)[order].tolist()
        cuts, widest = [0], 0
        for place, length in enumerate(longer):
            widest = max(widest, length)
            if place > cuts[-1] and (place + 1 - cuts[-1]) * widest > tokens:
                cuts.append(place)
                widest = length
        return [*cuts, len(longer)]


def padded(
    side: Side, rows: np.ndarray, before: Sequence[int] = (), after: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Put sentences into one tensor, padded at the end, with its mask."""
    sentences = [side[row] for row in rows]
    lengths = np.array([len(one) for one in sentences]) + len(before) + len(after)
    mask = np.arange(lengths.max()) < lengths[:, None]
    numbers = np.full(mask.shape, PAD, np.int64)
    numbers[mask] = np.concatenate([np.concatenate([before, one, after]) for one in sentences])
    return torch.from_numpy(numbers), torch.from_numpy(mask)


def batch_of(corpus: Corpus, rows: np.ndarray, device: torch.device) -> Batch:
    """The sentence pairs of these rows side by side."""
    given, mask = padded(corpus.target, rows, before=[BEGIN])
    wanted, _ = padded(corpus.target, rows, after=[END])
    return Batch(*(part.to(device) for part in (*padded(corpus.source, rows), given, wanted, mask)))
