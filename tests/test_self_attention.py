"""Self-attention by hand, in two forms and against PyTorch; the layers that can stand in its place; language models."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn
from torch.testing import assert_close

from attention_src.attention import attend, causal_mask, padding_mask
from attention_src.data.translation import ENGLISH_FRENCH, SentenceError
from attention_src.data.vocabulary import BEGIN, END
from attention_src.exercises.self_attention import recall_in_two_words
from attention_src.experiments import self_attention as e
from attention_src.scores import ScaledDot
from attention_src.self_attention import (
    Block,
    Convolution,
    FixedWeights,
    LanguageModel,
    Network,
    OutsideQuery,
    Recurrence,
    SelfAttention,
    in_columns,
)

WIDTH, LENGTH = 6, 5
X = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]  # the case by hand


def draw(*shape, seed=0):
    """Random numbers of a shape, in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def doubles(rows):
    """Rows of numbers as a tensor of float64."""
    return torch.tensor(rows, dtype=torch.float64)


def seeded(make, seed=0):
    """A module in float64 whose first weights are always the same."""
    torch.manual_seed(seed)
    return make().double()


def by_hand():
    """The layer of the case by hand: queries x1 - x2, keys log 2 times x1, values 60 x1 + 30 x2."""
    layer = SelfAttention(2, d=1, v=1).double()
    with torch.no_grad():
        layer.of_query.weight.copy_(doubles([[1, -1]]))
        layer.of_key.weight.copy_(doubles([[math.log(2), 0]]))
        layer.of_value.weight.copy_(doubles([[60, 30]]))
    return layer


# --- the layer -------------------------------------------------------------------------------------------------------


def test_by_hand():  # queries 1, -1, 0; keys log 2, 0, log 2; values 60, 30, 90
    out, weights = by_hand()(doubles(X))
    assert_close(weights, doubles([[0.4, 0.2, 0.4], [0.25, 0.5, 0.25], [1 / 3, 1 / 3, 1 / 3]]))
    assert_close(out, doubles([[66], [52.5], [60]]))


def test_by_hand_looking_back_only():
    out, weights = by_hand()(doubles(X), causal_mask(3))
    assert_close(weights, doubles([[1, 0, 0], [1 / 3, 2 / 3, 0], [1 / 3, 1 / 3, 1 / 3]]))
    assert_close(out, doubles([[60], [40], [60]]))


def test_columns_by_hand():
    assert_close(in_columns(by_hand(), doubles(X).T), doubles([[66, 52.5, 60]]))


def test_columns_are_rows_turned():
    layer, x = seeded(lambda: SelfAttention(7, d=3, v=2)), draw(5, 7)
    assert_close(in_columns(layer, x.T).T, layer(x)[0])


def test_it_is_a_plain_loop():
    layer, x = seeded(lambda: SelfAttention(7, d=3, v=2)), draw(2, 5, 7)
    with torch.no_grad():
        out, weights = layer(x)
        plain_loop(layer, x, out, weights)


def plain_loop(layer, x, out, weights):
    """Compute each score, share and mixture by itself, and compare."""
    for sentence, found, looked in zip(x, out, weights, strict=True):
        for i in range(5):
            raised = [
                math.exp(float((layer.of_query.weight @ sentence[i]) @ (layer.of_key.weight @ word)) / math.sqrt(3))
                for word in sentence
            ]
            shares = [one / sum(raised) for one in raised]
            assert_close(looked[i], doubles(shares))
            mixed = sum(share * (layer.of_value.weight @ word) for share, word in zip(shares, sentence, strict=True))
            assert_close(found[i], mixed)


