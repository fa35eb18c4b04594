"""The tasks with long gaps: what they look like, and that the shortcuts do not work."""

import pytest
import torch

from attention_src.data.long_range import PAIRS, PREFIX, WORDS, recall, which_came_first


def random(seed=0):
    """A generator."""
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("gap", [0, 3, 11])
def test_which_came_first(gap):
    task, before = which_came_first(200, gap, random()), set()
    for row, answer in zip(task.words.tolist(), task.answer.tolist(), strict=True):
        text = "".join(WORDS[word] for word in row)
        first, second = (place for place, sign in enumerate(text) if sign.isupper())
        assert text.index("?") == len(text) - 1
        assert second - first - 1 == gap
        assert text[first] == "ABCDEFGH"[answer] != text[second]
        before.add(first)
        assert 1 <= len(text) - 1 - second - 1 <= 3  # small letters behind
    assert before == set(range(PREFIX[0], PREFIX[1] + 1))
    assert sorted(set(task.answer.tolist())) == list(range(8))


def test_turned_round_it_has_the_same_letters_and_another_answer():
    """The second capital is as often any of the others: which letters there are does not give the answer."""
    task = which_came_first(4000, 1, random())
    pairs = {}
    for row, answer in zip(task.words.tolist(), task.answer.tolist(), strict=True):
        capitals = tuple(sorted(word for word in row if 8 <= word < 16))
        pairs.setdefault(capitals, []).append(8 + answer == capitals[0])
    assert len(pairs) == 28
    assert all(0.3 < sum(some) / len(some) < 0.7 for some in pairs.values())


@pytest.mark.parametrize("pairs", [1, 3, 8])
def test_recall(pairs):
    task = recall(200, pairs, random())
    for row, answer in zip(task.words.tolist(), task.answer.tolist(), strict=True):
        *said, asked = (PAIRS[word] for word in row)
        dictionary = {key: int(value) for key, value in said}
        assert len(dictionary) == pairs
        assert asked[1] == "?"
        assert dictionary[asked[0]] == answer + 1


def test_the_same_generator_gives_the_same_task():
    for task in (which_came_first, recall):
        assert torch.equal(task(5, 3, random()).words, task(5, 3, random()).words)
        assert not torch.equal(task(5, 3, random()).words, task(5, 3, random(1)).words)


def test_tasks_refuse():
    with pytest.raises(ValueError, match="gap must be 0 or more, but is -1"):
        which_came_first(2, -1, random())
    for pairs in (0, 9):
        with pytest.raises(ValueError, match="pairs must lie between 1 and 8"):
            recall(2, pairs, random())
