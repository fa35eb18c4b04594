"""The cost calculator: its numbers against Python's, and what a reader can do with it on the built page."""

import math
import random

import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.attention import attend
from attention_src.cost import (
    Cost,
    NearAttention,
    convolution_cost,
    near_attention,
    recurrence_cost,
    restricted_cost,
    self_attention_cost,
)
from attention_src.experiments.cost import calculator, kept
from attention_src.multi_head import merge_heads, split_heads
from attention_src.self_attention import SelfAttention
from attention_src.widgets.costs import LIMITS, SHOWN, Costs, costs, crossing
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-costs"
PAGE = "book/14_cost.html"
NUMBERS = ("words", "width", "heads", "reach", "filter")


def made(**traits):
    """The widget of the page, with some traits changed."""
    widget = Costs(**calculator())
    for name, value in traits.items():
        setattr(widget, name, value)
    return widget


def states():
    """The edges of all numbers, and random numbers between them, evenly by their logarithm."""
    drawn = random.Random(7)
    edges = [dict(zip(NUMBERS, (LIMITS[name][side] for name in NUMBERS), strict=True)) for side in (0, 1)]
    between = [
        {name: round(low * (high / low) ** drawn.random()) for name, (low, high) in LIMITS.items()} for _ in range(60)
    ]
    return [*edges, *(edges[0] | {name: LIMITS[name][1]} for name in NUMBERS), *between]


# --- the Python side -------------------------------------------------------------------------------------------------


def test_two_words_by_hand():
    found = costs(words=2, width=4, heads=2, reach=3, filter=2)
    assert found == {
        "self-attention": Cost(6 * 32 + 4 * 16, 4 * 8 + 2 * 4, 3, 1),
        "recurrence": Cost(12 * 32, 8 * 8, 2, 2),
        "convolution": Cost(4 * 32, 3 * 4, 1, 1),
        "restricted": Cost(6 * 32 + 4 * 24, 12 * 4 + 2 * 2 * 6, 3, 1),
    }


def test_one_head_is_the_formulas_of_the_chapter():
    for state in states():
        n, d, r = state["words"], state["width"], state["reach"]
        assert costs(**state | {"heads": 1}) == {
            "self-attention": self_attention_cost(n, d),
            "recurrence": recurrence_cost(n, d),
            "convolution": convolution_cost(n, d, state["filter"]),
            "restricted": restricted_cost(n, d, r),
        }


class Heads(SelfAttention):
    """Self-attention in three heads, without the map at its end."""

    def forward(self, x, mask=None):
        query, key, value = (split_heads(part(x), 3) for part in (self.of_query, self.of_key, self.of_value))
        context, weights = attend(query @ key.mT / math.sqrt(query.shape[-1]), value)
        return merge_heads(context), weights


class NearHeads(NearAttention):
    """Restricted attention in three heads, one after another."""

    def forward(self, x, mask=None):
        parts = (part(x).chunk(3, dim=-1) for part in (self.of_query, self.of_key, self.of_value))
        looks = [near_attention(*head, self.reach) for head in zip(*parts, strict=True)]
        return torch.cat([context for context, _ in looks], dim=-1), [weights for _, weights in looks]


@pytest.mark.parametrize("n", [2, 7, 13])
def test_heads_cost_what_real_heads_keep(n):
    x = torch.randn(1, n, 15)
    found = costs(words=n, width=15, heads=3, reach=5, filter=3)
    assert found["self-attention"].memory == kept(Heads(15), x)
    assert found["restricted"].memory == kept(NearHeads(15, 5), x)


@pytest.mark.parametrize("shown", SHOWN)
def test_at_the_crossing_both_cost_the_same_and_on_its_sides_they_do_not(shown):
    for width, heads in ((8, 1), (64, 1), (512, 8), (768, 12)):
        at = crossing(shown, width, heads)
        assert at == int(at)
        ours, other = {}, {}
        for n in (int(at) - 1, int(at), int(at) + 1):
            if n:
                found = costs(n, width, heads, 16, 3)
                ours[n], other[n] = (getattr(found[name], shown) for name in ("self-attention", "recurrence"))
        assert ours[at] == other[at]
        assert ours[at + 1] != other[at + 1]
        if at > 1:
            assert (ours[at - 1] < other[at - 1]) != (ours[at + 1] < other[at + 1])


