"""A sentence goes through a trained Transformer: the weights of every layer and head, of all three looks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import traitlets

from attention_src import plots
from attention_src.decoding import Marks, greedy
from attention_src.transformer import Transformer

from .base import pack, rounded
from .translation import LONGEST, SentenceWidget, check_words, gold_cells

BEGIN, END = "<s>", "</s>"
LOOKS = {"encoder": "the source at itself", "decoder": "the target back at itself", "cross": "the target at the source"}


class Seen(NamedTuple):
    """What the translator says and where it looks; each table is (layers, heads, rows, columns)."""

    said: list[str]  # without the end mark
    encoder: np.ndarray
    decoder: np.ndarray  # rows and columns: the words that were fed in, the begin mark and all said words but the last
    cross: np.ndarray  # rows: the words said


class Layers(SentenceWidget):
    """A sentence, a trained Transformer, and the weights of one look, layer and head.

    :param model: a trained translator with the norms in front
    :param look: "encoder", "decoder" or "cross"
    :param layer: the layer, counted from 1
    :param head: the head, counted from 1; 0 is the mean of the layer's heads
    :param at: the row that is chosen; a large number stands for the last one
    :param rest: what a :class:`SentenceWidget` is made from
    """

    weights = traitlets.Dict().tag(sync=True)
    heads = traitlets.Int().tag(sync=True)
    look = traitlets.Enum(list(LOOKS)).tag(sync=True)
    layer = traitlets.Int().tag(sync=True)
    head = traitlets.Int().tag(sync=True)
    at = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        model: Transformer,
        source_words: Sequence[str],
        target_words: Sequence[str],
        grammar,
        examples: Sequence[str],
        sentence: str,
        look: str = "cross",
        layer: int = 1,
        head: int = 0,
        at: int = 0,
    ):
        if not isinstance(model, Transformer):
            raise TypeError(f"model must be a Transformer, but is a {type(model).__name__}")
        if not model.encoder[0].add_look.norm_first:
            raise ValueError("model must have the norms in front: the page computes no other order")
        check_words("source_words", source_words, model.read.num_embeddings)
        check_words("target_words", target_words, model.said.num_embeddings)
        packed = pack(model.state_dict())
        self._model = rounded(model, packed).double()
        self._layers, self._heads = len(model.decoder), model.encoder[0].itself.heads
        more = {"weights": packed, "heads": self._heads, "look": look, "layer": layer, "head": head, "at": at}
        super().__init__(source_words, target_words, grammar, examples, sentence, **more)

    @traitlets.validate("layer")
    def _a_layer(self, proposal):
        if not 1 <= proposal["value"] <= self._layers:
            raise traitlets.TraitError(f"layer must be 1 to {self._layers}, but is {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("head")
    def _a_head(self, proposal):
        if not 0 <= proposal["value"] <= self._heads:
            raise traitlets.TraitError(
                f"head must be 1 to {self._heads}, or 0 for the mean of all, but is {proposal['value']}"
            )
        return proposal["value"]

    @traitlets.validate("at")
    def _a_place(self, proposal):
        if proposal["value"] < 0:
            raise traitlets.TraitError(f"at must be a row, 0 or more, but is {proposal['value']}")
        return proposal["value"]

    @property
    def seen(self) -> Seen:
        """What is said, and all weights."""
        source, begin = self.source(), self.target_words.index(BEGIN)
        mask = torch.ones_like(source, dtype=torch.bool)
        with torch.no_grad():
            memory, state = self._model.encode(source, mask)
            marks = Marks(begin, self.target_words.index(END))
            (one,) = greedy(self._model.step, state, memory, marks, 2 * LONGEST)
            given = torch.tensor([[begin, *one.tokens]])[:, : max(len(one.tokens), 1)]
            looks = self._model.looks(source, mask, given)
        tables = [torch.cat(part).numpy()[:, :, : given.shape[1] if one.tokens else 0] for part in looks[1:]]
        return Seen([self.target_words[token] for token in one.tokens], torch.cat(looks.encoder).numpy(), *tables)

    @property
    def shown(self) -> tuple[list[str], list[str], np.ndarray]:
        """The rows' words, the columns' words, and the weights of the chosen look, layer and head."""
        seen, source = self.seen, self.sentence.split()
        fed = [BEGIN, *seen.said][: len(seen.said)]
        rows, columns = {"encoder": (source, source), "decoder": (fed, fed), "cross": (seen.said, source)}[self.look]
        table = getattr(seen, self.look)[self.layer - 1]
        return rows, columns, table.mean(axis=0) if self.head == 0 else table[self.head - 1]

    @property
    def gold(self) -> set[tuple[int, int]]:
        """The true links as cells (row, column) of the look at the source; none for the others."""
        if self.look != "cross":
            return set()
        pair = self._grammar.translate(self.sentence)
        return gold_cells(pair.target, self.seen.said, pair.links)

    def still(self):
        """Draw the weights with the true links."""
        rows, columns, table = self.shown
        return plots.heatmap(table.round(6).tolist(), [*map(label, rows)], [*map(label, columns)], gold=self.gold)

    def summary(self) -> str:
        """Say what is shown and where the chosen row looks most."""
        rows, columns, table = self.shown
        which = "the mean of the heads" if self.head == 0 else f"head {self.head}"
        at = min(self.at, len(rows) - 1)
        best = int(table[at].argmax())
        return (
            f'"{self.sentence}" is translated by a Transformer as "{" ".join(self.seen.said)}"; {LOOKS[self.look]}, '
            f"layer {self.layer}, {which}: {label(rows[at])} looks most at {label(columns[best])}, "
            f"with weight {table[at, best]:.2f}"
        )


def label(word: str) -> str:
    """A word as it is shown; the marks are no words."""
    return {BEGIN: "(begin)", END: "(end)"}.get(word, word)
