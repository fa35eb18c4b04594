"""Pictures with one handwritten digit somewhere, among pieces of other digits: find it, then read it.

The digits are those of scikit-learn: 1,797 digits of 8 by 8 pixels, written by people. No digit that is tested occurs
in training, not even as clutter.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits

SIZE = 24  # pixels of a picture's side
DIGIT = 8  # of a digit's side
PIECE = 4  # of the side of a piece of clutter
PIECES = 6  # pieces of clutter in a picture
TEST = 500  # digits that are kept for the test


class Pictures(NamedTuple):
    """Pictures with what they show, and where the digit stands."""

    pixels: np.ndarray  # (pictures, rows, columns), 0 is paper and 1 is ink
    answers: np.ndarray  # (pictures,), 0 to 9
    corners: np.ndarray  # (pictures, 2): row and column of the digit's upper left pixel


@cache
def handwritten(test: bool) -> tuple[np.ndarray, np.ndarray]:
    """Give the digits to learn from or those of the test, (digits, rows, columns) from 0 to 1, and what they are.

    >>> handwritten(test=True)[0].shape, handwritten(test=False)[0].shape
    ((500, 8, 8), (1297, 8, 8))
    """
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    chosen = order[:TEST] if test else order[TEST:]
    return (found.images[chosen] / 16).astype(np.float32), found.target[chosen]


def pictures(count: int, seed: int, test: bool = False) -> Pictures:
    """Draw pictures; the same seed gives the same ones. Where ink lies on ink, the darker one is seen.

    >>> some = pictures(2, seed=0)
    >>> some.pixels.shape, some.answers.tolist(), some.corners.tolist()
    ((2, 24, 24), [6, 0], [[8, 4], [5, 0]])
    """
    digits, answers = handwritten(test)
    random = np.random.default_rng([seed, test])
    chosen = random.integers(len(digits), size=count)
    corners = random.integers(SIZE - DIGIT + 1, size=(count, 2))
    sources = random.integers(len(digits), size=(count, PIECES))  # the digits that the pieces are cut from
    cuts = random.integers(DIGIT - PIECE + 1, size=(count, PIECES, 2))
    places = random.integers(SIZE - PIECE + 1, size=(count, PIECES, 2))
    pixels = np.zeros((count, SIZE, SIZE), np.float32)
    for picture in range(count):
        _paste(pixels[picture], digits[chosen[picture]], corners[picture])
        for piece in range(PIECES):
            row, column = cuts[picture, piece]
            cut = digits[sources[picture, piece], row : row + PIECE, column : column + PIECE]
            _paste(pixels[picture], cut, places[picture, piece])
    return Pictures(pixels, answers[chosen], corners)


def _paste(picture: np.ndarray, ink: np.ndarray, corner: np.ndarray) -> None:
    row, column = corner
    under = picture[row : row + len(ink), column : column + len(ink)]
    np.maximum(under, ink, out=under)
