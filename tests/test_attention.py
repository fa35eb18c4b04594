import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch.autograd import gradcheck
from torch.nn.functional import scaled_dot_product_attention
from torch.testing import assert_close

from attention_src.attention import attend, causal_mask, padding_mask, weigh

B, Q, K, V = 2, 3, 5, 7  # all different: a swapped axis cannot pass unnoticed


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def draw_mask(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.6


def test_two_keys_by_hand():  # scores log 3 and log 1 give weights 3/4 and 1/4
    context, weights = attend(torch.tensor([[3.0, 1.0]]).log(), torch.tensor([[8.0], [4.0]]))
    assert_close((weights, context), (torch.tensor([[0.75, 0.25]]), torch.tensor([[7.0]])))


def test_a_forbidden_key_by_hand():  # the best key is forbidden: the others share what is left, 2 to 1
    weights = weigh(torch.tensor([[9.0, 2.0, 1.0]]).log(), torch.tensor([[False, True, True]]))
    assert_close(weights, torch.tensor([[0.0, 2 / 3, 1 / 3]]))


def test_three_vectors_by_hand():  # the case of the chapter: the vectors are keys and values at once
    x, query = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 1.0]]), torch.tensor([[1.0, 1.0]])
    context, weights = attend(query @ x.T, x)
    e = torch.e
    assert_close(weights, torch.tensor([[e * e, e, 1.0]]) / (e * e + e + 1))
    assert_close(context, torch.tensor([[2 * e * e - 1, e + 1]]) / (e * e + e + 1))


def test_padding_by_hand():
    yes, no = True, False
    expected = [[[yes, yes, no, no]], [[no, no, no, no]], [[yes, yes, yes, yes]]]
    assert padding_mask(torch.tensor([2, 0, 4]), 4).tolist() == expected
    assert padding_mask(torch.tensor(1), 3).tolist() == [[yes, no, no]]
    assert padding_mask(torch.tensor([[2, 1, 0], [0, 1, 2]]), 2).shape == (2, 3, 1, 2)


def test_no_look_ahead_by_hand():
    yes, no = True, False
    assert causal_mask(3).tolist() == [[yes, no, no], [yes, yes, no], [yes, yes, yes]]
    assert causal_mask(0).shape == (0, 0)


def test_agrees_with_pytorch():
    query, key, value, mask = draw(B, Q, 4), draw(B, K, 4, seed=1), draw(B, K, V, seed=2), draw_mask(B, Q, K)
    mask[..., 0] = True  # what PyTorch gives for an empty row changed with its versions; ours is tested below
    context, _ = attend(query @ key.mT / 4**0.5, value, mask)
    assert_close(context, scaled_dot_product_attention(query, key, value, mask))


def test_causal_attention_is_pytorchs():
    query, key, value = draw(B, K, 4), draw(B, K, 4, seed=1), draw(B, K, V, seed=2)
    context, _ = attend(query @ key.mT / 4**0.5, value, causal_mask(K))
    assert_close(context, scaled_dot_product_attention(query, key, value, is_causal=True))


def test_is_three_stages_in_a_plain_loop():
    """Compare, weigh, mix: for each query, numbers in lists and no tensor operation."""
    query, key, value, mask = draw(Q, 4), draw(K, 4, seed=1), draw(K, V, seed=2), draw_mask(Q, K)
    context, weights = attend(query @ key.T, value, mask)
    for i in range(Q):
        scores = [sum(a * b for a, b in zip(query[i].tolist(), key[j].tolist(), strict=True)) for j in range(K)]
        raised = [math.exp(scores[j]) if mask[i, j] else 0.0 for j in range(K)]
        shares = [one / sum(raised) for one in raised]
        mixed = [sum(shares[j] * float(value[j, c]) for j in range(K)) for c in range(V)]
        assert_close(weights[i].tolist(), shares)
        assert_close(context[i].tolist(), mixed)


def test_the_context_is_the_expectation_of_a_random_choice():
    """All ways to choose a place for each query, weighed by their probability."""
    weights, value = weigh(draw(1, K)), draw(K, V, seed=1)
    expected = sum(weights[0, z] * value[z] for z in range(K))
    assert_close(attend(draw(1, K), value)[0][0], expected)


