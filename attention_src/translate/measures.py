"""How good translations and alignments are, beside those that people made."""

import operator
import re
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sacrebleu.metrics import BLEU, CHRF

from ..alignment import Agreement, Links, alignment_error_rate
from .corpus import lines
from .errors import BadInputError

BANDS = ((0, 0), (1, 10), (11, 20), (21, 30), (31, 40), (41, 1_000_000))  # words of the source


class Gold(NamedTuple):
    """The links that people made, a set for each sentence."""

    sure: list[Links]
    possible: list[Links]


def read_gold(path: Path, sizes: Sequence[tuple[int, int]], first: int | None = None) -> Gold:
    """Read gold alignments: a line for each sentence with ``1-1`` (sure) and ``1?1`` (possible), or NAACL's lines.

    :param sizes: how many words the sides of each sentence have
    :param first: the number of the first word; None: 0, and 1 in NAACL's format, which is
        ``sentence source target [S|P]``, one link a line, sentences counted from 1
    """
    rows = []
    for number, line in lines(path):
        if isinstance(line, BadInputError):
            raise line
        rows.append((number, line.split()))
    if not any(row for _, row in rows):
        raise BadInputError(f"{path} holds no link: there is nothing to compare with")
    naacl = all(len(row) > 2 and all(map(str.isdecimal, row[:3])) for _, row in rows if row)
    gold = Gold([set() for _ in sizes], [set() for _ in sizes])
    if not naacl and len(rows) != len(sizes):
        raise BadInputError(
            f"{path} has {len(rows)} lines, but there are {len(sizes)} sentence pairs: it needs as many"
        )
    first = int(naacl) if first is None else first
    for number, row in rows:
        for sentence, i, j, sure in naacl_link(row) if naacl else line_links(path, number, row):
            link = i - first, j - first
            if not (
                0 <= sentence < len(sizes) and all(0 <= x < size for x, size in zip(link, sizes[sentence], strict=True))
            ):
                raise BadInputError(
                    f"{path} line {number}: the link {i}-{j} lies outside the sentences; if the first word has another "
                    "number, say so by --gold-from"
                )
            (gold.sure if sure else gold.possible)[sentence].add(link)
    return gold


def naacl_link(row: list[str]) -> list[tuple[int, int, int, bool]]:
    """Read one link: (sentence, source, target, whether it is sure)."""
    return [(int(row[0]) - 1, int(row[1]), int(row[2]), row[3:4] != ["P"])] if row else []


def line_links(path: Path, number: int, row: list[str]) -> list[tuple[int, int, int, bool]]:
    """Read the links of one sentence."""
    found = []
    for word in row:
        link = re.fullmatch(r"(\d+)([-?p])(\d+)", word)
        if not link:
            raise BadInputError(f"{path} line {number}: {word!r} is no link such as 0-0 or 0?0")
        found.append((number - 1, int(link[1]), int(link[3]), link[2] == "-"))
    return found


def agreement(predicted: Sequence[Links], gold: Gold) -> Agreement:
    """The alignment error rate, over the sentences that have a gold link."""
    kept = [place for place, links in enumerate(zip(*gold, strict=True)) if any(links)]
    return alignment_error_rate(*([one[place] for place in kept] for one in (predicted, gold.sure, gold.possible)))


class Band:
    """BLEU and chrF of sentences that come bit by bit: what sacrebleu counts is added up, no text is kept."""

    def __init__(self):
        self.scores, self.sentences, self.counts = (BLEU(), CHRF()), 0, [0, 0]

    def add(self, said: Sequence[str], wanted: Sequence[str]) -> None:
        """Count more sentences."""
        self.sentences += len(said)
        for place, score in enumerate(self.scores):
            self.counts[place] += np.sum(score._extract_corpus_statistics(said, [wanted]), axis=0)

    def __add__(self, other: "Band") -> "Band":
        """The sentences of both."""
        both = Band()
        both.scores, both.sentences = self.scores, self.sentences + other.sentences
        both.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        return both

    def found(self) -> list[tuple[str, float, str]]:
        """The name, the value and the signature of each score."""
        pairs = zip(self.scores, self.counts, strict=True)
        values = [(score, score._compute_score_from_stats(counts.tolist())) for score, counts in pairs]
        return [(value.name, value.score, str(score.get_signature())) for score, value in values]


class Report:
    """BLEU and chrF of all sentences, with sacrebleu's signatures, and by the length of the source."""

    def __init__(self):
        self.bands: dict[tuple[int, int], Band] = {}

    def add(self, sources: Sequence[str], said: Sequence[str], wanted: Sequence[str]) -> None:
        """Count more sentences."""
        lengths = [len(line.split()) for line in sources]
        for low, high in BANDS:
            inside = [place for place, length in enumerate(lengths) if low <= length <= high]
            if inside:
                band = self.bands.setdefault((low, high), Band())
                band.add(*([texts[place] for place in inside] for texts in (said, wanted)))

    def text(self) -> str:
        """The lines for a person."""
        if not self.bands:
            return "no sentence to measure"
        every = reduce(operator.add, self.bands.values())
        told = [f"{name}\t{value:.1f}\t{signature}" for name, value, signature in every.found()]
        told.append("source words\tsentences\tBLEU\tchrF2")
        for (low, high), band in sorted(self.bands.items()):
            name = f"{low} and more" if high == BANDS[-1][1] else f"{low} to {high}" if high else "none"
            told.append(f"{name}\t{band.sentences}\t" + "\t".join(f"{value:.1f}" for _, value, _ in band.found()))
        return "\n".join(told)
