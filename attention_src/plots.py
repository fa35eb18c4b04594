"""The figures of the book: one house style, and a few functions that take arrays.

In a notebook, call `house_style` once and let a figure be the last line of its cell; it appears as SVG in the book's
colours. Everything is vector and text stays text. The same input gives the same bytes: numbers are rounded far below
what the eye can see before they are drawn, so that the last digits of a float, which differ between processors, do
not show.
"""

import hashlib
import importlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import matplotlib.image
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

PALETTE = json.loads(Path(__file__).with_name("palette.json").read_text(encoding="utf-8"))
LIGHT = PALETTE["light"]
WEIGHTS = LinearSegmentedColormap.from_list("weights", PALETTE["weights"]["light"], N=256)

WIDTH = 5.0  # inches: 480 pixels of a page, so that lettering keeps its size
FONTS = "'Source Sans 3', 'DejaVu Sans', sans-serif"  # what the SVG asks for; the layout is measured with DejaVu Sans

STYLE = {
    "figure.figsize": (WIDTH, 3.0),
    "figure.facecolor": LIGHT["paper"],
    "figure.constrained_layout.use": True,
    "savefig.facecolor": LIGHT["paper"],
    "svg.fonttype": "none",
    "svg.hashsalt": "weighing-attention",
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so every machine lays out alike
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "text.color": LIGHT["ink"],
    "axes.facecolor": LIGHT["paper"],
    "axes.edgecolor": LIGHT["muted"],
    "axes.labelcolor": LIGHT["ink"],
    "axes.titlecolor": LIGHT["ink"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "xtick.labelcolor": LIGHT["ink"],
    "ytick.labelcolor": LIGHT["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "patch.edgecolor": LIGHT["ink"],
    "image.cmap": "Blues",
    "axes.prop_cycle": matplotlib.cycler(color=[LIGHT[name] for name in ("accent", "target", "source", "query")]),
}

# Each series has a colour, a dash and a marker of its own: it can be told from the others without the colour.
SERIES = (
    ("accent", "-", "o"),
    ("target", (0, (5, 2)), "s"),
    ("source", (0, (1.2, 1.5)), "^"),
    ("query", (0, (6, 2, 1.2, 2)), "D"),
    ("ink", (0, (9, 3)), "v"),
    ("muted", (0, (3, 1.5, 1, 1.5, 1, 1.5)), "P"),
)


def house_style() -> None:
    """Use the book's style for every figure that follows; in a notebook, show figures as SVG."""
    matplotlib.rcParams.update(STYLE)
    try:
        from IPython import get_ipython
    except ImportError:  # a script on a machine without IPython
        return
    shell = get_ipython()
    if shell is not None:
        importlib.import_module("matplotlib_inline.backend_inline")  # now: later, it would set the formats to PNG

        for name, formatter in shell.display_formatter.formatters.items():
            if name.startswith("image/"):
                formatter.pop(Figure, None)
        shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, to_svg)


def heatmap(
    weights,
    rows: Sequence[str],
    columns: Sequence[str],
    gold: Iterable[tuple[int, int]] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw attention weights as a grid: a row for each query (a target word), a column for each key (a source word).

    :param weights: shape (rows, columns), numbers from 0 to 1
    :param gold: the true links as (row, column), drawn as outlines. The links of a `Pair` are (source, target):
        give ``{(target, source) for source, target in pair.links}``
    """
    weights = _array("weights", weights, 2)
    if weights.min() < 0 or weights.max() > 1 + 1e-6:
        raise ValueError(f"weights must lie between 0 and 1; they lie between {weights.min():g} and {weights.max():g}")
    for name, labels, size in (("rows", rows, weights.shape[0]), ("columns", columns, weights.shape[1])):
        if len(labels) != size:
            raise ValueError(f"{name} must hold {size} labels, as weights has {size} {name}; it holds {len(labels)}")
    gold = sorted(gold or ())
    for row, column in gold:
        if not (0 <= row < len(rows) and 0 <= column < len(columns)):
            raise ValueError(
                f"gold must hold pairs (row, column) inside {weights.shape}; it holds {(row, column)}. "
                "Are its pairs the other way round?"
            )
    weights = _quiet(weights, 1.0)
    with_numbers = weights.size <= 80 and len(columns) <= 9
    cell = min(0.42 if with_numbers else 0.3, 0.8 * WIDTH / len(columns))  # inches
    if ax is None:
        widest = max(map(len, rows))
        size = (len(columns) * cell + 0.09 * widest + (0.4 if with_numbers else 0.9), len(rows) * cell + 0.9)
        ax = _new_axes(size)
    ax.pcolormesh(weights, cmap=WEIGHTS, vmin=0, vmax=1, edgecolors=LIGHT["rule"], linewidth=0.5)
    if with_numbers:
        _write_numbers(ax, weights)
    for row, column in gold:
        for colour, width in (("paper", 3.4), ("ink", 1.6)):  # an edge of paper, seen on the darkest cell too
            box = Rectangle((column + 0.07, row + 0.07), 0.86, 0.86, fill=False, ec=LIGHT[colour], lw=width)
            ax.add_patch(box)
    _label_cells(ax, rows, columns, cell)
    if not with_numbers:
        _weight_key(ax, *weights.shape)
    return ax.figure


def lines_over_seeds(
    x: Sequence, series: Mapping[str, object], *, xlabel: str, ylabel: str, ax: Axes | None = None
) -> Figure:
    """Draw one line a series through the medians, a dot for each seed, and a bar from the smallest to the largest.

    :param x: the points, numbers or labels
    :param series: name -> numbers of shape (seeds, points); the name stands at the end of its line
    """
    if not 1 <= len(series) <= len(SERIES):
        raise ValueError(f"series must hold 1 to {len(SERIES)} lines; it holds {len(series)}. Draw two figures instead")
    tables = {name: _array(f"series[{name!r}]", values, 2) for name, values in series.items()}
    for name, table in tables.items():
        if table.shape[1] != len(x):
            raise ValueError(
                f"series[{name!r}] must have shape (seeds, {len(x)}), as x has {len(x)} points; it has {table.shape}"
            )
    ax = ax or _new_axes()
    numbers = all(isinstance(point, int | float | np.number) for point in x)
    places = np.asarray(x, float) if numbers else np.arange(len(x), dtype=float)
    step = np.diff(places).min() if len(places) > 1 else 1.0
    largest = max(np.abs(table).max() for table in tables.values())
    tables = {name: _quiet(table, largest) for name, table in tables.items()}
    drawn = list(enumerate(zip(tables.values(), SERIES, strict=False)))
    for index, (table, (colour, dash, marker)) in reversed(drawn):  # the first lies on top
        shifted = places + (index - (len(tables) - 1) / 2) * 0.05 * step  # side by side, so that no bar hides another
        _one_series(ax, shifted, table, LIGHT[colour], dash, marker)
    if not numbers or len(x) <= 8:
        ax.set_xticks(places, [f"{point:,g}" if numbers else str(point) for point in x])
    margin = max(0.25 * step, 0.03 * (places[-1] - places[0]))  # so that the edge cuts no mark
    ax.set_xlim(places[0] - margin, places[-1] + margin)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(axis="y")
    _direct_labels(ax, {name: np.median(table, axis=0) for name, table in tables.items()}, marked=True)
    return ax.figure


def by_length(
    bands: Sequence[str],
    series: Mapping[str, object],
    *,
    ylabel: str = "exact match, %",
    xlabel: str = "length of the source sentence, words",
    ax: Axes | None = None,
) -> Figure:
    """Draw a measure in percent (exact match, BLEU) by length of sentence, over seeds.

    :param bands: the bands of length, such as ``"3-10"``
    :param series: name -> numbers from 0 to 100, shape (seeds, bands)
    """
    tables = {name: _array(f"series[{name!r}]", values, 2) for name, values in series.items()}
    for name, table in tables.items():
        if table.min() < 0 or table.max() > 100:
            raise ValueError(
                f"series[{name!r}] must hold percent, 0 to 100; it holds {table.min():g} to {table.max():g}"
            )
    ax = ax or _new_axes()
    ax.set_ylim(-3, 103)
    ax.set_yticks(range(0, 101, 20))
    labels = [band.replace("-", "–") for band in bands]
    return lines_over_seeds(labels, tables, xlabel=xlabel, ylabel=ylabel, ax=ax)


def history(losses: Mapping[str, object], *, ylabel: str = "loss", ax: Axes | None = None) -> Figure:
    """Draw how a loss went down in training: one line a series, and a thin line for each further run.

    :param losses: name -> the loss at each step, shape (steps,) or (runs, steps); long runs are averaged in blocks of
        steps, so that at most 100 points are drawn
    """
    if not 1 <= len(losses) <= len(SERIES):
        raise ValueError(f"losses must hold 1 to {len(SERIES)} lines; it holds {len(losses)}. Draw two figures instead")
    ax = ax or _new_axes()
    lines = {}
    for (name, values), (colour, dash, _) in zip(losses.items(), SERIES, strict=False):
        runs = np.atleast_2d(_array(f"losses[{name!r}]", values, 1, 2))
        block = -(-runs.shape[1] // 100)
        cuts = range(0, runs.shape[1], block)
        steps = np.array([(cut + 1 + min(cut + block, runs.shape[1])) / 2 for cut in cuts])
        means = np.array([runs[:, cut : cut + block].mean(axis=1) for cut in cuts])  # (points, runs)
        means = _quiet(means, np.abs(means).max())
        if runs.shape[0] > 1:
            ax.plot(steps, means, color=LIGHT[colour], linewidth=0.6)
        ax.plot(steps, np.median(means, axis=1), color=LIGHT[colour], linestyle=dash)
        lines[name] = np.median(means, axis=1)
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set(xlabel="step", ylabel=ylabel)
    ax.grid(axis="y")
    _direct_labels(ax, lines, marked=False)
    return ax.figure


def document(sentences: Sequence[Sequence[str]], readings: Mapping[str, tuple], gold: Iterable[int] = ()) -> Figure:
    """Draw a document once for each reading: a line for each sentence, each word on the colour of its weight in it.

    :param readings: name -> the weights of the sentences, and for each sentence those of its words
    :param gold: the sentences that decide; a star marks them
    """
    heights = [0.3 + 0.27 * len(sentences)] * len(readings)
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.1), layout="none")
    top = 0.05
    for (name, (outer, inner)), height in zip(readings.items(), heights, strict=True):
        box = (0, 1 - (top + height) / figure.get_figheight(), 1, height / figure.get_figheight())
        axes = figure.add_axes(box, xlim=(0, WIDTH), ylim=(height, 0))
        axes.axis("off")
        axes.text(0.05, 0.15, name, weight="bold", va="center")
        for number, (words, weight, weights) in enumerate(zip(sentences, outer, inner, strict=True)):
            y = 0.3 + 0.27 * (number + 0.5)
            axes.text(0.15, y, "★" if number in gold else "", ha="right", va="center")
            _on_weight(axes, 0.2, y, f"{100 * _quiet(np.float64(weight), 1.0):.0f} %", weight, 0.54)
            _one_sentence(axes, 0.82, y, words, weights)
        top += height
    return figure


def pixels(picture, size: int = 384) -> bytes:
    """Give a picture as a PNG, each of its pixels a square of several; the same bytes for the same picture.

    :param picture: shape (3, down, across), numbers from 0 to 1: red, green, blue
    :param size: how wide the PNG is at least, in pixels
    """
    picture = _array("picture", picture, 3)
    if len(picture) != 3 or picture.min() < 0 or picture.max() > 1:
        raise ValueError(
            f"picture must have shape (3, down, across) and numbers from 0 to 1; it has {picture.shape} "
            f"and numbers from {picture.min():g} to {picture.max():g}"
        )
    times = -(-size // picture.shape[2])
    large = np.rint(255 * picture).astype(np.uint8).repeat(times, axis=1).repeat(times, axis=2)
    file = io.BytesIO()
    matplotlib.image.imsave(file, large.transpose(1, 2, 0), format="png", metadata={"Software": None})
    return file.getvalue()


def objects(side: int, things: Sequence[tuple[str, str]], looks: Sequence[int] = (), ax: Axes | None = None) -> Figure:
    """Draw coloured shapes on a dark square of cells, and frames with numbers round those that are looked at.

    Its colours are those of the picture and do not follow the theme: for a PNG, not for an SVG in a page.

    :param side: cells along the side of the square
    :param things: for each cell, row by row, its colour, such as ``"#cc3333"``, and its shape: ``"circle"``,
        ``"square"`` or ``"diamond"``
    :param looks: the cells that are looked at, in this order
    """
    if len(things) != side * side:
        raise ValueError(f"things must hold one for each of {side} x {side} cells; it holds {len(things)}")
    ax = ax or _new_axes((3.0, 3.0))
    ax.add_patch(Rectangle((0, 0), side, side, facecolor="#333333"))
    for place, (colour, shape) in enumerate(things):
        row, column = divmod(place, side)
        half = {"circle": 0.34, "square": 0.31, "diamond": 0.42}[shape]
        corners = {"circle": 48, "square": 4, "diamond": 4}[shape]
        turn = np.pi / 4 if shape == "square" else 0.0
        reach = half * 2**0.5 if shape == "square" else half
        angles = turn + 2 * np.pi * np.arange(corners) / corners
        x, y = column + 0.5 + reach * np.cos(angles), row + 0.5 + reach * np.sin(angles)
        ax.fill(x, y, facecolor=colour, edgecolor="#d0d0d0", linewidth=0.6)
    _number_looks(ax, side, looks)
    return ax.figure


def cells(values, looks: Sequence[int] = (), ax: Axes | None = None) -> Figure:
    """Draw a square map as shades, the largest number darkest, with numbers at the cells that are looked at.

    :param values: shape (side, side), numbers of 0 or more
    :param looks: the cells that are looked at, in this order
    """
    values = _array("values", values, 2)
    ax = ax or _new_axes((3.0, 3.0))
    shades = _quiet(values / max(values.max(), 1e-12), 1.0)
    ax.pcolormesh(shades, cmap=WEIGHTS, vmin=0, vmax=1, edgecolors=LIGHT["rule"], linewidth=0.5)
    _number_looks(ax, len(values), looks)
    return ax.figure


def to_svg(figure: Figure) -> str:
    """The figure as SVG text: the same bytes for the same figure, on every machine with the same matplotlib."""
    buffer = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({name: STYLE[name] for name in ("svg.fonttype", "svg.hashsalt")}):
        figure.savefig(buffer, format="svg", metadata=nothing, bbox_inches=None)
    root = ElementTree.fromstring(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}metadata") or [inner.tag[-6:] for inner in child] == ["}style"]:
                parent.remove(child)
    del root.attrib["version"]
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")  # what the removed style element said of all
    for element in root.iter():
        if not element.tag.endswith(("}text", "}tspan")):
            for child in element:
                child.tail = "\n"
        for name, value in element.attrib.items():
            element.set(name, _short_numbers(value).replace("'DejaVu Sans'", FONTS))
    _renumber(root)
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    text = ElementTree.tostring(root, encoding="unicode")
    return text.replace("wa-id-", f"wa-{hashlib.sha256(text.encode()).hexdigest()[:8]}-")


# --- parts of the figures --------------------------------------------------------------------------------------------


def _number_looks(ax, side, looks):
    """Put a numbered tag on each cell that is looked at; the upper left corner of the square is its first cell."""
    for number, place in enumerate(looks, 1):
        row, column = divmod(place, side)
        box = Rectangle((column + 0.04, row + 0.04), 0.92, 0.92, fill=False, ec=LIGHT["paper"], lw=3.2)
        ax.add_patch(box)
        ax.add_patch(Rectangle((column + 0.04, row + 0.04), 0.92, 0.92, fill=False, ec=LIGHT["ink"], lw=1.4))
        tag = {"boxstyle": "circle,pad=0.15", "fc": LIGHT["paper"], "ec": LIGHT["ink"], "lw": 1.0}
        ax.text(column + 0.22, row + 0.24, str(number), ha="center", va="center", fontsize=8.5, bbox=tag)
    ax.set(xlim=(0, side), ylim=(side, 0), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)


def _new_axes(size=None):
    """Axes of a new figure that pyplot does not know: a notebook shows it once, and nothing has to be closed."""
    return Figure(figsize=size or STYLE["figure.figsize"], layout="constrained").add_subplot()


def _one_series(ax, x, table, colour, dash, marker):
    ax.vlines(x, table.min(axis=0), table.max(axis=0), color=colour, linewidth=1)
    ax.plot(x, np.median(table, axis=0), color=colour, linestyle=dash, marker=marker, markersize=6)
    ax.plot(np.tile(x, len(table)), table.ravel(), ".", color=colour, markersize=3.5)


def _direct_labels(ax, lines, marked):
    """Write each name at the end of its line, with its marker, moved apart where names would overlap."""
    low, high = ax.get_ylim()
    height = 72 * ax.figure.get_figheight() * 0.75  # of the axes, in points, about
    place = {name: (line[-1] - low) / (high - low) for name, line in lines.items()}
    names = sorted(lines, key=lambda name: (round(place[name] * height / 14), lines[name].mean()))
    moved = _apart(sorted(height * there for there in place.values()), 14.0)
    lowest = 0.0
    for name, there in zip(names, moved, strict=True):
        lowest = max(there, lowest) + 14.0
        up = lowest - 14.0 - height * place[name]
        colour, _, marker = SERIES[list(lines).index(name)]
        if marked:
            here = offset_copy(ax.transAxes, ax.figure, x=10, y=up, units="points")
            ax.plot(1, place[name], marker, color=LIGHT[colour], markersize=6, transform=here, clip_on=False)
        here = offset_copy(ax.transAxes, ax.figure, x=18 if marked else 6, y=up, units="points")
        ax.text(1, place[name], name, color=LIGHT[colour], va="center_baseline", transform=here)


def _apart(wanted, gap):
    """Positions in the order of ``wanted``, at least ``gap`` apart and as near to it as can be."""
    groups = []  # [sum of what the members want for the first, number of members]
    for value in wanted:
        groups.append([value, 1])
        while len(groups) > 1 and groups[-1][0] / groups[-1][1] < groups[-2][0] / groups[-2][1] + gap * groups[-2][1]:
            total, count = groups.pop()
            before = groups[-1][1]
            groups[-1] = [groups[-1][0] + total - count * before * gap, before + count]
    return [total / count + gap * place for total, count in groups for place in range(count)]


def _write_numbers(ax, weights):
    for (row, column), weight in np.ndenumerate(weights):
        text = f"{weight:.2f}".lstrip("0") if 0.005 <= weight < 0.995 else f"{weight:.0f}"
        ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=_readable_on(weight), fontsize=9)


def _readable_on(weight):
    """The colour that can be read best on the cell of a weight, in the light theme and in the dark one.

    A page shows ``ink`` and ``paper`` in each theme's own colour, but leaves the dark theme's colours as they are.
    """
    light, dark = PALETTE["light"], PALETTE["dark"]
    cells = [_on_scale(PALETTE["weights"][theme], weight) for theme in ("light", "dark")]
    choices = {light["ink"]: dark["ink"], light["paper"]: dark["paper"]}
    choices |= {dark[name]: dark[name] for name in ("ink", "paper")}
    return max(choices, key=lambda shown: min(map(_contrast, cells, (shown, choices[shown]))))


def _on_scale(colours, weight):
    return LinearSegmentedColormap.from_list("", colours)(float(weight))


def _contrast(one, other):
    """The contrast of two colours as the web's accessibility rules count it, from 1 to 21."""

    def luminance(colour):
        parts = np.array(to_rgb(colour))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _label_cells(ax, rows, columns, cell):
    turned = 45 if cell > 0.25 else 90
    ax.set_aspect("equal")
    ax.invert_yaxis()
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows)
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=turned)
    if cell <= 0.2:
        ax.tick_params(labelsize=8)
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False, pad=3)
    for label in ax.get_xticklabels():  # those above the grid, now that they are shown
        label.set(ha="left", va="center" if turned == 90 else "bottom", rotation_mode="anchor")
    for side in ax.spines.values():
        side.set_visible(False)


