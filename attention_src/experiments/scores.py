"""Chapter 04, measured: why √d, what each score costs, what it can say, and how well it learns to retrieve.

See ``RULES`` for what was expected before the run.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.functional import cross_entropy, normalize, one_hot
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attention_src import plots
from attention_src.attention import attend, weigh
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.results import Results
from attention_src.scores import Additive, Bilinear, Concat, Cosine, Dot, Location, LowRankBilinear, ScaledDot, Score

SETTINGS = {
    "scaling": {"widths": [4, 16, 64, 256, 1024], "queries": 1000, "keys": 32},
    "cost": {"batch": 8, "width": 64, "hidden": 64, "rank": 16, "sizes": [[1, 32], [32, 32], [128, 128]], "times": 15},
    "tasks": {"width": 8, "keys": 8, "hidden": 32, "rank": 2, "steps": 500, "batch": 64, "rate": 2e-2, "test": 2000},
    "retrieval": {
        "width": 16,
        "keys": 16,
        "hidden": 64,
        "rank": 4,
        "labels": 10,
        "noise": 0.3,
        "steps": 800,
        "every": 50,
        "batch": 64,
        "rates": [5e-3, 2e-2],
        "test": 2000,
        "quality": 0.8,
    },
}
NAMES = {
    "dot": "dot",
    "scaled": "scaled dot",
    "cosine": "cosine",
    "bilinear": "bilinear",
    "low_rank": "low rank",
    "additive": "additive",
    "concat": "concat",
    "location": "location",
}


def build(name: str, width: int, hidden: int, rank: int, longest: int) -> Score:
    """Make a score for queries and keys of the same width."""
    return {
        "dot": Dot,
        "scaled": ScaledDot,
        "cosine": Cosine,
        "bilinear": lambda: Bilinear(width, width),
        "low_rank": lambda: LowRankBilinear(width, width, rank),
        "additive": lambda: Additive(width, width, hidden),
        "concat": lambda: Concat(width, width, hidden),
        "location": lambda: Location(width, longest),
    }[name]()


# Why the square root of the width


def scaling(run: Run) -> Measures:
    """Draw queries and keys of many widths; look at their dot products, with and without the scale."""
    few = SETTINGS["scaling"]
    random = torch.Generator().manual_seed(run.seed)
    measures = {"dot": [], "scaled": []}
    for width in few["widths"]:
        query = torch.randn(few["queries"], 1, width, generator=random, dtype=torch.float64)
        key = torch.randn(few["queries"], few["keys"], width, generator=random, dtype=torch.float64)
        for name, score in (("dot", Dot()), ("scaled", ScaledDot())):
            measures[name].append(saturation(score(query, key)[:, 0], key))
    return {
        name: {what: [one[what] for one in by_width] for what in by_width[0]} for name, by_width in measures.items()
    }


def saturation(scores: Tensor, key: Tensor) -> dict[str, float]:
    """How far apart scores (n, keys) are, how sharp their softmax is, and how large its derivatives are."""
    weights = weigh(scores)
    entropy = -(weights * weights.clamp_min(1e-300).log()).sum(-1)
    by_score = torch.diag_embed(weights) - weights[:, :, None] * weights[:, None, :]  # d weights / d scores
    size = torch.linalg.matrix_norm(by_score)
    return {
        "variance": float(scores.var()),
        "largest": float(weights.amax(-1).mean()),
        "entropy": float(entropy.mean() / np.log(scores.shape[-1])),
        "gradient": float(size.median()),
        "gradient_mean": float(size.mean()),
    }


# What a score costs


def cost(run: Run) -> Measures:
    """Count parameters and multiplications, and measure memory and time, for one query and for many."""
    few = SETTINGS["cost"]
    longest = max(keys for _, keys in few["sizes"])
    measures = {}
    for name in NAMES:
        score = build(name, few["width"], few["hidden"], few["rank"], longest)
        measures[name] = {"parameters": sum(p.numel() for p in score.parameters())}
        for queries, keys in few["sizes"]:
            query = torch.randn(few["batch"], queries, few["width"], requires_grad=True)
            key = torch.randn(few["batch"], keys, few["width"], requires_grad=True)
            measures[name][f"{queries}x{keys}"] = {
                "products": products(score.compare, query, score.prepare(key)) / few["batch"],
                "products_prepare": products(score.prepare, key) / few["batch"],
                "peak": peak_numbers(score, query, key) / few["batch"],
                "seconds": seconds(score, query, key),
            }
    for by_size in measures.values():
        for queries, keys in few["sizes"]:
            one, dot = by_size[f"{queries}x{keys}"], measures["dot"][f"{queries}x{keys}"]
            one["times_dot"] = one["seconds"] / dot["seconds"]
    for by_size in measures.values():
        for queries, keys in few["sizes"]:
            del by_size[f"{queries}x{keys}"]["seconds"]  # a time in itself says more of the machine than of the score
    return measures


def products(function: Callable[..., Tensor], *arguments: Tensor) -> int:
    """How many multiplications of two numbers the matrix products of a call take."""
    with torch.no_grad(), FlopCounterMode(display=False) as count:
        function(*arguments)
    return count.get_total_flops() // 2


class Peak(TorchDispatchMode):
    """Watch how many bytes are alive at most among the tensors that are made meanwhile."""

    def __init__(self):
        super().__init__()
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.most = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        old = {id_of(tensor) for tensor in args if isinstance(tensor, Tensor)} - set(self.alive)
        result = function(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and id_of(result) not in old:  # a view of what was there before costs nothing
            storage = result.untyped_storage()
            self.alive[id_of(result)] = (StorageWeakRef(storage), storage.nbytes())
        self.alive = {at: (ref, size) for at, (ref, size) in self.alive.items() if not ref.expired()}
        self.most = max(self.most, sum(size for _, size in self.alive.values()))
        return result


def id_of(tensor: Tensor) -> int:
    """What two views of the same numbers have in common."""
    return tensor.untyped_storage()._cdata


def peak_numbers(score: Score, query: Tensor, key: Tensor) -> float:
    """How many float32 numbers are alive at most beside query, key and parameters, forward and backward."""
    with Peak() as peak:
        torch.autograd.grad(score(query, key).sum(), [query, *score.parameters()], allow_unused=True)
    return peak.most / 4


def seconds(score: Score, query: Tensor, key: Tensor) -> float:
    """The median time of a call and its gradients."""
    inputs = [query, key, *score.parameters()]
    taken = []
    for _ in range(SETTINGS["cost"]["times"]):
        began = time.perf_counter()
        torch.autograd.grad(score(query, key).sum(), inputs, allow_unused=True)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


# What a score can say: tasks that need one thing each

Example = tuple[Tensor, Tensor, Tensor]  # query (batch, 1, width), key (batch, keys, width), right (batch,)


class Tasks:
    """Six ways in which one of the keys can be the right one. All that is fixed in a task is drawn from the seed."""

    def __init__(self, seed: int):
        few = SETTINGS["tasks"]
        self.width, self.keys = few["width"], few["keys"]
        random = torch.Generator().manual_seed(seed)
        self.turn = rotation(self.width, random)
        self.items = torch.eye(self.width)[torch.randperm(self.width, generator=random)] @ self.turn
        self.places = torch.randn(self.keys, self.width, generator=random)

    def same(self, count: int, random: torch.Generator) -> Example:
        """The query is a noisy copy of one key; the keys differ in length."""
        key = torch.randn(count, self.keys, self.width, generator=random)
        key = key * (0.5 + 1.5 * torch.rand(count, self.keys, 1, generator=random))
        query, right = self._one_of(key, random)
        return query + 0.2 * torch.randn(query.shape, generator=random), key, right

    def turned(self, count: int, random: torch.Generator) -> Example:
        """The query is one key, turned by a rotation that is always the same; all have length one."""
        key = normalize(torch.randn(count, self.keys, self.width, generator=random), dim=-1)
        query, right = self._one_of(key, random)
        return query @ self.turn, key, right

    def longest(self, count: int, random: torch.Generator) -> Example:
        """All keys point in one direction u. The query u asks for the longest, the query -u for the shortest."""
        way = normalize(torch.randn(count, 1, self.width, generator=random), dim=-1)
        length = 0.2 + 1.8 * torch.rand(count, self.keys, generator=random)
        sign = torch.randint(2, (count,), generator=random) * 2 - 1
        right = (sign[:, None] * length).argmax(-1)
        return sign[:, None, None] * way, length[..., None] * way, right

    def nearest(self, count: int, random: torch.Generator) -> Example:
        """Query and keys are numbers t, written as (t, 1, 0, …). The nearest number is right."""
        query, key = (2 * torch.rand(count, n, generator=random) - 1 for n in (1, self.keys))
        right = (query - key).abs().argmin(-1)
        return self._number(query), self._number(key), right

    def next(self, count: int, random: torch.Generator) -> Example:
        """The keys are the same few items in any order; after each item comes a next one, and after the last the first."""
        order = torch.rand(count, self.keys, generator=random).argsort(-1)
        asked = torch.randint(self.keys, (count,), generator=random)
        right = (order == (asked[:, None] + 1) % self.keys).float().argmax(-1)
        return self.items[asked][:, None], self.items[order], right

    def place(self, count: int, random: torch.Generator) -> Example:
        """The query names a place; what stands there does not matter."""
        key = torch.randn(count, self.keys, self.width, generator=random)
        right = torch.randint(self.keys, (count,), generator=random)
        return self.places[right][:, None], key, right

    def _one_of(self, key: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        right = torch.randint(key.shape[1], (len(key),), generator=random)
        return key[torch.arange(len(key)), right][:, None], right

    def _number(self, t: Tensor) -> Tensor:
        rest = torch.zeros(*t.shape, self.width - 2)
        return torch.cat([t[..., None], torch.ones(*t.shape, 1), rest], dim=-1)


TASKS = ("same", "turned", "longest", "nearest", "next", "place")


def rotation(width: int, random: torch.Generator) -> Tensor:
    """A rotation (or a rotation and a mirror) that is drawn evenly from all."""
    return torch.linalg.qr(torch.randn(width, width, generator=random)).Q


class Scale(nn.Module):
    """A score times one number that is learned, so that no score is judged by the size of its numbers."""

    def __init__(self, score: nn.Module):
        super().__init__()
        self.score, self.log = score, nn.Parameter(torch.zeros(()))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return self.log.exp() * self.score(query, key)


def tasks(run: Run) -> Measures:
    """Train each score on each task; give the share of new examples in which the right key scores best."""
    measures = {}
    for number, task in enumerate(TASKS):
        measures[task] = {name: learned(name, task, run.seed) for name in NAMES}
        run.progress(number + 1, len(TASKS))
    return measures


def learned(name: str, task: str, seed: int) -> float:
    """Train one score on one task and test it on new examples. A tie is no right answer."""
    few = SETTINGS["tasks"]
    draw = getattr(Tasks(seed), task)
    torch.manual_seed(seed)
    model = Scale(build(name, few["width"], few["hidden"], few["rank"], few["keys"]))
    random = torch.Generator().manual_seed(seed)
    for _ in descend(model, few["steps"], few["rate"]):
        query, key, right = draw(few["batch"], random)
        cross_entropy(model(query, key)[:, 0], right).backward()
    with torch.no_grad():
        query, key, right = draw(few["test"], torch.Generator().manual_seed(1000 + seed))
        scores = model(query, key)[:, 0]
        return float(strictly_best(scores, right).float().mean())


def strictly_best(scores: Tensor, right: Tensor) -> Tensor:
    """Whether the right key beats every other by more than rounding: (n, keys) and (n,) give (n,)."""
    chosen = one_hot(right, scores.shape[-1]).bool()
    others = scores.masked_fill(chosen, -torch.inf).amax(-1)
    mine = scores[chosen]
    return mine > others + 1e-5 * (1 + mine.abs())


def descend(model: nn.Module, steps: int, rate: float) -> Iterator[int]:
    """Steps of Adam, the last third with a rate that falls to zero; the caller makes the gradients of each step."""
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = rate * min(1.0, 3 * (steps - step) / steps)
        adam.zero_grad()
        yield step
        adam.step()


# All on one retrieval task


class Retrieval:
    """A query is one of the keys, turned and noisy; what is asked for is the label of that key."""

    def __init__(self, seed: int):
        self.few = SETTINGS["retrieval"]
        self.turn = rotation(self.few["width"], torch.Generator().manual_seed(seed))

    def draw(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Query (count, 1, width), key (count, keys, width), labels (count, keys), the place of the match (count,)."""
        key = torch.randn(count, self.few["keys"], self.few["width"], generator=random)
        labels = torch.randint(self.few["labels"], (count, self.few["keys"]), generator=random)
        right = torch.randint(self.few["keys"], (count,), generator=random)
        query = key[torch.arange(count), right][:, None] @ self.turn
        return query + self.few["noise"] * torch.randn(query.shape, generator=random), key, labels, right

    def loss(self, model: nn.Module, count: int, random: torch.Generator) -> Tensor:
        """-log of the weight that falls on the right label; nobody says which key it belongs to."""
        query, key, labels, right = self.draw(count, random)
        value = one_hot(labels, self.few["labels"]).float()
        context, _ = attend(model(query, key), value)
        wanted = labels.gather(1, right[:, None])
        return -context[:, 0].gather(1, wanted).clamp_min(1e-9).log().mean()

    @torch.no_grad()
    def accuracy(self, model: Callable[[Tensor, Tensor], Tensor], stream: int) -> float:
        """In how many of new examples the match scores best."""
        query, key, _, right = self.draw(self.few["test"], torch.Generator().manual_seed(stream))
        return float(strictly_best(model(query, key)[:, 0], right).float().mean())

    def ceiling(self, query: Tensor, key: Tensor) -> Tensor:
        """The score of one who knows the rotation: minus the squared distance, which no rule can beat here."""
        return -(query - key @ self.turn).square().sum(-1)[:, None]


