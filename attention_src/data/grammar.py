"""Synchronous grammars: two languages written side by side, so that the true word alignment is known.

A grammar is readable text. Every rule has one head and two right-hand sides, one for each language:

    NP -> the:1 ADJ N | la:1 N ADJ

Names that begin with an upper-case letter are phrases, all others are words. A phrase on one side is the same phrase
on the other side; when a name occurs twice in a side, numbers tell the two apart (``NP:1 V NP:2 | NP:1 NP:2 V``).
Words that share a number were generated together, and these are the alignment links. A word may have several
numbers (``du:1,2``) or none, and then it has no link. The rest of the notation saves typing:

- ``as+soon+as:1`` is three words that share a number.
- ``S -> CLAUSE JOIN S`` without a bar has the same phrases in the same order on both sides.
- ``gender = m f`` declares a feature. A rule that names it (``NP.gender -> DET.gender N.gender``) stands for one rule
  for each value (``NP.m -> DET.m N.m`` and ``NP.f -> DET.f N.f``).
- A line that ends with a colon opens a table of words, down to the next empty line, rule or table. It names the heads
  of the columns; every row gives one word for each head on either side of the bar, and these two are linked. A side
  with a single word has the same word in all columns:

      N.s N.p:
        horse horses | cheval chevaux
- ``NP (3) -> …`` is drawn three times as often as a rule ``NP -> …`` when sentences are made. A row of a table can
  begin with such a weight. The rules that a feature makes of one line share the weight of the line.
- ``#`` begins a comment, and a line that ends with ``\\`` goes on in the next.

The rules must not be left-recursive (``S -> S JOIN S``), so that a short top-down parser can read every sentence.
"""

from __future__ import annotations

import difflib
import itertools
import math
import random
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

LONGEST_INPUT = 200  # words; the parser recurses, and a reader's text should not exhaust Python's stack


class GrammarError(ValueError):
    """The rules of a grammar are wrong, or something was asked of them that they cannot give."""


class SentenceError(GrammarError):
    """A sentence is not in the grammar. ``position`` is the index of the word where reading stopped."""

    def __init__(self, message: str, position: int):
        super().__init__(message)
        self.position = position


