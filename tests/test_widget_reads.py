"""The language model that reads a sentence: its numbers against the module's, and the widget on the built page."""

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.data.grammar import SentenceError
from attention_src.data.translation import ENGLISH_FRENCH
from attention_src.data.vocabulary import BEGIN, Vocabulary
from attention_src.experiments.self_attention import widget as of_the_page
from attention_src.self_attention import LanguageModel, Recurrence, SelfAttention
from attention_src.widgets import base
from attention_src.widgets.base import rounded
from attention_src.widgets.reads import Reads
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-reads"
PAGE = "book/10_self_attention.html"
CLOSE = {"rtol": 0, "atol": 1e-5}
WORDS = Vocabulary(ENGLISH_FRENCH.source_words)
SENTENCE = "the man who saw the cats sleeps"


def model(layers=3, mixer=SelfAttention, longest=12):
    """A language model with random weights, all its sizes different."""
    torch.manual_seed(11)
    made = LanguageModel(len(WORDS), 6, [mixer(6) for _ in range(layers)], 5, longest)
    with torch.no_grad():
        for number in made.parameters():
            number *= 2
    return made


def arguments(**changes):
    """What the widget is made from, with random weights."""
    usual = {"model": model(), "words": WORDS.words, "grammar": ENGLISH_FRENCH, "examples": ["she sleeps"]}
    return usual | {"sentence": SENTENCE, "longest": 11} | changes


def widget(**changes):
    """The widget with random weights, with some arguments changed."""
    return Reads(**arguments(**changes))


def trained(**changes):
    """The widget of the chapter."""
    return Reads(**of_the_page() | changes)


# --- the Python side -------------------------------------------------------------------------------------------------


def test_it_is_the_model_of_the_chapter():
    made = widget()
    twin = rounded(model(), made.weights).double()
    numbers = torch.tensor([[BEGIN, *WORDS.encode(SENTENCE.split())]])
    for causal in (True, False):
        made.causal = causal
        with torch.no_grad():
            logits, weights = twin(numbers, causal)
        np.testing.assert_allclose(made.seen.weights, torch.cat(weights))
        np.testing.assert_allclose(made.seen.chances, logits[0].softmax(dim=-1))
    assert made.places == ["<s>", *SENTENCE.split()]


def test_the_next_word_is_that_of_the_chosen_place():
    made = widget(at=2)
    assert made.next[0][1] == made.seen.chances[2].max()
    assert [chance for _, chance in made.next] == sorted(made.seen.chances[2])[-1:-6:-1]
    made.at = 99  # the last place
    assert made.next[0][1] == made.seen.chances[-1].max()


def test_what_is_longer_than_the_places_is_not_read():
    made = widget(sentence="the cat sleeps and " * 3 + "she sleeps")
    assert len(made.places) == 12
    assert made.seen.weights.shape == (3, 12, 12)


def test_the_summary_says_where_the_word_looks():
    made = widget(layer=2, at=4)
    best = made.places[made.seen.weights[1, 4].argmax()].replace("<s>", "(begin)")
    assert f"in layer 2 saw looks most at {best}, with weight {made.seen.weights[1, 4].max():.2f}" in made.summary()
    assert repr(made) == f"Reads: {made.summary()}"


