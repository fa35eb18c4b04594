"""The plane: its numbers against Python's, and what a reader can do with it on the built pages."""

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.experiments import attention as experiment
from attention_src.scores import (
    Additive,
    Bilinear,
    Concat,
    Cosine,
    Dot,
    Location,
    LowRankBilinear,
    ScaledDot,
)
from attention_src.widgets import base
from attention_src.widgets.plane import Plane
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-plane"
PAGE = "book/03_attention.html"
CLOSE = {"rtol": 0, "atol": 1e-5}
POINTS = [[2.0, 0.0], [0.0, 1.0], [-1.0, 1.0], [0.5, -2.5], [-3.0, 3.0]]


def scores(query=2, key=2):
    """One of each score with random weights, all sizes different."""
    torch.manual_seed(5)
    return {
        "dot": Dot(),
        "scaled": ScaledDot(),
        "cosine": Cosine(),
        "bilinear": Bilinear(query, key),
        "low rank": LowRankBilinear(query, key, 1),
        "additive": Additive(query, key, 7),
        "concat": Concat(query, key, 11),
        "location": Location(query, 13),
    }


def plane(**changes):
    """The widget with all scores and five keys."""
    given = {"scores": scores(), "query": [1.0, -0.5], "points": POINTS, "values": [10, 20, 30, -40, 0.5]}
    return Plane(**given | changes)


# --- the Python side -------------------------------------------------------------------------------------------------


def test_the_case_by_hand():
    widget = Plane(**experiment.widget())
    e = torch.e
    weights = np.array([e * e, e, 1]) / (e * e + e + 1)
    np.testing.assert_allclose(widget.seen.weights, weights)
    np.testing.assert_allclose(widget.seen.point, weights @ np.array(experiment.VECTORS))
    assert widget.seen.value == pytest.approx(weights @ [10, 20, 30])
    assert repr(widget) == (
        "Plane: A query and 3 keys in the plane, scored by the dot product; at temperature 1 key 1 has the largest "
        "weight, 0.665, and the mixed value is 14.2"
    )


def test_setting_a_trait_changes_what_is_seen():
    widget = Plane(**experiment.widget())
    widget.temperature = 0.05
    np.testing.assert_allclose(widget.seen.weights, [1, 0, 0], atol=1e-8)
    widget.mask = [False, True, True]
    np.testing.assert_allclose(widget.seen.weights, [0, 1, 0], atol=1e-8)
    widget.mask = [False] * 3
    assert widget.seen.weights.eq(0).all()
    assert widget.seen.value == 0
    assert widget.summary() == "3 keys in the plane, and the query may look at none of them"
    widget.mask, widget.temperature, widget.query = [True] * 3, 1.0, [0.0, 0.0]
    np.testing.assert_allclose(widget.seen.weights, [1 / 3] * 3)


def test_what_runs_in_python_is_rounded_as_in_the_page():
    widget = plane(score="additive")
    module = scores()["additive"].half().double()
    expected = module(torch.tensor([widget.query]).double(), torch.tensor(POINTS).double()).detach()[0]
    np.testing.assert_allclose(widget.seen.scores, expected)
    whole = scores()["additive"].double()(torch.tensor([widget.query]).double(), torch.tensor(POINTS).double())
    assert not np.allclose(widget.seen.scores, whole.detach()[0], atol=1e-7)


