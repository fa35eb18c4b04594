from itertools import pairwise

import pytest
import torch
from jaxtyping import TypeCheckError
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from attention_src.bahdanau import Bahdanau
from attention_src.decoding import Marks, beam, greedy
from attention_src.training import Plan, fit, word_loss

B, T = 2, 4  # sentences, target words
SOURCE, TARGET, WIDTH, HIDDEN, ANNOTATION, SCORE, MAXOUT = 13, 17, 7, 5, 6, 3, 11


def build(seed=0, **settings):
    torch.manual_seed(seed)
    usual = {"width": WIDTH, "hidden": HIDDEN, "annotation": ANNOTATION, "score": SCORE, "maxout": MAXOUT}
    return Bahdanau(SOURCE, TARGET, **usual | settings).double().eval()


def example():
    source = torch.tensor([[4, 5, 6, 7, 8], [9, 10, 11, 0, 0]])
    return source, source > 0, torch.tensor([[1, 4, 5, 6], [1, 6, 7, 0]])


def states_and_weights(model, source, mask, words):
    """Decode with the embedded ``words`` (batch, target, width), so that gradients can reach each of them."""
    memory, state = model.encode(source, mask)
    states, weights = [state], []
    for word in words.unbind(dim=1):
        context, row = model.look(states[-1], memory)
        states.append(model.cell(torch.cat([word, context], dim=-1), states[-1]))
        weights.append(row)
    return states, weights


def test_a_step_by_hand():
    """Plain numbers: one number for everything, all weights chosen so that each line can be done on paper."""
    model = Bahdanau(5, 2, width=1, hidden=1, annotation=1, score=1, maxout=1, both_ways=False).double()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    one = torch.ones(1, 1, dtype=torch.float64)
    annotations = torch.tensor([[[0.0], [2.0]]]).double()
    model.score.of_key.weight.data = one  # e_j = 3 tanh(h_j), whatever the state
    model.score.out.weight.data = 3 * one
    memory, _ = model.encode(torch.tensor([[4, 4]]), torch.ones(1, 2, dtype=torch.bool))
    memory = memory._replace(key=model.score.prepare(annotations), value=annotations)
    # The weight of h = 2 is e^(3 tanh 2) / (1 + e^(3 tanh 2)), and the context twice that.
    share = 1 / (1 + torch.tensor(-3 * 0.9640275800758169).double().exp())
    # No gate is open or closed: r = z = 1/2. The new state is half the old one plus half of tanh(context).
    model.cell.weight_ih.data[2, 1] = 1.0
    # Of the pair (state, context) the larger one, the context, becomes the score of word 1.
    model.pairs.weight.data = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).double()
    model.readout.weight.data = torch.tensor([[0.0], [1.0]]).double()
    said = model.step(torch.tensor([1]), torch.tensor([[0.5]]).double(), memory)
    assert_close(said.weights, torch.stack([1 - share, share])[None])
    assert_close(said.state, torch.tensor([[0.25]]).double() + torch.tanh(2 * share) / 2)
    assert_close(said.logits, torch.stack([0 * share, 2 * share])[None])


def test_a_step_is_the_papers_formulas_as_plain_loops():
    model, (source, mask, given) = build(), example()
    memory, state = model.encode(source, mask)
    said = model.step(given[:, 1], state, memory)
    read = model.score
    for row, words in ((0, 5), (1, 3)):
        h, s, y = memory.value[row, :words], state[row], model.embed(given[row, 1])
        scores = [read.out.weight[0] @ torch.tanh(read.of_query.weight @ s + read.of_key.weight @ h_j) for h_j in h]
        weights = torch.stack(scores).exp() / torch.stack(scores).exp().sum()
        context = sum(a * h_j for a, h_j in zip(weights, h, strict=True))
        cell, given_ = model.cell, torch.cat([y, context])
        r, z, n = (cell.weight_ih @ given_ + cell.bias_ih).chunk(3)
        r_, z_, n_ = (cell.weight_hh @ s + cell.bias_hh).chunk(3)
        reset, keep = torch.sigmoid(r + r_), torch.sigmoid(z + z_)
        moved = keep * s + (1 - keep) * torch.tanh(n + reset * n_)
        t = model.pairs.weight @ torch.cat([moved, context, y]) + model.pairs.bias
        larger = torch.stack([torch.maximum(t[2 * k], t[2 * k + 1]) for k in range(MAXOUT)])
        assert_close(said.weights[row, :words], weights)
        assert said.weights[row, words:].eq(0).all()
        assert_close(said.state[row], moved)
        assert_close(said.logits[row], model.readout.weight @ larger + model.readout.bias)


