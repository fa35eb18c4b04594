"""A decoder that points at its inputs, and one that copies words."""

import itertools
import math

import pytest
import torch
from jaxtyping import TypeCheckError
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from attention_src.data.handovers import handovers
from attention_src.data.hulls import Task
from attention_src.decoding import Decoded, Marks, beam, greedy
from attention_src.experiments import pointer_networks as experiment
from attention_src.pointer_networks import (
    CopyOnly,
    FixedDictionary,
    GenerateOnly,
    LookAround,
    PointerGenerator,
    PointerNetwork,
    ReadInOrder,
    hide,
    is_input,
    mix,
)
from attention_src.training import Plan, fit, word_loss

B, S, FEATURES, HIDDEN, POSITIONS = 2, 5, 3, 8, 7
VOCABULARY, UNKNOWN, WIDTH = 11, 3, 7
READERS = {
    "in order": lambda: ReadInOrder(FEATURES, HIDDEN),
    "around": lambda: LookAround(FEATURES, HIDDEN, heads=2, layers=2),
}


def build(reader="in order", fixed=False, seed=0):
    torch.manual_seed(seed)
    encoder = READERS[reader]()
    model = (
        FixedDictionary(FEATURES, encoder, HIDDEN, POSITIONS) if fixed else PointerNetwork(FEATURES, encoder, HIDDEN)
    )
    for parameter in (model.begin, model.end):  # they begin at zero; here they must be seen
        torch.nn.init.normal_(parameter)
    return model.double().eval()


def example():
    inputs = torch.randn(B, S, FEATURES, generator=torch.Generator().manual_seed(1)).double()
    mask = torch.tensor([[True] * S, [True, True, True, False, False]])
    return inputs, mask, torch.tensor([[0, 4, 1, 5], [0, 3, 2, 0]])


EVERY = [(reader, fixed) for reader in READERS for fixed in (False, True)]


# Pointing


def test_a_step_by_hand():
    """Scores log 3, 0 and log 2 for the mark and two inputs: 3/6, 1/6, 2/6. The second input is used: 3/4, 1/4."""
    model, (inputs, _, _) = build(), example()
    model.compare = lambda states, places: torch.tensor([3.0, 1.0, 2.0]).double().log().expand(1, 1, 3)
    places, state = model.encode(inputs[:1, :2], torch.ones(1, 2, dtype=torch.bool))
    said = model.step(torch.tensor([0]), state, places)
    assert_close(said.weights, torch.tensor([[3 / 6, 1 / 6, 2 / 6]]).double())
    said = model.step(torch.tensor([2]), said.state, places)
    assert_close(said.weights, torch.tensor([[3 / 4, 1 / 4, 0]]).double())
    assert_close(said.logits.softmax(dim=-1), said.weights)
    said = model.step(torch.tensor([1]), said.state, places)
    assert_close(said.weights, torch.tensor([[1.0, 0, 0]]).double())  # only the end is left


def test_a_step_is_the_formula_of_the_paper():
    """u_j = v^T tanh(W1 e_j + W2 d), place by place, and a softmax; the decoder has read the input pointed at."""
    model, (inputs, mask, _) = build(), example()
    places, state = model.encode(inputs[:1], mask[:1])
    read = model.encoder(inputs[:1], mask[:1])
    cell = torch.nn.LSTMCell(FEATURES, HIDDEN).double()
    cell.load_state_dict({name.removesuffix("_l0"): tensor for name, tensor in model.rnn.state_dict().items()})
    said = model.step(torch.tensor([0]), state, places)
    d, c = cell(model.begin[None], (read.hidden, read.cell))
    d, c = cell(inputs[:1, 3], (d, c))
    said = model.step(torch.tensor([4]), said.state, places)
    v, w1, w2 = model.score.out.weight[0], model.score.of_key.weight, model.score.of_query.weight
    states = [model.end, *read.states[0]]
    u = [v @ torch.tanh(w1 @ e + w2 @ d[0]) for e in states]
    u[4] = torch.tensor(-math.inf).double()  # used
    assert_close(said.weights[0], torch.stack(u).softmax(dim=0))


