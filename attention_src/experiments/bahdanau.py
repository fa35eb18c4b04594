"""Chapter 05, measured: the translator of 2015 against the fixed vector, by length of the sentence.

Five parts train one translator each by the protocol of :mod:`attention_src.experiments.protocol`; one part takes times.
See ``RULES`` for what was expected before the run.
"""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from attention_src import plots
from attention_src.bahdanau import Bahdanau
from attention_src.bottleneck import VectorEveryStep
from attention_src.data.translation import BANDS, GRAMMARS, Pair, pairs
from attention_src.data.vocabulary import BEGIN, END
from attention_src.decoding import Marks, beam
from attention_src.evaluation import bleu
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.protocol import (
    LONGEST,
    LONGEST_ANSWER,
    encoded,
    forced_weights,
    languages,
    needed_places,
    quality,
    splits,
    train,
    translate,
)
from attention_src.experiments.protocol import SETTINGS as PROTOCOL
from attention_src.experiments.results import Results, load_model
from attention_src.recurrent import follow

NAME = "english_french"
SIZES = {"width": 32, "hidden": 64, "annotation": 64, "score": 64, "maxout": 64}
VECTOR = {"width": 32, "hidden": 64, "vector": 64}  # as in chapter 02
ONE_WAY = {"annotation": 55, "both_ways": False}  # one way, and as many parameters as the usual sizes, within 0.1 %
LONG = 50  # the longest sentence of the training that sees long ones
SHORT = [3, 5]  # words of the shortest sentences
BEAM = 5
LEARNED = 1.0  # a loss at which a translator has learned something
CURVE = 25  # steps that one point of a learning curve averages
DRAWN = 4  # points of a learning curve that one mark of its picture averages
COST = {"lengths": [10, 20, 30, 40, 50], "repeats": 15}
SETTINGS = PROTOCOL | {
    "corpus": NAME,
    "sizes": SIZES,
    "vector": VECTOR,
    "one_way": ONE_WAY,
    "long": LONG,
    "short": SHORT,
    "beam": BEAM,
    "learned": LEARNED,
    "curve": CURVE,
    "cost": COST,
}


def build(kind: type[nn.Module], **sizes) -> nn.Module:
    """Make an untrained translator of this chapter, or the fixed vector that it is compared with."""
    source, target = languages(NAME)
    usual = SIZES if kind is Bahdanau else VECTOR
    return kind(len(source), len(target), **usual | sizes)


def trained(run: Run, kind: type[nn.Module], longest: int = LONGEST, **sizes) -> tuple[nn.Module, Measures]:
    """Train one translator by the protocol; give it with its quality, its size and how it learned."""
    some = splits(NAME, run.seed, longest)
    model = build(kind, **sizes)
    losses = np.array(train(model, some.train, NAME, run))
    curve = losses.reshape(-1, CURVE).mean(axis=1)
    measures = quality(model, some.bands, NAME)
    return model, measures | {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "loss": float(np.mean(losses[-50:])),
        "curve": curve.tolist(),
        "learning": CURVE * int((curve >= LEARNED).sum()),  # steps with a loss above LEARNED
    }


def only_trained(run: Run, **how) -> Measures:
    """Train one translator and measure it."""
    return trained(run, **how)[1]


def search(run: Run) -> Measures:
    """Train the chapter's translator, measure it in every way, and keep it."""
    model, measures = trained(run, Bahdanau)
    run.keep("bahdanau", model, {"corpus": NAME, "sizes": SIZES})
    bands = splits(NAME, run.seed).bands
    return (
        measures | probed(model, run.seed) | {"beam": beam_quality(model, bands), "peaks": peaks(model, bands[11, 20])}
    )


def vector(run: Run) -> Measures:
    """Train the fixed vector, shown at every step, and measure it in the same ways."""
    model, measures = trained(run, VectorEveryStep)
    return measures | probed(model, run.seed)


def probed(model: nn.Module, seed: int) -> Measures:
    """Two questions more: the shortest sentences, and one wrong word in the source."""
    short = pairs(GRAMMARS[NAME], PROTOCOL["band_pairs"], f"short {seed}", *SHORT)
    return {
        "short": quality(model, {tuple(SHORT): short}, NAME)["exact"]["{}-{}".format(*SHORT)],
        "noise": noise(model, splits(NAME, seed).bands[3, 10], seed),
    }


