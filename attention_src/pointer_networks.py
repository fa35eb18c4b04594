"""Chapter 17: the weights are the answer. A decoder that points at its inputs, and one that may also copy a word.

- :class:`PointerNetwork` (Vinyals and others, 2015): the distribution over the places of the input is the output;
- :class:`FixedDictionary`: the same network with a table of numbers as output, to compare with;
- :class:`PointerGenerator` (See and others, 2017): a translator that says a word of its vocabulary or copies one of
  its source; :class:`GenerateOnly` and :class:`CopyOnly` are its two halves.

A pointer network reads its inputs with :class:`ReadInOrder` (an LSTM, as in the paper) or with :class:`LookAround`
(self-attention without positions, which cannot tell in what order they came).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .attention import attend, weigh
from .recurrent import Encoder, EncoderDecoder, Step, Words, check_lengths
from .scores import Additive
from .shapes import at_least_one, checked
from .transformer import EncoderLayer

MARK = 0  # before the first place, and after the last: the inputs have the numbers 1, 2, …


class Read(NamedTuple):
    """What an encoder says of each input, and the state in which the decoder begins."""

    states: Float[Tensor, "batch source hidden"]
    hidden: Float[Tensor, "batch hidden"]
    cell: Float[Tensor, "batch hidden"]


class ReadInOrder(nn.Module):
    """An LSTM reads one input after the other; its last state is the decoder's first."""

    def __init__(self, features: int, hidden: int):
        super().__init__()
        at_least_one(features=features, hidden=hidden)
        self.rnn = nn.LSTM(features, hidden, batch_first=True)

    @checked
    def forward(
        self,
        inputs: Float[Tensor, "batch source features"],
        mask: Bool[Tensor, "batch source"],
    ) -> Read:
        """Padding must stand at the end of a row; it changes nothing."""
        packed = pack_padded_sequence(
            inputs,
            check_lengths(mask),
            batch_first=True,
            enforce_sorted=False,
        )
        states, (hidden, cell) = self.rnn(packed)
        length = inputs.shape[1]
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=length)
        return Read(states, hidden[0], cell[0])


class LookAround(nn.Module):
    """Each input looks at all others, without positions; the mean of the states is the decoder's first."""

    def __init__(self, features: int, hidden: int, heads: int, layers: int):
        super().__init__()
        at_least_one(features=features, layers=layers)
        self.widen = nn.Linear(features, hidden)
        self.layers = nn.ModuleList(EncoderLayer(hidden, heads, 2 * hidden, norm_first=True) for _ in range(layers))

    @checked
    def forward(
        self,
        inputs: Float[Tensor, "batch source features"],
        mask: Bool[Tensor, "batch source"],
    ) -> Read:
        """Inputs in another order give the same states, in that order."""
        check_lengths(mask)
        states = self.widen(inputs)
        for layer in self.layers:
            states, _ = layer(states, mask[:, None])
        states = states.masked_fill(~mask[..., None], 0.0)
        mean = states.sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return Read(states, torch.tanh(mean), torch.zeros_like(mean))


class Places(NamedTuple):
    """The places to point at: the mark, then the inputs."""

    inputs: Float[Tensor, "batch places features"]  # what the decoder reads after pointing there
    states: Float[Tensor, "batch places hidden"]
    key: Float[Tensor, "batch places prepared"]
    mask: Bool[Tensor, "batch places"]  # False for padding


class Pointing(NamedTuple):
    """Where a decoder is: the two halves of its LSTM's state, and where it has pointed."""

    hidden: Float[Tensor, "batch hidden"]
    cell: Float[Tensor, "batch hidden"]
    used: Bool[Tensor, "batch places"]


