"""Chapter 17, measured: pointing at corners of a hull and at numbers in order, within and beyond the trained lengths;
and copying names that no vocabulary holds.

See ``RULES`` for what was expected before the run.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from attention_src import plots
from attention_src.data.batches import pad
from attention_src.data.handovers import Handover, handovers, numbered, vocabulary
from attention_src.data.hulls import END, Task, area, convex_hull, covered, hulls, sorting
from attention_src.data.vocabulary import BEGIN, UNKNOWN
from attention_src.data.vocabulary import END as STOP
from attention_src.decoding import Decoded, Marks, greedy
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.results import Results, load_model
from attention_src.pointer_networks import (
    CopyOnly,
    FixedDictionary,
    GenerateOnly,
    LookAround,
    PointerGenerator,
    PointerNetwork,
    ReadInOrder,
)
from attention_src.training import Plan, fit, word_loss

NETWORK = {"hidden": 64, "heads": 4, "layers": 2, "positions": 20}
TRAINING = {"lengths": [5, 10], "steps": 1800, "sorting_steps": 1000, "batch": 128, "rate": 2e-3}
TEST = {"lengths": [5, 10, 15, 20], "rows": 500}
COPYING = {"pairs": 4000, "test": 500, "batch": 64, "steps": 300, "rate": 5e-3, "width": 32, "hidden": 64}
SETTINGS = {"network": NETWORK, "training": TRAINING, "test": TEST, "copying": COPYING}

TASKS = {"hull": (hulls, 2), "sort": (sorting, 1)}  # how to draw one, and how many numbers an input has
QUIET = lambda done, steps: None  # noqa: E731


# Pointing


def new_pointer(task: str, reader: str, fixed: bool = False) -> PointerNetwork:
    """An untrained network that reads ``in_order`` or looks ``around``, and points or has a fixed dictionary."""
    features, hidden = TASKS[task][1], NETWORK["hidden"]
    if reader == "in_order":
        encoder = ReadInOrder(features, hidden)
    else:
        encoder = LookAround(features, hidden, NETWORK["heads"], NETWORK["layers"])
    if fixed:
        return FixedDictionary(features, encoder, hidden, NETWORK["positions"])
    return PointerNetwork(features, encoder, hidden)


def everything(inputs: Tensor) -> Tensor:
    """The mask of rows without padding."""
    return torch.ones(inputs.shape[:2], dtype=torch.bool)


def in_this_type(task: Task) -> Task:
    """The same task in the default type: the lab trains in float64."""
    return task._replace(inputs=task.inputs.to(torch.get_default_dtype()))


def batch_of(task: str, seed: int, step: int) -> Task:
    """The batch of a training step: all of its rows are equally long, within the trained lengths."""
    random = torch.Generator().manual_seed(1_000_003 * (seed + 1) + step)
    shortest, longest = TRAINING["lengths"]
    size = int(torch.randint(shortest, longest + 1, (), generator=random))
    return in_this_type(TASKS[task][0](TRAINING["batch"], size, random))


def fresh_rows(task: str, seed: int, size: int) -> Task:
    """New rows of this length, to test with."""
    random = torch.Generator().manual_seed(1_000_003 * (seed + 1) - size)
    return in_this_type(TASKS[task][0](TEST["rows"], size, random))


def pointing_loss(model: PointerNetwork, task: Task) -> Tensor:
    """Average -log p of the next place, with the true places before it given."""
    given = torch.cat([torch.zeros_like(task.answer[:, :1]), task.answer[:, :-1]], dim=1)
    return word_loss(model(task.inputs, everything(task.inputs), given), task.answer, task.mask)


def train_pointer(model: PointerNetwork, task: str, seed: int, steps: int, report: Callable = QUIET) -> list[float]:
    """Train on new rows at each step. Give the loss of each step."""
    return fit(
        model, pointing_loss, lambda step: batch_of(task, seed, step), Plan(steps, TRAINING["rate"]), report=report
    )


@torch.no_grad()
def answers(model: PointerNetwork, inputs: Tensor) -> list[Decoded]:
    """Where the network points, one greedy answer a row; places are counted from 1, without the mark at the end."""
    places, state = model.encode(inputs, everything(inputs))
    return greedy(model.step, state, places, Marks(END, END), longest=inputs.shape[1] + 1)


def right(found: Sequence[Decoded], task: Task) -> list[bool]:
    """Whether each answer is the true one, place by place."""
    truths = [row[mask][:-1].tolist() for row, mask in zip(task.answer, task.mask, strict=True)]
    return [one.tokens == truth for one, truth in zip(found, truths, strict=True)]


def shares_covered(found: Sequence[Decoded], task: Task) -> list[float | None]:
    """The share of the hull's area that each answer covers; None for one that is no polygon."""
    rows = zip(task.inputs.tolist(), found, strict=True)
    return [covered(points, [token - 1 for token in one.tokens]) for points, one in rows]