def test_the_picture_is_the_same_twice_and_moves():
    first, second = widget(), widget()
    assert first.picture() == second.picture()
    for change in ({"layer": 2}, {"causal": False}, {"sentence": "she sleeps"}):
        before = second.picture()
        for name, value in change.items():
            setattr(second, name, value)
        assert second.picture() != before


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": torch.nn.Linear(2, 3)}, TypeError, "model must be a LanguageModel, but is a Linear"),
        ({"model": model(mixer=Recurrence)}, TypeError, "model must have self-attention in all its blocks"),
        ({"words": ["a"]}, ValueError, "words must have one word for each of the model's"),
        ({"longest": 12}, ValueError, "longest must be 1 to 11, one less than the model's places"),
        ({"examples": ["the cat sleep"]}, SentenceError, "sleep"),
        ({"examples": ["the platypus"]}, ValueError, "examples holds 'platypus'"),
        ({"layer": 4}, TraitError, "layer must be 1 to 3, but is 4"),
        ({"at": -1}, TraitError, "at must be a place, 0 or more, but is -1"),
        ({"sentence": "a" * 2001}, TraitError, "sentence must have at most 2000 characters, but has 2001"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        widget(**changes)


def test_a_word_that_it_does_not_know_is_an_error():
    made = widget(sentence="the platypus")
    with pytest.raises(ValueError, match="sentence holds 'platypus', which is not in the vocabulary"):
        _ = made.seen


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, made):
    """Assert that the page computes what Python computes."""
    numbers = [made.words.index(word) for word in made.places]
    found = maths("(w, n, c) => all.understand(all.unpack(w), n, c)", made.weights, numbers, made.causal)
    np.testing.assert_allclose(found["weights"], made.seen.weights, **CLOSE)
    np.testing.assert_allclose(found["next"], made.seen.chances, **CLOSE)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("length", [0, 1, 2, 11])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_page_reads_as_python_does(maths, layers, length, causal):
    draw = torch.Generator().manual_seed(length)
    numbers = torch.randint(4, len(WORDS), (length,), generator=draw).tolist()
    same(maths, widget(model=model(layers), sentence=" ".join(WORDS.decode(numbers)), causal=causal))


@pytest.mark.parametrize("causal", [True, False])
def test_the_page_runs_the_trained_model(maths, causal):
    for sentence in ("", SENTENCE, "the cat " * 15):
        same(maths, trained(sentence=sentence, causal=causal))


def test_without_a_layer_of_attention_words_are_said_from_themselves(maths):
    packed = base.pack(model(layers=0).state_dict())
    assert maths("w => all.understand(all.unpack(w), [1, 5], true)", packed)["weights"] == []


def test_the_largest_come_first_and_ties_by_place(maths):
    assert maths("(x, n) => all.largest(x, n)", [1, 3, 2, 3, 0], 3) == [1, 3, 2]


@pytest.mark.parametrize(
    ("asked", "shown"), [(0, 0), (3, 3), (9, 7), (-4, 0), (2.5, 7), ("2", 7), (None, 7), ([], 7), (1e99, 7)]
)
def test_an_absurd_place_becomes_one_that_there_is(maths, asked, shown):
    assert maths("(x, most) => all.within(x, most)", asked, 7) == shown


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def shown(word):
    """A word as the page writes it."""
    return {"<s>": "(begin)", "</s>": "(end)"}.get(word, word)


