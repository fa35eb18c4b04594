"""Exercises of chapter 10: self-attention in rows and in columns, looking back, perplexity; recall in two words."""

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from attention_src.data.long_range import Task
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.self_attention import Network, SelfAttention
from attention_src.training import Plan, fit


def read_itself(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> Tensor:
    """Self-attention with a word in each row.

    x (n, D); w_query and w_key (d, D); w_value (v, D); gives (n, v).
    """
    query, key, value = x @ w_query.T, x @ w_key.T, x @ w_value.T
    scores = query @ key.T / math.sqrt(key.shape[1])
    return scores.softmax(dim=1) @ value


def from_columns(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> Tensor:
    """Self-attention with a word in each column.

    x (D, n); w_query and w_key (d, D); w_value (v, D); gives (v, n).
    """
    query, key, value = w_query @ x, w_key @ x, w_value @ x
    scores = key.T @ query / math.sqrt(key.shape[0])
    return value @ scores.softmax(dim=0)


def looking_back(scores: Tensor) -> Tensor:
    """Weights of places that see themselves and what stands before them.

    scores (n, n), a row for each query, give weights (n, n).
    """
    later = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(dim=-1)


def perplexity(logits: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """e to the average -log p of the wanted words where mask is True.

    logits (batch, n, vocab), wanted and mask (batch, n).
    """
    logs = logits.log_softmax(dim=-1).gather(2, wanted[..., None])[..., 0]
    return (-logs[mask].mean()).exp()


def recall_in_two_words(count: int, random: torch.Generator) -> Task:
    """Draw pairs of a letter and a digit, two words each; then a letter."""
    letters, pairs = SETTINGS["letters"], SETTINGS["pairs"]
    keys = torch.rand(count, letters, generator=random).argsort(dim=1)[:, :pairs]
    digits = torch.randint(letters, (count, pairs), generator=random)
    asked = torch.randint(pairs, (count, 1), generator=random)
    words = torch.stack([keys, letters + digits], dim=2).flatten(1)
    words = torch.cat([words, keys.gather(1, asked)], dim=1)
    return Task(words, digits.gather(1, asked)[:, 0])


def seeded(seed: int) -> torch.Generator:
    """Give a generator of its own."""
    return torch.Generator().manual_seed(seed)


def join_then_find(
    run: Run,
    blocks: int,
    places: bool = True,
) -> Measures:
    """Train blocks of self-attention on recall in two words.

    Gives the share of right answers at every 500th step, and how much
    weight each digit gives to its letter in the first block.
    """
    letters, width = SETTINGS["letters"], SETTINGS["width"]
    longest, right = 2 * SETTINGS["pairs"] + 1, []
    mixers = [SelfAttention(width) for _ in range(blocks)]
    sizes = 2 * letters, letters, width, mixers, 2 * width, longest
    model = Network(*sizes)
    if not places:
        nn.init.zeros_(model.place.weight).requires_grad_(False)
    test = recall_in_two_words(1000, seeded(1000 + run.seed))
    random = seeded(run.seed)

    def loss(model: Network, task: Task) -> Tensor:
        return cross_entropy(model(task.words)[0][:, -1], task.answer)

    @torch.no_grad()
    def look(done: int, steps: int) -> None:
        run.progress(done, steps)
        if done % 500 == 0:
            said = model(test.words)[0][:, -1].argmax(dim=-1)
            right.append(float((said == test.answer).double().mean()))

    plan = Plan(SETTINGS["steps"], SETTINGS["rate"])
    draw = partial(recall_in_two_words, 64, random)
    fit(model, loss, lambda step: draw(), plan, report=look)
    with torch.no_grad():
        first = model(test.words)[1][0]  # (batch, length, length)
    letter = torch.arange(0, longest - 1, 2)
    joined = first[:, letter + 1, letter].mean()
    others = first[:, letter + 1][:, :, letter].sum(2).mean() - joined
    return {"right": right, "joined": float(joined), "others": float(others)}


SETTINGS = {"letters": 4, "pairs": 3, "width": 32, "steps": 2000, "rate": 3e-3}
PARTS = {
    "one": partial(join_then_find, blocks=1),
    "two": partial(join_then_find, blocks=2),
    "two_without_places": partial(join_then_find, blocks=2, places=False),
}
RULES = [
    Rule(
        "two-blocks-join",
        "Two blocks with places are right in more than 95 % at the end, one block and two without places in fewer than "
        "75 %.",
        lambda m: m["two"]["right"][-1] > 0.95 and max(m[p]["right"][-1] for p in ("one", "two_without_places")) < 0.75,
    ),
    Rule(
        "the-first-block-joins",
        "In the first of two blocks, more than half of a digit's weight lies on its letter.",
        lambda m: m["two"]["joined"] > 0.5,
    ),
]
TOLERANCE = {"*": Tolerance(absolute=0.6)}  # trained in float32; when a network begins to join hangs on little


def _some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


_HAND = [[[1.0, -1.0]], [[math.log(2), 0.0]], [[60.0, 30.0]]]  # the matrices of the case by hand
_WORDS = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]


def _matrices(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    return _some(3, 7, seed=seed), _some(3, 7, seed=seed + 1), _some(2, 7, seed=seed + 2)


def _reads_the_case_by_hand(answer):
    """the three words of the case by hand read 66, 52.5 and 60."""
    found = answer(torch.tensor(_WORDS), *map(torch.tensor, _HAND))
    assert_close(found, torch.tensor([[66.0], [52.5], [60.0]]))


def _divides_by_the_width_of_a_key(answer):
    """the scores are divided by the square root of the width of a query, not of a word or of a value."""
    x, matrices = _some(5, 7, seed=9), _matrices()
    assert_close(answer(x, *matrices), read_itself(x, *matrices))


def _takes_any_number_of_words(answer):
    """the same matrices read one word and eleven words."""
    for count in (1, 11):
        x = _some(count, 7, seed=count)
        assert_close(answer(x, *_matrices()), read_itself(x, *_matrices()))


def _turns_the_case_by_hand(answer):
    """the three columns of the case by hand read 66, 52.5 and 60."""
    found = answer(torch.tensor(_WORDS).T, *map(torch.tensor, _HAND))
    assert_close(found, torch.tensor([[66.0, 52.5, 60.0]]))


def _is_the_other_form_turned(answer):
    """what comes out is what the form with rows gives, turned."""
    x, matrices = _some(5, 7, seed=9), _matrices()
    assert_close(answer(x.T, *matrices), read_itself(x, *matrices).T)


def _looks_at_nothing_behind(answer):
    """above the diagonal every weight is exactly 0."""
    found = answer(_some(5, 5))
    assert torch.equal(found.triu(1), torch.zeros_like(found))


def _sees_itself(answer):
    """the first place has the weight 1 on itself, and every place sees itself."""
    found = answer(_some(5, 5))
    assert_close(found[0, 0], torch.ones(()).double())
    assert (found.diagonal() > 0).all()


def _sums_to_one(answer):
    """each row sums to one: the mask comes before the softmax."""
    assert_close(answer(_some(5, 5)).sum(dim=1), torch.ones(5).double())


def _keeps_the_proportions(answer):
    """scores log 1 and log 3 in the second row give the weights 1/4 and 3/4, whatever the third score is."""
    for third in (-5.0, 50.0):
        scores = torch.tensor([[0.0, 0, third], [0.0, math.log(3), third], [0.0, 0.0, 0.0]])
        assert_close(answer(scores)[1], torch.tensor([0.25, 0.75, 0.0]))


def _leaves_the_scores_alone(answer):
    """the scores that are given are not written to."""
    scores = _some(3, 3)
    before = scores.clone()
    answer(scores)
    assert torch.equal(scores, before)


def _counts_equal_words(answer):
    """a model that holds five words for equally probable has the perplexity 5."""
    mask = torch.ones(2, 3, dtype=torch.bool)
    assert_close(answer(torch.zeros(2, 3, 5), torch.ones(2, 3, dtype=torch.long), mask), torch.tensor(5.0))


def _averages_logarithms(answer):
    """probabilities 1/2 and 1/8 give the perplexity 4, their geometric mean, and not 5, the mean of 2 and 8."""
    p = torch.tensor([[[0.5, 0.25, 0.25], [0.125, 0.5, 0.375]]])
    found = answer(p.log(), torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool))
    assert_close(found, torch.tensor(4.0))


def _leaves_padding_out(answer):
    """padding changes nothing: sentences of 1 and 3 words count as 4 words."""
    logits, wanted = _some(2, 3, 5), torch.tensor([[1, 0, 0], [2, 3, 4]])
    mask = torch.tensor([[True, False, False], [True, True, True]])
    words = nn.functional.cross_entropy(logits[mask], wanted[mask]).exp()
    assert_close(answer(logits, wanted, mask), words)


check_read_itself = Checker(
    "read_itself",
    [_reads_the_case_by_hand, _divides_by_the_width_of_a_key, _takes_any_number_of_words],
)
check_from_columns = Checker("from_columns", [_turns_the_case_by_hand, _is_the_other_form_turned])
check_looking_back = Checker(
    "looking_back",
    [_looks_at_nothing_behind, _sees_itself, _sums_to_one, _keeps_the_proportions, _leaves_the_scores_alone],
)
check_perplexity = Checker("perplexity", [_counts_equal_words, _averages_logarithms, _leaves_padding_out])
