"""Chapter 14, measured: what layers cost by length, counted on the real modules and timed; and attention in blocks.

Times are seconds of this thread alone, and are compared as ratios: the ways take turns, and the median over rounds
counts. See ``RULES`` for what was expected before the run.
"""

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import scaled_dot_product_attention
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from attention_src import plots
from attention_src.attention import attend
from attention_src.cost import (
    ChunkedSelfAttention,
    Cost,
    NearAttention,
    chunked_attention,
    convolution_cost,
    recurrence_cost,
    restricted_cost,
    rounds_until_heard,
    self_attention_cost,
)
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.results import Results
from attention_src.scores import ScaledDot
from attention_src.self_attention import Convolution, FixedWeights, Recurrence, SelfAttention

FILTER, REACH = 3, 16  # places that a convolution, and that restricted attention reads
SETTINGS = {
    "width": 64,
    "filter": FILTER,
    "reach": REACH,
    "counted": [16, 32, 64, 95, 96, 97, 128, 256, 512],
    "path": {"width": 4, "lengths": [2, 9, 27, 28, 81]},
    "one": {"batch": 1, "lengths": [64, 128, 256, 512, 1024, 2048], "rounds": 5},
    "many": {"batch": 32, "lengths": [16, 32, 64, 128, 256, 512], "rounds": 5},
    "blocks": {"lengths": [1024, 2048, 4096, 8192], "rounds": 3},
    "exact": {"length": 1000, "heads": 2},
    "response": {"length": 11, "width": 7},
}


def layers(width: int) -> dict[str, nn.Module]:
    """The four layers of the chapter, and attention in blocks."""
    return {
        "attention": SelfAttention(width),
        "recurrence": Recurrence(width),
        "convolution": Convolution(width, FILTER),
        "near": NearAttention(width, REACH),
        "blocks": ChunkedSelfAttention(width),
    }


def formulas(length: int, width: int) -> dict[str, Cost]:
    """The costs of the four layers by formula."""
    return {
        "attention": self_attention_cost(length, width),
        "recurrence": recurrence_cost(length, width),
        "convolution": convolution_cost(length, width, FILTER),
        "near": restricted_cost(length, width, REACH),
    }


# Counting on the real modules


def operations(layer: nn.Module, x: Tensor) -> int:
    """Count the multiplications and additions of matrix products."""
    with FlopCounterMode(display=False) as counter:
        layer(x)
    return counter.get_total_flops()


