"""The pointer network that draws hulls: its numbers against Python's, and what a reader can do with it on the page."""

import json
import re

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.data.hulls import area, convex_hull, covered, is_simple, turn
from attention_src.decoding import Marks, greedy
from attention_src.experiments import pointer_networks as experiment
from attention_src.pointer_networks import FixedDictionary, LookAround, PointerNetwork, ReadInOrder
from attention_src.widgets import base
from attention_src.widgets.hull import Hull, first_best
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-hull"
PAGE = "book/17_pointer_networks.html"
CLOSE = {"rtol": 0, "atol": 1e-5}
SQUARE = [[10, 10], [90, 10], [50, 40], [90, 90], [10, 90]]
STRANGE = [
    [[3, 4]],
    [[3, 4], [3, 4]],
    [[3, 4], [70, 4]],
    [[20, 30], [80, 60], [40, 40], [60, 50]],
    [[0, 0], [100, 100], [0, 0], [50, 50]],
    [[15, 20], [80, 25], [15, 20], [55, 85], [45, 40]],
    [[0, 0], [0, 50], [0, 100], [50, 100], [100, 100], [100, 0], [50, 0]],
    [[50, 50]] * 20,
]


def network(heads=2, layers=3, hidden=8, features=2, kind=PointerNetwork):
    """A network with random weights, large enough that it prefers something."""
    torch.manual_seed(5)
    model = kind(features, LookAround(features, hidden, heads, layers), hidden)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model


def made(points=SQUARE, model=None, **changes):
    """A widget with one list of points and a random network."""
    rest = {"hull": convex_hull, "covered": covered, "trained": [5, 10], "examples": {"one": points}}
    return Hull(model or network(), **rest | changes)


def some_points(size, seed):
    """Points on whole numbers, few enough of them that some coincide or lie on a line."""
    return torch.randint(0, 12, (size, 2), generator=torch.Generator().manual_seed(seed)).mul(9).tolist()


# --- the Python side -------------------------------------------------------------------------------------------------


def test_it_gives_the_networks_own_answer():
    """Without ties the widget's answer is that of the book's greedy search, on the weights that travel."""
    for points in (SQUARE, experiment.points_to_draw(11, 3)):
        widget = made(points)
        model = base.rounded(network(), widget.weights).double()
        inputs = torch.tensor([points]).double() / 100
        places, state = model.encode(inputs, torch.ones(1, len(points), dtype=torch.bool))
        (one,) = greedy(model.step, state, places, Marks(0, 0), len(points) + 1)
        assert widget.seen.answer == one.tokens
        np.testing.assert_allclose(widget.seen.weights, one.weights)
        assert widget.seen.truth == [place + 1 for place in convex_hull(points)]


def test_of_points_that_coincide_it_takes_the_first():
    widget = made([[50, 50]] * 7)
    assert widget.seen.answer == list(range(1, len(widget.seen.answer) + 1))
    assert first_best(np.array([0.2, 0.4 - 1e-12, 0.4])) == 1
    assert first_best(np.array([0.2, 0.4 - 1e-6, 0.4])) == 2


def test_the_last_step_points_at_the_mark_and_used_places_have_nothing():
    widget = made(experiment.points_to_draw(13, 2))
    answer, weights = widget.seen.answer, widget.seen.weights
    assert weights.shape == (len(answer) + 1, 14)
    assert first_best(weights[-1]) == 0
    for i in range(len(weights)):
        assert (weights[i][answer[:i]] == 0).all()


def test_it_is_said_in_words():
    widget = made(model=experiment.load_pointer())
    assert widget.summary().startswith("5 points; at step 1 the network points at point ")
    widget.at = 99
    assert "points at the mark" in widget.summary()
    assert ("is right" in widget.summary()) == (widget.seen.answer == [1, 2, 4, 5])
    widget.points = []
    assert repr(widget) == "Hull: no points yet, so nothing to point at"
    assert (widget.step, widget.seen.answer, widget.seen.truth, widget.seen.covered) == (0, [], [], None)


