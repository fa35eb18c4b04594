"""The chain of gates: its numbers against Python's, and what a reader can do with it on the built page."""

import json
import math

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.experiments.structured import widget as arguments
from attention_src.structured import LinearChainCRF
from attention_src.widgets.chain import Chain
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-chain"
PAGE = "book/16_structured.html"
CLOSE = {"rtol": 0, "atol": 1e-5}
HAND = {"scores": [math.log(3), 0, math.log(3)], "ties": [[math.log(2), 0], [0, math.log(2)]]}


def made(scores=HAND["scores"], ties=HAND["ties"]):
    """A widget with one chain, the case by hand if nothing else is said."""
    return Chain({"one": {"scores": list(scores), "ties": [list(row) for row in ties]}})


# --- the Python side -------------------------------------------------------------------------------------------------


def test_the_case_by_hand():
    widget = made()
    np.testing.assert_allclose(widget.seen.chain, np.array([57, 49, 57]) / 74)
    np.testing.assert_allclose(widget.seen.gates, [0.75, 0.5, 0.75])
    np.testing.assert_allclose(widget.seen.softmax, np.array([3, 1, 3]) / 7)
    assert (widget.seen.best, widget.seen.as_good) == ([1, 1, 1], 1)
    assert widget.seen.share == pytest.approx(36 / 74)
    assert repr(widget) == (
        "Chain: A chain of 3 gates: the marginals are 0.77 0.66 0.77, without ties 0.75 0.50 0.75, the softmax "
        "0.43 0.14 0.43; the best sequence is open open open, with probability 0.49"
    )


def test_it_is_the_chain_of_the_chapter():
    random = torch.Generator().manual_seed(0)
    for places in (2, 5, 8):
        scores, ties = (2 * torch.rand(shape, generator=random, dtype=torch.float64) for shape in ((places,), (2, 2)))
        widget, chain = made(scores.tolist(), ties.tolist()), LinearChainCRF(2).double()
        with torch.no_grad():
            chain.transition.copy_(ties)
        emissions, mask = torch.stack([0 * scores, scores], dim=-1)[None], torch.ones(1, places, dtype=torch.bool)
        path = torch.tensor([widget.seen.best])
        assert torch.equal(chain.viterbi(emissions, mask), path)
        assert widget.seen.share == pytest.approx(chain.log_likelihood(emissions, path, mask).exp().item())
        np.testing.assert_allclose(widget.seen.chain, chain.marginals(emissions, mask)[0, :, 1].detach())


def test_sequences_that_tie_are_counted():
    widget = made([0, 0, 0], [[0, 0], [0, 0]])
    assert (widget.seen.best, widget.seen.as_good, widget.seen.share) == ([0, 0, 0], 8, pytest.approx(1 / 8))
    assert "one of 8 that tie" in widget.summary()


def test_the_picture_is_the_same_twice_and_moves():
    first, second = made(), made()
    assert first.picture() == second.picture()
    second.ties = [[0.0, 0.0], [0.0, 0.0]]
    assert first.picture() != second.picture()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [0.0]}, "scores must hold 2 to 8 numbers, but holds 1"),
        ({"scores": [0.0] * 9}, "scores must hold 2 to 8 numbers, but holds 9"),
        ({"scores": [0.0, float("nan")]}, "scores must hold numbers between -4 and 4, but holds nan"),
        ({"ties": [[0.0, 0.0], [4.5, 0.0]]}, "ties must hold numbers between -4 and 4, but holds 4.5"),
    ],
)
def test_wrong_traits_are_refused(change, message):
    widget = made()
    with pytest.raises(TraitError, match=message):
        widget.set_trait(*next(iter(change.items())))


def test_wrong_examples_are_refused():
    with pytest.raises(ValueError, match="examples must hold at least one chain"):
        Chain({})
    with pytest.raises(TraitError, match="ties must be two rows of two numbers"):
        made(ties=[[0, 0, 0], [0, 0, 0]])


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, widget):
    """Assert that the page sees what Python sees."""
    found, seen = maths("s => all.look(all.tidy(s))", widget.state()), widget.seen
    for part, name in (("softmax", "softmax"), ("gates", "gates"), ("chain", "chain"), ("share", "share")):
        np.testing.assert_allclose(found[name], getattr(seen, part), **CLOSE, err_msg=part)
    np.testing.assert_allclose(found["logZ"], seen.log_partition, **CLOSE)
    assert (found["best"], found["asGood"]) == (seen.best, seen.as_good)


def test_the_page_sees_what_python_sees(maths):
    random = torch.Generator().manual_seed(3)
    for places in (2, 3, 5, 8):
        for scale in (0.5, 2.0, 4.0):
            scores, ties = (
                scale * (2 * torch.rand(shape, generator=random, dtype=torch.float64) - 1)
                for shape in ((places,), (2, 2))
            )
            same(maths, made(scores.tolist(), ties.tolist()))
    same(maths, made())
    same(maths, made([0] * 8, [[0, 0], [0, 0]]))
    same(maths, made([4, -4] * 4, [[-4, 4], [4, -4]]))
    same(maths, made([4] * 8, [[4, 4], [4, 4]]))
    same(maths, made([-4] * 8, [[-4, -4], [-4, -4]]))
    for one in arguments()["examples"].values():
        same(maths, made(one["scores"], one["ties"]))


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    for state in (
        {"scores": "x", "ties": 5},
        {"scores": [None, 1e999, "a"], "ties": [[None], "x"]},
        {"scores": [9] * 99, "ties": [[1e9, -1e9], [0, 0], [0, 0]]},
        {"scores": [1]},
        {},
    ):
        tidy = maths("s => all.tidy(s)", state)
        assert 2 <= len(tidy["scores"]) <= 8
        assert [len(row) for row in tidy["ties"]] == [2, 2]
        assert all(abs(x) <= 4 for row in [*tidy["ties"], tidy["scores"]] for x in row)
    good = {"scores": [1, -2.5, 0], "ties": [[1, 0.5], [-1, 4]]}
    assert maths("s => all.tidy(s)", good) == good


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def shown(page):
    """The table: name of the row -> its texts."""
    lines = part(page, ".ch-table tbody tr")
    cells = [lines.nth(i).locator("th, td").all_inner_texts() for i in range(lines.count())]
    return {line[0]: line[1:] for line in cells}


