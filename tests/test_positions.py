"""Where a word stands: each way by hand, against an oracle, and each theorem with its conditions and what breaks it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import nn
from torch.testing import assert_close

from attention_src.attention import attend, causal_mask
from attention_src.data.order import BACK, NOTHING, ORDER_WORDS, SHIFT_WORDS, order, shift, with_reversals
from attention_src.exercises import positions as starting
from attention_src.experiments import Run
from attention_src.multi_head import MultiHeadAttention, split_heads
from attention_src.positions import (
    KINDS,
    ComplexWords,
    Distance,
    Heads,
    Learned,
    PlacedNetwork,
    Relative,
    Rotary,
    Waves,
    clipped,
    counted_by_a_mask,
    moving,
    rotary,
    sinusoidal,
    slopes,
    speeds,
    waves,
)
from attention_src.self_attention import FixedWeights, Recurrence, SelfAttention

B, N, HEADS, D = 2, 7, 3, 4  # sentences, words, heads, numbers in a head
WIDTH = HEADS * D
NEAR = 3  # where Shaw's offsets are clipped
PLACES = torch.arange(N)
LAYERS = {
    "none": lambda: Heads(WIDTH, HEADS),
    "distance": lambda: Distance(WIDTH, HEADS),
    "rotary": lambda: Rotary(WIDTH, HEADS),
    "relative": lambda: Relative(WIDTH, HEADS, NEAR),
}
places = st.integers(-500, 500)


def draw(*shape, seed=0):
    """Random numbers of a shape, in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def doubles(rows):
    """Rows of numbers as a tensor of float64."""
    return torch.tensor(rows, dtype=torch.float64)


def build(kind, seed=0):
    """A layer with random weights, in float64."""
    torch.manual_seed(seed)
    return LAYERS[kind]().double()


def network(kind, seed=0, longest=600):
    """A whole network with random weights, in float64."""
    torch.manual_seed(seed)
    return PlacedNetwork(11, 5, WIDTH, HEADS, 13, kind, longest, NEAR).double().eval()