def test_the_picture_is_the_same_twice_and_moves():
    first, second = plane(), plane()
    assert first.picture() == second.picture()
    second.mask = [True, False, True, True, True]
    assert first.picture() != second.picture()
    second.mask = [False] * 5
    assert second.picture()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"scores": {}}, ValueError, "scores must hold at least one score"),
        ({"scores": {"a": torch.nn.Linear(2, 2)}}, TypeError, r"scores\['a'\] must be one of Dot, .* but is a Linear"),
        (
            {"scores": {"a": Bilinear(3, 5)}},
            ValueError,
            r"scores\['a'\] must score vectors of width 2, but: key must be 5",
        ),
        ({"scores": {"a": Location(2, 3)}}, ValueError, r"scores\['a'\] must score vectors of width 2, but: key has 5"),
        ({"points": []}, ValueError, "points must hold 1 to 8 keys, but holds 0"),
        ({"points": [[0, 0]] * 9}, ValueError, "points must hold 1 to 8 keys, but holds 9"),
        ({"values": [1, 2]}, ValueError, "values must hold one number for each of the 5 keys, but holds 2"),
        ({"query": [4, 0]}, TraitError, "query must lie between -3 and 3, but holds 4"),
        ({"score": "nonesuch"}, TraitError, "score must be one of .*, but is 'nonesuch'"),
        ({"temperature": 0}, TraitError, "temperature must be 0.05 to 20, but is 0"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        plane(**changes)


def test_wrong_traits_are_refused():
    widget = plane()
    with pytest.raises(TraitError, match="points must have one entry for each of 5 keys, not 1"):
        widget.points = [[0.0, 0.0]]
    with pytest.raises(TraitError, match="mask must have one entry for each of 5 keys, not 2"):
        widget.mask = [True, False]
    with pytest.raises(TraitError, match="points must lie between -3 and 3, but holds nan"):
        widget.points = [*POINTS[:-1], [float("nan"), 0.0]]


# --- arithmetic ------------------------------------------------------------------------------------------------------


def test_every_score_is_pythons(maths):
    """With 7 keys and widths of 3 and 5, where the score can compare different widths."""
    random = torch.Generator().manual_seed(2)
    for query_width, key_width in ((2, 2), (3, 5)):
        for name, module in scores(query_width, key_width).items():
            if query_width != key_width and isinstance(module, Dot) and not list(module.parameters()):
                continue
            packed = base.pack({f"x.{part}": tensor for part, tensor in module.state_dict().items()})
            query = torch.randn(1, query_width, generator=random, dtype=torch.float64)
            key = torch.randn(7, key_width, generator=random, dtype=torch.float64)
            expected = module.half().double()(query, key).detach()[0]
            found = maths(
                "(kind, w, q, k) => all.scorer(kind, all.unpack(w), 'x')(k)(q)",
                *(type(module).__name__, packed, query[0].tolist(), key.tolist()),
            )
            np.testing.assert_allclose(found, expected, **CLOSE, err_msg=name)


def test_the_cosine_of_nothing_is_zero(maths):
    assert maths("() => all.scorer('Cosine')([[1, 2], [0, 0]])([0, 0])") == [0, 0]
    assert maths("() => all.scorer('Cosine')([[0, 0], [2, 4]])([1, 2])") == pytest.approx([0, 1])


@pytest.mark.parametrize("name", list(scores()))
@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("mask", [[True] * 5, [False, True, True, False, True], [False] * 5])
def test_what_the_page_sees_is_what_python_sees(maths, name, temperature, mask):
    widget = plane(score=name, temperature=temperature)
    widget.mask = mask
    state = widget.state()
    found = maths(
        """s => {
            const at = s.scores.findIndex(([label]) => label === s.score);
            return all.look(all.scorer(s.scores[at][1], all.unpack(s.weights), String(at)), s);
        }""",
        state,
    )
    for part in ("scores", "weights", "value", "point"):
        np.testing.assert_allclose(found[part], getattr(widget.seen, part), **CLOSE)


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    start = {"scores": [["dot", "Dot"]], "values": [1, 2]}
    for change in (
        {"query": "x", "points": 5, "mask": {}, "score": 3, "temperature": -1},
        {"query": [None, 1e99], "points": [[1]], "mask": [0], "score": "nonesuch", "temperature": None},
        {},
    ):
        tidy = maths("s => all.tidy(s)", start | change)
        assert len(tidy["points"]) == len(tidy["mask"]) == 2
        assert all(-3 <= x <= 3 for point in [tidy["query"], *tidy["points"]] for x in point)
        assert tidy["score"] == "dot"
        assert 0.05 <= tidy["temperature"] <= 20
    same = {"query": [1, -2], "points": [[0, 1], [2, 3]], "mask": [True, False], "score": "dot", "temperature": 2}
    assert maths("s => all.tidy(s)", start | same) == start | same


def test_lines_of_equal_score_are_where_the_score_is_equal(maths):
    """Under the dot product with (1, 0), the score of a place is its first number: the lines are upright."""
    lines = maths("() => all.levels(all.scorer('Dot'), [1, 0])")
    assert [line["level"] for line in lines] == [-3, -2, -1, 0, 1, 2]  # the edge at 3 is no place between others
    for line in lines:
        numbers = [[float(x) for x in place.split()] for place in line["path"].replace("L", "M").split("M")[1:]]
        across = 24 + (line["level"] + 3) / 6 * (360 - 48)
        assert max(abs(x - across) for x, _ in numbers) < 0.2
    assert maths("() => all.levels(all.scorer('Dot'), [0, 0])") == []


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the plane on the page."""
    return page.locator(LIVE).locator(selector)


def column(page, number):
    """What a column of the table says, key by key."""
    return part(page, f"tbody td:nth-of-type({number})").all_inner_texts()


def shown(page):
    """The weights and the mixed value that the page shows."""
    return [float(text) for text in column(page, 2)], part(page, "tfoot .pl-value").inner_text()


def test_it_begins_with_the_case_by_hand(page):
    assert shown(page) == ([0.665, 0.245, 0.09], "14.2")
    assert column(page, 1) == ["2.00", "1.00", "0.00"]
    assert part(page, ".pl-message").inner_text() == "k1 has the largest weight, 0.665."


def test_the_mouse_moves_the_query_and_a_key(page):
    plane_box = part(page, "svg.pl-plane").bounding_box()

    def place(x, y):
        scale = plane_box["width"] / 360
        at = [(24 + (n + 3) / 6 * 312) * scale for n in (x, -y)]
        return plane_box["x"] + at[0], plane_box["y"] + at[1]

    for start, to in (((1, 1), (0, 2)), ((2, 0), (-2, -2))):
        page.mouse.move(*place(*start))
        page.mouse.down()
        page.mouse.move(*place(*to), steps=5)
        page.mouse.up()
    widget = Plane(**experiment.widget())
    widget.query, widget.points = [0.0, 2.0], [[-2.0, -2.0], *experiment.VECTORS[1:]]
    expect(part(page, ".pl-query")).to_have_attribute("aria-valuetext", "0.0, 2.0")
    assert shown(page)[0] == pytest.approx(widget.seen.weights.tolist(), abs=1e-3)
    assert part(page, ".pl-message").inner_text() == "k2 and k3 have the same score and share: 0.499 each."


def test_the_keyboard_moves_the_query_and_a_key(page):
    part(page, ".pl-query").focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    expect(part(page, ".pl-query")).to_have_attribute("aria-valuetext", "0.0, 0.5")
    page.keyboard.press("Tab")  # the order of the Tab key goes through the keys and their table
    part(page, ".pl-key").nth(1).focus()
    page.keyboard.press("ArrowUp")
    widget = Plane(**experiment.widget())
    widget.query, widget.points = [0.0, 0.5], [[2.0, 0.0], [0.0, 1.1], [-1.0, 1.0]]
    assert shown(page)[0] == pytest.approx(widget.seen.weights.tolist(), abs=1e-3)
    expect(part(page, "[role=status]")).to_contain_text("k2 has the largest weight")


def test_a_handle_stops_at_the_edge(page):
    part(page, ".pl-query").focus()
    for _ in range(9):
        page.keyboard.press("Shift+ArrowRight")
    expect(part(page, ".pl-query")).to_have_attribute("aria-valuetext", "3.0, 1.0")


def test_the_temperature_goes_from_choosing_to_averaging(page):
    slider = part(page, "input[type=range]")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(part(page, "output")).to_have_text("0.79")
    page.keyboard.press("Home")
    expect(part(page, "output")).to_have_text("0.05")
    assert shown(page)[0] == [1, 0, 0]
    page.keyboard.press("End")
    expect(part(page, "output")).to_have_text("20")
    assert shown(page)[0] == pytest.approx([1 / 3] * 3, abs=0.03)


def test_hidden_keys_get_nothing_and_all_hidden_gives_zeros(page):
    boxes = part(page, "input[type=checkbox]")
    boxes.nth(0).uncheck()
    assert shown(page)[0] == [0, 0.731, 0.269]
    boxes.nth(1).uncheck()
    boxes.nth(2).uncheck()
    assert shown(page) == ([0, 0, 0], "0.0")
    assert part(page, ".pl-message").inner_text().startswith("The query may look at nothing")
    assert part(page, ".pl-draws button").nth(0).is_disabled()
    check_access(page, LIVE)


def test_random_draws_are_counted_and_come_near_the_mixture(page):
    for name, total in (("Draw 1 random key", 1), ("Draw 10 random keys", 11), ("Draw 100 random keys", 111)):
        part(page, ".pl-draws").get_by_role("button", name=name, exact=True).click()
        assert sum(map(int, column(page, 4))) == total
    for _ in range(20):
        part(page, ".pl-draws button").nth(2).click()
    drawn = [int(text) / 2111 for text in column(page, 4)]
    assert drawn == pytest.approx([0.665, 0.245, 0.09], abs=0.06)
    assert float(part(page, "tfoot td").last.inner_text()) == pytest.approx(14.2, abs=1)
    assert part(page, ".pl-tried path").count() == 1
    part(page, "input[type=checkbox]").nth(0).uncheck()  # other weights: what was drawn is forgotten
    assert column(page, 4) == ["–"] * 3
    part(page, ".pl-draws button").nth(2).click()
    assert column(page, 4)[0] == "0"


def test_another_score_changes_the_weights(page):
    part(page, "select").select_option("scaled dot product")
    widget = Plane(**experiment.widget() | {"score": "scaled dot product"})
    assert shown(page)[0] == pytest.approx(widget.seen.weights.tolist(), abs=1e-3)


def test_a_state_goes_into_the_address_and_comes_back(browser, site, page):
    part(page, "input[type=checkbox]").nth(1).uncheck()
    part(page, ".pl-query").focus()
    page.keyboard.press("ArrowUp")
    part(page, ".wa-share button").click()
    assert "mask=%5Btrue%2Cfalse%2Ctrue%5D" in page.url
    before = shown(page)
    with staged(browser, page.url, LIVE) as other:
        assert shown(other) == before


@pytest.mark.parametrize(
    "state",
    ["query=[1e999,null]&points=[]&mask=[]&temperature=-5", "points=[[9,9],[1]]&score=x&values=[]&temperature=1e99"],
)
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        weights, _ = shown(page)
        assert sum(weights) == pytest.approx(1, abs=0.002)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, ".pl-draws button").nth(2).click()
        part(page, "input[type=checkbox]").nth(0).uncheck()
        part(page, ".pl-query").focus()
        page.keyboard.press("Shift+ArrowUp")
        check_access(page, LIVE)
        check_inside(page, LIVE)


def test_touch_moves_a_key_on_a_phone(browser, site):
    settings = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        part(page, ".pl-query").scroll_into_view_if_needed()
        box = part(page, ".pl-query circle").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        finger = page.context.new_cdp_session(page)
        for kind, points in (
            ("touchStart", [{"x": x, "y": y}]),
            ("touchMove", [{"x": x - 30, "y": y - 20}]),
            ("touchMove", [{"x": x - 60, "y": y - 40}]),
            ("touchEnd", []),
        ):
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        text = part(page, ".pl-query").get_attribute("aria-valuetext")
        assert text != "1.0, 1.0"
        assert float(text.split(",")[0].replace("−", "-")) < 0.5


@pytest.mark.parametrize("name", ["notebooks/03_attention.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert len(shown(page)[0]) == 3
