"""Checks of shapes that cost little, because what was checked once is not checked again; and of sizes."""

import functools
from collections.abc import Callable
from typing import Any

from beartype import beartype
from jaxtyping import jaxtyped
from torch import Tensor

MOST = 10_000  # how many different calls of one function are remembered


def checked(function: Callable) -> Callable:
    """Check the types and shapes in the signature of ``function``, at the first call with arguments that look alike.

    Whether a signature fits depends on the types and shapes of the arguments alone, never on their numbers. So a call
    that looks like an earlier one that passed is not checked again, and in a loop the check costs almost nothing.
    """
    careful = jaxtyped(typechecker=beartype)(function)
    passed: set[tuple] = set()

    @functools.wraps(function)
    def quick(*arguments, **named):
        call = look((arguments, named))
        if call in passed:
            return function(*arguments, **named)
        result = careful(*arguments, **named)
        if len(passed) >= MOST:
            passed.clear()
        passed.add(call)
        return result

    return quick


def look(thing: Any) -> Any:
    """What a shape check can see of an argument.

    >>> import torch
    >>> look((torch.zeros(2, 3), None))
    (<class 'tuple'>, (torch.float32, torch.Size([2, 3])), <class 'NoneType'>)
    """
    if isinstance(thing, Tensor):
        return thing.dtype, thing.shape
    if isinstance(thing, tuple):
        return type(thing), *map(look, thing)
    if isinstance(thing, dict):
        return tuple((name, look(part)) for name, part in thing.items())
    return type(thing)


def at_least_one(**sizes: int) -> None:
    """Refuse a size below 1 by its name."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, but is {size}")


def must_be_wide(name: str, vectors: Tensor, width: int, cure: str = "build it with another width, or map it first"):
    """Refuse vectors of another width than a layer was built for, by their name, and say how to cure it."""
    if vectors.shape[-1] != width:
        raise ValueError(f"{name} must be {width} wide for this layer, but is {vectors.shape[-1]} wide; {cure}")