def test_the_picture_is_the_same_twice_and_moves():
    first, second = made(), made()
    assert first.picture() == second.picture()
    second.words = 768
    assert first.picture() != second.picture()
    assert repr(second) == (
        "Costs: The operations of four layers over the length, at width 512 and 8 heads: at 768 words self-attention "
        "has 2,415,919,104 and the recurrence 2,415,919,104; their lines cross at 768 words"
    )
    for shown in SHOWN:
        second.shown = shown
        assert SHOWN[shown] in second.summary()
        assert second.picture() != first.picture()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("words", 0, "words must be 1 to 32768, but is 0"),
        ("width", 4097, "width must be 4 to 4096, but is 4097"),
        ("heads", 0, "heads must be 1 to 64, but is 0"),
        ("reach", 1, "reach must be 2 to 1024, but is 1"),
        ("filter", 1, "filter must be 2 to 1024, but is 1"),
        ("shown", "time", "shown must be one of operations, memory, sequential, path, but is 'time'"),
    ],
)
def test_wrong_traits_are_refused(name, value, message):
    with pytest.raises(TraitError, match=message):
        setattr(made(), name, value)


# --- arithmetic ------------------------------------------------------------------------------------------------------


def test_the_page_counts_what_python_counts(maths):
    for state in states():
        wanted = {name: cost._asdict() for name, cost in costs(**state).items()}
        assert maths("s => all.costs(s)", state) == wanted
        assert maths("s => all.costs(all.tidy(s))", state) == wanted
        for shown in SHOWN:
            at = maths("s => all.crossing(s)", state | {"shown": shown})
            assert at == crossing(shown, state["width"], state["heads"])


def test_the_steps_of_a_slider(maths):
    assert maths("x => all.steps(x)", [2, 13]) == [2, 3, 4, 6, 8, 12]
    assert maths("x => all.steps(x)", list(LIMITS["heads"]))[:4] == [1, 2, 3, 4]
    for low, high in LIMITS.values():
        found = maths("x => all.steps(x)", [low, high])
        assert (found[0], found[-1]) == (low, high)


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    low, high = ({name: LIMITS[name][side] for name in NUMBERS} for side in (0, 1))
    start = calculator()
    assert maths("s => all.tidy(s)", {}) == start | {"shown": "operations"}
    assert maths("s => all.tidy(s)", dict.fromkeys(NUMBERS, "x") | {"shown": "toString"}) == start | {
        "shown": "operations"
    }
    assert maths("s => all.tidy(s)", dict.fromkeys(NUMBERS, -5) | {"shown": "path"}) == low | {"shown": "path"}
    assert maths("s => all.tidy(s)", dict.fromkeys(NUMBERS, 1e99) | {"shown": None}) == high | {"shown": "operations"}
    assert maths("s => all.tidy({ ...s, words: 2.6 })", start)["words"] == 3


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def field(page, name):
    return part(page, f"input[aria-label='{name}']")


def exact(text):
    """The number in a cell: what is spoken, where only its first figures are shown."""
    return int(text.split("\n")[-1].replace(",", ""))


def agrees(page, widget):
    """Assert that table, message and chart show the widget's numbers."""
    ours, other = (getattr(widget.costs[name], widget.shown) for name in ("self-attention", "recurrence"))
    expect(part(page, ".co-message")).to_contain_text(f"self-attention {ours:,}, recurrence {other:,}")
    rows = part(page, ".co-table tbody tr")
    assert rows.locator("th").all_inner_texts() == list(widget.costs)
    for i, cost in enumerate(widget.costs.values()):
        cells = (
            rows.nth(i)
            .locator("td")
            .evaluate_all("all => all.map(cell => (cell.querySelector('.wa-spoken') ?? cell).textContent)")
        )
        assert [exact(text) for text in cells] == list(cost)
    assert part(page, "svg.co-chart text").filter(has_text=f"n = {widget.words:,}").count() == 1
    if widget.crossing >= 1:
        rule = {"operations": "1.5 d = ", "memory": "4 d / heads = "}.get(widget.shown, "")
        at = f"{widget.crossing:,.3f}".rstrip("0").rstrip(".")
        assert part(page, ".co-said").text_content() == rule + at
    else:
        assert part(page, ".co-cross, .co-said").count() == 0


