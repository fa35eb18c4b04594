"""The machinery of synchronous grammars: notation, parser, generator, alignment, messages."""

import doctest
import itertools
import json
import random

import pytest

from attention_src.data import grammar as module
from attention_src.data.grammar import Grammar, GrammarError, Pair, SentenceError, read_rules

TOY = """
    gender = m f
    S -> NP                         # a sentence is a list of noun phrases
    S -> NP and:1 S | NP et:1 S
    NP (3) -> NOUN.gender
    NP -> of:1 the:2 N.m | du:1,2 N.m
    NOUN.gender -> THE.gender N.gender
    NOUN.gender -> THE.gender ADJ.gender N.gender \\
        | THE.gender N.gender ADJ.gender
    THE.m THE.f:
      the | le la
      a | un une
    ADJ.m ADJ.f:
      red | rouge
      green | vert verte
    N.m:
      (2) dog | chien
      tree | arbre
    N.f:
      star | étoile
"""


@pytest.fixture
def toy() -> Grammar:
    return Grammar("toy", "S", TOY, elision={"le": "l'", "la": "l'"}, before="arbre étoile")


def linked(pair: Pair) -> list[str]:
    """The links as words, in source order: ``["the-la", …]``."""
    return [f"{pair.source[i]}-{pair.target[j]}" for i, j in sorted(pair.links)]


def test_docstrings():
    assert doctest.testmod(module).failed == 0


# Hand cases of the notation


def test_phrases_move_with_their_links(toy):
    pair = toy.translate("the green star and a dog")
    assert pair.target == ("l'", "étoile", "verte", "et", "un", "chien")
    assert pair.links == {(0, 0), (1, 2), (2, 1), (3, 3), (4, 4), (5, 5)}


def test_words_with_two_numbers_have_two_links(toy):
    pair = toy.translate(["of", "the", "tree"])
    assert pair == Pair(("of", "the", "tree"), ("du", "arbre"), frozenset({(0, 0), (1, 0), (2, 1)}))


def test_elision_needs_the_word_that_follows(toy):
    assert toy.translate("the tree").target == ("l'", "arbre")
    assert toy.translate("the dog").target == ("le", "chien")
    assert toy.translate("a tree").target == ("un", "arbre")


def test_the_same_phrase_twice_is_told_apart_by_numbers():
    swap = Grammar("swap", "S", "S -> N:1 V N:2 | V N:2 N:1\nV -> see:7 | mi:7 masu:7\nN:\n a | b\n c | d")
    pair = swap.translate("a see c")
    assert pair.target == ("mi", "masu", "d", "b")
    assert linked(pair) == ["a-b", "see-mi", "see-masu", "c-d"]


def test_plus_joins_words_that_share_a_number():
    both = Grammar("both", "S", "S -> as+soon+as:1 he:2 | dès+que:1 il:2", elision={"que": "qu'"}, before="il")
    pair = both.translate("as soon as he")
    assert pair.target == ("dès", "qu'", "il")
    assert pair.links == {*itertools.product(range(3), range(2)), (3, 2)}


def test_a_word_without_a_number_has_no_link():
    one = Grammar("one", "S", "S -> the N | N wa\nN:\n  cat | neko")
    assert one.translate("the cat") == Pair(("the", "cat"), ("neko", "wa"), frozenset({(1, 0)}))


def test_a_target_side_may_be_empty():
    one = Grammar("one", "S", "S -> M N\nM -> 只 |\nN:\n  猫 | cat")
    assert one.translate("只 猫") == Pair(("只", "猫"), ("cat",), frozenset({(1, 0)}))


def test_features_stand_for_one_rule_each_and_share_the_weight(toy):
    rules = [(rule.head, rule.phrases, rule.weight) for rule in toy.rules if rule.head == "NP"]
    assert rules == [("NP", ("NOUN.m",), 1.5), ("NP", ("NOUN.f",), 1.5), ("NP", ("N.m",), 1.0)]
    assert [rule.weight for rule in toy.rules if rule.head == "NOUN.m"] == [1.0, 1.0]


# Against independent answers


