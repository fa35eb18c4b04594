"""Lists of who has what, and chains of who asks whom."""

import pytest
import torch

from attention_src.data.belongings import NAMES, THINGS, chains, lists


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_answer_is_what_the_person_asked_about_has():
    some = lists(200, random(), people=5, questions=3, things=7)
    rows = torch.arange(200)[:, None]
    assert torch.equal(some.names[rows, some.places], some.asked)
    assert torch.equal(some.things[rows, some.places], some.answers)
    for row in range(200):
        assert len(set(some.names[row].tolist())) == 5
        assert len(set(some.asked[row].tolist())) == 3
    assert some.names.unique().tolist() == list(range(len(NAMES)))
    assert some.things.unique().tolist() == list(range(7))


def test_things_are_drawn_alone():
    """What one person has says nothing about what another has: all four pairs of two things come up alike."""
    some = lists(4000, random(), questions=2, things=2)
    pairs = (2 * some.answers[:, 0] + some.answers[:, 1]).bincount() / 4000
    assert (pairs - 0.25).abs().max() < 0.03


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_a_chain_is_followed(steps):
    some = chains(100, random(), people=4, steps=steps)
    for row in range(100):
        to = dict(zip(some.names[row].tolist(), some.others[row].tolist(), strict=True))
        assert len(to) == 4
        assert set(to.values()) <= set(to)
        assert all(one != other for one, other in to.items())
        at = int(some.asked[row])
        for _ in range(steps):
            at = to[at]
        assert at == int(some.answers[row])


def test_a_seed_draws_the_same_again_whatever_the_default_type():
    first = lists(5, random(3))
    torch.set_default_dtype(torch.float64)
    try:
        again = lists(5, random(3))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert not torch.equal(first.names, lists(5, random(4)).names)


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="people must lie between 1 and 8, but is 9"):
        lists(1, random(), people=9)
    with pytest.raises(ValueError, match="questions must lie between 1 and 3, but is 4"):
        lists(1, random(), people=3, questions=4)
    with pytest.raises(ValueError, match=f"things must lie between 1 and {len(THINGS)}, but is 0"):
        lists(1, random(), things=0)
    with pytest.raises(ValueError, match="people must lie between 2 and 8, but is 1"):
        chains(1, random(), people=1)
    with pytest.raises(ValueError, match="steps must lie between 0 and 100, but is -1"):
        chains(1, random(), steps=-1)