def kept(layer: nn.Module, x: Tensor) -> int:
    """Count the numbers that autograd keeps for the way back: each storage once, no parameters, no masks."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in layer.parameters()}
    found = {}

    def see(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if tensor.is_floating_point() and storage.data_ptr() not in parameters:
            found[storage.data_ptr()] = storage.nbytes() // tensor.element_size(), tensor  # held, so no address twice
        return tensor

    with saved_tensors_hooks(see, lambda tensor: tensor):
        layer(x)
    return sum(numbers for numbers, _ in found.values())


PRODUCTS = {"MmBackward0", "BmmBackward0", "AddmmBackward0", "ConvolutionBackward0"}


def longest_chain(output: Tensor) -> int:
    """Count the most matrix products on one way through the graph that autograd has built."""
    depth, stack = {}, [output.grad_fn]
    while stack:
        before = [node for node, _ in stack[-1].next_functions if node is not None]
        if missing := [node for node in before if node not in depth]:
            stack += missing
        else:
            node = stack.pop()
            depth[node] = max((depth[other] for other in before), default=0) + (node.name() in PRODUCTS)
    return depth[output.grad_fn]


def layer_after_layer(*stack: nn.Module) -> Callable[[Tensor], Iterator[Tensor]]:
    """A round is a layer; the last one is repeated."""

    def rounds(x: Tensor) -> Iterator[Tensor]:
        for layer in itertools.chain(stack, itertools.repeat(stack[-1])):
            x = layer(x)[0]
            yield x

    return rounds


def state_by_state(layer: Recurrence) -> Callable[[Tensor], Iterator[Tensor]]:
    """In a round every place makes its state from its input and from the state that its neighbour had."""
    cell = nn.GRUCell(layer.rnn.input_size, layer.rnn.hidden_size, dtype=torch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.rnn.state_dict().items()})

    def rounds(x: Tensor) -> Iterator[Tensor]:
        states = torch.zeros_like(x[0])
        while True:
            states = cell(x[0], nn.functional.pad(states[:-1], (0, 0, 1, 0)))
            yield states[None]

    return rounds


def counted(run: Run) -> Measures:
    """Operations, numbers kept and chains of products, by length; how many differ from the formulas; parameters."""
    width, measures, wrong = SETTINGS["width"], {}, 0
    for name, layer in layers(width).items():
        found: dict[str, list[int]] = {"operations": [], "kept": [], "chain": []}
        for length in SETTINGS["counted"]:
            x = torch.randn(1, length, width)
            found["kept"].append(kept(layer, x))
            if name != "blocks":  # its products lie inside of one node of the graph, and the counter misses some
                found["operations"].append(operations(layer, x))
                found["chain"].append(longest_chain(layer(x)[0]))
                said = formulas(length, width)[name]
                seen = {key: values[-1] for key, values in found.items()}
                wrong += seen != {"operations": said.operations, "kept": said.memory, "chain": said.sequential}
        parameters = sum(parameter.numel() for parameter in layer.parameters())
        measures[name] = {key: values for key, values in found.items() if values} | {"parameters": parameters}
    fixed = [FixedWeights(width, length) for length in SETTINGS["counted"]]
    measures["fixed"] = {"parameters": [sum(p.numel() for p in layer.parameters()) for layer in fixed]}
    return measures | {"wrong": wrong}


def path(run: Run) -> Measures:
    """Rounds until the gradient of the last place reaches the first; how many differ from the formulas."""
    width, lengths = SETTINGS["path"]["width"], SETTINGS["path"]["lengths"]
    found = {name: layer.double() for name, layer in layers(width).items() if name != "blocks"}
    rounds = {name: layer_after_layer(layer) for name, layer in found.items()}
    rounds["recurrence"] = state_by_state(found["recurrence"])
    rounds["dilated"] = layer_after_layer(*(Convolution(width, FILTER, FILTER**n).double() for n in range(6)))
    measures = {name: [rounds_until_heard(n, width, way) for n in lengths] for name, way in rounds.items()}
    wrong = sum(
        measures[name][place] != cost.path
        for place, length in enumerate(lengths)
        for name, cost in formulas(length, width).items()
    )
    logarithm = [math.ceil(round(math.log(length, FILTER), 9)) for length in lengths]
    wrong += sum(seen != said for seen, said in zip(measures["dilated"], logarithm, strict=True))
    return measures | {"wrong": wrong}


# Timing


def in_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time each way in each round, in seconds of this thread; the first round is not counted."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            start = time.thread_time()
            way()
            took[name].append(time.thread_time() - start)
    return {name: seconds[1:] for name, seconds in took.items()}


def median_ratio(first: list[float], second: list[float]) -> float:
    """The median over rounds of how many times as long the first took."""
    return float(np.median(np.array(first) / np.array(second)))


def steps(run: Run, how: str) -> Measures:
    """Time a step of training (forward and backward) of each layer by length, in ms; and each over the recurrence."""
    torch.manual_seed(run.seed)
    width, settings = SETTINGS["width"], SETTINGS[how]
    kinds = layers(width)
    measures: Measures = {name: {"ms": [], "to_recurrence": []} for name in kinds}
    for place, length in enumerate(settings["lengths"]):
        x = torch.randn(settings["batch"], length, width)

        def step(layer: nn.Module, x: Tensor = x) -> None:
            layer(x)[0].square().mean().backward()

        took = in_turns({name: partial(step, layer) for name, layer in kinds.items()}, settings["rounds"])
        for name, seconds in took.items():
            measures[name]["ms"].append(1000 * float(np.median(seconds)))
            measures[name]["to_recurrence"].append(median_ratio(seconds, took["recurrence"]))
        run.progress(place + 1, len(settings["lengths"]))
    return measures


# Attention in blocks


def table(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Hold all weights, as the other chapters do."""
    return attend(ScaledDot()(query, key), value)[0]


WAYS = {"table": table, "blocks": chunked_attention, "pytorch": scaled_dot_product_attention}


