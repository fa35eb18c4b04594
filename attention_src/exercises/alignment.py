"""Exercises of chapter 07: the error of links, the shares of EM, where two directions agree, leaving words out; maps
read by thresholds."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.testing import assert_close

from attention_src.alignment import hardest, heavier
from attention_src.data.translation import Pair
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance, luong
from attention_src.experiments.alignment import BAND, CORPORA, agreement, load_translator, maps, percent
from attention_src.experiments.protocol import needed_places, splits

Link = tuple[int, int]
Links = list[set[Link]]  # a set for each sentence
Say = Callable[[list[str]], Tensor]


def error_rate(predicted: Links, sure: Links, possible: Links) -> float:
    """Give the alignment error rate of all sentences together.

    It is 0 where nothing was said and nothing is sure.
    """
    hits = total = 0
    for said, must, may in zip(predicted, sure, possible, strict=True):
        hits += len(said & must) + len(said & (must | may))
        total += len(said) + len(must)
    return 1 - hits / total if total else 0.0


def shares(table: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Share each target word out among the source words: (target, source).

    ``table[e, f]`` is p(f | e).
    """
    fits = table[source][:, target].mT
    return fits / fits.sum(dim=1, keepdim=True)


def agreed(forwards: Tensor, backwards: Tensor) -> set[Link]:
    """Give the links (source, target) that are largest in the row of each map.

    ``forwards`` is (target, source); ``backwards``, the map of a translator
    of the other direction, is (source, target).
    """
    there = forwards.argmax(dim=1).tolist()
    back = backwards.argmax(dim=1).tolist()
    return {(i, j) for j, i in enumerate(there) if back[i] == j}


def what_matters(say: Say, source: list[str]) -> Tensor:
    """Give (target, source): how far p(y_i) moves without source word j.

    ``say(words)`` gives the probabilities (target, vocab) of all words at
    each step. How far is measured by total variation.
    """
    whole = say(source)
    columns = []
    for j in range(len(source)):
        without = say(source[:j] + source[j + 1 :])
        columns.append((without - whole).abs().sum(dim=1) / 2)
    return torch.stack(columns, dim=1)


def read_by_thresholds(run: Run, corpus: str) -> Measures:
    """Read a translator's maps by the largest weight and by thresholds."""
    ways = {"largest": hardest}
    for tenth in range(1, 10):
        ways[f"least_{tenth}"] = partial(heavier, least=tenth / 10)
    some = splits(CORPORA[corpus], run.seed).bands[BAND]
    tables = maps(KEPT[corpus](), some, corpus)
    measures = {}
    for name, way in ways.items():
        links = [way(rows) for rows in tables]
        measures[name] = by_partners(links, some)
    return measures


def by_partners(predicted: Sequence[Links], some: Sequence[Pair]) -> Measures:
    """Give the error, and how many words without a partner get one, and words with several get all; in percent."""
    needless, complete = [], []
    for links, pair in zip(predicted, some, strict=True):
        needed = dict(needed_places(pair))
        for j in range(len(pair.target)):
            if j not in needed:
                needless.append(any(word == j for _, word in links))
            elif len(needed[j]) > 1:
                complete.append({(i, j) for i in needed[j]} <= links)
    error = agreement(predicted, some)["error"]
    return {"error": error, "needless": percent(needless), "complete": percent(complete)}


KEPT = {"french": luong.load_translator, "chinese": partial(load_translator, "alignment-chinese")}
SETTINGS = {"band": BAND}
PARTS = {corpus: partial(read_by_thresholds, corpus=corpus) for corpus in KEPT}
RULES = [
    Rule(
        "a-threshold-helps",
        "From Chinese, the best of the nine thresholds has an alignment error more than one point below that of the "
        "largest weight.",
        lambda m: min(way["error"] for way in m["chinese"].values()) < m["chinese"]["largest"]["error"] - 1,
    ),
    Rule(
        "a-threshold-leaves-words-alone",
        "From Chinese, a threshold of 0.9 links fewer than half of the words that have no partner.",
        lambda m: m["chinese"]["least_9"]["needless"] < 50,
    ),
]
TOLERANCE = {"*": Tolerance(absolute=0.5)}  # percent


def _is_close(found: float, wanted: float):
    assert abs(found - wanted) < 1e-9, f"it is {found:.4f} and not {wanted:.4f}"


def _counts_links_by_hand(answer):
    """of 4 links that were said, 2 are sure and 1 more is possible; 3 are sure: 1 - (2 + 3) / (4 + 3)."""
    said = {(0, 0), (1, 1), (2, 1), (4, 3)}
    _is_close(answer([said], [{(0, 0), (1, 1), (3, 2)}], [{(0, 0), (1, 1), (3, 2), (2, 1)}]), 2 / 7)


def _knows_that_sure_links_are_possible(answer):
    """a sure link counts as possible too, even if it is not listed among the possible ones."""
    _is_close(answer([{(0, 0)}], [{(0, 0)}], [set()]), 0)


def _counts_all_sentences_together(answer):
    """1 of 1 links and 0 of 3 links are 1 of 4 links: the error is 3/4, and not the mean of 0 and 1."""
    said, gold = [{(0, 0)}, {(0, 0), (1, 1), (2, 2)}], [{(0, 0)}, {(0, 1), (1, 2), (2, 0)}]
    _is_close(answer(said, gold, gold), 3 / 4)


