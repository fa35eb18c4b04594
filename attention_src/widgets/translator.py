"""The widget of chapter 02: a trained translator that fails, in the reader's hands, as the sentence grows."""

import copy
import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure

from attention_src import plots
from attention_src.bottleneck import FirstStateOnly, LookBack, VectorEveryStep
from attention_src.decoding import Marks, greedy

from .base import Widget, pack, unpack

KINDS = (FirstStateOnly, VectorEveryStep, LookBack)
LONGEST_TEXT = 2000  # characters of a sentence in the state
LONGEST = 60  # words of a sentence that is translated


class Translator(Widget):
    """Type or build a sentence; the model's translation stands below the true one, word by word.

    ``sentence`` is what the reader writes; set it in Python and the picture moves, and the other way round.

    :param model: a trained translator of chapter 02; what runs is the model rounded to float16, in the page and here
    :param source_words: all words of the source vocabulary in the order of their numbers, marks first
    :param target_words: all words of the target vocabulary, marks first
    :param grammar: the grammar that made the model's training data, with ``translate`` and ``to_data``
    :param growth: a first clause, then more clauses, each beginning with the words that join it to what came before
    :param examples: sentences of different lengths for the reader to choose from
    :param trained: the length in words of the longest sentence that the model was trained on
    """

    weights = traitlets.Dict().tag(sync=True)
    kind = traitlets.Unicode().tag(sync=True)
    source_words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    target_words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    grammar = traitlets.Dict().tag(sync=True)
    growth = traitlets.List(traitlets.Unicode()).tag(sync=True)
    examples = traitlets.List(traitlets.Unicode()).tag(sync=True)
    trained = traitlets.Int().tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        model: FirstStateOnly | VectorEveryStep | LookBack,
        source_words: Sequence[str],
        target_words: Sequence[str],
        grammar,
        growth: Sequence[str],
        examples: Sequence[str],
        trained: int,
    ):
        if type(model) not in KINDS:
            names = ", ".join(kind.__name__ for kind in KINDS)
            raise TypeError(f"model must be one of {names}, but is a {type(model).__name__}")
        check_words("source_words", source_words, model.encoder.embed.num_embeddings)
        check_words("target_words", target_words, model.embed.num_embeddings)
        weights = pack(model.state_dict())
        self._grammar = grammar
        self._model = rounded(model, weights)
        for name, texts in (("growth", [" ".join(growth)]), ("examples", examples)):
            for text in texts:
                self._check_sentence(name, text, source_words)
        super().__init__(
            weights=weights,
            kind=type(model).__name__,
            source_words=list(source_words),
            target_words=list(target_words),
            grammar=grammar.to_data(),
            growth=list(growth),
            examples=list(examples),
            trained=trained,
            sentence=growth[0],
        )

    def _check_sentence(self, name: str, text: str, source_words: Sequence[str]) -> None:
        unknown = [word for word in text.split() if word not in source_words]
        if unknown:
            raise ValueError(f"{name} holds {unknown[0]!r}, which is not among source_words")
        self._grammar.translate(text)  # an error of the grammar names the word at which it stops

    @traitlets.validate("sentence")
    def _short_enough(self, proposal):
        if len(proposal["value"]) > LONGEST_TEXT:
            raise traitlets.TraitError(
                f"sentence must have at most {LONGEST_TEXT} characters, but has {len(proposal['value'])}"
            )
        return proposal["value"]

    @property
    def translation(self) -> list[str]:
        """What the model says for ``sentence``, greedily, word by word."""
        words = self.sentence.split()
        unknown = [word for word in words if word not in self.source_words]
        if unknown:
            raise ValueError(f"sentence holds {unknown[0]!r}, which is not in the vocabulary")
        if not 1 <= len(words) <= LONGEST:
            raise ValueError(f"sentence must have 1 to {LONGEST} words to be translated, but has {len(words)}")
        source = torch.tensor([[self.source_words.index(word) for word in words]])
        marks = Marks(self.target_words.index("<s>"), self.target_words.index("</s>"))
        with torch.no_grad():
            memory, state = self._model.encode(source, torch.ones_like(source, dtype=torch.bool))
        (said,) = greedy(self._model.step, state, memory, marks, longest=2 * LONGEST)
        return [self.target_words[token] for token in said.tokens]

    @property
    def truth(self) -> list[str]:
        """The grammar's translation of ``sentence``."""
        return list(self._grammar.translate(self.sentence).target)

    def still(self):
        """Draw the sentence, the true translation and the model's below each other."""
        columns = compare(self.truth, self.translation)
        colours = plots.LIGHT
        source = textwrap.wrap(self.sentence, 70)
        rows = wrap([max(len(true or ""), len(said or "")) + 3 for true, said in columns], width=76)
        height = 0.6 * len(source) + 1.5 * len(rows) + 0.3
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(7, 0.32 * height), layout="none")
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set(xlim=(0, 76), ylim=(-height, 0))
            axes.axis("off")
            for line, text in enumerate(source):
                axes.text(0, -0.6 * (line + 1), text, color=colours["source"])
            places = [(0.6 * len(source) + 1.5 * row, edge) for row, line in enumerate(rows) for edge in line]
            for (top, edge), (true, said) in zip(places, columns, strict=True):
                right = true == said
                axes.text(edge, -top - 0.7, true or "·", color=colours["target"])
                axes.text(
                    edge,
                    -top - 1.3,
                    said or "–" if right else f"✗ {said or '–'}",
                    color=colours["ink" if right else "bad"],
                )
        return figure

    def summary(self) -> str:
        """Say what was translated and how well."""
        columns = compare(self.truth, self.translation)
        right = sum(true == said for true, said in columns)
        return (
            f'"{self.sentence}" has {len(self.sentence.split())} words; '
            f"the model gets {right} of {len(self.truth)} target words right"
        )


