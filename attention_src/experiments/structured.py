"""Chapter 16, measured: tags with ties, weights with ties, what a chain cannot learn, and what it costs.

See ``RULES`` for what was expected before the run.
"""

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attention_src import plots
from attention_src.data.batches import pad
from attention_src.data.segments import LENGTH, LONGEST, ON, SHORTEST, SYMBOLS, Row, most_frequent, rows
from attention_src.data.tagged import NEXT, START, TAGS, VOCABULARY, WORDS, Tagged, tagged
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.results import Results, load_model
from attention_src.structured import (
    FORBIDDEN,
    Choice,
    Gates,
    LinearChainCRF,
    OneSegment,
    SegmentReader,
    Tagger,
    TiedGates,
)
from attention_src.training import Plan, fit

SETTINGS = {
    "tagging": {"train": [50, 1000], "test": 1000, "batch": 32, "steps": 300, "rate": 2e-2, "hidden": 32},
    "segments": {
        "length": LENGTH,
        "segment": [SHORTEST, LONGEST],
        "on": list(ON),
        "symbols": len(SYMBOLS),
        "test": 1000,
        "batch": 64,
        "steps": 400,
        "rate": 1e-2,
        "hidden": 32,
    },
    "two_apart": {
        "places": 20,
        "keep": 0.95,
        "right": 0.75,
        "train": 500,
        "test": 1000,
        "batch": 32,
        "steps": 200,
        "rate": 3e-2,
    },
    "time": {"lengths": [10, 25, 50, 100, 200], "batch": 32, "repeats": 5},
}
QUIET = lambda done, steps: None  # noqa: E731


# Tagging


def encoded(some: Sequence[Tagged]) -> tuple[Tensor, Tensor, Tensor]:
    """Words, tags and mask of some sentences, padded."""
    words, mask = pad([[VOCABULARY.index(word) for word in one.words] for one in some])
    tags, _ = pad([[TAGS.index(tag) for tag in one.tags] for one in some])
    return words, tags, mask


@cache
def true_chain() -> tuple[Tensor, LinearChainCRF]:
    """The chain that the sentences were drawn from: log p(word | tag) as emissions (words, tags), and its ties."""

    def log(numbers: Sequence[float]) -> Tensor:
        return torch.tensor([math.log(p) if p else FORBIDDEN for p in numbers], dtype=torch.float64)

    emit = torch.stack([log([WORDS[tag].count(w) / len(WORDS[tag]) for w in VOCABULARY]) for tag in TAGS], dim=1)
    chain = LinearChainCRF(len(TAGS)).double().requires_grad_(False)
    chain.start.copy_(log(START))
    chain.transition.copy_(torch.stack([log(NEXT[tag]) for tag in TAGS]))
    return emit, chain


def tagged_well(found: Tensor, tags: Tensor, mask: Tensor) -> Measures:
    """The share of right words, of sentences all right, and of sentences with a pair of tags that never comes."""
    right = (found == tags) & mask
    impossible = torch.tensor([[p == 0 for p in NEXT[tag]] for tag in TAGS])
    pairs = impossible[found[:, :-1].clamp(min=0), found[:, 1:].clamp(min=0)] & mask[:, 1:]
    return {
        "words": float(right.sum() / mask.sum()),
        "sentences": float((right | ~mask).all(dim=1).double().mean()),
        "impossible": float(pairs.any(dim=1).double().mean()),
    }


def best_possible(run: Run) -> Measures:
    """Tag with the chain that the sentences were drawn from: nothing can do better on average."""
    words, tags, mask = encoded(tagged(SETTINGS["tagging"]["test"], f"test {run.seed}"))
    emit, chain = true_chain()
    most_probable = chain.marginals(emit[words], mask).argmax(dim=-1)
    return {
        "viterbi": tagged_well(chain.viterbi(emit[words], mask), tags, mask),
        "marginals": tagged_well(most_probable, tags, mask),
    }


def tagging(run: Run, hidden: int, tied: bool) -> Measures:
    """Train a tagger on few and on many sentences, and test it."""
    how = SETTINGS["tagging"]
    words, tags, mask = encoded(tagged(how["test"], f"test {run.seed}"))
    measures: Measures = {}
    for size in how["train"]:
        some = tagged(size, f"train {run.seed}")
        torch.manual_seed(run.seed)
        model = Tagger(len(VOCABULARY), len(TAGS), hidden, tied)
        train_tagger(model, some, run.seed, how["steps"], how["rate"], how["batch"])
        with torch.no_grad():
            found = model.chain.viterbi(model.emissions(words, mask), mask)
        measures[f"of_{size}"] = tagged_well(found, tags, mask)
    return measures


