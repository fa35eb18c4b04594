"""The widget of chapter 11: a list, four questions, and trained heads that can be switched off one by one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import torch
import traitlets
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attention_src import plots
from attention_src.multi_head import Asker, without_heads

from .base import Widget, pack, rounded


class Seen(NamedTuple):
    """What the widget shows."""

    weights: list[list[float]]  # of each head, one for each entry of the list
    said: list[tuple[str, float]]  # for each question the most probable answer with its probability
    sources: list[int]  # for each question the place of the person who is asked about; -1: not in the list
    truth: list[str | None]  # what that person has
    serves: list[list[int]]  # for each head the questions, counted from 1, on whose source it has more than half


class Heads(Widget):
    """Change a list and the questions about it; switch heads off and see which answers they carried.

    ``entries`` (each a person and a thing), ``asked`` (the people who are asked about), ``heads`` (which of the
    networks answers) and ``off`` (the heads that are switched off, from 0 on) are what the reader moves; set one in
    Python and the picture moves.

    :param models: trained networks by their number of heads; what runs is rounded to float16, in the page and here
    :param names: the people, in the order of their numbers
    :param things: the things, in the order of their numbers
    :param entries: the list to begin with
    :param asked: whom to ask about to begin with, one for each question of the networks
    :param heads: which network to begin with
    """

    weights = traitlets.Dict().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    things = traitlets.List(traitlets.Unicode()).tag(sync=True)
    entries = traitlets.List(traitlets.List(traitlets.Unicode(), minlen=2, maxlen=2)).tag(sync=True)
    asked = traitlets.List(traitlets.Unicode()).tag(sync=True)
    heads = traitlets.Int().tag(sync=True)
    off = traitlets.List(traitlets.Int()).tag(sync=True)
    size = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        models: Mapping[int, Asker],
        names: Sequence[str],
        things: Sequence[str],
        entries: Sequence[Sequence[str]],
        asked: Sequence[str],
        heads: int,
    ):
        for count, model in models.items():
            if type(model) is not Asker or model.look.heads != count:
                raise TypeError(f"models[{count}] must be an Asker with {count} heads, but is another network")
            sizes = (model.name.num_embeddings, model.thing.num_embeddings, len(model.ask))
            if sizes != (len(names), len(things), len(asked)):
                raise ValueError(
                    f"names, things and asked must be as many as models[{count}] knows, {sizes[0]}, {sizes[1]} and "
                    f"{sizes[2]}, but are {len(names)}, {len(things)} and {len(asked)}"
                )
        weights = {str(count): pack(model.state_dict()) for count, model in models.items()}
        self._models = {count: rounded(model, weights[str(count)]).double() for count, model in models.items()}
        self._words = list(names), list(things)
        self._questions = len(asked)
        super().__init__(
            weights=weights,
            names=list(names),
            things=list(things),
            entries=[list(entry) for entry in entries],
            asked=list(asked),
            heads=heads,
            off=[],
            size=len(entries),
        )

    @traitlets.validate("entries")
    def _good_entries(self, proposal):
        entries, (names, things) = proposal["value"], self._words
        if len(entries) != self.size:
            raise traitlets.TraitError(f"entries must hold {self.size} people, but holds {len(entries)}")
        for name, thing in entries:
            if name not in names or thing not in things:
                raise traitlets.TraitError(
                    f"entries must hold people of {', '.join(names)} with things of {', '.join(things)}, "
                    f"but holds {name!r} with {thing!r}"
                )
        if len({name for name, _ in entries}) < len(entries):
            raise traitlets.TraitError("entries must hold each person once, but holds one twice")
        return entries

    @traitlets.validate("asked")
    def _good_asked(self, proposal):
        asked = proposal["value"]
        if len(asked) != self._questions:
            raise traitlets.TraitError(f"asked must hold {self._questions} people, but holds {len(asked)}")
        for name in asked:
            if name not in self._words[0]:
                raise traitlets.TraitError(f"asked must hold people of {', '.join(self._words[0])}, but holds {name!r}")
        return asked

    @traitlets.validate("heads")
    def _good_heads(self, proposal):
        if proposal["value"] not in self._models:
            counts = ", ".join(map(str, self._models))
            raise traitlets.TraitError(f"heads must be one of {counts}, but is {proposal['value']}")
        return proposal["value"]

    @traitlets.observe("heads")
    def _all_on(self, change):
        self.off = [head for head in self.off if head < change["new"]]

    @traitlets.validate("off")
    def _good_off(self, proposal):
        for head in proposal["value"]:
            if not 0 <= head < self.heads:
                raise traitlets.TraitError(f"off must hold heads from 0 to {self.heads - 1}, but holds {head}")
        return sorted(set(proposal["value"]))

    @property
    def seen(self) -> Seen:
        """What the heads look at, what the network answers, and what is true."""
        names, things = self._words
        model = self._models[self.heads]
        whole = model.look
        who = [name for name, _ in self.entries]
        rows = [names.index(name) for name in who], [things.index(thing) for _, thing in self.entries]
        try:
            model.look = without_heads(whole, self.off)
            with torch.no_grad():
                logits, weights = model(
                    *(torch.tensor([row]) for row in rows), torch.tensor([[names.index(name) for name in self.asked]])
                )
        finally:
            model.look = whole
        best = logits[0].softmax(dim=-1).max(dim=-1)
        said = [(things[int(i)], float(p)) for p, i in zip(best.values, best.indices, strict=True)]
        sources = [who.index(name) if name in who else -1 for name in self.asked]
        truth = [self.entries[place][1] if place >= 0 else None for place in sources]
        table = weights[0].tolist()
        serves = [[i + 1 for i, place in enumerate(sources) if place >= 0 and row[place] > 0.5] for row in table]
        return Seen(table, said, sources, truth, serves)

    def still(self):
        """Draw the list with the weights of each head beside it, and the answers below."""
        seen, colours = self.seen, plots.LIGHT
        scale = plots.PALETTE["weights"]["light"]  # its five colours only: those have a dark twin on the page
        lines = len(self.entries) + len(self.asked) + 2.2
        with matplotlib.rc_context(plots.STYLE):
            figure = Figure(figsize=(6, 0.34 * lines), layout="none")
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set(xlim=(0, 60), ylim=(-lines, 0))
            axes.axis("off")
            axes.text(0, -0.6, "list", color=colours["muted"], va="center")
            for head, weights in enumerate(seen.weights):
                x = 20 + 4.6 * head
                shown = f"({head + 1})" if head in self.off else str(head + 1)
                axes.text(x + 2, -0.6, shown, color=colours["muted"], ha="center", va="center")
                for place, weight in enumerate(weights):
                    step = round(4 * min(weight, 1.0))
                    axes.add_patch(Rectangle((x, -2 - place), 4.2, 0.9, color=scale[step], linewidth=0))
                    ink = colours["paper" if step > 2 else "ink"]
                    axes.text(x + 2.1, -1.55 - place, f"{100 * weight:.0f}", color=ink, ha="center", va="center")
            for place, (name, thing) in enumerate(self.entries):
                about = " ".join(str(i + 1) for i, source in enumerate(seen.sources) if source == place)
                axes.text(0, -1.55 - place, about, color=colours["query"], va="center")
                axes.text(4, -1.55 - place, f"{name}: {thing}", va="center")
            for i, (name, (thing, share), true) in enumerate(zip(self.asked, seen.said, seen.truth, strict=True)):
                verdict = "not in the list" if true is None else "right" if true == thing else f"has {true}"
                y = -1.9 - len(self.entries) - i
                axes.text(0, y, f"{i + 1}", color=colours["query"], va="center")
                axes.text(4, y, f"{name}: {thing} ({100 * share:.0f} %), {verdict}", va="center")
        return figure

    def summary(self) -> str:
        """Say how many heads are on, what was asked, what came out and what is true."""
        seen = self.seen
        good = sum(said == true for (said, _), true in zip(seen.said, seen.truth, strict=True))
        asked = ", ".join(f"{name} {said}" for name, (said, _) in zip(self.asked, seen.said, strict=True))
        return (
            f"with {self.heads - len(self.off)} of {self.heads} heads on, {good} of {len(self.asked)} answers are "
            f"right: {asked}"
        )
