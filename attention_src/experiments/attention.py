"""Chapter 03, measured: what it means to choose softly.

Five parts: how fast the mean over random choices comes to the expectation; whether the choice is learned from the
output alone; where the softmax stops learning; how much weight falls outside the best keys of a trained translator; and
what very large scores do to the formula. See ``RULES`` for what was expected before the run.
"""

import copy
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from attention_src import plots
from attention_src.attention import attend, weigh
from attention_src.bottleneck import LookBack
from attention_src.data.batches import Bitext
from attention_src.data.translation import GRAMMARS, Pair, pairs
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.bottleneck import load_translator
from attention_src.experiments.protocol import forced_weights, languages
from attention_src.experiments.results import Results
from attention_src.recurrent import Memory
from attention_src.scores import Dot, ScaledDot
from attention_src.shapes import checked

SETTINGS = {
    "sampling": {"keys": 7, "width": 3, "draws": [4, 16, 64, 256, 1024, 4096], "repeats": 400},
    "finder": {
        "marks": 12,
        "width": 8,
        "items": 6,
        "longer": 12,
        "steps": 600,
        "batch": 64,
        "rate": 3e-2,
        "look": 100,  # measured every so many steps
        "test": 1000,
    },
    "stuck": {"keys": 5, "width": 6, "leads": [0, 2, 4, 6, 8], "rate": 0.5, "most": 100_000, "examples": 20},
    "outside": {
        "model": "bottleneck-look-back",
        "corpus": "english_french",
        "pairs": 200,
        "bands": [[3, 10], [11, 20], [21, 30]],
        "best": [1, 2, 3, 5],
    },
    "safety": {"rows": 500, "keys": 11, "scales": [1, 100, 10_000]},
}


def sampling(run: Run) -> Measures:
    """How far is the mean over random choices from the expectation, by the number of choices?"""
    how = SETTINGS["sampling"]
    random = torch.Generator().manual_seed(run.seed)
    scores = torch.randn(1, how["keys"], generator=random, dtype=torch.float64)
    value = torch.randn(how["keys"], how["width"], generator=random, dtype=torch.float64)
    context, weights = attend(scores, value)
    spread = float((weights[0] * (value - context).square().sum(dim=-1)).sum())  # variance of one choice
    errors = []
    for draws in how["draws"]:
        z = torch.multinomial(weights.expand(how["repeats"], -1), draws, replacement=True, generator=random)
        means = value[z].mean(dim=1)  # (repeats, width)
        errors.append(float((means - context).square().sum(dim=-1).mean().sqrt()))
    slope = np.polyfit(np.log(how["draws"]), np.log(errors), 1)[0]
    predicted = [math.sqrt(spread / draws) for draws in how["draws"]]
    return {"error": errors, "predicted": predicted, "slope": float(slope)}


