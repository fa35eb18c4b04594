"""The widgets in a browser: their arithmetic against Python's, and what a reader can do with them.

The pages are built here by Sphinx with the book's own extension, from a model with random weights, and served from a
sub-folder as a published site is.
"""

import base64
import contextlib
import random
import re
import subprocess
import sys

import ipywidgets.embed
import nbformat
import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from attention_src.attention import attend, weigh
from attention_src.bottleneck import FirstStateOnly, LookBack, VectorEveryStep
from attention_src.data.grammar import Grammar, SentenceError
from attention_src.data.translation import ENGLISH_FRENCH, GRAMMARS
from attention_src.data.vocabulary import BEGIN, END
from attention_src.decoding import Marks, greedy
from attention_src.experiments import bottleneck
from attention_src.widgets import base
from attention_src.widgets.base import rounded
from attention_src.widgets.translation import compare
from attention_src.widgets.translator import Translator
from tests.browser import PHONE, ROOT, check_access, javascript, opened, serve, settle, watch
from tests.test_widgets import ENGLISH, GROWTH, model, translator

LIVE = "#widget-translator"
CLOSE = {"rtol": 0, "atol": 1e-5}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}
CSP = "default-src 'self' 'unsafe-inline' blob: data:"

CONF = f"""
import sys
sys.path[:0] = [{str(ROOT / "book" / "_ext")!r}, {str(ROOT)!r}]
import house, json
extensions = ["myst_nb", "widgets"]
html_theme, html_static_path, html_css_files, nb_execution_mode = "basic", ["style"], ["tokens.css"], "off"
html_permalinks, html_title, html_favicon = False, "Test", {str(ROOT / "book" / "_static" / "favicon.svg")!r}
"""
PAGE = """# A page with widgets

```{widget} translator
:state: tests.test_widgets:arguments
```

A paragraph between them.

```{widget} translator
:state: tests.test_widgets:arguments
:alt: The second picture
```

```{toctree}
plain
notebook
```
"""


def notebook():
    """A notebook that showed the translator and a slider, as it is stored after a run."""
    widget, slider = translator(), ipywidgets.FloatSlider(description="scale")
    widget.sentence = "the dog eats a red pear"
    cells = []
    for shown, views in ((widget, 2), (slider, 1)):
        for _ in range(views):
            bundle = shown._repr_mimebundle_()  # a dict, or a dict with its metadata
            output = nbformat.v4.new_output("display_data", bundle[0] if isinstance(bundle, tuple) else bundle)
            cells.append(nbformat.v4.new_code_cell("w", outputs=[output]))
    state = ipywidgets.embed.embed_data(views=[widget, slider], drop_defaults=False)["manager_state"]
    stored = {"application/vnd.jupyter.widget-state+json": state}
    heading = nbformat.v4.new_markdown_cell("# A notebook")
    return nbformat.v4.new_notebook(cells=[heading, *cells], metadata={"widgets": stored, "language_info": LANGUAGE})


def build(source, out, *options):
    """Build the pages; the result has their warnings and errors."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", *options, "-b", "html", str(source), str(out)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The built pages."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    import json

    import house

    source = tmp_path_factory.mktemp("pages")
    (source / "conf.py").write_text(CONF, "utf-8")
    (source / "index.md").write_text(PAGE, "utf-8")
    (source / "plain.md").write_text("# Plain\n\nNo widget here.\n", "utf-8")
    nbformat.write(notebook(), source / "notebook.ipynb")
    (source / "style").mkdir()
    palette = json.loads((ROOT / "attention_src" / "palette.json").read_text("utf-8"))
    css = house.tokens_css(palette) + "body { background: var(--wa-paper); color: var(--wa-ink); max-width: 46rem }"
    (source / "style" / "tokens.css").write_text(css, "utf-8")
    built = build(source, source / "out")
    assert built.returncode == 0, built.stderr
    return source / "out"


@pytest.fixture(scope="session")
def address(folder):
    with serve(folder, "/some/folder/") as found:
        yield found


@pytest.fixture
def page(browser, address):
    with opened(browser, address + "index.html", LIVE) as page:
        yield page


def part(page, selector, number=0):
    """An element of the first widget on the page, or of a later one."""
    return page.locator(".wa-live").nth(number).locator(selector)


def columns(page, number=0):
    """The true words and the model's, as the page shows them."""
    cells = part(page, ".tr-result li", number).all()
    pairs = [(cell.locator(".tr-truth").inner_text(), cell.locator(".tr-said").inner_text()) for cell in cells]
    return [(true if true != "·" else None, read_said(said)) for true, said in pairs]


def read_said(text):
    """The model's word without the mark of a wrong one."""
    word = text.rpartition(":")[2].replace("✗", "").strip()
    return None if word == "–" else word


