"""The cheat sheet on paper: one sheet of A4, nothing cut off, letters that can be read."""

import re

import pytest

from tests.browser import SITE, chromium, serve, settle

PAPER = {"width": 726, "height": 1054}  # A4 at 96 dots an inch, without its margins of 9 mm
POINT = 96 / 72


@pytest.fixture(scope="module")
def sheet():
    """The page in a browser."""
    with serve(SITE) as url, chromium() as browser:
        page = browser.new_page(viewport=PAPER)
        page.goto(f"{url}book/cheat_sheet.html")
        settle(page)
        yield page


def test_it_prints_on_one_sheet_of_a4(sheet):
    content = sheet.pdf(prefer_css_page_size=True)
    sizes = re.findall(rb"/MediaBox \[([\d. ]+)\]", content)
    assert len(re.findall(rb"/Type /Page\b", content)) == 1
    assert [[round(float(side)) for side in size.split()] for size in sizes] == [[0, 0, 595, 842]]


def test_nothing_is_cut_off_and_letters_are_large_enough(sheet):
    sheet.emulate_media(media="print")
    cut = "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.innerText)"
    assert sheet.locator("article .scroll-x").evaluate_all(cut) == []
    sizes = "nodes => nodes.map(node => parseFloat(getComputedStyle(node).fontSize))"
    assert min(sheet.locator("article :is(p, li, th, td)").evaluate_all(sizes)) >= 7 * POINT


def test_every_chapter_with_a_model_is_on_it(sheet):
    rows = sheet.locator("#models tbody tr td:last-child").all_inner_texts()
    assert sorted({int(row) for row in rows}) == [2, 5, 6, 8, 9, 10, 11, 13, 15, 16, 17]
