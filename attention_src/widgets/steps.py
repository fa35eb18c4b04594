"""The widget of chapter 05: a trained translator that looks before it steps, one step at a time."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import traitlets
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attention_src import plots
from attention_src.bahdanau import Bahdanau

from .translation import TranslationWidget, gold_cells

LONGEST_ANSWER = 80  # words that the translator may say
TOP = 4  # words that the reader may choose from
END = "</s>"


class Look(NamedTuple):
    """All that one step computes, in the order in which it does; numbers of one source word each are lists."""

    before: list[float]  # s_{i-1}
    scores: list[float]  # e_ij
    weights: list[float]  # alpha_ij
    context: list[float]  # c_i
    after: list[float]  # s_i
    top: list[tuple[str, float]]  # the most probable words with their probabilities
    word: str  # y_i, the first of them or the reader's


class Steps(TranslationWidget):
    """Go through a translation step by step: the state, the scores, the weights, the mixture, the next state, the word.

    ``sentence`` is what the reader writes, ``at`` the step that is shown, from 1, and ``forced`` the words that the
    reader chose, by step. Set one in Python and the picture moves, and the other way round. A new sentence begins at
    step 1 without chosen words.

    :param model: the trained translator; what runs is the model rounded to float16, in the page and here
    :param source_words: all words of the source vocabulary in the order of their numbers, marks first
    :param target_words: all words of the target vocabulary, marks first
    :param grammar: the grammar that made the model's training data, with ``translate`` and ``to_data``
    :param examples: sentences for the reader to choose from; the first is shown
    :param at: the step that is shown first
    """

    at = traitlets.Int(1).tag(sync=True)
    forced = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        model: Bahdanau,
        source_words: Sequence[str],
        target_words: Sequence[str],
        grammar,
        examples: Sequence[str],
        at: int = 1,
    ):
        if not examples:
            raise ValueError("examples must hold at least one sentence: the first is shown")
        super().__init__([Bahdanau], model, source_words, target_words, grammar, examples, sentence=examples[0])
        self._model.double()
        self.at = at

    @traitlets.validate("at")
    def _a_step(self, proposal):
        if not 1 <= proposal["value"] <= LONGEST_ANSWER:
            raise traitlets.TraitError(
                f"at must be a step, 1 to {LONGEST_ANSWER} (the last one is shown if there are fewer), "
                f"but is {proposal['value']}"
            )
        return proposal["value"]

    @traitlets.validate("forced")
    def _words_by_step(self, proposal):
        return check_forced(proposal["value"], self.target_words)

    @traitlets.observe("sentence")
    def _begin_again(self, change) -> None:
        if change["old"]:
            self.at, self.forced = 1, {}

    @property
    def steps(self) -> list[Look]:
        """What every step of the decoding computes, for ``sentence`` and ``forced``; the last one says the end mark."""
        return follow_steps(self._model, self.source(), self.target_words, self.forced)

    @property
    def said(self) -> list[str]:
        """The words of the translation, without the end mark."""
        return [look.word for look in self.steps if look.word != END]

    @property
    def gold(self) -> set[tuple[int, int]]:
        """The true links as (step, source word), counted from 0, of the words said that stand in the true sentence."""
        pair = self._grammar.translate(self.sentence)
        return gold_cells(pair.target, self.said, pair.links)

    def still(self):
        """Draw the step: its scores, its weights, the most probable words; and the map of the steps so far."""
        steps, words = self.steps, self.sentence.split()
        at = min(self.at, len(steps))
        cell = min(0.6, 5.4 / len(words))  # inches
        left = 0.085 * max(len("3 weights"), *(len(label(step.word)) for step in steps[:at])) + 0.2
        heights = [0.22, 0.6, 0.6, 0.22, 0.22, 0.24 * at]
        top, gap, width = 1.0, 0.16, max(left + cell * len(words) + 0.3, 4.6)
        height = top + sum(heights) + gap * len(heights)
        with matplotlib.rc_context(plots.STYLE | {"figure.constrained_layout.use": False}):
            figure, place = Figure(figsize=(width, height)), top
            for part, size in enumerate(heights):
                box = (left / width, 1 - (place + size) / height, cell * len(words) / width, size / height)
                draw_part(figure.add_axes(box), part, steps[:at], steps, words, self.gold)
                place += size + gap
            shown = ", ".join(f"{label(word)} {chance:.3f}" for word, chance in steps[at - 1].top)
            figure.text(0.02, 1 - 0.2 / height, f"step {at} of {len(steps)}: {shown}", va="center")
        return figure

    def summary(self) -> str:
        """Say where the step looks and what is said."""
        steps = self.steps
        at = min(self.at, len(steps))
        look = steps[at - 1]
        best = self.sentence.split()[int(np.argmax(look.weights))]
        return (
            f'Step {at} of {len(steps)} in translating "{self.sentence}": the largest weight, '
            f'{max(look.weights):.2f}, is on "{best}", and the word said is "{label(look.word)}"'
        )


def check_forced(forced: Mapping, target_words: Sequence[str]) -> dict[str, str]:
    """The reader's words by step, with the steps as text, as they travel; errors name what is wrong."""
    for step, word in forced.items():
        if not (str(step).isdecimal() and 1 <= int(step) <= LONGEST_ANSWER):
            raise traitlets.TraitError(f"forced must give words by step, 1 to {LONGEST_ANSWER}, but has step {step!r}")
        if word not in target_words:
            raise traitlets.TraitError(f"forced must give words of target_words, but has {word!r} at step {step}")
    return {str(int(step)): word for step, word in forced.items()}


