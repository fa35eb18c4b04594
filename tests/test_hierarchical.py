import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from attention_src.attention import attend, weigh
from attention_src.data.batches import PAD
from attention_src.data.documents import (
    ANSWERS,
    CUES,
    MEANS,
    QUALITIES,
    THINGS,
    TIMES,
    VOCABULARY,
    Document,
    as_numbers,
    documents,
    with_other_thing,
    without_cue,
)
from attention_src.experiments import Run
from attention_src.experiments import hierarchical as experiment
from attention_src.hierarchical import ContextAttention, DocumentReader, FlatReader, Level, Max, Mean, Reading
from attention_src.scores import Additive

B, S, N, WIDTH, HIDDEN, WORDS, ANSWER = 5, 4, 3, 7, 6, 11, 2  # batch, sentences, words of one, widths, vocabulary
READERS = [DocumentReader, FlatReader]
POOLS = ["attention", "mean", "max"]


def build(reader=DocumentReader, pool="attention", reads=True, seed=0, words=WORDS):
    """An untrained reader in float64."""
    torch.manual_seed(seed)
    return reader(words, ANSWER, WIDTH, HIDDEN, pool, reads).double()


def example(seed=1):
    """Words of five documents and their mask: one is full, one has holes, one has one word, one has no words."""
    random = torch.Generator().manual_seed(seed)
    words = torch.randint(WORDS, (B, S, N), generator=random)
    mask = torch.rand(B, S, N, generator=random) < 0.7
    mask[0] = True
    mask[1, 2] = False  # an empty sentence between others
    mask[2] = False
    mask[2, 3, 1] = True
    mask[3] = False
    return words, mask


def level(pool="attention", reads=True, seed=0):
    torch.manual_seed(seed)
    return Level(WIDTH, HIDDEN, pool, reads).double()


# By hand


def set_scores(attention, largest):
    """Make the score of a state its first number, if that is below 1 by far: tanh(x) is nearly x for small x."""
    with torch.no_grad():
        attention.bend.weight.zero_()
        attention.bend.bias.zero_()
        attention.context.zero_()
        attention.bend.weight[0, 0] = 1 / largest
        attention.context[0] = largest


def test_two_levels_by_hand():
    """Words weighed 3 : 1 and 1 : 1 over values 8, 4 and 2, 6 make 7 and 4; weighed 2 : 1 these make 6."""
    words = torch.tensor([[[8.0], [4.0]], [[2.0], [6.0]]])
    sentences, inner = attend(torch.tensor([[[3.0, 1.0]], [[1.0, 1.0]]]).log(), words)
    document, outer = attend(torch.tensor([[2.0, 1.0]]).log(), sentences[:, 0])
    assert_close(sentences[:, 0], torch.tensor([[7.0], [4.0]]))
    assert_close(document, torch.tensor([[6.0]]))
    shares = inner[:, 0] * outer[0, :, None]
    assert_close(shares, torch.tensor([[3.0, 1.0], [1.0, 1.0]]) / 6)
    assert_close((shares[..., None] * words).sum(), torch.tensor(6.0))


def test_context_attention_by_hand():
    """Scores log 3 and log 1 give the weights 3/4 and 1/4."""
    attention = ContextAttention(2).double()
    set_scores(attention, 1e4)
    states = torch.tensor([[[math.log(3), 8.0], [0.0, 4.0]]], dtype=torch.float64)
    mixed, weights = attention(states, torch.ones(1, 2, dtype=torch.bool))
    assert_close(weights, torch.tensor([[0.75, 0.25]], dtype=torch.float64), rtol=0, atol=1e-6)
    assert_close(mixed[0, 1], torch.tensor(7.0, dtype=torch.float64), rtol=0, atol=1e-5)


def test_mean_and_max_by_hand():
    states = torch.tensor([[[1.0, 9.0, -4.0], [5.0, 3.0, -2.0], [99.0, 99.0, 99.0]]])
    mask = torch.tensor([[True, True, False]])
    assert_close(Mean()(states, mask), (torch.tensor([[3.0, 6.0, -3.0]]), torch.tensor([[0.5, 0.5, 0.0]])))
    assert_close(Max()(states, mask), (torch.tensor([[5.0, 9.0, -2.0]]), torch.tensor([[1 / 3, 2 / 3, 0.0]])))


def test_the_weight_of_a_word_in_the_document_is_the_product():
    reading = build()(*example())
    for b in range(B):
        for s in range(S):
            for n in range(N):
                assert_close(reading.shares[b, s, n], reading.words[b, s, n] * reading.sentences[b, s])


# Against something else


