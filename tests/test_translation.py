"""The three language pairs: hand-worked sentences, properties of all sentences, corpora."""

import doctest
import itertools
import random
import re
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_src.data import chinese_english, english_french, english_japanese, translation
from attention_src.data.translation import (
    BANDS,
    CHINESE_ENGLISH,
    ENGLISH_FRENCH,
    ENGLISH_JAPANESE,
    GRAMMARS,
    Grammar,
    GrammarError,
    Pair,
    SentenceError,
    corpus,
    pairs,
)

every_grammar = pytest.mark.parametrize("grammar", GRAMMARS.values(), ids=GRAMMARS)


@pytest.mark.parametrize("module", [translation, english_french, english_japanese, chinese_english])
def test_docstrings(module):
    result = doctest.testmod(module)
    assert (result.failed, result.attempted > 0) == (0, True)


# Hand-worked sentences. "pas:3" is a target word that is linked to source word 3 (from 0), "a:2,4" one with two links.


def check(grammar: Grammar, source: str, worked: str) -> None:
    items = [item.partition(":") for item in worked.split()]
    links = {(int(i), j) for j, (_, _, numbers) in enumerate(items) for i in numbers.split(",") if i}
    target = tuple(word for word, _, _ in items)
    assert grammar.translate(source) == Pair(tuple(source.split()), target, frozenset(links))


@pytest.mark.parametrize(
    ("source", "worked"),
    [
        # determiners, agreement
        ("the cat sleeps", "le:0 chat:1 dort:2"),
        ("these women sleep", "ces:0 femmes:1 dorment:2"),
        ("the houses are white", "les:0 maisons:1 sont:2 blanches:3"),
        ("they are happy", "ils:0 sont:1 heureux:2"),
        ("many horses work here", "beaucoup:0 de:0 chevaux:1 travaillent:2 ici:3"),
        ("some small girls sing", "de:0 petites:1 filles:2 chantent:3"),
        ("some girls sing", "des:0 filles:1 chantent:2"),
        # elision, and the forms before a vowel
        ("the star is cold", "l':0 étoile:1 est:2 froide:3"),
        ("i love my school", "j':0 aime:1 mon:2 école:3"),
        ("this child sees a beautiful tree", "cet:0 enfant:1 voit:2 un:3 bel:4 arbre:5"),
        ("her sword is red", "son:0 épée:1 est:2 rouge:3"),
        ("we buy a new hotel", "nous:0 achetons:1 un:2 nouvel:3 hôtel:4"),
        ("many friends dance", "beaucoup:0 d':0 amis:1 dansent:2"),
        # adjectives before and after the noun, mirrored pairs
        ("she loves the big red house", "elle:0 aime:1 la:2 grande:3 maison:5 rouge:4"),
        ("he buys a heavy red car", "il:0 achète:1 une:2 voiture:5 rouge:4 lourde:3"),
        ("a pretty tired black cow works", "une:0 jolie:1 vache:4 noire:3 fatiguée:2 travaille:5"),
        # negation; "do" and "does" have no link
        ("the dog does not sleep", "le:0 chien:1 ne:3 dort:4 pas:3"),
        ("i do not wait", "je:0 n':2 attends:3 pas:2"),
        ("he never eats a cake", "il:0 ne:1 mange:2 jamais:1 de:3 gâteau:4"),
        ("the soup is not cold", "la:0 soupe:1 n':3 est:2 pas:3 froide:4"),
        # compound past
        ("the cat has eaten the pear", "le:0 chat:1 a:2 mangé:3 la:4 poire:5"),
        ("the cat ate the pear", "le:0 chat:1 a:2 mangé:2 la:3 poire:4"),
        ("they have not eaten any lemons", "ils:0 n':2 ont:1 pas:2 mangé:3 de:4 citrons:5"),
        ("we did not look for the book", "nous:0 n':2 avons:1 pas:2 cherché:3,4 le:5 livre:6"),
        ("i have often seen her garden", "j':0 ai:1 souvent:2 vu:3 son:4 jardin:5"),
        # pronouns of the object, adverbs, prepositional phrases
        ("the king watches them", "le:0 roi:1 les:3 regarde:2"),
        ("she loves him", "elle:0 l':2 aime:1"),
        ("we often dance with our mothers", "nous:0 dansons:2 souvent:1 avec:3 nos:4 mères:5"),
        (
            "he sleeps in front of the church this evening",
            "il:0 dort:1 devant:2,3,4 l':5 église:6 ce:7 soir:8",
        ),
        # joined, nested and relative clauses
        (
            "he sings because she dances as soon as they wait",
            "il:0 chante:1 parce:2 qu':2 elle:3 danse:4 dès:5,6,7 qu':5,6,7 ils:8 attendent:9",
        ),
        ("the boy says that a mouse sleeps", "le:0 garçon:1 dit:2 qu':3 une:4 souris:5 dort:6"),
        ("a man who works is happy", "un:0 homme:1 qui:2 travaille:3 est:4 heureux:5"),
    ],
)
def test_english_to_french(source, worked):
    check(ENGLISH_FRENCH, source, worked)


