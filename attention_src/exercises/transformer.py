"""Exercises of chapter 13: two orders of a norm, a step with a cache, a loss that is less sure, a learning rate."""

import math
from statistics import mean
from unittest.mock import patch

import torch
from torch import Tensor
from torch.testing import assert_close

from attention_src import transformer
from attention_src.attention import causal_mask
from attention_src.data.batches import Bitext
from attention_src.data.translation import Pair
from attention_src.exercises import Checker, LargestTensor
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.protocol import BATCH, languages, splits, translate, translation_loss
from attention_src.experiments.transformer import FRENCH, WARM_UP, WarmUp, build
from attention_src.training import fit
from attention_src.transformer import Transformer


def add_and_norm(x: Tensor, part, norm, first: bool) -> Tensor:
    """Add what ``part`` finds to ``x``, with ``norm`` in front or after."""
    return x + part(norm(x)) if first else norm(x + part(x))


def look_at_kept(query, key, value, kept):
    """Put one new key and value behind those kept; look at all of them."""
    if kept is not None:
        key = torch.cat([kept[0], key], dim=1)  # (batch, words, d)
        value = torch.cat([kept[1], value], dim=1)
    weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(dim=-1)
    return weights @ value, (key, value)


def smooth_loss(logits: Tensor, wanted: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy with ``smoothing`` shared among all words."""
    log_p = logits.log_softmax(dim=-1)
    true = -log_p.gather(1, wanted[:, None]).mean()
    if smoothing == 0:  # 0 * log 0 is NaN
        return true
    return (1 - smoothing) * true - smoothing * log_p.mean()


def rate(step: int, width: int, warm_up: int) -> float:
    """The paper's learning rate of a step, counted from 1."""
    return width**-0.5 * min(step**-0.5, step * warm_up**-1.5)


def look_ahead(run: Run) -> Measures:
    """Train with the mask of the look back, and without it."""
    some = splits(FRENCH, run.seed, SETTINGS["longest"])
    batches = Bitext(some.train, *languages(FRENCH), BATCH, run.seed)
    plan = WarmUp(SETTINGS["steps"], SETTINGS["rate"], warm_up=WARM_UP)
    measures: Measures = {}
    for name, mask in {"masked": causal_mask, "open": everywhere}.items():
        torch.manual_seed(run.seed)
        model = build(FRENCH)
        with patch.object(transformer, "causal_mask", mask):
            losses = fit(model, translation_loss, batches.batch_at, plan, report=run.progress)
        loss = mean(losses[-SETTINGS["last"] :])
        measures[name] = {"loss": loss} | said_well(model, some.bands[3, 10])
    return measures


def said_well(model: Transformer, test: list[Pair]) -> Measures:
    """Give how many translations are right, and how many are empty, in percent."""
    said = translate(model, [pair.source for pair in test], FRENCH)
    words = [languages(FRENCH).target.decode(one.tokens) for one in said]
    return {
        "exact": 100 * mean(tuple(one) == pair.target for one, pair in zip(words, test, strict=True)),
        "empty": 100 * mean(not one for one in words),
    }


def everywhere(length: int) -> Tensor:
    """Give a mask that hides nothing."""
    return torch.ones(length, length, dtype=torch.bool)


SETTINGS = {"longest": 10, "steps": 300, "rate": 8e-3, "last": 50}
PARTS = {"look_ahead": look_ahead}
RULES = [
    Rule(
        "the-loss-falls-further",
        "Without the mask, training ends with less than half of the loss.",
        lambda m: m["look_ahead"]["open"]["loss"] < m["look_ahead"]["masked"]["loss"] / 2,
    ),
    Rule(
        "nothing-is-translated",
        "Without the mask, fewer than 5 % of the translations are right, and most are empty.",
        lambda m: m["look_ahead"]["open"]["exact"] < 5 and m["look_ahead"]["open"]["empty"] > 50,
    ),
]
TOLERANCE = {"*.loss": Tolerance(relative=0.5), "*": Tolerance(absolute=40.0)}


def _some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _norm(x: Tensor) -> Tensor:
    return (x - x.mean(dim=-1, keepdim=True)) / x.std(dim=-1, keepdim=True, unbiased=False)


def _norms_the_sum_in_the_papers_order(answer):
    """with the norm after, x = (1, 3) and a part that doubles give norm((3, 9)) = (-1, 1)."""
    found = answer(torch.tensor([[1.0, 3.0]]), lambda x: 2 * x, _norm, False)
    assert_close(found, torch.tensor([[-1.0, 1.0]]))


def _leaves_x_alone_in_the_other_order(answer):
    """with the norm first, x = (1, 3) and a part that doubles give (1, 3) + 2 (-1, 1) = (-1, 5)."""
    found = answer(torch.tensor([[1.0, 3.0]]), lambda x: 2 * x, _norm, True)
    assert_close(found, torch.tensor([[-1.0, 5.0]]))


def _passes_x_on_where_the_part_finds_nothing(answer):
    """where the part gives zeros, the norm first gives x itself, and the norm after gives norm(x)."""
    x = _some(2, 5)
    assert_close(answer(x, torch.zeros_like, _norm, True), x)
    assert_close(answer(x, torch.zeros_like, _norm, False), _norm(x))


def _asks_the_part_once(answer):
    """the part is asked once: it may be slow."""
    for first in (True, False):
        calls = []
        answer(_some(2, 5), lambda x, calls=calls: calls.append(x) or x, _norm, first)
        assert len(calls) == 1, f"the part was asked {len(calls)} times"


def _begins_with_one_word(answer):
    """at the first step, with nothing kept, the only value is found and is kept."""
    query, key, value = _some(2, 1, 3), _some(2, 1, 3, seed=1), _some(2, 1, 5, seed=2)
    found, (keys, values) = answer(query, key, value, None)
    assert_close(found, value)
    assert_close((keys, values), (key, value))


def _step_by_step(answer, queries, keys, values):
    """Answer for each place in its turn; give what was found at all places."""
    kept, all_found = None, []
    for place in range(queries.shape[1]):
        here = slice(place, place + 1)
        found, kept = answer(queries[:, here], keys[:, here], values[:, here], kept)
        all_found.append(found)
    return torch.cat(all_found, dim=1)


def _gives_the_numbers_of_a_causal_mask(answer):
    """step after step, it gives what all places at once give behind a causal mask."""
    queries, keys, values = _some(2, 7, 3), _some(2, 7, 3, seed=1), _some(2, 7, 5, seed=2)
    scores = queries @ keys.mT / math.sqrt(3)
    ahead = torch.ones(7, 7, dtype=torch.bool).triu(1)
    wanted = scores.masked_fill(ahead, -math.inf).softmax(dim=-1) @ values
    assert_close(_step_by_step(answer, queries, keys, values), wanted)


def _keeps_in_the_order_of_the_words(answer):
    """new keys and values stand behind the old ones, and the old ones are not written to."""
    old = _some(2, 4, 3), _some(2, 4, 5, seed=1)
    copies = tuple(part.clone() for part in old)
    key, value = _some(2, 1, 3, seed=2), _some(2, 1, 5, seed=3)
    _, (keys, values) = answer(_some(2, 1, 3, seed=4), key, value, old)
    assert_close((keys, values), (torch.cat([copies[0], key], dim=1), torch.cat([copies[1], value], dim=1)))
    assert_close(old, copies)


def _scores_one_row_only(answer):
    """a step with n words kept makes nothing of n by n numbers."""
    old = _some(1, 300, 3), _some(1, 300, 5, seed=1)
    with LargestTensor() as watch:
        answer(_some(1, 1, 3), _some(1, 1, 3, seed=2), _some(1, 1, 5, seed=3), old)
    assert watch.numbers < 300 * 300, f"a tensor of {watch.numbers:,} numbers was made"


def _is_the_cross_entropy_without_smoothing(answer):
    """without smoothing it is -log p of the true word: log 2 for logits log 2, 0, 0."""
    logits = torch.tensor([[2.0, 1.0, 1.0]]).double().log()
    assert_close(float(answer(logits, torch.tensor([0]), 0.0)), math.log(2))


def _shares_with_all_words(answer):
    """smoothing 0.3 over three words wants 0.8 of the true one, because it has its share too."""
    logits = torch.tensor([[2.0, 1.0, 1.0]]).double().log()
    wanted = 0.8 * math.log(2) + 0.2 * math.log(4)
    assert_close(float(answer(logits, torch.tensor([0]), 0.3)), wanted)


def _averages_over_rows(answer):
    """it is the mean over rows, and PyTorch's cross_entropy with label_smoothing."""
    logits, wanted = _some(7, 11), torch.arange(7)
    theirs = torch.nn.functional.cross_entropy(logits, wanted, label_smoothing=0.1)
    assert_close(answer(logits, wanted, 0.1), theirs)


def _survives_an_impossible_word(answer):
    """an impossible word, with a logit of minus infinity, does no harm while nothing is shared out."""
    logits = torch.tensor([[0.0, 0.0, -math.inf]]).double()
    assert_close(float(answer(logits, torch.tensor([1]), 0.0)), math.log(2))


def _is_right_for_large_logits(answer):
    """logits of a thousand do not overflow."""
    logits = torch.tensor([[1000.0, 0.0]]).double()
    assert_close(float(answer(logits, torch.tensor([1]), 0.0)), 1000.0)


def _rises_in_a_straight_line(answer):
    """with width 4 and 100 steps of warm-up, steps 1 and 50 have the rates 1/2000 and 50/2000."""
    assert_close(answer(1, 4, 100), 1 / 2000)
    assert_close(answer(50, 4, 100), 50 / 2000)


def _peaks_at_the_end_of_the_warm_up(answer):
    """the largest rate is that of the last step of the warm-up, 1 / root(width times warm-up)."""
    rates = [answer(step, 4, 100) for step in range(1, 400)]
    assert_close(rates[99], 1 / 20)
    assert max(rates) <= rates[99] + 1e-12, f"step {1 + rates.index(max(rates))} has the rate {max(rates):.4f}"


def _falls_as_one_over_the_root(answer):
    """after four times the warm-up the rate is half of its peak."""
    assert_close(answer(400, 4, 100), 1 / 40)


check_add_and_norm = Checker(
    "add_and_norm",
    [
        _norms_the_sum_in_the_papers_order,
        _leaves_x_alone_in_the_other_order,
        _passes_x_on_where_the_part_finds_nothing,
        _asks_the_part_once,
    ],
)
check_look_at_kept = Checker(
    "look_at_kept",
    [
        _begins_with_one_word,
        _gives_the_numbers_of_a_causal_mask,
        _keeps_in_the_order_of_the_words,
        _scores_one_row_only,
    ],
)
check_smooth_loss = Checker(
    "smooth_loss",
    [
        _is_the_cross_entropy_without_smoothing,
        _shares_with_all_words,
        _averages_over_rows,
        _survives_an_impossible_word,
        _is_right_for_large_logits,
    ],
)
check_rate = Checker(
    "rate",
    [_rises_in_a_straight_line, _peaks_at_the_end_of_the_warm_up, _falls_as_one_over_the_root],
)
