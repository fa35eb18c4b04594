"""Exercises of chapter 06: a step that looks afterwards, a window, a bell curve over it, a window that is cut out;
which words two windows hold.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.testing import assert_close

from attention_src.data.translation import GRAMMARS, pairs
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.luong import REACH
from attention_src.experiments.protocol import needed_places


def step_then_look(cell, compare, combine, word, state, said, memory):
    """Take one step in Luong's order, with input feeding; give the new state, h~_t and the weights."""
    state = cell(torch.cat([word, said], dim=-1), state)
    weights = compare(state, memory).softmax(dim=-1)
    context = (weights[:, None] @ memory)[:, 0]
    return state, combine(torch.cat([context, state], dim=-1)), weights


def window_weights(scores: Tensor, centre: Tensor, reach: int) -> Tensor:
    """Share out among the words at most ``reach`` from the centre, counted from 1; none there gives zeros."""
    places = torch.arange(1, scores.shape[1] + 1)
    near = (places - centre[:, None]).abs() <= reach
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~near, lowest).softmax(dim=1) * near


def bell_weights(weights: Tensor, centre: Tensor, spread: float) -> Tensor:
    """Multiply weights that are there already by a bell curve around the centre, as the paper does."""
    places = torch.arange(1, weights.shape[1] + 1)
    return weights * torch.exp(-((places - centre[:, None]) ** 2) / (2 * spread**2))


def look_inside(query: Tensor, memory: Tensor, centre: int, reach: int) -> Tensor:
    """Give the context of one query (hidden) by dot products, from the window's rows of (source, hidden) alone."""
    near = memory[max(0, centre - 1 - reach) : max(0, centre + reach)]
    return (near @ query).softmax(dim=0) @ near


def inside(language: str, run: Run) -> Measures:
    """Count target words with a linked word in the window."""
    grammar, count, seed = GRAMMARS[language], SETTINGS["pairs"], run.seed
    known = pairs(grammar, count, f"known {seed}", *SETTINGS["trained_lengths"])
    new = pairs(grammar, count, f"new {seed}", *SETTINGS["lengths"])
    source_words = sum(len(pair.source) for pair in known)
    target_words = sum(len(pair.target) for pair in known)
    ratio = target_words / source_words  # m is near ratio * n
    words = [
        (j + 1, [i + 1 for i in linked])  # both counted from 1
        for pair in new
        for j, linked in needed_places(pair)
    ]

    def share(centre: Callable[[int], float], reach: int) -> float:
        hits = [any(abs(i - centre(t)) <= reach for i in linked) for t, linked in words]
        return 100 * sum(hits) / len(hits)

    centres = {
        "step": lambda t: t,
        "scaled": lambda t: t / ratio,
        "rounded": lambda t: round(t / ratio),
    }
    reaches = SETTINGS["reaches"]
    shares = {name: {str(reach): share(centre, reach) for reach in reaches} for name, centre in centres.items()}
    return {"ratio": ratio} | shares


SETTINGS = {"pairs": 1000, "trained_lengths": [3, 30], "lengths": [21, 30], "reaches": [1, 2, REACH]}
PARTS = {"french": partial(inside, "english_french"), "japanese": partial(inside, "english_japanese")}
RULES = [
    Rule(
        "the-ratio-helps-french-if-narrow",
        "English to French, in a window of 2 words to each side, it holds a linked word for at least 5 more of 100.",
        lambda m: m["french"]["scaled"]["2"] >= m["french"]["step"]["2"] + 5,
    ),
    Rule(
        "whole-words-help-french-if-narrow",
        "Added after the first run: with the centre rounded to a whole word it holds more there than around the step.",
        lambda m: m["french"]["rounded"]["2"] > m["french"]["step"]["2"],
    ),
    Rule(
        "a-wide-window-forgives",
        f"In the window of this chapter, {REACH} words to each side, it gains less than 5 of 100 in French.",
        lambda m: m["french"]["scaled"][str(REACH)] < m["french"]["step"][str(REACH)] + 5,
    ),
    Rule(
        "no-ratio-mends-japanese",
        f"English to Japanese, even with {REACH} words to each side, it misses more than a third of the words.",
        lambda m: m["japanese"]["scaled"][str(REACH)] < 100 * 2 / 3,
    ),
]
TOLERANCE = {"*": Tolerance()}


