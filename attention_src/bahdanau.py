"""Chapter 05: the translator of Bahdanau, Cho and Bengio (2015), which looks at the source before each step."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .attention import attend
from .recurrent import Encoder, EncoderDecoder, Memory, Step, Words
from .scores import Additive
from .shapes import at_least_one, checked


class Bahdanau(EncoderDecoder):
    """A bidirectional GRU encoder, an additive score, a GRU decoder with a maxout layer before the words.

    :param source_words: size of the source vocabulary
    :param target_words: size of the target vocabulary
    :param width: width of a word's embedding
    :param hidden: width of the decoder's state
    :param annotation: width of what the encoder says about a word; with ``both_ways`` each direction has half of it
    :param score: width of the layer that compares a state with an annotation
    :param maxout: width of the layer before the words, after the maximum of each pair
    :param both_ways: whether the encoder reads the source in both directions
    """

    def __init__(
        self,
        source_words: int,
        target_words: int,
        width: int = 32,
        hidden: int = 64,
        annotation: int = 64,
        score: int = 64,
        maxout: int = 64,
        both_ways: bool = True,
    ):
        super().__init__()
        at_least_one(width=width, hidden=hidden, annotation=annotation, score=score, maxout=maxout)
        if both_ways and annotation % 2:
            raise ValueError(f"annotation must be even to be shared by two directions, but is {annotation}")
        self.encoder = Encoder(source_words, width, annotation, both_ways)
        self.one_direction = annotation // 2 if both_ways else annotation
        self.start = nn.Linear(self.one_direction, hidden)
        self.score = Additive(hidden, annotation, score)
        self.embed = Words(target_words, width)
        self.cell = nn.GRUCell(width + annotation, hidden)
        self.pairs = nn.Linear(hidden + annotation + width, 2 * maxout)
        self.readout = nn.Linear(maxout, target_words)

    @checked
    def encode(
        self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Memory, Float[Tensor, "batch hidden"]]:
        """Read the source; give the memory and the first state s_0."""
        annotations, last = self.encoder(source, mask)
        summary = last[:, -self.one_direction :]  # backwards, at the first word
        memory = Memory(self.score.prepare(annotations), annotations, mask, summary)
        return memory, torch.tanh(self.start(summary))

    @checked
    def look(
        self, state: Float[Tensor, "batch hidden"], memory: Memory
    ) -> tuple[Float[Tensor, "batch annotation"], Float[Tensor, "batch source"]]:
        """Ask with state s_{i-1}; give the context c_i and the weights."""
        scores = self.score.compare(state[:, None], memory.key)  # (batch, 1, source)
        context, weights = attend(scores, memory.value, memory.mask[:, None])
        return context[:, 0], weights[:, 0]

    @checked
    def step(
        self,
        token: Int[Tensor, " batch"],
        state: Float[Tensor, "batch hidden"],
        memory: Memory,
    ) -> Step:
        """Predict y_i from y_{i-1} and s_{i-1}: look first, then step."""
        word = self.embed(token)
        context, weights = self.look(state, memory)
        state = self.cell(torch.cat([word, context], dim=-1), state)
        return Step(self.say(state, context, word), state, weights)

    def say(
        self,
        state: Float[Tensor, "batch hidden"],
        context: Float[Tensor, "batch annotation"],
        word: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch vocab"]:
        """Give the logits: linear, the larger number of each pair, linear."""
        pairs = self.pairs(torch.cat([state, context, word], dim=-1))
        return self.readout(pairs.unflatten(-1, (-1, 2)).amax(dim=-1))
