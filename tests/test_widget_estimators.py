"""The arena of gradient estimators: its numbers against the module's, and what a reader can do with it on the page."""

import math

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.experiments.hard_attention import arena as of_the_page
from attention_src.hard_attention import exact_gradient, quality, reinforce
from attention_src.widgets.chance import uniform
from attention_src.widgets.estimators import NAMES, Estimators
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-estimators"
PAGE = "book/09_hard_attention.html"
CLOSE = {"rtol": 1e-7, "atol": 1e-7}
HAND = {"options": [[0, 3], [0, 1], [math.log(2), -1]], "wanted": 1}  # probabilities 1/4, 1/4, 1/2; losses 2, 0, 2


def made(**changes):
    """The case by hand, with changes."""
    return Estimators(**HAND | changes)


# --- chance ----------------------------------------------------------------------------------------------------------


def test_the_generator_is_mulberry32():
    """Two steps of it as a plain loop with Python's whole numbers."""

    def mulberry32(a):
        while True:
            a = (a + 0x6D2B79F5) % 2**32
            t = (a ^ (a >> 15)) * (1 | a) % 2**32
            t = ((t + (t ^ (t >> 7)) * (61 | t)) ^ t) % 2**32
            yield t ^ (t >> 14)

    for seed in (0, 1, 999):
        begin = next(mulberry32(seed))  # the seed is mixed once: neighbouring seeds begin far apart
        stream = mulberry32(begin)
        expected = [(next(stream) + 0.5) / 2**32 for _ in range(7)]
        np.testing.assert_array_equal(uniform(seed, 7), expected)
    assert uniform(3, 0).shape == (0,)


def test_the_numbers_are_even_and_a_seed_says_nothing_of_the_next():
    many = np.stack([uniform(seed, 20_000) for seed in range(5)])
    assert 0 < many.min() < many.max() < 1
    np.testing.assert_allclose(np.histogram(many, 10, (0, 1))[0] / many.size, 0.1, atol=0.005)
    assert np.abs(np.corrcoef(many) - np.eye(5)).max() < 0.03
    assert max(abs(np.corrcoef(row[1:], row[:-1])[0, 1]) for row in many) < 0.03


# --- the Python side -------------------------------------------------------------------------------------------------


def test_the_case_by_hand():
    """The expected loss is 3/2; each score moves it by its probability times (its loss - 3/2)."""
    shown = made(draws=40, seed=3)
    np.testing.assert_allclose(shown.seen.exact, [1 / 8, -3 / 8, 1 / 4])
    for place, row, better in zip(
        shown.seen.places, shown.seen.estimates["reinforce"], shown.seen.estimates["mean"], strict=True
    ):
        toward = np.eye(3)[place] - [1 / 4, 1 / 4, 1 / 2]
        np.testing.assert_allclose(row, [2, 0, 2][place] * toward)
        np.testing.assert_allclose(better, [0.5, -1.5, 0.5][place] * toward)
    assert set(shown.seen.places.tolist()) == {0, 1, 2}


def test_reinforce_is_right_and_wide_and_straight_through_is_narrow_and_off():
    shown = Estimators(**of_the_page() | {"draws": 5000})
    found = shown.seen.measured
    for name in ("reinforce", "running", "mean"):
        assert found[name].bias < 3 * found[name].chance, name
    assert found["straight"].bias > 5 * found["straight"].chance
    assert found["straight"].variance < found["mean"].variance < found["reinforce"].variance
    warm = Estimators(**of_the_page() | {"draws": 5000, "temperature": 3}).seen.measured["soft"]
    cold = Estimators(**of_the_page() | {"draws": 5000, "temperature": 0.1}).seen.measured["soft"]
    assert warm.bias > 2 * cold.bias
    assert warm.variance < cold.variance / 5


