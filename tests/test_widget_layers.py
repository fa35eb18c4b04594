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
from attention_src.multi_head import without_heads
from attention_src.positions import sinusoidal
from attention_src.transformer import Transformer
from attention_src.widgets.base import rounded
from attention_src.widgets.layers import Layers
from tests.browser import DESKTOP, PHONE, check_access, check_inside, staged

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
    return switched(usual | {"examples": ["she sleeps"], "sentence": SENTENCE} | changes)


def trained(**changes):
    """The widget of the chapter."""
    return switched(of_the_page() | changes)


def switched(arguments):
    """The widget with these arguments; those that it is not made from are set afterwards."""
    later = {name: arguments.pop(name) for name in ("causal", "padding", "padding_mask", "off") if name in arguments}
    made = Layers(**arguments)
    for name, value in later.items():
        setattr(made, name, value)
    return made


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


def test_padding_that_is_hidden_changes_nothing():
    made = trained(look="cross", layer=2)
    before = made.seen
    made.padding = 5
    after = made.seen
    assert after.said == before.said
    for name in ("encoder", "cross"):
        table = getattr(after, name)
        assert table.shape[-1] == getattr(before, name).shape[-1] + 5
        np.testing.assert_allclose(table[..., :-5], getattr(before, name), atol=1e-12)
        assert (table[..., -5:] == 0).all()
    np.testing.assert_allclose(after.decoder, before.decoder, atol=1e-12)
    assert made.leaked == 0
    assert made.shown[1][-6:] == ["house", *["<pad>"] * 5]


def test_without_its_mask_padding_is_read_as_words_are():
    made = trained(look="encoder", layer=1, padding=3, padding_mask=False)
    twin = rounded(of_the_page()["model"], made.weights).double()
    words = made.source()[0].tolist()
    source = torch.tensor([[*words, 0, 0, 0]])
    given = torch.tensor([[made.target_words.index(word) for word in ("<s>", *made.seen.said[:-1])]])
    with torch.no_grad():
        looks = twin.looks(source, torch.ones_like(source, dtype=torch.bool), given)
    np.testing.assert_allclose(made.seen.encoder, torch.cat(looks.encoder)[:, :, : len(words)])
    np.testing.assert_allclose(made.seen.cross, torch.cat(looks.cross))
    assert made.leaked == pytest.approx(float(looks.encoder[0].mean(1)[0, : len(words), -3:].sum(-1).mean()))
    assert made.leaked > 0.1


def test_padding_that_leaks_breaks_a_translation_of_the_page():
    made = trained(sentence=of_the_page()["examples"][3], padding=1)
    assert made.seen.said == made.truth
    made.padding_mask = False
    assert made.seen.said != made.truth


def test_without_the_causal_mask_all_words_said_are_looked_at():
    made = trained(look="decoder", causal=False)
    table = made.seen.decoder
    assert (table > 0).all()
    np.testing.assert_allclose(table.sum(-1), 1)
    ahead = np.triu(table[1].mean(axis=0), 1)
    made.layer = 2
    assert made.leaked == pytest.approx(ahead.sum() / len(table[0, 0]))
    made.causal = True
    assert made.leaked == 0


@pytest.mark.parametrize("layers", [1, 3])
def test_without_the_causal_mask_it_is_pytorchs_decoder_without_one(layers):
    made = widget(model=model(layers), causal=False)
    twin, words = rounded(model(layers), made.weights).double(), made.source()
    given = [made.target_words.index("<s>")]
    told = [made.target_words.index(word) for word in made.seen.said]
    with torch.no_grad():
        top = twin.encode(words, words > 0)[0].top
        for said in told[:4]:  # a second way, from the layers of PyTorch that have the same weights
            x = twin.place(twin.said(torch.tensor([given])), 0)
            for layer in twin.decoder:
                for part, memory in (("itself", None), ("source", top)):
                    look = getattr(layer, part)
                    normed = (layer.add_look if part == "itself" else layer.add_source).norm(x)
                    torchs = torch.nn.MultiheadAttention(x.shape[-1], look.heads, batch_first=True).double()
                    maps = look.of_query, look.of_key, look.of_value
                    torchs.in_proj_weight.copy_(torch.cat([one.weight for one in maps]))
                    torchs.in_proj_bias.copy_(torch.cat([one.bias for one in maps]))
                    torchs.out_proj.weight.copy_(look.out.weight)
                    torchs.out_proj.bias.copy_(look.out.bias)
                    memory = normed if memory is None else memory
                    x = x + torchs(normed, memory, memory)[0]
                x = x + layer.alone(layer.add_alone.norm(x))[0]
            assert int(twin.readout(twin.said_norm(x))[0, -1].argmax()) == said
            given.append(said)


