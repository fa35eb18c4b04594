"""The widgets on the Python side: what travels to the page, what is refused, and how it is said."""

import base64
import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from traitlets import TraitError

from attention_src.bottleneck import FirstStateOnly, LookBack, VectorEveryStep
from attention_src.data.grammar import SentenceError
from attention_src.data.translation import ENGLISH_FRENCH
from attention_src.data.vocabulary import BEGIN, END, Vocabulary
from attention_src.decoding import Marks, greedy
from attention_src.plots import PALETTE
from attention_src.widgets import IMPORT, base, parts
from attention_src.widgets.translation import compare
from attention_src.widgets.translator import Translator, wrap

ENGLISH, FRENCH = Vocabulary(ENGLISH_FRENCH.source_words), Vocabulary(ENGLISH_FRENCH.target_words)
GROWTH = ["the cat sleeps", "and the queen loves a small bird", "because we sing"]
NAMES = base.names()


def model(kind=VectorEveryStep, **sizes):
    """A translator with random weights, all its sizes different."""
    torch.manual_seed(11)
    return kind(len(ENGLISH), len(FRENCH), **{"width": 5, "hidden": 8, "vector": 7} | sizes)


def arguments(kind=VectorEveryStep):
    """What the widget is made from, with a random model."""
    return {
        "model": model(kind),
        "source_words": ENGLISH.words,
        "target_words": FRENCH.words,
        "grammar": ENGLISH_FRENCH,
        "growth": GROWTH,
        "examples": ["the dog eats a red pear"],
        "trained": 30,
    }


def translator(kind=VectorEveryStep, **changes):
    """The widget with a random model, with some arguments changed."""
    return Translator(**arguments(kind) | changes)


# --- weights that travel ---------------------------------------------------------------------------------------------


def test_one_tensor_by_hand():
    packed = base.pack({"a": torch.tensor([[1.0, -2.0]])})
    assert packed == {"tensors": [["a", [1, 2]]], "data": base64.b64encode(bytes([0, 0x3C, 0, 0xC0])).decode()}


def test_what_is_unpacked_is_what_was_packed_rounded_to_float16():
    tensors = {"a": torch.randn(2, 3), "b.c": torch.randn(5), "empty": torch.zeros(0, 7), "one": torch.tensor(0.1)}
    unpacked = base.unpack(base.pack(tensors))
    assert list(unpacked) == list(tensors)
    for name, tensor in tensors.items():
        assert unpacked[name].dtype == np.float32
        np.testing.assert_array_equal(unpacked[name], tensor.half().float().numpy())
    assert base.unpack(base.pack({})) == {}


def test_a_model_of_the_largest_size_fits_and_one_more_number_does_not():
    packed = base.pack({"a": np.zeros(base.MAX_PARAMETERS)})
    assert len(packed["data"]) <= base.MAX_BYTES
    with pytest.raises(ValueError, match=r"at most 150,000 parameters.*150,001"):
        base.pack({"a": np.zeros(base.MAX_PARAMETERS), "b": np.zeros(1)})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 65504.0, -1e6])
def test_a_number_that_float16_cannot_hold_is_refused_by_name(bad):
    with pytest.raises(ValueError, match="tensor 'b' must hold numbers that float16 can store"):
        base.pack({"a": np.zeros(2), "b": np.array([1.0, bad])})


def test_weights_of_the_wrong_length_are_refused():
    packed = base.pack({"a": np.zeros(6)})
    packed["tensors"] = [["a", [2, 5]]]
    with pytest.raises(ValueError, match="must hold 10 numbers for the shapes they name; they hold 6"):
        base.unpack(packed)


# --- every widget ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_widget_has_one_class_and_joins_core_with_its_own_file(name):
    assert base.widget_class(name).name() == name
    joined = base.script(name)
    assert "import {" not in joined
    for part in parts(name):
        assert joined.count(IMPORT.sub("", (base.HERE / f"{part}.js").read_text("utf-8"))) == 1
    assert joined.startswith((base.HERE / "core.js").read_text("utf-8"))
    assert joined.count("export default") == 1


def test_an_unknown_widget_is_named_with_those_that_exist():
    for name in ("nonesuch", "core", "decoders"):
        with pytest.raises(ValueError, match=f"no widget '{name}'; the book has: .*translator"):
            base.widget_class(name)


def test_styles_carry_the_palette_for_both_themes_in_jupyterlab():
    css = base.tokens()
    light, dark = css.strip().splitlines()
    assert light.startswith(".wa-widget {")
    assert dark.startswith('[data-jp-theme-light="false"] .wa-widget {')
    for line, theme in ((light, "light"), (dark, "dark")):
        assert all(f"--wa-{name}: {colour};" in line for name, colour in PALETTE[theme].items())
        assert all(f"--wa-weight-{i}: {colour};" in line for i, colour in enumerate(PALETTE["weights"][theme]))


