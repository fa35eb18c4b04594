"""Chapter 09, measured: estimators against the exact gradient, what they train, what a wrong pick costs, and glimpses.

See ``RULES`` for what was expected before the run.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from attention_src import plots
from attention_src.attention import weigh
from attention_src.data.digits import DIGIT, GRID, PIECE, PIECES, SIZE, TEST, Pictures, pictures
from attention_src.data.lookups import lookups
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.results import Results, load_model
from attention_src.hard_attention import (
    SoftViewer,
    Viewer,
    anywhere,
    best,
    draw,
    exact_gradient,
    gumbel,
    hardest,
    near,
    pathwise,
    quality,
    reinforce,
    relax,
    running_mean,
    sampled,
    straight_through,
    viewer_loss,
)
from attention_src.scores import Bilinear
from attention_src.training import Plan, fit

SETTINGS = {
    "estimators": {"places": 8, "width": 8, "samples": 50_000, "temperatures": [0.1, 0.3, 1.0, 3.0], "keep": 0.9},
    "retrieval": {
        "items": 16,
        "widths": [8, 8],
        "noise": 0.3,
        "batch": 32,
        "steps": 600,
        "every": 60,
        "rate": 5e-3,
        "temperature": 1.0,
        "keep": 0.9,
        "test": 1000,
    },
    "wrong_picks": {"items": 16, "width": 8, "gain": 2.5, "reads": 10, "passages": 4000, "most": 6},
    "pictures": {
        "size": SIZE,
        "digit": DIGIT,
        "grid": GRID,
        "piece": PIECE,
        "pieces": PIECES,
        "test_digits": TEST,
        "test": 2000,
        "batch": 128,
        "steps": 1000,
        "rate": 5e-3,
        "glimpses": 4,
        "stay_open": 0.02,
    },
}
QUIET = lambda done, steps: None  # noqa: E731


# Estimators against the exact gradient


def half_squared(wanted: Tensor) -> Callable[[Tensor], Tensor]:
    """The loss of what was read: half the squared distance from what is wanted."""
    return lambda context: 0.5 * (context - wanted).square().sum(dim=-1)


def estimators(run: Run) -> Measures:
    """Bias and variance of each estimator for one choice, relative to the exact gradient."""
    how = SETTINGS["estimators"]
    random = torch.Generator().manual_seed(run.seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=random, dtype=torch.float64)

    scores, value, wanted = normal(how["places"]), normal(how["places"], how["width"]), normal(how["width"])
    loss = half_squared(wanted)
    exact = exact_gradient(scores, value, loss)
    noise = gumbel(torch.zeros(how["samples"], how["places"], dtype=torch.float64), random)
    places = draw(scores.expand_as(noise), noise)
    mean = (scores.softmax(0) @ loss(value)).item()
    found = {
        "none": reinforce(scores, value, loss, places),
        "running": reinforce(scores, value, loss, places, running_mean(loss(value[places]), how["keep"])),
        "mean": reinforce(scores, value, loss, places, mean),
    }
    for temperature in how["temperatures"]:
        for name, straight in (("relaxed", False), ("straight", True)):
            found[named(name, temperature)] = pathwise(scores, value, loss, noise, temperature, straight)
    measures = {}
    for name, estimates in found.items():
        bias, variance = quality(estimates, exact)
        measures[name] = {"bias": bias, "variance": variance, "chance": (variance / how["samples"]) ** 0.5}
    return measures


def named(name: str, temperature: float) -> str:
    """The name of an estimator at a temperature, as a measure: without a dot."""
    return f"{name}_{temperature:g}".replace(".", "-")


# Training a look-up


class Baseline:
    """The mean of the losses so far, the recent ones more; it starts at the first."""

    def __init__(self, keep: float):
        self.keep, self.mean = keep, 0.0

    def before(self, losses: Tensor) -> float:
        """Give the mean before these losses, and take them in."""
        before = self.mean
        self.mean = self.keep * before + (1 - self.keep) * losses.mean().item()
        return before


def read_loss(way: str, scores: Tensor, value: Tensor, wanted: Tensor, running: Baseline) -> Tensor:
    """The loss whose gradient trains the scores (batch, k), in one of six ways."""

    def losses(context: Tensor) -> Tensor:
        return 0.5 * (context - wanted[:, None]).square().sum(dim=-1)

    if way in ("soft", "relaxed", "straight"):
        if way == "soft":
            weights = weigh(scores[:, None])
        else:
            weights = relax(scores, gumbel(scores), SETTINGS["retrieval"]["temperature"])[:, None]
            weights = straight_through(weights) if way == "straight" else weights
        return losses(weights @ value).mean()
    place = draw(scores.detach(), gumbel(scores.detach()))[:, None]
    loss = losses(value.gather(1, place[..., None].expand(-1, 1, value.shape[-1])))[:, 0]
    log_p = scores.log_softmax(dim=-1)
    if way == "mean":
        baseline = (log_p.exp() * losses(value)).sum(dim=-1).detach()
    else:
        baseline = running.before(loss) if way == "running" else 0.0
    return ((loss - baseline) * log_p.gather(1, place)[:, 0]).mean()


def some_lookups(count: int, seed: int, part: int) -> tuple[Tensor, ...]:
    """Queries, keys, values and the right items, as tensors."""
    how = SETTINGS["retrieval"]
    drawn = lookups(count, how["items"], tuple(how["widths"]), how["noise"], (seed, part))
    *numbers, item = map(torch.from_numpy, drawn)
    return *(part.to(torch.get_default_dtype()) for part in numbers), item


def retrieval(run: Run, way: str, steps: int | None = None) -> Measures:
    """Train the matrix of a bilinear score to look up; give the share of right picks as training goes on."""
    how = SETTINGS["retrieval"]
    steps = steps or how["steps"]
    torch.manual_seed(run.seed)
    score, running, right = Bilinear(*[how["widths"][0]] * 2), Baseline(how["keep"]), []
    test = some_lookups(how["test"], run.seed, 0)

    def loss(score: Bilinear, given: tuple[Tensor, ...]) -> Tensor:
        query, key, value, item = given
        scores = score(query[:, None], key)[:, 0]
        return read_loss(way, scores, value, value[torch.arange(len(item)), item], running)

    def look(done: int, of: int) -> None:
        if done % how["every"] == 0:
            with torch.no_grad():
                picked = score(test[0][:, None], test[1])[:, 0].argmax(dim=-1)
            right.append((picked == test[3]).double().mean().item())

    plan = Plan(steps, how["rate"])
    fit(score, loss, lambda step: some_lookups(how["batch"], run.seed, step + 1), plan, report=look)
    return {"right": right[-1], "curve": right}


# What a wrong pick costs


def wrong_picks(run: Run) -> Measures:
    """Read several values with scores that err; give the mean error by the number of wrong picks, hard and soft."""
    how = SETTINGS["wrong_picks"]
    random = torch.Generator().manual_seed(run.seed)
    shape = how["passages"], how["reads"], how["items"]
    scores = torch.randn(shape, generator=random, dtype=torch.float64)
    value = torch.randn(*shape, how["width"], generator=random, dtype=torch.float64)
    scores[..., 0] += how["gain"]  # item 0 is the right one
    wrong = (scores.argmax(dim=-1) != 0).sum(dim=-1)
    measures: Measures = {}
    for name, weights in (("hard", hardest(scores)), ("soft", weigh(scores))):
        read = (weights[..., None, :] @ value)[..., 0, :]
        error = (read - value[..., 0, :]).square().mean(dim=-1)  # one wrong hard pick costs 2 on average
        measures[name] = [error.mean(dim=1)[wrong == count].mean().item() for count in range(how["most"] + 1)]
        missed = scores.argmax(dim=-1) != 0
        measures[f"{name}_each"] = {"right": error[~missed].mean().item(), "wrong": error[missed].mean().item()}
    return measures


# Looking at pictures


def tensors(some: Pictures) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels, answers, and the place whose window holds the digit."""
    across = (SIZE - DIGIT) // GRID + 1
    place = some.corners // GRID @ np.array([across, 1])
    return torch.from_numpy(some.pixels), torch.from_numpy(some.answers), torch.from_numpy(place)


