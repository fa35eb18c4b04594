"""Chapter 12: where a word stands, in six ways; and a seventh, which comes with a mask.

Self-attention without positions treats a sentence as a bag. :func:`sinusoidal`, :class:`Learned` and
:class:`ComplexWords` put the place into the vectors that go in; :class:`Relative`, :class:`Distance` and
:class:`Rotary` put the offset of two places into their score; and a causal mask tells places apart by itself.
"""

import math

import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor, nn

from .attention import attend, causal_mask, weigh
from .multi_head import MultiHeadAttention, merge_heads, split_heads
from .recurrent import Words
from .self_attention import Block, must_fit
from .shapes import at_least_one, checked

BASE = 10_000.0
KINDS = ("none", "sinusoidal", "learned", "complex", "relative", "distance", "rotary")


# Waves and turns


@checked
def speeds(width: int) -> Float[Tensor, " pairs"]:
    """By how much each pair of numbers turns from one place to the next.

    From 1 down to almost 1 / 10,000.
    """
    must_be_even(width)
    even = torch.arange(0, width, 2, dtype=torch.float64)
    return BASE ** (-even / width)


@checked
def waves(
    positions: Real[Tensor, " length"],
    width: int,
) -> Float[Tensor, "length width"]:
    """Sine and cosine of each place, in pairs: sine first.

    The angles are computed in float64: far from the start, a float32
    would lose their fast part.
    """
    angle = positions.double()[:, None] * speeds(width)
    pairs = torch.stack([angle.sin(), angle.cos()], dim=-1)
    return pairs.flatten(start_dim=-2).to(torch.get_default_dtype())


