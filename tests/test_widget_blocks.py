"""The table walked block by block: its numbers against Python's, and what a reader can do with it on the built page."""

import math

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from torch.testing import assert_close
from traitlets import TraitError

from attention_src.attention import attend, causal_mask
from attention_src.experiments.cost import widget as arguments
from attention_src.widgets.blocks import Block, Blocks, Kept
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-blocks"
PAGE = "book/14_cost.html"
CLOSE = {"rtol": 0, "atol": 1e-5}
HAND = {"scores": [[math.log(2), math.log(8), math.log(4)]] * 3, "values": [7, 0, 14]}


def made(scores=HAND["scores"], values=HAND["values"], **traits):
    """A widget with one table, the case by hand if nothing else is said."""
    widget = Blocks({"one": {"scores": scores, "values": values}})
    for name, value in traits.items():
        setattr(widget, name, value)
    return widget


def drawn(n, seed=0, scale=4.0):
    """A random table, as the arguments of `made`."""
    random = torch.Generator().manual_seed(seed)
    numbers = scale * (2 * torch.rand(n + 1, n, generator=random, dtype=torch.float64) - 1)
    return {"scores": numbers[1:].tolist(), "values": numbers[0].tolist()}


# --- the Python side -------------------------------------------------------------------------------------------------


def test_the_case_by_hand():
    widget = made(chunk=1)
    kept = []
    for step in (1, 2, 3):
        widget.step = step
        kept += [*widget.kept[0]]
    log2, log8 = math.log(2), math.log(8)
    assert kept == pytest.approx([log2, 1, 7, log8, 5 / 4, 7 / 4, log8, 7 / 4, 35 / 4])
    assert widget.kept[1] == Kept(0, 0, 0)
    assert widget.full.tolist() == pytest.approx([5, 5, 5])


def test_blocks_by_hand():
    widget = made(chunk=2)
    assert widget.walk == [Block(0, 2, 0, 2), Block(0, 2, 2, 3), Block(2, 3, 0, 2), Block(2, 3, 2, 3)]
    widget.causal = True
    assert widget.walk == [Block(0, 2, 0, 2), Block(2, 3, 0, 2), Block(2, 3, 2, 3)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("chunk", [1, 2, 4, 6])
def test_at_the_end_it_is_the_whole_softmax(chunk, causal):
    one = drawn(5)
    widget = made(**one, chunk=chunk, causal=causal, step=99)
    scores, values = (torch.tensor(one[name], dtype=torch.float64) for name in ("scores", "values"))
    wanted = attend(scores, values[:, None], causal_mask(5) if causal else None)[0][:, 0]
    assert_close(torch.tensor([kept.mixed / kept.total for kept in widget.kept], dtype=torch.float64), wanted)
    assert_close(widget.full, wanted)
    assert "5 of 5 contexts are those of the full softmax" in widget.summary()


def test_the_picture_is_the_same_twice_and_moves():
    first, second = Blocks(**arguments()), Blocks(**arguments())
    assert first.picture() == second.picture()
    second.step = 3
    assert first.picture() != second.picture()
    assert repr(first).startswith("Blocks: A table of 5 by 5 scores, in blocks of 2 by 2: 1 of 9 blocks are read")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"example": "none"}, "example must be one of one, but is 'none'"),
        ({"chunk": 0}, "chunk must be 1 to 6, but is 0"),
        ({"chunk": 7}, "chunk must be 1 to 6, but is 7"),
        ({"step": -1}, "step must be 0 or more, but is -1"),
    ],
)
def test_wrong_traits_are_refused(change, message):
    with pytest.raises(TraitError, match=message):
        made().set_trait(*next(iter(change.items())))


def test_wrong_examples_are_refused():
    with pytest.raises(ValueError, match="examples must hold at least one table"):
        Blocks({})
    with pytest.raises(ValueError, match="must have n values and n by n scores"):
        made(scores=[[1.0, 2.0]], values=[1, 2])
    with pytest.raises(ValueError, match="must hold numbers from -20 to 20, but has 21"):
        made(values=[1, 2, 21])


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, widget):
    """Assert that the page sees what Python sees."""
    found = maths("s => all.look(all.tidy(s))", widget.state())
    assert found["blocks"] == [list(block) for block in widget.walk]
    for name in ("largest", "total", "mixed"):
        wanted = [getattr(kept, name) for kept in widget.kept]
        np.testing.assert_allclose([kept[name] for kept in found["kept"]], wanted, **CLOSE, err_msg=name)
    np.testing.assert_allclose(found["full"], widget.full, **CLOSE)