def shuffled_alike(model: PointerNetwork, task: Task, seed: int) -> float:
    """How often the same inputs in another order get the same answer: the same points, one after the other."""
    size = task.inputs.shape[1]
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    before, after = answers(model, task.inputs), answers(model, task.inputs[:, order])
    back = [0, *(order + 1).tolist()]  # the old place of a new one
    return float(np.mean([a.tokens == [back[t] for t in b.tokens] for a, b in zip(before, after, strict=True)]))


def hull(run: Run, reader: str, fixed: bool = False) -> Measures:
    """Train one network on hulls; measure its answers by the number of points."""
    model = new_pointer("hull", reader, fixed)
    losses = train_pointer(model, "hull", run.seed, TRAINING["steps"], run.progress)
    if not fixed:
        run.keep(f"pointer-hull-{reader.replace('_', '-')}", model, {"task": "hull", "reader": reader})
    measures: Measures = {"right": {}, "polygons": {}, "area": {}}
    for size in TEST["lengths"]:
        task = fresh_rows("hull", run.seed, size)
        found = answers(model, task.inputs)
        shares = [share for share in shares_covered(found, task) if share is not None]
        measures["right"][str(size)] = float(np.mean(right(found, task)))
        measures["polygons"][str(size)] = len(shares) / len(found)
        measures["area"][str(size)] = sum(shares) / max(1, len(shares))
    return measures | {
        "alike": shuffled_alike(model, fresh_rows("hull", run.seed, 10), run.seed),
        "loss": float(np.mean(losses[-50:])),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def sort(run: Run, reader: str) -> Measures:
    """Train one network to sort; measure its answers by how many numbers there are."""
    model = new_pointer("sort", reader)
    losses = train_pointer(model, "sort", run.seed, TRAINING["sorting_steps"], run.progress)
    measures: Measures = {"right": {}, "places": {}}
    for size in TEST["lengths"]:
        task = fresh_rows("sort", run.seed, size)
        found = answers(model, task.inputs)
        measures["right"][str(size)] = float(np.mean(right(found, task)))
        rows = [[*one.tokens, *[END] * (size - len(one.tokens))] for one in found]
        measures["places"][str(size)] = float((torch.tensor(rows) == task.answer[:, :-1]).double().mean())
    return measures | {"loss": float(np.mean(losses[-50:]))}


def one_corner_short(run: Run) -> Measures:
    """The share of the hull's area that is left without one corner, which is chosen by chance. No network."""
    chance = np.random.default_rng(run.seed)
    measures = {}
    for size in TEST["lengths"]:
        shares = []
        for points in fresh_rows("hull", run.seed, size).inputs.tolist():
            corners = convex_hull(points)
            if len(corners) > 3:  # without one of three, no polygon is left
                left = np.delete(corners, chance.integers(len(corners)))
                shares.append(area([points[place] for place in left]) / area([points[place] for place in corners]))
        measures[str(size)] = float(np.mean(shares))
    return {"area": measures}


# Copying

WORDS = vocabulary()
KINDS = {"both": PointerGenerator, "generate": GenerateOnly, "copy": CopyOnly}
CHANCES = {"known": 0.0, "new": 1.0}  # the probability that a name of a test sentence is made up


def new_copier(kind: str) -> PointerGenerator:
    """An untrained translator that generates, copies, or both."""
    return KINDS[kind](len(WORDS), UNKNOWN, COPYING["width"], COPYING["hidden"])


def as_numbers(pairs: Sequence[Handover]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The source and its mask, what the decoder is given, what it should say, and the mask of that."""
    some = [numbered(pair, WORDS) for pair in pairs]
    source, source_mask = pad([one.source for one in some])
    given, mask = pad([[BEGIN, *one.target] for one in some])
    wanted, _ = pad([[*one.target, STOP] for one in some])
    return source, source_mask, given, wanted, mask


def train_copier(model: PointerGenerator, seed: int, steps: int, report: Callable = QUIET) -> list[float]:
    """Train by -log p of the next word. Give the loss of each step."""
    pairs = handovers(COPYING["pairs"], f"train {seed}")

    def batch_at(step: int) -> tuple[Tensor, ...]:
        random = torch.Generator().manual_seed(1_000_003 * (seed + 1) + step)
        return as_numbers([pairs[i] for i in torch.randint(len(pairs), (COPYING["batch"],), generator=random)])

    def loss(model: PointerGenerator, batch: tuple[Tensor, ...]) -> Tensor:
        source, source_mask, given, wanted, mask = batch
        return word_loss(model(source, source_mask, given), wanted, mask)

    return fit(model, loss, batch_at, Plan(steps, COPYING["rate"]), report=report)


@torch.no_grad()
def translated(model: PointerGenerator, pairs: Sequence[Handover]) -> list[list[str]]:
    """The greedy translations, in words."""
    some = [numbered(pair, WORDS) for pair in pairs]
    source, mask = pad([one.source for one in some])
    memory, state = model.encode(source, mask)
    found = greedy(model.step, state, memory, Marks(BEGIN, STOP), longest=24)
    sentences = []
    for one, said in zip(some, found, strict=True):
        words = [*WORDS.words, *one.new]
        sentences.append([words[token] if token < len(words) else "?" for token in said.tokens])
    return sentences


@torch.no_grad()
def switches(model: PointerGenerator, pairs: Sequence[Handover]) -> Measures:
    """The share of the vocabulary where the next word is a name, and where it is another, with the true words given."""
    source, source_mask, given, wanted, mask = as_numbers(pairs)
    memory, state = model.encode(source, source_mask)
    shares = []
    for token in given.unbind(dim=1):
        said = model.step(token, state, memory)
        state = said.state
        shares.append(said.share)
    table = torch.stack(shares, dim=1)
    names = (wanted[..., None] == source[:, None]).any(dim=-1) & mask  # only names are the same in both languages
    return {"names": float(table[names].mean()), "others": float(table[mask & ~names].mean())}


def copying(run: Run, kind: str) -> Measures:
    """Train one translator; measure its sentences with names of the vocabulary, and with new ones."""
    model = new_copier(kind)
    losses = train_copier(model, run.seed, COPYING["steps"], run.progress)
    run.keep(f"pointer-copy-{kind}", model, {"kind": kind})
    measures: Measures = {"right": {}, "switch": {}, "loss": float(np.mean(losses[-50:]))}
    for name, chance in CHANCES.items():
        pairs = handovers(COPYING["test"], f"test {run.seed}", new=chance)
        said = translated(model, pairs)
        measures["right"][name] = float(np.mean([tuple(a) == b.target for a, b in zip(said, pairs, strict=True)]))
        measures["switch"][name] = switches(model, pairs)
    return measures


PARTS = {
    "one_corner_short": one_corner_short,
    "around": partial(hull, reader="around"),
    "in_order": partial(hull, reader="in_order"),
    "fixed": partial(hull, reader="in_order", fixed=True),
    "sort_around": partial(sort, reader="around"),
    "sort_in_order": partial(sort, reader="in_order"),
    **{kind: partial(copying, kind=kind) for kind in KINDS},
}

POINTERS = ("around", "in_order")
RULES = [
    Rule(
        "the-pointer-learns-hulls",
        "The pointer that looks around gets more than 80 % of the hulls of 5 points right, and more than 60 % of those "
        "of 10.",
        lambda m: m["around"]["right"]["5"] > 0.8 and m["around"]["right"]["10"] > 0.6,
    ),
    Rule(
        "pointing-beats-a-fixed-dictionary",
        "With the same encoder and the same steps, the pointer that reads in order gets at least 20 points more hulls "
        "of 5 points right than the fixed dictionary, and more hulls of 10.",
        lambda m: (
            m["in_order"]["right"]["5"] > m["fixed"]["right"]["5"] + 0.2
            and m["in_order"]["right"]["10"] > m["fixed"]["right"]["10"]
        ),
    ),
    Rule(
        "it-points-beyond-the-trained-lengths",
        "With 15 points, more than were trained on, the pointer that looks around gets more than 25 % of the hulls "
        "right, and the fixed dictionary fewer than 2 %.",
        lambda m: m["around"]["right"]["15"] > 0.25 and m["fixed"]["right"]["15"] < 0.02,
    ),
    Rule(
        "more-points-are-harder",
        "Both pointers get fewer hulls right with every 5 points more.",
        lambda m: all(more > fewer for p in POINTERS for more, fewer in pairwise(m[p]["right"].values())),
    ),
    Rule(
        "area-flatters",
        "With 20 points, the pointer that looks around gets fewer than half of the hulls right, and those of its "
        "answers that are polygons cover more than 95 % of the area.",
        lambda m: m["around"]["right"]["20"] < 0.5 and m["around"]["area"]["20"] > 0.95,
    ),
    Rule(
        "looking-around-learns-faster",
        "After the same number of steps, the pointer that looks around gets at least 10 points more hulls of 10 points "
        "right than the one that reads in order.",
        lambda m: m["around"]["right"]["10"] > m["in_order"]["right"]["10"] + 0.1,
    ),
    Rule(
        "the-order-of-a-set-matters-to-an-lstm",
        "Given the same 10 points in another order, the pointer that reads in order gives another answer for more than "
        "a tenth of the sets, and the one that looks around for fewer than 1 %.",
        lambda m: m["in_order"]["alike"] < 0.9 and m["around"]["alike"] > 0.99,
    ),
    Rule(
        "sorting-does-not-reach-further",
        "Beyond the trained lengths sorting falls faster than the hull: with 15 numbers, the pointer that looks around "
        "has lost a larger share of what it gets right with 10 than it does with points.",
        lambda m: (
            m["sort_around"]["right"]["15"] * m["around"]["right"]["10"]
            < m["around"]["right"]["15"] * m["sort_around"]["right"]["10"]
        ),
    ),
    Rule(
        "only-both-say-new-names-and-new-words",
        "With new names, generating and copying together get more than 90 % of the sentences right, and each of them "
        "alone gets none.",
        lambda m: (
            m["both"]["right"]["new"] > 0.9 and m["generate"]["right"]["new"] == 0 and m["copy"]["right"]["new"] == 0
        ),
    ),
    Rule(
        "generating-is-enough-for-known-names",
        "With names of the vocabulary, generating alone gets more than 90 % of the sentences right.",
        lambda m: m["generate"]["right"]["known"] > 0.9,
    ),
    Rule(
        "the-switch-tells-names-from-words",
        "With new names, the share of the vocabulary is on average below 0.1 where the next word is a name, and above "
        "0.9 where it is another.",
        lambda m: m["both"]["switch"]["new"]["names"] < 0.1 and m["both"]["switch"]["new"]["others"] > 0.9,
    ),
]

TOLERANCE = {
    "*.parameters": Tolerance(),
    "one_corner_short.*": Tolerance(absolute=1e-4),
    "*.loss": Tolerance(absolute=0.1, relative=0.3),
    "*": Tolerance(absolute=0.12),  # shares of networks trained in float32
}


# Pictures and widgets


def load_pointer(reader: str = "around") -> PointerNetwork:
    """The trained network for hulls that seed 0 kept."""
    weights, settings = load_model(f"pointer-hull-{reader.replace('_', '-')}")
    model = new_pointer(settings["task"], settings["reader"]).eval()
    model.load_state_dict(weights)
    return model


def load_copier(kind: str = "both") -> PointerGenerator:
    """The trained translator of this kind that seed 0 kept."""
    weights, settings = load_model(f"pointer-copy-{kind}")
    model = new_copier(settings["kind"]).eval()
    model.load_state_dict(weights)
    return model


@torch.no_grad()
def copy_weights(model: PointerGenerator, pair: Handover) -> tuple[Tensor, Tensor]:
    """The weights and the shares of the vocabulary at every step, with the true words given."""
    source, source_mask, given, _, _ = as_numbers([pair])
    memory, state = model.encode(source, source_mask)
    weights, shares = [], []
    for token in given.unbind(dim=1):
        said = model.step(token, state, memory)
        state = said.state
        weights.append(said.weights[0])
        shares.append(said.share[0])
    return torch.stack(weights), torch.stack(shares)


NAMES = {"looks around": "around", "reads in order": "in_order", "fixed dictionary": "fixed"}


def _by_size(results: Results, parts: dict[str, str], measure: str, xlabel: str, ylabel: str) -> Figure:
    series = {name: 100 * np.array(results.table(f"{part}.{measure}")[1]) for name, part in parts.items()}
    return plots.lines_over_seeds(list(TEST["lengths"]), series, xlabel=xlabel, ylabel=ylabel)


def _hull_chart(results: Results) -> Figure:
    return _by_size(results, NAMES, "right", "points", "hulls right, %")


def _area_chart(results: Results) -> Figure:
    series = {
        "area, looks around": results.table("around.area")[1],
        "area, one corner short": results.table("one_corner_short.area")[1],
        "right, looks around": results.table("around.right")[1],
    }
    series = {name: 100 * np.array(table) for name, table in series.items()}
    return plots.lines_over_seeds(list(TEST["lengths"]), series, xlabel="points", ylabel="%")


def _sort_chart(results: Results) -> Figure:
    parts = {"looks around": "sort_around", "reads in order": "sort_in_order"}
    return _by_size(results, parts, "right", "numbers", "sorted right, %")


SHOWN = handovers(1, "shown", new=1.0, clauses=[1])[0]


def _copy_chart(results: Results) -> Figure:
    weights, shares = copy_weights(load_copier(), SHOWN)
    rows = [f"{word}  {share:.2f}" for word, share in zip([*SHOWN.target, "end"], shares.tolist(), strict=True)]
    return plots.heatmap(weights.numpy(), rows, list(SHOWN.source))


CHARTS = {"hull": _hull_chart, "area": _area_chart, "sort": _sort_chart, "copy": _copy_chart}


def points_to_draw(size: int, seed: int) -> list[list[int]]:
    """Points of a new list on whole numbers from 5 to 95, for the widget."""
    rows = hulls(1, size, torch.Generator().manual_seed(seed)).inputs[0]
    return (5 + 90 * rows).round().int().tolist()


def widget() -> dict:
    """Give what the widget of the chapter is made from."""
    return {
        "model": load_pointer(),
        "hull": convex_hull,
        "covered": covered,
        "trained": TRAINING["lengths"],
        "examples": {
            "Eight": points_to_draw(8, 7),
            "Twenty": points_to_draw(20, 87),
            "A square and its middle": [[10, 10], [90, 10], [50, 50], [90, 90], [10, 90]],
            "On a line": [[20, 30], [80, 60], [40, 40], [60, 50]],
            "Two in one place": [[15, 20], [80, 25], [15, 20], [55, 85], [45, 40]],
        },
    }
