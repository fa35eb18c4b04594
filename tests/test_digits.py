import numpy as np
import pytest

from attention_src.data.digits import DIGIT, PIECE, PIECES, SIZE, TEST, handwritten, pictures


def test_the_digits_are_split_once_and_for_all():
    (learn, _), (test, answers) = handwritten(test=False), handwritten(test=True)
    assert len(test) == TEST == len(answers)
    assert len(learn) + len(test) == 1797
    seen = {digit.tobytes() for digit in learn}
    assert not any(digit.tobytes() in seen for digit in test)
    assert 0 <= test.min() < test.max() == 1
    assert set(answers) == set(range(10))


@pytest.mark.parametrize("test", [False, True])
def test_the_digit_stands_where_the_corner_says(test):
    digits, names = handwritten(test)
    some = pictures(7, seed=3, test=test)
    for pixels, answer, (row, column) in zip(*some, strict=True):
        window = pixels[row : row + DIGIT, column : column + DIGIT]
        fits = [(window >= digit).all() for digit in digits[names == answer]]  # clutter only adds ink
        assert any(fits)
        assert pixels.shape == (SIZE, SIZE)


def test_clutter_is_there_and_not_too_much():
    some = pictures(50, seed=1)
    outside = some.pixels.copy()
    for pixels, (row, column) in zip(outside, some.corners, strict=True):
        pixels[row : row + DIGIT, column : column + DIGIT] = 0
    inked = (outside > 0).sum(axis=(1, 2))
    assert inked.min() > 0
    assert inked.max() <= PIECES * PIECE**2


def test_all_corners_occur_and_both_borders():
    corners = pictures(500, seed=0).corners
    assert {tuple(corner) for corner in corners} == {(r, c) for r in range(0, 17, 4) for c in range(0, 17, 4)}


def test_the_seed_says_all():
    one, same, other = pictures(5, seed=2), pictures(5, seed=2), pictures(5, seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one.pixels, other.pixels)
    assert not np.array_equal(one.pixels, pictures(5, seed=2, test=True).pixels)