class Pair(NamedTuple):
    """A sentence, its translation, and the links (source index, target index) between their words, from 0."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    links: frozenset[tuple[int, int]]


class Rule:
    """One rule: ``head -> source | target``; ``links`` pair positions of the two sides, of words and of phrases."""

    __slots__ = ("head", "links", "phrases", "source", "source_plan", "target", "target_plan", "weight", "word_links")

    def __init__(
        self,
        head: str,
        source: Sequence[str],
        target: Sequence[str],
        links: Iterable[tuple[int, int]],
        weight: float = 1.0,
    ):
        self.head, self.source, self.target = head, tuple(source), tuple(target)
        self.links, self.weight = tuple(sorted(links)), weight
        spots = [i for i, symbol in enumerate(self.source) if is_phrase(symbol)]
        self.phrases = tuple(self.source[i] for i in spots)
        child_of = {j: spots.index(i) for i, j in self.links if i in spots}
        # A plan is a side with every phrase replaced by the number of the child that fills it.
        self.source_plan = tuple(spots.index(i) if i in spots else word for i, word in enumerate(self.source))
        self.target_plan = tuple(child_of.get(j, word) for j, word in enumerate(self.target))
        source_rank, target_rank = _word_ranks(self.source), _word_ranks(self.target)
        self.word_links = tuple((source_rank[i], target_rank[j]) for i, j in self.links if i not in spots)

    def __repr__(self) -> str:
        return f"{self.head} -> {' '.join(self.source)} | {' '.join(self.target)}"


class Derivation(NamedTuple):
    """How a sentence was made: a rule, and one derivation for each phrase of its source side, in source order."""

    rule: Rule
    children: tuple[Derivation, ...]


Parts = tuple[tuple[str, int], ...]  # phrases, each with its number of words


class Grammar:
    """A synchronous grammar that makes sentence pairs with their alignment, and translates sentences.

    ``text`` is written in the notation of this module. ``elision`` maps a target word to the form that it takes before
    the words of ``before``, as ``le`` becomes ``l'``. It is applied last and changes no link.

    >>> toy = Grammar("toy", "NP", '''
    ...     NP -> the:1 big:2 N | la:1 grande:2 N
    ...     NP -> the:1 N red:2 | la:1 red:2 N
    ...     N:
    ...       house | maison
    ...       star | étoile
    ... ''', elision={"la": "l'"}, before="étoile")
    >>> toy.translate("the big star").target
    ('la', 'grande', 'étoile')
    """

    def __init__(
        self,
        name: str,
        start: str,
        text: str,
        elision: Mapping[str, str] | None = None,
        before: str = "",
    ):
        self.name, self.start = name, start
        self.rules = tuple(read_rules(text))
        self.elision, self.before = dict(elision or {}), frozenset(before.split())
        self._by_head: dict[str, list[Rule]] = {}
        for rule in self.rules:
            self._by_head.setdefault(rule.head, []).append(rule)
        self._check()
        self._first = self._first_words()
        self._total_weight = {head: sum(rule.weight for rule in rules) for head, rules in self._by_head.items()}
        self._shortest = self._shortest_lengths()
        self._choice_memo: dict[tuple[str, int], tuple[list[float], list[Derivation | tuple[Rule, Parts]]]] = {}
        self._count_memo: dict[tuple[str, int], int] = {}

    def __repr__(self) -> str:
        return f"Grammar({self.name!r}, {len(self.rules)} rules)"

    @cached_property
    def source_words(self) -> tuple[str, ...]:
        """All words of the source language, sorted."""
        return tuple(sorted({word for rule in self.rules for word in rule.source if not is_phrase(word)}))

    @cached_property
    def target_words(self) -> tuple[str, ...]:
        """All words of the target language, sorted, with the elided forms."""
        words = {word for rule in self.rules for word in rule.target if not is_phrase(word)}
        return tuple(sorted(words | {self.elision[word] for word in words & self.elision.keys()}))

    # Making sentences

    def generate(self, rng: random.Random, shortest: int = 3, longest: int = 30) -> Pair:
        """Make one pair whose source has ``shortest`` to ``longest`` words, each length being equally likely."""
        _check_rng(rng)
        lengths = self.lengths(shortest, longest)
        return self.spell(self.derive(rng, lengths[int(rng.random() * len(lengths))]))

    def lengths(self, shortest: int, longest: int) -> list[int]:
        """The source lengths from ``shortest`` to ``longest`` that the grammar has sentences of."""
        if not 1 <= shortest <= longest:
            raise GrammarError(f"shortest and longest must be 1 <= shortest <= longest, got {shortest} and {longest}")
        lengths = [length for length in range(shortest, longest + 1) if self._choices(self.start, length)[1]]
        if not lengths:
            raise GrammarError(f"{self.name} has no sentence of {shortest} to {longest} words; ask for other lengths")
        return lengths

    def derive(self, rng: random.Random, length: int) -> Derivation:
        """Draw a derivation of a source sentence of exactly ``length`` words.

        At every phrase a rule is drawn by its weight, given that the length must come out right.
        """
        if length < 1 or not self._choices(self.start, length)[1]:
            raise GrammarError(f"{self.name} has no sentence of {length} words; lengths() tells which there are")
        _check_rng(rng)
        uniform, memo = rng.random, self._choice_memo

        def grow(key: tuple[str, int]) -> Derivation:
            cumulative, options = memo[key]
            last = len(options) - 1
            option = options[bisect(cumulative, uniform() * cumulative[last], 0, last) if last else 0]
            if option.__class__ is Derivation:
                return option
            rule, parts = option
            return Derivation(rule, tuple([grow(part) for part in parts]))

        return grow((self.start, length))

    def spell(self, derivation: Derivation) -> Pair:
        """Write a derivation out as a pair of sentences with their links."""
        source: list[str] = []
        target: list[str] = []
        links: list[tuple[int, int]] = []

        def read(node: Derivation):  # writes the source; gives the node again, with the places of its own words
            rule, children = node
            if not children:
                start = len(source)
                source.extend(rule.source)
                return rule, range(start, len(source)), ()
            places, done = [], []
            for item in rule.source_plan:
                if item.__class__ is int:
                    done.append(read(children[item]))
                else:
                    places.append(len(source))
                    source.append(item)
            return rule, places, done

        def write(node) -> None:  # writes the target and the links
            rule, source_places, children = node
            places = []
            for item in rule.target_plan:
                if item.__class__ is int:
                    write(children[item])
                else:
                    places.append(len(target))
                    target.append(item)
            for i, j in rule.word_links:
                links.append((source_places[i], places[j]))

        write(read(derivation))
        return Pair(tuple(source), tuple(self._elide(target)), frozenset(links))

    def _elide(self, words: list[str]) -> list[str]:
        for place, (word, following) in enumerate(itertools.pairwise(words)):
            if word in self.elision and following in self.before:
                words[place] = self.elision[word]
        return words

    # Reading sentences

    def translate(self, words: str | Sequence[str]) -> Pair:
        """Translate a source sentence, given as a list of words or as text with spaces between the words."""
        words = tuple(words.split() if isinstance(words, str) else words)
        found = self.derivations(words)
        if len(found) > 1:
            raise GrammarError(f'"{" ".join(words)}" has {len(found)} derivations in {self.name}; it must have one')
        return self.spell(found[0])

    def derivations(self, words: Sequence[str]) -> list[Derivation]:
        """All derivations of a source sentence, by top-down parsing with a memo. SentenceError if there is none."""
        self._check_words(words)
        memo: dict[tuple[str, int], list[tuple[int, Derivation]]] = {}
        stop, expected = 0, set()

        def fail(place: int, wanted: Iterable[str]) -> None:
            nonlocal stop, expected
            if place > stop:
                stop, expected = place, set()
            if place == stop:
                expected |= set(wanted)

        def match(symbol: str, place: int) -> list[tuple[int, Derivation]]:
            if (symbol, place) not in memo:
                memo[symbol, place] = [
                    (end, Derivation(rule, children))
                    for rule in self._by_head[symbol]
                    for end, children in match_all(rule.source, place)
                ]
            return memo[symbol, place]

        def match_all(symbols: Sequence[str], place: int) -> list[tuple[int, tuple[Derivation, ...]]]:
            partial: list[tuple[int, tuple[Derivation, ...]]] = [(place, ())]
            for symbol in symbols:
                extended = []
                for end, children in partial:
                    if end == len(words) or words[end] not in self._first[symbol]:
                        fail(end, self._first[symbol])
                    elif is_phrase(symbol):
                        extended += [(after, (*children, child)) for after, child in match(symbol, end)]
                    else:
                        extended.append((end + 1, children))
                partial = extended
                if not partial:
                    break
            return partial

        ends = match_all([self.start], 0)
        found = [derivation for end, (derivation,) in ends if end == len(words)]
        if not found:
            raise SentenceError(self._why_not(words, stop, expected, ended=bool(ends)), stop)
        return found

    def _check_words(self, words: Sequence[str]) -> None:
        if not words:
            raise SentenceError(f"the sentence is empty; write one or more words of {self.name}", 0)
        if len(words) > LONGEST_INPUT:
            raise SentenceError(
                f"the sentence has {len(words)} words; at most {LONGEST_INPUT} can be read, so shorten it",
                LONGEST_INPUT,
            )
        known = set(self.source_words)
        for place, word in enumerate(words):
            if word not in known:
                raise SentenceError(self._unknown(word, place), place)

    def _unknown(self, word: str, place: int) -> str:
        if word.lower() in self.source_words:
            return f'word {place + 1}, "{word}", is not in the grammar {self.name}; write it as "{word.lower()}"'
        near = difflib.get_close_matches(word.lower(), self.source_words, n=3, cutoff=0.7)
        hint = f"did you mean {_or(near)}?" if near else "put spaces between words, and use only words it knows"
        return f'word {place + 1}, "{word}", is not among the {len(self.source_words)} words of {self.name}; {hint}'

    def _why_not(self, words: Sequence[str], stop: int, expected: set[str], ended: bool) -> str:
        wanted = _or(sorted(expected))
        before = f'after "{" ".join(words[max(0, stop - 4) : stop])}"' if stop else "at the beginning"
        if stop == len(words):
            return f"the sentence is not finished: {before} there must be {wanted}"
        choice = f"end there, or write {wanted}" if ended else f"write {wanted}"
        return f'the sentence cannot be read beyond word {stop + 1}, "{words[stop]}": {before}, {choice}'

    # The grammar as data

    def to_data(self) -> dict:
        """The grammar as a dict that JSON can carry; with it, a parser in any language gives the same pairs."""
        return {
            "name": self.name,
            "start": self.start,
            "rules": [
                {
                    "head": rule.head,
                    "source": list(rule.source),
                    "target": list(rule.target),
                    "links": [list(link) for link in rule.links],
                }
                for rule in self.rules
            ],
            "elision": {"words": dict(self.elision), "before": sorted(self.before)},
        }

    # Counting

    def count(self, length: int) -> int:
        """The number of source sentences of exactly ``length`` words (each has one derivation)."""
        return self._count(self.start, length)

    def _count(self, symbol: str, length: int) -> int:
        key = (symbol, length)
        if key not in self._count_memo:
            options = self._choices(symbol, length)[1]
            parts = [() if isinstance(option, Derivation) else option[1] for option in options]
            self._count_memo[key] = sum(math.prod(self._count(*part) for part in each) for each in parts)
        return self._count_memo[key]

    def _choices(self, symbol: str, length: int) -> tuple[list[float], list[Derivation | tuple[Rule, Parts]]]:
        """All ways to make ``length`` words of a phrase, and their cumulative probabilities.

        A way is a rule with the symbol and length of each of its phrases; for a rule without phrases, its derivation.
        """
        key = (symbol, length)
        if key not in self._choice_memo:
            weights, options = [], []
            for rule in self._by_head[symbol]:
                share = rule.weight / self._total_weight[symbol]
                room = length - (len(rule.source) - len(rule.phrases))
                for parts, weight in self._splits(rule.phrases, room):
                    weights.append(weight * share)
                    options.append((rule, parts) if parts else Derivation(rule, ()))
            self._choice_memo[key] = list(itertools.accumulate(weights)), options
        return self._choice_memo[key]

    def _splits(self, phrases: tuple[str, ...], room: int) -> Iterator[tuple[Parts, float]]:
        """All ways to share ``room`` words among the phrases, each with the probability of these lengths."""
        if not phrases:
            if room == 0:
                yield (), 1.0
            return
        first, rest = phrases[0], phrases[1:]
        reserved = sum(self._shortest[symbol] for symbol in rest)
        sizes = range(self._shortest[first], room - reserved + 1) if rest else [room]
        for size in sizes:
            cumulative = self._choices(first, size)[0] if size > 0 else []
            if cumulative:
                for parts, weight in self._splits(rest, room - size):
                    yield ((first, size), *parts), cumulative[-1] * weight

    # Checks and tables made once

    def _check(self) -> None:
        if self.start not in self._by_head:
            raise GrammarError(f"{self.name}: the start {self.start!r} has no rule; give it one")
        seen, waiting = {self.start}, [self.start]
        while waiting:
            for rule in self._by_head[waiting.pop()]:
                for symbol in rule.phrases:
                    if symbol not in self._by_head:
                        raise GrammarError(
                            f"{self.name}: {symbol!r} in the rule {rule} has no rule; add one or mend it"
                        )
                    if symbol not in seen:
                        seen.add(symbol)
                        waiting.append(symbol)
        unused = sorted(self._by_head.keys() - seen)
        if unused:
            raise GrammarError(f"{self.name}: nothing uses {', '.join(unused)}; use or remove the rules")
        self._check_left_recursion()

    def _check_left_recursion(self) -> None:
        corners = {
            head: {rule.source[0] for rule in rules if is_phrase(rule.source[0])}
            for head, rules in self._by_head.items()
        }
        while True:
            grown = {head: found.union(*(corners[symbol] for symbol in found)) for head, found in corners.items()}
            if grown == corners:
                break
            corners = grown
        for head, found in corners.items():
            if head in found:
                raise GrammarError(f"{self.name}: {head!r} can begin with itself; write its rules right-recursive")

    def _first_words(self) -> dict[str, frozenset[str]]:
        """For every symbol, the words that it can begin with (for a word, the word itself)."""
        first: dict[str, frozenset[str]] = {}

        def of(symbol: str) -> frozenset[str]:
            if symbol not in first:
                begins = [rule.source[0] for rule in self._by_head.get(symbol, ())]
                first[symbol] = frozenset().union(*map(of, begins)) if is_phrase(symbol) else frozenset([symbol])
            return first[symbol]

        for rule in self.rules:
            for symbol in (rule.head, *rule.source):
                of(symbol)
        return first

    def _shortest_lengths(self) -> dict[str, int]:
        """For every phrase, the number of words of its shortest source side."""
        shortest = dict.fromkeys(self._by_head, 0)
        for _ in range(len(shortest) + 1):  # the lengths grow until nothing changes
            grown = {
                head: min(sum(shortest.get(symbol, 1) for symbol in rule.source) for rule in rules)
                for head, rules in self._by_head.items()
            }
            endless = sorted(head for head in grown if grown[head] != shortest[head])
            if not endless:
                return shortest
            shortest = grown
        raise GrammarError(
            f"{self.name}: the rules of {', '.join(endless)} never come to an end; add one of words only"
        )


def is_phrase(symbol: str) -> bool:
    """Whether a symbol of a rule is a phrase (upper-case first letter) and not a word."""
    return symbol[0].isupper()


def _check_rng(rng: random.Random) -> None:
    if not hasattr(rng, "random"):
        raise TypeError(f"rng must be a random number generator, got {rng!r}; write random.Random({rng!r})")


def _word_ranks(side: Sequence[str]) -> dict[int, int]:
    """The places of the words in a side, each with its rank among the words."""
    places = [place for place, symbol in enumerate(side) if not is_phrase(symbol)]
    return {place: rank for rank, place in enumerate(places)}


def _or(words: Sequence[str], most: int = 6) -> str:
    """A short list of words for a message: "a", "b" or "c"."""
    quoted = [f'"{word}"' for word in words[:most]]
    if len(words) > most:
        return ", ".join(quoted) + f" or one of {len(words) - most} other words"
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


# Reading the notation


def read_rules(text: str) -> Iterator[Rule]:
    """The rules of a grammar that is written in the notation of this module."""
    features: dict[str, list[str]] = {}
    heads: list[str] | None = None  # of the table that is open
    for number, raw in enumerate(text.replace("\\\n", " ").splitlines(), start=1):
        line = raw.split("#")[0].strip()
        try:
            if not line:
                heads = None
            elif "->" in line:
                heads = None
                lines = list(_expand(line, features))
                for expanded in lines:
                    head = expanded.split()[0]
                    alike = sum(other.split()[0] == head for other in lines)
                    yield _read_rule(expanded, alike)
            elif line.endswith(":"):
                heads = line[:-1].split()
            elif heads is None and "=" in line:
                name, values = line.split("=")
                features[name.strip()] = values.split()
            elif heads is not None:
                yield from _read_row(heads, line)
            else:
                raise GrammarError("a rule needs '->', a table row needs a table above it")
        except GrammarError as error:
            raise GrammarError(f"line {number} of the grammar, {line!r}: {error}") from None


def _expand(line: str, features: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The line once for every combination of values of the features that its phrases name."""
    used = [name for name in features if re.search(rf"\.{name}\b", line)]
    for values in itertools.product(*(features[name] for name in used)):
        expanded = line
        for name, value in zip(used, values, strict=True):
            expanded = re.sub(rf"\.{name}\b", f".{value}", expanded)
        yield expanded