def extra_bytes(way: Callable[..., Tensor], *given: Tensor) -> int:
    """The most memory that a way holds at one time, its result included, as PyTorch's allocator counts it."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler writes lines about itself
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        result = way(*given)  # held until the end, or its memory would be counted as given back
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    if most < result.nbytes:
        raise RuntimeError(f"the profiler saw {most} bytes, less than the result of {result.nbytes}")
    return most


@torch.no_grad()
def blocks(run: Run) -> Measures:
    """Forward, one head: the time of the table, of blocks and of PyTorch's operator by length, and their memory."""
    settings, random = SETTINGS["blocks"], torch.Generator().manual_seed(run.seed)
    measures: Measures = {name: {"ms": [], "mib": []} for name in WAYS}
    measures |= {"to_pytorch": [], "to_table": [], "memory_to_pytorch": []}
    for place, length in enumerate(settings["lengths"]):
        given = [torch.randn(1, 1, length, SETTINGS["width"], generator=random) for _ in range(3)]
        took = in_turns({name: partial(way, *given) for name, way in WAYS.items()}, settings["rounds"])
        for name, way in WAYS.items():
            measures[name]["ms"].append(1000 * float(np.median(took[name])))
            measures[name]["mib"].append(extra_bytes(way, *given) / 2**20)
        measures["to_pytorch"].append(median_ratio(took["blocks"], took["pytorch"]))
        measures["to_table"].append(median_ratio(took["blocks"], took["table"]))
        measures["memory_to_pytorch"].append(measures["blocks"]["mib"][-1] / measures["pytorch"]["mib"][-1])
        run.progress(place + 1, len(settings["lengths"]))
    return measures


def with_gradients(way: Callable, given: list[Tensor], slope: Tensor) -> tuple[Tensor, ...]:
    """The output, and the gradients of query, key and value."""
    given = [tensor.detach().requires_grad_() for tensor in given]
    output = way(*given)
    return output.detach(), *torch.autograd.grad(output, given, slope)


def exact(run: Run) -> Measures:
    """How far blocks and PyTorch's operator in float32 are from the table in float64: relative error."""
    how, random = SETTINGS["exact"], torch.Generator().manual_seed(run.seed)
    shape = 1, how["heads"], how["length"], SETTINGS["width"]
    *given, slope = (torch.randn(shape, generator=random) for _ in range(4))
    wanted = with_gradients(table, [tensor.double() for tensor in given], slope.double())
    measures: Measures = {}
    for name in ("blocks", "pytorch"):
        found = with_gradients(WAYS[name], given, slope)
        errors = [float((x.double() - y).norm() / y.norm()) for x, y in zip(found, wanted, strict=True)]
        measures[name] = dict(zip(("output", "query", "key", "value"), errors, strict=True))
    measures["ratio"] = {name: error / measures["pytorch"][name] for name, error in measures["blocks"].items()}
    return measures


# Filters and weights


def response(run: Run) -> Measures:
    """Change the input: how much do the factors change with which a layer mixes the places?

    The factors are the weights of attention, and the matrices of a convolution: the slopes of an output at the inputs.
    """
    torch.manual_seed(run.seed)
    length, width = SETTINGS["response"].values()
    attention, convolution = SelfAttention(width).double(), Convolution(width, FILTER).double()
    one, other = torch.randn(2, 1, length, width, dtype=torch.float64)
    weights = (attention(one)[1] - attention(other)[1]).detach()
    slopes = [torch.autograd.functional.jacobian(lambda x: convolution(x)[0], x) for x in (one, other)]
    return {
        "attention": float(weights.abs().sum(dim=-1).mean() / 2),  # share of the weight that moves
        "convolution": float((slopes[0] - slopes[1]).abs().max()),
    }


PARTS = {
    "counted": counted,
    "path": path,
    "one": partial(steps, how="one"),
    "many": partial(steps, how="many"),
    "blocks": blocks,
    "exact": exact,
    "response": response,
}


def at(values: list, how: str, length: int) -> float:
    """The number that belongs to a length."""
    return values[SETTINGS[how]["lengths"].index(length)]


def crossing(measures: Measures) -> list[bool]:
    """At each length: has self-attention more operations than the recurrence?"""
    both = measures["counted"]["attention"]["operations"], measures["counted"]["recurrence"]["operations"]
    return [one > other for one, other in zip(*both, strict=True)]