@pytest.mark.parametrize(("reader", "fixed"), EVERY)
def test_teacher_forcing_is_step_after_step(reader, fixed):
    model, (inputs, mask, given) = build(reader, fixed), example()
    places, state = model.encode(inputs, mask)
    logits = []
    for token in given.unbind(dim=1):
        said = model.step(token, state, places)
        state = said.state
        logits.append(said.logits)
    assert_close(model(inputs, mask, given), torch.stack(logits, dim=1))


@pytest.mark.parametrize(("reader", "fixed"), EVERY)
def test_what_is_used_or_padding_has_no_probability(reader, fixed):
    model, (inputs, mask, given) = build(reader, fixed), example()
    p = model(inputs, mask, given).softmax(dim=-1)
    assert_close(p.sum(dim=-1), torch.ones(B, 4).double())
    zero = p == 0
    assert zero[0].nonzero().tolist() == [[1, 4], [2, 1], [2, 4], [3, 1], [3, 4], [3, 5]]
    assert zero[1, :, 4:].all()
    assert zero[1, :, :4].nonzero().tolist() == [[1, 3], [2, 2], [2, 3], [3, 2], [3, 3]]


@pytest.mark.parametrize(("reader", "fixed"), EVERY)
def test_padding_changes_nothing(reader, fixed):
    model, (inputs, mask, given) = build(reader, fixed), example()
    more = torch.cat([inputs, torch.full((B, 2, FEATURES), 9.0).double()], dim=1)
    more[1, 3:] = -9.0
    wide = torch.cat([mask, torch.zeros(B, 2, dtype=torch.bool)], dim=1)
    found = model(more, wide, given)
    assert_close(found[..., : S + 1], model(inputs, mask, given))
    assert found.softmax(dim=-1)[..., S + 1 :].eq(0).all()


def test_the_order_free_pointer_moves_with_its_inputs():
    """Inputs in another order: the same probabilities, at the places to which the inputs went."""
    model, (inputs, mask, given) = build("around"), example()
    inputs, mask, given = inputs[:1], mask[:1], given[:1]
    before = model(inputs, mask, given)
    for order in ([4, 0, 3, 1, 2], [1, 0, 2, 3, 4]):
        place_of = torch.tensor([0] + [1 + order.index(old) for old in range(S)])  # where place p went
        after = model(inputs[:, order], mask, place_of[given])
        assert_close(after[..., place_of], before)


def test_reading_in_order_is_an_lstm_and_its_whole_state_goes_on():
    model, (inputs, mask, _) = build("in order"), example()
    _, state = model.encode(inputs, mask)
    for row, size in enumerate((5, 3)):
        states, (hidden, cell) = model.encoder.rnn(inputs[row : row + 1, :size])
        assert_close(state.hidden[row], hidden[0, 0])
        assert_close(state.cell[row], cell[0, 0])
        assert_close(model.encoder(inputs, mask).states[row, :size], states[0])


def test_looking_around_begins_with_the_mean():
    model, (inputs, mask, _) = build("around"), example()
    _, state = model.encode(inputs, mask)
    assert_close(state.hidden[1], torch.tanh(model.encoder(inputs, mask).states[1, :3].mean(dim=0)))
    assert state.cell.eq(0).all()


def test_an_lstm_and_a_fixed_dictionary_see_the_order():
    inputs, mask, _ = example()
    mark = torch.tensor([[0]])
    order = [1, 0, 2, 3, 4]
    swap = torch.tensor([0, 2, 1, 3, 4, 5])
    for model in (build("in order"), build("around", fixed=True)):
        before, after = (model(one, mask[:1], mark) for one in (inputs[:1], inputs[:1, order]))
        assert (after[..., swap] - before).abs().max() > 1e-3


