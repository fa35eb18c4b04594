"""Glimpses at a picture: the numbers of the page against the module's, and what a reader can do with it."""

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.experiments.hard_attention import glimpse_pictures as of_the_page
from attention_src.hard_attention import Viewer, best, thumbnail
from attention_src.widgets.base import rounded
from attention_src.widgets.chance import uniform
from attention_src.widgets.glimpses import Glimpses
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-glimpses"
PAGE = "book/09_hard_attention.html"
CLOSE = {"rtol": 0, "atol": 1e-5}


def model(seed=7):
    """A viewer with random weights, its sizes different; there are 4 by 4 windows in a picture."""
    torch.manual_seed(seed)
    return Viewer(15, answers=5, side=6, stride=3, block=5, hidden=7)


def made(**changes):
    """A widget with random pictures and weights."""
    ink = np.random.default_rng(2).integers(17, size=(3, 15, 15)) / 16
    return Glimpses(**{"model": model(), "pictures": ink, "answers": [4, 0, 2], "glimpses": 3} | changes)


# --- the Python side -------------------------------------------------------------------------------------------------


def test_it_is_the_viewer_of_the_chapter():
    shown = made(number=1, places=[5, 15, 5], seed=8)
    twin, picture = rounded(model(), shown.weights).double(), made()._pictures[[1]]
    state, said = torch.zeros(1, 7, dtype=torch.float64), []
    with torch.no_grad():
        for place in (5, 15, 5):
            state = twin.look(picture, torch.tensor([place]), state)
            said.append(twin.readout(state).softmax(dim=-1)[0])
        own = twin(picture, 3, best)
    np.testing.assert_allclose(shown.seen["reader"].said, torch.stack(said))
    assert shown.seen["reader"].places == [5, 15, 5]
    assert shown.seen["policy"].places == own.places[0].tolist()
    np.testing.assert_allclose(shown.seen["policy"].said, own.logits[0].softmax(dim=-1))
    assert shown.seen["random"].places == [int(16 * u) for u in uniform(8001, 3)]


def test_all_look_as_often_as_the_reader():
    shown = made()
    for places in ([], [0], [3, 2]):
        shown.places = places
        assert [len(looked.places) for looked in shown.seen.values()] == [len(places)] * 3
        assert [len(looked.said) for looked in shown.seen.values()] == [len(places)] * 3


def test_the_trained_policy_finds_more_than_chance():
    shown = Glimpses(**of_the_page())
    right = dict.fromkeys(("policy", "random"), 0)
    for number in range(len(shown.answers)):
        shown.number = number
        for who in right:
            right[who] += np.argmax(shown.seen[who].said[0]) == shown.answers[shown.number]
    assert right["policy"] > right["random"] + 2


def test_the_pictures_travel_without_loss():
    shown = Glimpses(**of_the_page())
    np.testing.assert_array_equal(shown._pictures, of_the_page()["pictures"])
    assert {len(text) for text in shown.pictures} == {shown.size**2}


def test_the_picture_is_the_same_twice_and_moves():
    first, second = made(places=[1]), made(places=[1])
    assert first.picture() == second.picture()
    second.places = [1, 2]
    assert first.picture() != second.picture()
    assert repr(second).startswith(
        "Glimpses: A picture of 15 by 15 pixels with the digit 4, seen through 2 windows of 6"
    )
    assert "no glimpse yet" in made().summary()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"places": [0] * 4}, TraitError, "places must be at most 3, but are 4"),
        ({"places": [16]}, TraitError, "places must lie between 0 and 15, but is 16"),
        ({"number": 3}, TraitError, "number must lie between 0 and 2, but is 3"),
        ({"seed": 1000}, TraitError, "seed must lie between 0 and 999, but is 1000"),
        ({"answers": [1]}, ValueError, "answers must be one for each of 3 pictures, but are 1"),
        ({"pictures": np.full((3, 15, 15), 0.3)}, ValueError, r"in sixteenths from 0 to 1"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        made(**changes)


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, shown):
    """Assert that the page sees what Python sees."""
    found = maths("s => all.look(all.unpack(s.weights), { ...s, ...all.tidy(s) })", shown.state())
    for who, looked in shown.seen.items():
        assert found[who]["places"] == looked.places
        np.testing.assert_allclose(found[who]["said"], looked.said, **CLOSE)


def test_the_page_computes_as_python_does(maths):
    shown = made()
    for picture, places in ((0, []), (1, [0]), (2, [15, 15, 15]), (0, [3, 12, 7])):
        shown.number, shown.places, shown.seed = picture, places, 13 * picture
        same(maths, shown)
    real = Glimpses(**of_the_page())
    for picture in range(len(real.answers)):
        real.number, real.places = picture, [picture, 24, 12, 0]
        same(maths, real)


