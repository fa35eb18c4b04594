"""Chapter 15: attention on two levels. Words are weighed into sentences, and sentences into the document.

Each level asks one question that never changes: a learned context vector. What is compared with it, and what is mixed,
are the states of a GRU that has read the level in both directions.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .attention import attend
from .recurrent import Words
from .shapes import at_least_one, checked


class ContextAttention(nn.Module):
    """Weigh the places of a row by how well each fits a learned vector.

    :param hidden: width of the states
    """

    def __init__(self, hidden: int):
        super().__init__()
        self.bend = nn.Linear(hidden, hidden)
        self.context = nn.Parameter(torch.randn(hidden) / hidden**0.5)

    @checked
    def forward(
        self,
        states: Float[Tensor, "rows length hidden"],
        mask: Bool[Tensor, "rows length"],
    ) -> tuple[Float[Tensor, "rows hidden"], Float[Tensor, "rows length"]]:
        """Give the weighted mean of each row, and its weights."""
        scores = self.bend(states).tanh() @ self.context
        mixed, weights = attend(scores[:, None], states, mask[:, None])
        return mixed[:, 0], weights[:, 0]


class Mean(nn.Module):
    """Weigh all places of a row alike."""

    @checked
    def forward(
        self,
        states: Float[Tensor, "rows length hidden"],
        mask: Bool[Tensor, "rows length"],
    ) -> tuple[Float[Tensor, "rows hidden"], Float[Tensor, "rows length"]]:
        """Give the mean of each row, and its weights, which are equal."""
        scores = states.new_zeros(mask.shape)
        mixed, weights = attend(scores[:, None], states, mask[:, None])
        return mixed[:, 0], weights[:, 0]


class Max(nn.Module):
    """Take the largest of each number over the places of a row."""

    @checked
    def forward(
        self,
        states: Float[Tensor, "rows length hidden"],
        mask: Bool[Tensor, "rows length"],
    ) -> tuple[Float[Tensor, "rows hidden"], Float[Tensor, "rows length"]]:
        """Give the largest numbers, and the share that each place has in them."""
        rows, length, hidden = states.shape
        if length == 0:
            return states.new_zeros(rows, hidden), states.new_zeros(rows, 0)
        lowest = torch.finfo(states.dtype).min
        largest, place = states.masked_fill(~mask[..., None], lowest).max(dim=1)
        shares = nn.functional.one_hot(place, length).to(states.dtype).mean(dim=1)
        some = mask.any(dim=1, keepdim=True)
        return largest.masked_fill(~some, 0.0), shares.masked_fill(~some, 0.0)


POOLS = {"attention": ContextAttention, "mean": lambda hidden: Mean(), "max": lambda hidden: Max()}


class Level(nn.Module):
    """Read rows of vectors, and make one vector of each row.

    :param width: width of what is read
    :param hidden: width of what is made
    :param pool: how a row becomes one vector: "attention", "mean" or "max"
    :param reads: whether a GRU reads the row in both directions first;
        if not, each place is seen alone, through a linear layer
    """

    def __init__(self, width: int, hidden: int, pool: str = "attention", reads: bool = True):
        super().__init__()
        at_least_one(width=width, hidden=hidden)
        if pool not in POOLS:
            raise ValueError(f"pool must be one of {', '.join(POOLS)}, but is {pool!r}")
        if reads and hidden % 2:
            raise ValueError(f"hidden must be even to be shared by two directions, but is {hidden}")
        self.hidden = hidden
        self.rnn = nn.GRU(width, hidden // 2, bidirectional=True, batch_first=True) if reads else None
        self.look = None if reads else nn.Linear(width, hidden)
        self.pool = POOLS[pool](hidden)

    @checked
    def forward(
        self,
        vectors: Float[Tensor, "rows length width"],
        mask: Bool[Tensor, "rows length"],
    ) -> tuple[Float[Tensor, "rows hidden"], Float[Tensor, "rows length"]]:
        """Give one vector for each row, and the weights of its places.

        Places where the mask is False change nothing, wherever they stand.
        A row of nothing else gives zeros.
        """
        return self.pool(self.states(vectors, mask), mask)

    def states(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Give what is known at each place, zeros where the mask is False."""
        if self.look is not None:
            return self.look(vectors) * mask[..., None]
        states = vectors.new_zeros(*mask.shape, self.hidden)
        some = mask.any(dim=1)
        if some.any():
            states[some] = self.read(vectors[some], mask[some])
        return states

    def read(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Move what is there to the front, read it, and move it back."""
        order = (~mask).long().argsort(dim=1, stable=True)
        rows = torch.arange(len(order), device=order.device)[:, None]
        packed = nn.utils.rnn.pack_padded_sequence(
            vectors[rows, order],
            mask.sum(dim=1).cpu(),
            batch_first=True,
            enforce_sorted=False,
        )
        found, _ = self.rnn(packed)
        found, _ = nn.utils.rnn.pad_packed_sequence(
            found,
            batch_first=True,
            total_length=mask.shape[1],
        )
        return found[rows, order.argsort(dim=1)]


class Reading(NamedTuple):
    """What a reader says about a document, and where it looked."""

    logits: Float[Tensor, "batch answers"]  # unnormalised log p(answer)
    sentences: Float[Tensor, "batch sentences"]  # the weight of each sentence
    words: Float[Tensor, "batch sentences length"]  # the weight of each word in its sentence

    @property
    def shares(self) -> Float[Tensor, "batch sentences length"]:
        """How much each word counts in the document: the product of the two weights."""
        return self.words * self.sentences[..., None]


class DocumentReader(nn.Module):
    """Make a vector of each sentence, and of these one of the document.

    :param words: size of the vocabulary
    :param answers: how many answers there are to choose from
    :param width: width of a word's embedding
    :param hidden: width of the vectors of sentences and document
    :param pool: "attention", "mean" or "max", on both levels
    :param reads: whether a GRU reads each level
    """

    def __init__(
        self,
        words: int,
        answers: int,
        width: int = 16,
        hidden: int = 32,
        pool: str = "attention",
        reads: bool = True,
    ):
        super().__init__()
        self.embed = Words(words, width)
        self.of_words = Level(width, hidden, pool, reads)
        self.of_sentences = Level(hidden, hidden, pool, reads)
        self.answer = nn.Linear(hidden, answers)

    @checked
    def forward(
        self,
        words: Int[Tensor, "batch sentences length"],
        mask: Bool[Tensor, "batch sentences length"],
    ) -> Reading:
        """Read documents. A sentence without words changes nothing."""
        vectors = self.embed(words)
        rows = vectors.flatten(0, 1), mask.flatten(0, 1)
        sentences, inner = self.of_words(*rows)
        there = mask.any(dim=2)
        sentences = sentences.unflatten(0, there.shape)
        document, outer = self.of_sentences(sentences, there)
        return Reading(self.answer(document), outer, inner.view(mask.shape))


class FlatReader(nn.Module):
    """Read a document as one long sentence; parameters as for ``DocumentReader``."""

    def __init__(
        self,
        words: int,
        answers: int,
        width: int = 16,
        hidden: int = 32,
        pool: str = "attention",
        reads: bool = True,
    ):
        super().__init__()
        self.embed = Words(words, width)
        self.of_words = Level(width, hidden, pool, reads)
        self.answer = nn.Linear(hidden, answers)

    @checked
    def forward(
        self,
        words: Int[Tensor, "batch sentences length"],
        mask: Bool[Tensor, "batch sentences length"],
    ) -> Reading:
        """Read documents; the weight of a sentence is the sum over its words."""
        vectors = self.embed(words)
        document, weights = self.of_words(vectors.flatten(1, 2), mask.flatten(1, 2))
        shares = weights.view(mask.shape)
        sentences = shares.sum(dim=2)
        return Reading(self.answer(document), sentences, within(shares, sentences))


def within(
    shares: Float[Tensor, "batch sentences length"], sentences: Float[Tensor, "batch sentences"]
) -> Float[Tensor, "batch sentences length"]:
    """Give the weight of each word in its sentence; zeros where the sentence has none."""
    some = sentences > 0
    return shares / torch.where(some, sentences, 1.0)[..., None]
