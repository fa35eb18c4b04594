"""Links and their errors, IBM Model 1, other weights than a translator's own, and what an output depends on."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from torch.testing import assert_close

from attention_src.alignment import (
    Agreement,
    IBMModel1,
    alignment_error_rate,
    follow_told,
    grouped,
    grown,
    hardest,
    heavier,
    kendall,
    later,
    left_out,
    neighbours,
    say,
    sharpened,
    shuffled,
    slopes,
    told,
    total_variation,
    turned,
    uniform,
)
from attention_src.bahdanau import Bahdanau
from attention_src.bottleneck import LookBack
from attention_src.data.grammar import Pair
from attention_src.exercises.alignment import by_partners
from attention_src.luong import AroundAGuess, Everywhere, Luong
from attention_src.recurrent import Memory, follow
from attention_src.scores import Bilinear

SOURCE, TARGET = 13, 17  # sizes of the vocabularies


def draw(*shape, seed=0):
    """Random numbers of a shape, in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def table(*rows):
    """Weights as a tensor of float64."""
    return torch.tensor(rows, dtype=torch.float64)


# --- the error rate ---------------------------------------------------------------------------------------------------


def test_error_rate_by_hand():
    """4 links said; 2 of the 3 sure ones are among them, and 1 more is possible: 1 - (2 + 3) / (4 + 3) = 2/7."""
    said = {(0, 0), (1, 1), (2, 1), (4, 3)}
    sure, possible = {(0, 0), (1, 1), (3, 2)}, {(2, 1), (2, 2)}
    assert alignment_error_rate([said], [sure], [possible]) == pytest.approx((2 / 7, 3 / 4, 2 / 3))


def test_sentences_are_counted_together():
    """1 of 1 and 0 of 3 links: together 1 of 4, and not the mean of 1 and 0."""
    said = [{(0, 0)}, {(0, 0), (1, 1), (2, 2)}]
    gold = [{(0, 0)}, {(0, 1), (1, 2), (2, 0)}]
    assert alignment_error_rate(said, gold) == pytest.approx((3 / 4, 1 / 4, 1 / 4))


@pytest.mark.parametrize(
    ("said", "sure", "possible", "expected"),
    [
        (set(), set(), set(), (0, 1, 1)),  # nothing said, nothing wanted
        (set(), {(0, 0)}, set(), (1, 1, 0)),
        ({(0, 0)}, set(), set(), (1, 0, 1)),
        ({(0, 0)}, set(), {(0, 0)}, (0, 1, 1)),  # possible, and nothing is sure
        (set(), set(), {(0, 0)}, (0, 1, 1)),  # what is only possible need not be said
    ],
)
def test_empty_sets(said, sure, possible, expected):
    assert alignment_error_rate([said], [sure], [possible]) == pytest.approx(expected)
    assert alignment_error_rate([said, {(1, 2)}], [sure, {(1, 2)}], [possible, set()]).error <= expected[0]


def test_no_sentences_have_no_error():
    assert alignment_error_rate([], []) == (0, 1, 1)


links = st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=12)


@given(st.lists(st.tuples(links, links, links), max_size=4))
def test_error_rate_is_its_formula(sentences):
    said, sure, possible = (list(side) for side in zip(*sentences, strict=True)) if sentences else ([], [], [])
    found = alignment_error_rate(said, sure, possible)
    inside = [s | p for s, p in zip(sure, possible, strict=True)]
    every = {name: sum(map(len, sets)) for name, sets in (("said", said), ("sure", sure))}
    hits = sum(len(a & s) + len(a & p) for a, s, p in zip(said, sure, inside, strict=True))
    assert found.error == pytest.approx(1 - hits / max(1, sum(every.values())) if any(every.values()) else 0)
    assert all(-1e-12 <= value <= 1 for value in found)
    assert found.error == alignment_error_rate(said, sure, inside).error  # sure links are possible ones, said or not


@given(links, links)
def test_with_sure_links_alone_it_is_one_minus_f(said, sure):
    error, precision, recall = alignment_error_rate([said], [sure])
    if said & sure:
        assert error == pytest.approx(1 - 2 * precision * recall / (precision + recall))
    other = alignment_error_rate([sure], [said])
    assert other == pytest.approx((error, recall, precision)) if said and sure else other.error == error
    assert alignment_error_rate([turned(said)], [turned(sure)]) == (error, precision, recall)


@given(links)
def test_only_the_truth_has_no_error(sure):
    assert alignment_error_rate([sure], [sure]) == Agreement(0.0, 1.0, 1.0)
    assert alignment_error_rate([sure | {(9, 9)}], [sure]).error > 0


