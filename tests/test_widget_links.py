"""The widget that reads maps as links: its counting against the module's, and what a reader can do with it."""

import random

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.alignment import alignment_error_rate, hardest
from attention_src.experiments.alignment import widget
from attention_src.widgets.links import AlignmentLinks
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-links"
PAGE = "book/07_alignment.html"
HAND = {
    "title": "by hand",
    "source": ["i", "do", "not", "sleep"],
    "target": ["je", "ne", "dors", "pas"],
    "weights": [[0.9, 0, 0.1, 0], [0.1, 0.3, 0.5, 0.1], [0, 0, 0.1, 0.9], [0, 0.1, 0.4, 0.5]],
    "gold": [(0, 0), (2, 1), (3, 2), (2, 3)],
}


def drawn(seed):
    """A map of random weights, 5 source words, 3 target words; one row is zero."""
    chance = random.Random(seed)
    weights = torch.rand(3, 5, generator=torch.Generator().manual_seed(seed))
    weights /= weights.sum(dim=1, keepdim=True)
    weights[seed % 3] *= seed % 2
    gold = {(i, j) for i in range(5) for j in range(3) if chance.random() < 0.3}
    return {"title": f"{seed}", "source": list("abcde"), "target": list("xyz"), "weights": weights, "gold": gold}


# --- the Python side --------------------------------------------------------------------------------------------------


def test_the_case_by_hand():
    made = AlignmentLinks([HAND])
    assert made.seen == ([(0, 0), (2, 1), (3, 2), (3, 3)], 3, 0.25, 0.75, 0.75)
    assert made.summary() == (
        "A map of weights, by hand, read by the largest weight of each row: 4 links are said, 3 of them true, of 4 "
        "true links; alignment error 25 %"
    )
    made.reading, made.least = "threshold", 0.4
    assert made.seen.error == pytest.approx(1 / 9)
    assert "weights of at least 0.40: 5 links are said, 4 of them true" in repr(made)


def test_a_map_without_true_links_says_so():
    made = AlignmentLinks([{**HAND, "gold": None}])
    assert made.state()["maps"][0]["gold"] is None
    assert len(made.seen.links) == 4
    assert made.summary().endswith("each row: 4 links are said; what is true is not known")
    made.still()


def test_links_are_added_removed_and_shifted():
    made = AlignmentLinks([HAND])
    made.toggled = [[3, 3], [2, 3], [9, 9]]  # outside: no link
    assert made.seen.error == 0
    made.toggled, made.shift = [], 1
    assert made.seen.links == [(0, 1), (2, 2), (3, 3)]


def test_the_maps_of_the_page_are_those_of_the_translators():
    made = AlignmentLinks(**widget())
    assert [one["title"] for one in made.maps][1:3] == ["Luong, to French", "trained to look elsewhere, to French"]
    for number, one in enumerate(made.maps):
        made.chosen = number
        gold = {tuple(link) for link in one["gold"]}
        expected = alignment_error_rate([hardest(torch.tensor(one["weights"]))], [gold])
        assert made.seen[2:] == pytest.approx(expected)
        np.testing.assert_allclose(np.sum(one["weights"], axis=1), 1, atol=1e-3)


def test_the_picture_is_the_same_twice():
    assert AlignmentLinks([HAND]).picture() == AlignmentLinks([HAND]).picture()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [[1.0]]}, r"maps\[0\] must have weights of shape \(4, 4\), but has \(1, 1\)"),
        ({"gold": [(4, 0)]}, r"maps\[0\] has the true link \(4, 0\), which lies outside"),
    ],
)
def test_bad_maps_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        AlignmentLinks([HAND | change])
    with pytest.raises(ValueError, match="maps is empty"):
        AlignmentLinks([])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("chosen", 1, "chosen must be 0 to 0"), ("least", 0.0, "least must be 0.05 to 0.95"), ("shift", 2, "-1, 0 or 1")],
)
def test_bad_traits_are_named(name, value, message):
    with pytest.raises(TraitError, match=message):
        setattr(AlignmentLinks([HAND]), name, value)


# --- arithmetic -------------------------------------------------------------------------------------------------------


def same(maths, made):
    """Assert that the page counts what Python counts."""
    state = made.state()
    links = maths("s => all.said(s.maps[s.chosen], all.tidy(s))", state)
    found = maths("(links, gold) => all.count(links, gold)", links, state["maps"][state["chosen"]]["gold"])
    seen = made.seen
    assert [tuple(link) for link in links] == seen.links
    assert found["right"] == seen.right
    for name in ("error", "precision", "recall"):
        assert found[name] == pytest.approx(getattr(seen, name), abs=1e-12)