def test_gradients_are_right():
    scores, value = draw(B, Q, K).requires_grad_(), draw(B, K, V, seed=1).requires_grad_()
    assert gradcheck(lambda s, v: attend(s, v, draw_mask(B, Q, K))[0], (scores, value))


def test_gradients_are_right_down_to_the_query():  # so all three stages can be learned from the output alone
    query, key, value = (draw(*shape).requires_grad_() for shape in ((B, Q, 4), (B, K, 4), (B, K, V)))
    assert gradcheck(lambda q, k, v: attend(q @ k.mT / 2, v, draw_mask(B, Q, K))[0], (query, key, value))


def test_the_jacobian_of_the_softmax_is_as_the_chapter_says():
    """d alpha_i / d e_j = alpha_i (delta_ij - alpha_j); with a mask, rows and columns of hidden keys are zero."""
    for mask in (None, torch.tensor([[True, True, False, True, True]])):
        scores = draw(1, K)
        jacobian = torch.autograd.functional.jacobian(lambda s, m=mask: weigh(s, m)[0], scores)[:, 0]
        alpha = weigh(scores, mask)[0]
        assert_close(jacobian, alpha.diag() - alpha[:, None] * alpha)
        assert_close(jacobian.sum(dim=1), torch.zeros(K, dtype=torch.float64))  # a shift of all scores changes nothing


def test_a_weight_depends_on_the_input_and_on_no_parameter():
    scores = draw(Q, K)
    assert weigh(scores).ne(weigh(scores.flip(-1))).any()
    assert attend(draw(Q, 11), draw(11, V))[1].shape == (Q, 11)  # as many weights as keys, whatever their number


def test_very_large_scores_stay_finite_where_the_plain_formula_does_not():
    scores = torch.tensor([[1e4, -1e4, 0.0]])
    assert_close(weigh(scores), torch.tensor([[1.0, 0.0, 0.0]]))
    assert (scores.exp() / scores.exp().sum(dim=-1)).isnan().any()


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_low_temperature_chooses_the_best_and_shares_ties(scale):
    scores = torch.tensor([[1.0, 3.0, 2.0], [2.0, 1.0, 2.0]])
    assert_close(weigh(scores * scale), torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]))
    assert_close(weigh(scores / scale**2), torch.full((2, 3), 1 / 3), rtol=0, atol=1e-3)


def test_query_with_nothing_to_see_is_zero_and_trainable():
    scores = draw(Q, K).requires_grad_()
    mask = torch.ones(Q, K, dtype=torch.bool)
    mask[1] = False
    context, weights = attend(scores, draw(K, V), mask)
    assert weights[1].eq(0).all()
    assert context[1].eq(0).all()
    context.square().sum().backward()
    assert scores.grad.isfinite().all()
    assert scores.grad[1].eq(0).all()
    assert scores.grad[0].ne(0).any()