def test_the_picture_is_the_same_twice_and_moves():
    first, second = made(), made()
    assert first.picture() == second.picture()
    for change in ({"at": 2}, {"at": 99}, {"truth": True}, {"points": [[3, 4]]}, {"points": []}):
        before = second.picture()
        second.set_trait(*next(iter(change.items())))
        assert second.picture() != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": [[0, 0]] * 21}, "points must hold at most 20 points, but holds 21"),
        ({"points": [[0, 101]]}, r"points must hold pairs of whole numbers from 0 to 100, but holds \[0, 101\]"),
        ({"at": 0}, "at must be a step, 1 or more, but is 0"),
    ],
)
def test_wrong_traits_are_refused(change, message):
    with pytest.raises(TraitError, match=message):
        made().set_trait(*next(iter(change.items())))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="examples must hold at least one list"):
        made(examples={})
    with pytest.raises(TypeError, match="model must be a PointerNetwork with the encoder LookAround"):
        made(model=PointerNetwork(2, ReadInOrder(2, 8), 8))
    with pytest.raises(TypeError, match="model must be a PointerNetwork with the encoder LookAround"):
        made(model=FixedDictionary(2, LookAround(2, 8, 2, 1), 8, 20))
    with pytest.raises(ValueError, match="model must point at inputs of 2 numbers, but they have 3"):
        made(model=network(features=3))


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, widget):
    """Assert that the page sees what Python sees."""
    state, seen = widget.state(), widget.seen
    found = maths("s => all.look(all.unpack(s.weights), s.heads, s.points)", state)
    assert (found["answer"], found["truth"]) == (seen.answer, seen.truth)
    np.testing.assert_allclose(found["weights"], seen.weights, **CLOSE)
    assert found["covered"] == (None if seen.covered is None else pytest.approx(seen.covered, abs=1e-12))


def test_one_step_of_the_lstm_is_pytorchs(maths):
    torch.manual_seed(1)
    rnn = torch.nn.LSTM(3, 5, batch_first=True)
    packed = base.pack({f"rnn.{name}": tensor for name, tensor in rnn.state_dict().items()})
    x, hidden, cell = torch.randn(3).double(), torch.randn(5).double(), torch.randn(5).double()
    _, (after, kept) = rnn.half().double()(x[None, None], (hidden[None, None], cell[None, None]))
    found = maths(
        "(w, x, hidden, cell) => all.lstmStep(all.unpack(w), 'rnn', x, { hidden, cell })",
        *(packed, x.tolist(), hidden.tolist(), cell.tolist()),
    )
    np.testing.assert_allclose(found["hidden"], after[0, 0].detach(), **CLOSE)
    np.testing.assert_allclose(found["cell"], kept[0, 0].detach(), **CLOSE)


def test_the_page_sees_what_python_sees_with_random_weights(maths):
    for heads, layers, hidden in ((1, 1, 4), (2, 3, 8), (3, 2, 6)):
        model = network(heads, layers, hidden)
        for size in (1, 2, 3, 7, 20):
            same(maths, made(experiment.points_to_draw(size, 10 * size + heads), model))
        for points in STRANGE:
            same(maths, made(points, model))


def test_the_page_sees_what_python_sees_with_the_trained_network(maths):
    widget = Hull(**experiment.widget())
    for points in [*widget.examples.values(), *STRANGE, *(experiment.points_to_draw(n, n) for n in (5, 10, 15, 20))]:
        widget.points = points
        same(maths, widget)
    widget.points = []
    found = maths("s => all.look(all.unpack(s.weights), s.heads, s.points)", widget.state())
    assert found == {"answer": [], "weights": [], "truth": [], "covered": None}


def test_hulls_and_polygons_are_pythons(maths):
    """Points that coincide and lie on lines are common here; so are answers that are no polygons."""
    chance = np.random.default_rng(4)
    cases = []
    for seed in range(150):
        points = some_points(int(chance.integers(1, 13)), seed)
        answer = chance.permutation(len(points))[: chance.integers(0, 7)].tolist()
        cases.append([points, answer])
    found = maths(
        """cases => cases.map(([points, answer]) => {
            const corners = answer.map(place => points[place]);
            return [all.convexHull(points), all.isSimple(corners), all.area(corners)];
        })""",
        cases,
    )
    simple = 0
    for (points, answer), (hull, polygon, size) in zip(cases, found, strict=True):
        corners = [points[place] for place in answer]
        assert hull == convex_hull(points)
        assert (polygon, size) == (is_simple(corners), area(corners) if corners else 0)
        simple += polygon
    assert 10 < simple < 140
    three = [some_points(3, seed) for seed in range(30)]
    assert maths("all3 => all3.map(p => all.turn(...p))", three) == [turn(*points) for points in three]