def test_context_attention_is_an_additive_score_whose_query_stands_still():
    torch.manual_seed(0)
    attention, score = ContextAttention(HIDDEN).double(), Additive(1, HIDDEN, HIDDEN).double()
    with torch.no_grad():
        score.of_key.weight.copy_(attention.bend.weight)
        score.of_query.weight.copy_(attention.bend.bias[:, None])  # the query is the number 1
        score.out.weight.copy_(attention.context[None])
    states, mask = torch.randn(B, N, HIDDEN, dtype=torch.float64), torch.rand(B, N) < 0.7
    query = torch.ones(B, 1, 1, dtype=torch.float64)
    expected = weigh(score(query, states), mask[:, None])[:, 0]
    assert_close(attention(states, mask)[1], expected)


def plain(model, sentences):
    """Read one document sentence by sentence, with PyTorch's GRU and loops; ``sentences`` are lists of numbers."""

    def look(level, vectors):
        states = level.rnn(vectors[None])[0][0] if level.rnn else level.look(vectors)
        scores = [level.pool.context @ torch.tanh(level.pool.bend(state)) for state in states]
        total = sum(score.exp() for score in scores)
        weights = [score.exp() / total for score in scores]
        return sum(weight * state for weight, state in zip(weights, states, strict=True)), torch.stack(weights)

    if isinstance(model, FlatReader):
        sentences = [[word for sentence in sentences for word in sentence]]
    read = [look(model.of_words, model.embed(torch.tensor(numbers))) for numbers in sentences if numbers]
    if isinstance(model, FlatReader):
        return model.answer(read[0][0]), [], [read[0][1]]
    document, outer = look(model.of_sentences, torch.stack([vector for vector, _ in read]))
    return model.answer(document), outer, [inner for _, inner in read]


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("reader", READERS)
def test_a_batch_is_read_as_each_document_alone_in_a_loop(reader, reads):
    model, (words, mask) = build(reader, reads=reads), example()
    reading = model(words, mask)
    for b in (0, 1, 2, 4):
        sentences = [words[b, s][mask[b, s]].tolist() for s in range(S)]
        logits, outer, inner = plain(model, sentences)
        assert_close(reading.logits[b], logits)
        if reader is DocumentReader:
            assert_close(reading.sentences[b][mask[b].any(dim=1)], outer)
            assert_close(reading.words[b][mask[b]], torch.cat(inner))
        else:
            assert_close(reading.shares[b][mask[b]], inner[0])
            assert_close(reading.sentences[b], reading.shares[b].sum(dim=1))


@pytest.mark.parametrize("pool", POOLS)
def test_pools_are_those_of_pytorch_without_padding(pool):
    model = level(pool)
    vectors = torch.randn(B, N, WIDTH, dtype=torch.float64)
    found, _ = model(vectors, torch.ones(B, N, dtype=torch.bool))
    states = model.rnn(vectors)[0]
    if pool == "mean":
        assert_close(found, states.mean(dim=1))
    elif pool == "max":
        assert_close(found, states.amax(dim=1))
    else:
        scores = model.pool.bend(states).tanh() @ model.pool.context
        assert_close(found, (scores.softmax(dim=1)[..., None] * states).sum(dim=1))


def test_a_flat_softmax_is_two_levels_whose_sentence_scores_are_sums():
    """With s = log sum exp(word scores) of each sentence, the products of the weights are the flat softmax."""
    torch.manual_seed(0)
    scores, (_, mask) = torch.randn(B, S, N, dtype=torch.float64), example()
    inner = weigh(scores, mask)
    there = mask.any(dim=2)
    sums = scores.masked_fill(~mask, -1e9).logsumexp(dim=2)
    outer = weigh(sums[:, None], there[:, None])[:, 0]
    flat = weigh(scores.flatten(1)[:, None], mask.flatten(1)[:, None]).view(B, S, N)
    assert_close(inner * outer[..., None], flat)


