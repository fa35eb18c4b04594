"""The translators side by side: their numbers against Python's, and what a reader can do with them on the page."""

import json

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.bahdanau import Bahdanau
from attention_src.bottleneck import VectorEveryStep
from attention_src.data.translation import ENGLISH_FRENCH
from attention_src.data.vocabulary import BEGIN, END, Vocabulary
from attention_src.experiments.luong import side_by_side
from attention_src.luong import AroundTheStep, Everywhere, Luong
from attention_src.scores import Bilinear, Dot
from attention_src.widgets import base
from attention_src.widgets.base import rounded
from attention_src.widgets.side import Side
from attention_src.widgets.translation import compare
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

ENGLISH, FRENCH = Vocabulary(ENGLISH_FRENCH.source_words), Vocabulary(ENGLISH_FRENCH.target_words)
SIZES = len(ENGLISH), len(FRENCH)
EXAMPLES = ["the black cat sleeps", "the dog eats a red pear"]
CLOSE = {"rtol": 0, "atol": 1e-5}
LIVE = "#widget-side"
PAGE = "book/07_alignment.html"


def step_then_look(score=None, focus=None, **sizes):
    """A translator of chapter 06 with random weights, all its sizes different."""
    torch.manual_seed(5)
    usual = {"width": 3, "hidden": 6, "both_ways": True}
    made = Luong(*SIZES, score or Bilinear(6, 6), focus or Everywhere(), **usual | sizes)
    with torch.no_grad():  # so that words and weights differ from step to step
        for parameter in made.parameters():
            parameter *= 3
    return made


def models():
    """A translator of each chapter, untrained."""
    torch.manual_seed(3)
    return {
        "vector": VectorEveryStep(*SIZES, width=2, hidden=4, vector=3),
        "first": Bahdanau(*SIZES, width=3, hidden=5, annotation=6, score=7, maxout=11),
        "then": step_then_look(),
    }


def side(**changes):
    """The widget with untrained translators, some arguments changed."""
    usual = {
        "models": models(),
        "source_words": ENGLISH.words,
        "target_words": FRENCH.words,
        "grammar": ENGLISH_FRENCH,
        "examples": EXAMPLES,
    }
    return Side(**usual | changes)


def trained():
    """The widget of the page."""
    return Side(**side_by_side())


# --- Python ----------------------------------------------------------------------------------------------------------


def test_a_small_case_by_hand():
    said = trained().translations["step, then look"]
    assert said.words == ["l'", "homme", "n'", "a", "pas", "trouvé", "la", "grande", "maison", "rouge"]
    assert said.right == said.linked == 10
    assert said.gold == {(0, 0), (1, 1), (2, 3), (3, 2), (4, 3), (5, 4), (6, 5), (7, 6), (8, 8), (9, 7)}
    assert said.hits == sum((row, int(np.argmax(said.weights[row]))) in said.gold for row in range(10))
    assert 0 < said.hits < 10  # n' looks at "did", its true link is "not"
    blind = trained().translations["one vector"]
    assert (blind.weights, blind.hits) == (None, 0)
    assert blind.right == sum(true == word for true, word in compare(trained().truth, blind.words)) < 10


