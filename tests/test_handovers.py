"""Who gives what to whom, in two languages."""

import pytest

from attention_src.data.handovers import ENDINGS, NAMES, NOUNS, Handover, handovers, numbered, vocabulary
from attention_src.data.vocabulary import UnknownWordError, Vocabulary

WORDS = vocabulary()


def test_a_clause_is_turned_round():
    for pair in handovers(100, seed=1, clauses=[1]):
        giver, gives, the, adjective, noun, to, taker = pair.source
        receiver, bekommt, article, ended, thing, von, donor = pair.target
        assert (gives, the, to, bekommt, von) == ("gives", "the", "to", "bekommt", "von")
        assert (giver, taker) == (donor, receiver)
        assert giver != taker
        assert NOUNS[article][noun] == thing
        assert ended.endswith(ENDINGS[article])
        assert adjective in WORDS
        assert ended in WORDS


def test_clauses_are_joined():
    pairs = handovers(200, seed=1, clauses=[2, 3])
    assert {len(pair.source) for pair in pairs} == {15, 23}
    assert all(pair.source[7::8] == ("and",) * (len(pair.source) // 8) for pair in pairs)
    assert all(pair.target[7::8] == ("und",) * (len(pair.source) // 8) for pair in pairs)
    assert any(len(set(pair.source[0::8] + pair.source[6::8])) < 4 for pair in pairs), "nobody comes twice"


@pytest.mark.parametrize(("new", "least", "most"), [(0.0, 0, 0), (0.5, 0.4, 0.6), (1.0, 1, 1)])
def test_so_many_names_are_new(new, least, most):
    names = [word for pair in handovers(300, seed=2, new=new) for word in (*pair.source[::8], *pair.source[6::8])]
    assert least <= sum(name not in NAMES for name in names) / len(names) <= most
    assert len({name for name in names if name not in NAMES}) > 100 or new == 0
    assert all((name in WORDS) == (name in NAMES) for name in names)


def test_numbers_lead_back_to_the_words():
    for pair in handovers(50, seed=3):
        one = numbered(pair, WORDS)
        words = [*WORDS.words, *one.new]
        assert tuple(words[number] for number in one.source) == pair.source
        assert tuple(words[number] for number in one.target) == pair.target
        assert len(set(one.new)) == len(one.new)
        assert all(word not in WORDS for word in one.new)


def test_new_words_have_the_numbers_after_the_last():
    found = numbered(Handover(("x", "a", "y", "x"), ("y", "a")), Vocabulary(["a"]))
    assert found == ([5, 4, 6, 5], [6, 4], ["x", "y"])


def test_a_seed_draws_the_same_again():
    assert handovers(5, seed=3) == handovers(5, seed=3) != handovers(5, seed=4)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="new must be a probability, from 0 to 1, but is 2"):
        handovers(1, 0, new=2)
    with pytest.raises(ValueError, match=r"clauses must hold numbers of at least 1, but is \[0\]"):
        handovers(1, 0, clauses=[0])
    with pytest.raises(UnknownWordError, match="'Zoe'"):
        numbered(Handover(("gives",), ("Zoe",)), WORDS)
