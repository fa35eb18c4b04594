"""Questions that a reader answers before reading on: ``choose`` among options, and ``predict`` a number.

Both stand closed until the reader opens them, and they need no script to open: an option, and what was measured, are
``details`` elements. With a script a guess is set on a slider and shown beside the measurement. Where nothing can be
opened (on one page for all, in an e-book) everything stands open.
"""

import html
import math
import re
from string import ascii_uppercase
from typing import ClassVar, NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from house import LOGGER, Box, chapter_number
from results import FOLDER, SPACE, measured_node, show, show_interval

from attention_src.experiments.results import Interval, ResultsError, load

OPTION = re.compile(r"[-*+] \[([ xX])\] +(?=\S)")
NEARLY_AN_OPTION = re.compile(r"[-*+] ?\[.?\]")
RIGHT, WRONG = "✓ Right.", "✗ Not right."
OPENED_BY_READER = ("html", "dirhtml")  # builders whose pages can open and close
REVEAL = "See what was measured"


class Check(Box):
    """A question, numbered within its chapter; the argument is what it asks."""

    required_arguments = 1
    optional_arguments = 0

    def check(self, kind: str) -> nodes.admonition:
        """Return the box with its number and its question, still without what follows."""
        count = self.env.temp_data["checks"] = self.env.temp_data.get("checks", 0) + 1
        chapter = chapter_number(self.env.docname)
        self.number = f"{chapter}.{count}" if chapter else f"{count}"
        box = nodes.admonition(classes=["box", "check", kind])
        self.set_source_info(box)
        self.add_name(box)
        parsed, messages = self.state.inline_text(self.arguments[0], self.lineno)
        box += nodes.title("", "", nodes.inline("", f"Check {self.number}", classes=["number"]), nodes.Text(" "))
        box[-1] += parsed
        box += messages
        return box

    def wrong(self, words: str) -> Exception:
        """Return the error that names the directive, with page and line."""
        return self.error(f"{self.name}: {words}")


# --- choose ----------------------------------------------------------------------------------------------------------


class choice(nodes.General, nodes.Element):  # docutils names its nodes in lower case
    """One option: its text, then whether it is right and why."""


class choice_text(nodes.General, nodes.TextElement):
    """What an option says."""


class Choose(Check):
    """A question with options, of which one is right; each option has its reason."""

    def run(self):
        """Return the box with its options."""
        before, options = self.split()
        box = self.check("choose")
        self.state.nested_parse(self.content[:before], self.content_offset, box)
        group = f"check-{self.number}".replace(".", "-")
        several = "Choose all" in self.arguments[0]
        for letter, option in zip(ascii_uppercase, options, strict=False):
            box += self.option(*option, letter, group="" if several else group)
        return [box]

    def split(self):
        """Return where the options begin, and of each: whether it is right, its first line, and that of the next."""
        lines = list(self.content)
        starts = [number for number, line in enumerate(lines) if OPTION.match(line)]
        inside = lines[starts[0] :] if starts else []
        stray = [line for line in lines[: len(lines) - len(inside)] if NEARLY_AN_OPTION.match(line)]
        stray += [line for line in inside if line.strip() and line[0] != " " and not OPTION.match(line)]
        if stray:
            raise self.wrong(
                f'an option begins with "- [ ] " or "- [x] ", what belongs to it with two blanks; not {stray[0]!r}'
            )
        if len(starts) < 2:
            raise self.wrong(f'at least two options ("- [ ] …") are wanted, but there are {len(starts)}')
        right = [OPTION.match(lines[start])[1] != " " for start in starts]
        if not any(right):
            raise self.wrong('no option is right: mark one with "- [x]"')
        if sum(right) > 1 and "Choose all" not in self.arguments[0]:
            raise self.wrong(f'{sum(right)} options are right: mark one, or write "Choose all" into the question')
        return starts[0], list(zip(right, starts, [*starts[1:], len(lines)], strict=True))

    def option(self, right: bool, start: int, end: int, letter: str, group: str) -> choice:
        """Return the option that the lines from ``start`` to ``end`` hold."""
        lines = list(self.content[start:end])
        gap = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
        text = " ".join([OPTION.sub("", lines[0], count=1), *map(str.strip, lines[1:gap])])
        if not "".join(lines[gap:]).strip():
            raise self.wrong(
                f"the option {text!r} has no reason: leave a line empty, then say why, with two blanks before"
            )
        node = choice(right=right, group=group)
        self.set_source_info(node)
        parsed, messages = self.state.inline_text(text, self.lineno + self.content_offset + start)
        node += [choice_text("", "", *parsed, letter=letter), *messages]
        reason = self.content[start + gap : end]
        reason.trim_left(min(len(line) - len(line.lstrip()) for line in lines[gap:] if line.strip()))
        self.state.nested_parse(reason, self.content_offset + start + gap, node)
        verdict = nodes.strong(text=RIGHT if right else WRONG, classes=["verdict"])
        if isinstance(node[1], nodes.paragraph):
            node[1].insert(0, [verdict, nodes.Text(" ")])
        else:
            node.insert(1, nodes.paragraph("", "", verdict))
        return node


