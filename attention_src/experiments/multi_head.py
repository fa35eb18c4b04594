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
CHAIN = {"people": 6, "width": 32, "steps": 1500, "rate": 5e-3, "batch": 64, "test": 2000}
LOOK = {"width": 32, "hidden": 48, "heads": 4, "steps": 800, "rate": 5e-3, "batch": 64, "test": 2000}
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
    if heads == 4:
        run.keep("multi-head", model, {"heads": heads})
    return {
        "all": float(found.prod(dim=1).mean()),
        "answers": float(found.mean()),
        "mass": table.tolist(),
        "prune": prune(model, run.seed),
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


def seer(run: Run, apart: bool) -> Measures:
    """Train on pictures; give what each head looks at, and what each cue loses when one head is switched off."""
    model = Seer(LOOK["width"], LOOK["hidden"], LOOK["heads"])

    def loss(model: Seer, some: Pictures) -> Tensor:
        return cross_entropy(model(some.cells)[0].flatten(0, 1), some.answers.flatten())

    def batch_at(step: int) -> Pictures:
        return pictures(LOOK["batch"], drawn(run.seed, step), apart)

    fit(model, loss, batch_at, Plan(LOOK["steps"], LOOK["rate"]), report=run.progress)
    test, whole = pictures(LOOK["test"], drawn(run.seed, -1), apart), model.look
    with torch.no_grad():
        weights = model(test.cells)[1]
        lost = []
        for head in range(LOOK["heads"]):
            model.look = without_heads(whole, [head])
            lost.append(seen_right(model, test))
    model.look = whole
    every = seen_right(model, test)
    return {
        "right": every.tolist(),
        "mass": weights.gather(2, test.places[:, None].expand(-1, LOOK["heads"], -1)).mean(dim=0).tolist(),
        "lost": (every - torch.stack(lost)).tolist(),
    }


@torch.no_grad()
def seen_right(model: Seer, test: Pictures) -> Tensor:
    """The share of right answers for each cue."""
    return (model(test.cells)[0].argmax(dim=-1) == test.answers).double().mean(dim=0)


# Layers


def chain(run: Run, steps: int, layers: int, heads: int) -> Measures:
    """Train one model to follow a chain for so many steps; give how often it says who stands at its end."""
    model = Follower(len(NAMES), CHAIN["width"], heads, layers)

    def loss(model: Follower, some) -> Tensor:
        return cross_entropy(model(some.names, some.others, some.asked), some.answers)

    def batch_at(step: int):
        return chains(CHAIN["batch"], drawn(run.seed, step), CHAIN["people"], steps)

    fit(model, loss, batch_at, Plan(CHAIN["steps"], CHAIN["rate"]), report=run.progress)
    test = chains(CHAIN["test"], drawn(run.seed, -1), CHAIN["people"], steps)
    with torch.no_grad():
        said = model(test.names, test.others, test.asked).argmax(dim=-1)
    return {"right": float((said == test.answers).double().mean())}
