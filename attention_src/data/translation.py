"""Sentence pairs with known alignments in three pairs of languages, and corpora of them.

>>> pair = ENGLISH_FRENCH.translate("she loves the big red house")
>>> " ".join(pair.target)
'elle aime la grande maison rouge'
>>> [(pair.source[i], pair.target[j]) for i, j in sorted(pair.links)][3:]
[('big', 'grande'), ('red', 'rouge'), ('house', 'maison')]
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from .chinese_english import CHINESE_ENGLISH
from .english_french import ENGLISH_FRENCH
from .english_japanese import ENGLISH_JAPANESE
from .grammar import Grammar, GrammarError, Pair, SentenceError

__all__ = [
    "BANDS",
    "CHINESE_ENGLISH",
    "ENGLISH_FRENCH",
    "ENGLISH_JAPANESE",
    "GRAMMARS",
    "Corpus",
    "Grammar",
    "GrammarError",
    "Pair",
    "SentenceError",
    "corpus",
    "pairs",
]

GRAMMARS = {grammar.name: grammar for grammar in (ENGLISH_FRENCH, ENGLISH_JAPANESE, CHINESE_ENGLISH)}
BANDS = ((3, 10), (11, 20), (21, 30), (31, 40), (41, 50))  # source lengths of the test sets


def pairs(
    grammar: Grammar,
    count: int,
    seed: int | str,
    shortest: int = 3,
    longest: int = 30,
    without: Collection[tuple[str, ...]] = (),
) -> list[Pair]:
    """Make ``count`` pairs in random order, with distinct sources of ``shortest`` to ``longest`` words.

    There are equally many of each length (to within one), except where a language has few sentences: at most half of
    all sentences of a length are taken, and the other lengths make up for it. No source is in ``without``.

    >>> sorted(len(pair.source) for pair in pairs(ENGLISH_FRENCH, 7, seed=0, shortest=3, longest=5))
    [3, 3, 4, 4, 5, 5, 5]
    """
    if not isinstance(seed, int | str):  # None would draw other pairs every time
        raise TypeError(f"seed must be an int or a str, got {seed!r}")
    rng = random.Random(seed)
    taken = Counter(map(len, without))
    room = {n: max(0, grammar.count(n) // 2 - taken[n]) for n in grammar.lengths(shortest, longest)}
    seen = set(without)
    made: list[Pair] = []
    for length, wanted in _shares(grammar, count, room).items():
        made += _distinct(grammar, rng, length, wanted, seen)
    rng.shuffle(made)
    return made


def _shares(grammar: Grammar, count: int, room: dict[int, int]) -> dict[int, int]:
    """How many pairs of each length to make: ``count`` in all, as evenly as the ``room`` of each length allows."""
    if not 0 <= count <= sum(room.values()):
        lengths = f"{min(room)} to {max(room)} words"
        raise GrammarError(
            f"count must be from 0 to {sum(room.values())}, got {count}: at most half of the sentences of {lengths} "
            f"that {grammar.name} has are taken; ask for fewer pairs or for longer ones"
        )
    shares = {}
    left, lengths = count, sorted(room, key=lambda length: (room[length], length))
    for rank, length in enumerate(lengths):  # the lengths with least room first; the others make up for them
        shares[length] = min(room[length], left // (len(lengths) - rank))
        left -= shares[length]
    return dict(sorted(shares.items()))


def _distinct(grammar: Grammar, rng: random.Random, length: int, wanted: int, seen: set) -> list[Pair]:
    """``wanted`` pairs of one length whose sources are not in ``seen``; adds them to ``seen``."""
    made: list[Pair] = []
    for _ in range(1000 * (wanted + 1)):
        if len(made) == wanted:
            return made
        pair = grammar.spell(grammar.derive(rng, length))
        if pair.source not in seen:
            seen.add(pair.source)
            made.append(pair)
    raise GrammarError(
        f"{grammar.name} has {grammar.count(length)} sentences of {length} words, but most are too rare: {wanted} new "
        f"ones are wanted, {len(made)} were found; ask for fewer pairs or for longer ones"
    )


class Corpus(NamedTuple):
    """Pairs to train on, to choose settings by, and to test with; no source sentence occurs in two of these lists.

    ``bands`` holds more test pairs, by source length: ``bands[31, 40]`` are those of 31 to 40 words.
    """

    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    bands: dict[tuple[int, int], list[Pair]]


def corpus(
    name: str,
    train: int = 20_000,
    validation: int = 1_000,
    test: int = 1_000,
    band: int = 200,
    seed: int = 0,
    shortest: int = 3,
    longest: int = 30,
) -> Corpus:
    """Make a corpus of the language pair ``name`` (a key of ``GRAMMARS``); the same arguments give the same corpus.

    The training, validation and test pairs have ``shortest`` to ``longest`` source words. Each of the ``BANDS`` has
    ``band`` test pairs more, whatever was trained on.

    >>> small = corpus("english_japanese", train=30, validation=7, test=5, band=2)
    >>> len(small.train), len(small.validation), len(small.test), len(small.bands[41, 50])
    (30, 7, 5, 2)
    """
    if name not in GRAMMARS:
        raise GrammarError(f"name must be one of {', '.join(GRAMMARS)}, got {name!r}")
    seen: set[tuple[str, ...]] = set()

    def draw(part: str, count: int, shortest: int, longest: int) -> list[Pair]:
        made = pairs(GRAMMARS[name], count, f"{name}, {part}, {seed}", shortest, longest, without=seen)
        seen.update(pair.source for pair in made)
        return made

    bands = {(low, high): draw(f"{low} to {high}", band, low, high) for low, high in BANDS}
    tested = draw("test", test, shortest, longest)
    chosen_by = draw("validation", validation, shortest, longest)
    return Corpus(draw("train", train, shortest, longest), chosen_by, tested, bands)
