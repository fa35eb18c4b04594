"""The glossary, and the links to it: each term is linked where a chapter first uses it.

``{terms}`` shows the terms of ``book/glossary.yml``, whose head says how a term is written down. In the chapters
nothing is written for the links: once a page is put together, its running text is searched for the terms.
"""

import functools
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

import yaml
from docutils import nodes
from house import ROOT, chapter_number, is_notebook
from results import SPACE
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

TERMS = ROOT / "book" / "glossary.yml"
# What is no running text: a heading, code, an equation, a link, a caption, a table, a summary, a question.
APART = (
    *(nodes.title, nodes.rubric, nodes.caption, nodes.legend, nodes.figure, nodes.table, nodes.term, nodes.raw),
    *(nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.reference, addnodes.download_reference),
    *(nodes.footnote, nodes.citation, nodes.system_message, addnodes.start_of_file),
)
OURS_APART = {"choice_text", "measured"}
BOXES_APART = {"question", "interview", "check", "claim", "numbers-from"}


class GlossaryError(ValueError):
    """A list of terms that cannot be used as one."""


@dataclass(frozen=True)
class Term:
    """One term, as the list has it."""

    term: str
    zh: str
    pinyin: str
    means: str
    chapter: str
    variants: tuple[str, ...] = ()
    but_not: tuple[str, ...] = ()  # phrases in which the word means something else
    not_in: tuple[str, ...] = ()  # chapters in which it does

    @property
    def anchor(self) -> str:
        """Return the id of the term on its page."""
        return f"term-{nodes.make_id(self.term)}"


def read(path: Path = TERMS) -> list[Term]:
    """Return the terms in ``path``; a wrong entry is refused by its name."""
    terms = [_term(entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]
    names = [term.term for term in terms]
    if names != sorted(names, key=str.lower):
        late = next(b for a, b in zip(sorted(names, key=str.lower), names, strict=True) if a != b)
        raise GlossaryError(f"the terms must be sorted, but {late!r} stands out of order")
    owners = {}
    for term in terms:
        for form in (term.term, *term.variants):
            if owners.setdefault(_folded(form), term) is not term:
                raise GlossaryError(f"{form!r} must belong to one term, but {term.term!r} is not its only one")
    return terms


def _term(entry):
    name = entry.get("term", entry)
    known = [field.name for field in fields(Term)]
    lacks = [field for field in known[:5] if not str(entry.get(field) or "").strip()]
    if lacks or set(entry) - set(known):
        raise GlossaryError(f"{name!r} must have {', '.join(known[:5])}; it lacks {lacks}, and has {sorted(entry)}")
    lists = {field: tuple(entry.get(field, ())) for field in known[5:]}
    return Term(**entry | lists)


def _folded(form: str) -> str:
    """A form with its first letter made small: this one may be large where a sentence begins."""
    return form[:1].lower() + form[1:]


# --- finding terms ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finder:
    """Finds terms in text: whole words, the longest form first, the first letter large or small, lines cut anywhere."""

    pattern: re.Pattern
    owners: dict[str, Term]  # a phrase in which a word means something else belongs to no term

    def find(self, text: str) -> Iterator[tuple[int, int, Term]]:
        """Yield where each term begins and ends."""
        for match in self.pattern.finditer(text):
            term = self.owners.get(_folded(" ".join(match[0].split())))
            if term:
                yield *match.span(), term


@functools.cache
def finder(terms: tuple[Term, ...]) -> Finder:
    """Return what finds these terms."""
    owners = {_folded(form): term for term in terms for form in (term.term, *term.variants)}
    forms = {*owners, *(_folded(phrase) for term in terms for phrase in term.but_not)}
    longest_first = sorted(forms, key=len, reverse=True)
    written = "|".join(f"[{form[0]}{form[0].upper()}]{re.escape(form[1:])}" for form in longest_first)
    written = written.replace(r"\ ", r"\s+")
    return Finder(re.compile(rf"(?<![\w-])(?:{written})(?![\w-])"), owners)


def running_text(node: nodes.Element) -> Iterator[nodes.Text]:
    """Yield the texts in ``node`` that may hold a link to a term; lines, which the parser keeps apart, become one."""
    runs = groupby(node.children, lambda child: isinstance(child, nodes.Text))
    node[:] = [part for lines, run in runs for part in ([nodes.Text("".join(run))] if lines else run)]
    for child in list(node.children):
        if isinstance(child, nodes.Text):
            yield child
        elif not (isinstance(child, APART) or child.tagname in OURS_APART or BOXES_APART & set(child["classes"])):
            yield from running_text(child)


def link_first_uses(page: nodes.Element, terms: list[Term], address: str) -> None:
    """Link each term where ``page`` first uses it; ``address`` is the page of the glossary."""
    found, seen = finder(tuple(terms)), set()
    for text in list(running_text(page)):
        said, end, parts = text.astext(), 0, []
        for start, stop, term in found.find(said):
            if term in seen:
                continue
            seen.add(term)
            link = {"refuri": f"{address}#{term.anchor}", "internal": True, "reftitle": plain(term.means)}
            parts += [nodes.Text(said[end:start]), nodes.reference("", said[start:stop], classes=["term"], **link)]
            end = stop
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(said[end:])])