@pytest.mark.parametrize(
    ("source", "worked"),
    [
        # the verb comes last; articles and the particles wa, ga, o have no link
        ("i see the dog", "watashi:0 wa inu:3 o mi:1 masu:1"),
        ("the teacher ate a pear", "sensei:1 wa nashi:4 o tabe:2 mashita:2"),
        # negation after the verb
        ("the cat does not eat this cake", "neko:1 wa kono:5 keeki:6 o tabe:4 masen:3"),
        ("she did not sleep", "kanojo:0 wa ne:3 masen:2 deshita:1"),
        ("the box is not red", "hako:1 wa akaku:4 nai:3 desu:2"),
        ("he cannot swim", "kare:0 wa oyogu:2 koto:1 ga:1 deki:1 masen:1"),
        # what follows the English verb stands before the Japanese one, in the opposite order
        ("they run in the park every day", "karera:0 wa mainichi:5,6 kouen:4 de:2 hashiri:1 masu:1"),
        ("i gave the letter to the doctor", "watashi:0 wa isha:6 ni:4 tegami:3 o age:1 mashita:1"),
        (
            "he goes to the station with a friend",
            "kare:0 wa tomodachi:7 to:5 issho:5 ni:5 eki:4 ni:2 iki:1 masu:1",
        ),
        (
            "she looked for my key behind the house yesterday",
            "kanojo:0 wa kinou:8 ie:7 no:5 ushiro:5 de:5 watashi:3 no:3 kagi:4 o sagashi:1,2 mashita:1,2",
        ),
        # relative and reported clauses
        ("the man who makes the cake sings", "keeki:5 o tsukuru:3 dansei:1 wa utai:6 masu:6"),
        ("she said that the dog ran", "kanojo:0 wa inu:4 ga hashitta:5 to:2 ii:1 mashita:1"),
        # clauses that change places
        ("i sleep because he is busy", "kare:3 ga isogashii:5 desu:4 kara:2 watashi:0 wa ne:1 masu:1"),
        (
            "i sleep because he sings although she works",
            "kanojo:6 ga hataraki:7 masu:7 keredo:5 kare:3 ga utai:4 masu:4 kara:2 watashi:0 wa ne:1 masu:1",
        ),
        ("he sings but she works", "kare:0 wa utai:1 masu:1 ga:2 kanojo:3 wa hataraki:4 masu:4"),
        ("he sings if she does not work", "moshi:2 kanojo:3 ga hataraka:6 nai:5 nara:2 kare:0 wa utai:1 masu:1"),
    ],
)
def test_english_to_japanese(source, worked):
    check(ENGLISH_JAPANESE, source, worked)


@pytest.mark.parametrize(
    ("source", "worked"),
    [
        ("我 爱 你", "i:0 love:1 you:2"),
        ("她 不 喜欢 我们", "she:0 does not:1 like:2 us:3"),
        # measure words have no link; "an" before a vowel
        ("一 只 猫 睡觉", "a:0 cat:2 sleeps:3"),
        ("我 想 吃 一 个 苹果", "i:0 want:1 to:1 eat:2 an:3 apple:5"),
        ("他 卖 一 张 旧 桌子", "he:0 sells:1 an:2 old:4 table:5"),
        ("两 匹 小 白 马 很 累", "two:0 small:2 white:3 horses:4 are:5 tired:6"),
        # past and its negation
        ("我 买 了 这 本 书", "i:0 bought:1,2 this:3 book:5"),
        ("你 没有 看见 他", "you:0 did:1 not:1 see:2 him:3"),
        # words of time and place move to the end
        ("他们 昨天 喝 了 茶", "they:0 drank:2,3 tea:4 yesterday:1"),
        ("她 今天 在 公园 里 跳舞", "she:0 dances:5 in:2,4 the park:3 today:1"),
        # owners and relative clauses
        ("我 的 老师 的 车 很 大", "my:0,1 teacher:2 's:3 car:4 is:5 big:6"),
        ("那 个 喝 水 的 医生 不 工作", "that:0 doctor:5 who:4 drinks:2 water:3 does not:6 work:7"),
        # joined clauses
        ("因为 我 很 忙 所以 他 哭", "he:5 cries:6 because:0,4 i:1 am:2 busy:3"),
        ("他 是 演员 但是 我 不 是 学生", "he:0 is:1 an actor:2 but:3 i:4 am:6 not:5 a student:7"),
    ],
)
def test_chinese_to_english(source, worked):
    check(CHINESE_ENGLISH, source, worked)


