"""Reading a reader's own sentence pairs."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_src.data.vocabulary import UNKNOWN
from attention_src.translate.corpus import Files, Side, connected, numbers_of, raw_lines, read, split
from attention_src.translate.errors import BadInputError
from attention_src.translate.tokens import Pieces, Spaces, Words

SPACES = Spaces(), Spaces()


def all_words(pairs, sides):
    return tuple(side.vocabulary(100, 1) for side in sides)


def found(files, longest=10, skip_bad=False, cutters=SPACES, choose=all_words):
    corpus, words = read(files, cutters, longest, choose, skip_bad)
    sides = zip((corpus.source, corpus.target), words, strict=True)
    return [[vocabulary.decode(side[row]) for row in range(len(side))] for side, vocabulary in sides], corpus, words


@pytest.fixture
def file(tmp_path):
    def write(content: bytes, name: str = "pairs.tsv"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_two_lines_by_hand(file):
    (source, target), corpus, _ = found(Files(pairs=file(b"the cat\tle chat\tCC-BY\nno\tnon\n")))
    assert source == [["the", "cat"], ["no"]]
    assert target == [["le", "chat"], ["non"]]
    assert corpus.source.ids.dtype == np.int32
    assert corpus.counts.said(10) == "2 sentence pairs"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("last", [True, False])
def test_any_line_ending_any_mark_plain_or_packed(file, end, mark, pack, last):
    content = mark + "é b\tc".encode() + end + b"d\te" + end * last
    (source, target), _, _ = found(Files(pairs=file(pack(content))))
    assert (source, target) == ([["é", "b"], ["d"]], [["c"], ["e"]])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"bc"])), st.integers(1, 4))
def test_lines_are_cut_as_python_cuts_them_wherever_a_block_ends(parts, size):
    content = b"".join(parts)

    class Slow:
        def __init__(self):
            self.place = 0

        def read1(self, _):
            self.place += size
            return content[self.place - size : self.place]

    assert list(raw_lines(Slow())) == content.splitlines()


def test_two_files_line_by_line(file):
    (source, target), _, _ = found(Files(source=file(b"a b\n\nc\n", "a"), target=file(b"x\ny\nz z\n", "b")))
    assert (source, target) == ([["a", "b"], ["c"]], [["x"], ["z", "z"]])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a\tb\nc d\n", "pairs.tsv line 2: there is no tab"),
        (b"a\tb\n\xff\tc\n", "pairs.tsv line 2: it is not UTF-8 (byte 1)"),
        (b"a\tb\na\0\tc\n", "pairs.tsv line 2: it holds a NUL byte"),
        ("a\tb\n".encode("utf-16"), "pairs.tsv line 1: it holds a NUL byte"),
    ],
)
def test_a_bad_line_is_named_and_can_be_left_out(file, content, says):
    path = file(content)
    with pytest.raises(BadInputError) as error:
        found(Files(pairs=path))
    assert says in str(error.value)
    assert "--skip-bad" in str(error.value)
    assert "\n" not in str(error.value)
    (source, _), corpus, _ = found(Files(pairs=file(b"e\tf\n" + content.replace(b"a\0\tc", b"\0"))), skip_bad=True)
    assert source[0] == ["e"]
    assert corpus.counts.bad >= 1
    assert "bad" in corpus.counts.said(10)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "no sentence pair is left"),
        (b" \t \n", "no sentence pair is left"),
        (gzip.compress(b"".join(b"%d\t%d\n" % (n, n) for n in range(999)))[:-12], "is damaged after line 99"),
        (b"a b\ta b\nc\tc\n", "same text in all 2"),
    ],
)
def test_a_useless_file_is_named(file, content, says):
    with pytest.raises(BadInputError, match="pairs") as error:
        found(Files(pairs=file(content)))
    assert says in str(error.value)


def test_files_that_do_not_fit_together(file, tmp_path):
    long, short = file(b"a\nb\nc\n", "long"), file(b"x\ny\n", "short")
    with pytest.raises(BadInputError, match=r"short ends before line 3, but .*long goes on"):
        found(Files(source=long, target=short))
    with pytest.raises(BadInputError, match=r"short ends before line 3, but .*long goes on"):
        found(Files(source=short, target=long))
    assert found(Files(source=long, target=short), skip_bad=True)[1].counts.bad == 1
    with pytest.raises(BadInputError, match="named twice"):
        found(Files(source=long, target=long))
    with pytest.raises(BadInputError, match="name both"):
        found(Files(source=long))
    with pytest.raises(BadInputError, match="name one file"):
        found(Files())
    with pytest.raises(BadInputError, match="name one file"):
        found(Files(long, long, short))
    with pytest.raises(BadInputError, match="nowhere cannot be read: No such file"):
        found(Files(pairs=tmp_path / "nowhere"))
    with pytest.raises(BadInputError, match="cannot be read: Is a directory"):
        found(Files(pairs=tmp_path))


def test_sentences_that_are_too_long_or_empty_are_counted(file):
    content = b"a b c\tx\n" + b"w " * 100_000 + b"\tx\nq\t\n\t\n\ny\tz\n"
    (source, _), corpus, _ = found(Files(pairs=file(content)), longest=2)
    assert source == [["y"]]
    assert corpus.counts.said(2) == "1 sentence pairs; left out: 3 with an empty side, 2 longer than 2 tokens"


def test_vocabulary_is_the_most_frequent_words(file):
    def two_words(pairs, sides):
        return sides[0].vocabulary(2, 2), sides[1].vocabulary(9, 1)

    (source, _), _, words = found(Files(pairs=file(b"b a <s> a\tx\nb c c a\ty\nd d\tz\n")), choose=two_words)
    assert words[0].words[4:] == ("a", "b")
    assert source[0] == ["b", "a", "<unk>", "a"]
    assert "<s>" not in numbers_of(words[0])
    assert UNKNOWN == 3


def test_numbers_tell_corpora_apart(file):
    first, second, third = (
        found(Files(pairs=file(content)))[1] for content in (b"a b\tc\n", b"a b\tc\n", b"a\tb c\nb\tc\n")
    )
    assert first.fingerprint() == second.fingerprint() != third.fingerprint()


# The split


def test_pairs_that_hang_together_stay_together():
    assert connected([np.array([0, 0, 1, 2, 3]), np.array([9, 8, 8, 7, 9])]).tolist() == [0, 0, 0, 1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_no_held_out_sentence_was_seen(file, seed):
    rng = np.random.default_rng(seed)
    texts = "".join(f"s{a}\tt{b}\n" for a, b in rng.integers(0, 80, (60, 2)))
    (source, target), corpus, _ = found(
        Files(pairs=file(texts.encode())),
        choose=lambda pairs, sides: tuple(side.vocabulary(999, 1) for side in sides),
    )
    train, held = split(corpus, 0.1, 100, seed)
    assert sorted([*train, *held]) == list(range(60))
    assert len(held) >= 1
    for side in (source, target):
        assert not {side[row][0] for row in train} & {side[row][0] for row in held}
    assert all(np.array_equal(*two) for two in zip(split(corpus, 0.1, 100, seed), (train, held), strict=True))


def test_the_split_is_as_large_as_it_was_asked_for():
    side = Side(np.arange(1000, dtype=np.int32), np.arange(1001))
    corpus = type("Pairs", (), {"source": side, "target": side, "__len__": lambda self: 1000})()
    assert [len(split(corpus, 0.05, most, 0)[1]) for most in (20, 500)] == [20, 50]


# Tokens


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        ("Go.", ["Go", "￭."]),
        ("L'été, (deux)!", ["L'￭", "été", "￭,", "(￭", "deux", "￭)", "￭!"]),
        ("3.5 x_1 est-ce", ["3", "￭.￭", "5", "x_1", "est", "￭-￭", "ce"]),
        ("e\u0301te\u0301 हिन्दी", ["e\u0301te\u0301", "हिन्दी"]),
        ("", []),
    ],
)
def test_words_are_cut_from_punctuation_and_joined_again(line, tokens):
    words = Words()
    assert words.cut(line) == tokens
    assert words.join(tokens) == line


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab ’'.,(é_1-"))
def test_joining_gives_the_line_and_numbers_its_words(line):
    words = Words()
    tokens = words.cut(line)
    assert words.join(tokens).split() == line.split()
    numbers = words.words(tokens)
    assert sorted(set(numbers)) == list(range(len(line.split())))
    for number, word in enumerate(line.split()):
        inside = [token for token, place in zip(tokens, numbers, strict=True) if place == number]
        assert words.join(inside) == word


def test_pieces_are_learned_and_joined_again():
    lines = ["the cat sleeps here", "the cats sleep", "a cat sat there"] * 5
    pieces = Pieces.learn(lines, 30)
    again = Pieces(pieces.model)
    tokens = again.cut("the cats sat")
    assert len(tokens) > 3
    assert again.join(tokens) == "the cats sat"
    assert again.words(tokens)[-1] == 2
    assert again.words(["▁", "a", "▁", "▁b", "c"]) == [0, 0, 1, 1, 1]
    assert Spaces().words(["a", "b"]) == [0, 1]
    with pytest.raises(BadInputError, match="cannot learn 2 pieces"):
        Pieces.learn(lines, 2)
