"""Numbers that papers report: no such number is typed in a page, and each says where it stands and how it was checked.

``{reported}`vinyals2015pointer:hull.50` `` gives one number of ``book/papers.yml``, with its place as tooltip;
``{reported-from} vinyals2015pointer`` lists what is taken from a paper, ``{reported-states}`` how much was checked in
which way.
"""

from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

import yaml
from docutils import nodes
from results import SPACE
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from attention_src.experiments import ROOT

FILE = ROOT / "book" / "papers.yml"
STATES = {
    "text": "read in the text of the paper",
    "quoted": "read where others quote it",
    "unchecked": "not checked",
}
LOGGER = logging.getLogger(__name__)


class PapersError(ValueError):
    """A number of a paper that is not there, or a file that cannot be read as such numbers."""


@dataclass(frozen=True)
class Reported:
    """Some numbers of one place of a paper."""

    paper: str
    id: str
    place: str
    version: str
    what: str
    state: str
    how: str
    read: str
    numbers: dict[str, str]

    def source(self) -> str:
        """Where the numbers stand and how that was checked: ``table 1 of arXiv …; read in the text of the paper``."""
        return f"{self.place}, {self.version}; {STATES[self.state]}"


def read(path: Path = FILE) -> dict[str, Reported]:
    """All entries of ``path`` by ``paper:id``; an entry with a wrong field is refused by this name."""
    found = {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        name = f"{entry.get('paper')}:{entry.get('id')}"
        wanted = {field.name for field in fields(Reported)}
        if set(entry) != wanted:
            raise PapersError(f"the entry {name} must have the fields {sorted(wanted)}, but it has {sorted(entry)}")
        if empty := [field for field, value in entry.items() if not value]:
            raise PapersError(f"the entry {name} must say something in each field, but these are empty: {empty}")
        if entry["state"] not in STATES:
            raise PapersError(f"the state of {name} must be one of {list(STATES)}, but it is {entry['state']!r}")
        if wrong := [number for number in entry["numbers"].values() if not isinstance(number, str)]:
            raise PapersError(f"the numbers of {name} must stand in quotes, as printed, but these do not: {wrong}")
        if name in found:
            raise PapersError(f"the entry {name} must stand once, but it stands twice")
        found[name] = Reported(**entry)
    return found


def find(entries: dict[str, Reported], text: str) -> tuple[Reported, str]:
    """The entry and the number that ``paper:id.name`` names."""
    name, _, part = text.partition(".")
    if name not in entries:
        raise PapersError(f"{name!r} is none of book/papers.yml, which has: {', '.join(entries)}")
    numbers = entries[name].numbers
    if part not in numbers:
        raise PapersError(f"{name} has no number {part!r}; it has: {', '.join(numbers)}")
    return entries[name], numbers[part]


class ReportedRole(SphinxRole):
    """One number of a paper; a wrong name is a warning with page and line, which fails the build."""

    def run(self):
        """Return the number with its source as tooltip, and in words if nobody has checked it."""
        for path in (FILE, __file__):
            self.env.note_dependency(str(path))
        try:
            entry, number = find(read(), self.text)
        except PapersError as error:
            LOGGER.warning("%s: %s", self.name, error, location=(self.env.docname, self.lineno))
            return [nodes.problematic(self.rawtext, self.rawtext)], []
        shown = f"{number} (not{SPACE}checked)" if entry.state == "unchecked" else number
        return [nodes.abbreviation(shown, shown, explanation=entry.source(), classes=["reported"])], []


class PapersDirective(SphinxDirective):
    """A list from ``book/papers.yml``."""

    option_spec: ClassVar = {}

    def run(self):
        """Return nodes; a file that is wrong is an error with page and line."""
        for path in (FILE, __file__):
            self.env.note_dependency(str(path))
        try:
            return [self.build(list(read().values()))]
        except PapersError as error:
            raise self.error(f"{self.name}: {error}") from None


class ReportedFrom(PapersDirective):
    """What is taken from one paper: place, version, state, and how it was checked."""

    required_arguments = 1

    def build(self, entries: list[Reported]):
        """Return a list with one item an entry."""
        here = [entry for entry in entries if entry.paper == self.arguments[0]]
        if not here:
            raise PapersError(f"book/papers.yml has nothing of the paper {self.arguments[0]!r}")
        found = nodes.bullet_list(classes=["reported-from"])
        for entry in here:
            place = nodes.strong(text=entry.place[0].upper() + entry.place[1:])
            state = nodes.emphasis(text=STATES[entry.state].capitalize())
            how = f": {entry.how}" + ("" if entry.state == "unchecked" else f" Read on {entry.read}.")
            said = nodes.Text(f" ({entry.version}), {entry.what}. "), state, nodes.Text(how)
            found += nodes.list_item("", nodes.paragraph("", "", place, *said))
        return found


class ReportedStates(PapersDirective):
    """How many numbers were checked in which way."""

    def build(self, entries: list[Reported]):
        """Return a list with one item a state."""
        counts = Counter(entry.state for entry in entries for _ in entry.numbers)
        found = nodes.bullet_list(classes=["reported-from"])
        for state, words in STATES.items():
            strong = nodes.strong(text=words.capitalize())
            said = nodes.Text(f": {counts[state]} of {counts.total()} numbers")
            found += nodes.list_item("", nodes.paragraph("", "", strong, said))
        return found


def setup(app):
    """Register the role and the directives."""
    app.add_role("reported", ReportedRole())
    app.add_directive("reported-from", ReportedFrom)
    app.add_directive("reported-states", ReportedStates)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
