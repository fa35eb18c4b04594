"""Who gives what to whom, in English and in German, with names that no vocabulary holds.

In German the sentence is turned round, so the two names change places; article and ending of the adjective depend on
the noun. A name is the same in both languages. Half of the names that are drawn for training are in the vocabulary;
the others are made up of syllables, so that nearly every one is new.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from .vocabulary import Vocabulary

NAMES = ("Ana", "Ben", "Cem", "Dua", "Eva", "Fay", "Gus", "Hal")
NOUNS = {
    "den": {"apple": "Apfel", "ball": "Ball", "hat": "Hut", "letter": "Brief"},
    "die": {"pear": "Birne", "lamp": "Lampe", "cup": "Tasse", "flower": "Blume"},
    "das": {"book": "Buch", "boat": "Boot", "picture": "Bild", "bread": "Brot"},
}
ADJECTIVES = {"red": "rot", "old": "alt", "small": "klein", "green": "grün"}
ENDINGS = {"den": "en", "die": "e", "das": "e"}
SYLLABLES = [first + second for first in "bdfgklmnprstvwz" for second in "aeiou"]


class Handover(NamedTuple):
    """An English sentence and its German translation, word by word."""

    source: tuple[str, ...]
    target: tuple[str, ...]


class Numbered(NamedTuple):
    """A pair in numbers. Words that are not in the vocabulary have the numbers after its last, in order of coming."""

    source: list[int]
    target: list[int]
    new: list[str]  # the words of the source that are not in the vocabulary


def vocabulary() -> Vocabulary:
    """All words of both languages and the known names.

    >>> len(vocabulary()), "Ana" in vocabulary(), "Tesomi" in vocabulary()
    (58, True, False)
    """
    articles = [(article, adjective + ENDINGS[article]) for article in NOUNS for adjective in ADJECTIVES.values()]
    nouns = [pair for some in NOUNS.values() for pair in some.items()]
    small = ("gives", "the", "to", "and", "bekommt", "von", "und")
    return Vocabulary.of([NAMES, ADJECTIVES, small, *articles, *nouns])


def handovers(count: int, seed: int | str, new: float = 0.5, clauses: Sequence[int] = (1, 2)) -> list[Handover]:
    """Draw pairs; the same seed gives the same ones.

    :param new: the probability that a name is made up
    :param clauses: how many handovers a sentence may join

    >>> one = handovers(1, seed=0, clauses=[1])[0]
    >>> " ".join(one.source), " ".join(one.target)
    ('Dua gives the old letter to Eva', 'Eva bekommt den alten Brief von Dua')
    """
    if not 0 <= new <= 1:
        raise ValueError(f"new must be a probability, from 0 to 1, but is {new}")
    if not clauses or min(clauses) < 1:
        raise ValueError(f"clauses must hold numbers of at least 1, but is {clauses!r}")
    chance = random.Random(f"handovers {seed}")
    return [_draw(chance, new, chance.choice(list(clauses))) for _ in range(count)]


def numbered(pair: Handover, words: Vocabulary) -> Numbered:
    """Give the pair in numbers.

    >>> found = numbered(Handover(("Tesomi", "gives", "Tesomi"), ("Tesomi",)), Vocabulary(["gives"]))
    >>> found  # the vocabulary has four marks and one word
    Numbered(source=[5, 4, 5], target=[5], new=['Tesomi'])
    """
    new: list[str] = []
    for word in pair.source:
        if word not in words and word not in new:
            new.append(word)

    def number(word: str) -> int:
        return len(words) + new.index(word) if word in new else words.encode([word])[0]

    return Numbered([number(word) for word in pair.source], [number(word) for word in pair.target], new)


def _draw(chance: random.Random, new: float, clauses: int) -> Handover:
    source: list[str] = []
    target: list[str] = []
    people = _people(chance, new, 2 * clauses)
    for clause in range(clauses):
        giver, taker = chance.sample(people, 2)
        article = chance.choice(list(NOUNS))
        noun, adjective = chance.choice(list(NOUNS[article])), chance.choice(list(ADJECTIVES))
        source += ["and"] * (clause > 0) + [giver, "gives", "the", adjective, noun, "to", taker]
        german = [article, ADJECTIVES[adjective] + ENDINGS[article], NOUNS[article][noun]]
        target += ["und"] * (clause > 0) + [taker, "bekommt", *german, "von", giver]
    return Handover(tuple(source), tuple(target))


def _people(chance: random.Random, new: float, count: int) -> list[str]:
    """Different people, some of whom may take part in several clauses."""
    people: list[str] = []
    while len(people) < count:
        made_up = "".join(chance.choices(SYLLABLES, k=3)).capitalize()
        name = made_up if chance.random() < new else chance.choice(NAMES)
        if name not in people:
            people.append(name)
    return people
