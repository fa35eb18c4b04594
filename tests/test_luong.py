from itertools import pairwise

import pytest
import torch
from jaxtyping import TypeCheckError
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from attention_src.attention import attend
from attention_src.bahdanau import Bahdanau
from attention_src.decoding import Marks, beam
from attention_src.luong import AroundAGuess, AroundTheStep, Everywhere, Luong, State, bell, window
from attention_src.scores import Bilinear, Concat, Dot, Location
from attention_src.training import Plan, fit, word_loss

B, T = 2, 4  # sentences, target words
SOURCE, TARGET, WIDTH, HIDDEN, REACH = 13, 17, 7, 6, 2
SCORES = {
    "dot": Dot,
    "general": lambda: Bilinear(HIDDEN, HIDDEN),
    "concat": lambda: Concat(HIDDEN, HIDDEN, 3),
    "location": lambda: Location(HIDDEN, 9),
}
FOCUSES = {
    "global": Everywhere,
    "local-m": lambda: AroundTheStep(REACH),
    "local-p": lambda: AroundAGuess(HIDDEN, REACH),
    "renormalised": lambda: AroundAGuess(HIDDEN, REACH, renormalised=True),
}
GRID = [(score, focus) for score in SCORES for focus in FOCUSES]


def build(score="general", focus="global", seed=0, **settings):
    torch.manual_seed(seed)
    settings = {"width": WIDTH, "hidden": HIDDEN} | settings
    return Luong(SOURCE, TARGET, SCORES[score](), FOCUSES[focus](), **settings).double().eval()


def example():
    source = torch.tensor([[4, 5, 6, 7, 8], [9, 10, 11, 0, 0]])
    return source, source > 0, torch.tensor([[1, 4, 5, 6], [1, 6, 7, 0]])


class Give(torch.nn.Module):
    """In the place of the embedding: gives a vector, whatever the word."""

    def forward(self, token):
        return self.vector


def decode(model, source, mask, words):
    """Step through embedded ``words`` (batch, target, width) so that gradients reach each: states and weights."""
    memory, state = model.encode(source, mask)
    embed, model.embed = model.embed, Give()
    states, weights = [state], []
    for word in words.unbind(dim=1):
        model.embed.vector = word
        said = model.step(torch.zeros(len(word), dtype=torch.long), states[-1], memory)
        states.append(said.state)
        weights.append(said.weights)
    model.embed = embed
    return states, weights


# --- windows ---------------------------------------------------------------------------------------------------------


def test_a_window_and_a_bell_by_hand():
    centre = torch.tensor([1.0, 3.5, 9.0])
    assert window(4, centre, 2).tolist() == [
        [True, True, True, False],  # 1, 2, 3
        [False, True, True, True],  # 1.5 to 5.5
        [False, False, False, False],  # 7 to 11, of four words
    ]
    curve = bell(4, centre, 1.0)
    assert_close(curve[0], torch.tensor([0.0, -0.5, -2.0, -4.5]).exp())
    assert_close(curve[1], torch.tensor([-3.125, -1.125, -0.125, -0.125]).exp())


def test_local_m_by_hand():
    """Step 1 of reach 1 sees the words 1 and 2, and shares by their scores; step 6 of three words sees nothing."""
    scores = torch.tensor([[3.0, 1.0, 9.0]]).log()
    mask, state = torch.ones(1, 3, dtype=torch.bool), torch.zeros(1, 2)
    focus = AroundTheStep(1)
    assert_close(focus(scores, mask, state, torch.tensor([1])), torch.tensor([[0.75, 0.25, 0.0]]))
    assert_close(focus(scores, mask, state, torch.tensor([4])), torch.tensor([[0.0, 0.0, 1.0]]))
    assert_close(focus(scores, mask, state, torch.tensor([6])), torch.zeros(1, 3))


def test_local_p_by_hand():
    """A guess of sigmoid(0) = 1/2 of four words is place 2; reach 2 sees all four, and the spread is 1."""
    focus = AroundAGuess(2, 2)
    torch.nn.init.zeros_(focus.outer.weight)
    scores, mask, state = torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.bool), torch.ones(1, 2)
    assert_close(focus.centre(state, mask), torch.tensor([2.0]))
    expected = torch.tensor([[-0.5, 0.0, -0.5, -2.0]]).exp() / 4
    assert_close(focus(scores, mask, state, torch.tensor([9])), expected)
    focus.renormalised = True
    assert_close(focus(scores, mask, state, torch.tensor([9])), expected / expected.sum())