# What always holds


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("reader", READERS)
def test_weights_are_shares_of_what_is_there(reader, pool, reads):
    words, mask = example()
    reading = build(reader, pool, reads)(words, mask)
    some, there = mask.any(dim=2).any(dim=1), mask.any(dim=2)
    assert_close(reading.sentences.sum(dim=1), some.double())
    assert_close(reading.shares.sum(dim=(1, 2)), some.double())
    assert (reading.sentences[~there] == 0).all()
    assert (reading.words[~mask] == 0).all()
    if (reader, pool) != (FlatReader, "max"):  # there a sentence may have no part in any maximum
        assert_close(reading.words.sum(dim=2), there.double())


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("reader", READERS)
def test_what_the_mask_hides_changes_nothing(reader, pool, reads):
    model, (words, mask) = build(reader, pool, reads), example()
    other = torch.where(mask, words, (words + 1) % WORDS)
    for one, two in zip(model(words, mask), model(other, mask), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("reader", READERS)
def test_an_empty_sentence_changes_nothing_wherever_it_stands(reader, pool):
    model, (words, mask) = build(reader, pool), example()
    for place in range(S + 1):
        wide = torch.cat([words[:, :place], words[:, :1] * 0, words[:, place:]], dim=1)
        hidden = torch.cat([mask[:, :place], mask[:, :1] & False, mask[:, place:]], dim=1)
        reading, before = model(wide, hidden), model(words, mask)
        assert_close(reading.logits, before.logits)
        rest = [s for s in range(S + 1) if s != place]
        assert_close(reading.sentences[:, rest], before.sentences)
        assert_close(reading.words[:, rest], before.words)
        assert (reading.sentences[:, place] == 0).all()


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("reader", READERS)
def test_a_document_without_words_is_answered_by_the_bias_alone(reader, pool, reads):
    model, (words, mask) = build(reader, pool, reads), example()
    assert_close(model(words, mask).logits[3], model.answer.bias)
    for shape in [(B, 0, N), (B, S, 0), (0, S, N), (B, 0, 0)]:
        reading = model(torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.bool))
        assert_close(reading.logits, model.answer.bias.expand(shape[0], ANSWER))
        assert reading.words.shape == shape
        assert reading.sentences.shape == shape[:2]


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("reader", READERS)
def test_gradients_are_finite_and_hidden_words_have_none(reader, pool, reads):
    model, (words, mask) = build(reader, pool, reads), example()
    words = torch.where(mask, words % (WORDS - 1), WORDS - 1)  # the last word is hidden wherever it stands
    reading = model(words, mask)
    (reading.logits.logsumexp(dim=1).sum() + (reading.shares**2).sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    assert (model.embed.weight.grad[-1] == 0).all()
    assert (model.embed.weight.grad[words[0, 0, 0]] != 0).any()


@pytest.mark.parametrize("pool", POOLS)
def test_one_word_is_the_whole_document(pool):
    model = build(pool=pool)
    reading = model(torch.tensor([[[3]]]), torch.ones(1, 1, 1, dtype=torch.bool))
    one = torch.ones(1, dtype=torch.float64)
    assert_close((reading.sentences[0], reading.words[0, 0]), (one, one))


@pytest.mark.parametrize("reader", READERS)
def test_hundreds_of_sentences(reader):
    model = build(reader)
    words = torch.randint(WORDS, (2, 300, N))
    mask = torch.ones_like(words, dtype=torch.bool)
    mask[1, 200:] = False
    long, short = model(words, mask), model(words[1:, :200], mask[1:, :200])
    assert_close(long.sentences.sum(dim=1), torch.ones(2, dtype=torch.float64))
    assert_close(long.logits[1:], short.logits)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_documents_do_not_disturb_each_other(data):
    texts = data.draw(st.lists(st.lists(st.lists(st.integers(0, WORDS - 1), max_size=N), max_size=S), min_size=2))
    model = build()

    def read(some):
        most, longest = max(map(len, some)), max((len(row) for text in some for row in text), default=0)
        words, mask = torch.zeros(len(some), most, longest, dtype=torch.long), None
        mask = torch.zeros_like(words, dtype=torch.bool)
        for b, text in enumerate(some):
            for s, row in enumerate(text):
                words[b, s, : len(row)], mask[b, s, : len(row)] = torch.tensor(row, dtype=torch.long), True
        return model(words, mask).logits

    assert_close(read(texts)[:1], read(texts[:1]))


def test_without_reading_the_order_does_not_count():
    model, (words, mask) = build(reads=False), example()
    turned = model(words.flip(1, 2), mask.flip(1, 2))
    reading = model(words, mask)
    assert_close(turned.logits, reading.logits)
    assert_close(turned.words, reading.words.flip(1, 2))
    assert not torch.allclose(build()(words, mask).logits[0], build()(words.flip(1, 2), mask.flip(1, 2)).logits[0])


def test_a_flat_reader_of_words_alone_does_not_see_which_words_share_a_sentence():
    model, (words, mask) = build(FlatReader, reads=False), example()
    mixed = words[:1].flatten(1)[:, torch.randperm(S * N)].view(1, S, N)
    assert_close(model(mixed, mask[:1]).logits, model(words[:1], mask[:1]).logits)
    levels = build(reads=False)
    assert not torch.allclose(levels(mixed, mask[:1]).logits, levels(words[:1], mask[:1]).logits)


def test_the_arguments_are_not_written_to():
    words, mask = example()
    before = words.clone(), mask.clone()
    build()(words, mask)
    assert torch.equal(words, before[0])
    assert torch.equal(mask, before[1])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="pool must be one of attention, mean, max, but is 'sum'"):
        Level(2, 4, "sum")
    with pytest.raises(ValueError, match=r"hidden must be even.* but is 3"):
        Level(2, 3)
    with pytest.raises(ValueError, match="width must be at least 1, but is 0"):
        Level(0, 4)
    with pytest.raises(ValueError, match="a word has the number 11"):
        build()(torch.full((1, 1, 1), WORDS), torch.ones(1, 1, 1, dtype=torch.bool))
    assert Level(2, 3, reads=False).hidden == 3  # one direction of nothing may be odd


