"""Pack the built book into one EPUB file: pages, figures, equations that a reading system can set, working links.

The pages are those of ``make book``. Chromium reads each as it reads a page of the site, MathJax turns the equations
into MathML, and what only a browser can do is taken out: scripts, live figures (their still pictures stay), colours
that are variables.
"""

import html
import json
import posixpath
import re
import sys
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import yaml
from playwright.sync_api import Page, sync_playwright

from tools import book, serve
from tools.browser import ARGUMENTS, NoBrowser, find_or_install

EPUB = book.BUILD / "weighing-attention.epub"
STYLE = Path(__file__).with_suffix(".css")
SCRIPT = Path(__file__).with_suffix(".js")
FOLDER = "EPUB"
KINDS = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".gif": "image/gif"}
DATE = (2026, 1, 1, 0, 0, 0)  # of the files inside: the same book gives the same bytes
FRAME = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en">
<head><title>{title}</title><link rel="stylesheet" type="text/css" href="{style}"/></head>
<body>{body}</body>
</html>
"""
CONTAINER = """<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="EPUB/book.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""


class Unreadable(Exception):
    """Something in a page that an EPUB cannot hold."""


@dataclass
class Chapter:
    """One page as a reading system gets it."""

    name: str  # as in book/05_bahdanau
    title: str
    body: str  # XHTML
    images: list[str]  # addresses in the site
    level: int = 0
    part: str = ""
    features: list[str] = field(default_factory=list)  # what the package must declare: mathml, svg


# --- which pages, in which order -------------------------------------------------------------------------------------


def contents(toc: dict) -> list[tuple[str, int, str]]:
    """Return the pages of ``_toc.yml`` in order: name, level, and the part that begins with it, if any."""
    found = [(toc["root"], 0, "")]
    for part in toc.get("parts", [{"chapters": toc.get("chapters", [])}]):
        caption = part.get("caption", "")
        for chapter in part["chapters"]:
            found.append((chapter["file"], 0, caption))
            caption = ""
            found += [(section["file"], 1, "") for section in chapter.get("sections", [])]
    return found


# --- from a page of the site to a page of the EPUB -------------------------------------------------------------------


def convert(window: Page, base: str, name: str, pages: list[str], site: str) -> Chapter:
    """Return the page ``name`` of the site at ``base`` for an EPUB that holds ``pages``."""
    given = window.evaluate(SCRIPT.read_text("utf-8"), {"base": base, "name": name, "pages": pages, "site": site})
    if given["failed"]:
        raise Unreadable(f"{name}: MathJax did not understand {given['failed'][0]!r}")
    body = plain(given["body"])
    features = [feature for feature, mark in (("mathml", "<math "), ("svg", "<svg ")) if mark in body]
    return Chapter(name, given["title"], body, given["images"], features=features)


def plain(body: str) -> str:
    """Give the colours and fonts of pictures fixed values: a reading system may know no variables."""
    from tools.previews import extension

    body = re.sub(r"(?<=[;\"{ ])[\w-]+: color-mix\([^;}\"]*\)\)?;?", "", body)
    return extension("figures").plain_svg(body)


# --- the package -----------------------------------------------------------------------------------------------------


def relative(target: str, page: str) -> str:
    """Return the address of the file ``target`` as the page ``page`` writes it."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def navigation(chapters: list[Chapter]) -> str:
    """Return the table of contents: parts, the chapters in them, and under each its notebook or its sections."""
    lines = []
    level = part = 0  # how many lists are open below the first one, and whether one of them is a part's
    for place, chapter in enumerate(chapters):
        wanted = 0 if chapter.part else part + chapter.level
        if place:
            lines.append("<ol>" * (wanted - level) or "</li>" + "</ol></li>" * (level - wanted))
        level = wanted
        if chapter.part:
            lines.append(f"<li><span>{html.escape(chapter.part)}</span><ol>")
            level = part = 1
        lines.append(f'<li><a href="{chapter.name}.xhtml">{html.escape(chapter.title)}</a>')
    tree = f"<ol>{''.join(lines)}</li>{'</ol></li>' * level}</ol>"
    body = f'<nav epub:type="toc" id="toc"><h1>Contents</h1>{tree}</nav>'
    return FRAME.format(title="Contents", style="style.css", body=body)


def package(chapters: list[Chapter], images: list[str], cover: str, about: dict[str, str]) -> str:
    """Return the package document: what the book is, all its files, and the order of reading."""
    items = [
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>',
        '<item id="style" href="style.css" media-type="text/css"/>',
    ]
    for number, chapter in enumerate(chapters):
        properties = f' properties="{" ".join(chapter.features)}"' if chapter.features else ""
        items.append(
            f'<item id="page{number}" href="{chapter.name}.xhtml" media-type="application/xhtml+xml"{properties}/>'
        )
    for number, image in enumerate(images):
        properties = ' properties="cover-image"' if image == cover else ""
        kind = KINDS[posixpath.splitext(image)[1]]
        items.append(f'<item id="image{number}" href="{image}" media-type="{kind}"{properties}/>')
    spine = "".join(f'<itemref idref="page{number}"/>' for number in range(len(chapters)))
    said = {name: html.escape(text) for name, text in about.items()}
    access = "".join(
        f'<meta property="schema:{name}">{value}</meta>'
        for name, value in (
            *(("accessMode", mode) for mode in ("textual", "visual")),
            ("accessModeSufficient", "textual"),
            *(("accessibilityFeature", kind) for kind in ("alternativeText", "MathML", "tableOfContents")),
            ("accessibilityHazard", "none"),
        )
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="book" xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="book">{said["identifier"]}</dc:identifier><dc:title>{said["title"]}</dc:title>
<dc:language>en</dc:language><dc:creator>{said["author"]}</dc:creator>
<dc:description>{said["description"]}</dc:description><dc:rights>{said["rights"]}</dc:rights>
<meta property="dcterms:modified">{said["modified"]}</meta>{access}
</metadata>
<manifest>
{"".join(items)}
</manifest>
<spine><itemref idref="nav"/>{spine}</spine>
</package>
"""


