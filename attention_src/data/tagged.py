"""Tagged sentences from a known chain: many words have two possible tags, and the tag before tells which."""

import random
from typing import NamedTuple

TAGS = ("article", "adjective", "noun", "verb")
START = (0.6, 0.1, 0.3, 0.0)
NEXT = {  # the probabilities of the tag after each tag, in the order of TAGS; zeros never come
    "article": (0.0, 0.4, 0.6, 0.0),
    "adjective": (0.0, 0.2, 0.8, 0.0),
    "noun": (0.0, 0.0, 0.2, 0.8),
    "verb": (0.6, 0.2, 0.2, 0.0),
}
WORDS = {  # the words of each tag, all equally likely; most of them also belong to another tag
    "article": ("the", "a", "that", "one"),
    "adjective": ("light", "cold", "wild", "clean", "open", "one"),
    "noun": ("light", "cold", "run", "walk", "play", "that"),
    "verb": ("run", "walk", "play", "clean", "open", "light"),
}
VOCABULARY = tuple(sorted({word for words in WORDS.values() for word in words}))


class Tagged(NamedTuple):
    """A sentence and the tag of each word."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


def tagged(count: int, seed: int | str, shortest: int = 5, longest: int = 15) -> list[Tagged]:
    """Draw tagged sentences; the same seed gives the same ones.

    >>> one = tagged(1, seed=1, shortest=6, longest=6)[0]
    >>> " ".join(one.words)
    'the light cold clean one that'
    >>> " ".join(one.tags)
    'article noun noun verb article noun'
    """
    if not 1 <= shortest <= longest:
        raise ValueError(f"shortest and longest must be 1 <= shortest <= longest, but are {shortest}, {longest}")
    chance = random.Random(f"tagged {seed}")
    return [_draw(chance, chance.randint(shortest, longest)) for _ in range(count)]


def _draw(chance: random.Random, length: int) -> Tagged:
    tags = chance.choices(TAGS, START)
    while len(tags) < length:
        tags += chance.choices(TAGS, NEXT[tags[-1]])
    return Tagged(tuple(chance.choice(WORDS[tag]) for tag in tags), tuple(tags))
