"""The moved sentence of the page: its numbers against the module's, and what a reader can do with it on the page."""

import random

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.data.order import SHIFT_WORDS
from attention_src.experiments.positions import widget as of_the_page
from attention_src.positions import KINDS, PlacedNetwork, rotary, sinusoidal
from attention_src.widgets.base import rounded
from attention_src.widgets.places import Places
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-places"
PAGE = "book/12_positions.html"
CLOSE = {"rtol": 0, "atol": 1e-5}
FARTHEST = 4


def model(kind, width=12, heads=3, seed=7):
    """A network with random weights."""
    torch.manual_seed(seed)
    return PlacedNetwork(len(SHIFT_WORDS), len(SHIFT_WORDS), width, heads, 13, kind, 256, FARTHEST)


def made(**changes):
    """The widget of the page, with random weights and every kind."""
    models = {kind: model(kind) for kind in KINDS}
    return Places(models, SHIFT_WORDS, 3, 32, 240, FARTHEST, **{"sentence": "champignon", "kind": "rotary"} | changes)


# --- the Python side -------------------------------------------------------------------------------------------------


def test_the_trained_networks_answer_at_the_places_of_the_training():
    shown = Places(**of_the_page())
    for kind in ("sinusoidal", "learned", "complex", "relative", "rotary"):
        shown.kind = kind
        good, asked = shown.right
        assert asked == 7
        assert good >= 6, kind
        assert shown.seen.change == 0


def test_offsets_do_not_mind_a_move_and_added_places_do():
    shown = Places(**of_the_page())
    for kind, stays in (
        ("relative", True),
        ("rotary", True),
        ("none", True),
        ("sinusoidal", False),
        ("learned", False),
    ):
        shown.kind, shown.start = kind, 0
        said = shown.seen.said
        shown.start = 200
        assert (shown.seen.change < 1e-6) == stays
        if stays:
            assert shown.seen.said == said


def test_it_is_the_network_of_the_chapter():
    shown = made(kind="complex", start=17, head=2)
    twin = rounded(model("complex"), shown.weights["complex"]).double()
    words = torch.tensor([[SHIFT_WORDS.index(letter) for letter in "champignon"]])
    with torch.no_grad():
        outputs, weights = twin(words, start=17)
        _, before = twin(words)
    np.testing.assert_allclose(shown.seen.weights, weights[0])
    assert shown.seen.said == [SHIFT_WORDS[int(i)] for i in outputs[0].argmax(-1)]
    assert shown.seen.wanted == [None] * 3 + list("champig")
    assert shown.seen.change == pytest.approx(float((weights - before).abs().max()))
    assert shown.seen.change > 0.001


