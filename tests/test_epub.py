"""Packing the book: small pages in, an EPUB out that a reading system can open."""

import re
import threading
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.browser import ROOT, SITE
from tools import epub

PICTURE = (
    '<svg viewBox="0 0 9 9" role="img" aria-label="A cell" id="f"><style>#f { .a, & .b { stroke: red } }</style>'
    '<path style="fill: #8e2a60; fill: color-mix(in srgb, var(--wa-weight-2) 40.0%, var(--wa-weight-1)); '
    'stroke: var(--wa-key)"/></svg>'
)
PAGE = """<!doctype html><html lang="en"><body><nav>frame</nav><article><section id="top">
<h1><span class="section-number">5 </span>Look &amp; step<a class="headerlink" href="#top">#</a></h1>%s
</section></article></body></html>"""
FIRST = (
    '<p>It is <span class="math notranslate">\\(\\query{q} &lt; 2\\)</span>.<br>See <a href="two.html#there">two</a>, '
    '<a href="../_modules/x.html">source</a>, <a href="#top">top</a> and <a href="https://example.org/">there</a>.</p>'
    '<div class="math" id="eq-one"><span class="eqno">(1)<a class="headerlink" href="#eq-one">#</a></span>\\[a = b\\]'
    "</div>"
    "<p hidden>You said</p><details class='answer' name='one'><summary>Answer</summary><p>Yes.</p></details>"
    "<script>alert(1)</script>"
    f"<figure class='wa-live' id='widget-x' data-widget='x'><div class='wa-still'>{PICTURE}"
    "<p class='wa-note'>This is a still picture.</p></div></figure><button>Copy</button>"
    '<img src="../_images/dot.png" alt="A dot" loading="lazy">'
)
SECOND = '<p id="there">Back to <a href="one.html">one</a>.</p>'
TOC = {
    "root": "book/one",
    "parts": [{"caption": "All", "chapters": [{"file": "book/two", "sections": [{"file": "lab"}]}]}],
}
DOT = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de")


def read(path: Path) -> dict[str, str]:
    """Return the files of an EPUB as text, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode("utf-8", "replace") for name in archive.namelist()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A built site of three pages."""
    folder = tmp_path_factory.mktemp("site")
    pages = {"book/one": FIRST, "book/two": SECOND, "lab": "<p>Run.</p>"}
    for name, text in pages.items():
        (folder / f"{name}.html").parent.mkdir(exist_ok=True)
        (folder / f"{name}.html").write_text(PAGE % text, encoding="utf-8")
    (folder / "_images").mkdir()
    (folder / "_images/dot.png").write_bytes(DOT)
    (folder / "_static").mkdir()
    (folder / "_static/mathjax").symlink_to(SITE / "_static/mathjax")
    return folder


@pytest.fixture(scope="module")
def files(folder) -> dict[str, str]:
    """The files of the EPUB of that site, whose web edition has an address."""
    epub.make(folder / "book.epub", folder, TOC, "https://ann.github.io/book/")
    return read(folder / "book.epub")


def test_every_file_of_the_package_is_well_formed_and_there(files):
    for name, text in files.items():
        if name.endswith((".xhtml", ".opf", ".xml")):
            ElementTree.fromstring(text.encode())
    listed = set(re.findall(r'<item [^>]*href="([^"]+)"', files["EPUB/book.opf"])) | {"book.opf"}
    assert {f"EPUB/{name}" for name in listed} == files.keys() - {"mimetype", "META-INF/container.xml"}
    assert next(iter(files)) == "mimetype"
    assert files["mimetype"] == "application/epub+zip"


