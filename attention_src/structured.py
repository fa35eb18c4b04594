"""Chapter 16: attention with neighbours. A chain of tags whose probabilities are exact, and its marginals as weights.

:class:`LinearChainCRF` gives each sequence of tags a score, made of one score for each tag where it stands and one for
each pair of neighbours. The softmax over *all* sequences is a distribution, and five questions about it are answered in
time linear in the length: its normaliser, its marginals, its best sequence, the probability of one, and a sample.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .attention import weigh
from .recurrent import Encoder, Words
from .shapes import at_least_one, checked

FORBIDDEN = -1e4  # a score that leaves no probability; minus infinity would put NaN into the gradients
PADDING = -1  # the tag of a place where no word stands


class LinearChainCRF(nn.Module):
    """A distribution over sequences of tags, in which only neighbours are tied. A new one has no ties.

    A mask must be True for the words of a row and then False for its padding. A row without words has one sequence of
    tags, the empty one: its log-partition and its log-likelihood are 0, and so are its marginals.

    :param tags: how many tags there are to choose from at each place
    """

    def __init__(self, tags: int):
        super().__init__()
        at_least_one(tags=tags)
        self.tags = tags
        self.start = nn.Parameter(torch.zeros(tags))  # score of each tag at the first place
        self.transition = nn.Parameter(torch.zeros(tags, tags))  # row: a tag, column: the tag after it
        self.end = nn.Parameter(torch.zeros(tags))  # score of each tag at the last place

    @checked
    def log_partition(
        self,
        emissions: Float[Tensor, "batch length tags"],
        mask: Bool[Tensor, "batch length"],
    ) -> Float[Tensor, " batch"]:
        """Give log Z: the logarithm of the sum of exp(score) over all sequences of tags."""
        lengths, emissions = self.prepare(emissions, mask)
        if emissions.shape[1] == 0:
            return emissions.sum(dim=(1, 2))
        ahead, shifts = self.forwards(emissions)
        last = pick(ahead, lengths) + self.end
        return (last.logsumexp(dim=-1) + (shifts * mask).sum(dim=1)) * lengths.clamp(max=1)

    @checked
    def log_likelihood(
        self,
        emissions: Float[Tensor, "batch length tags"],
        tags: Int[Tensor, "batch length"],
        mask: Bool[Tensor, "batch length"],
    ) -> Float[Tensor, " batch"]:
        """Give log p(tags), one number for each sentence.

        What stands in the padding of ``tags`` does not matter.
        """
        lengths, emissions = self.prepare(emissions, mask)
        if emissions.shape[1] == 0:
            return emissions.sum(dim=(1, 2))
        ahead, shifts = self.forwards(emissions)
        last = pick(ahead, lengths) + self.end
        steps, ends = self.parts(emissions, tags, mask, lengths)
        rest = (ends - last.logsumexp(dim=-1)) * lengths.clamp(max=1)
        return ((steps - shifts) * mask).sum(dim=1) + rest

    @checked
    def score(
        self,
        emissions: Float[Tensor, "batch length tags"],
        tags: Int[Tensor, "batch length"],
        mask: Bool[Tensor, "batch length"],
    ) -> Float[Tensor, " batch"]:
        """Give the score of a sequence of tags: its emissions and ties, from start to end, added up."""
        lengths, emissions = self.prepare(emissions, mask)
        if emissions.shape[1] == 0:
            return emissions.sum(dim=(1, 2))
        steps, ends = self.parts(emissions, tags, mask, lengths)
        return steps.sum(dim=1) + ends

    @checked
    def marginals(
        self,
        emissions: Float[Tensor, "batch length tags"],
        mask: Bool[Tensor, "batch length"],
    ) -> Float[Tensor, "batch length tags"]:
        """Give p(tag) at every place, in two passes; padding gets zeros."""
        _, emissions = self.prepare(emissions, mask)
        if emissions.shape[1] == 0:
            return emissions
        ahead, _ = self.forwards(emissions)
        both = ahead + self.backwards(emissions, mask)
        return both.softmax(dim=-1) * mask[..., None]

    @torch.no_grad()
    @checked
    def viterbi(
        self,
        emissions: Float[Tensor, "batch length tags"],
        mask: Bool[Tensor, "batch length"],
    ) -> Int[Tensor, "batch length"]:
        """Give the sequence with the highest score, one of them if several tie; padding gets the tag -1."""
        _, emissions = self.prepare(emissions, mask)
        if emissions.shape[1] == 0:
            return mask.long()
        best, came_from = self.start + emissions[:, 0], []
        stay = torch.arange(self.tags, device=emissions.device)
        for place in range(1, emissions.shape[1]):
            longer, before = (best[:, :, None] + self.transition).max(dim=1)  # over the tag before
            longer = longer + emissions[:, place]
            here = mask[:, place, None]
            best = torch.where(here, longer - longer.amax(dim=-1, keepdim=True), best)
            came_from.append(torch.where(here, before, stay))
        tag = (best + self.end).argmax(dim=-1)
        path = [tag]
        for before in reversed(came_from):
            tag = before.gather(1, tag[:, None])[:, 0]
            path.append(tag)
        return torch.stack(path[::-1], dim=1).masked_fill(~mask, PADDING)

    @torch.no_grad()
    @checked
    def sample(
        self,
        emissions: Float[Tensor, "batch length tags"],
        mask: Bool[Tensor, "batch length"],
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "batch length"]:
        """Draw one sequence for each row, by its probability: the last tag first, then each one before it."""
        _, emissions = self.prepare(emissions, mask)
        ahead, _ = self.forwards(emissions) if emissions.shape[1] else (emissions, None)
        drawn: list[Tensor] = []
        for place in reversed(range(emissions.shape[1])):
            after = self.end.expand_as(ahead[:, place])
            if drawn:
                tied = self.transition.T[drawn[-1]]  # from each tag to the one drawn after it
                after = torch.where(mask[:, place + 1, None], tied, after)
            shares = (ahead[:, place] + after).softmax(dim=-1)
            drawn.append(torch.multinomial(shares, 1, generator=generator)[:, 0])
        tags = torch.stack(drawn[::-1], dim=1) if drawn else mask.long()
        return tags.masked_fill(~mask, PADDING)

    def prepare(self, emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Check the arguments; give the length of every row, and emissions whose padding is 0."""
        if emissions.shape[-1] != self.tags:
            raise ValueError(
                f"emissions must have one score for each of the {self.tags} tags in their last axis, "
                f"but have {emissions.shape[-1]}"
            )
        lengths = prefix_lengths(mask)
        return lengths, emissions.masked_fill(~mask[..., None], 0.0)

    def forwards(self, emissions: Tensor) -> tuple[Tensor, Tensor]:
        """Give the forward scores (batch, length, tags) and what was taken off.

        The forward score of a tag at a place: the log of the sum of exp(score)
        over all beginnings that end there. From each place its largest is taken
        off, (batch, length). What is said about padding is never read.
        """
        into = self.transition.T.contiguous()  # row: a tag, column: the one before
        first, *others = emissions.unbind(dim=1)
        score = self.start + first
        ahead, shifts = [], []
        for place, emission in enumerate([first, *others]):
            if place:
                score = (score[:, None] + into).logsumexp(dim=-1) + emission
            shift = score.detach().amax(dim=-1, keepdim=True)
            score = score - shift
            ahead.append(score)
            shifts.append(shift)
        return torch.stack(ahead, dim=1), torch.cat(shifts, dim=1)

    def backwards(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Give the backward scores (batch, length, tags): all that can follow."""
        places = emissions.unbind(dim=1)
        score = self.end.expand_as(places[-1])
        behind = [score]
        for place in range(emissions.shape[1] - 1, 0, -1):
            after = (places[place] + score)[:, None]
            longer = (self.transition + after).logsumexp(dim=-1)
            longer = longer - longer.detach().amax(dim=-1, keepdim=True)
            more = mask[:, place, None]  # behind a row's last word comes nothing
            score = torch.where(more, longer, self.end)
            behind.append(score)
        return torch.stack(behind[::-1], dim=1)

    def parts(self, emissions: Tensor, tags: Tensor, mask: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Give what each place adds to the score of the tags (batch, length), 0 in padding, and what the end adds."""
        tags = tags.masked_fill(~mask, 0)
        if tags.min() < 0 or tags.max() >= self.tags:
            raise ValueError(
                f"tags must lie between 0 and {self.tags - 1} where mask is True, "
                f"but go from {int(tags.min())} to {int(tags.max())}"
            )
        emitted = emissions.gather(2, tags[..., None])[..., 0]
        tied = self.transition[tags[:, :-1], tags[:, 1:]]
        steps = emitted + torch.cat([self.start[tags[:, :1]], tied], dim=1)
        last = tags.gather(1, (lengths - 1).clamp(min=0)[:, None])[:, 0]
        return steps * mask, self.end[last] * lengths.clamp(max=1)


def prefix_lengths(mask: Bool[Tensor, "batch length"]) -> Int[Tensor, " batch"]:
    """Give the length of every row; refuse a mask with words behind padding."""
    lengths = mask.sum(dim=1)
    wrong = (mask != (torch.arange(mask.shape[1], device=mask.device) < lengths[:, None])).any(dim=1)
    if wrong.any():
        raise ValueError(
            f"mask must be True for the words and then False for the padding, but in row {int(wrong.nonzero()[0])} "
            "True follows False: move the words to the front"
        )
    return lengths


def pick(rows: Float[Tensor, "batch length tags"], lengths: Int[Tensor, " batch"]) -> Float[Tensor, "batch tags"]:
    """Give each sentence's row at its last word."""
    return rows[torch.arange(len(rows), device=rows.device), (lengths - 1).clamp(min=0)]


class Choice(nn.Module):
    """One place is chosen: a softmax, as in all earlier chapters."""

    @checked
    def forward(
        self,
        scores: Float[Tensor, "batch k"],
        mask: Bool[Tensor, "batch k"],
    ) -> Float[Tensor, "batch k"]:
        """Give p(z = j); a row sums to one."""
        return weigh(scores[:, None], mask[:, None])[:, 0]


class Gates(nn.Module):
    """Each place is open or shut, whatever its neighbours are."""

    @checked
    def forward(
        self,
        scores: Float[Tensor, "batch k"],
        mask: Bool[Tensor, "batch k"],
    ) -> Float[Tensor, "batch k"]:
        """Give p(z_j = 1), the sigmoid of the score."""
        return scores.sigmoid() * mask


class TiedGates(nn.Module):
    """Each place is open or shut, and neighbours are tied.

    A chain of two tags, 0 for shut and 1 for open.
    """

    def __init__(self):
        super().__init__()
        self.chain = LinearChainCRF(2)

    @checked
    def forward(
        self,
        scores: Float[Tensor, "batch k"],
        mask: Bool[Tensor, "batch k"],
    ) -> Float[Tensor, "batch k"]:
        """Give p(z_j = 1). Without ties it is the sigmoid of the score."""
        emissions = torch.stack([torch.zeros_like(scores), scores], dim=-1)
        return self.chain.marginals(emissions, mask)[..., 1]


class OneSegment(nn.Module):
    """Exactly one segment is open.

    A chain of the tags before, inside and after, which come in this order.

    :param longer: whether the segment may be longer than one place; if not,
        this is a softmax
    """

    def __init__(self, longer: bool = True):
        super().__init__()
        self.chain = LinearChainCRF(3)
        allowed = torch.tensor([[1, 1, 0], [0, longer, 1], [0, 0, 1]])
        with torch.no_grad():
            self.chain.transition[allowed == 0] = FORBIDDEN
            self.chain.start[2] = FORBIDDEN  # "after" cannot come first,
            self.chain.end[0] = FORBIDDEN  # nor "before" last

    @checked
    def forward(
        self,
        scores: Float[Tensor, "batch k"],
        mask: Bool[Tensor, "batch k"],
    ) -> Float[Tensor, "batch k"]:
        """Give p(place j is inside)."""
        nothing = torch.zeros_like(scores)
        emissions = torch.stack([nothing, scores, nothing], dim=-1)
        return self.chain.marginals(emissions, mask)[..., 1]


class Tagger(nn.Module):
    """Give each word of a sentence a tag.

    :param words: size of the vocabulary
    :param tags: how many tags there are
    :param hidden: width of a bidirectional GRU that reads the sentence first; 0: each word is looked at alone
    :param tied: whether neighbouring tags are tied; False leaves all ties at 0, which is a softmax at each place
    """

    def __init__(self, words: int, tags: int, hidden: int = 0, tied: bool = True):
        super().__init__()
        self.encoder = Encoder(words, width=16, hidden=hidden, both_ways=True) if hidden else None
        self.emit = nn.Linear(hidden, tags) if hidden else Words(words, tags)
        self.chain = LinearChainCRF(tags).requires_grad_(tied)

    @checked
    def emissions(
        self, words: Int[Tensor, "batch length"], mask: Bool[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length tags"]:
        """Give the score of each tag at each place."""
        return self.emit(self.encoder(words, mask)[0] if self.encoder else words)

    def forward(self, words: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Give log p(tags), one number for each sentence."""
        return self.chain.log_likelihood(self.emissions(words, mask), tags, mask)


class SegmentReader(nn.Module):
    """Read a row of words through weights, one for each word, and answer from what they let through.

    :param words: size of the vocabulary
    :param answers: how many answers there are to choose from
    :param weights: turns the scores of the words into weights: one of the four modules above
    :param hidden: width of a bidirectional GRU that gives the scores; 0: each word gets its score alone
    """

    def __init__(self, words: int, answers: int, weights: nn.Module, hidden: int = 0):
        super().__init__()
        self.encoder = Encoder(words, width=16, hidden=hidden, both_ways=True) if hidden else None
        self.score = nn.Linear(hidden, 1) if hidden else Words(words, 1)
        self.weights = weights
        self.value = Words(words, 16)
        self.answer = nn.Linear(16, answers)

    @checked
    def forward(
        self, words: Int[Tensor, "batch k"], mask: Bool[Tensor, "batch k"]
    ) -> tuple[Float[Tensor, "batch answers"], Float[Tensor, "batch k"]]:
        """Give the logits of the answers, and the weights."""
        scores = self.score(self.encoder(words, mask)[0] if self.encoder else words)
        weights = self.weights(scores[..., 0], mask)
        context = weights[:, None] @ self.value(words)  # (batch, 1, 16)
        return self.answer(context[:, 0]), weights


@checked
def feature_counts(
    words: Int[Tensor, "batch length"],
    tags: Int[Tensor, "batch length"],
    mask: Bool[Tensor, "batch length"],
    kinds: tuple[int, int],
) -> Int[Tensor, "batch features"]:
    """Count the features of each sentence with its tags; ``kinds`` says how many words and tags there are.

    In this order: word w has tag a; tag a is followed by tag b; the first tag is a; the last tag is a.
    """
    lengths = prefix_lengths(mask)
    counted = []
    for numbers, kind in zip((words, tags), kinds, strict=True):
        one_hot = nn.functional.one_hot(numbers.masked_fill(~mask, 0), kind)
        counted.append(one_hot * mask[..., None])
    word, tag = counted  # (batch, length, words), (batch, length, tags)
    parts = [word.mT @ tag, tag[:, :-1].mT @ tag[:, 1:], tag[:, 0], pick(tag, lengths)]
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def feature_weights(table: Float[Tensor, "words tags"], chain: LinearChainCRF) -> Float[Tensor, " features"]:
    """Give the weight of each feature of :func:`feature_counts`, when a word's row of ``table`` is its emissions."""
    return torch.cat([part.flatten() for part in (table, chain.transition, chain.start, chain.end)])