@pytest.mark.parametrize("out", ["identity", "learned"])
def test_it_is_pytorchs_layer_with_one_head(out):
    """PyTorch's output matrix, where it is not the identity, is taken into the values: one head needs none."""
    theirs = seeded(lambda: nn.MultiheadAttention(7, num_heads=1, bias=False, batch_first=True))
    ours = SelfAttention(7).double()
    with torch.no_grad():
        if out == "identity":
            theirs.out_proj.weight.copy_(torch.eye(7))
        query, key, value = theirs.in_proj_weight.chunk(3)
        ours.of_query.weight.copy_(query)
        ours.of_key.weight.copy_(key)
        ours.of_value.weight.copy_(theirs.out_proj.weight @ value)
    x, lengths = draw(3, 5, 7), torch.tensor([5, 2, 4])
    may = causal_mask(5) & padding_mask(lengths, 5)
    for mask in (None, may):
        found, weights = ours(x, mask)
        wanted, looked = theirs(x, x, x, attn_mask=None if mask is None else ~mask)  # theirs: True may not look
        assert_close(found, wanted)
        assert_close(weights, looked)


def test_three_matrices_one_input():
    """All of it comes from x; key and query are equal only if their matrices are."""
    layer, x = seeded(lambda: SelfAttention(7, d=3)), draw(5, 7)
    query, key, value = layer.of_query(x), layer.of_key(x), layer.of_value(x)
    assert not torch.allclose(query, key)
    assert_close(layer(x), attend(ScaledDot()(query, key), value))
    bare = SelfAttention(7).double()
    for part in (bare.of_query, bare.of_key, bare.of_value):
        nn.init.eye_(part.weight)
    assert_close(bare(x), attend(ScaledDot()(x, x), x))  # key = value = query = x


def test_every_length_fits_the_same_matrices():
    layer = seeded(lambda: SelfAttention(7, d=3, v=2))
    for length in (1, 2, 5, 11):
        out, weights = layer(draw(length, 7))
        assert out.shape == (length, 2)
        assert weights.shape == (length, length)
        assert_close(weights.sum(-1), torch.ones(length).double())


def test_the_matrices_stay_and_the_weights_change():
    layer = seeded(lambda: SelfAttention(7))
    before = {name: number.clone() for name, number in layer.state_dict().items()}
    _, one = layer(draw(5, 7))
    _, other = layer(draw(5, 7, seed=1))
    assert not torch.allclose(one, other, atol=0.05)
    assert all(torch.equal(number, before[name]) for name, number in layer.state_dict().items())


def test_words_that_move_take_their_outputs_with_them():
    layer, x, order = seeded(lambda: SelfAttention(7, d=3, v=2)), draw(5, 7), [3, 0, 4, 1, 2]
    assert_close(layer(x[order])[0], layer(x)[0][order])


def test_padding_changes_nothing():
    layer, x = seeded(lambda: SelfAttention(7, d=3, v=2)), draw(2, 5, 7)
    mask = padding_mask(torch.tensor([5, 3]), 5)
    other = x.clone()
    other[1, 3:] = 100
    assert_close(layer(x, mask)[0][1, :3], layer(other, mask)[0][1, :3])
    assert_close(layer(x, mask)[0][1, :3], layer(x[1, :3])[0])


def test_each_matrix_gets_a_gradient():
    layer = seeded(lambda: SelfAttention(7, d=3, v=2))
    layer(draw(5, 7))[0].square().sum().backward()
    assert all(part.weight.grad.abs().sum() > 0 for part in (layer.of_query, layer.of_key, layer.of_value))


def test_the_layer_refuses():
    with pytest.raises(ValueError, match="d must be at least 1, but is 0"):
        SelfAttention(7, d=0)
    with pytest.raises(ValueError, match="x must be 7 wide for this layer, but is 6 wide"):
        SelfAttention(7)(torch.zeros(5, 6))
    with pytest.raises(TypeCheckError, match="mask"):
        seeded(lambda: SelfAttention(7))(draw(5, 7), causal_mask(3))


# --- layers in its place ---------------------------------------------------------------------------------------------

