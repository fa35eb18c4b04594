"""Chapter 07, measured: is a map of weights an alignment, and is it an explanation?

Every translator trains on the splits of :mod:`attention_src.experiments.protocol`, for as many steps as those of
chapter 06, and is asked about sentences of 11 to 20 words with the true words fed in. See ``RULES`` for what was
expected before the run.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from attention_src import plots
from attention_src.alignment import (
    Change,
    IBMModel1,
    Links,
    alignment_error_rate,
    follow_told,
    grown,
    hardest,
    kendall,
    later,
    left_out,
    neighbours,
    sharpened,
    shuffled,
    slopes,
    total_variation,
    turned,
    uniform,
)
from attention_src.bahdanau import Bahdanau
from attention_src.data.batches import Batch, Bitext
from attention_src.data.translation import GRAMMARS, Pair
from attention_src.experiments import Measures, Rule, Run, Tolerance, bahdanau, luong
from attention_src.experiments.luong import SIZES, STEPS
from attention_src.experiments.luong import build as build_luong
from attention_src.experiments.protocol import (
    BATCH,
    PLAN,
    encoded,
    forced_weights,
    languages,
    needed_places,
    quality,
    splits,
    train,
    translation_loss,
)
from attention_src.experiments.protocol import SETTINGS as PROTOCOL
from attention_src.experiments.results import Results, load_model
from attention_src.luong import Everywhere, Luong
from attention_src.recurrent import follow
from attention_src.scores import Bilinear
from attention_src.training import fit, word_loss

CORPORA = {"french": "english_french", "japanese": "english_japanese", "chinese": "chinese_english"}
BAND = (11, 20)  # words of the sentences that are looked at
ROUNDS = 10  # of EM
TENSION = 4.0  # of the prior for the diagonal: where fast_align begins
PROBED = 40  # sentences of which each word is left out once
CHECKPOINTS = [50, 100, 200, 350, 500, 700]
FEW = 500  # pairs of the training that sees little data
LIE = 1.0  # what an overlap of 1 with the honest map costs a liar
I_LOVE_YOU = "我 爱 你"
SETTINGS = PROTOCOL | {
    "steps": STEPS,
    "band": BAND,
    "rounds": ROUNDS,
    "tension": TENSION,
    "probed": PROBED,
    "checkpoints": CHECKPOINTS,
    "few": FEW,
    "lie": LIE,
}
CLASSES = {  # French words that say little by themselves
    "determiner": "le la l' les ce cet cette ces mon ma mes son sa ses notre nos leur leurs un une des de d' chaque",
    "negation": "ne n' pas jamais",
    "auxiliary": "ai a avons ont est sont",
}


# --- translators ------------------------------------------------------------------------------------------------------


def build(corpus: str, kind: str) -> nn.Module:
    """Make an untrained translator: ``bahdanau``, or Luong's with the score ``general`` or ``dot``; global."""
    name = CORPORA[corpus]
    return Bahdanau(*map(len, languages(name))) if kind == "bahdanau" else build_luong(name, kind, "global")


def trained(run: Run, corpus: str, kind: str) -> nn.Module:
    """Train a translator as chapter 06 does."""
    model = build(corpus, kind)
    train(model, splits(CORPORA[corpus], run.seed).train, CORPORA[corpus], run, replace(PLAN, steps=STEPS))
    return model


def test_pairs(corpus: str, run: Run) -> list[Pair]:
    """The sentences that are looked at."""
    return splits(CORPORA[corpus], run.seed).bands[BAND]


def maps(model: nn.Module, some: Sequence[Pair], corpus: str) -> list[Tensor]:
    """The weights of each pair, (target, source); the row of the end mark is left out."""
    return [rows[:-1] for rows in forced_weights(model, some, CORPORA[corpus])]


# --- alignment --------------------------------------------------------------------------------------------------------


def agreement(predicted: Sequence[Links], some: Sequence[Pair]) -> Measures:
    """Error, precision and recall in percent; ``linked`` is the error where only words with a true link count."""
    gold = [set(pair.links) for pair in some]
    linked = [{j for _, j in links} for links in gold]
    only = [{link for link in links if link[1] in words} for links, words in zip(predicted, linked, strict=True)]
    found = alignment_error_rate(predicted, gold)
    return {
        "error": 100 * found.error,
        "precision": 100 * found.precision,
        "recall": 100 * found.recall,
        "linked": 100 * alignment_error_rate(only, gold).error,
    }


