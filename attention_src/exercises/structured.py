"""Exercises of chapter 16: log Z in one pass, the best sequence, the probability of a pair, a chain of segments."""

import itertools
import random
from itertools import compress, product

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from attention_src.data.segments import LENGTH, LONGEST, ON, SHORTEST, SYMBOLS, most_frequent, rows
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments import structured as chapter
from attention_src.structured import SegmentReader
from attention_src.training import Plan, fit


def log_partition(emissions: Tensor, transition: Tensor) -> Tensor:
    """Give log Z of one sentence: emissions (N, T), transition (T, T)."""
    score = emissions[0]
    for emission in emissions[1:]:
        pairs = score[:, None] + transition  # (tag before, tag)
        score = pairs.logsumexp(dim=0) + emission
    return score.logsumexp(dim=0)


def viterbi(emissions: Tensor, transition: Tensor) -> list[int]:
    """Give the best tags: emissions (N, T), transition (T, T)."""
    score, came_from = emissions[0], []
    for emission in emissions[1:]:
        best, before = (score[:, None] + transition).max(dim=0)
        score = best + emission
        came_from.append(before)
    path = [int(score.argmax())]
    for before in reversed(came_from):
        path.append(int(before[path[-1]]))
    return path[::-1]


def pair_marginals(emissions: Tensor, transition: Tensor) -> Tensor:
    """Give p(tag a at place i, tag b at place i + 1): (N - 1, T, T)."""
    ahead, behind = [emissions[0]], [torch.zeros_like(emissions[0])]
    for emission in emissions[1:]:
        pairs = ahead[-1][:, None] + transition
        ahead.append(pairs.logsumexp(dim=0) + emission)
    for emission in emissions[1:].flip(0):
        pairs = transition + emission + behind[-1]
        behind.append(pairs.logsumexp(dim=1))
    log_z = ahead[-1].logsumexp(dim=0)
    before = torch.stack(ahead[:-1])[:, :, None]
    after = (emissions[1:] + torch.stack(behind[-2::-1]))[:, None]
    return (before + transition + after - log_z).exp()


def ordered_ties(allowed: list, tags: int, forbidden: float) -> Tensor:
    """Give ties (T, T): 0 for the allowed pairs, ``forbidden`` for all others."""
    ties = torch.full((tags, tags), forbidden)
    for before, after in allowed:
        ties[before, after] = 0.0
    return ties


def two_segments(count: int, seed: str) -> tuple[Tensor, ...]:
    """Draw rows with two segments that do not touch, and one answer.

    Gives words, answers, and which places are inside.
    """
    chance, found = random.Random(f"two segments {seed}"), []
    while len(found) < count:
        sizes = [chance.randint(SHORTEST, LONGEST) for _ in range(2)]
        first, second = (chance.randrange(LENGTH - size + 1) for size in sizes)
        if second <= first + sizes[0]:
            continue
        inside = [False] * LENGTH
        inside[first : first + sizes[0]] = [True] * sizes[0]
        inside[second : second + sizes[1]] = [True] * sizes[1]
        symbols = chance.choices(range(len(SYMBOLS)), k=LENGTH)
        counted = "".join(SYMBOLS[symbol] for symbol in compress(symbols, inside))
        if answer := most_frequent(counted):
            lit = [chance.random() < ON[here] for here in inside]
            found.append((symbols, lit, SYMBOLS.index(answer), inside))
    symbols, lit, answers, inside = map(torch.tensor, zip(*found, strict=True))
    return symbols + len(SYMBOLS) * lit, answers, inside


def one_or_two(run: Run) -> Measures:
    """Train tied gates and one segment, on rows with one segment and with two; test all four on rows with two."""

    def loss(model: SegmentReader, given: tuple[Tensor, ...]) -> Tensor:
        words, answers, inside = given
        return cross_entropy(model(words, torch.ones_like(inside))[0], answers)

    def one(step: int) -> tuple[Tensor, ...]:
        return chapter.as_numbers(rows(SETTINGS["batch"], f"train {run.seed} {step}"))

    def two(step: int) -> tuple[Tensor, ...]:
        return two_segments(SETTINGS["batch"], f"train {run.seed} {step}")

    words, answers, inside = two_segments(SETTINGS["test"], f"test {run.seed}")
    measures: Measures = {}
    for kind, batch_at in product(("tied", "one_segment"), (one, two)):
        torch.manual_seed(run.seed)
        model = chapter.new_reader(kind)
        fit(model, loss, batch_at, Plan(SETTINGS["steps"], SETTINGS["rate"]), report=run.progress)
        with torch.no_grad():
            logits, weights = model(words, torch.ones_like(inside))
        measures[f"{kind}_{batch_at.__name__}"] = {
            "right": float((logits.argmax(dim=1) == answers).double().mean()),
            "inside": float(((weights * inside).sum(dim=1) / weights.sum(dim=1)).mean()),
        }
    return measures


