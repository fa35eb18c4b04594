"""Chapter 08: a dictionary that answers softly.

A query is compared with keys, and what comes back is a mixture of the values that belong to them. Soft look-up, kernel
regression, Bahdanau's look at the source and the reading of a passage are all :func:`ask` with other arguments.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .attention import attend
from .recurrent import Encoder
from .scores import Bilinear, Score, must_be_as_wide
from .shapes import at_least_one, checked


def ask(
    score: Score,
    query: Float[Tensor, "*batch q query_width"],
    key: Float[Tensor, "*batch k key_width"],
    value: Float[Tensor, "*batch k v"],
    mask: Bool[Tensor, "*#batch #q #k"] | None = None,
) -> tuple[Float[Tensor, "*batch q v"], Float[Tensor, "*batch q k"]]:
    """Compare, weigh, mix: give the mixture of the values, and the weights."""
    return attend(score(query, key), value, mask)


class Distance(Score):
    """Minus the squared distance of q and k: the nearer, the higher, and 0 is the highest.

    The differences are taken pair by pair. It costs a tensor of Q x K x d numbers, and equal vectors score exactly 0.

    >>> Distance()(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 1.0]]))
    tensor([[-0., -5.]])
    """

    @checked
    def compare(
        self,
        query: Float[Tensor, "*#batch q d"],
        prepared: Float[Tensor, "*#batch k e"],
    ) -> Float[Tensor, "*#batch q k"]:
        must_be_as_wide(query, prepared)
        pairs = query[..., :, None, :] - prepared[..., None, :, :]
        return -pairs.square().sum(dim=-1)


class SoftDictionary:
    """Keys with their values, one value for each key. It answers every query with a mixture of the values.

    :param key: what a query is compared with, one row for each entry
    :param value: what is given back, one row for each entry
    :param score: how well a key fits a query
    """

    @checked
    def __init__(self, key: Float[Tensor, "k d"], value: Float[Tensor, "n v"], score: Score):
        if key.shape[0] != value.shape[0]:
            raise ValueError(
                f"value must have one row for each of the {key.shape[0]} keys, but has {value.shape[0]}; "
                "a key without a value has nothing to give, and a value without a key is never found"
            )
        if key.shape[0] == 0:
            raise ValueError("key has no rows: a dictionary without entries cannot answer")
        self.key, self.value, self.score = key, value, score

    def __len__(self) -> int:
        """How many entries there are: as many keys as values."""
        return self.key.shape[0]

    @checked
    def look_up(
        self, query: Float[Tensor, "q d"], temperature: float | int = 1.0
    ) -> tuple[Float[Tensor, "q v"], Float[Tensor, "q k"]]:
        """Give the mixture of the values, and the weights.

        At temperature 0 only the best keys are looked at, and share evenly.
        """
        must_be_warm(temperature)
        scores = self.score(query, self.key)
        lead = scores - scores.detach().amax(dim=-1, keepdim=True)  # best: 0
        if temperature < torch.finfo(lead.dtype).tiny:  # the limit
            return attend(lead, self.value, lead == 0)
        return attend(lead / temperature, self.value)

    @checked
    def write(
        self,
        query: Float[Tensor, "1 d"],
        erase: Float[Tensor, " v"],
        add: Float[Tensor, " v"],
        temperature: float | int = 1.0,
    ) -> "SoftDictionary":
        """Give a dictionary with other values: written to where a look-up with the same query would read."""
        _, weights = self.look_up(query, temperature)
        return SoftDictionary(self.key, write(self.value, weights[0], erase, add), self.score)


@checked
def write(
    memory: Float[Tensor, "k v"],
    weights: Float[Tensor, " k"],
    erase: Float[Tensor, " v"],
    add: Float[Tensor, " v"],
) -> Float[Tensor, "k v"]:
    """Write softly: first erase, then add, each row by its weight.

    ``erase`` lies between 0 (keep) and 1 (forget). With weight 1 on one row
    and ``erase`` all 1, that row becomes ``add`` and no other row changes.
    """
    must_be_shares("erase", erase)
    kept = memory * (1 - weights[:, None] * erase)
    return kept + weights[:, None] * add


def must_be_warm(temperature: float) -> None:
    """Refuse a temperature below 0, and one that is no number."""
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be 0 or a positive number, but is {temperature}")


def must_be_shares(name: str, numbers: Tensor) -> None:
    """Refuse numbers outside 0 to 1."""
    if not bool(((numbers >= 0) & (numbers <= 1)).all()):
        raise ValueError(f"{name} must lie between 0 and 1, but goes from {numbers.min():g} to {numbers.max():g}")


class KernelRegression(nn.Module):
    """Answer with the mean of what was seen nearby: Nadaraya and Watson's estimate.

    The keys are the places that were seen, the values what was seen there, the score is minus the squared distance.
    How far *nearby* reaches is one number, the width. With ``mapped``, queries and keys go through one learned matrix
    first, so that what counts as near is learned too.

    :param features: how many numbers a place has
    :param width: the width to begin with
    :param mapped: how many numbers a place has behind the matrix; None for no matrix
    """

    def __init__(self, features: int, width: float = 1.0, mapped: int | None = None):
        super().__init__()
        at_least_one(features=features, mapped=1 if mapped is None else mapped)
        if not 0 < width < math.inf:
            raise ValueError(f"width must be a positive number, but is {width}")
        self.log_width = nn.Parameter(torch.tensor(math.log(width)))
        self.to_key = nn.Identity()
        if mapped is not None:
            self.to_key = nn.Linear(features, mapped, bias=False)
        self.score = Distance()

    @property
    def width(self) -> Tensor:
        """How far *nearby* reaches; always positive."""
        return self.log_width.exp()

    @checked
    def forward(
        self,
        place: Float[Tensor, "q features"],
        seen: Float[Tensor, "k features"],
        said: Float[Tensor, "k v"],
        mask: Bool[Tensor, "#q k"] | None = None,
    ) -> tuple[Float[Tensor, "q v"], Float[Tensor, "q k"]]:
        """Give the mean of ``said`` near each place, and the weights."""
        scale = math.sqrt(2) * self.width
        query, key = self.to_key(place) / scale, self.to_key(seen) / scale
        return ask(self.score, query, key, said, mask)


class Reader(nn.Module):
    """Read a passage and a question; answer with one of a list.

    One bidirectional GRU reads both. The question's last states are the query, the passage's states are keys and
    values. The answer is linear in the mixture, the question, and the product of both, number by number.

    :param words: size of the vocabulary of passages and questions
    :param answers: how many answers there are to choose from; 1 where each option is judged alone
    :param width: width of a word's embedding
    :param hidden: width of a state, half of it for each direction
    :param looks: False takes the plain mean of the passage instead
    """

    def __init__(self, words: int, answers: int, width: int = 32, hidden: int = 48, looks: bool = True):
        super().__init__()
        at_least_one(words=words, answers=answers, width=width, hidden=hidden)
        self.encoder = Encoder(words, width, hidden, both_ways=True)
        self.score = Bilinear(hidden, hidden)
        nn.init.eye_(self.score.of_key.weight)  # training starts from the dot product
        self.looks = looks
        self.answer = nn.Linear(3 * hidden, answers)

    @checked
    def forward(
        self,
        passage: Int[Tensor, "batch k"],
        passage_mask: Bool[Tensor, "batch k"],
        question: Int[Tensor, "batch length"],
        question_mask: Bool[Tensor, "batch length"],
    ) -> tuple[Float[Tensor, "batch answers"], Float[Tensor, "batch k"]]:
        """Give the logits of the answers, and the weights of the words."""
        states, _ = self.encoder(passage, passage_mask)
        return self.find(states, passage_mask, question, question_mask)

    @checked
    def find(
        self,
        states: Float[Tensor, "batch k hidden"],
        mask: Bool[Tensor, "batch k"],
        question: Int[Tensor, "batch length"],
        question_mask: Bool[Tensor, "batch length"],
    ) -> tuple[Float[Tensor, "batch answers"], Float[Tensor, "batch k"]]:
        """Ask a passage that has been read."""
        _, asked = self.encoder(question, question_mask)  # (batch, hidden)
        scores = self.score(asked[:, None], states)  # (batch, 1, k)
        if not self.looks:
            scores = torch.zeros_like(scores)  # every word alike
        found, weights = attend(scores, states, mask[:, None])
        found = found[:, 0]
        both = torch.cat([found, asked, found * asked], dim=-1)
        return self.answer(both), weights[:, 0]
