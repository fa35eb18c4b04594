"""What only the front page uses: the sentence with its threads, the plan of the chapters, links to chapters to come."""

import html
import sys
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective, SphinxRole

ROOT = Path(__file__).resolve().parents[2]
PLAN = ROOT / "book" / "plan.yml"
GRAMMAR = ROOT / "attention_src" / "data"
LETTER = 12.6  # the width of a letter of the labels at 25 px, on average
GAP = 21


def plan() -> list[dict]:
    """Return the chapters in order: ``stem``, ``title``, ``carries``."""
    return yaml.safe_load(PLAN.read_text(encoding="utf8"))


def page_of(stem: str) -> str:
    """Return the document name of a chapter's page."""
    return f"book/{stem}"


class Plan(SphinxDirective):
    """The list of all chapters; those whose page exists are linked, the others are marked as planned."""

    def run(self):
        """Return an ordered list of chapters."""
        self.env.note_dependency(str(PLAN))
        self.env.metadata[self.env.docname]["chapters"] = written(self.env)
        lines = []
        for chapter in plan():
            number, title = int(chapter["stem"][:2]), chapter["title"]
            here = page_of(chapter["stem"]) in self.env.found_docs
            name = f"{{doc}}`{title} </{page_of(chapter['stem'])}>`" if here else f"[{title}]{{.planned}}"
            state = "" if here else " [planned]{.state}"
            lines += [f"- [{number}]{{.number}} {name}{state}", "", f"  {chapter['carries']}", ""]
        box = nodes.container(classes=["plan"])
        self.state.nested_parse(StringList(lines, source=str(PLAN)), 0, box)
        return [box]


class ChapterRole(SphinxRole):
    """``{chapter}`stem` ``: the title of a chapter, linked when its page exists."""

    def run(self):
        """Return a reference to the chapter, or its title with the word planned."""
        chapter = next((chapter for chapter in plan() if chapter["stem"][3:] == self.text), None)
        if chapter is None:
            message = f"no chapter has the stem {self.text!r}; book/plan.yml lists them"
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        self.env.note_dependency(str(PLAN))
        self.env.metadata[self.env.docname]["chapters"] = written(self.env)
        title = chapter["title"]
        page = page_of(chapter["stem"])
        if page not in self.env.found_docs:
            return [nodes.emphasis(text=title), nodes.Text(" (planned)")], []
        link = addnodes.pending_xref("", refdomain="std", reftype="doc", refdoc=self.env.docname, reftarget=f"/{page}")
        link["refexplicit"] = True
        link += nodes.inline("", title)
        return [link], []


def written(env) -> str:
    """Return the stems of the chapters whose pages exist, as one word to compare."""
    return " ".join(chapter["stem"] for chapter in plan() if page_of(chapter["stem"]) in env.found_docs)


def pages_with_stale_plan(app, env, added, changed, removed):
    """Read a page that shows the plan again when a chapter came or went."""
    return [page for page, meta in env.metadata.items() if meta.get("chapters", written(env)) != written(env)]


class Threads(SphinxDirective):
    """An English sentence over its French translation, each word joined to the words it was made with.

    The words and the threads come from the book's grammar, across for a wide page and down for a narrow one.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        """Return both drawings as one figure."""
        sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]
        from attention_src.data.translation import ENGLISH_FRENCH

        for file in GRAMMAR.glob("*.py"):
            self.env.note_dependency(str(file))
        pair = ENGLISH_FRENCH.translate(self.arguments[0])
        links = sorted(pair.links, key=lambda link: (link[1], link[0]))
        joined = ", ".join(f"{pair.target[j]} with {pair.source[i]}" for i, j in links)
        label = html.escape(
            f"The English sentence {' '.join(pair.source)} and the French one {' '.join(pair.target)}. "
            f"Threads join {joined}.",
            quote=True,
        )
        drawings = across(pair, label) + down(pair, label)
        return [nodes.raw("", f'<figure class="threads">{drawings}</figure>', format="html")]


def centres(words: tuple[str, ...]) -> tuple[list[float], float]:
    """Return where the middles of words stand when set in a row, and how long the row is."""
    middles, end = [], 0.0
    for word in words:
        width = len(word) * LETTER
        middles.append(end + width / 2)
        end += width + GAP
    return middles, end - GAP


def across(pair, label: str) -> str:
    """Draw the source above the target."""
    (tops, top_length), (bottoms, bottom_length) = centres(pair.source), centres(pair.target)
    width, height = max(top_length, bottom_length), 210
    tops = [x + (width - top_length) / 2 for x in tops]
    bottoms = [x + (width - bottom_length) / 2 for x in bottoms]
    start, stop = 40, height - 40
    paths = [curve((tops[i], start), (bottoms[j], stop), upright=True) for i, j in sorted(pair.links)]
    words = [text(word, x, 25, "source") for word, x in zip(pair.source, tops, strict=True)]
    words += [text(word, x, height - 10, "target") for word, x in zip(pair.target, bottoms, strict=True)]
    return svg("across", width, height, label, paths + words, (0, start, 0, stop))


def down(pair, label: str) -> str:
    """Draw the source left of the target."""
    row, width = 38, 345
    rows = max(len(pair.source), len(pair.target))
    lefts = [row * (i + (rows - len(pair.source)) / 2) + 26 for i in range(len(pair.source))]
    rights = [row * (j + (rows - len(pair.target)) / 2) + 26 for j in range(len(pair.target))]
    start, stop = 76, width - 96
    paths = [curve((start, lefts[i] - 8), (stop, rights[j] - 8), upright=False) for i, j in sorted(pair.links)]
    words = [text(word, 62, y, "source end") for word, y in zip(pair.source, lefts, strict=True)]
    words += [text(word, width - 82, y, "target start") for word, y in zip(pair.target, rights, strict=True)]
    return svg("down", width, row * rows + 4, label, paths + words, (start, 0, stop, 0))


def curve(start: tuple[float, float], stop: tuple[float, float], upright: bool) -> str:
    """Return a thread that leaves and arrives straight."""
    (x, y), (u, v) = start, stop
    bend = ((x, (y + v) / 2), (u, (y + v) / 2)) if upright else (((x + u) / 2, y), ((x + u) / 2, v))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in [*bend, (u, v)])
    return f'<path pathLength="1" d="M{x:.1f},{y:.1f}C{points}"/>'


def text(word: str, x: float, y: float, classes: str) -> str:
    """Return one word of the drawing."""
    return f'<text class="{classes}" x="{x:.1f}" y="{y:.1f}">{html.escape(word)}</text>'


def svg(kind: str, width: float, height: float, label: str, parts: list[str], line: tuple[float, ...]) -> str:
    """Return the drawing, its threads shaded from the colour of the source to that of the target along ``line``."""
    x1, y1, x2, y2 = (f"{value:g}" for value in line)
    return (
        f'<svg class="{kind}" role="img" aria-label="{label}" viewBox="0 0 {width:.0f} {height:.0f}"><defs>'
        f'<linearGradient id="thread-{kind}" gradientUnits="userSpaceOnUse" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}">'
        '<stop offset="0" style="stop-color: var(--wa-source)"/><stop offset="1" style="stop-color: var(--wa-target)"/>'
        f"</linearGradient></defs>{''.join(parts)}</svg>"
    )


def setup(app):
    """Register the front page's directives and role."""
    app.add_directive("plan", Plan)
    app.add_directive("threads", Threads)
    app.add_role("chapter", ChapterRole())
    app.connect("env-get-outdated", pages_with_stale_plan)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
