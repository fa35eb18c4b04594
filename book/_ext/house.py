"""The book's house style for Sphinx: colours from one file, local MathJax, boxes, exercises, modules, alt texts."""

import importlib.metadata
import json
import pkgutil
import re
import shutil
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles
from sphinxcontrib.bibtex.plugin import register_plugin
from sphinxcontrib.bibtex.style.referencing import BracketStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle

ROOT = Path(__file__).resolve().parents[2]
PALETTE = ROOT / "attention_src" / "palette.json"
PACKAGE = ROOT / "attention_src"
LOGGER = logging.getLogger(__name__)
# The extensions beside this one.
PARTS = (
    *("frontpage", "results", "figures", "widgets", "claims", "papers"),
    *("questions", "interviews", "glossary", "sharing", "museum", "spacing"),
)

MATHJAX_FILES = ("tex-chtml.js", "input/tex/extensions/html.js", "input/tex/extensions/boldsymbol.js")
MATHJAX_FONTS = "output/chtml/fonts/woff-v2"

BOXES = {
    "question": "The question",
    "by-hand": "By hand",
    "measured": "What we measured",
    "paper": "Paper and our code",
    "remember": "To remember",
}


# --- colours ---------------------------------------------------------------------------------------------------------


def colour_variables(palette: dict, theme: str) -> str:
    """Return one theme's colours as CSS declarations: ``--wa-<name>`` and ``--wa-weight-0`` to ``--wa-weight-4``."""
    named = [f"--wa-{name}: {colour};" for name, colour in palette[theme].items()]
    steps = [f"--wa-weight-{step}: {colour};" for step, colour in enumerate(palette["weights"][theme])]
    return " ".join([*named, *steps, f"color-scheme: {theme};"])


def tokens_css(palette: dict) -> str:
    """Return the style sheet that carries the palette: light by default, dark where page or system asks for it."""
    light, dark = colour_variables(palette, "light"), colour_variables(palette, "dark")
    return (
        f":root {{ {light} }}\n"
        f'html[data-theme="dark"] {{ {dark} }}\n'
        f"@media (prefers-color-scheme: dark) {{ html:not([data-theme]) {{ {dark} }} }}\n"
        f"@media print {{ html:root {{ {light} }} }}\n"
    )


class Scale(SphinxDirective):
    """The scale of weights as a row of swatches."""

    def run(self):
        """Return the swatches, with their share of the scale below."""
        steps = len(json.loads(PALETTE.read_text(encoding="utf8"))["weights"]["light"])
        swatches = "".join(f'<i style="background: var(--wa-weight-{step})"></i>' for step in range(steps))
        label = "The scale of weights, from 0 at the left to 1 at the right"
        html = f'<div class="scale"><div role="img" aria-label="{label}">{swatches}</div><p>0</p><p>1</p></div>'
        return [nodes.raw("", html, format="html")]


# --- files that the pages load ---------------------------------------------------------------------------------------


