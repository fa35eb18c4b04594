"""The bug museum: ``{exhibits} masks`` shows the exhibits of a family, ``{museum-table}`` lists all of them,
``{museum-checks}`` says which check finds which, and ``{bugs-here}`` names in a chapter those that it explains.

All of them read ``attention_src/exercises/bug_museum.py``, which says what an exhibit is.
"""

import os
import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from house import module_file
from sphinx.util.docutils import SphinxDirective

from attention_src.exercises import bug_museum as museum

FAMILIES = {
    "masks": "Masks",
    "axes": "Axes",
    "order": "Order",
    "numerics": "Numbers",
    "decoder": "Decoders",
}


def anchor(one: museum.Exhibit) -> str:
    """The label of an exhibit's section."""
    return f"bug-{one.name.replace('_', '-')}"


def linked(text: str) -> str:
    """``text`` with a link behind each owner/name#12."""
    return re.sub(r"([\w.-]+/[\w.-]+)#(\d+)", r"[\g<0>](https://github.com/\1/issues/\2)", text)


def of_family(family: str) -> list[museum.Exhibit]:
    """The exhibits of a family, in their order."""
    found = [one for one in museum.EXHIBITS if one.family == family]
    if not found:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, but is {family!r}")
    return found


class MuseumDirective(SphinxDirective):
    """Something about the exhibits, written as Markdown."""

    def parse(self, lines: list[str]) -> list[nodes.Node]:
        """The nodes of some lines of Markdown."""
        self.env.note_dependency(museum.__file__)
        self.env.note_dependency(__file__)
        parsed = nodes.container()
        self.state.nested_parse(StringList(lines, source=museum.__file__), 0, parsed)
        return parsed.children

    def quoted(self, function) -> list[str]:
        """The lines that quote a function of the book."""
        page = Path(self.env.doc2path(self.env.docname)).parent
        source = Path(os.path.relpath(module_file(function.__module__), page)).as_posix()
        return [f"```{{literalinclude}} {source}", f":pyobject: {function.__name__}", "```", ""]


class Exhibits(MuseumDirective):
    """The exhibits of a family, each as a section."""

    required_arguments = 1

    def run(self):
        """Return the sections."""
        try:
            return [self.section(one) for one in of_family(self.arguments[0])]
        except ValueError as error:
            raise self.error(str(error)) from None

    def section(self, one: museum.Exhibit) -> nodes.section:
        """What is wrong, what one sees, why it can live, the test, the fix, and where it was."""
        section = nodes.section(ids=[anchor(one)], names=[anchor(one)])
        section += nodes.title(text=one.title)
        self.state.document.note_explicit_target(section)
        section += self.parse(
            [
                *self.quoted(one.broken),
                *(f"**What one sees.** {one.symptom}", ""),
                *(f"**Why it can live for years.** {one.lives}", ""),
                *("````{answer} The test that exposes it", museum.CHECKS[one.check], ""),
                *self.quoted(one.test),
                *("````", "", "````{answer} The fix", one.fix, ""),
                *self.quoted(one.right),
                *("````", "", f"**Where.** {linked(one.seen)} What is right stands in {{chapter}}`{one.chapter}`."),
            ]
        )
        return section


class Table(MuseumDirective):
    """All exhibits by family, with chapter and check."""

    def run(self):
        """Return the table."""
        lines = ["| family | exhibit | chapter | found by |", "| --- | --- | --- | --- |"]
        for family, name in FAMILIES.items():
            for number, one in enumerate(of_family(family)):
                first = f"**{name}**" if number == 0 else ""
                lines.append(f"| {first} | {{ref}}`{anchor(one)}` | {{chapter}}`{one.chapter}` | {one.check} |")
        return self.parse(lines)


class Checks(MuseumDirective):
    """The checks, each with the exhibits that it finds."""

    def run(self):
        """Return a numbered list."""
        lines = []
        for number, (check, how) in enumerate(museum.CHECKS.items(), start=1):
            found = [f"{{ref}}`{anchor(one)}`" for one in museum.EXHIBITS if one.check == check]
            lines += [f"{number}. **{check[0].upper()}{check[1:]}.** {how}", "", f"   *Finds:* {' · '.join(found)}", ""]
        return self.parse(lines)


class BugsHere(MuseumDirective):
    """The exhibits whose right code stands in this chapter."""

    def run(self):
        """Return one line with a link to each."""
        stem = self.env.docname.rpartition("/")[2][3:]
        found = [f"{{ref}}`{anchor(one)}`" for one in museum.EXHIBITS if one.chapter == stem]
        if not found:
            raise self.error(f"no exhibit of the bug museum names the chapter {stem!r}: leave this line out")
        many = "These bugs stand" if len(found) > 1 else "This bug stands"
        return self.parse([f"{many} in the bug museum, and you can write the test that finds it: {' · '.join(found)}."])


def setup(app):
    """Register the directives."""
    app.add_directive("bugs-here", BugsHere)
    app.add_directive("exhibits", Exhibits)
    app.add_directive("museum-table", Table)
    app.add_directive("museum-checks", Checks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