class Finder(nn.Module):
    """Find the item that carries the mark that is asked for, and say its number.

    Marks are embedded twice, as queries and as keys; the score is their dot product. Nobody tells the network that it
    should look for equal marks.
    """

    def __init__(self, marks: int, width: int):
        super().__init__()
        self.query = nn.Embedding(marks, width)
        self.key = nn.Embedding(marks, width)

    @checked
    def forward(
        self, asked: Int[Tensor, " batch"], marks: Int[Tensor, "batch k"], numbers: Float[Tensor, "batch k"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch k"]]:
        """Give the number that is said, and the weights."""
        scores = self.query(asked)[:, None] @ self.key(marks).mT  # (batch, 1, k)
        said, weights = attend(scores, numbers[..., None])
        return said[:, 0, 0], weights[:, 0]


def questions(count: int, items: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw items with different marks and random numbers; ask for one of them.

    Gives the mark asked for (count), the marks and the numbers (count, items), and the place of the right item (count).
    """
    marks = torch.rand(count, SETTINGS["finder"]["marks"], generator=random).argsort(dim=1)[:, :items]
    numbers = torch.randn(count, items, generator=random).to(torch.get_default_dtype())
    place = torch.randint(items, (count,), generator=random)
    return marks[torch.arange(count), place], marks, numbers, place


def finder(seed: int = 0) -> Finder:
    """Make an untrained finder of the size of this chapter."""
    torch.manual_seed(seed)
    return Finder(SETTINGS["finder"]["marks"], SETTINGS["finder"]["width"])


@torch.no_grad()
def right_weight(model: Finder, items: int, seed: int) -> tuple[float, float]:
    """The average weight on the right item, and how often it has the largest weight, on new questions."""
    asked, marks, numbers, place = questions(SETTINGS["finder"]["test"], items, torch.Generator().manual_seed(seed))
    _, weights = model(asked, marks, numbers)
    on_right = weights[torch.arange(len(place)), place]
    return float(on_right.mean()), float((weights.argmax(dim=1) == place).double().mean())


def train_finder(model: Finder, seed: int, look: Callable[[int], None] = lambda step: None) -> list[float]:
    """Train on the number that should be said, and on nothing else; give the loss of each step."""
    how = SETTINGS["finder"]
    random = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(model.parameters(), lr=how["rate"])
    losses = []
    for step in range(how["steps"]):
        if step % how["look"] == 0:
            look(step)
        asked, marks, numbers, place = questions(how["batch"], how["items"], random)
        said, _ = model(asked, marks, numbers)
        loss = (said - numbers[torch.arange(len(place)), place]).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    look(how["steps"])
    return losses


def learned(run: Run) -> Measures:
    """Train a finder; measure the weight on the right item as it trains, and with more items than it ever saw."""
    how = SETTINGS["finder"]
    model, on_right, found = finder(run.seed), [], []

    def look(step: int) -> None:
        weight, best = right_weight(model, how["items"], 10_000 + run.seed)
        on_right.append(weight)
        found.append(best)

    losses = train_finder(model, run.seed, look)
    weight, best = right_weight(model, how["longer"], 20_000 + run.seed)
    return {
        "on_right": on_right,
        "found": found,
        "longer": {"on_right": weight, "found": best},
        "loss": float(np.mean(losses[-50:])),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def steps_to_move(scores: Tensor, right: int, loss: Callable[[Tensor], Tensor]) -> int:
    """How many steps of gradient descent on the scores (1, k) until the right key has more than half of the weight."""
    how = SETTINGS["stuck"]
    for step in range(how["most"]):
        scores = scores.detach().requires_grad_()
        weights = weigh(scores)
        if weights[0, right] > 0.5:
            return step
        (gradient,) = torch.autograd.grad(loss(weights), scores)
        scores = scores - how["rate"] * gradient
    return how["most"]


def stuck(run: Run) -> Measures:
    """The wrong key leads by some score. How long does gradient descent need to move the weight to the right key?

    With a squared loss on the mixture, which is like what attention is usually given; with minus the logarithm of the
    right key's weight; and with the square of what this weight lacks to one.
    """
    how = SETTINGS["stuck"]
    measures: Measures = {"on_mixture": [], "on_weight": [], "on_square": []}
    for lead in how["leads"]:
        random = torch.Generator().manual_seed(run.seed)
        steps: dict[str, list[int]] = {name: [] for name in measures}
        for _ in range(how["examples"]):
            value = torch.randn(how["keys"], how["width"], generator=random, dtype=torch.float64)
            value = value / value.norm(dim=-1, keepdim=True)
            scores = torch.zeros(1, how["keys"], dtype=torch.float64)
            scores[0, 1] = lead
            losses = {
                "on_mixture": lambda weights, value=value: (weights @ value - value[0]).square().sum(),
                "on_weight": lambda weights: -weights[0, 0].log(),
                "on_square": lambda weights: (1 - weights[0, 0]).square(),
            }
            for name, loss in losses.items():
                steps[name].append(steps_to_move(scores, 0, loss))
        for name, counts in steps.items():
            measures[name].append(float(np.median(counts)))
    return measures


@cache
def translator() -> LookBack:
    """The translator that looks back, in float64: a weight that is zero there is zero in the scores' own precision."""
    return load_translator(SETTINGS["outside"]["model"]).double()


def only_best(model: LookBack, k: int) -> LookBack:
    """The same translator, looking at the k source words with the best scores only."""
    twin = copy.copy(model)

    def context(state: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        scores = state[:, None] @ memory.key.mT  # (batch, 1, source)
        scores = scores.masked_fill(~memory.mask[:, None], -torch.inf)
        kept = torch.zeros_like(scores, dtype=torch.bool)
        kept.scatter_(-1, scores.topk(min(k, scores.shape[-1])).indices, True)
        context, weights = attend(scores.nan_to_num(neginf=0.0), memory.value, kept & memory.mask[:, None])
        return context[:, 0], weights[:, 0]

    twin.context = context
    return twin


@torch.no_grad()
def said(model: LookBack, some: list[Pair]) -> Tensor:
    """The most probable word at each step, with the true words fed in."""
    batches = Bitext(some, *languages(SETTINGS["outside"]["corpus"]), size=100).in_order()
    words = [model(one.source, one.source_mask, one.given).argmax(dim=-1)[one.target_mask] for one in batches]
    return torch.cat(words)


def outside(run: Run) -> Measures:
    """How much weight of a trained translator falls outside the best k source words? Is any zero? Does it matter?"""
    how = SETTINGS["outside"]
    grammar = GRAMMARS[how["corpus"]]
    measures: Measures = {}
    for low, high in how["bands"]:
        some = pairs(grammar, how["pairs"], f"outside {run.seed}", low, high)
        rows = [
            row.sort(descending=True).values
            for table in forced_weights(translator(), some, how["corpus"])
            for row in table
        ]
        whole = said(translator(), some)
        measures[f"{low}-{high}"] = {
            "outside": {f"best_{k}": float(np.mean([float(row[k:].sum()) for row in rows])) for k in how["best"]},
            "changed": {
                f"best_{k}": float((said(only_best(translator(), k), some) != whole).double().mean())
                for k in how["best"]
            },
            "zeros": sum(int(row.eq(0).sum()) for row in rows),
            "smallest_log10": float(min(row[-1].log10() for row in rows)),
            "below_float16": float(np.mean([float((row < 2.0**-25).double().mean()) for row in rows])),
        }
    return measures


def safety(run: Run) -> Measures:
    """Large scores: how far is ``weigh`` from exact weights, and in how many rows does the plain formula fail?"""
    how = SETTINGS["safety"]
    random = torch.Generator().manual_seed(run.seed)
    measures: Measures = {}
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        for scale in how["scales"]:
            scores = torch.randn(how["rows"], how["keys"], generator=random, dtype=torch.float64)
            scores = (scores.clamp(-3, 3) * scale / 3).to(dtype)
            found, plain = weigh(scores), scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
            name = str(dtype).removeprefix("torch.")
            measures.setdefault(name, {})[f"scale_{scale}"] = {
                "error": float((found.double() - weigh(scores.double())).abs().max()),
                "finite": float(found.isfinite().all(dim=-1).double().mean()),
                "plain_finite": float(plain.isfinite().all(dim=-1).double().mean()),
            }
    return measures


PARTS = {"sampling": sampling, "learned": learned, "stuck": stuck, "outside": outside, "safety": safety}

RULES = [
    Rule(
        "one-over-root",
        "A line through log error against log number of choices has a slope between -0.55 and -0.45.",
        lambda m: -0.55 <= m["sampling"]["slope"] <= -0.45,
    ),
    Rule(
        "error-is-predicted",
        "At every number of choices, the error is within 15 % of the square root of (variance of one choice / number).",
        lambda m: all(
            abs(seen / said - 1) < 0.15
            for seen, said in zip(m["sampling"]["error"], m["sampling"]["predicted"], strict=True)
        ),
    ),
    Rule(
        "learned-from-the-output",
        "Trained on the number to say alone, the finder puts more than 0.9 of its weight on the right item, and less "
        "than 0.3 before training.",
        lambda m: m["learned"]["on_right"][-1] > 0.9 and m["learned"]["on_right"][0] < 0.3,
    ),
    Rule(
        "longer-inputs",
        "With twice as many items as in training, the right item still has the largest weight in more than 90 % of the "
        "questions.",
        lambda m: m["learned"]["longer"]["found"] > 0.9,
    ),
    Rule(
        "saturated-is-stuck",
        "With a loss on the mixture, a lead of 8 costs more than 20 times as many steps as a lead of 2.",
        lambda m: m["stuck"]["on_mixture"][4] > 20 * m["stuck"]["on_mixture"][1],
    ),
    Rule(
        "a-loss-on-the-weight-is-not-stuck",
        "With minus the logarithm of the weight as the loss, a lead of 8 costs less than 5 times as many steps as a "
        "lead of 2.",
        lambda m: m["stuck"]["on_weight"][4] < 5 * m["stuck"]["on_weight"][1],
    ),
    Rule(
        "it-is-the-logarithm",
        "Added after the first run, when a reader had tried one case: with a squared loss on the weight, a lead of 8 "
        "costs more than 20 times as many steps as a lead of 2, as with one on the mixture.",
        lambda m: m["stuck"]["on_square"][4] > 20 * m["stuck"]["on_square"][1],
    ),
    Rule(
        "never-zero",
        "In the trained translator, computed in float64, no word of any sentence gets a weight of exactly zero.",
        lambda m: all(band["zeros"] == 0 for band in m["outside"].values()),
        at_least=5,
    ),
    Rule(
        "the-best-word-is-not-all",
        "At 21 to 30 words, more than 10 % of its weight falls outside the best word, and less than 10 % outside the "
        "best five.",
        lambda m: m["outside"]["21-30"]["outside"]["best_1"] > 0.1 > m["outside"]["21-30"]["outside"]["best_5"],
    ),
    Rule(
        "the-rest-hardly-matters",
        "Added after the first run, and before this was measured: looking at the best three words only changes fewer "
        "than 1 % of the most probable words, at 21 to 30 words.",
        lambda m: m["outside"]["21-30"]["changed"]["best_3"] < 0.01,
    ),
    Rule(
        "large-scores-are-safe",
        "For scores up to 10,000 and in all four types, every row of weigh is finite; in float32 it is within 0.000001 "
        "of the exact weights.",
        lambda m: (
            all(case["finite"] == 1 for kind in m["safety"].values() for case in kind.values())
            and all(case["error"] < 1e-6 for case in m["safety"]["float32"].values())
        ),
        at_least=5,
    ),
    Rule(
        "the-plain-formula-is-not",
        "In float32, the formula without a shift gives rows that are not finite at scores up to 10,000.",
        lambda m: m["safety"]["float32"]["scale_10000"]["plain_finite"] < 0.5,
        at_least=5,
    ),
]

TOLERANCE = {
    "sampling.*": Tolerance(relative=1e-4),  # drawn and averaged in float64, not trained
    "*.parameters": Tolerance(),
    "stuck.*": Tolerance(relative=0.02, absolute=1.0),
    "outside.*.zeros": Tolerance(),
    "outside.*.smallest_log10": Tolerance(absolute=0.01),
    "outside.*.changed.*": Tolerance(absolute=1e-3),
    "outside.*": Tolerance(absolute=1e-4),
    "safety.*.error": Tolerance(absolute=1e-2),
    "safety.*": Tolerance(absolute=0.05),  # exp of a type overflows a little earlier on some processors
    "learned.loss": Tolerance(absolute=0.05),
    "*": Tolerance(absolute=0.15),  # trained in float32
}


VECTORS, QUERY = [[2.0, 0.0], [0.0, 1.0], [-1.0, 1.0]], [1.0, 1.0]  # the case by hand


def widget() -> dict:
    """Give what the plane of this chapter is made from: the three vectors of the case by hand, and the dot product."""
    return {
        "scores": {"dot product": Dot(), "scaled dot product": ScaledDot()},
        "query": QUERY,
        "points": VECTORS,
        "values": [10.0, 20.0, 30.0],
    }


def _logarithmic(axes: Axes, lowest: int, highest: int, labels: dict[int, str]) -> Axes:
    """Let an axis of log10 show the numbers themselves."""
    axes.set_ylim(lowest - 0.15, highest + 0.15)
    axes.set_yticks(list(labels), list(labels.values()))
    return axes


def _new_axes() -> Axes:
    return Figure(figsize=plots.STYLE["figure.figsize"], layout="constrained").add_subplot()


def _sampling_chart(results: Results) -> Figure:
    draws = [f"{draws:,}" for draws in SETTINGS["sampling"]["draws"]]
    series = {
        "measured": np.log10(results.table("sampling.error")[1]),
        "predicted": np.log10(results.table("sampling.predicted")[1]),
    }
    axes = _logarithmic(_new_axes(), -2, 0, {-2: "0.01", -1: "0.1", 0: "1"})
    return plots.lines_over_seeds(draws, series, xlabel="number of random choices", ylabel="error of the mean", ax=axes)


def _learned_chart(results: Results) -> Figure:
    how = SETTINGS["finder"]
    steps = list(range(0, how["steps"] + 1, how["look"]))
    series = {
        "largest there": 100 * np.array(results.table("learned.found")[1]),
        "weight there": 100 * np.array(results.table("learned.on_right")[1]),
    }
    return plots.lines_over_seeds(steps, series, xlabel="step of training", ylabel="on the right item, %")


def _stuck_chart(results: Results) -> Figure:
    series = {
        "square, weight": np.log10(results.table("stuck.on_square")[1]),
        "square, mixture": np.log10(results.table("stuck.on_mixture")[1]),
        "−log, weight": np.log10(results.table("stuck.on_weight")[1]),
    }
    axes = _logarithmic(_new_axes(), 0, 4, {0: "1", 1: "10", 2: "100", 3: "1,000", 4: "10,000"})
    leads = SETTINGS["stuck"]["leads"]
    return plots.lines_over_seeds(leads, series, xlabel="lead of the wrong key", ylabel="steps needed", ax=axes)


def _outside_chart(results: Results) -> Figure:
    how = SETTINGS["outside"]
    series = {}
    for low, high in reversed(how["bands"]):
        series[f"{low}–{high} words"] = 100 * np.array(results.table(f"outside.{low}-{high}.outside")[1])
    best = [str(k) for k in how["best"]]
    return plots.lines_over_seeds(best, series, xlabel="best words left out, k", ylabel="weight outside them, %")


def _temperature_chart(results: Results) -> Figure:
    temperatures = [0.1, 0.25, 0.5, 1, 2, 4, 10]
    scores = torch.tensor([QUERY]) @ torch.tensor(VECTORS).T
    weights = torch.cat([weigh(scores / temperature) for temperature in temperatures])
    series = {f"vector {n + 1}": weights[:, n][None].numpy() for n in range(3)}
    labels = [f"{temperature:g}" for temperature in temperatures]
    return plots.lines_over_seeds(labels, series, xlabel="temperature", ylabel="weight")


CHARTS = {
    "sampling": _sampling_chart,
    "learned": _learned_chart,
    "stuck": _stuck_chart,
    "outside": _outside_chart,
    "temperature": _temperature_chart,
}
