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
from attention_src.data.order import NOTHING, ORDER_WORDS, SHIFT_WORDS, order, shift, with_reversals
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


def length_at(random: torch.Generator) -> int:
    """Draw the length of a batch's sentences."""
    return int(torch.randint(TRAINING["shortest"], TRAINING["longest"] + 1, (), generator=random))


# The two tasks


def order_logits(model: PlacedNetwork, words: Tensor, causal: bool, start: int = 0) -> Tensor:
    """What a sentence says as a whole: the mean of what its places say."""
    return model(words, causal, start)[0].mean(dim=1)


def train_order(model: PlacedNetwork, causal: bool, run: Run) -> None:
    """Train on new sentences in every step."""

    def loss(model, task):
        return cross_entropy(order_logits(model, task.words, causal), task.answer)

    def batch_at(step):
        random = drawn(run.seed, step)
        return order(TRAINING["batch"], length_at(random), random)

    fit(model, loss, batch_at, Plan(TRAINING["steps"], TRAINING["rate"]), report=run.progress)


def train_shift(model: PlacedNetwork, causal: bool, run: Run) -> None:
    """Train on new sentences in every step."""

    def loss(model, task):
        words, wanted = task
        return cross_entropy(model(words, causal)[0].flatten(0, 1), wanted.flatten(), ignore_index=NOTHING)

    def batch_at(step):
        random = drawn(run.seed, step)
        return shift(TRAINING["batch"], length_at(random), random)

    fit(model, loss, batch_at, Plan(TRAINING["steps"], TRAINING["rate"]), report=run.progress)


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

RULES = []
TOLERANCE = {"*": Tolerance(absolute=0.2)}