def test_the_picture_is_the_same_twice_and_moves():
    first, second = made(kind="sinusoidal"), made(kind="sinusoidal")
    assert first.picture() == second.picture()
    second.start = 100
    assert first.picture() != second.picture()
    assert repr(second).startswith("Places: champignon with its first word at place 100, positions sinusoidal: ")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"sentence": ""}, TraitError, "sentence must have 1 to 12 letters, but has 0"),
        ({"sentence": "a" * 13}, TraitError, "sentence must have 1 to 12 letters, but has 13"),
        ({"sentence": "abz"}, TraitError, "sentence must hold letters of abcdefghijklmnop, but holds 'z'"),
        ({"kind": "polar"}, TraitError, "kind must be one of none, .*, but is 'polar'"),
        ({"start": 241}, TraitError, "start must be 0 to 240, but is 241"),
        ({"head": 3}, TraitError, "head must be 0 to 2, but is 3"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        made(**changes)


def test_wrong_models_are_refused():
    with pytest.raises(ValueError, match=r"models\['rotary'\] must be a network of this kind, but is none"):
        Places({"rotary": model("none")}, SHIFT_WORDS, 3, 32, 240, 4, "abc", "rotary")
    with pytest.raises(ValueError, match=r"the same number of heads, but have \[2, 3\]"):
        Places({"none": model("none", heads=2), "rotary": model("rotary")}, SHIFT_WORDS, 3, 32, 240, 4, "abc", "rotary")


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, shown):
    """Assert that the page sees what Python sees."""
    found = maths("s => all.look(all.unpack(s.weights[s.kind]), s)", shown.state())
    seen = shown.seen
    np.testing.assert_allclose(found["weights"], seen.weights, **CLOSE)
    assert (found["said"], found["wanted"]) == (seen.said, seen.wanted)
    assert found["change"] == pytest.approx(seen.change, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_computes_as_python_does(maths, kind):
    shown, chance = made(kind=kind), random.Random(3)
    for length in (1, 2, 3, 4, 7, 12):
        shown.sentence = "".join(chance.choices(SHIFT_WORDS, k=length))
        shown.start = chance.choice((0, 1, 31, 32, 100, 240))
        same(maths, shown)


def test_the_page_computes_as_python_does_with_the_trained_networks(maths):
    shown = Places(**of_the_page())
    for kind in of_the_page()["models"]:
        shown.kind = kind
        for shown.start in (0, 21, 240):
            same(maths, shown)


def test_waves_and_turns_are_those_of_the_module(maths):
    x = torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
    for place in (0, 1, 7, 240):
        np.testing.assert_allclose(list(maths("p => [...all.wave(p, 6)]", place)), sinusoidal(241, 6)[place], **CLOSE)
        turned = maths("([x, p]) => [...all.turn(x, p)]", [x[0].tolist(), place])
        np.testing.assert_allclose(turned, rotary(x, torch.tensor([place]))[0], **CLOSE)


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    shown, fixed = made(), {"letters": SHIFT_WORDS, "kinds": list(KINDS), "most": 240, "longest": 12, "heads": 3}
    for state in (
        {"sentence": 5, "kind": "__proto__", "start": "9", "head": {}},
        {"sentence": "<b>QZ zebra" * 9, "kind": None, "start": 1e9, "head": -1},
        {"sentence": "", "kind": "rotary", "start": 0.5, "head": 99},
        {},
    ):
        tidy = maths("s => all.tidy(s)", fixed | state)
        for name in ("sentence", "kind", "start", "head"):
            setattr(shown, name, tidy[name])  # it refuses what cannot be drawn
    good = {"sentence": "abcp", "kind": "relative", "start": 240, "head": 2}
    assert maths("s => all.tidy(s)", fixed | good) == good


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def check(page, shown):
    """Assert that the page shows Python's weights and Python's answers."""
    seen = shown.seen
    cells = [float(one.get_attribute("aria-label")) for one in part(page, ".pl-cell").all()]
    count = len(shown.sentence)
    np.testing.assert_allclose(np.reshape(cells, (count, count)), seen.weights[shown.head], atol=0.0051)
    said = [text.split()[0] for text in part(page, ".pl-said").all_inner_texts()]
    assert said[3:] == seen.said[3:]
    assert said[:3] == ["–"] * min(3, count)
    good, asked = shown.right
    assert part(page, ".pl-verdict").inner_text() == f"{good} of {asked} answers are right."
    assert part(page, ".pl-where").inner_text() == f"places {shown.start} to {shown.start + count - 1}"


def test_it_begins_as_python_does(page):
    check(page, Places(**of_the_page()))
    assert part(page, ".pl-true").count() == 7


def test_the_sentence_is_moved_by_keyboard_and_by_mouse(page):
    shown, slider = Places(**of_the_page()), part(page, "input[type=range]")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    shown.start = 3
    check(page, shown)
    page.keyboard.press("End")
    shown.start = 240
    check(page, shown)
    assert "Training saw the places 0 to 31." in part(page, ".pl-change").inner_text()
    expect(part(page, "[role=status]")).to_contain_text("sinusoidal, places 240 to 249")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    shown.start = int(slider.input_value())
    assert 80 < shown.start < 160
    check(page, shown)


def test_rotary_stays_as_it_is_wherever_the_sentence_stands(page):
    shown = Places(**of_the_page())
    part(page, "label").filter(has_text="rotary").click()
    shown.kind = "rotary"
    check(page, shown)
    part(page, "input[type=range]").focus()
    page.keyboard.press("End")
    shown.start = 240
    check(page, shown)
    assert "The weights are those of the same sentence at place 0." in part(page, ".pl-change").inner_text()
    page.keyboard.press("Home")
    part(page, "input[type=radio]:checked").first.focus()
    page.keyboard.press("ArrowLeft")  # to Shaw's
    shown.kind, shown.start = "relative", 0
    check(page, shown)


def test_the_sentence_and_the_head_change(page):
    shown, text = Places(**of_the_page()), part(page, "input[type=text]")
    text.fill("")
    text.press_sequentially("Dog!bed")
    shown.sentence = "dogbed"
    check(page, shown)
    text.blur()
    assert text.input_value() == "dogbed"
    part(page, "[aria-label=Head] label").nth(1).click()
    shown.head = 1
    check(page, shown)


def test_a_state_goes_into_the_address_and_comes_back(browser, page):
    part(page, "label").filter(has_text="learned").click()
    part(page, "input[type=range]").fill("77")
    part(page, ".wa-share button").click()
    before = part(page, ".pl-table").inner_text()
    with staged(browser, page.url, LIVE) as other:
        assert part(other, ".pl-table").inner_text() == before
        assert part(other, "input[type=range]").input_value() == "77"


@pytest.mark.parametrize("state", ["sentence=zzz&kind=x&start=-5&head=9", "sentence=[]&start=x&weights=1"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert part(page, ".pl-cell").count() >= 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, "label").filter(has_text="rotary").click()
        part(page, "input[type=text]").fill("abcdefghijkl")
        part(page, "input[type=range]").focus()
        page.keyboard.press("End")
        check_access(page, LIVE)
        assert part(page, ".pl-cell").count() == 144
        check_inside(page, LIVE)
        assert min(one.bounding_box()["height"] for one in part(page, "label").all()) >= 24


@pytest.mark.parametrize("name", ["notebooks/12_positions.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".pl-cell").count() == 100