def _weight_key(ax, rows, columns):
    """A small scale of weights beside the grid, half a cell wide."""
    key = ax.inset_axes((1 + 0.6 / columns, 0.0, 0.5 / columns, min(1.0, 6 / rows)))
    key.pcolormesh(np.linspace(0, 1, 21)[:, None], cmap=WEIGHTS, vmin=0, vmax=1, edgecolors="face", linewidth=0.3)
    key.set_xticks([])
    key.set_yticks([0, 10.5, 21], ["0", ".5", "1"])
    key.yaxis.tick_right()
    key.tick_params(length=2)
    for side in key.spines.values():
        side.set(visible=True, color=LIGHT["muted"])


def _quiet(values, largest):
    """Round to about a thousandth of the largest number: below a pixel, far above the noise of floats."""
    if largest == 0:
        return values
    unit = 10.0 ** np.ceil(np.log10(0.7 * largest) - 3)
    return np.floor(values / unit + 0.6234) * unit  # the border lies where no share or half of a unit does


def _array(name, values, *dimensions):
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    wanted = " or ".join(map(str, dimensions))
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers with {wanted} axes; it holds {array.dtype} of shape {array.shape}")
    if array.ndim not in dimensions or not array.size:
        raise ValueError(f"{name} must have {wanted} axes, none of them empty; its shape is {array.shape}")
    if not np.isfinite(array).all():
        place = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise ValueError(f"{name} must hold finite numbers; at {place} it holds {array[place]}")
    return array.astype(float)