def test_bad_lists_are_named():
    with pytest.raises(ValueError, match="one set of links a sentence, but have 1, 2 and 2"):
        alignment_error_rate([set()], [set(), set()])


# --- links ------------------------------------------------------------------------------------------------------------


def test_hardest_links_by_hand():
    weights = table([0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.0, 0.0, 0.0], [0.4, 0.4, 0.2])
    assert hardest(weights) == {(1, 0), (0, 1), (0, 3)}  # of two that are equal, the first


def test_heavier_links_by_hand():
    weights = table([0.2, 0.5, 0.3], [0.6, 0.3, 0.1])
    assert heavier(weights, 0.3) == {(1, 0), (2, 0), (0, 1), (1, 1)}
    assert heavier(weights, 0.7) == set()
    with pytest.raises(ValueError, match="least must be above 0 and at most 1, but is 0"):
        heavier(weights, 0)


def test_more_links_pass_a_lower_bar():
    weights = draw(5, 7).softmax(dim=1)
    bars = [heavier(weights, least) for least in (0.05, 0.1, 0.2, 0.5)]
    assert all(few < many for many, few in itertools.pairwise(bars))


def test_links_of_the_word_before_and_after():
    said = {(5, 0), (7, 1), (6, 2)}
    assert later(said, 0, 3) == said
    assert later(said, 1, 3) == {(5, 1), (7, 2)}
    assert later(said, -1, 3) == {(7, 0), (6, 1)}


def test_grown_by_hand():
    """(0, 1) touches and its target is free, then (1, 1), whose source is free, then (1, 2); (4, 4) touches nothing."""
    both, either = {(0, 0)}, {(0, 0), (1, 1), (0, 1), (1, 2), (4, 4)}
    assert grown(both, either) == {(0, 0), (0, 1), (1, 1), (1, 2)}
    assert grown({(0, 0), (1, 1)}, {(0, 0), (1, 1), (0, 1)}) == {(0, 0), (1, 1)}
    assert grown(set(), either) == set()


@given(links, links)
def test_grown_lies_between(one, other):
    between = grown(one & other, one | other)
    assert one & other <= between <= one | other
    assert grown(turned(one & other), turned(one | other)) <= turned(one | other)


# --- IBM Model 1 ------------------------------------------------------------------------------------------------------

HOUSE = [((0, 1), (0, 1)), ((0, 2), (0, 2)), ((3, 2), (3, 2))]  # das Haus, das Buch, ein Buch: the house, …


def test_first_round_by_hand():
    """Of 'the house' each word is shared out among das, Haus and the null word: one third each."""
    model = IBMModel1(4, 4)
    likelihood = model.fit(HOUSE, rounds=1)
    assert_close(torch.tensor(model.table[0]), table([1 / 2, 1 / 4, 1 / 4, 0])[0])  # das: the twice, house, book
    assert_close(torch.tensor(model.table[1]), table([1 / 2, 1 / 2, 0, 0])[0])
    assert_close(torch.tensor(model.table[4]), table([1 / 3, 1 / 6, 1 / 3, 1 / 6])[0])  # the null word stands in all
    assert likelihood == pytest.approx([6 * math.log(1 / 4)])


def test_words_find_their_partners():
    model = IBMModel1(4, 4)
    model.fit(HOUSE, rounds=100)
    assert [model.table[word].argmax() for word in range(4)] == [0, 1, 2, 3]
    assert model.align((0, 1), (1, 0)) == {(1, 0), (0, 1)}


def drawn_pairs(seed=0, count=11):
    """Random sentences of 1 to 4 words: of 5 source words and of 7 target words."""
    random = np.random.default_rng(seed)
    return [
        (random.integers(0, 5, random.integers(1, 5)), random.integers(0, 7, random.integers(1, 4)))
        for _ in range(count)
    ]


def every_alignment(model, source, target):
    """p(alignment, target words) of each of the (n + 1)^m alignments: brute force."""
    n, m = len(source), len(target)
    words = [*source, model.null]
    for places in itertools.product(range(n + 1), repeat=m):
        p = 1.0
        for j, place in enumerate(places):
            if place == n:
                prior = 1 / (n + 1)
            else:
                near = [math.exp(-model.tension * abs((j + 1) / m - (i + 1) / n)) for i in range(n)]
                prior = n / (n + 1) * near[place] / sum(near)
            p *= prior * model.table[words[place], target[j]]
        yield places, p