def plain(markdown: str) -> str:
    """Return a sentence without the marks of Markdown and LaTeX, for a tooltip."""
    text = re.sub(r"\\(sqrt|top)\s?", lambda match: {"sqrt": "√", "top": "ᵀ"}[match[1]], markdown)
    return re.sub(r"[$*`^{}]", "", text)


# --- in Sphinx -------------------------------------------------------------------------------------------------------


class Terms(SphinxDirective):
    """All terms, each with its Chinese term, what it means, and the chapter that explains it."""

    def run(self):
        """Return a list of definitions."""
        self.env.note_dependency(str(TERMS))
        self.env.note_dependency(__file__)
        self.env.metadata[self.env.docname]["glossary"] = "here"
        try:
            terms = read(TERMS)
        except GlossaryError as error:
            raise self.error(f"{self.name}: {error}") from None
        found = nodes.definition_list(classes=["terms"])
        found += [self.item(term) for term in terms]
        return [self.letters(terms), found]

    @staticmethod
    def letters(terms: list[Term]) -> nodes.paragraph:
        """Return a line of letters, each with a link to the first term that begins with it."""
        first = {term.term[0].upper(): term.anchor for term in reversed(terms)}
        links = [nodes.reference("", letter, refid=first[letter], internal=True) for letter in sorted(first)]
        return nodes.paragraph(
            "", "", *[node for link in links for node in (nodes.Text(" "), link)][1:], classes=["letters"]
        )

    def item(self, term: Term) -> nodes.definition_list_item:
        """Return one term with its definition."""
        chinese = (
            f'<span lang="zh">{html.escape(term.zh)}</span> <span lang="zh-Latn">{html.escape(term.pinyin)}</span>'
        )
        head = nodes.term("", term.term, nodes.Text(" "), nodes.raw("", chinese, format="html"), ids=[term.anchor])
        means, messages = self.state.inline_text(term.means, self.lineno)
        page = f"{self.env.docname.rpartition('/')[0]}/{term.chapter}".lstrip("/")
        if page not in self.env.found_docs:
            raise self.error(
                f"{self.name}: the chapter of {term.term!r} is {term.chapter!r}, and there is no such page"
            )
        chapter = addnodes.pending_xref(
            "",
            nodes.inline("", f"Chapter{SPACE}{chapter_number(page)}"),
            refdomain="std",
            reftype="doc",
            reftarget=f"/{page}",
            refdoc=self.env.docname,
            refexplicit=True,
            refwarn=True,
        )
        said = nodes.paragraph("", "", *means, *messages, nodes.Text(" "), chapter)
        return nodes.definition_list_item("", head, nodes.definition("", said))


def note_terms(app, docname, source):
    """Let each chapter depend on the terms, so that it is linked anew when they change."""
    if is_chapter(docname):
        app.env.note_dependency(str(TERMS))
        app.env.note_dependency(__file__)


def is_chapter(docname: str) -> bool:
    """Return whether terms are linked in a page."""
    return chapter_number(docname) is not None and not is_notebook(docname)


def link_terms(app, doctree, docname):
    """Link the terms in a chapter, or in each chapter of a page that holds all."""
    glossary = next((page for page, meta in app.env.metadata.items() if "glossary" in meta), None)
    if glossary is None:
        return
    pages = {node["docname"]: node for node in doctree.findall(addnodes.start_of_file)} or {docname: doctree}
    for page, node in pages.items():
        if is_chapter(page):
            terms = [term for term in read(TERMS) if page.rpartition("/")[2] not in term.not_in]
            link_first_uses(node, terms, app.builder.get_relative_uri(docname, glossary))


def setup(app):
    """Register the directive, and link the terms."""
    app.add_directive("terms", Terms)
    app.connect("source-read", note_terms)
    app.connect("doctree-resolved", link_terms, priority=600)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
