"""Chapter 07: attention read as an alignment: which source word does each target word belong to?

A link is a pair (source place, target place), both counted from 0. An end mark is no word and has no link.
"""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .recurrent import EncoderDecoder, Memory
from .shapes import at_least_one, checked

Link = tuple[int, int]
Links = set[Link]
Change = Callable[[Tensor, Tensor], Tensor]  # (weights, mask) -> weights


# --- how well links agree ---------------------------------------------------------------------------------------------


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
    """Compare predicted links A with sure links S and possible links P.

    The error rate is one minus (the links in A and S, and again those in
    A and P) / (the links in A, and those in S). All sentences are counted
    together, so a long one counts for more. Sure links are possible ones
    too; without ``possible``, only they are. Where nothing was predicted
    the precision is 1, and where nothing is sure the recall is 1; if there
    is neither, the error is 0.

    >>> alignment_error_rate([{(0, 0), (1, 2)}], [{(0, 0)}], [{(1, 1)}])
    Agreement(error=0.33333333333333337, precision=0.5, recall=1.0)
    """
    possible = sure if possible is None else possible
    if not len(predicted) == len(sure) == len(possible):
        raise ValueError(
            "predicted, sure and possible must have one set of links a sentence,"
            f" but have {len(predicted)}, {len(sure)} and {len(possible)}"
        )
    said = right = allowed = wanted = 0
    for links, must, may in zip(predicted, sure, possible, strict=True):
        said += len(links)
        wanted += len(must)
        right += len(links & must)
        allowed += len(links & (must | may))
    error = 1 - (right + allowed) / (said + wanted) if said + wanted else 0.0
    precision = allowed / said if said else 1.0
    return Agreement(error, precision, right / wanted if wanted else 1.0)


# --- from weights to links --------------------------------------------------------------------------------------------


def hardest(weights: Float[Tensor, "target source"]) -> Links:
    """Link each target word with the source word of its largest weight.

    A row of zeros gets no link.

    >>> weights = torch.tensor([[0.9, 0.1], [0.0, 0.0], [0.3, 0.7]])
    >>> sorted(hardest(weights))
    [(0, 0), (1, 2)]
    """
    largest, best = (found.tolist() for found in weights.max(dim=1))
    return {(i, j) for j, (weight, i) in enumerate(zip(largest, best, strict=True)) if weight > 0}


def heavier(weights: Float[Tensor, "target source"], least: float) -> Links:
    """Link all pairs whose weight is at least ``least``: a target word may get several links, or none.

    >>> sorted(heavier(torch.tensor([[0.9, 0.1], [0.5, 0.5]]), 0.5))
    [(0, 0), (0, 1), (1, 1)]
    """
    if not 0 < least <= 1:
        raise ValueError(f"least must be above 0 and at most 1, but is {least}")
    return {(i, j) for j, i in (weights >= least).nonzero().tolist()}


def turned(links: AbstractSet[Link]) -> Links:
    """Give links of the opposite direction as links of this one.

    >>> turned({(0, 2)})
    {(2, 0)}
    """
    return {(j, i) for i, j in links}


def later(links: AbstractSet[Link], by: int, steps: int) -> Links:
    """Give the links of each step to the word ``by`` steps later; what falls off the sentence is dropped.

    >>> later({(5, 0), (7, 1)}, 1, steps=2)
    {(5, 1)}
    """
    return {(i, j + by) for i, j in links if 0 <= j + by < steps}


def grown(both: AbstractSet[Link], either: AbstractSet[Link]) -> Links:
    """Grow the links that both directions gave by neighbours that only one of them gave.

    A link of ``either`` is added if it touches a link that is there, from
    one of eight sides, and if one of its two words has no link yet.

    >>> sorted(grown({(0, 0)}, {(0, 0), (0, 1), (1, 1), (5, 5)}))
    [(0, 0), (0, 1), (1, 1)]
    """
    links, waiting = set(both), sorted(either - both)
    added = True
    while added:
        added = False
        for i, j in waiting:
            one_free = all(i != row for row, _ in links) or all(j != column for _, column in links)
            if one_free and any(max(abs(i - row), abs(j - column)) == 1 for row, column in links):
                links.add((i, j))
                added = True
    return links


# --- links without a network ------------------------------------------------------------------------------------------

Numbers = Sequence[int]
Group = tuple[Int[np.ndarray, "batch source"], Int[np.ndarray, "batch target"]]


