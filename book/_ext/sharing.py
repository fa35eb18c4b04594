"""What lets others find, share and run the book: a description and a preview of each page, addresses, links to labs.

All addresses follow from one line of ``_config.yml``, ``repository: url:``. If it is empty, no page names an address.
"""

import ast
import html
import os
import re
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import yaml
from docutils import nodes
from house import is_notebook, module_file, write_if_changed
from sphinx.environment import CONFIG_OK
from sphinx.util.docutils import SphinxDirective

SHORTEST, LONGEST = 50, 160  # of a description, in characters: about what a search engine shows
PREVIEWS = Path(__file__).resolve().parents[1] / "_static" / "previews"
SIZE = (1200, 630)
LONELY = {  # the pages that Sphinx writes itself: title and description
    "genindex": (
        "Index of names",
        "All functions, classes and methods of the book's code in the order of the alphabet, each with a link.",
    ),
    "search": (
        "Search",
        "Search all chapters, notebooks and reference pages of the book, in your browser and without a server.",
    ),
    "_modules/index": (
        "All modules",
        "All modules of the book's code with their source lines: attention, the models, the widgets.",
    ),
}


# --- addresses -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Home:
    """Where the book lives: its repository, the branch that is published, and its site. Each may be empty."""

    repository: str = ""
    branch: str = "main"
    site: str = ""

    @property
    def owner_and_name(self) -> str:
        """Return the repository's owner and name, as in owner/name."""
        return self.repository.removeprefix("https://github.com/")

    def page(self, pagename: str) -> str:
        """Return the public address of a page."""
        return f"{self.site}{pagename}.html"

    def binder(self, notebook: str) -> str:
        """Return the address that starts a Binder with ``notebook`` open."""
        return f"https://mybinder.org/v2/gh/{self.owner_and_name}/{self.branch}?labpath={quote(notebook, safe='')}"

    def colab(self, notebook: str) -> str:
        """Return the address that opens ``notebook`` in Colab."""
        return f"https://colab.research.google.com/github/{self.owner_and_name}/blob/{self.branch}/{notebook}"

    def feedback(self, title: str, page: str) -> str:
        """Return the address of a new issue that names the page."""
        lines = ["What is wrong, unclear or missing?", "", "", f"Page: {page}"]
        return f"{self.repository}/issues/new?" + urlencode(
            {"title": f"{title}: ", "body": "\n".join(lines)}, quote_via=quote
        )


def home(settings: dict, environment=os.environ) -> Home:
    """Read the addresses from ``_config.yml``; BOOK_REPOSITORY, which the workflow sets, comes first.

    A site on GitHub Pages follows from the repository. ``html: baseurl:`` is for a site that lies elsewhere.
    """
    given = settings.get("repository") or {}
    repository = (environment.get("BOOK_REPOSITORY") or given.get("url") or "").rstrip("/").removesuffix(".git")
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+)", repository)
    if repository and not found:
        raise ValueError(
            f"repository: url: in _config.yml must be https://github.com/OWNER/NAME or empty, not {repository!r}"
        )
    site = (settings.get("html") or {}).get("baseurl") or ""
    if found and not site:
        owner, name = found[1].lower(), found[2]
        site = f"https://{owner}.github.io/" + ("" if name.lower() == f"{owner}.github.io" else f"{name}/")
    return Home(repository, given.get("branch") or "main", site.rstrip("/") + "/" if site else "")


def find_home(app, config) -> None:
    """Read the book's addresses, and let Sphinx know that of the site."""
    path = Path(app.confdir or app.srcdir, "_config.yml")
    settings = yaml.safe_load(path.read_text(encoding="utf8")) if path.exists() else {}
    config.home = home(settings or {})
    config.html_baseurl = config.home.site


def drop_sources(app) -> None:
    """Let the pages with the modules' source be written again: Sphinx keeps them although the addresses changed."""
    if app.builder.name == "html" and app.env.config_status != CONFIG_OK:
        shutil.rmtree(Path(app.outdir, "_modules"), ignore_errors=True)


class Addressed(SphinxDirective):
    """Code in which REPOSITORY, NAME and SITE stand for the book's addresses; without one, the word stays."""

    required_arguments = 1
    has_content = True

    def run(self):
        """Return the listing."""
        where = self.config.home
        text = "\n".join(self.content)
        known = {"REPOSITORY": where.repository, "NAME": where.repository.rpartition("/")[2], "SITE": where.site}
        for word, address in known.items():
            text = re.sub(rf"\b{word}\b", address or word, text)
        return [nodes.literal_block(text, text, language=self.arguments[0])]


# --- descriptions ----------------------------------------------------------------------------------------------------


def title_and_description(pagename: str, title: str, doctree) -> tuple[str, str]:
    """Return what a page is called, and what it holds in one or two sentences: its own first ones."""
    return LONELY.get(pagename) or (title, description(pagename, title, doctree))


