"""Reports of a day, made from rules: each sentence says how something was, and a word marks the one that counts."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from .vocabulary import PAD, Vocabulary

CUES = ("overall", "altogether")  # mark the sentence that counts
TIMES = ("again", "at-night", "at-noon", "early", "first", "later", "suddenly", "today")  # stand in all others
QUALITIES = {
    "warm": ("balmy", "hot", "mild", "warm"),
    "cold": ("chilly", "cold", "frosty", "icy"),
    "loud": ("loud", "noisy", "roaring", "shrill"),
    "calm": ("calm", "peaceful", "quiet", "still"),
}
ANSWERS = tuple(QUALITIES)
THINGS = ("boat", "bus", "food", "hall", "house", "path", "road", "room", "shop", "trip", "visit", "walk")
WHERE = ("by the sea", "in the park", "near the lake", "in the town", "on the hill", "at the station")
DEGREES = ("quite", "rather", "really", "very")
MEANS = {quality: answer for answer, words in QUALITIES.items() for quality in words}

VOCABULARY = Vocabulary(
    sorted({"the", "was", *CUES, *TIMES, *MEANS, *THINGS, *DEGREES, *(word for some in WHERE for word in some.split())})
)


class Document(NamedTuple):
    """Sentences, and which of them decides: the one with a word of ``CUES``."""

    sentences: tuple[tuple[str, ...], ...]
    gold: int

    @property
    def cue(self) -> int:
        """Where in the deciding sentence the word stands that marks it.

        >>> Document((("today", "the", "bus", "was", "hot"), ("the", "bus", "was", "icy", "overall")), 1).cue
        4
        """
        return next(place for place, word in enumerate(self.sentences[self.gold]) if word in CUES)

    @property
    def quality(self) -> int:
        """Where in the deciding sentence the word stands that is the answer.

        >>> Document((("today", "the", "bus", "was", "hot"), ("the", "bus", "was", "icy", "overall")), 1).quality
        3
        """
        return next(place for place, word in enumerate(self.sentences[self.gold]) if word in MEANS)

    @property
    def answer(self) -> str:
        """What the deciding sentence says: one of ``ANSWERS``.

        >>> Document((("today", "the", "bus", "was", "hot"), ("the", "bus", "was", "icy", "overall")), 1).answer
        'cold'
        """
        return MEANS[self.sentences[self.gold][self.quality]]


def documents(count: int, seed: int | str, shortest: int = 6, longest: int = 10) -> list[Document]:
    """Draw documents of ``shortest`` to ``longest`` sentences; the same seed gives the same ones.

    Every sentence has one word for how something was, drawn alone, and one word of ``TIMES`` or ``CUES``; in each
    document one sentence has a cue. So no word alone decides: it takes two words of one sentence.

    >>> one = documents(1, seed=1, shortest=2, longest=2)[0]
    >>> [" ".join(sentence) for sentence in one.sentences]
    ['overall the visit at the station was cold', 'the trip at the station was peaceful at-night']
    >>> one.gold, one.answer
    (0, 'cold')
    """
    if not 1 <= shortest <= longest:
        raise ValueError(f"shortest and longest must be 1 <= shortest <= longest, but are {shortest} and {longest}")
    chance = random.Random(f"documents {seed}")
    return [_draw(chance, chance.randint(shortest, longest)) for _ in range(count)]


def without_cue(document: Document, seed: int | str = 0) -> Document:
    """Put a word of ``TIMES`` in the place of the cue: now nothing decides. ``gold`` stays where the cue was."""
    chance = random.Random(f"{seed} {document.sentences}")
    return _replace(document, document.cue, chance.choice(TIMES))


def with_other_thing(document: Document, seed: int | str = 0) -> Document:
    """Let the deciding sentence speak of another thing; the answer stays."""
    chance = random.Random(f"{seed} {document.sentences}")
    place = next(place for place, word in enumerate(document.sentences[document.gold]) if word in THINGS)
    thing = document.sentences[document.gold][place]
    return _replace(document, place, chance.choice([other for other in THINGS if other != thing]))


def as_numbers(
    texts: Sequence[Sequence[Sequence[str]]], vocabulary: Vocabulary = VOCABULARY
) -> tuple[Int[Tensor, "batch sentences length"], Bool[Tensor, "batch sentences length"]]:
    """Put documents into one tensor, padded in both directions, with a mask that is True where a word stands.

    A document may have no sentences, and a sentence no words.

    >>> words, mask = as_numbers([[["the", "bus", "was", "hot"], ["overall"]], [["overall"]]])
    >>> words.shape
    torch.Size([2, 2, 4])
    >>> mask.sum(dim=2)
    tensor([[4, 1],
            [1, 0]])
    """
    rows = [[vocabulary.encode(sentence) for sentence in text] for text in texts]
    most = max(map(len, rows), default=0)
    longest = max((len(row) for text in rows for row in text), default=0)
    words = torch.full((len(rows), most, longest), PAD)
    mask = torch.zeros(len(rows), most, longest, dtype=torch.bool)
    for number, text in enumerate(rows):
        for place, row in enumerate(text):
            words[number, place, : len(row)] = torch.tensor(row, dtype=torch.long)
            mask[number, place, : len(row)] = True
    return words, mask


def _draw(chance: random.Random, size: int) -> Document:
    gold = chance.randrange(size)
    return Document(tuple(_sentence(chance, CUES if place == gold else TIMES) for place in range(size)), gold)


def _sentence(chance: random.Random, adverbs: Sequence[str]) -> tuple[str, ...]:
    """Such as "the walk in the park was rather cold today": the adverb stands first or last."""
    subject = ["the", chance.choice(THINGS), *(chance.choice(WHERE).split() if chance.random() < 0.5 else [])]
    degree = [chance.choice(DEGREES)] if chance.random() < 0.5 else []
    quality = chance.choice(QUALITIES[chance.choice(ANSWERS)])
    body = [*subject, "was", *degree, quality]
    adverb = chance.choice(adverbs)
    return (adverb, *body) if chance.random() < 0.5 else (*body, adverb)


def _replace(document: Document, place: int, word: str) -> Document:
    """Put another word into the deciding sentence."""
    sentences = [list(sentence) for sentence in document.sentences]
    sentences[document.gold][place] = word
    return Document(tuple(map(tuple, sentences)), document.gold)
