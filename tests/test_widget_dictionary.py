"""The soft dictionary: its numbers against Python's, and what a reader can do with it on the built page."""

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.experiments.query_key_value import dictionary
from attention_src.query_key_value import SoftDictionary
from attention_src.widgets.dictionary import SCORES, Dictionary, doubles
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-dictionary"
PAGE = "book/08_query_key_value.html"
CLOSE = {"rtol": 0, "atol": 1e-5}


def made(rows=((1, 0, 10), (3, 1, 20)), query=(1, 0), **changes):
    """A widget with one dictionary, the case by hand if nothing else is said."""
    return Dictionary({"one": {"rows": [list(row) for row in rows], "query": list(query)}}, **changes)


# --- the Python side -------------------------------------------------------------------------------------------------


def test_the_case_by_hand():
    widget = Dictionary(**dictionary())
    second = np.exp(2) / (1 + np.exp(2))
    np.testing.assert_allclose(widget.seen.weights, [1 - second, second])
    assert widget.seen.answer == pytest.approx(10 + 10 * second)
    assert (widget.seen.limit, widget.seen.mean, widget.seen.exact) == (20, 15, 10)
    assert repr(widget) == (
        "Dictionary: A soft dictionary of 2 entries, asked with (1, 0) by dot product: at temperature 1 it answers "
        "18.81, in the limit 20; an ordinary dictionary answers 10"
    )
    widget.score = "distance"
    assert widget.seen.limit == 10
    widget.query = [1.5, 0.0]
    assert widget.seen.exact is None
    assert "has no such key" in widget.summary()


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("temperature", [0, 0.01, 1, 100])
def test_it_is_the_soft_dictionary_of_the_chapter(score, temperature):
    rows = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    widget = made(rows.tolist(), (0.5, -1.25), score=score, temperature=temperature)
    book = SoftDictionary(rows[:, :2], rows[:, 2:], SCORES[score])
    answer, weights = book.look_up(doubles([[0.5, -1.25]]), temperature)
    np.testing.assert_allclose(widget.seen.weights, weights[0])
    assert widget.seen.answer == pytest.approx(float(answer))


def test_ties_share_also_when_the_last_digit_differs():
    """(1, 2) and (3, 6) have the same cosine, and no machine's digits tell which is larger."""
    widget = made([(1, 2, 10), (3, 6, 30), (2, 1, 50)], (5, 10), score="cosine", temperature=0)
    np.testing.assert_allclose(widget.seen.weights, [0.5, 0.5, 0])


def test_an_ordinary_dictionary_gives_what_was_stored_last():
    assert made([(1, 2, 10), (0, 0, 5), (1, 2, 20)], (1, 2)).seen.exact == 20


def test_the_picture_is_the_same_twice_and_moves():
    first, second = made(), made()
    assert first.picture() == second.picture()
    second.temperature = 0
    assert first.picture() != second.picture()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": []}, "rows must hold 1 to 8 entries, but holds 0"),
        ({"rows": [[0.0, 0.0, 0.0]] * 9}, "rows must hold 1 to 8 entries, but holds 9"),
        ({"rows": [[0.0, float("nan"), 0.0]]}, "rows must hold numbers between -99 and 99, but holds nan"),
        ({"query": [100.0, 0.0]}, "query must hold numbers between -99 and 99, but holds 100"),
        ({"score": "dot"}, "score must be one of dot product, cosine, distance, but is 'dot'"),
        ({"temperature": 0.001}, "temperature must be 0, or 0.01 to 100, but is 0.001"),
        ({"temperature": float("inf")}, "temperature must be 0, or 0.01 to 100, but is inf"),
    ],
)
def test_wrong_traits_are_refused(change, message):
    widget = made()
    with pytest.raises(TraitError, match=message):
        widget.set_trait(*next(iter(change.items())))


