"""The translator of chapter 05 beside the same translator as plain loops over `GRUCell`, on the same batches.

Both give the same numbers: `paired` checks it before anything is timed. Trained in batches of about the same length;
decoded with a trained model, so that sentences end.
"""

import statistics
import time
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from attention_src.bahdanau import Bahdanau
from attention_src.data.batches import Batch, Bitext
from attention_src.data.vocabulary import BEGIN, END
from attention_src.decoding import Marks, beam, greedy
from attention_src.experiments.bahdanau import NAME, load_translator
from attention_src.experiments.protocol import BATCH, LONGEST_ANSWER, encoded, languages, splits, translation_loss
from attention_src.recurrent import check_lengths, follow

ROUNDS = 5
WIDTH = 5  # of the beam
BATCHES = 4  # of training


class Plain(nn.Module):
    """The weights of a :class:`Bahdanau`, one word and one cell at a time."""

    def __init__(self, model: Bahdanau):
        super().__init__()
        self.model = model
        self.there, self.back = (cell_of(model.encoder.rnn, end) for end in ("", "_reverse"))

    def read(self, source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The states of both directions at every word, and the first state of the decoder."""
        check_lengths(mask)
        words = self.model.encoder.embed(source)
        there, _ = walk(self.there, words, mask, range(words.shape[1]))
        back, last = walk(self.back, words, mask, reversed(range(words.shape[1])))
        return torch.cat([there, back], dim=-1), torch.tanh(self.model.start(last))

    def step(self, token: Tensor, state: Tensor, states: Tensor, keys: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The logits and the next state."""
        model, word = self.model, self.model.embed(token)
        bent = torch.tanh(model.score.of_query(state)[:, None] + keys)
        scores = model.score.out(bent)[..., 0].masked_fill(~mask, float("-inf"))
        context = (scores.softmax(dim=-1)[..., None] * states).sum(dim=1)
        state = model.cell(torch.cat([word, context], dim=-1), state)
        pairs = model.pairs(torch.cat([state, context, word], dim=-1))
        return model.readout(pairs.unflatten(-1, (-1, 2)).amax(dim=-1)), state

    def forward(self, source: Tensor, mask: Tensor, given: Tensor) -> Tensor:
        """Teacher forcing, as :meth:`Bahdanau.forward`."""
        states, state = self.read(source, mask)
        keys, logits = self.model.score.of_key(states), []
        for token in given.unbind(dim=1):
            said, state = self.step(token, state, states, keys, mask)
            logits.append(said)
        return torch.stack(logits, dim=1)

    def greedy(self, batch: Batch) -> list[list[int]]:
        """Translate a batch: at each step the best word of every sentence, until all have ended."""
        states, state = self.read(batch.source, batch.source_mask)
        keys, token = self.model.score.of_key(states), torch.full((len(states),), BEGIN)
        said, done = [], torch.zeros(len(states), dtype=torch.bool)
        while len(said) < LONGEST_ANSWER and not done.all():
            logits, state = self.step(token, state, states, keys, batch.source_mask)
            token = logits.argmax(dim=-1)
            said.append(token)
            done |= token == END
        return [until_end(row) for row in torch.stack(said, dim=1).tolist()]

    def beam(self, batch: Batch) -> list[list[int]]:
        """Translate a batch sentence by sentence, with the best ``WIDTH`` beginnings as the rows of a batch."""
        return [self.beam_of_one(row[None, : mask.sum()]) for row, mask in zip(*batch[:2], strict=True)]

    def beam_of_one(self, source: Tensor) -> list[int]:
        """Keep ``WIDTH`` beginnings; give the finished one with the best log p per word, the end mark counted."""
        mask = torch.ones_like(source, dtype=torch.bool)
        states, state = self.read(source, mask)
        keys, begun, finished = self.model.score.of_key(states), [(0.0, [BEGIN])], []
        while begun and len(begun[0][1]) <= LONGEST_ANSWER:
            token = torch.tensor([words[-1] for _, words in begun])
            logits, state = self.step(token, state, states, keys, mask)
            totals = logits.log_softmax(dim=-1) + torch.tensor([total for total, _ in begun])[:, None]
            best = totals.flatten().topk(WIDTH - len(finished))
            grown, rows = [], []
            for total, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                row, word = divmod(place, logits.shape[1])
                words = [*begun[row][1], word]
                if word == END:
                    finished.append((total / (len(words) - 1), words))
                else:
                    grown.append((total, words))
                    rows.append(row)
            begun, state = grown, state[rows]
        finished += [(total / (len(words) - 1), words) for total, words in begun]
        return until_end(max(finished)[1][1:])


def cell_of(rnn: nn.GRU, direction: str) -> nn.GRUCell:
    """One direction of a GRU as a cell that shares its weights."""
    cell = nn.GRUCell(rnn.input_size, rnn.hidden_size)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        setattr(cell, name, getattr(rnn, f"{name}_l0{direction}"))
    return cell


def walk(cell: nn.GRUCell, words: Tensor, mask: Tensor, places) -> tuple[Tensor, Tensor]:
    """The states at all places, and the last one; padding leaves the state alone, and its own state is zero."""
    state, states = words.new_zeros(len(words), cell.hidden_size), [words] * words.shape[1]
    for place in places:
        here = mask[:, place, None]
        state = torch.where(here, cell(words[:, place], state), state)
        states[place] = torch.where(here, state, 0.0)
    return torch.stack(states, dim=1), state


def until_end(words: list[int]) -> list[int]:
    """The words before the end mark."""
    return words[: words.index(END)] if END in words else words


@cache
def paired() -> tuple[Bahdanau, Plain, list[Batch], Batch]:
    """The trained translator, the plain one, batches of training, and 100 test sentences; the two agree on them."""
    model = load_translator()
    plain, some = Plain(model), splits(NAME, 0)
    bitext = Bitext(some.train, *languages(NAME), size=BATCH)
    batches, test = [bitext.batch_at(step) for step in range(BATCHES)], next(encoded(some.bands[11, 20], NAME))
    for batch in batches:
        given = batch.source, batch.source_mask, batch.given
        torch.testing.assert_close(model(*given), plain(*given), rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        same = sum(a == b for a, b in zip(said(model, test, 1), plain.greedy(test), strict=True))
        alike = sum(a == b for a, b in zip(said(model, test, WIDTH), plain.beam(test), strict=True))
    assert min(same, alike) >= 0.98 * len(test.source), f"the two say the same for {same} and {alike} of the sentences"
    return model, plain, batches, test


def said(model: Bahdanau, batch: Batch, width: int) -> list[list[int]]:
    """Translate a batch with the book's decoding."""
    memory, state = model.encode(batch.source, batch.source_mask)
    if width == 1:
        found = greedy(model.step, state, memory, Marks(BEGIN, END), LONGEST_ANSWER)
    else:
        found = beam(model.step, state, memory, Marks(BEGIN, END), LONGEST_ANSWER, width)
    return [one.tokens for one in found]


def train(model: nn.Module) -> None:
    """Forward and backward over the batches."""
    for batch in paired()[2]:
        translation_loss(model, batch).backward()


def words_of(batches: list[Batch]) -> int:
    """How many target words a training on the batches predicts."""
    return sum(int(batch.target_mask.sum()) for batch in batches)


def rate_training() -> tuple[int, str]:
    """The translator of the chapter, forward and backward."""
    model, _, batches, _ = paired()
    train(model)
    return words_of(batches), "target words"


def rate_training_in_plain_loops() -> tuple[int, str]:
    """The same as loops."""
    _, plain, batches, _ = paired()
    train(plain)
    return words_of(batches), "target words"


@torch.no_grad()
def rate_greedy() -> tuple[int, str]:
    """Sentences of 11 to 20 words, 100 at once."""
    model, _, _, test = paired()
    return len(said(model, test, 1)), "sentences"


@torch.no_grad()
def rate_greedy_in_plain_loops() -> tuple[int, str]:
    """The same as a loop."""
    _, plain, _, test = paired()
    return len(plain.greedy(test)), "sentences"


@torch.no_grad()
def rate_beam_of_five() -> tuple[int, str]:
    """The same sentences with a beam."""
    model, _, _, test = paired()
    return len(said(model, test, WIDTH)), "sentences"


@torch.no_grad()
def rate_beam_of_five_in_plain_loops() -> tuple[int, str]:
    """The same, one sentence after the other."""
    _, plain, _, test = paired()
    return len(plain.beam(test)), "sentences"


def ratio(first: Callable[[], object], second: Callable[[], object]) -> float:
    """How many times as long the first takes: the median over rounds in which the two take turns."""
    found = []
    for _ in range(ROUNDS):
        took = []
        for way in (first, second):
            start = time.perf_counter()
            way()
            took.append(time.perf_counter() - start)
        found.append(took[0] / took[1])
    return statistics.median(found)


def ratio_training_to_plain_loops() -> tuple[float, float]:
    """Forward and backward."""
    model, plain, _, _ = paired()
    return ratio(lambda: train(model), lambda: train(plain)), 1.0


def ratio_greedy_to_plain_loops() -> tuple[float, float]:
    """100 sentences at once in both; ours is a beam of one, which is more general."""
    return ratio(rate_greedy, rate_greedy_in_plain_loops), 1.5


def ratio_beam_to_plain_loops() -> tuple[float, float]:
    """All sentences at once against one after the other."""
    return ratio(rate_beam_of_five, rate_beam_of_five_in_plain_loops), 0.5


@torch.no_grad()
def ratio_keys_once_to_keys_at_every_step() -> tuple[float, float]:
    """What it is worth to compute the keys' half of the score once for a sentence."""
    model, _, batches, _ = paired()

    def again(token, state, memory):
        return model.step(token, state, memory._replace(key=model.score.prepare(memory.value)))

    def say(step: Callable) -> None:
        for batch in batches:
            memory, state = model.encode(batch.source, batch.source_mask)
            follow(step, batch.given, state, memory)

    return ratio(lambda: say(model.step), lambda: say(again)), 1.0


def ratio_places_to_words_in_sorted_batches() -> tuple[float, float]:
    """Places of a batch, padding too, for each word: in the batches of training, which hold like lengths."""
    bitext = Bitext(splits(NAME, 0).train, *languages(NAME), size=BATCH)
    return places_for_a_word([bitext.batch_at(step) for step in range(len(bitext))]), 1.15


def ratio_places_to_words_in_unsorted_batches() -> tuple[float, float]:
    """The same for batches as they come, to see what sorting saves."""
    bitext = Bitext(splits(NAME, 0).train, *languages(NAME), size=BATCH)
    return places_for_a_word(list(bitext.in_order())), float("inf")


def places_for_a_word(batches: list[Batch]) -> float:
    """All places of both sides over those where a word stands."""
    masks = [mask for batch in batches for mask in (batch.source_mask, batch.target_mask)]
    return sum(mask.numel() for mask in masks) / sum(int(mask.sum()) for mask in masks)