def _knows_the_empty_sets(answer):
    """the error is 0 where nothing was said and nothing is sure, and 1 where nothing was said and something is."""
    _is_close(answer([set()], [set()], [{(0, 0)}]), 0)
    _is_close(answer([set()], [{(0, 0)}], [set()]), 1)


def _table() -> Tensor:
    """p(f | e) of 4 source words and 5 target words."""
    return torch.rand(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _has_a_row_for_each_target_word(answer):
    """two source words and three target words give 3 rows of 2 shares."""
    found = tuple(answer(_table(), torch.tensor([1, 3]), torch.tensor([0, 2, 2])).shape)
    assert found == (3, 2), f"the answer has the shape {found}"


def _shares_each_target_word_out(answer):
    """the shares of each target word sum to one over the source words."""
    found = answer(_table(), torch.tensor([1, 3]), torch.tensor([0, 2, 4])).sum(dim=1)
    assert_close(found, torch.ones(3).double())


def _shares_by_hand(answer):
    """'house' with p(house | das) = 1/4 and p(house | Haus) = 3/4 is 1/4 das and 3/4 Haus."""
    table = torch.tensor([[0.75, 0.25], [0.25, 0.75]], dtype=torch.float64)
    found = answer(table, torch.tensor([0, 1]), torch.tensor([1]))
    assert_close(found, torch.tensor([[0.25, 0.75]], dtype=torch.float64))


def _looks_only_at_words_of_the_sentence(answer):
    """words of the vocabulary that are not in the sentence change nothing."""
    words = torch.tensor([1, 3]), torch.tensor([0, 2])
    other = _table()
    other[[0, 2]] = 9.0
    other[:, [1, 3, 4]] = 7.0
    assert_close(answer(other, *words), answer(_table(), *words))


def _gives(found, wanted):
    assert found == wanted, f"it gave {found!r} and not {wanted!r}"


def _agrees_where_both_do(answer):
    """where both maps agree on two links, both links are given, as (source, target)."""
    there = torch.tensor([[0.1, 0.9, 0.0], [0.1, 0.1, 0.8]])
    back = torch.tensor([[0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    _gives(answer(there, back), {(1, 0), (2, 1)})


def _drops_what_one_direction_says_alone(answer):
    """a target word whose source word looks at another target word gets no link."""
    there = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    back = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    _gives(answer(there, back), {(0, 0), (1, 2)})


def _asks_for_the_largest_of_a_row(answer):
    """a link needs the largest weight of its row in each map; that it is heavy or light is not asked."""
    there = torch.tensor([[0.4, 0.3, 0.3], [0.5, 0.4, 0.1]])
    back = torch.tensor([[0.45, 0.55], [0.2, 0.8], [0.9, 0.1]])
    _gives(answer(there, back), {(0, 1)})


def _say(words: list[str]) -> Tensor:
    """Step 1 asks whether there is an a, step 2 how many words there are."""
    first = [1.0, 0.0, 0.0] if "a" in words else [0.5, 0.5, 0.0]
    return torch.tensor([first, [0.2, 0.2, 0.6] if len(words) == 4 else [0.0, 0.3, 0.7]], dtype=torch.float64)


def _has_a_column_for_each_source_word(answer):
    """two steps and four source words give 2 rows of 4 numbers."""
    found = tuple(answer(_say, list("abcd")).shape)
    assert found == (2, 4), f"the answer has the shape {found}"


def _finds_the_word_that_matters(answer):
    """leaving out a moves half of the probability of step 1, leaving out another word moves nothing there."""
    assert_close(answer(_say, list("dacb"))[0], torch.tensor([0.0, 0.5, 0.0, 0.0], dtype=torch.float64))


def _is_total_variation(answer):
    """from (0.2, 0.2, 0.6) to (0, 0.3, 0.7) a share of 0.2 moves: half the sum of the differences."""
    assert_close(answer(_say, list("abcd"))[1], torch.full((4,), 0.2, dtype=torch.float64))


def _leaves_out_one_place(answer):
    """of a word that stands twice, one is left out at a time."""
    assert_close(answer(_say, list("aabc"))[0], torch.zeros(4, dtype=torch.float64))


def _changes_no_argument(answer):
    """the source is as long afterwards as before."""
    words = list("abcd")
    answer(_say, words)
    _gives(words, list("abcd"))


check_error_rate = Checker(
    "error_rate",
    [
        _counts_links_by_hand,
        _knows_that_sure_links_are_possible,
        _counts_all_sentences_together,
        _knows_the_empty_sets,
    ],
)
check_shares = Checker(
    "shares",
    [
        _has_a_row_for_each_target_word,
        _shares_each_target_word_out,
        _shares_by_hand,
        _looks_only_at_words_of_the_sentence,
    ],
)
check_agreed = Checker(
    "agreed",
    [_agrees_where_both_do, _drops_what_one_direction_says_alone, _asks_for_the_largest_of_a_row],
)
check_what_matters = Checker(
    "what_matters",
    [
        _has_a_column_for_each_source_word,
        _finds_the_word_that_matters,
        _is_total_variation,
        _leaves_out_one_place,
        _changes_no_argument,
    ],
)
