"""What a run is made with: every choice in one record, with sizes that fit the corpus where the reader chose none."""

import dataclasses
from dataclasses import dataclass

from torch import nn

from ..bahdanau import Bahdanau
from ..bottleneck import VectorEveryStep
from ..luong import Everywhere, Luong
from ..recurrent import EncoderDecoder
from ..scores import Bilinear
from ..transformer import Transformer
from .errors import BadInputError

MODELS = ("bottleneck", "bahdanau", "luong", "transformer")
PRECISIONS = ("float32", "float64", "bfloat16")
SMALL, LARGE = 10_000, 100_000  # sentence pairs: below the first a corpus is small, from the second on it is large


@dataclass(frozen=True)
class Settings:
    """All choices of a run; None where the corpus is to decide."""

    pairs: str | None = None
    source: str | None = None
    target: str | None = None
    valid_pairs: str | None = None
    valid_source: str | None = None
    valid_target: str | None = None
    skip_bad: bool = False
    tokens: str = "words"
    longest: int = 100
    vocabulary: int = 30_000  # words at most, of each language; with pieces: how many pieces
    least: int | None = None  # how often a word must be seen to get into the vocabulary
    model: str = "bahdanau"
    width: int | None = None
    hidden: int | None = None
    layers: int | None = None
    epochs: int | None = None
    batch: int | None = None  # tokens of a batch on its longer side, padding counted
    rate: float | None = None
    seed: int = 0
    threads: int = 1
    precision: str = "float32"
    save_every: int = 500

    def fitted(self, pairs: int) -> "Settings":
        """Fill what was left open by what suits a corpus of so many pairs."""
        size = (pairs >= SMALL) + (pairs >= LARGE)
        attention_only = self.model == "transformer"
        fitting = {
            "least": (1, 2, 2)[size],
            "width": (96, 256, 512)[size] if attention_only else (64, 256, 256)[size],
            "hidden": (192, 1024, 2048)[size] if attention_only else (128, 256, 512)[size],
            "layers": {"transformer": (2, 3, 6), "luong": (1, 1, 2)}.get(self.model, (1, 1, 1))[size],
            "epochs": (40, 15, 10)[size],
            "batch": (1000, 1500, 4000)[size],
            "rate": (1e-3, 5e-4, 3e-4)[size] if attention_only else (2e-3, 1e-3, 5e-4)[size],
        }
        return dataclasses.replace(self, **{name: to for name, to in fitting.items() if getattr(self, name) is None})

    def build(self, source_words: int, target_words: int) -> EncoderDecoder:
        """The model with first weights."""
        try:
            return self._build(source_words, target_words)
        except ValueError as error:  # sizes that do not fit each other
            raise BadInputError(f"no {self.model} can be built with these settings: {error}") from error

    def _build(self, source_words: int, target_words: int) -> EncoderDecoder:
        words, width, hidden = (source_words, target_words), self.width, self.hidden
        if self.layers != 1 and self.model in ("bottleneck", "bahdanau"):
            raise ValueError(f"it has one layer, but layers is {self.layers}")
        if self.model == "bottleneck":
            return VectorEveryStep(*words, width=width, hidden=hidden, vector=hidden)
        if self.model == "bahdanau":
            return Bahdanau(*words, width=width, hidden=hidden, annotation=hidden, score=hidden, maxout=hidden)
        if self.model == "luong":
            made = {"width": width, "hidden": hidden, "layers": self.layers, "both_ways": True}
            return Luong(*words, score=Bilinear(hidden, hidden), focus=Everywhere(), **made)
        heads = 8 if width >= 512 else 4
        return Transformer(*words, width=width, heads=heads, inner=hidden, layers=self.layers)


def parameters(model: nn.Module) -> int:
    """How many numbers a model has learned."""
    return sum(one.numel() for one in model.parameters())