# --- arithmetic ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def maths(browser):
    """Calls a function of core.js and of the translator's file with JSON arguments."""
    with javascript(browser, "translator") as call:
        yield call


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize("keys", [1, 5, 512])
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_weights_and_mixtures_are_pythons(maths, keys, size):
    scores, value = numbers(3, keys) * size, numbers(keys, 7)
    mask = torch.rand(3, keys, generator=torch.Generator().manual_seed(keys)) < 0.5
    mask[1] = False  # a query that may look at nothing
    for allowed in (None, mask):
        context, weights = attend(scores, value, allowed)
        arguments = (scores.tolist(), value.tolist(), None if allowed is None else allowed.tolist())
        found = maths("(s, v, m) => all.attend(s, v, m)", *arguments)
        np.testing.assert_allclose(found["weights"], weights, **CLOSE)
        np.testing.assert_allclose(found["context"], context, **CLOSE)
        np.testing.assert_allclose(maths("(s, m) => all.weigh(s, m)", arguments[0], arguments[2]), weights, **CLOSE)


def test_a_hidden_score_changes_nothing_even_if_it_is_not_a_number(maths):
    for bad in ("NaN", "Infinity", "1e308"):
        assert maths(f"() => all.softmax([1, {bad}, 1], [true, false, true])") == [0.5, 0, 0.5]
    assert maths("() => all.softmax([])") == []
    assert weigh(torch.zeros(1, 3), torch.tensor([[True, False, True]])).tolist() == [[0.5, 0, 0.5]]


def test_products_and_sums_are_numpys(maths):
    a, b = numbers(3, 5), numbers(5, 7)
    np.testing.assert_allclose(maths("(a, b) => all.matmul(a, b)", a.tolist(), b.tolist()), a @ b, **CLOSE)
    assert maths("a => all.transpose(a)", a.tolist()) == a.T.tolist()
    assert maths("a => all.argmax(a)", b[0].tolist()) == int(b[0].argmax())
    assert maths("() => [all.argmax([2, 7, 7]), all.argmax([-3])]") == [1, 0]
    np.testing.assert_allclose(maths("(a, b) => all.dot(a, b)", *a[:2].tolist()), a[0] @ a[1], **CLOSE)
    np.testing.assert_allclose(maths("(a, b) => all.add(a, b)", *a[:2].tolist()), a[0] + a[1], **CLOSE)
    assert maths("() => all.join([1, 2], [], [3])") == [1, 2, 3]
    np.testing.assert_allclose(maths("a => all.tanh(a)", a[0].tolist()), a[0].tanh(), **CLOSE)


def test_every_float16_is_read_as_numpy_reads_it(maths):
    every = np.arange(2**16, dtype="<u2").view("<f2")
    sent = {"tensors": [["a", [2**8, 2**8]]], "data": base64.b64encode(every.tobytes()).decode()}
    found = maths("w => Array.from(all.unpack(w).a.data, String)", sent)
    expected = every.astype(np.float32)
    np.testing.assert_array_equal(np.array([float(text) for text in found], np.float32), expected)


def test_tensors_are_cut_where_python_cut_them(maths):
    packed = base.pack({"a": numbers(2, 3), "b": numbers(5), "c": numbers(1, 7, 2)})
    found = maths("w => all.unpack(w)", packed)
    for name, array in base.unpack(packed).items():
        assert found[name]["shape"] == list(array.shape)
        np.testing.assert_array_equal(np.array(found[name]["data"], np.float32), array.ravel())


def travel(module):
    """The module with float16 weights in float64, and those weights as they travel."""
    packed = base.pack(module.state_dict())
    return rounded(module, packed).double(), packed


def test_linear_and_embedding_are_pytorchs(maths):
    torch.manual_seed(3)
    module, packed = travel(torch.nn.ModuleDict({"l": torch.nn.Linear(5, 3), "e": torch.nn.Embedding(7, 2)}))
    x = numbers(5)
    found = maths("(w, x) => all.linear(all.unpack(w), 'l', x)", packed, x.tolist())
    np.testing.assert_allclose(found, module["l"](x).detach(), **CLOSE)
    found = maths("w => [...Array(7).keys()].map(i => all.embed(all.unpack(w), 'e', i))", packed)
    np.testing.assert_allclose(found, module["e"].weight.detach(), **CLOSE)
    with pytest.raises(Exception, match=r"l\.weight takes 5 numbers, not 4"):
        maths("w => all.linear(all.unpack(w), 'l', [1, 2, 3, 4])", packed)
    for word in (-1, 7, None):
        with pytest.raises(Exception, match="e has no row"):
            maths("(w, i) => all.embed(all.unpack(w), 'e', i)", packed, word)


