"""Chapter 07: attention read as an alignment: which source word does each target word belong to?

A link is a pair (source place, target place), both counted from 0. An end mark is no word and has no link.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

Link = tuple[int, int]


class Agreement(NamedTuple):
    """How well predicted links agree with true ones, over all sentences together; each from 0 to 1."""

    error: float  # the alignment error rate: 0 is best
    precision: float  # the share of the predicted links that are possible
    recall: float  # the share of the sure links that were predicted


def alignment_error_rate(
    predicted: Sequence[AbstractSet[Link]],
    sure: Sequence[AbstractSet[Link]],
    possible: Sequence[AbstractSet[Link]] | None = None,
) -> Agreement:
    """Compare predicted links A with sure links S and possible links P: the error rate, precision and recall.

    The error rate is 1 - (links in A and S + links in A and P) / (links in A + links in S). All sentences are counted
    together, so a long one counts for more. Sure links are possible ones too; without ``possible``, only they are.
    Where nothing was predicted the precision is 1, and where nothing is sure the recall is 1; if there is neither, the
    error is 0.

    >>> alignment_error_rate([{(0, 0), (1, 2)}], [{(0, 0)}], [{(1, 1)}])
    Agreement(error=0.33333333333333337, precision=0.5, recall=1.0)
    """
    possible = sure if possible is None else possible
    if not len(predicted) == len(sure) == len(possible):
        raise ValueError(
            "predicted, sure and possible must have one set of links a sentence, but have "
            f"{len(predicted)}, {len(sure)} and {len(possible)}"
        )
    said = right = allowed = wanted = 0
    for links, must, may in zip(predicted, sure, possible, strict=True):
        said += len(links)
        wanted += len(must)
        right += len(links & must)
        allowed += len(links & (must | may))
    error = 1 - (right + allowed) / (said + wanted) if said + wanted else 0.0
    return Agreement(error, allowed / said if said else 1.0, right / wanted if wanted else 1.0)


def hardest(weights: Float[Tensor, "target source"]) -> set[Link]:
    """Link each target word with the source word of its largest weight; a row of zeros gets no link.

    >>> import torch
    >>> sorted(hardest(torch.tensor([[0.9, 0.1], [0.0, 0.0], [0.3, 0.7]])))
    [(0, 0), (1, 2)]
    """
    best = weights.argmax(dim=1).tolist()
    return {(i, j) for j, i in enumerate(best) if bool(weights[j, i] > 0)}