MIXERS = {
    "attention": lambda: SelfAttention(WIDTH),
    "recurrence": lambda: Recurrence(WIDTH),
    "convolution": lambda: Convolution(WIDTH, 3, dilation=2),
    "fixed": lambda: FixedWeights(WIDTH, 11),
}


def test_convolution_by_hand():  # 1, 2, 3, 4 through 100 x[t-4] + 10 x[t-2] + x[t]
    layer = Convolution(1, 3, dilation=2).double()
    with torch.no_grad():
        layer.window.weight.copy_(doubles([[[100, 10, 1]]]))
        layer.window.bias.zero_()
    out, weights = layer(doubles([[[1], [2], [3], [4], [5]]]))
    assert_close(out, doubles([[[1], [2], [13], [24], [135]]]))
    assert weights is None


def test_recurrence_takes_one_step_a_word():
    layer, x = seeded(lambda: Recurrence(WIDTH)), draw(2, 3, WIDTH)
    state = torch.zeros(1, 2, WIDTH).double()
    for place in range(3):
        state = layer.rnn(x[:, place : place + 1], state)[1]
        assert_close(layer(x)[0][:, place], state[0])


def test_recurrence_both_ways_sees_both_sides():
    layer, x = seeded(lambda: Recurrence(WIDTH, both_ways=True)), draw(2, 5, WIDTH)
    for changed in (0, 4):
        other = x.clone()
        other[:, changed] += 1
        assert ((layer(other)[0] - layer(x)[0]).abs().sum(dim=(0, 2)) > 0).all()
    assert layer(x)[0].shape == x.shape
    with pytest.raises(ValueError, match="mask must be None with both_ways"):
        layer(x, causal_mask(5))
    with pytest.raises(ValueError, match="width must be even to be shared by two directions, but is 7"):
        Recurrence(7, both_ways=True)


def test_fixed_weights_are_the_same_for_every_sentence():
    layer = seeded(lambda: FixedWeights(WIDTH, 7))
    nn.init.normal_(layer.scores)
    _, weights = layer(draw(3, 5, WIDTH))
    assert_close(weights, layer.scores[:5, :5].softmax(dim=-1).expand(3, 5, 5))
    out, weights = layer(draw(3, 5, WIDTH), causal_mask(5)[None])
    assert_close(out, weights @ layer.of_value(draw(3, 5, WIDTH)))
    assert_close(weights.triu(1), torch.zeros(3, 5, 5).double())


def test_fixed_weights_have_a_longest_sentence():
    with pytest.raises(ValueError, match="the sentence has 8 places, but there are learned numbers for 7 only"):
        FixedWeights(WIDTH, 7).double()(draw(1, 8, WIDTH))


def test_an_outside_query_gives_every_place_the_same():
    layer, x = seeded(lambda: OutsideQuery(WIDTH)), draw(3, 5, WIDTH)
    nn.init.normal_(layer.query)
    out, weights = layer(x)
    keys = layer.of_key(x)
    assert_close(weights, ScaledDot()(layer.query, keys).softmax(dim=-1).expand(3, 5, 5))
    assert_close(out, (weights @ layer.of_value(x))[:, :1].expand(3, 5, WIDTH))
    assert not torch.allclose(weights[0], weights[1])


@pytest.mark.parametrize("name", MIXERS)
def test_all_layers_are_called_alike(name):
    layer, x = seeded(MIXERS[name]), draw(2, 5, WIDTH)
    out, weights = layer(x, causal_mask(5)[None])
    assert out.shape == x.shape
    assert weights is None or weights.shape == (2, 5, 5)


def test_a_block_adds_what_it_finds():
    block, x = seeded(lambda: Block(WIDTH, SelfAttention(WIDTH), 11)), draw(2, 5, WIDTH)
    mixed, looked = block.mixer(nn.functional.layer_norm(x, (WIDTH,)))
    middle = x + mixed
    hidden = torch.relu(block.alone[0](nn.functional.layer_norm(middle, (WIDTH,))))
    out, weights = block(x)
    assert_close(out, middle + block.alone[2](hidden))
    assert_close(weights, looked)


