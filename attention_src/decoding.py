"""From a decoder's ``step`` to a sentence: greedy choice and beam search. Knows no model."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Decoded(NamedTuple):
    """One sentence that a decoder said."""

    tokens: list[int]  # y_1 … y_T, without the end mark
    log_probability: float  # log p(y_1 … y_T, end), as far as it was said
    weights: Float[Tensor, "steps source"] | None  # one row per step, the end mark's too; None without attention


class Marks(NamedTuple):
    """The numbers of the marks at which sentences begin and end."""

    begin: int
    end: int


def pick(tree: Any, rows: Tensor) -> Any:
    """Select rows of every tensor in a nest of tuples: how states and memories follow their hypotheses."""
    if tree is None:
        return None
    if isinstance(tree, Tensor):
        return tree[rows]
    parts = [pick(part, rows) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def first_tensor(tree: Any) -> Tensor:
    """The first tensor in a nest of tuples: it has a row for each sentence, and lies where the others do."""
    return tree if isinstance(tree, Tensor) else first_tensor(tree[0])


@torch.no_grad()
def greedy(step: Callable, state: Any, memory: Any, marks: Marks, longest: int) -> list[Decoded]:
    """Say the most probable word at each step, until the end mark or ``longest`` words."""
    return beam(step, state, memory, marks, longest, width=1)


@torch.no_grad()
def beam(
    step: Callable, state: Any, memory: Any, marks: Marks, longest: int | Tensor, width: int, length_power: float = 1.0
) -> list[Decoded]:
    """Keep the ``width`` best beginnings of each sentence; give the best whole one.

    Finished sentences are compared by log-probability divided by length ** ``length_power``, the end mark counted:
    0 prefers short sentences, 1 compares the average per word. A sentence that reaches ``longest`` words is cut there.

    :param step: ``step(token, state, memory)`` gives an object with ``logits``, ``state`` and ``weights``
    :param longest: the most words of every sentence, or a tensor with those of each
    """
    batch, device = len(first_tensor(state)), first_tensor(state).device
    limits = torch.as_tensor(longest, device=device).expand(batch)
    if limits.min() < 1:
        raise ValueError(f"longest must be at least 1, but is {int(limits.min())}")
    if width < 1:
        raise ValueError(f"width must be at least 1, but is {width}")
    rows = torch.arange(batch, device=device).repeat_interleave(width)
    state, memory = pick(state, rows), pick(memory, rows)
    token = torch.full((batch * width,), marks.begin, device=device)
    # All hypotheses of a sentence begin alike, so only the first may have children at the first step.
    total = torch.tensor([0.0] + [float("-inf")] * (width - 1), device=device).repeat(batch)
    done = torch.zeros(batch * width, dtype=torch.bool, device=device)
    length = torch.zeros(batch * width, device=device)
    trail: list[tuple[Tensor, Tensor, Tensor | None]] = []  # of every step: parent, token, the parents' weights
    for _ in range(int(limits.max())):
        said = step(token, state, memory)
        parent, token, total = _extend(said.logits, total, done, width, marks.end)
        trail.append((parent, token, said.weights))
        state = pick(said.state, parent)  # all hypotheses of a sentence share its memory
        length = length[parent] + ~done[parent]
        done = done[parent] | (token == marks.end) | (length >= limits[rows])
        if done.all():
            break
    score = (total / length**length_power).view(batch, width)
    best = score.argmax(dim=1) + torch.arange(batch, device=device) * width
    tokens, looks = _trace(trail, best)
    looks = [None] * batch if looks is None else looks
    found = zip(tokens.tolist(), total[best].tolist(), looks, limits.tolist(), strict=True)
    return [_until_end(*one, marks.end) for one in found]


def _extend(logits: Tensor, total: Tensor, done: Tensor, width: int, end: int) -> tuple[Tensor, Tensor, Tensor]:
    """Give the parents, last words and log-probabilities of the ``width`` best continuations of each sentence."""
    words = logits.shape[-1]
    gain = logits.log_softmax(dim=-1)
    if not bool((torch.isfinite(gain).all(dim=1) | done).all()):
        raise FloatingPointError("logits of step are not finite: the model has diverged, or its input held NaN")
    frozen = torch.full_like(gain, float("-inf"))
    frozen[:, end] = 0.0  # a finished sentence has one continuation, itself
    candidates = (total.to(gain)[:, None] + torch.where(done[:, None], frozen, gain)).view(-1, width * words)
    total, place = candidates.topk(width, dim=1)
    parent = place // words + torch.arange(len(place), device=place.device)[:, None] * width
    return parent.flatten(), (place % words).flatten(), total.flatten()


def _trace(trail: list[tuple[Tensor, Tensor, Tensor | None]], rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """Walk back from the last words of ``rows`` to their first: words (rows, steps), weights (rows, steps, source)."""
    tokens: list[Tensor] = []
    weights: list[Tensor | None] = []
    for parents, words, looks in reversed(trail):
        tokens.append(words[rows])
        rows = parents[rows]
        weights.append(None if looks is None else looks[rows])
    looked = None if weights[0] is None else torch.stack(weights[::-1], dim=1)
    return torch.stack(tokens[::-1], dim=1), looked


def _until_end(tokens: list[int], total: float, weights: Tensor | None, limit: int, end: int) -> Decoded:
    """One sentence without its end mark, and with the weights of the steps up to the one that said the mark."""
    said = min(tokens.index(end) + 1 if end in tokens else len(tokens), limit)
    words = [token for token in tokens[:said] if token != end]
    return Decoded(words, total, None if weights is None else weights[:said])