@checked
def sinusoidal(length: int, width: int) -> Float[Tensor, "{length} {width}"]:
    """The Transformer's positions: a row for each place, counted from 0.

    >>> sinusoidal(2, 2)
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    at_least_one(length=length)
    return waves(torch.arange(length), width)


@checked
def moving(steps: int | float, width: int) -> Float[Tensor, "{width} {width}"]:
    """The matrix that maps the row of any place to that of ``steps`` later.

    ``moving(k, width) @ sinusoidal(...)[p]`` is row p + k, for every p.
    """
    angle = steps * speeds(width)
    sin, cos = angle.sin(), angle.cos()
    rows = torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)
    turns = torch.block_diag(*torch.stack(rows, -2))
    return turns.to(torch.get_default_dtype())


@checked
def rotary(
    x: Float[Tensor, "*batch length width"],
    positions: Real[Tensor, " length"],
) -> Float[Tensor, "*batch length width"]:
    """Turn each pair of neighbouring numbers by an angle that grows with
    the place.

    >>> rotary(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    tensor([[0.5403, 0.8415]])
    """
    angle = positions.double()[:, None] * speeds(x.shape[-1])
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    return turned.flatten(start_dim=-2)


# Places in the vectors that go in


class Learned(nn.Module):
    """A table with a learned row for each place.

    :param longest: how many places there are; a place behind them is refused
    """

    def __init__(self, longest: int, width: int):
        super().__init__()
        at_least_one(longest=longest, width=width)
        self.table = nn.Embedding(longest, width)

    @checked
    def forward(self, positions: Int[Tensor, " length"]) -> Float[Tensor, "length width"]:
        """Give the row of each place."""
        if len(positions):
            must_count(positions)
            must_fit(int(positions.max()) + 1, self.table.num_embeddings)
        return self.table(positions)


class Waves(nn.Module):
    """:func:`waves` of a width as a layer; it learns nothing."""

    def __init__(self, width: int):
        super().__init__()
        must_be_even(width)
        self.width = width

    def forward(self, positions: Real[Tensor, " length"]) -> Float[Tensor, "length width"]:
        """Give the row of each place."""
        return waves(positions, self.width)


class ComplexWords(nn.Module):
    """A word is a function of its place: complex numbers that turn.

    Each word has ``width / 2`` complex numbers. Each of them has an amplitude, a frequency and a phase that belong to
    the word; the real and the imaginary parts stand in pairs.
    """

    def __init__(self, words: int, width: int):
        super().__init__()
        at_least_one(words=words)
        start = speeds(width).to(torch.get_default_dtype())  # the same for all words, before training
        self.amplitude = nn.Parameter(torch.randn(words, width // 2))
        self.frequency = nn.Parameter(start.repeat(words, 1))
        self.phase = nn.Parameter(2 * math.pi * torch.rand(words, width // 2))

    @checked
    def forward(
        self,
        words: Int[Tensor, "*batch length"],
        positions: Real[Tensor, " length"],
    ) -> Float[Tensor, "*batch length width"]:
        """Give amplitude * exp(i (frequency * position + phase))."""
        size = self.amplitude[words]  # (*batch, length, pairs)
        turned = self.frequency[words] * positions[:, None] + self.phase[words]
        pairs = torch.stack([size * turned.cos(), size * turned.sin()], dim=-1)
        return pairs.flatten(start_dim=-2)


# Places in the scores


class Heads(MultiHeadAttention):
    """Self-attention of several heads. It is told the places, and ignores them.

    Its subclasses use them: in the scores, or in what is found.
    """

    def scores(
        self,
        query: Float[Tensor, "*batch length d"],
        key: Float[Tensor, "*batch length d"],
        positions: Real[Tensor, " length"],
    ) -> Float[Tensor, "*batch length length"]:
        """Compare each query with each key."""
        return self.score(query, key)

    def find(
        self,
        scores: Float[Tensor, "*batch length length"],
        value: Float[Tensor, "*batch length d"],
        positions: Real[Tensor, " length"],
        mask: Bool[Tensor, "*#batch #length #length"] | None,
    ) -> tuple[Float[Tensor, "*batch length d"], Float[Tensor, "*batch length length"]]:
        """Weigh the scores and mix the values."""
        return attend(scores, value, mask)

    @checked
    def forward(
        self,
        x: Float[Tensor, "*batch length width"],
        positions: Real[Tensor, " length"],
        mask: Bool[Tensor, "*#batch #length #length"] | None = None,
    ) -> tuple[
        Float[Tensor, "*batch length width"],
        Float[Tensor, "*batch heads length length"],
    ]:
        """Give what each place found, and the weights of each head."""
        query = split_heads(self.of_query(x), self.heads)
        key = split_heads(self.of_key(x), self.heads)
        value = split_heads(self.of_value(x), self.heads)
        if mask is not None:
            mask = mask.unsqueeze(-3)  # the same for every head
        scores = self.scores(query, key, positions)
        found, weights = self.find(scores, value, positions, mask)
        return self.out(merge_heads(found)), weights


class Rotary(Heads):
    """Turn queries and keys by their places; values stay as they are."""

    def __init__(self, width: int, heads: int):
        super().__init__(width, heads)
        if width // heads % 2:
            raise ValueError(
                f"width / heads must be even, as numbers are taken in pairs, but is {width // heads}; "
                f"take a width of {width + heads}, or another number of heads"
            )

    def scores(self, query, key, positions):
        return self.score(rotary(query, positions), rotary(key, positions))


class Distance(Heads):
    """Take away from each score a number that grows with the distance.

    Each head has a fixed slope, as in ALiBi.
    """

    def scores(self, query, key, positions):
        distance = (positions[:, None] - positions).abs()
        slope = slopes(self.heads)[:, None, None]
        return self.score(query, key) - slope * distance


class Relative(Heads):
    """Shaw's relative positions: each offset has a learned key and a learned
    value, which all heads share.

    :param farthest: offsets beyond it, to either side, count as this one
    """

    def __init__(self, width: int, heads: int, farthest: int):
        super().__init__(width, heads)
        at_least_one(farthest=farthest)
        self.farthest = farthest
        self.offset_key = nn.Embedding(2 * farthest + 1, width // heads)
        self.offset_value = nn.Embedding(2 * farthest + 1, width // heads)

    def scores(self, query, key, positions):
        by_offset = query @ self.offset_key.weight.mT
        offset = clipped(positions, self.farthest).expand(*query.shape[:-1], -1)
        near = by_offset.gather(-1, offset) / math.sqrt(query.shape[-1])
        return self.score(query, key) + near

    def find(self, scores, value, positions, mask):
        found, weights = attend(scores, value, mask)
        offset = clipped(positions, self.farthest).expand_as(weights)
        shares = weights.new_zeros(*weights.shape[:-1], 2 * self.farthest + 1)
        # how much weight lies at each offset
        shares = shares.scatter_add(-1, offset, weights)
        return found + shares @ self.offset_value.weight, weights


@checked
def clipped(
    positions: Int[Tensor, " length"],
    farthest: int,
) -> Int[Tensor, "length length"]:
    """Row i, column j: how far j stands to the right of i, at most
    ``farthest``, counted from 0 on.

    >>> clipped(torch.arange(4), farthest=2)
    tensor([[2, 3, 4, 4],
            [1, 2, 3, 4],
            [0, 1, 2, 3],
            [0, 0, 1, 2]])
    """
    offset = positions - positions[:, None]
    return offset.clamp(-farthest, farthest) + farthest


@checked
def slopes(heads: int) -> Float[Tensor, " {heads}"]:
    """The slopes of ALiBi: a falling geometric series.

    >>> slopes(4)
    tensor([0.2500, 0.0625, 0.0156, 0.0039])
    """
    return 2.0 ** (-8.0 / heads * torch.arange(1, heads + 1))


@checked
def counted_by_a_mask(length: int) -> Float[Tensor, " {length}"]:
    """What place i reads if it looks evenly at all that a causal mask lets it see, and only the first word says 1.

    No vector and no score holds a position, and yet it is 1 / (i + 1).

    >>> counted_by_a_mask(4)
    tensor([1.0000, 0.5000, 0.3333, 0.2500])
    """
    at_least_one(length=length)
    weights = weigh(torch.zeros(length, length), causal_mask(length))
    begin = torch.eye(length)[0]
    return weights @ begin


# A network for all of them


class PlacedBlock(Block):
    """A block of chapter 10 whose mixer is told the places."""

    def forward(self, x, positions, mask=None):
        """Give the new vectors, and the weights of each head."""
        mixed, weights = self.mixer(self.before(x), positions, mask)
        x = x + mixed
        return x + self.alone(self.between(x)), weights


class PlacedNetwork(nn.Module):
    """Words go in, one block reads them, and at each place some numbers come out.

    :param words: size of the vocabulary
    :param outputs: how many numbers come out at each place
    :param inner: width of the hidden layer of the block
    :param kind: how it is told the places, one of ``KINDS``
    :param longest: places in the learned table
    :param farthest: the offset at which Shaw's positions are clipped
    """

    def __init__(
        self, words: int, outputs: int, width: int, heads: int, inner: int, kind: str, longest: int, farthest: int
    ):
        super().__init__()
        at_least_one(words=words, outputs=outputs)
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, but is {kind!r}")
        self.kind = kind
        self.embed = ComplexWords(words, width) if kind == "complex" else Words(words, width)
        self.place = None
        if kind == "sinusoidal":
            self.place = Waves(width)
        elif kind == "learned":
            self.place = Learned(longest, width)
        if kind == "relative":
            mixer = Relative(width, heads, farthest)
        else:
            mixer = {"distance": Distance, "rotary": Rotary}.get(kind, Heads)(width, heads)
        self.block = PlacedBlock(width, mixer, inner)
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, outputs)

    def vectors(
        self, words: Int[Tensor, "batch length"], positions: Int[Tensor, " length"]
    ) -> Float[Tensor, "batch length width"]:
        """Give what goes into the block: words, with their places where this kind puts them there."""
        if self.kind == "complex":
            return self.embed(words, positions)
        return self.embed(words) if self.place is None else self.embed(words) + self.place(positions)

    @checked
    def forward(
        self,
        words: Int[Tensor, "batch length"],
        causal: bool = False,
        start: int = 0,
    ) -> tuple[
        Float[Tensor, "batch length outputs"],
        Float[Tensor, "batch heads length length"],
    ]:
        """Read a sentence whose first word stands at place ``start``.

        Give the outputs of each place, and the weights of each head.
        """
        length = words.shape[1]
        positions = start + torch.arange(length)
        mask = causal_mask(length) if causal else None
        x, weights = self.block(self.vectors(words, positions), positions, mask)
        return self.readout(self.norm(x)), weights


def must_count(positions: Tensor) -> None:
    """Refuse places before the first."""
    if positions.min() < 0:
        raise ValueError(f"positions must be 0 or more, but the smallest is {int(positions.min())}")


def must_be_even(width: int) -> None:
    """Refuse numbers that cannot be paired."""
    at_least_one(width=width)
    if width % 2:
        raise ValueError(f"width must be even, as numbers are taken in pairs, but is {width}; take {width + 1}")
