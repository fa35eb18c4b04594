"""Exercises of chapter 15: shares from two levels, two levels from one, and gaps that close."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from attention_src.attention import weigh
from attention_src.data.documents import documents
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments import hierarchical as chapter
from attention_src.hierarchical import DocumentReader, Level
from attention_src.training import Plan, fit


def shares(words: Tensor, sentences: Tensor, mask: Tensor) -> Tensor:
    """Give each word's share in one document.

    Word scores (S, N), sentence scores (S,), mask (S, N).
    """
    inner = weigh(words, mask)
    outer = weigh(sentences[None], mask.any(dim=1)[None])[0]
    return inner * outer[:, None]


def sentence_scores(words: Tensor, mask: Tensor) -> Tensor:
    """Give sentence scores (S,) that make two levels a flat softmax.

    Word scores (S, N), mask (S, N). The score of a sentence without
    words does not matter.
    """
    lowest = torch.finfo(words.dtype).min
    return words.masked_fill(~mask, lowest).logsumexp(dim=1)


def close_gaps(vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move what is there to the front: vectors (N, d), mask (N,).

    Gives the moved vectors, zeros behind them, and ``back``: where
    each vector of before now stands.
    """
    order = (~mask).long().argsort(stable=True)
    moved = vectors[order] * mask[order][:, None]
    return moved, order.argsort()


HAND = torch.tensor([[3.0, 1.0], [1.0, 1.0]]).log(), torch.tensor([2.0, 1.0]).log()
ALL = torch.ones(2, 2, dtype=torch.bool)


def except_this(count: int, seed: str) -> tuple[Tensor, ...]:
    """Give words, mask, answers, and the place of the sentence with the cue.

    The answer is the meaning of the sentence after it.
    """
    every = documents(count, seed)
    some = [one for one in every if one.gold + 1 < len(one.sentences)]
    after = [one._replace(gold=one.gold + 1) for one in some]
    return *chapter.encoded(after), torch.tensor([one.gold for one in some])


def next_sentence(run: Run) -> Measures:
    """Train with the sentence GRU and without: right answers, and the weight of the marked sentence and of the next."""
    *known, _ = except_this(SETTINGS["train"], f"except {run.seed}")

    def batch_at(step: int) -> list[Tensor]:
        random = torch.Generator().manual_seed(100_000 * (run.seed + 1) + step)
        chosen = torch.randperm(len(known[0]), generator=random)[: SETTINGS["batch"]]
        return [part[chosen] for part in known]

    def loss(model: DocumentReader, batch: list[Tensor]) -> Tensor:
        words, mask, answers = batch
        return cross_entropy(model(words, mask).logits, answers)

    words, mask, truth, marked = except_this(SETTINGS["test"], f"except, test {run.seed}")
    each, measures = torch.arange(len(words)), {}
    for name, reads in {"gru": True, "no_gru": False}.items():
        torch.manual_seed(run.seed)
        model = chapter.new_reader("levels")
        model.of_sentences = Level(SETTINGS["hidden"], SETTINGS["hidden"], reads=reads)
        fit(model, loss, batch_at, Plan(SETTINGS["steps"], SETTINGS["rate"]), report=run.progress)
        with torch.no_grad():
            reading = model(words, mask)
        measures[name] = {
            "right": float((reading.logits.argmax(dim=1) == truth).double().mean()),
            "marked": float(reading.sentences[each, marked].mean()),
            "next": float(reading.sentences[each, marked + 1].mean()),
        }
    return measures


SETTINGS = {name: chapter.SETTINGS[name] for name in ("test", "batch", "steps", "rate", "hidden")} | {"train": 3000}
PARTS = {"next_sentence": next_sentence}
RULES = [
    Rule(
        "it-looks-at-the-next",
        "With the sentence GRU, the sentence after the marked one has more weight than the marked one.",
        lambda m: m["next_sentence"]["gru"]["next"] > m["next_sentence"]["gru"]["marked"],
    ),
    Rule(
        "the-gru-is-needed",
        "With the sentence GRU more than 90 % of the answers are right, and without it fewer than 40 %.",
        lambda m: m["next_sentence"]["gru"]["right"] > 0.9 and m["next_sentence"]["no_gru"]["right"] < 0.4,
    ),
]
TOLERANCE = {"*.right": Tolerance(absolute=0.1), "*": Tolerance(absolute=0.6)}


