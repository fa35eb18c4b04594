import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch.autograd import gradcheck
from torch.nn.functional import scaled_dot_product_attention
from torch.testing import assert_close

from attention_src.attention import attend, weigh

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


def test_agrees_with_pytorch():
    query, key, value, mask = draw(B, Q, 4), draw(B, K, 4, seed=1), draw(B, K, V, seed=2), draw_mask(B, Q, K)
    mask[..., 0] = True  # PyTorch's own gives NaN for an empty row; ours is tested below
    context, _ = attend(query @ key.mT / 4**0.5, value, mask)
    assert_close(context, scaled_dot_product_attention(query, key, value, mask))


def test_gradients_are_right():
    scores, value = draw(B, Q, K).requires_grad_(), draw(B, K, V, seed=1).requires_grad_()
    assert gradcheck(lambda s, v: attend(s, v, draw_mask(B, Q, K))[0], (scores, value))


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
    weights = weigh(torch.tensor([[-1e6, 0.0]]), torch.tensor([[True, False]]))
    assert_close(weights, torch.tensor([[1.0, 0.0]]))