def description(pagename: str, title: str, doctree) -> str:
    """Return the first sentences of a page, or of the module whose source it shows."""
    if pagename.startswith("_modules/"):
        docstring = ast.get_docstring(ast.parse(module_file(title).read_text(encoding="utf8"))) or ""
        return shortened([f"The source of {title}:", *sentences(docstring.partition("\n\n")[0].replace("`", ""))])
    found = [sentence for paragraph in doctree.findall(is_prose) for sentence in sentences(plain(paragraph))]
    return shortened(found)


def is_prose(node) -> bool:
    """Return whether a node is a paragraph of the running text."""
    return type(node) is nodes.paragraph and not isinstance(
        node.parent, (nodes.entry, nodes.list_item, nodes.legend, nodes.footnote)
    )


UNSAID = "\0"  # stands for what cannot be said in plain text


def plain(node) -> str:
    """Return the text of a paragraph; equations and HTML become a mark."""
    if isinstance(node, (nodes.math, nodes.raw)):
        return UNSAID
    if isinstance(node, nodes.Text):
        return node.astext()
    return "".join(plain(child) for child in node.children)


def sentences(text: str) -> list[str]:
    """Cut a text into sentences, and leave out those with an equation."""
    parts = re.split(r"(?<=[.?!])\s+(?=[A-Z‘“])", " ".join(text.split()))
    return [part for part in parts if part and UNSAID not in part]


def shortened(parts: list[str]) -> str:
    """Join whole sentences while they fit; cut the first one if it does not fit alone."""
    text = ""
    for part in parts:
        longer = f"{text} {part}".strip()
        if len(longer) > LONGEST and len(text) >= SHORTEST:
            break
        text = longer
        if len(text) > LONGEST:
            break
    return textwrap.shorten(text, LONGEST, placeholder=" …")


# --- every page ------------------------------------------------------------------------------------------------------


def describe_page(app, pagename, templatename, context, doctree) -> None:
    """Tell the template what the page is about, where it lies, and where a reader can say what is wrong."""
    if app.builder.name != "html":
        return
    where = app.config.home
    title = app.env.titles[pagename].astext() if pagename in app.env.titles else context.get("title", "")
    title, said = title_and_description(pagename, title, doctree)
    context["sharing"] = {
        "title": title,
        "description": said,
        "address": where.page(pagename) if where.site else "",
        "preview": f"{where.site}_static/previews/{preview(pagename)}.png" if where.site else "",
        "size": SIZE,
        "feedback": where.feedback(title, where.page(pagename)) if where.repository else "",
    }
    if is_notebook(pagename):
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{ways_to_run(app, pagename)}", 1)


def preview(pagename: str) -> str:
    """Return the name of a page's preview picture: that of its chapter, or that of the book."""
    stem = pagename.rpartition("/")[2]
    return stem if (PREVIEWS / f"{stem}.png").exists() else "book"


def ways_to_run(app, pagename: str) -> str:
    """Return the row of links under a notebook's title."""
    where, file = app.config.home, f"{pagename}.ipynb"
    run = app.builder.get_relative_uri(pagename, "book/run")
    links = [f'<a href="{file.rpartition("/")[2]}" download>Download this notebook</a>']
    if where.repository:
        binder, colab = html.escape(where.binder(file)), html.escape(where.colab(file))
        links.append(f'<a href="{binder}">Open in Binder</a>')
        links.append(f'<a href="{colab}">Open in Colab</a>, with <a href="{run}#colab">this first cell</a>')
    links.append(f'Run it here: <a href="{run}"><code>make lab</code></a>')
    items = "".join(f"<li>{link}</li>" for link in links)
    return f'<ul class="ways" aria-label="Ways to run this notebook">{items}</ul>'


# --- files -----------------------------------------------------------------------------------------------------------


def write_files(app, error) -> None:
    """Put the notebooks beside their pages, and tell search engines what there is."""
    if error or app.builder.name != "html":
        return
    out, where = Path(app.outdir), app.config.home
    for name in filter(is_notebook, app.env.found_docs):
        shutil.copyfile(app.env.doc2path(name), out / f"{name}.ipynb")
    welcome = "User-agent: *\nAllow: /\n"
    write_if_changed(out / "robots.txt", welcome + (f"Sitemap: {where.site}sitemap.xml\n" if where.site else ""))
    if where.site:
        write_if_changed(out / "sitemap.xml", sitemap([where.page(name) for name in sorted(app.env.found_docs)]))
    else:
        (out / "sitemap.xml").unlink(missing_ok=True)


def sitemap(addresses: list[str]) -> str:
    """Return a map of the site as the protocol of sitemaps.org wants it."""
    lines = [f"  <url><loc>{html.escape(address)}</loc></url>" for address in addresses]
    first = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    return "\n".join([first, *lines, "</urlset>\n"])


def setup(app):
    """Register all of the above."""
    app.add_config_value("home", Home(), "env", types=[Home])
    app.add_directive("addressed", Addressed)
    app.connect("config-inited", find_home)
    app.connect("builder-inited", drop_sources)
    app.connect("html-page-context", describe_page)
    app.connect("build-finished", write_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
