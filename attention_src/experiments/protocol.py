"""The comparison protocol of the translation chapters: corpora, splits, training and intervals, fixed once, here.

- **Corpora.** The grammars of :mod:`attention_src.data.translation`. A model trains on ``TRAIN_PAIRS`` pairs whose
  source has ``SHORTEST`` to ``LONGEST`` words. It is tested on ``BAND_PAIRS`` new pairs in each of five bands of
  length; the last two bands are longer than anything it has seen. No test sentence occurs in training.
- **Seeds.** Seed s draws the corpus, the first weights and the order of the batches. Two models with the same seed see
  the same sentences in the same order.
- **Budget.** All models of a comparison train with the same plan on the same batches. They are matched in parameters by
  construction where that can be done; the count is among the measures.
- **Intervals.** Five seeds. A number in the text is the median; the interval goes from the smallest to the largest.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attention_src.data.batches import Batch, Bitext
from attention_src.data.translation import BANDS, GRAMMARS, Corpus, Pair, corpus
from attention_src.data.vocabulary import BEGIN, END, Vocabulary
from attention_src.decoding import Decoded, Marks, greedy
from attention_src.evaluation import bleu, by_band, exact_matches
from attention_src.experiments import Run
from attention_src.recurrent import follow
from attention_src.training import Plan, fit, word_loss

TRAIN_PAIRS, BAND_PAIRS = 20_000, 200
SHORTEST, LONGEST = 3, 30
BATCH = 64
PLAN = Plan(steps=1000, rate=8e-3)
LONGEST_ANSWER = 80  # words; the longest true answer of the corpora is shorter
SETTINGS = {
    "train_pairs": TRAIN_PAIRS,
    "band_pairs": BAND_PAIRS,
    "bands": BANDS,
    "trained_lengths": [SHORTEST, LONGEST],
    "batch": BATCH,
    "steps": PLAN.steps,
    "rate": PLAN.rate,
    "decay_from": PLAN.decay_from,
    "clip": PLAN.clip,
}


class Languages(NamedTuple):
    """The vocabularies of a grammar; they depend on the grammar alone, never on the seed."""

    source: Vocabulary
    target: Vocabulary


def languages(name: str) -> Languages:
    """Give the vocabularies of the grammar called ``name``."""
    grammar = GRAMMARS[name]
    return Languages(Vocabulary(sorted(grammar.source_words)), Vocabulary(sorted(grammar.target_words)))


@lru_cache(maxsize=1)
def splits(name: str, seed: int, longest: int = LONGEST) -> Corpus:
    """Give the corpus of the grammar ``name`` that seed ``seed`` draws; its bands do not depend on ``longest``."""
    return corpus(name, TRAIN_PAIRS, band=BAND_PAIRS, seed=seed, shortest=SHORTEST, longest=longest)


def translation_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Average -log p of the true words, each predicted from the true words before it."""
    return word_loss(model(batch.source, batch.source_mask, batch.given), batch.wanted, batch.target_mask)


def train(model: nn.Module, pairs: Sequence[Pair], name: str, run: Run, plan: Plan = PLAN) -> list[float]:
    """Train a translator on ``pairs`` as the protocol says."""
    batches = Bitext(pairs, *languages(name), size=BATCH, seed=run.seed)
    return fit(model, translation_loss, batches.batch_at, plan, report=run.progress)


def encoded(some: Sequence[Pair], name: str) -> Iterator[Batch]:
    """Give the pairs as numbers, a batch at a time, in the order in which they came."""
    return Bitext(some, *languages(name), size=100).in_order()


@torch.no_grad()
def translate(model: nn.Module, sources: Sequence[Sequence[str]], name: str) -> list[Decoded]:
    """Translate sentences greedily, a batch at a time."""
    pairs = [Pair(tuple(words), (languages(name).target.words[-1],), frozenset()) for words in sources]
    said = []
    for batch in encoded(pairs, name):
        memory, state = model.encode(batch.source, batch.source_mask)
        said += greedy(model.step, state, memory, Marks(BEGIN, END), LONGEST_ANSWER)
    return said


def quality(model: nn.Module, test: dict[tuple[int, int], list[Pair]], name: str) -> dict:
    """Measure exact matches and BLEU in each band of length, in percent."""
    words, pairs = languages(name).target, [pair for band in test.values() for pair in band]
    said = [words.decode(one.tokens) for one in translate(model, [pair.source for pair in pairs], name)]
    right = 100 * exact_matches(said, [pair.target for pair in pairs])
    exact = by_band([len(pair.source) for pair in pairs], right, list(test))
    answers = {pair.source: answer for pair, answer in zip(pairs, said, strict=True)}
    measures = {"exact": {}, "bleu": {}}
    for (low, high), share in zip(test, exact, strict=True):
        band = test[low, high]
        measures["exact"][f"{low}-{high}"] = share
        measures["bleu"][f"{low}-{high}"] = bleu([answers[p.source] for p in band], [p.target for p in band])
    return measures


@torch.no_grad()
def forced_weights(model: nn.Module, some: Sequence[Pair], name: str) -> list[Tensor]:
    """Give the weights, (target + end mark, source), that each pair gets when its true target is fed in."""
    weights = []
    for batch in encoded(some, name):
        memory, state = model.encode(batch.source, batch.source_mask)
        _, table = follow(model.step, batch.given, state, memory)
        for row, steps, words in zip(table, batch.target_mask.sum(1), batch.source_mask.sum(1), strict=True):
            weights.append(row[:steps, :words])
    return weights


def needed_places(pair: Pair) -> list[tuple[int, set[int]]]:
    """Give each linked target place with the source places that it is linked to, in target order.

    >>> needed_places(Pair(("not", "here"), ("ne", "pas", "ici"), frozenset({(0, 0), (0, 1), (1, 2)})))
    [(0, {0}), (1, {0}), (2, {1})]
    """
    places: dict[int, set[int]] = {}
    for i, j in pair.links:
        places.setdefault(j, set()).add(i)
    return sorted(places.items())