RULES = [
    Rule(
        "formulas-are-exact",
        "At every length, the operations, the numbers kept, the chain of products and the rounds that are counted on "
        "the real modules are those of the formulas.",
        lambda m: m["counted"]["wrong"] == 0 and m["path"]["wrong"] == 0,
        at_least=5,
    ),
    Rule(
        "crossing-at-one-and-a-half",
        "Self-attention has more operations than the recurrence at lengths above 1.5 times the width, and at no other.",
        lambda m: crossing(m) == [length > 1.5 * SETTINGS["width"] for length in SETTINGS["counted"]],
        at_least=5,
    ),
    Rule(
        "parameters-without-length",
        "Self-attention has 3 width² parameters at every length; the layer of fixed weights has more the longer it is.",
        lambda m: (
            m["counted"]["attention"]["parameters"] == 3 * SETTINGS["width"] ** 2
            and sorted(set(m["counted"]["fixed"]["parameters"])) == m["counted"]["fixed"]["parameters"]
        ),
        at_least=5,
    ),
    Rule(
        "one-sentence-crosses-later",
        "With one sentence, a step of training takes self-attention less time than the recurrence even at 512 words, "
        "where it has more than three times the operations.",
        lambda m: at(m["one"]["attention"]["to_recurrence"], "one", 512) < 1,
    ),
    Rule(
        "a-batch-crosses-earlier",
        "With 32 sentences, a step takes self-attention more time than the recurrence at 512 words, and less at 16.",
        lambda m: (
            at(m["many"]["attention"]["to_recurrence"], "many", 512)
            > 1
            > at(m["many"]["attention"]["to_recurrence"], "many", 16)
        ),
    ),
    Rule(
        "square-and-line",
        "From 1,024 to 2,048 words, with one sentence, the time of self-attention grows more than 3 times, that of the "
        "recurrence and of restricted attention less than 3 times.",
        lambda m: growth(m, "attention") > 3 > max(growth(m, "recurrence"), growth(m, "near")),
    ),
    Rule(
        "blocks-near-pytorch",
        "Forward at 4,096 and 8,192 words, attention in blocks takes at most 1.5 times the time of PyTorch's operator.",
        lambda m: max(m["blocks"]["to_pytorch"][-2:]) <= 1.5,
    ),
    Rule(
        "blocks-beat-the-table",
        "Forward at 8,192 words, attention in blocks is at least 1.8 times as fast as the table of all weights.",
        lambda m: m["blocks"]["to_table"][-1] <= 1 / 1.8,
    ),
    Rule(
        "blocks-in-linear-memory",
        "From 4,096 to 8,192 words, the memory of blocks grows at most 2 times, that of the table more than 3.9 times; "
        "and blocks take at most 3 times the memory of PyTorch's operator.",
        lambda m: (
            m["blocks"]["blocks"]["mib"][-1] <= 2 * m["blocks"]["blocks"]["mib"][-2]
            and m["blocks"]["table"]["mib"][-1] > 3.9 * m["blocks"]["table"]["mib"][-2]
            and max(m["blocks"]["memory_to_pytorch"][-2:]) <= 3
        ),
        at_least=5,
    ),
    Rule(
        "blocks-as-exact",
        "In float32, the relative errors of the output and of each gradient are at most twice those of PyTorch.",
        lambda m: all(m["exact"]["blocks"][name] <= 2 * error for name, error in m["exact"]["pytorch"].items()),
        at_least=5,
    ),
    Rule(
        "filters-do-not-look",
        "With another input, the factors of the convolution change by exactly 0, and more than a tenth of the weight "
        "of self-attention moves.",
        lambda m: m["response"]["convolution"] == 0 and m["response"]["attention"] > 0.1,
        at_least=5,
    ),
]


def growth(measures: Measures, name: str) -> float:
    """How many times as long a step takes at 2,048 words as at 1,024, with one sentence."""
    times = measures["one"][name]["ms"]
    return at(times, "one", 2048) / at(times, "one", 1024)


TOLERANCE = {
    "counted.*": Tolerance(),
    "path.*": Tolerance(),
    "blocks.*.mib": Tolerance(relative=0.05),
    "blocks.*.mib.*": Tolerance(relative=0.05),
    "blocks.memory_to_pytorch.*": Tolerance(relative=0.05),
    "exact.*": Tolerance(relative=1.0),  # rounding, and its kind differs between processors
    "response.*": Tolerance(relative=1e-6),
    "*": Tolerance(relative=20.0),  # times: another machine, or this one when it is busy
}

