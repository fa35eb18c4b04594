"""Soft choice: scores become weights, weights mix values.

Every soft attention of the book goes through :func:`attend`. The chapters differ only in where the scores come from.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .shapes import checked


@checked
def weigh(
    scores: Float[Tensor, "*batch q k"], mask: Bool[Tensor, "*#batch #q #k"] | None = None
) -> Float[Tensor, "*batch q k"]:
    """Turn scores into weights: a softmax over the keys that each query may look at.

    ``mask`` broadcasts against ``scores``; True means that query q may look at key k.
    A query that may look at nothing gets zero weights, not NaN.

    >>> weigh(torch.tensor([[3.0, 1.0]]).log())
    tensor([[0.7500, 0.2500]])
    """
    if mask is None:
        return scores.softmax(dim=-1)
    lowest = torch.finfo(scores.dtype).min  # -inf would put NaN into a row that is all masked
    return scores.masked_fill(~mask, lowest).softmax(dim=-1).masked_fill(~mask, 0.0)


@checked
def attend(
    scores: Float[Tensor, "*batch q k"],
    value: Float[Tensor, "*batch k v"],
    mask: Bool[Tensor, "*#batch #q #k"] | None = None,
) -> tuple[Float[Tensor, "*batch q v"], Float[Tensor, "*batch q k"]]:
    """Average the rows of ``value``, weighted by ``weigh(scores, mask)``; give the context and the weights.

    >>> context, weights = attend(torch.tensor([[3.0, 1.0]]).log(), torch.tensor([[8.0], [4.0]]))
    >>> context
    tensor([[7.]])
    """
    weights = weigh(scores, mask)
    return weights @ value, weights