def test_the_guess_depends_on_the_words_and_not_on_the_padding():
    focus, state = AroundAGuess(2, 1), torch.ones(2, 2)
    mask = torch.tensor([[True] * 4 + [False] * 3, [True] * 7])
    short, long = focus.centre(state, mask)
    assert_close(long / short, torch.tensor(7 / 4))
    wide = torch.cat([mask, torch.zeros(2, 2, dtype=torch.bool)], dim=1)
    assert_close(focus.centre(state, wide), focus.centre(state, mask))


def test_the_guess_can_be_learned_through_the_bell_alone():
    """The window has no gradient; the curve has, and it is the derivative of the formula."""
    focus = AroundAGuess(3, 2).double()
    state = torch.randn(1, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask, scores = torch.ones(1, 6, dtype=torch.bool), torch.zeros(1, 6, dtype=torch.float64)
    weights = focus(scores, mask, state, torch.tensor([1]))
    (found,) = torch.autograd.grad(weights[0, 2], focus.outer.weight, retain_graph=True)
    centre = focus.centre(state, mask)
    (of_centre,) = torch.autograd.grad(centre[0], focus.outer.weight)
    assert_close(found, weights[0, 2] * (3 - centre[0]) * of_centre)  # spread 1: d log weight / d p = s - p
    assert found.abs().gt(1e-6).all()


@pytest.mark.parametrize("focus", FOCUSES)
def test_rows_sum_to_one_except_where_the_bell_takes_some(focus):
    model, (source, mask, given) = build(focus=focus), example()
    _, weights = decode(model, source, mask, model.embed(given))
    for row in weights:
        assert row[1, 3:].eq(0).all()
        if focus == "local-p":
            assert (row.sum(1) > 0).all()
            assert (row.sum(1) < 1).all()
    if focus in ("global", "renormalised"):
        assert_close(torch.stack(weights).sum(-1), torch.ones(T, B).double())


def test_global_attention_is_attend():
    model, (source, mask, given) = build(), example()
    memory, state = model.encode(source, mask)
    said = model.step(given[:, 0], state, memory)
    _, weights = attend(model.score(said.state.layers[:, -1:], memory.value), memory.value, mask[:, None])
    assert_close(said.weights, weights[:, 0])


# --- the model -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("feeding", [False, True])
def test_a_step_is_the_papers_formulas_as_plain_loops(layers, feeding):
    model, (source, mask, given) = build(layers=layers, feeding=feeding), example()
    memory, state = model.encode(source, mask)
    for place in range(2):  # the second step is fed with what the first said
        said = model.step(given[:, place], state, memory)
        for row, words in ((0, 5), (1, 3)):
            y, h = model.embed(given[row, place]), memory.value[row, :words]
            below = torch.cat([y, state.attentional[row]]) if feeding else y
            for layer in range(layers):
                gates = {
                    n: getattr(model.rnn, f"{n}_l{layer}") for n in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
                }
                old = state.layers[row, layer]
                r, z, n = (gates["weight_ih"] @ below + gates["bias_ih"]).chunk(3)
                r_, z_, n_ = (gates["weight_hh"] @ old + gates["bias_hh"]).chunk(3)
                keep = torch.sigmoid(z + z_)
                below = keep * old + (1 - keep) * torch.tanh(n + torch.sigmoid(r + r_) * n_)
                assert_close(said.state.layers[row, layer], below)
            weights = (h @ (model.score.of_key.weight.T @ below)).softmax(0)  # h_t^T W h_s
            context = weights @ h
            attentional = torch.tanh(model.combine.weight @ torch.cat([context, below]) + model.combine.bias)
            assert_close(said.weights[row, :words], weights)
            assert_close(said.state.attentional[row], attentional)
            assert_close(said.logits[row], model.readout.weight @ attentional + model.readout.bias)
        state = said.state


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_each_layer_begins_where_its_encoder_layer_ended(layers, both_ways):
    model, (source, mask, _) = build(layers=layers, both_ways=both_ways), example()
    memory, state = model.encode(source, mask)
    assert state.layers.shape == (B, layers, HIDDEN)
    for row, words in ((0, 5), (1, 3)):
        _, last = model.encoder.rnn(model.encoder.embed(source[row : row + 1, :words]))
        assert_close(state.layers[row], last[:, 0].reshape(layers, HIDDEN))  # both directions of a layer side by side
        top = state.layers[row, -1]
        assert_close(memory.value[row, words - 1, : HIDDEN // 2], top[: HIDDEN // 2])
    assert state.attentional.eq(0).all()
    assert state.place.eq(0).all()


@pytest.mark.parametrize(("score", "focus"), GRID)
def test_teacher_forcing_is_step_after_step(score, focus):
    model, (source, mask, given) = build(score, focus), example()
    memory, state = model.encode(source, mask)
    logits = []
    for place in range(T):
        said = model.step(given[:, place], state, memory)
        state = said.state
        logits.append(said.logits)
    assert_close(model(source, mask, given), torch.stack(logits, dim=1))


def test_the_weights_of_a_step_depend_on_the_last_word_too():
    """Step t looks with h_t, into which y_{t-1} went: one word more than Bahdanau's look knows."""
    model, (source, mask, given) = build(), example()
    words = model.embed(given).detach().requires_grad_()  # words[:, t] goes in at step t, counted from 0
    states, weights = decode(model, source, mask, words)
    for step, row in enumerate(weights):
        of_words, of_state = torch.autograd.grad(
            row[:, 0].sum(), [words, states[step + 1].layers], retain_graph=True, allow_unused=True
        )
        sizes = of_words.abs().amax(dim=2)
        assert sizes[:, : step + 1].gt(0).all()
        assert sizes[:, step + 1 :].eq(0).all()
        assert of_state is None or of_state.ne(0).any()


def test_feeding_gives_the_next_step_what_was_seen():
    source, mask, given = example()
    for feeding in (False, True):
        model = build(feeding=feeding)
        memory, state = model.encode(source, mask)
        first = model.step(given[:, 0], state, memory)
        other = first.state._replace(attentional=first.state.attentional.flip(0))
        before, after = (model.step(given[:, 1], some, memory).logits for some in (first.state, other))
        assert bool((before - after).abs().amax().gt(1e-4)) == feeding


def test_the_gradient_goes_back_through_all_steps():
    """What is said last teaches the first word and the encoder: no state is cut off on its way."""
    model, (source, mask, given) = build(), example()
    model(source, mask, given)[0, -1].sum().backward()
    assert model.embed.weight.grad[given[0]].abs().amax(dim=1).gt(0).all()
    assert model.encoder.embed.weight.grad[source[0]].abs().amax(dim=1).gt(0).all()


@pytest.mark.parametrize(("score", "focus"), GRID)
def test_padding_changes_nothing(score, focus):
    model, (source, mask, given) = build(score, focus), example()
    wide = torch.cat([source, torch.full((B, 2), 12)], dim=1)
    wide_mask = torch.cat([mask, torch.zeros(B, 2, dtype=torch.bool)], dim=1)
    assert_close(model(wide, wide_mask, given), model(source, mask, given))


@pytest.mark.parametrize(("score", "focus"), GRID)
def test_nothing_leaks_from_the_targets_future(score, focus):
    model, (source, mask, given) = build(score, focus), example()
    for place in range(1, T):
        changed = given.clone()
        changed[:, place] = 9
        before, after = model(source, mask, given), model(source, mask, changed)
        assert_close(before[:, :place], after[:, :place], rtol=0, atol=0)
        assert before[:, place].ne(after[:, place]).any()


@pytest.mark.parametrize(("score", "focus"), GRID)
def test_the_words_depend_on_what_is_looked_at(score, focus):
    model, (source, mask, given) = build(score, focus), example()
    memory, state = model.encode(source, mask)
    before = model.step(given[:, 0], state, memory)
    after = model.step(given[:, 0], state, memory._replace(value=memory.value.flip(1)))
    assert_close(before.weights, after.weights)
    assert (before.logits - after.logits).abs().amax(dim=1).gt(1e-4).all()


def test_location_reads_no_word():
    model, (source, mask, given) = build("location"), example()
    memory, state = model.encode(source, mask)
    before = model.step(given[:, 0], state, memory)
    states, _ = model.encoder(source.where(source != 5, torch.tensor(12)), mask)
    after = model.step(given[:, 0], state, memory._replace(key=model.score.prepare(states)))
    assert_close(before.weights, after.weights, rtol=0, atol=0)
    assert before.weights[:, :-1].ne(before.weights[:, 1:]).any()


def test_only_dot_and_global_need_no_parameters():
    plain = {name for name, _ in build("dot", "global").named_parameters()}
    for score, focus in GRID:
        extra = {name for name, _ in build(score, focus).named_parameters()} - plain
        expected = set()
        if score != "dot":
            expected.add("score.")
        if focus in ("local-p", "renormalised"):
            expected.add("focus.")
        assert {name[:6] for name in extra} == expected


@pytest.mark.parametrize(("score", "focus"), [("general", "local-p"), ("concat", "local-m"), ("location", "global")])
def test_sentences_decode_alike_alone_and_in_a_batch(score, focus):
    model, (source, mask, _) = build(score, focus, layers=2), example()
    for width in (1, 3):
        together = beam(model.step, *model.encode(source, mask)[::-1], Marks(1, 2), longest=7, width=width)
        for row, words in ((0, 5), (1, 3)):
            memory, state = model.encode(source[row : row + 1, :words], mask[row : row + 1, :words])
            (alone,) = beam(model.step, state, memory, Marks(1, 2), longest=7, width=width)
            assert alone.tokens == together[row].tokens
            assert_close(alone.weights, together[row].weights[:, :words])


def test_the_place_counts_the_words_said():
    model, (source, mask, given) = build(), example()
    states, _ = decode(model, source, mask, model.embed(given))
    assert [state.place.tolist() for state in states] == [[step, step] for step in range(T + 1)]
    assert all(isinstance(state, State) for state in states)
    assert all((one.layers - other.layers).abs().amax() > 1e-4 for one, other in pairwise(states))


@pytest.mark.parametrize("focus", FOCUSES)
def test_it_learns_three_sentences_by_heart(focus):
    torch.manual_seed(0)
    focuses = {**FOCUSES, "local-p": lambda: AroundAGuess(16, 2), "renormalised": lambda: AroundAGuess(16, 2, True)}
    model = Luong(SOURCE, TARGET, Dot(), focuses[focus](), width=WIDTH, hidden=16).double()
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


def test_bad_input_is_named():
    model, (source, mask, given) = build(), example()
    for focus in (AroundTheStep, lambda reach: AroundAGuess(3, reach)):
        with pytest.raises(ValueError, match="reach must be at least 1 word to each side, but is 0"):
            focus(0)
    for name in ("width", "hidden", "layers"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, but is 0"):
            build(**{name: 0})
    with pytest.raises(TypeCheckError, match="parameter 'mask'"):
        model.encode(source, mask[:, 1:])
    with pytest.raises(ValueError, match="given has no words"):
        model(source, mask, given[:, :0])
    with pytest.raises(ValueError, match=r"key has 10 rows, .* only 9 places"):
        build("location")(torch.full((1, 10), 4), torch.ones(1, 10, dtype=torch.bool), given[:1])


def test_a_guess_with_all_weight_on_one_word_is_taught_by_the_papers_form_alone():
    """Divided by its sum, a row with one word has the weight one wherever the guess is: no gradient reaches it."""
    state = torch.randn(1, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask, scores = torch.ones(1, 6, dtype=torch.bool), torch.tensor([[0, 0, 0, 200, 0, 0]]).double()
    for renormalised in (False, True):
        focus = AroundAGuess(3, 2, renormalised).double()
        focus.load_state_dict({"inner.weight": torch.eye(3).double(), "outer.weight": torch.full((1, 3), 0.5).double()})
        row = focus(scores, mask, state, torch.tensor([1]))[0]
        (found,) = torch.autograd.grad(row[3], focus.outer.weight)
        assert bool(found.abs().max() > 1e-6) != renormalised
        assert bool(row[3] == 1) == renormalised


def test_bahdanaus_look_knows_one_word_less():
    """The weights of step t have a gradient to y_{t-1} in Luong's order, and exactly none in Bahdanau's."""
    source, mask, given = example()
    torch.manual_seed(0)
    sizes = {"width": WIDTH, "hidden": HIDDEN, "annotation": 6, "score": 3, "maxout": 5}
    last_word = {}
    for model in (build(), Bahdanau(SOURCE, TARGET, **sizes).double()):
        words = model.embed(given).detach().requires_grad_()
        _, weights = decode(model, source, mask, words)
        (gradient,) = torch.autograd.grad(weights[2][:, 0].sum(), words)  # step 3; words[:, 2] is the last one
        last_word[type(model)] = bool(gradient[:, 2].ne(0).all())
        assert gradient[:, :2].abs().amax(dim=2).gt(0).all()
        assert gradient[:, 3:].eq(0).all()
    assert last_word == {Luong: True, Bahdanau: False}


def test_step_t_of_local_m_looks_around_word_t():
    model, (source, mask, given) = build(focus="local-m"), example()
    _, weights = decode(model, source, mask, model.embed(given))
    seen = [[place for place in range(1, 6) if row[0, place - 1] > 0] for row in weights]
    assert seen == [[1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5], [2, 3, 4, 5]]


def test_what_is_said_teaches_the_words_that_were_mixed():
    """The gradient reaches each value by its weight, not only the keys by the scores."""
    model, (source, mask, given) = build(), example()
    memory, state = model.encode(source, mask)
    value = memory.value.detach().requires_grad_()
    model.step(given[:, 0], state, memory._replace(value=value)).logits.sum().backward()
    assert value.grad[mask].abs().amax(dim=1).gt(0).all()
    assert value.grad[~mask].eq(0).all()