@pytest.mark.parametrize("tension", [0.0, 3.0])
def test_it_agrees_with_all_alignments_one_by_one(tension):
    model = IBMModel1(5, 7, tension)
    model.fit(drawn_pairs(), rounds=2)
    total = 0.0
    for source, target in drawn_pairs():
        every = list(every_alignment(model, source, target))
        evidence = sum(p for _, p in every)
        total += math.log(evidence)
        shares = np.zeros((len(target), len(source) + 1))
        for places, p in every:
            for j, place in enumerate(places):
                shares[j, place] += p / evidence
        np.testing.assert_allclose(model.posterior(source, target), shares, rtol=1e-12)
        best = max(every, key=lambda one: one[1])
        assert model.align(source, target) == {(i, j) for j, i in enumerate(best[0]) if i < len(source)}
    assert model.learn(grouped(drawn_pairs())) == pytest.approx(total)


@pytest.mark.parametrize("tension", [0.0, 3.0])
@given(seed=st.integers(0, 10**6))
def test_the_likelihood_never_falls(tension, seed):
    model = IBMModel1(5, 7, tension)
    likelihood = model.fit(drawn_pairs(seed), rounds=8)
    assert all(after >= before - 1e-9 for before, after in itertools.pairwise(likelihood))
    np.testing.assert_allclose(model.table.sum(axis=1), 1)


def test_the_prior_shares_out_one():
    for tension in (0.0, 2.0):
        np.testing.assert_allclose(IBMModel1(5, 7, tension).prior(3, 2).sum(axis=1), 1)
    np.testing.assert_allclose(IBMModel1(5, 7).prior(3, 2), 1 / 4)
    prior = IBMModel1(5, 7, 2.0).prior(4, 4)
    assert prior[:, :4].argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert np.exp(2.0 / 4) == pytest.approx(prior[0, 0] / prior[0, 1])


def test_the_prior_decides_between_equal_words():
    pairs = [((0, 0, 0), (1, 1))]
    for tension, expected in ((0.0, {(0, 0), (0, 1)}), (4.0, {(0, 0), (2, 1)})):
        model = IBMModel1(1, 2, tension)
        model.table[:] = 0.5
        assert model.align(*pairs[0]) == ({(1, 0), (2, 1)} if tension else expected)


def test_null_words_get_no_link():
    """'o' stands in every target sentence whatever the source: the null word explains it best."""
    random = np.random.default_rng(0)
    pairs = []
    for _ in range(200):
        words = random.permutation(5)[:2]
        pairs.append((words, [*words, 6]))
    model = IBMModel1(5, 7)
    model.fit(pairs, rounds=20)
    assert model.table[model.null].argmax() == 6
    assert model.align([3, 1], [3, 1, 6]) == {(0, 0), (1, 1)}


def test_words_that_never_occur_stay_as_they_were():
    model = IBMModel1(3, 2)
    model.fit([((0,), (1,))], rounds=3)
    np.testing.assert_allclose(model.table[1:3], 0.5)


def test_bad_pairs_are_named():
    with pytest.raises(ValueError, match="tension must be 0 or more, but is -1"):
        IBMModel1(2, 3, -1)
    with pytest.raises(ValueError, match="source_words must be at least 1"):
        IBMModel1(0, 3)
    with pytest.raises(ValueError, match="at least one word on each side"):
        IBMModel1(2, 3).fit([((), (1,))], rounds=1)
    with pytest.raises(ValueError, match="pairs is empty"):
        IBMModel1(2, 3).fit([], rounds=1)


# --- other weights ----------------------------------------------------------------------------------------------------


def translators():
    """One translator of each chapter, in float64."""
    torch.manual_seed(0)
    return {
        "look back": LookBack(SOURCE, TARGET, width=7, hidden=6, vector=6).double().eval(),
        "bahdanau": Bahdanau(SOURCE, TARGET, width=7, hidden=6, annotation=10, score=5, maxout=3).double().eval(),
        "luong": Luong(SOURCE, TARGET, Bilinear(6, 6), Everywhere(), width=7, hidden=6, both_ways=True).double().eval(),
    }


KINDS = list(translators())


def example():
    """Two sentences, of 5 and of 3 words, and what they are given."""
    source = torch.tensor([[4, 5, 6, 7, 8], [9, 10, 11, 0, 0]])
    return source, source > 0, torch.tensor([[1, 4, 5, 6], [1, 6, 7, 9]])


