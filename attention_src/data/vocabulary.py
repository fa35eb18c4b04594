"""Words and their numbers."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

PAD, BEGIN, END, UNKNOWN = range(4)
MARKS = ("<pad>", "<s>", "</s>", "<unk>")


class UnknownWordError(ValueError):
    """A word that the vocabulary does not hold."""


class Vocabulary:
    """A fixed list of words; a word's number is its place in the list, after the four marks.

    >>> animals = Vocabulary.of([["the", "cat"], ["the", "dog"]])
    >>> animals.encode(["the", "dog"])
    [6, 5]
    >>> animals.decode([6, 5])
    ['the', 'dog']
    """

    def __init__(self, words: Sequence[str]):
        taken = [word for word in words if word in MARKS]
        if taken or len(set(words)) != len(words):
            raise ValueError(f"words must be distinct and none of the marks {', '.join(MARKS)}")
        self.words = (*MARKS, *words)
        self._number = {word: number for number, word in enumerate(self.words)}

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]]) -> "Vocabulary":
        """Collect the words of ``sentences``, in alphabetical order."""
        return cls(sorted({word for sentence in sentences for word in sentence}))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._number

    def encode(self, sentence: Sequence[str]) -> list[int]:
        """Give each word's number; a word that is not in the vocabulary is an error that names it."""
        if isinstance(sentence, str):
            raise TypeError(f"sentence must be a list of words, but is one string: use {sentence!r}.split()")
        for word in sentence:
            if word not in self._number:
                near = get_close_matches(word, self.words, n=3)
                hint = f"; near it: {', '.join(near)}" if near else ""
                raise UnknownWordError(f"sentence holds {word!r}, which is not in the vocabulary{hint}")
        return [self._number[word] for word in sentence]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Give the words of ``numbers``."""
        numbers = list(numbers)
        for number in numbers:
            if not 0 <= number < len(self.words):
                raise ValueError(f"numbers holds {number}, but this vocabulary has the numbers 0 to {len(self) - 1}")
        return [self.words[number] for number in numbers]