def write_if_changed(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` unless it is there already."""
    if not path.exists() or path.read_text(encoding="utf8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf8")


def mathjax_folder() -> Path:
    """Return the folder of MathJax in the installed wheel ``sphinx-mathjax-offline``."""
    for entry in importlib.metadata.files("sphinx-mathjax-offline"):
        if entry.name == "tex-chtml.js":
            return Path(entry.locate()).parent
    raise FileNotFoundError("sphinx-mathjax-offline holds no tex-chtml.js; install the versions of constraints.txt")


def copy_mathjax(static: Path) -> None:
    """Copy the parts of MathJax that the book uses: TeX input, CHTML output, woff fonts."""
    source = mathjax_folder()
    fonts = [path.relative_to(source) for path in (source / MATHJAX_FONTS).glob("*.woff")]
    for name in [*map(Path, MATHJAX_FILES), *fonts]:
        target = static / "mathjax" / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target)


def write_assets(app) -> None:
    """Put the generated style sheet and MathJax where the pages look for them."""
    if app.builder.format == "html":
        static = Path(app.outdir) / "_static"
        write_if_changed(static / "tokens.css", tokens_css(json.loads(PALETTE.read_text(encoding="utf8"))))
        copy_mathjax(static)


# --- boxes, exercises, answers ---------------------------------------------------------------------------------------


class Box(SphinxDirective):
    """A quiet box of one of the book's few kinds; the argument, if any, is its title."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = {"name": directives.unchanged}  # noqa: RUF012 (docutils reads it from the class)

    def run(self):
        """Return an admonition with the kind as its class."""
        self.assert_has_content()
        title = self.arguments[0] if self.arguments else BOXES[self.name]
        return [self.box(title, self.name)]

    def box(self, title: str, kind: str) -> nodes.admonition:
        """Return an admonition of this ``kind`` under this ``title``, with the directive's content parsed into it."""
        box = nodes.admonition(classes=["box", kind])
        self.set_source_info(box)
        self.add_name(box)
        parsed, messages = self.state.inline_text(title, self.lineno)
        box += nodes.title(title, "", *parsed)
        box += messages
        self.state.nested_parse(self.content, self.content_offset, box)
        return box


class Exercise(Box):
    """An exercise, numbered within its chapter."""

    def run(self):
        """Return the exercise as a box whose title begins with its number."""
        count = self.env.temp_data["exercises"] = self.env.temp_data.get("exercises", 0) + 1
        chapter = chapter_number(self.env.docname)
        number = f"{chapter}.{count}" if chapter else f"{count}"
        title = f"Exercise {number}" + (f" · {self.arguments[0]}" if self.arguments else "")
        return [self.box(title, "exercise")]


class details(nodes.General, nodes.Element):  # docutils names its nodes in lower case
    """What a reader opens by hand: a summary and hidden content."""


class Answer(SphinxDirective):
    """An answer that stays closed until the reader opens it."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self):
        """Return a closed ``details`` element."""
        node = details(summary=self.arguments[0] if self.arguments else "Answer")
        self.set_source_info(node)
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


def visit_details(translator, node):
    """Open the element and write its summary."""
    summary = translator.encode(node["summary"])
    translator.body.append(f'<details class="answer"><summary>{summary}</summary><div class="answer-body">')


def depart_details(translator, node):
    """Close what ``visit_details`` opened."""
    translator.body.append("</div></details>\n")


# --- the list of modules ---------------------------------------------------------------------------------------------


def module_names() -> list[str]:
    """Return the dotted names of all modules of the package that hold something to document, sorted."""
    found = pkgutil.walk_packages([str(PACKAGE)], prefix=f"{PACKAGE.name}.")
    names = [module.name for module in found if not module.name.endswith("__main__")]
    return sorted(name for name in names if module_file(name).read_text(encoding="utf8").strip())


def module_file(name: str) -> Path:
    """Return the source file of a module of the package."""
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def fits(name: str, patterns: str) -> bool:
    """Return whether ``name`` fits one of the ``patterns``, which spaces part."""
    return any(fnmatch(name, pattern) for pattern in patterns.split())


class Modules(SphinxDirective):
    """Document every module whose name fits one of the patterns, and none of those in ``:not:``."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"not": directives.unchanged_required}  # noqa: RUF012 (docutils reads it from the class)

    def run(self):
        """Return one section a module, written by autodoc."""
        self.env.metadata[self.env.docname]["modules"] = " ".join(module_names())
        parent = nodes.section()
        for name in module_names():
            short = name.removeprefix(f"{PACKAGE.name}.")
            if fits(short, self.arguments[0]) and not fits(short, self.options.get("not", "")):
                parent += self.section(name, short)
        return parent.children

    def section(self, name: str, short: str) -> nodes.section:
        """Return the section of one module."""
        section = nodes.section(ids=[nodes.make_id(f"module {short}")], names=[f"module {short}"])
        section += nodes.title("", "", nodes.literal(text=short))
        self.state.document.note_explicit_target(section)
        rst = f".. automodule:: {name}\n   :members:\n"
        parsed = nodes.container()
        eval_rst = StringList(["```{eval-rst}", *rst.splitlines(), "```"], source=str(module_file(name)))
        self.state.nested_parse(eval_rst, 0, parsed)
        section += parsed.children
        return section


def skip_plain_fields(app, what, name, obj, skip, options):
    """Leave out fields of named tuples that say nothing of their own: the signature shows them."""
    return True if (obj.__doc__ or "").startswith("Alias for field number") else None


def pages_with_stale_modules(app, env, added, changed, removed):
    """Read a page with a list of modules again when a module came or went."""
    now = " ".join(module_names())
    return [page for page, meta in env.metadata.items() if meta.get("modules", now) != now]


# --- citations -------------------------------------------------------------------------------------------------------


@dataclass
class RoundReferenceStyle(AuthorYearReferenceStyle):
    """Author and year in round brackets."""

    def __post_init__(self):
        """Set the brackets."""
        for name in ("textual", "parenthetical", "author", "label", "year"):
            setattr(self, f"bracket_{name}", BracketStyle(left="(", right=")"))
        super().__post_init__()


# --- numbers of chapters ---------------------------------------------------------------------------------------------


def chapter_number(docname: str) -> int | None:
    """Return the number that a page's or a notebook's file name begins with, or None: 02_bottleneck is in chapter 2."""
    found = re.match(r"(\d\d)_", docname.rpartition("/")[2])
    return int(found[1]) if found else None


def is_notebook(docname: str) -> bool:
    """Return whether a page is a chapter's notebook."""
    return docname.startswith("notebooks/")


def number_chapters(collector, env) -> list[str]:
    """Number chapters by their file names, so that chapter 10 is 10 also while chapter 9 is not written.

    Stands in for ``TocTreeCollectorWithStyles.assign_section_numbers``: fills ``env.toc_secnumbers``, from which
    figures, tables and equations take their numbers, and returns the pages whose number changed.
    """
    before = env.toc_secnumbers
    env.toc_secnumbers = {}
    for docname in sorted(env.found_docs):
        number = chapter_number(docname)
        if number is None:
            continue
        references = list(env.tocs[docname].findall(nodes.reference))
        sections = [reference["anchorname"] for reference in references if reference["anchorname"]]
        env.toc_secnumbers[docname] = {"": (number,), **dict.fromkeys(sections, ())}  # sections bear no number
        if not is_notebook(docname):
            env.titles[docname]["secnumber"] = env.longtitles[docname]["secnumber"] = (number,)
            references[0]["secnumber"] = (number,)
    return [name for name in env.found_docs if before.get(name) != env.toc_secnumbers.get(name)]


# --- what a page loads -----------------------------------------------------------------------------------------------

UNUSED = ("basic.css", "pygments.css", "mystnb.", "copybutton.css")  # house.css does their work
ONLY_WITH = {  # how a script's or style sheet's name begins: what stands in the pages that need it
    "sphinx-design": 'class="sd-',
    "design-tabs": 'class="sd-',
    "copybutton": 'class="highlight',
    "clipboard": 'class="highlight',
    "tex-chtml": "math notranslate",
}


def is_needed(asset, body: str) -> bool:
    """Return whether a page with this ``body`` uses a script or style sheet."""
    name = Path(str(getattr(asset, "filename", None) or "")).name
    if name.startswith(UNUSED):
        return False
    return all(mark in body for start, mark in ONLY_WITH.items() if name.startswith(start))


def breakable(code: str) -> str:
    """Long code with the places at which a line may end: else a narrow page breaks it within a word.

    >>> breakable("tests/test_x.py::test_y")
    'tests/<wbr>test_<wbr>x.<wbr>py::<wbr>test_<wbr>y'
    """
    return re.sub(r"([/_.]|::)(?=\w)", r"\1<wbr>", code)


def repaired(body: str, pagename: str) -> str:
    """Return the page's HTML without what Sphinx and its extensions write against the rules of accessibility.

    Long code may break where its words end.
    """
    body = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
    body = re.sub(r'(<span class="pre">)([^<]{23,})(?=</span>)', lambda found: found[1] + breakable(found[2]), body)
    if pagename == "_modules/index":  # lists within lists, but not within their items
        head, opening, items = body.partition("<ul>")
        body = head + opening + re.sub("</?ul>", "", items) + "</ul>"
    return body


def prepare_page(app, pagename, templatename, context, doctree):
    """Drop what the page does not use, and tell the template what kind of page it is."""
    body = context["body"] = repaired(context.get("body") or "", pagename)
    for files in ("css_files", "script_files"):
        context[files] = [asset for asset in context[files] if is_needed(asset, body)]
    if chapter_number(pagename) is not None:
        context["kind"] = "lab" if is_notebook(pagename) else "chapter"


# --- tables, alt texts -----------------------------------------------------------------------------------------------


def visit_table(translator, node):
    """Put a table into a box that scrolls sideways when the page is narrower than the table."""
    translator.body.append('<div class="scroll-x">')
    HTML5Translator.visit_table(translator, node)


def depart_table(translator, node):
    """Close what ``visit_table`` opened."""
    HTML5Translator.depart_table(translator, node)
    translator.body.append("</div>\n")


def check_alt(app, doctree, docname):
    """Warn (which fails the build) of every image that has no alt text."""
    if app.builder.format != "html":
        return
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip():
            LOGGER.warning("image %s has no alt text: say what it shows", image["uri"], location=image)
    for raw in doctree.findall(nodes.raw):
        for tag in re.findall(r"<img\b[^>]*>", raw.astext()):
            if not re.search(r"""\salt=["'][^"']""", tag):
                LOGGER.warning("%s has no alt text: say what it shows", tag, location=raw)
        for tag in re.findall(r"<svg\b[^>]*>(?!\s*<title)", raw.astext()):
            if not re.search(r"\saria-(label|labelledby|hidden)=", tag):
                LOGGER.warning("%s has neither aria-label nor a title: say what it shows", tag[:80], location=raw)


# --- set-up ----------------------------------------------------------------------------------------------------------


def setup(app):
    """Register all of the above."""
    register_plugin("sphinxcontrib.bibtex.style.referencing", "round", RoundReferenceStyle)
    for kind in BOXES:
        app.add_directive(kind, Box)
    app.add_directive("exercise", Exercise)
    app.add_directive("answer", Answer)
    app.add_directive("modules", Modules)
    app.add_directive("scale", Scale)
    TocTreeCollectorWithStyles.assign_section_numbers = number_chapters
    app.add_node(nodes.table, override=True, html=(visit_table, depart_table))
    app.add_node(details, html=(visit_details, depart_details))
    app.connect("builder-inited", write_assets)
    app.connect("autodoc-skip-member", skip_plain_fields)
    app.connect("env-get-outdated", pages_with_stale_modules)
    app.connect("doctree-resolved", check_alt, priority=900)
    app.connect("html-page-context", prepare_page, priority=900)
    app.add_css_file("tokens.css", priority=300)
    app.add_css_file("house.css", priority=310)
    app.add_js_file("house.js", loading_method="defer")
    for name in PARTS:
        app.setup_extension(name)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