def mapped(model: nn.Module, some: Sequence[Pair], corpus: str) -> Measures:
    """All that a map of weights is asked here."""
    tables = maps(model, some, corpus)
    links = [hardest(rows) for rows in tables]
    shifted = {
        name: [later(one, by, len(pair.target)) for one, pair in zip(links, some, strict=True)]
        for name, by in (("earlier", -1), ("later", 1))
    }
    return {
        "exact": quality(model, {BAND: list(some)}, CORPORA[corpus])["exact"]["{}-{}".format(*BAND)],
        "alignment": agreement(links, some),
        **{name: agreement(moved, some)["error"] for name, moved in shifted.items()},
        "peaks": peaks(tables, some),
        "wrong": wrong(tables, some),
    }


def peaks(tables: Sequence[Tensor], some: Sequence[Pair]) -> Measures:
    """How often the largest weight lies on a linked word, with how much weight, and whether it moves as that does."""
    on_gold, mass, moved, stayed = [], [], [], []
    for rows, pair in zip(tables, some, strict=True):
        best, places = rows.argmax(dim=1).tolist(), needed_places(pair)
        on_gold += [best[j] in gold for j, gold in places]
        mass += [float(rows[j, list(gold)].sum()) for j, gold in places]
        for (last, before), (j, now) in pairwise(places):
            (moved if before != now else stayed).append(best[j] != best[last])
    return {
        "on_gold": percent(on_gold),
        "mass": percent(mass),
        "moves_with_gold": percent(moved),
        "moves_without": percent(stayed),
    }


def wrong(tables: Sequence[Tensor], some: Sequence[Pair]) -> Measures:
    """Where the largest weight lies for linked words if it does not lie on a linked one; shares of these words.

    ``right`` and ``near``: to the right of the nearest true word, and one word away from it. ``next`` and ``last``: on
    a true word of the target word after, and of the one before. ``classes``: the share of the words of a class that
    are wrong (of French ones; other languages have only ``other``).
    """
    right, near, following, before = [], [], [], []
    classes: dict[str, list[bool]] = {}
    for rows, pair in zip(tables, some, strict=True):
        best, needed = rows.argmax(dim=1).tolist(), dict(needed_places(pair))
        for j, gold in needed.items():
            classes.setdefault(word_class(pair.target[j]), []).append(best[j] not in gold)
            if best[j] not in gold:
                gap = min((best[j] - i for i in gold), key=abs)
                right.append(gap > 0)
                near.append(abs(gap) == 1)
                following.append(best[j] in needed.get(j + 1, ()))
                before.append(best[j] in needed.get(j - 1, ()))
    shares = {"right": right, "near": near, "next": following, "last": before}
    return {
        "count": len(right),
        **{name: percent(share) for name, share in shares.items()},
        "classes": {name: percent(share) for name, share in sorted(classes.items())},
    }


def word_class(word: str) -> str:
    """The class of a French word.

    >>> word_class("la"), word_class("maison")
    ('determiner', 'other')
    """
    return next((name for name, words in CLASSES.items() if word in words.split()), "other")


def percent(values: Sequence[float]) -> float:
    """The mean in percent; 0 if there is nothing."""
    return 100 * float(np.mean(values)) if len(values) else 0.0


def by_place(pair: Pair) -> Links:
    """Link each target word with the source word that is as far through its sentence."""
    n, m = len(pair.source), len(pair.target)
    return {(int((j + 0.5) * n / m), j) for j in range(m)}


def best_possible(pair: Pair) -> Links:
    """The best that one link for every target word can be: a true one where there is one."""
    needed = dict(needed_places(pair))
    return {(min(needed.get(j, {0})), j) for j in range(len(pair.target))}


