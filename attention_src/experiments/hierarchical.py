"""Chapter 15, measured: two levels against one, attention against mean and maximum, and where the weights lie.

See ``RULES`` for what was expected before the run.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attention_src import plots
from attention_src.data.documents import (
    ANSWERS,
    CUES,
    DEGREES,
    MEANS,
    QUALITIES,
    THINGS,
    TIMES,
    VOCABULARY,
    WHERE,
    Document,
    as_numbers,
    documents,
    with_other_thing,
    without_cue,
)
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.results import Results, load_model
from attention_src.hierarchical import DocumentReader, FlatReader, Reading
from attention_src.training import Plan, fit

SETTINGS = {
    "answers": len(ANSWERS),
    "qualities": sum(map(len, QUALITIES.values())),
    "sentences": [6, 10],
    "train": [100, 300, 1000, 3000],
    "looked_at": 1000,  # the reader of this many documents is looked at more closely
    "test": 500,
    "longer": [30, 100],
    "batch": 32,
    "steps": 350,
    "rate": 1e-2,
    "width": 16,
    "hidden": 32,
    "hidden_flat": 54,  # one level of this width has about as many parameters as two of the other
}
KINDS = {
    "levels": (DocumentReader, "attention", True),
    "flat": (FlatReader, "attention", True),
    "mean": (DocumentReader, "mean", True),
    "max": (DocumentReader, "max", True),
    "words_alone": (DocumentReader, "attention", False),
    "bag": (FlatReader, "attention", False),
}
DAY = (  # the document that page, lab and widget show
    "the walk in the park was rather chilly today",
    "at-noon the bus was noisy",
    "overall the visit was really mild",
    "the food on the hill was quiet again",
    "the hall was cold at-night",
    "early the trip by the sea was very loud",
)
QUIET = lambda done, steps: None  # noqa: E731


def new_reader(kind: str) -> nn.Module:
    """An untrained reader: one of ``KINDS``."""
    reader, pool, reads = KINDS[kind]
    hidden = SETTINGS["hidden_flat" if reader is FlatReader else "hidden"]
    return reader(len(VOCABULARY), len(ANSWERS), SETTINGS["width"], hidden, pool, reads)


def encoded(some: Sequence[Document]) -> tuple[Tensor, Tensor, Tensor]:
    """Documents as words and mask, and their answers."""
    words, mask = as_numbers([one.sentences for one in some])
    return words, mask, torch.tensor([ANSWERS.index(one.answer) for one in some])


def drawn(count: int, seed: int | str, sentences: Sequence[int] = SETTINGS["sentences"]) -> list[Document]:
    """Draw documents with this many sentences, from the first to the last number."""
    return documents(count, seed, sentences[0], sentences[-1])


def train(model: nn.Module, some: Sequence[Document], seed: int, steps: int, report: Callable = QUIET) -> list[float]:
    """Train by -log p of the answer. Give the loss of each step."""
    words, mask, answers = encoded(some)

    def batch_at(step: int) -> tuple[Tensor, ...]:
        random = torch.Generator().manual_seed(100_000 * (seed + 1) + step)
        chosen = torch.randperm(len(words), generator=random)[: SETTINGS["batch"]]
        return words[chosen], mask[chosen], answers[chosen]

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        return cross_entropy(model(*batch[:2]).logits, batch[2])

    return fit(model, loss, batch_at, Plan(steps, SETTINGS["rate"]), report=report)


@torch.no_grad()
def read(model: nn.Module, some: Sequence[Document]) -> Reading:
    """Read documents, some at a time."""
    words, mask, _ = encoded(some)
    readings = [model(*part) for part in zip(words.split(100), mask.split(100), strict=True)]
    return Reading(*map(torch.cat, zip(*readings, strict=True)))


def answers_of(model: nn.Module, some: Sequence[Document]) -> Tensor:
    """Which answer the reader gives to each document."""
    return read(model, some).logits.argmax(dim=1)


def right(model: nn.Module, some: Sequence[Document]) -> float:
    """The share of right answers."""
    return float((answers_of(model, some) == encoded(some)[2]).double().mean())


def looks(model: nn.Module, some: Sequence[Document]) -> Measures:
    """How much weight lies on the deciding sentence; and, in it, on its cue, on the word that answers, on the rest."""
    reading, each = read(model, some), torch.arange(len(some))
    gold = torch.tensor([one.gold for one in some])
    inside = reading.words[each, gold]
    cue = inside[each, torch.tensor([one.cue for one in some])]
    quality = inside[each, torch.tensor([one.quality for one in some])]
    return {
        "gold": float(reading.sentences[each, gold].mean()),
        "gold_is_largest": float((reading.sentences.argmax(dim=1) == gold).double().mean()),
        "cue": float(cue.mean()),
        "quality": float(quality.mean()),
        "rest": float((inside.sum(dim=1) - cue - quality).mean()),
    }


def needs(model: nn.Module, some: Sequence[Document]) -> Measures:
    """How often the answer changes when one word of the deciding sentence is another: its cue, or its thing."""
    before = answers_of(model, some)

    def changes(other: Sequence[Document]) -> float:
        return float((answers_of(model, other) != before).double().mean())

    return {
        "cue": changes([without_cue(one) for one in some]),
        "thing": changes([with_other_thing(one) for one in some]),
    }


@torch.no_grad()
def said_at_gold(model: DocumentReader, some: Sequence[Document]) -> float:
    """Which share of what speaks for the right answer stands in the state of the deciding sentence.

    The document is a weighted mean of states, so the logits are a sum over the sentences: each says its part.
    """
    words, mask, answers = encoded(some)
    sentences, _ = model.of_words(model.embed(words).flatten(0, 1), mask.flatten(0, 1))
    there = mask.any(dim=2)
    states = model.of_sentences.states(sentences.unflatten(0, there.shape), there)
    rows = model.answer.weight
    for_the_answer = rows[answers] - rows.mean(dim=0)
    parts = model(words, mask).sentences * (states * for_the_answer[:, None]).sum(dim=2)
    at_gold = parts[torch.arange(len(some)), torch.tensor([one.gold for one in some])]
    return float(at_gold.sum() / parts.sum())


def reader(run: Run, kind: str) -> Measures:
    """Train readers of one kind on few and on many documents, and test them."""
    test = drawn(SETTINGS["test"], f"test {run.seed}")
    measures: Measures = {"right": {}, "known": {}}
    for size in SETTINGS["train"]:
        torch.manual_seed(run.seed)
        model = new_reader(kind)
        some = drawn(size, f"train {run.seed}")
        train(model, some, run.seed, SETTINGS["steps"], lambda done, steps: run.progress(done, steps))
        measures["right"][f"of_{size}"] = right(model, test)
        measures["known"][f"of_{size}"] = right(model, some)
        if size == SETTINGS["looked_at"]:
            run.keep(f"documents-{kind}", model, {"kind": kind})
            measures["longer"] = {"6-10": measures["right"][f"of_{size}"]}
            for sentences in SETTINGS["longer"]:
                long = drawn(SETTINGS["test"], f"long {run.seed}", [sentences])
                measures["longer"][str(sentences)] = right(model, long)
            measures["weight"] = looks(model, test)
            measures["changes"] = needs(model, test)
            if kind in ("levels", "mean", "words_alone"):
                measures["said_at_gold"] = said_at_gold(model, test)
    measures["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    return measures


def best_bag(run: Run) -> Measures:
    """The most that can be right, on average, for one who sees the words of a document without their sentences."""
    shares = []
    for one in drawn(SETTINGS["test"], f"test {run.seed}"):
        meanings = Counter(MEANS[word] for sentence in one.sentences for word in sentence if word in MEANS)
        shares.append(max(meanings.values()) / meanings.total())
    return {"right": float(np.mean(shares))}


PARTS = {"best_bag": best_bag, **{kind: partial(reader, kind=kind) for kind in KINDS}}

RULES = [
    Rule(
        "levels-find-the-sentence",
        "With 1,000 documents, two levels of attention answer at least 95 % right, with at least 0.9 of the sentence "
        "weight on the deciding sentence.",
        lambda m: m["levels"]["right"]["of_1000"] >= 0.95 and m["levels"]["weight"]["gold"] >= 0.9,
    ),
    Rule(
        "attention-beats-the-mean",
        "With 1,000 documents, they answer at least 5 points more than means on both levels.",
        lambda m: m["levels"]["right"]["of_1000"] >= m["mean"]["right"]["of_1000"] + 0.05,
    ),
    Rule(
        "attention-beats-the-maximum",
        "With 300 documents, they answer at least 5 points more than maxima on both levels.",
        lambda m: m["levels"]["right"]["of_300"] >= m["max"]["right"]["of_300"] + 0.05,
    ),
    Rule(
        "data-makes-up-for-it",
        "With 3,000 documents, means and maxima are within 3 points of attention.",
        lambda m: (
            min(m["mean"]["right"]["of_3000"], m["max"]["right"]["of_3000"]) >= m["levels"]["right"]["of_3000"] - 0.03
        ),
    ),
    Rule(
        "two-levels-need-less-data",
        "With 300 documents, two levels of attention answer at least 5 points more than attention over all words at "
        "once.",
        lambda m: m["levels"]["right"]["of_300"] >= m["flat"]["right"]["of_300"] + 0.05,
    ),
    Rule(
        "attention-bears-long-documents",
        "From 6 to 10 sentences to 100, which none had in training, two levels of attention lose fewer than 5 points, "
        "and means more than 20.",
        lambda m: (
            m["levels"]["longer"]["100"] > m["levels"]["longer"]["6-10"] - 0.05
            and m["mean"]["longer"]["100"] < m["mean"]["longer"]["6-10"] - 0.2
        ),
    ),
    Rule(
        "word-attention-is-not-on-the-cue",
        "In the deciding sentence the cue gets less than a fifth of the word weight; but the answer changes in more "
        "than half of the documents when it is replaced.",
        lambda m: m["levels"]["weight"]["cue"] < 0.2 and m["levels"]["changes"]["cue"] > 0.5,
    ),
    Rule(
        "without-reading-it-is",
        "Without a GRU on either level, the cue and the word that answers get more than 0.8 of the word weight of the "
        "deciding sentence.",
        lambda m: m["words_alone"]["weight"]["cue"] + m["words_alone"]["weight"]["quality"] > 0.8,
    ),
    Rule(
        "a-bag-cannot",
        "Attention over all words at once, each seen alone, answers fewer than half right, with any number of "
        "documents.",
        lambda m: max(m["bag"]["right"].values()) < 0.5,
    ),
]

TOLERANCE = {
    "*.parameters": Tolerance(),
    "*.longer.*": Tolerance(absolute=0.15),
    "*": Tolerance(absolute=0.1),  # shares of networks trained in float32
}


# Pictures


def load_reader(kind: str) -> nn.Module:
    """The trained reader of this kind that seed 0 kept."""
    weights, settings = load_model(f"documents-{kind}")
    model = new_reader(settings["kind"]).eval()
    model.load_state_dict(weights)
    return model


NAMES = {
    "levels": "two levels",
    "flat": "flat",
    "max": "maximum",
    "mean": "mean",
    "words_alone": "no GRU",
    "bag": "bag",
}


def _data_chart(results: Results) -> Figure:
    sizes = [f"{size:,}" for size in SETTINGS["train"]]
    series = {name: 100 * np.array(results.table(f"{kind}.right")[1]) for kind, name in NAMES.items()}
    return plots.lines_over_seeds(sizes, series, xlabel="documents to learn from", ylabel="right answers, %")


def _longer_chart(results: Results) -> Figure:
    lengths = results.table("levels.longer")[0]
    series = {name: 100 * np.array(results.table(f"{kind}.longer")[1]) for kind, name in NAMES.items()}
    return plots.lines_over_seeds(lengths, series, xlabel="sentences", ylabel="right answers, %")


@torch.no_grad()
def read_day(kind: str) -> Reading:
    """How the trained reader of this kind reads the document of the page."""
    words, mask = as_numbers([[line.split() for line in DAY]])
    return load_reader(kind)(words, mask)


def _weights_chart(results: Results) -> Figure:
    sentences, panels = [line.split() for line in DAY], {}
    for kind, name in (("levels", "two levels"), ("words_alone", "two levels, no GRU")):
        reading = read_day(kind)
        said = ANSWERS[int(reading.logits[0].argmax())]
        inner = [row[: len(one)].tolist() for row, one in zip(reading.words[0], sentences, strict=True)]
        panels[f"{name}: {said}"] = (reading.sentences[0].tolist(), inner)
    return plots.document(sentences, panels, [2])


CHARTS = {"data": _data_chart, "longer": _longer_chart, "weights": _weights_chart}


# The widget


def widget() -> dict:
    """Give what the document of the page is made from."""
    day = "\n".join(DAY)
    rest = {word for phrase in WHERE for word in phrase.split()} | {"the", "was"}
    return {
        "models": {"two levels": load_reader("levels"), "two levels, no GRU": load_reader("words_alone")},
        "words": VOCABULARY.words,
        "answers": ANSWERS,
        "kinds": {
            "cue": CUES,
            "time": TIMES,
            **QUALITIES,
            "thing": THINGS,
            "degree": DEGREES,
            "other": sorted(rest),
        },
        "cues": "cue",
        "examples": {
            "a day": day,
            "no cue": day.replace("overall", "first"),
            "two cues": day.replace("at-night", "altogether"),
            "an empty line": day.replace("\noverall", "\n\noverall"),
            "fifty more lines": "\n".join([DAY[0]] * 50) + "\n" + day,
        },
        "text": day,
    }