def _some() -> tuple[Tensor, Tensor, Tensor]:
    """Scores of words and sentences; the last sentence but one is empty, and the first has a gap at its end."""
    random = torch.Generator().manual_seed(0)
    mask = torch.ones(4, 3, dtype=torch.bool)
    mask[0, 2], mask[2] = False, False
    words = torch.randn(4, 3, generator=random, dtype=torch.float64)
    return words, torch.randn(4, generator=random, dtype=torch.float64), mask


def _is_the_case_by_hand(answer):
    """in the case by hand the shares are 3/6 and 1/6 in the first sentence, 1/6 and 1/6 in the second."""
    assert_close(answer(*HAND, ALL), torch.tensor([[3.0, 1.0], [1.0, 1.0]]) / 6)


def _follows_the_sentences(answer):
    """a second sentence with twice the weight of the first has twice its shares, whatever the words say."""
    found = answer(HAND[0], torch.tensor([1.0, 2.0]).log(), ALL)
    assert_close(found.sum(dim=1), torch.tensor([1.0, 2.0]) / 3)


def _sums_to_one(answer):
    """all shares of a document sum to one, and words that the mask hides have none."""
    words, sentences, mask = _some()
    found = answer(words, sentences, mask)
    assert_close(found.sum(), torch.ones((), dtype=torch.float64))
    assert (found[~mask] == 0).all()


def _is_a_product(answer):
    """in each sentence with words, the shares divided by their sum are the softmax of its word scores."""
    words, sentences, mask = _some()
    found = answer(words, sentences, mask)
    for row, there, share in zip(words, mask, found, strict=True):
        if there.any():
            assert_close(share[there] / share.sum(), row[there].softmax(dim=0))


def _weighs_sentences_that_have_words(answer):
    """the shares of a sentence sum to its weight: the softmax of the sentence scores, over sentences with words."""
    words, sentences, mask = _some()
    there = mask.any(dim=1)
    found = answer(words, sentences, mask).sum(dim=1)
    assert_close(found[there], sentences[there].softmax(dim=0))
    assert_close(found[~there], torch.zeros(1, dtype=torch.float64))


def _gives_nothing_for_no_words(answer):
    """a document without words has shares of zero, not NaN."""
    assert_close(answer(*HAND, ~ALL), torch.zeros(2, 2))


def _is_the_sum_of_the_exponentials(answer):
    """in the case by hand the scores differ as log 4 and log 2 do."""
    found = answer(HAND[0], ALL)
    assert_close(found[0] - found[1], torch.tensor(2.0).log())


def _makes_the_flat_softmax(answer):
    """the shares of the two levels are the softmax over all words at once, where the mask is True."""
    words, _, mask = _some()
    found = shares(words, answer(words, mask), mask)
    assert_close(found[mask], words[mask].softmax(dim=0))


def _bears_large_scores(answer):
    """word scores near 1,000 make no infinity."""
    found = answer(1000 + HAND[0], ALL)
    assert_close(found[0] - found[1], torch.tensor(2.0).log(), rtol=0, atol=1e-3)


def _gap() -> tuple[Tensor, Tensor]:
    return torch.arange(1.0, 11.0).view(5, 2), torch.tensor([False, True, False, True, True])


def _moves_to_the_front(answer):
    """what is there comes first, in its old order."""
    assert_close(answer(*_gap())[0][:3], torch.tensor([[3.0, 4.0], [7.0, 8.0], [9.0, 10.0]]))


def _leaves_zeros(answer):
    """behind it stand zeros, as many as there were gaps."""
    assert_close(answer(*_gap())[0][3:], torch.zeros(2, 2))


def _finds_the_way_back(answer):
    """moved[back] has each vector where it was, and zeros in the gaps."""
    vectors, mask = _gap()
    moved, back = answer(vectors, mask)
    assert_close(moved[back], vectors * mask[:, None])


def _leaves_its_argument(answer):
    """the vectors that were given are not written to."""
    vectors, mask = _gap()
    answer(vectors, mask)
    assert_close(vectors, _gap()[0])


check_shares = Checker(
    "shares",
    [
        _is_the_case_by_hand,
        _follows_the_sentences,
        _sums_to_one,
        _is_a_product,
        _weighs_sentences_that_have_words,
        _gives_nothing_for_no_words,
    ],
)
check_sentence_scores = Checker(
    "sentence_scores", [_is_the_sum_of_the_exponentials, _makes_the_flat_softmax, _bears_large_scores]
)
check_close_gaps = Checker(
    "close_gaps", [_moves_to_the_front, _leaves_zeros, _finds_the_way_back, _leaves_its_argument]
)
