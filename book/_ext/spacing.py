"""Keeps on one line what belongs together.

A number stays with its percent sign, a formula with the comma behind it, and in one piece stay a short name of code, a
name such as local-m and two linked words.
"""

import re

from docutils import nodes
from results import SPACE
from sphinx.transforms import SphinxTransform

LONGEST = 22  # letters of code that fit on a line of a phone beside a word or two
NAME = re.compile(r"(\b\w+-\w\b|\b\w+–\w+\b)")
AS_TYPED = (nodes.literal, nodes.math, nodes.raw, nodes.FixedTextElement)


class KeepPercentSigns(SphinxTransform):
    """Put a space that does not break before each percent sign of prose."""

    default_priority = 850  # when the roles have written their numbers

    def apply(self, **kwargs):
        """Replace what a reader reads as text, and nothing that is quoted as typed."""
        for text in list(self.document.findall(nodes.Text)):
            if not isinstance(text.parent, AS_TYPED) and (kept := kept_together(text)) != text:
                text.parent.replace(text, nodes.Text(kept))


class KeepShortCode(SphinxTransform):
    """Mark code of short words for the style sheet: else a line ends within --source, behind its second hyphen."""

    default_priority = 850

    def apply(self, **kwargs):
        """Give such code a class: code that is short as a whole, and code of short words."""
        for code in self.document.findall(nodes.literal):
            if max(map(len, code.astext().split()), default=0) <= LONGEST:
                code["classes"].append("whole" if len(code.astext()) <= LONGEST else "short")


class KeepMarksWithMaths(SphinxTransform):
    """Let no line begin with the comma behind a formula: a browser may break a line at either side of a formula."""

    default_priority = 850

    def apply(self, **kwargs):
        """Put a formula and what touches it into one span that does not break."""
        for formula in list(self.document.findall(nodes.math)):
            line = formula.parent
            place = line.index(formula)
            before, after = (line[i] if 0 <= i < len(line) else None for i in (place - 1, place + 1))
            head, opening = cut(before, r"(?s)(.*?)([(\[“]*)")
            closing, tail = cut(after, r"(?s)([^\s]{0,6}(?=\s|$)|[.,;:)\]”’]*)(.*)")
            if opening or closing:
                span = nodes.inline("", "", *texts(opening), formula.deepcopy(), *texts(closing), classes=["together"])
                taken = slice(place - bool(head + opening), place + 1 + bool(closing + tail))
                line[taken] = [*texts(head), span, *texts(tail)]


def texts(text: str) -> list[nodes.Text]:
    """A text as a list of nodes: none if it is empty."""
    return [nodes.Text(text)] if text else []


class KeepNames(SphinxTransform):
    """Put what a hyphen or a dash joins closely, local-m or not–ne, into a span that does not break."""

    default_priority = 851  # the spans of formulas stand

    def apply(self, **kwargs):
        """Cut each text at such names."""
        for text in list(self.document.findall(nodes.Text)):
            parts = NAME.split(text)
            if len(parts) > 1 and not isinstance(text.parent, AS_TYPED):
                named = [
                    nodes.inline("", part, classes=["together"]) if place % 2 else nodes.Text(part)
                    for place, part in enumerate(parts)
                    if part
                ]
                text.parent.replace(text, named)


def cut(text: nodes.Node | None, pattern: str) -> tuple[str, str]:
    """The two parts of a text; of what is no text, nothing."""
    return re.fullmatch(pattern, text).groups() if isinstance(text, nodes.Text) else ("", "")


def kept_together(text: str) -> str:
    """A text whose percent signs stay with what they follow.

    A text may begin with the sign, behind the number of a role.

    >>> kept_together("About 80 % of them")
    'About 80\\xa0% of them'
    """
    return re.sub(r"(?<=\d) %|^ %", f"{SPACE}%", text)


def setup(app):
    """Register the transforms."""
    app.add_transform(KeepPercentSigns)
    app.add_transform(KeepMarksWithMaths)
    app.add_transform(KeepNames)
    app.add_transform(KeepShortCode)
    return {"version": "1", "env_version": 6, "parallel_read_safe": True, "parallel_write_safe": True}