def opens(builder) -> bool:
    """Return whether a reader can open and close parts of what is built."""
    return builder.name in OPENED_BY_READER


def visit_choice(translator, node):
    """Open the option."""
    kind = "choice right" if node["right"] else "choice"
    name = f' name="{node["group"]}"' if node["group"] else ""
    translator.body.append(f'<details class="{kind}"{name}>' if opens(translator.builder) else f'<div class="{kind}">')


def depart_choice(translator, node):
    """Close the reason and the option."""
    translator.body.append("</div></details>\n" if opens(translator.builder) else "</div></div>\n")


def visit_choice_text(translator, node):
    """Open what the option says."""
    letter = f"<b>{node['letter']}</b> " if "letter" in node else ""  # also the name of an option that is all maths
    start = f"<summary>{letter}<span>" if opens(translator.builder) else f'<p class="summary">{letter}'
    translator.body.append(start)


def depart_choice_text(translator, node):
    """Close it, and open the reason."""
    translator.body.append("</span></summary>" if opens(translator.builder) else "</p>")
    translator.body.append('<div class="answer-body">')


# --- predict ---------------------------------------------------------------------------------------------------------


class prediction(nodes.General, nodes.Element):
    """A slider for a guess, then what was measured and why."""


class Scale(NamedTuple):
    """From where to where a guess may lie, in which unit, and how many times the stored number is what is shown."""

    low: float
    high: float
    unit: str = ""
    times: float = 1


class Predict(Check):
    """A number to guess, then what was measured and why it is so."""

    has_content = True
    option_spec: ClassVar = Check.option_spec | {
        "of": directives.unchanged_required,
        "low": float,
        "high": float,
        "unit": directives.unchanged_required,
    }

    def run(self):
        """Return the box with the slider and the measurement."""
        for option in ("of", "low", "high"):
            if option not in self.options:
                raise self.wrong(f"the option :{option}: is missing")
        if not self.content:
            raise self.wrong("say below the options why it is so, in one to three sentences")
        try:
            interval, form = self.measure()
        except ResultsError as error:
            raise self.wrong(str(error)) from None
        scale = self.scale(interval, form)
        box = self.check("predict")
        node = prediction(number=self.number, step=slider_step(scale, form), **scale._asdict())
        self.set_source_info(node)
        node += self.sentence(interval, form, scale.unit)
        node += nodes.raw("", drawn(interval.values, interval.median, scale), format="html")
        self.state.nested_parse(self.content, self.content_offset, node)
        box += node
        return [box]

    def measure(self) -> tuple[Interval, str]:
        """Return what ``:of:`` names, over all seeds, as the page shows it, and its format."""
        stem, _, rest = self.options["of"].partition(":")
        path, _, form = rest.partition(":")
        self.env.note_dependency(str(FOLDER / f"{stem}.json"))
        self.env.note_dependency(__file__)
        if not path:
            raise ResultsError(f":of: wants a stem, a colon and a name, as in stem:name; not {self.options['of']!r}")
        interval = load(stem, FOLDER).over_seeds(path)
        show(interval.median, form)  # refuses what is no format
        return interval, form

    def scale(self, interval: Interval, form: str) -> Scale:
        """Return the scale for guess and measurement; it must hold both ends of the interval."""
        low, high = self.options["low"], self.options["high"]
        if low >= high:
            raise self.wrong(f":low: must be below :high:, but they are {low:g} and {high:g}")
        times = 100 if re.fullmatch(r",?(\.\d)?%", form) else 1  # a share is shown in percent
        if not low <= times * interval.low <= times * interval.high <= high:
            found = f"{times * interval.low:g} to {times * interval.high:g}"
            raise self.wrong(f"the seeds measured {found}, which must lie within :low: {low:g} and :high: {high:g}")
        return Scale(low, high, self.options.get("unit", ""), times)

    def sentence(self, interval: Interval, form: str, unit: str) -> nodes.paragraph:
        """Return the sentence that says what was measured."""
        words = show_interval(interval, form)
        if unit and not form.endswith("%"):
            words = words.replace(" (", f"{SPACE}{unit} (", 1)
        said = nodes.raw("", '<span class="said" hidden="">You said <b></b>. </span>', format="html")
        over = nodes.Text(f"Measured, over {len(interval.values)}{SPACE}seeds: ")
        return nodes.paragraph("", "", said, over, measured_node(words, interval, form), nodes.Text("."))


