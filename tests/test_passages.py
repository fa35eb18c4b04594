"""Passages: one by hand, and what holds for all that are drawn."""

import itertools
from collections import Counter

import pytest

from attention_src.data.passages import ANSWERS, KINDS, RELATIONS, VOCABULARY, Fact, Passage, passages

MANY = passages(500, seed="test")


def test_a_passage_by_hand():
    facts = (Fact("visited", "anna", "rome"), Fact("ate", "anna", "figs"))
    one = Passage(facts, gold=1, side=1)
    assert " ".join(one.words) == "anna visited rome . anna ate figs ."
    assert one.sentences == [0, 0, 0, 0, 1, 1, 1, 1]
    assert " ".join(one.question) == "what did anna eat ?"
    assert one.answer == "figs"
    other = one._replace(side=0)
    assert " ".join(other.question) == "who ate figs ?"
    assert other.answer == "anna"


def test_exactly_one_fact_answers():
    for one in MANY:
        asked = [(number, side) for number in range(len(one.facts)) for side in (0, 1)]
        same = [pair for pair in asked if one.facts[pair[0]].question(pair[1]) == one.question]
        assert same == [(one.gold, one.side)]


def test_no_two_facts_of_a_relation_share_a_word():
    for one in MANY:
        for name in RELATIONS:
            for side in (1, 2):
                words = [fact[side] for fact in one.facts if fact.relation == name]
                assert len(set(words)) == len(words)


def test_words_come_again_in_other_relations():
    """Otherwise the verb of a question would tell nothing."""
    again = 0
    for one in MANY:
        fact = one.facts[one.gold]
        asked_about = fact[2 - one.side]
        again += any(asked_about in other and other != fact for other in one.facts)
    assert again > 50


def test_every_word_is_in_the_vocabulary_and_none_is_missing():
    used = {word for one in MANY for word in one.words + one.question}
    assert used == set(VOCABULARY)
    assert list(VOCABULARY) == sorted(VOCABULARY)
    assert {one.answer for one in MANY} == set(ANSWERS)
    assert len(set(ANSWERS)) == sum(map(len, KINDS.values()))


def test_facts_are_made_of_words_of_their_kind():
    for one in MANY:
        for fact in one.facts:
            assert all(word in KINDS[kind] for word, kind in zip(fact[1:], RELATIONS[fact.relation].kinds, strict=True))


def test_any_fact_may_answer_and_any_length_comes():
    lengths = Counter(len(one.facts) for one in MANY)
    assert set(lengths) == set(range(6, 9))
    six = Counter(one.gold for one in MANY if len(one.facts) == 6)
    assert set(six) == set(range(6))
    assert max(six.values()) < 3 * min(six.values())
    assert 200 < sum(one.side for one in MANY) < 300


def test_where_the_answer_stands_can_be_fixed():
    assert all(one.gold == 0 for one in passages(50, 3, gold=0))
    assert all(one.gold == len(one.facts) - 1 for one in passages(50, 3, gold=-1))


def test_the_same_seed_gives_the_same_passages():
    assert passages(7, 11) == passages(7, 11)
    assert passages(7, 11) != passages(7, "11 ")
    assert passages(7, 11) == passages(13, 11)[:7]


def test_passages_of_other_seeds_are_new():
    assert not set(MANY) & set(passages(500, seed="other"))


@pytest.mark.parametrize("count", [1, 4, 12])
def test_options_hold_the_answer_once_among_words_of_its_kind(count):
    places = Counter()
    for one in MANY:
        options = one.options(count)
        assert len(options) == len(set(options)) == count
        kind = RELATIONS[one.facts[one.gold].relation].kinds[one.side]
        assert set(options) <= set(KINDS[kind])
        places[options.index(one.answer)] += 1
    assert set(places) == set(range(count))
    assert max(places.values()) < 3 * min(places.values())


def test_options_come_from_the_passage_if_it_has_enough():
    for one in MANY:
        kind = KINDS[RELATIONS[one.facts[one.gold].relation].kinds[one.side]]
        here = [word for word in kind if word in one.words]
        wanted = min(4, len(here))
        assert len(set(one.options(4)) & set(here)) == wanted


def test_options_are_the_same_each_time_and_other_with_another_seed():
    assert [one.options(4) for one in MANY] == [one.options(4) for one in MANY]
    assert [one.options(4) for one in MANY] != [one.options(4, seed=1) for one in MANY]


@pytest.mark.parametrize(("shortest", "longest"), [(0, 3), (5, 4), (3, 31)])
def test_wrong_lengths_are_refused(shortest, longest):
    with pytest.raises(ValueError, match=r"shortest and longest must be .*, but are"):
        passages(1, 0, shortest, longest)


def test_a_place_that_not_every_passage_has_is_refused():
    for gold in (6, -7):
        with pytest.raises(ValueError, match=f"gold must be a fact that every passage has, -6 to 5, but is {gold}"):
            passages(1, 0, gold=gold)
    with pytest.raises(ValueError, match="count must be between 1 and 12, the words of a kind, but is 13"):
        MANY[0].options(13)


def test_a_long_passage_can_be_drawn():
    assert all(len(one.facts) == 30 for one in itertools.islice(passages(20, 5, 30, 30), 20))