def _one_sentence(ax, x, y, words, weights):
    """Write a sentence from ``x`` on, as far as there is room."""
    for word, weight in zip(words, weights, strict=True):
        if x + _box(word) > WIDTH - 0.2:
            ax.text(x, y, "…", va="center")
            return
        x += _on_weight(ax, x, y, word, weight) + 0.02


def _on_weight(ax, x, y, text, weight, width=None):
    """Write a text on the colour of its weight; give the width of its box, in inches."""
    weight = float(_quiet(np.float64(weight), 1.0))
    wide = width or _box(text)
    ax.add_patch(Rectangle((x, y - 0.115), wide, 0.23, color=WEIGHTS(weight), linewidth=0))
    ax.text(x + wide / 2, y, text, fontsize=10, ha="center", va="center_baseline", color=_readable_on(weight))
    return wide


def _box(text):
    return TextPath((0, 0), text, size=10).get_extents().width / 72 + 0.08


# --- SVG text --------------------------------------------------------------------------------------------------------


def _short_numbers(value):
    """Two digits after the point are a hundredth of a point: enough."""
    return re.sub(r"(?<![\w#])-?\d+\.\d{3,}", lambda match: f"{round(float(match[0]), 2) + 0.0:g}", value)


def _referred(name, value):
    """The id that an attribute refers to, as a list of one; of none if it holds a picture itself."""
    return [value[1:]] if name.endswith("href") and value.startswith("#") else []


def _renumber(root):
    """Number the ids that are used, in order, and drop the others: matplotlib makes them from digits now rounded."""
    used = []
    for element in root.iter():
        for name, value in element.attrib.items():
            found = re.findall(r"url\(#([^)]+)\)", value) + _referred(name, value)
            used += [name for name in found if name not in used]
    new = {old: f"wa-id-{number}" for number, old in enumerate(used)}
    for element in root.iter():
        if "id" in element.attrib and element.attrib["id"] not in new:
            del element.attrib["id"]
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, new[value])
            elif _referred(name, value):
                element.set(name, "#" + new[value[1:]])
            else:
                element.set(name, re.sub(r"url\(#([^)]+)\)", lambda match: f"url(#{new[match[1]]})", value))