def test_the_verdict_says_what_is_wrong(maths):
    for answer, truth, share, text in (
        ([1, 2, 4], [1, 2, 4], 1, "The answer is 1, 2 and 4. It is right."),
        (
            [1, 2, 4],
            [1, 2, 3, 4],
            0.9876,
            "The answer is 1, 2 and 4. It is not right: the hull is 1, 2, 3 and 4. It covers 98.8 % of the area.",
        ),
        (
            [1, 3, 2, 4],
            [1, 2, 3, 4],
            None,
            "The answer is 1, 3, 2 and 4. It is not right: the hull is 1, 2, 3 and 4. It is no polygon.",
        ),
        ([], [1], None, "The answer is empty. It is not right: the hull is 1."),
    ):
        assert maths("s => all.verdict(s)", {"answer": answer, "truth": truth, "covered": share}) == text


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    for state in (
        {"points": "x", "at": "y", "truth": 3},
        {"points": [[1], [None, 5], 7, [1e999, -3.4]], "at": -2},
        {"points": [[9, 9]] * 99, "at": 1e99},
        {},
    ):
        tidy = maths("s => all.tidy(s)", state)
        assert len(tidy["points"]) <= 20
        assert all(isinstance(x, int) and 0 <= x <= 100 for point in tidy["points"] for x in point)
        assert tidy["at"] >= 1
        assert tidy["truth"] is False
    good = {"points": [[0, 100], [3, 7]], "at": 3, "truth": True}
    assert maths("s => all.tidy(s)", good) == good


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def press(page, name):
    """Press the button of this name."""
    part(page, "button").filter(has_text=name).first.click()


def agrees(page, widget):
    """Assert that the page shows the widget's step: its weights, its words and its way so far."""
    seen, step = widget.seen, widget.step
    texts = part(page, ".hu-list .hu-number").all_inner_texts()
    used = seen.answer[: step - 1]
    wanted = ["used" if place in used else f"{weight:.3f}" for place, weight in enumerate(seen.weights[step - 1])]
    for text, want in zip(texts, wanted, strict=True):
        assert text == want or float(text) == pytest.approx(float(want), abs=0.0011)
    best = first_best(seen.weights[step - 1])
    expect(part(page, ".hu-message")).to_contain_text(f"Step {step}: it points at {best or 'the mark'}, with weight")
    expect(part(page, "output")).to_have_text(f"{step} of {len(seen.weights)}")
    assert part(page, ".hu-used").count() == len(used)


def start():
    """The widget as it stands on the page."""
    return Hull(**experiment.widget())


def on_screen(page, x, y):
    """Where the place (x, y) of the plane is on the screen."""
    box = part(page, ".hu-plane").bounding_box()
    scale = box["width"] / 360
    return box["x"] + scale * (22 + 3.16 * x), box["y"] + scale * (360 - 22 - 3.16 * y)


def test_it_draws_the_hull_step_by_step(page):
    widget = start()
    agrees(page, widget)
    for step in range(2, len(widget.seen.weights) + 1):
        press(page, "Step")
        widget.at = step
        agrees(page, widget)
    assert part(page, "button").filter(has_text="Step").is_disabled()
    answer, truth = widget.seen.answer, widget.seen.truth
    expect(part(page, ".hu-message")).to_contain_text("It is right" if answer == truth else "It is not right")
    press(page, "Back")
    widget.at = widget.step - 1
    agrees(page, widget)


def test_clicks_put_points_and_the_mouse_moves_them(page):
    widget = start()
    press(page, "Remove all")
    expect(part(page, ".hu-message")).to_contain_text("Click into the square")
    assert part(page, ".hu-point").count() == 0
    for x, y in ((10, 20), (80, 30), (40, 90), (45, 50)):
        page.mouse.click(*on_screen(page, x, y))
    widget.points = [[10, 20], [80, 30], [40, 90], [45, 50]]
    places = part(page, ".hu-point")
    assert places.count() == 4
    found = [places.nth(i).get_attribute("aria-valuetext").split(",")[:2] for i in range(4)]
    widget.points = [[int(x), int(y)] for x, y in found]
    np.testing.assert_allclose(widget.points, [[10, 20], [80, 30], [40, 90], [45, 50]], atol=1)
    agrees(page, widget)
    page.mouse.move(*on_screen(page, *widget.points[3]))
    page.mouse.down()
    page.mouse.move(*on_screen(page, 90, 80), steps=5)
    page.mouse.up()
    assert places.count() == 4  # a point that is moved is no new point
    moved = [int(x) for x in places.nth(3).get_attribute("aria-valuetext").split(",")[:2]]
    np.testing.assert_allclose(moved, [90, 80], atol=1)
    widget.points = [*widget.points[:3], moved]
    agrees(page, widget)


