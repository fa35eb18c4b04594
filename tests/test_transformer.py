import copy
import math
from itertools import product

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from attention_src.attention import causal_mask
from attention_src.data.translation import GRAMMARS, Pair
from attention_src.decoding import Marks, beam, greedy
from attention_src.experiments import transformer as experiment
from attention_src.experiments.protocol import forced_weights
from attention_src.multi_head import MultiHeadAttention
from attention_src.recurrent import follow
from attention_src.transformer import (
    Alone,
    DecoderLayer,
    EncoderLayer,
    Kept,
    Residual,
    Transformer,
    keep,
    least_loss,
    look,
    nothing_said,
    scheduled_rate,
    smoothed_loss,
)

B, S, T = 2, 5, 3  # sentences, source words, target words
HEADS, WIDTH, INNER = 2, 6, 11
SOURCE, TARGET = 13, 17  # words in the vocabularies
ORDERS = pytest.mark.parametrize("norm_first", [False, True], ids=["post", "pre"])


def build(seed=0, **settings):
    torch.manual_seed(seed)
    usual = {"width": WIDTH, "heads": HEADS, "inner": INNER, "layers": 3}
    model = Transformer(SOURCE, TARGET, **usual | settings).double().eval()
    for parameter in model.parameters():  # biases and norms too: at their first values they hide mistakes
        nn.init.normal_(parameter, std=0.5)
    return model


def example():
    source = torch.tensor([[4, 5, 6, 7, 8], [9, 10, 11, 0, 0]])
    return source, source > 0, torch.tensor([[1, 4, 5], [1, 6, 0]])


def stirred(module):
    """The same module in float64, with numbers in all its weights."""
    torch.manual_seed(7)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double().eval()


def theirs_to_ours(theirs, ours):
    """Copy the weights of PyTorch's encoder or decoder layer into ours."""
    ours = ours.double().eval()
    ours.itself = MultiHeadAttention.from_torch(theirs.self_attn)
    adds = [ours.add_look, ours.add_alone]
    if isinstance(ours, DecoderLayer):
        ours.source = MultiHeadAttention.from_torch(theirs.multihead_attn)
        adds = [ours.add_look, ours.add_source, ours.add_alone]
    for number, add in enumerate(adds, start=1):
        add.norm.load_state_dict(getattr(theirs, f"norm{number}").state_dict())
    ours.alone[0].load_state_dict(theirs.linear1.state_dict())
    ours.alone[2].load_state_dict(theirs.linear2.state_dict())
    return ours


def torch_layer(kind, norm_first):
    settings = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first}
    return stirred(kind(WIDTH, HEADS, INNER, **settings))


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_the_two_orders_by_hand():
    """x = (1, 3) has mean 2 and spread 1, so its norm is (-1, 1); the part doubles what it is given."""
    x = torch.tensor([[[1.0, 3.0]]]).double()
    after, before = (Residual(2, norm_first).double() for norm_first in (False, True))
    after.norm.eps = before.norm.eps = 0.0

    def double(x):
        return 2 * x, "beside"

    assert_close(after(x, double)[0], torch.tensor([[[-1.0, 1.0]]]).double())  # norm((3, 9))
    assert_close(before(x, double)[0], torch.tensor([[[-1.0, 5.0]]]).double())  # (1, 3) + 2 (-1, 1)
    assert after(x, double)[1] == before(x, double)[1] == "beside"


def test_alone_by_hand_and_place_for_place():
    alone = Alone(1, 2).double()
    alone[0].weight.data, alone[0].bias.data = torch.tensor([[1.0], [-1.0]]).double(), torch.tensor([0.0, 1.0]).double()
    alone[2].weight.data, alone[2].bias.data = torch.tensor([[2.0, 10.0]]).double(), torch.tensor([0.5]).double()
    found, _ = alone(torch.tensor([[[3.0], [-3.0]]]).double())
    assert_close(found, torch.tensor([[[6.5], [40.5]]]).double())  # 2 * 3 + .5 and 10 * (3 + 1) + .5


def test_smoothing_by_hand():
    """p = (1/2, 1/4, 1/4), the first is true, smoothing 0.3: wanted (0.8, 0.1, 0.1)."""
    logits = torch.tensor([[2.0, 1.0, 1.0]]).double().log()
    by_hand = 0.8 * math.log(2) + 0.1 * math.log(4) + 0.1 * math.log(4)
    assert_close(smoothed_loss(logits, torch.tensor([0]), 0.3).item(), by_hand)


