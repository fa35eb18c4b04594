"""Soft look-up and its limit, writing by attention, kernel regression, and a reader."""

import math
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention
from torch.testing import assert_close

from attention_src.attention import attend
from attention_src.bahdanau import Bahdanau
from attention_src.data.passages import passages
from attention_src.exercises.query_key_value import answered_twice
from attention_src.query_key_value import Distance, KernelRegression, Reader, SoftDictionary, ask, write
from attention_src.scores import Additive, Bilinear, Cosine, Dot, ScaledDot


def draw(*shape, seed=0):
    """Random numbers of a shape, in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def doubles(rows):
    """Rows of numbers as a tensor of float64."""
    return torch.tensor(rows, dtype=torch.float64)


# --- ask -------------------------------------------------------------------------------------------------------------


def test_ask_by_hand():  # scores log 3 and 0 give weights 3/4 and 1/4
    context, weights = ask(Dot(), doubles([[1.0]]), doubles([[math.log(3)], [0.0]]), doubles([[8.0], [4.0]]))
    assert_close(weights, doubles([[0.75, 0.25]]))
    assert_close(context, doubles([[7.0]]))


def test_ask_with_scaled_dots_is_pytorchs_attention():
    query, key, value = draw(2, 3, 7), draw(2, 5, 7, seed=1), draw(2, 5, 11, seed=2)
    mask = draw(2, 3, 5, seed=3) > -0.5
    mask[..., 0] = True
    context, _ = ask(ScaledDot(), query, key, value, mask)
    assert_close(context, scaled_dot_product_attention(query, key, value, attn_mask=mask))


def test_pairs_belong_together():
    """Moving the pairs changes nothing; moving the values alone does."""
    query, key, value, other = draw(2, 3), draw(5, 3, seed=1), draw(5, 7, seed=2), [3, 0, 4, 1, 2]
    context, weights = ask(Dot(), query, key, value)
    moved, moved_weights = ask(Dot(), query, key[other], value[other])
    assert_close(moved, context)
    assert_close(moved_weights, weights[:, other])
    assert not torch.allclose(ask(Dot(), query, key, value[other])[0], context)


# --- the distance ----------------------------------------------------------------------------------------------------


def test_distance_by_hand():  # 1² + 2² = 5
    scores = Distance()(doubles([[1.0, 0.0], [3.0, 1.0]]), doubles([[1.0, 0.0], [2.0, 2.0], [3.0, 1.0]]))
    assert_close(scores, doubles([[0, -5, -5], [-5, -2, 0]]))


def test_distance_is_minus_cdist_squared():
    query, key = draw(2, 1, 3, 7), draw(5, 11, 7, seed=1)
    assert_close(Distance()(query, key), -torch.cdist(query, key).square())


def test_distance_has_gradients_where_vectors_are_equal():
    query = draw(2, 3).requires_grad_()
    key = query.detach().clone().requires_grad_()
    Distance()(query, key).sum().backward()
    assert query.grad.isfinite().all()
    torch.autograd.gradcheck(Distance(), (draw(2, 3).requires_grad_(), draw(5, 3, seed=1).requires_grad_()))


def test_distance_refuses_two_widths():
    with pytest.raises(ValueError, match="query and key must be equally wide to be multiplied, but are 3 and 2"):
        Distance()(draw(5, 3), draw(7, 2))


# --- the soft dictionary ---------------------------------------------------------------------------------------------

KEY, VALUE = [[1.0, 0.0], [3.0, 1.0]], [[10.0], [20.0]]  # the case by hand
QUERY = [[1.0, 0.0]]


def small(score):
    """The dictionary of the case by hand."""
    return SoftDictionary(doubles(KEY), doubles(VALUE), score)


def test_look_up_by_hand():
    """Scores 1 and 3: weights 1 / (1 + e²) and e² / (1 + e²). With distances 0 and -5: the other way."""
    second = math.exp(2) / (1 + math.exp(2))
    answer, weights = small(Dot()).look_up(doubles(QUERY))
    assert_close(weights, doubles([[1 - second, second]]))
    assert_close(answer, doubles([[10 + 10 * second]]))
    near = math.exp(-5) / (1 + math.exp(-5))
    assert_close(small(Distance()).look_up(doubles(QUERY))[1], doubles([[1 - near, near]]))


def test_a_dictionary_of_two_equal_scores_gives_the_mean():
    answer, weights = small(Dot()).look_up(doubles([[1.0, -2.0]]))  # scores 1 and 1
    assert_close(weights, doubles([[0.5, 0.5]]))
    assert_close(answer, doubles([[15.0]]))


def test_look_up_is_a_plain_loop():
    key, value, query = draw(5, 3), draw(5, 2, seed=1), draw(7, 3, seed=2)
    answer, weights = SoftDictionary(key, value, Dot()).look_up(query, 0.7)
    for row, asked in enumerate(query.numpy()):
        raised = np.exp([np.dot(asked, k) / 0.7 for k in key.numpy()])
        np.testing.assert_allclose(weights[row], raised / raised.sum())
        np.testing.assert_allclose(answer[row], raised @ value.numpy() / raised.sum())


def test_temperature_zero_gives_the_best_value_and_ties_average():
    key = doubles([[2.0, 0.0], [0.0, 2.0], [2.0, 2.0], [2.0, -2.0]])
    value = doubles([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
    answer, weights = SoftDictionary(key, value, Dot()).look_up(doubles([[0.0, 1.0], [0.0, -1.0], [0.0, 0.0]]), 0)
    assert_close(weights, doubles([[0, 0.5, 0.5, 0], [0, 0, 0, 1], [0.25] * 4]))
    assert_close(answer, doubles([[3.0, 30.0], [8.0, 80.0], [3.75, 37.5]]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-50, 1e-310])
def test_a_tiny_temperature_is_the_limit_and_never_nan(dtype, temperature):
    book = SoftDictionary(draw(11, 3).to(dtype), draw(11, 2, seed=1).to(dtype), Dot())
    query = draw(7, 3, seed=2).to(dtype)
    assert_close(book.look_up(query, temperature), book.look_up(query, 0), rtol=0, atol=1e-6)


def test_a_huge_temperature_is_the_mean():
    book = SoftDictionary(draw(11, 3), draw(11, 2, seed=1), Dot())
    answer, _ = book.look_up(draw(5, 3, seed=2), 1e9)
    assert_close(answer, book.value.mean(dim=0).expand(5, -1), rtol=0, atol=1e-7)


@given(
    st.integers(1, 7),
    st.integers(1, 5),
    st.integers(0, 1000),
    st.sampled_from([0.01, 0.1, 0.5, 2.0]),
    st.sampled_from([Dot(), Cosine(), Distance()]),
)
def test_the_distance_to_the_limit_has_a_bound(keys, width, seed, temperature, score):
    """|answer - best value| <= (k - 1) exp(-lead / T) times the largest difference of values: the page's theorem."""
    book = SoftDictionary(draw(keys, width, seed=seed), draw(keys, 3, seed=seed + 1), score)
    query = draw(1, width, seed=seed + 2)
    scores = score(query, book.key)[0].sort(descending=True).values
    limit, soft = book.look_up(query, 0)[0], book.look_up(query, temperature)[0]
    if keys > 1 and scores[0] - scores[1] > 1e-9:
        lead = float(scores[0] - scores[1])
        widest = float((book.value - limit).norm(dim=-1).max())
        assert float((soft - limit).norm()) <= (keys - 1) * math.exp(-lead / temperature) * widest + 1e-12


