"""The calculator of chapter 14: what four layers cost at a length, a width and some heads, and where lines cross."""

import matplotlib
import traitlets
from matplotlib.figure import Figure

from attention_src import plots
from attention_src.cost import Cost, convolution_cost, recurrence_cost, restricted_cost, self_attention_cost

from .base import Widget

LIMITS = {"words": (1, 32768), "width": (4, 4096), "heads": (1, 64), "reach": (2, 1024), "filter": (2, 1024)}
SHOWN = {  # what can be drawn: the fields of a Cost
    "operations": "operations",
    "memory": "numbers kept",
    "sequential": "steps that wait",
    "path": "path",
}
LINES = {"self-attention": 0, "recurrence": 1, "convolution": 3, "restricted": 2}  # their places in plots.SERIES


class Costs(Widget):
    """Choose a length, a width, heads and a window; see what four layers cost, and over which length they cross.

    ``shown`` is what is drawn: ``operations``, ``memory`` (numbers kept), ``sequential`` (steps that wait) or
    ``path``. Set a trait in Python and the picture moves.

    :param words: the length n to begin with, 1 to 32,768
    :param width: the width d, 4 to 4,096
    :param heads: how many heads share the width, 1 to 64
    :param reach: how many places restricted attention reads, 2 to 1,024
    :param filter: how many places the convolution reads
    """

    words = traitlets.Int().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    heads = traitlets.Int().tag(sync=True)
    reach = traitlets.Int().tag(sync=True)
    filter = traitlets.Int().tag(sync=True)
    shown = traitlets.Unicode("operations").tag(sync=True)

    def __init__(self, words: int, width: int, heads: int, reach: int, filter: int):
        super().__init__(words=words, width=width, heads=heads, reach=reach, filter=filter)

    @traitlets.validate("words", "width", "heads", "reach", "filter")
    def _inside(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        low, high = LIMITS[name]
        if not low <= value <= high:
            raise traitlets.TraitError(f"{name} must be {low} to {high}, but is {value}")
        return value

    @traitlets.validate("shown")
    def _known(self, proposal):
        if proposal["value"] not in SHOWN:
            raise traitlets.TraitError(f"shown must be one of {', '.join(SHOWN)}, but is {proposal['value']!r}")
        return proposal["value"]

    @property
    def costs(self) -> dict[str, Cost]:
        """The costs of the four layers."""
        return costs(self.words, self.width, self.heads, self.reach, self.filter)

    @property
    def crossing(self) -> float:
        """The length at which self-attention and the recurrence cost the same of what is shown."""
        return crossing(self.shown, self.width, self.heads)

    def still(self):
        """Draw a line for each layer, a mark at the chosen length, and the crossing."""
        low, high = LIMITS["words"]
        lengths = sorted({round(high ** (step / 60)) for step in range(61)})
        table = [costs(n, self.width, self.heads, self.reach, self.filter) for n in lengths]
        with matplotlib.rc_context(plots.STYLE):
            axes = Figure(layout="constrained").add_subplot()
            axes.set(xscale="log", yscale="log", xlim=(low, high), xlabel="length n, words", ylabel=SHOWN[self.shown])
            for name, place in LINES.items():
                colour, dash, marker = plots.SERIES[place]
                numbers = [getattr(row[name], self.shown) for row in table]
                axes.plot(lengths, numbers, color=plots.LIGHT[colour], linestyle=dash, label=name)
                mark = getattr(self.costs[name], self.shown)
                axes.plot(self.words, mark, marker, color=plots.LIGHT[colour], markersize=5)
            axes.axvline(self.words, color=plots.LIGHT["muted"], linewidth=0.8)
            if self.crossing >= low:
                at = getattr(recurrence_cost(1, self.width), self.shown) * self.crossing
                axes.plot(self.crossing, at, "o", color=plots.LIGHT["ink"], markerfacecolor="none", markersize=11)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(matplotlib.ticker.LogLocator(numticks=7))
                axis.set_major_formatter(matplotlib.ticker.FuncFormatter(power))
            axes.minorticks_off()
            axes.legend(frameon=False)
        return axes.figure

    def summary(self) -> str:
        """Say what self-attention and the recurrence cost, and where their lines cross."""
        ours, other = (getattr(self.costs[name], self.shown) for name in ("self-attention", "recurrence"))
        return (
            f"The {SHOWN[self.shown]} of four layers over the length, at width {self.width} and {self.heads} heads: "
            f"at {self.words:,} words self-attention has {ours:,} and the recurrence {other:,}; their lines cross at "
            f"{self.crossing:,g} words"
        )


def costs(words: int, width: int, heads: int, reach: int, filter: int) -> dict[str, Cost]:
    """The costs of the four layers.

    The formulas of chapter 14 are those of one head. More heads share the width, so projections and products stay as
    they are, but each head has a table of weights of its own.
    """
    attention, restricted = self_attention_cost(words, width), restricted_cost(words, width, reach)
    more = heads - 1
    return {
        "self-attention": attention._replace(memory=attention.memory + more * words**2),
        "recurrence": recurrence_cost(words, width),
        "convolution": convolution_cost(words, width, filter),
        "restricted": restricted._replace(memory=restricted.memory + more * 2 * words * reach),
    }


def crossing(shown: str, width: int, heads: int) -> float:
    """The length at which self-attention and the recurrence cost the same of what is shown."""
    return {"operations": 1.5 * width, "memory": 4 * width / heads, "sequential": 3.0, "path": 1.0}[shown]


def power(number: float, _: int | None = None) -> str:
    """A power of ten for an axis: in full if it is short.

    >>> power(1000), power(10**12)
    ('1,000', '10¹²')
    """
    if number < 1e5:
        return f"{number:,.0f}"
    return "10" + f"{number:.0e}".rpartition("+")[2].lstrip("0").translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
