"""A chapter as slides: what is shown is there, nothing is cut off, keys turn the sheets."""

import pytest

from tests.browser import SITE, chromium, serve, settle, watch
from tests.chapters import ROOT

WALL = {"width": 1280, "height": 720}
CHAPTER = "05_bahdanau"


@pytest.fixture(scope="module")
def site():
    """The address of the book and a browser."""
    with serve(SITE) as url, chromium() as browser:
        yield url, browser


def slides(site, address: str):
    """Open an address of the book on a wall, and wait until all is set."""
    url, browser = site
    page = browser.new_page(viewport=WALL)
    record = watch(page)
    page.goto(f"{url}book/{address}")
    settle(page)
    page.wait_for_selector(".slide")
    assert record.problems(url) == []
    return page


@pytest.fixture(scope="module")
def deck(site):
    """The slides of one chapter."""
    return slides(site, f"{CHAPTER}.html?slides")


def test_every_picture_and_moving_figure_of_the_chapter_is_shown_once(deck):
    text = (ROOT / "book" / f"{CHAPTER}.md").read_text(encoding="utf-8")
    pictures = text.count("```{chart}") + text.count("```{diagram}")
    assert deck.locator(".slide figure:not(.wa-live)").count() == pictures
    assert deck.locator(".slide .wa-live").count() == text.count("```{widget}")
    assert deck.locator(".slide .by-hand").count() == text.count("```{by-hand}")


def test_it_begins_with_the_question_and_ends_with_those_of_an_interview(deck):
    text = (ROOT / "book" / f"{CHAPTER}.md").read_text(encoding="utf-8")
    assert deck.locator(".slide >> nth=0").locator(".question").count() == 1
    assert deck.locator(".slide >> nth=-1").locator("li").count() == text.count("```{interview}")


@pytest.mark.parametrize("chapter", [CHAPTER, "03_attention"])
def test_nothing_is_cut_off_and_exercises_are_left_out(site, chapter):
    page = slides(site, f"{chapter}.html?slides")
    assert "Exercises" in (ROOT / "book" / f"{chapter}.md").read_text(encoding="utf-8")
    assert page.locator(".slide > h2", has_text="Exercises").count() == 0
    page.wait_for_timeout(300)  # the last letters and equations may still change a height
    cut = "sheets => sheets.map(sheet => sheet.scrollHeight - sheet.clientHeight)"
    assert max(page.locator(".slide").evaluate_all(cut)) <= 2
    wide = "sheets => sheets.map(sheet => sheet.scrollWidth - sheet.clientWidth)"
    assert max(page.locator(".slide").evaluate_all(wide)) <= 0
    page.close()


def test_keys_turn_the_sheets_but_not_while_a_figure_has_them(deck):
    tops = "sheets => sheets.findIndex(sheet => Math.abs(sheet.getBoundingClientRect().top) < 2)"
    seen = []
    for key in ("Home", "ArrowRight", "PageDown", "ArrowRight", "ArrowDown", "PageUp", "Space", "Shift+Space", "End"):
        deck.keyboard.press(key)
        seen.append(deck.locator(".slide").evaluate_all(tops))
    assert seen == [0, 1, 2, 3, 4, 3, 4, 3, deck.locator(".slide").count() - 1]
    deck.locator(".wa-live").scroll_into_view_if_needed()
    deck.locator(".wa-live[data-live] input").first.focus()
    before = deck.evaluate("scrollY")
    deck.keyboard.press("ArrowRight")
    assert deck.evaluate("scrollY") == before


@pytest.mark.parametrize(("down", "up"), [("PageDown", "PageUp"), ("ArrowDown", "ArrowUp")])
def test_the_rest_of_a_sheet_that_is_higher_than_the_wall_comes_before_the_next(site, down, up):
    page = slides(site, f"{CHAPTER}.html?slides")
    page.wait_for_timeout(300)  # the last letters and equations may still change a height
    tall = page.locator(".slide").nth(2)
    assert "tall" in tall.get_attribute("class")
    rest = tall.bounding_box()["height"] - WALL["height"]
    assert 9 < rest < 0.8 * WALL["height"]  # one key leads to its end
    tops = []
    for key in ("Home", "ArrowRight", "ArrowRight", down, up, down, down):
        page.keyboard.press(key)
        tops.append(tall.bounding_box()["y"])
    assert tops[2:] == pytest.approx([0, -rest, 0, -rest, -rest - WALL["height"]], abs=2)
    page.close()


def test_a_page_that_does_not_ask_for_slides_has_none(site):
    url, browser = site
    page = browser.new_page(viewport=WALL)
    for address in (f"{CHAPTER}.html", "notation.html?slides"):
        page.goto(f"{url}book/{address}")
        settle(page)
        page.wait_for_timeout(500)  # the script of the slides would be loaded and run by now
        assert page.locator(".slide").count() == 0
        assert page.locator("article h2").count() > 2
    page.close()