def test_the_schedule_by_hand():
    assert scheduled_rate(1, width=16, warm_up=100) == pytest.approx(1 / 4 * 1 / 1000)
    assert scheduled_rate(100, width=16, warm_up=100) == pytest.approx(1 / 4 * 1 / 10)
    assert scheduled_rate(400, width=16, warm_up=100, factor=2.0) == pytest.approx(2 * 1 / 4 * 1 / 20)


# --- PyTorch as the oracle --------------------------------------------------------------------------------------------


@ORDERS
def test_an_encoder_layer_gives_pytorchs_numbers(norm_first):
    theirs = torch_layer(nn.TransformerEncoderLayer, norm_first)
    ours = theirs_to_ours(theirs, EncoderLayer(WIDTH, HEADS, INNER, norm_first))
    x, (_, mask, _) = torch.randn(B, S, WIDTH).double(), example()
    wanted = theirs(x, src_key_padding_mask=~mask)
    found, weights = ours(x, mask[:, None])
    assert_close(found[mask], wanted[mask])
    assert weights.shape == (B, HEADS, S, S)


@ORDERS
def test_a_decoder_layer_gives_pytorchs_numbers(norm_first):
    theirs = torch_layer(nn.TransformerDecoderLayer, norm_first)
    ours = theirs_to_ours(theirs, DecoderLayer(WIDTH, HEADS, INNER, norm_first))
    x, read, (_, mask, _) = torch.randn(B, T, WIDTH).double(), torch.randn(B, S, WIDTH).double(), example()
    wanted = theirs(x, read, tgt_mask=~causal_mask(T), memory_key_padding_mask=~mask)
    found, _, (own, cross) = ours(x, None, causal_mask(T)[None], keep(ours.source, read), mask[:, None])
    assert_close(found, wanted)
    assert own.shape == (B, HEADS, T, T)
    assert cross.shape == (B, HEADS, T, S)


@ORDERS
def test_the_stacks_give_the_numbers_of_pytorchs_transformer(norm_first):
    """Encoder and decoder of two layers each, with the last norms where the order has them."""
    settings = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first}
    norm = nn.LayerNorm(WIDTH) if norm_first else None  # the paper has none behind its last layers
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, **settings)
    encoder = nn.TransformerEncoder(layer, 2, norm, enable_nested_tensor=False)
    theirs = nn.Transformer(WIDTH, HEADS, 2, 2, INNER, custom_encoder=encoder, **settings)
    theirs.decoder.norm = copy.deepcopy(norm)
    theirs = stirred(theirs)
    model = build(layers=2, norm_first=norm_first)
    for number in range(2):
        theirs_to_ours(theirs.encoder.layers[number], model.encoder[number])
        theirs_to_ours(theirs.decoder.layers[number], model.decoder[number])
    if norm_first:
        model.read_norm.load_state_dict(theirs.encoder.norm.state_dict())
        model.said_norm.load_state_dict(theirs.decoder.norm.state_dict())
    source, mask, given = example()
    sides = model.place(model.read(source), 0), model.place(model.said(given), 0)
    hidden = {"src_key_padding_mask": ~mask, "memory_key_padding_mask": ~mask}
    wanted = model.readout(theirs(*sides, tgt_mask=~causal_mask(T), **hidden))
    assert_close(model(source, mask, given), wanted)


def test_a_look_at_what_is_kept_is_the_layer_of_chapter_11():
    layer = stirred(MultiHeadAttention(WIDTH, HEADS))
    x, y, mask = torch.randn(B, T, WIDTH).double(), torch.randn(B, S, WIDTH).double(), torch.rand(B, T, S) > 0.4
    assert_close(look(layer, x, keep(layer, y), mask), layer(x, y, y, mask))
    assert_close(look(layer, x, keep(layer, y)), layer(x, y, y))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7, 1.0])
def test_smoothing_gives_pytorchs_loss_and_gradient(smoothing):
    logits = torch.randn(7, 11, dtype=torch.float64, requires_grad=True)
    wanted = torch.randint(11, (7,))
    ours, theirs = smoothed_loss(logits, wanted, smoothing), cross_entropy(logits, wanted, label_smoothing=smoothing)
    assert_close(ours, theirs)
    assert_close(torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits))


# --- smoothing and schedule -------------------------------------------------------------------------------------------


def test_an_impossible_word_does_no_harm_without_smoothing():
    """log 0 times 0 is NaN: with nothing to share out, an impossible word must not be asked."""
    logits = torch.tensor([[0.0, 0.0, -math.inf]], dtype=torch.float64, requires_grad=True)
    loss = smoothed_loss(logits, torch.tensor([1]), 0.0)
    assert_close(loss.item(), math.log(2))
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()


