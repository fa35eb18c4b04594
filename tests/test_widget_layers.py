"""The Transformer that translates in the page: its numbers against the module's, and the widget on the built page."""

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.data.grammar import SentenceError
from attention_src.data.translation import ENGLISH_FRENCH
from attention_src.data.vocabulary import Vocabulary
from attention_src.experiments.transformer import widget as of_the_page
from attention_src.positions import sinusoidal
from attention_src.transformer import Transformer
from attention_src.widgets.base import rounded
from attention_src.widgets.layers import Layers
from tests.browser import DESKTOP, PHONE, check_access, check_inside, javascript, opened

LIVE = "#widget-layers"
PAGE = "book/13_transformer.html"
CLOSE = {"rtol": 0, "atol": 1e-5}
SOURCE, TARGET = Vocabulary(ENGLISH_FRENCH.source_words), Vocabulary(ENGLISH_FRENCH.target_words)
SENTENCE = "the man who saw the cats sleeps"


def model(layers=3, norm_first=True, seed=11):
    """A translator with random weights, all its sizes different."""
    torch.manual_seed(seed)
    made = Transformer(len(SOURCE), len(TARGET), width=6, heads=2, inner=5, layers=layers, norm_first=norm_first)
    with torch.no_grad():
        for number in made.parameters():
            number += 0.3 * torch.randn_like(number)
    return made


def widget(**changes):
    """The widget with random weights, with some arguments changed."""
    usual = {"model": model(), "source_words": SOURCE.words, "target_words": TARGET.words, "grammar": ENGLISH_FRENCH}
    return Layers(**usual | {"examples": ["she sleeps"], "sentence": SENTENCE} | changes)


def trained(**changes):
    """The widget of the chapter."""
    return Layers(**of_the_page() | changes)


# --- the Python side -------------------------------------------------------------------------------------------------


def test_it_is_the_translator_of_the_chapter():
    made = trained()
    twin, seen = rounded(of_the_page()["model"], made.weights).double(), made.seen
    assert seen.said == made.truth
    numbers = torch.tensor([[made.source_words.index(word) for word in made.sentence.split()]])
    given = torch.tensor([[made.target_words.index(word) for word in ("<s>", *seen.said[:-1])]])
    with torch.no_grad():
        looks = twin.looks(numbers, numbers > 0, given)
    for name in ("encoder", "decoder", "cross"):
        np.testing.assert_allclose(getattr(seen, name), torch.cat(getattr(looks, name)))


def test_what_is_shown_is_the_chosen_head_or_the_mean():
    made = trained(look="cross", layer=1, head=3)
    rows, columns, table = made.shown
    assert (rows, columns) == (made.seen.said, made.sentence.split())
    np.testing.assert_allclose(table, made.seen.cross[0, 2])
    made.head = 0
    np.testing.assert_allclose(made.shown[2], made.seen.cross[0].mean(axis=0))
    made.look = "decoder"
    assert made.shown[0] == made.shown[1] == ["<s>", *made.seen.said[:-1]]
    made.look = "encoder"
    assert made.shown[0] == made.shown[1] == made.sentence.split()
    assert made.gold == set()