def test_the_page_sees_what_python_sees(maths):
    for seed, n in enumerate((2, 3, 5, 6)):
        for chunk in (1, 2, 4, 6):
            for causal in (False, True):
                widget = made(**drawn(n, seed, scale=9.0), chunk=chunk, causal=causal)
                for step in (0, 1, len(widget.walk) - 1, len(widget.walk)):
                    widget.step = max(0, step)
                    same(maths, widget)
    same(maths, made([[0.0, 0.0], [-9.0, 9.0]], [0, 0], chunk=1, step=3))
    same(maths, made(chunk=1, step=2))


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    good = made().state()
    for wrong in (
        {"example": "toString", "chunk": "x", "causal": "yes", "step": None},
        {"example": None, "chunk": 1e9, "causal": 1, "step": -5},
        {"chunk": -3, "step": 1e999},
    ):
        tidy = maths("s => all.tidy(s)", good | wrong)
        assert tidy["example"] == "one"
        assert 1 <= tidy["chunk"] <= 6
        assert tidy["causal"] is False
        assert 0 <= tidy["step"] <= 9
    tidy = maths("s => all.tidy(s)", good | {"chunk": 1, "causal": True, "step": 99})
    assert (tidy["chunk"], tidy["causal"], tidy["step"]) == (1, True, 6)


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def shown(page):
    """What is kept of each query, as texts: largest, sum, context so far, context of all keys."""
    rows = part(page, ".bl-table tbody tr")
    return [rows.nth(i).locator("td").all_inner_texts()[-4:] for i in range(rows.count())]


def agrees(page, widget):
    """Assert that the page shows the widget's numbers."""
    expect(part(page, ".bl-message")).to_contain_text(
        f"Block {min(widget.step, len(widget.walk))} of {len(widget.walk)}"
    )
    for texts, kept, full in zip(shown(page), widget.kept, widget.full.tolist(), strict=True):
        numbers = [float(text.replace("−", "-").replace("↓", "").replace("–", "nan")) for text in texts]
        so_far = [kept.largest, kept.total, kept.mixed / kept.total] if kept.total else [math.nan] * 3
        np.testing.assert_allclose(numbers, [*so_far, full], rtol=0, atol=0.0501)
    assert part(page, ".bl-now, .bl-ahead").count() == sum(
        (block.row_end - block.row) * (block.column_end - block.column) for block in widget.walk[: widget.step][-1:]
    )


def press(page, text):
    part(page, "button").filter(has_text=text).click()


def test_the_buttons_walk_through_all_blocks(page):
    widget = Blocks(**arguments())
    agrees(page, widget)
    for step in range(2, 10):
        press(page, "Next block")
        widget.step = step
        agrees(page, widget)
    assert part(page, "button").filter(has_text="Next block").is_disabled()
    assert part(page, ".bl-right").count() == 5
    press(page, "Back")
    widget.step = 8
    agrees(page, widget)


def test_a_larger_score_shrinks_the_sum_and_is_said(page):
    part(page, "select[aria-label='Table of scores']").select_option("growing")
    press(page, "Next block")
    widget = Blocks(**arguments())
    widget.example, widget.step = "growing", 2
    agrees(page, widget)
    expect(part(page, ".bl-message")).to_contain_text("shrinks what was added up: q1 by 0.14, q2 by 0.14")
    assert part(page, ".bl-shrank").count() == 2
    part(page, "select[aria-label='Table of scores']").select_option("falling")
    press(page, "Next block")
    expect(part(page, ".bl-message")).not_to_contain_text("shrinks")


def test_the_keyboard_walks_and_chooses(page):
    widget = Blocks(**arguments())
    part(page, "input[type=range]").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    widget.step = 4
    agrees(page, widget)
    page.keyboard.press("End")
    widget.step = 9
    agrees(page, widget)
    expect(part(page, "[role=status]")).to_contain_text("5 of 5 contexts are those of all keys")
    part(page, "select[aria-label='Size of a block']").focus()
    page.keyboard.press("ArrowDown")
    part(page, "input[type=checkbox]").focus()
    page.keyboard.press("Space")
    widget.chunk, widget.causal, widget.step = 3, True, 1
    agrees(page, widget)
    expect(part(page, ".bl-held")).to_contain_text("Held at most: 9 scores")
    expect(part(page, ".bl-held")).to_contain_text("The table: 25 scores. Computed: 19 of them.")


def test_a_state_goes_into_the_address_and_comes_back(browser, site, page):
    part(page, "select[aria-label='Size of a block']").select_option("4")
    press(page, "Next block")
    part(page, ".wa-share button").click()
    before = shown(page)
    with staged(browser, page.url, LIVE) as other:
        assert shown(other) == before


@pytest.mark.parametrize("state", ["chunk=0&step=1e999", "example=%22x%22&causal=5&step=-1", "chunk=[]&step=%22x%22"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert len(shown(page)) == 5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, "input[type=checkbox]").click()
        press(page, "Next block")
        check_access(page, LIVE)
        check_inside(page, LIVE)


@pytest.mark.parametrize("name", ["notebooks/14_cost.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".bl-table tbody tr").count() == 5
