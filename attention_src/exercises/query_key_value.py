"""Exercises of chapter 08: the hard limit, writing by attention, leaving one out, distances without pairs; a question
with two answers."""

from random import Random

import torch
from torch import Tensor
from torch.testing import assert_close

from attention_src.data.passages import KINDS, RELATIONS, Fact, Passage, passages
from attention_src.exercises import Checker, LargestTensor
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.query_key_value import batch, load_reader, on_gold


def hard_look_up(scores: Tensor, value: Tensor) -> Tensor:
    """Give the value of the best key, or the mean over the best ones.

    scores (Q, K) and value (K, V) give (Q, V).
    """
    best = (scores == scores.amax(dim=-1, keepdim=True)).to(value.dtype)
    return best / best.sum(dim=-1, keepdim=True) @ value


def write(memory: Tensor, weights: Tensor, erase: Tensor, add: Tensor) -> Tensor:
    """Erase, then add, each row of memory (K, V) by its weight (K,)."""
    by_row = weights[:, None]
    return memory * (1 - by_row * erase) + by_row * add


def leave_one_out(seen: Tensor, said: Tensor, width: float) -> Tensor:
    """Predict each of said (n, V) from the others, by kernel regression.

    The places are seen (n, d); the kernel's width is one number.
    """
    differences = seen[:, None] - seen[None]
    scores = -differences.square().sum(dim=-1) / (2 * width**2)
    scores.fill_diagonal_(-torch.inf)
    return scores.softmax(dim=-1) @ said


def distance(query: Tensor, key: Tensor) -> Tensor:
    """Minus the squared distances of query (Q, d) and key (K, d): (Q, K).

    No tensor of Q x K x d numbers is built.
    """
    of_query = query.square().sum(dim=-1)[:, None]
    of_key = key.square().sum(dim=-1)[None]
    return 2 * query @ key.T - of_query - of_key


def answered_twice(
    one: Passage,
    random: Random,
) -> tuple[Passage, Passage]:
    """Turn some other fact into a second answer to the question.

    Gives the passage twice: first with the earlier of the two facts as
    the one that answers, then with the later one.
    """
    fact = one.facts[one.gold]
    kind = KINDS[RELATIONS[fact.relation].kinds[one.side]]
    unused = [word for word in kind if word not in one.words]
    words = [fact.first, fact.second]
    words[one.side] = random.choice(unused)
    others = [i for i in range(len(one.facts)) if i != one.gold]
    place = random.choice(others)
    facts = list(one.facts)
    facts[place] = Fact(fact.relation, *words)
    earlier, later = sorted((one.gold, place))
    twice = one._replace(facts=tuple(facts))
    return twice._replace(gold=earlier), twice._replace(gold=later)


@torch.no_grad()
def ask_twice(run: Run) -> Measures:
    """Ask the kept reader questions that two facts answer."""
    random = Random(run.seed)
    drawn = passages(SETTINGS["passages"], f"twice {run.seed}")
    both = [answered_twice(one, random) for one in drawn]
    earlier, later = zip(*both, strict=True)
    *texts, first = batch(earlier)
    *_, second = batch(later)
    logits, weights = load_reader()(*texts)
    hits = torch.stack([first, second]) == logits.argmax(dim=1)
    mass = torch.stack([on_gold(weights, side) for side in (earlier, later)])
    in_heavier = hits.gather(0, mass.argmax(dim=0)[None])
    return {
        "earlier": float(hits[0].double().mean()),
        "later": float(hits[1].double().mean()),
        "heavier": float(in_heavier.double().mean()),
        "larger": float(mass.amax(dim=0).mean()),
        "together": float(mass.sum(dim=0).mean()),
    }


SETTINGS = {"passages": 100}
PARTS = {"twice": ask_twice}
RULES = [
    Rule(
        "one-of-the-two",
        "The reader says one of the two answers in more than 90 % of the passages.",
        lambda m: m["twice"]["earlier"] + m["twice"]["later"] > 0.9,
    ),
    Rule(
        "one-takes-most",
        "On average more than 0.75 of the weight lies on one of the two sentences.",
        lambda m: m["twice"]["larger"] > 0.75,
    ),
]
TOLERANCE = {"*": Tolerance(absolute=0.02)}


def _some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _gives_the_best_value(answer):
    """with the scores 1, 3, 2 the answer is the second value, whole and unmixed."""
    found = answer(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0], [9.0, 1.0]]))
    assert_close(found, torch.tensor([[7.0, 8.0]]), rtol=0, atol=1e-6)


def _answers_each_query(answer):
    """each row of scores gets its own answer."""
    scores, value = _some(5, 3), _some(3, 2, seed=1)
    assert_close(answer(scores, value), value[scores.argmax(dim=1)])