def test_nothing_is_mixed_and_any_number_of_inputs_will_do():
    """The pointer has no parameter that depends on the number of inputs; the fixed dictionary has."""
    pointer, fixed = build(), build(fixed=True)
    inputs = torch.randn(1, 40, FEATURES).double()
    mask = torch.ones(1, 40, dtype=torch.bool)
    assert pointer(inputs, mask, torch.tensor([[0, 40]])).shape == (1, 2, 41)
    with pytest.raises(ValueError, match="inputs has 40 places, but this dictionary has the numbers 1 to 7"):
        fixed(inputs, mask, torch.tensor([[0, 40]]))
    assert set(dict(fixed.named_parameters())) - set(dict(pointer.named_parameters())) == {
        "readout.weight",
        "readout.bias",
    }


@pytest.mark.parametrize("reader", READERS)
def test_decoding_ends_and_repeats_nothing(reader):
    model, (inputs, mask, _) = build(reader), example()
    places, state = model.encode(inputs, mask)
    for one, size in zip(greedy(model.step, state, places, Marks(0, 0), longest=S + 1), (5, 3), strict=True):
        assert len(one.tokens) <= size
        assert len(set(one.tokens)) == len(one.tokens)
        assert all(1 <= token <= size for token in one.tokens)
        assert len(one.weights) == len(one.tokens) + 1  # the last step points at the mark


def test_all_answers_together_have_probability_one():
    """Three inputs: every way to point at different inputs and then at the mark, 16 in all."""
    model, (inputs, mask, _) = build("around"), example()
    inputs, mask = inputs[1:, :3], mask[1:, :3]
    total = 0.0
    for size in range(4):
        for answer in itertools.permutations([1, 2, 3], size):
            given, wanted = torch.tensor([[0, *answer]]), torch.tensor([[*answer, 0]])
            log_p = model(inputs, mask, given).log_softmax(dim=-1)
            total += float(log_p.gather(-1, wanted[..., None]).sum().exp().detach())
    assert total == pytest.approx(1)


