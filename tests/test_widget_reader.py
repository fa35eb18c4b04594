"""The reader of passages: its numbers against the module's, and what a reader can do with it on the built page."""

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.data.passages import ANSWERS, KINDS, VOCABULARY, Fact, passages
from attention_src.data.vocabulary import Vocabulary
from attention_src.experiments.query_key_value import passage_reader
from attention_src.query_key_value import Reader
from attention_src.widgets.base import rounded
from attention_src.widgets.reader import PassageReader
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-reader"
PAGE = "book/08_query_key_value.html"
CLOSE = {"rtol": 0, "atol": 1e-5}
WORDS = Vocabulary(VOCABULARY)


def model(**sizes):
    """A reader with random weights, all its sizes different."""
    torch.manual_seed(7)
    made = Reader(len(WORDS), len(ANSWERS), **{"width": 5, "hidden": 6} | sizes)
    with torch.no_grad():
        made.score.of_key.weight.normal_(std=2)
    return made


def widget(**changes):
    """The widget of the page, with random weights."""
    return PassageReader(**passage_reader() | {"model": model()} | changes)


# --- the Python side -------------------------------------------------------------------------------------------------


def test_the_trained_reader_answers_the_story():
    shown = PassageReader(**passage_reader())
    assert shown.asked == ["what", "did", "anna", "visit", "?"]
    assert shown.seen.truth == ["oslo"]
    assert shown.seen.gold == [3]
    assert shown.seen.top[0][0] == "oslo"
    assert shown.seen.mass[3] > 0.8
    assert repr(shown).startswith(
        'PassageReader: "what did anna visit ?" over 7 facts: the network answers oslo, the passage says oslo; '
    )
    shown.question = ["ate", 0, "rice"]
    assert shown.seen.top[0][0] == "clara"
    shown.question = ["ate", 1, "leo"]
    assert shown.seen.gold == []
    assert "no fact of the passage answers it" in shown.summary()


def test_it_is_the_reader_of_the_chapter():
    made = widget()
    twin = rounded(model(), made.weights).double()
    facts = [Fact(*fact) for fact in made.facts]
    words = torch.tensor([WORDS.encode([word for fact in facts for word in fact.words])])
    asked = torch.tensor([WORDS.encode(facts[3].question(1))])
    with torch.no_grad():
        logits, weights = twin(words, words > 0, asked, asked > 0)
    np.testing.assert_allclose(np.concatenate(made.seen.weights), weights[0])
    assert dict(made.seen.top)[ANSWERS[int(logits.argmax())]] == pytest.approx(float(logits[0].softmax(0).max()))
    assert sum(made.seen.mass) == pytest.approx(1)


def test_the_picture_is_the_same_twice_and_moves():
    first, second = widget(), widget()
    assert first.picture() == second.picture()
    second.question = ["ate", 0, "rice"]
    assert first.picture() != second.picture()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": torch.nn.Linear(2, 3)}, TypeError, "model must be a Reader that looks, but is a Linear"),
        ({"model": model(looks=False)}, TypeError, "but is a Reader that does not"),
        ({"words": ["a"]}, ValueError, "words must have one word for each of the model's 52 rows, but has 1"),
        ({"answers": ["a", "b"]}, ValueError, "answers must have one word for each of the model's 36 rows, but has 2"),
        ({"kinds": KINDS | {"food": ["plums"]}}, ValueError, "kinds holds 'plums', which is not among words"),
        ({"facts": []}, TraitError, "facts must hold 1 to 12 facts, but holds 0"),
        ({"facts": [["loved", "anna", "rome"]]}, TraitError, "facts must use the relations visited, .* 'loved'"),
        ({"facts": [["ate", "anna", "rome"]]}, TraitError, "facts must have a food there, but has 'rome'"),
        ({"question": ["ate", 2, "anna"]}, TraitError, "question must ask for side 0 or 1 of a fact, but asks for 2"),
        ({"question": ["ate", 0, "anna"]}, TraitError, "question must have a food there, but has 'anna'"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        widget(**changes)


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, made):
    """Assert that the page sees what Python sees."""
    found = maths("s => all.look(all.unpack(s.weights), { ...s, ...all.tidy(s) })", made.state())
    seen = made.seen
    np.testing.assert_allclose(np.concatenate(found["weights"]), np.concatenate(seen.weights), **CLOSE)
    np.testing.assert_allclose(found["mass"], seen.mass, **CLOSE)
    assert [word for word, _ in found["top"]] == [word for word, _ in seen.top]
    np.testing.assert_allclose([p for _, p in found["top"]], [p for _, p in seen.top], **CLOSE)
    assert (found["gold"], found["truth"]) == (seen.gold, seen.truth)
    assert found["sentences"] == [made.sentence(fact) for fact in made.facts]


@pytest.mark.parametrize("trained", [False, True], ids=["random", "trained"])
def test_the_page_reads_as_python_does(maths, trained):
    made = PassageReader(**passage_reader()) if trained else widget()
    for one in passages(12, "widget", 1, 12):
        fact = one.facts[one.gold]
        made.facts = [list(other) for other in one.facts]
        made.question = [fact.relation, one.side, fact[2 - one.side]]
        same(maths, made)


