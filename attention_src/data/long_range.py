"""Two tasks in which what is needed lies far away, or must be found by what it says.

Both are drawn at random, a batch at a time, as numbers of words; the answer is given at the last place.
"""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

LETTERS = 8  # small letters, and as many capitals
WORDS = [*"abcdefgh", *"ABCDEFGH", "?"]  # of the task with a gap
PREFIX = (2, 4)  # small letters before the first capital
AROUND = 5  # small letters before the first and after the second capital, together
KEYS = VALUES = 8
PAIRS = [f"{key}{value}" for key in "ABCDEFGH" for value in range(1, 9)] + [f"{key}?" for key in "ABCDEFGH"]


class Task(NamedTuple):
    """A batch of sentences, and what the answer of each is."""

    words: Int[Tensor, "batch length"]
    answer: Int[Tensor, " batch"]


def which_came_first(count: int, gap: int, random: torch.Generator) -> Task:
    """Two capitals with ``gap`` small letters in between; the answer is the first of the two.

    Small letters stand before and after them too, a different number in each sentence. All sentences are equally long.

    >>> task = which_came_first(1, gap=3, random=torch.Generator().manual_seed(0))
    >>> "".join(WORDS[word] for word in task.words[0]), "ABCDEFGH"[task.answer[0]]
    ('ehCaddEhbd?', 'C')
    """
    if gap < 0:
        raise ValueError(f"gap must be 0 or more, but is {gap}")
    words = torch.randint(LETTERS, (count, gap + AROUND + 3), generator=random)
    words[:, -1] = len(WORDS) - 1
    first = torch.randint(LETTERS, (count,), generator=random)
    second = (first + torch.randint(1, LETTERS, (count,), generator=random)) % LETTERS  # another one
    place = torch.randint(PREFIX[0], PREFIX[1] + 1, (count,), generator=random)
    rows = torch.arange(count)
    words[rows, place] = LETTERS + first
    words[rows, place + gap + 1] = LETTERS + second
    return Task(words, first)


def recall(count: int, pairs: int, random: torch.Generator) -> Task:
    """Some pairs of a letter and a digit, each pair one word; then one of the letters. The answer is its digit.

    >>> task = recall(1, pairs=3, random=torch.Generator().manual_seed(0))
    >>> " ".join(PAIRS[word] for word in task.words[0]), 1 + int(task.answer[0])
    ('C2 D4 E6 E?', 6)
    """
    if not 1 <= pairs <= KEYS:
        raise ValueError(f"pairs must lie between 1 and {KEYS}, the number of letters, but is {pairs}")
    keys = torch.rand(count, KEYS, generator=random).argsort(dim=1)[:, :pairs]
    values = torch.randint(VALUES, (count, pairs), generator=random)
    asked = torch.randint(pairs, (count, 1), generator=random)
    words = torch.cat([VALUES * keys + values, KEYS * VALUES + keys.gather(1, asked)], dim=1)
    return Task(words, values.gather(1, asked)[:, 0])
