"""The second widget of chapter 08: a passage and a question that the reader changes, answered by a trained network."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import torch
import traitlets
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attention_src import plots
from attention_src.query_key_value import Reader

from .base import Widget, pack, rounded

MOST = 12  # facts
TOP = 3  # answers that are shown


class Seen(NamedTuple):
    """What the widget shows."""

    weights: list[list[float]]  # of the words, fact by fact
    mass: list[float]  # of the facts
    top: list[tuple[str, float]]  # the most probable answers with their probabilities
    gold: list[int]  # the facts that answer the question
    truth: list[str]  # the true answers, one for each of them


class PassageReader(Widget):
    """Change the facts of a passage and the question; see what the network answers, and where it looked.

    ``facts`` (each a relation and its two words) and ``question`` (a relation, the side of the answer, 0 or 1, and the
    word that is asked with) are what the reader moves; set one in Python and the picture moves.

    :param model: a trained reader; what runs is the model rounded to float16, in the page and here
    :param words: all words of the vocabulary in the order of their numbers
    :param answers: the words that the model can answer, in the order of its logits
    :param kinds: the words of each kind
    :param relations: for each relation the kinds of its two words, the pattern of the fact, of the question for the
        second word and of the question for the first
    :param facts: the facts to begin with
    :param question: the question to begin with
    """

    weights = traitlets.Dict().tag(sync=True)
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    answers = traitlets.List(traitlets.Unicode()).tag(sync=True)
    kinds = traitlets.Dict().tag(sync=True)
    relations = traitlets.Dict().tag(sync=True)
    facts = traitlets.List(traitlets.List(traitlets.Unicode(), minlen=3, maxlen=3)).tag(sync=True)
    question = traitlets.List(minlen=3, maxlen=3).tag(sync=True)

    def __init__(
        self,
        model: Reader,
        words: Sequence[str],
        answers: Sequence[str],
        kinds: Mapping[str, Sequence[str]],
        relations: Mapping[str, Sequence[str]],
        facts: Sequence[Sequence[str]],
        question: Sequence,
    ):
        if type(model) is not Reader or not model.looks:
            kind = "Reader that does not" if type(model) is Reader else type(model).__name__
            raise TypeError(f"model must be a Reader that looks, but is a {kind}")
        for name, given, count in (
            ("words", words, model.encoder.embed.num_embeddings),
            ("answers", answers, model.answer.out_features),
        ):
            if len(given) != count:
                raise ValueError(
                    f"{name} must have one word for each of the model's {count} rows, but has {len(given)}"
                )
        unknown = [word for part in kinds.values() for word in part if word not in words]
        if unknown:
            raise ValueError(f"kinds holds {unknown[0]!r}, which is not among words")
        weights = pack(model.state_dict())
        self._model = rounded(model, weights).double()
        self._kinds, self._relations = kinds, relations
        super().__init__(
            weights=weights,
            words=list(words),
            answers=list(answers),
            kinds={name: list(part) for name, part in kinds.items()},
            relations={name: list(part) for name, part in relations.items()},
            facts=[list(fact) for fact in facts],
            question=list(question),
        )

    @traitlets.validate("facts")
    def _good_facts(self, proposal):
        facts = proposal["value"]
        if not 1 <= len(facts) <= MOST:
            raise traitlets.TraitError(f"facts must hold 1 to {MOST} facts, but holds {len(facts)}")
        for relation, *pair in facts:
            self._known("facts", relation)
            for side, word in enumerate(pair):
                self._of_kind("facts", relation, side, word)
        return facts

    @traitlets.validate("question")
    def _good_question(self, proposal):
        relation, side, word = proposal["value"]
        self._known("question", relation)
        if side not in (0, 1):
            raise traitlets.TraitError(f"question must ask for side 0 or 1 of a fact, but asks for {side!r}")
        self._of_kind("question", relation, 1 - side, word)
        return proposal["value"]

    def _known(self, name: str, relation: str) -> None:
        if relation not in self._relations:
            raise traitlets.TraitError(
                f"{name} must use the relations {', '.join(self._relations)}, but has {relation!r}"
            )

    def _of_kind(self, name: str, relation: str, side: int, word: str) -> None:
        kind = self._relations[relation][side]
        if word not in self._kinds[kind]:
            raise traitlets.TraitError(f"{name} must have a {kind} there, but has {word!r}")

    def sentence(self, fact: Sequence[str]) -> list[str]:
        """The words of a fact."""
        return self.relations[fact[0]][2].format(*fact[1:]).split()

    @property
    def asked(self) -> list[str]:
        """The words of the question."""
        relation, side, word = self.question
        return self.relations[relation][3 if side else 4].format(word, word).split()

    @property
    def seen(self) -> Seen:
        """What the network answers and where it looks, and what the passage says."""
        sentences = [self.sentence(fact) for fact in self.facts]
        with torch.no_grad():
            passage, asked = self._row([word for one in sentences for word in one]), self._row(self.asked)
            logits, weights = self._model(passage, passage >= 0, asked, asked >= 0)
        parts = weights[0].split([len(one) for one in sentences])
        best = logits[0].softmax(dim=0).sort(descending=True, stable=True)
        top = [(self.answers[int(i)], float(p)) for p, i in zip(best.values[:TOP], best.indices[:TOP], strict=True)]
        relation, side, word = self.question
        gold = [i for i, fact in enumerate(self.facts) if fact[0] == relation and fact[2 - side] == word]
        truth = [self.facts[i][1 + side] for i in gold]
        return Seen([part.tolist() for part in parts], [float(part.sum()) for part in parts], top, gold, truth)

    def _row(self, words: list[str]) -> torch.Tensor:
        return torch.tensor([[self.words.index(word) for word in words]])

    def still(self):
        """Draw the passage fact by fact, each word on the colour of its weight."""
        seen, colours = self.seen, plots.LIGHT
        scale = LinearSegmentedColormap.from_list("weights", plots.PALETTE["weights"]["light"])
        lines = len(self.facts) + 2.4
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(6, 0.34 * lines), layout="none")
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set(xlim=(0, 60), ylim=(-lines, 0))
            axes.axis("off")
            axes.text(0, -0.6, " ".join(self.asked), color=colours["query"], va="center")
            for number, (fact, weights, mass) in enumerate(zip(self.facts, seen.weights, seen.mass, strict=True)):
                y, x = -1.6 - number, 3.0
                if number in seen.gold:
                    axes.text(0, y, "★", color=colours["ink"], va="center")
                for word, weight in zip(self.sentence(fact), weights, strict=True):
                    wide = len(word) + 1.6
                    axes.add_patch(Rectangle((x, y - 0.4), wide, 0.8, color=scale(min(weight, 1.0)), linewidth=0))
                    ink = colours["paper" if weight > 0.65 else "ink"]
                    axes.text(x + wide / 2, y, word, ha="center", va="center", color=ink)
                    x += wide + 0.3
                axes.text(48, y, f"{100 * mass:.0f} %", ha="right", va="center")
            answer, share = seen.top[0]
            axes.text(0, -lines + 0.4, f"answer: {answer} ({100 * share:.0f} %)", color=colours["value"], va="center")
        return figure

    def summary(self) -> str:
        """Say what was asked, what came out, and where most of the weight lies."""
        seen = self.seen
        most = max(range(len(seen.mass)), key=seen.mass.__getitem__)
        true = f"the passage says {', '.join(seen.truth)}" if seen.gold else "no fact of the passage answers it"
        return (
            f'"{" ".join(self.asked)}" over {len(self.facts)} facts: the network answers {seen.top[0][0]}, {true}; '
            f'{100 * seen.mass[most]:.0f} % of the weight lies on "{" ".join(self.sentence(self.facts[most]))}"'
        )