def test_a_fact_said_twice_and_a_question_without_answer(maths):
    made = widget(facts=[["ate", "anna", "figs"], ["ate", "anna", "rice"]], question=("ate", 1, "anna"))
    assert made.seen.truth == ["figs", "rice"]
    same(maths, made)
    made.question = ["sells", 0, "yams"]
    same(maths, made)


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    given = {name: widget().state()[name] for name in ("kinds", "relations")}
    for state in (
        {"facts": 5, "question": "x"},
        {"facts": [["ate", "anna", "rome"], ["__proto__", "a", "b"], 3, None], "question": ["ate", 0, "anna"]},
        {"facts": [["ate", "anna", "figs"]] * 99, "question": ["constructor", 7, {}]},
        {},
    ):
        tidy = maths("s => all.tidy(s)", given | state)
        PassageReader(**passage_reader() | {"model": model()} | tidy)  # it refuses what cannot be drawn
    good = {"facts": [["ate", "anna", "figs"]], "question": ["sells", 0, "yams"]}
    assert maths("s => all.tidy(s)", given | good) == good


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def check(page, made):
    """Assert that the page shows Python's answer and Python's weights of the facts."""
    seen = made.seen
    assert part(page, ".rd-answer strong").inner_text() == seen.top[0][0]
    shown = [int(text.removesuffix(" %")) for text in part(page, ".rd-mass").all_inner_texts()]
    np.testing.assert_allclose(shown, [100 * mass for mass in seen.mass], atol=0.51)
    stars = part(page, ".rd-star").all_inner_texts()
    assert [i for i, star in enumerate(stars) if star] == seen.gold


def test_it_begins_with_the_story(page):
    check(page, PassageReader(**passage_reader()))
    assert part(page, ".rd-question").inner_text() == "what did anna visit?"
    assert part(page, ".rd-verdict").inner_text().startswith("Right, with")


def test_another_question_by_keyboard_looks_elsewhere(page):
    made = PassageReader(**passage_reader())
    part(page, "select[aria-label='Word in the question']").focus()
    page.keyboard.press("ArrowDown")  # from anna to ben
    made.question = ["visited", 1, "ben"]
    check(page, made)
    part(page, "select[aria-label='What is asked']").select_option("sells 0")
    made.question = ["sells", 0, "apples"]
    check(page, made)
    assert "No fact answers" in part(page, ".rd-verdict").inner_text()
    part(page, "select[aria-label='Word in the question']").select_option("rice")
    made.question = ["sells", 0, "rice"]
    check(page, made)
    expect(part(page, "[role=status]")).to_contain_text(made.seen.top[0][0])


def test_facts_are_changed_moved_removed_and_added(page):
    made = PassageReader(**passage_reader())
    lines = part(page, ".rd-passage button")
    lines.nth(0).focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert lines.nth(3).get_attribute("aria-pressed") == "true"
    part(page, "select[aria-label='Second word']").select_option("tokyo")
    facts = [list(fact) for fact in made.facts]
    facts[3] = ["visited", "anna", "tokyo"]
    made.facts = facts
    check(page, made)
    part(page, "select[aria-label=Verb]").select_option("sells")  # the words change to fit
    facts[3] = ["sells", KINDS["city"][0], KINDS["food"][0]]
    made.facts = facts = [list(fact) for fact in facts]
    check(page, made)
    part(page, "button[aria-label='Move this fact up']").click()
    facts[2], facts[3] = facts[3], facts[2]
    made.facts = facts = [list(fact) for fact in facts]
    check(page, made)
    part(page, "button[aria-label='Remove this fact']").click()
    made.facts = facts = [*facts[:2], *facts[3:]]
    check(page, made)
    add = part(page, "button").filter(has_text="Add a fact")
    for _ in range(6):
        add.click()
    assert lines.count() == 12
    assert add.is_disabled()
    for _ in range(11):
        part(page, "button[aria-label='Remove this fact']").click()
    assert part(page, "button[aria-label='Remove this fact']").is_disabled()
    check_access(page, LIVE)


def test_a_new_passage_has_one_answer(page):
    for _ in range(3):
        part(page, "button").filter(has_text="New passage").click()
        assert sum(bool(star) for star in part(page, ".rd-star").all_inner_texts()) == 1


def test_a_state_goes_into_the_address_and_comes_back(browser, site, page):
    part(page, "button").filter(has_text="New passage").click()
    part(page, ".wa-share button").click()
    before = part(page, ".rd-passage").inner_text(), part(page, ".rd-answer").inner_text()
    with staged(browser, page.url, LIVE) as other:
        assert (part(other, ".rd-passage").inner_text(), part(other, ".rd-answer").inner_text()) == before


@pytest.mark.parametrize("state", ["facts=[[1]]&question=[]", "facts=5&question=[%22ate%22,0,%22anna%22]&words=[]"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert part(page, ".rd-passage button").count() >= 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, ".rd-passage button").nth(2).click()
        part(page, "select[aria-label='What is asked']").select_option("ate 0")
        check_access(page, LIVE)
        check_inside(page, LIVE)


@pytest.mark.parametrize("name", ["notebooks/08_query_key_value.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".rd-passage button").count() >= 1
