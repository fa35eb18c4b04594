"""Exercises of chapter 02: the state of the last word, the decoder's input in training, a loss without padding;
short sentences alone or long ones too.
"""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from attention_src.bottleneck import VectorEveryStep
from attention_src.data.translation import corpus
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.bottleneck import NAME, build
from attention_src.experiments.protocol import PLAN, quality, train


def last_states(states: Tensor, mask: Tensor) -> Tensor:
    """Pick each sentence's state at its last word: (batch, source, hidden) and (batch, source) give (batch, hidden)."""
    last = mask.sum(dim=1) - 1
    return states[torch.arange(len(states)), last]


def teacher_forcing(target: Tensor, begin: int, end: int) -> tuple[Tensor, Tensor]:
    """Make what the decoder is given and what it should say from (batch, target), both one column longer."""
    column = target.new_ones(len(target), 1)
    return torch.cat([begin * column, target], dim=1), torch.cat([target, end * column], dim=1)


def loss_without_padding(logits: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Average -log p of the wanted word over the words of the batch; padding does not count."""
    log_p = logits.log_softmax(dim=-1).gather(-1, wanted[..., None])[..., 0]
    return -(log_p * mask).sum() / mask.sum()


def trained_up_to(longest: int, run: Run) -> Measures:
    """Train on 3 to ``longest`` words; test on short and longer ones."""
    count, steps = SETTINGS["pairs"], SETTINGS["steps"]
    some = corpus(NAME, count, seed=run.seed, longest=longest)
    torch.manual_seed(run.seed)
    model = build(VectorEveryStep)
    train(model, some.train, NAME, run, replace(PLAN, steps=steps))
    tests = {band: some.bands[band] for band in ((3, 10), (11, 20))}
    return quality(model, tests, NAME)


SETTINGS = {"pairs": 10_000, "steps": 500}
PARTS = {"short": partial(trained_up_to, 10), "longer": partial(trained_up_to, 20)}
RULES = [
    Rule(
        "short-alone-wins-on-short",
        "Trained on 3 to 10 words, the BLEU on 3 to 10 words is higher than trained on 3 to 20.",
        lambda m: m["short"]["bleu"]["3-10"] > m["longer"]["bleu"]["3-10"],
        at_least=3,
        of=3,
    ),
    Rule(
        "short-alone-loses-on-longer",
        "On 11 to 20 words it is lower.",
        lambda m: m["short"]["bleu"]["11-20"] < m["longer"]["bleu"]["11-20"],
        at_least=3,
        of=3,
    ),
]
TOLERANCE = {"*": Tolerance(absolute=10.0)}


def _some_states() -> Tensor:
    return torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))


def _takes_the_last_column_of_full_rows(answer):
    """a sentence without padding gives the state of its last word."""
    states = _some_states()
    assert_close(answer(states, torch.ones(2, 3, dtype=torch.bool)), states[:, 2])


def _skips_the_padding(answer):
    """a shorter sentence gives the state of its own last word, not a row of the padding."""
    states = _some_states()
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert_close(answer(states, mask), torch.stack([states[0, 2], states[1, 0]]))


def _ignores_what_padding_holds(answer):
    """what stands in the padding changes nothing."""
    states, mask = _some_states(), torch.tensor([[True, True, False], [True, False, False]])
    other = states.masked_fill(~mask[..., None], -1e9)
    assert_close(answer(other, mask), answer(states, mask))


def _begins_with_the_mark(answer):
    """what the decoder is given begins with the begin mark and goes on with the target."""
    given, _ = answer(torch.tensor([[7, 8], [9, 5]]), 1, 2)
    assert_close(given, torch.tensor([[1, 7, 8], [1, 9, 5]]))


def _ends_with_the_mark(answer):
    """what it should say is the target and then the end mark."""
    _, wanted = answer(torch.tensor([[7, 8], [9, 5]]), 1, 2)
    assert_close(wanted, torch.tensor([[7, 8, 2], [9, 5, 2]]))


def _never_sees_its_answer(answer):
    """at each place the word that is given is the one before the word that is wanted."""
    given, wanted = answer(torch.arange(10, 16).view(2, 3), 1, 2)
    assert given.shape == wanted.shape, f"given has shape {tuple(given.shape)}, wanted {tuple(wanted.shape)}"
    assert_close(given[:, 1:], wanted[:, :-1])


def _is_the_surprise_of_the_right_word(answer):
    """a word to which the model gives the probability 1/4 costs log 4."""
    found = answer(torch.zeros(1, 1, 4), torch.tensor([[2]]), torch.tensor([[True]]))
    assert_close(found, torch.tensor(4.0).log())


def _padding_costs_nothing(answer):
    """padding costs nothing, whatever the model says there."""
    logits = torch.zeros(2, 3, 4)
    logits[1, 1:, 0] = -50.0  # very wrong, but in the padding
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert_close(answer(logits, torch.zeros(2, 3, dtype=torch.long), mask), torch.tensor(4.0).log())


def _counts_words_and_not_sentences(answer):
    """each word counts the same, in a long sentence and in a short one."""
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor([[1, 2, 3], [4, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert_close(answer(logits, wanted, mask), cross_entropy(logits[mask], wanted[mask]))


check_last_states = Checker(
    "last_states", [_takes_the_last_column_of_full_rows, _skips_the_padding, _ignores_what_padding_holds]
)
check_teacher_forcing = Checker("teacher_forcing", [_begins_with_the_mark, _ends_with_the_mark, _never_sees_its_answer])
check_loss_without_padding = Checker(
    "loss_without_padding",
    [_is_the_surprise_of_the_right_word, _padding_costs_nothing, _counts_words_and_not_sentences],
)
