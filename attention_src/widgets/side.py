"""The widget of chapter 07: trained translators of three chapters side by side, their weights beside the true links."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from attention_src import plots
from attention_src.bahdanau import Bahdanau
from attention_src.bottleneck import FirstStateOnly, LookBack, VectorEveryStep
from attention_src.decoding import Marks, greedy
from attention_src.luong import Everywhere, Luong
from attention_src.scores import Bilinear

from .base import pack, rounded
from .translation import LONGEST, SentenceWidget, check_translator, compare, gold_cells

KINDS = (FirstStateOnly, VectorEveryStep, LookBack, Bahdanau, Luong)


class Said(NamedTuple):
    """What one translator says, and where it looked for each word."""

    words: list[str]
    weights: list[list[float]] | None  # a row for each word said, a number for each source word; None without attention
    columns: list[tuple[str | None, str | None]]  # true word and word said, side by side
    gold: set[tuple[int, int]]  # true links as (word said, source word), of the words that are right

    @property
    def right(self) -> int:
        """How many true words were said."""
        return sum(true == said for true, said in self.columns)

    @property
    def hits(self) -> int:
        """For how many right words the largest weight is on a linked word."""
        if self.weights is None:
            return 0
        return sum((row, int(np.argmax(weights))) in self.gold for row, weights in enumerate(self.weights))

    @property
    def linked(self) -> int:
        """How many right words have a true link."""
        return len({row for row, _ in self.gold})


class Side(SentenceWidget):
    """Write a sentence; several trained translators say it side by side, and show where they looked for each word.

    ``sentence`` is what the reader writes, and ``at`` the true word that is looked at, from 1. Set one in Python and
    the picture moves, and the other way round.

    :param models: trained translators of chapters 02, 05 and 06 by the name that the reader sees, about 150,000
        parameters together; what runs is each model rounded to float16, in the page and here. A translator of chapter
        06 must have one layer, the score :class:`~attention_src.scores.Bilinear`, global attention and feeding
    :param source_words: all words of the source vocabulary in the order of their numbers, marks first
    :param target_words: all words of the target vocabulary, marks first
    :param grammar: the grammar that made the models' training data, with ``translate`` and ``to_data``
    :param examples: sentences for the reader to choose from; the first is shown
    :param at: the true word that is looked at first
    """

    weights = traitlets.Dict().tag(sync=True)
    kinds = traitlets.List().tag(sync=True)
    at = traitlets.Int(1).tag(sync=True)

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        source_words: Sequence[str],
        target_words: Sequence[str],
        grammar,
        examples: Sequence[str],
        at: int = 1,
    ):
        if not models:
            raise ValueError("models must hold at least one trained translator, by its name")
        if not examples:
            raise ValueError("examples must hold at least one sentence: the first is shown")
        for name, model in models.items():
            check_translator(f"models[{name!r}]", model, KINDS, source_words, target_words)
            check_luong(name, model)
        weights = pack(
            {
                f"{place}.{name}": tensor
                for place, model in enumerate(models.values())
                for name, tensor in model.state_dict().items()
            }
        )
        self._models = {name: rounded(model, pack(model.state_dict())).double() for name, model in models.items()}
        super().__init__(
            source_words,
            target_words,
            grammar,
            examples,
            examples[0],
            weights=weights,
            kinds=[[name, type(model).__name__] for name, model in models.items()],
            at=at,
        )

    @traitlets.validate("at")
    def _a_word(self, proposal):
        if proposal["value"] < 1:
            raise traitlets.TraitError(
                f"at must be a true word, counted from 1 (the last one if there are fewer), but is {proposal['value']}"
            )
        return proposal["value"]

    @property
    def translations(self) -> dict[str, Said]:
        """What each translator says for ``sentence``, greedily, and where it looked."""
        source, pair = self.source(), self._grammar.translate(self.sentence)
        found = {}
        for name, model in self._models.items():
            words, weights = self._said(model, source)
            found[name] = Said(words, weights, compare(pair.target, words), gold_cells(pair.target, words, pair.links))
        return found

    @torch.no_grad()
    def _said(self, model: nn.Module, source: torch.Tensor) -> tuple[list[str], list[list[float]] | None]:
        marks = Marks(self.target_words.index("<s>"), self.target_words.index("</s>"))
        memory, state = model.encode(source, torch.ones_like(source, dtype=torch.bool))
        (said,) = greedy(model.step, state, memory, marks, longest=2 * LONGEST)
        words = [self.target_words[token] for token in said.tokens]
        return words, None if said.weights is None else said.weights[: len(words)].tolist()

    def still(self):
        """Draw what each translator says, with a map of its weights where it has some."""
        found, words = self.translations, self.sentence.split()
        cell = min(0.3, 5.0 / len(words))  # inches
        longest = max([len("(nothing)"), *(len(word) for said in found.values() for word in said.words)])
        left = 0.1 * longest + 0.2
        heights = [0.35 + (cell * len(said.words) + 0.6 if said.weights else 0.5) for said in found.values()]
        width, height = max(left + cell * len(words) + 0.5, 6.4), sum(heights)
        with matplotlib.rc_context(plots.STYLE | {"figure.constrained_layout.use": False}):
            figure, top = Figure(figsize=(width, height)), 0.0
            for (name, said), size in zip(found.items(), heights, strict=True):
                title = f"{name}: {said.right} of {len(self.truth)} words right"
                figure.text(0.02, 1 - (top + 0.2) / height, title, va="center", weight="bold")
                if said.weights:
                    rows = cell * len(said.words)
                    box = (left / width, 1 - (top + size - 0.08) / height, cell * len(words) / width, rows / height)
                    draw_map(figure.add_axes(box), said, words)
                else:
                    figure.text(0.02, 1 - (top + 0.5) / height, " ".join(said.words) or "(nothing)", va="center")
                top += size
        return figure

    def summary(self) -> str:
        """Say how many words each translator gets right."""
        said = [f"{name} gets {one.right}" for name, one in self.translations.items()]
        return f'Translating "{self.sentence}": of {len(self.truth)} French words, {", ".join(said)} right'


def check_luong(name: str, model: nn.Module) -> None:
    """Refuse a translator of chapter 06 whose kind the page does not compute."""
    if not isinstance(model, Luong):
        return
    if not (
        type(model.score) is Bilinear
        and type(model.focus) is Everywhere
        and model.rnn.num_layers == 1
        and model.feeding
    ):
        raise ValueError(
            f"models[{name!r}] must have one layer, the score Bilinear, the focus Everywhere and feeding, but has "
            f"{model.rnn.num_layers} layers, {type(model.score).__name__}, {type(model.focus).__name__} and "
            f"feeding={model.feeding}"
        )


def draw_map(axes, said: Said, words: Sequence[str]) -> None:
    """Draw the weights, a row for each word said, with the true links as outlines."""
    axes.pcolormesh(
        np.array(said.weights).round(6), cmap=plots.WEIGHTS, vmin=0, vmax=1, edgecolors=plots.LIGHT["rule"], lw=0.5
    )
    for row, column in sorted(said.gold):
        for colour, width in (("paper", 3.0), ("ink", 1.4)):  # an edge of paper, seen on the darkest cell too
            box = Rectangle((column + 0.08, row + 0.08), 0.84, 0.84, fill=False, ec=plots.LIGHT[colour], lw=width)
            axes.add_patch(box)
    axes.set(xlim=(0, len(words)), ylim=(len(said.words), 0))
    axes.set_yticks(np.arange(len(said.words)) + 0.5, said.words)
    axes.set_xticks(np.arange(len(words)) + 0.5, words, rotation=45, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False, pad=3)
    for side in axes.spines.values():
        side.set_visible(False)
