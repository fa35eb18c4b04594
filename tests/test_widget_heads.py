"""The heads of the page: their numbers against the module's, and what a reader can do with them on the built page."""

import random

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.data.belongings import NAMES, THINGS
from attention_src.experiments.multi_head import widget as of_the_page
from attention_src.multi_head import Asker, ByName, without_heads
from attention_src.widgets.base import rounded
from attention_src.widgets.heads import Heads
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-heads"
PAGE = "book/11_multi_head.html"
CLOSE = {"rtol": 0, "atol": 1e-5}


def model(heads, width=12, seed=7):
    """A network with random weights."""
    torch.manual_seed(seed)
    return Asker(len(NAMES), len(THINGS), 4, width, heads)


def made(**changes):
    """The widget of the page, with random weights."""
    return Heads(**of_the_page() | {"models": {heads: model(heads) for heads in (1, 2, 3, 6)}, "heads": 3} | changes)


def some_states(count):
    """Lists, questions and heads that are off."""
    chance = random.Random(5)
    for _ in range(count):
        who = chance.sample(NAMES, 6)
        heads = chance.choice((1, 2, 3, 6))
        yield {
            "entries": [[name, chance.choice(THINGS)] for name in who],
            "asked": [chance.choice(NAMES) for _ in range(4)],
            "heads": heads,
            "off": sorted(chance.sample(range(heads), chance.randrange(heads + 1))),
        }


# --- the Python side -------------------------------------------------------------------------------------------------


def test_the_trained_heads_answer_and_each_serves_a_question():
    shown = Heads(**of_the_page())
    seen = shown.seen
    assert seen.sources == [1, 5, 3, 4]
    assert seen.truth == ["tea", "rice", "milk", "tea"]
    assert [thing for thing, _ in seen.said] == seen.truth
    assert sorted(question for some in seen.serves for question in some) == [1, 2, 3, 4]
    assert repr(shown) == (
        "Heads: with 4 of 4 heads on, 4 of 4 answers are right: Ana tea, Ben rice, Cem milk, Gus tea"
    )
    for head in range(4):
        shown.off = [head]
        others = [i for i in range(4) if i + 1 not in seen.serves[head]]
        assert [shown.seen.said[i][0] for i in others] == [seen.truth[i] for i in others]


def test_one_trained_head_is_wrong_somewhere():
    shown = Heads(**of_the_page() | {"heads": 1})
    assert [thing for thing, _ in shown.seen.said] != shown.seen.truth


def test_it_is_the_network_of_the_chapter():
    shown = made(heads=6)
    shown.off = [4, 1]
    assert shown.off == [1, 4]
    twin = rounded(model(6), shown.weights["6"]).double()
    twin.look = without_heads(twin.look, [1, 4])
    row = [[NAMES.index(name) for name, _ in shown.entries]], [[THINGS.index(thing) for _, thing in shown.entries]]
    asked = torch.tensor([[NAMES.index(name) for name in shown.asked]])
    with torch.no_grad():
        logits, weights = twin(*map(torch.tensor, row), asked)
    np.testing.assert_allclose(shown.seen.weights, weights[0])
    np.testing.assert_allclose([p for _, p in shown.seen.said], logits[0].softmax(-1).amax(-1))
    assert [thing for thing, _ in shown.seen.said] == [THINGS[int(i)] for i in logits[0].argmax(-1)]


def test_switching_off_does_not_last():
    shown = made()
    before = shown.seen
    shown.off = [0, 1, 2]
    assert shown.seen.said != before.said
    shown.off = []
    assert shown.seen == before


def test_a_person_who_is_not_in_the_list_has_no_source():
    shown = made()
    absent = next(name for name in NAMES if name not in {who for who, _ in shown.entries})
    shown.asked = [absent, *shown.asked[1:]]
    assert shown.seen.sources[0] == -1
    assert shown.seen.truth[0] is None


def test_a_smaller_network_keeps_only_the_heads_it_has():
    shown = made(heads=6)
    shown.off = [0, 5]
    shown.heads = 2
    assert shown.off == [0]


