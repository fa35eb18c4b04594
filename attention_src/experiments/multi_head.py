"""Chapter 11, measured: what heads cost, what one look cannot do, what heads look at, and which of them can go.

See ``RULES`` for what was expected before the run.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from attention_src import plots
from attention_src.data.belongings import NAMES, THINGS, Lists, chains, lists
from attention_src.data.cues import CUES, SIDE, Pictures, pictures
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.results import Results, load_model
from attention_src.multi_head import Asker, ByName, Follower, MultiHeadAttention, without_heads
from attention_src.training import Plan, fit

COST = {"width": 64, "words": 50, "heads": [1, 2, 4, 8, 16]}
TWO = {"questions": 2, "things": 2, "people": 6, "width": 16, "steps": 800, "rate": 1e-2, "batch": 64, "test": 4000}
FOUR = TWO | {"questions": 4, "things": 8, "width": 32, "steps": 600, "heads": [1, 2, 4, 8], "prune": 1000}
CHAIN = {"people": 6, "width": 32, "wide": 48, "steps": 800, "rate": 5e-3, "batch": 64, "test": 2000}
LOOK = {"width": 32, "hidden": 48, "heads": 4, "steps": 1600, "rate": 5e-3, "batch": 64, "test": 2000}
SETTINGS = {"cost": COST, "two": TWO, "four": FOUR, "chain": CHAIN, "pictures": LOOK}


def drawn(seed: int, number: int) -> torch.Generator:
    """Give the generator of a batch of training (``number`` from 0 on) or of a test (below 0)."""
    return torch.Generator().manual_seed(1_000_003 * (seed + 1) + number)


# What heads cost


def count(run: Run) -> Measures:
    """Count on the real layer: parameters, multiplications, and numbers that training has to keep."""
    width, words = COST["width"], COST["words"]
    measures = {}
    for heads in COST["heads"]:
        layer, some = MultiHeadAttention(width, heads), torch.randn(1, words, width)
        kept: dict[int, int] = {}
        with saved_tensors_hooks(lambda t, kept=kept: kept.setdefault(t.data_ptr(), t.numel()) and t, lambda t: t):
            _, weights = layer(some, some, some)
        with FlopCounterMode(display=False) as counter:
            layer(some, some, some)
        measures[f"heads_{heads}"] = {
            "parameters": sum(parameter.numel() for parameter in layer.parameters()),
            "multiplications": counter.get_total_flops() // 2,
            "weights": weights.numel(),
            "kept": sum(kept.values()),
        }
    return measures


# Two questions, one look


class Bends(ByName):
    """As :class:`ByName`, but what is read out of the look is not linear."""

    def __init__(self, *sizes: int):
        super().__init__(*sizes)
        width = self.look.width
        self.answer = nn.Sequential(nn.Linear(width, width), nn.ReLU(), self.answer)


class Bound(ByName):
    """As :class:`ByName`, but a value says who has what: each pair has a vector of its own."""

    def __init__(self, names: int, things: int, *sizes: int):
        super().__init__(names, things, *sizes)
        self.pair = nn.Embedding(names * things, self.look.width)

    def entries(self, names, things):
        return self.name(names), self.pair(names * self.thing.num_embeddings + things)


class Twice(ByName):
    """As :class:`ByName`, but it looks a second time, with a query that holds what was found."""

    def __init__(self, *sizes: int):
        super().__init__(*sizes)
        self.again = MultiHeadAttention(self.look.width, self.look.heads)

    def forward(self, names, things, asked):
        key, value = self.entries(names, things)
        query = sum(ask(asked[:, place]) for place, ask in enumerate(self.ask))[:, None]
        first, _ = self.look(query, key, value)
        second, weights = self.again(query + first, key, value)
        return self.answer((first + second)[:, 0]).unflatten(-1, (len(self.ask), -1)), weights[:, :, 0]


def asked(model: nn.Module, some: Lists) -> tuple[Tensor, Tensor]:
    """Ask a model all questions of some lists."""
    return model(some.names, some.things, some.asked)


def as_drawn(some: Lists) -> Lists:
    """Leave the lists as they are."""
    return some


def of_the_same(some: Lists) -> Lists:
    """Rename the people of each list so that the questions are always about the same ones, in the same order."""
    count, questions = some.asked.shape
    names = torch.arange(len(NAMES)).expand(count, -1)
    first = (names + questions).scatter(1, some.asked, torch.arange(questions).expand(count, -1))
    new = first.argsort(dim=1).argsort(dim=1)  # the new name of each old one
    return some._replace(names=new.gather(1, some.names), asked=new.gather(1, some.asked))


def train_asker(
    kind: type[Asker], how: dict, heads: int, seed: int, report: Callable, change: Callable[[Lists], Lists] = as_drawn
) -> Asker:
    """Train on new lists in every step."""
    torch.manual_seed(seed)
    model = kind(len(NAMES), how["things"], how["questions"], how["width"], heads)
    shape = how["people"], how["questions"], how["things"]

    def loss(model: Asker, some: Lists) -> Tensor:
        return cross_entropy(asked(model, some)[0].flatten(0, 1), some.answers.flatten())

    def batch_at(step: int) -> Lists:
        return change(lists(how["batch"], drawn(seed, step), *shape))

    fit(model, loss, batch_at, Plan(how["steps"], how["rate"]), report=report)
    return model


def new_lists(how: dict, seed: int, number: int = -1, size: str = "test") -> Lists:
    """Draw lists that training has not seen."""
    return lists(how[size], drawn(seed, number), how["people"], how["questions"], how["things"])


@torch.no_grad()
def right(model: Asker, some: Lists) -> Tensor:
    """Tell for each question of each list whether the answer is right."""
    return asked(model, some)[0].argmax(dim=-1) == some.answers


def two(run: Run, kind: type[Asker], heads: int, change: Callable[[Lists], Lists] = as_drawn) -> Measures:
    """Train one model on two questions; give how often both answers are right, and how often each is."""
    model = train_asker(kind, TWO, heads, run.seed, run.progress, change)
    found = right(model, change(new_lists(TWO, run.seed))).double()
    return {"both": float(found.prod(dim=1).mean()), "each": sorted(found.mean(dim=0).tolist())}


# Four questions: what heads look at, and which can go


def sources_found(table: Tensor) -> int:
    """How many questions have a head that puts more than 0.8 of its weight on their source."""
    return int((table.amax(dim=0) > 0.8).sum())


def all_differ(some: Lists) -> Tensor:
    """Tell for each list whether the answers to its questions are all different things."""
    things = some.answers.sort(dim=1).values
    return (things[:, 1:] != things[:, :-1]).all(dim=1)


def idle(score: Sequence[float], loss: float = 0.01) -> int:
    """How many heads went, one after the other, before more than ``loss`` of the answers was lost.

    >>> idle([1.0, 0.995, 0.7, 0.1]), idle([0.5, 0.5])
    (1, 1)
    """
    return next((gone for gone, left in enumerate(score) if left < score[0] - loss), len(score)) - 1


@torch.no_grad()
def mass(model: Asker, some: Lists) -> Tensor:
    """Give each head's mean weight on the source of each question: (heads, questions)."""
    _, weights = asked(model, some)
    return weights.gather(2, some.places[:, None].expand(-1, weights.shape[1], -1)).mean(dim=0)


