"""Chapter 13, measured: a translator of nothing but attention beside the recurrent ones, on the same sentences.

It trains on the splits of :mod:`attention_src.experiments.protocol`, with a warm-up in front of the protocol's plan.
The numbers of Bahdanau's and Luong's translators are those of chapters 05 and 06: the same corpora, seeds, batches and
steps (1000 on English-French as in chapter 05, 700 on English-Japanese as in chapter 06). See ``RULES`` for what was
expected before the run.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from statistics import median

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from attention_src import plots
from attention_src.alignment import alignment_error_rate, hardest, later
from attention_src.bahdanau import Bahdanau
from attention_src.data.batches import Batch, Bitext
from attention_src.data.translation import BANDS, GRAMMARS, Pair
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.luong import build as build_luong
from attention_src.experiments.protocol import (
    BATCH,
    LONGEST,
    PLAN,
    encoded,
    languages,
    quality,
    splits,
    translation_loss,
)
from attention_src.experiments.protocol import SETTINGS as PROTOCOL
from attention_src.experiments.results import Results, load, load_model
from attention_src.training import Plan, fit
from attention_src.transformer import Transformer, nothing_said

FRENCH, JAPANESE = "english_french", "english_japanese"
SIZES = {"width": 44, "heads": 4, "inner": 72, "layers": 2, "norm_first": True}  # as many numbers as Bahdanau's
STEPS = {FRENCH: 1000, JAPANESE: 700}
WARM_UP = 100
DEPTHS = [1, 2, 3]
DEEP = {"width": 32, "heads": 4, "inner": 64, "layers": 6}  # of the comparison of the two orders
NORMS = {"sizes": DEEP, "steps": 100, "rate": 4e-3, "warm_up": 50, "longest": 8, "last": 20}
SPEED = {"sentences": 64, "words": 20, "repeats": 3}
SETTINGS = PROTOCOL | {
    "steps": STEPS,
    "sizes": SIZES,
    "warm_up": WARM_UP,
    "depths": DEPTHS,
    "norms": NORMS,
    "speed": SPEED,
}


@dataclass(frozen=True)
class WarmUp(Plan):
    """The book's plan, with a straight line from zero in front."""

    warm_up: int = 0

    def rate_at(self, step: int) -> float:
        """The learning rate of step ``step``, counted from 0.

        >>> [round(WarmUp(steps=10, rate=1.0, warm_up=4).rate_at(step), 2) for step in (0, 1, 3, 5, 9)]
        [0.25, 0.5, 1.0, 1.0, 0.33]
        """
        return super().rate_at(step) * min(1.0, (step + 1) / max(self.warm_up, 1))


def build(corpus: str, **sizes) -> Transformer:
    """Make an untrained translator."""
    return Transformer(*map(len, languages(corpus)), **SIZES | sizes)


def trained(run: Run, corpus: str, **sizes) -> tuple[Transformer, Measures]:
    """Train a translator; give it with its quality, its alignments, its size and its loss."""
    model, some = build(corpus, **sizes), splits(corpus, run.seed)
    plan = WarmUp(steps=STEPS[corpus], rate=PLAN.rate, warm_up=WARM_UP)
    batches = Bitext(some.train, *languages(corpus), size=BATCH, seed=run.seed)
    losses = fit(model, translation_loss, batches.batch_at, plan, report=run.progress)
    return model, quality(model, some.bands, corpus) | {
        "layers": alignments(model, some.bands[11, 20], corpus),
        "parameters": count(model),
        "loss": float(np.mean(losses[-50:])),
    }