def test_the_state_is_json_and_the_pictures_are_the_same_twice():
    first, second = side(), side()
    assert json.loads(json.dumps(first.state())) == first.state()
    assert first.picture() == second.picture()
    second.sentence = EXAMPLES[1]
    assert first.picture() != second.picture()
    assert trained().summary() == (
        'Translating "the man did not find the big red house": of 10 French words, one vector gets 7, '
        "look, then step gets 10, step, then look gets 10 right"
    )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"models": {}}, ValueError, "models must hold at least one"),
        (
            {"models": {"x": torch.nn.Linear(2, 3)}},
            TypeError,
            r"models\['x'\] must be one of FirstStateOnly, .* Linear",
        ),
        ({"models": {"x": step_then_look(score=Dot())}}, ValueError, "score Bilinear.* but has 1 layers, Dot"),
        ({"models": {"x": step_then_look(focus=AroundTheStep(5))}}, ValueError, "but has .* AroundTheStep"),
        ({"models": {"x": step_then_look(layers=2)}}, ValueError, "one layer, .* but has 2 layers"),
        ({"models": {"x": step_then_look(feeding=False)}}, ValueError, "but has .* feeding=False"),
        ({"source_words": ENGLISH.words[:-1]}, ValueError, "source_words must have one word for each"),
        ({"target_words": FRENCH.words[1:]}, ValueError, "target_words must have one word for each"),
        ({"examples": []}, ValueError, "examples must hold at least one sentence"),
        ({"examples": ["the platypus sleeps"]}, ValueError, "examples holds 'platypus'"),
        ({"at": 0}, TraitError, "at must be a true word, counted from 1 .* but is 0"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        side(**changes)


def test_models_that_are_too_large_together_are_refused():
    large = {f"{i}": VectorEveryStep(*SIZES, width=32, hidden=64, vector=64) for i in range(2)}
    with pytest.raises(ValueError, match="at most 150,000 parameters"):
        side(models=large)


# --- arithmetic ------------------------------------------------------------------------------------------------------


STEP = """(w, source, given) => {
    const { state, step } = all.translator(all.unpack(w), "Luong")(source), steps = [];
    let now = state;
    for (const token of given) { const seen = step(token, now); steps.push(seen); now = seen.state; }
    return steps;
}"""


@pytest.mark.parametrize("sizes", [{}, {"both_ways": False}, {"width": 7}], ids=["both ways", "one way", "wide words"])
@pytest.mark.parametrize("length", [1, 2, 31])
def test_every_step_of_chapter_06_is_pythons(maths, sizes, length):
    made = step_then_look(**sizes)
    packed = base.pack(made.state_dict())
    twin, draw = rounded(made, packed).double(), torch.Generator().manual_seed(length)
    source = torch.randint(0, len(ENGLISH), (1, length), generator=draw)
    given = [BEGIN, *torch.randint(0, len(FRENCH), (6,), generator=draw).tolist(), END]
    found = maths(STEP, packed, source[0].tolist(), given)
    with torch.no_grad():
        memory, state = twin.encode(source, torch.ones_like(source, dtype=torch.bool))
        for token, seen in zip(given, found, strict=True):
            said = twin.step(torch.tensor([token]), state, memory)
            np.testing.assert_allclose(seen["logits"], said.logits[0], **CLOSE)
            np.testing.assert_allclose(seen["weights"], said.weights[0], **CLOSE)
            np.testing.assert_allclose(seen["state"]["hidden"], said.state.layers[0, -1], **CLOSE)
            np.testing.assert_allclose(seen["state"]["attentional"], said.state.attentional[0], **CLOSE)
            state = said.state


SAY = """(state, source, parse) => all.translators(state.weights, state.kinds).map(({ name, run }) => {
    const said = all.answer(run, source, state.target_words), { gold, ...rest } = all.judge(said, parse);
    return { name, ...said, ...rest, gold: [...gold] };
})"""


@pytest.mark.parametrize("make", [side, trained])
def test_each_says_and_looks_as_in_python(maths, make):
    widget = make()
    for text in widget.examples:
        widget.sentence = text
        pair = ENGLISH_FRENCH.translate(text)
        parse = {"target": pair.target, "links": sorted(pair.links)}
        source = [widget.source_words.index(word) for word in text.split()]
        found = maths(SAY, widget.state(), source, parse)
        for here, (name, said) in zip(found, widget.translations.items(), strict=True):
            assert (here["name"], here["words"]) == (name, said.words)
            assert (here["right"], here["hits"], here["linked"]) == (said.right, said.hits, said.linked)
            assert {tuple(map(int, cell.split())) for cell in here["gold"]} == said.gold
            if said.weights is None:
                assert here["weights"] is None
            else:
                np.testing.assert_allclose(here["weights"], said.weights, **CLOSE)


def test_each_true_word_is_given_its_row(maths):
    parse = {"target": ["le", "petit", "chat"], "links": [[0, 0], [1, 1], [2, 2]]}
    judge = (
        "(said, parse) => { const { rows, gold, ...rest } = all.judge(said, parse); return rows.map(r => r ?? -1); }"
    )
    assert maths(judge, {"words": ["le", "chat"], "weights": None}, parse) == [0, -1, 1]
    assert maths(judge, {"words": ["le", "grand", "chat"], "weights": None}, parse) == [0, 1, 2]
    assert maths(judge, {"words": [], "weights": None}, parse) == [-1, -1, -1]


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def check(page, widget):
    """Assert that the page shows what Python's translators say, how well, and where they look for the chosen word."""
    cards = part(page, ".sd-card")
    for place, said in enumerate(widget.translations.values()):
        card = cards.nth(place)
        score = card.locator(".sd-score strong").all_inner_texts()
        wanted = [f"{said.right} of {len(widget.truth)}"]
        assert score == wanted + ([] if said.weights is None else [f"{said.hits} of {said.linked}"])
        shown = card.locator(".sd-said li").all_inner_texts()
        assert [text.split()[-1] for text in shown] == [word or "–" for _, word in said.columns]
        assert card.locator(".sd-wrong").count() == sum(true != word for true, word in said.columns)
        assert card.locator(".sd-gold").count() == (0 if said.weights is None else len(said.gold))


def note(page, place):
    """What a card says of the chosen word."""
    return part(page, ".sd-note").nth(place).inner_text()


def test_it_begins_with_the_negation(page):
    widget = trained()
    check(page, widget)
    assert part(page, "[aria-pressed=true]").inner_text() == "n'"
    assert part(page, ".sd-hint").inner_text().endswith("n' comes from not.")
    said = widget.translations["step, then look"]
    first = int(np.argmax(said.weights[2]))
    assert note(page, 2).startswith(
        f"n' ✓ looks at {widget.sentence.split()[first]} {round(100 * said.weights[2][first])} %"
    )
    assert "looks" not in note(page, 0)


def test_the_words_are_chosen_with_the_mouse_and_with_the_keyboard(page):
    part(page, ".sd-truth button").filter(has_text="maison").click()
    assert part(page, ".sd-hint").inner_text().endswith("maison comes from house.")
    page.keyboard.press("ArrowRight")
    assert part(page, "[aria-pressed=true]").inner_text() == "rouge"
    assert part(page, ".sd-line.sd-now .sd-row").all_inner_texts() == ["rouge", "rouge"]
    page.keyboard.press("Home")
    assert part(page, "[aria-pressed=true]").inner_text() == "l'"
    assert page.evaluate("document.activeElement.textContent") == "l'"
    expect(part(page, "[role=status]")).to_contain_text("Word 1 of 10, l', from the.")


def test_another_sentence_is_said_by_all(page):
    widget = trained()
    for text in sorted(widget.examples, key=len):
        part(page, f".sd-examples button[aria-label='{len(text.split())} words']").click()
        widget.sentence = text
        check(page, widget)
    part(page, "input[type=text]").fill("the happy dog sees")
    assert part(page, ".sd-cards").is_hidden()
    part(page, "input[type=text]").fill("the happy dog sees a mouse")
    widget.sentence = "the happy dog sees a mouse"
    check(page, widget)
    assert part(page, "[aria-pressed=true]").count() == 1


def test_a_state_goes_into_the_address_and_comes_back(browser, page):
    part(page, ".sd-truth button").nth(7).click()
    part(page, ".wa-share button").click()
    with staged(browser, page.url, LIVE) as other:
        assert part(other, "[aria-pressed=true]").inner_text() == "grande"


@pytest.mark.parametrize("state", ["at=99", "at=-3", 'at="x"', "sentence=5&at=null"])
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert part(page, ".sd-card").count() == 3
        assert part(page, "[aria-pressed=true]").count() <= 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        for button in part(page, ".sd-examples button").all():
            button.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            check_inside(page, LIVE)
        check_access(page, LIVE)


def test_the_gallery_shows_it_too(browser, site):
    with staged(browser, f"{site}book/widgets.html{LIVE}", LIVE) as page:
        assert part(page, ".sd-card").count() == 3