def off(model: Asker, heads: Sequence[int]) -> Asker:
    """Give the model with some heads switched off."""
    twin = type(model)(*(model.name.num_embeddings, model.thing.num_embeddings, len(model.ask)), model.look.width, 1)
    twin.load_state_dict(model.state_dict())
    twin.look = without_heads(model.look, heads)
    return twin.eval()


def prune(model: Asker, seed: int) -> Measures:
    """Switch off head after head, each time the one whose loss costs least on lists that are not the test's."""
    choose, test = new_lists(FOUR, seed, -2, "prune"), new_lists(FOUR, seed)
    gone: list[int] = []
    score = [float(right(model, test).double().mean())]
    alone = [float(right(off(model, [head]), test).double().mean()) for head in range(model.look.heads)]
    while len(gone) < model.look.heads:
        left = [head for head in range(model.look.heads) if head not in gone]
        gone.append(max(left, key=lambda head: float(right(off(model, [*gone, head]), choose).double().mean())))
        score.append(float(right(off(model, gone), test).double().mean()))
    return {"score": score, "order": gone, "alone": alone}


def four(run: Run, heads: int) -> Measures:
    """Train one model on four questions; give what its heads look at, and what is left when heads go."""
    model, test = train_asker(Asker, FOUR, heads, run.seed, run.progress), new_lists(FOUR, run.seed)
    found, table = right(model, test).double(), mass(model, test)
    run.keep(f"multi-head-{heads}", model, {"heads": heads})
    pruned, differ = prune(model, run.seed), found[all_differ(test)].mean(dim=0)
    return {
        "all": float(found.prod(dim=1).mean()),
        "answers": float(found.mean()),
        "differ": differ.tolist(),
        "served": int((differ > 0.9).sum()),
        "mass": table.tolist(),
        "found": sources_found(table),
        "prune": pruned,
        "idle": idle(pruned["score"]),
    }


