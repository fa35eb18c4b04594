"""Chapter 01, measured: how many looks a search takes, and what a small budget of looks brings.

Nothing is trained. Each part draws new pictures, sees them from the corner of the eye, and sends sharp looks where a
map says: what stands out, or what is asked for. See ``RULES`` for what was expected before the run.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from attention_src import plots
from attention_src.data.scenes import CELL, KINDS, MARKS, Scene, read_mark, render
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.results import Results
from attention_src.looking import features, focus, glance, order, priority, query, saliency

BY = 2  # pixels of the sharp picture along the side of a coarse one
SETTINGS = {
    "scenes": 100,
    "sides": [2, 4, 6, 8, 10],
    "kinds": ["one_colour", "one_shape", "both"],
    "side": 8,
    "budget_scenes": 200,
    "budgets": [1, 2, 4, 8, 16, 32, 64],
    "budget": 4,
    "will": 0.5,
}
ORDERS = ("query", "saliency", "chance")


class Seen:
    """Many scenes of one kind, their pixels, and the maps that a coarse glance gives."""

    def __init__(self, kind: str, side: int, count: int, random: torch.Generator):
        self.scenes = [KINDS[kind](random, side) for _ in range(count)]
        self.sharp = torch.stack([render(scene, random) for scene in self.scenes])
        self.wishes = torch.stack([query(scene.target.colour, scene.target.shape) for scene in self.scenes])
        known = features(glance(self.sharp, random, BY), CELL // BY)
        self.cells = side * side
        self.maps = {"saliency": saliency(known), "query": weights(known, self.wishes)}
        self.maps["chance"] = torch.rand(self.maps["query"].shape, generator=random, dtype=torch.float64)

    def rank(self, map_: Tensor, thing: int = 0) -> np.ndarray:
        """Tell after how many looks by ``map_`` a thing of each scene is found; the first thing is the target."""
        places = torch.tensor([scene.things[thing].place for scene in self.scenes])
        return ((order(map_) == places[:, None]).int().argmax(dim=-1) + 1).numpy()

    def marks(self) -> np.ndarray:
        """Read the mark in each cell of each sharp picture: its number among ``MARKS``."""
        names = list(MARKS)
        blocks = self.sharp.unfold(2, CELL, CELL).unfold(3, CELL, CELL)  # (scenes, 3, rows, columns, CELL, CELL)
        cells = blocks.movedim(1, 3).flatten(start_dim=1, end_dim=2)
        return np.array([[names.index(read_mark(cell)) for cell in picture] for picture in cells])

    def right(self) -> np.ndarray:
        """Give the number of the target's mark in each scene."""
        return np.array([list(MARKS).index(scene.target.mark) for scene in self.scenes])

    @cached_property
    def fits(self) -> Tensor:
        """How well each cell fits what is asked, when it is seen sharply."""
        return weights(features(self.sharp, CELL), self.wishes).flatten(start_dim=1)

    def answers(self, map_: Tensor, budget: int, marks: np.ndarray) -> np.ndarray:
        """Look sharply at ``budget`` cells; of these, the one that fits best gives the answer."""
        looked = order(map_)[:, :budget]
        best = looked.gather(1, self.fits.gather(1, looked).argmax(dim=1, keepdim=True))[:, 0].numpy()
        return marks[np.arange(len(marks)), best]


def weights(known: Tensor, wishes: Tensor) -> Tensor:
    """Give the weight of each cell for what is asked."""
    nothing = known.new_zeros(len(known), known.shape[-3] * known.shape[-2], 1)
    return focus(known, wishes, nothing)[1]


def search(run: Run) -> Measures:
    """How many looks until the target is found, on average, by kind of scene and number of objects?"""
    random = torch.Generator().manual_seed(run.seed)
    measures = {}
    for kind in SETTINGS["kinds"]:
        ranks = {name: {} for name in ORDERS}
        for side in SETTINGS["sides"]:
            seen = Seen(kind, side, SETTINGS["scenes"], random)
            for name in ORDERS:
                ranks[name][str(side * side)] = float(seen.rank(seen.maps[name]).mean())
        measures[kind] = ranks
    return measures


