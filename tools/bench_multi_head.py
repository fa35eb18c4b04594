"""What the heads of chapter 11 cost beside PyTorch's layer with the weights of each head, forward and backward."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attention_src.multi_head import MultiHeadAttention

ROUNDS = 40


def seconds(way: Callable[[], Tensor], times: int) -> float:
    """How long ``times`` passes forward and backward take."""
    start = time.perf_counter()
    for _ in range(times):
        way().sum().backward()
    return time.perf_counter() - start


def ratio(batch: int, words: int, width: int, heads: int, times: int) -> float:
    """The median over rounds of our time divided by PyTorch's, the two in turns, on a sentence that reads itself."""
    theirs = nn.MultiheadAttention(width, heads, batch_first=True)
    ours = MultiHeadAttention.from_torch(theirs)
    some = torch.randn(batch, words, width, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def our_way() -> Tensor:
        return ours(some, some, some)[0]

    def their_way() -> Tensor:
        return theirs(some, some, some, need_weights=True, average_attn_weights=False)[0]

    for way in (our_way, their_way):
        seconds(way, times)  # the first call of a shape is checked, later ones are remembered
    found = []
    for number in range(ROUNDS):
        first, second = (our_way, their_way) if number % 2 else (their_way, our_way)  # neither always comes second
        took = {way: seconds(way, times) for way in (first, second)}
        found.append(took[our_way] / took[their_way])
    return statistics.median(found)


def ratio_heads_64_sentences_of_30_words() -> tuple[float, float]:
    """A batch of training of the small chapters."""
    return ratio(64, 30, 64, 4, times=4), 1.1


def ratio_heads_8_sentences_of_128_words() -> tuple[float, float]:
    """Longer sentences, more heads: the weights take most of the memory."""
    return ratio(8, 128, 128, 8, times=3), 1.1