def test_gradients_reach_keys_values_and_query_but_not_at_temperature_zero():
    key, value, query = draw(5, 3).requires_grad_(), draw(5, 2).requires_grad_(), draw(1, 3, seed=1).requires_grad_()

    def answer(query, key, value, temperature=0.5):
        return SoftDictionary(key, value, Dot()).look_up(query, temperature)[0]

    torch.autograd.gradcheck(answer, (query, key, value))
    gradients = torch.autograd.grad(answer(query, key, value, 0).sum(), (query, key, value), materialize_grads=True)
    assert gradients[0].eq(0).all()
    assert gradients[1].eq(0).all()
    assert gradients[2].ne(0).any()


# --- who wins: theorems, and a counterexample without each condition --------------------------------------------------


def winners(score, key):
    """For each key, whether it alone has the best score when it is itself the query."""
    scores = score(key, key)
    own = scores.diagonal()
    others = scores.masked_fill(torch.eye(len(key), dtype=torch.bool), -torch.inf).amax(dim=-1)
    return own > others


@pytest.mark.parametrize("width", [1, 2, 7])
def test_with_distances_a_key_finds_itself(width):
    assert winners(Distance(), draw(11, width)).all()


def test_with_distances_equal_keys_share():
    """Without the condition that the keys differ: two equal keys tie, and their values are averaged."""
    book = SoftDictionary(doubles([[1, 2], [3, 4], [1, 2]]), doubles([[1], [2], [5]]), Distance())
    answer, weights = book.look_up(doubles([[1, 2]]), 0)
    assert_close(weights, doubles([[0.5, 0, 0.5]]))
    assert_close(answer, doubles([[3]]))