@pytest.mark.parametrize(
    ("grammar", "sentence", "message"),
    [
        (ENGLISH_FRENCH, "the cat sees an elephant", 'word 4, "an", is not among the 196 words of english_french'),
        (
            ENGLISH_FRENCH,
            "the cat see the dog",
            'cannot be read beyond word 3, "see": after "the cat", write "already"',
        ),
        (ENGLISH_JAPANESE, "i see", 'the sentence is not finished: after "i see" there must be "a", "her", "him"'),
        (CHINESE_ENGLISH, "我爱你", "put spaces between words, and use only words it knows"),
    ],
)
def test_a_sentence_that_is_not_in_the_language(grammar, sentence, message):
    with pytest.raises(SentenceError, match=re.escape(message)):
        grammar.translate(sentence)


# Properties of every sentence


def walk(derivation, path=()):
    """The two sides of a derivation and its links, with every word named by its rule's place and its place there."""
    rule, children = derivation
    below = [walk(child, (*path, number)) for number, child in enumerate(children)]
    phrases = [i for i, symbol in enumerate(rule.source) if symbol[0].isupper()]
    links = set().union(*(part[2] for part in below))
    child_at = {}
    for i, j in rule.links:
        if i in phrases:
            assert rule.source[i] == rule.target[j]
            child_at[j] = phrases.index(i)
        else:
            links.add(((path, "source", i), (path, "target", j)))
    source = [
        below[phrases.index(i)][0] if i in phrases else [((path, "source", i), symbol)]
        for i, symbol in enumerate(rule.source)
    ]
    target = [
        below[child_at[j]][1] if j in child_at else [((path, "target", j), symbol)]
        for j, symbol in enumerate(rule.target)
    ]
    return list(itertools.chain(*source)), list(itertools.chain(*target)), links


@every_grammar
@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**9), length=st.integers(3, 50))
def test_every_sentence_has_one_parse_that_gives_it_back(grammar, seed, length):
    derivation = grammar.derive(random.Random(seed), length)
    pair = grammar.spell(derivation)
    assert len(pair.source) == length
    assert grammar.derivations(pair.source) == [derivation]
    assert grammar.translate(pair.source) == pair
    assert all(word == word.lower() for word in pair.source + pair.target)


@every_grammar
@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**9), length=st.integers(3, 50))
def test_every_link_joins_words_that_one_rule_made(grammar, seed, length):
    derivation = grammar.derive(random.Random(seed), length)
    pair = grammar.spell(derivation)
    source, target, links = walk(derivation)
    assert pair.source == tuple(word for _, word in source)
    for said, (_, word), following in zip(pair.target, target, (*pair.target[1:], None), strict=True):
        assert said == word or (said == grammar.elision[word] and following in grammar.before)
    assert {(source[i][0], target[j][0]) for i, j in pair.links} == links
    assert all(made[0] == by[0] for made, by in links)  # the same rule at the same place of the derivation


@every_grammar
def test_every_rule_links_each_phrase_once_and_is_used(grammar):
    for rule in grammar.to_data()["rules"]:
        for side, other in ((0, 1), (1, 0)):
            words = [rule["source"], rule["target"]]
            for place, symbol in enumerate(words[side]):
                partners = [words[other][link[other]] for link in rule["links"] if link[side] == place]
                assert partners == [symbol] if symbol[0].isupper() else not any(p[0].isupper() for p in partners)
    rng = random.Random(5)
    used = set()
    for _ in range(3000):
        waiting = [grammar.derive(rng, rng.randint(3, 50))]
        while waiting:
            rule, children = waiting.pop()
            used.add(str(rule))
            waiting += children
    assert {str(rule) for rule in grammar.rules} - used == set()


@every_grammar
def test_the_vocabulary_is_what_the_sentences_use(grammar):
    made = pairs(grammar, 4000, seed=2, shortest=3, longest=50)
    assert {word for pair in made for word in pair.source} == set(grammar.source_words)
    assert {word for pair in made for word in pair.target} == set(grammar.target_words)
    assert 100 <= len(grammar.source_words) <= 205
    assert 150 <= len(grammar.target_words) <= 280


