"""The links to the glossary in the built book, and its page in a real browser."""

import re

import pytest

from tests.browser import PHONE, SITE, check_access, opened
from tests.sphinx_pages import extension

TERMS = extension("glossary").read()
PAGE = "book/glossary.html"
LINK = re.compile(r'<a class="[^"]*\bterm\b[^"]*" href="([^"]*)#(term-[\w-]+)"')


def links(path):
    """The terms that a page links, by their anchors."""
    return [anchor for _, anchor in LINK.findall(path.read_text(encoding="utf-8"))]


def test_every_term_is_linked_in_a_chapter_and_in_none_twice():
    linked = set()
    for path in sorted((SITE / "book").glob("[0-9]*.html")):
        found = links(path)
        assert len(found) == len(set(found)), path.name
        linked |= set(found)
    assert {term.anchor for term in TERMS} == linked


def test_no_term_is_linked_outside_the_chapters():
    others = [path for path in SITE.rglob("*.html") if not re.match(r"\d\d_", path.name) or path.parent.name != "book"]
    assert [path.name for path in others if links(path)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_glossary_fits_a_phone_and_axe_finds_nothing(browser, site, scheme):
    with opened(browser, site + PAGE, None, quiet=False, viewport=PHONE, color_scheme=scheme) as page:
        check_access(page, "section")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_chinese_letters_ask_for_chinese_fonts(browser, site):
    with opened(browser, site + PAGE, None, quiet=False) as page:
        chinese = page.locator("[lang=zh]").first
        assert "CJK" in chinese.evaluate("node => getComputedStyle(node).fontFamily")
        assert "Serif" in page.locator("[lang=zh-Latn]").first.evaluate("node => getComputedStyle(node).fontFamily")


def test_a_link_leads_from_a_chapter_to_the_term(browser, site):
    with opened(browser, site + "book/05_bahdanau.html", None, quiet=False) as page:
        link = page.locator("a.term").first
        name, means = link.inner_text(), link.get_attribute("title")
        link.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/glossary.html#term-*")
        assert page.locator("dt:target").inner_text().lower().startswith(name[:4].lower())
        assert means.endswith(".")