def enumerate_sources(grammar: Grammar, symbol: str, length: int) -> list[tuple[str, ...]]:
    """Every source side of ``length`` words, one for each derivation, by brute force."""
    if not symbol[0].isupper():
        return [(symbol,)] if length == 1 else []
    found = []
    for rule in (rule for rule in grammar.rules if rule.head == symbol):
        for sizes in itertools.product(range(1, length + 1), repeat=len(rule.source)):
            if sum(sizes) == length:
                parts = [enumerate_sources(grammar, part, size) for part, size in zip(rule.source, sizes, strict=True)]
                found += [tuple(itertools.chain(*choice)) for choice in itertools.product(*parts)]
    return found


@pytest.mark.parametrize("length", [1, 2, 3, 5, 6, 7])
def test_count_and_parser_agree_with_brute_force(toy, length):
    sources = enumerate_sources(toy, "S", length)
    assert toy.count(length) == len(sources)
    for source in sources:
        assert len(toy.derivations(source)) == 1
    drawn = random.Random(length)
    words = sorted(toy.source_words)
    for _ in range(300):
        guess = tuple(drawn.choice(words) for _ in range(length))
        if guess in sources:
            toy.derivations(guess)
        else:
            with pytest.raises(SentenceError):
                toy.derivations(guess)


def test_an_ambiguous_sentence_shows_all_its_derivations():
    twice = Grammar("twice", "S", "S -> A B\nS -> B A\nA -> x:1 | p:1\nB -> x:1 | q:1")
    assert len(twice.derivations(["x", "x"])) == 2
    with pytest.raises(GrammarError, match='"x x" has 2 derivations in twice; it must have one'):
        twice.translate("x x")


def test_every_length_and_every_rule_is_drawn_by_its_weight(toy):
    rng, draws = random.Random(3), 4000
    dogs = sum("dog" in toy.spell(toy.derive(rng, 2)).source for _ in range(draws))
    # Of 2 words: THE N alone. Gender m and f have the same weight; of the masculine ones, two thirds are dogs.
    assert abs(dogs / draws - 1 / 3) < 5 * (2 / 9 / draws) ** 0.5
    lengths = [len(toy.generate(rng, 2, 9).source) for _ in range(draws)]
    for length in (2, 3, 5, 6, 7, 8, 9):
        assert abs(lengths.count(length) / draws - 1 / 7) < 5 * (6 / 49 / draws) ** 0.5
    assert toy.lengths(1, 9) == [2, 3, 5, 6, 7, 8, 9]
    assert 4 not in lengths


def test_data_survives_json_and_obeys_its_format(toy):
    data = json.loads(json.dumps(toy.to_data()))
    assert data == toy.to_data()
    assert data["elision"] == {"words": {"le": "l'", "la": "l'"}, "before": ["arbre", "étoile"]}
    assert (data["name"], data["start"]) == ("toy", "S")
    assert data["rules"][2:4] == [
        {"head": "NP", "source": ["NOUN.m"], "target": ["NOUN.m"], "links": [[0, 0]]},
        {"head": "NP", "source": ["NOUN.f"], "target": ["NOUN.f"], "links": [[0, 0]]},
    ]
    assert {
        "head": "NP",
        "source": ["of", "the", "N.m"],
        "target": ["du", "N.m"],
        "links": [[0, 0], [1, 0], [2, 1]],
    } in (data["rules"])


# Messages