def _averages_ties(answer):
    """keys that tie for the best score share evenly: with the scores 3, 3, 2 the first two values are averaged."""
    found = answer(torch.tensor([[3.0, 3.0, 2.0]]), torch.tensor([[4.0], [8.0], [100.0]]))
    assert_close(found, torch.tensor([[6.0]]))


def _sees_a_small_lead(answer):
    """the best key wins by any lead, also by 0.000001, and also among scores of 100,000."""
    value = torch.tensor([[4.0], [8.0]], dtype=torch.float64)
    for scores in ([[0.0, 1e-6]], [[1e5, 1e5 + 1e-6]]):
        assert_close(answer(torch.tensor(scores, dtype=torch.float64), value), value[1:])


def _writes_where_the_weight_is_one(answer):
    """with weight 1 on one row and erase all 1, this row becomes what is added, and the others stay."""
    memory, add = _some(3, 2), _some(2, seed=1)
    after = answer(memory.clone(), torch.tensor([0.0, 1.0, 0.0]).double(), torch.ones(2).double(), add)
    assert_close(after, torch.stack([memory[0], add, memory[2]]))


def _keeps_what_is_not_erased(answer):
    """where erase is 0, what was there stays and the new is added to it."""
    memory = torch.tensor([[8.0, 8.0], [4.0, 4.0]])
    after = answer(memory.clone(), torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))
    assert_close(after, torch.tensor([[8.0, 8.0], [5.0, 1.0]]))


def _writes_by_weight(answer):
    """a row with weight 1/4 loses a quarter of what is erased and gets a quarter of what is added."""
    after = answer(torch.tensor([[8.0], [8.0]]), torch.tensor([0.25, 0.75]), torch.ones(1), torch.tensor([4.0]))
    assert_close(after, torch.tensor([[7.0], [5.0]]))


def _does_not_erase_what_it_adds(answer):
    """first erase, then add: what is added is not erased again."""
    after = answer(torch.tensor([[0.0]]), torch.tensor([0.5]), torch.ones(1), torch.tensor([8.0]))
    assert_close(after, torch.tensor([[4.0]]))


def _leaves_the_memory_alone(answer):
    """the memory that was given is not written to."""
    memory = _some(3, 2)
    before = memory.clone()
    answer(memory, torch.full((3,), 1 / 3).double(), torch.ones(2).double(), torch.ones(2).double())
    assert torch.equal(memory, before)


def _leaves_the_place_itself_out(answer):
    """what was seen at a place does not count for the prediction there."""
    seen, said = _some(5, 2), _some(5, 1, seed=1)
    changed = said.clone()
    changed[2] += 100
    assert_close(answer(seen.clone(), changed, 0.5)[2], answer(seen.clone(), said, 0.5)[2])


def _predicts_from_the_others(answer):
    """with width 1, place 0 is predicted from places 1 and 3 by the weights e^(-1/2) to e^(-9/2)."""
    found = answer(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[9.0], [1.0], [0.0]]), 1.0)
    assert_close(found[0], torch.tensor([1 / (1 + torch.e**-4)]))


def _takes_the_width(answer):
    """with a small width the nearest other place decides, with a large one all others share evenly."""
    seen, said = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[9.0], [1.0], [2.0]])
    assert_close(answer(seen, said, 0.05), torch.tensor([[1.0], [9.0], [1.0]]), rtol=0, atol=1e-4)
    assert_close(answer(seen, said, 1e4), torch.tensor([[1.5], [5.5], [5.0]]), rtol=0, atol=1e-4)


def _is_the_squared_distance(answer):
    """row i, column j holds -|q_i - k_j|²."""
    query, key = _some(2, 5), _some(3, 5, seed=1)
    expected = torch.stack([torch.stack([-(q - k).square().sum() for k in key]) for q in query])
    assert_close(answer(query, key), expected)


def _builds_no_pairs(answer):
    """no tensor has as many numbers as queries x keys x width: the differences are not built pair by pair."""
    query, key = _some(20, 30), _some(25, 30, seed=1)
    with LargestTensor() as largest:
        answer(query, key)
    assert largest.numbers < 20 * 25 * 30, f"one has {largest.numbers:,}"


check_hard_look_up = Checker(
    "hard_look_up", [_gives_the_best_value, _answers_each_query, _averages_ties, _sees_a_small_lead]
)
check_write = Checker(
    "write",
    [
        _writes_where_the_weight_is_one,
        _keeps_what_is_not_erased,
        _writes_by_weight,
        _does_not_erase_what_it_adds,
        _leaves_the_memory_alone,
    ],
)
check_leave_one_out = Checker(
    "leave_one_out", [_leaves_the_place_itself_out, _predicts_from_the_others, _takes_the_width]
)
check_distance = Checker("distance", [_is_the_squared_distance, _builds_no_pairs])