def test_the_keyboard_adds_moves_and_removes_points_and_steps(page):
    widget = start()
    press(page, "A square and its middle")
    widget.points = widget.examples["A square and its middle"]
    agrees(page, widget)
    part(page, ".hu-point").nth(2).focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    widget.points = [*widget.points[:2], [48, 40], *widget.points[3:]]
    agrees(page, widget)
    page.keyboard.press("Delete")
    widget.points = [*widget.points[:2], *widget.points[3:]]
    agrees(page, widget)
    expect(part(page, ".hu-point").nth(2)).to_be_focused()
    part(page, "button").filter(has_text="Add a point").focus()
    page.keyboard.press("Enter")
    assert part(page, ".hu-point").count() == 5
    expect(part(page, ".hu-point").nth(4)).to_be_focused()
    page.keyboard.press("Backspace")
    part(page, "input[type=range]").focus()
    page.keyboard.press("End")
    widget.at = 99
    agrees(page, widget)
    expect(part(page, "[role=status]")).to_contain_text("the mark")
    part(page, "input[type=checkbox]").focus()
    page.keyboard.press("Space")
    assert part(page, ".hu-true").count() == 1


def test_few_and_strange_points_do_no_harm(page):
    for name in experiment.widget()["examples"]:
        press(page, name)
        widget = start()
        widget.points = widget.examples[name]
        agrees(page, widget)
        part(page, "input[type=range]").focus()
        page.keyboard.press("End")
        widget.at = 99
        agrees(page, widget)
    for _ in range(4):
        press(page, "Remove the last")
    widget.points = widget.points[:1]
    agrees(page, widget)
    press(page, "Remove the last")
    assert part(page, "button").filter(has_text="Remove the last").is_disabled()
    check_access(page, LIVE)
    for count in range(1, 21):
        press(page, "Add a point")
        assert part(page, ".hu-point").count() == count
    assert part(page, "button").filter(has_text="Add a point").is_disabled()
    expect(part(page, ".hu-about")).to_contain_text("20 points: more than it was trained on (5 to 10).")


def test_a_finger_puts_a_point_and_moves_it(browser, site):
    settings = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "reduced_motion": "reduce"}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        press(page, "Remove all")
        part(page, ".hu-plane").scroll_into_view_if_needed()
        page.touchscreen.tap(*on_screen(page, 30, 30))
        expect(part(page, ".hu-point")).to_have_count(1)
        x, y = on_screen(page, 30, 30)
        finger = page.context.new_cdp_session(page)
        for kind, places in (
            ("touchStart", [{"x": x, "y": y}]),
            *(("touchMove", [{"x": x + 12 * i, "y": y - 8 * i}]) for i in range(1, 6)),
            ("touchEnd", []),
        ):
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
        expect(part(page, ".hu-point")).to_have_attribute("aria-valuetext", re.compile(r"^(4[5-9]|5\d), "))
        assert part(page, ".hu-point").count() == 1


def test_a_state_goes_into_the_address_and_comes_back(browser, site, page):
    press(page, "Two in one place")
    press(page, "Step")
    part(page, "input[type=checkbox]").check()
    part(page, ".wa-share button").click()
    assert len(json.loads(page.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('points')"))) == 5
    texts = part(page, ".hu-number").all_inner_texts()
    with staged(browser, page.url, LIVE) as other:
        assert part(other, ".hu-number").all_inner_texts() == texts
        assert part(other, ".hu-true").count() == 1


@pytest.mark.parametrize("state", ["points=[[1e999,null],5]&at=-3", "points=[]&at=99&truth=7", "points=x&at=[]"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert part(page, ".hu-message").inner_text()
        check_access(page, LIVE)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        press(page, "Twenty")
        for _ in range(3):
            press(page, "Step")
        part(page, "input[type=checkbox]").check()
        check_access(page, LIVE)
        check_inside(page, LIVE)


@pytest.mark.parametrize("name", ["notebooks/17_pointer_networks.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".hu-point").count() >= 4