class IBMModel1:
    """Brown and others (1993): each target word was made by one source word, or by none of them.

    ``table[e, f]`` is p(f | e): how probable target word f is if source
    word e makes it. The last row is the null word, which stands beside
    every source sentence and makes the words that no source word makes;
    its links are not counted.

    :param source_words: size of the source vocabulary
    :param target_words: size of the target vocabulary
    :param tension: 0 if all places of the source are equally likely to make a word; the larger, the more are those
        at about the same share of the way through the sentence
    """

    def __init__(self, source_words: int, target_words: int, tension: float = 0.0):
        at_least_one(source_words=source_words, target_words=target_words)
        if tension < 0:
            raise ValueError(f"tension must be 0 or more, but is {tension}")
        self.null, self.tension = source_words, tension
        self.table = np.full((source_words + 1, target_words), 1 / target_words)

    def prior(self, source: int, target: int) -> Float[np.ndarray, "target places"]:
        """How likely each place is to make each word, before any word is read.

        The null word is the last place, as likely as one word on average.
        """
        way = np.arange(1, target + 1)[:, None] / target
        gaps = abs(way - np.arange(1, source + 1) / source)
        near = np.exp(-self.tension * gaps)
        near *= source / (source + 1) / near.sum(axis=1, keepdims=True)
        return np.pad(near, ((0, 0), (0, 1)), constant_values=1 / (source + 1))

    def places(self, sources: Int[np.ndarray, "batch source"]) -> Int[np.ndarray, "batch 1 places"]:
        """Put the null word after each sentence."""
        return np.pad(sources, ((0, 0), (0, 1)), constant_values=self.null)[:, None]

    def joint(
        self,
        sources: Int[np.ndarray, "batch source"],
        targets: Int[np.ndarray, "batch target"],
    ) -> Float[np.ndarray, "batch target places"]:
        """p(place a makes this word, and the word is f) for each target word."""
        prior = self.prior(sources.shape[1], targets.shape[1])
        return prior * self.table[self.places(sources), targets[:, :, None]]

    def learn(self, groups: Iterable[Group]) -> float:
        """One round of EM; gives the log-likelihood before it."""
        counts, likelihood = np.zeros_like(self.table), 0.0
        for sources, targets in groups:
            joint = self.joint(sources, targets)
            words = joint.sum(axis=2, keepdims=True)
            cells = self.places(sources) * counts.shape[1] + targets[:, :, None]
            shares = (joint / words).ravel()  # whose word is it?
            found = np.bincount(cells.ravel(), shares, counts.size)
            counts += found.reshape(counts.shape)
            likelihood += float(np.log(words).sum())
        seen = counts.sum(axis=1) > 0  # a word that never occurs learns nothing
        self.table[seen] = counts[seen] / counts[seen].sum(axis=1, keepdims=True)
        return likelihood

    def fit(self, pairs: Iterable[tuple[Numbers, Numbers]], rounds: int) -> list[float]:
        """Learn from sentence pairs alone; gives the log-likelihood before each round of EM, which never falls."""
        groups = grouped(pairs)
        return [self.learn(groups) for _ in range(rounds)]

    def posterior(self, source: Numbers, target: Numbers) -> Float[np.ndarray, "target places"]:
        """How probable it is that each place made each word, now that the words are read."""
        ((sources, targets),) = grouped([(source, target)])
        joint = self.joint(sources, targets)[0]
        return joint / joint.sum(axis=1, keepdims=True)

    def align(self, source: Numbers, target: Numbers) -> Links:
        """Link each target word with its most probable source word; a word of the null word gets no link."""
        best = self.posterior(source, target).argmax(axis=1).tolist()
        return {(i, j) for j, i in enumerate(best) if i < len(source)}


def grouped(pairs: Iterable[tuple[Numbers, Numbers]]) -> list[Group]:
    """Put the pairs of equal lengths together, so that each group is two arrays.

    >>> [(source.shape, target.shape) for source, target in grouped([([1, 2], [3]), ([4], [5]), ([6, 7], [8])])]
    [((2, 2), (2, 1)), ((1, 1), (1, 1))]
    """
    groups: dict[tuple[int, int], list[tuple[Numbers, Numbers]]] = {}
    for source, target in pairs:
        if not (len(source) and len(target)):
            raise ValueError("pairs must have at least one word on each side, but one has none: leave it out")
        groups.setdefault((len(source), len(target)), []).append((source, target))
    if not groups:
        raise ValueError("pairs is empty: there is nothing to learn from")
    return [tuple(np.array(side) for side in zip(*group, strict=True)) for group in groups.values()]


# --- other weights than the translator's own --------------------------------------------------------------------------


@checked
def told(memory: Memory, weights: Float[Tensor, "batch source"]) -> Memory:
    """Give a memory from which every look brings the mixture of ``weights``.

    Each value becomes the mixture itself. However the translator weighs
    equal values, it gets this one, if its own weights sum to one.
    """
    mixture = weights[:, None] @ memory.value  # (batch, 1, value)
    return memory._replace(value=mixture.expand_as(memory.value))