@pytest.mark.parametrize("width", [2, 3, 7])
def test_with_cosines_a_key_finds_itself_if_directions_differ(width):
    assert winners(Cosine(), draw(11, width)).all()


def test_with_cosines_one_direction_is_one_key():
    """Without the condition that directions differ: k and 2k have the same cosine."""
    scores = Cosine()(doubles([[3, 4]]), doubles([[3, 4], [6, 8]]))
    assert_close(scores, doubles([[1, 1]]))
    assert not winners(Cosine(), doubles([[3, 4], [6, 8]])).any()


def test_with_cosines_a_key_of_length_zero_does_not_find_itself():
    assert not winners(Cosine(), doubles([[0, 0], [1, 2]]))[0]


def test_with_dot_products_another_key_may_win():
    """The claim's own example: keys (1, 0) and (3, 1), query (1, 0)."""
    answer, weights = small(Dot()).look_up(doubles(QUERY), 0)
    assert_close(weights, doubles([[0, 1]]))
    assert_close(answer, doubles([[20]]))
    assert winners(Dot(), doubles(KEY)).tolist() == [False, True]
    assert small(Distance()).look_up(doubles(QUERY), 0)[0].item() == 10
    assert small(Cosine()).look_up(doubles(QUERY), 0)[0].item() == 10


def test_with_dot_products_and_equal_lengths_a_key_finds_itself():
    key = draw(11, 3)
    assert winners(Dot(), key / key.norm(dim=-1, keepdim=True)).all()
    assert not winners(Dot(), key).all()  # without the condition


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_on_keys_of_equal_length_three_scores_give_one_distribution(temperature):
    """With lengths 1: -|q - k|² = 2 q·k - 2, so distance at 2T is the dot product at T, and so is the cosine."""
    key, query, value = draw(11, 3), draw(5, 3, seed=1), draw(11, 2, seed=2)
    key, query = key / key.norm(dim=-1, keepdim=True), query / query.norm(dim=-1, keepdim=True)
    found = [
        SoftDictionary(key, value, score).look_up(query, times * temperature)
        for score, times in ((Dot(), 1), (Cosine(), 1), (Distance(), 2))
    ]
    assert_close(found[1], found[0])
    assert_close(found[2], found[0])


# --- refusals --------------------------------------------------------------------------------------------------------


def test_as_many_values_as_keys():
    with pytest.raises(ValueError, match="value must have one row for each of the 5 keys, but has 3"):
        SoftDictionary(draw(5, 2), draw(3, 7), Dot())
    assert len(SoftDictionary(draw(5, 2), draw(5, 7), Dot())) == 5


def test_an_empty_dictionary_is_refused():
    with pytest.raises(ValueError, match="key has no rows"):
        SoftDictionary(draw(0, 2), draw(0, 7), Dot())


@pytest.mark.parametrize("temperature", [-1.0, math.nan, math.inf])
def test_a_wrong_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be 0 or a positive number, but is"):
        small(Dot()).look_up(doubles(QUERY), temperature)


# --- writing ---------------------------------------------------------------------------------------------------------