class PointerNetwork(nn.Module):
    """Points at one input after the other, and in the end at the mark.

    :param features: numbers of one input, for example 2 for a point in the plane
    :param encoder: gives the :class:`Read` of (inputs, mask)
    :param hidden: width of the encoder's and of the decoder's states
    """

    def __init__(self, features: int, encoder: nn.Module, hidden: int):
        super().__init__()
        at_least_one(features=features, hidden=hidden)
        self.encoder = encoder
        self.begin = nn.Parameter(torch.zeros(features))  # read before the first step
        self.end = nn.Parameter(torch.zeros(hidden))  # pointed at after the last
        self.rnn = nn.LSTM(features, hidden, batch_first=True)
        self.score = Additive(hidden, hidden, hidden)

    @checked
    def encode(
        self,
        inputs: Float[Tensor, "batch source features"],
        mask: Bool[Tensor, "batch source"],
    ) -> tuple[Places, Pointing]:
        """Read the inputs; give the places and the decoder's first state."""
        read = self.encoder(inputs, mask)
        states = _put_first(self.end, read.states)
        mask = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)
        places = Places(_put_first(self.begin, inputs), states, self.score.prepare(states), mask)
        return places, Pointing(read.hidden, read.cell, torch.zeros_like(mask))

    def compare(
        self, states: Float[Tensor, "batch steps hidden"], places: Places
    ) -> Float[Tensor, "batch steps places"]:
        """Score every place for every state of the decoder."""
        return self.score.compare(states, places.key)

    @checked
    def step(
        self,
        token: Int[Tensor, " batch"],
        state: Pointing,
        places: Places,
    ) -> Step:
        """Read the input that was pointed at, move, and point at the next."""
        rows = torch.arange(len(token))
        seen = places.inputs[rows, token][:, None]
        kept = state.hidden[None], state.cell[None]
        states, (hidden, cell) = self.rnn(seen, kept)
        used = state.used | is_input(token, state.used.shape[1])
        free = places.mask & ~used
        scores = self.compare(states, places)[:, 0]
        weights = weigh(scores[:, None], free[:, None])[:, 0]
        return Step(hide(scores, free), Pointing(hidden[0], cell[0], used), weights)

    @checked
    def forward(
        self,
        inputs: Float[Tensor, "batch source features"],
        mask: Bool[Tensor, "batch source"],
        given: Int[Tensor, "batch steps"],
    ) -> Float[Tensor, "batch steps places"]:
        """Teacher forcing: give the logits of all steps at once, after the places that are given."""
        places, state = self.encode(inputs, mask)
        width = places.mask.shape[1]
        wrong = (given < 0) | (given >= width)
        if given.shape[1] == 0 or wrong.any():
            found = int(given[wrong][0]) if wrong.any() else "nothing"
            raise ValueError(f"given must hold the mark 0 and places from 1 to {width - 1}, but holds {found}")
        index = given[..., None].expand(-1, -1, inputs.shape[-1])
        seen = places.inputs.gather(1, index)
        states, _ = self.rnn(seen, (state.hidden[None], state.cell[None]))
        used = is_input(given, width).long().cumsum(dim=1) > 0
        return hide(self.compare(states, places), places.mask[:, None] & ~used)


class FixedDictionary(PointerNetwork):
    """Looks at its inputs as the pointer does, but mixes them, and says a number out of a fixed list.

    It may not repeat itself either, nor say a number that no input has.

    :param positions: how many numbers there are to say, beside the mark
    """

    def __init__(self, features: int, encoder: nn.Module, hidden: int, positions: int):
        super().__init__(features, encoder, hidden)
        at_least_one(positions=positions)
        self.readout = nn.Linear(2 * hidden, 1 + positions)

    def compare(self, states, places):
        width = places.mask.shape[1]
        if width > self.readout.out_features:
            raise ValueError(
                f"inputs has {width - 1} places, but this dictionary "
                f"has the numbers 1 to {self.readout.out_features - 1}: it cannot say more"
            )
        scores = self.score.compare(states, places.key)
        context, _ = attend(scores, places.states, places.mask[:, None])
        return self.readout(torch.cat([states, context], dim=-1))[..., :width]


@checked
def is_input(given: Int[Tensor, "*batch"], width: int) -> Bool[Tensor, "*batch {width}"]:
    """Mark in a row of ``width`` places the one that is given, unless it is the mark, which may come again.

    >>> is_input(torch.tensor([2, 0]), 3)
    tensor([[False, False,  True],
            [False, False, False]])
    """
    places = torch.arange(width)
    return (places == given[..., None]) & (places != MARK)


@checked
def hide(scores: Float[Tensor, "*batch places"], free: Bool[Tensor, "*batch places"]) -> Float[Tensor, "*batch places"]:
    """Logits that give the places that are not free no probability."""
    return scores.masked_fill(~free, torch.finfo(scores.dtype).min)


def _put_first(row: Tensor, rows: Tensor) -> Tensor:
    """Put the same row before the rows of every example."""
    return torch.cat([row.expand(len(rows), 1, -1), rows], dim=1)


# Copying


class Source(NamedTuple):
    """What a copying decoder can look at, and the numbers of the words that stand there."""

    key: Float[Tensor, "batch source prepared"]
    value: Float[Tensor, "batch source hidden"]
    mask: Bool[Tensor, "batch source"]
    words: Int[Tensor, "batch source"]
    new: Float[Tensor, "batch extra"]  # zeros: one column for each number after those of the vocabulary


