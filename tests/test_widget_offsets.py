"""The scores over the offset: their numbers against the module's, and what a reader can do with them on the page."""

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.experiments.positions import pair as of_the_page
from attention_src.positions import moving, sinusoidal
from attention_src.widgets.offsets import KINDS, Offsets, scores
from tests.browser import DESKTOP, PHONE, check_access, check_inside, opened, staged

LIVE = "#widget-offsets"
PAGE = "book/12_positions.html"
CLOSE = {"rtol": 0, "atol": 1e-5}


def made(**changes):
    """The widget of the page, with some arguments changed."""
    return Offsets(**of_the_page() | changes)


# --- the Python side -------------------------------------------------------------------------------------------------


def test_by_hand_with_one_pair():
    query = torch.tensor([1.0, 0.0], dtype=torch.float64)  # one pair turns by one radian a place
    offsets = torch.arange(-32, 33, dtype=torch.float64)
    np.testing.assert_allclose(scores("waves", query, 0, 50), offsets.cos(), **CLOSE)
    np.testing.assert_allclose(scores("rotary", query, 0, 50), offsets.cos(), **CLOSE)
    np.testing.assert_allclose(scores("rotary", query, 3, 50), (offsets + 3).cos(), **CLOSE)
    np.testing.assert_allclose(scores("half", query, 3, 50), np.full(65, np.cos(50 - 3)), **CLOSE)
    there = 50 + offsets.numpy()
    words = (1 + np.sin(50)) * (np.cos(3) + np.sin(there)) + np.cos(50) * (np.sin(3) + np.cos(there))
    np.testing.assert_allclose(scores("words", query, 3, 50), words, **CLOSE)


@pytest.mark.parametrize("place", [32, 101, 256])
def test_another_way_to_the_same_scores(place):
    shown = made(place=place, width=14)
    query = torch.tensor(shown.query[:14], dtype=torch.float64)
    pairs = torch.view_as_complex(query.reshape(7, 2))
    speeds = 10_000 ** (-torch.arange(7, dtype=torch.float64) / 7)
    key = pairs * torch.exp(1j * speeds * shown.back)
    rows = sinusoidal(300, 14).double()
    for o in (-32, -3, 0, 9, 32):
        turned = [one * torch.exp(1j * speeds * p) for one, p in ((pairs, place), (key, place + o))]
        expected = {
            "waves": rows[place] @ rows[place + o],
            "words": (query + rows[place]) @ (torch.view_as_real(key).flatten() + rows[place + o]),
            "rotary": (turned[0].conj() * turned[1]).real.sum(),
            "half": (turned[0].conj() * key).real.sum(),
        }
        for kind, score in expected.items():
            shown.kind, shown.offset = kind, o
            assert shown.score == pytest.approx(float(score), abs=1e-5), kind


def test_two_curves_stay_and_two_move():
    for kind, stays in (("waves", True), ("rotary", True), ("words", False), ("half", False)):
        shown = made(kind=kind)
        for width in (2, 32, 64):
            shown.width = width
            changes = []
            for place in (33, 90, 256):
                shown.place = place
                changes.append(shown.change)
            assert (max(changes) < 1e-5) == stays, (kind, width)


def test_waves_know_no_direction_and_turns_do():
    waves, rotary = made(kind="waves").curve(40), made(kind="rotary").curve(40)
    np.testing.assert_allclose(waves, waves.flip(0), **CLOSE)
    assert float((rotary - rotary.flip(0)).abs().max()) > 1
    assert int(rotary.argmax()) - 32 == -of_the_page()["back"]
    half = made(kind="half").curve(40)
    np.testing.assert_allclose(half, half[0].expand(65))


def test_the_matrix_that_moves_places_gives_the_waves_curve():
    row = sinusoidal(41, 32)[40].double()
    expected = [float(row @ (moving(o, 32).double() @ row)) for o in range(-32, 33)]
    np.testing.assert_allclose(made(kind="waves", width=32, place=40).curve(40), expected, **CLOSE)