def _read_rule(line: str, alike: int) -> Rule:
    """The rule that a line stands for, as one of ``alike`` rules that share the weight of the line."""
    left, _, body = line.partition("->")
    head, weight = _split_weight(left)
    source_text, bar, target_text = body.partition("|")
    source = _read_side(source_text)
    target = _read_side(target_text) if bar else source
    if not bar and any(not is_phrase(symbol) for symbol, _ in source):
        raise GrammarError("a rule with words needs both sides; add '| …'")
    return _make_rule(head, source, target, weight / alike)


def _split_weight(text: str) -> tuple[str, float]:
    """The text without its weight, and the weight: ``NP (3)`` gives ``NP`` and 3."""
    found = re.search(r"\((\d+(?:\.\d+)?)\)", text)
    if found is None:
        return text.strip(), 1.0
    return text.replace(found[0], " ").strip(), float(found[1])


def _read_row(heads: Sequence[str], line: str) -> Iterator[Rule]:
    row, weight = _split_weight(line)
    sides = [side.split() for side in row.split("|")]
    if len(sides) != 2 or any(len(side) not in (1, len(heads)) for side in sides):
        raise GrammarError(f"a row needs two sides, each with one word or with {len(heads)}, one for each head")
    sides = [side * len(heads) if len(side) == 1 else side for side in sides]
    for head, source, target in zip(heads, *sides, strict=True):
        yield _make_rule(head, _read_side(f"{source}:1"), _read_side(f"{target}:1"), weight)