@pytest.mark.parametrize("length", [1, 4, 60])
@pytest.mark.parametrize("both", [False, True])
def test_a_gru_is_pytorchs(maths, length, both):
    torch.manual_seed(length)
    module, packed = travel(torch.nn.ModuleDict({"r": torch.nn.GRU(3, 5, bidirectional=both)}))
    inputs = numbers(length, 3)
    states, last = module["r"](inputs)
    found = maths("(w, x) => all.gru(all.unpack(w), 'r', x)", packed, inputs.tolist())
    np.testing.assert_allclose(found["states"], states.detach(), **CLOSE)
    np.testing.assert_allclose(found["last"], last.flatten().detach(), **CLOSE)


def test_a_gru_cell_is_pytorchs(maths):
    torch.manual_seed(5)
    module, packed = travel(torch.nn.ModuleDict({"c": torch.nn.GRUCell(3, 5)}))
    x, state = numbers(3), numbers(5)
    found = maths("(w, x, h) => all.gruStep(all.unpack(w), 'c', '', x, h)", packed, x.tolist(), state.tolist())
    np.testing.assert_allclose(found, module["c"](x, state).detach(), **CLOSE)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_a_layer_norm_is_pytorchs(maths, eps):
    module = torch.nn.ModuleDict({"n": torch.nn.LayerNorm(7, eps=eps)})
    torch.manual_seed(7)
    torch.nn.init.normal_(module["n"].weight)
    torch.nn.init.normal_(module["n"].bias)
    module, packed = travel(module)
    for x in (numbers(7), torch.full((7,), 3.0).double(), 1e4 * numbers(7)):
        found = maths("(w, x, eps) => all.layerNorm(all.unpack(w), 'n', x, eps)", packed, x.tolist(), eps)
        np.testing.assert_allclose(found, module["n"](x).detach(), **CLOSE)


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_with_heads_is_pytorchs(maths, heads, masked):
    """PyTorch's own layer; the page gets rows that its projections have made already."""
    torch.manual_seed(heads)
    layer = torch.nn.MultiheadAttention(8, heads, batch_first=True).double()
    query, key, value = numbers(1, 3, 8), numbers(1, 5, 8), -numbers(1, 5, 8)
    allowed = torch.rand(3, 5, generator=torch.Generator().manual_seed(9)) < 0.6
    allowed[:, 0] = True
    mask = allowed if masked else torch.ones(3, 5, dtype=torch.bool)
    context, weights = layer(query, key, value, attn_mask=~mask, average_attn_weights=False)
    projections = zip(layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3), (query, key, value), strict=True)
    rows = [torch.nn.functional.linear(x, weight, bias)[0].tolist() for weight, bias, x in projections]
    found = maths("(q, k, v, n, m) => all.multiHead(q, k, v, n, m)", *rows, heads, mask.tolist() if masked else None)
    np.testing.assert_allclose(found["weights"], weights[0].detach(), **CLOSE)
    mixed = torch.tensor(found["context"], dtype=torch.float64)
    np.testing.assert_allclose(layer.out_proj(mixed).detach(), context[0].detach(), **CLOSE)


@pytest.mark.parametrize("kind", [FirstStateOnly, VectorEveryStep, LookBack])
@pytest.mark.parametrize("length", [1, 3, 60])
def test_every_step_of_a_translator_is_pythons(maths, kind, length):
    module, packed = travel(model(kind))
    source = torch.randint(0, len(ENGLISH), (1, length), generator=torch.Generator().manual_seed(length))
    memory, state = module.encode(source, torch.ones_like(source, dtype=torch.bool))
    said = greedy(module.step, state, memory, Marks(BEGIN, END), longest=13)[0]
    logits, given = [], BEGIN
    with torch.no_grad():
        for token in [*said.tokens, END][:13]:
            step = module.step(torch.tensor([given]), state, memory)
            state, given = step.state, token
            logits.append(step.logits[0].tolist())
    found = maths(
        """(w, kind, source, marks) => {
            const { state, step } = all.translator(all.unpack(w), kind)(source), said = all.greedy(step, state, marks);
            return { tokens: said.tokens, logits: said.steps.map(s => s.logits) };
        }""",
        *(packed, kind.__name__, source[0].tolist(), {"begin": BEGIN, "end": END, "longest": 13}),
    )
    assert found["tokens"] == said.tokens
    np.testing.assert_allclose(found["logits"], logits, **CLOSE)


def test_decoding_stops_at_the_end_mark_or_at_the_longest(maths):
    counting = "(token, state) => ({ logits: [0, 1, 2, 3].map(i => -Math.abs(i - state)), state: state + 1 })"
    run = f"(end, longest) => all.greedy({counting}, 0, {{ begin: 9, end, longest }}).tokens"
    assert maths(run, 2, 9) == [0, 1]
    assert maths(run, 9, 3) == [0, 1, 2]
    assert maths(run, 0, 9) == []


def test_two_sentences_side_by_side_are_pythons(maths):
    rng = random.Random(7)
    for _ in range(200):
        truth, said = (rng.choices("abc", k=rng.randrange(6)) for _ in range(2))
        found = maths("(a, b) => all.compare(a, b).map(pair => pair.map(x => x ?? null))", truth, said)
        assert [tuple(pair) for pair in found] == compare(truth, said)