@pytest.mark.parametrize("reader", READERS)
def test_gradients_reach_everything_and_are_finite(reader):
    model, (inputs, mask, given) = build(reader), example()
    wanted = torch.tensor([[4, 1, 5, 0], [3, 2, 0, 0]])
    word_loss(model(inputs, mask, given), wanted, torch.ones_like(given, dtype=torch.bool)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        if not name.endswith("of_key.bias"):  # a bias of keys moves all scores of a softmax alike
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("reader", READERS)
def test_it_learns_a_few_answers_by_heart(reader):
    torch.manual_seed(0)
    model = PointerNetwork(FEATURES, READERS[reader](), HIDDEN).double()
    inputs, mask, given = example()
    wanted = torch.tensor([[4, 1, 5, 0], [3, 2, 0, 0]])
    counts = torch.tensor([[True] * 4, [True] * 3 + [False]])
    fit(model, lambda m, _: word_loss(m(inputs, mask, given), wanted, counts), lambda step: None, Plan(80, 2e-2))
    assert word_loss(model(inputs, mask, given), wanted, counts) < 0.1


def test_helpers_by_hand():
    assert is_input(torch.tensor([[1], [0]]), 2).tolist() == [[[False, True]], [[False, False]]]
    hidden = hide(torch.tensor([1.0, 2.0]), torch.tensor([True, False]))
    assert_close(hidden.softmax(dim=-1), torch.tensor([1.0, 0.0]))


# Copying


def copier(kind=PointerGenerator, seed=0):
    torch.manual_seed(seed)
    return kind(VOCABULARY, UNKNOWN, WIDTH, HIDDEN).double().eval()


def sentences():
    """The second sentence has the new words 11 and 12, the first of them twice."""
    source = torch.tensor([[4, 5, 6, 7, 8], [11, 9, 12, 11, 0]])
    return source, source > 0, torch.tensor([[1, 4, 10], [1, 12, 11]])


def test_two_distributions_are_mixed_by_hand():
    """A third of the probability goes to the vocabulary; the word 3 stands at two places."""
    p = mix(
        torch.tensor([[0.5, 0.25, 0.25]]),
        torch.tensor([[0.25, 0.5, 0.25]]),
        torch.tensor([[3, 1, 3]]),
        torch.tensor([1 / 3]),
        torch.zeros(1, 1),
    )
    assert_close(p, torch.tensor([[1 / 6, 1 / 12 + 1 / 3, 1 / 12, 1 / 3]]))


def test_the_mixture_as_a_loop():
    random = torch.Generator().manual_seed(0)
    said, weights = (torch.rand(3, n, generator=random).softmax(dim=-1) for n in (5, 7))
    words, share = torch.randint(0, 7, (3, 7), generator=random), torch.rand(3, generator=random)
    found = mix(said, weights, words, share, torch.zeros(3, 2))
    for row in range(3):
        for word in range(7):
            wanted = float(share[row] * said[row, word]) if word < 5 else 0.0
            wanted += sum(float((1 - share[row]) * weights[row, j]) for j in range(7) if words[row, j] == word)
            assert float(found[row, word]) == pytest.approx(wanted)
    assert_close(found.sum(dim=1), torch.ones(3))


def test_a_step_says_a_distribution_over_known_and_new_words():
    model, (source, mask, _) = copier(), sentences()
    memory, state = model.encode(source, mask)
    said = model.step(torch.tensor([1, 1]), state, memory)
    p = said.logits.exp()
    assert p.shape == (B, VOCABULARY + 2)
    assert_close(p.sum(dim=1), torch.ones(B).double())
    assert p[0, 11:].max() < 1e-100  # the first sentence has no new words
    assert_close(p[1, 11], (1 - said.share[1]) * (said.weights[1, 0] + said.weights[1, 3]))
    assert_close(p[1, 12], (1 - said.share[1]) * said.weights[1, 2])
    assert said.weights[1, 4] == 0  # padding


def test_the_halves_are_the_ends_of_the_switch():
    source, mask, given = sentences()
    generate, copy = copier(GenerateOnly)(source, mask, given).exp(), copier(CopyOnly)(source, mask, given).exp()
    assert generate[..., VOCABULARY:].max() < 1e-100
    held = torch.zeros(B, VOCABULARY + 2).scatter(1, source, 1.0).bool()
    held[:, 0] = False
    assert copy.masked_fill(held[:, None], 0).max() < 1e-100
    for p in (generate, copy):
        assert_close(p.sum(dim=-1), torch.ones(B, 3).double())


def test_new_words_look_alike_to_the_network():
    """Two other new words, or the same in the other order: the weights do not change, what is said does."""
    model, (source, mask, given) = copier(), sentences()
    before = model(source, mask, given)
    swapped = torch.where(source == 11, 12, torch.where(source == 12, 11, source))
    after = model(swapped, mask, torch.where(given == 12, 11, given))
    assert_close(after[1, :, [0, 11, 12]], before[1, :, [0, 12, 11]])
    assert (before[1, :, 11] - before[1, :, 12]).abs().max() > 1e-3


def test_padding_does_not_change_what_is_said():
    model, (source, mask, given) = copier(), sentences()
    wide = torch.cat([source, torch.full((B, 2), 12)], dim=1)
    wide_mask = torch.cat([mask, torch.zeros(B, 2, dtype=torch.bool)], dim=1)
    assert_close(model(wide, wide_mask, given), model(source, mask, given))


def test_a_search_can_use_it():
    model, (source, mask, _) = copier(), sentences()
    memory, state = model.encode(source, mask)
    for one in beam(model.step, state, memory, Marks(1, 2), longest=4, width=3):
        assert 0 <= len(one.tokens) <= 4
        assert all(0 <= token < VOCABULARY + 2 for token in one.tokens)


def test_the_translator_learns_to_copy_a_word_it_has_never_seen():
    torch.manual_seed(0)
    model = PointerGenerator(VOCABULARY, UNKNOWN, WIDTH, 16).double()
    source = torch.tensor([[4, 11, 5], [6, 11, 5]])
    given, wanted = torch.tensor([[1, 7], [1, 8]]), torch.tensor([[7, 11], [8, 11]])
    everything = torch.ones_like(wanted, dtype=torch.bool)
    fit(
        model,
        lambda m, _: word_loss(m(source, source > 0, given), wanted, everything),
        lambda step: None,
        Plan(120, 2e-2),
    )
    assert cross_entropy(model(source, source > 0, given).flatten(0, 1), wanted.flatten()) < 0.05
    other = torch.where(source == 11, 12, source)  # a word with a number that never came
    assert model(other, source > 0, given).argmax(dim=-1).tolist() == [[7, 12], [8, 12]]


# What the experiment counts


def test_an_answer_is_right_place_by_place():
    square = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]]).expand(4, -1, -1)
    truth = torch.tensor([[1, 3, 2, 4, 0, 0]]).expand(4, -1)
    task = Task(square, truth, torch.tensor([[True] * 5 + [False]]).expand(4, -1))
    found = [Decoded(tokens, 0.0, None) for tokens in ([1, 3, 2, 4], [1, 3, 2], [3, 2, 4, 1], [1, 2, 3, 4])]
    assert experiment.right(found, task) == [True, False, False, False]
    assert experiment.shares_covered(found, task) == [1.0, 0.5, 1.0, None]


