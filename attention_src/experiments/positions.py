"""Chapter 12, measured: which ways to say where a word stands learn an order and a shift, and how far they reach.

See ``RULES`` for what was expected before the run.
"""

from functools import cache, partial

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cross_entropy

from attention_src import plots
from attention_src.data.order import BACK, NOTHING, ORDER_WORDS, SHIFT_WORDS, order, shift, with_reversals
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.results import Results, load_model
from attention_src.positions import KINDS, PlacedNetwork
from attention_src.training import Plan, fit

NETWORK = {"width": 32, "heads": 2, "inner": 64, "longest": 256, "farthest": 8}
TRAINING = {"shortest": 8, "longest": 32, "steps": 400, "rate": 5e-3, "batch": 64}
TEST = {"sentences": 100, "lengths": [16, 32, 64, 128, 256], "moved": [0, 16, 48, 112, 240], "moved_length": 16}
SETTINGS = {"network": NETWORK, "training": TRAINING, "test": TEST}


def drawn(seed: int, number: int) -> torch.Generator:
    """Give the generator of a batch of training (``number`` from 0 on) or of a test (below 0)."""
    return torch.Generator().manual_seed(1_000_003 * (seed + 1) + number)


def length_at(random: torch.Generator, how: dict) -> int:
    """Draw the length of a batch's sentences."""
    return int(torch.randint(how["shortest"], how["longest"] + 1, (), generator=random))


# The two tasks


def order_logits(model: PlacedNetwork, words: Tensor, causal: bool, start: int = 0) -> Tensor:
    """What a sentence says as a whole: the mean of what its places say."""
    return model(words, causal, start)[0].mean(dim=1)


def train_order(model: PlacedNetwork, causal: bool, run: Run, how: dict = TRAINING) -> None:
    """Train on new sentences in every step."""

    def loss(model, task):
        return cross_entropy(order_logits(model, task.words, causal), task.answer)

    def batch_at(step):
        random = drawn(run.seed, step)
        return order(how["batch"], length_at(random, how), random)

    fit(model, loss, batch_at, Plan(how["steps"], how["rate"]), report=run.progress)


def train_shift(model: PlacedNetwork, causal: bool, run: Run, how: dict = TRAINING) -> None:
    """Train on new sentences in every step."""

    def loss(model, task):
        words, wanted = task
        return cross_entropy(model(words, causal)[0].flatten(0, 1), wanted.flatten(), ignore_index=NOTHING)

    def batch_at(step):
        random = drawn(run.seed, step)
        return shift(how["batch"], length_at(random, how), random)

    fit(model, loss, batch_at, Plan(how["steps"], how["rate"]), report=run.progress)


@torch.no_grad()
def order_right(model: PlacedNetwork, causal: bool, length: int, seed: int, start: int = 0) -> tuple[float, float]:
    """How often the answer is right, and how often a sentence and its reversal get one answer."""
    task = with_reversals(order(TEST["sentences"], length, drawn(seed, -length)))
    said = torch.cat([order_logits(model, words, causal, start).argmax(-1) for words in task.words.split(50)])
    one, other = said.chunk(2)
    return float((said == task.answer).double().mean()), float((one == other).double().mean())


@torch.no_grad()
def shift_right(model: PlacedNetwork, causal: bool, length: int, seed: int, start: int = 0) -> float:
    """How often the word three places before is named, where there is one."""
    words, wanted = shift(TEST["sentences"], length, drawn(seed, -length))
    said = torch.cat([model(some, causal, start)[0].argmax(-1) for some in words.split(50)])
    asked = wanted != NOTHING
    return float((said == wanted)[asked].double().mean())