def test_no_examples_are_refused():
    with pytest.raises(ValueError, match="examples must hold at least one dictionary"):
        Dictionary({})


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, widget):
    """Assert that the page sees what Python sees."""
    found, seen = maths("s => all.look(all.tidy(s))", widget.state()), widget.seen
    for part in ("scores", "weights", "answer", "limit", "mean"):
        np.testing.assert_allclose(found[part], getattr(seen, part), **CLOSE, err_msg=part)
    assert found["exact"] == seen.exact


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("temperature", [0, 0.01, 0.3, 1, 100])
def test_the_page_sees_what_python_sees(maths, score, temperature):
    random = torch.Generator().manual_seed(3)
    for entries in (1, 2, 5, 8):
        rows = torch.randn(entries, 3, generator=random, dtype=torch.float64) * torch.tensor([1, 1, 10])
        same(maths, made(rows.tolist(), rows[0, :2].tolist(), score=score, temperature=temperature))
    same(maths, made([(99, 99, 99), (-99, -99, -99), (0, 0, 0)], (99, -99), score=score, temperature=temperature))
    same(maths, made([(1, 2, 10), (3, 6, 30), (2, 1, 50), (1, 2, 7)], (5, 10), score=score, temperature=temperature))
    same(maths, made([(0, 0, 10), (0, 0, 30)], (0, 0), score=score, temperature=temperature))
    along = [(x, 3 * x, i) for i, x in enumerate((1, 0.1, 0.3, 0.7, 1.1, 3.3, 7))]  # one direction, other last digits
    same(maths, made(along, (0.9, 2.7), score=score, temperature=temperature))


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    for state in (
        {"rows": "x", "query": 5, "score": {}, "temperature": "hot"},
        {"rows": [[None, 1e999], 3, []], "query": [None], "score": "nonesuch", "temperature": -5},
        {"rows": [[0, 0, 0]] * 99, "query": [1e9, -1e9], "temperature": 1e9},
        {},
    ):
        tidy = maths("s => all.tidy(s)", state)
        assert 1 <= len(tidy["rows"]) <= 8
        assert all(abs(x) <= 99 for row in [*tidy["rows"], tidy["query"]] for x in row)
        assert tidy["score"] in SCORES
        assert tidy["temperature"] == 0 or 0.01 <= tidy["temperature"] <= 100
    good = {"rows": [[1, 2, 3]], "query": [4, 5], "score": "cosine", "temperature": 0}
    assert maths("s => all.tidy(s)", good) == good


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def answers(page):
    """What the three dictionaries say."""
    return [part(page, ".di-answers dd:nth-of-type(1)").nth(i).inner_text() for i in range(3)]


def test_it_begins_with_the_case_by_hand(page):
    assert answers(page) == ["10", "18.81", "20.00"]
    assert part(page, ".di-weight div > span:first-child").all_inner_texts() == ["0.119", "0.881"]


def test_numbers_are_typed(page):
    box = part(page, "input[aria-label='Key 2, number 1']")
    box.fill("0.5")
    assert answers(page) == ["10", "13.78", "10.00"]
    box.fill("")  # no number: nothing happens until the box is left
    assert answers(page) == ["10", "13.78", "10.00"]
    part(page, "input[aria-label='Query, number 2']").fill("2")
    assert answers(page)[0] == "no such key"
    assert box.input_value() == "0.5"
    expect(part(page, "[role=status]")).to_contain_text("Ordinary dictionary: no such key")


def test_the_score_and_the_temperature_by_keyboard(page):
    part(page, "select").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(part(page, "select")).to_have_value("distance")
    assert answers(page) == ["10", "10.07", "10.00"]
    slider = part(page, "input[type=range]")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(part(page, "output")).to_have_text("1.3")
    page.keyboard.press("Home")
    expect(part(page, "output")).to_have_text("0, the limit")
    assert answers(page)[1:] == ["10.00", "10.00"]
    page.keyboard.press("ArrowRight")
    expect(part(page, "output")).to_have_text("0.01")
    page.keyboard.press("ArrowLeft")
    expect(part(page, "output")).to_have_text("0, the limit")
    page.keyboard.press("End")
    expect(part(page, "output")).to_have_text("100")
    assert float(answers(page)[1]) == pytest.approx(15, abs=0.2)


def test_entries_are_added_and_removed(page):
    add = part(
        page,
        "button",
    ).filter(has_text="Add an entry")
    for _ in range(6):
        add.click()
    assert part(page, "tbody tr").count() == 8
    assert add.is_disabled()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Key 8, number 1"
    for _ in range(7):
        part(page, ".di-remove").first.click()
    assert part(page, "tbody tr").count() == 1
    assert part(page, ".di-remove").is_disabled()
    check_access(page, LIVE)


def test_the_examples_can_be_loaded(page):
    part(page, "button").filter(has_text="Equal keys").click()
    part(page, "select").select_option("distance")
    widget = Dictionary(**dictionary())
    one = widget.examples["Equal keys"]
    widget.rows, widget.query, widget.score = one["rows"], one["query"], "distance"
    assert [float(text) for text in answers(page)] == pytest.approx(
        [widget.seen.exact, widget.seen.answer, widget.seen.limit], abs=0.006
    )
    assert part(page, ".di-best").count() == 2


def test_a_state_goes_into_the_address_and_comes_back(browser, site, page):
    part(page, "input[aria-label='Value 2']").fill("-7.5")
    part(page, "select").select_option("cosine")
    part(page, ".wa-share button").click()
    before = answers(page)
    with staged(browser, page.url, LIVE) as other:
        assert answers(other) == before


@pytest.mark.parametrize(
    "state", ["rows=[[1e999,null],5]&query=[]&temperature=-5", "rows=[]&score=x&temperature=1e99&examples=5"]
)
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert len(answers(page)) == 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, "button").filter(has_text="On a line").click()
        check_access(page, LIVE)
        check_inside(page, LIVE)


@pytest.mark.parametrize("name", ["notebooks/08_query_key_value.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, "tbody tr").count() >= 2