def test_windows_and_the_coarse_picture_are_the_modules(maths):
    shown = made()
    shape = {"size": 15, "side": 6, "stride": 3, "block": 5}
    coarse = maths("([text, shape]) => [...all.thumbnail(all.pixels(text), shape)]", [shown.pictures[2], shape])
    np.testing.assert_allclose(coarse, thumbnail(shown._pictures[[2]], 5)[0])
    numbered = torch.arange(225.0).reshape(1, 15, 15)
    cut = numbered.unfold(1, 6, 3).unfold(2, 6, 3).flatten(3).flatten(1, 2)[0]
    for place in (0, 3, 7, 15):
        assert maths("([p, shape]) => all.windowOf(p, shape)", [place, shape]) == cut[place].int().tolist()


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    shown = made()
    fixed = {name: getattr(shown, name) for name in ("pictures", "size", "side", "stride", "glimpses")}
    for state in (
        {"number": "x", "places": "no", "seed": {}, "shown": "yes"},
        {"number": 1e9, "places": [99, -1, 0.5, "2", 3, 3, 3, 3, 3], "seed": -5, "shown": None},
        {},
    ):
        for name, value in maths("s => all.tidy(s)", fixed | state).items():
            setattr(shown, name, value)  # it refuses what cannot be drawn
    good = {"number": 2, "places": [0, 15], "seed": 999, "shown": True}
    assert maths("s => all.tidy(s)", fixed | good) == good


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def press(page, name):
    part(page, ".gl-buttons button").get_by_text(name, exact=True).click()


def check(page, shown):
    """Assert that the page shows Python's guesses and windows, and how much was read."""
    for who, looked in shown.seen.items():
        said = [
            text.replace("✓", "").replace("✗", "").split() for text in part(page, f".gl-{who} li").all_inner_texts()
        ]
        assert [int(one[0]) for one in said] == [int(np.argmax(one)) for one in looked.said]
        for text, one in zip(said, looked.said, strict=True):
            assert abs(int(text[1].strip("(")) - 100 * max(one)) <= 0.501
        assert part(page, f".gl-{who} .gl-window").count() == len(set(looked.places))
    message = part(page, ".gl-message").inner_text()
    assert f"and {64 * len(shown.places)} of 576 pixels" in message
    over = shown.shown or len(shown.places) == shown.glimpses
    assert (f"The digit is {shown.answers[shown.number]}." in message) == over


def test_it_begins_as_python_does(page):
    check(page, Glimpses(**of_the_page()))


def test_glimpses_are_placed_by_mouse_and_taken_back(page):
    shown, places = Glimpses(**of_the_page()), part(page, ".gl-place")
    press(page, "Begin again")
    shown.places = []
    check(page, shown)
    for place in (6, 0, 24):
        places.nth(place).hover()
        assert part(page, ".gl-next").count() == 1
        places.nth(place).click()
        shown.places = [*shown.places, place]
        check(page, shown)
    press(page, "Take back")
    shown.places = shown.places[:-1]
    check(page, shown)
    for place in (3, 3):
        places.nth(place).click()
        shown.places = [*shown.places, place]
    check(page, shown)
    places.nth(8).click(force=True)  # there are no more
    check(page, shown)
    assert places.nth(8).get_attribute("aria-disabled") == "true"
    assert part(page, ".gl-next").count() == 0


def test_glimpses_are_placed_by_keyboard(page):
    shown = Glimpses(**of_the_page())
    press(page, "Begin again")
    part(page, ".gl-place").first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    shown.places = [7]
    check(page, shown)
    page.keyboard.press("End")
    page.keyboard.press("Space")
    shown.places = [7, 24]
    check(page, shown)
    expect(part(page, "[role=status]")).to_contain_text("128 of 576 pixels, in 2 glimpses")
    assert part(page, ".gl-place[tabindex='0']").count() == 1


def test_another_picture_other_random_ones_and_the_whole(page):
    shown = Glimpses(**of_the_page())
    press(page, "Other random ones")
    shown.seed += 1
    check(page, shown)
    press(page, "Show the picture")
    shown.shown = True
    check(page, shown)
    press(page, "Another picture")
    shown.number, shown.places, shown.shown = 1, [], False
    check(page, shown)
    for _ in range(len(shown.answers) - 1):
        press(page, "Another picture")
    shown.number = 0
    check(page, shown)


def test_what_is_hidden_is_not_drawn(page):
    press(page, "Begin again")
    for who in ("reader", "policy", "random"):
        assert part(page, f".gl-{who} .gl-coarse rect").count() == 36
        assert part(page, f".gl-{who} .gl-ink rect").count() == 0


def test_a_state_goes_into_the_address_and_comes_back(browser, page):
    press(page, "Another picture")
    part(page, ".gl-place").nth(11).click()
    part(page, ".wa-share button").click()
    before = part(page, ".gl-all").inner_text()
    with staged(browser, page.url, LIVE) as other:
        assert part(other, ".gl-all").inner_text() == before


@pytest.mark.parametrize("state", ["number=99&places=[99]&seed=-1", "places=x&shown=7&pictures=[]"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert part(page, ".gl-place").count() == 25


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        for place in (0, 12, 24):
            one = part(page, ".gl-place").nth(place)
            one.tap() if size is PHONE else one.click()
        check_access(page, LIVE)
        check_inside(page, LIVE)
        assert (
            min(min(one.bounding_box()[side] for side in ("width", "height")) for one in part(page, "button").all())
            >= 24
        )


@pytest.mark.parametrize("name", ["notebooks/09_hard_attention.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".gl-place").count() == 25