def train_on_pictures(model: nn.Module, loss: Callable, run: Run, steps: int | None = None) -> list[float]:
    """Train on new pictures at each step."""
    how = SETTINGS["pictures"]

    def batch_at(step: int) -> tuple[Tensor, Tensor, Tensor]:
        return tensors(pictures(how["batch"], 100_000 * (run.seed + 1) + step))

    return fit(model, loss, batch_at, Plan(steps or how["steps"], how["rate"]), report=run.progress)


def test_pictures(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pictures on which everything is tested."""
    return tensors(pictures(SETTINGS["pictures"]["test"], seed, test=True))


def new_viewer() -> Viewer:
    """An untrained viewer for these pictures."""
    return Viewer(SIZE, answers=10)


def say_loss(model: Viewer, given: tuple[Tensor, Tensor, Tensor], glimpses: int) -> Tensor:
    """Teach what to say only; the places are random."""
    picture, answer, _ = given
    logits = model(picture, glimpses, anywhere).logits
    return cross_entropy(logits.flatten(0, 1), answer.repeat_interleave(glimpses))


def whole_loss(model: Viewer, given: tuple[Tensor, Tensor, Tensor], glimpses: int, stay_open: float) -> Tensor:
    """Teach what to say and where to look."""
    return viewer_loss(model(given[0], glimpses, sampled), given[1], stay_open)


@torch.no_grad()
def seen_well(model: Viewer, seed: int, choose: Callable[[Tensor], Tensor]) -> Measures:
    """The share of right answers after each glimpse, and of glimpses that are the digit's own window."""
    picture, answer, place = test_pictures(seed)
    seen = model(picture, SETTINGS["pictures"]["glimpses"], choose)
    return {
        "right": (seen.logits.argmax(dim=-1) == answer[:, None]).double().mean(dim=0),
        "on_digit": (seen.places == place[:, None]).double().mean(dim=0),
        "found": (seen.places == place[:, None]).cummax(dim=1).values.double().mean(dim=0),
    }


def multiplications(model: nn.Module, *given) -> int:
    """How many multiplications one picture takes, as PyTorch counts them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, SIZE, SIZE), *given)
    return counter.get_total_flops() // 2


def looking(run: Run, learned: bool) -> Measures:
    """Train a viewer that chooses its glimpses, or one whose glimpses are random."""
    how = SETTINGS["pictures"]
    torch.manual_seed(run.seed)
    model, glimpses = new_viewer(), how["glimpses"]
    if not learned:
        train_on_pictures(model, partial(say_loss, glimpses=glimpses), run)
        return seen_well(model, run.seed, anywhere)
    train_on_pictures(model, partial(whole_loss, glimpses=glimpses, stay_open=how["stay_open"]), run)
    run.keep("viewer", model, {"size": SIZE})
    return seen_well(model, run.seed, best) | {
        "drawn": seen_well(model, run.seed, sampled),
        "blind": seen_well(model, run.seed, anywhere),
        "multiplications": [multiplications(model, count, best) for count in range(1, glimpses + 1)],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def soft(run: Run) -> Measures:
    """Train a viewer that looks softly at all windows."""
    torch.manual_seed(run.seed)
    model = SoftViewer(SIZE, answers=10)
    train_on_pictures(model, lambda m, given: cross_entropy(m(given[0])[0], given[1]), run)
    run.keep("soft-viewer", model, {"size": SIZE})
    picture, answer, place = test_pictures(run.seed)
    with torch.no_grad():
        logits, weights = model(picture)
    return {
        "right": (logits.argmax(dim=-1) == answer).double().mean(),
        "on_digit": weights.gather(1, place[:, None]).mean(),
        "multiplications": multiplications(model),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def new_network(kind: str) -> nn.Module:
    """A network that reads the whole picture: fully connected, or convolutions."""
    if kind == "dense":
        return nn.Sequential(nn.Flatten(), nn.Linear(SIZE**2, 64), nn.ReLU(), nn.Linear(64, 10))
    return nn.Sequential(
        nn.Unflatten(1, (1, SIZE)),
        nn.Conv2d(1, 8, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def whole(run: Run, kind: str) -> Measures:
    """Train a network on whole pictures."""
    torch.manual_seed(run.seed)
    model = new_network(kind)
    model(torch.zeros(1, SIZE, SIZE))
    train_on_pictures(model, lambda m, given: cross_entropy(m(given[0]), given[1]), run)
    picture, answer, _ = test_pictures(run.seed)
    with torch.no_grad():
        right = (model(picture).argmax(dim=-1) == answer).double().mean()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"right": right, "multiplications": multiplications(model), "parameters": parameters}


WAYS = ("soft", "relaxed", "straight", "mean", "running", "none")
PARTS = {
    "policy": partial(looking, learned=True),
    "estimators": estimators,
    "wrong_picks": wrong_picks,
    **{f"train_{way}": partial(retrieval, way=way) for way in WAYS},
    "random": partial(looking, learned=False),
    "soft": soft,
    "dense": partial(whole, kind="dense"),
    "convolution": partial(whole, kind="convolution"),
}


def far_from_chance(measures: Measures, name: str) -> float:
    """How many times as far the mean of the estimates is from the exact gradient as chance alone puts it."""
    return measures["estimators"][name]["bias"] / measures["estimators"][name]["chance"]


def variance(measures: Measures, name: str) -> float:
    """The variance of an estimator, relative to the squared length of the exact gradient."""
    return measures["estimators"][name]["variance"]


RULES = [
    Rule(
        "reinforce-has-no-bias",
        "The mean of REINFORCE's estimates, with each of the three baselines, is at most 3 times as far from the exact "
        "gradient as chance puts it.",
        lambda m: max(far_from_chance(m, name) for name in ("none", "running", "mean")) <= 3,
    ),
    Rule(
        "a-baseline-cuts-the-variance",
        "The mean loss as baseline leaves less than half of the variance.",
        lambda m: variance(m, "mean") < variance(m, "none") / 2,
    ),
    Rule(
        "straight-through-is-biased",
        "At temperature 1, the mean of straight-through is more than a tenth of the gradient's length away from it, "
        "and more than 5 times as far as chance puts it.",
        lambda m: m["estimators"]["straight_1"]["bias"] > 0.1 and far_from_chance(m, "straight_1") > 5,
    ),
    Rule(
        "straight-through-varies-less",
        "At temperature 1, straight-through varies less than REINFORCE with the mean loss as baseline.",
        lambda m: variance(m, "straight_1") < variance(m, "mean"),
    ),
    Rule(
        "cold-is-true-and-shaky",
        "From temperature 1 to 0.1, the bias of Gumbel-softmax falls and its variance grows more than 3 times.",
        lambda m: (
            m["estimators"]["relaxed_0-1"]["bias"] < m["estimators"]["relaxed_1"]["bias"]
            and variance(m, "relaxed_0-1") > 3 * variance(m, "relaxed_1")
        ),
    ),
    Rule(
        "who-trains-best",
        "After training, the order of right picks is: soft, straight-through, REINFORCE with a running baseline, "
        "REINFORCE without.",
        lambda m: (
            m["train_soft"]["right"]
            > m["train_straight"]["right"]
            > m["train_running"]["right"]
            > m["train_none"]["right"]
        ),
    ),
    Rule(
        "a-wrong-pick-costs-more-when-hard",
        "Where the best score is wrong, the hard read errs more than the soft one; where it is right, less.",
        lambda m: (
            m["wrong_picks"]["hard_each"]["wrong"] > m["wrong_picks"]["soft_each"]["wrong"]
            and m["wrong_picks"]["hard_each"]["right"] < m["wrong_picks"]["soft_each"]["right"]
        ),
    ),
    Rule(
        "where-to-look-is-learned",
        "With two glimpses, the viewer that chooses is at least 20 points better than the one with random glimpses.",
        lambda m: m["policy"]["right"][1] > m["random"]["right"][1] + 0.2,
    ),
    Rule(
        "more-glimpses-help",
        "The viewer that chooses is better after four glimpses than after one.",
        lambda m: m["policy"]["right"][3] > m["policy"]["right"][0],
    ),
    Rule(
        "looking-everywhere-is-better",
        "Soft attention over all windows is better than four glimpses.",
        lambda m: m["soft"]["right"] > m["policy"]["right"][3],
    ),
    Rule(
        "soft-finds-the-digit",
        "Soft attention puts more than 0.8 of its weight on the digit's own window.",
        lambda m: m["soft"]["on_digit"] > 0.8,
    ),
    Rule(
        "better-than-a-dense-network",
        "Four glimpses are better than a fully connected network on the whole picture, as in the paper.",
        lambda m: m["policy"]["right"][3] > m["dense"]["right"],
    ),
    Rule(
        "better-than-convolutions",
        "Four glimpses are better than a convolutional network on the whole picture, as in the paper.",
        lambda m: m["policy"]["right"][3] > m["convolution"]["right"],
    ),
]

TOLERANCE = {
    "*.parameters": Tolerance(),
    "*.multiplications*": Tolerance(),
    "estimators.*.bias": Tolerance(relative=1e-3, absolute=1e-4),
    "estimators.*": Tolerance(relative=1e-3),
    "wrong_picks.*": Tolerance(relative=1e-3),
    "*": Tolerance(absolute=0.15),  # shares of networks trained in float32
}


# Pictures and widgets


def load_viewer() -> Viewer:
    """The viewer that seed 0 trained."""
    weights, _ = load_model("viewer")
    model = new_viewer().eval()
    model.load_state_dict(weights)
    return model


def load_soft_viewer() -> SoftViewer:
    """The soft viewer that seed 0 trained."""
    weights, _ = load_model("soft-viewer")
    model = SoftViewer(SIZE, answers=10).eval()
    model.load_state_dict(weights)
    return model


def glimpse_pictures() -> dict:
    """Give what a figure of glimpses is made from: the trained viewer, and pictures it has not seen."""
    some = pictures(12, seed=9, test=True)
    return {
        "model": load_viewer(),
        "pictures": some.pixels,
        "answers": some.answers.tolist(),
        "glimpses": SETTINGS["pictures"]["glimpses"],
        "places": [12],  # the middle
    }


def arena() -> dict:
    """Give what the figure of the estimators is made from: small choices, and the draws that it begins with."""
    examples = {
        "Far away": {"options": [[1.0, 2.0], [0.5, 1.0], [0.0, 0.0], [-0.5, -1.0]], "wanted": -2.5},
        "Losses 4 and 2": {"options": [[0.0, 8**0.5], [0.0, 2.0]], "wanted": 0.0},
        "In between": {"options": [[1.0, 2.0], [0.0, -1.0], [-0.5, 0.5]], "wanted": 0.5},
    }
    return {**examples["Far away"], "examples": examples, "temperature": 1.0, "draws": 300, "seed": 1}


def draw_picture(axes: Axes, pixels: Sequence, places: Sequence[int] = ()) -> None:
    """Draw a picture, and the windows that were read, numbered."""
    ink = np.asarray(pixels).round(2)
    cells = np.argwhere(ink > 0)  # paper is not drawn: a picture has many cells
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    colours = plots.WEIGHTS(ink[tuple(cells.T)])
    axes.add_collection(PolyCollection(cells[:, None, ::-1] + square, facecolors=colours, edgecolors="face", lw=0.2))
    axes.set(xlim=(0, SIZE), ylim=(0, SIZE))
    across = (SIZE - DIGIT) // GRID + 1
    shown: dict[int, list[str]] = {}
    for number, place in enumerate(places, 1):
        shown.setdefault(int(place), []).append(str(number))
    for place, numbers in shown.items():
        row, column = (GRID * step for step in divmod(place, across))
        axes.add_patch(Rectangle((column, row), DIGIT, DIGIT, fill=False, ec=plots.LIGHT["query"], lw=1.6))
        above = row > 0
        axes.text(
            column + 4,
            row - 0.3 if above else row + DIGIT + 0.3,
            " ".join(numbers),
            ha="center",
            va="bottom" if above else "top",
            color=plots.LIGHT["query"],
            fontsize=10,
            bbox={"facecolor": plots.LIGHT["paper"], "edgecolor": "none", "pad": 0.8},
        )
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(visible=True, color=plots.LIGHT["muted"])


@torch.no_grad()
def three_looks(model: SoftViewer, picture: Tensor) -> dict[str, Tensor]:
    """The weights of one picture's windows, soft, hard, and local around the best; from the same scores."""
    scores = model(picture[None])[1].log()
    centre = scores.argmax(dim=-1)
    around = near(centre, model.across, 1)
    return {"soft": weigh(scores)[0], "hard": hardest(scores)[0], "local": weigh(scores, around)[0]}


@torch.no_grad()
def least_sure(model: SoftViewer, some: Tensor) -> Tensor:
    """The picture whose largest weight is the smallest."""
    return some[model(some)[1].amax(dim=-1).argmin()]


def draw_looks(pixels: Sequence, looks: dict[str, Tensor]) -> Figure:
    """Draw a picture and, beside it, the weights of its windows."""
    figure = Figure(figsize=(plots.WIDTH, 1.75), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(looks))
    draw_picture(first, pixels)
    first.set_title("picture")
    for axes, (name, weights) in zip(others, looks.items(), strict=True):
        table = weights.view(5, 5).double().numpy().round(3)
        axes.pcolormesh(table, cmap=plots.WEIGHTS, vmin=0, vmax=1, edgecolors=plots.LIGHT["rule"], linewidth=0.5)
        axes.set_title(name)
        _bare(axes)
    return figure


def draw_glimpses(model: Viewer, some: Tensor, glimpses: int) -> Figure:
    """Draw pictures with the windows that the viewer chose, and what it said after the last."""
    with torch.no_grad():
        seen = model(some, glimpses, best)
    figure = Figure(figsize=(plots.WIDTH, 1.75), layout="constrained")
    for axes, pixels, places, logits in zip(figure.subplots(1, len(some)), some, seen.places, seen.logits, strict=True):
        draw_picture(axes, pixels.double().numpy(), places.tolist())
        axes.set_title("says " + ", ".join(str(answer) for answer in logits.argmax(dim=-1).tolist()))
    return figure


def _shown() -> Tensor:
    return torch.from_numpy(pictures(4, seed=9, test=True).pixels)


def _temperature_chart(measure: str, logarithm: bool, ylabel: str) -> Callable[[Results], Figure]:
    temperatures = SETTINGS["estimators"]["temperatures"]

    def draw_it(results: Results) -> Figure:
        series = {}
        for name, shown in (("relaxed", "Gumbel-softmax"), ("straight", "straight-through")):
            values = [results.over_seeds(f"estimators.{named(name, t)}.{measure}").values for t in temperatures]
            series[shown] = np.transpose(values)
        for name, shown in (("none", "REINFORCE"), ("mean", "… mean baseline")):
            values = results.over_seeds(f"estimators.{name}.{measure}").values
            series[shown] = np.transpose([values] * len(temperatures))
        if not logarithm:
            return plots.lines_over_seeds([f"{t:g}" for t in temperatures], series, xlabel="temperature", ylabel=ylabel)
        axes = Figure(figsize=plots.STYLE["figure.figsize"], layout="constrained").add_subplot()
        axes.set_yticks([-2, -1, 0, 1, 2, 3], ["0.01", "0.1", "1", "10", "100", "1,000"])
        series = {name: np.log10(values) for name, values in series.items()}
        return plots.lines_over_seeds(
            [f"{t:g}" for t in temperatures], series, xlabel="temperature", ylabel=ylabel, ax=axes
        )

    return draw_it


WAY_NAMES = {
    "soft": "soft",
    "relaxed": "Gumbel-softmax",
    "straight": "straight-through",
    "mean": "mean baseline",
    "running": "running baseline",
    "none": "no baseline",
}


def _curves(results: Results) -> Figure:
    how = SETTINGS["retrieval"]
    steps = list(range(how["every"], how["steps"] + 1, how["every"]))
    series = {name: 100 * np.array(results.table(f"train_{way}.curve")[1]) for way, name in WAY_NAMES.items()}
    return plots.lines_over_seeds(steps, series, xlabel="step", ylabel="right picks, %")


def _glimpses(results: Results) -> Figure:
    counts = [str(count) for count in range(1, SETTINGS["pictures"]["glimpses"] + 1)]
    series = {}
    for part, name in (("policy", "chosen"), ("random", "random")):
        series[name] = 100 * np.array(results.table(f"{part}.right")[1])
    for part, name in (("soft", "soft, all"), ("convolution", "convolutions, all"), ("dense", "dense, all")):
        median = results.over_seeds(f"{part}.right").median
        series[name] = [[100 * median] * len(counts)]
    return plots.lines_over_seeds(counts, series, xlabel="glimpses", ylabel="right answers, %")


def _wrong(results: Results) -> Figure:
    counts = [str(count) for count in range(SETTINGS["wrong_picks"]["most"] + 1)]
    series = {name: results.table(f"wrong_picks.{name}")[1] for name in ("hard", "soft")}
    return plots.lines_over_seeds(counts, series, xlabel="wrong picks among ten reads", ylabel="mean error")


def _looks(results: Results) -> Figure:
    model = load_soft_viewer()
    shown = least_sure(model, torch.from_numpy(pictures(400, seed=9, test=True).pixels))
    return draw_looks(shown, three_looks(model, shown))


CHARTS = {
    "bias": _temperature_chart("bias", False, "bias"),
    "variance": _temperature_chart("variance", True, "variance"),
    "curves": _curves,
    "glimpses": _glimpses,
    "wrong": _wrong,
    "looks": _looks,
    "paths": lambda results: draw_glimpses(load_viewer(), _shown(), 3),
}
