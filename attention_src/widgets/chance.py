"""The chance of the widgets: a small generator that the page and Python both have, so that both draw the same."""

import numpy as np

_STEP = np.uint32(0x6D2B79F5)


def uniform(seed: int, count: int) -> np.ndarray:
    """Draw ``count`` numbers between 0 and 1, neither of which can come; the same as ``uniform`` of core.js.

    The generator is mulberry32 (Tommy Ettinger's): a counter whose bits are mixed, so each number can be had alone.

    >>> uniform(1, 3).round(4).tolist()
    [0.6944, 0.4464, 0.2766]
    """
    begin = _mix(np.array([seed % 2**32], dtype=np.uint32) + _STEP)
    counted = np.arange(1, count + 1, dtype=np.uint32) * _STEP
    return (_mix(begin + counted) + 0.5) / 2**32


def _mix(a: np.ndarray) -> np.ndarray:
    t = (a ^ (a >> 15)) * (a | 1)
    t = t ^ (t + (t ^ (t >> 7)) * (t | 61))
    return t ^ (t >> 14)