LABELS = {
    "attention": "self-attention",
    "recurrence": "recurrence",
    "convolution": "convolution",
    "near": "restricted",
    "blocks": "in blocks",
}


def _logarithmic(labels: dict[int, str]) -> Axes:
    """Axes whose numbers upwards are logarithms, and that show the numbers themselves."""
    axes = Figure(figsize=plots.STYLE["figure.figsize"], layout="constrained").add_subplot()
    axes.set_ylim(min(labels) - 0.15, max(labels) + 0.15)
    axes.set_yticks(list(labels), list(labels.values()))
    return axes


def _operations_chart(results: Results) -> Figure:
    chosen = [place for place, length in enumerate(SETTINGS["counted"]) if length & (length - 1) == 0]
    lengths = [str(SETTINGS["counted"][place]) for place in chosen]
    series = {
        LABELS[name]: np.log10(results.table(f"counted.{name}.operations")[1])[:, chosen]
        for name in ("attention", "recurrence", "near", "convolution")
    }
    axes = _logarithmic({5: "0.1 million", 6: "1 million", 7: "10 million", 8: "100 million"})
    return plots.lines_over_seeds(lengths, series, xlabel="length, words", ylabel="operations", ax=axes)


def _time_chart(how: str, labels: dict[int, str]) -> Callable[[Results], Figure]:
    def draw(results: Results) -> Figure:
        lengths = [f"{length:,}" for length in SETTINGS[how]["lengths"]]
        series = {
            LABELS[name]: np.log10(results.table(f"{how}.{name}.ms")[1])
            for name in ("attention", "recurrence", "near", "convolution", "blocks")
        }
        axes = _logarithmic(labels)
        return plots.lines_over_seeds(lengths, series, xlabel="length, words", ylabel="a step of training, ms", ax=axes)

    return draw


def _blocks_chart(what: str, ylabel: str, labels: dict[int, str]) -> Callable[[Results], Figure]:
    names = {"table": "all weights", "blocks": "in blocks", "pytorch": "PyTorch's"}

    def draw(results: Results) -> Figure:
        lengths = [f"{length:,}" for length in SETTINGS["blocks"]["lengths"]]
        series = {label: np.log10(results.table(f"blocks.{name}.{what}")[1]) for name, label in names.items()}
        axes = _logarithmic(labels)
        return plots.lines_over_seeds(lengths, series, xlabel="length, words", ylabel=ylabel, ax=axes)

    return draw


TIMES = {-1: "0.1", 0: "1", 1: "10", 2: "100", 3: "1,000"}
CHARTS = {
    "operations": _operations_chart,
    "one": _time_chart("one", TIMES),
    "many": _time_chart("many", TIMES),
    "blocks_time": _blocks_chart("ms", "forward, ms", {0: "1", 1: "10", 2: "100", 3: "1,000"}),
    "blocks_memory": _blocks_chart("mib", "extra memory, MiB", {0: "1", 1: "10", 2: "100", 3: "1,000"}),
}

TABLES = {
    "mixed": {
        "scores": [
            [0.5, 2.0, -1.0, 1.5, 3.0],
            [2.5, 0.0, 1.0, -0.5, 0.5],
            [-1.0, 1.0, 0.5, 3.5, 0.0],
            [1.0, -2.0, 2.0, 0.5, 1.5],
            [0.0, 1.5, 3.0, -1.0, 2.0],
        ],
        "values": [7, 0, 4, -3, 9],
    },
    "growing": {"scores": [[float(j) for j in range(5)] for _ in range(5)], "values": [7, 0, 4, -3, 9]},
    "falling": {"scores": [[float(4 - j) for j in range(5)] for _ in range(5)], "values": [7, 0, 4, -3, 9]},
}


def widget() -> dict:
    """Give what the widget of the chapter is made from."""
    return {"examples": TABLES}


def calculator() -> dict:
    """Give what the calculator begins with: the layer of exercise 2, and the places that our layers read."""
    return {"words": 50, "width": 512, "heads": 8, "reach": REACH, "filter": FILTER}
