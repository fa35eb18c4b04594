"""Chapter 04: how well a key fits a query, one number for each pair.

Every score is a module with one interface, ``score(query (…, Q, Dq), key (…, K, Dk)) -> scores (…, Q, K)``. It has two
halves, because a decoder reads the keys once and asks many times: :meth:`Score.prepare` does all that depends on the
keys alone, :meth:`Score.compare` does the rest. Leading axes broadcast: a size of 1, or a missing axis, serves all.
No score has a bias, as no paper's formula has one.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .shapes import at_least_one, checked, must_be_wide


class Score(nn.Module):
    """How well each key fits each query; a subclass says what is compared, and how."""

    def prepare(self, key: Float[Tensor, "*batch k key_width"]) -> Float[Tensor, "*batch k prepared"]:
        """Do once what depends on the keys alone."""
        return key

    def compare(
        self, query: Float[Tensor, "*#batch q query_width"], prepared: Float[Tensor, "*#batch k prepared"]
    ) -> Float[Tensor, "*#batch q k"]:
        """Score every query with every key that :meth:`prepare` has prepared."""
        raise NotImplementedError

    def forward(
        self, query: Float[Tensor, "*#batch q query_width"], key: Float[Tensor, "*#batch k key_width"]
    ) -> Float[Tensor, "*#batch q k"]:
        """Score every query with every key."""
        return self.compare(query, self.prepare(key))


class Dot(Score):
    """q · k: multiply number by number and add up. Query and key are equally wide.

    >>> Dot()(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 1.0]]))
    tensor([[3., 3.]])
    """

    @checked
    def compare(
        self,
        query: Float[Tensor, "*#batch q d"],
        prepared: Float[Tensor, "*#batch k e"],
    ) -> Float[Tensor, "*#batch q k"]:
        must_be_as_wide(query, prepared)
        return query @ prepared.mT


class ScaledDot(Dot):
    """q · k / √d, with the width d: the scores do not grow with the width."""

    @checked
    def prepare(
        self,
        key: Float[Tensor, "*batch k d"],
    ) -> Float[Tensor, "*batch k d"]:
        return key / math.sqrt(key.shape[-1])


class Cosine(Dot):
    """The cosine of the angle between q and k, from -1 to 1. A vector of length zero has the cosine 0 with all."""

    @checked
    def prepare(self, key: Float[Tensor, "*batch k d"]) -> Float[Tensor, "*batch k d"]:
        return unit(key)

    def compare(self, query, prepared):
        return super().compare(unit(query), prepared)


class Bilinear(Dot):
    """q^T W k: a matrix W of query_width rows and key_width columns is learned.

    W is ``score.of_key.weight``. This is Luong's *general*, h_t^T W h_s, with
    the query on the left. Who writes k^T W q, with the key on the left, means
    the transpose of this matrix.
    """

    def __init__(self, query_width: int, key_width: int):
        super().__init__()
        at_least_one(query_width=query_width, key_width=key_width)
        self.of_key = nn.Linear(key_width, query_width, bias=False)

    @checked
    def prepare(
        self,
        key: Float[Tensor, "*batch k key_width"],
    ) -> Float[Tensor, "*batch k query_width"]:
        return through(self.of_key, "key", key)

    def compare(self, query, prepared):
        has_width("query", query, self.of_key.out_features)
        return super().compare(query, prepared)


class LowRankBilinear(Dot):
    """(V q) · (U k): both are taken to ``rank`` numbers, then multiplied.

    It is :class:`Bilinear` with W = V^T U, a matrix whose rank is at most ``rank``. U is ``score.of_key.weight`` with
    ``rank`` rows and key_width columns, V is ``score.of_query.weight`` with ``rank`` rows and query_width columns.
    """

    def __init__(self, query_width: int, key_width: int, rank: int):
        super().__init__()
        at_least_one(query_width=query_width, key_width=key_width, rank=rank)
        self.of_query = nn.Linear(query_width, rank, bias=False)
        self.of_key = nn.Linear(key_width, rank, bias=False)

    @checked
    def prepare(self, key: Float[Tensor, "*batch k key_width"]) -> Float[Tensor, "*batch k rank"]:
        return through(self.of_key, "key", key)

    def compare(self, query, prepared):
        return super().compare(through(self.of_query, "query", query), prepared)


class Additive(Score):
    """v^T tanh(W q + U k): Bahdanau's perceptron, with ``hidden`` units.

    W is ``score.of_query.weight`` (hidden, query_width), U is ``score.of_key.weight`` (hidden, key_width), and v is
    ``score.out.weight`` (1, hidden).
    """

    def __init__(self, query_width: int, key_width: int, hidden: int):
        super().__init__()
        at_least_one(query_width=query_width, key_width=key_width, hidden=hidden)
        self.of_query = nn.Linear(query_width, hidden, bias=False)
        self.of_key = nn.Linear(key_width, hidden, bias=False)
        self.out = nn.Linear(hidden, 1, bias=False)

    @checked
    def prepare(self, key: Float[Tensor, "*batch k key_width"]) -> Float[Tensor, "*batch k hidden"]:
        return through(self.of_key, "key", key)

    @checked
    def compare(
        self, query: Float[Tensor, "*#batch q query_width"], prepared: Float[Tensor, "*#batch k hidden"]
    ) -> Float[Tensor, "*#batch q k"]:
        has_width("prepared", prepared, self.of_key.out_features)
        return bend_and_add(through(self.of_query, "query", query), prepared, self.out)


class Concat(Score):
    """v^T tanh(W [q; k]): Luong's *concat*, with ``hidden`` units.

    W is ``score.both.weight`` (hidden, query_width + key_width), and v is ``score.out.weight`` (1, hidden). The pairs
    [q; k] are never built: W [q; k] is the sum of W's left part times q and its right part times k.
    """

    def __init__(self, query_width: int, key_width: int, hidden: int):
        super().__init__()
        at_least_one(query_width=query_width, key_width=key_width, hidden=hidden)
        self.query_width, self.key_width = query_width, key_width
        self.both = nn.Linear(query_width + key_width, hidden, bias=False)
        self.out = nn.Linear(hidden, 1, bias=False)

    @checked
    def prepare(self, key: Float[Tensor, "*batch k key_width"]) -> Float[Tensor, "*batch k hidden"]:
        has_width("key", key, self.key_width)
        return key @ self.both.weight[:, self.query_width :].T

    @checked
    def compare(
        self, query: Float[Tensor, "*#batch q query_width"], prepared: Float[Tensor, "*#batch k hidden"]
    ) -> Float[Tensor, "*#batch q k"]:
        has_width("query", query, self.query_width)
        has_width("prepared", prepared, self.both.out_features)
        return bend_and_add(query @ self.both.weight[:, : self.query_width].T, prepared, self.out)


class Location(Score):
    """W q: Luong's *location* scores places and never reads what stands there.

    Row j of W (``score.of_place.weight``, of ``longest`` rows and query_width
    columns) scores place j. Of the keys only their number counts. More keys
    than ``longest`` are refused, because there is no row for them.
    """

    def __init__(self, query_width: int, longest: int):
        super().__init__()
        at_least_one(query_width=query_width, longest=longest)
        self.of_place = nn.Linear(query_width, longest, bias=False)

    @checked
    def prepare(
        self,
        key: Float[Tensor, "*batch k key_width"],
    ) -> Float[Tensor, "*batch k 0"]:
        must_have_places(key, self.of_place.out_features)
        return key[..., :0]  # nothing but how many keys there are

    @checked
    def compare(
        self,
        query: Float[Tensor, "*#batch q query_width"],
        prepared: Float[Tensor, "*#batch k 0"],
    ) -> Float[Tensor, "*#batch q k"]:
        has_width("query", query, self.of_place.in_features)
        scores = query @ self.of_place.weight[: prepared.shape[-2]].T
        batch = torch.broadcast_shapes(query.shape[:-2], prepared.shape[:-2])
        return scores.expand(*batch, *scores.shape[-2:])


def unit(vectors: Float[Tensor, "*batch n d"]) -> Float[Tensor, "*batch n d"]:
    """Give each vector the length one; a vector of length zero stays as it is, and its gradient stays finite."""
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / torch.where(length > 0, length, 1.0)


def bend_and_add(query: Tensor, key: Tensor, out: nn.Linear) -> Tensor:
    """v^T tanh(query + key): (…, Q, hidden) and (…, K, hidden) give (…, Q, K)."""
    pairs = query[..., :, None, :] + key[..., None, :, :]
    return out(pairs.tanh_())[..., 0]  # written over the sum: one large tensor


def through(layer: nn.Linear, name: str, vectors: Tensor) -> Tensor:
    """``layer(vectors)``, or an error that names what has the wrong width."""
    has_width(name, vectors, layer.in_features)
    return layer(vectors)


def has_width(name: str, vectors: Tensor, width: int) -> None:
    """Refuse vectors of another width than the score was built for."""
    cure = "give what prepare(key) returned" if name == "prepared" else f"build the score with another {name}_width"
    must_be_wide(name, vectors, width, cure)


def must_be_as_wide(query: Tensor, key: Tensor) -> None:
    """Refuse to multiply vectors of different widths."""
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"query and key must be equally wide to be multiplied, but are {query.shape[-1]} and {key.shape[-1]} wide; "
            "use Bilinear or Additive, which learn to compare different widths"
        )


def must_have_places(key: Tensor, longest: int) -> None:
    """Refuse more keys than there are places."""
    if key.shape[-2] > longest:
        raise ValueError(
            f"key has {key.shape[-2]} rows, but this score has learned only {longest} places; "
            "build it with a larger longest, or shorten the keys"
        )
