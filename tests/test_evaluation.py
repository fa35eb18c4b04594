import numpy as np
import pytest
import sacrebleu

from attention_src.evaluation import bleu, by_band, exact_matches

SAID = [["le", "chat", "dort", "ici", "ce", "soir"], ["la", "grande", "maison"], []]
WANTED = [["le", "chat", "dort", "ici"], ["la", "maison"], ["oui"]]


def test_exact_matches_by_hand():
    np.testing.assert_array_equal(exact_matches(SAID, [SAID[0], ["la", "maison", "grande"], []]), [True, False, True])
    np.testing.assert_array_equal(exact_matches([("a", "b")], [["a", "b"]]), [True])  # tuples and lists alike


def test_bleu_of_a_whole_corpus_is_sacrebleus():
    expected = sacrebleu.corpus_bleu(
        [" ".join(s) for s in SAID], [[" ".join(w) for w in WANTED]], tokenize="none"
    ).score
    assert bleu(SAID, WANTED) == pytest.approx(expected, abs=1e-6)
    assert 0 < bleu(SAID, WANTED) < 100


def test_bleu_by_hand():  # 3 of 4 words, 2 of 3 pairs, 1 of 2 triples, 0 of 1 (smoothed to 1/2), brevity 1
    expected = 100 * (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** 0.25
    assert bleu([["a", "b", "c", "x"]], [["a", "b", "c", "d"]]) == pytest.approx(expected, abs=1e-4)


def test_bleu_takes_words_as_they_stand():  # a comma in a word is no word of its own
    assert bleu([["a,b", "c", "d", "e"]], [["a,x", "c", "d", "e"]]) == bleu(
        [["b", "c", "d", "e"]], [["x", "c", "d", "e"]]
    )


def test_bands_by_hand():
    assert by_band([3, 10, 11, 20], [1, 0, 1, 1], [(3, 10), (11, 20), (10, 11)]) == [0.5, 1.0, 0.5]


@pytest.mark.parametrize("measure", [exact_matches, bleu])
def test_counts_must_agree(measure):
    with pytest.raises(ValueError, match="said and wanted must hold as many sentences, but hold 3 and 2"):
        measure(SAID, WANTED[:2])
    with pytest.raises(ValueError, match="wanted is empty"):
        measure([], [])


def test_bad_bands_are_named():
    with pytest.raises(ValueError, match="no length lies in the band 30 to 40"):
        by_band([3], [1.0], [(30, 40)])
    with pytest.raises(ValueError, match=r"values\[1\] is NaN"):
        by_band([3, 4], [1.0, float("nan")], [(3, 4)])
    with pytest.raises(ValueError, match="must be as many, but are 1 and 2"):
        by_band([3], [1.0, 2.0], [(3, 4)])