def test_told_by_hand():
    value = table([2.0], [6.0], [9.0])[None]
    memory = Memory(value, value, torch.tensor([[True, True, False]]), value[:, 0])
    other = told(memory, table([0.5, 0.5, 0.0]))
    assert_close(other.value, table([4.0], [4.0], [4.0])[None])
    assert other.key is memory.key
    assert memory.value[0, 0] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_translator_told_its_own_weights_says_the_same(kind):
    model, (source, mask, given_) = translators()[kind], example()
    memory, state = model.encode(source, mask)
    own, _ = follow(model.step, given_, state, memory)
    for onwards in (True, False):
        assert_close(follow_told(model.step, given_, state, memory, lambda weights, mask: weights, onwards), own)


@pytest.mark.parametrize("kind", KINDS)
def test_a_translator_told_one_word_sees_that_word_alone(kind):
    """The oracle: a memory in which every word is that word."""
    model, (source, mask, given_) = translators()[kind], example()
    memory, state = model.encode(source, mask)
    only = torch.zeros(2, 5).double()
    only[:, 2] = 1.0
    said = model.step(given_[:, 0], state, told(memory, only))
    same = memory._replace(value=memory.value[:, 2:3].expand(-1, 5, -1))
    assert_close(said.logits, model.step(given_[:, 0], state, same).logits)
    assert not torch.allclose(said.logits, model.step(given_[:, 0], state, memory).logits)


@pytest.mark.parametrize("kind", KINDS)
def test_once_begins_each_step_as_if_nothing_had_changed(kind):
    model, (source, mask, given_) = translators()[kind], example()
    memory, state = model.encode(source, mask)
    once = follow_told(model.step, given_, state, memory, uniform, onwards=False)
    always = follow_told(model.step, given_, state, memory, uniform, onwards=True)
    assert_close(once[:, 0], always[:, 0])
    assert not torch.allclose(once[:, 3], always[:, 3])
    for step in range(4):  # a plain loop: the weights are changed at one step only
        now = state
        for place, token in enumerate(given_.unbind(dim=1)):
            weights = model.step(token, now, memory).weights
            said = model.step(token, now, told(memory, uniform(weights, mask)) if place == step else memory)
            now = said.state
            if place == step:
                assert_close(once[:, step], said.logits)
                break


def test_local_p_does_not_keep_what_it_is_told():
    """Its weights need not sum to one, so it takes less of the mixture: the condition of ``told`` is needed."""
    torch.manual_seed(0)
    model = Luong(SOURCE, TARGET, Bilinear(6, 6), AroundAGuess(6, 2), width=7, hidden=6).double().eval()
    source, mask, given_ = example()
    memory, state = model.encode(source, mask)
    own, _ = follow(model.step, given_, state, memory)
    other = follow_told(model.step, given_, state, memory, lambda weights, mask: weights, onwards=False)
    assert not torch.allclose(own, other)


def test_changes_by_hand():
    weights = table([0.1, 0.6, 0.3], [0.8, 0.2, 0.0])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert_close(uniform(weights, mask), table([1 / 3, 1 / 3, 1 / 3], [1 / 2, 1 / 2, 0.0]))
    assert_close(sharpened(weights, mask), table([0.0, 1.0, 0.0], [1.0, 0.0, 0.0]))
    assert_close(neighbours(weights, mask), table([0.3, 0.1, 0.6], [0.2, 0.8, 0.0]))


def test_shuffled_weights_are_the_same_weights_elsewhere():
    mask = torch.arange(7) < torch.tensor([7, 5, 2])[:, None]
    weights = draw(3, 7).masked_fill(~mask, -math.inf).softmax(dim=1)
    change = shuffled(torch.Generator().manual_seed(3))
    one, other = change(weights, mask), change(weights, mask)
    assert_close(one.sort(dim=1).values, weights.sort(dim=1).values)
    assert (one[~mask] == 0).all()
    assert not torch.equal(one, weights)
    assert not torch.equal(one, other)
    again = shuffled(torch.Generator().manual_seed(3))
    assert torch.equal(one, again(weights, mask))


def test_shuffling_favours_no_place():
    change, mask = shuffled(torch.Generator().manual_seed(0)), torch.ones(900, 3, dtype=torch.bool)
    where = change(table([1.0, 0.0, 0.0]).expand(900, -1), mask).mean(dim=0)
    assert_close(where, torch.full((3,), 1 / 3).double(), atol=0.06, rtol=0)


