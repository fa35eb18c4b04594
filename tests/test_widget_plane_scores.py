"""The plane of chapter 04: every score of the page against Python, and what the page says about the case by hand."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from attention_src.experiments import scores as experiment
from attention_src.widgets.plane import Plane
from tests.browser import DESKTOP, PHONE, staged

LIVE = "#widget-plane"
PAGE = "book/04_scores.html"
NAMES = list(experiment.in_the_plane())


@pytest.fixture(scope="module")
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the plane on the page."""
    return page.locator(LIVE).locator(selector)


def column(page, number):
    """What a column of the table says, key by key, as numbers."""
    texts = part(page, f"tbody td:nth-of-type({number})").all_inner_texts()
    return [float(text.replace("−", "-")) for text in texts]


def check(page, **state):
    """Assert that scores, weights and mixed value on the page are Python's."""
    widget = Plane(**experiment.widget())
    for name, value in state.items():
        setattr(widget, name, value)
    assert column(page, 1) == pytest.approx(widget.seen.scores.tolist(), abs=0.0051)
    assert column(page, 2) == pytest.approx(widget.seen.weights.tolist(), abs=0.0011)
    mixed = part(page, "tfoot .pl-value").inner_text().replace("−", "-")
    assert float(mixed) == pytest.approx(widget.seen.value, abs=0.051)


def test_the_page_offers_every_score(page):
    assert part(page, "select option").all_inner_texts() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_score_on_the_page_is_pythons(page, name):
    part(page, "select").select_option(name)
    check(page, score=name)


def test_the_case_by_hand_has_three_winners(page):
    winners = {}
    for name in ("dot product", "cosine", "bilinear (a quarter turn)", "location"):
        part(page, "select").select_option(name)
        weights = column(page, 2)
        winners[name] = weights.index(max(weights)) + 1
    assert winners == {"dot product": 2, "cosine": 2, "bilinear (a quarter turn)": 3, "location": 3}


def test_the_keyboard_chooses_a_score_and_moves_a_key(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        part(page, "select").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        check(page, score="cosine")
        part(page, ".pl-key").nth(2).focus()
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        points = [*experiment.KEYS[:2], [-1.0, 3.0]]
        check(page, score="cosine", points=points)
        part(page, "select").select_option("location")
        check(page, score="location", points=points)


def test_a_key_between_two_others_wins_under_the_hill_and_not_under_the_dot_product(browser, site):
    line = "points=[[0,0],[1,1.9],[2,3]]"
    for name, best in (("dot product", 3), ("additive (a hill)", 2)):
        address = f"{site}{PAGE}{LIVE}?{line}&score={name.replace(' ', '%20')}"
        with staged(browser, address, LIVE) as page:
            weights = column(page, 2)
            assert weights.index(max(weights)) + 1 == best
            check(page, score=name, points=[[0, 0], [1, 1.9], [2, 3]])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_after_the_score_is_changed(browser, site, theme, size):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=size, color_scheme=theme) as page:
        for name in (NAMES[0], NAMES[6]):
            part(page, "select").select_option(name)
            found = Axe().run(page, context={"include": [LIVE]}).response["violations"]
            assert [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]] == []


@pytest.mark.parametrize("name", ["notebooks/04_scores.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    live = "#widget-plane-2" if name == "book/widgets.html" else LIVE
    with staged(browser, f"{site}{name}{live}", live) as page:
        assert page.locator(live).locator("select option").all_inner_texts() == NAMES
