"""What the widgets share in which a reader writes a sentence and a trained translator translates it."""

from collections.abc import Sequence

import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from .base import Widget, pack, rounded

LONGEST_TEXT = 2000  # characters of a sentence in the state
LONGEST = 60  # words of a sentence that is translated


class SentenceWidget(Widget):
    """A sentence that the reader writes, with the grammar that knows its translation.

    :param source_words: all words of the source vocabulary in the order of their numbers, marks first
    :param target_words: all words of the target vocabulary, marks first
    :param grammar: the grammar that made the models' training data, with ``translate`` and ``to_data``
    :param examples: sentences for the reader to choose from
    :param sentence: the sentence that is shown first
    :param more: further traits
    """

    source_words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    target_words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    grammar = traitlets.Dict().tag(sync=True)
    examples = traitlets.List(traitlets.Unicode()).tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        source_words: Sequence[str],
        target_words: Sequence[str],
        grammar,
        examples: Sequence[str],
        sentence: str,
        **more,
    ):
        for text in examples:
            check_sentence("examples", text, source_words, grammar)
        self._grammar = grammar
        super().__init__(
            source_words=list(source_words),
            target_words=list(target_words),
            grammar=grammar.to_data(),
            examples=list(examples),
            sentence=sentence,
            **more,
        )

    @traitlets.validate("sentence")
    def _short_enough(self, proposal):
        if len(proposal["value"]) > LONGEST_TEXT:
            raise traitlets.TraitError(
                f"sentence must have at most {LONGEST_TEXT} characters, but has {len(proposal['value'])}"
            )
        return proposal["value"]

    def source(self) -> Tensor:
        """The words of ``sentence`` as numbers, (1, source)."""
        words = self.sentence.split()
        unknown = [word for word in words if word not in self.source_words]
        if unknown:
            raise ValueError(f"sentence holds {unknown[0]!r}, which is not in the vocabulary")
        if not 1 <= len(words) <= LONGEST:
            raise ValueError(f"sentence must have 1 to {LONGEST} words to be translated, but has {len(words)}")
        return torch.tensor([[self.source_words.index(word) for word in words]])

    @property
    def truth(self) -> list[str]:
        """The grammar's translation of ``sentence``."""
        return list(self._grammar.translate(self.sentence).target)


class TranslationWidget(SentenceWidget):
    """A sentence and one trained translator.

    :param kinds: the classes that ``model`` may have
    :param model: a trained translator; what runs is the model rounded to float16, in the page and here
    :param rest: what a :class:`SentenceWidget` is made from
    """

    weights = traitlets.Dict().tag(sync=True)
    kind = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        kinds: Sequence[type[nn.Module]],
        model: nn.Module,
        source_words: Sequence[str],
        target_words: Sequence[str],
        *rest,
        **more,
    ):
        check_translator("model", model, kinds, source_words, target_words)
        weights = pack(model.state_dict())
        self._model = rounded(model, weights)
        more |= {"weights": weights, "kind": type(model).__name__}
        super().__init__(source_words, target_words, *rest, **more)


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


def gold_cells(truth: Sequence[str], said: Sequence[str], links) -> set[tuple[int, int]]:
    """The links (source, true word) as cells (word said, source), for words that both sentences have.

    >>> sorted(gold_cells(["le", "petit", "chat"], ["le", "chat"], {(0, 0), (1, 1), (2, 2)}))
    [(0, 0), (1, 2)]
    """
    rows, true_place, place = {}, 0, 0
    for true, word in compare(truth, said):
        if true == word:
            rows[true_place] = place
        true_place += true is not None
        place += word is not None
    return {(rows[j], i) for i, j in links if j in rows}


def check_sentence(name: str, text: str, words: Sequence[str], grammar) -> None:
    """Refuse a text that holds an unknown word, or that is no sentence of the grammar."""
    unknown = [word for word in text.split() if word not in words]
    if unknown:
        raise ValueError(f"{name} holds {unknown[0]!r}, which is not among source_words")
    grammar.translate(text)  # an error of the grammar names the word at which it stops


def check_words(name: str, words: Sequence[str], count: int) -> None:
    """Refuse a vocabulary that does not fit the model's embedding, or lacks the marks of a sentence."""
    if len(words) != count:
        raise ValueError(f"{name} must have one word for each of the model's {count} rows, but has {len(words)}")
    for mark in ("<s>", "</s>"):
        if mark not in words:
            raise ValueError(f"{name} must hold the mark {mark!r}: pass vocabulary.words, which begins with the marks")


def check_translator(
    name: str,
    model: nn.Module,
    kinds: Sequence[type[nn.Module]],
    source_words: Sequence[str],
    target_words: Sequence[str],
) -> None:
    """Refuse a translator of another kind, or one that does not fit the vocabularies."""
    if type(model) not in kinds:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{name} must be one of {names}, but is a {type(model).__name__}")
    check_words("source_words", source_words, model.encoder.embed.num_embeddings)
    check_words("target_words", target_words, model.embed.num_embeddings)
