"""Two tasks about where words stand: which of two comes first, and which word stood a few places before."""

import torch
from jaxtyping import Int
from torch import Tensor

from attention_src.data.long_range import Task

LETTERS = "abcdefgh"  # words that say nothing, in the task about order
ORDER_WORDS = [*LETTERS, "A", "B"]
SHIFT_WORDS = list("abcdefghijklmnop")
BACK = 3  # how far the wanted word lies back
NOTHING = -100  # the answer where no word lies so far back


def order(count: int, length: int, random: torch.Generator) -> Task:
    """Sentences with one A and one B; the answer is 1 if A comes first, 0 if B does.

    >>> task = order(1, 8, torch.Generator().manual_seed(0))
    >>> "".join(ORDER_WORDS[word] for word in task.words[0]), int(task.answer[0])
    ('ehfaABdh', 1)
    """
    if length < 2:
        raise ValueError(f"length must be at least 2, one place for A and one for B, but is {length}")
    words = torch.randint(len(LETTERS), (count, length), generator=random)
    first, second = torch.rand(count, length, generator=random).argsort(dim=1)[:, :2].unbind(dim=1)
    rows = torch.arange(count)
    words[rows, first], words[rows, second] = len(LETTERS), len(LETTERS) + 1
    return Task(words, (first < second).long())


def with_reversals(task: Task) -> Task:
    """Each sentence, then each of them from its last word to its first, where the other letter comes first."""
    return Task(torch.cat([task.words, task.words.flip(1)]), torch.cat([task.answer, 1 - task.answer]))


def shift(count: int, length: int, random: torch.Generator) -> tuple[Int[Tensor, "batch length"], Tensor]:
    """Sentences of letters, and for each place the letter three places before; ``NOTHING`` in the first three places.

    >>> words, wanted = shift(1, 6, torch.Generator().manual_seed(0))
    >>> words[0].tolist()[:3] == wanted[0].tolist()[3:]
    True
    """
    if length <= BACK:
        raise ValueError(f"length must be more than {BACK}, how far back the answers lie, but is {length}")
    words = torch.randint(len(SHIFT_WORDS), (count, length), generator=random)
    nothing = torch.full((count, BACK), NOTHING)
    return words, torch.cat([nothing, words[:, :-BACK]], dim=1)