def test_no_nan_appears_even_on_the_way():  # with minus infinity it would, and be hidden by the zeros that follow
    scores = draw(Q, K).requires_grad_()
    with pytest.warns(UserWarning, match="Anomaly Detection"), torch.autograd.detect_anomaly():
        weigh(scores, torch.zeros(Q, K, dtype=torch.bool)).sum().backward()
    assert scores.grad.eq(0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_an_empty_sentence_gives_zeros_in_every_type(dtype):
    scores = draw(B, Q, K, dtype=dtype) * 1e4
    context, weights = attend(scores, draw(B, K, V, dtype=dtype), padding_mask(torch.tensor([0, 3]), K))
    assert weights[0].eq(0).all()
    assert context[0].eq(0).all()
    assert weights[1, :, 3:].eq(0).all()
    assert context.isfinite().all()


def test_padding_and_no_look_ahead_go_together():
    mask = padding_mask(torch.tensor([2, K]), K) & causal_mask(K)
    assert mask.shape == (2, K, K)
    weights = weigh(draw(2, K, K), mask)
    assert weights[0, :, 2:].eq(0).all()
    assert weights.triu(1).eq(0).all()
    assert_close(weights.sum(-1), torch.ones(2, K, dtype=torch.float64))


def test_the_last_query_row_decides_nothing_for_earlier_ones():
    scores, value = draw(K, K), draw(K, V)
    value_changed = value.clone()
    value_changed[-1] = 9
    before, after = (attend(scores, v, causal_mask(K))[0] for v in (value, value_changed))
    assert_close(before[:-1], after[:-1], rtol=0, atol=0)
    assert before[-1].ne(after[-1]).any()


def test_changing_a_forbidden_key_changes_nothing():
    mask = draw_mask(Q, K)
    mask[:, 2] = False
    scores, value = draw(Q, K), draw(K, V, seed=1)
    other_scores, other_value = scores.clone(), value.clone()
    other_scores[:, 2], other_value[2] = 1e4, -1e4
    assert_close(attend(scores, value, mask), attend(other_scores, other_value, mask), rtol=0, atol=0)


def test_nothing_is_written_to_the_arguments():
    scores, mask = draw(Q, K), draw_mask(Q, K)
    before = scores.clone(), mask.clone()
    weigh(scores, mask)
    assert_close((scores, mask), before, rtol=0, atol=0)


def test_permuting_keys_values_and_mask_together_changes_nothing():
    order = torch.randperm(K, generator=torch.Generator().manual_seed(3))
    scores, value, mask = draw(Q, K), draw(K, V, seed=1), draw_mask(Q, K)
    context, weights = attend(scores, value, mask)
    moved_context, moved_weights = attend(scores[:, order], value[order], mask[:, order])
    assert_close((moved_context, moved_weights), (context, weights[:, order]))


@settings(max_examples=60, deadline=None)
@given(
    rank=st.integers(0, 2),
    q=st.integers(1, 4),
    k=st.integers(1, 6),
    seed=st.integers(0, 999),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.float16, torch.bfloat16]),
    scale=st.sampled_from([1.0, 1e4]),
    axes=st.sampled_from(["full", "one query row", "one key column"]),
)
def test_rows_sum_to_one_or_to_nothing(rank, q, k, seed, dtype, scale, axes):
    batch = (2, 3)[:rank]
    shape = {"full": (*batch, q, k), "one query row": (1, k), "one key column": (q, 1)}[axes]
    scores, mask = (draw(*batch, q, k, seed=seed) * scale).to(dtype), draw_mask(*shape, seed=seed)
    weights = weigh(scores, mask)
    allowed = mask.expand(weights.shape)
    assert weights.dtype == dtype
    assert weights.isfinite().all()
    assert weights[~allowed].eq(0).all()
    room = 10 * torch.finfo(dtype).eps
    assert_close(weights.double().sum(-1), allowed.any(-1).double(), rtol=room, atol=room)
    assert_close(weigh(scores.double() + 7, mask), weigh(scores.double(), mask))  # only differences count


@pytest.mark.parametrize("mask", [torch.ones(Q, K), torch.ones(K, Q, dtype=torch.bool), torch.ones(2, Q, K).bool()])
def test_a_wrong_mask_is_refused_by_name(mask):  # not boolean, axes swapped, one axis too many
    with pytest.raises(TypeCheckError, match="parameter 'mask'"):
        weigh(draw(Q, K), mask)


def test_wrong_values_are_refused_by_name():
    with pytest.raises(TypeCheckError, match="parameter 'value'"):
        attend(draw(Q, K), draw(Q, V))


def test_a_very_low_score_still_beats_a_forbidden_key():
    for score in (-1e6, -2e9):  # the second is below the minus a billion that many programs write for a mask
        weights = weigh(torch.tensor([[score, 0.0]]), torch.tensor([[True, False]]))
        assert_close(weights, torch.tensor([[1.0, 0.0]]))


@pytest.mark.parametrize(
    ("lengths", "longest", "message"),
    [
        (torch.tensor([3, 7]), 5, "lengths must lie between 0 and longest, which is 5, but they go from 3 to 7"),
        (torch.tensor([-1, 2]), 5, "they go from -1 to 2"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(lengths, longest, message):
    with pytest.raises(ValueError, match=message):
        padding_mask(lengths, longest)


def test_wrong_lengths_are_refused_by_name():
    with pytest.raises(TypeCheckError, match="parameter 'lengths'"):
        padding_mask(torch.tensor([1.0, 2.0]), 3)
    with pytest.raises(TypeCheckError, match="parameter 'length'"):
        causal_mask(2.5)
    with pytest.raises(ValueError, match="length must be 0 or more, but is -1"):
        causal_mask(-1)