def train_tagger(
    model: Tagger, some: Sequence[Tagged], seed: int, steps: int, rate: float, batch: int, report: Callable = QUIET
) -> list[float]:
    """Train by -log p of the true tags, for each word of the batch. Give the loss of each step."""
    words, tags, mask = encoded(some)

    def batch_at(step: int) -> tuple[Tensor, ...]:
        chosen = torch.randperm(len(words), generator=torch.Generator().manual_seed(1000 * seed + step))[:batch]
        longest = int(mask[chosen].sum(dim=1).max())
        return words[chosen, :longest], tags[chosen, :longest], mask[chosen, :longest]

    def loss(model: Tagger, given: tuple[Tensor, ...]) -> Tensor:
        return -model(*given).sum() / given[2].sum()

    return fit(model, loss, batch_at, Plan(steps, rate), report=report)


# Weights on a segment

KINDS = {"softmax": Choice, "gates": Gates, "tied": TiedGates, "one_segment": OneSegment}


def as_numbers(some: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor]:
    """Rows as words (a symbol with its light on or off is a word), their answers, and which places are inside."""
    words = [
        [SYMBOLS.index(symbol) + len(SYMBOLS) * light for symbol, light in zip(row.symbols, row.lights, strict=True)]
        for row in some
    ]
    inside = [[row.begin <= place < row.end for place in range(LENGTH)] for row in some]
    return torch.tensor(words), torch.tensor([SYMBOLS.index(row.answer) for row in some]), torch.tensor(inside)


def new_reader(kind: str, hidden: int = 0) -> SegmentReader:
    """An untrained reader whose weights are of this kind."""
    return SegmentReader(2 * len(SYMBOLS), len(SYMBOLS), KINDS[kind](), hidden)


def train_reader(model: SegmentReader, seed: int | str, steps: int, report: Callable = QUIET) -> list[float]:
    """Train by -log p of the answer, on new rows at each step. Give the loss of each step."""
    how = SETTINGS["segments"]

    def loss(model: SegmentReader, given: tuple[Tensor, ...]) -> Tensor:
        words, answers, inside = given
        return cross_entropy(model(words, torch.ones_like(inside))[0], answers)

    return fit(
        model,
        loss,
        lambda step: as_numbers(rows(how["batch"], f"train {seed} {step}")),
        Plan(steps, how["rate"]),
        report=report,
    )


@torch.no_grad()
def read_well(model: SegmentReader, some: Sequence[Row]) -> Measures:
    """The share of right answers, how much of the weight lies in the segment, and the sum of the weights."""
    words, answers, inside = as_numbers(some)
    logits, weights = model(words, torch.ones_like(inside))
    return {
        "right": float((logits.argmax(dim=1) == answers).double().mean()),
        "inside": float(((weights * inside).sum(dim=1) / weights.sum(dim=1)).mean()),
        "sum": float(weights.sum(dim=1).mean()),
    }


def segments(run: Run, kind: str, hidden: int = 0) -> Measures:
    """Train a reader of segments and test it."""
    how = SETTINGS["segments"]
    torch.manual_seed(run.seed)
    model = new_reader(kind, hidden)
    train_reader(model, run.seed, how["steps"])
    if not hidden:
        run.keep(f"segments-{kind}", model, {"kind": kind})
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return read_well(model, rows(how["test"], f"test {run.seed}")) | {"parameters": parameters}


@cache
def unambiguous(size: int) -> float:
    """The share of all strings of this length in which one symbol comes more often than every other."""
    total = 0
    for counts in itertools.product(range(size + 1), repeat=len(SYMBOLS)):
        if sum(counts) == size and sorted(counts)[-1] > sorted(counts)[-2]:
            total += math.factorial(size) // math.prod(map(math.factorial, counts))
    return total / len(SYMBOLS) ** size


def best_answer(row: Row) -> str:
    """The most probable answer for one who knows how rows are made: all segments, each by its probability."""
    votes: Counter[str] = Counter()
    for size in range(SHORTEST, LONGEST + 1):
        for begin in range(LENGTH - size + 1):
            answer = most_frequent(row.symbols[begin : begin + size])
            if not answer:
                continue
            lit = [ON[begin <= place < begin + size] for place in range(LENGTH)]
            chance = math.prod(p if on else 1 - p for p, on in zip(lit, row.lights, strict=True))
            votes[answer] += chance / unambiguous(size) / (LENGTH - size + 1)
    return votes.most_common(1)[0][0]


