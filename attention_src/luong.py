"""Chapter 06: the translators of Luong, Pham and Manning (2015), which step first and look afterwards.

A :class:`Luong` is put together from a score of :mod:`attention_src.scores` and from a focus, which says among which
source words the weights are shared out: :class:`Everywhere` (global), :class:`AroundTheStep` (local-m) or
:class:`AroundAGuess` (local-p).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .attention import weigh
from .recurrent import Encoder, EncoderDecoder, Memory, Step, Words
from .scores import Score
from .shapes import at_least_one, checked


class State(NamedTuple):
    """What the decoder takes from one step to the next."""

    layers: Float[Tensor, "batch layers hidden"]  # the state of each layer; the last one, h_t, is on top
    attentional: Float[Tensor, "batch hidden"]  # h~_t, what the last step said
    place: Int[Tensor, " batch"]  # how many words were said


class Everywhere(nn.Module):
    """Global attention: every word of the source may get weight."""

    @checked
    def forward(
        self,
        scores: Float[Tensor, "batch source"],
        mask: Bool[Tensor, "batch source"],
        state: Float[Tensor, "batch hidden"],
        place: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch source"]:
        """Turn scores into weights; ``state`` is h_t, ``place`` is t, counted from 1."""
        return weigh(scores[:, None], mask[:, None])[:, 0]


class AroundTheStep(nn.Module):
    """Local-m: step t looks at the words t - reach to t + reach, as if both languages had the same order.

    A step further than ``reach`` beyond the last word sees nothing, and its weights are zero.
    """

    def __init__(self, reach: int):
        super().__init__()
        self.reach = check_reach(reach)

    @checked
    def forward(
        self,
        scores: Float[Tensor, "batch source"],
        mask: Bool[Tensor, "batch source"],
        state: Float[Tensor, "batch hidden"],
        place: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch source"]:
        """Turn scores into weights inside the window around ``place``."""
        near = window(scores.shape[1], place.to(scores), self.reach)
        return weigh(scores[:, None], (mask & near)[:, None])[:, 0]


class AroundAGuess(nn.Module):
    """Local-p: step t looks around a place p_t that it guesses from its state, and a bell curve favours the middle.

    The curve multiplies **after** the softmax, as in the paper, so a row of weights sums to less than one; with
    ``renormalised`` each row is divided by its sum.
    """

    def __init__(self, hidden: int, reach: int, renormalised: bool = False):
        super().__init__()
        self.reach, self.renormalised = check_reach(reach), renormalised
        self.inner = nn.Linear(hidden, hidden, bias=False)  # W_p
        self.outer = nn.Linear(hidden, 1, bias=False)  # v_p

    @checked
    def centre(
        self, state: Float[Tensor, "batch hidden"], mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, " batch"]:
        """Guess p_t, a real number between 0 and the number of words n."""
        share = torch.sigmoid(self.outer(torch.tanh(self.inner(state))))[:, 0]
        return mask.sum(dim=1) * share

    @checked
    def forward(
        self,
        scores: Float[Tensor, "batch source"],
        mask: Bool[Tensor, "batch source"],
        state: Float[Tensor, "batch hidden"],
        place: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch source"]:
        """Turn scores into weights inside the window, times the bell curve."""
        centre, words = self.centre(state, mask), scores.shape[1]
        near = window(words, centre, self.reach)
        inside = weigh(scores[:, None], (mask & near)[:, None])[:, 0]
        weights = inside * bell(words, centre, self.reach / 2)
        if self.renormalised:
            weights = weights / weights.sum(dim=1, keepdim=True)
        return weights


def window(words: int, centre: Float[Tensor, " batch"], reach: int) -> Bool[Tensor, "batch source"]:
    """Tell which places, counted from 1, are at most ``reach`` from the centre.

    >>> window(5, torch.tensor([2.0, 4.6]), 1).int()
    tensor([[1, 1, 1, 0, 0],
            [0, 0, 0, 1, 1]], dtype=torch.int32)
    """
    places = torch.arange(1, words + 1, device=centre.device)
    return (places - centre[:, None]).abs() <= reach


def bell(words: int, centre: Float[Tensor, " batch"], spread: float) -> Float[Tensor, "batch source"]:
    """exp(-(s - p)² / (2 spread²)) for every place s, counted from 1: one at the centre, less around it."""
    places = torch.arange(1, words + 1, device=centre.device)
    return torch.exp(-((places - centre[:, None]) ** 2) / (2 * spread**2))


def check_reach(reach: int) -> int:
    """Refuse a window that reaches nowhere."""
    if reach < 1:
        raise ValueError(f"reach must be at least 1 word to each side, but is {reach}")
    return reach


class Luong(EncoderDecoder):
    """A stack of GRUs reads, a stack of GRUs writes; after each step of the second, a look at the source.

    :param source_words: size of the source vocabulary
    :param target_words: size of the target vocabulary
    :param score: compares h_t, ``hidden`` wide, with the encoder's states, as wide
    :param focus: among which words the weights are shared out
    :param width: width of a word's embedding
    :param hidden: width of the encoder's and of the decoder's states
    :param layers: how many GRUs stand on each other, in the encoder and in the decoder
    :param both_ways: whether the encoder reads the source in both directions
    :param feeding: whether the last h~_t goes into the next step, beside the word
    """

    def __init__(
        self,
        source_words: int,
        target_words: int,
        score: Score,
        focus: nn.Module,
        width: int = 32,
        hidden: int = 64,
        layers: int = 1,
        both_ways: bool = False,
        feeding: bool = True,
    ):
        super().__init__()
        at_least_one(width=width, hidden=hidden, layers=layers)
        self.encoder = Encoder(source_words, width, hidden, both_ways, layers)
        self.score, self.focus, self.feeding = score, focus, feeding
        self.embed = Words(target_words, width)
        self.rnn = nn.GRU(width + (hidden if feeding else 0), hidden, num_layers=layers, batch_first=True)
        self.combine = nn.Linear(2 * hidden, hidden)
        self.readout = nn.Linear(hidden, target_words)

    @checked
    def encode(self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]) -> tuple[Memory, State]:
        """Read the source; each layer of the decoder begins where its layer of the encoder ended."""
        states, last = self.encoder(source, mask)
        layers = last.view(len(last), self.rnn.num_layers, self.rnn.hidden_size)
        nothing_said = torch.zeros(len(last), dtype=torch.long, device=last.device)
        memory = Memory(self.score.prepare(states), states, mask, layers[:, -1])
        return memory, State(layers, torch.zeros_like(layers[:, -1]), nothing_said)

    @checked
    def step(self, token: Int[Tensor, " batch"], state: State, memory: Memory) -> Step:
        """Predict y_t from y_{t-1} and the state before: step first, then look."""
        word = self.embed(token)
        seen = [word, state.attentional] if self.feeding else [word]
        before = state.layers.transpose(0, 1).contiguous()
        top, layers = self.rnn(torch.cat(seen, dim=-1)[:, None], before)
        scores = self.score.compare(top, memory.key)[:, 0]
        top = top[:, 0]  # h_t
        weights = self.focus(scores, memory.mask, top, state.place + 1)
        context = (weights[:, None] @ memory.value)[:, 0]
        both = torch.cat([context, top], dim=-1)
        attentional = torch.tanh(self.combine(both))
        moved = State(layers.transpose(0, 1), attentional, state.place + 1)
        return Step(self.readout(attentional), moved, weights)
