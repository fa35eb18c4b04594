"""What the cache of chapter 13 is worth: 50 words said with the keys and values kept, and with nothing kept but words.

Both say the same words; `paired` checks it before anything is timed. The network is untrained, so that no sentence
ends early. Its layers have the sizes of the paper's: in narrow ones the calls take longer than the products.
"""

import statistics
import time
from collections.abc import Callable
from functools import cache

import torch

from attention_src.transformer import Transformer, nothing_said

WORDS, VOCABULARY = 50, 300
SIZES = {"width": 512, "heads": 8, "inner": 2048, "layers": 2}
ROUNDS = {1: 5, 8: 3, 64: 1}


@torch.no_grad()
def said(step: Callable, state, memory) -> list[list[int]]:
    """Say 50 words for each sentence, each the best one; whatever ends a sentence is a word like another."""
    token, words = torch.ones(len(memory.mask), dtype=torch.long), []
    for _ in range(WORDS):
        one = step(token, state, memory)
        token, state = one.logits.argmax(dim=-1), one.state
        words.append(token)
    return torch.stack(words, dim=1).tolist()


@cache
def paired(batch: int) -> tuple[Callable, Callable]:
    """The two ways for so many sentences of 50 words at once; they agree."""
    torch.manual_seed(0)
    model = Transformer(VOCABULARY, VOCABULARY, **SIZES).eval()
    source = torch.randint(4, VOCABULARY, (batch, WORDS))
    with torch.no_grad():
        memory, state = model.encode(source, torch.ones_like(source, dtype=torch.bool))

    def kept() -> list[list[int]]:
        return said(model.step, state, memory)

    def again() -> list[list[int]]:
        return said(model.step_again, nothing_said(memory), memory)

    one, other = kept(), again()
    same = sum(a == b for a, b in zip(one, other, strict=True))
    assert same >= 0.9 * batch, f"with and without the cache {same} of {batch} sentences are the same"
    return kept, again


@torch.no_grad()
def share(batch: int) -> float:
    """The time with the cache divided by that without: the median over rounds in which the two take turns."""
    found = []
    for _ in range(ROUNDS[batch]):
        took = []
        for way in paired(batch):
            start = time.perf_counter()
            way()
            took.append(time.perf_counter() - start)
        found.append(took[0] / took[1])
    return statistics.median(found)


def ratio_cached_to_uncached_at_batch_1() -> tuple[float, float]:
    """At least 2 times faster."""
    return share(1), 1 / 2


def ratio_cached_to_uncached_at_batch_8() -> tuple[float, float]:
    """At least 5 times faster."""
    return share(8), 1 / 5


def ratio_cached_to_uncached_at_batch_64() -> tuple[float, float]:
    """At least 12 times faster."""
    return share(64), 1 / 12


@torch.no_grad()
def rate_cached_at_batch_8() -> tuple[int, str]:
    """With the cache."""
    paired(8)[0]()
    return 8 * WORDS, "target words"


@torch.no_grad()
def rate_uncached_at_batch_8() -> tuple[int, str]:
    """With nothing kept but words."""
    paired(8)[1]()
    return 8 * WORDS, "target words"
