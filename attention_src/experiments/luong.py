"""Chapter 06, measured: the grid of score by locality, on a language of the same order and on one of another order.

Each part trains one translator, on the splits of :mod:`attention_src.experiments.protocol` but for fewer steps, because
there are so many. See ``RULES`` for what was expected before the run.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from attention_src import plots
from attention_src.alignment import alignment_error_rate, hardest
from attention_src.attention import weigh
from attention_src.bahdanau import Bahdanau
from attention_src.bottleneck import VectorEveryStep
from attention_src.data.translation import BANDS, GRAMMARS, Pair
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.protocol import (
    LONGEST,
    PLAN,
    encoded,
    forced_weights,
    languages,
    needed_places,
    quality,
    splits,
    train,
)
from attention_src.experiments.protocol import SETTINGS as PROTOCOL
from attention_src.experiments.results import Results, descend, load_model
from attention_src.luong import AroundAGuess, AroundTheStep, Everywhere, Luong
from attention_src.scores import Bilinear, Concat, Dot, Location

FRENCH, JAPANESE = "english_french", "english_japanese"
STEPS = 700
REACH = 5  # D: a window has 2 D + 1 words
SIZES = {"width": 32, "hidden": 64}
PLACES = 60  # the places that the location score learns; no source of the bands is longer
DEEP = {"layers": 2, "hidden": 48}  # two layers, one way, with about the parameters of one layer both ways
COST = {"lengths": [50, 100, 200, 400, 800, 1600], "repeats": 9, "hidden": 64}
SMALL = {"width": 16, "hidden": 40}  # of the three translators that a page shows side by side
SENTENCE = "i know that the tired man did not find the big red house"  # of the widget
SETTINGS = PROTOCOL | {
    "steps": STEPS,
    "reach": REACH,
    "sizes": SIZES,
    "places": PLACES,
    "deep": DEEP,
    "cost": COST,
    "small": SMALL,
}


def scores(hidden: int) -> dict[str, Callable[[], nn.Module]]:
    """The four scores of the paper, for states of ``hidden`` numbers."""
    return {
        "location": lambda: Location(hidden, PLACES),
        "dot": Dot,
        "general": lambda: Bilinear(hidden, hidden),
        "concat": lambda: Concat(hidden, hidden, hidden),
    }


def focuses(hidden: int) -> dict[str, Callable[[], nn.Module]]:
    """The three localities of the paper, and local-p with rows that sum to one."""
    return {
        "global": Everywhere,
        "local-m": lambda: AroundTheStep(REACH),
        "local-p": lambda: AroundAGuess(hidden, REACH),
        "local-p, renormalised": lambda: AroundAGuess(hidden, REACH, renormalised=True),
    }


def build(corpus: str, score: str, focus: str, **how) -> Luong:
    """Make an untrained translator by the names of its score and its focus; both ways unless ``how`` says other."""
    source, target = languages(corpus)
    sizes = SIZES | {"both_ways": True} | how
    hidden = sizes["hidden"]
    return Luong(len(source), len(target), scores(hidden)[score](), focuses(hidden)[focus](), **sizes)


def measured(run: Run, model: nn.Module, corpus: str) -> Measures:
    """Train a translator and measure it: quality by length, alignment, size."""
    some = splits(corpus, run.seed)
    losses = train(model, some.train, corpus, run, replace(PLAN, steps=STEPS))
    return quality(model, some.bands, corpus) | {
        "alignment": alignment(model, some.bands[11, 20], corpus),
        "alignment_beyond": alignment(model, some.bands[31, 40], corpus),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "looking": sum(
            parameter.numel() for name, parameter in model.named_parameters() if name.startswith(("score.", "focus."))
        ),
        "loss": float(np.mean(losses[-50:])),
    }


@torch.no_grad()
def alignment(model: nn.Module, some: list, corpus: str) -> Measures:
    """Compare each target word's largest weight with the gold links, the true words fed in; all in percent."""
    weights = [rows[:-1] for rows in forced_weights(model, some, corpus)]  # the last row is the end mark's
    gold = [set(pair.links) for pair in some]
    agreement = alignment_error_rate([hardest(rows) for rows in weights], gold)
    mass = [
        float(rows[j, list(places)].sum())
        for pair, rows in zip(some, weights, strict=True)
        for j, places in needed_places(pair)
    ]
    return {
        "error": 100 * agreement.error,
        "precision": 100 * agreement.precision,
        "recall": 100 * agreement.recall,
        "mass": 100 * float(np.mean(mass)),
    }