class Mapped(nn.Module):
    """A score behind two matrices that are learned, one for the queries and one for the keys."""

    def __init__(self, score: nn.Module, width: int):
        super().__init__()
        self.score = score
        self.query, self.key = (nn.Linear(width, width, bias=False) for _ in range(2))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return self.score(self.query(query), self.key(key))


def retrieval(run: Run, mapped: bool) -> Measures:
    """Train each score, alone or behind two matrices; the rate is chosen on examples of its own."""
    task, few = Retrieval(run.seed), SETTINGS["retrieval"]
    measures = {"ceiling": task.accuracy(task.ceiling, 3000 + run.seed)}
    for number, name in enumerate(NAMES):
        runs = [retrieve(task, name, mapped, rate, run.seed) for rate in few["rates"]]
        measures[name] = max(runs, key=lambda one: one["chosen_by"])
        run.progress(number + 1, len(NAMES))
    return measures


def retrieve(task: Retrieval, name: str, mapped: bool, rate: float, seed: int) -> Measures:
    """Train one score at one rate: its accuracy as it learns, the steps to the wanted quality, the end."""
    few = task.few
    torch.manual_seed(seed)
    score = Scale(build(name, few["width"], few["hidden"], few["rank"], few["keys"]))
    model = Mapped(score, few["width"]) if mapped else score
    random, curve = torch.Generator().manual_seed(seed), [task.accuracy(model, 2000 + seed)]
    for step in descend(model, few["steps"], rate):
        if step and step % few["every"] == 0:
            curve.append(task.accuracy(model, 2000 + seed))
        task.loss(model, few["batch"], random).backward()
    curve.append(task.accuracy(model, 2000 + seed))
    reached = [place for place, right in enumerate(curve) if right >= few["quality"]]
    return {
        "curve": curve,
        "chosen_by": curve[-1],
        "steps": (reached[0] if reached else len(curve)) * few["every"],
        "accuracy": task.accuracy(model, 3000 + seed),
        "rate": rate,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


PARTS = {
    "scaling": scaling,
    "cost": cost,
    "tasks": tasks,
    "alone": partial(retrieval, mapped=False),
    "mapped": partial(retrieval, mapped=True),
}

CHANCE = 1 / SETTINGS["tasks"]["keys"]
LINEAR = ("dot", "scaled", "bilinear", "low_rank")  # linear in the key
CONTENT = [name for name in NAMES if name != "location"]


RULES = [
    Rule(
        "variance-is-the-width",
        "The variance of the dot product is within a tenth of the width, for every width; of the scaled one, of 1.",
        lambda m: all(
            abs(m["scaling"]["dot"]["variance"][i] / d - 1) < 0.1
            and abs(m["scaling"]["scaled"]["variance"][i] - 1) < 0.1
            for i, d in enumerate(SETTINGS["scaling"]["widths"])
        ),
    ),
    Rule(
        "large-width-saturates",
        "At the largest width, the largest weight is above 0.9 on average without the scale and below 0.3 with it.",
        lambda m: m["scaling"]["dot"]["largest"][-1] > 0.9 and m["scaling"]["scaled"]["largest"][-1] < 0.3,
    ),
    Rule(
        "saturation-stops-the-gradient",
        "At the largest width, the derivatives of the weights are at the median less than a hundredth of what they are "
        "with the scale.",
        lambda m: m["scaling"]["dot"]["gradient"][-1] < m["scaling"]["scaled"]["gradient"][-1] / 100,
    ),
    Rule(
        "additive-needs-memory",
        "At 128 queries and 128 keys, the additive score needs more than ten times the memory of the dot product.",
        lambda m: m["cost"]["additive"]["128x128"]["peak"] > 10 * m["cost"]["dot"]["128x128"]["peak"],
    ),
    Rule(
        "additive-is-slower",
        "At 128 queries and 128 keys, the additive score takes more than ten times the time of the dot product.",
        lambda m: m["cost"]["additive"]["128x128"]["times_dot"] > 10,
    ),
    Rule(
        "same-suits-cosine",
        "Noisy copies of keys of many lengths: cosine is right in more than 90 % and better than the dot product.",
        lambda m: m["tasks"]["same"]["cosine"] > max(0.9, m["tasks"]["same"]["dot"]),
    ),
    Rule(
        "turned-needs-a-matrix",
        "A fixed rotation: the full bilinear score is right in more than 95 %, and dot, scaled dot and cosine in fewer "
        "than 50 %.",
        lambda m: (
            m["tasks"]["turned"]["bilinear"] > 0.95
            and max(m["tasks"]["turned"][name] for name in ("dot", "scaled", "cosine")) < 0.5
        ),
    ),
    Rule(
        "rank-two-is-too-small",
        "A fixed rotation of eight numbers: a bilinear score of rank 2 is right in fewer than 80 %.",
        lambda m: m["tasks"]["turned"]["low_rank"] < 0.8,
    ),
    Rule(
        "longest-is-hidden-from-cosine",
        "Keys that differ in length only: the dot product is right in more than 95 %, cosine in fewer than 20 %.",
        lambda m: m["tasks"]["longest"]["dot"] > 0.95 and m["tasks"]["longest"]["cosine"] < 0.2,
    ),
    Rule(
        "nearest-is-not-linear",
        "The nearest number: every score that is linear in the key is right in fewer than 50 %; additive, concat and "
        "cosine in more than 80 %.",
        lambda m: (
            max(m["tasks"]["nearest"][name] for name in LINEAR) < 0.5
            and min(m["tasks"]["nearest"][name] for name in ("additive", "concat", "cosine")) > 0.8
        ),
    ),
    Rule(
        "next-needs-asymmetry",
        "The next item: dot, scaled dot and cosine are right in fewer than 20 %, bilinear in more than 95 %, and rank 2 "
        "in more than 95 %, because items on a circle need no more.",
        lambda m: (
            max(m["tasks"]["next"][name] for name in ("dot", "scaled", "cosine")) < 0.2
            and min(m["tasks"]["next"][name] for name in ("bilinear", "low_rank")) > 0.95
        ),
    ),
    Rule(
        "place-suits-location-alone",
        "A place by its name: location is right in more than 95 %, every other score in fewer than 25 %.",
        lambda m: m["tasks"]["place"]["location"] > 0.95 and max(m["tasks"]["place"][name] for name in CONTENT) < 0.25,
    ),
    Rule(
        "simple-alone-is-not-enough",
        "Retrieval with the score alone: the dot product ends at least 50 points below the bilinear score.",
        lambda m: m["alone"]["dot"]["accuracy"] < m["alone"]["bilinear"]["accuracy"] - 0.5,
    ),
    Rule(
        "simple-behind-matrices-is-enough",
        "Retrieval behind two learned matrices: the dot product ends at most 5 points below the best of all scores.",
        lambda m: m["mapped"]["dot"]["accuracy"] > max(m["mapped"][name]["accuracy"] for name in NAMES) - 0.05,
    ),
    Rule(
        "additive-learns-later",
        "Retrieval with the score alone: the additive score needs more steps to four right in five than the bilinear one.",
        lambda m: m["alone"]["additive"]["steps"] > m["alone"]["bilinear"]["steps"],
    ),
    Rule(
        "concat-is-additive",
        "Retrieval, alone and behind matrices: concat and additive end within 5 points of each other.",
        lambda m: all(
            abs(m[part]["concat"]["accuracy"] - m[part]["additive"]["accuracy"]) < 0.05 for part in ("alone", "mapped")
        ),
    ),
]

TOLERANCE = {
    "scaling.*": Tolerance(relative=1e-4),  # drawn, not trained
    "cost.*.times_dot": Tolerance(absolute=1000.0),  # a time depends on the machine
    "cost.*.peak": Tolerance(relative=0.1),
    "cost.*": Tolerance(),
    "*.parameters": Tolerance(),
    # float32 training is not the same on two processors
    "*.steps": Tolerance(absolute=300.0),
    "*.rate": Tolerance(absolute=0.1),
    "*": Tolerance(absolute=0.15),
}
