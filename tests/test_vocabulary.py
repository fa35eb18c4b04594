import pytest

from attention_src.data.vocabulary import BEGIN, END, PAD, UNKNOWN, UnknownWordError, Vocabulary


@pytest.fixture
def vocabulary():
    return Vocabulary.of([["the", "cat"], ["the", "dog", "sleeps"]])


def test_numbers_by_hand(vocabulary):  # the four marks, then cat, dog, sleeps, the
    assert (PAD, BEGIN, END, UNKNOWN) == (0, 1, 2, 3)
    assert len(vocabulary) == 8
    assert vocabulary.encode(["the", "cat"]) == [7, 4]
    assert vocabulary.decode([5, 6, END]) == ["dog", "sleeps", "</s>"]
    assert "cat" in vocabulary
    assert "cow" not in vocabulary


def test_an_unknown_word_is_named_with_near_ones(vocabulary):
    with pytest.raises(UnknownWordError, match="'sleep', which is not in the vocabulary; near it: sleeps"):
        vocabulary.encode(["the", "sleep"])


def test_a_string_is_not_a_sentence(vocabulary):
    with pytest.raises(TypeError, match=r"use 'the cat'\.split\(\)"):
        vocabulary.encode("the cat")


@pytest.mark.parametrize("number", [-1, 8])
def test_a_number_outside_is_named(vocabulary, number):
    with pytest.raises(ValueError, match=f"numbers holds {number}, .* 0 to 7"):
        vocabulary.decode([4, number])


@pytest.mark.parametrize("words", [["a", "a"], ["a", "<s>"]])
def test_words_must_be_distinct_and_no_marks(words):
    with pytest.raises(ValueError, match="words must be distinct"):
        Vocabulary(words)
