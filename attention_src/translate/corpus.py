"""Sentence pairs from files, as arrays of numbers; what is wrong with a file is said with the number of the line."""

import gzip
import hashlib
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data.vocabulary import MARKS, UNKNOWN, Vocabulary
from .errors import BadInputError
from .tokens import Cutter

LEAVE_OUT = "; with --skip-bad such lines are left out and counted"


class Files(NamedTuple):
    """Where sentence pairs stand: in one file with a tab between the two, or in two files line by line."""

    pairs: Path | None = None
    source: Path | None = None
    target: Path | None = None

    def check(self) -> "Files":
        """Refuse a choice of files that cannot hold sentence pairs."""
        if (self.pairs is None) == (self.source is None and self.target is None):
            raise BadInputError("name one file of sentence pairs, or one file of source and one of target sentences")
        if self.pairs is None:
            if self.source is None or self.target is None:
                raise BadInputError("name both files, that of the source sentences and that of the target sentences")
            if self.source.exists() and self.target.exists() and self.source.samefile(self.target):
                raise BadInputError(f"{self.source} is named twice, as source and as target")
        return self

    def texts(self) -> list[str | None]:
        """The paths as text, whole, as settings keep them."""
        return [None if path is None else str(path.absolute()) for path in self]


@dataclass
class Counts:
    """What was read and what was left out."""

    pairs: int = 0
    empty: int = 0
    long: int = 0
    bad: int = 0
    known: int = 0  # lines that were looked at

    def said(self, longest: int) -> str:
        """One line for a person."""
        left = [(self.empty, "with an empty side"), (self.long, f"longer than {longest} tokens"), (self.bad, "bad")]
        out = ", ".join(f"{count:,} {why}" for count, why in left if count)
        return f"{self.pairs:,} sentence pairs" + (f"; left out: {out}" if out else "")


# --- lines ------------------------------------------------------------------------------------------------------------


