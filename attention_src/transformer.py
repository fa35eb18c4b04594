"""Chapter 13: the translator of Vaswani and others (2017), in which nothing but attention moves words between places.

An encoder of :class:`EncoderLayer` reads the source, a decoder of :class:`DecoderLayer` writes the target. In training
the decoder reads all true words at once behind a causal mask; in translation it says one word after the other, and
keeps the keys and values of the words that it has said.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .attention import attend, causal_mask
from .multi_head import MultiHeadAttention, merge_heads, split_heads
from .positions import waves
from .recurrent import EncoderDecoder, Step, Words, check_lengths
from .shapes import at_least_one, checked


class Kept(NamedTuple):
    """Keys and values of all heads of one layer, made once and then looked at again and again."""

    key: Float[Tensor, "batch heads k d"]  # as the score prepares them: divided by the root of d
    value: Float[Tensor, "batch heads k d"]


class Read(NamedTuple):
    """What the encoder leaves behind for the decoder."""

    kept: tuple[Kept, ...]  # of the source, one for each layer of the decoder
    mask: Bool[Tensor, "batch source"]  # True where a word stands
    top: Float[Tensor, "batch source width"]  # what the encoder says of each word


class Looks(NamedTuple):
    """All weights of a forward pass; each list has one table for each layer."""

    encoder: list[Float[Tensor, "batch heads source source"]]
    decoder: list[Float[Tensor, "batch heads target target"]]
    cross: list[Float[Tensor, "batch heads target source"]]


# --- looking at what is kept ------------------------------------------------------------------------------------------


@checked
def keep(
    layer: MultiHeadAttention,
    x: Float[Tensor, "batch k width"],
) -> Kept:
    """Make the keys and values of ``x``, ready to be looked at."""
    key = split_heads(layer.of_key(x), layer.heads)
    value = split_heads(layer.of_value(x), layer.heads)
    # Rows of a head that lie apart would be copied at every step.
    return Kept(layer.score.prepare(key).contiguous(), value.contiguous())


@checked
def look(
    layer: MultiHeadAttention,
    x: Float[Tensor, "batch q width"],
    kept: Kept,
    mask: Bool[Tensor, "#batch #q k"] | None = None,
) -> tuple[Float[Tensor, "batch q width"], Float[Tensor, "batch heads q k"]]:
    """Let each place of ``x`` look at what is kept.

    ``look(layer, x, keep(layer, y), mask)`` is ``layer(x, y, y, mask)``.
    """
    query = split_heads(layer.of_query(x), layer.heads)
    if mask is not None:
        mask = mask.unsqueeze(-3)  # the same for every head
    scores = layer.score.compare(query, kept.key)
    found, weights = attend(scores, kept.value, mask)
    return layer.out(merge_heads(found)), weights


def longer(before: Kept | None, new: Kept) -> Kept:
    """Put the keys and values of new words behind those that are kept."""
    if before is None:
        return new
    return Kept(*(torch.cat(pair, dim=2) for pair in zip(before, new, strict=True)))


# --- layers -----------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """Add what a part finds to what it was given; norm after or before.

    After (the paper): norm(x + part(x)). Before: x + part(norm(x)).
    """

    def __init__(self, width: int, norm_first: bool):
        super().__init__()
        self.norm, self.norm_first = nn.LayerNorm(width), norm_first

    def forward(
        self, x: Float[Tensor, "batch length width"], part: Callable
    ) -> tuple[Float[Tensor, "batch length width"], object]:
        """Give the sum, and what ``part`` gives beside what it found."""
        if self.norm_first:
            found, beside = part(self.norm(x))
            return x + found, beside
        found, beside = part(x)
        return self.norm(x + found), beside


class Alone(nn.Sequential):
    """Two matrices with a bend between them, for each place alone."""

    def __init__(self, width: int, inner: int):
        at_least_one(inner=inner)
        super().__init__(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))

    def forward(self, x: Float[Tensor, "batch length width"]) -> tuple[Float[Tensor, "batch length width"], None]:
        """Give the new vectors, and nothing beside them."""
        return super().forward(x), None


class EncoderLayer(nn.Module):
    """The source looks at itself; then each place works alone.

    :param width: numbers in the vector of a place
    :param inner: width of the hidden layer that works on each place alone
    :param norm_first: whether the norms stand before the parts (not the paper's order), or after the sums
    """

    def __init__(self, width: int, heads: int, inner: int, norm_first: bool):
        super().__init__()
        self.itself, self.alone = MultiHeadAttention(width, heads), Alone(width, inner)
        self.add_look, self.add_alone = Residual(width, norm_first), Residual(width, norm_first)

    @checked
    def forward(
        self,
        x: Float[Tensor, "batch source width"],
        mask: Bool[Tensor, "#batch #source source"],
    ) -> tuple[
        Float[Tensor, "batch source width"],
        Float[Tensor, "batch heads source source"],
    ]:
        """Give the new vectors, and the weights of each head."""
        x, weights = self.add_look(x, lambda x: self.itself(x, x, x, mask))
        return self.add_alone(x, self.alone)[0], weights


class DecoderLayer(nn.Module):
    """The target looks back at itself, then at the source; then each place works alone."""

    def __init__(self, width: int, heads: int, inner: int, norm_first: bool):
        super().__init__()
        self.itself, self.source = MultiHeadAttention(width, heads), MultiHeadAttention(width, heads)
        self.alone = Alone(width, inner)
        self.add_look, self.add_source, self.add_alone = (Residual(width, norm_first) for _ in range(3))

    @checked
    def forward(
        self,
        x: Float[Tensor, "batch target width"],
        before: Kept | None,
        back: Bool[Tensor, "1 target said"] | None,
        read: Kept,
        mask: Bool[Tensor, "batch 1 source"],
    ) -> tuple[
        Float[Tensor, "batch target width"],
        Kept,
        tuple[Tensor, Tensor],
    ]:
        """Read new words of the target.

        Gives their new vectors, the keys and values to keep, and the
        weights of both looks.

        :param before: keys and values of the words before the new ones
        :param back: at which words each new one may look; None: at all
        :param read: keys and values of the source
        :param mask: True where a word of the source stands
        """

        def look_back(x):
            kept = longer(before, keep(self.itself, x))
            found, weights = look(self.itself, x, kept, back)
            return found, (kept, weights)

        x, (kept, own) = self.add_look(x, look_back)
        x, cross = self.add_source(x, lambda x: look(self.source, x, read, mask))
        return self.add_alone(x, self.alone)[0], kept, (own, cross)


# --- the translator ---------------------------------------------------------------------------------------------------


class Transformer(EncoderDecoder):
    """An encoder and a decoder of as many layers, with places as sines and cosines.

    :param source_words: size of the source vocabulary
    :param target_words: size of the target vocabulary
    :param width: numbers in the vector of a place; even, and a multiple of ``heads``
    :param heads: how many looks at once, in each layer
    :param inner: width of the hidden layer that works on each place alone
    :param layers: how many layers the encoder has, and as many the decoder
    :param norm_first: False is the paper's order
    """

    def __init__(
        self,
        source_words: int,
        target_words: int,
        width: int = 48,
        heads: int = 4,
        inner: int = 96,
        layers: int = 2,
        norm_first: bool = True,
    ):
        super().__init__()
        at_least_one(source_words=source_words, target_words=target_words, width=width, layers=layers)
        self.read, self.said = Words(source_words, width), Words(target_words, width)
        sizes = width, heads, inner, norm_first
        self.encoder = nn.ModuleList(EncoderLayer(*sizes) for _ in range(layers))
        self.decoder = nn.ModuleList(DecoderLayer(*sizes) for _ in range(layers))
        # With the norms in front, nothing has made the last sums small.
        self.read_norm, self.said_norm = (nn.LayerNorm(width) if norm_first else nn.Identity() for _ in range(2))
        self.readout = nn.Linear(width, target_words)
        self.start()

    def start(self) -> None:
        """Draw the first weights as the paper's code does: wide and narrow matrices keep the size of what they map."""
        for name, parameter in self.named_parameters():
            if name in ("read.weight", "said.weight"):
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
            elif parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    @checked
    def place(self, words: Float[Tensor, "batch length width"], first: int) -> Float[Tensor, "batch length width"]:
        """Scale the words' vectors, and add the places, counted from ``first``."""
        length, width = words.shape[1:]
        places = waves(torch.arange(first, first + length), width)
        return words * math.sqrt(width) + places.to(words)

    def encode_and_look(
        self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Float[Tensor, "batch source width"], list[Tensor]]:
        """Read the source; give the vector of each word, and the weights of each layer."""
        check_lengths(mask)
        x, looks = self.place(self.read(source), 0), []
        for layer in self.encoder:
            x, weights = layer(x, mask[:, None])
            looks.append(weights)
        return self.read_norm(x), looks

    @checked
    def prepare(self, top: Float[Tensor, "batch source width"]) -> tuple[Kept, ...]:
        """Make the keys and values of the source for each layer of the decoder."""
        return tuple(keep(layer.source, top) for layer in self.decoder)

    @checked
    def encode(
        self,
        source: Int[Tensor, "batch source"],
        mask: Bool[Tensor, "batch source"],
    ) -> tuple[Read, tuple[Kept, ...]]:
        """Read the source; give the memory, and a first state in which nothing is kept."""
        top, _ = self.encode_and_look(source, mask)
        memory = Read(self.prepare(top), mask, top)
        nothing = tuple(Kept(*(part[:, :, :0] for part in kept)) for kept in memory.kept)
        return memory, nothing

    @checked
    def decode(
        self,
        given: Int[Tensor, "batch target"],
        memory: Read,
        state: tuple[Kept, ...] | None = None,
    ) -> tuple[
        Float[Tensor, "batch target width"],
        tuple[Kept, ...],
        list[tuple[Tensor, Tensor]],
    ]:
        """Read the words that are given, all at once, behind those kept.

        Gives their vectors, the new state, and the weights of each layer.
        """
        new, mask = given.shape[1], memory.mask[:, None]
        if state is None:
            state = (None,) * len(self.decoder)
        old = 0 if state[0] is None else state[0].key.shape[2]
        back = None  # one new word may look at all
        if new > 1:
            back = causal_mask(old + new)[None, old:].to(mask.device)
        x, kept, looks = self.place(self.said(given), old), [], []
        layers = zip(self.decoder, state, memory.kept, strict=True)
        for layer, before, read in layers:
            x, now, weights = layer(x, before, back, read, mask)
            kept.append(now)
            looks.append(weights)
        return self.said_norm(x), tuple(kept), looks

    @checked
    def follow(
        self,
        given: Int[Tensor, "batch target"],
        memory: Read,
        state: tuple[Kept, ...],
    ) -> Float[Tensor, "batch target vocab"]:
        """Teacher forcing without steps: all places at once."""
        x, _, _ = self.decode(given, memory, state)
        return self.readout(x)

    @checked
    def step(
        self,
        token: Int[Tensor, " batch"],
        state: tuple[Kept, ...],
        memory: Read,
    ) -> Step:
        """Predict the next word from the last one and from what is kept.

        The weights are those of the last layer's look at the source, the mean of its heads.
        """
        x, state, looks = self.decode(token[:, None], memory, state)
        _, cross = looks[-1]
        return Step(self.readout(x[:, 0]), state, cross.mean(dim=1)[:, 0])

    @checked
    def step_again(
        self,
        token: Int[Tensor, " batch"],
        said: Int[Tensor, "batch said"],
        memory: Read,
    ) -> Step:
        """The same prediction with nothing kept but words: read all of them again, and the source's keys too.

        ``said`` is its state; begin with ``nothing_said(memory)``.
        """
        said = torch.cat([said, token[:, None]], dim=1)
        memory = memory._replace(kept=self.prepare(memory.top))
        x, _, looks = self.decode(said, memory)
        _, cross = looks[-1]
        return Step(self.readout(x[:, -1]), said, cross.mean(dim=1)[:, -1])

    @checked
    def looks(
        self,
        source: Int[Tensor, "batch source"],
        mask: Bool[Tensor, "batch source"],
        given: Int[Tensor, "batch target"],
    ) -> Looks:
        """Give the weights of every layer and head, the words of the target given."""
        top, encoder = self.encode_and_look(source, mask)
        _, _, decoder = self.decode(given, Read(self.prepare(top), mask, top))
        return Looks(encoder, *map(list, zip(*decoder, strict=True)))


def nothing_said(memory: Read) -> Int[Tensor, "batch 0"]:
    """The first state of :meth:`Transformer.step_again`: no word."""
    return torch.zeros(len(memory.mask), 0, dtype=torch.long)


# --- how it is trained ------------------------------------------------------------------------------------------------


@checked
def smoothed_loss(
    logits: Float[Tensor, "words vocab"],
    wanted: Int[Tensor, " words"],
    smoothing: float,
) -> Float[Tensor, ""]:
    """Cross-entropy with a wanted distribution that is not quite sure.

    1 - ``smoothing`` for the true word; ``smoothing`` shared evenly among
    all words of the vocabulary, the true one too.

    >>> smoothed_loss(torch.zeros(1, 5), torch.tensor([3]), 0.1).exp()
    tensor(5.)
    """
    must_be_a_share(smoothing)
    log_p = logits.log_softmax(dim=-1)
    true = -log_p.gather(1, wanted[:, None]).mean()
    if smoothing == 0:  # 0 * log 0 would be NaN where a word is impossible
        return true
    return (1 - smoothing) * true - smoothing * log_p.mean()


def least_loss(words: int, smoothing: float) -> float:
    """The smallest loss that there is: the entropy of the wanted distribution.

    >>> least_loss(5, 0.0), round(least_loss(5, 0.1), 3)
    (0.0, 0.39)
    """
    must_be_a_share(smoothing)
    other = smoothing / words
    shares = torch.tensor([1 - smoothing + other, *[other] * (words - 1)], dtype=torch.float64)
    return 0.0 - float(torch.xlogy(shares, shares).sum())  # xlogy(0, 0) is 0


def scheduled_rate(step: int, width: int, warm_up: int, factor: float = 1.0) -> float:
    """The paper's learning rate of a step, counted from 1.

    A straight line up for ``warm_up`` steps, then down as one over the root.

    >>> [round(scheduled_rate(step, width=4, warm_up=4), 3) for step in (1, 2, 4, 16)]
    [0.062, 0.125, 0.25, 0.125]
    """
    at_least_one(step=step, width=width, warm_up=warm_up)
    return factor * width**-0.5 * min(step**-0.5, step * warm_up**-1.5)


def must_be_a_share(smoothing: float) -> None:
    """Refuse what is no share of one."""
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing must be between 0 and 1, but is {smoothing}")
