"""Chapter 11: several looks at once.

A head is one look: it has a query, keys and values of its own, made from the same inputs by matrices of its own. All
heads look at the same time, and what they found is put side by side and mapped once more.
"""

import copy
from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .attention import attend
from .scores import ScaledDot, Score
from .shapes import at_least_one, checked, must_be_wide


def several_queries(
    score: Score,
    queries: Float[Tensor, "*batch q query_width"],
    key: Float[Tensor, "*batch k key_width"],
    value: Float[Tensor, "*batch k v"],
) -> tuple[Float[Tensor, "*batch found"], Float[Tensor, "*batch q k"]]:
    """Ask one list several questions; put the answers side by side.

    Gives the answers, of q * v numbers, and the weights of each question.
    """
    answers, weights = attend(score(queries, key), value)
    return answers.flatten(start_dim=-2), weights


@checked
def split_heads(
    vectors: Float[Tensor, "*batch length width"],
    heads: int,
) -> Float[Tensor, "*batch {heads} length d"]:
    """Cut each vector into ``heads`` pieces; head h gets the h-th piece.

    First cut the last axis, then move the new axis forward.
    """
    pieces = vectors.unflatten(-1, (heads, -1))  # (*batch, length, heads, d)
    return pieces.transpose(-3, -2)


@checked
def merge_heads(
    pieces: Float[Tensor, "*batch heads length d"],
) -> Float[Tensor, "*batch length width"]:
    """Put the pieces of all heads side by side again."""
    return pieces.transpose(-3, -2).flatten(start_dim=-2)