# The documents


def test_one_sentence_of_a_document_decides():
    for one in documents(200, seed=3, shortest=1, longest=5):
        assert 1 <= len(one.sentences) <= 5
        for place, sentence in enumerate(one.sentences):
            counts = Counter("cue" if word in CUES else "time" if word in TIMES else "other" for word in sentence)
            assert counts["cue"] == (place == one.gold)
            assert counts["time"] == (place != one.gold)
            assert sum(word in MEANS for word in sentence) == 1
            assert 5 <= len(sentence) <= 9
            assert {sentence[0] in CUES + TIMES, sentence[-1] in CUES + TIMES} == {True, False}
        gold = one.sentences[one.gold]
        assert gold[one.cue] in CUES
        assert gold[one.quality] in QUALITIES[one.answer]


def test_documents_are_drawn_evenly():
    some = documents(4000, seed=0)
    answers = Counter(one.answer for one in some)
    assert set(answers) == set(ANSWERS)
    assert min(answers.values()) > 900
    places = Counter(one.gold / (len(one.sentences) - 1) < 0.5 for one in some)
    assert abs(places[True] - places[False]) < 500
    first = sum(one.cue == 0 for one in some)
    assert abs(first - 2000) < 150
    assert {len(one.sentences) for one in some} == {6, 7, 8, 9, 10}
    assert {word for one in some for sentence in one.sentences for word in sentence} == set(VOCABULARY.words[4:])


def test_other_sentences_say_nothing_about_the_answer():
    """In the sentence beside the deciding one, the answer's words come as often as all others."""
    some = documents(4000, seed=0)
    same = sum(
        any(word in QUALITIES[one.answer] for word in one.sentences[(one.gold + 1) % len(one.sentences)])
        for one in some
    )
    assert abs(same / len(some) - 1 / len(ANSWERS)) < 0.03


def test_the_same_seed_gives_the_same_documents():
    assert documents(3, seed=1) == documents(3, seed=1) != documents(3, seed=2)
    with pytest.raises(ValueError, match="shortest <= longest, but are 3 and 2"):
        documents(1, seed=0, shortest=3, longest=2)


def test_without_its_cue_a_document_is_the_same_but_for_one_word():
    for one in documents(50, seed=5):
        other = without_cue(one)
        words = [word for sentence in one.sentences for word in sentence]
        changed = [word for sentence in other.sentences for word in sentence]
        differing = [pair for pair in zip(words, changed, strict=True) if pair[0] != pair[1]]
        assert len(differing) == 1
        assert differing[0][0] in CUES
        assert differing[0][1] in TIMES
        assert other.gold == one.gold
        assert other.answer == one.answer
    assert isinstance(other, Document)


def test_with_another_thing_the_answer_stays():
    for one in documents(50, seed=5):
        other = with_other_thing(one)
        pairs = [
            (before, after)
            for sentence, changed in zip(one.sentences, other.sentences, strict=True)
            for before, after in zip(sentence, changed, strict=True)
            if before != after
        ]
        assert len(pairs) == 1
        assert {*pairs[0]} < {*THINGS}
        assert (other.gold, other.cue, other.quality) == (one.gold, one.cue, one.quality)


def test_as_numbers_pads_in_both_directions():
    words, mask = as_numbers([[["the", "bus"], [], ["was"]], [], [["icy"]]])
    assert words.shape == mask.shape == (3, 3, 2)
    assert mask.tolist() == [
        [[True, True], [False, False], [True, False]],
        [[False, False]] * 3,
        [[True, False], [False, False], [False, False]],
    ]
    assert VOCABULARY.decode(words[mask].tolist()) == ["the", "bus", "was", "icy"]
    assert (words[~mask] == PAD).all()
    for empty in ([], [[]], [[], [[]]]):
        assert as_numbers(empty)[0].shape[0] == len(empty)