def test_with_smoothing_an_impossible_word_costs_without_end_and_is_not_nan():
    logits = torch.tensor([[0.0, 0.0, -math.inf]]).double()
    assert smoothed_loss(logits, torch.tensor([1]), 0.1) == math.inf


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9, 1.0])
def test_the_least_loss_is_reached_by_the_wanted_distribution_alone(smoothing):
    words, wanted = 5, torch.tensor([2])
    shares = torch.full((1, words), smoothing / words, dtype=torch.float64)
    shares[0, 2] += 1 - smoothing
    floor = least_loss(words, smoothing)
    assert math.isfinite(floor)  # 0 log 0 is 0
    if smoothing > 0:
        assert_close(smoothed_loss(shares.log(), wanted, smoothing).item(), floor)
    for _ in range(20):
        assert smoothed_loss(torch.randn(1, words).double(), wanted, smoothing).item() > floor - 1e-12


def test_the_rate_rises_in_a_straight_line_and_peaks_where_the_warm_up_ends():
    width, warm_up = 48, 30
    rates = [scheduled_rate(step, width, warm_up) for step in range(1, 200)]
    assert max(range(199), key=rates.__getitem__) + 1 == warm_up
    assert max(rates) == pytest.approx((width * warm_up) ** -0.5)
    assert all(rates[step - 1] == pytest.approx(step * rates[0]) for step in range(1, warm_up + 1))
    assert rates[4 * warm_up - 1] == pytest.approx(max(rates) / 2)  # one over the root


# --- masks: what may reach what ---------------------------------------------------------------------------------------


def reached(before, after):
    """Which rows differ by more than noise."""
    return (before - after).abs().flatten(start_dim=1).amax(dim=1).gt(1e-9).tolist()


@ORDERS
def test_no_word_sees_the_words_after_it(norm_first):
    model, (source, mask, given) = build(norm_first=norm_first), example()
    for place in range(T):
        changed = given.clone()
        changed[0, place] = 16
        logits = [model(source, mask, words)[0] for words in (given, changed)]
        assert reached(*logits) == [later >= place for later in range(T)]


@ORDERS
def test_what_stands_in_the_padding_changes_nothing(norm_first):
    model, (source, mask, given) = build(norm_first=norm_first), example()
    changed = source.clone()
    changed[1, 3:] = 12
    assert_close(model(changed, mask, given), model(source, mask, given))
    looks = model.looks(source, mask, given)
    for table in (*looks.encoder, *looks.cross):
        assert table[1, :, :, 3:].eq(0).all()
        assert table[0].gt(0).all()


def test_padding_and_neighbours_in_the_batch_change_nothing():
    model, (source, mask, given) = build(), example()
    alone = model(source[1:, :3], mask[1:, :3], given[1:, :2])
    assert_close(model(source, mask, given)[1:, :2], alone)


def test_every_word_of_the_source_reaches_every_word_of_the_source_and_of_the_target():
    model, (source, mask, given) = build(), example()
    for place in range(S):
        changed = source.clone()
        changed[0, place] = 12
        tops = [model.encode(words, mask)[0].top[0] for words in (source, changed)]
        assert reached(*tops) == [True] * S
        assert reached(*(model(words, mask, given)[0] for words in (source, changed))) == [True] * T


def test_places_count():
    """The same words in another order are another sentence, on both sides."""
    model, (source, mask, given) = build(), example()
    swapped = source[:, [1, 0, 2, 3, 4]]
    assert reached(model(source, mask, given), model(swapped, mask, given)) == [True, True]
    again = torch.tensor([[1, 4, 4]])
    same = model(source[:1], mask[:1], again)[0]
    assert not torch.allclose(same[1], same[2])


# --- the cache --------------------------------------------------------------------------------------------------------


@ORDERS
def test_step_after_step_gives_the_numbers_of_all_at_once(norm_first):
    model, (source, mask, given) = build(norm_first=norm_first), example()
    memory, state = model.encode(source, mask)
    logits, weights = follow(model.step, given, state, memory)
    assert_close(logits, model(source, mask, given), rtol=1e-10, atol=1e-10)
    assert_close(weights, model.looks(source, mask, given).cross[-1].mean(dim=1))