def _read_side(text: str) -> Side:
    """The symbols of a side, each with the numbers written after it."""
    side = []
    for item in text.split():
        symbols, _, numbers = item.partition(":")
        ties = frozenset(numbers.split(",")) if numbers else frozenset()
        for symbol in symbols.split("+"):
            if not symbol or not all(tie.isdigit() for tie in ties):
                raise GrammarError(f"{item!r} must be a word or a phrase, then perhaps ':' and numbers")
            side.append((symbol, ties))
    return side


Side = list[tuple[str, frozenset[str]]]  # the symbols of a side, each with its numbers


def _make_rule(head: str, source: Side, target: Side, weight: float) -> Rule:
    if not is_phrase(head) or " " in head:
        raise GrammarError(f"the head {head!r} must be one name that begins with an upper-case letter")
    if not source:
        raise GrammarError("the source side must not be empty")
    for symbol, _ in source + target:
        if not is_phrase(symbol) and symbol != symbol.lower():
            raise GrammarError(f"the word {symbol!r} must be lower-case")
    _check_phrases(source, target)
    _check_ties(source, target)
    links = [
        (i, j)
        for i, (left, left_ties) in enumerate(source)
        for j, (right, right_ties) in enumerate(target)
        if (is_phrase(left) and (left, left_ties) == (right, right_ties))
        or (not is_phrase(left) and not is_phrase(right) and left_ties & right_ties)
    ]
    return Rule(head, [symbol for symbol, _ in source], [symbol for symbol, _ in target], links, weight)


def _check_phrases(source: Side, target: Side) -> None:
    left, right = (sorted((s, sorted(t)) for s, t in side if is_phrase(s)) for side in (source, target))
    if left != right:
        raise GrammarError("both sides must have the same phrases")
    for one, other in itertools.pairwise(left):
        if one == other:
            raise GrammarError(f"{one[0]!r} occurs twice in a side; tell the two apart by numbers, as {one[0]}:1")


def _check_ties(source: Side, target: Side) -> None:
    left, right = ({tie for s, ties in side if not is_phrase(s) for tie in ties} for side in (source, target))
    if left != right:
        raise GrammarError(f"the number {min(left ^ right)} of a word must occur on both sides")
