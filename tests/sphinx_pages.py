"""A tiny Sphinx project for the tests of the book's extensions."""

import html
import importlib
import io
import re
import sys
import warnings as python_warnings
from dataclasses import dataclass
from pathlib import Path

from docutils.parsers.rst import directives, roles
from sphinx.application import Sphinx
from sphinx.util.console import strip_colors
from sphinx.util.docutils import docutils_namespace

EXTENSIONS = Path(__file__).resolve().parents[1] / "book" / "_ext"


def extension(name: str):
    """One of the book's extensions as a module."""
    if str(EXTENSIONS) not in sys.path:
        sys.path.append(str(EXTENSIONS))
    return importlib.import_module(name)


@dataclass(frozen=True)
class Built:
    """What a build gave."""

    folder: Path
    warnings: list[str]
    read: list[str]  # the pages that were read, in this build

    def html(self, page: str) -> str:
        """The text of a page's file."""
        return (self.folder / f"{page}.html").read_text(encoding="utf-8")

    def text(self, page: str) -> str:
        """The words of a page, with single blanks between them."""
        words = re.sub(r"<(script|style).*?</\1>", " ", self.html(page), flags=re.S)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", words)).split()).replace("\xa0", " ")


def build(folder: Path, pages: dict[str, str], builder: str = "html", extensions=("results",), **more) -> Built:
    """Write ``pages`` into ``folder`` and build them with some of the book's extensions and ``more`` settings."""
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    said, read = io.StringIO(), []
    settings = {
        "extensions": ["myst_nb", *extensions],
        "nb_execution_mode": "off",
        "html_theme": "basic",
        "numfig": True,
        "numfig_format": {"figure": "Figure %s", "table": "Table %s"},
        "project": "test",
        "copyright": "test",
        "version": "1",
        "exclude_patterns": ["out"],
        **more,
    }
    before = dict(directives._directives), dict(roles._roles)
    with python_warnings.catch_warnings(), docutils_namespace():
        python_warnings.simplefilter("ignore")
        out = folder / "out" / builder
        app = Sphinx(folder, None, out, folder / "out" / "doctrees", builder, settings, status=None, warning=said)
        app.connect("source-read", lambda app, docname, content: read.append(docname))
        app.build()
    assert (directives._directives, roles._roles) == before
    return Built(out, [line for line in strip_colors(said.getvalue()).splitlines() if line.strip()], read)