def statistics(run: Run, corpus: str) -> Measures:
    """IBM Model 1 in both directions, with and without the prior for the diagonal; and what needs no learning."""
    name = CORPORA[corpus]
    some, test = splits(name, run.seed).train, test_pairs(corpus, run)
    source, target = languages(name)
    sides = [(source.encode(pair.source), target.encode(pair.target)) for pair in some]
    measures: Measures = {
        "place": agreement([by_place(pair) for pair in test], test),
        "best": agreement([best_possible(pair) for pair in test], test),
        "unlinked": percent([j not in dict(needed_places(pair)) for pair in test for j in range(len(pair.target))]),
        "moves": percent([a[1] != b[1] for pair in test for a, b in pairwise(needed_places(pair))]),
    }
    for label, tension in (("plain", 0.0), ("diagonal", TENSION)):
        forwards = IBMModel1(len(source), len(target), tension)
        backwards = IBMModel1(len(target), len(source), tension)
        likelihood = forwards.fit(sides, ROUNDS)
        backwards.fit([side[::-1] for side in sides], ROUNDS)
        numbers = [(source.encode(pair.source), target.encode(pair.target)) for pair in test]
        one = [forwards.align(*side) for side in numbers]
        other = [turned(backwards.align(*side[::-1])) for side in numbers]
        words = sum(len(pair.target) for pair in some)
        measures[label] = {"bits": [-value / words / np.log(2) for value in likelihood]} | both_ways(one, other, test)
    return measures


def both_ways(one: Sequence[Links], other: Sequence[Links], some: Sequence[Pair]) -> Measures:
    """Agreement of the two directions, and of their intersection, union and grown intersection."""
    joined = list(zip(one, other, strict=True))
    return {
        "forwards": agreement(one, some),
        "backwards": agreement(other, some),
        "both": agreement([a & b for a, b in joined], some),
        "either": agreement([a | b for a, b in joined], some),
        "grown": agreement([grown(a & b, a | b) for a, b in joined], some),
    }


# --- parts ------------------------------------------------------------------------------------------------------------


def translator(run: Run, corpus: str, kind: str) -> Measures:
    """One translator, and all that its map is asked."""
    model = trained(run, corpus, kind)
    measures = mapped(model, test_pairs(corpus, run), corpus)
    return measures | (me_to_i(model, run) if corpus == "chinese" else {})


def me_to_i(model: nn.Module, run: Run) -> Measures:
    """The weights between 我 and i: in "我 爱 你", and wherever the two are linked in the test sentences."""
    pair = GRAMMARS[CORPORA["chinese"]].translate(I_LOVE_YOU)
    (table,) = maps(model, [pair], "chinese")
    some = test_pairs("chinese", run)
    cases = [
        (rows[j], i)
        for rows, one in zip(maps(model, some, "chinese"), some, strict=True)
        for i, j in one.links
        if (one.source[i], one.target[j]) == ("我", "i")
    ]
    return {
        "sentence": {
            "weights": (100 * table).tolist(),
            "of_i": bool(table[0].argmax() == 0),  # is 我 the largest of the weights that I gives?
            "of_me": bool(table[:, 0].argmax() == 0),  # is I the target word that gives 我 most?
            "of_all": bool(table.argmax() == 0),
        },
        "anywhere": {
            "largest": percent([int(row.argmax()) == i for row, i in cases]),
            "weight": percent([float(row[i]) for row, i in cases]),
        },
    }


def bahdanau_french(run: Run) -> Measures:
    """Bahdanau's translator, its map, and whether the map explains."""
    model = trained(run, "french", "bahdanau")
    some = test_pairs("french", run)
    return mapped(model, some, "french") | explained(model, some, "french", run)


def general_french(run: Run) -> Measures:
    """Luong's translator, its map, whether the map explains; and one that is trained to show another map."""
    honest = trained(run, "french", "general")
    some = test_pairs("french", run)
    liar = build("french", "general")
    pairs = splits(CORPORA["french"], run.seed).train
    batches = Bitext(pairs, *languages(CORPORA["french"]), size=BATCH, seed=run.seed)
    fit(liar, lying(honest), batches.batch_at, replace(PLAN, steps=STEPS), report=run.progress)
    run.keep("alignment-liar", liar, {"corpus": "french", "kind": "general"})
    one, other = maps(honest, some, "french"), maps(liar, some, "french")
    overlap = percent([float(value) for a, b in zip(one, other, strict=True) for value in (a * b).sum(dim=1)])
    return {
        "honest": mapped(honest, some, "french") | explained(honest, some, "french", run),
        "liar": mapped(liar, some, "french") | explained(liar, some, "french", run) | {"overlap": overlap},
    }