def compare(truth: Sequence[str], said: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Set two sentences side by side with the fewest differences; None where one of them has no word.

    >>> compare(["le", "petit", "chat"], ["le", "chat"])
    [('le', 'le'), ('petit', None), ('chat', 'chat')]
    """
    gap = (
        1000  # the price of a difference; a word that is the same in both earns 1, so that ties go to more right words
    )
    cost = gap * np.add.outer(np.arange(len(truth) + 1), np.arange(len(said) + 1))

    def pair(i: int, j: int) -> int:  # the price of setting true word i and said word j side by side, counted from 1
        return cost[i - 1, j - 1] + (-1 if truth[i - 1] == said[j - 1] else gap)

    for i in range(1, len(truth) + 1):
        for j in range(1, len(said) + 1):
            cost[i, j] = min(pair(i, j), cost[i - 1, j] + gap, cost[i, j - 1] + gap)
    columns, i, j = [], len(truth), len(said)
    while i or j:
        if i and cost[i, j] == cost[i - 1, j] + gap:
            i -= 1
            columns.append((truth[i], None))
        elif i and j and cost[i, j] == pair(i, j):
            i, j = i - 1, j - 1
            columns.append((truth[i], said[j]))
        else:
            j -= 1
            columns.append((None, said[j]))
    return columns[::-1]


def wrap(widths: Sequence[int], width: int) -> list[list[int]]:
    """Break cells of these widths into lines of at most ``width``; give the left edge of each cell, line by line."""
    lines, edge = [[]], 0
    for cell in widths:
        if edge + cell > width and lines[-1]:
            lines.append([])
            edge = 0
        lines[-1].append(edge)
        edge += cell
    return lines


def rounded(model: torch.nn.Module, weights: dict) -> torch.nn.Module:
    """A copy of ``model`` with the weights that travel: float16 numbers, computed with in float32."""
    twin = copy.deepcopy(model).float().eval()
    twin.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in unpack(weights).items()})
    return twin


def check_words(name: str, words: Sequence[str], count: int) -> None:
    """Refuse a vocabulary that does not fit the model's embedding, or lacks the marks of a sentence."""
    if len(words) != count:
        raise ValueError(f"{name} must have one word for each of the model's {count} rows, but has {len(words)}")
    for mark in ("<s>", "</s>"):
        if mark not in words:
            raise ValueError(f"{name} must hold the mark {mark!r}: pass vocabulary.words, which begins with the marks")