def slider_step(scale: Scale, form: str) -> float:
    """The step of a slider: 1, 2 or 5 times a power of ten, about a hundred in all, and no finer than the format.

    >>> slider_step(Scale(0, 100), ".0f"), slider_step(Scale(0, 8), ".0f"), slider_step(Scale(0, 1), ".3f")
    (1.0, 1.0, 0.01)
    """
    wanted = (scale.high - scale.low) / 100
    power = 10.0 ** math.floor(math.log10(wanted))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= wanted * 0.999)
    digits = re.search(r"\.(\d)", form)
    finest = 10.0 ** -int(digits[1]) if digits else 1.0 if form in (",", "%") else 0.0
    return max(step, finest)


def drawn(values: tuple[float, ...], median: float, scale: Scale) -> str:
    """The scale as HTML: its ends, a dot a seed, the median, and a place for the reader's guess."""

    def at(value):
        return f"--at: {100 * (scale.times * value - scale.low) / (scale.high - scale.low):.4g}%"

    units = ("%" if scale.unit == "%" else ""), scale.unit  # not "1 times"
    ends = [
        f"{show(end)}{SPACE}{html.escape(unit)}".strip(SPACE)
        for end, unit in zip((scale.low, scale.high), units, strict=True)
    ]
    middle = f"{show(scale.times * median)}{SPACE}{html.escape(scale.unit)}".strip(SPACE)
    dots = "".join(f'<i class="seed" style="{at(value)}"></i>' for value in values)
    return (
        f'<div class="spread" role="img" aria-label="A scale from {ends[0]} to {ends[1]}: measured {middle}">'
        f'<span>{ends[0]}</span><div><b class="mine" hidden="">you</b>{dots}'
        f'<b class="median" style="{at(median)}">measured</b></div><span>{ends[1]}</span></div>'
    )


def visit_prediction(translator, node):
    """Write the slider, which waits for the script, and open the measurement."""
    if not opens(translator.builder):
        translator.body.append('<div class="answer-body">')
        return
    name = f"guess-{node['number']}".replace(".", "-")
    middle = node["low"] + node["step"] * round((node["high"] - node["low"]) / node["step"] / 2)
    limits = " ".join(
        f'{key}="{value:.12g}"'
        for key, value in [("min", node["low"]), ("max", node["high"]), ("step", node["step"]), ("value", middle)]
    )
    translator.body.append(
        f'<div class="prediction"><div class="guess" hidden=""><label for="{name}">Your guess</label>'
        f'<input type="range" id="{name}" {limits} data-unit="{html.escape(node["unit"])}">'
        f'<output for="{name}"></output></div>'
        f'<details class="answer"><summary>{REVEAL}</summary><div class="answer-body">'
    )


def depart_prediction(translator, node):
    """Close what ``visit_prediction`` opened."""
    translator.body.append("</div></details></div>\n" if opens(translator.builder) else "</div>\n")


# --- titles ----------------------------------------------------------------------------------------------------------


ENDED_FENCE = re.compile(r"^[ \t]*`{3,}\{[\w:-]+\}.*`", re.MULTILINE)


def check_fences(app, docname, content):
    """Warn of a backquote in the title of a directive: Markdown then takes the whole box for running text."""
    for found in ENDED_FENCE.finditer(content[0]):
        line = content[0].count("\n", 0, found.start()) + 1
        LOGGER.warning(
            "a backquote in this title ends the box before it begins; leave it out", location=(docname, line)
        )


# --- set-up ----------------------------------------------------------------------------------------------------------


def setup(app):
    """Register the directives and their nodes."""
    app.add_directive("choose", Choose)
    app.add_directive("predict", Predict)
    app.add_node(choice, html=(visit_choice, depart_choice))
    app.add_node(choice_text, html=(visit_choice_text, depart_choice_text))
    app.add_node(prediction, html=(visit_prediction, depart_prediction))
    app.connect("source-read", check_fences)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