def check(page, made):
    """Assert that the page shows Python's triangle, where the chosen word looks, and what may come next."""
    seen, at = made.seen.weights[made.layer - 1], min(made.at, len(made.places) - 1)
    lines = part(page, ".re-lines button")
    assert part(page, ".re-word").all_inner_texts() == [shown(word) for word in made.places]
    assert lines.nth(at).get_attribute("aria-pressed") == "true"
    names = [line.get_attribute("aria-label") for line in lines.all()]
    for row, name in zip(seen, names, strict=True):
        assert name.endswith(f"{row.max():.3f}")
        assert f"looks most at {shown(made.places[row.argmax()])}," in name
    assert part(page, ".re-masked").count() == (len(seen) * (len(seen) - 1) // 2 if made.causal else 0)
    words = part(page, ".re-tops button > span:first-child").all_inner_texts()
    assert words == [shown(word) for word, _ in made.next]
    for text, (_, chance) in zip(part(page, ".re-chance").all_inner_texts(), made.next, strict=True):
        assert text == (f"{chance:.3f}" if chance >= 0.0005 else "<0.001")


def test_it_begins_with_the_example(page):
    made = trained()
    check(page, made)
    assert part(page, "input[type=text]").input_value() == made.sentence
    assert part(page, ".re-warning").inner_text() == ""


def test_the_mask_and_the_layer_by_keyboard(page):
    made = trained()
    part(page, "input[type=checkbox]").focus()
    page.keyboard.press("Space")
    made.causal = False
    check(page, made)
    assert "Without the mask" in part(page, ".re-warning").inner_text()
    part(page, "input[type=radio]").first.focus()
    page.keyboard.press("ArrowRight")
    made.layer = 2
    check(page, made)
    part(page, "input[type=checkbox]").click()
    made.causal = True
    check(page, made)


def test_a_later_word_moves_no_earlier_row_with_the_mask(page):
    write = part(page, "input[type=text]")

    def rows():
        return [line.get_attribute("aria-label") for line in part(page, ".re-lines button").all()]

    write.fill("the man sleeps")
    before = rows()
    write.fill("the man sleep")
    assert rows()[:3] == before[:3]
    part(page, "input[type=checkbox]").click()
    open_ = rows()
    write.fill("the man sleeps")
    assert rows()[:3] != open_[:3]


def test_a_row_is_chosen_by_mouse_and_by_keyboard(page):
    made = trained()
    lines = part(page, ".re-lines button")
    lines.nth(2).click()
    made.at = 2
    check(page, made)
    assert f"“{made.places[3]}”" in part(page, ".re-truth").inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    made.at = 3
    check(page, made)
    assert part(page, ".re-where").inner_text().startswith(f"{made.places[3]} looks at")
    expect(part(page, "[role=status]")).to_contain_text(f"{made.places[3]} looks at")


def test_a_next_word_writes_on(page):
    made = trained()
    part(page, "input[type=text]").fill("the man")
    made.sentence, made.at = "the man", 2
    check(page, made)
    word = next(word for word, _ in made.next if word != "</s>")
    part(page, ".re-tops button").filter(has_text=word).first.click()
    assert part(page, "input[type=text]").input_value() == f"the man {word} "
    made.sentence, made.at = f"the man {word}", 99
    check(page, made)


def test_the_end_is_not_written(page):
    part(page, "input[type=text]").fill("the cat sleeps here")
    end = part(page, ".re-tops button").filter(has_text="(end)")
    assert end.get_attribute("aria-disabled") == "true"
    end.click(force=True)
    assert part(page, "input[type=text]").input_value() == "the cat sleeps here"


def test_what_cannot_be_read_is_said_and_the_rest_is_read(page):
    part(page, "input[type=text]").fill("the cat platypus sleeps")
    assert "platypus" in part(page, ".tr-message").inner_text()
    assert part(page, ".re-word").all_inner_texts() == ["(begin)", "the", "cat"]
    part(page, "input[type=text]").fill("")
    assert part(page, ".re-word").all_inner_texts() == ["(begin)"]
    part(page, "input[type=text]").fill("the cat sleeps and " * 8 + "she sleeps")
    assert part(page, ".re-word").count() == 31
    assert "It learned 30 places" in part(page, ".re-warning").inner_text()
    check_access(page, LIVE)


def test_examples(page):
    made = trained()
    part(page, ".re-examples button").nth(1).click()
    made.sentence = made.examples[1]
    check(page, made)


def test_a_state_goes_into_the_address_and_comes_back(browser, site, page):
    made = trained()
    part(page, "input[type=text]").fill("she sleeps here")
    part(page, "input[type=radio]").nth(1).click()
    part(page, "input[type=checkbox]").click()
    part(page, ".re-lines button").nth(1).click()
    part(page, ".wa-share button").click()
    made.sentence, made.layer, made.causal, made.at = "she sleeps here", 2, False, 1
    with staged(browser, page.url, LIVE) as other:
        check(other, made)


@pytest.mark.parametrize(
    "state",
    [
        "layer=99&at=-3&causal=7",
        "layer=null&at=[]&causal=null&weights=null",
        "sentence=%3Cscript%3Ewindow.bad%3D1%3C/script%3E",
    ],
)
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert page.evaluate("window.bad") is None
        part(page, "input[type=text]").fill("she sleeps")
        assert part(page, ".re-lines button").count() == 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, "input[type=checkbox]").click()
        part(page, ".re-lines button").nth(2).click()
        part(page, "input[type=text]").fill("the men who ")
        check_access(page, LIVE)
        check_inside(page, LIVE, ".re-map")


@pytest.mark.parametrize("name", ["notebooks/10_self_attention.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".re-lines button").count() >= 2
