"""Exercises that answer back.

``attention_src/exercises/<stem>.py`` holds, for each exercise in which something is to be written, the solution as a
plain function and a :class:`Checker` of the same properties that the text asks for. A checker tries one property after
the other and says which one broke.

The solution of an exercise in which something is to be measured is a function ``solution(run: Run) -> measures``. It
is listed in ``PARTS``, beside ``SETTINGS``, ``RULES`` (what to expect, written before the run) and ``TOLERANCE``: the
names of ``attention_src.experiments``, with the same meaning. ``python -m attention_src.exercises <stem>`` runs it over
seeds and writes ``book/results/exercises/<stem>.json``, whose stem in a page's roles is ``exercises/<stem>``.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Checker:
    """Try an answer on properties; a property is a function with a one-sentence docstring that asserts about it."""

    def __init__(self, name: str, properties: Sequence[Callable[[Callable], None]]):
        self.name, self.properties = name, properties

    def broken(self, answer: Callable[..., Any]) -> tuple[str, str] | None:
        """Give the first property that does not hold and what was seen, or None."""
        for holds in self.properties:
            try:
                holds(answer)
            except Exception as error:  # a reader's code may raise anything, and that is an answer too
                seen = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
                return holds.__doc__.strip(), seen.strip()
        return None

    def __call__(self, answer: Callable[..., Any]) -> None:
        """Print whether ``answer`` is right, or else the property that broke and what was seen."""
        if not callable(answer):
            raise TypeError(f"answer must be your function {self.name}, without brackets, but is {answer!r}")
        found = self.broken(answer)
        if found is None:
            print(f"{self.name}: right. {len(self.properties)} properties hold.")
        elif found[1].startswith("NotImplementedError"):
            print(f"{self.name}: not written yet.")
        else:
            print(f"{self.name}: not yet. It must hold that {found[0]}\n{found[1]}")


class LargestTensor(TorchDispatchMode):
    """Watch how many numbers the largest tensor holds that is made meanwhile."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.numbers = max(self.numbers, result.untyped_storage().nbytes() // result.element_size())
        return result
