"""What `attend` costs beside the same three lines of plain PyTorch, shape checks on, forward and backward.

The two take turns in short rounds, so that whatever else the machine does slows both; the median of the rounds' ratios
counts.
"""

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from attention_src.attention import attend
from attention_src.scores import ScaledDot

ROUNDS = 60
SCORE = ScaledDot()


def ours(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The book's way."""
    return attend(SCORE(query, key), value)[0]


def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same in three lines."""
    scores = query @ key.mT / math.sqrt(key.shape[-1])
    weights = scores.softmax(dim=-1)
    return weights @ value


def seconds(way: Callable[..., Tensor], inputs: list[Tensor], times: int) -> float:
    """How long ``times`` passes forward and backward take."""
    start = time.perf_counter()
    for _ in range(times):
        way(*inputs).sum().backward()
    return time.perf_counter() - start


def ratio(batch: int, queries: int, keys: int, times: int, width: int = 64) -> float:
    """The median over rounds of our time divided by the plain one's."""
    random = torch.Generator().manual_seed(0)
    shapes = ((batch, queries, width), (batch, keys, width), (batch, keys, width))
    inputs = [torch.randn(shape, generator=random).requires_grad_() for shape in shapes]
    for way in (ours, plain):
        seconds(way, inputs, times)  # the first call of a shape is checked, later ones are remembered
    found = []
    for number in range(ROUNDS):
        first, second = (ours, plain) if number % 2 else (plain, ours)  # neither always comes second
        took = {way: seconds(way, inputs, times) for way in (first, second)}
        found.append(took[ours] / took[plain])
    return statistics.median(found)


def ratio_attend_64_sentences_of_30_words() -> tuple[float, float]:
    """A batch of training."""
    return ratio(64, 30, 30, times=5), 1.15


def ratio_attend_1_query_8_keys() -> tuple[float, float]:
    """One step of decoding one short sentence: the fixed costs show."""
    return ratio(1, 1, 8, times=50), 2.0