class Said(NamedTuple):
    """What a copying decoder gives at one step."""

    logits: Float[Tensor, "batch vocab"]  # log p(y_i), over the vocabulary and the new words
    state: Float[Tensor, "batch hidden"]
    weights: Float[Tensor, "batch source"]
    share: Float[Tensor, " batch"]  # how much of the probability goes to the vocabulary


class PointerGenerator(EncoderDecoder):
    """A translator whose next word comes from its vocabulary or from its source.

    A word that is not in the vocabulary has a number after its last, in the source and in the target. The network
    sees all such words as the one word ``unknown``; only the pointer tells them apart.

    :param vocabulary: how many words the vocabulary holds, of both languages
    :param unknown: the number of the word that stands for all others
    """

    def __init__(self, vocabulary: int, unknown: int, width: int, hidden: int):
        super().__init__()
        at_least_one(width=width, hidden=hidden)
        self.vocabulary, self.unknown = vocabulary, unknown
        self.encoder = Encoder(vocabulary, width, hidden, both_ways=True)
        self.embed = Words(vocabulary, width)
        self.start = nn.Linear(hidden, hidden)
        self.rnn = nn.GRUCell(width, hidden)
        self.score = Additive(hidden, hidden, hidden)
        self.readout = nn.Linear(2 * hidden, vocabulary)
        self.switch = nn.Linear(2 * hidden + width, 1)

    def known(self, words: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
        """Put ``unknown`` for words that are not in the vocabulary."""
        return words.masked_fill(words >= self.vocabulary, self.unknown)

    @checked
    def encode(
        self,
        source: Int[Tensor, "batch source"],
        mask: Bool[Tensor, "batch source"],
    ) -> tuple[Source, Float[Tensor, "batch hidden"]]:
        """Read the source; give what can be looked at and the decoder's first state."""
        states, last = self.encoder(self.known(source), mask)
        extra = max(0, int(source.max()) + 1 - self.vocabulary)
        new = states.new_zeros(len(states), extra)
        memory = Source(self.score.prepare(states), states, mask, source, new)
        return memory, torch.tanh(self.start(last))

    def share(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, " batch"]:
        """How much of the probability goes to the vocabulary; the rest is for copying."""
        return torch.sigmoid(self.switch(features))[:, 0]

    @checked
    def step(
        self,
        token: Int[Tensor, " batch"],
        state: Float[Tensor, "batch hidden"],
        memory: Source,
    ) -> Said:
        """Move, look, and mix two distributions over words."""
        word = self.embed(self.known(token))
        state = self.rnn(word, state)
        scores = self.score.compare(state[:, None], memory.key)
        context, weights = attend(scores, memory.value, memory.mask[:, None])
        context, weights = context[:, 0], weights[:, 0]
        logits = self.readout(torch.cat([state, context], dim=-1))
        said = logits.softmax(dim=-1)
        share = self.share(torch.cat([context, state, word], dim=-1))
        p = mix(said, weights, memory.words, share, memory.new)
        tiny = torch.finfo(p.dtype).tiny  # log p must be a number
        return Said(p.clamp_min(tiny).log(), state, weights, share)


class GenerateOnly(PointerGenerator):
    """Never copies: an ordinary translator."""

    def share(self, features):
        return torch.ones_like(features[:, 0])


class CopyOnly(PointerGenerator):
    """Only copies: it can say nothing that its source does not hold."""

    def share(self, features):
        return torch.zeros_like(features[:, 0])


@checked
def mix(
    said: Float[Tensor, "batch vocab"],
    weights: Float[Tensor, "batch source"],
    words: Int[Tensor, "batch source"],
    share: Float[Tensor, " batch"],
    new: Float[Tensor, "batch extra"],
) -> Float[Tensor, "batch all_words"]:
    """p(w) = share * said(w) + (1 - share) * the weight of all places of w.

    ``new`` holds zeros: what is said of words that have no place in ``said``.

    >>> said = torch.tensor([[0.6, 0.4]])  # the words 0 and 1
    >>> words = torch.tensor([[2, 1, 2]])  # the source; 2 is new
    >>> weights = torch.tensor([[0.5, 0.3, 0.2]])
    >>> mix(said, weights, words, torch.tensor([0.5]), torch.zeros(1, 1))
    tensor([[0.3000, 0.3500, 0.3500]])
    """
    share = share[:, None]
    p = torch.cat([share * said, new], dim=1)
    return p.scatter_add(1, words, (1 - share) * weights)
