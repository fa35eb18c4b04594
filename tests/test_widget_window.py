"""The movable window: its numbers against Python's and the module's, and what a reader can do with it on the page."""

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from torch.testing import assert_close
from traitlets import TraitError

from attention_src.experiments import luong as experiment
from attention_src.luong import AroundAGuess, AroundTheStep, Everywhere, Luong
from attention_src.scores import Bilinear
from attention_src.widgets.window import Window
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-window"
PAGE = "book/06_luong.html"
CLOSE = {"rtol": 0, "atol": 1e-5}
SOURCE_WORDS = ["<pad>", "<s>", "</s>", "a", "b", "c", "d", "e", "f"]
TARGET_WORDS = ["<pad>", "<s>", "</s>", "u", "v", "w", "x"]
PARTS = ("scores", "inside", "bell", "product", "total", "divided", "everywhere")


def translator(focus=None, **sizes):
    """A translator with random weights, all its sizes different."""
    torch.manual_seed(3)
    sizes = {"width": 5, "hidden": 6} | sizes
    score = Bilinear(sizes["hidden"], sizes["hidden"])
    return Luong(len(SOURCE_WORDS), len(TARGET_WORDS), score, focus or Everywhere(), **sizes)


def small(**changes):
    """The widget over a random translator: seven words, four steps with the end."""
    given = {
        "model": translator(),
        "source_words": SOURCE_WORDS,
        "target_words": TARGET_WORDS,
        "source": list("abcdefa"),
        "target": ["v", "u", "x"],
    }
    return Window(**given | changes)


# --- the Python side -------------------------------------------------------------------------------------------------


def test_the_case_by_hand():
    """The six scores of the page: 1, 2, 4, 2, 1, 6 before the logarithm; step 2, reach 1, a guess of 3.59."""
    widget = small(source=list("abcdef"))
    widget.scores = [torch.tensor([1.0, 2, 4, 2, 1, 6]).log().tolist()] * 4
    widget.at, widget.reach, widget.mode = 2, 1, "local-m"
    np.testing.assert_allclose(widget.seen.everywhere, np.array([1, 2, 4, 2, 1, 6]) / 16, atol=1e-6)
    np.testing.assert_allclose(widget.seen.product, np.array([1, 2, 4, 0, 0, 0]) / 7, atol=1e-6)
    widget.mode, widget.centre = "local-p", 3.59
    np.testing.assert_allclose(widget.seen.product, [0, 0, 0.33, 0.24, 0, 0], atol=0.005)
    assert widget.seen.total == pytest.approx(0.57, abs=0.005)
    assert float(widget.seen.divided.sum()) == pytest.approx(1)


def test_the_numbers_are_the_modules():
    """Weights of local-m and local-p as the focuses give them, on the scores of the step."""
    widget = small()
    mask = torch.ones(1, 7, dtype=torch.bool)
    for at in (1, 2, 4):
        widget.at, widget.mode, widget.reach = at, "local-m", 2
        scores = torch.tensor([widget.scores[at - 1]]).double()
        expected = AroundTheStep(2)(scores, mask, torch.zeros(1, 6).double(), torch.tensor([at]))
        assert_close(widget.seen.product, expected[0])
        for renormalised in (False, True):
            guess = AroundAGuess(6, 2, renormalised).double()
            state = torch.randn(1, 6, generator=torch.Generator().manual_seed(at)).double()
            widget.mode, widget.centre = "local-p", float(guess.centre(state, mask).detach())
            expected = guess(scores, mask, state, torch.tensor([at])).detach()[0]
            assert_close(widget.seen.divided if renormalised else widget.seen.product, expected)


def test_looking_everywhere_says_what_the_model_says():
    """With the numbers that travel rounded: the most probable word of each step, and nearly its probability."""
    model = translator()
    widget = small(model=model)
    source = torch.tensor([[SOURCE_WORDS.index(word) for word in "abcdefa"]])
    given = torch.tensor([[TARGET_WORDS.index(word) for word in ("<s>", "v", "u", "x")]])
    with torch.no_grad():
        chances = model(source, torch.ones_like(source, dtype=torch.bool), given).softmax(dim=-1)[0]
    for at in range(1, 5):
        widget.at = at
        answer = widget.seen.answers["global"]
        assert answer.chance == pytest.approx(float(chances[at - 1].max()), abs=2e-3)
        assert answer.word == TARGET_WORDS[int(chances[at - 1].argmax())]
        assert answer.cosine == pytest.approx(1)


def test_the_trained_translator_loses_its_word_with_a_narrow_window():
    widget = Window(**experiment.widget())
    assert widget.seen.answers["global"].word == widget.target[widget.at - 1]
    widget.mode, widget.reach, widget.at = "local-m", 1, 14
    assert widget.seen.answers["global"].word == "rouge" != widget.seen.answers["window"].word


def test_an_empty_window_gives_zeros():
    widget = small(source=["a"], target=["u", "v", "x", "w"])
    widget.mode, widget.at, widget.reach = "local-m", 5, 1
    seen = widget.seen
    assert seen.product.eq(0).all()
    assert seen.divided.eq(0).all()
    assert seen.answers["window"][:2] == (0, 0)
    assert widget.picture()