def test_the_summary_and_the_picture_follow_the_state():
    made = trained(look="cross", layer=2, head=1, at=3)
    assert "the target at the source, layer 2, head 1: a looks most at" in made.summary()
    before = made.picture()
    assert trained(look="cross", layer=2, head=1, at=3).picture() == before
    made.look = "decoder"
    assert made.picture() != before
    assert repr(made) == f"Layers: {made.summary()}"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": torch.nn.Linear(2, 3)}, TypeError, "model must be a Transformer, but is a Linear"),
        ({"model": model(norm_first=False)}, ValueError, "model must have the norms in front"),
        ({"source_words": ["a"]}, ValueError, "source_words must have one word for each of the model's"),
        ({"target_words": ["a"]}, ValueError, "target_words must have one word for each of the model's"),
        ({"examples": ["the cat sleep"]}, SentenceError, "sleep"),
        ({"layer": 4}, TraitError, "layer must be 1 to 3, but is 4"),
        ({"head": 3}, TraitError, "head must be 1 to 2, or 0 for the mean of all, but is 3"),
        ({"at": -1}, TraitError, "at must be a row, 0 or more, but is -1"),
        ({"look": "back"}, TraitError, "back"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        widget(**changes)


# --- arithmetic ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def maths(browser):
    """Calls a function of core.js and of the widget's file with JSON arguments."""
    with javascript(browser, "layers") as call:
        yield call


def same(maths, made):
    """Assert that the page says and weighs what Python does."""
    numbers = made.source()[0].tolist()
    marks = {"begin": made.target_words.index("<s>"), "end": made.target_words.index("</s>"), "longest": 120}
    found = maths("(w, n, h, m) => all.transform(all.unpack(w), n, h, m)", made.weights, numbers, made.heads, marks)
    seen = made.seen
    assert [made.target_words[token] for token in found["tokens"]] == seen.said
    np.testing.assert_allclose(found["encoder"], seen.encoder, **CLOSE)
    if seen.said:
        np.testing.assert_allclose(found["decoder"], seen.decoder, **CLOSE)
        np.testing.assert_allclose(found["cross"], seen.cross, **CLOSE)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("layers", [1, 3])
def test_the_page_translates_as_python_does(maths, layers, seed):
    draw = torch.Generator().manual_seed(seed)
    numbers = torch.randint(4, len(SOURCE), (1 + 5 * seed,), generator=draw).tolist()
    same(maths, widget(model=model(layers, seed=seed), sentence=" ".join(SOURCE.decode(numbers))))


def test_the_page_runs_the_trained_translator(maths):
    for sentence in (*of_the_page()["examples"], "she sleeps"):
        same(maths, trained(sentence=sentence))


def test_the_waves_are_those_of_chapter_12(maths):
    found = maths("() => [0, 1, 7].map(p => [0, 1, 2, 3, 4, 5].map(i => all.wave(p, i, 6)))")
    np.testing.assert_allclose(found, sinusoidal(8, 6)[[0, 1, 7]], **CLOSE)


def test_the_mean_of_heads_and_one_head(maths):
    tables = [[[1, 0]], [[0.5, 0.5]]]
    assert maths("(t, h) => all.headOf(t, h)", tables, 0) == [[0.75, 0.25]]
    assert maths("(t, h) => all.headOf(t, h)", tables, 2) == [[0.5, 0.5]]


@pytest.mark.parametrize(("asked", "shown"), [(1, 1), (3, 3), (9, 4), (-4, 1), (2.5, 1), ("2", 1), (None, 1)])
def test_an_absurd_number_becomes_one_that_there_is(maths, asked, shown):
    assert maths("(x, low, high) => all.within(x, low, high)", asked, 1, 4) == shown


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with opened(browser, site + PAGE + LIVE, LIVE, quiet=False, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def shown(word):
    """A word as the page writes it."""
    return {"<s>": "(begin)", "</s>": "(end)"}.get(word, word)


def check(page, made):
    """Assert that the page shows Python's table, and marks the chosen row."""
    rows, columns, table = made.shown
    assert part(page, ".la-word").all_inner_texts() == [shown(word) for word in rows]
    names = [line.get_attribute("aria-label") for line in part(page, ".la-lines button").all()]
    for row, name in zip(table, names, strict=True):
        assert name.endswith(f"{row.max():.3f}")
        assert f"looks most at {shown(columns[row.argmax()])}," in name
    assert part(page, ".la-gold").count() == len(made.gold)
    assert part(page, ".la-lines [aria-pressed=true] .la-word").inner_text() == shown(rows[min(made.at, len(rows) - 1)])


def test_it_begins_with_the_example(page):
    made = trained()
    check(page, made)
    assert " ".join(made.seen.said) in part(page, ".la-said").inner_text()
    assert "true links have the largest weight" in part(page, ".la-where").inner_text()


def test_look_layer_and_head_by_keyboard(page):
    made = trained()
    part(page, "input[value=cross]").focus()
    page.keyboard.press("ArrowLeft")
    made.look = "decoder"
    check(page, made)
    assert part(page, ".la-masked").count() == len(made.seen.said) * (len(made.seen.said) - 1) // 2
    page.keyboard.press("ArrowLeft")
    made.look = "encoder"
    check(page, made)
    part(page, "[aria-label=Layer] input").nth(1).focus()
    page.keyboard.press("ArrowLeft")
    made.layer = 1
    check(page, made)
    part(page, "[aria-label=Head] input").first.focus()
    page.keyboard.press("ArrowRight")
    made.head = 1
    check(page, made)


def test_by_mouse_and_a_row(page):
    made = trained()
    part(page, "[aria-label=Head] label").nth(3).click()
    made.head = 3
    part(page, ".la-lines button").nth(5).click()
    made.at = 5
    check(page, made)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    made.at = 4
    check(page, made)
    expect(part(page, "[role=status]")).to_contain_text(f"{made.seen.said[4]} looks at")


def test_a_sentence_of_the_readers(page):
    made = trained()
    part(page, "input[type=text]").fill("the small cats sleep")
    made.sentence = "the small cats sleep"
    check(page, made)
    part(page, ".la-examples button").nth(2).click()
    made.sentence = made.examples[2]
    check(page, made)
    part(page, "input[type=text]").fill("the small platypus")
    assert "platypus" in part(page, ".tr-message").inner_text()
    assert part(page, ".la-lines button").count() == 0


def test_a_state_goes_into_the_address_and_comes_back(browser, page):
    made = trained()
    part(page, "input[type=text]").fill("she sleeps")
    part(page, "input[value=encoder]").click()
    part(page, "[aria-label=Head] label").nth(2).click()
    part(page, ".wa-share button").click()
    made.sentence, made.look, made.head = "she sleeps", "encoder", 2
    with opened(browser, page.url, LIVE, quiet=False) as other:
        check(other, made)


@pytest.mark.parametrize(
    "state",
    [
        "layer=99&at=-3&head=77&look=%22up%22",
        "layer=null&at=[]&weights=null",
        "sentence=%3Cscript%3Ewindow.bad%3D1%3C/script%3E",
    ],
)
def test_an_absurd_address_does_no_harm(browser, site, state):
    with opened(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE, quiet=False) as page:
        assert page.evaluate("window.bad") is None
        part(page, "input[type=text]").fill("the cat sleeps")
        assert part(page, ".la-lines button").count() == 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with opened(browser, site + PAGE + LIVE, LIVE, quiet=False, **settings) as page:
        check_access(page, LIVE)
        part(page, "input[value=decoder]").click()
        part(page, ".la-lines button").nth(1).click()
        check_access(page, LIVE)
        check_inside(page, LIVE, ".la-map")


@pytest.mark.parametrize("name", ["notebooks/13_transformer.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with opened(browser, f"{site}{name}{LIVE}", LIVE, quiet=False) as page:
        assert part(page, ".la-lines button").count() >= 2
