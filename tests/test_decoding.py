from itertools import product
from typing import NamedTuple

import pytest
import torch
from torch.testing import assert_close

from attention_src.decoding import Marks, beam, greedy, pick

BEGIN, END = 0, 1
MARKS = Marks(BEGIN, END)


class Said(NamedTuple):
    logits: torch.Tensor
    state: tuple
    weights: torch.Tensor | None


def start(batch):
    """The place and the word before the last, in the form of a nested state."""
    return (torch.zeros(batch, dtype=torch.long), torch.full((batch,), BEGIN))


class Table:
    """A decoder whose next word depends on the two words before, on the place, and on the source: a table of logits."""

    def __init__(self, batch=3, longest=4, words=5, seed=1):
        random = torch.Generator().manual_seed(seed)
        self.logits = torch.randn(batch, longest, words, words, words, generator=random, dtype=torch.float64) * 2
        self.source = torch.arange(batch)  # the memory: which sentence a row belongs to

    def start(self):
        return start(len(self.source))

    def step(self, token, state, memory):
        place, before = state
        weights = torch.stack([memory, place, token], dim=1).double()  # a row that tells where it was made
        return Said(self.logits[memory, place, before, token], (place + 1, token), weights)

    def log_probability(self, sentence, said):
        words = [BEGIN, BEGIN, *said]
        return sum(
            float(self.logits[sentence, place, words[place], words[place + 1]].log_softmax(-1)[word])
            for place, word in enumerate(said)
        )


def everything(longest, words):
    """Every sequence that ends with the end mark or reaches ``longest`` words."""
    for length in range(1, longest + 1):
        for body in product([word for word in range(words) if word != END], repeat=length - 1):
            yield (*body, END)
    yield from product([word for word in range(words) if word != END], repeat=longest)


@pytest.mark.parametrize("power", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_best_of_all_sentences(power, seed):
    table = Table(seed=seed)
    found = beam(table.step, table.start(), table.source, MARKS, longest=4, width=5**4, length_power=power)
    for sentence, one in enumerate(found):
        best = max(everything(4, 5), key=lambda said: table.log_probability(sentence, said) / len(said) ** power)
        assert one.tokens == [word for word in best if word != END]
        assert one.log_probability == pytest.approx(table.log_probability(sentence, best))


def test_length_normalisation_matters():  # else the test above could not tell the two powers apart
    table = Table()
    found = [
        [one.tokens for one in beam(table.step, table.start(), table.source, MARKS, 4, width=99, length_power=power)]
        for power in (0.0, 1.0)
    ]
    assert found[0] != found[1]


@pytest.mark.parametrize("seed", range(5))
def test_greedy_takes_the_best_word_each_time(seed):
    table = Table(seed=seed, longest=6)
    for sentence, one in enumerate(greedy(table.step, table.start(), table.source, MARKS, longest=6)):
        words = [BEGIN, BEGIN]
        while len(words) < 8 and words[-1] != END:
            words.append(int(table.logits[sentence, len(words) - 2, words[-2], words[-1]].argmax()))
        said = words[2:]
        assert one.tokens == [word for word in said if word != END]
        assert one.log_probability == pytest.approx(table.log_probability(sentence, said))


@pytest.mark.parametrize("width", [1, 2, 4])
def test_weights_follow_their_own_hypothesis(width):
    table = Table(longest=6, words=7, seed=2)
    for sentence, one in enumerate(beam(table.step, table.start(), table.source, MARKS, longest=6, width=width)):
        steps = len(one.weights)
        fed = [BEGIN, *one.tokens][:steps]  # each row was made while this word was fed in
        expected = [[sentence, place, token] for place, token in enumerate(fed)]
        assert_close(one.weights, torch.tensor(expected).double())
        assert steps == min(len(one.tokens) + 1, 6)


def test_a_sentence_is_cut_at_the_longest():
    table = Table(longest=6)
    table.logits[..., END] = -1e9
    assert [len(one.tokens) for one in greedy(table.step, table.start(), table.source, MARKS, longest=6)] == [6, 6, 6]


def test_sentences_do_not_disturb_each_other():
    table = Table(batch=3, longest=6)
    together = beam(table.step, table.start(), table.source, MARKS, longest=6, width=3)
    for sentence in range(3):
        (alone,) = beam(table.step, start(1), table.source[sentence : sentence + 1], MARKS, longest=6, width=3)
        assert alone.tokens == together[sentence].tokens


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("end", [0.0, -2.0, -1e9])  # sentences end by themselves, seldom, or never
def test_each_sentence_can_have_its_own_longest(width, end):
    table, limits = Table(batch=3, longest=6), torch.tensor([2, 6, 3])
    table.logits[..., END] += end
    together = beam(table.step, table.start(), table.source, MARKS, longest=limits, width=width)
    for sentence, longest in enumerate(limits.tolist()):
        (alone,) = beam(table.step, start(1), table.source[sentence : sentence + 1], MARKS, longest, width)
        assert together[sentence][:2] == alone[:2]
        assert_close(together[sentence].weights, alone.weights)


def test_a_decoder_without_weights():
    table = Table(longest=6)
    step = lambda token, state, memory: table.step(token, state, memory)._replace(weights=None)  # noqa: E731
    assert greedy(step, table.start(), table.source, MARKS, longest=6)[0].weights is None


def test_pick_reaches_into_nests():
    said = Said(torch.arange(3), (torch.arange(3) * 10, None), None)
    assert_close(pick(said, torch.tensor([2, 0])).state[0], torch.tensor([20, 0]))
    assert pick(said, torch.tensor([2, 0])).weights is None


@pytest.mark.parametrize("argument", ["longest", "width"])
def test_bad_arguments_are_named(argument):
    table = Table()
    with pytest.raises(ValueError, match=f"{argument} must be at least 1, but is 0"):
        beam(table.step, table.start(), table.source, MARKS, **{"longest": 4, "width": 2, argument: 0})


def test_nan_is_noticed():
    table = Table()
    table.logits[1] = float("nan")
    with pytest.raises(FloatingPointError, match="logits of step are not finite"):
        greedy(table.step, table.start(), table.source, MARKS, longest=4)
