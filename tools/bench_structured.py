"""What the chain of chapter 16 costs beside the package `pytorch-crf`: log-likelihood and its gradient.

The two take turns, so that whatever else the machine does slows both; the median of the rounds' ratios counts.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchcrf import CRF

from attention_src.structured import LinearChainCRF

ROUNDS = 15


def ratio(batch: int, length: int, tags: int, times: int) -> float:
    """The median over rounds of our time divided by the package's, forward and backward, on rows of mixed length."""
    random = torch.Generator().manual_seed(0)
    emissions = torch.randn(batch, length, tags, generator=random).requires_grad_()
    given = torch.randint(tags, (batch, length), generator=random)
    lengths = torch.randint(length // 2, length + 1, (batch,), generator=random)
    mask = torch.arange(length) < lengths[:, None]
    chain, package = LinearChainCRF(tags), CRF(tags, batch_first=True)

    def ours() -> Tensor:
        return chain.log_likelihood(emissions, given, mask).sum()

    def theirs() -> Tensor:
        return package(emissions, given, mask)

    def seconds(way: Callable[[], Tensor]) -> float:
        start = time.perf_counter()
        for _ in range(times):
            way().backward()
        return time.perf_counter() - start

    for way in (ours, theirs):
        seconds(way)
    found = []
    for number in range(ROUNDS):
        first, second = (ours, theirs) if number % 2 else (theirs, ours)  # neither always comes second
        took = {way: seconds(way) for way in (first, second)}
        found.append(took[ours] / took[theirs])
    return statistics.median(found)


def ratio_chain_32_sentences_of_30_words_5_tags() -> tuple[float, float]:
    """A batch of training."""
    return ratio(32, 30, 5, times=3), 1.0


def ratio_chain_16_sentences_of_100_words_20_tags() -> tuple[float, float]:
    """Longer sentences and more tags."""
    return ratio(16, 100, 20, times=1), 1.0


def ratio_chain_1_sentence_of_8_words_3_tags() -> tuple[float, float]:
    """One short sentence: the fixed costs show."""
    return ratio(1, 8, 3, times=10), 1.0