def test_measures_are_those_of_the_chapter():
    shown = made(draws=200, seed=9)
    scores, values = torch.tensor(shown.options, dtype=torch.float64).T

    def loss(context):
        return (context[..., 0] - 1).square() / 2

    exact = exact_gradient(scores, values[:, None], loss)
    estimates = reinforce(scores, values[:, None], loss, shown.seen.places)
    bias, variance = quality(estimates, exact)
    found = shown.seen.measured["reinforce"]
    assert (found.bias, found.variance) == pytest.approx((bias, variance))
    assert found.chance == pytest.approx(math.sqrt(variance / 200))


def test_more_draws_keep_the_first_ones():
    few, many = made(draws=7, seed=5), made(draws=50, seed=5)
    for name in NAMES:
        np.testing.assert_array_equal(many.seen.estimates[name][:7], few.seen.estimates[name])
    assert made(draws=50, seed=6).seen.places.tolist() != many.seen.places.tolist()


def test_few_draws_and_a_gradient_of_zero():
    assert "no draw yet" in made().summary()
    assert made(draws=1).seen.measured["soft"].variance is None
    flat = made(options=[[0, 2], [1, 0]], draws=100)  # both options cost the same
    assert flat.seen.exact.norm() < 1e-12
    found = flat.seen.measured["reinforce"]
    assert found.variance == pytest.approx(flat.seen.estimates["reinforce"].var(dim=0).sum().item())
    for draws in (0, 1, 100):
        flat.draws = draws
        flat.picture()


def test_the_picture_is_the_same_twice_and_moves():
    first, second = made(draws=30), made(draws=30)
    assert first.picture() == second.picture()
    second.draws = 31
    assert first.picture() != second.picture()
    assert repr(made()).startswith("Estimators: 3 options, temperature 1, 0 draws: REINFORCE no draw yet; ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": [[0, 0]]}, "options must be 2 to 5, but are 1"),
        ({"options": [[0, 0]] * 6}, "options must be 2 to 5, but are 6"),
        ({"options": [[0, 0], [0, math.nan]]}, "options must lie between -3 and 3, but is nan"),
        ({"wanted": 3.5}, "wanted must lie between -3 and 3, but is 3.5"),
        ({"temperature": 0.0}, r"temperature must lie between 0.05 and 5, but is 0"),
        ({"draws": 5001}, "draws must lie between 0 and 5000, but is 5001"),
        ({"seed": -1}, "seed must lie between 0 and 999, but is -1"),
        ({"shown": 5}, "shown must lie between 0 and 4, but is 5"),
    ],
)
def test_wrong_arguments_are_refused(changes, message):
    with pytest.raises(TraitError, match=message):
        made(**changes)


# --- arithmetic ------------------------------------------------------------------------------------------------------


def test_the_page_draws_the_same_numbers(maths):
    for seed, count in ((0, 5), (1, 1), (999, 1000), (2**31 - 1, 3), (7, 0)):
        np.testing.assert_array_equal(maths("(s, n) => all.uniform(s, n)", seed, count), uniform(seed, count))


def same(maths, shown):
    """Assert that the page sees what Python sees: the same draws, each estimate, and what they say together."""
    found, seen = maths("s => all.look(all.tidy(s))", shown.state()), shown.seen
    assert found["places"] == seen.places.tolist()
    np.testing.assert_allclose(found["exact"], seen.exact, **CLOSE)
    for name in NAMES:
        mine, theirs = seen.measured[name], found["kinds"][name]
        np.testing.assert_allclose(
            np.reshape(found["all"][name], seen.estimates[name].shape), seen.estimates[name], **CLOSE
        )
        if mine.mean is not None:
            np.testing.assert_allclose(theirs["mean"], mine.mean, **CLOSE)
        for part in ("bias", "variance", "chance"):
            expected = getattr(mine, part)
            assert theirs[part] == (None if expected is None else pytest.approx(expected, rel=1e-6, abs=1e-9)), (
                name,
                part,
            )


