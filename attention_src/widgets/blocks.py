"""The widget of chapter 14: a small table of scores, walked block by block."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from attention_src import plots
from attention_src.attention import attend, causal_mask

from .base import Widget

FEWEST, MOST = 2, 6  # words
LARGEST = 20.0  # of the scores and values


class Kept(NamedTuple):
    """What is kept of one query: nothing but these three numbers."""

    largest: float
    total: float
    mixed: float


class Block(NamedTuple):
    """The queries and the keys of a block: from, and up to but not with."""

    row: int
    row_end: int
    column: int
    column_end: int


class Blocks(Widget):
    """Walk a table of scores block by block; see what is kept of each query, and what the context would be so far.

    ``chunk`` queries and as many keys are a block; ``step`` blocks have been read. Set a trait in Python and the
    picture moves.

    :param examples: tables by the name that the reader sees, each with its scores (a row for each query) and one
        value for each key; the first is shown
    """

    examples = traitlets.Dict().tag(sync=True)
    example = traitlets.Unicode().tag(sync=True)
    chunk = traitlets.Int(2).tag(sync=True)
    causal = traitlets.Bool(False).tag(sync=True)
    step = traitlets.Int(1).tag(sync=True)

    def __init__(self, examples: Mapping[str, Mapping]):
        if not examples:
            raise ValueError("examples must hold at least one table: the first is shown")
        tidy = {}
        for name, one in examples.items():
            tidy[name] = {
                "scores": [[float(x) for x in row] for row in one["scores"]],
                "values": [float(x) for x in one["values"]],
            }
            check_table(name, **tidy[name])
        super().__init__(examples=tidy, example=next(iter(tidy)))

    @traitlets.validate("example")
    def _known_example(self, proposal):
        if proposal["value"] not in self.examples:
            raise traitlets.TraitError(
                f"example must be one of {', '.join(self.examples)}, but is {proposal['value']!r}"
            )
        return proposal["value"]

    @traitlets.validate("chunk")
    def _good_chunk(self, proposal):
        if not 1 <= proposal["value"] <= MOST:
            raise traitlets.TraitError(f"chunk must be 1 to {MOST}, but is {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("step")
    def _good_step(self, proposal):
        if proposal["value"] < 0:
            raise traitlets.TraitError(f"step must be 0 or more, but is {proposal['value']}")
        return proposal["value"]  # more than there are blocks: all of them

    @property
    def table(self) -> tuple[list[list[float]], list[float]]:
        """The scores and the values that are shown."""
        one = self.examples[self.example]
        return one["scores"], one["values"]

    @property
    def walk(self) -> list[Block]:
        """All blocks in the order in which they are read."""
        return walk(len(self.table[1]), self.chunk, self.causal)

    @property
    def kept(self) -> list[Kept]:
        """What is kept of each query after ``step`` blocks."""
        return read(*self.table, self.walk[: self.step], self.causal)

    @property
    def full(self) -> Tensor:
        """The contexts of the whole table."""
        scores, values = (torch.tensor(part, dtype=torch.float64) for part in self.table)
        mask = causal_mask(len(values)) if self.causal else None
        return attend(scores, values[:, None], mask)[0][:, 0]

    def still(self):
        """Draw the table with its block, and the contexts so far beside those of the whole table."""
        (scores, values), blocks, kept, colours = self.table, self.walk, self.kept, plots.LIGHT
        now, n = blocks[: self.step][-1:], len(values)
        gone = {place for block in blocks[: self.step][:-1] for place in places(block)}
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(5.6, 3.2), layout="constrained")
            left, right = figure.subplots(1, 2, width_ratios=(1.3, 1), sharey=True)
            for row in range(n):
                for column in range(n):
                    exists = any((row, column) in places(block) for block in now)
                    colour = colours["accent"] if exists else colours["rule" if (row, column) in gone else "paper"]
                    left.add_patch(
                        matplotlib.patches.Rectangle(
                            (column, row), 1, 1, facecolor=colour, edgecolor=colours["muted"], linewidth=0.6
                        )
                    )
                    if exists:
                        left.text(
                            column + 0.5,
                            row + 0.5,
                            f"{scores[row][column]:g}",
                            ha="center",
                            va="center",
                            color=colours["paper"],
                        )
            left.set(xlim=(0, n), ylim=(n, 0), xlabel="key", ylabel="query")
            ticks = [place + 0.5 for place in range(n)], [str(place + 1) for place in range(n)]
            left.set_xticks(*ticks)
            left.set_yticks(*ticks)
            so_far = [part.mixed / part.total if part.total else 0.0 for part in kept]
            right.barh(ticks[0], so_far, 0.5, color=colours["value"])
            right.plot(self.full.tolist(), ticks[0], "|", color=colours["ink"], markersize=14, markeredgewidth=2)
            right.set(xlabel="context so far; line: of all keys")
        return figure

    def summary(self) -> str:
        """Say how far the walk is."""
        blocks, n = self.walk, len(self.table[1])
        done = min(self.step, len(blocks))
        right = sum(
            math.isclose(part.mixed / part.total, full, abs_tol=1e-9)
            for part, full in zip(self.kept, self.full.tolist(), strict=True)
            if part.total
        )
        return (
            f"A table of {n} by {n} scores{', causal' if self.causal else ''}, in blocks of {self.chunk} by "
            f"{self.chunk}: {done} of {len(blocks)} blocks are read, and {right} of {n} contexts are those of the "
            "full softmax"
        )


def walk(n: int, chunk: int, causal: bool) -> list[Block]:
    """The blocks of an n by n table, row by row; if causal, without those that lie ahead of all their queries."""
    return [
        Block(row, min(row + chunk, n), column, min(column + chunk, n))
        for row in range(0, n, chunk)
        for column in range(0, n, chunk)
        if not causal or column < min(row + chunk, n)
    ]


def places(block: Block) -> set[tuple[int, int]]:
    """The cells of a block."""
    rows, columns = range(block.row, block.row_end), range(block.column, block.column_end)
    return {(row, column) for row in rows for column in columns}


def read(scores: list[list[float]], values: list[float], blocks: list[Block], causal: bool) -> list[Kept]:
    """What is kept of each query after some blocks; all zeros where nothing was read."""
    kept = [Kept(0.0, 0.0, 0.0)] * len(scores)
    for block in blocks:
        for row in range(block.row, block.row_end):
            seen = [j for j in range(block.column, block.column_end) if not causal or j <= row]
            if not seen:
                continue
            old = kept[row]
            best = max(scores[row][j] for j in seen)
            largest = max(old.largest, best) if old.total else best
            shrink = math.exp(old.largest - largest) if old.total else 0.0
            factors = [math.exp(scores[row][j] - largest) for j in seen]
            kept[row] = Kept(
                largest,
                old.total * shrink + sum(factors),
                old.mixed * shrink + sum(factor * values[j] for factor, j in zip(factors, seen, strict=True)),
            )
    return kept


def check_table(name: str, scores: list[list[float]], values: list[float]) -> None:
    """Refuse a table that is not square, has not one value for each key, or does not fit."""
    n = len(values)
    if not FEWEST <= n <= MOST or [len(row) for row in scores] != [n] * n:
        raise ValueError(
            f"examples[{name!r}] must have n values and n by n scores, with n from {FEWEST} to {MOST}, but has {n} "
            f"values and rows of {[len(row) for row in scores]} scores"
        )
    for number in [*values, *(x for row in scores for x in row)]:
        if not abs(number) <= LARGEST:
            raise ValueError(f"examples[{name!r}] must hold numbers from {-LARGEST:g} to {LARGEST:g}, but has {number}")