def follow_told(
    step: Callable,
    given: Int[Tensor, "batch target"],
    state: Any,
    memory: Memory,
    change: Change,
    onwards: bool,
) -> Float[Tensor, "batch target vocab"]:
    """Step through the words that are given, with each step's weights changed; give the logits.

    With ``onwards`` the decoder goes on from what it then is; without,
    each step begins as if no weight had been changed before.
    """
    logits = []
    for token in given.unbind(dim=1):
        own = step(token, state, memory)
        weights = change(own.weights, memory.mask)
        other = step(token, state, told(memory, weights))
        logits.append(other.logits)
        state = other.state if onwards else own.state
    return torch.stack(logits, dim=1)


@checked
def uniform(
    weights: Float[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
) -> Float[Tensor, "batch source"]:
    """The same weight for every word."""
    return mask / mask.sum(dim=1, keepdim=True).to(weights)


@checked
def sharpened(
    weights: Float[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
) -> Float[Tensor, "batch source"]:
    """All weight for the word that has most."""
    return torch.zeros_like(weights).scatter(1, weights.argmax(dim=1, keepdim=True), 1.0)


@checked
def neighbours(
    weights: Float[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
) -> Float[Tensor, "batch source"]:
    """Each word gets the weight of the word before it; the first gets that of the last."""
    places = torch.arange(weights.shape[1], device=weights.device)
    return torch.where(mask, weights.gather(1, (places - 1) % mask.sum(dim=1, keepdim=True)), 0.0)


def shuffled(draw: torch.Generator) -> Change:
    """The same weights in random order among the words of the sentence, drawn anew at every step."""

    @checked
    def shuffle(
        weights: Float[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source"]:
        lots = torch.rand(weights.shape, generator=draw).masked_fill(~mask, 2.0)  # padding stays behind the words
        return weights.gather(1, lots.argsort(dim=1))

    return shuffle


# --- what the output depends on ---------------------------------------------------------------------------------------


@torch.no_grad()
@checked
def left_out(
    model: EncoderDecoder,
    source: Int[Tensor, " source"],
    given: Int[Tensor, " target"],
) -> Float[Tensor, "target source"]:
    """How much p(y_i) changes when source word x_j is left out, from 0 to 1."""
    words = len(source)
    if words < 2:
        raise ValueError("source must have at least 2 words to leave one out")
    others = ~torch.eye(words, dtype=torch.bool)
    shorter = torch.stack([source[kept] for kept in others])
    without = say(model, shorter, given.expand(words, -1))
    return total_variation(without, say(model, source[None], given[None])).mT


def say(
    model: EncoderDecoder, source: Int[Tensor, "batch source"], given: Int[Tensor, "batch target"]
) -> Float[Tensor, "batch target vocab"]:
    """The probabilities of all words at every step; no sentence is padded."""
    return model(source, torch.ones_like(source, dtype=torch.bool), given).softmax(dim=-1)


def total_variation(p: Float[Tensor, "*#batch vocab"], q: Float[Tensor, "*#batch vocab"]) -> Float[Tensor, "*batch"]:
    """Half the sum of the differences: 0 if two distributions are the same, 1 if they share no word.

    >>> total_variation(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.5, 0.0, 0.5]))
    tensor(0.5000)
    """
    return (p - q).abs().sum(dim=-1) / 2


@checked
def slopes(
    model: EncoderDecoder,
    source: Int[Tensor, " source"],
    given: Int[Tensor, " target"],
    wanted: Int[Tensor, " target"],
) -> Float[Tensor, "target source"]:
    """How steeply log p of the wanted word y_i changes with the vector of x_j: the length of the gradient."""
    steps = len(given)
    vectors: list[Tensor] = []
    listener = model.encoder.embed.register_forward_hook(lambda *call: vectors.append(call[-1]))
    try:  # one copy of the sentence for each step, so that one backward pass gives all gradients
        logits = model(source.expand(steps, -1), torch.ones(steps, len(source)).bool(), given.expand(steps, -1))
    finally:
        listener.remove()
    each = torch.arange(steps)
    (gradient,) = torch.autograd.grad(logits.log_softmax(dim=-1)[each, each, wanted].sum(), vectors)
    return gradient.norm(dim=-1)


@checked
def kendall(one: Float[Tensor, "target source"], other: Float[Tensor, "target source"]) -> Float[Tensor, " target"]:
    """Of all pairs of source words: the share that both order alike, minus the share that they order differently.

    >>> kendall(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 3.0, 2.0]]))
    tensor([0.3333])
    """
    words = one.shape[1]
    if words < 2:
        raise ValueError("one and other must have at least 2 source words: a single one has no order")
    signs = [(table[:, :, None] - table[:, None]).sign() for table in (one, other)]
    return (signs[0] * signs[1]).sum(dim=(1, 2)) / (words * (words - 1))