def centres(page, selector):
    """Where circles of the chart stand, in its own units."""
    return part(page, selector).evaluate_all("all => all.map(c => [+c.getAttribute('cx'), +c.getAttribute('cy')])")


def test_it_begins_as_python_does_and_follows_the_fields(page):
    widget = made()
    agrees(page, widget)
    for name, label, value in (
        ("words", "Words n", 768),
        ("width", "Width d", 72),
        ("heads", "Heads", 12),
        ("reach", "Window r", 5),
    ):
        field(page, label).fill(str(value))
        field(page, label).press("Enter")
        setattr(widget, name, value)
        agrees(page, widget)
    field(page, "Heads").fill("5")
    field(page, "Heads").press("Tab")
    expect(part(page, ".co-message")).to_contain_text("5 heads cannot share a width of 72 evenly")


def test_what_is_drawn_can_be_chosen_and_the_crossing_is_where_the_lines_meet(page):
    widget = made()
    for shown in SHOWN:
        part(page, "select").select_option(shown)
        widget.shown = shown
        agrees(page, widget)
        field(page, "Words n").fill(str(int(widget.crossing)))
        field(page, "Words n").press("Enter")
        widget.words = int(widget.crossing)
        agrees(page, widget)
        (cross,) = centres(page, ".co-cross")
        for layer in ("self-attention", "recurrence"):
            assert centres(page, f".co-dot.co-{layer}")[0] == pytest.approx(cross, abs=1e-6)
        assert part(page, "thead .co-now").count() == 1


def test_a_crossing_below_one_word_is_said_and_not_drawn(page):
    widget = made(width=4, heads=64, shown="memory")
    part(page, "select").select_option("memory")
    for label, value in (("Width d", 4), ("Heads", 64)):
        field(page, label).fill(str(value))
        field(page, label).press("Enter")
    agrees(page, widget)
    expect(part(page, ".co-message")).to_contain_text("Self-attention has more at every length")


def test_a_field_refuses_what_is_no_length(page):
    for typed, shown in (("0", 1), ("999999", 32768), ("", 50)):
        field(page, "Words n").fill(typed)
        field(page, "Words n").press("Enter")
        expect(field(page, "Words n")).to_have_value(str(shown))
        agrees(page, made(words=shown))
    field(page, "Words n").fill("50.2")
    field(page, "Words n").press("Enter")
    expect(field(page, "Words n")).to_have_value("50")


def test_the_keyboard_moves_the_sliders_and_the_change_is_said(page):
    field(page, "Words n, slider").focus()
    page.keyboard.press("ArrowRight")
    agrees(page, made(words=64))
    page.keyboard.press("End")
    agrees(page, made(words=32768))
    expect(field(page, "Words n, slider")).to_have_attribute("aria-valuetext", "32,768")
    expect(part(page, "[role=status]")).to_contain_text("The two lines cross at 768 words")
    field(page, "Heads, slider").focus()
    page.keyboard.press("Home")
    part(page, "select").focus()
    page.keyboard.press("ArrowDown")
    agrees(page, made(words=32768, heads=1, shown="memory"))


def test_a_slider_can_be_dragged(page):
    slider = field(page, "Width d, slider")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + 20, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    agrees(page, made(width=4096))


def test_a_state_goes_into_the_address_and_comes_back(browser, page):
    part(page, "select").select_option("path")
    field(page, "Words n").fill("77")
    field(page, "Words n").press("Enter")
    part(page, ".wa-share button").click()
    with staged(browser, page.url, LIVE) as other:
        agrees(other, made(words=77, shown="path"))


@pytest.mark.parametrize("state", ["words=0&width=1e999", "shown=toString&heads=-1&reach=%22x%22", "filter=0&words=[]"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert part(page, ".co-table tbody tr").count() == 4
        assert "NaN" not in part(page, ".co-chart").inner_html()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        check_inside(page, LIVE)
        for label, value in (("Words n", 32768), ("Width d", 4096), ("Heads", 64), ("Window r", 1000)):
            field(page, label).fill(str(value))
            field(page, label).press("Enter")
        part(page, "select").select_option("memory")
        check_access(page, LIVE)
        check_inside(page, LIVE)


def test_the_gallery_shows_it_too(browser, site):
    with staged(browser, f"{site}book/widgets.html{LIVE}", LIVE) as page:
        agrees(page, made())
