"""Chapter 14: what attention costs, and attention that never holds a table of all pairs.

First the costs of one layer as formulas: self-attention, recurrence, convolution, and attention restricted to the
nearest places. Then the softmax in one pass, and on top of it attention in blocks, forward and backward.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .attention import attend
from .self_attention import SelfAttention
from .shapes import at_least_one, checked

# ---- What one layer costs, as formulas: one sentence, one head, query, key and value as wide as a place


class Cost(NamedTuple):
    """What one layer costs on one sentence.

    ``operations``: multiplications and additions in matrix products.
    ``memory``: numbers that training keeps for the way back, without the
    parameters of the layer.
    ``sequential``: matrix products that must wait for one another.
    ``path``: rounds until the last place has heard of the first, where in
    one round every place computes once.
    """

    operations: int
    memory: int
    sequential: int
    path: int


def self_attention_cost(length: int, width: int) -> Cost:
    """Cost of :class:`SelfAttention`: three projections and two tables."""
    at_least_one(length=length, width=width)
    pairs = length * length
    return Cost(
        operations=6 * length * width**2 + 4 * pairs * width,
        memory=4 * length * width + pairs,
        sequential=3,  # project, score, mix
        path=1,
    )


def recurrence_cost(length: int, width: int) -> Cost:
    """Cost of :class:`Recurrence`, a GRU: six matrices at every place."""
    at_least_one(length=length, width=width)
    return Cost(
        operations=12 * length * width**2,
        memory=8 * length * width,
        sequential=length,  # each state waits for the one before
        path=length,
    )


def convolution_cost(length: int, width: int, reach: int) -> Cost:
    """Cost of :class:`Convolution`: one matrix for each place in reach."""
    at_least_one(length=length, width=width)
    must_see_a_neighbour(reach)
    return Cost(
        operations=2 * reach * length * width**2,
        memory=(length + reach - 1) * width,
        sequential=1,
        path=max(1, math.ceil((length - 1) / (reach - 1))),
    )


def restricted_cost(length: int, width: int, reach: int) -> Cost:
    """Cost of :class:`NearAttention`: each place has ``reach`` keys."""
    at_least_one(length=length, width=width)
    must_see_a_neighbour(reach)
    pairs = length * reach
    return Cost(
        operations=6 * length * width**2 + 4 * pairs * width,
        memory=(4 * length + 2 * (reach - 1)) * width + 2 * pairs,
        sequential=3,
        path=max(1, math.ceil((length - 1) / (reach - 1))),
    )


# ---- Attention restricted to the nearest places


@checked
def near_attention(
    query: Float[Tensor, "*batch length d"],
    key: Float[Tensor, "*batch length d"],
    value: Float[Tensor, "*batch length v"],
    reach: int,
) -> tuple[
    Float[Tensor, "*batch length v"],
    Float[Tensor, "*batch length {reach}"],
]:
    """Let each place look at itself and the ``reach`` - 1 places before it.

    A mask would hide the others and compute them all the same; here they are
    never computed. Gives the context and the weights, the last column being
    the place itself.
    """
    at_least_one(reach=reach)
    near_key, near_value = last_places(key, reach), last_places(value, reach)
    scores = query[..., None, :] @ near_key.mT / math.sqrt(key.shape[-1])
    places = torch.arange(query.shape[-2], device=query.device)
    back = torch.arange(reach, device=query.device)
    inside = places[:, None] + back >= reach - 1
    context, weights = attend(scores, near_value, inside[:, None])
    return context[..., 0, :], weights[..., 0, :]


def last_places(vectors: Tensor, reach: int) -> Tensor:
    """Give each place the vectors of the last ``reach`` places, zeros before the first, as (…, length, reach, d)."""
    padded = nn.functional.pad(vectors, (0, 0, reach - 1, 0))
    return padded.unfold(-2, reach, 1).mT


class NearAttention(SelfAttention):
    """A sentence that reads itself, each place only the places just before it.

    :param reach: how many places are read, the own one among them
    """

    def __init__(self, width: int, reach: int):
        super().__init__(width)
        must_see_a_neighbour(reach)
        self.reach = reach

    def forward(
        self, x: Float[Tensor, "*batch length width"], mask: None = None
    ) -> tuple[Float[Tensor, "*batch length width"], Tensor]:
        """Give what each place reads, and the weights (…, length, reach). The mask is its own: it looks back only."""
        return near_attention(self.of_query(x), self.of_key(x), self.of_value(x), self.reach)


class ChunkedSelfAttention(SelfAttention):
    """A sentence that reads itself in blocks; see :func:`chunked_attention`.

    It has the parameters of :class:`SelfAttention` and gives its numbers, but no weights.
    """

    def forward(
        self, x: Float[Tensor, "*batch length width"], mask: Bool[Tensor, "*#batch #length #length"] | None = None
    ) -> tuple[Float[Tensor, "*batch length v"], None]:
        """Give what each place reads."""
        return chunked_attention(self.of_query(x), self.of_key(x), self.of_value(x), mask), None


# ---- The length of a path, by how far a gradient reaches


def rounds_until_heard(length: int, width: int, rounds: Callable[[Tensor], Iterator[Tensor]]) -> int:
    """Count the rounds until the last place of a sentence depends on the first.

    ``rounds(x)`` gives what the places hold after one round, after two, and
    so on. They depend on each other where the gradient is not zero.
    """
    x = torch.randn(1, length, width, dtype=torch.float64, requires_grad=True)
    for count, places in enumerate(rounds(x), start=1):
        (gradient,) = torch.autograd.grad(places[0, -1].sum(), x, retain_graph=True)
        if gradient[0, 0].ne(0).any():
            return count
    raise ValueError("rounds must go on until the last place has heard of the first, but it ended before")


# ---- The softmax in one pass


@checked
def one_pass_softmax(
    scores: Float[Tensor, "*batch q k"],
) -> Float[Tensor, "*batch q k"]:
    """The softmax from one pass over the keys, without knowing their maximum.

    Keeps the largest score so far, and the sum of exp(score - largest so
    far). A larger score shrinks the sum to its own scale.

    >>> one_pass_softmax(torch.tensor([[3.0, 1.0]]).log())
    tensor([[0.7500, 0.2500]])
    """
    largest = torch.full_like(scores[..., :1], torch.finfo(scores.dtype).min)
    total = torch.zeros_like(largest)
    for score in scores.split(1, dim=-1):  # (*batch, q, 1)
        larger = torch.maximum(largest, score)
        total = total * (largest - larger).exp() + (score - larger).exp()
        largest = larger
    return (scores - largest).exp() / total


# ---- Attention in blocks


@checked
def chunked_attention(
    query: Float[Tensor, "*batch q d"],
    key: Float[Tensor, "*batch k d"],
    value: Float[Tensor, "*batch k v"],
    mask: Bool[Tensor, "*#batch #q #k"] | None = None,
    causal: bool = False,
    chunk: int = 1024,
) -> Float[Tensor, "*batch q v"]:
    """Scaled dot-product attention that never holds all weights at once.

    The scores are made block by block, used and overwritten; a block has
    ``chunk`` keys and half as many queries. The way back makes the blocks
    again. Gives the context; the weights never exist together, so it cannot
    give them.

    ``mask`` as in :func:`attend`; a query that may look at nothing gets
    zeros. ``causal`` lets query i look at keys 0 to i, and skips the blocks
    that lie ahead.
    """
    at_least_one(chunk=chunk)
    exact = torch.promote_types(query.dtype, torch.float32)  # half precision is too coarse to add up in
    flat = (x.to(exact).reshape(math.prod(x.shape[:-2]), *x.shape[-2:]) for x in (query, key, value))
    context = InBlocks.apply(*flat, mask, causal, chunk, query.shape[:-2])
    return context.to(query.dtype).reshape(*query.shape[:-1], value.shape[-1])


class InBlocks(Function):
    """Attention on (batch, length, width), with a way back that makes the scores again."""

    @staticmethod
    def forward(ctx, query, key, value, mask, causal, chunk, batch):
        """Give the context; keep it and two numbers for each query.

        The logarithm of both could be one number. But that is rounded as the largest score is, and the weights of the
        way back would be off by as much.
        """
        scores = Blocks(query, key, mask, causal, chunk, batch)
        output = query.new_empty(*query.shape[:2], value.shape[2])
        largest, total = (query.new_empty(*query.shape[:2], 1) for _ in range(2))
        for look in scores.looks():
            output[look], largest[look], total[look] = mix(scores, look, value)
        ctx.save_for_backward(query, key, value, mask, output, largest, total)
        ctx.how = causal, chunk, batch
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, d_output):
        """Give the gradients of query, key and value, block by block."""
        query, key, value, mask, output, largest, total = ctx.saved_tensors
        scores = Blocks(query, key, mask, *ctx.how)
        d_query, d_key, d_value = map(torch.zeros_like, (query, key, value))
        spare = torch.empty_like(scores.room)
        for look in scores.looks():
            # the weights below are not divided by their sum, so this is
            d_out = d_output[look] / total[look]
            common = (d_out * output[look]).sum(dim=-1, keepdim=True)
            for read in scores.reads(look):
                block = scores.block(look, read)
                weights = block.sub_(largest[look]).exp2_()
                d_value[read].baddbmm_(weights.mT, d_out)
                d_weights = product(d_out, value[read], spare)
                d_scores = d_weights.sub_(common).mul_(weights)
                d_query[look].baddbmm_(d_scores, key[read], alpha=scores.scale)
                d_key[read].baddbmm_(d_scores.mT, query[look], alpha=scores.scale)
        return d_query, d_key, d_value, None, None, None, None


def mix(scores: "Blocks", look: "Part", value: Tensor) -> tuple[Tensor, ...]:
    """Mix the values for some queries in one pass over the blocks.

    Gives the context, the largest score, and the sum of 2^(score - largest).
    """
    total = torch.zeros_like(scores.query[look][..., :1])
    largest = torch.full_like(total, torch.finfo(total.dtype).min)
    mixed = total.repeat(1, 1, value.shape[2])
    for read in scores.reads(look):
        block = scores.block(look, read)
        larger = torch.maximum(largest, block.amax(dim=-1, keepdim=True))
        shrink = (largest - larger).exp2_()
        weights = block.sub_(larger).exp2_()
        total = total * shrink + weights.sum(dim=-1, keepdim=True)
        mixed.mul_(shrink).baddbmm_(weights, value[read])
        largest = larger
    total.clamp_(min=1)  # the largest score adds 2^0 = 1, if there is one
    return mixed / total, largest, total


Part = tuple[slice, slice]  # some examples of the batch, and some of their queries or keys


class Blocks:
    """The table of scores, of which only one block exists at a time: the next one is written over it.

    A block has at most ``chunk`` keys, half as many queries, and as many examples as then fit into chunk² / 2 scores.
    """

    def __init__(self, query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, chunk: int, batch: tuple):
        self.query, self.key, self.mask, self.causal = query, key, mask, causal
        self.batch, self.scale = batch or (1,), 1 / math.sqrt(query.shape[2])
        self.high = max(1, min(chunk // 2, query.shape[1]))
        self.wide = max(1, min(chunk, key.shape[1]))
        self.deep = max(1, min(chunk * chunk // 2 // (self.high * self.wide), len(query)))
        self.room = query.new_empty(self.deep * self.high * self.wide)

    def looks(self) -> Iterator[Part]:
        """Cut the queries into those of a block."""
        for examples in pieces(len(self.query), self.deep):
            for rows in pieces(self.query.shape[1], self.high):
                yield examples, rows

    def reads(self, look: Part) -> Iterator[Part]:
        """Cut the keys into those of a block. If causal, those ahead of all these queries are skipped."""
        examples, rows = look
        seen = self.key.shape[1]
        if self.causal:
            seen = min(seen, rows.stop)
        for columns in pieces(seen, self.wide):
            yield examples, columns

    def block(self, look: Part, read: Part) -> Tensor:
        """The scores of these queries and keys as exponents of 2, -inf where a query may not look."""
        scale = self.scale * math.log2(math.e)  # 2^(x log2 e) is e^x, and takes half the time
        scores = product(self.query[look], self.key[read], self.room, scale)
        (examples, rows), (_, columns) = look, read
        if self.mask is not None:
            scores.masked_fill_(~self.allowed(examples, rows, columns), -torch.inf)
        if self.causal and columns.stop > rows.start + 1:
            places = torch.arange(max(rows.stop, columns.stop), device=scores.device)
            scores.masked_fill_(places[columns] > places[rows, None], -torch.inf)
        return scores

    def allowed(self, examples: slice, rows: slice, columns: slice) -> Tensor:
        """The part of the mask for a block; an axis of size 1 serves all."""
        rows = rows if self.mask.shape[-2] > 1 else slice(None)
        columns = columns if self.mask.shape[-1] > 1 else slice(None)
        part = self.mask[..., rows, columns]
        numbers = torch.arange(examples.start, examples.stop, device=part.device)
        return part.expand(*self.batch, *part.shape[-2:])[torch.unravel_index(numbers, self.batch)]


def product(left: Tensor, right: Tensor, room: Tensor, scale: float = 1.0) -> Tensor:
    """``scale * left @ right.mT`` for (batch, r, d) and (batch, c, d), written into ``room``."""
    shape = len(left), left.shape[1], right.shape[1]
    space = room[: math.prod(shape)].view(shape)
    return torch.baddbmm(space, left, right.mT, beta=0, alpha=scale, out=space)


def pieces(length: int, chunk: int) -> list[slice]:
    """Cut 0 … length into pieces of ``chunk``, the last one perhaps shorter.

    >>> pieces(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + chunk, length)) for start in range(0, length, chunk)]


def must_see_a_neighbour(reach: int) -> None:
    """Refuse a reach at which no place hears of another."""
    if reach < 2:
        raise ValueError(f"reach must be at least 2, the place itself and the one before it, but is {reach}")
