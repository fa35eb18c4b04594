"""How good were the answers? Measures that know no model and no data set."""

from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics import BLEU

Sentence = Sequence[str]


def exact_matches(said: Sequence[Sentence], wanted: Sequence[Sentence]) -> np.ndarray:
    """Tell for each sentence whether every word is right.

    >>> exact_matches([["a", "b"], ["a"]], [["a", "b"], ["a", "b"]])
    array([ True, False])
    """
    _check_counts(said, wanted)
    return np.array([list(one) == list(other) for one, other in zip(said, wanted, strict=True)])


def bleu(said: Sequence[Sentence], wanted: Sequence[Sentence]) -> float:
    """Corpus BLEU on words as they stand, from 0 to 100, by sacrebleu.

    >>> bleu([["le", "chat", "dort", "ici"]], [["le", "chat", "dort", "ici"]])
    100.0
    """
    _check_counts(said, wanted)
    metric = BLEU(tokenize="none", force=True)
    score = metric.corpus_score([" ".join(one) for one in said], [[" ".join(one) for one in wanted]])
    return round(score.score, 6)


def by_band(lengths: Sequence[int], values: Sequence[float], bands: Sequence[tuple[int, int]]) -> list[float]:
    """Average ``values`` over the sentences whose length lies in each band, both ends counted.

    >>> by_band([3, 10, 11], [1.0, 0.0, 1.0], [(3, 10), (11, 20)])
    [0.5, 1.0]
    """
    if len(lengths) != len(values):
        raise ValueError(f"lengths and values must be as many, but are {len(lengths)} and {len(values)}")
    sizes, numbers = np.asarray(lengths), np.asarray(values, dtype=float)
    if np.isnan(numbers).any():
        raise ValueError(f"values[{int(np.isnan(numbers).argmax())}] is NaN: an average over it would say nothing")
    means = []
    for low, high in bands:
        inside = (sizes >= low) & (sizes <= high)
        if not inside.any():
            raise ValueError(f"no length lies in the band {low} to {high}: leave the band out, or add sentences")
        means.append(float(numbers[inside].mean()))
    return means


def _check_counts(said: Sequence[Sentence], wanted: Sequence[Sentence]) -> None:
    if len(said) != len(wanted):
        raise ValueError(f"said and wanted must hold as many sentences, but hold {len(said)} and {len(wanted)}")
    if not wanted:
        raise ValueError("wanted is empty: there is nothing to measure")