def grid(run: Run, corpus: str, score: str, focus: str, keep: str = "", **how) -> Measures:
    """One translator of the grid."""
    model = build(corpus, score, focus, **how)
    measures = measured(run, model, corpus)
    if isinstance(model.focus, AroundAGuess):
        measures |= {"guess": guesses(model, corpus, run.seed), "told": told(model, corpus, run.seed)}
    if keep:
        run.keep(keep, model, {"corpus": corpus, "score": score, "focus": focus} | how)
    return measures


@torch.no_grad()
def guesses(model: Luong, corpus: str, seed: int) -> Measures:
    """How far the guess p_t is from the linked words, the true words fed in.

    ``distance`` in words (median), ``inside`` the percentage of target words with a linked word in the window,
    ``late`` by how much the guess of the last linked word is too small (mean; in words).
    """
    measures: Measures = {"distance": {}, "inside": {}, "late": {}}
    for band, some in splits(corpus, seed).bands.items():
        far, late = [], []
        for pair, centres in zip(some, centres_of(model, some, corpus), strict=True):
            places = [(centres[j], [i + 1 for i in linked]) for j, linked in needed_places(pair)]
            far += [min(abs(i - centre) for i in linked) for centre, linked in places]
            late.append(min(places[-1][1]) - places[-1][0])
        key = "{}-{}".format(*band)
        measures["distance"][key] = float(np.median(far))
        measures["inside"][key] = 100 * float(np.mean(np.array(far) <= REACH))
        measures["late"][key] = float(np.mean(late))
    return measures


def centres_of(model: Luong, some: list[Pair], corpus: str) -> list[list[float]]:
    """The guess p_t of each step of each pair."""
    centres = []
    for batch in encoded(some, corpus):
        memory, state = model.encode(batch.source, batch.source_mask)
        steps = []
        for token in batch.given.unbind(dim=1):
            state = model.step(token, state, memory).state
            steps.append(model.focus.centre(state.layers[:, -1], memory.mask))
        centres += torch.stack(steps, dim=1).tolist()
    return centres


def told(model: Luong, corpus: str, seed: int) -> Measures:
    """The quality of a trained local-p translator whose guess is replaced by the number of the step, as in local-m."""
    learned, model.focus = model.focus, AroundTheStep(REACH)
    measures = quality(model, splits(corpus, seed).bands, corpus)
    model.focus = learned
    return measures


def bahdanau(run: Run, corpus: str) -> Measures:
    """The translator of chapter 05 in the same training."""
    source, target = languages(corpus)
    return measured(run, Bahdanau(len(source), len(target)), corpus)


def small(run: Run, name: str) -> Measures:
    """One of three small translators, made to be shown side by side: of chapter 02, of chapter 05 and of this one."""
    model = small_translator(name)
    some = splits(FRENCH, run.seed)
    train(model, some.train, FRENCH, run)
    run.keep(f"side-{name}", model, {"corpus": FRENCH})
    return quality(model, some.bands, FRENCH) | {
        "parameters": sum(parameter.numel() for parameter in model.parameters())
    }


def small_translator(name: str) -> nn.Module:
    """An untrained translator: ``vector``, ``bahdanau`` or ``luong``."""
    words, (width, hidden) = map(len, languages(FRENCH)), SMALL.values()
    sizes = {"width": width, "hidden": hidden}
    if name == "vector":
        return VectorEveryStep(*words, **sizes, vector=hidden)
    if name == "bahdanau":
        return Bahdanau(*words, **sizes, annotation=hidden, score=hidden, maxout=hidden)
    return build(FRENCH, "general", "global", **sizes)