def kind_of(run: Run, kind: str, causal: bool) -> Measures:
    """Train one network of this kind for each task; measure both by length, and with a sentence that is moved."""
    sizes = NETWORK | {"kind": kind}
    orders = PlacedNetwork(len(ORDER_WORDS), 2, **sizes)
    train_order(orders, causal, run)
    shifts = PlacedNetwork(len(SHIFT_WORDS), len(SHIFT_WORDS), **sizes)
    train_shift(shifts, causal, run)
    if not causal:
        run.keep(f"positions-shift-{kind}", shifts, {"kind": kind})
    by_length = {str(length): order_right(orders, causal, length, run.seed) for length in TEST["lengths"]}
    short, starts = TEST["moved_length"], TEST["moved"]
    return {
        "order": {
            "right": {length: right for length, (right, _) in by_length.items()},
            "alike": {length: alike for length, (_, alike) in by_length.items()},
            "moved": {str(start): order_right(orders, causal, short, run.seed, start)[0] for start in starts},
        },
        "shift": {
            "right": {str(length): shift_right(shifts, causal, length, run.seed) for length in TEST["lengths"]},
            "moved": {str(start): shift_right(shifts, causal, short, run.seed, start) for start in starts},
        },
        "parameters": sum(parameter.numel() for parameter in shifts.parameters()),
    }


PARTS = {
    **{kind: partial(kind_of, kind=kind, causal=False) for kind in KINDS},
    **{f"{kind}_causal": partial(kind_of, kind=kind, causal=True) for kind in KINDS},
}

IN = [str(length) for length in TEST["lengths"] if length <= TRAINING["longest"]]
BEYOND = [str(length) for length in TEST["lengths"] if length > TRAINING["longest"]]
ADDED = ("sinusoidal", "learned", "complex")  # the place is in the vector that goes in
COMPARED = ("relative", "rotary")  # the offset is in the score


def at(m: Measures, part: str, task: str, lengths: list[str]) -> list[float]:
    """The shares of right answers of one part at some lengths."""
    return [m[part][task]["right"][length] for length in lengths]


def blind(m: Measures, part: str) -> bool:
    """Whether each sentence and its reversal got one answer, and so exactly half of all answers is right."""
    task = m[part]["order"]
    return set(task["right"].values()) == {0.5} and set(task["alike"].values()) == {1.0}


def still(m: Measures, part: str) -> bool:
    """Whether a moved sentence gets the same share of right answers, to half a percent, wherever it stands."""
    return all(max(moved) - min(moved) <= 0.005 for moved in (m[part][t]["moved"].values() for t in ("order", "shift")))


RULES = [
    Rule(
        "blind-without-positions",
        "Without positions and without a mask, order is right in exactly 50 %, and each sentence and its reversal get "
        "one answer, at every length.",
        lambda m: blind(m, "none"),
        at_least=5,
    ),
    Rule(
        "blind-to-direction",
        "With distances only and without a mask, the same.",
        lambda m: blind(m, "distance"),
        at_least=5,
    ),
    Rule(
        "a-mask-tells-order",
        "Without positions, but with a causal mask, order is right in more than 95 % at every length up to 256.",
        lambda m: min(at(m, "none_causal", "order", IN + BEYOND)) > 0.95,
    ),
    Rule(
        "a-mask-does-not-tell-shift",
        "Without positions, shift is right in fewer than 40 % at the trained lengths, with the mask and without.",
        lambda m: max(at(m, "none", "shift", IN) + at(m, "none_causal", "shift", IN)) < 0.4,
        at_least=5,
    ),
    Rule(
        "a-falling-score-cannot-count-to-three",
        "With distances only, shift is right in fewer than 40 % at the trained lengths, with the mask and without.",
        lambda m: max(at(m, "distance", "shift", IN) + at(m, "distance_causal", "shift", IN)) < 0.4,
    ),
    Rule(
        "all-others-learn-both",
        "Sinusoidal, learned, complex, relative and rotary without a mask: both tasks are right in more than 90 % at "
        "the trained lengths.",
        lambda m: min(share for k in ADDED + COMPARED for t in ("order", "shift") for share in at(m, k, t, IN)) > 0.9,
    ),
    Rule(
        "added-places-do-not-reach",
        "At 128 words, shift with sinusoidal, with learned and with complex positions is right at least 20 points less "
        "often than at 32.",
        lambda m: all(at(m, k, "shift", ["128"])[0] <= at(m, k, "shift", ["32"])[0] - 0.2 for k in ADDED),
    ),
    Rule(
        "offsets-reach-farther",
        "At 128 and at 256 words, relative and rotary are both better on shift than sinusoidal, learned and complex.",
        lambda m: all(
            at(m, one, "shift", [n])[0] > at(m, k, "shift", [n])[0]
            for n in ("128", "256")
            for one in COMPARED
            for k in ADDED
        ),
    ),
    Rule(
        "offsets-reach-farther-on-order",
        "At 128 words, relative and rotary are both better on order than sinusoidal, learned and complex.",
        lambda m: all(
            at(m, one, "order", ["128"])[0] > at(m, k, "order", ["128"])[0] for one in COMPARED for k in ADDED
        ),
    ),
    Rule(
        "relative-reaches-256",
        "At 256 words, shift with relative positions is right in more than 95 %.",
        lambda m: at(m, "relative", "shift", ["256"])[0] > 0.95,
    ),
    Rule(
        "a-moved-sentence-is-the-same-to-offsets",
        "With no positions, relative, distance and rotary ones, a sentence of 16 words is read equally well wherever "
        "it begins, on both tasks.",
        lambda m: all(still(m, kind) for kind in ("none", "relative", "distance", "rotary")),
        at_least=5,
    ),
    Rule(
        "a-moved-sentence-is-new-to-added-places",
        "With sinusoidal, learned and complex positions, shift loses more than 10 points from the first start to some "
        "start behind the trained places.",
        lambda m: all(
            min(list(m[k]["shift"]["moved"].values())[2:]) < m[k]["shift"]["moved"]["0"] - 0.1 for k in ADDED
        ),
    ),
]