def test_the_first_state_comes_from_where_the_backward_reading_ends():
    model, (source, mask, _) = build(), example()
    memory, state = model.encode(source, mask)
    assert_close(memory.summary, memory.value[:, 0, ANNOTATION // 2 :])  # the backward half of the first annotation
    assert_close(state, torch.tanh(model.start(memory.summary)))
    forwards = build(both_ways=False)
    memory, _ = forwards.encode(source, mask)
    assert_close(memory.summary, torch.stack([memory.value[0, 4], memory.value[1, 2]]))  # the last word of each


def test_an_annotation_knows_both_sides_and_a_one_way_one_only_the_left():
    source, mask, _ = example()
    changed = source.clone()
    changed[0, 2] = 12
    for both_ways, reached in ((True, [True] * 5), (False, [False, False, True, True, True])):
        model = build(both_ways=both_ways)
        before, after = (model.encode(some, mask)[0].value[0] for some in (source, changed))
        assert (before - after).abs().amax(dim=1).gt(1e-9).tolist() == reached


def test_teacher_forcing_is_step_after_step():
    model, (source, mask, given) = build(), example()
    memory, state = model.encode(source, mask)
    logits = []
    for place in range(T):
        said = model.step(given[:, place], state, memory)
        state = said.state
        logits.append(said.logits)
    assert_close(model(source, mask, given), torch.stack(logits, dim=1))


def test_the_weights_of_a_step_depend_on_the_words_up_to_two_before():
    """Step i looks with s_{i-1}, into which y_{i-2} went last: y_{i-1} and s_i come too late for it."""
    model, (source, mask, given) = build(), example()
    words = model.embed(given).detach().requires_grad_()  # words[:, i] is y_i, with y_0 the begin mark
    states, weights = states_and_weights(model, source, mask, words)
    for step, row in enumerate(weights, start=1):
        touched = torch.autograd.grad(row[:, 0].sum(), [words, *states[1:]], retain_graph=True, allow_unused=True)
        of_words = torch.zeros(B, T) if touched[0] is None else touched[0].abs().amax(dim=2)
        assert of_words[:, : step - 1].gt(0).all()
        assert of_words[:, step - 1 :].eq(0).all()  # y_{i-1} is the word that goes in at step i
        of_states = [grad is not None and bool(grad.ne(0).any()) for grad in touched[1:]]
        assert of_states == [place < step for place in range(1, T + 1)]


def test_the_loop_of_the_gradient_test_is_the_decoder():
    model, (source, mask, given) = build(), example()
    states, weights = states_and_weights(model, source, mask, model.embed(given))
    memory, state = model.encode(source, mask)
    for place in range(T):
        said = model.step(given[:, place], state, memory)
        state = said.state
        assert_close((said.state, said.weights), (states[place + 1], weights[place]))


def test_state_and_context_change_at_every_step():
    """The decoder's state is computed anew for each word, not once for the whole answer."""
    model, (source, mask, given) = build(), example()
    states, weights = states_and_weights(model, source, mask, model.embed(given))
    for earlier, later in pairwise(states):
        assert (earlier - later).abs().amax(dim=1).gt(1e-4).all()
    for earlier, later in pairwise(weights):
        assert (earlier - later).abs().amax(dim=1).gt(1e-6).all()


def test_changing_a_source_word_changes_the_weights():
    model, (source, mask, given) = build(), example()
    memory, state = model.encode(source, mask)
    before = model.step(given[:, 0], state, memory).weights
    for place in range(3):
        changed = source.clone()
        changed[:, place] = 12
        memory, state = model.encode(changed, mask)
        after = model.step(given[:, 0], state, memory).weights
        assert (before - after).abs().amax(dim=1).gt(1e-6).all(), f"word {place} changes no weight"


def test_the_words_depend_on_what_is_looked_at():
    """A decoder that ignores its encoder still learns to write likely sentences; this one must not."""
    model, (source, mask, given) = build(), example()
    memory, state = model.encode(source, mask)
    before = model.step(given[:, 0], state, memory)
    after = model.step(given[:, 0], state, memory._replace(value=memory.value.flip(1)))
    assert_close(before.weights, after.weights)
    assert (before.logits - after.logits).abs().amax(dim=1).gt(1e-4).all()


def test_the_gradient_goes_back_through_all_steps():
    """What is said last teaches the first word and the encoder: no state is cut off on its way."""
    model, (source, mask, given) = build(), example()
    model(source, mask, given)[0, -1].sum().backward()
    assert model.embed.weight.grad[given[0]].abs().amax(dim=1).gt(0).all()
    assert model.encoder.embed.weight.grad[source[0]].abs().amax(dim=1).gt(0).all()


def test_padding_changes_nothing():
    model, (source, mask, given) = build(), example()
    wide = torch.cat([source, torch.full((B, 2), 12)], dim=1)
    wide_mask = torch.cat([mask, torch.zeros(B, 2, dtype=torch.bool)], dim=1)
    assert_close(model(wide, wide_mask, given), model(source, mask, given))


def test_nothing_leaks_from_the_targets_future():
    model, (source, mask, given) = build(), example()
    for place in range(1, T):
        changed = given.clone()
        changed[:, place] = 9
        before, after = model(source, mask, given), model(source, mask, changed)
        assert_close(before[:, :place], after[:, :place], rtol=0, atol=0)
        assert before[:, place].ne(after[:, place]).any()


def test_the_keys_half_of_the_score_is_computed_once_a_sentence(monkeypatch):
    model, (source, mask, given) = build(), example()
    calls = []
    prepare = type(model.score).prepare
    monkeypatch.setattr(type(model.score), "prepare", lambda self, key: calls.append(key.shape) or prepare(self, key))
    model(source, mask, given)
    assert calls == [(B, 5, ANNOTATION)]
    through_key = []
    model.score.of_key.register_forward_hook(lambda *_: through_key.append(1))
    memory, state = model.encode(source, mask)
    greedy(model.step, state, memory, Marks(1, 2), longest=7)
    assert through_key == [1]


def test_sentences_decode_alike_alone_and_in_a_batch():
    model, (source, mask, _) = build(), example()
    for width in (1, 3):
        together = beam(model.step, *model.encode(source, mask)[::-1], Marks(1, 2), longest=7, width=width)
        for row, words in ((0, 5), (1, 3)):
            memory, state = model.encode(source[row : row + 1, :words], mask[row : row + 1, :words])
            (alone,) = beam(model.step, state, memory, Marks(1, 2), longest=7, width=width)
            assert alone.tokens == together[row].tokens
            assert_close(alone.weights, together[row].weights[:, :words])


@pytest.mark.parametrize("both_ways", [False, True])
def test_it_learns_three_sentences_by_heart(both_ways):
    model = build(both_ways=both_ways, hidden=16, annotation=16)
    source = torch.tensor([[4, 5, 6], [6, 5, 4], [7, 8, 9]])
    given, wanted = torch.tensor([[1, 4, 5], [1, 5, 4], [1, 9, 9]]), torch.tensor([[4, 5, 2], [5, 4, 2], [9, 9, 2]])
    all_words = torch.ones(3, 3, dtype=torch.bool)
    fit(
        model,
        lambda m, _: word_loss(m(source, all_words, given), wanted, all_words),
        lambda step: None,
        Plan(steps=80, rate=2e-2),
    )
    assert cross_entropy(model(source, all_words, given).flatten(0, 1), wanted.flatten()) < 0.05


@pytest.mark.parametrize("name", ["width", "hidden", "annotation", "score", "maxout"])
def test_bad_sizes_are_named(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, but is 0"):
        build(**{name: 0})


def test_bad_input_is_named():
    model, (source, mask, given) = build(), example()
    with pytest.raises(ValueError, match="annotation must be even to be shared by two directions, but is 5"):
        build(annotation=5)
    with pytest.raises(TypeCheckError, match="parameter 'mask'"):
        model.encode(source, mask[:, 1:])
    with pytest.raises(ValueError, match="mask row 1 is all False"):
        model(source, mask & torch.tensor([[True], [False]]), given)
    with pytest.raises(ValueError, match="given has no words"):
        model(source, mask, given[:, :0])
    with pytest.raises(ValueError, match="number 17, but this vocabulary has the numbers 0 to 16"):
        model(source, mask, given + 11)