@torch.no_grad()
def follow_steps(model: Bahdanau, source: torch.Tensor, words: Sequence[str], forced: Mapping[str, str]) -> list[Look]:
    """Decode greedily, but with the reader's words where there are any; keep all that is computed on the way."""
    memory, state = model.encode(source, torch.ones_like(source, dtype=torch.bool))
    token, looks = torch.tensor([words.index("<s>")]), []
    while len(looks) < LONGEST_ANSWER and (not looks or looks[-1].word != END):
        scores = model.score.compare(state[:, None], memory.key)[0, 0]
        context, _ = model.look(state, memory)
        said = model.step(token, state, memory)
        chances, best = said.logits[0].softmax(dim=-1).topk(min(TOP, len(words)))
        top = [(words[number], chance) for number, chance in zip(best.tolist(), chances.tolist(), strict=True)]
        word = forced.get(str(len(looks) + 1), top[0][0])
        numbers = [tensor.tolist() for tensor in (state[0], scores, said.weights[0], context[0], said.state[0])]
        looks.append(Look(*numbers, top, word))
        token, state = torch.tensor([words.index(word)]), said.state
    return looks


def label(word: str) -> str:
    """A word as it is shown; the end mark is no word."""
    return "(end)" if word == END else word


STATE = LinearSegmentedColormap.from_list("state", [plots.LIGHT[name] for name in ("key", "paper", "query")])
PARTS = ("1 state", "2 scores", "3 weights", "4 mixture", "5 state", "")


def draw_part(axes, part: int, taken: Sequence[Look], steps: Sequence[Look], words: Sequence[str], gold) -> None:
    """Draw one of the five parts of the last step taken, or the map of those taken."""
    look, places = taken[-1], np.arange(len(words)) + 0.5
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)
    axes.set(xlim=(0, len(words)), xticks=[])
    if part == 1:
        scores = [score for step in steps for score in step.scores]
        draw_bars(axes, places, look.scores, (min(0.0, *scores), max(0.0, *scores)), "muted")
    elif part == 2:
        draw_bars(axes, places, look.weights, (0.0, 1.0), "accent")
    elif part == 5:
        draw_map(axes, taken, gold)
    else:
        strip = np.array([{0: look.before, 3: look.context, 4: look.after}[part]]).round(6)
        edges = np.linspace(0, len(words), strip.shape[1] + 1)
        axes.pcolormesh(edges, [0, 1], strip, cmap=STATE, vmin=-1, vmax=1, edgecolors="face", linewidth=0.2)
    if part < 5:
        axes.set_yticks([sum(axes.get_ylim()) / 2], [PARTS[part]])
    if part == 0:
        axes.set_xticks(places, words, rotation=45, ha="left", rotation_mode="anchor")
        axes.tick_params(top=False, labeltop=True, bottom=False, labelbottom=False, pad=3)


def draw_bars(axes, places, numbers: Sequence[float], reach: tuple[float, float], colour: str) -> None:
    """Draw a bar from zero for each number, with the number beyond its end where there is room."""
    numbers, room = np.array(numbers).round(6), 0.3 * (reach[1] - reach[0])
    axes.bar(places, numbers, width=0.5, color=plots.LIGHT[colour])
    axes.axhline(0, color=plots.LIGHT["muted"], linewidth=0.8)
    axes.set_ylim(reach[0] - (room if reach[0] < 0 else 0), reach[1] + room)
    for place, number in zip(places, numbers, strict=True) if len(places) <= 9 else ():
        up = number >= 0
        text = f"{number:.2f}".replace("-", "−")
        axes.text(
            place, number + (0.1 if up else -0.1) * room, text, ha="center", va="bottom" if up else "top", fontsize=9
        )


def draw_map(axes, taken: Sequence[Look], gold) -> None:
    """Draw the weights of the steps taken, a row for each, with the true links as outlines."""
    weights = np.array([step.weights for step in taken]).round(6)
    axes.pcolormesh(weights, cmap=plots.WEIGHTS, vmin=0, vmax=1, edgecolors=plots.LIGHT["rule"], linewidth=0.5)
    for row, column in sorted(cell for cell in gold if cell[0] < len(taken)):
        for colour, width in (("paper", 3.4), ("ink", 1.6)):  # an edge of paper, seen on the darkest cell too
            box = Rectangle((column + 0.07, row + 0.07), 0.86, 0.86, fill=False, ec=plots.LIGHT[colour], lw=width)
            axes.add_patch(box)
    axes.set_ylim(len(taken), 0)
    axes.set_yticks(np.arange(len(taken)) + 0.5, [label(step.word) for step in taken])
