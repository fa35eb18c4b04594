"""Laying the book out for paper: nothing is wider than a page, nothing stays folded."""

import pytest
from playwright.sync_api import Page

from tools import pdf

FRAME = "<!doctype html><html lang='en'><body><h1>A book</h1><span id='document-book/one'></span><section>%s</section>"


def laid_out(page: Page, body: str, site: str = "") -> None:
    """Open a page of one chapter with this ``body`` and lay it out for paper."""
    page.set_content(FRAME % body)
    pdf.lay_out(page, site)


@pytest.mark.parametrize("wide", ['<div style="width: 900px">x</div>', '<p style="margin-left: -40px">x</p>'])
def test_what_is_wider_than_the_paper_is_named(browser, wide):
    page = browser.new_page()
    with pytest.raises(pdf.TooWide, match=r"book/one: -?\d+ px: <(div|p) style"):
        laid_out(page, wide)
    page.close()


def test_what_would_be_cut_off_is_named(browser):
    page = browser.new_page()
    with pytest.raises(pdf.TooWide, match="hidden"):
        laid_out(page, '<div style="width: 90px; overflow: hidden"><i style="display: block; width: 200px">x</i></div>')
    page.close()


def test_long_code_is_wrapped_and_a_wide_table_is_set_smaller(browser):
    page = browser.new_page()
    cells = "<td><mjx-container><mjx-math>x</mjx-math></mjx-container></td>" + f"<td>{'word' * 4}</td>" * 9
    laid_out(page, f"<pre>{'word_' * 60}</pre><div class='scroll-x'><table><tr>{cells}</tr></table></div>")
    assert float(page.evaluate("document.querySelector('table').style.fontSize.slice(0, -1)")) < 90
    page.close()


def test_what_is_folded_on_the_site_is_open_on_paper(browser):
    page = browser.new_page()
    laid_out(page, "<details class='answer'><summary>Answer</summary><p>Yes.</p></details>")
    assert page.locator("details p").is_visible()
    page.close()


def test_a_still_picture_says_where_it_moves(browser):
    page = browser.new_page()
    figure = (
        '<figure class="wa-live" id="widget-x"><p class="wa-note" style="display: none">Needs JavaScript.</p></figure>'
    )
    laid_out(page, figure, "https://ann.github.io/book/")
    link = page.locator(".wa-note a")
    assert link.get_attribute("href") == link.inner_text() == "https://ann.github.io/book/book/one.html#widget-x"
    laid_out(page, figure)
    assert page.locator(".wa-note").inner_text() == "This figure moves in the book’s web edition."
    page.close()
