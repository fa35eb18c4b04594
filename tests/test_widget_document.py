"""The document with two levels of weights: its numbers against the module's, and what a reader can do on the page."""

import random

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from traitlets import TraitError

from attention_src.data.documents import ANSWERS, CUES, TIMES, VOCABULARY, as_numbers, documents
from attention_src.experiments.hierarchical import DAY
from attention_src.experiments.hierarchical import widget as of_the_page
from attention_src.hierarchical import DocumentReader, FlatReader
from attention_src.widgets.base import pack, rounded
from attention_src.widgets.document import LINES, LONGEST, DocumentWeights
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

LIVE = "#widget-document"
PAGE = "book/15_hierarchical.html"
CLOSE = {"rtol": 0, "atol": 1e-5}


def model(seed, reads=True, pool="attention"):
    """A reader with random weights, all its sizes different."""
    torch.manual_seed(seed)
    made = DocumentReader(len(VOCABULARY), len(ANSWERS), 5, 6, pool, reads)
    with torch.no_grad():
        for number in made.parameters():
            number *= 3
    return made


def widget(**changes):
    """The widget of the page, with random weights."""
    return DocumentWeights(**of_the_page() | {"models": {"a": model(3), "b": model(5, reads=False)}} | changes)


def trained(**changes):
    """The widget of the chapter."""
    return DocumentWeights(**of_the_page() | changes)


# --- the Python side -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", [1, 2])
def test_the_trained_readers_answer_the_document_of_the_page(reader):
    made = trained(reader=reader)
    assert made.seen.sentences == [line.split() for line in DAY]
    assert made.seen.gold == [2]
    assert made.seen.truth == ["warm"] == [made.answer[0]]
    assert made.seen.outer[2] > 0.8
    assert repr(made).startswith("DocumentWeights: A document of 6 lines, read with two levels")
    assert '% of the sentence weight lies on "overall the visit was really mild", and in it' in made.summary()


@pytest.mark.parametrize("reader", [1, 2])
def test_it_is_the_reader_of_the_chapter(reader):
    made = widget(reader=reader, text="\n".join([*DAY[:3], "", DAY[4]]))
    twin = rounded(model(3) if reader == 1 else model(5, reads=False), packed(reader)).double()
    with torch.no_grad():
        reading = twin(*as_numbers([[line.split() for line in made.text.split("\n")]]))
    np.testing.assert_allclose(made.seen.outer, reading.sentences[0])
    np.testing.assert_allclose(made.seen.inner[2], reading.words[0, 2, :6])
    np.testing.assert_allclose(made.seen.chances, reading.logits[0].softmax(dim=0))
    assert (made.seen.outer[3], made.seen.inner[3]) == (0, [])


def packed(reader):
    """The weights of one of the random models as they travel."""
    return pack((model(3) if reader == 1 else model(5, reads=False)).state_dict())


def test_words_that_are_not_known_are_named_and_left_out():
    made = widget(text="Overall, the Platypus was COLD!\nplatypus <s> bus")
    assert made.seen.sentences == [["overall", "the", "was", "cold"], ["bus"]]
    assert made.seen.unknown == ["platypus", "<s>"]
    assert made.seen.truth == ["cold"]


def test_several_cues_and_none():
    made = widget(text="overall the bus was icy\nthe bus was hot\naltogether the bus was hot")
    assert made.seen.gold == [0, 2]
    assert made.seen.truth == ["warm", "cold"]
    made.text = "the bus was hot"
    assert (made.seen.gold, made.seen.truth) == ([], [])


def test_no_words_at_all():
    for text in ("", "\n\n"):
        made = widget(text=text)
        bias = rounded(model(3), packed(1)).answer.bias.double().softmax(dim=0)
        np.testing.assert_allclose(made.seen.chances, bias.detach())
        assert made.summary().endswith("there are no words")
        assert made.picture()