def test_write_by_hand():
    """Weights 1/4 and 3/4, forget all of the first number and keep the second."""
    memory = write(doubles([[8, 8], [4, 4]]), doubles([0.25, 0.75]), doubles([1, 0]), doubles([2, 1]))
    assert_close(memory, doubles([[8 * 0.75 + 0.5, 8.25], [4 * 0.25 + 1.5, 4.75]]))


def test_a_one_hot_weight_is_an_ordinary_write():
    memory = draw(5, 3)
    before = memory.clone()
    new = draw(3, seed=1)
    after = write(memory, doubles([0, 0, 1, 0, 0]), torch.ones(3).double(), new)
    assert torch.equal(after[2], new)
    assert torch.equal(after[[0, 1, 3, 4]], memory[[0, 1, 3, 4]])
    assert torch.equal(memory, before)  # nothing is written to what was given


def test_weight_zero_and_nothing_to_write_change_nothing():
    memory, zero, one = draw(5, 3), torch.zeros(3).double(), torch.ones(3).double()
    assert torch.equal(write(memory, torch.zeros(5).double(), one, draw(3, seed=1)), memory)
    assert torch.equal(write(memory, draw(5).softmax(0), zero, zero), memory)


def test_erasing_can_be_done_in_any_order_but_writing_cannot():
    memory, one, zero = draw(5, 3), torch.ones(3).double(), torch.zeros(3).double()
    first, second = draw(5, seed=1).softmax(0), draw(5, seed=2).softmax(0)
    erased = write(write(memory, first, one, zero), second, one, zero)
    assert_close(write(write(memory, second, one, zero), first, one, zero), erased)
    new = draw(3, seed=3)
    written = write(write(memory, first, one, new), second, one, -new)
    assert not torch.allclose(write(write(memory, second, one, -new), first, one, new), written)


def test_a_dictionary_is_written_where_it_would_be_read():
    book = SoftDictionary(draw(5, 3), draw(5, 2, seed=1), Distance())
    query, new = book.key[3:4], doubles([7.0, -7.0])
    after = book.write(query, torch.ones(2).double(), new, temperature=0)
    assert_close(after.look_up(query, 0)[0][0], new)
    assert torch.equal(after.value[[0, 1, 2, 4]], book.value[[0, 1, 2, 4]])
    assert torch.equal(after.key, book.key)
    soft = book.write(query, torch.ones(2).double(), new, temperature=1.0)
    weights = book.look_up(query, 1.0)[1][0]
    assert_close(soft.value, book.value + weights[:, None] * (new - book.value))  # each row goes part of the way


def test_what_is_erased_must_be_a_share():
    for erase in (doubles([0.5, 1.5]), doubles([-0.1, 0.5]), doubles([math.nan, 0.5])):
        with pytest.raises(ValueError, match="erase must lie between 0 and 1, but goes from"):
            write(draw(3, 2), torch.ones(3).double() / 3, erase, draw(2))


# --- kernel regression -----------------------------------------------------------------------------------------------


def test_kernel_regression_by_hand():
    """Places 0 and 2, asked at 0.5 with width 1: e^(-1/8) and e^(-9/8), a ratio of e."""
    model = KernelRegression(1).double()
    found, weights = model(doubles([[0.5]]), doubles([[0.0], [2.0]]), doubles([[3.0], [1.0]]))
    share = math.e / (1 + math.e)
    assert_close(weights.detach(), doubles([[share, 1 - share]]))
    assert_close(found.detach(), doubles([[1 + 2 * share]]))


@pytest.mark.parametrize("width", [0.3, 1.7])
def test_kernel_regression_is_nadaraya_and_watsons_formula(width):
    place, seen, said = draw(5, 2), draw(7, 2, seed=1), draw(7, 3, seed=2)
    found = KernelRegression(2, width).double()(place, seen, said)[0].detach().numpy()
    for row, x in enumerate(place.numpy()):
        kernel = [math.exp(-((x - one) ** 2).sum() / (2 * width**2)) for one in seen.numpy()]
        np.testing.assert_allclose(found[row], np.array(kernel) @ said.numpy() / sum(kernel), rtol=1e-6)