@pytest.mark.parametrize(
    ("sentence", "message", "position"),
    [
        ("", "the sentence is empty; write one or more words of toy", 0),
        ("a zebra", 'word 2, "zebra", is not among the 9 words of toy; put spaces between words, and use only', 1),
        ("a gren dog", 'word 2, "gren", is not among the 9 words of toy; did you mean "green"?', 1),
        ("the Dog", 'word 2, "Dog", is not in the grammar toy; write it as "dog"', 1),
        ("the red", 'the sentence is not finished: after "the red" there must be "dog", "star" or "tree"', 2),
        ("dog", 'the sentence cannot be read beyond word 1, "dog": at the beginning, write "a", "of" or "the"', 0),
        ("a dog red", 'cannot be read beyond word 3, "red": after "a dog", end there, or write "and"', 2),
        ("the red red dog", 'cannot be read beyond word 3, "red": after "the red", write "dog", "star" or "tree"', 2),
        ("of the star", 'cannot be read beyond word 3, "star": after "of the", write "dog" or "tree"', 2),
        ("a dog and " * 70 + "a dog", "the sentence has 212 words; at most 200 can be read, so shorten it", 200),
    ],
)
def test_a_sentence_outside_the_grammar(toy, sentence, message, position):
    with pytest.raises(SentenceError) as caught:
        toy.translate(sentence)
    assert message in str(caught.value)
    assert caught.value.position == position
    assert isinstance(caught.value, ValueError)


def test_the_longest_input_can_be_read(toy):
    assert len(toy.translate(("a dog and " * 66 + "a dog").split()).target) == 200


def test_a_long_list_of_expected_words_is_cut():
    many = Grammar("many", "S", "S -> the:1 N | la:1 N\nN:\n" + "\n".join(f" {a}{b} | x" for a in "abcd" for b in "ef"))
    with pytest.raises(SentenceError, match='"ae", "af", "be", "bf", "ce", "cf" or one of 2 other words'):
        many.translate("the the")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S -> the N", "a rule with words needs both sides; add '| …'"),
        ("S -> A | B", "both sides must have the same phrases"),
        ("S -> A | A A", "both sides must have the same phrases"),
        ("S -> A A | A A", "'A' occurs twice in a side; tell the two apart by numbers, as A:1"),
        ("S -> the:1 | le:2", "the number 1 of a word must occur on both sides"),
        ("S -> the:x | le:x", "'the:x' must be a word or a phrase, then perhaps ':' and numbers"),
        ("S -> Ding:1 iPod:2 | Ding:1 x:2", "the word 'iPod' must be lower-case"),
        ("s -> the:1 | le:1", "the head 's' must be one name that begins with an upper-case letter"),
        ("S -> | le", "the source side must not be empty"),
        ("the cat", "a rule needs '->', a table row needs a table above it"),
        ("S S.x:\n a b c | d e", "a row needs two sides, each with one word or with 2, one for each head"),
        ("S:\n a", "a row needs two sides, each with one word or with 1"),
        ("T -> a:1 | b:1", "the start 'S' has no rule; give it one"),
        ("S -> A", "'A' in the rule S -> A | A has no rule; add one or mend it"),
        ("S -> a:1 | b:1\nB -> a:1 | b:1", "nothing uses B; use or remove the rules"),
        ("S -> A\nA -> S b:1 | S b:1\nA -> c:1 | c:1", "'S' can begin with itself; write its rules right-recursive"),
        ("S -> a:1 S | a:1 S", "the rules of S never come to an end; add one of words only"),
    ],
)
def test_a_broken_grammar(text, message):
    with pytest.raises(GrammarError) as caught:
        Grammar("broken", "S", text)
    assert message in str(caught.value)


def test_the_line_of_a_mistake_is_named():
    with pytest.raises(GrammarError, match=r"line 3 of the grammar, 's -> a:1 \| b:1': the head 's' must"):
        list(read_rules("S -> a:1 | b:1\n\ns -> a:1 | b:1  # comment"))


def test_asking_for_what_cannot_be(toy):
    with pytest.raises(GrammarError, match="toy has no sentence of 4 words; lengths\\(\\) tells which there are"):
        toy.derive(random.Random(0), 4)
    with pytest.raises(GrammarError, match="toy has no sentence of 1 to 1 words; ask for other lengths"):
        toy.generate(random.Random(0), 1, 1)
    with pytest.raises(GrammarError, match="must be 1 <= shortest <= longest, got 5 and 3"):
        toy.generate(random.Random(0), 5, 3)
    for wrong in (toy.generate, lambda rng: toy.derive(rng, 2)):
        with pytest.raises(TypeError, match=r"rng must be a random number generator, got 7; write random.Random\(7\)"):
            wrong(7)
