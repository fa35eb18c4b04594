"""The widget of chapter 12: trained networks that name the word three places before, on a sentence that is moved."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import torch
import traitlets
from matplotlib.figure import Figure

from attention_src import plots
from attention_src.positions import PlacedNetwork

from .base import Widget, pack, rounded

LONGEST = 12  # words that fit a phone


class Seen(NamedTuple):
    """What a network does with the sentence."""

    weights: list[list[list[float]]]  # (heads, words, words)
    said: list[str]  # for each word the most probable answer
    wanted: list[str | None]  # the word some places before; None where there is none
    change: float  # the largest difference of a weight from the sentence that begins at place 0


class Places(Widget):
    """Choose how the network is told where a word stands, and move the sentence to places far from the training's.

    ``sentence``, ``kind``, ``start`` (the place of the first word) and ``head`` are what the reader moves; set one in
    Python and the picture moves.

    :param models: trained networks by their kind; what runs is rounded to float16, in the page and here
    :param letters: the words, in the order of their numbers; each is one letter
    :param back: how far the wanted word lies back
    :param trained: how many places the training's sentences had at most
    :param most: the largest place of a first word
    """

    weights = traitlets.Dict().tag(sync=True)
    letters = traitlets.List(traitlets.Unicode()).tag(sync=True)
    back = traitlets.Int().tag(sync=True)
    trained = traitlets.Int().tag(sync=True)
    most = traitlets.Int().tag(sync=True)
    longest = traitlets.Int().tag(sync=True)
    heads = traitlets.Int().tag(sync=True)
    farthest = traitlets.Int().tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)
    kind = traitlets.Unicode().tag(sync=True)
    start = traitlets.Int().tag(sync=True)
    head = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        models: Mapping[str, PlacedNetwork],
        letters: Sequence[str],
        back: int,
        trained: int,
        most: int,
        farthest: int,
        sentence: str,
        kind: str,
        start: int = 0,
        head: int = 0,
    ):
        heads = {model.block.mixer.heads for model in models.values()}
        if len(heads) != 1:
            raise ValueError(f"models must all have the same number of heads, but have {sorted(heads)}")
        for name, model in models.items():
            if model.kind != name:
                raise ValueError(f"models[{name!r}] must be a network of this kind, but is {model.kind}")
        packed = {name: pack(model.state_dict()) for name, model in models.items()}
        self._models = {name: rounded(model, packed[name]).double() for name, model in models.items()}
        self._letters, self._most, self._heads = list(letters), most, heads.pop()
        super().__init__(
            weights=packed,
            letters=list(letters),
            back=back,
            trained=trained,
            most=most,
            longest=LONGEST,
            heads=self._heads,
            farthest=farthest,
            sentence=sentence,
            kind=kind,
            start=start,
            head=head,
        )

    @traitlets.validate("sentence")
    def _good_sentence(self, proposal):
        if not 1 <= len(proposal["value"]) <= LONGEST:
            raise traitlets.TraitError(f"sentence must have 1 to {LONGEST} letters, but has {len(proposal['value'])}")
        for letter in proposal["value"]:
            if letter not in self._letters:
                raise traitlets.TraitError(
                    f"sentence must hold letters of {''.join(self._letters)}, but holds {letter!r}"
                )
        return proposal["value"]

    @traitlets.validate("kind")
    def _good_kind(self, proposal):
        if proposal["value"] not in self._models:
            raise traitlets.TraitError(f"kind must be one of {', '.join(self._models)}, but is {proposal['value']!r}")
        return proposal["value"]

    @traitlets.validate("start")
    def _good_start(self, proposal):
        if not 0 <= proposal["value"] <= self._most:
            raise traitlets.TraitError(f"start must be 0 to {self._most}, but is {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("head")
    def _good_head(self, proposal):
        if not 0 <= proposal["value"] < self._heads:
            raise traitlets.TraitError(f"head must be 0 to {self._heads - 1}, but is {proposal['value']}")
        return proposal["value"]

    @property
    def seen(self) -> Seen:
        """The weights of all heads, what is said and what is right."""
        model, words = self._models[self.kind], torch.tensor([[self._letters.index(one) for one in self.sentence]])
        with torch.no_grad():
            outputs, weights = model(words, start=self.start)
            _, before = model(words)
        said = [self._letters[int(i)] for i in outputs[0].argmax(dim=-1)]
        wanted = [self.sentence[i - self.back] if i >= self.back else None for i in range(len(self.sentence))]
        return Seen(weights[0].tolist(), said, wanted, float((weights - before).abs().max()))

    @property
    def right(self) -> tuple[int, int]:
        """How many answers are right, of how many."""
        pairs = [(one, true) for one, true in zip(self.seen.said, self.seen.wanted, strict=True) if true is not None]
        return sum(one == true for one, true in pairs), len(pairs)

    def still(self):
        """Draw the weights of the chosen head; outlined, the words that should be looked at."""
        seen, count = self.seen, len(self.sentence)
        rows = [f"{self.start + i} {letter} → {seen.said[i]}" for i, letter in enumerate(self.sentence)]
        table = torch.tensor(seen.weights[self.head]).round(decimals=6).tolist()
        with matplotlib.rc_context(plots.STYLE):
            axes = Figure(figsize=(5, 0.3 * count + 1.2)).add_subplot()
            gold = [(i, i - self.back) for i in range(self.back, count)]
            return plots.heatmap(table, rows, list(self.sentence), gold=gold, ax=axes)

    def summary(self) -> str:
        """Say where the sentence stands and how many answers are right."""
        good, all_of_them = self.right
        return (
            f"{self.sentence} with its first word at place {self.start}, positions {self.kind}: {good} of "
            f"{all_of_them} answers are right, and no weight differs by more than {self.seen.change:.2f} from the same "
            "sentence at place 0"
        )