# What the experiment counts


class Told(torch.nn.Module):
    """A reader that answers by a rule, with weights that are given: on the first sentence, and on three places."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, words, mask):
        texts = [
            [VOCABULARY.decode(row[there].tolist()) for row, there in zip(text, some, strict=True)]
            for text, some in zip(words, mask, strict=True)
        ]
        logits = torch.zeros(len(texts), len(ANSWERS))
        for row, text in zip(logits, texts, strict=True):
            row[self.answer(text)] = 1.0
        sentences, inner = torch.zeros(mask.shape[:2]), torch.zeros(mask.shape)
        sentences[:, 0] = 1.0
        inner[..., 0] = 0.625
        inner[..., 3] = 0.125
        inner[..., 4] = 0.25
        return Reading(logits, sentences, inner)


TEXTS = [
    Document((("overall", "the", "bus", "was", "hot"), ("today", "the", "bus", "was", "icy")), 0),
    Document((("today", "the", "boat", "was", "loud"), ("overall", "the", "trip", "was", "calm")), 1),
]


def test_what_is_right_and_where_it_looked_is_counted_by_hand():
    model = Told(lambda text: 0)
    assert experiment.right(model, TEXTS) == 0.5
    found = experiment.looks(model, TEXTS)
    assert found == {"gold": 0.5, "gold_is_largest": 0.5, "cue": 0.625, "quality": 0.25, "rest": 0.125}


def test_what_each_sentence_says_for_the_answer_sums_to_the_logits():
    """With a mean and no GRU, the part of a sentence is its own vector over their number."""
    some = documents(7, seed=0, shortest=1, longest=3)
    torch.manual_seed(0)
    model = DocumentReader(len(VOCABULARY), len(ANSWERS), 3, 5, "mean", reads=False).double()
    at_gold, total = 0.0, 0.0
    for one in some:
        answer = ANSWERS.index(one.answer)
        vectors = []
        for sentence in one.sentences:
            looked = model.of_words.look(model.embed(torch.tensor(VOCABULARY.encode(sentence)))).mean(dim=0)
            vectors.append(model.of_sentences.look(looked))
        logits = [model.answer.weight @ vector / len(vectors) for vector in vectors]
        parts = [(logit[answer] - logit.mean()).item() for logit in logits]
        at_gold, total = at_gold + parts[one.gold], total + sum(parts)
    assert experiment.said_at_gold(model, some) == pytest.approx(at_gold / total)


def test_the_best_with_a_bag_is_the_most_frequent_meaning(monkeypatch):
    third = ("first", "the", "food", "was", "hot")
    monkeypatch.setattr(experiment, "drawn", lambda *_: [TEXTS[0], Document((*TEXTS[0].sentences, third), 0)])
    assert_close(experiment.best_bag(Run(seed=0))["right"], (1 / 2 + 2 / 3) / 2)


def test_a_reader_that_follows_the_cue_needs_it_and_nothing_else():
    def follow(text):
        marked = [sentence for sentence in text if set(sentence) & set(CUES)]
        return ANSWERS.index(next(MEANS[word] for word in marked[0] if word in MEANS)) if marked else 0

    some = documents(200, seed="needs")
    model = Told(follow)
    assert experiment.right(model, some) == 1.0
    changes = experiment.needs(model, some)
    assert changes["thing"] == 0
    assert changes["cue"] == sum(one.answer != ANSWERS[0] for one in some) / 200


def test_documents_are_read_in_parts_as_at_once():
    some = documents(230, seed=0, shortest=1, longest=4)
    torch.manual_seed(0)
    model = experiment.new_reader("levels")
    with torch.no_grad():
        at_once = model(*experiment.encoded(some)[:2])
    assert_close(tuple(experiment.read(model, some)), tuple(at_once))


@pytest.mark.parametrize("kind", experiment.KINDS)
def test_each_kind_learns_a_few_documents_by_heart(kind):
    torch.manual_seed(0)
    some, model = documents(8, seed=0, shortest=2, longest=3), experiment.new_reader(kind)
    losses = experiment.train(model, some, seed=0, steps=60)
    assert losses[0] > 1 > 0.3 > losses[-1]
    assert experiment.right(model, some) == 1.0


def test_the_looked_at_size_is_one_of_the_sizes():
    assert experiment.SETTINGS["looked_at"] in experiment.SETTINGS["train"]
    assert len(experiment.drawn(1, 0, [30])[0].sentences) == 30