def test_a_head_that_is_off_says_nothing_and_still_looks():
    made = trained(off=["cross 2 2", "encoder 1 4", "decoder 2 1"])
    twin = rounded(of_the_page()["model"], made.weights).double()
    for side, part, head in ((twin.decoder[1], "source", 1), (twin.encoder[0], "itself", 3)):
        setattr(side, part, without_heads(getattr(side, part), [head]))
    twin.decoder[1].itself = without_heads(twin.decoder[1].itself, [0])
    given = torch.tensor([[made.target_words.index(word) for word in ("<s>", *made.seen.said[:-1])]])
    with torch.no_grad():
        looks = twin.looks(made.source(), made.source() > 0, given)
    for name in ("encoder", "decoder", "cross"):
        np.testing.assert_allclose(getattr(made.seen, name), torch.cat(getattr(looks, name)))
    assert made.off == ["encoder 1 4", "decoder 2 1", "cross 2 2"]
    assert made.seen.said != made.truth
    made.off = []
    assert made.seen.said == made.truth


def test_the_summary_says_what_is_switched():
    made = trained(padding=2, padding_mask=False, causal=False, off=["cross 2 2"])
    assert made.summary().endswith("(2 padded places; no padding mask; no causal mask; heads off: cross 2 2)")


def test_a_translation_without_a_word_can_be_shown():
    silent = model()
    with torch.no_grad():
        silent.readout.bias[TARGET.words.index("</s>")] += 99
    for changes in ({}, {"causal": False}, {"padding": 2, "padding_mask": False}):
        made = widget(model=silent, **changes)
        assert made.seen.said == []
        assert "as nothing" in made.summary()
        assert made.leaked == 0


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
        ({"padding": 9}, TraitError, "padding must be 0 to 8 places, but is 9"),
        ({"padding": -1}, TraitError, "padding must be 0 to 8 places, but is -1"),
        ({"off": ["cross 4 1"]}, TraitError, "off must hold heads such as \"cross 3 2\", but holds 'cross 4 1'"),
        ({"source_words": [*SOURCE.words[1:], "x"]}, ValueError, "source_words must hold the mark '<pad>'"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        widget(**changes)


# --- arithmetic ------------------------------------------------------------------------------------------------------


def same(maths, made):
    """Assert that the page says and weighs what Python does."""
    numbers = made.source()[0].tolist()
    marks = {
        "begin": made.target_words.index("<s>"),
        "end": made.target_words.index("</s>"),
        "longest": 120 if made.causal else 60,
    }
    switches = {"pad": made.source_words.index("<pad>"), "paddingMask": made.padding_mask}
    switches |= {name: getattr(made, name) for name in ("causal", "padding", "off")}
    run = "(w, n, h, m, s) => all.transform(all.unpack(w), n, h, m, s)"
    found = maths(run, made.weights, numbers, made.heads, marks, switches)
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


SWITCHED = [
    {"causal": False},
    {"padding": 3},
    {"padding": 8, "padding_mask": False},
    {"padding_mask": False},
    {"off": ["encoder 1 2", "decoder 1 1", "cross 1 2"]},
    {"off": [f"{look} 1 {head}" for look in ("encoder", "decoder", "cross") for head in (1, 2)]},
    {"causal": False, "padding": 2, "padding_mask": False, "off": ["cross 1 1"]},
]


@pytest.mark.parametrize("changes", SWITCHED)
@pytest.mark.parametrize("layers", [1, 3])
def test_the_switches_do_in_the_page_what_they_do_in_python(maths, layers, changes):
    same(maths, widget(model=model(layers, seed=layers), **changes))


@pytest.mark.parametrize("changes", SWITCHED)
def test_the_switches_of_the_trained_translator(maths, changes):
    for sentence in of_the_page()["examples"]:
        same(maths, trained(sentence=sentence, **changes))


def test_a_translation_without_a_word_is_none_in_the_page_too(maths):
    silent = model()
    with torch.no_grad():
        silent.readout.bias[TARGET.words.index("</s>")] += 99
    for causal in (True, False):
        same(maths, widget(model=silent, causal=causal))


def test_absurd_switches_become_some_that_there_are(maths):
    run = "s => all.switches({ layers: 3, heads: 2, ...s })"
    usual = {"causal": True, "padding": 0, "paddingMask": True, "off": []}
    assert maths(run, {}) == usual
    assert maths(run, {"causal": "x", "padding": -4, "paddingMask": None, "off": "cross 1 1"}) == usual
    wild = ["cross 3 2", 5, "x", "cross 9 1", "cross 3 2"]
    found = maths(run, {"causal": False, "padding": 99, "paddingMask": False, "off": wild})
    assert found == {"causal": False, "padding": 8, "paddingMask": False, "off": ["cross 3 2"]}


def test_the_page_runs_the_trained_translator(maths):
    for sentence in (*of_the_page()["examples"], "she sleeps"):
        same(maths, trained(sentence=sentence))


def test_the_waves_are_those_of_chapter_12(maths):
    found = maths("() => [0, 1, 7].map(p => all.wave(p, 6))")
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
    with staged(browser, site + PAGE + LIVE, LIVE, viewport=DESKTOP, reduced_motion="reduce") as page:
        yield page


def part(page, selector):
    """A part of the widget on the page."""
    return page.locator(LIVE).locator(selector)


def shown(word):
    """A word as the page writes it."""
    return {"<s>": "(begin)", "</s>": "(end)", "<pad>": "(pad)"}.get(word, word)


def check(page, made):
    """Assert that the page shows Python's table, and marks the chosen row."""
    rows, columns, table = made.shown
    assert part(page, ".la-word").all_inner_texts() == [shown(word) for word in rows]
    names = [line.get_attribute("aria-label") for line in part(page, ".la-lines button").all()]
    for row, name in zip(table, names, strict=True):
        assert name.endswith(f"{row.max():.3f}")
        assert f"looks most at {shown(columns[row.argmax()])}," in name
    assert part(page, ".la-gold").count() == len(made.gold)
    assert part(page, ".la-head > span").all_inner_texts()[1:] == [shown(word) for word in columns]
    assert f"It says: {' '.join(made.seen.said)}" in part(page, ".la-said").inner_text()
    hidden = len(made.sentence.split()) if made.look != "decoder" else None
    if made.look == "decoder":
        masked = len(rows) * (len(rows) - 1) // 2 if made.causal else 0
    else:
        masked = len(rows) * (len(columns) - hidden) if made.padding_mask else 0
    assert part(page, ".la-masked").count() == masked
    leak = f"{100 * made.leaked:.1f} % of all weight lies on "
    assert (leak + "padding" in part(page, ".la-where").inner_text()) == (made.look != "decoder" and made.padding > 0)
    later = made.look == "decoder" and not made.causal
    assert (leak + "later words" in part(page, ".la-where").inner_text()) == later
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


def test_the_causal_mask_is_switched_by_keyboard(page):
    made = trained()
    part(page, "input[value=decoder]").click()
    made.look = "decoder"
    check(page, made)
    part(page, "label").filter(has_text="causal mask").locator("input").focus()
    page.keyboard.press("Space")
    made.causal = False
    check(page, made)
    expect(part(page, "[role=status]")).to_contain_text("lies on later words")
    assert part(page, ".la-changed").inner_text() == "The same as with both masks and all heads on."
    page.keyboard.press("Space")
    made.causal = True
    check(page, made)
    assert part(page, ".la-changed").inner_text() == ""


def test_padding_leaks_and_the_translation_changes(page):
    made = trained(sentence=of_the_page()["examples"][3])
    part(page, ".la-examples button").nth(3).click()
    slider = part(page, "input[type=range]")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    made.padding = 4
    check(page, made)
    assert part(page, ".la-count").inner_text() == "4 places"
    part(page, "label").filter(has_text="padding mask").click()
    made.padding_mask = False
    check(page, made)
    usual = f"With both masks and all heads on: {' '.join(made.truth)}"
    assert part(page, ".la-changed").inner_text() == usual
    expect(part(page, "[role=status]")).to_contain_text(usual)
    part(page, "input[value=encoder]").click()
    made.look = "encoder"
    check(page, made)
    part(page, "button").filter(has_text="All as in training").click()
    made.padding, made.padding_mask = 0, True
    check(page, made)
    assert part(page, "button").filter(has_text="All as in training").is_disabled()


def test_heads_are_switched_off_one_by_one(page):
    made = trained()
    heads = part(page, ".la-toggles button")
    heads.nth(1).click()
    made.off = ["cross 2 2"]
    check(page, made)
    assert [one.get_attribute("aria-pressed") for one in heads.all()] == ["true", "false", "true", "true"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    made.off = ["cross 2 2", "cross 2 3"]
    check(page, made)
    part(page, "[aria-label=Layer] input").nth(0).click()
    made.layer = 1
    check(page, made)
    assert [one.get_attribute("aria-pressed") for one in heads.all()] == ["true"] * 4
    assert part(page, ".la-off").inner_text() == (
        "Off: target at source, layer 2, head 2; target at source, layer 2, head 3."
    )
    heads.nth(0).click()
    heads.nth(0).click()
    check(page, made)
    part(page, "button").filter(has_text="All as in training").click()
    made.off = []
    check(page, made)


def test_switches_go_into_the_address_and_come_back(browser, page):
    made = trained(padding=3, padding_mask=False, causal=False, off=["cross 2 4"])
    part(page, "label").filter(has_text="causal mask").click()
    part(page, "label").filter(has_text="padding mask").click()
    part(page, "input[type=range]").fill("3")
    part(page, ".la-toggles button").nth(3).click()
    check(page, made)
    part(page, ".wa-share button").click()
    with staged(browser, page.url, LIVE) as other:
        check(other, made)


def test_a_state_goes_into_the_address_and_comes_back(browser, page):
    made = trained()
    part(page, "input[type=text]").fill("she sleeps")
    part(page, "input[value=encoder]").click()
    part(page, "[aria-label=Head] label").nth(2).click()
    part(page, ".wa-share button").click()
    made.sentence, made.look, made.head = "she sleeps", "encoder", 2
    with staged(browser, page.url, LIVE) as other:
        check(other, made)


@pytest.mark.parametrize(
    "state",
    [
        "layer=99&at=-3&head=77&look=%22up%22",
        "layer=null&at=[]&weights=null",
        "causal=5&padding=9999&padding_mask=null&off=[1,null,%22cross%209%209%22,[]]",
        "sentence=%3Cscript%3Ewindow.bad%3D1%3C/script%3E",
    ],
)
def test_an_absurd_address_does_no_harm(browser, site, state):
    with staged(browser, f"{site}{PAGE}{LIVE}?{state}", LIVE) as page:
        assert page.evaluate("window.bad") is None
        part(page, "input[type=text]").fill("the cat sleeps")
        assert part(page, ".la-lines button").count() == 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_it_fits(browser, site, theme, size):
    settings = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce", "has_touch": size is PHONE}
    with staged(browser, site + PAGE + LIVE, LIVE, **settings) as page:
        check_access(page, LIVE)
        part(page, "input[value=decoder]").click()
        part(page, ".la-lines button").nth(1).click()
        check_access(page, LIVE)
        part(page, "input[value=cross]").click()
        part(page, "label").filter(has_text="causal mask").click()
        part(page, "label").filter(has_text="padding mask").click()
        part(page, "input[type=range]").fill("8")
        part(page, ".la-toggles button").nth(1).click()
        check_access(page, LIVE)
        touched = part(page, ".la-switches :is(label, button, input[type=range])").all()
        assert min(one.bounding_box()["height"] for one in touched) >= 24
        check_inside(page, LIVE, ".la-map")


@pytest.mark.parametrize("name", ["notebooks/13_transformer.html", "book/widgets.html"])
def test_the_lab_and_the_gallery_show_it_too(browser, site, name):
    with staged(browser, f"{site}{name}{LIVE}", LIVE) as page:
        assert part(page, ".la-lines button").count() >= 2
