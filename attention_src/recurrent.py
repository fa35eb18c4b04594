"""What the recurrent translators of the book share: the encoder, and the records that pass between their parts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .shapes import checked


class Memory(NamedTuple):
    """What an encoder leaves behind for the decoder."""

    key: Float[Tensor, "batch source key"]  # what a query is compared with, one row per source word
    value: Float[Tensor, "batch source value"]  # what is mixed, one row per source word
    mask: Bool[Tensor, "batch source"]  # True where a word stands, False where the row is padding
    summary: Float[Tensor, "batch summary"]  # one vector for the whole source


class Step(NamedTuple):
    """What a decoder gives at one target position i."""

    logits: Float[Tensor, "batch vocab"]  # unnormalised log p(y_i)
    state: Float[Tensor, "batch hidden"] | tuple  # s_i; a tuple where the decoder keeps more than one vector
    weights: Float[Tensor, "batch source"] | None  # alpha_ij, or None where the decoder does not look back


class Words(nn.Embedding):
    """The vectors of a vocabulary's words: an embedding that says what is wrong with a number it does not have."""

    def forward(self, numbers: Int[Tensor, "..."]) -> Float[Tensor, "... width"]:
        if numbers.numel() and not 0 <= int(numbers.min()) <= int(numbers.max()) < self.num_embeddings:
            wrong = next(number for number in numbers.flatten().tolist() if not 0 <= number < self.num_embeddings)
            raise ValueError(
                f"a word has the number {wrong}, but this vocabulary has the numbers 0 to {self.num_embeddings - 1}; "
                "encode the sentence with the vocabulary that the model was built for"
            )
        return super().forward(numbers)


class Encoder(nn.Module):
    """Read a source sentence with a GRU, in one direction or in both.

    :param words: size of the source vocabulary
    :param width: width of a word's embedding
    :param hidden: width of one state; with ``both_ways`` each direction has half of it
    :param layers: how many GRUs stand on each other, each reading the states of the one below
    """

    def __init__(self, words: int, width: int, hidden: int, both_ways: bool, layers: int = 1):
        super().__init__()
        if both_ways and hidden % 2:
            raise ValueError(f"hidden must be even to be shared by two directions, but is {hidden}")
        self.embed = Words(words, width)
        self.rnn = nn.GRU(
            width, hidden // 2 if both_ways else hidden, num_layers=layers, bidirectional=both_ways, batch_first=True
        )

    @checked
    def forward(
        self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Float[Tensor, "batch source hidden"], Float[Tensor, "batch last"]]:
        """Give the top layer's state at every word, and the last state of each layer and direction side by side.

        Padding must stand at the end of a row. It changes nothing, and its own states are zero.
        """
        lengths = check_lengths(mask)
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(source), lengths, batch_first=True, enforce_sorted=False)
        states, last = self.rnn(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])
        return states, last.transpose(0, 1).flatten(1)


def check_lengths(mask: Bool[Tensor, "batch source"]) -> Int[Tensor, " batch"]:
    """Give the length of every row of a padding mask; refuse an empty batch, an empty row, padding before words."""
    if mask.shape[0] == 0:
        raise ValueError("mask has no rows: a batch needs at least one sentence")
    lengths = mask.sum(dim=1)
    if not bool(lengths.all()):
        row = int((lengths == 0).nonzero()[0])
        raise ValueError(
            f"mask row {row} is all False: a source sentence needs at least one word; leave empty ones out"
        )
    if not torch.equal(mask, torch.arange(mask.shape[1], device=mask.device) < lengths[:, None]):
        raise ValueError("mask must be True for the words and then False for the padding, but True follows False")
    return lengths.cpu()


def follow(
    step: Callable, given: Int[Tensor, "batch target"], state: Any, memory: Any
) -> tuple[Float[Tensor, "batch target vocab"], Float[Tensor, "batch target source"] | None]:
    """Step through the words that are given, whatever the decoder would have said.

    Gives the logits of every step, and the weights of every step where the decoder looks back.
    """
    logits, weights = [], []
    for token in given.unbind(dim=1):
        said = step(token, state, memory)
        state = said.state
        logits.append(said.logits)
        weights.append(said.weights)
    return torch.stack(logits, dim=1), None if weights[0] is None else torch.stack(weights, dim=1)


class EncoderDecoder(nn.Module):
    """Reads a source, then says one word at a time; a subclass gives ``encode`` and ``step``."""

    def encode(self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]) -> tuple[Memory, Any]:
        """Read the source; give the memory and the decoder's first state s_0."""
        raise NotImplementedError

    def step(self, token: Int[Tensor, " batch"], state: Any, memory: Memory) -> Step:
        """Predict y_i from y_{i-1} and the state before."""
        raise NotImplementedError

    @checked
    def forward(
        self,
        source: Int[Tensor, "batch source"],
        mask: Bool[Tensor, "batch source"],
        given: Int[Tensor, "batch target"],
    ) -> Float[Tensor, "batch target vocab"]:
        """Teacher forcing: predict every target word from the true words before it."""
        if given.shape[1] == 0:
            raise ValueError("given has no words: each row needs at least the begin mark")
        return self.follow(given, *self.encode(source, mask))

    def follow(
        self, given: Int[Tensor, "batch target"], memory: Memory, state: Any
    ) -> Float[Tensor, "batch target vocab"]:
        """Say what comes after each word that is given, whatever the decoder would have said."""
        return follow(self.step, given, state, memory)[0]