def test_the_picture_is_the_same_twice_and_moves():
    first, second = widget(), widget()
    assert first.picture() == second.picture()
    for change in ({"reader": 2}, {"text": DAY[0]}):
        before = second.picture()
        for name, value in change.items():
            setattr(second, name, value)
        assert second.picture() != before


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"models": {}}, ValueError, "models must hold at least one trained reader"),
        ({"models": {"a": torch.nn.Linear(2, 3)}}, TypeError, r"models\['a'\] must be a DocumentReader with attention"),
        ({"models": {"a": FlatReader(9, 4)}}, TypeError, "with attention, but is a FlatReader"),
        ({"models": {"a": model(0, pool="mean")}}, TypeError, "must be a DocumentReader with attention"),
        ({"words": ["a"]}, ValueError, r"words must have one entry for each of the 59 of models\['a'\], but has 1"),
        ({"answers": ["a", "b"]}, ValueError, "answers must have one entry for each of the 4"),
        ({"kinds": {"cue": ["platypus"]}}, ValueError, "kinds holds 'platypus', which is not among words"),
        ({"kinds": {"cue": ["overall"]}}, ValueError, "kinds must hold the cues and each answer, but has no 'warm'"),
        ({"cues": "mark"}, ValueError, "but has no 'mark'"),
        ({"text": "a" * 9001}, TraitError, "text must have at most 9000 characters and 120 lines, but has 9001 and 1"),
        ({"text": "\n" * 120}, TraitError, "but has 120 and 121"),
        ({"reader": 3}, TraitError, "reader must be 1 to 2, but is 3"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        widget(**changes)


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, made):
    """Assert that the page sees what Python sees."""
    state = made.state()
    found = maths("s => all.look(all.split(all.unpack(s.weights)), { ...s, ...all.tidy(s) })", state)
    seen = made.seen
    np.testing.assert_allclose(found["outer"], seen.outer, **CLOSE)
    assert [len(row) for row in found["inner"]] == [len(row) for row in seen.inner]
    np.testing.assert_allclose(np.concatenate([[], *found["inner"]]), np.concatenate([[], *seen.inner]), **CLOSE)
    np.testing.assert_allclose(found["chances"], seen.chances, **CLOSE)
    assert (found["sentences"], found["unknown"]) == (seen.sentences, seen.unknown)
    assert (found["gold"], found["truth"]) == (seen.gold, seen.truth)


@pytest.mark.parametrize("reader", [1, 2])
@pytest.mark.parametrize("made", [widget, trained], ids=["random", "trained"])
def test_the_page_reads_as_python_does(maths, made, reader):
    shown, chance = made(reader=reader), random.Random(0)
    for one in documents(8, "widget", 1, 12):
        lines = [" ".join(sentence) for sentence in one.sentences]
        lines.insert(chance.randrange(len(lines)), chance.choice(["", "bus", "overall platypus"]))
        shown.text = "\n".join(lines)
        same(maths, shown)


@pytest.mark.parametrize("reader", [1, 2])
def test_the_page_bears_what_is_empty_short_and_long(maths, reader):
    shown = widget(reader=reader)
    strange = "ß İ platypus bus Platypus"
    for text in ("", "\n\n", "bus", "\nbus\n", strange, "\n".join(["the bus was hot"] * LINES), "bus " * 500):
        shown.text = text
        same(maths, shown)
    for text in of_the_page()["examples"].values():
        shown.text = text
        same(maths, shown)


def test_an_absurd_state_becomes_one_that_can_be_drawn(maths):
    tidy = "s => all.tidy({ ...s, readers: ['a', 'b'] })"
    for text in (5, None, [], {}):
        assert maths(tidy, {"text": text, "reader": text}) == {"text": "", "reader": 2 if text == 5 else 1}
    assert maths(tidy, {"text": "a" * 9999, "reader": -1}) == {"text": "a" * LONGEST, "reader": 1}
    assert maths(tidy, {"text": "\n" * 500, "reader": 2.5}) == {"text": "\n" * (LINES - 1), "reader": 1}
    assert maths(tidy, {"text": "bus\n", "reader": 2}) == {"text": "bus\n", "reader": 2}


# --- the built page --------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, site):
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def percents(texts):
    """Numbers that are written as percent."""
    return [int(text.removesuffix(" %")) / 100 for text in texts]


def check(page, made):
    """Assert that the page shows Python's answer and its weights on both levels."""
    seen = made.seen
    assert part(page, ".do-answer strong").inner_text() == made.answer[0]
    np.testing.assert_allclose(percents(part(page, ".do-outer").all_inner_texts()), seen.outer, atol=0.0051)
    assert part(page, ".do-words button").all_inner_texts() == [word for one in seen.sentences for word in one]
    names = part(page, ".do-words button").evaluate_all("all => all.map(n => n.getAttribute('aria-label'))")
    shown = percents([name.split(": ")[1].split(" of ")[0] for name in names])
    np.testing.assert_allclose(shown, np.concatenate([[], *seen.inner]), atol=0.0051)
    bars = part(page, ".do-bars li span:last-child").all_inner_texts()
    np.testing.assert_allclose(percents(bars), seen.chances, atol=0.0051)
    stars = part(page, ".do-star").evaluate_all("all => all.map(n => n.textContent !== '')")
    assert [i for i, star in enumerate(stars) if star] == seen.gold