# --- networks --------------------------------------------------------------------------------------------------------


def numbers(*shape, seed=0, words=13):
    """Random numbers of words."""
    return torch.randint(words, shape, generator=torch.Generator().manual_seed(seed))


def test_a_network_has_places():
    """The same words in another order give another answer, which no layer of attention alone could give."""
    network = seeded(lambda: Network(13, 3, WIDTH, [SelfAttention(WIDTH)], 5, 7))
    words, order = torch.tensor([[1, 2, 3, 4, 5]]), [3, 0, 4, 1, 2]
    out, _ = network(words)
    assert out.shape == (1, 5, 3)
    assert not torch.allclose(network(words[:, order])[0], out[:, order])
    nn.init.zeros_(network.place.weight)
    assert_close(network(words[:, order])[0], network(words)[0][:, order])


def test_a_network_is_its_parts():
    network = seeded(lambda: Network(13, 3, WIDTH, [SelfAttention(WIDTH), Convolution(WIDTH)], 5, 7))
    words = numbers(2, 5)
    x = network.embed(words) + network.place.weight[:5]
    first, looked = network.blocks[0](x)
    second, none = network.blocks[1](first)
    out, weights = network(words)
    assert_close(out, network.readout(network.norm(second)))
    assert_close(weights[0], looked)
    assert none is None
    assert weights[1] is None


@pytest.mark.parametrize("name", MIXERS)
def test_no_language_model_sees_the_future(name):
    model = seeded(lambda: LanguageModel(13, WIDTH, [MIXERS[name](), MIXERS[name]()], 5, 11))
    words = numbers(2, 7)
    for place in range(7):
        other = words.clone()
        other[:, place] = (other[:, place] + 1) % 13
        moved = (model(other)[0] - model(words)[0]).abs().sum(dim=(0, 2))
        assert_close(moved[:place], torch.zeros(place).double())
        assert moved[place] > 0
        if name != "convolution":
            assert (moved[place:] > 0).all()


def test_without_the_causal_mask_it_sees_the_future():
    model = seeded(lambda: LanguageModel(13, WIDTH, [SelfAttention(WIDTH)], 5, 11))
    words = numbers(1, 7)
    other = words.clone()
    other[:, -1] = (other[:, -1] + 1) % 13
    moved = (model(other, causal=False)[0] - model(words, causal=False)[0]).abs().sum(dim=(0, 2))
    assert (moved > 0).all()
    assert_close(model(words)[1][0].triu(1), torch.zeros(1, 7, 7).double())
    assert (model(words, causal=False)[1][0] > 0).all()


def test_networks_refuse():
    model = LanguageModel(13, WIDTH, [SelfAttention(WIDTH)], 5, 7)
    with pytest.raises(ValueError, match="the sentence has 8 places, but there are learned numbers for 7 only"):
        model(numbers(1, 8))
    with pytest.raises(ValueError, match="a word has the number 13"):
        model(torch.tensor([[13]]))


# --- what the experiment builds on -----------------------------------------------------------------------------------


def test_the_kinds_are_matched():
    """No layer of a task has fewer parameters than self-attention; language models are equal within one percent."""
    for task, kinds in (("gap", e.GAP_KINDS), ("recall", e.RECALL_KINDS)):
        ours = e.parameters(e.build("attention", task))
        assert all(e.parameters(e.build(kind, task)) >= ours for kind in kinds)
    ours = e.parameters(e.language_model())
    for kind in ("gru", "convolution", "mixed", "fixed"):
        assert abs(e.parameters(e.language_model(kind)) / ours - 1) < 0.01