def numbers(widget, name):
    """What the table should say of one kind of weights."""
    weights = getattr(widget.seen, name)
    return [f"{x:.2f}" for x in [*weights.tolist(), float(weights.sum())]]


def agrees(page, widget):
    """Assert that the page shows the widget's numbers and its best sequence."""
    table = shown(page)
    for name, row in (("softmax", "softmax"), ("gates", "gate alone"), ("chain", "chain")):
        found = [float(text) for text in table[row]]
        assert found == pytest.approx([float(text) for text in numbers(widget, name)], abs=0.011), name
    best = " ".join("open" if gate else "shut" for gate in widget.seen.best)
    expect(part(page, ".ch-message")).to_contain_text(f"is {best}, with probability {widget.seen.share:.2f}")


def test_it_begins_with_the_case_by_hand(page):
    agrees(page, Chain(**arguments()))
    assert shown(page)["chain"][:3] == ["0.77", "0.66", "0.77"]


def test_the_mouse_drags_a_score(page):
    widget = Chain(**arguments())
    for place, to in ((1, -2.0), (2, 4.0)):
        dot = part(page, ".ch-handle circle:not(.ch-hit)").nth(place).bounding_box()
        picture = part(page, ".ch-picture").bounding_box()
        scale = picture["width"] / 360
        x, y = dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 3, picture["y"] + scale * (26 + (4 - to) / 8 * 130), steps=6)
        page.mouse.up()
        widget.scores = [to if j == place else old for j, old in enumerate(widget.scores)]
    found = [float(text.replace("−", "-")) for text in shown(page)["score"][:3]]
    assert found == pytest.approx(widget.scores, abs=0.06)
    widget.scores = [*widget.scores[:1], *found[1:]]
    agrees(page, widget)


def test_the_keyboard_moves_scores_and_ties(page):
    widget = Chain(**arguments())
    part(page, ".ch-handle").nth(1).focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    widget.scores = [widget.scores[0], -0.8, widget.scores[2]]
    agrees(page, widget)
    expect(part(page, ".ch-handle").nth(1)).to_have_attribute(
        "aria-valuetext", f"−0.80, chain {widget.seen.chain[1]:.2f}"
    )
    page.keyboard.press("End")
    widget.scores = [widget.scores[0], 4.0, widget.scores[2]]
    agrees(page, widget)
    part(page, "input[aria-label='Tie from open to shut']").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    widget.ties = [widget.ties[0], [0.5, widget.ties[1][1]]]
    agrees(page, widget)
    expect(part(page, "[role=status]")).to_contain_text("The best of the 8 sequences is")


def test_a_finger_drags_a_score(browser, site):
    settings = {"viewport": PHONE, "has_touch": True, "reduced_motion": "reduce"}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        part(page, ".ch-picture").scroll_into_view_if_needed()
        before = shown(page)["score"]
        client = page.context.new_cdp_session(page)
        dot = part(page, ".ch-handle circle:not(.ch-hit)").nth(1).bounding_box()
        point = {"x": dot["x"] + dot["width"] / 2, "y": dot["y"] + dot["height"] / 2}
        client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        for step in range(1, 6):
            moved = {"x": point["x"], "y": point["y"] - 8 * step}
            client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [moved]})
        client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(part(page, ".ch-table tbody tr").first.locator("td").nth(1)).not_to_have_text(before[1])
        assert float(shown(page)["score"][1]) > 1


def test_places_are_added_and_removed_and_ties_are_cut(page):
    def press(text):
        part(page, "button").filter(has_text=text).click()

    for _ in range(5):
        press("Add a place")
    assert part(page, ".ch-handle").count() == 8
    assert part(page, "button").filter(has_text="Add a place").is_disabled()
    press("Untie all")
    assert shown(page)["gate alone"] == shown(page)["chain"]
    check_access(page, LIVE)
    for _ in range(6):
        press("Remove the last")
    assert part(page, ".ch-handle").count() == 2
    assert part(page, "button").filter(has_text="Remove the last").is_disabled()


@pytest.mark.parametrize("name", list(arguments()["examples"]))
def test_the_examples_can_be_loaded(page, name):
    part(page, "button").filter(has_text=name).click()
    one = arguments()["examples"][name]
    agrees(page, made(one["scores"], one["ties"]))


def test_a_state_goes_into_the_address_and_comes_back(browser, site, page):
    part(page, ".ch-handle").first.focus()
    page.keyboard.press("Home")
    part(page, "button").filter(has_text="Add a place").click()
    part(page, ".wa-share button").click()
    before = shown(page)
    assert len(json.loads(page.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('scores')"))) == 4
    with staged(browser, page.url, LIVE) as other:
        assert shown(other) == before


@pytest.mark.parametrize("state", ["scores=[1e999,null]&ties=[]", "scores=[]&ties=[[1,2],[3]]", "scores=5&ties=x"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert len(shown(page)) == 4


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, "button").filter(has_text="False alarm").click()
        check_access(page, LIVE)
        check_inside(page, LIVE)


@pytest.mark.parametrize("name", ["notebooks/16_structured.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".ch-handle").count() >= 2
