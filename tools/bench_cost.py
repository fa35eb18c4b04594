"""Attention in blocks (chapter 14) beside PyTorch's operator and beside the table of all weights: time and memory.

One sentence, one head of width 64, forward. All three give the same numbers: `paired` checks it before they are timed.
"""

import statistics
import time
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attention_src.cost import chunked_attention
from attention_src.experiments.cost import extra_bytes, table

WIDTH = 64
MOST = 7  # rounds


@cache
def paired(length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value on which the ways agree, (1, 1, length, WIDTH)."""
    random = torch.Generator().manual_seed(length)
    query, key, value = (torch.randn(1, 1, length, WIDTH, generator=random) for _ in range(3))
    with torch.no_grad():
        theirs = scaled_dot_product_attention(query, key, value)
        torch.testing.assert_close(chunked_attention(query, key, value), theirs)
        torch.testing.assert_close(table(query[..., :100, :], key, value), theirs[..., :100, :])
    return query, key, value


@torch.no_grad()
def time_ratio(first: Callable[..., Tensor], second: Callable[..., Tensor], length: int) -> float:
    """How many times as long the first takes: the median over rounds in which the two take turns."""
    given, found = paired(length), []
    rounds = MOST if length < 16 * 1024 else 3  # the table of 16k takes seconds and 2 GiB
    for number in range(rounds):
        took = {}
        for way in (first, second) if number % 2 else (second, first):
            start = time.perf_counter()
            way(*given)
            took[way] = time.perf_counter() - start
        found.append(took[first] / took[second])
    return statistics.median(found)


def to_pytorch(length: int) -> tuple[float, float]:
    """Time in blocks over PyTorch's."""
    return time_ratio(chunked_attention, scaled_dot_product_attention, length), 1.5


def memory_to_pytorch(length: int) -> tuple[float, float]:
    """Memory in blocks over PyTorch's."""
    with torch.no_grad():
        ours, theirs = (extra_bytes(way, *paired(length)) for way in (chunked_attention, scaled_dot_product_attention))
    return ours / theirs, 3.0


def to_the_table(length: int) -> tuple[float, float]:
    """Time in blocks over that of the table: at least 1.8 times as fast."""
    return time_ratio(chunked_attention, table, length), 1 / 1.8


ratio_blocks_to_pytorch_4k = partial(to_pytorch, 4 * 1024)
ratio_blocks_to_pytorch_8k = partial(to_pytorch, 8 * 1024)
ratio_blocks_to_pytorch_16k = partial(to_pytorch, 16 * 1024)
ratio_memory_to_pytorch_4k = partial(memory_to_pytorch, 4 * 1024)
ratio_memory_to_pytorch_8k = partial(memory_to_pytorch, 8 * 1024)
ratio_memory_to_pytorch_16k = partial(memory_to_pytorch, 16 * 1024)
ratio_blocks_to_table_8k = partial(to_the_table, 8 * 1024)
ratio_blocks_to_table_16k = partial(to_the_table, 16 * 1024)