def noise(model: nn.Module, some: Sequence[Pair], seed: int) -> Measures:
    """BLEU as it is and with one word of each source replaced, and between the answers to the two."""
    draw, known = random.Random(seed), sorted(GRAMMARS[NAME].source_words)
    sources = [pair.source for pair in some]
    said = [answers(model, sources), answers(model, [one_word_wrong(source, known, draw) for source in sources])]
    wanted = [pair.target for pair in some]
    return {"clean": bleu(said[0], wanted), "wrong": bleu(said[1], wanted), "stays": bleu(said[1], said[0])}


def one_word_wrong(source: Sequence[str], known: Sequence[str], draw: random.Random) -> list[str]:
    """Replace one word, drawn evenly, by another word, drawn evenly.

    >>> one_word_wrong(["the", "cat"], ["cat", "the"], random.Random(0))
    ['the', 'the']
    """
    place = draw.randrange(len(source))
    other = draw.choice([word for word in known if word != source[place]])
    return [*source[:place], other, *source[place + 1 :]]


def answers(model: nn.Module, sources: Sequence[Sequence[str]]) -> list[list[str]]:
    """Translate greedily, to words."""
    target = languages(NAME).target
    return [target.decode(one.tokens) or ["(nothing)"] for one in translate(model, sources, NAME)]


@torch.no_grad()
def beam_quality(model: nn.Module, bands: dict[tuple[int, int], list[Pair]]) -> Measures:
    """BLEU with beam search: ``mean`` divides log p by the length, ``sum`` does not; and how long the answers are."""
    target, measures = languages(NAME).target, {}
    for name, power in (("mean", 1.0), ("sum", 0.0)):
        measures[name], measures[f"{name}_length"] = {}, {}
        for band, some in bands.items():
            said = []
            for batch in encoded(some, NAME):
                memory, state = model.encode(batch.source, batch.source_mask)
                said += beam(model.step, state, memory, Marks(BEGIN, END), LONGEST_ANSWER, BEAM, power)
            words = [target.decode(one.tokens) for one in said]
            wanted = [pair.target for pair in some]
            key = "{}-{}".format(*band)
            measures[name][key] = bleu(words, wanted)
            measures[f"{name}_length"][key] = sum(map(len, words)) / sum(map(len, wanted))
    return measures


@torch.no_grad()
def peaks(model: Bahdanau, some: Sequence[Pair]) -> Measures:
    """Compare the weights with the gold links, the true words fed in: all words, and n' and pas of a negation."""
    on_gold, mass, negations = [], [], []
    for pair, weights in zip(some, forced_weights(model, some, NAME), strict=True):
        best = weights.argmax(dim=1).tolist()
        for j, gold in needed_places(pair):
            on_gold.append(best[j] in gold)
            mass.append(float(weights[j, list(gold)].sum()))
            if pair.target[j] in ("ne", "n'", "pas"):
                negations.append(best[j] in gold)
    return {"on_gold": float(np.mean(on_gold)), "mass": float(np.mean(mass)), "negation": float(np.mean(negations))}


@torch.no_grad()
def cost(run: Run) -> Measures:
    """How long one sentence takes, and what is kept of it, by its length; with untrained networks, one thread.

    ``recomputed`` is the same translator, but it does the keys' half of the score again at every step.
    """
    looks, fixed = build(Bahdanau).eval(), build(VectorEveryStep).eval()
    draw = torch.Generator().manual_seed(run.seed)
    measures = {name: {} for name in ("search", "recomputed", "vector", "kept", "scores")}
    for words in COST["lengths"]:
        source = torch.randint(4, 100, (1, words), generator=draw)
        mask = torch.ones(1, words, dtype=torch.bool)
        memory, _ = looks.encode(source, mask)
        measures["kept"][f"{words}"] = memory.key.numel() + memory.value.numel()
        measures["scores"][f"{words}"] = words * words
        for name, model, again in (("search", looks, False), ("recomputed", looks, True), ("vector", fixed, False)):
            times = [one_sentence(model, source, mask, again) for _ in range(COST["repeats"])]
            measures[name][f"{words}"] = 1000 * min(times)
    return measures


