"""Exercises of chapter 05: annotations, a step that looks first, the larger of each pair, the best of a beam;
how far an error spreads.
"""

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from attention_src.data.translation import GRAMMARS, pairs
from attention_src.data.vocabulary import BEGIN, END
from attention_src.decoding import Marks, greedy
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.bahdanau import NAME, load_translator
from attention_src.experiments.protocol import LONGEST_ANSWER, encoded


def annotations(forward: Tensor, backward: Tensor) -> Tensor:
    """Join the states of both readings, word by word: twice (batch, source, half) give (batch, source, 2 half)."""
    return torch.cat([forward, backward.flip(1)], dim=-1)


def look_then_step(cell, compare, word, state, annotations):
    """Take one step in Bahdanau's order; give the new state, the context and the weights."""
    weights = compare(state, annotations).softmax(dim=-1)
    context = (weights[:, None] @ annotations)[:, 0]
    state = cell(torch.cat([word, context], dim=-1), state)
    return state, context, weights


def maxout(pairs: Tensor) -> Tensor:
    """Give the larger of each two neighbours: (…, 2 n) gives (…, n)."""
    return pairs.unflatten(-1, (-1, 2)).amax(dim=-1)


def best_by_length(hypotheses: list[tuple[float, list[str]]]) -> list[str]:
    """Give the words of the finished sentence with the highest log p per word; its end mark is a word too."""
    return max(hypotheses, key=lambda one: one[0] / (len(one[1]) + 1))[1]


@torch.no_grad()
def spreading(run: Run) -> Measures:
    """Count wrong words: the true ones fed in, and its own."""
    model, few = load_translator(), SETTINGS
    forced, own = [], []  # is the word of a place right?
    name, marks = f"spreading {run.seed}", Marks(BEGIN, END)
    some = pairs(GRAMMARS[NAME], few["pairs"], name, *few["lengths"])
    for batch in encoded(some, NAME):
        source, mask, wanted = batch.source, batch.source_mask, batch.wanted
        fed = model(source, mask, batch.given).argmax(dim=-1)
        memory, state = model.encode(source, mask)
        answers = greedy(model.step, state, memory, marks, LONGEST_ANSWER)
        said = torch.full_like(wanted, END)
        for row, answer in zip(said, answers, strict=True):
            words = answer.tokens[: len(row)]
            row[: len(words)] = torch.tensor(words)
        forced.append((fed == wanted)[batch.target_mask])
        own.append((said == wanted)[batch.target_mask])
    true_words, own_words = (100 * (1 - torch.cat(right).double().mean()) for right in (forced, own))
    spread = 100 * (1 - true_words / own_words)
    return {"true_words": true_words, "own_words": own_words, "spread": spread}


SETTINGS = {"pairs": 200, "lengths": [31, 40]}
PARTS = {"spreading": spreading}
RULES = [
    Rule(
        "most-of-it-spreads",
        "With the true words fed in, less than half as many words are wrong as with the translator's own.",
        lambda m: m["spreading"]["true_words"] < m["spreading"]["own_words"] / 2,
    )
]
TOLERANCE = {"*": Tolerance(absolute=5.0)}


def _some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _has_both_states_in_each_row(answer):
    """3 words with two states of 2 numbers each give 3 rows of 4 numbers, for each sentence of the batch."""
    found = tuple(answer(_some(5, 3, 2), _some(5, 3, 2, seed=1)).shape)
    assert found == (5, 3, 4), f"the answer has the shape {found}"


def _begins_with_the_reading_from_the_left(answer):
    """the first half of each row is the state of the reading from the left."""
    forward = _some(5, 3, 2)
    assert_close(answer(forward, _some(5, 3, 2, seed=1))[..., :2], forward)


def _turns_the_other_reading_round(answer):
    """the second half of a word's row is the state of the reading from the right that has just read this word."""
    backward = torch.tensor([[[30.0], [20.0], [10.0]], [[3.0], [2.0], [1.0]]])  # word 3 was read first
    assert_close(answer(torch.zeros(2, 3, 1), backward)[..., 1], torch.tensor([[10.0, 20.0, 30.0], [1.0, 2.0, 3.0]]))


def _is_what_a_gru_in_both_directions_gives(answer):
    """a GRU that reads in both directions gives the same annotations."""
    with torch.random.fork_rng(devices=[]):  # the reader's own random numbers stay as they were
        torch.manual_seed(0)
        gru = nn.GRU(3, 2, batch_first=True, bidirectional=True).double()
        left, right = (nn.GRU(3, 2, batch_first=True).double() for _ in range(2))
    for name, part in gru.named_parameters():
        one = right if name.endswith("_reverse") else left
        getattr(one, name.removesuffix("_reverse")).data = part.data
    words = _some(7, 5, 3)
    with torch.no_grad():
        assert_close(answer(left(words)[0], right(words.flip(1))[0]), gru(words)[0])


def _cell(given: Tensor, state: Tensor) -> Tensor:
    """A cell that takes an input of any width, in which each place counts differently."""
    places = torch.arange(1, given.shape[-1] + 1).to(given)
    return torch.tanh(state / 2 + (given @ places)[:, None] / 5)


def _compare(state: Tensor, annotations: Tensor) -> Tensor:
    return torch.tanh(state.sum(dim=-1)[:, None, None] + annotations).sum(dim=-1)


