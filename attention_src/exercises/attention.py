"""Exercises of chapter 03: a softmax with a mask, the mask of a decoder, the softmax's gradient, random choices;
a trained translator at other temperatures.
"""

import copy

import torch
from torch import Tensor
from torch.testing import assert_close

from attention_src.attention import attend
from attention_src.bottleneck import LookBack
from attention_src.data.translation import GRAMMARS, pairs
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.bottleneck import NAME, load_translator
from attention_src.experiments.protocol import quality


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Turn scores (q, k) into weights; mask (q, k) is True where a query may look, and an empty row gives zeros."""
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(dim=-1) * mask


def decoder_mask(lengths: Tensor, longest: int) -> Tensor:
    """Make the mask (batch, longest, longest): words only, and no place after the one that looks."""
    places = torch.arange(longest)
    return (places < lengths[:, None, None]) & (places <= places[:, None])


def softmax_gradient(weights: Tensor, gradient: Tensor) -> Tensor:
    """From weights (q, k) and the loss's gradient by them (q, k), give its gradient by the scores (q, k)."""
    average = (weights * gradient).sum(dim=-1, keepdim=True)
    return weights * (gradient - average)


def average_of_choices(weights: Tensor, value: Tensor, draws: int) -> Tensor:
    """Choose a row of value (k, v) ``draws`` times by the probabilities weights (k), and average what was chosen."""
    z = torch.multinomial(weights, draws, replacement=True)
    return value[z].mean(dim=0)


def at_temperature(model: LookBack, temperature: float) -> LookBack:
    """Give the same translator with all scores divided by the temperature."""
    twin = copy.copy(model)

    def context(state, memory):
        scores = state[:, None] @ memory.key.mT / temperature
        mixture, weights = attend(scores, memory.value, memory.mask[:, None])
        return mixture[:, 0], weights[:, 0]

    twin.context = context
    return twin


def temperatures(run: Run) -> Measures:
    """Measure BLEU on new sentences, at each temperature."""
    model = load_translator("bottleneck-look-back")
    grammar, count, (low, high) = GRAMMARS[NAME], SETTINGS["pairs"], SETTINGS["lengths"]
    some = pairs(grammar, count, f"temperatures {run.seed}", low, high)

    def at(temperature: float) -> float:
        twin = at_temperature(model, temperature)
        found = quality(twin, {(low, high): some}, NAME)
        return found["bleu"][f"{low}-{high}"]

    return {"bleu": [at(t) for t in SETTINGS["temperatures"]]}


SETTINGS = {"lengths": [11, 20], "pairs": 200, "temperatures": [0.25, 0.5, 1, 2, 4]}
PARTS = {"temperatures": temperatures}
RULES = [
    Rule(
        "cold-changes-little",
        "At 0.25 and at 0.5, BLEU is within 2 points of what it is at 1.",
        lambda m: all(abs(bleu - m["temperatures"]["bleu"][2]) <= 2 for bleu in m["temperatures"]["bleu"][:2]),
    ),
    Rule(
        "hot-hurts",
        "At 4, BLEU is more than 10 points lower than at 1.",
        lambda m: m["temperatures"]["bleu"][4] < m["temperatures"]["bleu"][2] - 10,
    ),
]
TOLERANCE = {"*": Tolerance(absolute=3.0)}


def _numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def _all(*shape: int) -> Tensor:
    return torch.ones(*shape, dtype=torch.bool)


def _is_right_by_hand(answer):
    """scores log 3 and log 1 give the weights 3/4 and 1/4."""
    assert_close(answer(torch.tensor([[3.0, 1.0]]).log(), _all(1, 2)), torch.tensor([[0.75, 0.25]]))


def _sums_over_keys(answer):
    """each row, which belongs to one query, sums to one: the softmax runs over the keys, the last axis."""
    assert_close(answer(_numbers(2, 3), _all(2, 3)).sum(dim=-1), torch.ones(2))


def _true_means_may_look(answer):
    """True means may look: a key whose mask is False gets the weight zero, and the others share what is left."""
    found = answer(torch.tensor([[9.0, 2.0, 1.0]]).log(), torch.tensor([[False, True, True]]))
    assert_close(found, torch.tensor([[0.0, 2 / 3, 1 / 3]]))


def _an_empty_row_is_zero(answer):
    """a query that may look at nothing gets zero weights, not NaN and not equal shares."""
    assert_close(answer(_numbers(2, 3), torch.tensor([[False] * 3, [True] * 3]))[0], torch.zeros(3))


def _an_empty_row_can_be_trained(answer):
    """the gradients stay finite, also when one query may look at nothing."""
    scores = _numbers(2, 3).requires_grad_()
    (answer(scores, torch.tensor([[False] * 3, [True, True, False]])) * _numbers(2, 3)).sum().backward()
    assert scores.grad.isfinite().all(), f"the gradient is {scores.grad.tolist()}"