def test_the_page_counts_as_python_does(maths):
    chance = random.Random(0)
    made = AlignmentLinks([HAND, *(drawn(seed) for seed in range(5))])
    for _ in range(40):
        made.chosen = chance.randrange(6)
        made.reading = chance.choice(["largest", "threshold"])
        made.least, made.shift = chance.randint(1, 19) / 20, chance.choice([-1, 0, 1])
        made.toggled = [[chance.randint(-1, 5), chance.randint(-1, 4)] for _ in range(chance.randrange(4))]
        made.toggled = [list(link) for link in {tuple(link) for link in made.toggled}]
        same(maths, made)


def test_the_trained_maps_are_counted_alike(maths):
    made = AlignmentLinks(**widget())
    for number in range(len(made.maps)):
        made.chosen = number
        for made.reading in ("largest", "threshold"):
            same(maths, made)


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    given = {"maps": AlignmentLinks([HAND]).state()["maps"]}
    plain = {"chosen": 0, "reading": "largest", "least": 0.3, "shift": 0, "toggled": []}
    absurd = {"chosen": 7, "reading": "constructor", "least": "x", "shift": 2, "toggled": [[1], "ab", [0.5, 1], None]}
    assert maths("s => all.tidy(s)", given | absurd) == plain
    assert maths("s => all.tidy(s)", given) == plain
    assert maths("s => all.tidy(s)", given | {"least": 9, "toggled": 3})["least"] == 0.95
    good = {"chosen": 0, "reading": "threshold", "least": 0.5, "shift": -1, "toggled": [[1, 2]]}
    assert maths("s => all.tidy(s)", given | good) == good


# --- the built page ---------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def check(page, made):
    """Assert that the page shows Python's links and Python's numbers."""
    seen, one = made.seen, made.maps[made.chosen]
    marks = part(page, "tbody button").all_inner_texts()
    columns = len(one["source"])
    assert {(at % columns, at // columns) for at, mark in enumerate(marks) if mark} == set(seen.links)
    assert sum(mark == "●" for mark in marks) == seen.right
    numbers = [int(100 * share + 0.5) for share in (seen.precision, seen.recall, seen.error)]
    text = part(page, ".ln-result strong").inner_text()
    assert text == f"Precision {numbers[0]} %, recall {numbers[1]} %, alignment error {numbers[2]} %."


def test_ways_to_read_by_keyboard(page):
    made = AlignmentLinks(**widget())
    check(page, made)
    part(page, "select").nth(1).focus()
    page.keyboard.press("ArrowDown")
    made.reading = "threshold"
    check(page, made)
    part(page, "input[type=range]").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    made.least = 0.45
    check(page, made)
    part(page, "select").nth(2).select_option("1")
    made.shift = 1
    check(page, made)
    part(page, "select").nth(0).select_option("3")
    made.chosen = 3
    check(page, made)
    expect(part(page, "[role=status]")).to_contain_text(f"{len(made.seen.links)} said")


def test_links_by_mouse_and_by_keyboard(page):
    made = AlignmentLinks(**widget())
    cells = part(page, "tbody button")
    cells.nth(1).click()
    made.toggled = [[1, 0]]
    check(page, made)
    page.keyboard.press("ArrowDown")  # the second row
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    made.toggled = [[1, 0], [2, 1]]
    check(page, made)
    check_access(page, LIVE)
    part(page, "button").filter(has_text="Undo").click()
    made.toggled = []
    check(page, made)


def test_a_state_goes_into_the_address_and_comes_back(browser, site, page):
    part(page, "select").nth(0).select_option("2")
    part(page, "tbody button").nth(3).click()
    part(page, ".wa-share button").click()
    before = part(page, ".ln-result").inner_text(), part(page, "tbody").inner_text()
    with staged(browser, page.url, LIVE) as other:
        assert (part(other, ".ln-result").inner_text(), part(other, "tbody").inner_text()) == before


@pytest.mark.parametrize("state", ["chosen=99&toggled=[[1]]&least=-3", "reading=5&shift=[]&maps=[]&toggled=x"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert part(page, "tbody button").count() > 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, "select").nth(1).select_option("threshold")
        part(page, "tbody button").nth(2).click()
        check_access(page, LIVE)
        check_inside(page, LIVE, ".ln-scroll")
        assert part(page, "tbody button").first.bounding_box()["width"] >= 24


@pytest.mark.parametrize("name", ["notebooks/07_alignment.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, "tbody button").count() > 1
