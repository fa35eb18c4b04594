"""The comparison protocol, and what chapter 02 measures with it, on cases small enough to check by hand."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from attention_src.bottleneck import LookBack, VectorEveryStep
from attention_src.data.translation import ENGLISH_FRENCH, Pair, pairs
from attention_src.experiments import Run, bottleneck, protocol
from attention_src.experiments.protocol import languages, quality, translate
from attention_src.experiments.results import load_model
from attention_src.training import Plan, save_model

NAME = bottleneck.NAME
SENTENCES = ["the black cat sleeps", "a mouse sleeps here", "the man did not find the big red house"]


@pytest.fixture
def some():
    return [ENGLISH_FRENCH.translate(sentence) for sentence in SENTENCES]


@pytest.fixture
def looking():
    torch.manual_seed(0)
    return bottleneck.build(LookBack).eval()


def test_vocabularies_hold_every_word_of_the_grammar():
    source, target = languages(NAME)
    for pair in pairs(ENGLISH_FRENCH, 300, seed=0):
        assert source.decode(source.encode(pair.source)) == list(pair.source)
        assert target.decode(target.encode(pair.target)) == list(pair.target)
    assert len(source) == len(ENGLISH_FRENCH.source_words) + 4


def test_translations_keep_their_order(looking, monkeypatch):
    monkeypatch.setattr(protocol, "LONGEST_ANSWER", 9)
    sources = [tuple(sentence.split()) for sentence in SENTENCES]
    together = [one.tokens for one in translate(looking, sources, NAME)]
    alone = [translate(looking, [source], NAME)[0].tokens for source in sources]
    assert together == alone
    assert len({tuple(tokens) for tokens in together}) > 1


def test_training_follows_the_plan_it_is_given(looking, some):
    assert len(protocol.train(looking, some, NAME, Run(0), Plan(steps=2))) == 2


def test_quality_by_hand(some, monkeypatch):
    """In the first band one of two sentences is right, in the second the only one."""
    answers = {pair.source: pair.target for pair in some} | {some[0].source: ("le", "chat", "dort")}
    words = languages(NAME).target
    monkeypatch.setattr(
        protocol,
        "translate",
        lambda model, sources, name: [SimpleNamespace(tokens=words.encode(answers[s])) for s in sources],
    )
    measures = quality(None, {(3, 4): some[:2], (5, 9): some[2:]}, NAME)
    assert measures["exact"] == {"3-4": 50.0, "5-9": 100.0}
    assert measures["bleu"]["3-4"] < 100
    assert measures["bleu"]["5-9"] == pytest.approx(100)


def test_two_seeds_draw_two_corpora_and_the_same_test_of_lengths(monkeypatch):
    for name, size in (("TRAIN_PAIRS", 60), ("BAND_PAIRS", 5)):
        monkeypatch.setattr(protocol, name, size)
    protocol.splits.cache_clear()
    zero, one = protocol.splits(NAME, 0), protocol.splits(NAME, 1)
    assert protocol.splits(NAME, 0) == zero
    assert zero.train != one.train
    for corpus in (zero, one):
        assert {len(pair.source) for pair in corpus.train} <= set(range(3, 31))
        for (low, high), band in corpus.bands.items():
            assert len(band) == 5
            assert all(low <= len(pair.source) <= high for pair in band)
    protocol.splits.cache_clear()


def test_needs_by_hand(monkeypatch):
    # the target places need the source words 0, 0, 2, 1, 0: three moves in four steps, two of them back
    links = frozenset({(0, 0), (0, 1), (2, 2), (1, 3), (0, 4)})
    pair = Pair(("a", "b", "c"), ("v", "w", "x", "y", "z"), links)
    monkeypatch.setattr(bottleneck, "splits", lambda name, seed: SimpleNamespace(bands={(3, 10): [pair]}))
    assert bottleneck.needs(Run(0)) == {"3-10": pytest.approx({"moves": 3 / 4, "back": 2 / 4, "distance": 1.0})}


def test_weights_of_a_batch_are_those_of_each_pair_alone(looking, some):
    for pair, weights in zip(some, protocol.forced_weights(looking, some, bottleneck.NAME), strict=True):
        assert weights.shape == (len(pair.target) + 1, len(pair.source))
        assert_close(weights.sum(dim=1), torch.ones(len(weights)))
        assert_close(protocol.forced_weights(looking, [pair], bottleneck.NAME)[0], weights)


def test_peaks_by_hand(monkeypatch):
    """The target needs the words 0, 1, 1, 0; the weights are largest on 0, 1, 1, 1, and the end mark is free."""
    pair = Pair(("a", "b"), ("w", "x", "y", "z"), frozenset({(0, 0), (1, 1), (1, 2), (0, 3)}))
    weights = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6], [0.5, 0.5]])
    monkeypatch.setattr(bottleneck, "forced_weights", lambda model, some, name: [weights])
    measures = bottleneck.peaks(None, [pair])
    assert measures == pytest.approx(
        {"on_gold": 3 / 4, "mass": (0.9 + 0.8 + 0.7 + 0.4) / 4, "moves_with_gold": 1 / 2, "moves_without": 0.0}
    )


def test_a_probe_reads_what_is_there_and_nothing_else(monkeypatch):
    """A vector that holds the first word and nothing of the others."""
    monkeypatch.setattr(
        bottleneck, "PROBE", bottleneck.PROBE | {"lengths": [8], "train": 1500, "test": 300, "steps": 200}
    )
    source = languages(NAME).source

    def first_word(model, some):
        words = torch.tensor([source.encode(pair.source) for pair in some])
        return torch.nn.functional.one_hot(words[:, 0], len(source)).float(), words

    monkeypatch.setattr(bottleneck, "read", first_word)
    found = bottleneck.probe(None, seed=0)["length_8"]
    assert found["right"][0] > 0.99
    assert all(right < guess + 0.15 for right, guess in zip(found["right"][2:], found["guess"][2:], strict=True))


def test_the_gain_of_a_third_by_hand():
    measures = {"a": {"probe": {"length_6": {"right": [0.9, 0.7, 0.5, 0.5, 0.2, 0.4], "guess": [0.1] * 6}}}}
    assert [bottleneck.gain(measures, "a", 6, third) for third in range(3)] == pytest.approx([0.7, 0.4, 0.2])


def test_turning_reads_the_source_backwards_and_leaves_the_target(some):
    turned = bottleneck.turned(some)[0]
    assert turned.source == ("sleeps", "cat", "black", "the")
    assert turned.target == some[0].target


def test_a_kept_translator_comes_back(tmp_path, monkeypatch):
    torch.manual_seed(1)
    model = bottleneck.build(VectorEveryStep).eval()
    run = Run(0, keep=lambda name, model, settings: save_model(tmp_path / f"{name}.safetensors", model, settings))
    bottleneck.keep(run, "small", model)
    monkeypatch.setattr(bottleneck, "load_model", partial(load_model, folder=tmp_path))
    again = bottleneck.load_translator("small")
    assert type(again) is VectorEveryStep
    assert_close(again.state_dict(), {name: weight.half().float() for name, weight in model.state_dict().items()})


def test_what_the_widget_shows_is_in_the_grammar_and_grows_past_the_trained_lengths():
    lengths = [len(" ".join(bottleneck.GROWTH[:clauses]).split()) for clauses in range(1, len(bottleneck.GROWTH) + 1)]
    for clauses in range(1, len(bottleneck.GROWTH) + 1):
        ENGLISH_FRENCH.translate(" ".join(bottleneck.GROWTH[:clauses]))
    assert lengths[0] <= 5
    assert lengths[-1] > protocol.LONGEST
    assert np.diff(lengths).min() >= 4


def test_the_kept_models_are_small_enough_for_a_page():
    for name in ("bottleneck-fixed", "bottleneck-look-back"):
        assert sum(weight.numel() for weight in bottleneck.load_translator(name).parameters()) <= 150_000