def _some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _cell(given: Tensor, state: Tensor) -> Tensor:
    """A cell that takes an input of any width, in which each place counts differently."""
    places = torch.arange(1, given.shape[-1] + 1).to(given)
    return torch.tanh(state / 2 + (given @ places)[:, None] / 5)


def _compare(state: Tensor, memory: Tensor) -> Tensor:
    return torch.tanh(state.sum(dim=-1)[:, None, None] + memory).sum(dim=-1)


def _combine(both: Tensor) -> Tensor:
    """A layer in which each place counts differently, 12 numbers in and 5 out."""
    return torch.tanh(both @ _some(12, 5, seed=9))


def _one_step(answer, **changed: Tensor):
    """Answer for 2 sentences of 3 words; give what was given and what was answered."""
    given = {"word": _some(2, 4, seed=1), "state": _some(2, 5, seed=2), "said": _some(2, 6, seed=3)}
    given |= {"memory": _some(2, 3, 7, seed=4)} | changed
    return given, answer(_cell, _compare, _combine, *given.values())


def _steps_with_the_word_and_what_was_said(answer):
    """the cell is given the word with what was said last beside it, and the state before."""
    given, (state, _, _) = _one_step(answer)
    assert_close(state, _cell(torch.cat([given["word"], given["said"]], dim=-1), given["state"]))


def _shares_one_look_among_the_words(answer):
    """the weights of each sentence sum to one over its source words."""
    weights = _one_step(answer)[1][2]
    assert tuple(weights.shape) == (2, 3), f"weights have the shape {tuple(weights.shape)}, not (batch, source)"
    assert_close(weights.sum(dim=1), torch.ones(2).double())


def _knows_the_word_that_came(answer):
    """the word that goes in at this step changes the weights, because the look comes after the step."""
    before, after = (_one_step(answer, word=_some(2, 4, seed=seed))[1][2] for seed in (1, 8))
    assert (before - after).abs().max() > 1e-4, "another word gives the same weights"


def _looks_with_the_new_state(answer):
    """the weights are the softmax of the scores of the new state."""
    given, (state, _, weights) = _one_step(answer)
    assert_close(weights, _compare(state, given["memory"]).softmax(dim=1))


def _says_from_context_and_state(answer):
    """what is said is combine([context; new state]), the context first."""
    given, (state, said, weights) = _one_step(answer)
    context = torch.stack(
        [sum(a * h for a, h in zip(*row, strict=True)) for row in zip(weights, given["memory"], strict=True)]
    )
    assert_close(said, _combine(torch.cat([context, state], dim=-1)))


def _window(answer, scores: Tensor, centre: list[float], reach: int) -> Tensor:
    return answer(scores, torch.tensor(centre, dtype=torch.float64), reach)


def _shares_inside_by_the_scores(answer):
    """around place 2 of scores log 1, log 2, log 1, log 9, with reach 1, the weights are 1/4, 1/2, 1/4 and 0."""
    scores = torch.tensor([[1.0, 2.0, 1.0, 9.0]]).double().log()
    assert_close(_window(answer, scores, [2.0], 1), torch.tensor([[0.25, 0.5, 0.25, 0.0]]).double())


def _knows_a_centre_between_words(answer):
    """a centre of 2.5 with reach 1 has the words 2 and 3, and one of 2.5 with reach 2 the words 1 to 4."""
    scores = torch.zeros(1, 5).double()
    assert_close(_window(answer, scores, [2.5], 1), torch.tensor([[0, 0.5, 0.5, 0, 0]]).double())
    assert_close(_window(answer, scores, [2.5], 2), torch.tensor([[0.25] * 4 + [0]]).double())


def _has_a_window_for_each_sentence(answer):
    """each row of a batch has a window of its own."""
    found = _window(answer, torch.zeros(2, 5).double(), [1.0, 5.0], 1)
    assert_close(found, torch.tensor([[0.5, 0.5, 0, 0, 0], [0, 0, 0, 0.5, 0.5]]).double())


def _gives_zeros_where_no_word_is(answer):
    """a window that holds no word has the weights zero, not NaN and not equal shares."""
    assert_close(_window(answer, torch.zeros(1, 3).double(), [9.0], 2), torch.zeros(1, 3).double())


