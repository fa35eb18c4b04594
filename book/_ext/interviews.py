"""Questions of interviews: the boxes of the chapters, and the page that collects them.

A box says by ``:level:`` how far into an interview its question comes, and by ``:shown:`` what in the book shows the
answer. ``{interviews} 01_looking 02_bottleneck`` collects the boxes of some chapters by level, ``{minute}`` gives the
answers of some in a minute, and ``{levels}`` lets the reader see one level alone. The page holds copies of what the
chapters say, made each time it is written: no sentence is written twice.
"""

from collections.abc import Iterator
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from house import Box, chapter_number
from questions import choice_text, opens
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

LOGGER = logging.getLogger(__name__)
LEVELS = {"first": "Asked first", "deeper": "One level deeper", "hard": "Hard"}
MINUTE = "In a minute."
NUMBERED = ("figure", "table", "code-block")


# --- a box -----------------------------------------------------------------------------------------------------------


class shown(nodes.General, nodes.Element):  # docutils names its nodes in lower case
    """Stands for the line under an answer: its level or its chapter, and links to what shows it."""


class Interview(Box):
    """A question of an interview with its answer, how far it goes, and what in the book shows it."""

    required_arguments = 1
    optional_arguments = 0
    option_spec: ClassVar = Box.option_spec | {
        "level": directives.unchanged_required,
        "shown": directives.unchanged_required,
    }

    def run(self):
        """Return the box with a line under its answer."""
        level = self.options.get("level", "")
        if level and level not in LEVELS:
            raise self.error(f"{self.name}: :level: must be one of {', '.join(LEVELS)}, but it is {level!r}")
        labels = [label.strip() for label in self.options.get("shown", "").split(",") if label.strip()]
        (box,) = super().run()
        box["question"] = self.arguments[0]
        box["ids"].append(nodes.make_id(f"interview {chapter_number(self.env.docname) or ''} {self.arguments[0]}"))
        self.state.document.set_id(box)
        line = shown(level=level, labels=labels)
        self.set_source_info(line)
        box += line
        return [box]


def boxes(document: nodes.document) -> Iterator[nodes.admonition]:
    """Yield the questions of a page."""
    return document.findall(lambda node: isinstance(node, nodes.admonition) and "question" in node)


class ShowWhere(SphinxPostTransform):
    """Write the line under each answer."""

    default_priority = 5  # before Sphinx resolves references

    def run(self, **kwargs):
        """Replace every stand-in."""
        for line in list(self.document.findall(shown)):
            docname = line.get("collected", self.env.docname)
            parts = [nodes.Text(LEVELS[line["level"]])] if line["level"] and "collected" not in line else []
            parts += line.children
            links = [link for label in line["labels"] if (link := self.link(label, docname, line))]
            parts += [nodes.inline("", "Shown in ", *self.listed(links))] if links else []
            words = [node for part in parts for node in (nodes.Text(" · "), part)][1:]
            line.replace_self([nodes.paragraph("", "", *words, classes=["where"])] if parts else [])

    @staticmethod
    def listed(links):
        """Return links with commas and an "and" between them."""
        found = [links[0]]
        for link in links[1:]:
            found += [nodes.Text(" and " if link is links[-1] else ", "), link]
        return found

    def link(self, label: str, docname: str, line: shown) -> nodes.Node | None:
        """Return a reference to what is called ``label``: Sphinx resolves it as it does a role's."""
        if (role := self.role(label)) is None:
            said = "interview: :shown: names %r, which is no figure, table, equation, listing or section"
            if "collected" not in line:  # once is enough
                LOGGER.warning(said, label, location=line)
            return None
        domain, _, kind = role.partition(":")
        text = nodes.inline("", label, classes=["xref", domain, f"{domain}-{kind}"])
        wanted = {"refdomain": domain, "reftype": kind, "reftarget": label, "refdoc": docname}
        return addnodes.pending_xref("", text, refexplicit=False, refwarn=True, **wanted)

    def role(self, label: str) -> str | None:
        """Return the role that refers to what is called ``label``, or None if none does."""
        if label in self.env.get_domain("math").equations:
            return "math:eq"
        standard = self.env.get_domain("std")
        if label not in standard.labels:
            return None
        page, anchor, _ = standard.labels[label]
        node = self.env.get_doctree(page).ids.get(anchor)
        numbered = node is not None and standard.get_enumerable_node_type(node) in NUMBERED
        return "std:numref" if numbered else "std:ref"