# Pictures


class Seer(nn.Module):
    """Look at the nine cells of a picture with one learned query; say a shape, a texture and a colour."""

    def __init__(self, width: int, hidden: int, heads: int):
        super().__init__()
        self.cell = nn.Sequential(nn.Linear(3 * SIDE * SIDE, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.query = nn.Parameter(torch.randn(1, width))
        self.look = MultiHeadAttention(width, heads)
        self.answer = nn.Linear(width, len(CUES) * 3)

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 9, pixels) gives logits (batch, 3, 3) and weights (batch, heads, 9)."""
        seen = self.cell(cells)
        found, weights = self.look(self.query.expand(len(cells), -1, -1), seen, seen)
        return self.answer(found[:, 0]).unflatten(-1, (len(CUES), -1)), weights[:, :, 0]


def loses(lost: Tensor) -> Tensor:
    """Which cues lose more than 10 points without which head: (heads, cues)."""
    return lost > 0.1


def specialists(alone: Tensor) -> int:
    """How many heads, alone, get more than 90 % of one cue right and fewer than half of each of the others."""
    best, second = alone.topk(2, dim=1).values.unbind(dim=1)
    return int(((best > 0.9) & (second < 0.5)).sum())


def seer(run: Run, apart: bool) -> Measures:
    """Train on pictures; give where each head looks, what is lost without it, and what is right with it alone."""
    model = Seer(LOOK["width"], LOOK["hidden"], LOOK["heads"])

    def loss(model: Seer, some: Pictures) -> Tensor:
        return cross_entropy(model(some.cells)[0].flatten(0, 1), some.answers.flatten())

    def batch_at(step: int) -> Pictures:
        return pictures(LOOK["batch"], drawn(run.seed, step), apart)

    fit(model, loss, batch_at, Plan(LOOK["steps"], LOOK["rate"]), report=run.progress)
    test, whole = pictures(LOOK["test"], drawn(run.seed, -1), apart), model.look
    logits, weights = see(model, test)
    every, lost, alone, kept = seen_right(logits, test), [], [], []
    for head in range(LOOK["heads"]):
        model.look = without_heads(whole, [head])
        less, _ = see(model, test)
        lost.append(every - seen_right(less, test))
        constant = (logits - less).mean(dim=0)  # what the head adds to every picture alike
        kept.append(every - seen_right(less + constant, test))
        model.look = without_heads(whole, [other for other in range(LOOK["heads"]) if other != head])
        alone.append(seen_right(see(model, test)[0], test))
    return {
        "right": every.tolist(),
        "answered": int((every > 0.9).sum()),
        "specialists": specialists(torch.stack(alone)),
        "missed": loses(torch.stack(lost)).sum(dim=1).tolist(),
        "mass": weights.gather(2, test.places[:, None].expand(-1, LOOK["heads"], -1)).mean(dim=0).tolist(),
        "lost": torch.stack(lost).tolist(),
        "worst": float(torch.stack(lost).max()),
        "worst_with_constant": float(torch.stack(kept).max()),
        "alone": torch.stack(alone).tolist(),
    }


@torch.no_grad()
def see(model: Seer, test: Pictures) -> tuple[Tensor, Tensor]:
    """Give the logits and the weights of a model."""
    return model(test.cells)


def seen_right(logits: Tensor, test: Pictures) -> Tensor:
    """The share of right answers for each cue."""
    return (logits.argmax(dim=-1) == test.answers).double().mean(dim=0)


# Layers


def chain(run: Run, steps: int, layers: int, heads: int, width: int = CHAIN["width"]) -> Measures:
    """Train one model to follow a chain for so many steps; give how often it says who stands at its end."""
    model = Follower(len(NAMES), width, heads, layers)

    def loss(model: Follower, some) -> Tensor:
        return cross_entropy(model(some.names, some.others, some.asked), some.answers)

    def batch_at(step: int):
        return chains(CHAIN["batch"], drawn(run.seed, step), CHAIN["people"], steps)

    fit(model, loss, batch_at, Plan(CHAIN["steps"], CHAIN["rate"]), report=run.progress)
    test = chains(CHAIN["test"], drawn(run.seed, -1), CHAIN["people"], steps)
    with torch.no_grad():
        said = model(test.names, test.others, test.asked).argmax(dim=-1)
    parameters = sum(parameter.numel() for parameter in model.looks.parameters())
    return {"right": float((said == test.answers).double().mean()), "parameters": parameters}


def most_asked(run: Run) -> Measures:
    """How often the person whom most of the others ask stands at the end of a chain of two steps; no training."""
    test = chains(CHAIN["test"], drawn(run.seed, -1), CHAIN["people"], 2)
    others = (test.names != test.asked[:, None]).long()
    votes = torch.zeros(len(others), len(NAMES), dtype=torch.long).scatter_add(1, test.others, others)
    return {"right": float((votes.argmax(dim=1) == test.answers).double().mean())}


PARTS = {
    "count": count,
    "one_look": partial(two, kind=ByName, heads=1),
    "two_looks": partial(two, kind=ByName, heads=2),
    "bends": partial(two, kind=Bends, heads=1),
    "twice": partial(two, kind=Twice, heads=1),
    "whole": partial(two, kind=Asker, heads=1),
    "whole_two": partial(two, kind=Asker, heads=2),
    "same_one_look": partial(two, kind=ByName, heads=1, change=of_the_same),
    "same_bound": partial(two, kind=Bound, heads=1, change=of_the_same),
    "same_whole": partial(two, kind=Asker, heads=1, change=of_the_same),
    **{f"heads_{heads}": partial(four, heads=heads) for heads in FOUR["heads"]},
    "apart": partial(seer, apart=True),
    "together": partial(seer, apart=False),
    "one_step": partial(chain, steps=1, layers=1, heads=1),
    "one_layer": partial(chain, steps=2, layers=1, heads=1),
    "one_layer_of_four": partial(chain, steps=2, layers=1, heads=4),
    "one_wide_layer_of_four": partial(chain, steps=2, layers=1, heads=4, width=CHAIN["wide"]),
    "two_layers": partial(chain, steps=2, layers=2, heads=1),
    "most_asked": most_asked,
}


RULES = [
    Rule(
        "heads-cost-no-parameters",
        "From 1 head to 16, parameters and multiplications stay the same, and the weights take as many times the "
        "memory as there are heads.",
        lambda m: all(
            m["count"][f"heads_{h}"]
            == m["count"]["heads_1"]
            | {
                "weights": h * m["count"]["heads_1"]["weights"],
                "kept": m["count"]["heads_1"]["kept"] + (h - 1) * m["count"]["heads_1"]["weights"],
            }
            for h in COST["heads"]
        ),
        at_least=5,
    ),
    Rule(
        "one-look-is-not-enough",
        "With one head, both answers are right in at most 77 % of the lists, about all questions and about always the "
        "same (proved: 75 %; the rest is for the luck of the test).",
        lambda m: max(m["one_look"]["both"], m["same_one_look"]["both"]) <= 0.77,
        at_least=5,
    ),
    Rule(
        "two-looks-are",
        "With two heads, both are right in more than 99 %.",
        lambda m: m["two_looks"]["both"] > 0.99,
    ),
    Rule(
        "a-bend-helps",
        "With one head and a readout that is not linear, both are right in more than 77 %.",
        lambda m: m["bends"]["both"] > 0.77,
    ),
    Rule(
        "a-second-layer-helps",
        "With one head in each of two layers, both are right in more than 99 %.",
        lambda m: m["twice"]["both"] > 0.99,
    ),
    Rule(
        "bound-values-can-help",
        "If always the same are asked about, one head whose values say who has what gets more than 77 % in at least "
        "one seed.",
        lambda m: m["same_bound"]["both"] > 0.77,
        at_least=1,
    ),
    Rule(
        "telling-weights-can-help",
        "If always the same are asked about, one head whose weights see the things gets more than 77 % in at least one "
        "seed.",
        lambda m: m["same_whole"]["both"] > 0.77,
        at_least=1,
    ),
    Rule(
        "in-the-usual-layer-too",
        "In the usual layer, whose keys and values hold both, one head gets at most 77 % and two heads more than 99 %.",
        lambda m: m["whole"]["both"] <= 0.77 and m["whole_two"]["both"] > 0.99,
    ),
    Rule(
        "as-many-heads-as-questions",
        "Four questions: with four and with eight heads all four answers are right in more than 95 % of the lists, "
        "with one and with two heads in fewer than 10 %.",
        lambda m: (
            min(m["heads_4"]["all"], m["heads_8"]["all"]) > 0.95 and max(m["heads_1"]["all"], m["heads_2"]["all"]) < 0.1
        ),
    ),
    Rule(
        "two-heads-can-serve-three",
        "Added after the run: with two heads, all four answers are right in more than 10 % of the lists just where "
        "three questions are right in more than 90 % of those lists whose four answers are different things.",
        lambda m: (m["heads_2"]["all"] > 0.1) == (m["heads_2"]["served"] == 3),
        at_least=5,
    ),
    Rule(
        "heads-find-the-sources",
        "With four heads, each question has a head with more than 0.8 of its weight on that question's source.",
        lambda m: m["heads_4"]["found"] == 4,
    ),
    Rule(
        "no-head-of-four-can-go",
        "With four heads, every single head that is switched off costs more than 10 points of the answers.",
        lambda m: max(m["heads_4"]["prune"]["alone"]) < m["heads_4"]["answers"] - 0.1,
    ),
    Rule(
        "three-heads-of-eight-can-go",
        "With eight heads, at least three can be switched off one after the other before more than 1 point is lost.",
        lambda m: m["heads_8"]["idle"] >= 3,
    ),
    Rule(
        "the-order-matters",
        "With eight heads, the first head that goes costs less than 1 point, and the worst one to lose costs more than "
        "10.",
        lambda m: (
            m["heads_8"]["prune"]["score"][1] > m["heads_8"]["answers"] - 0.01
            and min(m["heads_8"]["prune"]["alone"]) < m["heads_8"]["answers"] - 0.1
        ),
    ),
    Rule(
        "places-make-specialists",
        "Cues on three objects: each cue that is right in more than 90 % has a head with more than half of its weight "
        "on that cue's object, and no head costs two cues more than 10 points each.",
        lambda m: (
            all(
                mass > 0.5
                for mass, right_ in zip(np.max(m["apart"]["mass"], axis=0), m["apart"]["right"], strict=True)
                if right_ > 0.9
            )
            and max(m["apart"]["missed"]) <= 1
        ),
    ),
    Rule(
        "kinds-of-cues-make-none",
        "Cues on one object: no head, alone, gets more than 90 % of one cue right and fewer than half of each other.",
        lambda m: m["together"]["specialists"] == 0,
    ),
    Rule(
        "on-one-object-all-heads-look-alike",
        "Cues on one object: every head has more than 0.8 of its weight on it, and no head costs any cue 10 points.",
        lambda m: np.min(m["together"]["mass"]) > 0.8 and max(m["together"]["missed"]) == 0,
    ),
    Rule(
        "two-steps-need-two-layers",
        "A chain of two steps: one layer is right in fewer than 60 %, with one head, with four, and with four and more "
        "parameters than two layers; two layers of one head in more than 95 %.",
        lambda m: (
            max(m[part]["right"] for part in ("one_layer", "one_layer_of_four", "one_wide_layer_of_four")) < 0.6
            and m["two_layers"]["right"] > 0.95
        ),
    ),
]

TOLERANCE = {
    "count.*": Tolerance(),
    "*.parameters": Tolerance(),
    "*.mass.*": Tolerance(absolute=1.0),  # which head gets which question is decided early, by little
    "heads_*.prune.order.*": Tolerance(absolute=8),
    "heads_*.found": Tolerance(absolute=2),
    "heads_*.idle": Tolerance(absolute=2),
    "heads_*.served": Tolerance(absolute=2),
    "heads_*.differ.*": Tolerance(absolute=1.0),  # and so is which question is answered, if not all are
    "heads_*": Tolerance(absolute=0.25),
    "apart.answered": Tolerance(absolute=2),
    "*.specialists": Tolerance(absolute=3),
    "*.missed.*": Tolerance(absolute=2),
    "apart.*": Tolerance(absolute=1.0),  # and whether a mark is found at all
    "together.*": Tolerance(absolute=0.5),
    "same_*": Tolerance(absolute=0.52),  # and whether the narrow way out is found
    "*": Tolerance(absolute=0.15),  # trained in float32
}


# Pictures and the widget


@cache
def load_asker(heads: int) -> Asker:
    """The trained network of the chapter with so many heads."""
    weights, sizes = load_model(f"multi-head-{heads}")
    model = Asker(len(NAMES), FOUR["things"], FOUR["questions"], FOUR["width"], sizes["heads"]).eval()
    model.load_state_dict(weights)
    return model


def widget() -> dict:
    """Give what the widget of the chapter is made from."""
    belongings = ("Eva figs", "Ana tea", "Hal salt", "Cem milk", "Gus tea", "Ben rice")
    return {
        "models": {heads: load_asker(heads) for heads in FOUR["heads"]},
        "names": NAMES,
        "things": THINGS,
        "entries": [one.split() for one in belongings],
        "asked": ("Ana", "Ben", "Cem", "Gus"),
        "heads": 4,
    }


WAYS = {
    "two_looks": "two heads",
    "one_look": "one head",
    "bends": "readout bends",
    "twice": "two layers",
    "same_one_look": "same two people",
    "same_bound": "values say who",
    "same_whole": "weights see things",
}


def _two_chart(results: Results) -> Figure:
    axes = _new_axes((5, 3.0))
    for row, part in enumerate(WAYS):
        found = 100 * np.array(results.over_seeds(f"{part}.both").values)
        axes.plot([found.min(), found.max()], [row, row], color=plots.LIGHT["muted"], linewidth=1)
        axes.plot(found, [row] * len(found), "o", color=plots.LIGHT["accent"], markersize=6)
    axes.axvline(75, color=plots.LIGHT["ink"], linewidth=1.2, linestyle=(0, (4, 3)))
    axes.text(74, -0.72, "75 %", ha="right", va="center")
    axes.set_yticks(range(len(WAYS)), list(WAYS.values()))
    axes.set(xlim=(20, 102), ylim=(len(WAYS) - 0.5, -1.0), xlabel="both answers right, %")
    axes.grid(axis="x")
    return axes.figure


def _mass_chart(heads: int, results: Results) -> Figure:
    table = results.at(f"heads_{heads}.mass")[0]
    rows = [f"head {head + 1}" for head in range(heads)]
    return plots.heatmap(table, rows, [f"question {i + 1}" for i in range(FOUR["questions"])])


def _prune_chart(results: Results) -> Figure:
    axes, most = _new_axes(), max(FOUR["heads"])
    axes.set_ylim(0, 104)
    series = {"switched off": 100 * np.array(results.table(f"heads_{most}.prune.score")[1])}
    figure = plots.lines_over_seeds(
        list(range(most + 1)), series, xlabel="heads that are off, of 8", ylabel="answers right, %", ax=axes
    )
    for heads in FOUR["heads"]:
        found = 100 * results.over_seeds(f"heads_{heads}.answers").median
        axes.plot(most - heads, found, "s", color=plots.LIGHT["target"], markersize=7, fillstyle="none")
    axes.plot(0.3, 14, "s", color=plots.LIGHT["target"], markersize=7, fillstyle="none")
    axes.text(0.6, 14, "trained with as many", va="center", color=plots.LIGHT["target"])
    return figure


def _cues_chart(results: Results) -> Figure:
    top = Figure(figsize=(5, 3.1), layout="constrained")
    for axes, part in zip(top.subplots(1, 2), ("apart", "together"), strict=True):
        alone = results.at(f"{part}.alone")[0]
        plots.heatmap(alone, [f"head {head + 1}" for head in range(LOOK["heads"])], CUES, ax=axes)
        axes.set_xlabel({"apart": "on three objects", "together": "on one object"}[part])
    return top


def _new_axes(size: tuple[float, float] | None = None):
    return Figure(figsize=size or plots.STYLE["figure.figsize"], layout="constrained").add_subplot()


CHARTS = {
    "two": _two_chart,
    "mass_four": partial(_mass_chart, 4),
    "mass_eight": partial(_mass_chart, 8),
    "prune": _prune_chart,
    "cues": _cues_chart,
}