# --- grammars --------------------------------------------------------------------------------------------------------

SWAP = Grammar(
    "swap",
    "S",
    """
    S -> NP:1 sees:2 NP:2 | NP:2 vu+par:2 NP:1
    S -> NP:1 sees:2 NP:2 and:1 S | S et:1 NP:1 NP:2 voit:2
    NP -> the:1 N | la:1 N
    N:
      star | étoile
      house | maison
    """,
    elision={"la": "l'"},
    before="étoile",
)
EVERY = {**GRAMMARS, "swap": SWAP}


def parse(maths, grammar, sentences):
    """What translate() of core.js gives for each sentence."""
    run = "(g, all_words) => all_words.map(words => all.translate(g, words))"
    return maths(run, grammar.to_data(), [list(words) for words in sentences])


@pytest.mark.parametrize("name", EVERY)
def test_the_page_translates_as_python_does(maths, name):
    grammar = EVERY[name]
    rng = random.Random(2)
    lengths = grammar.lengths(1, 60)
    made = [grammar.generate(rng, n, n) for n in lengths for _ in range(300 // len(lengths) + 1)]
    assert len(made) >= 300
    for pair, found in zip(made, parse(maths, grammar, [pair.source for pair in made]), strict=True):
        assert tuple(found["target"]) == pair.target
        assert {tuple(link) for link in found["links"]} == pair.links


@pytest.mark.parametrize("name", EVERY)
def test_the_page_stops_where_python_stops(maths, name):
    grammar = EVERY[name]
    rng = random.Random(3)
    broken = []
    for _ in range(200):
        words = list(grammar.generate(rng, *((3, 25) if name != "swap" else (5, 23))).source)
        change, place = rng.randrange(3), rng.randrange(len(words))
        if change == 0:
            del words[place:]
        elif change == 1:
            words[place] = rng.choice(grammar.source_words)
        else:
            words.insert(place, rng.choice(grammar.source_words))
        if words:
            broken.append(words)
    places = [stop(grammar, words) for words in broken]
    assert sum(place is not None for place in places) > 50
    for words, place, found in zip(broken, places, parse(maths, grammar, broken), strict=True):
        assert (found["target"] is None) == (place is not None)
        assert place in (None, found["at"]), words


def stop(grammar, words):
    """The place at which Python's parser stops, or None for a sentence."""
    try:
        grammar.translate(words)
    except SentenceError as error:
        return error.position
    return None


@pytest.mark.parametrize("name", EVERY)
def test_the_words_offered_next_are_those_that_can_stand_there(maths, name):
    grammar = EVERY[name]
    rng = random.Random(5)
    for _ in range(6):
        words = list(grammar.generate(rng, 5, 11).source)
        words = words[: rng.randrange(len(words) + 1)]
        found = parse(maths, grammar, [words])[0]["next"]
        assert sorted(found) == sorted({word for word in grammar.source_words if continues(grammar, [*words, word])})


def continues(grammar, words):
    """Whether a sentence of the grammar can begin with these words."""
    return stop(grammar, words) in (None, len(words))


def test_words_like_properties_of_objects_do_no_harm(maths):
    for word in ("constructor", "__proto__", "toString", "hasOwnProperty"):
        assert parse(maths, ENGLISH_FRENCH, [["the", word]])[0]["at"] == 1
    toy = Grammar("toy", "S", "S -> constructor:1 | __proto__:1")
    assert parse(maths, toy, [["constructor"]])[0]["target"] == ["__proto__"]


def test_a_sentence_that_cannot_go_on_says_so(maths):
    toy = Grammar("toy", "S", "S -> a:1 b:2 | x:1 y:2\nS -> a:1 b:2 c:3 | x:1 y:2 z:3")
    (whole, longest, beyond) = parse(maths, toy, ["ab", "abc", "abca"])
    assert (whole["target"], whole["at"], whole["next"], whole["ends"]) == (["x", "y"], 2, ["c"], [2])
    assert (longest["target"], longest["at"], longest["next"]) == (["x", "y", "z"], 3, [])
    assert sorted(longest["ends"]) == [2, 3]
    assert (beyond["target"], beyond["at"], beyond["next"]) == (None, 3, [])


def test_what_a_reader_writes_is_cut_into_words(maths):
    run = "text => all.read(text, new Set(['the', 'cat', \"aujourd'hui\", ',']))"
    assert maths(run, "  The CAT,\n\t“the” cat! ") == ["the", "cat", ",", "the", "cat"]
    assert maths(run, "aujourd'hui") == ["aujourd'hui"]
    assert maths(run, " . ? ") == []
    assert maths("() => all.read('e\\u0301', new Set())") == ["é"]


def test_near_words_are_offered(maths):
    words = list(ENGLISH_FRENCH.source_words)
    assert maths("(w, all_words) => all.near(w, all_words)", "cst", words) == ["cat"]
    assert "horse" in maths("(w, all_words) => all.near(w, all_words)", "hosre", words)
    assert maths("(w, all_words) => all.near(w, all_words)", "x" * 5000, words) == []


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_first_view_is_pythons(page):
    widget = translator()
    assert part(page, "input[type=text]").input_value() == "the cat sleeps"
    assert columns(page) == compare(widget.truth, widget.translation)
    assert "0 of 3 French words right · 3 English words" in part(page, ".tr-score").inner_text()


def test_typing_a_sentence_translates_it(page):
    widget = translator()
    box = part(page, "input[type=text]")
    box.fill("")
    box.press_sequentially("The dog eats a red pear.")
    widget.sentence = "the dog eats a red pear"
    assert columns(page) == compare(widget.truth, widget.translation)
    expect(part(page, ".tr-message")).to_contain_text("The sentence is whole")
    expect(part(page, "[role=status]")).to_contain_text("6 English words; 0 of 6 French words right")
    assert part(page, "input[type=text]", 1).input_value() == "the cat sleeps"  # the other widget is left alone


def test_every_wrong_word_is_marked_by_more_than_its_colour(page):
    cells = part(page, ".tr-result li").all()
    assert cells
    for cell, (true, said) in zip(cells, columns(page), strict=True):
        name = "wrong: " if true and said else "missing: " if true else "too much: "
        assert ("✗" in cell.inner_text()) == (name in cell.text_content()) == (true != said)


def test_the_next_words_build_a_sentence_by_mouse(page):
    part(page, "input[type=text]").fill("")
    for word in ("the", "small", "bird", "sings"):
        part(page, ".tr-chips").get_by_role("button", name=word, exact=True).click()
    assert part(page, "input[type=text]").input_value() == "the small bird sings "
    assert [true for true, _ in columns(page) if true] == ["le", "petit", "oiseau", "chante"]


def test_a_sentence_can_be_built_by_keyboard_alone(page):
    page.keyboard.press("Tab")
    for _ in range(20):
        if page.evaluate("document.activeElement.type") == "text":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("the cat sl")
    page.keyboard.press("ArrowDown")  # to the words that can end what was begun
    assert page.evaluate("document.activeElement.textContent") == "sleeps"
    page.keyboard.press("Enter")
    assert part(page, "input[type=text]").input_value() == "the cat sleeps "
    first = page.evaluate("document.activeElement.textContent")  # the focus stays among the words
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") > first
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.textContent") == first == "and"
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.textContent") == "with"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # the slider
    assert part(page, "input[type=text]").input_value() == " ".join(GROWTH[:2])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the first example
    assert part(page, "input[type=text]").input_value() == "the dog eats a red pear"
    page.keyboard.press("Tab")  # the words of the sentence: one stop, then arrows
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.ariaLabel") == "dog: chien, wrong"
    linked = part(page, ".tr-linked .tr-truth").all_inner_texts()
    assert linked == ["chien"]
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Put this state into the page’s address"


def test_the_slider_adds_and_removes_clauses(page):
    slider, box = part(page, "input[type=range]"), part(page, "input[type=text]")
    slider.fill("3")
    assert box.input_value() == " ".join(GROWTH)
    assert part(page, "output").inner_text() == "3"
    assert slider.get_attribute("aria-valuetext") == "3 clauses"
    slider.fill("2")
    assert box.input_value() == " ".join(GROWTH[:2])
    box.fill("my dog sings")  # a reader's own sentence grows too
    slider.fill("2")
    assert box.input_value() == "my dog sings " + GROWTH[1]
    slider.fill("1")
    assert box.input_value() == "my dog sings"
    box.fill("my dog")
    assert slider.is_disabled()
    slider.evaluate("node => { node.disabled = false }")
    assert slider.get_attribute("max") == str(len(GROWTH))


def test_the_slider_goes_back_where_there_is_no_room_for_more(page):
    slider, box = part(page, "input[type=range]"), part(page, "input[type=text]")
    long = " and ".join(["the cat sleeps"] * 15)  # 59 words: no clause fits below 60
    box.fill(long)
    clauses = int(slider.input_value())
    assert slider.get_attribute("max") == str(clauses) == "15"
    box.fill("i know that " * 18 + "she sleeps")  # 56 words in one clause
    assert slider.input_value() == "1"
    slider.fill("2")
    assert slider.input_value() == "1"
    assert box.input_value().startswith("i know that")
    assert len(box.input_value().split()) == 56


def test_every_sentence_that_was_tried_is_a_dot(page):
    assert part(page, ".tr-plot circle").count() == 1
    part(page, ".tr-examples button").click()
    part(page, ".tr-examples button").click()
    assert part(page, ".tr-plot circle").count() == 2
    name = part(page, ".tr-plot svg").get_attribute("aria-label")
    assert name == ("Sentences you tried, by length, with the share of words right: 3 words 0 %, 6 words 0 %")


def test_an_unknown_word_is_named_and_near_ones_replace_it(page):
    box = part(page, "input[type=text]")
    box.fill("the hosre sleeps")
    assert part(page, ".tr-message").inner_text() == "“hosre” is not in the vocabulary. Near ones:"
    assert columns(page) == []
    part(page, ".tr-chips").get_by_role("button", name="horse", exact=True).click()
    assert box.input_value() == "the horse sleeps "
    box.fill("the platypus sleeps")
    expect(part(page, ".tr-message")).to_contain_text("“platypus” is not in the vocabulary. It knows 196 words")
    expect(part(page, "[role=status]")).to_contain_text("platypus")


def test_a_sentence_outside_the_grammar_is_stopped_at_its_word(page):
    box = part(page, "input[type=text]")
    box.fill("the cat the dog")
    expect(part(page, ".tr-message")).to_have_text("After “the cat”, “the” cannot stand. These can:")
    box.fill("sleeps the cat")
    expect(part(page, ".tr-message")).to_have_text("At the beginning, “sleeps” cannot stand. These can:")
    box.fill("the cat")
    expect(part(page, ".tr-message")).to_have_text("2 words so far; the sentence is not finished.")
    box.fill("the ca")
    expect(part(page, ".tr-message")).to_have_text("2 words so far; the last one is not finished.")
    nouns = [word for word in ENGLISH_FRENCH.source_words if word.startswith("ca")]
    assert part(page, ".tr-chips button").all_inner_texts() == nouns
    box.fill("   ")
    expect(part(page, ".tr-message")).to_have_text("Begin with one of these words.")


ABSURD = {
    "long": "a" * 10_000,
    "many words": "the cat sleeps and " * 600,
    "markup": "<script>window.bad = 1</script><img src=x onerror='window.bad = 1'>",
    "emoji": "👩‍👩‍👧‍👦 🐈‍⬛ sleeps 🏳️‍🌈",
    "right to left": "\u202eالقط ينام שלום the cat",
    "control": "the\u0000cat\u200b\ufeffsleeps",
    "template": "${window.bad = 1} {{7*7}} `x` $& \\",
    "property": "__proto__ constructor toString",
}


@pytest.mark.parametrize("text", ABSURD.values(), ids=ABSURD)
def test_absurd_input_leaves_the_page_whole(browser, address, text):
    with opened(browser, address + "index.html", LIVE) as page:
        page.set_viewport_size(PHONE)
        before = page.locator("body *").count()
        part(page, "input[type=text]").fill(text)
        assert part(page, ".tr-message").inner_text().strip()
        assert page.evaluate("window.bad") is None
        assert part(page, ".wa-widget script, .wa-widget img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        part(page, "input[type=text]").fill("the cat sleeps")
        assert len(columns(page)) >= 3
        assert page.locator("body *").count() == before


def test_the_widget_fits_a_phone_and_answers_to_touch(browser, address):
    with opened(browser, address + "index.html", LIVE, has_touch=True, is_mobile=True) as page:
        page.set_viewport_size(PHONE)
        part(page, "input[type=range]").fill("3")
        part(page, ".tr-chips button").first.tap()
        assert part(page, "input[type=text]").input_value() == " ".join([*GROWTH, "and "])
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_picture_follows_the_theme_and_reduced_motion(browser, address):
    with opened(browser, address + "index.html", LIVE, color_scheme="dark", reduced_motion="reduce") as page:
        colour = "getComputedStyle(document.querySelector('.wa-widget')).backgroundColor"
        assert page.evaluate(colour) == page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert page.evaluate("document.getAnimations().length") == 0
        dark = page.evaluate(colour)
        page.evaluate("document.documentElement.dataset.theme = 'light'")
        assert page.evaluate(colour) != dark
        part(page, ".tr-examples button").click()
        assert page.evaluate("document.getAnimations().length") == 0
        assert part(page, ".tr-new").count() == 0


@pytest.mark.parametrize(
    ("name", "theme"), [("index.html", "light"), ("index.html", "dark"), ("notebook.html", "light")]
)
def test_axe_finds_nothing_before_and_after_use(browser, address, name, theme):
    with opened(browser, address + name, LIVE, reduced_motion="reduce") as page:
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        check_access(page, ".wa-live")
        part(page, "input[type=text]").fill("the platypus")
        part(page, "input[type=text]", 1).fill(" ".join(GROWTH))
        page.locator(".wa-share button").first.click()
        check_access(page, ".wa-live")


# --- the host --------------------------------------------------------------------------------------------------------


def test_only_pages_with_widgets_load_their_scripts(folder):
    for name, expected in (("index", True), ("notebook", True), ("plain", False)):
        text = (folder / f"{name}.html").read_text("utf-8")
        assert ("widgets/host.js" in text) == ("widgets/core.css" in text) == expected
        assert "widget-state+json" not in text
        assert "unpkg" not in text
        assert "jsdelivr" not in text


def test_texts_and_states_are_written_once(folder):
    names = sorted(file.name for file in (folder / "_static" / "widgets").iterdir())
    states = [name for name in names if name.startswith("state-")]
    assert len(states) == 2  # the two figures of the first page share one
    scripts = {"core.js", "decoders.js", "host.js", "sentence.js", "translator.js"}
    assert set(names) - set(states) == scripts | {"core.css", "sentence.css", "translator.css"}


def test_the_page_needs_nothing_but_its_own_files(browser, address):
    def answer(route):
        route.fulfill(response=(found := route.fetch()), headers=found.headers | {"content-security-policy": CSP})

    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        record = watch(page)
        page.route(f"{address}**", answer)
        page.goto(address + "index.html")
        page.wait_for_selector("#widget-translator[data-live]")
        part(page, ".tr-examples button").click()
        assert len(columns(page)) >= 6
        assert record.problems(address) == []


def test_the_page_works_from_a_folder_on_disk(browser, folder):
    with opened(browser, (folder / "index.html").as_uri(), LIVE) as page:
        part(page, ".tr-examples button").click()
        assert len(columns(page)) >= 6


@pytest.mark.parametrize("name", ["index.html", "notebook.html"])
def test_without_javascript_the_picture_and_one_sentence_remain(browser, address, name):
    with opened(browser, address + name, live=None, java_script_enabled=False) as page:
        figure = page.locator(".wa-live").first
        assert figure.locator("svg, img").first.is_visible()
        assert figure.locator(".wa-note").inner_text() == "This is a still picture. The live figure needs JavaScript."
    page_text = "has 3 words; the model gets 0 of 3" if name == "index.html" else "has 6 words; the model gets 0 of 6"
    with opened(browser, address + name, live=None, java_script_enabled=False) as page:
        picture = page.locator(".wa-live").first.locator("svg, img").first
        assert page_text in (picture.get_attribute("aria-label") or picture.get_attribute("alt"))


@pytest.mark.parametrize("broken", ["state-*.js", "core.js", "decoders.js", "sentence.js", "translator.js"])
def test_a_widget_that_fails_leaves_its_picture_and_says_so(browser, address, broken):
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.route(
            f"**/{broken}", lambda route: route.fulfill(body="{ this is no script", content_type="text/javascript")
        )
        page.goto(address + "index.html")
        page.wait_for_selector("#widget-translator[data-failed]")
        assert part(page, "svg").first.is_visible()
        assert part(page, ".wa-note").inner_text() == (
            "The live version of this figure could not start here; this is its still picture."
        )
        assert part(page, ".wa-widget").count() == 0


def test_one_widget_that_fails_does_not_stop_another(browser, address):
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.add_init_script(
            "addEventListener('DOMContentLoaded',"
            " () => { document.querySelector('.wa-live').dataset.state = 'nonesuch' })"
        )
        page.goto(address + "index.html")
        page.wait_for_selector("#widget-translator[data-failed]")
        page.wait_for_selector("#widget-translator-2[data-live]")
        assert len(columns(page, 1)) >= 3


def test_in_print_the_picture_stands(page):
    page.emulate_media(media="print")
    assert part(page, ".wa-still svg").first.is_visible()
    assert not part(page, ".wa-widget").is_visible()


def test_a_state_goes_into_the_address_and_comes_back(browser, address):
    with opened(browser, address + "index.html", LIVE) as page:
        part(page, "input[type=text]", 1).fill("the dog eats a red pear")
        page.locator(".wa-share button").nth(1).click()
        shared = page.url
    assert shared.endswith("#widget-translator-2?sentence=the+dog+eats+a+red+pear")
    with opened(browser, shared, live="#widget-translator-2") as page:
        assert part(page, "input[type=text]", 1).input_value() == "the dog eats a red pear"
        assert page.evaluate("scrollY") > 0
        page.evaluate("location.hash = '#widget-translator-2?sentence=the+cat'")
        expect(part(page, "input[type=text]", 1)).to_have_value("the cat")
        page.evaluate("location.hash = '#widget-translator?sentence=my+dog'")
        expect(part(page, "input[type=text]")).to_have_value("my dog")
        page.go_back()
        expect(part(page, "input[type=text]", 1)).to_have_value("the cat")


@pytest.mark.parametrize(
    "hash",
    [
        "widget-translator?trained=5&weights=null&kind=LookBack&nonesuch=1",
        "widget-translator?sentence=" + "x" * 9000,
        "widget-translator?sentence=%3Cscript%3Ewindow.bad%3D1%3C%2Fscript%3E",
        "widget-translator?%E0%A4%A",
        "nonesuch?sentence=the+cat",
        "?",
        "a-page-with-widgets?sentence=the+cat",
    ],
)
def test_an_absurd_address_does_no_harm(browser, address, hash):
    with opened(browser, f"{address}index.html#{hash}", LIVE) as page:
        assert page.evaluate("window.bad") is None
        assert len(part(page, "input[type=text]").input_value()) <= 2000
        part(page, "input[type=text]").fill("the cat sleeps")
        assert len(columns(page)) >= 3
        assert "trained on at most" not in part(page, ".tr-score").inner_text()


def test_a_notebook_shows_what_it_stored(browser, address):
    widget = translator()
    widget.sentence = "the dog eats a red pear"
    with opened(browser, address + "notebook.html", LIVE) as page:
        page.wait_for_selector("#widget-translator-2[data-live]")
        assert columns(page) == columns(page, 1) == compare(widget.truth, widget.translation)
        part(page, "input[type=text]").fill("the cat sleeps")
        assert part(page, "input[type=text]", 1).input_value() == "the cat sleeps"  # two views of one object
        assert page.get_by_text("This control runs Python code").is_visible()
        image = page.locator(".wa-live img").first
        assert image.get_attribute("alt").startswith('"the dog eats a red pear" has 6 words')


WRONG = {
    "translator\n:state: tests.test_widgets:nonesuch": "AttributeError: .*nonesuch",
    "translator\n:state: nonsense": "ValueError: state must be 'package.module:function' or a file.json",
    "translator\n:state: tests.test_widgets:model": "TypeError: tests.test_widgets:model must give a dict",
    "translator\n:state: nonesuch.json": "FileNotFoundError",
    "nonesuch\n:state: tests.test_widgets:arguments": "ValueError: there is no widget 'nonesuch'",
}


def test_a_widget_that_cannot_be_built_is_an_error_with_its_place(tmp_path):
    (tmp_path / "conf.py").write_text(CONF.replace('["style"]', "[]").replace('["tokens.css"]', "[]"), "utf-8")
    page = "# Page\n" + "".join(f"\n```{{widget}} {options}\n```\n" for options in WRONG)
    (tmp_path / "index.md").write_text(page, "utf-8")
    built = build(tmp_path, tmp_path / "out", "--keep-going")
    assert built.returncode != 0
    for number, (options, message) in enumerate(WRONG.items()):
        place = f"index.md:{3 + 4 * number}: ERROR: widget '{options.split()[0]}': "
        assert re.search(re.escape(place) + message, built.stderr), built.stderr


# --- the book --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["book/02_bottleneck.html", "notebooks/02_bottleneck.html"])
def test_the_chapters_pages_run_the_trained_model(browser, site, name):
    widget = Translator(**bottleneck.widget())
    still = {"reduced_motion": "reduce", "quiet": False}  # tests of the site watch what its pages load
    with opened(browser, f"{site}{name}#widget-translator", LIVE, **still) as page:
        for text in (*widget.examples, " ".join(widget.growth[:3])):
            part(page, "input[type=text]").fill(text)
            widget.sentence = text
            assert columns(page) == compare(widget.truth, widget.translation)
        part(page, "input[type=range]").fill("1")
        assert part(page, "input[type=text]").input_value() == widget.growth[0]
        check_access(page, ".wa-live")


def test_equations_come_after_the_widget_that_the_address_names(browser, site):
    with opened(browser, f"{site}book/02_bottleneck.html#widget-translator", LIVE, quiet=False) as page:
        settle(page)
        live, equations = page.evaluate(
            """() => [performance.getEntriesByName("live:widget-translator")[0],
                performance.getEntriesByType("resource").find(entry => entry.name.includes("tex-chtml.js"))
            ].map(entry => entry.startTime)"""
        )
        assert live < equations
        assert page.locator("mjx-container").count() > 20


def test_equations_are_set_on_a_page_whose_widgets_cannot_start(browser, site):
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.route("**/host.js*", lambda route: route.abort())
        page.goto(f"{site}book/02_bottleneck.html#widget-translator")
        settle(page)
        assert page.locator("mjx-container").count() > 20


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_widget_is_ready_and_answers_in_time(browser, address):
    """The budgets with room for a busy machine; `make bench` measures them."""
    with opened(browser, address + "index.html", LIVE) as page:
        assert page.evaluate("performance.getEntriesByName('live:widget-translator')[0].startTime") < 5000
        part(page, "input[type=range]").fill("3")
        took = page.evaluate(
            """async () => {
                const box = document.querySelector(".wa-live input"), times = [];
                for (let i = 0; i < 20; i++) {
                    const from = performance.now();
                    box.value = i % 2 ? "the cat sleeps and the dog sings" : "the cat sleeps";
                    box.dispatchEvent(new Event("input"));
                    times.push(performance.now() - from);
                }
                return times.sort((a, b) => a - b)[10];
            }"""
        )
        assert took < 50