def _one_step(answer, word: Tensor | None = None):
    """Answer for 2 sentences of 3 words; give what was given and what was answered."""
    word = _some(2, 4, seed=1) if word is None else word
    state, annotations = _some(2, 5, seed=2), _some(2, 3, 7, seed=3)
    given = {"word": word, "state": state, "annotations": annotations}
    return given, answer(_cell, _compare, word, state, annotations)


def _shares_one_look_among_the_words(answer):
    """the weights of each sentence sum to one over its source words."""
    weights = _one_step(answer)[1][2]
    assert tuple(weights.shape) == (2, 3), f"weights have the shape {tuple(weights.shape)}, not (batch, source)"
    assert_close(weights.sum(dim=1), torch.ones(2).double())


def _looks_before_the_word_comes(answer):
    """the word that goes in at this step changes no weight, because the look is over before the step."""
    before, after = (_one_step(answer, word)[1][2] for word in (_some(2, 4, seed=1), _some(2, 4, seed=8)))
    assert_close(before, after)


def _looks_with_the_state_before_the_step(answer):
    """the weights are the softmax of the scores of the state before the step."""
    given, (_, _, weights) = _one_step(answer)
    assert_close(weights, _compare(given["state"], given["annotations"]).softmax(dim=1))


def _mixes_the_annotations(answer):
    """the context of a sentence is the sum of its annotations, each times its weight."""
    given, (_, context, weights) = _one_step(answer)
    rows = zip(weights, given["annotations"], strict=True)
    assert_close(context, torch.stack([sum(a * h for a, h in zip(*row, strict=True)) for row in rows]))


def _steps_with_word_and_context(answer):
    """the cell is given the word with the context beside it, and the state before the step."""
    given, (state, context, _) = _one_step(answer)
    assert_close(state, _cell(torch.cat([given["word"], context], dim=-1), given["state"]))


def _takes_the_larger_of_two_neighbours(answer):
    """(1, 3, 5, 2) gives (3, 5): the larger of 1 and 3, the larger of 5 and 2."""
    assert_close(answer(torch.tensor([1.0, 3.0, 5.0, 2.0])), torch.tensor([3.0, 5.0]))


def _knows_negative_numbers(answer):
    """the larger of -1 and -3 is -1."""
    assert_close(answer(torch.tensor([-1.0, -3.0])), torch.tensor([-1.0]))


def _leaves_the_other_axes_alone(answer):
    """each row of a batch is treated alone: (5, 3, 4) gives (5, 3, 2)."""
    pairs = _some(5, 3, 4)
    assert_close(answer(pairs), torch.maximum(pairs[..., 0::2], pairs[..., 1::2]))


def _teaches_only_the_winner(answer):
    """the gradient goes to the larger of each two and to nothing else."""
    pairs = torch.tensor([1.0, 3.0, 5.0, 2.0], requires_grad=True)
    answer(pairs).sum().backward()
    assert_close(pairs.grad, torch.tensor([0.0, 1.0, 1.0, 0.0]))


def _gives_words(said, wanted: list[str]):
    assert said == wanted, f"it gave {said!r} and not {wanted!r}"


def _prefers_the_more_probable_of_two_as_long(answer):
    """of two sentences of the same length the more probable one is best, wherever it stands in the list."""
    better, worse = (-2.0, ["the", "cat"]), (-3.0, ["a", "cat"])
    _gives_words(answer([better, worse]), ["the", "cat"])
    _gives_words(answer([worse, better]), ["the", "cat"])


def _compares_log_p_per_word(answer):
    """log p = -2.5 for 3 words and the end mark (-0.625 each) beats -2 for 1 word and the end mark (-1 each)."""
    _gives_words(answer([(-2.0, ["yes"]), (-2.5, ["yes", "it", "is"])]), ["yes", "it", "is"])


def _counts_the_end_mark(answer):
    """log p = -1 for 1 word and the end mark (-0.5 each) beats -1.8 for 2 words and the end mark (-0.6 each)."""
    _gives_words(answer([(-1.8, ["it", "is"]), (-1.0, ["yes"])]), ["yes"])


def _knows_the_empty_sentence(answer):
    """a sentence without words has one word, its end mark, so it can be compared too."""
    _gives_words(answer([(-3.0, []), (-2.0, ["yes"])]), ["yes"])
    _gives_words(answer([(-4.0, ["yes"]), (-0.5, [])]), [])


check_annotations = Checker(
    "annotations",
    [
        _has_both_states_in_each_row,
        _begins_with_the_reading_from_the_left,
        _turns_the_other_reading_round,
        _is_what_a_gru_in_both_directions_gives,
    ],
)
check_look_then_step = Checker(
    "look_then_step",
    [
        _shares_one_look_among_the_words,
        _looks_before_the_word_comes,
        _looks_with_the_state_before_the_step,
        _mixes_the_annotations,
        _steps_with_word_and_context,
    ],
)
check_maxout = Checker(
    "maxout",
    [
        _takes_the_larger_of_two_neighbours,
        _knows_negative_numbers,
        _leaves_the_other_axes_alone,
        _teaches_only_the_winner,
    ],
)
check_best_by_length = Checker(
    "best_by_length",
    [
        _prefers_the_more_probable_of_two_as_long,
        _compares_log_p_per_word,
        _counts_the_end_mark,
        _knows_the_empty_sentence,
    ],
)
