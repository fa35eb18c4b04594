"""Chapter 03: soft choice. Scores become weights, weights mix values.

Every soft attention of the book goes through :func:`attend`. The chapters differ only in where the scores come from.
A mask is boolean everywhere, and True means: may look.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .shapes import checked


@checked
def weigh(
    scores: Float[Tensor, "*batch q k"],
    mask: Bool[Tensor, "*#batch #q #k"] | None = None,
) -> Float[Tensor, "*batch q k"]:
    """Turn scores into weights: a softmax over the keys that may be looked at.

    ``mask`` broadcasts against ``scores``; True: query q may look at key k.
    A query that may look at nothing gets zero weights, not NaN.

    >>> weigh(torch.tensor([[3.0, 1.0]]).log())
    tensor([[0.7500, 0.2500]])
    """
    if mask is None:
        return scores.softmax(dim=-1)
    lowest = torch.finfo(scores.dtype).min  # -inf would give NaN in an empty row
    weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)


@checked
def attend(
    scores: Float[Tensor, "*batch q k"],
    value: Float[Tensor, "*batch k v"],
    mask: Bool[Tensor, "*#batch #q #k"] | None = None,
) -> tuple[Float[Tensor, "*batch q v"], Float[Tensor, "*batch q k"]]:
    """Average the rows of ``value`` by ``weigh(scores, mask)``.

    Gives the context and the weights.

    >>> attend(torch.zeros(1, 2), torch.tensor([[8.0], [4.0]]))
    (tensor([[6.]]), tensor([[0.5000, 0.5000]]))
    """
    weights = weigh(scores, mask)
    return weights @ value, weights


@checked
def padding_mask(
    lengths: Int[Tensor, "*batch"],
    longest: int,
) -> Bool[Tensor, "*batch 1 {longest}"]:
    """Let every query look at the words of its sentence, not at its padding.

    >>> padding_mask(torch.tensor([3, 1]), longest=3)[:, 0]
    tensor([[ True,  True,  True],
            [ True, False, False]])
    """
    if lengths.numel() and (lengths.min() < 0 or lengths.max() > longest):
        raise ValueError(
            f"lengths must lie between 0 and longest, which is {longest}, "
            f"but they go from {int(lengths.min())} to {int(lengths.max())}: "
            "give a larger longest, or cut the sentences"
        )
    places = torch.arange(longest, device=lengths.device)
    return places < lengths[..., None, None]


@checked
def causal_mask(length: int) -> Bool[Tensor, "{length} {length}"]:
    """Let place q look at itself and at the places before it, never ahead.

    >>> causal_mask(3)
    tensor([[ True, False, False],
            [ True,  True, False],
            [ True,  True,  True]])
    """
    if length < 0:
        raise ValueError(f"length must be 0 or more, but is {length}")
    return torch.ones(length, length, dtype=torch.bool).tril()