def one_sentence(model: nn.Module, source: torch.Tensor, mask: torch.Tensor, again: bool) -> float:
    """The seconds to read a sentence and to take as many steps as it has words."""

    def step(token, state, memory):
        if again:
            memory = memory._replace(key=model.score.prepare(memory.value))
        return model.step(token, state, memory)

    began = time.perf_counter()
    memory, state = model.encode(source, mask)
    follow(step, source, state, memory)
    return time.perf_counter() - began


PARTS = {
    "search": search,
    "vector": vector,
    "one_way": partial(only_trained, kind=Bahdanau, **ONE_WAY),
    "search_50": partial(only_trained, kind=Bahdanau, longest=LONG),
    "vector_50": partial(only_trained, kind=VectorEveryStep, longest=LONG),
    "cost": cost,
}


def mean_bleu(measures: Measures, part: str) -> float:
    """BLEU averaged over the bands of the trained lengths."""
    return float(np.mean([measures[part]["bleu"]["{}-{}".format(*band)] for band in BANDS if band[1] <= LONGEST]))


RULES = [
    Rule(
        "wins-beyond-20",
        "At 21 to 30 words, looking gets more sentences exactly right than the vector at every step.",
        lambda m: m["search"]["exact"]["21-30"] > m["vector"]["exact"]["21-30"],
        at_least=5,
    ),
    Rule(
        "fewer-parameters",
        "The translator that looks has no more parameters than the one with the vector.",
        lambda m: m["search"]["parameters"] <= m["vector"]["parameters"],
        at_least=5,
    ),
    Rule(
        "flat-where-trained",
        "Within the trained lengths looking does not fall: its BLEU in the longest band is at least nine tenths of "
        "that in the shortest, trained up to 30 words (21 to 30) and up to 50 (41 to 50).",
        lambda m: (
            m["search"]["bleu"]["21-30"] > 0.9 * m["search"]["bleu"]["3-10"]
            and m["search_50"]["bleu"]["41-50"] > 0.9 * m["search_50"]["bleu"]["3-10"]
        ),
    ),
    Rule(
        "vector-falls-where-trained",
        "Within the trained lengths the vector falls: its BLEU in the longest band is less than half of that in the "
        "shortest, trained up to 30 words and up to 50.",
        lambda m: (
            m["vector"]["bleu"]["21-30"] < 0.5 * m["vector"]["bleu"]["3-10"]
            and m["vector_50"]["bleu"]["41-50"] < 0.5 * m["vector_50"]["bleu"]["3-10"]
        ),
    ),
    Rule(
        "long-training-helps",
        "At 41 to 50 words, looking is better after a training with sentences of up to 50 words than of up to 30.",
        lambda m: m["search_50"]["exact"]["41-50"] > m["search"]["exact"]["41-50"],
        at_least=5,
    ),
    Rule(
        "both-ways-is-better",
        "Averaged over the trained lengths, an encoder that reads both ways gives better BLEU than one that reads one "
        "way and has as many parameters.",
        lambda m: mean_bleu(m, "search") > mean_bleu(m, "one_way"),
    ),
    Rule(
        "short-sentences-too",
        "At 3 to 5 words, looking already gets more sentences exactly right than the vector.",
        lambda m: m["search"]["short"] > m["vector"]["short"],
    ),
    Rule(
        "learns-in-fewer-steps",
        f"Looking brings the loss in training below {LEARNED:g} in fewer steps than the vector.",
        lambda m: m["search"]["learning"] < m["vector"]["learning"],
    ),
    Rule(
        "steadier-under-noise",
        "On sentences of 3 to 10 words, one wrong word in the source changes less of what the looking translator says "
        "than of what the vector's says (BLEU between the two answers of the same translator).",
        lambda m: m["search"]["noise"]["stays"] > m["vector"]["noise"]["stays"],
    ),
    Rule(
        "peak-on-gold",
        "Fed with the true words, its largest weight lies on a linked word in more than half of the steps.",
        lambda m: m["search"]["peaks"]["on_gold"] > 0.5,
    ),
    Rule(
        "beam-needs-the-mean",
        "With a beam, averaged over all bands, comparing sentences by log p per word gives better BLEU than by log p.",
        lambda m: (
            np.mean(list(m["search"]["beam"]["mean"].values())) > np.mean(list(m["search"]["beam"]["sum"].values()))
        ),
    ),
]

