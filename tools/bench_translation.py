"""How long the parts take that the chapters on translation share."""

import torch

from attention_src.attention import attend
from attention_src.data.translation import ENGLISH_FRENCH, pairs


def bench_twenty_thousand_sentence_pairs() -> None:
    """Draw a training set."""
    pairs(ENGLISH_FRENCH, 20_000, 0)


def bench_attend_forward_and_backward() -> None:
    """One batch of 64 sentences of 30 words, ten times."""
    scores, value = torch.randn(64, 30, 30, requires_grad=True), torch.randn(64, 30, 128)
    for _ in range(10):
        attend(scores, value)[0].sum().backward()
