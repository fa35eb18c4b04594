"""Translate and align with what a run has learned."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..alignment import Links, hardest
from ..bahdanau import Bahdanau
from ..data.batches import pad
from ..data.vocabulary import BEGIN, END, MARKS, UNKNOWN
from ..decoding import Marks, beam
from ..recurrent import EncoderDecoder, follow
from ..transformer import Transformer
from .corpus import numbers_of
from .errors import BadInputError
from .runs import Run, learned
from .saying import Sooner, most_probable

TOKENS = 4000  # of a batch of translation, padding counted, every hypothesis of a beam too


class Spoken(NamedTuple):
    """One sentence and what was said for it, or the translation that was given."""

    text: str  # the translation
    source: list[str]  # tokens
    target: list[str]  # tokens
    weights: Tensor | None  # a row for each token of the target, a column for each of the source
    links: Links  # between words: (place in the source line, place in the translation)


EMPTY = Spoken("", [], [], None, set())


class Speaker:
    """A run's best model, ready to be used."""

    def __init__(self, run: Run):
        self.run = run
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = learned(run).to(self.device)
        self.says = Sooner(self.model) if isinstance(self.model, Bahdanau) else self.model
        self.numbers = [numbers_of(vocabulary) for vocabulary in run.vocabularies]

    def cut(self, side: int, line: str) -> list[str]:
        """The tokens of a line."""
        return self.run.cutters[side].cut(line)

    def encode(self, side: int, tokens: Sequence[str]) -> list[int]:
        """The numbers of tokens."""
        return [self.numbers[side].get(token, UNKNOWN) for token in tokens]

    def limit(self, words: int) -> int:
        """How long the translation of a sentence of so many tokens may become."""
        return 2 * words + 10

    def looks_back(self) -> None:
        """Refuse a model without attention where weights are asked for."""
        if self.run.settings.model == "bottleneck":
            raise BadInputError(f"{self.run.folder} holds a bottleneck, which has no attention and thus no alignments")

    @torch.inference_mode()
    def translate(self, lines: Sequence[str], width: int, too_long: Callable[[int], None]) -> list[Spoken]:
        """Translate lines in the order in which they came.

        :param width: of the beam; 1 says the most probable word at each step
        :param too_long: told the place of each line of which only the beginning is translated
        """
        tokens, most = [self.cut(0, line) for line in lines], self.run.settings.longest
        for place, one in enumerate(tokens):
            if len(one) > most:
                too_long(place)
        tokens = [one[:most] for one in tokens]
        said = [EMPTY] * len(lines)
        for places in batches([len(one) for one in tokens], TOKENS // width):
            rows = [tokens[place] for place in places]
            source, mask = pad([self.encode(0, one) for one in rows])
            memory, state = self.says.encode(source.to(self.device), mask.to(self.device))
            limits = torch.tensor([self.limit(len(one)) for one in rows], device=self.device)
            if width == 1:
                found = most_probable(self.says.step, state, memory, limits)
            else:
                found = beam(self.says.step, state, memory, Marks(BEGIN, END), limits, width)
            for place, row, one in zip(places, rows, found, strict=True):
                said[place] = self.spoken(row, one.tokens, one.weights)
        return said

    def spoken(self, source: list[str], numbers: list[int], weights: Tensor | None) -> Spoken:
        """Make a line of what the decoder said; an unknown word is the source word that most was looked at."""
        if weights is not None:
            weights = weights[: len(numbers), : len(source)].cpu()
        vocabulary, target, kept = self.run.vocabularies[1], [], []
        looked = None if weights is None else weights.argmax(dim=1).tolist()
        for place, number in enumerate(numbers):
            if number == UNKNOWN and looked:
                target.append(source[looked[place]])
            elif number >= len(MARKS) or number == UNKNOWN:
                target.append(vocabulary.words[number])
            else:
                continue  # a mark inside a sentence says nothing
            kept.append(place)
        text = self.run.cutters[1].join(target)
        weights = None if weights is None else weights[kept]
        return Spoken(text, source, target, weights, self.links(weights, source, target, len(text.split())))

    @torch.inference_mode()
    def align(self, pairs: Sequence[tuple[str, str]], too_long: Callable[[int], None]) -> list[Spoken]:
        """Read given translations; the weights tell which source words each of their words looks at.

        Nothing is said for a pair with an empty side, nor for one that is too long.
        """
        self.looks_back()
        tokens = [[self.cut(side, line) for side, line in enumerate(pair)] for pair in pairs]
        said, lengths = [EMPTY] * len(pairs), []
        for place, (source, target) in enumerate(tokens):
            fits = max(len(source), len(target)) <= self.run.settings.longest
            lengths.append(max(len(source), len(target)) if source and target and fits else 0)
            if not fits:
                too_long(place)
        for places in batches(lengths, TOKENS):
            source, mask = pad([self.encode(0, tokens[place][0]) for place in places])
            given, _ = pad([[BEGIN, *self.encode(1, tokens[place][1])] for place in places])
            weights = looks(self.model, *(part.to(self.device) for part in (source, mask, given))).cpu()
            for place, table in zip(places, weights, strict=True):
                source, target = tokens[place]
                table = table[: len(target), : len(source)]
                links = self.links(table, source, target, len(pairs[place][1].split()))
                said[place] = Spoken(pairs[place][1], source, target, table, links)
        return said

    def links(self, weights: Tensor | None, source: list[str], target: list[str], words: int) -> Links:
        """Link each token with the one it looks at most, and say which words they belong to."""
        if weights is None or not target:
            return set()
        of_source, of_target = self.run.cutters[0].words(source), self.run.cutters[1].words(target)
        links = {(of_source[i], of_target[j]) for i, j in hardest(weights)}
        return {(i, j) for i, j in links if j < words}


def looks(model: EncoderDecoder, source: Tensor, mask: Tensor, given: Tensor) -> Tensor:
    """The weights with which each given word's successor is said: (batch, target, source)."""
    if isinstance(model, Transformer):
        return model.looks(source, mask, given).cross[-1].mean(dim=1)
    memory, state = model.encode(source, mask)
    return follow(model.step, given, state, memory)[1]


def batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Cut places into batches of about equal lengths, the longest first; places of length 0 are left out."""
    order = [place for place in np.argsort(-np.array(lengths, int), kind="stable").tolist() if lengths[place]]
    while order:
        size = max(1, tokens // lengths[order[0]])
        yield order[:size]
        order = order[size:]


def pharaoh(links: Links) -> str:
    """Links as text, source place first.

    >>> pharaoh({(1, 2), (0, 0)})
    '0-0 1-2'
    """
    return " ".join(f"{i}-{j}" for i, j in sorted(links))
