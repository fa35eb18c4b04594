import numpy as np

from attention_src.data.lookups import hidden_turn, lookups


def test_without_noise_the_turned_key_is_the_query():
    some = lookups(7, items=5, widths=(3, 2), noise=0.0, seed=(1, 4))
    assert some.key.shape == (7, 5, 3)
    assert some.value.shape == (7, 5, 2)
    turned = some.key @ hidden_turn(3, seed=1)
    distance = np.linalg.norm(turned - some.query[:, None], axis=-1)
    assert np.array_equal(distance.argmin(axis=1), some.item)
    assert np.allclose(distance.min(axis=1), 0)


def test_noise_moves_the_query_by_its_size():
    noisy = lookups(2000, items=2, widths=(3, 2), noise=0.5, seed=(1, 4))
    moved = noisy.query - noisy.key[np.arange(2000), noisy.item] @ hidden_turn(3, seed=1)
    assert abs(moved.std() - 0.5) < 0.02


def test_the_seeds_are_two_things():
    one, other = (lookups(2, 5, (3, 2), 0.0, (seed, 0)) for seed in (0, 1))
    assert not np.allclose(hidden_turn(3, 0), hidden_turn(3, 1))
    assert not np.allclose(one.key, other.key)
    again = lookups(2, 5, (3, 2), 0.0, (0, 0))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