def count(model: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(parameter.numel() for parameter in model.parameters())


def translator(run: Run, corpus: str, keep: str = "", **sizes) -> Measures:
    """One translator, measured, and kept under the name ``keep`` if there is one."""
    model, measures = trained(run, corpus, **sizes)
    if keep:
        run.keep(keep, model, {"corpus": corpus, "sizes": SIZES | sizes})
    return measures


# Where it looks


@torch.no_grad()
def cross_weights(model: Transformer, some: Sequence[Pair], corpus: str) -> list[Tensor]:
    """The looks at the source with the true words fed in, (layers, heads, target, source) for each pair.

    The row of the end mark is left out.
    """
    tables = []
    for batch in encoded(some, corpus):
        looks = torch.stack(model.looks(batch.source, batch.source_mask, batch.given).cross, dim=1)
        for row, steps, words in zip(looks, batch.target_mask.sum(1), batch.source_mask.sum(1), strict=True):
            tables.append(row[:, :, : steps - 1, :words])
    return tables


def alignments(model: Transformer, some: Sequence[Pair], corpus: str) -> Measures:
    """Alignment error of each layer, in percent, lowest layer first: of the mean of its heads, and of each head.

    ``earlier`` is the error if a look is counted for the word that is fed in, and not for the one that is to be said.
    """
    tables, gold = cross_weights(model, some, corpus), [set(pair.links) for pair in some]

    def error(chosen: Callable[[Tensor], Tensor], by: int = 0) -> float:
        links = [later(hardest(chosen(table)), by, table.shape[2]) for table in tables]
        return 100 * alignment_error_rate(links, gold).error

    layers, heads = tables[0].shape[:2]
    return {
        "mean": [error(lambda table, at=at: table[at].mean(dim=0)) for at in range(layers)],
        "earlier": [error(lambda table, at=at: table[at].mean(dim=0), -1) for at in range(layers)],
        "heads": [
            [error(lambda table, at=at, head=head: table[at, head]) for head in range(heads)] for at in range(layers)
        ],
    }


# The two orders


def norms(run: Run) -> Measures:
    """Train deep, narrow translators on short sentences, in both orders, with and without a warm-up."""
    some, measures = splits(FRENCH, run.seed, NORMS["longest"]).train, {}
    for order, norm_first in (("post", False), ("pre", True)):
        for name, warm_up in (("warm", NORMS["warm_up"]), ("cold", 0)):
            torch.manual_seed(run.seed)
            model = build(FRENCH, **DEEP, norm_first=norm_first)
            batches = Bitext(some, *languages(FRENCH), size=BATCH, seed=run.seed)
            plan = WarmUp(steps=NORMS["steps"], rate=NORMS["rate"], warm_up=warm_up)
            losses = fit(model, translation_loss, batches.batch_at, plan, report=run.progress)
            measures[f"{order}_{name}"] = {
                "loss": float(np.mean(losses[-NORMS["last"] :])),
                "curve": np.reshape(losses, (-1, NORMS["last"])).mean(axis=1).tolist(),
            }
    return measures


def first_gradients(run: Run) -> Measures:
    """How large the gradient is at the first weights: of each decoder layer's last matrix, lowest layer first."""
    some, measures = splits(FRENCH, run.seed, NORMS["longest"]).train, {}
    batch = Bitext(some, *languages(FRENCH), size=BATCH, seed=run.seed).batch_at(0)
    for order, norm_first in (("post", False), ("pre", True)):
        torch.manual_seed(run.seed)
        model = build(FRENCH, **DEEP, norm_first=norm_first)
        translation_loss(model, batch).backward()
        measures[order] = [float(layer.alone[2].weight.grad.norm()) for layer in model.decoder]
    return measures


# Speed


def speed(run: Run) -> Measures:
    """Target words a second on one thread: training (forward and backward), and saying words one by one.

    Untrained networks of the sizes that were trained, on sentences of one length; the fastest of several rounds.
    """
    torch.manual_seed(run.seed)
    models = {
        "transformer": build(FRENCH),
        "bahdanau": Bahdanau(*map(len, languages(FRENCH))),
        "luong": build_luong(FRENCH, "general", "global"),
    }
    batch = one_length()
    measures: Measures = {"training": {}, "saying": {}}
    for name, model in models.items():
        measures["training"][name] = words_a_second(lambda model=model: translation_loss(model, batch).backward())
        measures["saying"][name] = words_a_second(lambda model=model: say(model, batch))
    measures["saying"]["uncached"] = words_a_second(lambda: say(models["transformer"], batch, cached=False))
    return measures


def one_length() -> Batch:
    """Pairs of equally many words, drawn at random: words that mean nothing."""
    rows, words = SPEED["sentences"], SPEED["words"]
    side, yes = torch.randint(4, 200, (rows, words)), torch.ones(rows, words, dtype=torch.bool)
    return Batch(side, yes, side, side, yes)


@torch.no_grad()
def say(model: nn.Module, batch: Batch, cached: bool = True) -> None:
    """Read the sentences, and say as many words as they have."""
    memory, state = model.encode(batch.source, batch.source_mask)
    step, state = (model.step, state) if cached else (model.step_again, nothing_said(memory))
    token = batch.given[:, 0]
    for _ in range(SPEED["words"]):
        said = step(token, state, memory)
        token, state = said.logits.argmax(dim=-1), said.state


def words_a_second(way: Callable[[], None]) -> float:
    """Of the fastest of several rounds, because other programs only ever make it slower."""
    way()  # the first calls of a program are slow
    rounds = []
    for _ in range(SPEED["repeats"]):
        began = time.perf_counter()
        way()
        rounds.append(time.perf_counter() - began)
    return SPEED["sentences"] * SPEED["words"] / min(rounds)


PARTS = {
    "french": partial(translator, corpus=FRENCH, keep="transformer"),
    **{f"japanese_{depth}": partial(translator, corpus=JAPANESE, layers=depth) for depth in DEPTHS},
    "norms": norms,
    "first_gradients": first_gradients,
    "speed": speed,
}


@cache
def theirs(stem: str, path: str) -> float:
    """The median over seeds of a number that another chapter measured."""
    return median(load(stem).over_seeds(path).values)


def trained_bands() -> list[str]:
    """The bands of the trained lengths."""
    return ["{}-{}".format(*band) for band in BANDS if band[1] <= LONGEST]


def trained_mean(measures: Measures, part: str) -> float:
    """Sentences exactly right, averaged over the bands of the trained lengths."""
    return float(np.mean([measures[part]["exact"][band] for band in trained_bands()]))


def their_mean(stem: str, part: str) -> float:
    """The same of another chapter's translator, from the medians over its seeds."""
    return float(np.mean([theirs(stem, f"{part}.exact.{band}") for band in trained_bands()]))


RULES = [
    Rule(
        "no-larger",
        "On English-French it has no more parameters than Bahdanau's translator.",
        lambda m: m["french"]["parameters"] <= theirs("bahdanau", "search.parameters"),
        at_least=5,
    ),
    Rule(
        "as-good-where-trained",
        "On English-French, within the trained lengths and after as many steps, it gets at most 5 points fewer "
        "sentences exactly right than the median of Bahdanau's translator.",
        lambda m: trained_mean(m, "french") > their_mean("bahdanau", "search") - 5,
    ),
    Rule(
        "falls-beyond",
        "On English-French, at 31 to 40 words, longer than trained, it gets fewer sentences exactly right than the "
        "median of Bahdanau's translator.",
        lambda m: m["french"]["exact"]["31-40"] < theirs("bahdanau", "search.exact.31-40"),
    ),
    Rule(
        "beats-luong-on-japanese",
        "On English-Japanese, within the trained lengths and after as many steps, it gets more sentences exactly right "
        "than the median of Luong's translator (general, global).",
        lambda m: trained_mean(m, "japanese_2") > their_mean("luong", "japanese_general_global"),
    ),
    Rule(
        "last-layer-aligns",
        "On English-French, the mean of the last layer's heads has a lower alignment error than that of the first's.",
        lambda m: m["french"]["layers"]["mean"][-1] < m["french"]["layers"]["mean"][0],
    ),
    Rule(
        "some-head-aligns",
        "On both corpora, the best head has a lower alignment error than the mean of the heads of every layer.",
        lambda m: all(
            min(min(row) for row in m[part]["layers"]["heads"]) < min(m[part]["layers"]["mean"])
            for part in ("french", "japanese_2")
        ),
    ),
    Rule(
        "two-layers-beat-one",
        "On English-Japanese, within the trained lengths, two layers get more sentences exactly right than one.",
        lambda m: trained_mean(m, "japanese_2") > trained_mean(m, "japanese_1"),
    ),
    Rule(
        "post-norm-needs-the-warm-up",
        "With six layers and the norms after the sums, training ends with a higher loss without the warm-up.",
        lambda m: m["norms"]["post_cold"]["loss"] > m["norms"]["post_warm"]["loss"],
    ),
    Rule(
        "pre-norm-does-not",
        "With six layers and no warm-up, training ends with a lower loss with the norms in front than after the sums.",
        lambda m: m["norms"]["pre_cold"]["loss"] < m["norms"]["post_cold"]["loss"],
    ),
    Rule(
        "post-norm-pulls-at-the-top",
        "At the first weights, the gradient of the top decoder layer's last matrix is larger with the norms after the "
        "sums than with the norms in front.",
        lambda m: m["first_gradients"]["post"][-1] > m["first_gradients"]["pre"][-1],
    ),
    Rule(
        "says-words-more-slowly",
        "On one thread, saying words one by one, it says fewer words a second than Bahdanau's translator, with the "
        "cache too.",
        lambda m: m["speed"]["saying"]["transformer"] < m["speed"]["saying"]["bahdanau"],
    ),
    Rule(
        "the-cache-is-faster",
        "On one thread, it says more words a second with the cache than without.",
        lambda m: m["speed"]["saying"]["transformer"] > m["speed"]["saying"]["uncached"],
        at_least=5,
    ),
]

TOLERANCE = {
    "*.parameters": Tolerance(),
    "speed.*": Tolerance(relative=50.0),  # words a second of another machine
    "first_gradients.*": Tolerance(relative=0.01),
    # float32 training is not the same on two processors: after some hundred steps only its quality is
    "*.exact.*": Tolerance(absolute=20.0),
    "*.bleu.*": Tolerance(absolute=12.0),
    "norms.*": Tolerance(relative=0.5),
    "*.loss": Tolerance(relative=0.5),
    "*": Tolerance(absolute=20.0),  # percent of links
}


def load_translator() -> Transformer:
    """Load the translator that the part ``french`` kept."""
    weights, settings = load_model("transformer")
    model = build(settings["corpus"], **settings["sizes"]).eval()
    model.load_state_dict(weights)
    return model


SENTENCE = "the man did not find the big red house"


EXAMPLES = [
    SENTENCE,
    "the white cat sleeps",
    "i know that a small bird sings here",
    "the happy woman has not eaten the cakes because the man sees a black dog",
]


def widget() -> dict:
    """Give what the widget of layers and heads is made from."""
    source, target = languages(FRENCH)
    return {
        "model": load_translator(),
        "source_words": source.words,
        "target_words": target.words,
        "grammar": GRAMMARS[FRENCH],
        "examples": EXAMPLES,
        "sentence": SENTENCE,
        "layer": 2,
        "at": 3,
    }


def _by_length(parts: dict[str, tuple[str, str]]) -> Callable[[Results], Figure]:
    """A chart of sentences exactly right: for each label, the stem and the part that measured it."""
    bands = ["{}-{}".format(*band) for band in BANDS]

    def draw(results: Results) -> Figure:
        files = {"transformer": results} | {stem: load(stem) for stem, _ in parts.values() if stem != "transformer"}
        tables = {label: files[stem].table(f"{part}.exact")[1] for label, (stem, part) in parts.items()}
        return plots.by_length(bands, tables, ylabel="exactly right, %")

    return draw


def _curves(results: Results) -> Figure:
    labels = {"post_cold": "after, no warm-up", "post_warm": "after, warm-up", "pre_cold": "in front, no warm-up"}
    tables = {label: results.table(f"norms.{name}.curve")[1] for name, label in labels.items()}
    steps = [NORMS["last"] * (point + 1) for point in range(NORMS["steps"] // NORMS["last"])]
    return plots.lines_over_seeds(steps, tables, xlabel="training step", ylabel="loss")


def _gradients(results: Results) -> Figure:
    labels = {"post": "norms after the sums", "pre": "norms in front"}
    tables = {label: results.table(f"first_gradients.{name}")[1] for name, label in labels.items()}
    layers = list(range(1, DEEP["layers"] + 1))
    return plots.lines_over_seeds(layers, tables, xlabel="layer of the decoder", ylabel="length of the gradient")


def _weights_chart(results: Results) -> Figure:
    pair = GRAMMARS[FRENCH].translate(SENTENCE)
    (table,) = cross_weights(load_translator(), [pair], FRENCH)
    gold = {(j, i) for i, j in pair.links}
    return plots.heatmap(table[-1].mean(dim=0).tolist(), pair.target, pair.source, gold=gold)


CHARTS = {
    "french": _by_length(
        {
            "Bahdanau": ("bahdanau", "search"),
            "Transformer": ("transformer", "french"),
            "Luong": ("luong", "french_general_global"),
            "vector": ("bahdanau", "vector"),
        }
    ),
    "japanese": _by_length(
        {
            "Bahdanau": ("luong", "japanese_bahdanau"),
            "Transformer": ("transformer", "japanese_2"),
            "Luong": ("luong", "japanese_general_global"),
        }
    ),
    "depth": _by_length(
        {
            f"{number} layer{'s' if number > 1 else ''}": ("transformer", f"japanese_{number}")
            for number in reversed(DEPTHS)
        }
    ),
    "curves": _curves,
    "gradients": _gradients,
    "weights": _weights_chart,
}