# The languages, by rules of their own


def test_french_elides_before_every_vowel_and_nowhere_else():
    never = {"le", "la", "je", "ne", "de", "que", "ce", "ma", "sa", "beau", "nouveau"}
    for pair in pairs(ENGLISH_FRENCH, 3000, seed=3):
        for word, following in itertools.pairwise(pair.target):
            vowel = following[0] in "aeiouéê" or following in ("homme", "hommes", "hôtel", "hôtels")
            assert not (word in never and vowel), pair.target
            if word.endswith("'") or word in ("cet", "bel", "nouvel"):
                assert vowel, pair.target


NOUNS = {
    "m": "homme garçon roi père ami enfant chien chat cheval oiseau livre arbre "
    "chapeau gâteau citron jardin château hôtel",
    "f": "femme fille reine mère vache souris voiture boîte étoile épée poire soupe maison école église cuisine",
}
DETERMINERS = {
    **dict.fromkeys(["le", "un", "ce", "cet"], ("m", "s")),
    **dict.fromkeys(["la", "une", "cette", "ma", "sa"], ("f", "s")),
    **dict.fromkeys(["les", "ces", "mes", "ses", "nos", "leurs", "des", "deux", "trois"], ("mf", "p")),
    **dict.fromkeys(["notre", "leur", "chaque", "mon", "son"], ("mf", "s")),
}
ADJECTIVES = {
    "petit": "petite", "grand": "grande", "joli": "jolie", "bon": "bonne", "nouveau": "nouvelle", "beau": "belle",
    "rouge": "rouge", "noir": "noire", "blanc": "blanche", "vert": "verte", "bleu": "bleue", "fatigué": "fatiguée",
    "heureux": "heureuse", "triste": "triste", "étrange": "étrange", "lourd": "lourde", "froid": "froide",
    "sale": "sale", "rond": "ronde",
}  # fmt: skip


def plural(word: str) -> str:
    if word[-1] in "sx":
        return word
    return word[:-2] + "aux" if word.endswith("al") else word + ("x" if word.endswith("eau") else "s")


def test_french_agrees_in_gender_and_number():
    forms: dict[str, set[tuple[str, str]]] = {}  # every form of an adjective, with the genders and numbers it may have
    for masculine, feminine in ADJECTIVES.items():
        for gender, form in (("m", masculine), ("f", feminine)):
            forms.setdefault(form, set()).add((gender, "s"))
            forms.setdefault(plural(form), set()).add((gender, "p"))
    forms["bel"] = forms["nouvel"] = {("m", "s")}
    genders = {
        form: gender for gender, nouns in NOUNS.items() for noun in nouns.split() for form in (noun, plural(noun))
    }
    checked = Counter()
    for pair in pairs(ENGLISH_FRENCH, 3000, seed=4):
        english = {j: pair.source[i] for i, j in pair.links}
        for place, noun in enumerate(pair.target):
            if noun not in genders or english[place] in ("cook", "cooks"):  # "cuisine" is a verb too
                continue
            number = "p" if english[place][-1] == "s" or english[place] in ("men", "women", "children", "mice") else "s"
            around = list(itertools.takewhile(lambda word: word in forms, pair.target[place + 1 :]))
            left = place - 1
            while pair.target[left] in forms:
                around.append(pair.target[left])
                left -= 1
            determiner = pair.target[left]
            for adjective in around:
                assert (genders[noun], number) in forms[adjective], pair.target
            if determiner in DETERMINERS:  # l' and d' show neither
                assert genders[noun] in DETERMINERS[determiner][0], pair.target
                assert number == DETERMINERS[determiner][1], pair.target
            checked.update([*around, determiner])
    assert set(forms) | set(DETERMINERS) <= set(checked)


def test_english_says_an_before_a_vowel_and_nowhere_else():
    for grammar, side in ((ENGLISH_FRENCH, 0), (ENGLISH_JAPANESE, 0), (CHINESE_ENGLISH, 1)):
        for pair in pairs(grammar, 2000, seed=5):
            for word, following in itertools.pairwise(pair[side]):
                if word in ("a", "an"):
                    assert (word == "an") == (following[0] in "aeiou"), pair[side]


def test_japanese_ends_in_a_polite_predicate():
    for pair in pairs(ENGLISH_JAPANESE, 2000, seed=6):
        assert pair.target[-1] in ("masu", "masen", "mashita", "deshita", "desu")
        subordinate = [word for word in pair.target if word in ("kara", "keredo", "toki", "nara")]
        assert len(subordinate) >= sum(word in ("because", "although", "when", "if") for word in pair.source)