def test_the_page_computes_as_python_does(maths):
    random = np.random.default_rng(4)
    for count in (2, 3, 5):
        for temperature in (0.05, 0.7, 5.0):
            options = (6 * random.random((count, 2)) - 3).tolist()
            wanted, seed = 6 * random.random() - 3, int(random.integers(999))
            same(maths, Estimators(options, wanted, temperature, draws=83, seed=seed))
    for draws in (0, 1, 2, 500):
        same(maths, Estimators(**of_the_page() | {"draws": draws}))
    same(maths, made(options=[[3, 3], [-3, -3]], wanted=-3, draws=30, temperature=0.05))
    same(maths, made(options=[[0, 2], [1, 0]], draws=30))
    same(maths, made(options=[[0, 1], [0, 1]], draws=30))


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    for state in (
        {"options": "no", "wanted": None, "temperature": "hot", "seed": -4, "draws": 1e9, "shown": 2.5},
        {"options": [[9, -9], [None], 5, {}, [1, 2], [1, 2]], "wanted": 1e9, "temperature": 0, "draws": -1},
        {},
    ):
        tidy = maths("s => all.tidy(s)", state)
        shown = Estimators(**tidy)  # it refuses what cannot be drawn
        assert 2 <= len(shown.options) <= 5
    good = made(draws=77, seed=12, shown=1, temperature=0.3).state()
    assert maths("s => all.tidy(s)", good) == {name: value for name, value in good.items() if name != "examples"}


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def numbers(texts):
    """Numbers as the page writes them."""
    return [float(text.replace("−", "-").replace(",", "")) for text in texts]


def check(page, shown):
    """Assert that the page shows Python's gradient, means, biases and variances."""
    seen, count = shown.seen, len(shown.options)
    table = np.reshape(numbers(part(page, ".es-table td:not(:empty)").all_inner_texts()), (-1, count))
    np.testing.assert_allclose(table[0], seen.exact, atol=0.0051)
    for row, strip, one in zip(
        table[1:], part(page, ".es-numbers").all_inner_texts(), seen.measured.values(), strict=False
    ):
        np.testing.assert_allclose(row, one.mean, atol=0.0051)
        said = strip.replace("(", "").replace(")", "").split()
        assert said[:2] == ["off", "by"]
        assert float(said[2]) == pytest.approx(one.bias, abs=0.006 if one.bias < 10 else 0.6)
        if shown.draws > 1:
            assert float(said[4]) == pytest.approx(one.chance, abs=0.006 if one.chance < 10 else 0.6)
            assert float(said[7].replace(",", "")) == pytest.approx(
                one.variance, abs=0.006 if one.variance < 10 else 0.6
            )
    assert len(table) == (6 if shown.draws else 1)
    assert part(page, ".es-count").inner_text().startswith(f"{shown.draws:,} draw")


def press(page, name):
    part(page, "button").get_by_text(name, exact=True).click()


def test_it_begins_as_python_does(page):
    check(page, Estimators(**of_the_page()))


def test_draws_come_in_and_begin_again(page):
    shown = Estimators(**of_the_page())
    shown.draws = 0
    if part(page, "button").get_by_text("Begin again").is_enabled():
        press(page, "Begin again")
    check(page, shown)
    for name, count in (("Draw 1", 1), ("Draw 1", 2), ("Draw 100", 102), ("Draw 1,000", 1102)):
        press(page, name)
        shown.draws = count
        check(page, shown)
    expect(part(page, "[role=status]")).to_contain_text("1102 draws.")
    press(page, "Other draws")
    shown.seed += 1
    check(page, shown)
    for _ in range(4):
        press(page, "Draw 1,000")
    shown.draws = 5000
    check(page, shown)
    assert "straight-through" in part(page, ".es-message").inner_text()
    assert "REINFORCE" not in part(page, ".es-message").inner_text()
    assert part(page, "button").get_by_text("Draw 1", exact=True).is_disabled()