def test_no_style_names_a_colour_of_its_own():
    for file in base.HERE.glob("*.css"):
        assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(", file.read_text("utf-8")), file.name


def test_a_widget_without_picture_or_summary_says_so():
    class Bare(base.Widget):
        @classmethod
        def name(cls):
            return "translator"

    for missing in ("still", "summary"):
        with pytest.raises(NotImplementedError, match=f"Bare needs a {missing}"):
            getattr(Bare(), missing)()


# --- the translator --------------------------------------------------------------------------------------------------


def test_two_sentences_side_by_side_by_hand():
    assert compare("ab", "ab") == [("a", "a"), ("b", "b")]
    assert compare("abc", "ac") == [("a", "a"), ("b", None), ("c", "c")]
    assert compare("a", "xa") == [(None, "x"), ("a", "a")]
    assert compare("abc", "ax") == [("a", "a"), ("b", "x"), ("c", None)]
    assert compare([], ["x"]) == [(None, "x")]
    assert compare("abc", "xa") == [(None, "x"), ("a", "a"), ("b", None), ("c", None)]


def test_lines_are_broken_where_they_are_full():
    assert wrap([3, 4, 2, 9, 1], width=7) == [[0, 3], [0], [0], [0]]
    assert wrap([], width=7) == [[]]


@pytest.mark.parametrize("kind", [FirstStateOnly, VectorEveryStep, LookBack])
def test_the_widget_runs_the_rounded_model(kind):
    trained = model(kind).half().float()
    widget = translator(kind, model=trained)
    assert widget.kind == kind.__name__
    assert widget.sentence == "the cat sleeps"
    assert widget.truth == ["le", "chat", "dort"]
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    source = torch.tensor([ENGLISH.encode(widget.sentence.split())])
    memory, state = trained.encode(source, torch.ones_like(source, dtype=torch.bool))
    said = greedy(trained.step, state, memory, Marks(BEGIN, END), longest=120)[0]
    assert widget.translation == FRENCH.decode(said.tokens)
    assert all(torch.equal(before[name], tensor) for name, tensor in trained.state_dict().items())
    for name, array in base.unpack(widget.weights).items():
        np.testing.assert_array_equal(array, before[name].half().float().numpy())


def test_the_state_is_json_without_what_jupyter_adds():
    state = translator().state()
    assert set(state) == {
        *("weights", "kind", "source_words", "target_words", "grammar", "growth", "examples", "trained", "sentence")
    }
    assert json.loads(json.dumps(state)) == state
    assert state["grammar"] == ENGLISH_FRENCH.to_data()


def test_the_picture_and_its_words_are_the_same_twice():
    first, second = translator(), translator()
    assert repr(first) == repr(second)
    assert repr(first).startswith('Translator: "the cat sleeps" has 3 words; the model gets 0 of 3 target words right')
    assert first.picture() == second.picture()
    data, _ = first._repr_mimebundle_()
    assert data["text/plain"] == repr(first)
    assert base64.b64decode(data["image/png"]) == first.picture()
    second.sentence = "the dog eats a red pear"
    assert first.picture() != second.picture()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": torch.nn.Linear(2, 3)}, TypeError, "model must be one of FirstStateOnly, .* but is a Linear"),
        ({"source_words": ENGLISH.words[:-1]}, ValueError, "source_words must have one word for each of the model's 2"),
        ({"target_words": FRENCH.words[1:]}, ValueError, "target_words must have one word for each of the model's 2"),
        ({"source_words": ["x"] * len(ENGLISH)}, ValueError, "source_words must hold the mark '<s>'"),
        ({"examples": ["the cat sleeps loudly"]}, ValueError, "examples holds 'loudly', which is not among source_wor"),
        ({"examples": ["the cat cat"]}, SentenceError, "cannot be read beyond word 3"),
        ({"growth": ["the cat sleeps", "the cat sleeps"]}, SentenceError, "cannot be read beyond word 4"),
        ({"model": None}, TypeError, "model must be one of"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        translator(**changes)


def test_a_sentence_that_cannot_be_translated_says_why():
    widget = translator()
    widget.sentence = "the platypus sleeps"
    with pytest.raises(ValueError, match="sentence holds 'platypus', which is not in the vocabulary"):
        _ = widget.translation
    widget.sentence = ""
    with pytest.raises(ValueError, match="must have 1 to 60 words to be translated, but has 0"):
        _ = widget.translation
    with pytest.raises(TraitError, match="at most 2000 characters, but has 2001"):
        widget.sentence = "a" * 2001


def test_a_model_that_is_too_large_for_a_page_is_refused():
    with pytest.raises(ValueError, match="at most 150,000 parameters"):
        translator(model=model(hidden=200))


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_host_and_core_stay_below_10_kb_compressed():
    import gzip

    root = Path(__file__).resolve().parents[1]
    files = [base.HERE / "core.js", root / "book" / "_ext" / "widget-host.js"]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 10_000


def test_widgets_take_nothing_from_data():
    for file in base.HERE.glob("*.py"):
        module = importlib.import_module(f"attention_src.widgets.{file.stem}".removesuffix(".__init__"))
        assert "attention_src.data" not in (Path(module.__file__).read_text("utf-8"))