def lying(honest: nn.Module) -> Callable[[nn.Module, Batch], Tensor]:
    """The loss of a translator that must say the right words, and look where the honest one does not."""

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        memory, state = model.encode(batch.source, batch.source_mask)
        logits, weights = follow(model.step, batch.given, state, memory)
        with torch.no_grad():
            memory, state = honest.encode(batch.source, batch.source_mask)
            _, theirs = follow(honest.step, batch.given, state, memory)
        overlap = (weights * theirs).sum(dim=2)[batch.target_mask].mean()
        return word_loss(logits, batch.wanted, batch.target_mask) + LIE * overlap

    return loss


def general_chinese(run: Run) -> Measures:
    """Luong's translator from Chinese, kept; and whether its weights settle, with training and with data."""
    some = test_pairs("chinese", run)[:100]
    seen: dict[str, list[list[Tensor]]] = {}

    def watched(name: str, kept: int | None = None, seed: int = run.seed) -> nn.Module:
        """Train one more, and look at its map at each checkpoint."""
        model, seen[name] = build("chinese", "general"), []

        def look(step: int, total: int) -> None:
            run.progress(step, total)
            if step in CHECKPOINTS:
                seen[name].append(maps(model, some, "chinese"))

        pairs = splits(CORPORA["chinese"], run.seed).train[:kept]
        train(model, pairs, CORPORA["chinese"], Run(seed, look), replace(PLAN, steps=STEPS))
        return model

    model = watched("own")
    watched("twin", seed=run.seed + 1000)  # other first weights and another order; the same pairs
    watched("few", kept=FEW, seed=run.seed + 2000)
    run.keep("alignment-chinese", model, {"corpus": "chinese", "kind": "general"})
    return (
        mapped(model, test_pairs("chinese", run), "chinese")
        | me_to_i(model, run)
        | {
            "settling": {
                "error": [agreement([hardest(rows) for rows in tables], some)["error"] for tables in seen["own"]],
                "stays": [alike(a, b) for a, b in pairwise(seen["own"])],
                "changes": [apart(a, b) for a, b in pairwise(seen["own"])],
                "twins_alike": [alike(a, b) for a, b in zip(seen["own"], seen["twin"], strict=True)],
                "twins_apart": [apart(a, b) for a, b in zip(seen["own"], seen["twin"], strict=True)],
                "few_error": [agreement([hardest(rows) for rows in tables], some)["error"] for tables in seen["few"]],
                "few_alike": [alike(a, b) for a, b in zip(seen["own"], seen["few"], strict=True)],
                "few_stays": [alike(a, b) for a, b in pairwise(seen["few"])],
            }
        }
    )


