"""The widget of chapter 15: a document whose words the reader edits, and the weights of its words and sentences."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import torch
import traitlets

from attention_src import plots
from attention_src.hierarchical import ContextAttention, DocumentReader

from .base import Widget, pack, rounded

LINES = 120  # sentences
LONGEST = 9000  # characters
DRAWN = 14  # sentences in the still picture
MARKS = re.compile(r'[.,;:!?"“”]')


class Seen(NamedTuple):
    """What the widget shows."""

    sentences: list[list[str]]  # the words that are known
    unknown: list[str]  # the others, each once
    outer: list[float]  # the weights of the sentences
    inner: list[list[float]]  # the weights of the words in each sentence
    chances: list[float]  # the probabilities of the answers
    gold: list[int]  # the sentences with a cue
    truth: list[str]  # what these say, each answer once


class DocumentWeights(Widget):
    """Edit a document, a sentence a line; see what a trained reader answers, and its weights on both levels.

    ``text`` and ``reader`` are what the reader moves: set one in Python and the picture moves. Words that the
    vocabulary does not have are named and left out.

    :param models: trained document readers with attention, by name
    :param words: all words of the vocabulary in the order of their numbers, marks first
    :param answers: the answers, in the order of the logits
    :param kinds: words that can stand in each other's place, by the name of their kind; the words of an answer under
        its name
    :param cues: the name of the kind that marks the sentence that decides
    :param examples: documents to choose from, by name
    :param text: the document to begin with
    :param reader: which of the models reads, counted from 1
    """

    weights = traitlets.Dict().tag(sync=True)
    readers = traitlets.List(traitlets.Unicode()).tag(sync=True)
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    answers = traitlets.List(traitlets.Unicode()).tag(sync=True)
    kinds = traitlets.Dict().tag(sync=True)
    cues = traitlets.Unicode().tag(sync=True)
    examples = traitlets.Dict().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    reader = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        models: Mapping[str, DocumentReader],
        words: Sequence[str],
        answers: Sequence[str],
        kinds: Mapping[str, Sequence[str]],
        cues: str,
        examples: Mapping[str, str],
        text: str,
        reader: int = 1,
    ):
        if not models:
            raise ValueError("models must hold at least one trained reader, by its name")
        for name, model in models.items():
            check_model(name, model, words, answers)
        unknown = [word for part in kinds.values() for word in part if word not in words]
        if unknown:
            raise ValueError(f"kinds holds {unknown[0]!r}, which is not among words")
        missing = [name for name in (cues, *answers) if name not in kinds]
        if missing:
            raise ValueError(f"kinds must hold the cues and each answer, but has no {missing[0]!r}")
        weights = pack(
            {
                f"{place}.{name}": tensor
                for place, model in enumerate(models.values())
                for name, tensor in model.state_dict().items()
            }
        )
        self._models = [rounded(model, pack(model.state_dict())).double() for model in models.values()]
        super().__init__(
            weights=weights,
            readers=list(models),
            words=list(words),
            answers=list(answers),
            kinds={name: list(part) for name, part in kinds.items()},
            cues=cues,
            examples=dict(examples),
            text=text,
            reader=reader,
        )

    @traitlets.validate("text")
    def _short_enough(self, proposal):
        text = proposal["value"]
        if len(text) > LONGEST or text.count("\n") >= LINES:
            raise traitlets.TraitError(
                f"text must have at most {LONGEST} characters and {LINES} lines, but has {len(text)} and "
                f"{text.count(chr(10)) + 1}"
            )
        return text

    @traitlets.validate("reader")
    def _a_reader(self, proposal):
        if not 1 <= proposal["value"] <= len(self._models):
            raise traitlets.TraitError(f"reader must be 1 to {len(self._models)}, but is {proposal['value']}")
        return proposal["value"]

    @property
    def seen(self) -> Seen:
        """What the chosen reader answers, and its weights."""
        lines = [MARKS.sub(" ", line).lower().split() for line in self.text.split("\n")]
        known = set().union(*self.kinds.values())
        sentences = [[word for word in line if word in known] for line in lines]
        unknown = list(dict.fromkeys(word for line in lines for word in line if word not in known))
        longest = max(map(len, sentences))
        mask = torch.tensor([[place < len(one) for place in range(longest)] for one in sentences], dtype=torch.bool)
        numbers = torch.zeros(mask.shape, dtype=torch.long)
        numbers[mask] = torch.tensor([self.words.index(word) for one in sentences for word in one], dtype=torch.long)
        with torch.no_grad():
            reading = self._models[self.reader - 1](numbers[None], mask[None])
        inner = [weights[there].tolist() for weights, there in zip(reading.words[0], mask, strict=True)]
        marks = set(self.kinds[self.cues])
        gold = [place for place, one in enumerate(sentences) if marks & set(one)]
        said = {word for place in gold for word in sentences[place]}
        truth = [answer for answer in self.answers if said & set(self.kinds[answer])]
        chances = reading.logits[0].softmax(dim=0).tolist()
        return Seen(sentences, unknown, reading.sentences[0].tolist(), inner, chances, gold, truth)

    @property
    def answer(self) -> tuple[str, float]:
        """The most probable answer, and its probability."""
        chances = self.seen.chances
        best = max(range(len(chances)), key=chances.__getitem__)
        return self.answers[best], chances[best]

    def still(self):
        """Draw the document, each word and each sentence on the colour of its weight."""
        seen, (answer, chance) = self.seen, self.answer
        name = f"{self.readers[self.reader - 1]}: {answer}, {100 * chance:.0f} %"
        with matplotlib.rc_context(plots.STYLE):
            return plots.document(seen.sentences[:DRAWN], {name: (seen.outer[:DRAWN], seen.inner[:DRAWN])}, seen.gold)

    def summary(self) -> str:
        """Say what came out, and where most of the weight lies."""
        seen, (answer, chance) = self.seen, self.answer
        name, count = self.readers[self.reader - 1], len(seen.sentences)
        lines = f"{count} line{'s' if count > 1 else ''}"
        said = f"A document of {lines}, read with {name}: the answer is {answer}, {100 * chance:.0f} %"
        most = max(range(count), key=seen.outer.__getitem__)
        words, weights = seen.sentences[most], seen.inner[most]
        if not words:
            return f"{said}; there are no words"
        word = max(range(len(words)), key=weights.__getitem__)
        return (
            f'{said}; {100 * seen.outer[most]:.0f} % of the sentence weight lies on "{" ".join(words)}", '
            f'and in it {100 * weights[word]:.0f} % of the word weight on "{words[word]}"'
        )


def check_model(name: str, model, words: Sequence[str], answers: Sequence[str]) -> None:
    """Refuse a model that the page does not compute, or that was built for other words or answers."""
    if type(model) is not DocumentReader or type(model.of_words.pool) is not ContextAttention:
        raise TypeError(f"models[{name!r}] must be a DocumentReader with attention, but is a {type(model).__name__}")
    for argument, given, count in (
        ("words", words, model.embed.num_embeddings),
        ("answers", answers, model.answer.out_features),
    ):
        if len(given) != count:
            raise ValueError(
                f"{argument} must have one entry for each of the {count} of models[{name!r}], but has {len(given)}"
            )
