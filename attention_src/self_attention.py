"""Chapter 10: a sentence reads itself. Queries, keys and values are three projections of one input.

:class:`SelfAttention` is the layer, with one head. :class:`Recurrence`, :class:`Convolution` and :class:`FixedWeights`
can stand in its place: each takes a sentence of vectors and gives a sentence of vectors.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .attention import attend, causal_mask
from .recurrent import Words
from .scores import ScaledDot
from .shapes import at_least_one, checked, must_be_wide


class SelfAttention(nn.Module):
    """Each place asks all places of the same sentence: one head.

    :param width: how many numbers a place has
    :param d: how many numbers a query and a key have; ``width`` if not given
    :param v: how many numbers a value has; ``width`` if not given
    """

    def __init__(self, width: int, d: int | None = None, v: int | None = None):
        super().__init__()
        d, v = width if d is None else d, width if v is None else v
        at_least_one(width=width, d=d, v=v)
        self.of_query = nn.Linear(width, d, bias=False)
        self.of_key = nn.Linear(width, d, bias=False)
        self.of_value = nn.Linear(width, v, bias=False)
        self.score = ScaledDot()

    @checked
    def forward(
        self,
        x: Float[Tensor, "*batch length width"],
        mask: Bool[Tensor, "*#batch #length #length"] | None = None,
    ) -> tuple[
        Float[Tensor, "*batch length v"],
        Float[Tensor, "*batch length length"],
    ]:
        """Give what each place reads, and the weights."""
        must_be_wide("x", x, self.of_query.in_features)
        query, key = self.of_query(x), self.of_key(x)
        value = self.of_value(x)
        return attend(self.score(query, key), value, mask)


@checked
def in_columns(layer: SelfAttention, x: Float[Tensor, "width length"]) -> Float[Tensor, "v length"]:
    """The same layer in the lecture notes' form: each word is a column."""
    query = layer.of_query.weight @ x  # (d, length)
    key = layer.of_key.weight @ x  # (d, length)
    value = layer.of_value.weight @ x  # (v, length)
    scores = key.T @ query / math.sqrt(key.shape[0])  # row: key, column: query
    return value @ scores.softmax(dim=0)


class Recurrence(nn.Module):
    """Each place reads the places before it through the state of a GRU.

    :param both_ways: a second GRU reads from the end; each of the two has half of the width
    """

    def __init__(self, width: int, both_ways: bool = False):
        super().__init__()
        at_least_one(width=width)
        if both_ways and width % 2:
            raise ValueError(f"width must be even to be shared by two directions, but is {width}")
        self.rnn = nn.GRU(width, width // 2 if both_ways else width, bidirectional=both_ways, batch_first=True)

    def forward(
        self, x: Float[Tensor, "batch length width"], mask: Bool[Tensor, "length length"] | None = None
    ) -> tuple[Float[Tensor, "batch length width"], None]:
        """Give the state at each place. The mask of a one-way GRU is its own: it looks back only."""
        if self.rnn.bidirectional and mask is not None:
            raise ValueError("mask must be None with both_ways: a GRU that reads both ways cannot be kept from looking")
        return self.rnn(x)[0], None


class Convolution(nn.Module):
    """Each place reads itself and a few places before it, each through a matrix of its own.

    :param reach: how many places are read
    :param dilation: how far these places are from each other
    """

    def __init__(self, width: int, reach: int = 3, dilation: int = 1):
        super().__init__()
        at_least_one(width=width, reach=reach, dilation=dilation)
        self.back = (reach - 1) * dilation
        self.window = nn.Conv1d(width, width, reach, dilation=dilation)

    def forward(
        self, x: Float[Tensor, "batch length width"], mask: Bool[Tensor, "length length"] | None = None
    ) -> tuple[Float[Tensor, "batch length width"], None]:
        """Give what each place reads. The mask is its own: it looks back only."""
        return self.window(nn.functional.pad(x.mT, (self.back, 0))).mT, None


class FixedWeights(nn.Module):
    """A table of learned weights, one for each pair of places: the same for every sentence.

    :param longest: how many places there are at most; it is part of the table
    """

    def __init__(self, width: int, longest: int):
        super().__init__()
        at_least_one(width=width, longest=longest)
        self.scores = nn.Parameter(torch.zeros(longest, longest))
        self.of_value = nn.Linear(width, width, bias=False)

    @checked
    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        mask: Bool[Tensor, "#batch #length #length"] | None = None,
    ) -> tuple[
        Float[Tensor, "batch length width"],
        Float[Tensor, "batch length length"],
    ]:
        """Give what each place reads, and the weights."""
        batch, length, _ = x.shape
        must_fit(length, len(self.scores))
        scores = self.scores[:length, :length].expand(batch, -1, -1)
        return attend(scores, self.of_value(x), mask)