# Corpora


@every_grammar
def test_lengths_are_spread_evenly(grammar):
    made = pairs(grammar, 2813, seed=7, shortest=4, longest=30)  # 27 lengths: 104 or 105 of each
    lengths = Counter(len(pair.source) for pair in made)
    assert set(lengths) == set(range(4, 31))
    assert set(lengths.values()) == {104, 105}
    assert len({pair.source for pair in made}) == 2813
    assert [len(pair.source) for pair in made] != sorted(len(pair.source) for pair in made)


def test_a_length_with_few_sentences_gives_half_of_them():
    made = Counter(len(pair.source) for pair in pairs(CHINESE_ENGLISH, 1500, seed=8, shortest=3, longest=4))
    assert made == {3: CHINESE_ENGLISH.count(3) // 2, 4: 1500 - CHINESE_ENGLISH.count(3) // 2}
    without = {pair.source for pair in pairs(CHINESE_ENGLISH, 100, seed=9, shortest=3, longest=3)}
    more = pairs(CHINESE_ENGLISH, CHINESE_ENGLISH.count(3) // 2 - 100, seed=9, shortest=3, longest=3, without=without)
    assert not without & {pair.source for pair in more}


@every_grammar
def test_the_same_seed_gives_the_same_pairs(grammar):
    state = random.getstate()
    first, again, other = (pairs(grammar, 57, seed) for seed in (1, 1, 2))
    assert first == again
    assert len({pair.source for pair in first} & {pair.source for pair in other}) < 20
    assert random.getstate() == state  # the global generator is left alone


@pytest.mark.parametrize("name", GRAMMARS)
def test_no_test_sentence_occurs_in_training(name):
    made = corpus(name, train=3000, validation=311, test=211, band=101, seed=3, shortest=3, longest=20)
    assert (len(made.train), len(made.validation), len(made.test)) == (3000, 311, 211)
    assert {band: len(found) for band, found in made.bands.items()} == dict.fromkeys(BANDS, 101)
    parts = [made.train, made.validation, made.test, *made.bands.values()]
    sources = Counter(pair.source for part in parts for pair in part)
    assert max(sources.values()) == 1
    for part in parts[:3]:
        assert {len(pair.source) for pair in part} == set(range(3, 21))
    for (low, high), found in made.bands.items():
        assert {len(pair.source) for pair in found} == set(range(low, high + 1))
    again = corpus(name, train=3000, validation=311, test=211, band=101, seed=3, shortest=3, longest=20)
    assert made == again
    assert corpus(name, 30, 3, 2, 1, seed=4).train != corpus(name, 30, 3, 2, 1, seed=5).train


@every_grammar
def test_twenty_thousand_pairs_are_made_quickly(grammar):
    grammar.lengths(3, 30)
    start = time.process_time()
    assert len({pair.source for pair in pairs(grammar, 20_000, seed=0)}) == 20_000
    assert time.process_time() - start < 8  # about a second on an idle core; loose, for slow and busy machines


def test_what_cannot_be_made_is_said():
    with pytest.raises(
        GrammarError, match="count must be from 0 to 336, got 337: at most half of the sentences of 3 to 3"
    ):
        pairs(CHINESE_ENGLISH, 337, 0, 3, 3)
    with pytest.raises(GrammarError, match="count must be from 0 to 336, got -1"):
        pairs(CHINESE_ENGLISH, -1, 0, 3, 3)
    with pytest.raises(GrammarError, match="must be 1 <= shortest <= longest, got 9 and 4"):
        pairs(CHINESE_ENGLISH, 5, 0, 9, 4)
    with pytest.raises(GrammarError, match="english_french has no sentence of 1 to 1 words; ask for other lengths"):
        pairs(ENGLISH_FRENCH, 5, 0, 1, 1)
    with pytest.raises(TypeError, match="seed must be an int or a str, got None"):
        pairs(ENGLISH_FRENCH, 5, None)
    with pytest.raises(GrammarError, match=r"name must be one of english_french, .*, got 'english_german'"):
        corpus("english_german")


def test_sentences_too_rare_to_be_found_are_reported():
    rare = Grammar("rare", "S", "S (1000000) -> a:1 | b:1\nS -> c:1 | d:1\nS -> e:1 | f:1\nS -> g:1 | h:1")
    with pytest.raises(
        GrammarError, match="rare has 4 sentences of 1 words, but most are too rare: 2 new ones are wanted, 1"
    ):
        pairs(rare, 2, 0, 1, 1)