def test_the_pages_stand_in_the_order_of_the_book(files):
    opf = files["EPUB/book.opf"]
    names = dict(re.findall(r'<item id="(\w+)" href="([^"]+)"', opf))
    assert [names[page] for page in re.findall(r'<itemref idref="(\w+)"', opf)] == [
        *("nav.xhtml", "book/one.xhtml", "book/two.xhtml", "lab.xhtml")
    ]
    assert re.search(
        r'<ol><li><a href="book/one.xhtml">5. Look &amp; step</a></li><li><span>All</span><ol>'
        r'<li><a href="book/two.xhtml">[^<]+</a><ol><li><a href="lab.xhtml">[^<]+</a></li></ol></li></ol></li></ol>',
        files["EPUB/nav.xhtml"],
    )


def test_equations_are_mathml_with_their_source_as_words(files):
    page = files["EPUB/book/one.xhtml"]
    assert re.search(r'<math [^>]*alttext="\\query\{q\} &lt; 2"', page)
    assert '<mi class="wa-query">q</mi>' in page
    assert re.search(r'<div class="math" id="eq-one"><span class="eqno">\(1\)</span><math [^>]*display="block"', page)
    assert 'id="page0" href="book/one.xhtml" media-type="application/xhtml+xml" properties="mathml svg"' in str(files)
    assert 'href="book/two.xhtml" media-type="application/xhtml+xml"/>' in files["EPUB/book.opf"]


def test_an_equation_that_mathjax_does_not_know_is_an_error(folder):
    wrong = folder / "wrong.html"
    wrong.write_text(PAGE % '<span class="math">\\(\\frac{1}\\)</span>', encoding="utf-8")
    before = set(threading.enumerate())
    with pytest.raises(epub.Unreadable, match=r"wrong: MathJax did not understand '\\\\frac\{1\}'"):
        epub.read_pages(folder, {"root": "wrong"})
    assert [one for one in set(threading.enumerate()) - before if "serve_forever" in one.name] == []


def test_links_lead_to_pages_of_the_book_or_to_the_web_edition(files):
    page = files["EPUB/book/one.xhtml"]
    for target in (
        "../book/two.xhtml#there",
        "https://ann.github.io/book/_modules/x.html",
        "#top",
        "https://example.org/",
    ):
        assert f'href="{target}"' in page, target
    assert 'href="../book/one.xhtml"' in files["EPUB/book/two.xhtml"]


def test_without_a_web_edition_such_links_are_words(folder):
    epub.make(folder / "plain.epub", folder, TOC)
    page = read(folder / "plain.epub")["EPUB/book/one.xhtml"]
    assert "_modules" not in page
    assert ", source, " in page
    assert "This figure moves in the book’s web edition.<" in page


def test_what_is_folded_is_open_and_what_needs_a_browser_is_gone(files):
    page = files["EPUB/book/one.xhtml"]
    assert '<details class="answer" open="open">' in page
    assert 'web edition: <a href="https://ann.github.io/book/book/one.html#widget-x">' in page
    assert not re.search(r"<script|<button|headerlink|data-widget|frame|loading|You said|name=", page)


def test_pictures_keep_their_names_and_have_fixed_colours(files):
    page = files["EPUB/book/one.xhtml"]
    assert 'alt="A dot"' in page
    assert files["EPUB/_images/dot.png"]
    assert 'role="img" aria-label="A cell"' in page
    assert not re.search(r"var\(|color-mix|--wa", page)
    assert "fill: #8e2a60" in page
    assert "var(" not in files["EPUB/style.css"]
    assert "#f .a, #f .b { stroke: red; }" in page


def test_the_same_book_gives_the_same_bytes(folder, files):
    before = (folder / "book.epub").read_bytes()
    epub.make(folder / "book.epub", folder, TOC, "https://ann.github.io/book/")
    assert (folder / "book.epub").read_bytes() == before


def test_the_whole_book_is_packed_in_the_order_of_its_contents():
    names = [name for name, *_ in epub.contents(yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8")))]
    assert names[:3] == ["book/index", "book/01_looking", "notebooks/01_looking"]
    assert [name for name in names if not (SITE / f"{name}.html").exists()] == []
    assert len(names) == len(set(names)) > 40