def test_the_picture_is_the_same_twice_and_moves():
    first, second = small(), small()
    assert first.picture() == second.picture()
    second.centre = 5.5
    assert first.picture() != second.picture()
    assert repr(first).startswith('Window: Step 1 of "v u x" with a window around 1 that reaches 2 words')


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": translator(AroundTheStep(1))}, TypeError, "model must be a Luong that looks everywhere"),
        ({"model": torch.nn.Linear(2, 2)}, TypeError, "model must be a Luong that looks everywhere"),
        ({"source": []}, ValueError, "source must have 1 to 20 words, but has 0"),
        ({"source": ["a"] * 21}, ValueError, "source must have 1 to 20 words, but has 21"),
        ({"source": ["z"]}, ValueError, "source holds 'z', which is not among source_words"),
        ({"target": ["z"]}, ValueError, "target holds 'z', which is not among target_words"),
        ({"source_words": SOURCE_WORDS[1:]}, ValueError, "source_words must have one word for each of the model's 9"),
        ({"at": 5}, TraitError, "at must be 1 to 4 but is 5"),
        ({"at": 0}, TraitError, "at must be 1 to 4 but is 0"),
        ({"centre": 7.1}, TraitError, "centre must be 0 to 7 but is 7.1"),
        ({"reach": 0}, TraitError, "reach must be 1 to 10 but is 0"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        small(**changes)


def test_wrong_traits_are_refused():
    widget = small()
    with pytest.raises(TraitError, match=r"sigma must be 0\.25 to 10, or 0 for half of reach, but is 0.1"):
        widget.sigma = 0.1
    with pytest.raises(TraitError, match=r"temperature must be 0\.5 to 50 but is 0"):
        widget.temperature = 0.0
    with pytest.raises(TraitError, match="local-p"):
        widget.mode = "global"


# --- arithmetic ------------------------------------------------------------------------------------------------------


def compare(maths, widget):
    """What the page computes from the widget's state is what Python computes."""
    found, seen = maths("s => all.look(s, all.unpack(s.weights))", widget.state()), widget.seen
    for part in PARTS:
        np.testing.assert_allclose(found[part], getattr(seen, part), **CLOSE, err_msg=part)
    for name, answer in seen.answers.items():
        assert found["answers"][name]["word"] == answer.word
        for part in ("length", "cosine", "chance"):
            np.testing.assert_allclose(found["answers"][name][part], getattr(answer, part), **CLOSE)


@pytest.mark.parametrize("mode", ["local-p", "local-m"])
@pytest.mark.parametrize(("reach", "sigma"), [(1, 0.0), (2, 0.25), (3, 10.0), (10, 1.5)])
def test_the_page_computes_what_python_computes(maths, mode, reach, sigma):
    """On random translators, at every step; centres between words, on words and at both ends."""
    widget = small()
    widget.mode, widget.reach, widget.sigma = mode, reach, sigma
    for at, centre, temperature in ((1, 0.0, 1.0), (2, 3.0, 0.5), (3, 4.7, 50.0), (4, 7.0, 2.5)):
        widget.at, widget.centre, widget.temperature = at, centre, temperature
        compare(maths, widget)


def test_the_page_computes_the_trained_translator_and_an_empty_window(maths):
    widget = Window(**experiment.widget())
    for at in range(1, len(widget.target) + 1):
        widget.at = at
        compare(maths, widget)
    widget.mode, widget.reach = "local-m", 1
    compare(maths, widget)
    assert widget.seen.total == 0


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    start = {"source": ["a", "b"], "target": ["u", "v", "</s>"]}
    wrong = {"mode": "x", "at": "x", "centre": None, "reach": {}, "sigma": "s", "temperature": []}
    tidy = maths("s => all.tidy(s)", start | wrong)
    ordinary = {"mode": "local-p", "at": 1, "centre": 1, "reach": 2, "sigma": 0, "temperature": 1}
    assert tidy == start | ordinary
    far = {"mode": "local-m", "at": 99, "centre": -4, "reach": 1e9, "sigma": -3, "temperature": 1e9}
    most = {"mode": "local-m", "at": 3, "centre": 0, "reach": 10, "sigma": 0.25, "temperature": 50}
    assert maths("s => all.tidy(s)", start | far) == start | most
    same = {"mode": "local-m", "at": 2, "centre": 1.7, "reach": 3, "sigma": 2.5, "temperature": 4}
    assert maths("s => all.tidy(s)", start | same) == start | same


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def column(page, name):
    """The numbers of a column of the table."""
    texts = part(page, f"tbody .wi-{name} .wi-number").all_inner_texts()
    return [float(text.replace("−", "-").replace("–", "nan")) for text in texts]


def says(page):
    """What is said with each context."""
    return part(page, ".wi-word b").all_inner_texts()


def matches(page, widget):
    """Assert that the page shows the numbers of the Python widget."""
    seen = widget.seen
    for name in ("inside", "product", "divided", "everywhere"):
        np.testing.assert_allclose(column(page, name), getattr(seen, name), atol=0.00501)
    assert says(page) == [seen.answers[name].word.replace("</s>", "(end)") for name in seen.answers]


def slider(page, name):
    """The slider whose label begins with ``name``."""
    return page.locator(LIVE).get_by_role("slider", name=name)


def test_it_begins_as_python_says(page):
    widget = Window(**experiment.widget())
    matches(page, widget)
    assert part(page, ".wi-now").inner_text() == "fatigué"
    assert "tired (5) has the largest weight. It is in the window." in part(page, ".wi-message").inner_text()


def test_the_keyboard_moves_everything(page):
    widget = Window(**experiment.widget())
    slider(page, "p centre").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    widget.centre = 6.0
    matches(page, widget)
    slider(page, "D reach").focus()
    page.keyboard.press("ArrowRight")
    widget.reach = 3
    matches(page, widget)
    expect(part(page, ".wi-control output").nth(3)).to_have_text("1.50")  # sigma goes with D
    slider(page, "σ spread").focus()
    page.keyboard.press("End")
    widget.sigma = 10.0
    matches(page, widget)
    slider(page, "temperature").focus()
    page.keyboard.press("End")
    widget.temperature = 50.0
    matches(page, widget)
    slider(page, "step t").focus()
    page.keyboard.press("Home")
    widget.at = 1
    matches(page, widget)
    assert part(page, ".wi-now").inner_text() == "je"
    expect(part(page, "[role=status]")).to_contain_text("The translator says")
    part(page, ".wi-half").click()
    widget.sigma = 0.0
    matches(page, widget)
    expect(part(page, ".wi-half")).to_be_disabled()


def test_the_switch_and_the_steps(page):
    widget = Window(**experiment.widget())
    part(page, "button[data-mode=local-m]").click()
    widget.mode = "local-m"
    matches(page, widget)
    expect(slider(page, "p centre")).to_be_disabled()
    assert np.isnan(column(page, "bell")).all()
    slider(page, "D reach").focus()
    page.keyboard.press("Home")
    part(page, ".wi-steps button").nth(1).click()
    widget.reach, widget.at = 1, 7
    matches(page, widget)
    for _ in range(8):
        page.get_by_role("button", name="One step forward").click()
    widget.at = 15
    matches(page, widget)
    expect(page.get_by_role("button", name="One step forward")).to_be_disabled()
    assert part(page, ".wi-message").inner_text().startswith("No word lies in the window")
    page.get_by_role("button", name="One step back").click()
    widget.at = 14
    matches(page, widget)
    assert part(page, ".wi-wrong").first.inner_text() == " not rouge"


def test_the_mouse_drags_the_window(page):
    part(page, ".wi-picture").scroll_into_view_if_needed()
    box = part(page, ".wi-picture").bounding_box()

    def at(place):
        return box["x"] + box["width"] / 2, box["y"] + (place - 0.5) / 13 * box["height"]

    page.mouse.move(*at(6.3))
    page.mouse.down()
    page.mouse.move(*at(11.0), steps=4)
    page.mouse.up()
    widget = Window(**experiment.widget())
    widget.centre = 11.0
    expect(slider(page, "p centre")).to_have_attribute("aria-valuetext", "11.0")
    matches(page, widget)
    assert "The window does not hold it." in part(page, ".wi-message").inner_text()
    page.mouse.move(*at(3))  # nothing is held any more
    expect(slider(page, "p centre")).to_have_attribute("aria-valuetext", "11.0")
    part(page, "button[data-mode=local-m]").click()
    page.mouse.click(*at(3))
    part(page, "button[data-mode=local-p]").click()
    matches(page, widget)


def test_a_state_goes_into_the_address_and_comes_back(browser, site, page):
    slider(page, "D reach").focus()
    page.keyboard.press("ArrowRight")
    part(page, ".wi-steps button").nth(1).click()
    part(page, ".wa-share button").click()
    assert "reach=3" in page.url
    before = [column(page, name) for name in ("product", "everywhere")], says(page)
    with staged(browser, page.url, LIVE) as other:
        assert ([column(other, name) for name in ("product", "everywhere")], says(other)) == before


@pytest.mark.parametrize("state", ["mode=x&at=-3&centre=1e999&reach=0&sigma=[]&temperature=no", "at=99&sigma=99"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert sum(column(page, "everywhere")) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_screen_readers_find_nothing_missing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, ".wi-steps button").nth(1).click()
        slider(page, "temperature").focus()
        page.keyboard.press("End")
        part(page, "button[data-mode=local-m]").click()
        check_access(page, LIVE)
        check_inside(page, LIVE)


@pytest.mark.parametrize("name", ["notebooks/06_luong.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert len(column(page, "product")) == 13
        picture, rows = (part(page, one).bounding_box()["height"] for one in (".wi-picture", ".wi-table tbody"))
        assert picture == pytest.approx(rows, abs=2)  # no rule of the page for pictures makes it lower