def test_the_picture_is_the_same_twice_and_moves():
    first, second = made(), made()
    assert first.picture() == second.picture()
    second.off = [0]
    assert first.picture() != second.picture()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"models": {2: model(3)}}, TypeError, r"models\[2\] must be an Asker with 2 heads"),
        ({"models": {2: ByName(8, 8, 4, 12, 2)}}, TypeError, r"models\[2\] must be an Asker with 2 heads"),
        ({"names": NAMES[1:]}, ValueError, r"as models\[1\] knows, 8, 8 and 4, but are 7, 8 and 4"),
        ({"asked": ("Ana",)}, ValueError, "8, 8 and 4, but are 8, 8 and 1"),
        ({"entries": [["Ana", "gold"]]}, TraitError, "but holds 'Ana' with 'gold'"),
        ({"entries": [["Ana", "tea"]] * 2}, TraitError, "entries must hold each person once"),
        ({"asked": ("Ana", "Ben", "Cem", "Zoe")}, TraitError, "asked must hold people of Ana, .* 'Zoe'"),
        ({"heads": 5}, TraitError, "heads must be one of 1, 2, 3, 6, but is 5"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        made(**changes)


def test_wrong_changes_are_refused():
    shown = made()
    with pytest.raises(TraitError, match="off must hold heads from 0 to 2, but holds 3"):
        shown.off = [3]
    with pytest.raises(TraitError, match="entries must hold 6 people, but holds 1"):
        shown.entries = [["Ana", "tea"]]
    with pytest.raises(TraitError, match="asked must hold 4 people, but holds 1"):
        shown.asked = ["Ana"]


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, shown):
    """Assert that the page sees what Python sees."""
    found = maths("s => all.look(all.unpack(s.weights[s.heads]), s)", shown.state())
    seen = shown.seen
    np.testing.assert_allclose(found["weights"], seen.weights, **CLOSE)
    assert [thing for thing, _ in found["said"]] == [thing for thing, _ in seen.said]
    np.testing.assert_allclose([p for _, p in found["said"]], [p for _, p in seen.said], **CLOSE)
    assert (found["sources"], found["truth"], found["serves"]) == (seen.sources, seen.truth, seen.serves)


def test_the_page_computes_as_python_does(maths):
    shown = made()
    for state in some_states(30):
        for name in ("heads", "entries", "asked", "off"):
            setattr(shown, name, state[name])
        same(maths, shown)


def test_the_page_computes_as_python_does_with_the_trained_heads(maths):
    shown = Heads(**of_the_page())
    for heads in (1, 2, 4, 8):
        shown.heads = heads
        for off in ([], [0], list(range(heads))):
            shown.off = off
            same(maths, shown)


def test_heads_that_are_off_are_those_of_the_module(maths):
    """The borders between the pieces of the heads, for a width and a number of heads that are no powers of two."""
    shown = Heads(**of_the_page() | {"models": {h: model(h, width=30) for h in (1, 3, 5, 6)}, "heads": 5})
    for head in range(5):
        shown.off = [head]
        same(maths, shown)


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    shown = made()
    fixed = {"names": NAMES, "things": THINGS, "counts": [1, 2, 3, 6], "size": 6, "questions": 4}
    for state in (
        {"entries": 5, "asked": "x", "heads": "4", "off": {}},
        {"entries": [["Ana", "tea"]] * 6, "asked": ["Ana"] * 5, "heads": 99, "off": [7, -1, 0.5, "0"]},
        {"entries": [["__proto__", "tea"]], "asked": [None] * 4, "heads": 2, "off": [1, 1, 0, 2]},
        {},
    ):
        tidy = maths("s => all.tidy(s)", fixed | state)
        shown.off = []
        for name in ("heads", "entries", "asked", "off"):
            setattr(shown, name, tidy[name])  # it refuses what cannot be drawn
    good = next(some_states(1))
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
    cells = [int(text) for text in part(page, ".hd-cell").all_inner_texts()]
    np.testing.assert_allclose(np.reshape(cells, (6, shown.heads)).T, 100 * np.array(seen.weights), atol=0.51)
    said = [text.split(",")[0] for text in part(page, ".hd-said").all_inner_texts()]
    assert said == [thing for thing, _ in seen.said]
    wrong = [true not in (None, thing) for (thing, _), true in zip(seen.said, seen.truth, strict=True)]
    assert part(page, ".hd-wrong").count() == sum(wrong)
    serves = [[int(i) for i in text.split() if i.isdigit()] for text in part(page, ".hd-serves").all_inner_texts()]
    assert serves == seen.serves


