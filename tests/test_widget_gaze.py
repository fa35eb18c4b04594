"""Where to look: the widget's numbers against Python's, and what a reader can do with it on the built page."""

import json

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.experiments.looking import widget as arguments
from attention_src.looking import FEATURES, SHAPES, saliency
from attention_src.widgets.gaze import PAINT, Gaze
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-gaze"
PAGE = "book/01_looking.html"
CLOSE = {"rtol": 0, "atol": 1e-5}


def random_scene(side, seed=0):
    """A scene of random things whose features are random too."""
    random = torch.Generator().manual_seed(seed)
    rows = torch.rand(side * side, len(FEATURES), generator=random, dtype=torch.float64).tolist()
    colours = torch.randint(len(PAINT), (side * side,), generator=random).tolist()
    shapes = torch.randint(len(SHAPES), (side * side,), generator=random).tolist()
    things = [[list(PAINT)[c], list(SHAPES)[s]] for c, s in zip(colours, shapes, strict=True)]
    return {"side": side, "things": things, "features": [[round(x, 4) for x in row] for row in rows]}


def two_by_two():
    """A red circle and three green squares, with features that are easy to compute with."""
    rows = [[0, 1, 0, 0, 0.7, 0, 0.7, 0]] * 3
    return {
        "side": 2,
        "things": [["green", "square"], ["red", "circle"], ["green", "square"], ["green", "square"]],
        "features": [rows[0], [1, 0, 0, 0, 0.5, 0.5, 0.5, 0.5], *rows[1:]],
    }


# --- the Python side -------------------------------------------------------------------------------------------------


def test_a_case_by_hand():
    """Four cells that all see each other: the odd one differs by 1 in red and in green, the others by 1/3."""
    widget = Gaze({"one": two_by_two()})
    widget.counts = [1.0, 0.0]
    one = np.array([1 / 3, 1, 1 / 3, 1 / 3])
    mean = one.mean()
    np.testing.assert_allclose(widget.seen.saliency.flatten(), one * (1 - mean) ** 2)  # red and green are alike
    assert widget.seen.looks == [1, 0, 2]
    widget.will, widget.counts = 1.0, [1.0, 1.0]
    scores = np.array([8 * 0.7, 8 * 2, 8 * 0.7, 8 * 0.7])
    weights = np.exp(scores - 16) / np.exp(scores - 16).sum()
    np.testing.assert_allclose(widget.seen.weights.flatten(), weights)
    assert repr(widget) == (
        "Gaze: A picture of coloured shapes (one) with its map; asked for: red circle, which decides 100%, and what "
        "stands out the rest. The first looks: 1. red circle in row 1, column 2; 2. green square in row 1, column 1; "
        "3. green square in row 2, column 1"
    )


def test_it_is_the_saliency_of_the_chapter():
    scene = random_scene(5)
    widget = Gaze({"one": scene})
    known = torch.tensor(scene["features"], dtype=torch.float64).reshape(5, 5, -1)
    np.testing.assert_allclose(widget.seen.saliency, saliency(known))
    np.testing.assert_allclose(widget.seen.priority, saliency(known) / saliency(known).max())


def test_the_scenes_of_the_page_keep_their_promise():
    widget = Gaze(**arguments())
    for name in widget.scenes:
        widget.scene, widget.will = name, 1.0
        assert widget.named(widget.seen.looks[0]).startswith("red circle")
    widget.scene, widget.will = "With a surprise", 0.0
    first = widget.scenes[widget.scene]["things"][widget.seen.looks[0]]
    assert widget.scenes[widget.scene]["things"].count(first) == 1
    assert first != ["red", "circle"]


def test_the_picture_is_the_same_twice_and_moves():
    first, second = Gaze({"one": two_by_two()}), Gaze({"one": two_by_two()})
    assert first.picture() == second.picture()
    second.colour = "green"
    second.will = 1.0
    assert first.picture() != second.picture()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scene", "none", "scene must be one of \\['one'\\], but is 'none'"),
        ("colour", "pink", "colour must be one of red, green, blue, yellow, or '' for any, but is 'pink'"),
        ("shape", "star", "shape must be one of circle, square, diamond, or '' for any, but is 'star'"),
        ("counts", [1.0, 2.5], "counts must be between 0 and 2, but holds 2.5"),
        ("will", float("nan"), "will must be between 0 and 1, but is nan"),
    ],
)
def test_wrong_traits_are_refused(name, value, message):
    widget = Gaze({"one": two_by_two()})
    with pytest.raises(TraitError, match=message):
        widget.set_trait(name, value)


def test_wrong_scenes_are_refused():
    with pytest.raises(ValueError, match="scenes must hold at least one scene"):
        Gaze({})
    with pytest.raises(ValueError, match="'things'\\] must hold one entry for each of 4 cells, but holds 1"):
        Gaze({"one": two_by_two() | {"things": [["red", "circle"]]}})
    with pytest.raises(ValueError, match="rows of 8 numbers from 0 to 1, not \\[2\\]"):
        Gaze({"one": two_by_two() | {"features": [[2]] * 4}})


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, widget):
    """Assert that the page sees what Python sees."""
    found, seen = maths("s => all.look(all.tidy(s))", widget.state()), widget.seen
    for name in ("saliency", "weights", "priority"):
        np.testing.assert_allclose(found[name], getattr(seen, name).flatten(), **CLOSE, err_msg=name)
    assert found["looks"] == seen.looks


