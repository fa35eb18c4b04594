"""Lists of who has what, with several questions at once; and lists of who asks whom, to be followed for some steps."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

NAMES = ("Ana", "Ben", "Cem", "Dua", "Eva", "Fay", "Gus", "Hal")
THINGS = ("tea", "milk", "rice", "corn", "salt", "soup", "figs", "nuts")


class Lists(NamedTuple):
    """Lists side by side. Each holds different people in any order, and each person has one thing."""

    names: Int[Tensor, "batch k"]  # who: rows of NAMES
    things: Int[Tensor, "batch k"]  # what: rows of THINGS, drawn alone, so that two people may have the same
    asked: Int[Tensor, "batch questions"]  # whom the questions are about: different people of the list
    places: Int[Tensor, "batch questions"]  # where in the list they stand
    answers: Int[Tensor, "batch questions"]  # what they have


class Chains(NamedTuple):
    """Lists in which each person asks another one of the list, and one question for each list."""

    names: Int[Tensor, "batch k"]
    others: Int[Tensor, "batch k"]  # whom each person asks
    asked: Int[Tensor, " batch"]  # with whom the chain begins
    answers: Int[Tensor, " batch"]  # who stands at its end


def lists(count: int, random: torch.Generator, people: int = 6, questions: int = 2, things: int = 8) -> Lists:
    """Draw lists of ``people`` people and as many ``questions`` for each; things are the first ``things``.

    >>> one = lists(1, torch.Generator().manual_seed(0), people=3)
    >>> " ".join(f"{NAMES[n]}:{THINGS[t]}" for n, t in zip(one.names[0], one.things[0]))
    'Cem:milk Dua:corn Eva:soup'
    >>> [NAMES[n] for n in one.asked[0]], [THINGS[t] for t in one.answers[0]]
    (['Dua', 'Eva'], ['corn', 'soup'])
    """
    _within("people", people, 1, len(NAMES))
    _within("questions", questions, 1, people)
    _within("things", things, 1, len(THINGS))
    names = _different(count, len(NAMES), people, random)
    held = torch.randint(things, (count, people), generator=random)
    places = _different(count, people, questions, random)
    return Lists(names, held, names.gather(1, places), places, held.gather(1, places))


def chains(count: int, random: torch.Generator, people: int = 6, steps: int = 2) -> Chains:
    """Draw lists in which everyone asks another person; the answer is who is reached after ``steps`` steps.

    >>> one = chains(1, torch.Generator().manual_seed(0), people=3)
    >>> " ".join(f"{NAMES[n]}>{NAMES[o]}" for n, o in zip(one.names[0], one.others[0]))
    'Cem>Eva Dua>Cem Eva>Dua'
    >>> NAMES[one.asked[0]], NAMES[one.answers[0]]
    ('Eva', 'Cem')
    """
    _within("people", people, 2, len(NAMES))
    _within("steps", steps, 0, 100)
    names = _different(count, len(NAMES), people, random)
    further = torch.randint(1, people, (count, people), generator=random)  # at least one place on: never oneself
    to = (torch.arange(people) + further) % people
    start = torch.randint(people, (count, 1), generator=random)
    end = start
    for _ in range(steps):
        end = to.gather(1, end)
    return Chains(names, names.gather(1, to), names.gather(1, start)[:, 0], names.gather(1, end)[:, 0])


def _different(count: int, of: int, some: int, random: torch.Generator) -> Tensor:
    """Draw ``count`` rows of ``some`` different numbers below ``of``."""
    return torch.rand(count, of, generator=random, dtype=torch.float32).argsort(dim=1)[:, :some]


def _within(name: str, number: int, low: int, high: int) -> None:
    if not low <= number <= high:
        raise ValueError(f"{name} must lie between {low} and {high}, but is {number}")