def test_a_bag_counts_runs_and_no_more():
    torch.manual_seed(0)
    bag = e.Bag(5, 3, 4, 3)
    same = torch.tensor([[1, 2, 1, 2, 3], [2, 1, 2, 1, 3]])  # other runs of two: 12 21 12 23 and 21 12 21 13
    assert not torch.allclose(bag(same)[0], bag(same)[1])
    alike = torch.tensor([[0, 0, 1, 0, 0, 2, 0, 0], [0, 0, 2, 0, 0, 1, 0, 0]])  # all runs of up to three are the same
    assert_close(bag(alike)[0], bag(alike)[1])


def test_n_grams_by_hand():
    """Two sentences, "5 6" and "5 7", and runs of two; each count gives up a half."""
    model = e.NGrams([[5, 6], [5, 7]], order=2, words=8, discount=0.5)
    # single words by how many different words stand before them: 5, 6, 7 once, the end mark twice; 5 in all
    low = {5: 0.5 / 5, 6: 0.5 / 5, 7: 0.5 / 5, END: 1.5 / 5}
    rest = 0.5 * 4 / 5 / 8  # what they give up, to all words alike
    after = model.after([5])
    for word, shared in ((6, 0.5 / 2), (7, 0.5 / 2), (5, 0), (END, 0)):
        assert after[word] == pytest.approx(shared + 0.5 * 2 / 2 * (low[word] + rest))
    assert model.after([])[5] == pytest.approx(1.5 / 2 + 0.5 * 1 / 2 * (low[5] + rest))


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_n_grams_are_probabilities(order):
    sentences = [numbers(length, seed=length, words=9).tolist() for length in (2, 3, 5, 7, 11)]
    model = e.NGrams(sentences, order, 11, 0.75)
    for before in ([], [4], sentences[3][:4], [10, 10, 10, 10, 10, 10]):
        after = model.after(before)
        assert after.sum() == pytest.approx(1)
        assert (after > 0).all()


def test_far_subjects_are_english():
    """Each beginning goes on with a fitting verb, and not with the other form."""
    for some in e.far_subjects().values():
        for words, number in some[::7]:
            assert ENGLISH_FRENCH.translate([*words, e.FORMS[-2][number]]).target
            with pytest.raises(SentenceError):
                ENGLISH_FRENCH.translate([*words, e.FORMS[-2][1 - number]])


def test_the_nearest_noun_has_the_other_number():
    """Or a model that follows the nearest noun would be right."""
    noun_numbers = {noun: number for pair in (*e.SUBJECTS, *e.OBJECTS) for number, noun in enumerate(pair)}
    for some in e.far_subjects().values():
        for words, number in some:
            subject, other = (noun_numbers[word] for word in words if word in noun_numbers)
            assert (subject, other) == (number, 1 - number)


def test_the_window_mask():
    assert e.window_mask(5, 1)[2].tolist() == [False, True, True, True, False]


def test_the_loss_is_that_of_each_sentence_alone():
    """Padding stands behind all words, so no mask is needed."""
    torch.manual_seed(0)
    model = e.language_model().double().eval()
    some = e.GRAMMARS[e.NAME]
    pairs = [some.translate(text) for text in ("she sleeps", "the man did not find the big red house")]
    (batch,) = e.bitext(pairs).in_order()
    logs = []
    for pair in pairs:
        row = [BEGIN, *e.languages(e.NAME).source.encode(pair.source), END]
        after = model(torch.tensor([row[:-1]]))[0][0].log_softmax(dim=-1)
        logs += [after[at, word] for at, word in enumerate(row[1:])]
    assert_close(e.language_loss(model, batch), -torch.stack(logs).mean())


def test_recall_in_two_words():
    words, answer = recall_in_two_words(50, torch.Generator().manual_seed(0))
    letters, digits, asked = words[:, :-1:2], words[:, 1::2], words[:, -1:]
    assert words.shape == (50, 7)
    assert letters.max() < 4 <= digits.min()
    assert digits.max() < 8
    assert ((letters == asked).sum(dim=1) == 1).all()  # asked for once, so there is one answer
    assert torch.equal(digits[letters == asked] - 4, answer)