def pack(target: Path, files: dict[str, bytes | str]) -> None:
    """Write the EPUB: its kind first and not compressed, as the standard wants it, then all else."""
    with zipfile.ZipFile(target, "w") as archive:
        kind = zipfile.ZipInfo("mimetype", DATE)
        archive.writestr(kind, "application/epub+zip", zipfile.ZIP_STORED)
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), content, zipfile.ZIP_DEFLATED)


def files_of(chapters: list[Chapter], folder: Path, about: dict[str, str], cover: str = "") -> dict[str, bytes | str]:
    """Return all files of the EPUB by their names inside."""
    images = sorted({image for chapter in chapters for image in chapter.images} | ({cover} if cover else set()))
    files: dict[str, bytes | str] = {"META-INF/container.xml": CONTAINER}
    files[f"{FOLDER}/book.opf"] = package(chapters, images, cover, about)
    files[f"{FOLDER}/nav.xhtml"] = navigation(chapters)
    files[f"{FOLDER}/style.css"] = plain(STYLE.read_text("utf-8"))
    for chapter in chapters:
        style = relative("style.css", chapter.name)
        page = FRAME.format(title=html.escape(chapter.title), style=style, body=chapter.body)
        files[f"{FOLDER}/{chapter.name}.xhtml"] = page
    return files | {f"{FOLDER}/{image}": (folder / unquote(image)).read_bytes() for image in images}


def read_pages(folder: Path, toc: dict, site: str = "") -> list[Chapter]:
    """Convert the pages of ``toc`` that lie in ``folder``, the built site."""
    order = contents(toc)
    with serve.beside(folder) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_or_install(), args=list(ARGUMENTS))
        window = browser.new_page()
        window.goto(base + "_static/mathjax/tex-chtml.js")  # from this server, so that it may fetch pages of it
        window.evaluate(
            "settings => { window.MathJax = { ...settings, startup: { typeset: false } } }", mathjax_settings()
        )
        window.add_script_tag(url=base + "_static/mathjax/tex-chtml.js")
        window.evaluate("() => MathJax.startup.promise")
        chapters = []
        for name, level, part in order:
            chapter = convert(window, base, name, [other for other, *_ in order], site)
            chapter.level, chapter.part = level, part
            chapters.append(chapter)
        browser.close()
    return chapters


def mathjax_settings() -> dict:
    """Return what the pages tell MathJax: the macros of the book."""
    settings = yaml.safe_load((book.ROOT / "_config.yml").read_text("utf-8"))
    return json.loads(json.dumps(settings["sphinx"]["config"]["mathjax3_config"]))


def make(target: Path, folder: Path, toc: dict, site: str = "") -> list[Chapter]:
    """Write the EPUB of the built site in ``folder`` to ``target`` and return its pages."""
    settings = yaml.safe_load((book.ROOT / "_config.yml").read_text("utf-8"))
    chapters = read_pages(folder, toc, site)
    about = {
        "title": settings["title"],
        "author": settings["author"],
        "identifier": site or f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, settings['title'])}",
        "description": "A textbook on the attention mechanism that runs.",
        "rights": f"© {settings['copyright']} {settings['author']}. Prose and figures: CC BY 4.0. Code: MIT.",
        "modified": f"{DATE[0]}-{DATE[1]:02}-{DATE[2]:02}T00:00:00Z",
    }
    cover = "_static/previews/book.png"
    pack(target, files_of(chapters, folder, about, cover if (folder / cover).exists() else ""))
    return chapters


def main() -> int:
    """Build the book, then pack it."""
    if status := book.build():
        print("\nThe book was not built, so there is no EPUB. The lines above say why.", file=sys.stderr)
        return status
    try:
        chapters = make(EPUB, book.HTML, yaml.safe_load((book.ROOT / "_toc.yml").read_text("utf-8")), book.address())
    except (NoBrowser, Unreadable) as error:
        print(error, file=sys.stderr)
        return 1
    size = EPUB.stat().st_size / 1e6
    print(f"\nThe book is in {EPUB.relative_to(book.ROOT)}: {len(chapters)} pages, {size:.1f} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
