"""From a line of text to tokens, and back.

Each way of cutting has ``cut(line)`` and ``join(tokens)``, and ``words(tokens)``: for every token the number of the
word, between spaces, that it belongs to. Links between tokens thus become links between words, however lines are cut.

>>> words = Words()
>>> words.cut("She isn't here.")
['She', "isn'￭", 't', 'here', '￭.']
>>> words.join(words.cut("She isn't here."))
"She isn't here."
>>> words.words(words.cut("She isn't here."))
[0, 1, 1, 2, 2]
"""

import io
import re
import unicodedata
from collections.abc import Iterable, Sequence

import sentencepiece

from .errors import BadInputError

GLUE = "￭"  # at the end of a token that touches its neighbour there
ACCENTS = "".join(chr(code) for code in range(0x300, 0x3100) if unicodedata.category(chr(code))[0] == "M")


def is_word(part: str) -> bool:
    """Whether a token is made of letters and digits."""
    return re.match(r"\w", part) is not None


class Spaces:
    """Tokens are what stands between spaces: for text that is cut already."""

    name = "spaces"

    def cut(self, line: str) -> list[str]:
        """Give the tokens of a line."""
        return line.split()

    def join(self, tokens: Sequence[str]) -> str:
        """Make a line of tokens."""
        return " ".join(tokens)

    def words(self, tokens: Sequence[str]) -> list[int]:
        """Give the number of each token's word."""
        return list(range(len(tokens)))


class Words:
    """Punctuation is cut from words, and a mark keeps in mind where there was no space."""

    name = "words"
    letters = rf"(?:\w[{ACCENTS}]*)+"  # an accent or a vowel sign that is a character of its own belongs to its letter
    token = re.compile(rf"{letters}['’](?=\w)|{letters}|[^\w\s]")

    def cut(self, line: str) -> list[str]:
        """Give the tokens of a line."""
        found = []
        for word in line.replace(GLUE, " ").split():
            parts = self.token.findall(word)
            last = len(parts) - 1
            for place, part in enumerate(parts):
                mark = not is_word(part)  # a mark clings to the words beside it
                before = place > 0 and mark
                clings = place < last and is_word(parts[place + 1]) and (mark or part[-1] in "'’")
                found.append(GLUE * before + part + GLUE * clings)
        return found

    def join(self, tokens: Sequence[str]) -> str:
        """Make a line of tokens."""
        line = ""
        glued = True
        for token in tokens:
            line += ("" if glued or token.startswith(GLUE) else " ") + token.strip(GLUE)
            glued = token.endswith(GLUE)
        return line

    def words(self, tokens: Sequence[str]) -> list[int]:
        """Give the number of each token's word."""
        numbers, word, glued = [], -1, False
        for place, token in enumerate(tokens):
            word += place == 0 or not (glued or token.startswith(GLUE))
            numbers.append(word)
            glued = token.endswith(GLUE)
        return numbers


class Pieces:
    """Words in pieces that sentencepiece has learned, so that rare words are made of frequent parts."""

    name = "pieces"
    space = "▁"  # sentencepiece's mark at the beginning of a word

    def __init__(self, model: bytes):
        self.model = model
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    @classmethod
    def learn(cls, lines: Iterable[str], count: int) -> "Pieces":
        """Learn at most ``count`` pieces from lines of text."""
        file = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=file,
                vocab_size=count,
                hard_vocab_limit=False,  # a small corpus does not have so many
                num_threads=1,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            message = str(error).replace("\n", " ")
            raise BadInputError(
                f"sentencepiece cannot learn {count} pieces ({message}); ask for another number"
            ) from error
        return cls(file.getvalue())

    def cut(self, line: str) -> list[str]:
        """Give the tokens of a line."""
        return self.processor.encode(line, out_type=str)

    def join(self, tokens: Sequence[str]) -> str:
        """Make a line of tokens."""
        return " ".join("".join(tokens).replace(self.space, " ").split())

    def words(self, tokens: Sequence[str]) -> list[int]:
        """Give the number of each token's word."""
        numbers, word, before = [], -1, ""
        for token in tokens:
            word += token.startswith(self.space) and before != self.space
            numbers.append(max(word, 0))
            before = token
        return numbers


Cutter = Spaces | Words | Pieces