def test_kernel_regression_is_a_soft_dictionary_at_temperature_two_width_squared():
    place, seen, said = draw(5, 2), draw(7, 2, seed=1), draw(7, 3, seed=2)
    book = SoftDictionary(seen, said, Distance())
    found = KernelRegression(2, width=0.5).double()(place, seen, said)
    assert_close(found, book.look_up(place, 2 * 0.5**2), rtol=1e-6, atol=1e-7)


def test_a_small_width_is_the_nearest_neighbour_and_a_large_one_the_mean():
    place, seen, said = draw(5, 2), draw(7, 2, seed=1), draw(7, 3, seed=2)
    nearest = torch.cdist(place, seen).argmin(dim=1)
    assert_close(KernelRegression(2, 1e-3).double()(place, seen, said)[0].detach(), said[nearest])
    mean = said.mean(dim=0).expand(5, -1)
    assert_close(KernelRegression(2, 1e4).double()(place, seen, said)[0].detach(), mean, rtol=0, atol=1e-6)


def test_the_answer_lies_between_the_smallest_and_the_largest_value():
    found = KernelRegression(1, 0.2).double()(10 * draw(50, 1), draw(7, 1, seed=1), draw(7, 1, seed=2))[0]
    said = draw(7, 1, seed=2)
    assert said.min() <= found.min() <= found.max() <= said.max()


def test_a_mask_leaves_a_place_out():
    seen, said = draw(7, 2), draw(7, 3, seed=1)
    others = ~torch.eye(7, dtype=torch.bool)
    found, weights = KernelRegression(2).double()(seen, seen, said, others)
    assert weights.diagonal().eq(0).all()
    alone = KernelRegression(2).double()(seen[:1], seen[1:], said[1:])[0]
    assert_close(found[:1], alone)


def test_the_matrix_decides_what_is_near():
    model = KernelRegression(3, mapped=2).double()
    model.to_key.weight.data = doubles([[1, 0, 0], [0, 2, 0]])
    place, seen, said = draw(5, 3), draw(7, 3, seed=1), draw(7, 1, seed=2)
    found = model(place, seen, said)[0]
    place[:, 2] += 100  # a number that the matrix leaves out
    assert_close(model(place, seen, said)[0], found)
    stretched = place[:, :2] * doubles([1, 2]), seen[:, :2] * doubles([1, 2])
    assert_close(KernelRegression(2).double()(*stretched, said)[0], found)
    assert sum(p.numel() for p in model.parameters()) == 7


def test_width_and_matrix_learn():
    model = KernelRegression(3, mapped=2).double()
    model(draw(5, 3), draw(7, 3, seed=1), draw(7, 1, seed=2))[0].square().sum().backward()
    assert all(parameter.grad.ne(0).any() for parameter in model.parameters())


@pytest.mark.parametrize("width", [0.0, -1.0, math.inf, math.nan])
def test_a_wrong_width_is_refused(width):
    with pytest.raises(ValueError, match="width must be a positive number, but is"):
        KernelRegression(1, width)


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="mapped must be at least 1, but is 0"):
        KernelRegression(3, mapped=0)
    with pytest.raises(ValueError, match="hidden must be at least 1, but is 0"):
        Reader(11, 5, hidden=0)


# --- Bahdanau's look -------------------------------------------------------------------------------------------------


def test_bahdanaus_context_is_asked_for():
    """Query s_{i-1}; what is compared is the prepared annotation, what is mixed the annotation itself."""
    torch.manual_seed(0)
    model = Bahdanau(11, 13, width=2, hidden=3, annotation=6, score=5, maxout=7).double()
    source = torch.tensor([[5, 7, 4, 9], [6, 10, 0, 0]])
    memory, state = model.encode(source, source > 0)
    for token in (1, 4, 8):
        step = model.step(torch.tensor([token, token]), state, memory)
        context, weights = ask(model.score, state[:, None], memory.value, memory.value, memory.mask[:, None])
        assert torch.equal(context[:, 0], model.look(state, memory)[0])
        assert torch.equal(weights[:, 0], step.weights)
        assert step.weights[1, 2:].eq(0).all()
        state = step.state
    assert_close(model.score.prepare(memory.value), memory.key)


