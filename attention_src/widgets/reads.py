"""A small causal language model reads what the reader writes: who looks at whom, and what could come next."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure

from attention_src import plots
from attention_src.self_attention import LanguageModel, SelfAttention

from .base import Widget, pack, rounded
from .translation import LONGEST_TEXT, check_sentence, check_words

BEGIN, END = "<s>", "</s>"
TOP = 5


class Seen(NamedTuple):
    """What the model computes for a sentence; its first place is the begin mark."""

    weights: np.ndarray  # (layers, places, places)
    chances: np.ndarray  # (places, vocabulary): the probability of each next word


class Reads(Widget):
    """A sentence, and a trained language model that reads it.

    :param model: a trained language model whose layers are all self-attention
    :param words: all words in the order of their numbers, marks first
    :param grammar: the grammar that made the sentences of the training, with ``translate`` and ``to_data``
    :param examples: sentences for the reader to choose from
    :param sentence: the sentence that is shown first
    :param longest: how many words can be read
    :param layer: the layer whose weights are shown, counted from 1
    :param causal: whether a word may look back only
    :param at: the place that is chosen: 0 is the begin mark; a large number stands for the last word
    """

    weights = traitlets.Dict().tag(sync=True)
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    grammar = traitlets.Dict().tag(sync=True)
    examples = traitlets.List(traitlets.Unicode()).tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)
    longest = traitlets.Int().tag(sync=True)
    layer = traitlets.Int().tag(sync=True)
    causal = traitlets.Bool().tag(sync=True)
    at = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        model: LanguageModel,
        words: Sequence[str],
        grammar,
        examples: Sequence[str],
        sentence: str,
        longest: int,
        layer: int = 1,
        causal: bool = True,
        at: int | None = None,
    ):
        if not isinstance(model, LanguageModel):
            raise TypeError(f"model must be a LanguageModel, but is a {type(model).__name__}")
        if not all(type(block.mixer) is SelfAttention for block in model.blocks):
            raise TypeError("model must have self-attention in all its blocks: there are no other weights to show")
        check_words("words", words, model.embed.num_embeddings)
        if not 1 <= longest < model.place.num_embeddings:
            raise ValueError(
                f"longest must be 1 to {model.place.num_embeddings - 1}, one less than the model's places, for the "
                f"begin mark; it is {longest}"
            )
        for text in examples:
            check_sentence("examples", text, words, grammar)
        packed = pack(model.state_dict())
        self._model = rounded(model, packed).double()
        self._layers = len(model.blocks)
        super().__init__(
            weights=packed,
            words=list(words),
            grammar=grammar.to_data(),
            examples=list(examples),
            longest=longest,
            sentence=sentence,
            layer=layer,
            causal=causal,
            at=longest if at is None else at,
        )

    @traitlets.validate("sentence")
    def _short_enough(self, proposal):
        if len(proposal["value"]) > LONGEST_TEXT:
            raise traitlets.TraitError(
                f"sentence must have at most {LONGEST_TEXT} characters, but has {len(proposal['value'])}"
            )
        return proposal["value"]

    @traitlets.validate("layer")
    def _a_layer(self, proposal):
        if not 1 <= proposal["value"] <= self._layers:
            raise traitlets.TraitError(f"layer must be 1 to {self._layers}, but is {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("at")
    def _a_place(self, proposal):
        if proposal["value"] < 0:
            raise traitlets.TraitError(f"at must be a place, 0 or more, but is {proposal['value']}")
        return proposal["value"]

    @property
    def places(self) -> list[str]:
        """The begin mark and the words of ``sentence``."""
        some = self.sentence.split()
        unknown = [word for word in some if word not in self.words]
        if unknown:
            raise ValueError(f"sentence holds {unknown[0]!r}, which is not in the vocabulary")
        return [BEGIN, *some[: self.longest]]

    @property
    def seen(self) -> Seen:
        """The weights of each layer, and the probabilities of the next word at each place."""
        numbers = torch.tensor([[self.words.index(word) for word in self.places]])
        with torch.no_grad():
            logits, weights = self._model(numbers, causal=self.causal)
        return Seen(torch.cat(weights).numpy(), logits[0].softmax(dim=-1).numpy())

    @property
    def next(self) -> list[tuple[str, float]]:
        """The most probable words behind the chosen place, with their probabilities."""
        chances = self.seen.chances[self._chosen]
        best = np.argsort(-chances, kind="stable")[:TOP]
        return [(self.words[number], float(chances[number])) for number in best]

    @property
    def _chosen(self) -> int:
        return min(self.at, len(self.places) - 1)

    def still(self):
        """Draw the weights of the chosen layer, a row for each place, and say what may come next."""
        labels, weights = [label(word) for word in self.places], self.seen.weights[self.layer - 1].round(6)
        count, cell = len(labels), min(0.34, 5.0 / len(self.places))  # inches
        left, top = 0.09 * max(map(len, labels)) + 0.15, 0.09 * max(map(len, labels)) + 0.15
        width, height = max(left + count * cell + 0.1, 4.8), top + count * cell + 0.4
        with matplotlib.rc_context(plots.STYLE | {"figure.constrained_layout.use": False}):
            figure = Figure(figsize=(width, height))
            axes = figure.add_axes((left / width, 0.4 / height, count * cell / width, count * cell / height))
            hidden = np.triu(np.ones((count, count), bool), 1) if self.causal else np.zeros((count, count), bool)
            shown = np.ma.masked_array(weights, hidden)
            axes.pcolormesh(shown, cmap=plots.WEIGHTS, vmin=0, vmax=1, edgecolors=plots.LIGHT["rule"], linewidth=0.5)
            axes.set(xlim=(0, count), ylim=(count, 0))
            axes.set_xticks(np.arange(count) + 0.5, labels, rotation=90)
            axes.set_yticks(np.arange(count) + 0.5, labels)
            axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
            for side in axes.spines.values():
                side.set_visible(False)
            after = ", ".join(f"{label(word)} {chance:.2f}" for word, chance in self.next[:3])
            figure.text(0.02, 0.1 / height, f"after {labels[self._chosen]}: {after}", va="bottom")
        return figure

    def summary(self) -> str:
        """Say where the chosen word looks most and what may come next."""
        places, at = self.places, self._chosen
        row = self.seen.weights[self.layer - 1][at]
        best = int(row.argmax())
        word, chance = self.next[0]
        return (
            f'"{" ".join(places[1:])}", read by a language model: in layer {self.layer} '
            f"{label(places[at])} looks most at {label(places[best])}, with weight {row[best]:.2f}; "
            f"the most probable next word is {label(word)}, {chance:.2f}"
        )


def label(word: str) -> str:
    """A word as it is shown; the marks are no words."""
    return {BEGIN: "(begin)", END: "(end)"}.get(word, word)
