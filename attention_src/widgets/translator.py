"""The widget of chapter 02: a trained translator that fails, in the reader's hands, as the sentence grows."""

import textwrap
from collections.abc import Sequence

import matplotlib
import torch
import traitlets
from matplotlib.figure import Figure

from attention_src import plots
from attention_src.bottleneck import FirstStateOnly, LookBack, VectorEveryStep
from attention_src.decoding import Marks, greedy

from .translation import LONGEST, TranslationWidget, check_sentence, compare

KINDS = (FirstStateOnly, VectorEveryStep, LookBack)


class Translator(TranslationWidget):
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

    growth = traitlets.List(traitlets.Unicode()).tag(sync=True)
    trained = traitlets.Int().tag(sync=True)

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
        more = {"growth": list(growth), "trained": trained}
        super().__init__(KINDS, model, source_words, target_words, grammar, examples, sentence=growth[0], **more)
        check_sentence("growth", " ".join(growth), source_words, grammar)

    @property
    def translation(self) -> list[str]:
        """What the model says for ``sentence``, greedily, word by word."""
        source = self.source()
        marks = Marks(self.target_words.index("<s>"), self.target_words.index("</s>"))
        with torch.no_grad():
            memory, state = self._model.encode(source, torch.ones_like(source, dtype=torch.bool))
        (said,) = greedy(self._model.step, state, memory, marks, longest=2 * LONGEST)
        return [self.target_words[token] for token in said.tokens]

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