def budget(run: Run) -> Measures:
    """How often is the mark of the target read right, by the number of looks? And by one soft look at everything?"""
    random = torch.Generator().manual_seed(run.seed)
    seen = Seen("both", SETTINGS["side"], SETTINGS["budget_scenes"], random)
    marks, right = seen.marks(), seen.right()
    measures = {
        name: {
            str(looks): 100 * float((seen.answers(seen.maps[name], looks, marks) == right).mean())
            for looks in SETTINGS["budgets"]
        }
        for name in ORDERS
    }
    return measures | {"soft": soft(seen, marks, right), "read": numbers_read()}


def soft(seen: Seen, marks: np.ndarray, right: np.ndarray) -> Measures:
    """Mix the marks of all cells by their weights, and say the one with the largest share."""
    value = torch.eye(len(MARKS), dtype=torch.float64)[torch.from_numpy(marks)]
    shares = torch.einsum("bk,bkm->bm", seen.maps["query"].flatten(start_dim=1), value)
    places = torch.tensor([scene.target.place for scene in seen.scenes])
    all_weights = seen.maps["query"].flatten(start_dim=1)
    on_target = all_weights.gather(1, places[:, None])
    return {
        "right": 100 * float((shares.argmax(dim=1).numpy() == right).mean()),
        "outside": float(1 - on_target.mean()),
        "smallest": float(all_weights.min()),
    }


def numbers_read() -> Measures:
    """Count the numbers that are read: the whole picture, the coarse one, and one sharp look."""
    whole = 3 * (SETTINGS["side"] * CELL) ** 2
    coarse, look = whole // BY**2, 3 * CELL**2
    budgets = {str(looks): (coarse + looks * look) / whole for looks in SETTINGS["budgets"]}
    return {"whole": whole, "coarse": coarse, "look": look, "share": budgets}


def overload(run: Run) -> Measures:
    """How often is the mark read right with a few looks, as the objects become more?"""
    random = torch.Generator().manual_seed(run.seed)
    measures = {name: {} for name in ORDERS}
    for side in SETTINGS["sides"]:
        seen = Seen("both", side, SETTINGS["scenes"], random)
        marks, right = seen.marks(), seen.right()
        for name in ORDERS:
            said = seen.answers(seen.maps[name], SETTINGS["budget"], marks)
            measures[name][str(side * side)] = 100 * float((said == right).mean())
    return measures


def surprise(run: Run) -> Measures:
    """How soon is the target seen, and how soon an odd object that nobody asked for?"""
    random = torch.Generator().manual_seed(run.seed)
    seen = Seen("surprise", SETTINGS["side"], SETTINGS["budget_scenes"], random)
    maps = seen.maps | {"mixed": priority(seen.maps["saliency"], seen.maps["query"], SETTINGS["will"])}
    return {
        name: {"target": float(seen.rank(map_).mean()), "odd": float(seen.rank(map_, -1).mean())}
        for name, map_ in maps.items()
    }


PARTS = {"search": search, "budget": budget, "overload": overload, "surprise": surprise}


def fall(m: Measures, name: str) -> float:
    """How many points are lost between the fewest objects and the most, with the same budget."""
    series = list(m["overload"][name].values())
    return series[0] - series[-1]