# --- the page of all -------------------------------------------------------------------------------------------------


class asked(nodes.General, nodes.Element):
    """A question that opens, and its answer."""


class collection(nodes.General, nodes.Element):
    """Stands for the questions of some chapters, or for some answers in a minute."""


class level_buttons(nodes.General, nodes.Element):
    """Buttons for one level alone."""


class Collecting(SphinxDirective):
    """A directive that is filled from other pages when its page is written."""

    def stand_in(self, **attributes) -> list[nodes.Node]:
        """Return what stands for the copies, and note that the page follows all others."""
        self.env.metadata[self.env.docname]["interviews"] = "collects"
        self.env.note_dependency(__file__)  # a page written by an older copy of this file would stay as it was
        node = collection(docname=self.env.docname, **attributes)
        self.set_source_info(node)
        return [node]


class Interviews(Collecting):
    """The questions of some chapters, by level."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        """Return a stand-in."""
        return self.stand_in(chapters=self.arguments[0].split(), minute=[])


class Minute(Collecting):
    """Answers in a minute: a chapter, a colon and a question in each line."""

    has_content = True

    def run(self):
        """Return a stand-in."""
        self.assert_has_content()
        lines = [line.removeprefix("- ").partition(": ") for line in self.content if line.strip()]
        return self.stand_in(chapters=[], minute=[(chapter, question) for chapter, _, question in lines])


class Levels(SphinxDirective):
    """Buttons for one level alone; the style sheet does what they say, so that they need no script."""

    def run(self):
        """Return the buttons."""
        choices = {"all": "All", **LEVELS}
        buttons = "".join(
            f'<label><input type="radio" name="level" id="level-{key}"{" checked" * (key == "all")}> {text}</label>'
            for key, text in choices.items()
        )
        html = f'<fieldset class="levels"><legend>Show</legend>{buttons}</fieldset>'
        return [level_buttons("", nodes.raw("", html, format="html"))]


def is_equation(node: nodes.Node) -> bool:
    """Return whether a node is an equation, in a line of text or on its own."""
    return isinstance(node, nodes.math | nodes.math_block)


class Collect(SphinxPostTransform):
    """Fill the page of all questions with copies of the chapters' boxes."""

    default_priority = 1  # what is copied still holds references, which are resolved here as everywhere

    def run(self, **kwargs):
        """Replace every stand-in."""
        for buttons in list(self.document.findall(level_buttons)):
            if not opens(self.app.builder):
                buttons.parent.remove(buttons)
        for place in list(self.document.findall(collection)):
            found = list(self.by_level(place) if place["chapters"] else self.in_a_minute(place))
            if any(node for box in found for node in box.findall(is_equation)):  # else the page would load no MathJax
                self.env.get_domain("math").data["has_equations"][place["docname"]] = True
            place.replace_self(found)

    def questions(self, chapter: str, place: collection) -> list[nodes.admonition]:
        """Return the boxes of a chapter; a chapter that has none is a warning."""
        page = f"{place['docname'].rpartition('/')[0]}/{chapter}".lstrip("/")
        found = list(boxes(self.env.get_doctree(page))) if page in self.env.found_docs else []
        if not found:
            LOGGER.warning("no page %s has a question of an interview", chapter, location=place)
        return [self.copied(box, page, place["docname"]) for box in found]

    def copied(self, box: nodes.admonition, page: str, docname: str) -> nodes.admonition:
        """Return a copy that can stand in the page ``docname``: without ids, its references made from there."""
        anchor = box["ids"][0]
        box = box.deepcopy()
        for node in box.findall(nodes.Element):
            node["ids"] = []
            if "refdoc" in node:
                node["refdoc"] = docname
            if isinstance(node, nodes.reference) and "refid" in node:
                node["refuri"] = f"{self.app.builder.get_relative_uri(docname, page)}#{node.attributes.pop('refid')}"
            if isinstance(node, nodes.math_block):
                node["label"] = node["number"] = None
        title = self.env.titles[page].astext()
        box["chapter"] = chapter_number(page)
        chapter = nodes.Text(f"Chapter {box['chapter']}, {title}")
        (line,) = box.findall(shown)
        line["collected"] = docname
        line += make_refnode(self.app.builder, docname, page, anchor, chapter)
        return box

    def by_level(self, place: collection) -> Iterator[nodes.Node]:
        """Yield a group for each level."""
        found = [box for chapter in place["chapters"] for box in self.questions(chapter, place)]
        for level, name in LEVELS.items():
            group = nodes.container("", classes=["level", level])
            group += nodes.rubric("", name)
            for box in found:
                if (self.level(box) or "deeper") == level:
                    box[0] += [nodes.Text(" "), nodes.inline("", f"chapter {box['chapter']}", classes=["from"])]
                    group += self.opening(box, box[1:])
            if len(group) > 1:
                yield group

    @staticmethod
    def level(box: nodes.admonition) -> str:
        """Return the level of a question."""
        return next(iter(box.findall(shown)))["level"]

    @staticmethod
    def opening(box: nodes.admonition, answer: list[nodes.Node]) -> asked:
        """Return a question that opens."""
        return asked("", choice_text("", "", *box[0].children), *answer)

    def in_a_minute(self, place: collection) -> Iterator[asked]:
        """Yield each question with what its box says in a minute."""
        for chapter, question in place["minute"]:
            found = [box for box in self.questions(chapter, place) if box["question"] == question]
            short = [part for box in found for part in box if part.astext().startswith(MINUTE)]
            if not short:
                said = "no box %r of %s has a paragraph that begins with **%s**"
                LOGGER.warning(said, question, chapter, MINUTE, location=place)
                continue
            mark = next(short[0].findall(nodes.strong))
            short[0].children = [child for child in short[0].children if child is not mark]
            line = next(iter(found[0].findall(shown)))
            line["labels"] = []
            yield self.opening(found[0], [short[0], line])


def pages_that_collect(app, env, added, changed, removed):
    """Read the pages that collect questions again when another page has changed."""
    pages = [page for page, meta in env.metadata.items() if "interviews" in meta]
    return pages if added or changed or removed else []


def as_it_is(translator, node):
    """Write nothing around a node's content."""


def visit_asked(translator, node):
    """Open a question."""
    translator.body.append('<details class="answer asked">' if opens(translator.builder) else '<div class="asked">')


def depart_asked(translator, node):
    """Close the answer and the question."""
    translator.body.append("</div></details>\n" if opens(translator.builder) else "</div></div>\n")


# --- set-up ----------------------------------------------------------------------------------------------------------


def setup(app):
    """Register directives, nodes and transforms."""
    app.setup_extension("questions")
    app.add_directive("interview", Interview)
    app.add_directive("interviews", Interviews)
    app.add_directive("minute", Minute)
    app.add_directive("levels", Levels)
    app.add_node(asked, html=(visit_asked, depart_asked))
    app.add_node(level_buttons, html=(as_it_is, as_it_is))
    app.add_post_transform(Collect)
    app.add_post_transform(ShowWhere)
    app.connect("env-get-outdated", pages_that_collect)
    # a page that was parsed before its boxes were made here is read again
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