def test_a_delayed_memory_says_the_same_with_a_shifted_map():
    """The map shows rows of the memory. Write the note about each word one row later, and only the map changes."""
    for model in translators().values():
        source, _, given_ = example()
        memory, state = model.encode(source[:1], torch.ones(1, 5, dtype=torch.bool))
        delayed = memory._replace(key=memory.key.roll(1, dims=1), value=memory.value.roll(1, dims=1))
        logits, weights = follow(model.step, given_[:1], state, memory)
        same, shifted = follow(model.step, given_[:1], state, delayed)
        assert_close(same, logits)
        assert_close(shifted, weights.roll(1, dims=2))
        assert not torch.allclose(shifted, weights)


# --- what the output depends on ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_left_out_is_a_plain_loop(kind):
    model, source, given_ = translators()[kind], torch.tensor([4, 5, 6, 7, 8]), torch.tensor([1, 4, 6])
    found = left_out(model, source, given_)
    assert found.shape == (3, 5)
    whole = model(source[None], torch.ones(1, 5).bool(), given_[None]).softmax(dim=-1)
    for place in range(5):
        words = torch.cat([source[:place], source[place + 1 :]])
        without = model(words[None], torch.ones(1, 4).bool(), given_[None]).softmax(dim=-1)
        assert_close(found[:, place], (whole - without)[0].abs().sum(dim=1) / 2)
    assert found.gt(0).all()
    assert not found.requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_are_what_small_steps_give(kind):
    """Finite differences: move one number of one word's vector by a little."""
    model, source = translators()[kind], torch.tensor([4, 5, 6, 7, 8])
    given_, wanted = torch.tensor([1, 4, 6]), torch.tensor([4, 6, 2])
    found = slopes(model, source, given_, wanted)
    with torch.no_grad():
        table_ = model.encoder.embed.weight
        gradient = torch.zeros(3, 5, 7).double()
        for place, number in itertools.product(range(5), range(7)):
            both = []
            for step in (1e-5, -1e-5):  # each source word occurs once, so its row is its vector
                table_[source[place], number] += step
                both.append(say(model, source[None], given_[None])[0, range(3), wanted].log())
                table_[source[place], number] -= step
            gradient[:, place, number] = (both[0] - both[1]) / 2e-5
    assert_close(found, gradient.norm(dim=2), rtol=1e-6, atol=1e-8)
    assert not model.encoder.embed._forward_hooks
    assert all(parameter.grad is None for parameter in model.parameters())


def test_slopes_leave_no_hook_behind_when_they_fail():
    model = translators()["bahdanau"]
    with pytest.raises(ValueError, match="99"):
        slopes(model, torch.tensor([4, 99]), torch.tensor([1]), torch.tensor([2]))
    assert not model.encoder.embed._forward_hooks


def test_total_variation_is_a_distance():
    p, q, r = (draw(3, 11, seed=seed).softmax(dim=1) for seed in range(3))
    assert_close(total_variation(p, p), torch.zeros(3).double())
    assert_close(total_variation(p, q), total_variation(q, p))
    assert (total_variation(p, r) <= total_variation(p, q) + total_variation(q, r)).all()
    assert_close(total_variation(torch.eye(2)[:1], torch.eye(2)[1:]), torch.ones(1))


def test_kendall_is_scipys():
    one, other = draw(3, 7), draw(3, 7, seed=1)
    expected = [kendalltau(a, b).statistic for a, b in zip(one, other, strict=True)]
    assert_close(kendall(one, other), torch.tensor(expected))
    assert_close(kendall(one, one), torch.ones(3).double())
    assert_close(kendall(one, -one), -torch.ones(3).double())


def test_one_word_is_too_few():
    with pytest.raises(ValueError, match="at least 2 words"):
        left_out(translators()["luong"], torch.tensor([4]), torch.tensor([1, 5]))
    with pytest.raises(ValueError, match="at least 2 source words"):
        kendall(draw(3, 1), draw(3, 1))


def test_words_with_and_without_partners_by_hand():
    pair = Pair(("a", "b"), ("x", "y", "z"), frozenset({(0, 0), (1, 0), (1, 2)}))  # x has two partners, y has none
    found = by_partners([{(0, 0), (1, 0), (0, 1)}, {(0, 0), (1, 2)}], [pair, pair])
    assert found == {"error": pytest.approx(100 * (1 - 8 / 11)), "needless": 50, "complete": 50}


def test_words_with_and_without_partners_by_hand():
    pair = Pair(("a", "b"), ("x", "y", "z"), frozenset({(0, 0), (1, 0), (1, 2)}))  # x has two partners, y has none
    found = by_partners([{(0, 0), (1, 0), (0, 1)}, {(0, 0), (1, 2)}], [pair, pair])
    assert found == {"error": pytest.approx(100 * (1 - 8 / 11)), "needless": 50, "complete": 50}