def test_the_page_sees_what_python_sees(maths):
    for side, seed in ((2, 0), (3, 1), (5, 2), (7, 3)):
        widget = Gaze({"one": random_scene(side, seed)})
        for colour, shape, counts, will in (
            ("red", "circle", [1, 1], 0.0),
            ("", "diamond", [0.3, 2], 0.35),
            ("yellow", "", [2, 0.7], 1.0),
            ("", "", [1, 1], 1.0),
            ("blue", "square", [0, 0], 0.5),
        ):
            widget.colour, widget.shape, widget.counts, widget.will = colour, shape, counts, will
            same(maths, widget)
    widget = Gaze(**arguments())
    for name in widget.scenes:
        for will in (0.0, 0.5, 1.0):
            widget.scene, widget.will = name, will
            same(maths, widget)
    flat = two_by_two() | {"features": [[0.5] * 8] * 4}  # nothing stands out, and all fit alike
    same(maths, Gaze({"one": flat}))


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    scenes = {"one": two_by_two()}
    for state in (
        {"scene": "toString", "colour": 5, "shape": "constructor", "counts": "x", "will": "y"},
        {"scene": None, "colour": "pink", "shape": [], "counts": [None, 1e999], "will": None},
        {"counts": [9, -9, 1], "will": -5},
        {},
    ):
        tidy = maths("s => all.tidy(s)", {"scenes": scenes} | state)
        assert (tidy["scene"], tidy["colour"], tidy["shape"]) == ("one", "", "")
        assert all(0 <= x <= 2 for x in tidy["counts"])
        assert 0 <= tidy["will"] <= 1
    good = {"scenes": scenes, "scene": "one", "colour": "red", "shape": "square", "counts": [0, 1.5], "will": 0.25}
    assert maths("s => all.tidy(s)", good) == good


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def agrees(page, widget):
    """Assert that the page shows where the widget looks, in the list, the picture and the map."""
    wanted = [widget.named(place) for place in widget.seen.looks]
    expect(part(page, ".gz-looks li")).to_have_text(wanted)
    assert part(page, ".gz-map button.gz-looked").count() == len(wanted)
    for number, place in enumerate(widget.seen.looks, 1):
        expect(part(page, ".gz-map button").nth(place)).to_have_text(str(number))
    assert wanted[0] in part(page, ".gz-picture").get_attribute("aria-label")


def field(page, label):
    """A control by its label."""
    return page.locator(LIVE).get_by_label(label)


def test_it_begins_with_what_stands_out(page):
    widget = Gaze(**arguments())
    agrees(page, widget)
    assert part(page, ".gz-picture .gz-thing").count() == 36


def test_asking_moves_the_first_look(page):
    widget = Gaze(**arguments())
    field(page, "What is asked decides").focus()
    page.keyboard.press("End")
    widget.will = 1.0
    agrees(page, widget)
    field(page, "Colour asked for").select_option("green")
    field(page, "Shape asked for").select_option("any")
    widget.colour, widget.shape = "green", ""
    agrees(page, widget)
    expect(part(page, "[role=status]")).to_contain_text(f"First {widget.named(widget.seen.looks[0])}; then")


@pytest.mark.parametrize("name", list(arguments()["scenes"]))
def test_every_picture_and_what_counts(page, name):
    widget = Gaze(**arguments())
    field(page, "Picture").first.select_option(name)
    widget.scene = name
    agrees(page, widget)
    field(page, "Shape counts").focus()
    page.keyboard.press("Home")
    widget.counts = [1.0, 0.0]
    agrees(page, widget)
    field(page, "Colour counts").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    field(page, "What is asked decides").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    widget.counts, widget.will = [0.7, 0.0], 0.25
    agrees(page, widget)


def test_the_arrow_keys_walk_over_the_map(page):
    cells = part(page, ".gz-map button")
    cells.first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    expect(cells.nth(7)).to_be_focused()
    expect(part(page, ".gz-told")).to_contain_text("in row 2, column 2: stands out")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    expect(cells.nth(35)).to_be_focused()
    expect(part(page, ".gz-told")).to_contain_text("in row 6, column 6")


def test_the_mouse_reads_a_cell(page):
    widget = Gaze(**arguments())
    place = widget.seen.looks[0]
    part(page, ".gz-map button").nth(place).click()
    weight = round(100 * float(widget.seen.weights.flatten()[place]))
    expect(part(page, ".gz-told")).to_have_text(
        f"{widget.named(place)}: stands out 100 % of the most, weight {weight} %, priority 100 % of the most."
    )


def test_a_state_goes_into_the_address_and_comes_back(browser, page):
    field(page, "Picture").first.select_option("Only both together")
    field(page, "Shape asked for").select_option("square")
    field(page, "What is asked decides").focus()
    page.keyboard.press("End")
    part(page, ".wa-share button").click()
    before = part(page, ".gz-looks li").all_inner_texts()
    assert json.loads(page.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('will')")) == 1
    with staged(browser, page.url, LIVE) as other:
        assert part(other, ".gz-looks li").all_inner_texts() == before


@pytest.mark.parametrize("state", ["scene=x&colour=y&counts=[1e999,null]&will=-5", "counts=5&will=x&shape=__proto__"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        expect(part(page, ".gz-looks li")).to_have_count(3)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        field(page, "What is asked decides").focus()
        page.keyboard.press("End")
        part(page, ".gz-map button").nth(8).click()
        check_access(page, LIVE)
        check_inside(page, LIVE)
        cell = part(page, ".gz-map button").first.bounding_box()
        assert min(cell["width"], cell["height"]) >= 40  # large enough for a finger


@pytest.mark.parametrize("name", ["notebooks/01_looking.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".gz-map button").count() == 36
