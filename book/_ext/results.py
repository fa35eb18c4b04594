"""Numbers of the experiments in the pages: no number of a page is typed.

Roles, by the example of the stem ``bottleneck``::

    {result}`bottleneck:attention.exact.21-30:.0f%`   96 % (94 to 98)    median over the seeds, smallest and largest
    {median}`bottleneck:attention.exact.21-30:.0f%`   96 %               the median alone
    {rule}`bottleneck:attention-wins-long`            5 of 5 seeds       in how many seeds a rule held
    {setting}`bottleneck:steps`                       1,400              a number of SETTINGS

The stem ``exercises/bottleneck`` leads to what the solutions of that chapter's exercises measured.

The last part is a format: ``.2f`` for digits after the point, ``.0f%`` for a number that is percent, ``%`` or ``.1%``
for a share that is to become percent, ``,`` for thousands, ``e`` for a power of ten; without it, three digits that
count.
Directives: ``results-table``, ``rules``, ``numbers-from``.
"""

import os
import re
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from attention_src.experiments import Places
from attention_src.experiments.results import Interval, NoSuchPath, Results, ResultsError, descend, load

FOLDER = Places.results
LOGGER = logging.getLogger(__name__)
FORMAT = re.compile(r"|,?(\.\d)?(f|%|f%)|,|e")
SPACE = "\N{NO-BREAK SPACE}"
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class measured(nodes.inline):  # docutils names its nodes in lower case
    """A number with all seeds as its tooltip, where the format has tooltips."""


def visit_measured(translator, node):
    """Open a span with a tooltip."""
    translator.body.append(translator.starttag(node, "span", "", CLASS="over-seeds", title=node["seeds"]))


def depart_measured(translator, node):
    """Close it."""
    translator.body.append("</span>")


# --- numbers as text -------------------------------------------------------------------------------------------------


def show(number: float, form: str = "") -> str:
    """A number as the page writes it.

    >>> show(0.957, "%"), show(95.7, ".0f%"), show(-0.5, ".2f"), show(0.012345), show(20000), show(1.4e-9, "e")
    ('96\\xa0%', '96\\xa0%', '−0.50', '0.0123', '20,000', '1\\xa0·\\xa010⁻⁹')
    """
    if not FORMAT.fullmatch(form):
        raise ResultsError(f"the format {form!r} is none of: .2f  .0f%  %  .1%  ,  e")
    if form.endswith("f%"):
        text = f"{number:{form[:-1]}}{SPACE}%"
    elif form.endswith("%"):
        text = f"{100 * number:{form[:-1] if '.' in form else form[:-1] + '.0'}f}{SPACE}%"
    elif form == "e":
        digit, power = f"{number:.0e}".split("e")
        text = f"{digit}{SPACE}·{SPACE}10{str(int(power)).translate(RAISED)}"
    elif form:
        text = f"{number:{form}}"
    elif number == int(number) or abs(number) >= 1000:
        text = f"{number:,.0f}"
    else:
        text = f"{number:.3g}"
    zero = not re.search("[1-9]", text)
    return text.replace("-", "" if zero else "−")


def show_interval(interval: Interval, form: str = "") -> str:
    """The median with the smallest and the largest in brackets: ``96 % (94 to 98)``.

    A narrow cell of a table breaks in front of the brackets, and not within them.
    """
    middle, low, high = (show(number, form) for number in interval[:3])
    if low == high:
        return f"{middle} (every{SPACE}seed)"
    return f"{middle} ({low.removesuffix(SPACE + '%')}{SPACE}to{SPACE}{high.removesuffix(SPACE + '%')})"


def measured_node(text: str, interval: Interval, form: str) -> measured:
    """The text of a measure, with its seeds."""
    seeds = ", ".join(show(number, form) for number in interval.values)
    return measured(text, text, seeds=f"median of {len(interval.values)} seeds: {seeds}")


# --- roles -----------------------------------------------------------------------------------------------------------


class ResultsRole(SphinxRole):
    """A role whose text begins with a stem; a wrong name is a warning with page and line, which fails the build."""

    def run(self):
        """Return one node."""
        stem, _, rest = self.text.partition(":")
        self.env.note_dependency(str(FOLDER / f"{stem}.json"))
        self.env.note_dependency(__file__)
        try:
            if not rest:
                raise ResultsError(f"a stem, a colon and a name are wanted, as in bottleneck:name; not {self.text!r}")
            return [self.node(load(stem, FOLDER), rest)], []
        except ResultsError as error:
            LOGGER.warning("%s: %s", self.name, error, location=(self.env.docname, self.lineno))
            return [nodes.problematic(self.rawtext, self.rawtext)], []


class ResultRole(ResultsRole):
    """The median over seeds with its interval."""

    def node(self, results: Results, rest: str):
        """Return the text with all seeds as tooltip."""
        path, _, form = rest.partition(":")
        interval = results.over_seeds(path)
        return measured_node(self.words(interval, form), interval, form)

    def words(self, interval, form):
        """Return what the page says."""
        return show_interval(interval, form)


class MedianRole(ResultRole):
    """The median alone."""

    def words(self, interval, form):
        """Return what the page says."""
        return show(interval.median, form)


class RuleRole(ResultsRole):
    """In how many seeds a rule held."""

    def node(self, results: Results, rest: str):
        """Return "4 of 5 seeds"."""
        return nodes.Text(seeds_of(results.rule(rest)))


