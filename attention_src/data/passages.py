"""Short passages of facts with questions, made from rules, so that the sentence that answers is known."""

import random
from typing import NamedTuple

KINDS = {
    "person": ("anna", "ben", "clara", "david", "emma", "felix", "greta", "henry", "ida", "jonas", "karin", "leo"),
    "city": (
        "athens",
        "berlin",
        "cairo",
        "delhi",
        "geneva",
        "lima",
        "madrid",
        "oslo",
        "paris",
        "rome",
        "tokyo",
        "vienna",
    ),
    "food": (
        "apples",
        "bread",
        "carrots",
        "cheese",
        "figs",
        "honey",
        "nuts",
        "olives",
        "pears",
        "rice",
        "soup",
        "yams",
    ),
}
LARGEST = 12  # words of a kind, and so facts of a relation
ANSWERS = tuple(word for words in KINDS.values() for word in words)


class Relation(NamedTuple):
    """What a fact says of two words, and the two questions that it answers."""

    kinds: tuple[str, str]
    fact: str
    ask_second: str
    ask_first: str


RELATIONS = {
    "visited": Relation(("person", "city"), "{0} visited {1} .", "what did {0} visit ?", "who visited {1} ?"),
    "ate": Relation(("person", "food"), "{0} ate {1} .", "what did {0} eat ?", "who ate {1} ?"),
    "sells": Relation(("city", "food"), "{0} sells {1} .", "what does {0} sell ?", "who sells {1} ?"),
}


class Fact(NamedTuple):
    """A relation by its name, with its two words."""

    relation: str
    first: str
    second: str

    @property
    def words(self) -> list[str]:
        """The fact as a sentence.

        >>> Fact("visited", "anna", "rome").words
        ['anna', 'visited', 'rome', '.']
        """
        return RELATIONS[self.relation].fact.format(self.first, self.second).split()

    def question(self, side: int) -> list[str]:
        """The question whose answer is the first word (side 0) or the second (side 1).

        >>> " ".join(Fact("visited", "anna", "rome").question(0))
        'who visited rome ?'
        """
        relation = RELATIONS[self.relation]
        return (relation.ask_second if side else relation.ask_first).format(self.first, self.second).split()


class Passage(NamedTuple):
    """Facts, and a question that exactly one of them answers."""

    facts: tuple[Fact, ...]
    gold: int  # which fact answers, counted from 0
    side: int  # 0: its first word is the answer; 1: its second

    @property
    def words(self) -> list[str]:
        """All sentences one after the other."""
        return [word for fact in self.facts for word in fact.words]

    @property
    def sentences(self) -> list[int]:
        """For each word, the number of its sentence."""
        return [number for number, fact in enumerate(self.facts) for _ in fact.words]

    @property
    def question(self) -> list[str]:
        """The question, word by word."""
        return self.facts[self.gold].question(self.side)

    @property
    def answer(self) -> str:
        """The word that answers it."""
        return self.facts[self.gold][1 + self.side]

    def options(self, count: int, seed: int | str = 0) -> list[str]:
        """The answer among other words of its kind, in an order that tells nothing; the first from this passage."""
        fact = self.facts[self.gold]
        kind = KINDS[RELATIONS[fact.relation].kinds[self.side]]
        if not 1 <= count <= len(kind):
            raise ValueError(f"count must be between 1 and {len(kind)}, the words of a kind, but is {count}")
        chance = random.Random(f"{seed} {self}")
        others = [word for word in kind if word != self.answer]
        chance.shuffle(others)
        here = set(self.words)
        others.sort(key=lambda word: word not in here)
        options = [self.answer, *others[: count - 1]]
        chance.shuffle(options)
        return options


VOCABULARY = tuple(
    sorted(
        {word for kind in KINDS.values() for word in kind}
        | {
            word
            for relation in RELATIONS.values()
            for pattern in relation[1:]
            for word in pattern.format("", "").split()
        }
    )
)


def passages(
    count: int, seed: int | str, shortest: int = 6, longest: int = 8, gold: int | None = None
) -> list[Passage]:
    """Draw passages with a question each; the same seed gives the same ones.

    In one passage no two facts of a relation share a word, so each question has one answer. Words may come again in
    facts of other relations. ``gold`` fixes which fact answers (-1 is the last one); otherwise any may.

    >>> one = passages(1, seed=4, shortest=2, longest=2)[0]
    >>> " ".join(one.words), " ".join(one.question), one.answer
    ('felix visited paris . anna visited oslo .', 'who visited oslo ?', 'anna')
    """
    if not 1 <= shortest <= longest <= 30:
        raise ValueError(f"shortest and longest must be 1 <= shortest <= longest <= 30, but are {shortest}, {longest}")
    if gold is not None and not -shortest <= gold < shortest:
        raise ValueError(f"gold must be a fact that every passage has, -{shortest} to {shortest - 1}, but is {gold}")
    chance = random.Random(f"passages {seed}")
    return [_draw(chance, chance.randint(shortest, longest), gold) for _ in range(count)]


def _draw(chance: random.Random, size: int, gold: int | None) -> Passage:
    names = chance.sample([name for name in RELATIONS for _ in range(LARGEST)], size)
    left = {
        name: [chance.sample(KINDS[kind], len(KINDS[kind])) for kind in relation.kinds]
        for name, relation in RELATIONS.items()
    }
    facts = tuple(Fact(name, left[name][0].pop(), left[name][1].pop()) for name in names)
    place = chance.randrange(size) if gold is None else gold % size
    return Passage(facts, place, chance.randrange(2))
