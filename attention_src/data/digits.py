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
GRID = 4  # pixels from one place where a digit can stand to the next
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
    ((2, 24, 24), [6, 0], [[8, 4], [4, 0]])
    """
    digits, answers = handwritten(test)
    random = np.random.default_rng([seed, test])
    chosen = random.integers(len(digits), size=count)
    corners = GRID * random.integers((SIZE - DIGIT) // GRID + 1, size=(count, 2))
    sources = random.integers(len(digits), size=(count, PIECES))  # the digits that the pieces are cut from
    cuts = random.integers(DIGIT - PIECE + 1, size=(count, PIECES, 2))
    places = random.integers(SIZE - PIECE + 1, size=(count, PIECES, 2))
    pixels = np.zeros((count, SIZE, SIZE), np.float32)
    _paste(pixels, digits[chosen], corners)
    inside = np.arange(PIECE)
    for piece in range(PIECES):
        row, column = cuts[:, piece].T
        cut = digits[
            sources[:, piece, None, None], (row[:, None] + inside)[..., None], (column[:, None] + inside)[:, None]
        ]
        _paste(pixels, cut, places[:, piece])
    return Pictures(pixels, answers[chosen], corners)


def _paste(pixels: np.ndarray, ink: np.ndarray, corners: np.ndarray) -> None:
    """Put one square of ink into each picture, where its corner says."""
    rows, columns = (corners[:, axis, None] + np.arange(ink.shape[1]) for axis in (0, 1))
    where = np.arange(len(pixels))[:, None, None], rows[:, :, None], columns[:, None, :]
    pixels[where] = np.maximum(pixels[where], ink)