def test_it_begins_as_python_does(page):
    check(page, Heads(**of_the_page()))
    assert part(page, ".hd-count").inner_text() == "4 of 4 answers are right, with 4 of 4 heads on."


def test_heads_are_switched_off_by_mouse_and_by_keyboard(page):
    shown, toggles = Heads(**of_the_page()), part(page, ".hd-toggles button")
    toggles.nth(1).click()
    shown.off = [1]
    check(page, shown)
    assert toggles.nth(1).get_attribute("aria-pressed") == "false"
    assert part(page, ".hd-wrong").count() == 1
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    shown.off = [1, 2]
    check(page, shown)
    expect(part(page, "[role=status]")).to_contain_text("with 2 of 4 heads on")
    part(page, "button").filter(has_text="All on").click()
    shown.off = []
    check(page, shown)


def test_list_and_questions_change(page):
    shown = Heads(**of_the_page())
    part(page, "select[aria-label='Thing 2']").select_option("nuts")
    entries = [list(entry) for entry in shown.entries]
    entries[1][1] = "nuts"
    shown.entries = entries
    check(page, shown)
    part(page, "select[aria-label='Person 1']").select_option("Ben")  # he stands in the last place: they swap
    entries = [list(entry) for entry in entries]
    entries[0][0], entries[5][0] = entries[5][0], entries[0][0]
    shown.entries = entries
    check(page, shown)
    part(page, "select[aria-label^='Question 3']").focus()
    page.keyboard.press("ArrowDown")  # from Cem to Dua, who is not in the list
    shown.asked = ["Ana", "Ben", "Dua", "Gus"]
    check(page, shown)
    assert part(page, ".hd-verdict").nth(2).inner_text() == "not in the list"
    check_access(page, LIVE)


def test_another_network_and_a_new_list(page):
    shown = Heads(**of_the_page())
    for heads in (8, 1):
        part(page, "select[aria-label='Heads of the network']").select_option(str(heads))
        shown.heads = heads
        check(page, shown)
        assert part(page, ".hd-toggles button").count() == heads
    part(page, "select[aria-label='Heads of the network']").select_option("4")
    for _ in range(3):
        part(page, "button").filter(has_text="New list").click()
        assert part(page, ".hd-chips .hd-chip").count() == 4
        assert part(page, ".hd-right").count() == 4  # the network is right nearly always


def test_a_state_goes_into_the_address_and_comes_back(browser, page):
    part(page, "button").filter(has_text="New list").click()
    part(page, ".hd-toggles button").nth(2).click()
    part(page, ".wa-share button").click()
    before = part(page, ".hd-table").inner_text(), part(page, ".hd-questions").inner_text()
    with staged(browser, page.url, LIVE) as other:
        assert (part(other, ".hd-table").inner_text(), part(other, ".hd-questions").inner_text()) == before


@pytest.mark.parametrize("state", ["entries=[[1]]&asked=[]&heads=3&off=[9]", "entries=5&off=x&names=[]"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert part(page, ".hd-cell").count() >= 6


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, "select[aria-label='Heads of the network']").select_option("8")
        part(page, ".hd-toggles button").nth(2).click()
        check_access(page, LIVE)
        check_inside(page, LIVE)
        assert min(button["height"] for button in map(bounding, part(page, "button").all())) >= 24


def bounding(button):
    """Where a button stands."""
    return button.bounding_box()


@pytest.mark.parametrize("name", ["notebooks/11_multi_head.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".hd-cell").count() >= 6