class MultiHeadAttention(nn.Module):
    """Look ``heads`` times at once, each time with width / heads numbers.

    One matrix each makes the queries, the keys and the values of all heads:
    head h owns the h-th block of rows. The matrix ``out`` mixes what they
    found.

    :param width: numbers in a vector that goes in, and in one that comes out
    :param heads: how many looks; must divide ``width``
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        at_least_one(width=width, heads=heads)
        must_divide(heads, width)
        self.width, self.heads = width, heads
        self.of_query = nn.Linear(width, width)
        self.of_key = nn.Linear(width, width)
        self.of_value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.score = ScaledDot()

    @checked
    def forward(
        self,
        query: Float[Tensor, "*batch q width"],
        key: Float[Tensor, "*batch k width"],
        value: Float[Tensor, "*batch k width"],
        mask: Bool[Tensor, "*#batch #q #k"] | None = None,
    ) -> tuple[
        Float[Tensor, "*batch q width"],
        Float[Tensor, "*batch heads q k"],
    ]:
        """Give what was found, and the weights of each head.

        ``mask`` holds for all heads alike; True: query q may look at key k.
        A query that may look at nothing has zero weights in every head, and
        its output is the constant ``out.bias``.
        """
        must_be_wide("query", query, self.width)
        scores = self.score(
            split_heads(self.of_query(query), self.heads),
            split_heads(self.of_key(key), self.heads),
        )
        value = split_heads(self.of_value(value), self.heads)
        if mask is not None:
            mask = mask.unsqueeze(-3)  # the same for every head
        found, weights = attend(scores, value, mask)
        return self.out(merge_heads(found)), weights

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> "MultiHeadAttention":
        """Take over the weights of PyTorch's layer; it then gives PyTorch's numbers.

        The batch comes first here, whatever ``batch_first`` says there, and a mask is True where one may look, the
        opposite of PyTorch's.
        """
        must_be_plain(module)
        layer = cls(module.embed_dim, module.num_heads).to(module.out_proj.weight)
        weights = module.in_proj_weight.chunk(3)
        biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
        linears = layer.of_query, layer.of_key, layer.of_value, layer.out
        theirs = zip((*weights, module.out_proj.weight), (*biases, module.out_proj.bias), strict=True)
        with torch.no_grad():
            for linear, (weight, bias) in zip(linears, theirs, strict=True):
                linear.weight.copy_(weight)
                linear.bias.zero_() if bias is None else linear.bias.copy_(bias)
        return layer.train(module.training)


def without_heads(
    layer: MultiHeadAttention,
    off: Iterable[int],
) -> MultiHeadAttention:
    """Give a copy of ``layer`` in which the heads ``off`` say nothing.

    They still look, but ``out`` multiplies what they found by zero.
    """
    pruned = copy.deepcopy(layer)
    for head in off:
        must_be_a_head(head, layer.heads)
        # the columns of all heads: (width, heads, d)
        columns = pruned.out.weight.unflatten(1, (layer.heads, -1))
        columns.data[:, head] = 0.0
    return pruned


class Asker(nn.Module):
    """Read a list of who has what; answer several questions with one query.

    The people that are asked about make the query, in the order in which they
    are asked about. Each entry of the list is a key and a value. Everything
    after the look is linear.

    :param names: people that there are
    :param things: things that one can have
    :param questions: how many people are asked about at once
    """

    def __init__(self, names: int, things: int, questions: int, width: int, heads: int):
        super().__init__()
        at_least_one(names=names, things=things, questions=questions)
        self.name = nn.Embedding(names, width)
        self.thing = nn.Embedding(things, width)
        self.ask = nn.ModuleList(nn.Embedding(names, width) for _ in range(questions))
        self.look = MultiHeadAttention(width, heads)
        self.answer = nn.Linear(width, questions * things)

    def entries(self, names: Tensor, things: Tensor) -> tuple[Tensor, Tensor]:
        """Give a key and a value for each entry: here who and what, added."""
        both = self.name(names) + self.thing(things)
        return both, both

    @checked
    def forward(
        self,
        names: Int[Tensor, "batch k"],
        things: Int[Tensor, "batch k"],
        asked: Int[Tensor, "batch questions"],
    ) -> tuple[
        Float[Tensor, "batch questions answers"],
        Float[Tensor, "batch heads k"],
    ]:
        """Give the logits of each question, and the weights of each head."""
        key, value = self.entries(names, things)
        query = sum(ask(asked[:, place]) for place, ask in enumerate(self.ask))
        found, weights = self.look(query[:, None], key, value)
        logits = self.answer(found[:, 0])
        return logits.unflatten(-1, (len(self.ask), -1)), weights[:, :, 0]


class ByName(Asker):
    """Who decides where to look, and what is all that is found there."""

    def entries(self, names, things):
        return self.name(names), self.thing(things)


class Follower(nn.Module):
    """Read a list of who asks whom; say where a chain from one person ends.

    Each entry and the question are a vector. In each layer all of them look
    at all of them, and what they find is added to them.

    :param names: people that there are
    :param layers: how many times they look, one after the other
    """

    def __init__(self, names: int, width: int, heads: int, layers: int):
        super().__init__()
        at_least_one(names=names, layers=layers)
        self.name = nn.Embedding(names, width)
        self.other = nn.Embedding(names, width)
        self.ask = nn.Embedding(names, width)
        self.looks = nn.ModuleList(MultiHeadAttention(width, heads) for _ in range(layers))
        self.answer = nn.Linear(width, names)

    @checked
    def forward(
        self,
        names: Int[Tensor, "batch k"],
        others: Int[Tensor, "batch k"],
        asked: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch answers"]:
        """Give the logits of the person at the end."""
        entries = self.name(names) + self.other(others)
        vectors = torch.cat([entries, self.ask(asked)[:, None]], dim=1)
        for look in self.looks:
            vectors = vectors + look(vectors, vectors, vectors)[0]
        return self.answer(vectors[:, -1])


def must_divide(heads: int, width: int) -> None:
    """Refuse heads that would not be equally wide."""
    if width % heads:
        raise ValueError(
            f"heads must divide width, so that all heads are equally wide, but {width} / {heads} is no whole number; "
            f"take a width of {heads * (width // heads + 1)}, or another number of heads"
        )


def must_be_a_head(head: int, heads: int) -> None:
    """Refuse the number of a head that is not there."""
    if not 0 <= head < heads:
        raise ValueError(f"off must name heads from 0 to {heads - 1}, but names {head}")


def must_be_plain(module: nn.MultiheadAttention) -> None:
    """Refuse by name what :class:`MultiHeadAttention` has no place for."""
    if not isinstance(module, nn.MultiheadAttention):
        raise TypeError(f"module must be an nn.MultiheadAttention, but is a {type(module).__name__}")
    if module.kdim != module.embed_dim or module.vdim != module.embed_dim:
        raise ValueError(
            f"module must have kdim and vdim equal to embed_dim, which is {module.embed_dim}, but they are "
            f"{module.kdim} and {module.vdim}; map keys and values to one width first"
        )
    if module.bias_k is not None or module.bias_v is not None:
        raise ValueError("module must not have add_bias_kv=True: it adds a key and a value that no input holds")
    if module.add_zero_attn:
        raise ValueError("module must not have add_zero_attn=True: it adds a key and a value of zeros")
    if module.dropout and module.training:
        raise ValueError(
            f"module must have dropout=0 or be set to eval(), but has {module.dropout}; dropped weights are no shares"
        )