SETTINGS = {name: chapter.SETTINGS["segments"][name] for name in ("test", "batch", "steps", "rate")}
PARTS = {"one_or_two": one_or_two}
RULES = [
    Rule(
        f"one-segment-suffers-more-{name}",
        f"Trained with {name} and tested with two, tied gates answer more than one segment.",
        lambda m, name=name: m["one_or_two"][f"tied_{name}"]["right"] > m["one_or_two"][f"one_segment_{name}"]["right"],
    )
    for name in ("one", "two")
]
TOLERANCE = {"*": Tolerance(absolute=0.1)}


def _some(length: int = 4, tags: int = 3, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    draw = [torch.randn(shape, generator=random, dtype=torch.float64) for shape in ((length, tags), (tags, tags))]
    return scale * draw[0], scale * draw[1]


def _all(emissions: Tensor, transition: Tensor) -> tuple[list[tuple[int, ...]], Tensor]:
    """All sequences and their scores."""
    length, tags = emissions.shape
    paths = list(itertools.product(range(tags), repeat=length))
    scores = [
        sum(emissions[place, tag] for place, tag in enumerate(path))
        + sum(transition[pair] for pair in itertools.pairwise(path))
        for path in paths
    ]
    return paths, torch.stack([torch.as_tensor(score, dtype=emissions.dtype) for score in scores])


def _hand() -> tuple[Tensor, Tensor]:
    """The case by hand: three gates, factors 3, 1, 3 for open, and 2 for equal neighbours."""
    return torch.tensor([[1.0, 3.0], [1.0, 1.0], [1.0, 3.0]]).log(), torch.tensor([[2.0, 1.0], [1.0, 2.0]]).log()


def _is_the_log_of_74(answer):
    """in the case by hand Z is 74."""
    assert_close(answer(*_hand()).exp(), torch.tensor(74.0))


def _sums_over_all_sequences(answer):
    """it is the log of the sum of exp(score) over all sequences; the row of the ties is the tag before."""
    assert_close(answer(*_some()), _all(*_some())[1].logsumexp(dim=0))


def _begins_without_ties(answer):
    """a sentence of one word has no ties: log Z is that of its emissions."""
    emissions, transition = _some()
    assert_close(answer(emissions[:1], transition), emissions[0].logsumexp(dim=0))


def _stays_finite(answer):
    """scores of 1,000 make no infinity."""
    emissions, transition = (1000 * part for part in _some())
    assert_close(answer(emissions, transition), _all(emissions, transition)[1].max(), rtol=1e-3, atol=0)


def _is_linear_in_the_length(answer):
    """a sentence of 40 words is done at once: not every sequence is looked at."""
    emissions, transition = torch.zeros(40, 3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    assert_close(answer(emissions, transition), 40 * torch.tensor(3.0, dtype=torch.float64).log())


def _opens_all_three(answer):
    """in the case by hand all three gates are open."""
    assert list(answer(*_hand())) == [1, 1, 1]


def _is_the_best_of_all(answer):
    """no sequence has a higher score, for any ties; the row of the ties is the tag before."""
    for scale in (0.5, 1.0, 3.0):
        for turn in (1, -1):
            emissions, transition = _some(scale=scale)
            paths, scores = _all(emissions, turn * transition)
            assert tuple(map(int, answer(emissions, turn * transition))) == paths[int(scores.argmax())]


def _looks_ahead(answer):
    """a tag that is best so far may be wrong: with a last word that is sure, the tags before it change."""
    emissions = torch.tensor([[1.0, 0.0], [0.0, 9.0]])
    transition = torch.tensor([[0.0, -5.0], [0.0, 0.0]])
    assert list(map(int, answer(emissions, transition))) == [1, 1]


def _each_place_sums_to_one(answer):
    """for each two neighbours the table of pairs sums to one."""
    assert_close(answer(*_some()).sum(dim=(1, 2)), torch.ones(3, dtype=torch.float64))


def _is_the_share_of_the_sequences_with_that_pair(answer):
    """each number is the sum of the probabilities of all sequences with that pair at that place."""
    paths, scores = _all(*_some())
    wanted = torch.zeros(3, 3, 3, dtype=torch.float64)
    for path, share in zip(paths, scores.softmax(dim=0), strict=True):
        for place, (a, b) in enumerate(itertools.pairwise(path)):
            wanted[place, a, b] += share
    assert_close(answer(*_some()), wanted)


def _allows_what_is_allowed(answer):
    """the allowed pairs have the tie 0, all others the number that was given; the row is the tag before."""
    found = answer([(0, 0), (0, 1), (1, 1)], 2, -50.0)
    assert_close(found, torch.tensor([[0.0, 0.0], [-50.0, 0.0]]))


def _forbids_what_is_not_named(answer):
    """a pair that nobody names is forbidden, also from a tag to itself."""
    assert_close(answer([], 3, -7.0), torch.full((3, 3), -7.0))


check_log_partition = Checker(
    "log_partition",
    [_is_the_log_of_74, _sums_over_all_sequences, _begins_without_ties, _stays_finite, _is_linear_in_the_length],
)
check_viterbi = Checker("viterbi", [_opens_all_three, _looks_ahead, _is_the_best_of_all])
check_pair_marginals = Checker(
    "pair_marginals", [_each_place_sums_to_one, _is_the_share_of_the_sequences_with_that_pair]
)
check_ordered_ties = Checker("ordered_ties", [_allows_what_is_allowed, _forbids_what_is_not_named])