class OutsideQuery(nn.Module):
    """One query that is learned and stands outside of the sentence: every place gets the same mixture of the words."""

    def __init__(self, width: int):
        super().__init__()
        at_least_one(width=width)
        self.query = nn.Parameter(torch.zeros(1, width))
        self.of_key = nn.Linear(width, width, bias=False)
        self.of_value = nn.Linear(width, width, bias=False)
        self.score = ScaledDot()

    @checked
    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        mask: Bool[Tensor, "#batch #length #length"] | None = None,
    ) -> tuple[
        Float[Tensor, "batch length width"],
        Float[Tensor, "batch length length"],
    ]:
        """Give the mixture to each place, and the weights."""
        scores = self.score(self.query, self.of_key(x)).expand(-1, x.shape[1], -1)
        return attend(scores, self.of_value(x), mask)


class Block(nn.Module):
    """A layer that mixes places, then one that works on each place alone; both are added to what was there.

    :param mixer: mixes the places: ``mixer(x, mask)`` gives vectors of the same width, and weights or None
    :param inner: width of the hidden layer that works on each place alone
    """

    def __init__(self, width: int, mixer: nn.Module, inner: int):
        super().__init__()
        at_least_one(inner=inner)
        self.before, self.mixer = nn.LayerNorm(width), mixer
        self.between = nn.LayerNorm(width)
        self.alone = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))

    def forward(
        self, x: Float[Tensor, "batch length width"], mask: Bool[Tensor, "#batch #length #length"] | None = None
    ) -> tuple[Float[Tensor, "batch length width"], Float[Tensor, "batch length length"] | None]:
        """Give the new vectors, and the weights where the mixer has some."""
        mixed, weights = self.mixer(self.before(x), mask)
        x = x + mixed
        return x + self.alone(self.between(x)), weights


class Network(nn.Module):
    """Words go in; at each place some numbers come out. In between, blocks stand on each other.

    Each place also has a learned vector, or no layer of attention could tell the first word from the last. Chapter 12
    explains it.

    :param words: size of the vocabulary
    :param outputs: how many numbers come out at each place
    :param mixers: one for each block
    :param inner: width of the hidden layer of a block
    :param longest: the largest number of places
    """

    def __init__(self, words: int, outputs: int, width: int, mixers: Sequence[nn.Module], inner: int, longest: int):
        super().__init__()
        at_least_one(words=words, outputs=outputs, width=width, longest=longest)
        self.embed = Words(words, width)
        self.place = nn.Embedding(longest, width)
        self.blocks = nn.ModuleList(Block(width, mixer, inner) for mixer in mixers)
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, outputs)

    @checked
    def forward(
        self,
        words: Int[Tensor, "batch length"],
        mask: Bool[Tensor, "#batch #length #length"] | None = None,
    ) -> tuple[Float[Tensor, "batch length outputs"], list]:
        """Give the outputs of each place, and the weights of each block."""
        length = words.shape[1]
        must_fit(length, self.place.num_embeddings)
        x = self.embed(words) + self.place.weight[:length]
        weights = []
        for block in self.blocks:
            x, looked = block(x, mask)
            weights.append(looked)
        return self.readout(self.norm(x)), weights


class LanguageModel(Network):
    """At each place, says what the next word may be, from this word and those before it."""

    def __init__(self, words: int, width: int, mixers: Sequence[nn.Module], inner: int, longest: int):
        super().__init__(words, words, width, mixers, inner, longest)

    @checked
    def forward(
        self, words: Int[Tensor, "batch length"], causal: bool = True
    ) -> tuple[Float[Tensor, "batch length vocab"], list]:
        """Give the logits of the next word at each place, and the weights of each block.

        Without the causal mask a place sees the word that it should predict.
        """
        mask = causal_mask(words.shape[1])[None] if causal else None
        return super().forward(words, mask)


def must_fit(length: int, longest: int) -> None:
    """Refuse a sentence with more places than were learned."""
    if length > longest:
        raise ValueError(
            f"the sentence has {length} places, but there are learned numbers for {longest} only: "
            "give a shorter one, or build with a larger longest"
        )
