"""Chapter 02: an encoder-decoder that must pass everything through one vector, and one that may look back.

Three translators share every part but one. They differ in what the decoder sees of the source at each step:

- :class:`FirstStateOnly` (Sutskever and others, 2014): the vector is the decoder's first state, and nothing after it;
- :class:`VectorEveryStep` (Cho and others, 2014): the same vector again at every step;
- :class:`LookBack`: a new mixture of all encoder states at every step.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .attention import attend
from .recurrent import Encoder, EncoderDecoder, Memory, Step, Words
from .shapes import at_least_one, checked


class Translator(EncoderDecoder):
    """A GRU encoder, one vector, a GRU decoder; a subclass says what the decoder sees of the source.

    :param source_words: size of the source vocabulary
    :param target_words: size of the target vocabulary
    :param width: width of a word's embedding
    :param hidden: width of the encoder's and of the decoder's states
    :param vector: width of the one vector between encoder and decoder
    :param both_ways: whether the encoder reads the source in both directions
    """

    def __init__(
        self,
        source_words: int,
        target_words: int,
        width: int = 32,
        hidden: int = 64,
        vector: int = 64,
        both_ways: bool = True,
    ):
        super().__init__()
        at_least_one(width=width, hidden=hidden, vector=vector)
        seen = self.context_width(hidden, vector)
        self.encoder = Encoder(source_words, width, hidden, both_ways)
        self.squeeze = nn.Linear(hidden, vector)  # all that the decoder starts from
        self.start = nn.Linear(vector, hidden)
        self.embed = Words(target_words, width)
        self.rnn = nn.GRU(width + seen, hidden, batch_first=True)
        self.readout = nn.Linear(hidden + seen + width, target_words)

    @staticmethod
    def context_width(hidden: int, vector: int) -> int:
        """How many numbers of the source the decoder sees at each step."""
        raise NotImplementedError

    def context(
        self, state: Float[Tensor, "batch hidden"], memory: Memory
    ) -> tuple[Float[Tensor, "batch context"], Float[Tensor, "batch source"] | None]:
        """What the decoder sees of the source at this step, and the weights that made it, if there are any."""
        raise NotImplementedError

    @checked
    def encode(
        self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Memory, Float[Tensor, "batch hidden"]]:
        """Read the source; give the memory and the decoder's first state s_0."""
        states, last = self.encoder(source, mask)
        summary = torch.tanh(self.squeeze(last))
        return Memory(states, states, mask, summary), torch.tanh(self.start(summary))

    @checked
    def step(
        self,
        token: Int[Tensor, " batch"],
        state: Float[Tensor, "batch hidden"],
        memory: Memory,
    ) -> Step:
        """Predict y_i from y_{i-1} and s_{i-1}: see the source first, then move."""
        word = self.embed(token)
        context, weights = self.context(state, memory)
        seen = torch.cat([word, context], dim=-1)
        state = self.rnn(seen[:, None], state[None])[1][0]  # one step of the GRU
        logits = self.readout(torch.cat([state, context, word], dim=-1))
        return Step(logits, state, weights)


class FixedVector(Translator):
    """A translator whose context never changes, so that all steps of teacher forcing run in one call of the GRU."""

    def follow(self, given, memory, state):
        words = self.embed(given)
        context, _ = self.context(state, memory)
        context = context[:, None].expand(-1, given.shape[1], -1)
        states, _ = self.rnn(torch.cat([words, context], dim=-1), state[None])
        return self.readout(torch.cat([states, context, words], dim=-1))


class FirstStateOnly(FixedVector):
    """The vector is the first state; then the decoder is on its own."""

    @staticmethod
    def context_width(hidden, vector):
        return 0

    def context(self, state, memory):
        return state[:, :0], None


class VectorEveryStep(FixedVector):
    """The decoder sees the same vector at every step."""

    @staticmethod
    def context_width(hidden, vector):
        return vector

    def context(self, state, memory):
        return memory.summary, None


class LookBack(Translator):
    """The decoder asks with its state and sees a mixture of encoder states."""

    @staticmethod
    def context_width(hidden, vector):
        return hidden

    def context(self, state, memory):
        scores = state[:, None] @ memory.key.mT  # (batch, 1, source)
        context, weights = attend(scores, memory.value, memory.mask[:, None])
        return context[:, 0], weights[:, 0]