RULES = [
    Rule(
        "an-odd-colour-pops-out",
        "Where the target alone has its colour, the saliency map needs at most 1.5 looks on average, whatever the "
        "number of objects.",
        lambda m: max(m["search"]["one_colour"]["saliency"].values()) <= 1.5,
    ),
    Rule(
        "a-combination-does-not-pop-out",
        "Among 64 objects, where only the combination of colour and shape is unique, the saliency map needs at least "
        "80 % of the looks that chance needs.",
        lambda m: m["search"]["both"]["saliency"]["64"] >= 0.8 * m["search"]["both"]["chance"]["64"],
    ),
    Rule(
        "asking-finds-it",
        "In the same pictures, the query needs less than a third of the looks that the saliency map needs.",
        lambda m: m["search"]["both"]["query"]["64"] < m["search"]["both"]["saliency"]["64"] / 3,
    ),
    Rule(
        "a-small-budget-well-spent",
        "With 8 looks at 64 objects, the order of the query gives the right answer at least twice as often as chance.",
        lambda m: m["budget"]["query"]["8"] >= 2 * m["budget"]["chance"]["8"],
    ),
    Rule(
        "sixteen-looks-are-enough",
        "With 16 looks of 64, the order of the query is within 5 points of looking at everything.",
        lambda m: m["budget"]["query"]["64"] - m["budget"]["query"]["16"] <= 5,
    ),
    Rule(
        "overload-hurts-less",
        f"From 4 objects to 100, with {SETTINGS['budget']} looks, the order of the query loses less than half as many "
        "points as chance.",
        lambda m: fall(m, "query") < fall(m, "chance") / 2,
    ),
    Rule(
        "focus-is-blind",
        "The order of the query comes to an odd object that nobody asked for later than chance does.",
        lambda m: m["surprise"]["query"]["odd"] > m["surprise"]["chance"]["odd"],
    ),
    Rule(
        "saliency-sees-the-surprise",
        "The saliency map comes to the odd object within 4 looks on average.",
        lambda m: m["surprise"]["saliency"]["odd"] <= 4,
    ),
    Rule(
        "a-mixture-finds-both",
        "Half of each map finds the target within 8 looks on average, and the odd object within 16.",
        lambda m: m["surprise"]["mixed"]["target"] <= 8 and m["surprise"]["mixed"]["odd"] <= 16,
    ),
    Rule(
        "soft-ignores-nothing",
        "The soft weights of 64 objects are all above 0, and more than half of the weight falls outside the target.",
        lambda m: m["budget"]["soft"]["smallest"] > 0 and m["budget"]["soft"]["outside"] > 0.5,
    ),
    Rule(
        "soft-beats-one-look",
        "Mixing the marks of all 64 cells by their weights gives the right answer more often than one look.",
        lambda m: m["budget"]["soft"]["right"] > m["budget"]["query"]["1"],
    ),
]

TOLERANCE = {
    "budget.read.*": Tolerance(),
    "budget.soft.smallest": Tolerance(relative=1e-3),
    "*": Tolerance(relative=1e-3, absolute=1.0),  # two maps may order near ties in another way
}


def _lines(part: str, names: dict[str, str], xlabel: str, ylabel: str) -> Callable[[Results], Figure]:
    def draw(results: Results) -> Figure:
        points, _ = results.table(f"{part}.{next(iter(names))}")
        tables = {label: results.table(f"{part}.{name}")[1] for name, label in names.items()}
        return plots.lines_over_seeds(points, tables, xlabel=xlabel, ylabel=ylabel)

    return draw


NAMES = {"query": "what is asked", "saliency": "what stands out", "chance": "chance"}
CHARTS = {
    "one_colour": _lines("search.one_colour", NAMES, "objects", "looks until found"),
    "both": _lines("search.both", NAMES, "objects", "looks until found"),
    "budget": _lines("budget", NAMES, "looks", "right answers, %"),
    "overload": _lines("overload", NAMES, "objects", "right answers, %"),
}

STEADY = 0.1  # the grain of the glance at the pictures that are shown
SCENES = {  # the names that a reader sees
    "With a surprise": "surprise",
    "Only both together": "both",
    "One other colour": "one_colour",
    "One other shape": "one_shape",
}


def example(kind: str, side: int = 6) -> tuple[Scene, Tensor, Tensor]:
    """Draw the first scene of a kind in which asking for a red circle finds the target at the first look.

    Gives the scene, its sharp pixels and its features, from a glance that is less unsure than those that are measured.
    """
    wish = query("red", "circle")
    for seed in range(1000):
        random = torch.Generator().manual_seed(seed)
        scene = KINDS[kind](random, side)
        if (scene.target.colour, scene.target.shape) == ("red", "circle"):
            sharp = render(scene, random)
            known = features(glance(sharp, random, BY, STEADY), CELL // BY)
            if order(weights(known[None], wish[None]))[0, 0] == scene.target.place:
                return scene, sharp, known
    raise ValueError(f"in no scene of the kind {kind!r} is a red circle the target and found at once")


def widget() -> dict:
    """Give what the widget of the chapter is made from."""
    scenes = {}
    for label, kind in SCENES.items():
        scene, _, known = example(kind)
        rows = known.flatten(end_dim=1).tolist()
        things = sorted(scene.things)  # by their places
        scenes[label] = {
            "side": scene.side,
            "things": [[thing.colour, thing.shape] for thing in things],
            "features": [[round(number, 4) for number in row] for row in rows],
        }
    return {"scenes": scenes}