def alike(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """In percent of the target words: do both maps have their largest weight on the same source word?"""
    pairs = zip(one, other, strict=True)
    return percent(torch.cat([a.argmax(dim=1) == b.argmax(dim=1) for a, b in pairs]).tolist())


def apart(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """The share of the weight that lies elsewhere, in percent."""
    return percent(torch.cat([total_variation(a, b) for a, b in zip(one, other, strict=True)]).tolist())


def general_japanese(run: Run) -> Measures:
    """Luong's translator into Japanese, and one that goes back: where both agree."""
    some = test_pairs("japanese", run)
    forwards = trained(run, "japanese", "general")
    back = [Pair(pair.target, pair.source, frozenset(turned(pair.links))) for pair in some]
    source, target = languages(CORPORA["japanese"])
    pairs = [Pair(pair.target, pair.source, frozenset()) for pair in splits(CORPORA["japanese"], run.seed).train]
    score = Bilinear(SIZES["hidden"], SIZES["hidden"])
    model = Luong(len(target), len(source), score, Everywhere(), **SIZES, both_ways=True)
    batches = Bitext(pairs, target, source, size=BATCH, seed=run.seed)
    fit(model, translation_loss, batches.batch_at, replace(PLAN, steps=STEPS), report=run.progress)
    other = [turned(hardest(rows)) for rows in maps_back(model, Bitext(back, target, source, size=100).in_order())]
    one = [hardest(rows) for rows in maps(forwards, some, "japanese")]
    return mapped(forwards, some, "japanese") | {"directions": both_ways(one, other, some)}


@torch.no_grad()
def maps_back(model: nn.Module, batches) -> list[Tensor]:
    """The weights of each pair of ready batches, without the row of the end mark."""
    tables = []
    for batch in batches:
        memory, state = model.encode(batch.source, batch.source_mask)
        _, table = follow(model.step, batch.given, state, memory)
        sizes = zip(table, batch.target_mask.sum(1), batch.source_mask.sum(1), strict=True)
        tables += [row[: steps - 1, :words] for row, steps, words in sizes]
    return tables


# --- is the map an explanation? ---------------------------------------------------------------------------------------


def explained(model: nn.Module, some: Sequence[Pair], corpus: str, run: Run) -> Measures:
    """Compare the map with what the output depends on, and put other weights in the place of its own."""
    return {"depends": depends(model, some[:PROBED], corpus), "told": told_otherwise(model, some, corpus, run.seed)}


def depends(model: nn.Module, some: Sequence[Pair], corpus: str) -> Measures:
    """Weights, leaving words out, and gradients: which source word matters most, and do they order words alike?"""
    found: dict[str, list[Tensor]] = {"weights": maps(model, some, corpus), "left_out": [], "slopes": []}
    for pair in some:
        (batch,) = encoded([pair], CORPORA[corpus])
        words, given, wanted, steps = batch.source[0], batch.given[0], batch.wanted[0], len(pair.target)
        found["left_out"].append(left_out(model, words, given)[:steps])
        found["slopes"].append(slopes(model, words, given, wanted)[:steps].detach())
    names = [("weights", "left_out"), ("weights", "slopes"), ("left_out", "slopes")]
    return {
        "error": {name: agreement([hardest(rows) for rows in tables], some)["error"] for name, tables in found.items()},
        "alike": {f"{a}-{b}": alike(found[a], found[b]) for a, b in names},
        "kendall": {
            f"{a}-{b}": float(torch.cat([kendall(x, y) for x, y in zip(found[a], found[b], strict=True)]).mean())
            for a, b in names
        },
        "chance": percent([1 / len(pair.source) for pair in some for _ in pair.target]),
    }


@torch.no_grad()
def told_otherwise(model: nn.Module, some: Sequence[Pair], corpus: str, seed: int) -> Measures:
    """What becomes of the words if each step's weights are changed: at that step alone, and at all steps.

    ``other``: the share of words of which another becomes the most probable; ``moved``: how much probability goes to
    other words; ``right``: the share of words that are then right. All in percent.
    """
    draw = torch.Generator().manual_seed(seed)
    changes: dict[str, Change] = {
        "own": lambda weights, mask: weights,
        "sharpened": sharpened,
        "neighbours": neighbours,
        "shuffled": shuffled(draw),
        "uniform": uniform,
    }
    gathered: dict[str, dict[str, list]] = {}
    for batch in encoded(some, CORPORA[corpus]):
        memory, state = model.encode(batch.source, batch.source_mask)
        own, _ = follow(model.step, batch.given, state, memory)
        for name, change in changes.items():
            for when, onwards in (("once", False), ("always", True)):
                logits = follow_told(model.step, batch.given, state, memory, change, onwards)
                here = gathered.setdefault(f"{name}_{when}", {"other": [], "moved": [], "right": []})
                inside, best = batch.target_mask, logits.argmax(dim=2)
                here["other"] += (best != own.argmax(dim=2))[inside].tolist()
                here["moved"] += total_variation(logits.softmax(dim=2), own.softmax(dim=2))[inside].tolist()
                here["right"] += (best == batch.wanted)[inside].tolist()
    return {name: {what: percent(values) for what, values in measures.items()} for name, measures in gathered.items()}


PARTS = {
    **{f"ibm_{corpus}": partial(statistics, corpus=corpus) for corpus in CORPORA},
    "french_bahdanau": bahdanau_french,
    "french_general": general_french,
    "japanese_bahdanau": partial(translator, corpus="japanese", kind="bahdanau"),
    "japanese_general": general_japanese,
    "chinese_bahdanau": partial(translator, corpus="chinese", kind="bahdanau"),
    "chinese_general": general_chinese,
    "chinese_dot": partial(translator, corpus="chinese", kind="dot"),
}


# --- rules ------------------------------------------------------------------------------------------------------------


def of(measures: Measures, corpus: str, kind: str) -> Measures:
    """What was measured of one translator."""
    part = measures[f"{corpus}_{kind}"]
    return part["honest"] if (corpus, kind) == ("french", "general") else part


def error(measures: Measures, corpus: str, kind: str) -> float:
    """Its alignment error."""
    return of(measures, corpus, kind)["alignment"]["error"]


TRANSLATORS = [(corpus, kind) for corpus in CORPORA for kind in ("bahdanau", "general")] + [("chinese", "dot")]

RULES = [
    Rule(
        "alignment-is-learned",
        "Each translator's alignment error is lower than that of linking each target word with the source word that "
        "is as far through its sentence; on all three corpora.",
        lambda m: all(error(m, c, kind) < m[f"ibm_{c}"]["place"]["error"] for c, kind in TRANSLATORS),
        at_least=5,
    ),
    Rule(
        "general-beats-model-1",
        "Luong's alignment error (general) is lower than that of IBM Model 1 without a prior; on all three corpora.",
        lambda m: all(error(m, c, "general") < m[f"ibm_{c}"]["plain"]["forwards"]["error"] for c in CORPORA),
    ),
    Rule(
        "diagonal-fits-french",
        "The prior for the diagonal takes more from Model 1's alignment error on English-French than on "
        "English-Japanese.",
        lambda m: (
            m["ibm_french"]["plain"]["forwards"]["error"] - m["ibm_french"]["diagonal"]["forwards"]["error"]
            > m["ibm_japanese"]["plain"]["forwards"]["error"] - m["ibm_japanese"]["diagonal"]["forwards"]["error"]
        ),
    ),
    Rule(
        "luong-aligns-better",
        "Luong's alignment error (general) is lower than Bahdanau's; on all three corpora.",
        lambda m: all(error(m, c, "general") < error(m, c, "bahdanau") for c in CORPORA),
    ),
    Rule(
        "no-shift",
        "No translator's map is shifted as a whole: to give its links to the target word before, or to the one after, "
        "raises the alignment error; on all three corpora.",
        lambda m: all(
            error(m, c, kind) < min(of(m, c, kind)["earlier"], of(m, c, kind)["later"]) for c, kind in TRANSLATORS
        ),
    ),
    Rule(
        "wrong-links-look-ahead",
        "On English-French, more than half of Bahdanau's wrong links point to the right of the true word.",
        lambda m: m["french_bahdanau"]["wrong"]["right"] > 50,
    ),
    Rule(
        "small-words-are-wrong",
        "On English-French, Bahdanau's largest weight misses the true word more often for determiners and for the "
        "words of negation than for all words that are no determiner, negation or auxiliary.",
        lambda m: (
            min(m["french_bahdanau"]["wrong"]["classes"][name] for name in ("determiner", "negation"))
            > m["french_bahdanau"]["wrong"]["classes"]["other"]
        ),
    ),
    Rule(
        "me-to-i",
        "In 我 爱 你, the weight of 我 is the largest of those of I; for all three translators.",
        lambda m: all(m[f"chinese_{kind}"]["sentence"]["of_i"] for kind in ("bahdanau", "general", "dot")),
    ),
    Rule(
        "peaks-move",
        "Where the true source word changes from one target word to the next, the largest weight moves in more than "
        "80 % of the steps; for each translator, on all three corpora.",
        lambda m: all(of(m, c, kind)["peaks"]["moves_with_gold"] > 80 for c, kind in TRANSLATORS),
    ),
    Rule(
        "settle-with-training",
        "Chinese-English, general: from the last checkpoint but one to the last, more of the largest weights stay "
        "where they are than from the first to the second.",
        lambda m: m["chinese_general"]["settling"]["stays"][-1] > m["chinese_general"]["settling"]["stays"][0],
    ),
    Rule(
        "settle-across-seeds",
        "Two trainings with other first weights and another order end with more of their largest weights on the same "
        "words than they had at the first checkpoint, and with more than 80 %.",
        lambda m: (
            m["chinese_general"]["settling"]["twins_alike"][-1]
            > max(80, m["chinese_general"]["settling"]["twins_alike"][0])
        ),
    ),
    Rule(
        "settle-with-data",
        f"A training that sees {FEW} pairs ends with fewer of its largest weights where those of the full training "
        "are than a second full training does.",
        lambda m: (
            m["chinese_general"]["settling"]["few_alike"][-1] < m["chinese_general"]["settling"]["twins_alike"][-1]
        ),
    ),
    Rule(
        "agreement-is-precise",
        "English-Japanese, general: the links that both directions give have a higher precision than those of either, "
        "and a lower alignment error.",
        lambda m: all(
            m["japanese_general"]["directions"]["both"]["precision"]
            > m["japanese_general"]["directions"][way]["precision"]
            and m["japanese_general"]["directions"]["both"]["error"] < m["japanese_general"]["directions"][way]["error"]
            for way in ("forwards", "backwards")
        ),
    ),
    Rule(
        "map-is-what-matters",
        "On English-French, for more than half of the target words the largest weight lies on the source word whose "
        "leaving out changes the output most; for Bahdanau's translator and for Luong's (general).",
        lambda m: all(
            of(m, "french", kind)["depends"]["alike"]["weights-left_out"] > 50 for kind in ("bahdanau", "general")
        ),
    ),
    Rule(
        "weights-matter",
        "On English-French, weights in random order at every step leave at least 20 points fewer of the words right; "
        "for both.",
        lambda m: all(
            of(m, "french", kind)["told"]["own_always"]["right"]
            - of(m, "french", kind)["told"]["shuffled_always"]["right"]
            > 20
            for kind in ("bahdanau", "general")
        ),
    ),
    Rule(
        "order-is-what-counts",
        "On English-French, all weight on the largest at every step changes fewer than one word in ten; for both.",
        lambda m: all(
            of(m, "french", kind)["told"]["sharpened_always"]["other"] < 10 for kind in ("bahdanau", "general")
        ),
    ),
    Rule(
        "liar-translates",
        "The translator that was trained to look elsewhere gets at most 10 points fewer sentences exactly right than "
        "the honest one.",
        lambda m: m["french_general"]["liar"]["exact"] > m["french_general"]["honest"]["exact"] - 10,
    ),
    Rule(
        "liar-lies",
        "Its alignment error is more than 50 points higher.",
        lambda m: (
            m["french_general"]["liar"]["alignment"]["error"] > m["french_general"]["honest"]["alignment"]["error"] + 50
        ),
    ),
    Rule(
        "liar-depends-on-the-same-words",
        "Read from the word whose leaving out matters most, the alignment error of the liar is within 10 points of "
        "that of the honest one.",
        lambda m: (
            abs(
                m["french_general"]["liar"]["depends"]["error"]["left_out"]
                - m["french_general"]["honest"]["depends"]["error"]["left_out"]
            )
            < 10
        ),
    ),
]

TOLERANCE = {
    "ibm_*": Tolerance(absolute=0.5),  # counted, not trained: EM gives the same on all processors, but for ties
    "*.sentence.of_*": Tolerance(absolute=1),
    "*.count": Tolerance(relative=10.0, absolute=300),
    "*.kendall.*": Tolerance(absolute=0.3),
    # float32 training is not the same on two processors: after some hundred steps only its quality is
    "*": Tolerance(absolute=40.0),  # percent
}


# --- charts -----------------------------------------------------------------------------------------------------------


def load_translator(name: str) -> nn.Module:
    """Load a translator that was kept here: ``alignment-liar`` or ``alignment-chinese``."""
    weights, settings = load_model(name)
    model = build(**settings).eval()
    model.load_state_dict(weights)
    return model


SENTENCE = "the man did not find the red house"
TIME = "我 昨天 没有 看见 那 只 小 猫"
PINYIN = {  # pictures are drawn in letters that every machine has
    **{"我": "wǒ", "爱": "ài", "你": "nǐ", "昨天": "zuótiān", "没有": "méiyǒu"},
    **{"看见": "kànjiàn", "那": "nà", "只": "zhī", "小": "xiǎo", "猫": "māo"},
}


def spelled(words: Sequence[str]) -> list[str]:
    """Chinese words in Latin letters, for pictures; others as they are.

    >>> spelled(("我", "爱", "you"))
    ['wǒ', 'ài', 'you']
    """
    return [PINYIN.get(word, word) for word in words]


def widget() -> dict:
    """Give what the widget that reads maps as links is made from."""
    shown = [
        ("Bahdanau, to French", bahdanau.load_translator, "french", SENTENCE),
        ("Luong, to French", luong.load_translator, "french", SENTENCE),
        ("trained to look elsewhere, to French", partial(load_translator, "alignment-liar"), "french", SENTENCE),
        ("Luong, from Chinese", partial(load_translator, "alignment-chinese"), "chinese", TIME),
    ]
    made = []
    for title, load, corpus, sentence in shown:
        pair = GRAMMARS[CORPORA[corpus]].translate(sentence)
        (weights,) = maps(load(), [pair], corpus)
        words = {"source": spelled(pair.source), "target": pair.target}
        made.append(words | {"title": title, "weights": weights, "gold": pair.links})
    return {"maps": made}


def _map(model: Callable[[], nn.Module], corpus: str, sentence: str) -> Callable[[Results], Figure]:
    def draw(results: Results) -> Figure:
        pair = GRAMMARS[CORPORA[corpus]].translate(sentence)
        (weights,) = maps(model(), [pair], corpus)
        gold = {(j, i) for i, j in pair.links}
        return plots.heatmap(weights.tolist(), pair.target, spelled(pair.source), gold=gold)

    return draw


def _left_out(results: Results) -> Figure:
    pair = GRAMMARS[CORPORA["french"]].translate(SENTENCE)
    (batch,) = encoded([pair], CORPORA["french"])
    moved = left_out(luong.load_translator(), batch.source[0], batch.given[0])[:-1]
    gold = {(j, i) for i, j in pair.links}
    return plots.heatmap(moved.tolist(), pair.target, pair.source, gold=gold)


def _settling(results: Results) -> Figure:
    path = "chinese_general.settling"
    tables = {
        "two full trainings": results.table(f"{path}.twins_alike")[1],
        f"full, and {FEW} pairs": results.table(f"{path}.few_alike")[1],
    }
    steps = [str(step) for step in CHECKPOINTS]
    return plots.lines_over_seeds(steps, tables, xlabel="training step", ylabel="rows that agree, %")


def _errors(results: Results) -> Figure:
    names = {"french": "to French", "japanese": "to Japanese", "chinese": "from Chinese"}
    rows = {
        "Bahdanau": "{}_bahdanau.alignment.error",
        "Model 1": "ibm_{}.plain.forwards.error",
        "Model 1, diagonal": "ibm_{}.diagonal.forwards.error",
        "Luong, general": "{}_general.alignment.error",
        "best possible": "ibm_{}.best.error",
    }

    def column(path: str, corpus: str) -> list[float]:
        part = path.format(corpus).replace("french_general.", "french_general.honest.")
        return results.at(part)

    tables = {label: np.array([column(path, corpus) for corpus in CORPORA]).T for label, path in rows.items()}
    return plots.lines_over_seeds(list(names.values()), tables, xlabel="corpus", ylabel="alignment error, %")


CHARTS = {
    "left_out": _left_out,
    "honest": _map(luong.load_translator, "french", SENTENCE),
    "errors": _errors,
    "me": _map(partial(load_translator, "alignment-chinese"), "chinese", I_LOVE_YOU),
    "liar": _map(partial(load_translator, "alignment-liar"), "french", SENTENCE),
    "settling": _settling,
}
