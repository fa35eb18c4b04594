"""The command line's training and decoding at the size of a real corpus, beside a plain loop.

29,000 pairs of 3 to 40 words, vocabularies of about 8,000 and 6,000, embeddings and states of 256. The plain loop takes
shuffled batches of 64 padded to the longest sentence, steps through the decoder with `GRUCell`, applies the output
layer once over all steps, padding too, and uses Adam as it comes. Both train for a whole epoch, in turns of a
twentieth; this takes some minutes. Times are those of the processor, so that other programs disturb them less.
"""

import atexit
import shutil
import statistics
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from attention_src.bahdanau import Bahdanau
from attention_src.data.batches import Batch, pad
from attention_src.data.vocabulary import BEGIN, END
from attention_src.decoding import Marks, greedy
from attention_src.translate.batches import batch_of
from attention_src.translate.runs import begin, write_tensors
from attention_src.translate.settings import Settings
from attention_src.translate.speaking import TOKENS, Speaker, batches
from attention_src.translate.training import Pairs, Training, World

PAIRS, SHORTEST, LONGEST, WORDS, SIZE = 29_000, 3, 40, (8_000, 6_000), 256
TURNS, ROUNDS, SENTENCES = 20, 3, 1000


@cache
def training() -> Training:
    """A run on random sentences whose words are as frequent as words are."""
    draw, folder = np.random.default_rng(0), Path(tempfile.mkdtemp(prefix="bench-translate-"))
    atexit.register(shutil.rmtree, folder)
    lengths = draw.integers(SHORTEST, LONGEST + 1, PAIRS)
    sides = []
    for words in WORDS:
        share = 1 / np.arange(1, words + 1)
        drawn = draw.choice(words, lengths.sum(), p=share / share.sum())
        cuts = np.split(drawn, np.cumsum(lengths)[:-1])
        sides.append([" ".join(f"w{number}" for number in cut) for cut in cuts])
    (folder / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in zip(*sides, strict=True)))
    settings = Settings(pairs=str(folder / "pairs.tsv"), tokens="spaces", width=SIZE, hidden=SIZE, least=1)
    run, corpus = begin(folder / "run", settings)
    return Training(run, Pairs.of(run, corpus), World())


@cache
def plain_model() -> tuple[Bahdanau, torch.optim.Adam]:
    """The same model with an optimiser of its own."""
    model = training().run.build()
    return model, torch.optim.Adam(model.parameters(), lr=1e-3)


def plain_logits(model: Bahdanau, batch: Batch) -> Tensor:
    """Teacher forcing, word after word."""
    memory, state = model.encode(batch.source, batch.source_mask)
    states, contexts, words = [], [], []
    for token in batch.given.unbind(dim=1):
        word = model.embed(token)
        scores = model.score.out(torch.tanh(model.score.of_query(state)[:, None] + memory.key))[..., 0]
        weights = scores.masked_fill(~memory.mask, float("-inf")).softmax(dim=-1)
        context = (weights[:, None] @ memory.value)[:, 0]
        state = model.cell(torch.cat([word, context], dim=-1), state)
        states.append(state)
        contexts.append(context)
        words.append(word)
    return model.say(*(torch.stack(part, dim=1).flatten(0, 1) for part in (states, contexts, words)))


def plain_step(rows: np.ndarray) -> None:
    """One step of training as a reader would first write it."""
    model, adam = plain_model()
    batch = batch_of(training().corpus, rows, torch.device("cpu"))
    wanted = batch.wanted.masked_fill(~batch.target_mask, -100).flatten()
    adam.zero_grad()
    nn.functional.cross_entropy(plain_logits(model, batch), wanted).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    adam.step()