TOLERANCE = {
    "*.parameters": Tolerance(),
    "none.order.*": Tolerance(absolute=0.01),  # proved
    "distance.order.*": Tolerance(absolute=0.01),
    "*.right.16": Tolerance(absolute=0.1),  # trained in float32
    "*.right.32": Tolerance(absolute=0.1),
    "*": Tolerance(absolute=0.6),  # what a network does where it was not trained hangs on little
}


# Pictures and the widget


@cache
def load_shift(kind: str) -> PlacedNetwork:
    """The network that was trained on shift without a mask."""
    weights, sizes = load_model(f"positions-shift-{kind}")
    model = PlacedNetwork(len(SHIFT_WORDS), len(SHIFT_WORDS), **NETWORK | sizes).eval()
    model.load_state_dict(weights)
    return model


def widget() -> dict:
    """Give what the widget of the chapter is made from."""
    return {
        "models": {
            kind: load_shift(kind) for kind in ("sinusoidal", "learned", "complex", "relative", "rotary", "none")
        },
        "letters": SHIFT_WORDS,
        "back": BACK,
        "trained": TRAINING["longest"],
        "most": max(TEST["moved"]),
        "farthest": NETWORK["farthest"],
        "sentence": "champignon",
        "kind": "sinusoidal",
    }


def pair() -> dict:
    """Give what the widget of offsets and scores is made from."""
    query = torch.randn(64, generator=torch.Generator().manual_seed(0))
    return {"query": [round(x, 1) for x in query.tolist()], "back": BACK, "kind": "waves", "width": 32, "place": 40}


SHOWN = {"relative": "Shaw", "rotary": "rotary", "sinusoidal": "sinusoidal", "learned": "learned", "complex": "complex"}


def _length_chart(task: str, results: Results) -> Figure:
    series = {name: 100 * np.array(results.table(f"{kind}.{task}.right")[1]) for kind, name in SHOWN.items()}
    lengths = [str(length) for length in TEST["lengths"]]
    return plots.by_length(lengths, series, ylabel="answers right, %", xlabel="words in the sentence")


def _moved_chart(results: Results) -> Figure:
    series = {name: 100 * np.array(results.table(f"{kind}.shift.moved")[1]) for kind, name in SHOWN.items()}
    starts = [str(start) for start in TEST["moved"]]
    return plots.by_length(starts, series, ylabel="answers right, %", xlabel="place of the first of 16 words")


CHARTS = {"order": partial(_length_chart, "order"), "shift": partial(_length_chart, "shift"), "moved": _moved_chart}
