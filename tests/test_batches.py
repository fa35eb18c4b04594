from collections import Counter
from typing import NamedTuple

import pytest
import torch
from torch.testing import assert_close

from attention_src.data.batches import Bitext, pad
from attention_src.data.vocabulary import BEGIN, END, UnknownWordError, Vocabulary


class Pair(NamedTuple):
    source: tuple[str, ...]
    target: tuple[str, ...]


WORDS = Vocabulary([f"w{number:03}" for number in range(300)])


def pairs(count):
    """Pair number n: n is written in its first word, and the target is one word longer."""
    return [Pair((f"w{n:03}",) * (1 + n % 7), (f"w{n:03}",) * (2 + n % 7)) for n in range(count)]


def test_a_batch_by_hand():
    a, b = WORDS.encode(["w000", "w001"])
    bitext = Bitext([Pair(("w000",), ("w001", "w000")), Pair(("w001", "w000"), ("w000",))], WORDS, WORDS, size=2)
    (batch,) = bitext.in_order()
    assert_close(batch.source, torch.tensor([[a, 0], [b, a]]))
    assert_close(batch.source_mask, torch.tensor([[True, False], [True, True]]))
    assert_close(batch.given, torch.tensor([[BEGIN, b, a], [BEGIN, a, 0]]))
    assert_close(batch.wanted, torch.tensor([[b, a, END], [a, END, 0]]))
    assert_close(batch.target_mask, torch.tensor([[True, True, True], [True, True, False]]))


def test_every_pair_once_in_an_epoch_and_pairs_stay_together():
    bitext = Bitext(pairs(211), WORDS, WORDS, size=8, seed=3)
    assert len(bitext) == 27
    seen = Counter()
    for step in range(27, 54):  # the second epoch
        batch = bitext.batch_at(step)
        assert_close(batch.source[:, 0], batch.wanted[:, 0])
        seen.update(batch.source[:, 0].tolist())
    assert seen == Counter(WORDS.encode([f"w{n:03}" for n in range(211)]))


def test_a_step_gives_the_same_batch_in_any_order():
    bitext, other = (Bitext(pairs(50), WORDS, WORDS, size=8, seed=3) for _ in range(2))
    forward = [bitext.batch_at(step) for step in range(20)]
    backward = [other.batch_at(step) for step in reversed(range(20))][::-1]
    assert_close(forward, backward)


def test_the_seed_changes_the_order():
    first, second = (Bitext(pairs(50), WORDS, WORDS, size=50, seed=seed).batch_at(0) for seed in (3, 4))
    assert sorted(first.source[:, 0].tolist()) == sorted(second.source[:, 0].tolist())
    assert first.source[:, 0].tolist() != second.source[:, 0].tolist()


def test_batches_hold_sentences_of_about_the_same_length():
    bitext = Bitext(pairs(280), WORDS, WORDS, size=8)
    fill = [bitext.batch_at(step).source_mask.float().mean() for step in range(len(bitext))]
    assert sum(fill) / len(fill) > 0.9  # unsorted batches of these lengths are filled to 0.6


def test_the_order_within_an_epoch_is_not_by_length():
    bitext = Bitext(pairs(280), WORDS, WORDS, size=8)
    lengths = [bitext.batch_at(step).source.shape[1] for step in range(len(bitext))]
    assert lengths != sorted(lengths)


def test_in_order_keeps_the_order():
    bitext = Bitext(pairs(20), WORDS, WORDS, size=8)
    first = torch.cat([batch.source[:, 0] for batch in bitext.in_order()])
    assert first.tolist() == WORDS.encode([f"w{n:03}" for n in range(20)])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="pairs is empty"):
        Bitext([], WORDS, WORDS, size=8)
    with pytest.raises(ValueError, match="size must be at least 1, but is 0"):
        Bitext(pairs(3), WORDS, WORDS, size=0)
    with pytest.raises(UnknownWordError, match="'cow'"):
        Bitext([Pair(("cow",), ("w000",))], WORDS, WORDS, size=1)
    with pytest.raises(ValueError, match="rows is empty"):
        pad([])
    with pytest.raises(ValueError, match=r"rows\[1\] has no words"):
        pad([[3], []])