def lines(path: Path, name: Path | str | None = None) -> Iterator[tuple[int, str | BadInputError]]:
    """Give each line with its number, counted from 1; a line that cannot be read is given as the error it makes.

    The file is plain or gzip, in UTF-8 with or without a byte order mark, and lines end in any of the three ways.

    :param name: what a person calls the file; None: its path
    """
    number, name = 0, name or path
    try:
        with opened(path) as file:
            for number, raw in enumerate(raw_lines(file), start=1):
                yield number, text(name, number, raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInputError(f"{name} is damaged after line {number}: {error}") from error
    except OSError as error:
        raise BadInputError(f"{name} cannot be read: {error.strerror or error}") from error


def opened(path: Path):
    """Open a file for reading bytes, through gzip if it begins as a gzip file does."""
    if path.is_fifo() or path.is_char_device():
        raise BadInputError(f"{path} can be read only once, but must be read again: write it to a file first")
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else open(path, "rb")


def raw_lines(file) -> Iterator[bytes]:
    r"""Cut bytes at ``\n``, ``\r\n`` and ``\r``; the last line needs no end."""
    rest = b""
    while block := file.read1(1 << 20):  # what is there: of a damaged file all that can be read
        block = rest + block
        held = block.endswith(b"\r")  # the \n of this \r may come with the next block
        *whole, rest = (block[:-1] if held else block).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest += b"\r" * held
        yield from whole
    if rest:
        yield rest.removesuffix(b"\r")


def text(path: Path | str, number: int, raw: bytes) -> str | BadInputError:
    """Decode one line."""
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in raw:
        return BadInputError(f"{path} line {number}: it holds a NUL byte; save the file as UTF-8 text")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return BadInputError(f"{path} line {number}: it is not UTF-8 (byte {error.start + 1}); save the file as UTF-8")


def text_pairs(files: Files, skip_bad: bool, counts: Counts, hint: str = LEAVE_OUT) -> Iterator[tuple[str, str]]:
    """Give the two texts of each line; stop at a bad line, or count it and go on."""
    for found in one_file(files.pairs) if files.pairs else two_files(files.source, files.target):
        counts.known += 1
        if not isinstance(found, BadInputError):
            yield found
        elif skip_bad:
            counts.bad += 1
        else:
            raise BadInputError(f"{found}{hint}")
    if not counts.known:
        raise BadInputError(f"{files.pairs or files.source} is empty: it needs sentence pairs")


def one_file(path: Path) -> Iterator[tuple[str, str] | BadInputError]:
    """Split each line at its tabs; what follows a second tab is left out."""
    for number, line in lines(path):
        if isinstance(line, BadInputError):
            yield line
        elif "\t" in line:
            source, target, *_ = line.split("\t")
            yield source, target
        elif line.strip():
            yield BadInputError(f"{path} line {number}: there is no tab between two sentences")
        else:
            yield "", ""


def two_files(source: Path, target: Path) -> Iterator[tuple[str, str] | BadInputError]:
    """Go through two files side by side."""
    for first, second in zip_longest(lines(source), lines(target)):
        if first is None or second is None:
            (short, long), (number, _) = ((source, target), second) if first is None else ((target, source), first)
            yield BadInputError(f"{short} ends before line {number}, but {long} goes on: both need as many lines")
            continue
        wrong = [line for _, line in (first, second) if isinstance(line, BadInputError)]
        yield wrong[0] if wrong else (first[1], second[1])


# --- arrays -----------------------------------------------------------------------------------------------------------


@dataclass
class Side:
    """The sentences of one language: all their numbers one after the other, and where each sentence begins."""

    ids: np.ndarray  # int32
    starts: np.ndarray  # int64, one more than there are sentences

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.ids[self.starts[row] : self.starts[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """How many tokens each sentence has."""
        return np.diff(self.starts)


@dataclass
class Corpus:
    """Sentence pairs as numbers."""

    source: Side
    target: Side
    counts: Counts = field(default_factory=Counts)

    def __len__(self) -> int:
        return len(self.source)

    def fingerprint(self) -> str:
        """A short text that differs where the numbers differ."""
        found = hashlib.blake2b(digest_size=16)
        for side in (self.source, self.target):
            found.update(np.ascontiguousarray(side.ids, "<i4"))
            found.update(np.ascontiguousarray(side.starts, "<i8"))
        return found.hexdigest()


class Growing:
    """A side that is still being read: every new token gets the next number."""

    def __init__(self):
        self.numbers: dict[str, int] = {}
        self.ids, self.starts = array("i"), array("q", [0])

    def add(self, tokens: Sequence[str]) -> None:
        """Put a sentence behind the others."""
        numbers = self.numbers
        self.ids.extend([numbers.setdefault(token, len(numbers)) for token in tokens])
        self.starts.append(len(self.ids))

    def vocabulary(self, most: int, least: int) -> Vocabulary:
        """The most frequent tokens: at most ``most``, each seen ``least`` times or more; ties in alphabetical order."""
        tokens = list(self.numbers)
        counts = np.bincount(np.frombuffer(self.ids, np.int32), minlength=len(tokens)).tolist()
        kept = [(-count, token) for token, count in zip(tokens, counts, strict=True) if count >= least]
        return Vocabulary([token for _, token in sorted(kept) if token not in MARKS][:most])

    def finished(self, vocabulary: Vocabulary) -> Side:
        """The sentences in the numbers of a vocabulary."""
        numbers = numbers_of(vocabulary)
        new = np.array([numbers.get(token, UNKNOWN) for token in self.numbers], np.int32)
        return Side(new[np.frombuffer(self.ids, np.int32)], np.frombuffer(self.starts, np.int64).copy())


def numbers_of(vocabulary: Vocabulary) -> dict[str, int]:
    """The number of each word; the four marks are no words, even where a text holds them."""
    return {word: number for number, word in enumerate(vocabulary.words) if number >= len(MARKS)}


class Read(NamedTuple):
    """A corpus that was read, and what its numbers mean."""

    corpus: Corpus
    vocabularies: tuple[Vocabulary, Vocabulary]


def read(
    files: Files,
    cutters: tuple[Cutter, Cutter],
    longest: int,
    choose: Callable[[int, tuple[Growing, Growing]], tuple[Vocabulary, Vocabulary]],
    skip_bad: bool = False,
) -> Read:
    """Read sentence pairs into arrays.

    :param longest: pairs with a longer side are left out and counted, and so are pairs with an empty side
    :param choose: gives the vocabularies, from the number of pairs and from what was read
    """
    files.check()
    counts, sides = Counts(), (Growing(), Growing())
    for texts in text_pairs(files, skip_bad, counts):
        if max(map(len, texts)) > 1000 * longest:  # no need to cut it
            counts.long += 1
            continue
        tokens = [cutter.cut(line) for cutter, line in zip(cutters, texts, strict=True)]
        if not all(tokens):
            counts.empty += 1
        elif max(map(len, tokens)) > longest:
            counts.long += 1
        else:
            counts.pairs += 1
            for side, part in zip(sides, tokens, strict=True):
                side.add(part)
    name = files.pairs or files.source
    if not counts.pairs:
        raise BadInputError(f"{name}: no sentence pair is left ({counts.said(longest)})")
    same = sides[0].ids == sides[1].ids and list(sides[0].numbers) == list(sides[1].numbers)
    if same and counts.pairs > 1:
        raise BadInputError(f"{name}: source and target are the same text in all {counts.pairs:,} pairs")
    vocabularies = choose(counts.pairs, sides)
    source, target = (side.finished(words) for side, words in zip(sides, vocabularies, strict=True))
    return Read(Corpus(source, target, counts), vocabularies)


# --- the split --------------------------------------------------------------------------------------------------------


def split(corpus: Corpus, share: float, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the rows to train on and the rows held out.

    Pairs that share a sentence, on either side, stay together, so that no held-out sentence was seen in training.
    """
    groups = connected([sentence_numbers(side) for side in (corpus.source, corpus.target)])
    sizes = np.bincount(groups)
    wanted = min(max(int(len(corpus) * share), 1), most)
    out = np.zeros(len(sizes), dtype=bool)
    held = 0
    for group in np.random.default_rng([seed, 1]).permutation(len(sizes)).tolist():
        if held >= wanted:
            break
        if sizes[group] <= max(wanted - held, 1) and held + sizes[group] < len(corpus):
            out[group] = True
            held += sizes[group]
    return np.flatnonzero(~out[groups]), np.flatnonzero(out[groups])


def sentence_numbers(side: Side) -> np.ndarray:
    """Give equal sentences the same number."""
    digests = (hashlib.blake2b(side[row], digest_size=8).digest() for row in range(len(side)))
    return np.unique(np.fromiter((int.from_bytes(one, "little") for one in digests), np.uint64), return_inverse=True)[1]


def connected(labels: Iterable[np.ndarray]) -> np.ndarray:
    """Number the groups of rows that hang together through an equal label of any kind.

    >>> connected([np.array([0, 0, 1, 2]), np.array([5, 6, 6, 7])]).tolist()
    [0, 0, 0, 1]
    """
    labels = [np.unique(label, return_inverse=True)[1] for label in labels]
    group = np.arange(len(labels[0]))
    while True:
        before = group
        for label in labels:
            least = np.full(label.max() + 1, len(group))
            np.minimum.at(least, label, group)
            group = least[label]
        if np.array_equal(group, before):
            return np.unique(group, return_inverse=True)[1]