class SettingRole(ResultsRole):
    """A number or word of SETTINGS."""

    def node(self, results: Results, rest: str):
        """Return the setting as text."""
        path, _, form = rest.partition(":")
        try:
            value = descend(results.settings, path)
        except NoSuchPath as gap:
            names = ", ".join(gap.among) if isinstance(gap.among, dict) else gap.among
            raise ResultsError(
                f"no setting {path!r} in {results.path.name}; at {gap.name!r} there is: {names}"
            ) from None
        if isinstance(value, dict):
            raise ResultsError(f"the setting {path!r} holds several: {', '.join(value)}")
        values = value if isinstance(value, list) else [value]
        return nodes.Text(", ".join(show(v, form) if isinstance(v, int | float) else str(v) for v in values))


def seeds_of(rule: dict) -> str:
    """How many seeds passed, as words."""
    return f"{rule['seeds_passing']} of {rule['seeds_total']}{SPACE}seeds"


# --- directives ------------------------------------------------------------------------------------------------------


class ResultsDirective(SphinxDirective):
    """A directive whose argument is a stem."""

    required_arguments = 1

    def run(self):
        """Return nodes; a wrong name is an error with page and line."""
        self.env.note_dependency(str(FOLDER / f"{self.arguments[0]}.json"))
        self.env.note_dependency(__file__)
        try:
            return self.build(load(self.arguments[0], FOLDER))
        except ResultsError as error:
            raise self.error(f"{self.name}: {error}") from None


class ResultsTable(ResultsDirective):
    """A numbered table of one measure: a pattern of paths with ``{row}`` and ``{column}``, and what is put in."""

    has_content = True
    option_spec: ClassVar = {
        "measure": directives.unchanged_required,
        "rows": directives.unchanged_required,
        "columns": directives.unchanged_required,
        "corner": directives.unchanged,
        "format": directives.unchanged,
        "name": directives.unchanged,
    }

    def build(self, results: Results):
        """Return a table whose content is its caption."""
        for option in ("measure", "rows", "columns"):
            if option not in self.options:
                raise ResultsError(f"the option :{option}: is missing")
        self.assert_has_content()
        form = self.options.get("format", "")
        columns = _labels(self.options["columns"])
        table = nodes.table(classes=["results"])
        self.set_source_info(table)
        caption, messages = self.state.inline_text(" ".join(self.content), self.lineno)
        head = [nodes.Text(text) for text in (self.options.get("corner", ""), *columns.values())]
        rows = []
        for key, label in _labels(self.options["rows"]).items():
            paths = [self.options["measure"].replace("{row}", key).replace("{column}", column) for column in columns]
            intervals = [results.over_seeds(path) for path in paths]
            rows.append([nodes.Text(label)])
            rows[-1] += [measured_node(show_interval(interval, form), interval, form) for interval in intervals]
        widths = [max(len(cell.astext()) for cell in column) for column in zip(head, *rows, strict=True)]
        group = nodes.tgroup("", *[nodes.colspec(colwidth=width) for width in widths], cols=len(widths))
        group += nodes.thead("", _row(head))
        group += nodes.tbody("", *map(_row, rows))
        table += nodes.title("", "", *caption)
        table += group
        self.add_name(table)
        return [table, *messages]


def _labels(text):
    """``"a = first; b"`` as ``{"a": "first", "b": "b"}``; lines do as well as semicolons."""
    parts = [part.strip() for part in re.split(r"[;\n]", text) if part.strip()]
    pairs = [[side.strip() for side in part.split("=", 1)] for part in parts]
    return {pair[0]: pair[-1] for pair in pairs}


def _row(cells):
    return nodes.row("", *[nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells])


class Rules(ResultsDirective):
    """The pass rules of an experiment, stated before the run, with their outcome."""

    def build(self, results: Results):
        """Return a list."""
        found = nodes.bullet_list(classes=["rules"])
        for rule in results.rules.values():
            outcome = "Held" if rule["holds"] else "Failed"
            passed = f" ({seeds_of(rule)} passed, at least {rule['at_least']} were asked for): {rule['rule']}"
            words = nodes.strong(text=outcome), nodes.Text(passed)
            anchor = f"rule-{results.stem}-{rule['name']}"  # the ledger of claims leads here
            found += nodes.list_item("", nodes.paragraph("", "", *words), ids=[anchor])
        return [found]


class NumbersFrom(ResultsDirective):
    """Where the numbers of a page come from, and the command that gives them again."""

    def build(self, results: Results):
        """Return a closed-in note with the command and the file to download."""
        total = sum(sum(parts.values()) for parts in results.seconds.values())
        minutes = f"{total / 60:.0f}{SPACE}minutes" if total >= 90 else f"{max(total, 1):.0f}{SPACE}seconds"
        seeds = list(results.seeds)
        software = f"Python {results.versions['python']} and torch {results.versions['torch']}"
        measured_how = f"{len(seeds)} seeds ({seeds[0]} to {seeds[-1]}), run one by one on one thread with {software}"
        file = nodes.literal(text=results.path.name)
        target = "/" + Path(os.path.relpath(results.path, self.env.srcdir)).as_posix()
        words = nodes.paragraph()
        words += nodes.Text(f"These numbers come from {measured_how} in {minutes}. They are in ")
        words += addnodes.download_reference("", "", file, reftarget=target, refdoc=self.env.docname)
        words += nodes.Text(". To get them again:")
        command = nodes.literal_block(results.command, results.command, language="bash")
        title = nodes.title(text="To get these numbers again")
        note = nodes.admonition("", title, words, command, classes=["numbers-from"])
        self.set_source_info(note)
        return [note]


def setup(app):
    """Register roles and directives."""
    app.add_node(measured, html=(visit_measured, depart_measured))
    for name, role in (("result", ResultRole), ("median", MedianRole), ("rule", RuleRole), ("setting", SettingRole)):
        app.add_role(name, role())
    for name, kind in (("results-table", ResultsTable), ("rules", Rules), ("numbers-from", NumbersFrom)):
        app.add_directive(name, kind)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