def _a_low_score_beats_a_hidden_key(answer):
    """a key that may be seen gets all the weight if it is the only one, however low its score."""
    found = answer(torch.tensor([[-2e9, 0.0]]), torch.tensor([[True, False]]))
    assert_close(found, torch.tensor([[1.0, 0.0]]))


def _large_scores_stay_finite(answer):
    """scores of 10,000 and -10,000 give finite weights."""
    assert_close(answer(torch.tensor([[1e4, -1e4, 1e4]]), _all(1, 3)), torch.tensor([[0.5, 0.0, 0.5]]))


def _leaves_its_arguments_alone(answer):
    """what the caller passed is not written to."""
    scores, mask = _numbers(2, 3), torch.tensor([[True, False, True], [False, True, True]])
    before = scores.clone()
    answer(scores, mask)
    assert_close(scores, before)


def _has_one_table_for_each_sentence(answer):
    """the mask has the axes (batch, query, key) and is boolean."""
    found = answer(torch.tensor([2, 3]), 3)
    assert found.dtype == torch.bool, f"its type is {found.dtype}"
    assert found.shape == (2, 3, 3), f"its shape is {tuple(found.shape)}"


def _looks_at_itself_and_back(answer):
    """without padding, a place may look at itself and at all places before it, and at none after it."""
    assert answer(torch.tensor([3]), 3)[0].tolist() == [[True, False, False], [True, True, False], [True, True, True]]


def _never_looks_at_padding(answer):
    """no place may look at the padding of its sentence, and a sentence of two words has two that can be seen."""
    found = answer(torch.tensor([2, 1]), 3)
    assert found[0].tolist() == [[True, False, False], [True, True, False], [True, True, False]]
    assert found[1].tolist() == [[True, False, False]] * 3


def _is_zero_for_equal_gradients(answer):
    """if the loss asks the same of all weights, no score moves: the weights sum to one anyway."""
    assert_close(answer(torch.tensor([[0.5, 0.3, 0.2]]), torch.full((1, 3), 7.0)), torch.zeros(1, 3))


def _counts_what_one_score_does_to_other_weights(answer):
    """with weights 1/2 and 1/2, asking for more of the first raises its score by 1/4 and lowers the other's by 1/4."""
    assert_close(answer(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])), torch.tensor([[0.25, -0.25]]))


def _agrees_with_autograd(answer):
    """it is what autograd finds, for several queries at once."""
    scores, gradient = _numbers(2, 5).requires_grad_(), _numbers(2, 5).flip(0)
    weights = scores.softmax(dim=-1)
    weights.backward(gradient)
    assert_close(answer(weights.detach(), gradient), scores.grad)


def _one_choice_is_one_row(answer):
    """one draw gives one whole row of value: all its numbers come from the same place."""
    value = torch.arange(15.0).view(5, 3).square()  # squares: the mean of all rows is no row
    for seed in range(20):
        torch.manual_seed(seed)
        found = answer(torch.full((5,), 0.2), value, 1)
        assert any(torch.equal(found, row) for row in value), f"{found.tolist()} is no row of value"


def _never_chooses_what_has_no_weight(answer):
    """a place of weight zero is never chosen, and one of weight one always."""
    value = torch.tensor([[1.0], [2.0], [3.0]])
    torch.manual_seed(0)
    assert_close(answer(torch.tensor([0.0, 1.0, 0.0]), value, 50), torch.tensor([2.0]))


def _comes_to_the_expectation(answer):
    """many draws come close to the expectation, which is the soft mixture."""
    weights, value = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([[1.0, 0.0], [0.0, 10.0], [5.0, 5.0]])
    torch.manual_seed(0)
    assert_close(answer(weights, value, 200_000), weights @ value, rtol=0, atol=0.1)


def _is_still_random(answer):
    """two means of a few draws differ: choices are random, the mixture is not."""
    torch.manual_seed(0)
    means = {tuple(answer(torch.full((3,), 1 / 3), torch.eye(3), 5).tolist()) for _ in range(20)}
    assert len(means) > 1, "20 means of 5 draws were all the same"


check_masked_softmax = Checker(
    "masked_softmax",
    [
        _is_right_by_hand,
        _sums_over_keys,
        _true_means_may_look,
        _an_empty_row_is_zero,
        _an_empty_row_can_be_trained,
        _a_low_score_beats_a_hidden_key,
        _large_scores_stay_finite,
        _leaves_its_arguments_alone,
    ],
)
check_decoder_mask = Checker(
    "decoder_mask", [_has_one_table_for_each_sentence, _looks_at_itself_and_back, _never_looks_at_padding]
)
check_softmax_gradient = Checker(
    "softmax_gradient",
    [_is_zero_for_equal_gradients, _counts_what_one_score_does_to_other_weights, _agrees_with_autograd],
)
check_average_of_choices = Checker(
    "average_of_choices",
    [_one_choice_is_one_row, _never_chooses_what_has_no_weight, _comes_to_the_expectation, _is_still_random],
)