def test_the_summary_and_the_picture_follow_the_state():
    shown = made(kind="rotary", offset=-3, place=99)
    assert "rotary, both turned, width 32: at place 99 and offset -3 the score is" in shown.summary()
    assert shown.summary().endswith("nowhere")
    before = shown.picture()
    assert made(kind="rotary", offset=-3, place=99).picture() == before
    shown.kind = "words"
    assert f"by up to {shown.change:.2f}" in shown.summary()
    assert shown.picture() != before
    assert repr(shown) == f"Offsets: {shown.summary()}"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"query": [1.0]}, ValueError, "query must have an even number of numbers, 2 or more, but has 1"),
        ({"query": []}, ValueError, "query must have an even number of numbers, 2 or more, but has 0"),
        ({"kind": "learned"}, TraitError, "kind must be one of waves, words, rotary, half, but is 'learned'"),
        ({"width": 7}, TraitError, "width must be even and 2 to 64, the length of query, but is 7"),
        ({"width": 66}, TraitError, "width must be even and 2 to 64, the length of query, but is 66"),
        ({"place": 31}, TraitError, "place must be 32 to 256, but is 31"),
        ({"offset": -33}, TraitError, "offset must be -32 to 32, but is -33"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        made(**changes)


# --- arithmetic ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [2, 6, 64])
def test_the_page_scores_as_python_does(maths, kind, width):
    draw = torch.Generator().manual_seed(width)
    for back in (0, 3, -5):
        query = torch.randn(width, generator=draw).tolist()
        shown = Offsets(query, back, kind, width, 32)
        asked = {"kind": kind, "query": query, "back": back}
        for place in (32, 33, 107, 256):
            found = maths("(pair, place) => all.scores(pair, place)", asked, place)
            np.testing.assert_allclose(found, shown.curve(place), **CLOSE)
            assert np.abs(found).max() <= maths("pair => all.bound(pair)", asked) + 1e-9


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    shown = made()
    for state in (
        {"kind": "__proto__", "width": 7, "place": -1, "offset": 1e9},
        {"kind": 5, "width": "8", "place": None, "offset": 0.5},
        {"kind": "half", "width": 99, "place": 1e9, "offset": -99},
        {},
    ):
        tidy = maths("s => all.tidy(s)", {"widest": 64} | state)
        for name in ("kind", "width", "place", "offset"):
            setattr(shown, name, tidy[name])  # it refuses what cannot be drawn
    good = {"kind": "rotary", "width": 10, "place": 77, "offset": -4}
    assert maths("s => all.tidy(s)", {"widest": 64} | good) == good


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def slider(page, name):
    """The slider with this name."""
    return part(page, f"input[aria-label='{name}']")


def written(number):
    """A number as the page writes it."""
    return f"{round(number, 2) + 0.0:.2f}".replace("-", "−")


def check(page, shown):
    """Assert that the page shows Python's scores, and draws Python's curve."""
    first, at = float(shown.curve(32)[shown.offset + 32]), str(shown.offset).replace("-", "−")
    assert part(page, ".of-where").inner_text() == (
        f"Query at place {shown.place}, key at place {shown.place + shown.offset}, offset {at}: score "
        f"{written(shown.score)}. At place 32, the same offset: {written(first)}."
    )
    said = part(page, ".of-verdict").inner_text()
    if shown.place == 32:
        assert said == "Move the place: does the curve stay?"
    elif shown.change < 0.005:
        assert said == "The curve stays: it is that of place 32."
    else:
        assert said == f"The curve moves: it differs from that of place 32 by up to {written(shown.change)}."
    drawn = part(page, ".of-chart .of-now").get_attribute("d")[1:].split("L")
    heights = -np.array([float(point.split()[1]) for point in drawn])
    curve = shown.curve(shown.place).numpy()
    if np.ptp(curve) > 0.1:
        assert np.corrcoef(heights, curve)[0, 1] > 0.999


def test_it_begins_as_python_does(page):
    check(page, made())
    assert part(page, "input[type=radio]:checked").get_attribute("value") == "waves"


def test_the_place_is_moved_by_keyboard(page):
    shown, place = made(), slider(page, "Place of the query")
    place.focus()
    page.keyboard.press("ArrowRight")
    shown.place += 1
    check(page, shown)
    page.keyboard.press("End")
    shown.place = 256
    check(page, shown)
    expect(part(page, "[role=status]")).to_contain_text("The curve stays")
    part(page, "input[type=radio]:checked").focus()
    page.keyboard.press("ArrowRight")
    shown.kind = "words"
    check(page, shown)
    expect(part(page, "[role=status]")).to_contain_text("The curve moves")
    place.focus()
    page.keyboard.press("Home")
    shown.place = 32
    check(page, shown)


def test_kind_width_and_offset_by_mouse(page):
    shown = made()
    for kind, text in KINDS.items():
        part(page, "label").filter(has_text=text).click()
        shown.kind = kind
        check(page, shown)
    part(page, "label").filter(has_text="both turned").click()
    shown.kind = "rotary"
    box = slider(page, "Width").bounding_box()
    page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + box["height"] / 2)
    shown.width = int(slider(page, "Width").input_value())
    assert 36 <= shown.width <= 56
    check(page, shown)
    slider(page, "Offset").fill("-3")
    shown.offset = -3
    check(page, shown)
    box = part(page, ".of-chart").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 388 / 400, box["y"] + box["height"] / 2)
    shown.offset = 32
    check(page, shown)


def test_a_state_goes_into_the_address_and_comes_back(browser, page):
    part(page, "label").filter(has_text="only the query").click()
    slider(page, "Place of the query").fill("120")
    slider(page, "Width").fill("6")
    slider(page, "Offset").fill("11")
    part(page, ".wa-share button").click()
    with staged(browser, page.url, LIVE) as other:
        check(other, made(kind="half", place=120, width=6, offset=11))


@pytest.mark.parametrize("state", ["kind=x&width=3&place=-5&offset=999", "kind=[]&width=null&place=1e9&query=1"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert "score" in part(page, ".of-where").inner_text()
        assert "NaN" not in part(page, ".wa-widget").inner_html()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, "label").filter(has_text="waves added").click()
        slider(page, "Place of the query").fill("200")
        slider(page, "Width").fill("64")
        check_access(page, LIVE)
        check_inside(page, LIVE)
        touched = part(page, ".wa-widget :is(label, input[type=range])").all()
        assert min(one.bounding_box()["height"] for one in touched) >= 24


def test_both_widgets_of_the_page_live_and_the_gallery_shows_it_too(browser, site):
    with opened(browser, f"{site}{PAGE}{LIVE}", LIVE, quiet=False) as page:
        page.locator("#widget-places").scroll_into_view_if_needed()
        page.wait_for_selector("#widget-places[data-live]")
    for name in ("notebooks/12_positions.html", "book/widgets.html"):
        with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
            assert part(page, ".of-now").count() == 2