TOLERANCE = {
    "*.parameters": Tolerance(),
    "cost.kept.*": Tolerance(),
    "cost.scores.*": Tolerance(),
    "cost.*": Tolerance(relative=50.0),  # milliseconds of another machine
    # float32 training is not the same on two processors: after some hundred steps only its quality is
    "*.exact.*": Tolerance(absolute=15.0),
    "*.short": Tolerance(absolute=15.0),
    "*.loss": Tolerance(relative=0.5),
    "*.curve.*": Tolerance(relative=0.5, absolute=0.05),
    "*.learning": Tolerance(relative=0.5),
    "*.peaks.*": Tolerance(absolute=0.2),
    "*_length.*": Tolerance(absolute=0.1),
    "*": Tolerance(absolute=10.0),  # BLEU
}


def load_translator(name: str = "bahdanau") -> Bahdanau:
    """Load the translator that :func:`search` kept."""
    weights, settings = load_model(name)
    model = build(Bahdanau, **settings["sizes"]).eval()
    model.load_state_dict(weights)
    return model


STEP_BY_STEP = [
    "the man did not find the big red house",
    "the happy white dog has eaten the cakes",
    "i know that a small bird sings here",
    "the black cat sleeps because the children have eaten the red cakes but the tired man does not see the queen",
]


def widget() -> dict:
    """Give what the widget that goes through the steps is made from."""
    source, target = languages(NAME)
    return {
        "model": load_translator(),
        "source_words": source.words,
        "target_words": target.words,
        "grammar": GRAMMARS[NAME],
        "examples": STEP_BY_STEP,
        "at": 7,
    }


def _series(results: Results, score: str, parts: dict[str, str]) -> dict[str, list[list[float]]]:
    return {label: results.table(f"{part}.{score}")[1] for part, label in parts.items()}


def _by_length(score: str, ylabel: str, parts: dict[str, str]) -> Callable[[Results], Figure]:
    bands = ["{}-{}".format(*band) for band in BANDS]
    return lambda results: plots.by_length(bands, _series(results, score, parts), ylabel=ylabel)


def _curves(results: Results) -> Figure:
    tables = _series(results, "curve", {"search": "looks", "vector": "vector at every step"})
    tables = {label: np.reshape(rows, (len(rows), -1, DRAWN)).mean(axis=2) for label, rows in tables.items()}
    steps = [DRAWN * CURVE * (point + 1) for point in range(tables["looks"].shape[1])]
    return plots.lines_over_seeds(steps, tables, xlabel="training step", ylabel="loss")


def _cost(results: Results) -> Figure:
    parts = {"recomputed": "looks, keys again each step", "search": "looks", "vector": "vector at every step"}
    tables = {label: results.table(f"cost.{part}")[1] for part, label in parts.items()}
    return plots.lines_over_seeds(COST["lengths"], tables, xlabel="words", ylabel="milliseconds a sentence")


def _weights_chart(results: Results) -> Figure:
    pair = GRAMMARS[NAME].translate("the man did not find the big red house")
    (weights,) = forced_weights(load_translator(), [pair], NAME)
    gold = {(j, i) for i, j in pair.links}
    return plots.heatmap(weights.tolist(), [*pair.target, "(end)"], pair.source, gold=gold)


COMPARED = {
    "search_50": "looks, trained to 50",
    "search": "looks, trained to 30",
    "vector_50": "vector, trained to 50",
    "vector": "vector, trained to 30",
}
CHARTS = {
    "exact": _by_length("exact", "exactly right, %", COMPARED),
    "bleu": _by_length("bleu", "BLEU", COMPARED),
    "ways": _by_length("exact", "exactly right, %", {"search": "reads both ways", "one_way": "reads one way"}),
    "curves": _curves,
    "cost": _cost,
    "weights": _weights_chart,
}