def sentence(seed=0, length=N):
    """Some numbers of words."""
    return torch.randint(11, (B, length), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def double():
    """Waves come in the default type: here float64, so that a difference is a mistake and no rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def differ(one, other):
    """Whether two tensors are far more apart than rounding."""
    return bool((one - other).abs().max() > 1e-4)


# --- the sentences of the tasks --------------------------------------------------------------------------------------


def test_order_asks_which_comes_first():
    task = order(50, 9, torch.Generator().manual_seed(0))
    for words, answer in zip(task.words, task.answer, strict=True):
        text = "".join(ORDER_WORDS[word] for word in words)
        assert (text.count("A"), text.count("B")) == (1, 1)
        assert answer == (text.index("A") < text.index("B"))
    assert 15 < task.answer.sum() < 35
    assert len({int(words.argmax()) for words in task.words}) == 9  # B stands everywhere


def test_a_reversal_has_the_other_answer():
    task = with_reversals(order(5, 8, torch.Generator().manual_seed(1)))
    assert_close(task.words[5:], task.words[:5].flip(1))
    assert (task.answer[5:] == 1 - task.answer[:5]).all()


def test_shift_asks_for_the_word_three_places_before():
    words, wanted = shift(5, 9, torch.Generator().manual_seed(0))
    assert BACK == 3
    for i in range(9):
        expected = words[:, i - 3] if i >= 3 else torch.full((5,), NOTHING)
        assert_close(wanted[:, i], expected)
    assert words.max() < len(SHIFT_WORDS)


def test_sentences_too_short_are_refused():
    with pytest.raises(ValueError, match="length must be at least 2"):
        order(1, 1, torch.Generator())
    with pytest.raises(ValueError, match="length must be more than 3"):
        shift(1, 3, torch.Generator())


# --- waves -----------------------------------------------------------------------------------------------------------


def test_waves_by_hand():
    """Width 4: one pair turns by 1 from place to place, the other by 10,000 ** (-2/4) = 1/100."""
    assert_close(speeds(4), doubles([1.0, 0.01]))
    row = [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)]
    assert_close(sinusoidal(3, 4)[2], doubles(row))
    assert_close(sinusoidal(3, 4)[0], doubles([0.0, 1.0, 0.0, 1.0]))


def test_waves_are_the_papers_formula_as_a_loop():
    table = sinusoidal(11, 6)
    for pos in range(11):
        for i in range(3):
            angle = pos / 10_000 ** (2 * i / 6)
            assert_close(table[pos, 2 * i : 2 * i + 2], doubles([math.sin(angle), math.cos(angle)]))


def test_waves_are_exact_far_away():
    """In float32 the angle of place 1,000,003 would be wrong by up to 0.03."""
    torch.set_default_dtype(torch.float32)
    far = waves(torch.tensor([1_000_003]), 4)
    assert far.dtype == torch.float32
    assert_close(far[0, :2], torch.tensor([math.sin(1_000_003), math.cos(1_000_003)]), rtol=0, atol=1e-6)
    turned = rotary(torch.tensor([[1.0, 0.0]]), torch.tensor([1_000_003]))
    assert_close(turned, torch.tensor([[math.cos(1_000_003), math.sin(1_000_003)]]), rtol=0, atol=1e-6)


@given(places, places)
def test_one_matrix_moves_all_places(place, steps):
    there, later = waves(torch.tensor([place, place + steps]), 6)
    assert_close(moving(steps, 6) @ there, later, rtol=0, atol=1e-10)


@given(places, places)
def test_moves_add_up(one, other):
    assert_close(moving(one, 6) @ moving(other, 6), moving(one + other, 6), rtol=0, atol=1e-10)
    assert_close(moving(one, 6) @ moving(-one, 6), torch.eye(6), rtol=0, atol=1e-10)


def misfit(table, steps):
    """How badly the best matrix maps the rows of a table to those some steps later."""
    before, after = table[:-steps], table[steps:]
    return float((before @ torch.linalg.lstsq(before, after).solution - after).abs().max())


def test_without_a_shared_speed_no_matrix_moves_the_places():
    """Condition: sine and cosine of a pair turn equally fast."""
    place = torch.arange(40.0)
    assert misfit(torch.stack([place.sin(), place.cos()], 1), 3) < 1e-10
    assert misfit(torch.stack([place.sin(), (0.3 * place).cos()], 1), 3) > 0.5


def test_a_learned_table_has_no_such_matrix_unless_it_is_short():
    """With no more rows than a matrix has room for, every table has one; with more, a random table has none."""
    table = draw(40, 6)
    assert misfit(table, 3) > 0.5
    assert misfit(table[:9], 3) < 1e-10
    assert misfit(sinusoidal(40, 6), 3) < 1e-10


@given(places, places, places)
def test_two_waves_alone_know_their_offset_only(one, other, steps):
    def product(p, q):
        a, b = waves(torch.tensor([p, q]), 6)
        return a @ b

    offset = torch.cos((one - other) * speeds(6)).sum()
    assert_close(product(one, other), offset, rtol=0, atol=1e-10)
    assert_close(product(one + steps, other + steps), offset, rtol=0, atol=1e-10)
    assert_close(product(other, one), offset, rtol=0, atol=1e-10)  # and do not know who comes first


def test_with_matrices_between_waves_know_more_than_their_offset():
    """Condition: nothing stands between the two. A layer has a query and a key matrix there."""
    matrix, table = draw(6, 6), sinusoidal(30, 6)
    scores = table @ matrix @ table.T
    assert differ(scores.diagonal(2)[:1], scores.diagonal(2))
    assert differ(scores.T, scores)  # which also is how a layer can tell before from after
    plain = table @ table.T
    assert_close(plain.diagonal(2)[:1].expand(28), plain.diagonal(2))


# --- rotary ----------------------------------------------------------------------------------------------------------


def test_rotary_by_hand():
    """A quarter of a turn maps (1, 0) to (0, 1) and (0, 1) to (-1, 0)."""
    x = doubles([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    quarter = torch.tensor([math.pi / 2, math.pi / 2, math.pi])
    assert_close(rotary(x, quarter), doubles([[0.0, 1.0], [-1.0, 0.0], [-3.0, -4.0]]))


def test_rotary_takes_neighbours_as_pairs():
    """The other layout, the first half with the second, is as common in public code and gives other numbers."""
    x = doubles([[1.0, 0.0, 0.0, 0.0]])
    turned = rotary(x, torch.tensor([1]))
    assert_close(turned, doubles([[math.cos(1), math.sin(1), 0.0, 0.0]]))


@pytest.mark.parametrize("batch", [(), (B,), (B, HEADS)])
def test_rotary_is_complex_multiplication(batch):
    x, positions = draw(*batch, N, 6), torch.tensor([0, 5, 2, 100, 7, 3, 1])
    numbers = torch.view_as_complex(x.unflatten(-1, (3, 2)))
    angle = positions[:, None] * torch.tensor([10_000 ** (-2 * i / 6) for i in range(3)])
    turned = numbers * torch.exp(1j * angle)
    assert_close(rotary(x, positions), torch.view_as_real(turned).flatten(-2))


def test_rotary_is_a_matrix_for_each_place():
    x = draw(N, 6)
    for place in range(N):  # moving() turns (sine, cosine), the other way round than (cosine, sine)
        assert_close(rotary(x[place : place + 1], PLACES[place : place + 1])[0], moving(-place, 6) @ x[place])


@given(places, places, places, st.integers(0, 99))
def test_a_rotary_score_is_a_function_of_the_offset_alone(one, other, steps, seed):
    query, key = draw(1, 6, seed=seed), draw(1, 6, seed=seed + 100)

    def score(p, q):
        return rotary(query, torch.tensor([p])) @ rotary(key, torch.tensor([q])).T

    assert_close(score(one + steps, other + steps), score(one, other), rtol=0, atol=1e-9)
    assert_close(score(one, other), query @ rotary(key, torch.tensor([other - one])).T, rtol=0, atol=1e-9)


def test_a_rotary_score_tells_before_from_after():
    query, key = draw(1, 6), draw(1, 6, seed=1)
    before, after = (query @ rotary(key, torch.tensor([offset])).T for offset in (-2, 2))
    assert differ(before, after)


def halves(x, positions):
    """The other layout: number i is paired with number i + width / 2."""
    pairs = x.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)
    return rotary(pairs, positions).unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)


def slower(x, positions):
    """A turn at half of the speeds."""
    return rotary(x, positions / 2)


def plus_one(x, positions):
    """A turn, and then a constant."""
    return rotary(x, positions) + 1


def mapped(x, positions):
    """A turn, and then a matrix."""
    return rotary(x, positions) @ draw(6, 6, seed=9)


@pytest.mark.parametrize(
    ("of_query", "of_key", "holds"),
    [
        (rotary, rotary, True),
        (halves, halves, True),  # any one layout will do, if both have it
        (slower, slower, True),
        (rotary, lambda x, positions: x, False),  # conditions: both are turned,
        (rotary, halves, False),  # in the same pairs,
        (rotary, slower, False),  # equally fast,
        (plus_one, rotary, False),  # nothing is added after the turn,
        (mapped, rotary, False),  # and no matrix stands behind it
    ],
)
def test_what_a_rotary_score_needs(of_query, of_key, holds):
    query, key = draw(1, 6).expand(N, 6), draw(1, 6, seed=1).expand(N, 6)
    scores = of_query(query, PLACES) @ of_key(key, PLACES).T
    assert differ(scores[1:, 1:], scores[:-1, :-1]) != holds


def test_layouts_give_the_same_scores_after_a_change_of_order():
    """Weights trained with one layout work with the other if the rows of both matrices are put in order."""
    query, key = draw(N, 6), draw(N, 6, seed=1)
    swap = [0, 2, 4, 1, 3, 5]  # pairs first, then halves
    assert_close(
        halves(query[:, swap], PLACES) @ halves(key[:, swap], PLACES).T, rotary(query, PLACES) @ rotary(key, PLACES).T
    )


def test_rotary_keeps_lengths_and_leaves_its_input():
    x = draw(B, N, 6)
    before = x.clone()
    assert_close(rotary(x, PLACES).norm(dim=-1), x.norm(dim=-1))
    assert_close(x, before, rtol=0, atol=0)
    assert rotary(x.float(), PLACES).dtype == torch.float32


# --- complex words ---------------------------------------------------------------------------------------------------


def complex_words(frequency=None):
    """Five words of three complex numbers."""
    torch.manual_seed(3)
    words = ComplexWords(5, 6)
    with torch.no_grad():
        words.frequency.copy_(torch.rand(5, 3) if frequency is None else frequency)
    return words


def test_a_complex_word_by_hand():
    """Amplitude 2, frequency pi/2, phase 0: 2, 2i, -2, -2i, and 2 again."""
    words = ComplexWords(1, 2)
    with torch.no_grad():
        for part, number in ((words.amplitude, 2.0), (words.frequency, math.pi / 2), (words.phase, 0.0)):
            part.fill_(number)
    found = words(torch.zeros(5, dtype=torch.long), torch.arange(5))
    assert_close(found, doubles([[2, 0], [0, 2], [-2, 0], [0, -2], [2, 0]]))


def test_complex_words_are_complex_exponentials():
    words, some, positions = complex_words(), sentence() % 5, PLACES + 4
    exponent = 1j * (words.frequency[some] * positions[:, None] + words.phase[some])
    numbers = words.amplitude[some] * torch.exp(exponent)
    assert_close(words(some, positions), torch.view_as_real(numbers).flatten(-2))


def complex_score(words, one, other, matrix=None):
    """The score of word 1 at one place and word 2 at another: the real part of a product, as a dot product."""
    a = words(torch.tensor([1]), torch.tensor([one]))
    b = words(torch.tensor([2]), torch.tensor([other]))
    return a @ (torch.eye(6) if matrix is None else matrix) @ b.T


@given(places, places, places)
def test_complex_words_of_equal_frequency_know_their_offset_only(one, other, steps):
    words = complex_words(torch.rand(3, generator=torch.Generator().manual_seed(0)).expand(5, 3))
    assert_close(complex_score(words, one + steps, other + steps), complex_score(words, one, other), rtol=0, atol=1e-9)


def test_what_the_offset_of_complex_words_needs():
    equal = torch.rand(3, generator=torch.Generator().manual_seed(0)).expand(5, 3)
    words = complex_words(equal)
    assert differ(complex_score(words, 9, 7, draw(6, 6)), complex_score(words, 2, 0, draw(6, 6)))  # a real matrix mixes
    words = complex_words()  # frequencies of their own
    assert differ(complex_score(words, 9, 7), complex_score(words, 2, 0))
    with torch.no_grad():
        words.amplitude[1, 1:] = 0.0  # where one of the two has amplitude 0, frequencies may differ
        words.frequency[1, 0] = words.frequency[2, 0]
    assert_close(complex_score(words, 9, 7), complex_score(words, 2, 0))
    words = complex_words(equal)
    with torch.no_grad():
        words.frequency[1] += 2 * math.pi  # at whole places, that is a whole turn
    assert_close(complex_score(words, 9, 7), complex_score(words, 2, 0))


def test_the_transformers_waves_are_a_complex_word_of_amplitude_one():
    """Sine before cosine: phase pi/2 less, and turned the other way."""
    words = ComplexWords(1, 6)
    with torch.no_grad():
        words.amplitude.fill_(1.0)
        words.frequency.copy_(-speeds(6)[None])
        words.phase.fill_(math.pi / 2)
    assert_close(words(torch.zeros(N, dtype=torch.long), PLACES), sinusoidal(N, 6))


# --- Shaw ------------------------------------------------------------------------------------------------------------


def test_offsets_by_hand():
    expected = [[2, 3, 4, 4], [1, 2, 3, 4], [0, 1, 2, 3], [0, 0, 1, 2]]
    assert clipped(torch.arange(4), 2).tolist() == expected
    assert clipped(torch.arange(4) + 90, 2).tolist() == expected


def test_two_words_with_shaws_positions_by_hand():
    """Queries and keys 1 and 0: only the offset keys count. To the right log 3, else 0: weights 1/4 and 3/4."""
    layer = Relative(1, 1, 1).double()
    with torch.no_grad():
        for linear, weight in ((layer.of_query, 0.0), (layer.of_key, 0.0), (layer.of_value, 1.0), (layer.out, 1.0)):
            linear.weight.fill_(weight)
            linear.bias.zero_()
        layer.of_query.bias.fill_(1.0)
        layer.offset_key.weight.copy_(doubles([[0.0], [0.0], [math.log(3)]]))
        layer.offset_value.weight.copy_(doubles([[100.0], [0.0], [10.0]]))
    found, weights = layer(doubles([[[8.0], [4.0]]]), torch.arange(2))
    assert_close(weights, doubles([[[[0.25, 0.75], [0.5, 0.5]]]]))
    assert_close(found, doubles([[[5.0 + 7.5], [6.0 + 50.0]]]))


def loop(layer, kind, x, mask=None):
    """Each way as its formula, one head, query and key at a time."""
    heads = []
    query, key, value = (split_heads(of(x), HEADS) for of in (layer.of_query, layer.of_key, layer.of_value))
    for head in range(HEADS):
        found = torch.zeros(len(x), N, D)
        for b in range(len(x)):
            for i in range(N):
                q, scores, values = query[b, head, i], [], []
                for j in range(N):
                    k, v = key[b, head, j], value[b, head, j]
                    if kind == "rotary":
                        a, c = (
                            torch.view_as_complex(y.view(2, 2)) * torch.exp(1j * p * doubles([1, 0.01]))
                            for y, p in ((q, i), (k, j))
                        )
                        score = (a * c.conj()).real.sum() / D**0.5
                    elif kind == "relative":
                        offset = max(-NEAR, min(NEAR, j - i)) + NEAR
                        score = q @ (k + layer.offset_key.weight[offset]) / D**0.5
                        v = v + layer.offset_value.weight[offset]
                    else:
                        score = q @ k / D**0.5 - (kind == "distance") * abs(i - j) * 2 ** (-8 * (head + 1) / HEADS)
                    scores.append(score if mask is None or mask[i, j] else score - torch.inf)
                    values.append(v)
                found[b, i] = torch.stack(scores).softmax(0) @ torch.stack(values)
        heads.append(found)
    return layer.out(torch.cat(heads, -1))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_each_layer_is_its_formula(kind, causal):
    layer, x, mask = build(kind), draw(B, N, WIDTH), causal_mask(N) if causal else None
    found, weights = layer(x, PLACES, mask)
    assert_close(found, loop(layer, kind, x, mask))
    assert_close(weights.sum(-1), torch.ones(B, HEADS, N))
    if causal:
        assert weights.triu(1).eq(0).all()


def test_without_positions_it_is_the_layer_of_chapter_11():
    layer, x, mask = build("none"), draw(B, N, WIDTH), draw(B, N, N) > -1
    assert_close(layer(x, PLACES, mask), MultiHeadAttention.forward(layer, x, x, x, mask))


def test_shaw_without_offsets_is_the_layer_of_chapter_11():
    layer, x = build("relative"), draw(B, N, WIDTH)
    nn.init.zeros_(layer.offset_key.weight)
    nn.init.zeros_(layer.offset_value.weight)
    assert_close(layer(x, PLACES), MultiHeadAttention.forward(layer, x, x, x))


def test_slopes_of_eight_heads_are_the_papers():
    assert_close(slopes(8), doubles([2.0**-i for i in range(1, 9)]))


def swapped(x, one, other):
    """The same words, two of them exchanged."""
    order = list(range(x.shape[1]))
    order[one], order[other] = order[other], order[one]
    return x[:, order]


def test_beyond_the_clip_words_can_change_places_and_nearer_they_cannot():
    layer, x = build("relative"), draw(B, N, WIDTH)
    before = layer(x, PLACES)[0]
    assert_close(layer(swapped(x, 0, 2), PLACES)[0][:, 5:], before[:, 5:])  # 3 and more places to the left of both
    assert differ(layer(swapped(x, 0, 2), PLACES)[0][:, 4], before[:, 4])  # the condition: word 2 is 2 places away
    assert differ(layer(swapped(x, 0, 6), PLACES)[0][:, 3], before[:, 3])  # and: both on the same side


# --- what no positions mean ------------------------------------------------------------------------------------------


@given(st.integers(0, 99), st.permutations(range(N)))
def test_without_positions_moving_words_moves_outputs(seed, order):
    x = draw(B, N, WIDTH, seed=seed)
    layer, of_chapter_10 = build("none", seed), one_head(seed)
    for read in (lambda x: layer(x, PLACES), of_chapter_10):
        found, weights = read(x)
        moved, moved_weights = read(x[:, order])
        assert_close(moved, found[:, order])
        assert_close(moved_weights, weights[..., order, :][..., order])


def one_head(seed):
    """The layer of chapter 10."""
    torch.manual_seed(seed)
    return SelfAttention(WIDTH).double()


@settings(max_examples=20)
@given(st.integers(0, 99), st.permutations(range(N)))
def test_a_whole_network_without_positions_forgets_the_order(seed, order):
    """Blocks, norms and readouts work on each place alone; a mean over the places is the same in any order."""
    model, words = network("none", seed), sentence(seed)
    outputs = model(words)[0]
    assert_close(model(words[:, order])[0], outputs[:, order])
    assert_close(model(words[:, order])[0].mean(1), outputs.mean(1))


ORDER = [4, 2, 6, 0, 1, 5, 3]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
def test_condition_nothing_holds_the_place(kind):
    model, words = network(kind), sentence()
    assert differ(model(words[:, ORDER])[0], model(words)[0][:, ORDER])
    assert differ(model(words[:, ORDER])[0].mean(1), model(words)[0].mean(1))


def test_condition_no_mask_of_places():
    layer, x = build("none"), draw(B, N, WIDTH)
    causal, moved = causal_mask(N), causal_mask(N)[ORDER][:, ORDER]
    found = layer(x, PLACES, causal)[0][:, ORDER]
    assert differ(layer(x[:, ORDER], PLACES, causal)[0], found)
    assert_close(layer(x[:, ORDER], PLACES, moved)[0], found)  # a mask that moves with the words does no harm


def test_condition_no_weight_belongs_to_a_place():
    layer, x = FixedWeights(WIDTH, N).double(), draw(B, N, WIDTH)
    nn.init.normal_(layer.scores)
    assert differ(layer(x[:, ORDER])[0], layer(x)[0][:, ORDER])


def test_condition_the_readout_is_of_no_place():
    model, words = network("none"), sentence()
    assert differ(model(words.flip(1))[0][:, -1], model(words)[0][:, -1])
    assert_close(model(words.flip(1))[0].mean(1), model(words)[0].mean(1))


def test_order_is_exactly_chance_without_positions():
    """Each sentence and its reversal get one answer, and one of the two is wrong."""
    task = with_reversals(order(100, 9, torch.Generator().manual_seed(0)))
    said = network("none")(task.words)[0].mean(1)[:, :2].argmax(-1)
    assert (said[:100] == said[100:]).all()
    assert int((said == task.answer).sum()) == 100


def test_it_is_not_that_it_reads_both_ways():
    """A recurrence that reads both ways is not blind: what each place gets depends on the order."""
    layer, x = Recurrence(WIDTH, both_ways=True).double(), draw(B, N, WIDTH)
    assert differ(layer(x[:, ORDER])[0], layer(x)[0][:, ORDER])


def test_it_is_not_that_one_place_is_taken_at_a_time():
    """All queries at once or one after the other: the same numbers, and as blind to order."""
    layer, x = build("none"), draw(B, N, WIDTH)
    one_by_one = [MultiHeadAttention.forward(layer, x[:, i : i + 1], x, x)[0] for i in range(N)]
    assert_close(torch.cat(one_by_one, 1), layer(x, PLACES)[0])


def test_taking_words_in_one_at_a_time_is_what_lets_order_through():
    """Where each word sees only what was read before it, that is a causal mask."""
    layer, x = build("none"), draw(B, N, WIDTH)
    grown = [MultiHeadAttention.forward(layer, x[:, i : i + 1], x[:, : i + 1], x[:, : i + 1])[0] for i in range(N)]
    assert_close(torch.cat(grown, 1), layer(x, PLACES, causal_mask(N))[0])


# --- distance without direction --------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(0, 99))
def test_a_distance_without_a_direction_cannot_tell_a_sentence_from_its_reversal(seed):
    model, words = network("distance", seed), sentence(seed)
    assert_close(model(words.flip(1))[0], model(words)[0].flip(1))


def test_but_it_can_tell_other_orders():
    model, words = network("distance"), sentence()
    assert differ(model(words[:, ORDER])[0].mean(1), model(words)[0].mean(1))


@pytest.mark.parametrize("kind", ["relative", "rotary", "sinusoidal", "learned", "complex"])
def test_condition_the_score_has_no_direction(kind):
    model, words = network(kind), sentence()
    assert differ(model(words.flip(1))[0], model(words)[0].flip(1))


def test_condition_no_causal_mask():
    model, words = network("distance"), sentence()
    assert differ(model(words.flip(1), causal=True)[0].mean(1), model(words, causal=True)[0].mean(1))


# --- moving a sentence -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["none", "relative", "distance", "rotary"])
@settings(max_examples=20)
@given(start=st.integers(0, 500))
def test_what_knows_offsets_only_reads_a_moved_sentence_the_same(kind, causal, start):
    model, words = network(kind), sentence()
    assert_close(model(words, causal, start), model(words, causal, 0), rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["sinusoidal", "learned", "complex"])
def test_what_puts_the_place_into_the_word_does_not(kind):
    model, words = network(kind), sentence()
    assert differ(model(words, start=300)[0], model(words)[0])


# --- a causal mask as a hidden position ------------------------------------------------------------------------------


def test_a_mask_counts():
    assert_close(counted_by_a_mask(5), doubles([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]))


def test_a_causal_mask_alone_solves_order():
    """By hand. A word sees the share of A's up to its place; at B this is more than 0 if and only if A came first."""
    task = with_reversals(order(60, 11, torch.Generator().manual_seed(0)))
    is_a, is_b = (task.words == ORDER_WORDS.index(letter) for letter in "AB")
    value = is_a.double()[..., None]
    found, _ = attend(torch.zeros(120, 11, 11), value, causal_mask(11)[None])
    said = torch.relu(is_b.double() + found[..., 0] - 1).mean(1) > 0
    assert (said.long() == task.answer).all()


def rows_are_equal(outputs):
    """Whether all places say the same."""
    return not differ(outputs[:, :1].expand_as(outputs), outputs)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_words_tell_a_weight_nothing(kind, causal):
    """A mean of equal values is that value, whatever the weights: only a place in a vector or in a value shows."""
    outputs = network(kind)(torch.full((B, N), 4), causal)[0]
    assert rows_are_equal(outputs) == (kind in ("none", "distance", "rotary"))


def test_condition_all_words_are_equal():
    words = torch.full((B, N), 4)
    words[:, 0] = 1  # a begin mark
    assert not rows_are_equal(network("none")(words, causal=True)[0][:, 1:])
    assert rows_are_equal(network("none")(words)[0][:, 1:])  # without the mask, it counts nothing


def test_shaw_without_the_value_term_does_not_see_the_border_either():
    model = network("relative")
    nn.init.zeros_(model.block.mixer.offset_value.weight)
    assert rows_are_equal(model(torch.full((B, N), 4))[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_causal_network_does_not_look_ahead(kind):
    model, words = network(kind), sentence()
    other = words.clone()
    other[:, 4:] = (words[:, 4:] + 1) % 11
    one, two = model(words, causal=True)[0], model(other, causal=True)[0]
    assert_close(two[:, :4], one[:, :4], rtol=0, atol=0)
    assert differ(two[:, 4:], one[:, 4:])
    assert differ(model(other)[0][:, :4], model(words)[0][:, :4])


# --- the network and its errors --------------------------------------------------------------------------------------


def test_places_are_added_to_words():
    words = sentence()
    for kind, table in (("sinusoidal", sinusoidal(N, WIDTH)), ("none", torch.zeros(N, WIDTH))):
        model = network(kind)
        assert_close(model.vectors(words, PLACES), model.embed(words) + table)
    model = network("learned")
    assert_close(model.vectors(words, PLACES + 4), model.embed(words) + model.place.table.weight[4 : 4 + N])


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind):
    model = network(kind, longest=N)
    model(sentence(), causal=True)[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0 or name.endswith("of_key.bias"), name  # a softmax ignores it
    assert kind != "sinusoidal" or not list(model.place.parameters())


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="width must be even, as numbers are taken in pairs, but is 7; take 8"):
        sinusoidal(3, 7)
    for build_one in (lambda: Waves(5), lambda: ComplexWords(3, 5), lambda: rotary(draw(3, 5), torch.arange(3))):
        with pytest.raises(ValueError, match="width must be even"):
            build_one()
    with pytest.raises(ValueError, match="length must be at least 1, but is 0"):
        sinusoidal(0, 6)
    with pytest.raises(ValueError, match="farthest must be at least 1, but is 0"):
        Relative(WIDTH, HEADS, 0)
    with pytest.raises(ValueError, match=r"kind must be one of none, sinusoidal, .*, but is 'polar'"):
        network("polar")


def test_bad_input_is_named():
    with pytest.raises(TypeCheckError, match="parameter 'positions'"):
        rotary(draw(3, 6), torch.arange(4))
    with pytest.raises(ValueError, match="the sentence has 6 places, but there are learned numbers for 5 only"):
        Learned(5, 6)(torch.arange(6))
    with pytest.raises(ValueError, match="positions must be 0 or more, but the smallest is -2"):
        Learned(5, 6)(torch.tensor([1, -2]))
    with pytest.raises(ValueError, match="width / heads must be even, as numbers are taken in pairs, but is 3"):
        Rotary(9, 3)


def test_no_places_have_no_rows():
    assert Learned(5, 6)(torch.arange(0)).shape == (0, 6)


def test_a_random_start_moves_the_batch(monkeypatch):
    starts = []

    def watched(model, loss, batch_at, plan, report):
        starts.extend(batch_at(step)[2] for step in range(50))
        assert not torch.equal(loss(model, batch_at(0)), loss(model, (*batch_at(0)[:2], 100)))

    monkeypatch.setattr(starting, "fit", watched)
    monkeypatch.setattr(starting, "where_right", lambda model, seed: {})
    starting.anywhere(Run(0), last=7)
    assert set(starts) == set(range(8))


def test_a_random_start_moves_the_batch(monkeypatch):
    starts = []

    def watched(model, loss, batch_at, plan, report):
        starts.extend(batch_at(step)[2] for step in range(50))
        assert not torch.equal(loss(model, batch_at(0)), loss(model, (*batch_at(0)[:2], 100)))

    monkeypatch.setattr(starting, "fit", watched)
    monkeypatch.setattr(starting, "where_right", lambda model, seed: {})
    starting.anywhere(Run(0), last=7)
    assert set(starts) == set(range(8))
