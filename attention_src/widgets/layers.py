"""A sentence goes through a trained Transformer: the weights of every layer and head, of all three looks.

Masks and heads can be switched off, and padding put behind the sentence.
"""

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import traitlets
from torch import Tensor

from attention_src import plots
from attention_src.decoding import Marks, greedy
from attention_src.multi_head import without_heads
from attention_src.recurrent import Step
from attention_src.transformer import Read, Transformer, nothing_said

from .base import pack, rounded
from .translation import LONGEST, SentenceWidget, check_words, gold_cells

BEGIN, END, PAD = "<s>", "</s>", "<pad>"
MOST = 8  # padded places
LOOKS = {"encoder": "the source at itself", "decoder": "the target back at itself", "cross": "the target at the source"}


class Seen(NamedTuple):
    """What the translator says and where it looks; each table is (layers, heads, rows, columns).

    Padded places are columns at the end of ``encoder`` and ``cross``, and no rows.
    """

    said: list[str]  # without the end mark
    encoder: np.ndarray
    decoder: np.ndarray  # rows and columns: the words that were fed in, the begin mark and all said words but the last
    cross: np.ndarray  # rows: the words said


class Layers(SentenceWidget):
    """A sentence, a trained Transformer, and the weights of one look, layer and head.

    What the reader switches: ``padding`` (how many padded places stand behind the sentence), ``padding_mask`` and
    ``causal`` (whether the two masks are on), and ``off``, the heads that are off, each as "look layer head", such as
    "cross 2 1". Without the causal mask each step reads all words said so far again, and each looks at all of them;
    that takes longer, so at most 60 words are said.

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
    causal = traitlets.Bool(True).tag(sync=True)
    padding = traitlets.Int(0).tag(sync=True)
    padding_mask = traitlets.Bool(True).tag(sync=True)
    off = traitlets.List(traitlets.Unicode()).tag(sync=True)

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
        if PAD not in source_words:
            raise ValueError(f"source_words must hold the mark {PAD!r}: pass vocabulary.words, which begins with it")
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

    @traitlets.validate("padding")
    def _some_padding(self, proposal):
        if not 0 <= proposal["value"] <= MOST:
            raise traitlets.TraitError(f"padding must be 0 to {MOST} places, but is {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("off")
    def _heads_that_are_there(self, proposal):
        known = [
            f"{look} {layer} {head}"
            for look in LOOKS
            for layer in range(1, self._layers + 1)
            for head in range(1, self._heads + 1)
        ]
        for name in proposal["value"]:
            if name not in known:
                raise traitlets.TraitError(f'off must hold heads such as "{known[-1]}", but holds {name!r}')
        return [name for name in known if name in proposal["value"]]

    @property
    def pruned(self) -> Transformer:
        """The model without the heads that are off."""
        model = copy.deepcopy(self._model)
        for name in self.off:
            look, layer, head = name.split()
            side = (model.encoder if look == "encoder" else model.decoder)[int(layer) - 1]
            part = "source" if look == "cross" else "itself"
            setattr(side, part, without_heads(getattr(side, part), [int(head) - 1]))
        return model

    @property
    def seen(self) -> Seen:
        """What is said, and all weights."""
        words, model = self.source(), self.pruned
        source = torch.nn.functional.pad(words, (0, self.padding), value=self.source_words.index(PAD))
        mask = torch.arange(source.shape[1])[None] < (words.shape[1] if self.padding_mask else source.shape[1])
        marks = Marks(self.target_words.index(BEGIN), self.target_words.index(END))
        with torch.no_grad():
            memory, nothing = model.encode(source, mask)
            step, state = (model.step, nothing) if self.causal else (step_unmasked(model), nothing_said(memory))
            (one,) = greedy(step, state, memory, marks, 2 * LONGEST if self.causal else LONGEST)
            given = torch.tensor([[marks.begin, *one.tokens]])[:, : max(len(one.tokens), 1)]
            encoder, decoder, cross = model.looks(source, mask, given)
            if not self.causal:
                _, decoder, cross = read_unmasked(model, given, memory)
        rows = given.shape[1] if one.tokens else 0
        return Seen(
            [self.target_words[token] for token in one.tokens],
            torch.cat(encoder).numpy()[:, :, : words.shape[1]],
            torch.cat(decoder).numpy()[:, :, :rows],
            torch.cat(cross).numpy()[:, :, :rows],
        )

    @property
    def shown(self) -> tuple[list[str], list[str], np.ndarray]:
        """The rows' words, the columns' words, and the weights of the chosen look, layer and head."""
        seen, source = self.seen, self.sentence.split()
        read, fed = source + [PAD] * self.padding, [BEGIN, *seen.said][: len(seen.said)]
        rows, columns = {"encoder": (source, read), "decoder": (fed, fed), "cross": (seen.said, read)}[self.look]
        table = getattr(seen, self.look)[self.layer - 1]
        return rows, columns, table.mean(axis=0) if self.head == 0 else table[self.head - 1]

    @property
    def leaked(self) -> float:
        """The share of the shown weights, over all rows, that lies where a mask would hide it."""
        rows, _, table = self.shown
        if not rows:
            return 0.0
        hidden = table[:, len(self.sentence.split()) :] if self.look != "decoder" else np.triu(table, 1)
        return float(hidden.sum() / len(rows))

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
        if not rows:
            return f'"{self.sentence}" is translated by a Transformer as nothing{self._switched()}'
        which = "the mean of the heads" if self.head == 0 else f"head {self.head}"
        at = min(self.at, len(rows) - 1)
        best = int(table[at].argmax())
        return (
            f'"{self.sentence}" is translated by a Transformer as "{" ".join(self.seen.said)}"; {LOOKS[self.look]}, '
            f"layer {self.layer}, {which}: {label(rows[at])} looks most at {label(columns[best])}, "
            f"with weight {table[at, best]:.2f}{self._switched()}"
        )

    def _switched(self) -> str:
        """What is not as it was in training."""
        parts = [f"{self.padding} padded places"] * bool(self.padding)
        parts += ["no padding mask"] * (not self.padding_mask) + ["no causal mask"] * (not self.causal)
        parts += [f"heads off: {', '.join(self.off)}"] * bool(self.off)
        return f" ({'; '.join(parts)})" if parts else ""


def label(word: str) -> str:
    """A word as it is shown; the marks are no words."""
    return {BEGIN: "(begin)", END: "(end)", PAD: "(pad)"}.get(word, word)


def read_unmasked(model: Transformer, given: Tensor, memory: Read) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Read the words that are given, all at once, and let each look at all of them.

    Gives a vector for each, and the weights of each layer at the words and at the source.
    """
    x, own, cross = model.place(model.said(given), 0), [], []
    for layer, kept in zip(model.decoder, memory.kept, strict=True):
        x, _, (back, there) = layer(x, None, None, kept, memory.mask[:, None])
        own.append(back)
        cross.append(there)
    return model.said_norm(x), own, cross


def step_unmasked(model: Transformer) -> Callable:
    """A step that reads all words said so far again, without the causal mask; its state is these words."""

    def step(token, said, memory):
        said = torch.cat([said, token[:, None]], dim=1)
        x, _, cross = read_unmasked(model, said, memory)
        return Step(model.readout(x[:, -1]), said, cross[-1].mean(dim=1)[:, -1])

    return step