def test_draws_fly_in_where_motion_is_welcome(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP) as page:
        press(page, "Draw 1,000")
        draws = of_the_page()["draws"] + 1000
        expect(part(page, ".es-count")).to_contain_text(f"{draws:,} draws")
        check(page, Estimators(**of_the_page() | {"draws": draws}))


def test_scores_and_values_are_moved_by_keyboard_and_by_mouse(page):
    shown, first = Estimators(**of_the_page()), part(page, "[role=slider]").first
    options = [list(one) for one in shown.options]
    first.focus()
    page.keyboard.press("End")
    options[0][0] = 3.0
    page.keyboard.press("ArrowDown")
    options[0][0] = 2.9
    shown.options = options
    check(page, shown)
    knob = part(page, "[role=slider][aria-label='Value of option 2']")
    box = knob.locator("circle.es-value").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 25 if shown.options[1][1] > 0 else y - 25, steps=4)
    page.mouse.up()
    moved = float(knob.get_attribute("aria-valuenow"))
    assert moved != options[1][1]
    shown.options = [options[0], [options[1][0], moved], *options[2:]]
    check(page, shown)
    wanted = part(page, "[role=slider][aria-label='Wanted value']")
    wanted.focus()
    page.keyboard.press("Home")
    shown.wanted = -3.0
    check(page, shown)


def test_options_come_and_go_and_another_score_is_drawn(page):
    shown = Estimators(**of_the_page())
    press(page, "Add an option")
    shown.options = [*shown.options, [0.0, 0.0]]
    check(page, shown)
    which = part(page, "[role=radio]")
    which.first.focus()
    page.keyboard.press("End")
    assert which.last.get_attribute("aria-checked") == "true"
    label = part(page, ".es-strip").first.get_attribute("aria-label")
    assert f"score {len(shown.options)}: exact" in label
    press(page, "Remove the last")
    shown.options = shown.options[:-1]
    check(page, shown)
    assert which.last.get_attribute("aria-checked") == "true"


def test_an_example_takes_the_place_of_the_options(page):
    shown = Estimators(**of_the_page())
    press(page, "Losses 4 and 2")
    shown.options, shown.wanted = (shown.examples["Losses 4 and 2"][name] for name in ("options", "wanted"))
    np.testing.assert_allclose(shown.seen.exact, [1 / 2, -1 / 2])
    check(page, shown)


def test_the_temperature_moves_two_of_them(page):
    shown, before = Estimators(**of_the_page()), part(page, ".es-numbers").all_inner_texts()
    part(page, "input[type=range]").focus()
    page.keyboard.press("Home")
    shown.temperature = 0.05
    check(page, shown)
    after = part(page, ".es-numbers").all_inner_texts()
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, True, True, False, False]


def test_a_state_goes_into_the_address_and_comes_back(browser, page):
    press(page, "Draw 100")
    part(page, "input[type=range]").fill("2")
    part(page, ".wa-share button").click()
    before = part(page, ".es-table").inner_text(), part(page, ".es-numbers").all_inner_texts()
    with staged(browser, page.url, LIVE) as other:
        assert (part(other, ".es-table").inner_text(), part(other, ".es-numbers").all_inner_texts()) == before


@pytest.mark.parametrize("state", ["options=[[1]]&draws=-4&temperature=0", "options=x&draws=1e99&shown=7&seed=[]"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert part(page, ".es-strip").count() == 5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        for name in ("Add an option", "Draw 1,000"):
            one = part(page, "button").get_by_text(name, exact=True)
            one.tap() if size is PHONE else one.click()
        check_access(page, LIVE)
        check_inside(page, LIVE)
        assert min(one.bounding_box()["height"] for one in part(page, "button").all()) >= 24


@pytest.mark.parametrize("name", ["notebooks/09_hard_attention.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".es-strip").count() == 5