def test_another_order_of_the_inputs():
    """An untrained pointer: alike for every set where it looks around, and not where it reads in order."""
    task = experiment.fresh_rows("hull", 0, 7)
    task = Task(*(part[:20] for part in task))
    for reader, alike in (("around", True), ("in_order", False)):
        torch.manual_seed(1)
        model = experiment.new_pointer("hull", reader).double()
        with torch.no_grad():
            model.score.out.weight.mul_(20)  # the weights of a new network are nearly equal
        doubled = task._replace(inputs=task.inputs.double())
        assert (experiment.shuffled_alike(model, doubled, seed=3) == 1.0) == alike
        assert sum(parameter.numel() for parameter in model.parameters()) < 150_000


def test_training_and_test_rows_are_of_the_sizes_that_are_said():
    sizes = {experiment.batch_of("sort", 0, step).inputs.shape[1] for step in range(60)}
    assert sizes == set(range(5, 11))
    assert experiment.fresh_rows("sort", 0, 15).inputs.shape[1] == 15


def test_the_switch_is_averaged_over_names_and_over_words():
    """A switch that looks at nothing but the word before: shut after "bekommt", and open elsewhere."""
    pairs = handovers(5, 0, new=1.0, clauses=[1])
    model = experiment.new_copier("both").eval()
    bekommt = experiment.WORDS.encode(["bekommt"])[0]
    with torch.no_grad():
        model.switch.weight.zero_()
        model.switch.bias.fill_(50.0)
        model.switch.weight[0, -1] = -1000.0
        model.embed.weight.zero_()
        model.embed.weight[bekommt, -1] = 1.0
    found = experiment.switches(model, pairs)
    assert found["names"] == pytest.approx(1)
    assert found["others"] == pytest.approx(
        5 / 6
    )  # three words, noun, von and the end mark; one of them comes after it


# What is refused


def test_bad_input_is_named():
    model, (inputs, mask, given) = build(), example()
    with pytest.raises(ValueError, match="given must hold the mark 0 and places from 1 to 5, but holds 6"):
        model(inputs, mask, given + 1)
    with pytest.raises(ValueError, match="given must hold the mark 0 and places from 1 to 5, but holds nothing"):
        model(inputs, mask, given[:, :0])
    with pytest.raises(ValueError, match="mask row 1 is all False"):
        model(inputs, mask & torch.tensor([[True], [False]]), given)
    with pytest.raises(ValueError, match="mask row 0 is all False"):
        build("around")(inputs, mask & torch.tensor([[False], [True]]), given)
    with pytest.raises(TypeCheckError, match="parameter 'mask'"):
        model(inputs, mask[:, 1:], given)
    with pytest.raises(ValueError, match="positions must be at least 1, but is 0"):
        FixedDictionary(FEATURES, ReadInOrder(FEATURES, HIDDEN), HIDDEN, 0)
    with pytest.raises(ValueError, match="layers must be at least 1, but is 0"):
        LookAround(FEATURES, HIDDEN, heads=2, layers=0)
    with pytest.raises(ValueError, match="hidden must be at least 1, but is 0"):
        PointerGenerator(VOCABULARY, UNKNOWN, WIDTH, 0)