def test_with_the_state_after_the_step_it_is_another_context():
    torch.manual_seed(0)
    model = Bahdanau(11, 13, width=2, hidden=3, annotation=6, score=5, maxout=7).double()
    source = torch.tensor([[5, 7, 4, 9]])
    memory, state = model.encode(source, source > 0)
    after = model.step(torch.tensor([4]), state, memory).state
    wrong = ask(model.score, after[:, None], memory.value, memory.value)[0]
    assert not torch.allclose(wrong[:, 0], model.look(state, memory)[0], atol=1e-6)


@pytest.mark.parametrize("score", [Additive(3, 2, 7), Bilinear(3, 2)])
def test_ask_does_not_care_who_asks(score):
    query, key, value = draw(5, 3), draw(7, 2, seed=1), draw(7, 11, seed=2)
    assert_close(ask(score.double(), query, key, value), attend(score(query, key), value))


# --- the reader ------------------------------------------------------------------------------------------------------


def reader(**changes):
    """A small reader with sizes that all differ."""
    torch.manual_seed(0)
    return Reader(**{"words": 13, "answers": 5, "width": 3, "hidden": 2, **changes}).double()


def passage():
    """Two passages and questions, the second ones padded."""
    words = torch.tensor([[4, 5, 6, 7, 8, 9, 10], [11, 12, 4, 5, 0, 0, 0]])
    asked = torch.tensor([[6, 7, 4], [9, 5, 0]])
    return words, words > 0, asked, asked > 0


def test_the_reader_asks_the_passage_with_the_question():
    model = reader()
    words, mask, asked, asked_mask = passage()
    logits, weights = model(words, mask, asked, asked_mask)
    assert logits.shape == (2, 5)
    assert weights.shape == (2, 7)
    states, query = model.encoder(words, mask)[0], model.encoder(asked, asked_mask)[1]
    context, expected = ask(model.score, query[:, None], states, states, mask[:, None])
    assert_close(weights, expected[:, 0])
    both = torch.cat([context[:, 0], query, context[:, 0] * query], dim=-1)
    assert_close(logits, model.answer(both))
    assert_close(model.find(states, mask, asked, asked_mask), (logits, weights))


def test_training_starts_from_the_dot_product():
    assert torch.equal(reader().score.of_key.weight.detach(), torch.eye(2).double())


def test_another_question_looks_elsewhere_and_padding_changes_nothing():
    model = reader()
    words, mask, asked, asked_mask = passage()
    logits, weights = model(words, mask, asked, asked_mask)
    assert weights[1, 4:].eq(0).all()
    assert_close(weights.sum(dim=1), torch.ones(2).double())
    alone = model(words[1:, :4], mask[1:, :4], asked[1:, :2], asked_mask[1:, :2])
    assert_close(alone[0], logits[1:])
    other = asked.clone()
    other[0, 0] = 11
    assert not torch.allclose(model(words, mask, other, asked_mask)[1][0], weights[0], atol=1e-6)


def test_without_looking_every_word_weighs_the_same():
    model = reader(looks=False)
    logits, weights = model(*passage())
    assert_close(weights, doubles([[1 / 7] * 7, [0.25] * 4 + [0] * 3]))
    logits.sum().backward()
    assert model.score.of_key.weight.grad is None


def test_every_part_of_the_reader_learns():
    model = reader()
    model(*passage())[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.ne(0).any(), name


def test_one_answer_judges_one_option():
    assert reader(answers=1)(*passage())[0].shape == (2, 1)


def test_a_passage_that_answers_twice():
    for one in passages(50, seed=0):
        earlier, later = answered_twice(one, Random(1))
        assert earlier.facts == later.facts
        assert len(earlier.facts) == len(one.facts)
        assert earlier.gold < later.gold
        assert earlier.question == later.question == one.question
        assert one.answer in {earlier.answer, later.answer}
        assert earlier.answer != later.answer


def test_a_passage_that_answers_twice():
    for one in passages(50, seed=0):
        earlier, later = answered_twice(one, Random(1))
        assert earlier.facts == later.facts
        assert len(earlier.facts) == len(one.facts)
        assert earlier.gold < later.gold
        assert earlier.question == later.question == one.question
        assert one.answer in {earlier.answer, later.answer}
        assert earlier.answer != later.answer