@torch.no_grad()
def cost(run: Run) -> Measures:
    """Milliseconds of one look at a memory of n words by dot products, with untrained numbers, on one thread."""
    measures: Measures = {}
    draw = torch.Generator().manual_seed(run.seed)
    for words in COST["lengths"]:
        memory = torch.randn(1, words, COST["hidden"], generator=draw)
        state = torch.randn(1, COST["hidden"], generator=draw)
        for name, look in ways_to_look(memory, state).items():
            measures.setdefault(name, {})[f"{words}"] = milliseconds(look)
    return measures


def ways_to_look(memory: Tensor, state: Tensor) -> dict[str, Callable[[], Tensor]]:
    """One look of each kind, each giving a context.

    ``masked`` is local-m as the chapter trains it, which masks what lies outside its window; ``cut`` reads nothing but
    the window; ``guessed`` first guesses where it lies, as local-p does.
    """
    words, hidden = memory.shape[1:]
    mask, place = torch.ones(1, words, dtype=torch.bool), torch.tensor([words // 2])
    score, guess = Dot(), AroundAGuess(hidden, REACH)

    def through(focus: nn.Module) -> Tensor:
        weights = focus(score.compare(state[:, None], memory)[:, 0], mask, state, place)
        return weights[:, None] @ memory

    def cut(centre: int) -> Tensor:
        near = memory[:, max(0, centre - REACH - 1) : centre + REACH]
        return weigh(score.compare(state[:, None], near)) @ near

    everywhere, around = Everywhere(), AroundTheStep(REACH)
    return {
        "global": lambda: through(everywhere),
        "masked": lambda: through(around),
        "cut": lambda: cut(words // 2),
        "guessed": lambda: cut(round(float(guess.centre(state, mask)))),
    }


def milliseconds(look: Callable[[], object], times: int = 50) -> float:
    """The time of one call: the fastest of several rounds, because other programs only ever make it slower."""
    for _ in range(times):
        look()  # the first calls of a program are slow
    rounds = []
    for _ in range(COST["repeats"]):
        began = time.perf_counter()
        for _ in range(times):
            look()
        rounds.append(1000 * (time.perf_counter() - began) / times)
    return min(rounds)


GRID = [
    ("location", "global"),
    ("dot", "global"),
    ("general", "global"),
    ("concat", "global"),
    ("dot", "local-m"),
    ("general", "local-m"),
    ("dot", "local-p"),
    ("general", "local-p"),
]
FEWER = [
    ("location", "global"),
    ("dot", "global"),
    ("general", "global"),
    ("concat", "global"),
    ("general", "local-m"),
    ("general", "local-p"),
]


def key(score: str, focus: str) -> str:
    """The name of a part: ``general_local_m``."""
    return f"{score}_{focus}".replace("-", "_")


PARTS = {
    **{f"french_{key(score, focus)}": partial(grid, corpus=FRENCH, score=score, focus=focus) for score, focus in GRID},
    **{
        f"japanese_{key(score, focus)}": partial(grid, corpus=JAPANESE, score=score, focus=focus)
        for score, focus in FEWER
    },
    "french_renormalised": partial(grid, corpus=FRENCH, score="general", focus="local-p, renormalised"),
    "french_one_way": partial(grid, corpus=FRENCH, score="general", focus="global", both_ways=False),
    "french_deep": partial(grid, corpus=FRENCH, score="general", focus="global", both_ways=False, **DEEP),
    "french_unfed": partial(grid, corpus=FRENCH, score="general", focus="global", feeding=False),
    "french_bahdanau": partial(bahdanau, corpus=FRENCH),
    "japanese_bahdanau": partial(bahdanau, corpus=JAPANESE),
    **{f"small_{name}": partial(small, name=name) for name in ("vector", "bahdanau", "luong")},
    "cost": cost,
}
PARTS["french_general_global"].keywords["keep"] = "luong"
PARTS["french_general_local_p"].keywords["keep"] = "luong-local-p"


def value(measures: Measures, part: str, path: str) -> float:
    """The number at ``path`` of a part: ``value(m, "french_dot_global", "exact.21-30")``."""
    return descend(measures[part], path)


def trained_mean(measures: Measures, part: str, score: str = "exact") -> float:
    """``score`` averaged over the bands of the trained lengths."""
    bands = ["{}-{}".format(*band) for band in BANDS if band[1] <= LONGEST]
    return float(np.mean([measures[part][score][band] for band in bands]))


RULES = [
    Rule(
        "dot-needs-nothing",
        "Global attention adds no parameter with the dot product, and does with general, concat and location.",
        lambda m: (
            m["french_dot_global"]["looking"] == 0
            and all(m[f"french_{score}_global"]["looking"] > 0 for score in ("general", "concat", "location"))
        ),
        at_least=5,
    ),
    Rule(
        "location-is-worst",
        "Among the global scores on English-French, location, which never reads the words, gets the fewest sentences "
        "exactly right within the trained lengths.",
        lambda m: (
            trained_mean(m, "french_location_global")
            < min(trained_mean(m, f"french_{score}_global") for score in ("dot", "general", "concat"))
        ),
    ),
    Rule(
        "simple-scores-are-enough",
        "Within the trained lengths, dot or general is not more than 5 points below concat, on both corpora.",
        lambda m: all(
            max(trained_mean(m, f"{corpus}_{score}_global") for score in ("dot", "general"))
            > trained_mean(m, f"{corpus}_concat_global") - 5
            for corpus in ("french", "japanese")
        ),
    ),
    Rule(
        "window-fits-french",
        "On English-French, where the order is nearly the same, local-m with general is at least as good at 31 to 40 "
        "words, longer than trained, as global with general.",
        lambda m: value(m, "french_general_local_m", "exact.31-40") >= value(m, "french_general_global", "exact.31-40"),
    ),
    Rule(
        "window-fails-japanese",
        "On English-Japanese, where the verb moves to the end, local-m with general gets fewer sentences exactly right "
        "within the trained lengths than global with general.",
        lambda m: trained_mean(m, "japanese_general_local_m") < trained_mean(m, "japanese_general_global"),
    ),
    Rule(
        "guess-finds-japanese",
        "On English-Japanese, local-p, which guesses the place, gets more sentences exactly right within the trained "
        "lengths than local-m, which assumes it; both with general.",
        lambda m: trained_mean(m, "japanese_general_local_p") > trained_mean(m, "japanese_general_local_m"),
    ),
    Rule(
        "guess-does-not-stretch",
        "On English-French, beyond the trained lengths (31 to 40 words) local-p with general falls below local-m with "
        "general.",
        lambda m: value(m, "french_general_local_p", "exact.31-40") < value(m, "french_general_local_m", "exact.31-40"),
    ),
    Rule(
        "the-guess-is-the-limit",
        "On English-French, beyond the trained lengths (31 to 40 words), a trained local-p translator with general "
        "gets more sentences exactly right when its guess is replaced by the number of the step.",
        lambda m: (
            value(m, "french_general_local_p", "told.exact.31-40") > value(m, "french_general_local_p", "exact.31-40")
        ),
    ),
    Rule(
        "one-way-is-worse",
        "On English-French, an encoder that reads one way in one layer gets fewer sentences exactly right within the "
        "trained lengths than one that reads both ways, with general and global.",
        lambda m: trained_mean(m, "french_one_way") < trained_mean(m, "french_general_global"),
    ),
    Rule(
        "feeding-helps",
        "On English-French, with general and global, feeding the last attentional state into the next step gets more "
        "sentences exactly right within the trained lengths than not feeding it.",
        lambda m: trained_mean(m, "french_general_global") > trained_mean(m, "french_unfed"),
    ),
    Rule(
        "luong-aligns-better",
        "At 11 to 20 words, Luong's alignment error, general and global, is lower than Bahdanau's, on both corpora.",
        lambda m: all(
            m[f"{corpus}_general_global"]["alignment"]["error"] < m[f"{corpus}_bahdanau"]["alignment"]["error"]
            for corpus in ("french", "japanese")
        ),
    ),
    Rule(
        "a-window-costs-no-more-on-long-inputs",
        "From 50 to 1,600 words, the time of a look at a window that is cut out grows less than twofold, and that of a "
        "global look more than twofold.",
        lambda m: (
            m["cost"]["cut"]["1600"] < 2 * m["cost"]["cut"]["50"]
            and m["cost"]["global"]["1600"] > 2 * m["cost"]["global"]["50"]
        ),
    ),
]

TOLERANCE = {
    "*.parameters": Tolerance(),
    "*.looking": Tolerance(),
    "cost.*": Tolerance(relative=50.0),  # milliseconds of another machine
    # float32 training is not the same on two processors: after some hundred steps only its quality is
    "*.exact.*": Tolerance(absolute=20.0),
    "*.bleu.*": Tolerance(absolute=12.0),
    "*.loss": Tolerance(relative=0.5),
    "*": Tolerance(absolute=20.0),  # percent of links
}


def load_translator(name: str = "luong") -> Luong:
    """Load a translator that :func:`grid` kept: ``luong`` or ``luong-local-p``."""
    weights, settings = load_model(name)
    model = build(**settings).eval()
    model.load_state_dict(weights)
    return model


def widget() -> dict:
    """Give what the widget with the movable window is made from."""
    source, target = languages(FRENCH)
    pair = GRAMMARS[FRENCH].translate(SENTENCE)
    return {
        "model": load_translator(),
        "source_words": source.words,
        "target_words": target.words,
        "source": pair.source,
        "target": pair.target,
        "at": 6,
        "centre": 6.3,
        "reach": 2,
    }


SIDE_BY_SIDE = [
    "the man did not find the big red house",
    "the white cat sleeps",
    "i know that the small bird has not eaten the cakes but the happy woman sees a black dog",
    "the man did not find the big red house because the children have eaten the red cakes but the tired woman does not "
    "see the queen and i know that a small bird sings here",
]


def side_by_side() -> dict:
    """Give what the widget that shows three translators side by side is made from."""
    source, target = languages(FRENCH)
    shown = {"vector": "one vector", "bahdanau": "look, then step", "luong": "step, then look"}
    models = {}
    for name, label in shown.items():
        models[label] = small_translator(name).eval()
        models[label].load_state_dict(load_model(f"side-{name}")[0])
    return {
        "models": models,
        "source_words": source.words,
        "target_words": target.words,
        "grammar": GRAMMARS[FRENCH],
        "examples": SIDE_BY_SIDE,
        "at": 3,
    }


def _by_length(ylabel: str, tables: dict[str, str]) -> Callable[[Results], Figure]:
    """A chart of several tables of measures by band: their paths with their labels."""
    bands = ["{}-{}".format(*band) for band in BANDS]
    return lambda results: plots.by_length(
        bands, {label: results.table(path)[1] for path, label in tables.items()}, ylabel=ylabel
    )


def _exact(parts: dict[str, str]) -> Callable[[Results], Figure]:
    return _by_length("exactly right, %", {f"{part}.exact": label for part, label in parts.items()})


def _localities(corpus: str) -> dict[str, str]:
    return {f"{corpus}_general_{focus.replace('-', '_')}": focus for focus in ("global", "local-m", "local-p")}


def _scores(corpus: str) -> dict[str, str]:
    return {f"{corpus}_{score}_global": score for score in ("general", "dot", "concat", "location")}


def _cost(results: Results) -> Figure:
    names = {"global": "global", "guessed": "window, guessed", "cut": "window"}
    tables = {label: results.table(f"cost.{name}")[1] for name, label in names.items()}
    lengths = [f"{words:,}" for words in COST["lengths"]]
    return plots.lines_over_seeds(lengths, tables, xlabel="words in the source", ylabel="milliseconds a look")


ENCODERS = {
    "french_general_global": "both ways, one layer",
    "french_deep": "one way, two layers",
    "french_one_way": "one way, one layer",
}
TOLD = {
    "french_dot_local_m.exact": "local-m",
    "french_dot_local_p.told.exact": "local-p, told the step",
    "french_dot_local_p.exact": "local-p",
}
INSIDE = {
    "french_dot_local_p.guess.inside": "French, dot",
    "french_general_local_p.guess.inside": "French, general",
    "japanese_general_local_p.guess.inside": "Japanese, general",
    "french_renormalised.guess.inside": "French, divided",
}
CHARTS = {
    "french_scores": _exact(_scores("french")),
    "french_localities": _exact(_localities("french")),
    "japanese_localities": _exact(_localities("japanese")),
    "encoders": _exact(ENCODERS),
    "told": _by_length("exactly right, %", TOLD),
    "guess": _by_length("linked word in the window, %", INSIDE),
    "cost": _cost,
}
