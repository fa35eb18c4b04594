"""Say the most probable word at each step, with no work that this does not need.

:func:`most_probable` needs no probabilities, only the largest logit, and lets sentences leave the batch when they have
ended. :class:`Sooner` is the step of :class:`~attention_src.bahdanau.Bahdanau` in fewer and larger products.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..bahdanau import Bahdanau
from ..data.vocabulary import BEGIN, END
from ..decoding import Decoded, pick
from ..recurrent import Memory, Step
from .losses import gru

CROWDED = 0.9  # the share of a batch that must still be speaking; below it, the others are taken out


@torch.no_grad()
def most_probable(step: Callable, state: Any, memory: Any, limits: Tensor) -> list[Decoded]:
    """Say the most probable word at each step, as :func:`~attention_src.decoding.greedy` does, which also keeps p.

    :param limits: the most words that each sentence may have
    """
    batch, most = len(limits), int(limits.max())
    rows, token = torch.arange(batch, device=limits.device), torch.full_like(limits, BEGIN)
    speaking = torch.ones_like(limits, dtype=torch.bool)
    said, looked = torch.full((batch, most), END, device=limits.device), None
    for place in range(most):
        found = step(token, state, memory)
        token, state = largest(found.logits), found.state
        said[rows, place] = token
        if found.weights is not None:
            if looked is None:
                looked = found.weights.new_zeros(batch, most, found.weights.shape[1])
            looked[rows, place] = found.weights
        speaking = speaking & (token != END) & (limits[rows] > place + 1)
        left = speaking.nonzero()[:, 0]
        if not len(left):
            break
        if len(left) < CROWDED * len(rows):
            token, state, memory, rows, speaking = pick((token, state, memory, rows, speaking), left)
    ends = torch.minimum((said == END).int().cumsum(dim=1).eq(0).sum(dim=1), limits).tolist()
    looks = [None] * batch if looked is None else looked.cpu()
    parts = zip(said.tolist(), ends, looks, strict=True)
    return [Decoded(one[:end], float("nan"), None if look is None else look[:end]) for one, end, look in parts]


def largest(logits: Tensor) -> Tensor:
    """The place of the largest number in each row. NumPy finds it many times as fast as PyTorch on a processor.

    >>> largest(torch.tensor([[1.0, 3.0, 3.0], [2.0, 1.0, 0.0]]))
    tensor([1, 0])
    """
    return torch.from_numpy(logits.numpy().argmax(axis=1)) if logits.device.type == "cpu" else logits.argmax(dim=1)


class Ready(NamedTuple):
    """A state, and what the next step needs of it."""

    state: Tensor  # s_{i-1}
    query: Tensor  # W s_{i-1}, with which the keys are compared
    kept: Tensor  # what the state adds to the cell's three gates


class Sooner:
    """A trained Bahdanau that takes a step in three products of matrices, and the look at the source.

    What one vector is multiplied by stands side by side, biases in the last row: word and context give the gates and
    the pairs before maxout; the new state gives its share of both, and the query of the next step. The two numbers of
    each pair are put into two halves, so that the larger ones are found without walking over pairs.
    """

    @torch.no_grad()
    def __init__(self, model: Bahdanau):
        self.model = model
        cell, query, readout = model.cell, model.score.of_query.weight, model.readout
        sizes = [model.embed.embedding_dim, cell.input_size - model.embed.embedding_dim]  # of a word, of a context
        halves = [torch.cat([one[0::2], one[1::2]]) for one in (model.pairs.weight, model.pairs.bias)]
        of_state, of_context, of_word = halves[0].split([cell.hidden_size, *sizes[::-1]], dim=1)
        of_seen = torch.cat([cell.weight_ih, torch.cat([of_word, of_context], dim=1)])
        self.embed, self.compare = model.embed.weight, model.score.out.weight[0]
        self.of_seen = under(of_seen, torch.cat([cell.bias_ih, halves[1]]))
        of_state = torch.cat([query, cell.weight_hh, of_state])
        self.parts = [len(query), len(cell.weight_hh), len(halves[0])]
        self.of_state = under(of_state, torch.cat([0 * query[:, 0], cell.bias_hh, 0 * halves[1]]))
        self.readout = under(readout.weight, readout.bias)

    def encode(self, source: Tensor, mask: Tensor) -> tuple[Memory, Ready]:
        """Read the source; give the memory and the first state, as :meth:`step` takes them."""
        memory, state = self.model.encode(source, mask)
        query, kept, _ = through(self.of_state, state).split(self.parts, dim=1)
        memory = memory._replace(key=memory.key.contiguous(), value=memory.value.contiguous())  # else copied each step
        return memory, Ready(state, query, kept)

    def step(self, token: Tensor, ready: Ready, memory: Memory) -> Step:
        """Give what ``Bahdanau.step`` gives, up to rounding."""
        compared = (ready.query[:, None] + memory.key).tanh_() @ self.compare
        weights = compared.masked_fill_(~memory.mask, float("-inf")).softmax(dim=1)
        context = torch.bmm(weights[:, None], memory.value)[:, 0]
        seen = through(self.of_seen, self.embed.index_select(0, token), context)
        gates, pairs = seen.split(self.parts[1:], dim=1)
        state = gru(gates, ready.kept, ready.state)
        query, kept, more = through(self.of_state, state).split(self.parts, dim=1)
        logits = through(self.readout, torch.maximum(*(pairs + more).chunk(2, dim=1)))
        return Step(logits, Ready(state, query, kept), weights)


def under(weight: Tensor, bias: Tensor) -> Tensor:
    """A layer as a table by which a vector is multiplied from the left: the bias is its last row."""
    return torch.cat([weight.T, bias[None]])


def through(table: Tensor, *vectors: Tensor) -> Tensor:
    """Multiply vectors side by side, and a one for the bias, by a table."""
    return torch.cat([*vectors, vectors[0].new_ones(len(vectors[0]), 1)], dim=1) @ table