def _does_not_mind_high_scores_outside(answer):
    """a word outside whose score is a thousand higher changes nothing inside."""
    scores = torch.tensor([[0.0, 0.0, 1000.0]]).double()
    assert_close(_window(answer, scores, [1.0], 1), torch.tensor([[0.5, 0.5, 0.0]]).double())


def _leaves_the_centre_as_it_is(answer):
    """a word at the centre keeps its weight, and one that is one spread away keeps exp(-1/2) of it."""
    found = answer(torch.tensor([[0.4, 0.6, 0.0]]), torch.tensor([1.0]), 1.0)
    assert_close(found, torch.tensor([[0.4, 0.6 * 0.60653066, 0.0]]))


def _is_narrower_with_a_smaller_spread(answer):
    """two words away with the spread 1/2 leaves exp(-8)."""
    found = answer(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([1.0]), 0.5)
    assert_close(found, torch.tensor([[0.0, 0.0, 0.00033546263]]))


def _need_not_sum_to_one(answer):
    """the rows are not divided by their sums: between two equal words one spread apart, each keeps exp(-1/8) / 2."""
    found = answer(torch.tensor([[0.5, 0.5]]), torch.tensor([1.5]), 1.0)
    assert_close(found, torch.full((1, 2), 0.4412484))


def _has_a_bell_for_each_sentence(answer):
    """each row of a batch has a bell of its own."""
    found = answer(torch.full((2, 2), 0.5), torch.tensor([1.0, 2.0]), 1.0)
    assert_close(found, torch.tensor([[0.5, 0.30326533], [0.30326533, 0.5]]))


def _teaches_the_guess(answer):
    """the gradient of the weight of word s with respect to the centre p is weight · (s - p) / spread²."""
    centre = torch.tensor([2.0], requires_grad=True)
    found = answer(torch.tensor([[0.0, 0.5, 0.5]]), centre, 2.0)
    (gradient,) = torch.autograd.grad(found[0, 2], centre)
    assert_close(gradient, (found[:, 2] / 4).detach())


def _is_the_masked_look(answer):
    """the context is that of a softmax over the words at most ``reach`` from the centre, counted from 1."""
    query, memory = _some(3), _some(11, 3, seed=1)
    for centre, reach in ((6, 1), (4, 2), (7, 3)):
        places = torch.arange(1, 12)
        scores = (memory @ query).masked_fill((places - centre).abs() > reach, -torch.inf)
        assert_close(answer(query, memory, centre, reach), scores.softmax(dim=0) @ memory)


def _keeps_inside_the_sentence(answer):
    """a window that hangs over the first or the last word has only the words that are there."""
    query, memory = _some(3), _some(5, 3, seed=1)
    for centre, rows in ((1, slice(0, 3)), (2, slice(0, 4)), (5, slice(2, 5)), (6, slice(3, 5))):
        near = memory[rows]
        assert_close(answer(query, memory, centre, 2), (near @ query).softmax(dim=0) @ near)


def _reads_nothing_outside(answer):
    """rows outside the window are not read: NaN in them does no harm."""
    query, memory = _some(3), _some(9, 3, seed=1)
    wanted = answer(query, memory, 5, 1)
    memory[:3], memory[6:] = torch.nan, torch.nan
    assert_close(answer(query, memory, 5, 1), wanted)


check_step_then_look = Checker(
    "step_then_look",
    [
        _steps_with_the_word_and_what_was_said,
        _shares_one_look_among_the_words,
        _knows_the_word_that_came,
        _looks_with_the_new_state,
        _says_from_context_and_state,
    ],
)
check_window_weights = Checker(
    "window_weights",
    [
        _shares_inside_by_the_scores,
        _knows_a_centre_between_words,
        _has_a_window_for_each_sentence,
        _gives_zeros_where_no_word_is,
        _does_not_mind_high_scores_outside,
    ],
)
check_bell_weights = Checker(
    "bell_weights",
    [
        _leaves_the_centre_as_it_is,
        _is_narrower_with_a_smaller_spread,
        _need_not_sum_to_one,
        _has_a_bell_for_each_sentence,
        _teaches_the_guess,
    ],
)
check_look_inside = Checker("look_inside", [_is_the_masked_look, _keeps_inside_the_sentence, _reads_nothing_outside])
