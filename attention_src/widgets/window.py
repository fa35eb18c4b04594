"""The widget of chapter 06: a local window that the reader moves over one look of a trained translator."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from attention_src import plots
from attention_src.attention import weigh
from attention_src.luong import Everywhere, Luong, bell, window

from .base import Widget, pack, unpack
from .translation import check_words

MODES = ("local-p", "local-m")
WIDEST = 10  # D
NARROWEST_BELL, WIDEST_BELL = 0.25, 10.0
COOLEST, HOTTEST = 0.5, 50.0
MOST_WORDS = 20
DIGITS = 4  # of the scores
END = "</s>"


class Answer(NamedTuple):
    """What the translator makes of one context."""

    length: float  # |c|
    cosine: float  # with the context of global attention; 0 where one of them is nothing
    word: str  # the most probable next word
    chance: float


class Seen(NamedTuple):
    """What the widget shows: numbers of the source words, and three contexts."""

    scores: Tensor
    inside: Tensor  # the softmax inside the window
    bell: Tensor
    product: Tensor  # the paper's weights
    total: float  # their sum
    divided: Tensor
    everywhere: Tensor  # the weights of global attention
    answers: dict[str, Answer]  # of "global", "window" and "divided"


class Window(Widget):
    """Move a local window over the scores of one step: its centre p, its reach D, its bell's spread σ.

    ``at`` is the step, from 1. ``mode`` is ``local-p``, where the window lies around ``centre`` and a bell lies over
    it, or ``local-m``, where it lies around the number of the step and there is no bell. ``sigma`` is the spread of
    the bell; 0 means half of ``reach``, as in the paper. The scores are divided by ``temperature``.

    :param model: the trained translator, whose focus is everywhere; its scores and states are taken once, here
    :param source_words: all words of the source vocabulary in the order of their numbers, marks first
    :param target_words: all words of the target vocabulary, marks first
    :param source: the words of the sentence, at most 20
    :param target: the words of the translation, which are fed in
    :param at: the step that is shown first
    :param centre: where the window lies first, 0 to the number of source words
    :param reach: how many words it reaches to each side, 1 to 10
    """

    source = traitlets.List(traitlets.Unicode()).tag(sync=True)
    target = traitlets.List(traitlets.Unicode()).tag(sync=True)
    target_words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    scores = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)
    weights = traitlets.Dict().tag(sync=True)
    mode = traitlets.Enum(MODES, MODES[0]).tag(sync=True)
    at = traitlets.Int(1).tag(sync=True)
    centre = traitlets.Float(1.0).tag(sync=True)
    reach = traitlets.Int(2).tag(sync=True)
    sigma = traitlets.Float(0.0).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)

    def __init__(
        self,
        model: Luong,
        source_words: Sequence[str],
        target_words: Sequence[str],
        source: Sequence[str],
        target: Sequence[str],
        at: int = 1,
        centre: float = 1.0,
        reach: int = 2,
    ):
        if type(model) is not Luong or type(model.focus) is not Everywhere:
            raise TypeError("model must be a Luong that looks everywhere: the widget puts windows over its scores")
        check_words("source_words", source_words, model.encoder.embed.num_embeddings)
        check_words("target_words", target_words, model.embed.num_embeddings)
        if not 1 <= len(source) <= MOST_WORDS:
            raise ValueError(f"source must have 1 to {MOST_WORDS} words, but has {len(source)}")
        for name, some, words in (("source", source, source_words), ("target", target, target_words)):
            unknown = [word for word in some if word not in words]
            if unknown:
                raise ValueError(f"{name} holds {unknown[0]!r}, which is not among {name}_words")
        scores, tensors = taken(model, list(source_words), list(target_words), source, target)
        weights = pack(tensors)
        self._parts = {name: torch.from_numpy(part.copy()).double() for name, part in unpack(weights).items()}
        super().__init__(
            source=list(source),
            target=[*target, END],
            target_words=list(target_words),
            scores=scores,
            weights=weights,
            at=at,
            centre=float(centre),
            reach=reach,
        )

    @traitlets.validate("at", "centre", "reach", "sigma", "temperature")
    def _in_range(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        low, high = {
            "at": (1, len(self.target)),
            "centre": (0, len(self.source)),
            "reach": (1, WIDEST),
            "sigma": (NARROWEST_BELL, WIDEST_BELL),
            "temperature": (COOLEST, HOTTEST),
        }[name]
        if not (low <= value <= high or (name == "sigma" and value == 0)):
            half = ", or 0 for half of reach," if name == "sigma" else ""
            raise traitlets.TraitError(f"{name} must be {low:g} to {high:g}{half} but is {value}")
        return value

    @property
    def middle(self) -> float:
        """Where the window lies: the reader's ``centre``, or the number of the step."""
        return self.centre if self.mode == "local-p" else float(self.at)

    @property
    def spread(self) -> float:
        """The spread of the bell."""
        return self.sigma or self.reach / 2

    @property
    def seen(self) -> Seen:
        """All numbers of the state, in float64."""
        scores, words = torch.tensor(self.scores[self.at - 1], dtype=torch.float64), len(self.source)
        middle = torch.tensor([self.middle], dtype=torch.float64)
        cooled = scores[None] / self.temperature
        everywhere, inside = weigh(cooled)[0], weigh(cooled, window(words, middle, self.reach))[0]
        curve = bell(words, middle, self.spread)[0] if self.mode == "local-p" else torch.ones_like(scores)
        product = inside * curve
        total = product.sum()
        divided = product / total if total > 0 else product
        rows = {"global": everywhere, "window": product, "divided": divided}
        contexts = {name: row @ self._parts["value"] for name, row in rows.items()}
        answers = {name: self._answer(context, contexts["global"]) for name, context in contexts.items()}
        return Seen(scores, inside, curve, product, float(total), divided, everywhere, answers)

    def _answer(self, context: Tensor, of_global: Tensor) -> Answer:
        parts, state = self._parts, self._parts["state"][self.at - 1]
        said = torch.tanh(parts["combine.weight"] @ torch.cat([context, state]) + parts["combine.bias"])
        chances = (parts["readout.weight"] @ said + parts["readout.bias"]).softmax(dim=0)
        lengths = float(context.norm() * of_global.norm())
        cosine = float(context @ of_global) / lengths if lengths else 0.0
        best = int(chances.argmax())
        return Answer(float(context.norm()), cosine, self.target_words[best], float(chances[best]))

    def still(self):
        """Draw the scores, the weights inside the window, the bell, and the weights that come out."""
        seen, places = self.seen, np.arange(1, len(self.source) + 1)
        columns = {
            "score": (seen.scores, "muted"),
            "softmax": (seen.inside, "key"),
            "bell": (seen.bell, "query"),
            "weight": (seen.product, "accent"),
            "÷ sum": (seen.divided, "accent"),
            "global": (seen.everywhere, "accent"),
        }
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(6.6, 0.26 * len(places) + 1.0), layout="constrained")
            for axes, (title, (numbers, colour)) in zip(
                figure.subplots(1, len(columns), sharey=True), columns.items(), strict=True
            ):
                low, high = self.middle - self.reach, self.middle + self.reach
                axes.axhspan(low, high, color=plots.LIGHT["panel"], zorder=0)
                axes.barh(places, numbers.numpy().round(6), height=0.6, color=plots.LIGHT[colour])
                axes.set(ylim=(len(places) + 0.6, 0.4), title=title, xticks=[])
                axes.set_yticks(places, self.source)
                if title != "score":
                    axes.set_xlim(0, 1.05)
        return figure

    def summary(self) -> str:
        """Say where the window lies, how much weight is left, and what is said with and without it."""
        seen, best = self.seen, self.answer_text
        return (
            f'Step {self.at} of "{" ".join(self.target[:-1])}" with a window around {self.middle:g} that reaches '
            f"{self.reach} words to each side ({self.mode}): the weights sum to {seen.total:.2f}, and the translator "
            f"says {best('window')}; looking everywhere it says {best('global')}"
        )

    def answer_text(self, name: str) -> str:
        """What is said with one of the contexts, with its probability."""
        answer = self.seen.answers[name]
        return f'"{label(answer.word)}" ({answer.chance:.2f})'


@torch.no_grad()
def taken(model: Luong, source_words: list[str], target_words: list[str], source: Sequence[str], target: Sequence[str]):
    """The scores of every step, and what a context goes through afterwards: states, values and the two last layers."""
    numbers = torch.tensor([[source_words.index(word) for word in source]])
    memory, state = model.encode(numbers, torch.ones_like(numbers, dtype=torch.bool))
    scores, states = [], []
    for word in ("<s>", *target):
        state = model.step(torch.tensor([target_words.index(word)]), state, memory).state
        top = state.layers[:, -1]
        scores.append([round(score, DIGITS) for score in model.score.compare(top[:, None], memory.key)[0, 0].tolist()])
        states.append(top[0])
    layers = {name: part for name, part in model.state_dict().items() if name.startswith(("combine.", "readout."))}
    return scores, {"value": memory.value[0], "state": torch.stack(states), **layers}


def label(word: str) -> str:
    """A word as it is shown; the end mark is no word."""
    return "(end)" if word == END else word