def processor_seconds(function, *arguments) -> float:
    """How long the processor works for a call: what else the machine does shall not count."""
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def epochs_in_turns(share: float = 1.0) -> float:
    """Seconds a target word of ours over those of the plain loop, over an epoch of each, or its first share."""
    ours = training()
    pairs = np.random.default_rng(1).permutation(PAIRS)
    mine = [ours.buckets.at(step) for step in range(round(share * len(ours.buckets)))]
    others = np.array_split(pairs, -(-PAIRS // 64))[: round(share * PAIRS / 64)]
    took = np.zeros((2, 2))  # of both: seconds, words
    for turn in range(TURNS):
        for place, (step, every) in enumerate(((ours.step, mine), (plain_step, others))):
            for rows in every[turn::TURNS]:
                words = int((ours.corpus.target.lengths[rows] + 1).sum())
                took[place] += processor_seconds(step, rows), words
    mine, others = took[:, 0] / took[:, 1]
    return float(mine / others)


def ratio_training_to_a_plain_loop() -> tuple[float, float]:
    """Time for each real target word over a whole epoch of both, in turns; the goal is 2.2 times as fast."""
    return epochs_in_turns(), round(1 / 2.2, 3)


@cache
def speaker() -> tuple[Speaker, list[str]]:
    """A speaker that has learned nothing, and sentences of the corpus.

    It never ends by itself. Each sentence ends at a length that scatters around that of its source by a sixth or so,
    as a trained model's does, and needs one step more, in which it would have said the end mark.
    """
    run, draw = training().run, np.random.default_rng(2)
    model = run.build()
    with torch.no_grad():
        model.readout.bias[END] = -1e4
    write_tensors(run.folder / "best.safetensors", run, model.state_dict(), epoch=0)
    found = Speaker(run)
    found.limit = lambda words: 1 + max(1, round(words * np.exp(draw.normal(0, 0.15))))
    with open(run.settings.pairs) as file:
        return found, [line.split("\t")[0] for line, _ in zip(file, range(SENTENCES), strict=False)]


def plain_greedy(who: Speaker, lines: list[str]) -> None:
    """The chapter's greedy decoding of the same batches, every sentence as long as the longest."""
    tokens = [who.encode(0, who.cut(0, line)) for line in lines]
    for places in batches([len(one) for one in tokens], TOKENS):
        source, mask = pad([tokens[place] for place in places])
        with torch.no_grad():
            memory, state = who.model.encode(source, mask)
        greedy(who.model.step, state, memory, Marks(BEGIN, END), max(who.limit(len(tokens[place])) for place in places))


def products_alone(who: Speaker, lines: list[str]) -> None:
    """The products of matrices of all steps, and nothing else: the least that greedy decoding can take."""
    for places in batches([len(line.split()) for line in lines], TOKENS):
        vectors = torch.ones(len(places), len(who.says.of_seen))
        for _ in range(max(len(lines[place].split()) for place in places) + 1):
            for table in (who.says.of_seen, who.says.of_state, who.says.readout):
                vectors[:, : len(table)] @ table


@torch.inference_mode()
def greedy_beside(other) -> float:
    """How many times as long our greedy decoding takes as another function, in turns."""
    who, lines = speaker()
    found = []
    for number in range(ROUNDS + 1):
        took = [processor_seconds(one) for one in (lambda: who.translate(lines, 1, print), lambda: other(who, lines))]
        if number:  # the first round warms up
            found.append(took[0] / took[1])
    return statistics.median(found)


def ratio_greedy_decoding_to_the_chapters() -> tuple[float, float]:
    """The tool's greedy decoding beside the chapter's, which says probabilities too."""
    return greedy_beside(plain_greedy), 0.8


def ratio_greedy_decoding_to_its_products() -> tuple[float, float]:
    """The tool's greedy decoding beside the matrix products of its decoder alone."""
    return greedy_beside(products_alone), 2.5


def rate_greedy_decoding() -> tuple[int, str]:
    """All of the command but reading the file and writing it; the goal is 400 on one thread."""
    who, lines = speaker()
    return len(who.translate(lines, 1, print)), "sentences"