def exact(run: Run) -> Measures:
    """The share of right answers of one who knows how rows are made; and of one who counts what is lit."""
    some = rows(SETTINGS["segments"]["test"], f"test {run.seed}")
    lit = ["".join(s for s, on in zip(row.symbols, row.lights, strict=True) if on) for row in some]
    return {
        "right": float(np.mean([best_answer(row) == row.answer for row in some])),
        "counts_lit": float(np.mean([most_frequent(seen) == row.answer for seen, row in zip(lit, some, strict=True)])),
    }


# What a first-order chain cannot learn


def two_apart_data(seed: int | str, count: int) -> tuple[Tensor, Tensor]:
    """Tags that mostly equal the tag two places before, and words that say the tag with errors."""
    how = SETTINGS["two_apart"]
    random = np.random.default_rng([int(seed), count])
    tags = random.integers(0, 2, (count, how["places"]))
    for place in range(2, how["places"]):
        keep = random.random(count) < how["keep"]
        tags[:, place] = np.where(keep, tags[:, place - 2], 1 - tags[:, place - 2])
    right = random.random(tags.shape) < how["right"]
    return torch.from_numpy(np.where(right, tags, 1 - tags)), torch.from_numpy(tags)


class PairTagger(nn.Module):
    """A chain of second order, written as a chain of first order: each of its tags is a tag and the one before it."""

    def __init__(self):
        super().__init__()
        self.emit = nn.Embedding(2, 2)
        self.chain = LinearChainCRF(4)  # the pairs (0, 0), (0, 1), (1, 0), (1, 1)
        pairs = torch.arange(4)
        with torch.no_grad():
            self.chain.transition.masked_fill_(pairs[:, None] % 2 != pairs // 2, FORBIDDEN)
            self.chain.start[2:] = FORBIDDEN  # before the first place stands a 0

    def emissions(self, words: Tensor, mask: Tensor) -> Tensor:
        """Score each pair by its second tag."""
        return self.emit(words).repeat(1, 1, 2)

    def forward(self, words: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Give log p(tags)."""
        return self.chain.log_likelihood(self.emissions(words, mask), self.pairs(tags), mask)

    @staticmethod
    def pairs(tags: Tensor) -> Tensor:
        """Number each tag together with the one before it."""
        return 2 * torch.cat([torch.zeros_like(tags[:, :1]), tags[:, :-1]], dim=1) + tags


def two_apart(run: Run) -> Measures:
    """Train three taggers on tags that depend on the tag two before, and count the right words."""
    how = SETTINGS["two_apart"]
    words, tags = two_apart_data(run.seed, how["train"])
    test_words, test_tags = two_apart_data(run.seed + 1000, how["test"])
    torch.manual_seed(run.seed)
    models = {"softmax": Tagger(2, 2, tied=False), "chain": Tagger(2, 2), "pairs": PairTagger()}
    measures: Measures = {}
    for name, model in models.items():

        def batch_at(step: int) -> tuple[Tensor, Tensor]:
            chosen = torch.randperm(len(words), generator=torch.Generator().manual_seed(step))[: how["batch"]]
            return words[chosen], tags[chosen]

        def loss(model: nn.Module, given: tuple[Tensor, Tensor]) -> Tensor:
            return -model(*given, torch.ones_like(given[0], dtype=torch.bool)).mean() / how["places"]

        fit(model, loss, batch_at, Plan(how["steps"], how["rate"]), report=QUIET)
        mask = torch.ones_like(test_words, dtype=torch.bool)
        with torch.no_grad():
            found = model.chain.viterbi(model.emissions(test_words, mask), mask) % 2
        measures[name] = float((found == test_tags).double().mean())
    return measures


# Time


def fastest(work: Callable[[], None], repeats: int) -> float:
    """The milliseconds of the fastest of some calls, after one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return min(times[1:])


def layer_time(kind: str, length: int) -> float:
    """Milliseconds of the weights of a batch of this length, forward and backward."""
    how, layer = SETTINGS["time"], KINDS[kind]()
    scores = torch.randn(how["batch"], length, requires_grad=True)
    mask = torch.ones(how["batch"], length, dtype=torch.bool)
    return fastest(lambda: layer(scores, mask).sum().backward(), how["repeats"])


def reader_time(kind: str) -> float:
    """Milliseconds of a training step of a reader with this kind of weights, whose scores come from a GRU."""
    model = new_reader(kind, SETTINGS["segments"]["hidden"])
    words, answers, inside = as_numbers(rows(SETTINGS["time"]["batch"], "time"))
    mask = torch.ones_like(inside)
    return fastest(lambda: cross_entropy(model(words, mask)[0], answers).backward(), SETTINGS["time"]["repeats"])


def cost(run: Run) -> Measures:
    """Compare the times of the kinds of weights: of the layer alone by length, and in a reader."""
    found = {
        kind: {
            "layer": {str(length): layer_time(kind, length) for length in SETTINGS["time"]["lengths"]},
            "reader": reader_time(kind),
        }
        for kind in KINDS
    }
    first = found["softmax"]
    for kind in found.values():
        kind["times_softmax"] = {n: kind["layer"][n] / first["layer"][n] for n in kind["layer"]}
        kind["reader_times_softmax"] = kind["reader"] / first["reader"]
    return found


GRU = SETTINGS["tagging"]["hidden"]
PARTS = {
    "best_possible": best_possible,
    "alone_softmax": partial(tagging, hidden=0, tied=False),
    "alone_chain": partial(tagging, hidden=0, tied=True),
    "gru_softmax": partial(tagging, hidden=GRU, tied=False),
    "gru_chain": partial(tagging, hidden=GRU, tied=True),
    **{kind: partial(segments, kind=kind) for kind in KINDS},
    "reads_softmax": partial(segments, kind="softmax", hidden=SETTINGS["segments"]["hidden"]),
    "reads_tied": partial(segments, kind="tied", hidden=SETTINGS["segments"]["hidden"]),
    "exact": exact,
    "two_apart": two_apart,
    "cost": cost,
}

RULES = [
    Rule(
        "ties-tag-better",
        "With emissions from each word alone and 1,000 sentences, the chain gets at least 5 points more words right "
        "than the softmax at each place.",
        lambda m: m["alone_chain"]["of_1000"]["words"] > m["alone_softmax"]["of_1000"]["words"] + 0.05,
    ),
    Rule(
        "the-chain-is-near-the-best",
        "It is within 1 point of the chain that the sentences were drawn from.",
        lambda m: m["alone_chain"]["of_1000"]["words"] > m["best_possible"]["viterbi"]["words"] - 0.01,
    ),
    Rule(
        "ties-keep-to-the-grammar",
        "The softmax gives an impossible pair of tags in more than a fifth of the sentences, the chain in fewer than "
        "1 %.",
        lambda m: (
            m["alone_softmax"]["of_1000"]["impossible"] > 0.2 and m["alone_chain"]["of_1000"]["impossible"] < 0.01
        ),
    ),
    Rule(
        "reading-does-it-too",
        "With emissions from a GRU and 1,000 sentences, chain and softmax are within 1 point of each other in words.",
        lambda m: abs(m["gru_chain"]["of_1000"]["words"] - m["gru_softmax"]["of_1000"]["words"]) < 0.01,
    ),
    Rule(
        "ties-need-less-data",
        "With 50 sentences, the chain over words alone gets more words right than the GRU with a softmax.",
        lambda m: m["alone_chain"]["of_50"]["words"] > m["gru_softmax"]["of_50"]["words"],
    ),
    Rule(
        "tied-gates-find-the-segment",
        "With scores from each word alone, tied gates answer at least 10 points more than the softmax and than the "
        "gates without ties.",
        lambda m: m["tied"]["right"] > max(m["softmax"]["right"], m["gates"]["right"]) + 0.1,
    ),
    Rule(
        "one-segment-is-better-still",
        "Weights that know that there is one segment answer more than tied gates.",
        lambda m: m["one_segment"]["right"] > m["tied"]["right"],
    ),
    Rule(
        "a-recurrent-scorer-does-it-too",
        "With scores from a GRU, the plain softmax answers at least as many as tied gates on words alone, less 2 "
        "points.",
        lambda m: m["reads_softmax"]["right"] > m["tied"]["right"] - 0.02,
    ),
    Rule(
        "a-chain-does-not-see-two-apart",
        "Where a tag depends on the one two before, the first-order chain is within 1 point of the softmax, and the "
        "chain of pairs gets at least 5 points more.",
        lambda m: (
            abs(m["two_apart"]["chain"] - m["two_apart"]["softmax"]) < 0.01
            and m["two_apart"]["pairs"] > m["two_apart"]["softmax"] + 0.05
        ),
    ),
    Rule(
        "structure-costs-time",
        "At 50 places, the weights of tied gates take more than 5 times as long as a softmax, forward and backward.",
        lambda m: m["cost"]["tied"]["times_softmax"]["50"] > 5,
    ),
]

TOLERANCE = {
    "*.parameters": Tolerance(),
    "cost.*": Tolerance(relative=50.0),  # milliseconds of another machine
    "best_possible.*": Tolerance(absolute=1e-3),
    "exact.*": Tolerance(absolute=1e-3),
    "*.sum": Tolerance(relative=0.3),
    "*": Tolerance(absolute=0.08),  # shares of networks trained in float32
}


# Pictures and widgets


def load_reader(kind: str) -> SegmentReader:
    """The trained reader of segments with this kind of weights, each word scored alone, that seed 0 kept."""
    weights, settings = load_model(f"segments-{kind}")
    model = new_reader(settings["kind"]).eval()
    model.load_state_dict(weights)
    return model


LOG2, LOG3 = round(math.log(2), 2), round(math.log(3), 2)
STICKY = [[1.0, 0.0], [0.0, 1.0]]


def widget() -> dict:
    """Give what the chain of the page is made from: the case by hand, and others to try."""
    return {
        "examples": {
            "By hand": {"scores": [LOG3, 0, LOG3], "ties": [[LOG2, 0], [0, LOG2]]},
            "False alarm": {"scores": [-1.5, -1.5, 1.5, -1.5, -1, 1, 1.5, 1], "ties": STICKY},
            "Gap": {"scores": [-2, 1.5, 1.5, -0.5, 1.5, 1.5, -2], "ties": STICKY},
            "Turn about": {"scores": [1, 0, 0, 0, 0, 0], "ties": [[-2, 0], [0, -2]]},
        }
    }


SHOWN = rows(1, 216)[0]  # a segment with a gap, and false alarms outside it
NAMES = {"softmax": "softmax", "gates": "gates", "tied": "tied gates", "one_segment": "one segment"}


def draw_weights(weights: Mapping[str, Sequence[float]], row: Row) -> Figure:
    """Draw weights over a row as bars, one panel for each name; shaded is the segment, and dots are lights."""
    colours, places = plots.LIGHT, range(LENGTH)
    figure = Figure(figsize=(plots.WIDTH, 0.85 * len(weights) + 0.7), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(weights), 1, sharex=True))
    for axes, (name, numbers) in zip(panels, weights.items(), strict=True):
        axes.axvspan(row.begin - 0.5, row.end - 0.5, color=colours["rule"], linewidth=0)
        axes.bar(places, np.round(numbers, 3), 0.7, color=colours["accent"])
        axes.set(ylim=(0, 1.05), yticks=[0, 1], xlim=(-0.7, LENGTH - 0.3))
        axes.set_title(name, loc="left", pad=2)
    panels[-1].set_xticks(
        list(places), [f"{s}\n{'●' if on else ''}" for s, on in zip(row.symbols, row.lights, strict=True)]
    )
    panels[-1].tick_params(axis="x", length=0)
    return figure


@torch.no_grad()
def weights_of(model: SegmentReader, row: Row) -> list[float]:
    """The weights that a reader gives the places of one row."""
    words, _, inside = as_numbers([row])
    return model(words, torch.ones_like(inside))[1][0].tolist()


def _weights_chart(results: Results) -> Figure:
    return draw_weights({name: weights_of(load_reader(kind), SHOWN) for kind, name in NAMES.items()}, SHOWN)


def _cost_chart(results: Results) -> Figure:
    lengths = [str(length) for length in SETTINGS["time"]["lengths"]]
    series = {name: np.log10(results.table(f"cost.{kind}.layer")[1]) for kind, name in NAMES.items()}
    axes = Figure(figsize=plots.STYLE["figure.figsize"], layout="constrained").add_subplot()
    axes.set_ylim(-1.2, 3.1)
    axes.set_yticks([-1, 0, 1, 2, 3], ["0.1", "1", "10", "100", "1,000"])
    return plots.lines_over_seeds(lengths, series, xlabel="places", ylabel="milliseconds a batch", ax=axes)


def _tagging_chart(results: Results) -> Figure:
    sizes = [f"{size:,}" for size in SETTINGS["tagging"]["train"]]
    kinds = {
        "GRU, chain": "gru_chain",
        "GRU, softmax": "gru_softmax",
        "word, chain": "alone_chain",
        "word, softmax": "alone_softmax",
    }
    series = {}
    for name, part in kinds.items():
        by_size = [results.over_seeds(f"{part}.of_{size}.words").values for size in SETTINGS["tagging"]["train"]]
        series[name] = 100 * np.transpose(by_size)
    best = results.over_seeds("best_possible.viterbi.words").median
    series["the true chain"] = [[100 * best] * len(sizes)]
    return plots.lines_over_seeds(sizes, series, xlabel="sentences to learn from", ylabel="right tags, %")


CHARTS = {"weights": _weights_chart, "cost": _cost_chart, "tagging": _tagging_chart}
