"""Rows of symbols with lights, one segment of which counts: lights are more often on inside it, but err everywhere."""

import random
from collections import Counter
from typing import NamedTuple

SYMBOLS = "abcdefgh"
LENGTH = 24
SHORTEST, LONGEST = 4, 6  # of the segment
ON = (0.2, 0.8)  # how often a light is on outside the segment, and inside


class Row(NamedTuple):
    """Symbols with their lights, and the segment that counts: from ``begin`` to before ``end``."""

    symbols: str
    lights: tuple[bool, ...]
    begin: int
    end: int

    @property
    def answer(self) -> str:
        """The symbol that comes most often in the segment.

        >>> Row("abbacc", (False, True, True, True, False, False), 1, 4).answer
        'b'
        """
        return most_frequent(self.symbols[self.begin : self.end])


def most_frequent(symbols: str) -> str:
    """The symbol that comes most often, or nothing if several tie.

    >>> most_frequent("abb"), most_frequent("ab")
    ('b', '')
    """
    counts = Counter(symbols).most_common(2)
    return counts[0][0] if len(counts) == 1 or (counts and counts[0][1] > counts[1][1]) else ""


def rows(count: int, seed: int | str) -> list[Row]:
    """Draw rows; the same seed gives the same ones. In each segment one symbol comes more often than every other.

    >>> one = rows(1, seed=0)[0]
    >>> one.symbols, one.symbols[one.begin : one.end], one.answer
    ('eebgggfhcfffeehefafccgce', 'cfff', 'f')
    """
    chance = random.Random(f"segments {seed}")
    return [_draw(chance) for _ in range(count)]


def _draw(chance: random.Random) -> Row:
    size = chance.randint(SHORTEST, LONGEST)
    begin = chance.randint(0, LENGTH - size)
    inside = [begin <= place < begin + size for place in range(LENGTH)]
    lights = tuple(chance.random() < ON[here] for here in inside)
    segment = ""
    while not most_frequent(segment):
        segment = "".join(chance.choices(SYMBOLS, k=size))
    outside = "".join(chance.choices(SYMBOLS, k=LENGTH - size))
    return Row(outside[:begin] + segment + outside[begin:], lights, begin, begin + size)