@ORDERS
def test_with_nothing_kept_the_numbers_are_the_same(norm_first):
    model, (source, mask, given) = build(norm_first=norm_first), example()
    memory, state = model.encode(source, mask)
    kept, again = (
        follow(model.step, given, state, memory),
        follow(model.step_again, given, nothing_said(memory), memory),
    )
    assert_close(kept, again, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("width", [1, 3])
def test_decoding_says_the_same_with_and_without_the_cache(width):
    source, mask, _ = example()
    for seed in range(3):
        model = build(seed)
        memory, state = model.encode(source, mask)
        kept = beam(model.step, state, memory, Marks(1, 2), 7, width)
        again = beam(model.step_again, nothing_said(memory), memory, Marks(1, 2), 7, width)
        assert [one.tokens for one in kept] == [one.tokens for one in again]
        assert_close([one.log_probability for one in kept], [one.log_probability for one in again])
        assert_close(torch.stack([one.weights[0] for one in kept]), torch.stack([one.weights[0] for one in again]))


def test_greedy_says_the_best_word_given_what_it_said():
    model, (source, mask, _) = build(), example()
    memory, state = model.encode(source, mask)
    for row, one in enumerate(greedy(model.step, state, memory, Marks(1, 2), 7)):
        given = torch.tensor([[1, *one.tokens]])
        words = mask[row].sum()
        best = model(source[row : row + 1, :words], mask[row : row + 1, :words], given)[0].argmax(dim=-1).tolist()
        assert best[: len(one.tokens)] == one.tokens


def test_going_on_after_several_words_at_once():
    """A prompt may be read at once, and the words after it one by one."""
    model, (source, mask, given) = build(), example()
    memory, state = model.encode(source, mask)
    _, state, _ = model.decode(given[:, :2], memory, state)
    assert_close(model.step(given[:, 2], state, memory).logits, model(source, mask, given)[:, 2])
    assert_close(model.follow(given[:, 2:], memory, state), model(source, mask, given)[:, 2:])
    memory, state = model.encode(source, mask)
    state = model.step(given[:, 0], state, memory).state
    assert_close(model.follow(given[:, 1:], memory, state), model(source, mask, given)[:, 1:])


def test_the_cache_is_not_written_to():
    model, (source, mask, given) = build(), example()
    memory, state = model.encode(source, mask)
    state = model.step(given[:, 0], state, memory).state
    before = [part.clone() for kept in state for part in kept]
    model.step(given[:, 1], state, memory)
    assert_close([part for kept in state for part in kept], before)
    assert all(kept.key.shape == (B, HEADS, 1, WIDTH // HEADS) for kept in state)


# --- properties and refusals ------------------------------------------------------------------------------------------


@ORDERS
def test_every_weight_learns(norm_first):
    model, (source, mask, given) = build(norm_first=norm_first), example()
    model(source, mask, given).square().sum().backward()
    for name, parameter in model.named_parameters():
        if name.endswith("of_key.bias"):  # the same for all keys: the softmax does not see it
            assert parameter.grad.abs().max() < 1e-8
        else:
            assert parameter.grad.abs().max() > 1e-8, name


def test_the_papers_order_ends_each_layer_with_a_norm_and_the_other_ends_the_stack_with_one():
    source, mask, _ = example()
    torch.manual_seed(0)
    for norm_first in (False, True):
        model = Transformer(SOURCE, TARGET, WIDTH, HEADS, INNER, 3, norm_first).double()
        top = model.encode(source, mask)[0].top
        assert_close(top.mean(dim=-1), torch.zeros(B, S).double(), atol=1e-9, rtol=0)
        assert_close(top.var(dim=-1, unbiased=False), torch.ones(B, S).double(), atol=1e-3, rtol=0)
        assert isinstance(model.read_norm, nn.LayerNorm) == norm_first


def test_words_and_places_begin_equally_large():
    torch.manual_seed(0)
    model = Transformer(1009, TARGET, width=48)
    words = model.read.weight * math.sqrt(48)
    assert words.std().item() == pytest.approx(1.0, abs=0.02)
    assert model.place(model.read.weight[None], 0).shape == (1, 1009, 48)


def test_weights_are_shares():
    model, (source, mask, given) = build(), example()
    looks = model.looks(source, mask, given)
    for table in (*looks.encoder, *looks.decoder, *looks.cross):
        assert_close(table.sum(dim=-1), torch.ones(table.shape[:-1]).double())
    assert [len(tables) for tables in looks] == [3, 3, 3]
    for table in looks.decoder:
        assert table.triu(1).eq(0).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Transformer(5, 5, width=7), "width must be even|heads must divide width"),
        (lambda: Transformer(5, 5, width=6, heads=4), "heads must divide width"),
        (lambda: Transformer(5, 5, layers=0), "layers must be at least 1, but is 0"),
        (lambda: Transformer(0, 5), "source_words must be at least 1, but is 0"),
        (lambda: Transformer(5, 0), "target_words must be at least 1, but is 0"),
        (lambda: Transformer(5, 5, inner=0), "inner must be at least 1, but is 0"),
        (lambda: smoothed_loss(torch.zeros(1, 2), torch.tensor([0]), 1.5), "smoothing must be between 0 and 1"),
        (lambda: least_loss(3, -0.1), "smoothing must be between 0 and 1, but is -0.1"),
        (lambda: scheduled_rate(0, 8, 5), "step must be at least 1, but is 0"),
        (lambda: scheduled_rate(1, 8, 0), "warm_up must be at least 1, but is 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_sentences_that_cannot_be_read_are_refused():
    model, (source, mask, given) = build(), example()
    with pytest.raises(ValueError, match="mask row 1 is all False"):
        model(source, mask & torch.tensor([[True], [False]]), given)
    with pytest.raises(ValueError, match="but True follows False"):
        model(source, source != 5, given)
    with pytest.raises(ValueError, match="the number 13"):
        model(source + 5, mask, given)
    with pytest.raises(ValueError, match="given has no words"):
        model(source, mask, given[:, :0])
    with pytest.raises(TypeCheckError):
        model(source, mask[:, :4], given)


def test_kept_keys_of_different_layers_are_different():
    model, (source, mask, _) = build(), example()
    memory, state = model.encode(source, mask)
    for one, other in product(range(3), range(3)):
        assert torch.equal(memory.kept[one].key, memory.kept[other].key) == (one == other)
    assert all(isinstance(kept, Kept) and kept.key.shape[2] == 0 for kept in state)


def test_kept_keys_stay_right_behind_the_mask_and_not_without_it(monkeypatch):
    """One more word changes no key behind the mask; without it, those of the first layer only stay."""
    model, (source, mask, given) = build(), example()
    memory, _ = model.encode(source, mask)

    def keys_of_the_first_two_words(words):
        return [kept.key[:, :, :2] for kept in model.decode(given[:, :words], memory)[1]]

    for one, other in zip(keys_of_the_first_two_words(2), keys_of_the_first_two_words(3), strict=True):
        assert_close(one, other)
    monkeypatch.setattr("attention_src.transformer.causal_mask", lambda length: torch.ones(length, length).bool())
    same = [
        torch.allclose(one, other)
        for one, other in zip(keys_of_the_first_two_words(2), keys_of_the_first_two_words(3), strict=True)
    ]
    assert same == [True, False, False]


# --- the experiment ---------------------------------------------------------------------------------------------------


def test_the_warm_up_stands_in_front_of_the_plan():
    plan = experiment.WarmUp(steps=10, rate=1.0, warm_up=4)
    assert [round(plan.rate_at(step), 3) for step in range(10)] == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.667, 0.333]
    without = experiment.WarmUp(steps=10, rate=1.0)
    assert without.rate_at(0) == 1.0


def test_the_weights_of_all_at_once_are_those_of_the_steps():
    torch.manual_seed(0)
    model = experiment.build(experiment.FRENCH).eval()
    some = [
        GRAMMARS[experiment.FRENCH].translate(words) for words in ("the cat sleeps", "i know that a bird sings here")
    ]
    steps = forced_weights(model, some, experiment.FRENCH)
    for pair, table, rows in zip(some, experiment.cross_weights(model, some, experiment.FRENCH), steps, strict=True):
        assert table.shape == (2, 4, len(pair.target), len(pair.source))
        assert_close(table[-1].mean(dim=0), rows[:-1])  # the last row is the end mark's


def test_alignment_errors_by_hand(monkeypatch):
    """Layer 1: one head on the links, one on the other word. Layer 2: both heads two thirds on the links."""
    pair = Pair(("a", "b"), ("x", "y"), frozenset({(0, 0), (1, 1)}))
    right = torch.eye(2)
    table = torch.stack([torch.stack([right, 1 - right]), torch.stack([right * 2 + 1] * 2) / 4])
    monkeypatch.setattr(experiment, "cross_weights", lambda *_: [table])
    found = experiment.alignments(None, [pair], "")
    assert found["heads"] == [[0.0, 100.0], [0.0, 0.0]]
    assert found["mean"][1] == 0.0
    assert found["earlier"][1] == 100.0  # (1, 1) counts as (1, 0), and (0, 0) falls off


def test_no_larger_than_bahdanaus_translator():
    assert experiment.count(experiment.build(experiment.FRENCH)) <= experiment.theirs("bahdanau", "search.parameters")