def test_it_begins_with_the_document_of_the_page(page):
    made = trained()
    check(page, made)
    assert part(page, "textarea").input_value() == "\n".join(DAY)
    assert part(page, ".do-verdict").inner_text().startswith("Right. ")
    assert part(page, ".do-past").inner_text() == ""
    pressed = part(page, ".do-words button[aria-pressed=true]")
    assert pressed.count() == 1
    assert pressed.get_attribute("aria-label").endswith("of sentence 3")


def test_another_reader_by_keyboard(page):
    part(page, "input[type=radio]").first.focus()
    page.keyboard.press("ArrowDown")
    made = trained(reader=2)
    check(page, made)
    expect(part(page, "[role=status]")).to_contain_text(made.answer[0])


def test_the_reader_writes(page):
    made = trained()
    made.text = "altogether the bus was Icy.\nfoo the platypus was hott\n\n"
    part(page, "textarea").fill(made.text)
    check(page, made)
    assert part(page, ".do-message").inner_text().startswith("The reader has never seen “foo”")
    assert "“hott” (hot" in part(page, ".do-message").inner_text()
    assert part(page, ".do-words i").all_inner_texts() == ["no words", "no words"]
    assert part(page, ".do-past").inner_text().startswith("Before the last change: ")
    part(page, "textarea").fill("")
    made.text = ""
    check(page, made)
    assert "There are no words" in part(page, ".do-verdict").inner_text()
    assert part(page, ".do-edit").is_hidden()
    check_access(page, LIVE)


def test_a_word_is_chosen_exchanged_and_removed(page):
    made = trained()
    words = part(page, ".do-words button")
    words.filter(has_text="overall").focus()
    page.keyboard.press("Enter")
    assert part(page, "select").input_value() == "overall"
    said = made.answer
    part(page, "select").select_option(TIMES[0])
    made.text = "\n".join(DAY).replace("overall", TIMES[0])
    check(page, made)
    assert "nothing decides" in part(page, ".do-verdict").inner_text()
    assert part(page, ".do-past").inner_text() == f"Before the last change: {said[0]}, {100 * said[1]:.0f} %."
    part(page, "select").select_option(CUES[1])
    made.text = "\n".join(DAY).replace("overall", CUES[1])
    check(page, made)
    part(page, ".do-edit button").click()
    made.text = "\n".join(DAY).replace("overall ", "")
    check(page, made)
    words.filter(has_text="mild").click()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert part(page, "select").input_value() == "really"
    assert part(page, ".do-about").inner_text().startswith("really: ")


def test_the_only_word_is_removed(page):
    part(page, "textarea").fill("bus")
    part(page, ".do-edit button").click()
    check(page, trained(text=""))


def test_the_examples(page):
    for title, text in of_the_page()["examples"].items():
        part(page, ".do-examples button").filter(has_text=title).click()
        check(page, trained(text=text))
    assert part(page, ".do-lines li").count() == 56


def test_a_state_goes_into_the_address_and_comes_back(browser, site, page):
    made = trained(text="overall the bus was icy\n\nthe bus was hot", reader=2)
    part(page, "textarea").fill(made.text)
    part(page, "input[type=radio]").nth(1).click()
    part(page, ".wa-share button").click()
    with staged(browser, page.url, LIVE) as other:
        check(other, made)
        assert part(other, "textarea").input_value() == made.text


@pytest.mark.parametrize(
    "state", ["reader=99&text=5", "text=null&reader=[]&weights=null", "text=%3Cimg%20onerror=window.bad=1%20src=x%3E"]
)
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert page.evaluate("window.bad") is None
        part(page, "textarea").fill("the bus was hot")
        assert part(page, ".do-words button").count() == 4


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, ".do-words button").nth(4).click()
        part(page, "textarea").fill("overall the platypuses were hot\n\n" + "\n".join(DAY))
        part(page, "input[type=radio]").nth(1).click()
        check_access(page, LIVE)
        check_inside(page, LIVE)


@pytest.mark.parametrize("name", ["notebooks/15_hierarchical.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".do-words button").count() >= 1
