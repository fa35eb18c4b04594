"""Chapter 14: cost formulas against the real modules, the softmax in one pass, attention in blocks."""

import itertools
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from attention_src.attention import attend, causal_mask, padding_mask, weigh
from attention_src.cost import (
    ChunkedSelfAttention,
    Cost,
    NearAttention,
    chunked_attention,
    convolution_cost,
    near_attention,
    one_pass_softmax,
    recurrence_cost,
    restricted_cost,
    rounds_until_heard,
    self_attention_cost,
)
from attention_src.experiments.cost import (
    extra_bytes,
    kept,
    layer_after_layer,
    longest_chain,
    operations,
    state_by_state,
)
from attention_src.self_attention import Convolution, Recurrence, SelfAttention

SIZES = [(7, 5), (11, 3), (2, 6)]  # length, width
REACHES = [2, 3, 5]
B, Q, K, D, V = 2, 11, 13, 3, 5


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def some(dtype: torch.dtype = torch.float64, *, q: int = Q, k: int = K, batch: tuple[int, ...] = (B,)) -> list[Tensor]:
    shapes = (*batch, q, D), (*batch, k, D), (*batch, k, V)
    return [drawn(*shape, seed=seed, dtype=dtype).requires_grad_() for seed, shape in enumerate(shapes)]


def by_the_table(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    return attend(query @ key.mT / query.shape[-1] ** 0.5, value, mask)[0]


def with_gradients(function, tensors: list[Tensor], **how) -> tuple[Tensor, ...]:
    """The output, and the gradients of a mixture of its numbers."""
    tensors = [x.detach().requires_grad_() for x in tensors]
    output = function(*tensors, **how)
    slope = drawn(*output.shape, seed=9).to(output)
    return output.detach(), *torch.autograd.grad(output, tensors, slope)


# ---- formulas


def test_the_formulas_by_hand():  # 2 places of width 3
    assert self_attention_cost(2, 3) == Cost(6 * 2 * 9 + 4 * 4 * 3, 4 * 2 * 3 + 4, 3, 1)
    assert recurrence_cost(2, 3) == Cost(216, 48, 2, 2)
    assert convolution_cost(2, 3, 3) == Cost(108, 12, 1, 1)
    assert restricted_cost(2, 3, 2) == Cost(108 + 48, 24 + 6 + 8, 3, 1)


def cases() -> list:
    """Each layer with its formula, at several sizes."""
    found = []
    for length, width in SIZES:
        found += [
            (SelfAttention(width), self_attention_cost(length, width), length, width),
            (Recurrence(width), recurrence_cost(length, width), length, width),
        ]
        for reach in REACHES:
            found += [
                (Convolution(width, reach), convolution_cost(length, width, reach), length, width),
                (NearAttention(width, reach), restricted_cost(length, width, reach), length, width),
            ]
    return found


def test_operations_are_those_of_the_modules():
    for layer, cost, length, width in cases():
        assert operations(layer, torch.zeros(1, length, width)) == cost.operations, (layer, length, width)


def test_memory_is_what_the_modules_keep():
    for layer, cost, length, width in cases():
        assert kept(layer, drawn(1, length, width, dtype=torch.float32)) == cost.memory, (layer, length, width)


def test_sequential_steps_are_those_of_the_modules():
    for layer, cost, length, width in cases():
        output, _ = layer(drawn(1, length, width, dtype=torch.float32))
        assert longest_chain(output) == cost.sequential, (layer, length, width)


def test_the_path_is_as_long_as_gradients_need():
    for layer, cost, length, width in cases():
        layer.double()
        rounds = state_by_state(layer) if isinstance(layer, Recurrence) else layer_after_layer(layer)
        assert rounds_until_heard(length, width, rounds) == cost.path, (layer, length, width)


def test_rounds_of_states_end_as_the_recurrence():
    length, width = 7, 5
    layer, x = Recurrence(width).double(), drawn(1, length, width)
    *_, last = itertools.islice(state_by_state(layer)(x), recurrence_cost(length, width).path)
    assert_close(last, layer(x)[0])


def test_rounds_that_end_too_early_are_refused():
    with pytest.raises(ValueError, match="until the last place has heard"):
        rounds_until_heard(3, 2, lambda x: iter([x]))


@pytest.mark.parametrize("formula", [convolution_cost, restricted_cost])
def test_a_reach_of_one_is_refused(formula):
    with pytest.raises(ValueError, match="reach must be at least 2"):
        formula(3, 5, 1)


# ---- restricted attention


def near_mask(length: int, reach: int) -> Tensor:
    places = torch.arange(length)
    distance = places[:, None] - places
    return (distance >= 0) & (distance < reach)


@pytest.mark.parametrize("reach", [1, 2, 5, 11])
def test_near_attention_is_attention_under_a_mask(reach):
    length = 7
    query, key, value = drawn(B, length, D), drawn(B, length, D, seed=1), drawn(B, length, V, seed=2)
    context, weights = near_attention(query, key, value, reach)
    mask = near_mask(length, reach)
    wanted, table = attend(query @ key.mT / D**0.5, value, mask)
    assert_close(context, wanted)
    for i in range(length):
        keys = range(i - reach + 1, i + 1)
        row = [table[:, i, j] if j >= 0 else torch.zeros(B, dtype=torch.float64) for j in keys]
        assert_close(weights[:, i], torch.stack(row, dim=-1))


# ---- the softmax in one pass


def test_one_pass_by_hand():  # 2^1, 2^3, 2^2 give 2/14, 8/14, 4/14
    scores = torch.tensor([[1.0, 3.0, 2.0]], dtype=torch.float64) * torch.tensor(2.0, dtype=torch.float64).log()
    assert_close(one_pass_softmax(scores), torch.tensor([[2.0, 8.0, 4.0]], dtype=torch.float64) / 14)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12))
def test_one_pass_is_the_softmax(row):
    scores = torch.tensor([row], dtype=torch.float64)
    assert_close(one_pass_softmax(scores), weigh(scores), rtol=1e-12, atol=1e-300)


def test_one_pass_does_not_overflow():
    scores = torch.tensor([[1e4, -1e4, 1e4], [-1e4, -1e4, -2e4]])
    assert_close(one_pass_softmax(scores), torch.tensor([[0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]))


def test_one_pass_does_not_depend_on_the_order():
    scores, order = drawn(B, Q, K), torch.tensor([5, 0, 12, 3, 8, 1, 11, 2, 10, 4, 9, 6, 7])
    assert_close(one_pass_softmax(scores[..., order]), one_pass_softmax(scores)[..., order])


# ---- attention in blocks


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 16, 1024])
def test_two_keys_by_hand(chunk):  # the weights are 3/4 and 1/4
    query, key = torch.tensor([[1.0]]), torch.tensor([[3.0], [1.0]]).log()
    assert_close(chunked_attention(query, key, torch.tensor([[8.0], [4.0]]), chunk=chunk), torch.tensor([[7.0]]))


MASKS = {
    "none": None,
    "padding": padding_mask(torch.tensor([K, 4]), longest=K),
    "any": drawn(B, Q, K, seed=5) > 0,
    "of one query for all": drawn(1, 1, K, seed=6) > 0,
    "of one key for all": drawn(B, Q, 1, seed=7) > 0,
    "without a batch": drawn(Q, K, seed=8) > 0,
    "nothing at all": torch.zeros(1, 1, 1, dtype=torch.bool),
}


@pytest.mark.parametrize("chunk", [1, 2, 4, 7, 12, 64])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("causal", [False, True])
def test_blocks_give_what_attend_gives(chunk, mask, causal):
    mask = whole = MASKS[mask]
    if causal:
        ahead = causal_mask(max(Q, K))[:Q, :K]
        whole = ahead if mask is None else mask & ahead
    found = with_gradients(chunked_attention, some(), mask=mask, causal=causal, chunk=chunk)
    wanted = with_gradients(by_the_table, some(), mask=whole)
    assert_close(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("q", "k"), [(Q, K), (K, Q), (1, K), (Q, 1)])
@pytest.mark.parametrize("causal", [False, True])
def test_blocks_give_what_pytorch_gives(q, k, causal):
    query, key, value = some(q=q, k=k, batch=(B, 3))
    found = chunked_attention(query, key, value, causal=causal, chunk=4)
    assert_close(found, scaled_dot_product_attention(query, key, value, is_causal=causal))


@pytest.mark.parametrize("batch", [(), (1,), (7,), (2, 3)])
def test_any_number_of_leading_axes(batch):
    query, key, value = some(batch=batch)
    found = chunked_attention(query, key, value, chunk=5)
    assert_close(found, by_the_table(query, key, value))


def test_a_batch_of_masks_serves_all_heads():
    query, key, value = some(batch=(B, 3))
    mask = padding_mask(torch.tensor([K, 4]), longest=K)[:, None]
    found = chunked_attention(query, key, value, mask, chunk=5)
    assert_close(found, by_the_table(query, key, value, mask))


def test_a_query_that_may_look_at_nothing_is_zero_and_trainable():
    mask = torch.ones(Q, K, dtype=torch.bool)
    mask[3] = False
    context, *gradients = with_gradients(chunked_attention, some(), mask=mask, chunk=4)
    assert context[:, 3].eq(0).all()
    assert context[:, 2].ne(0).all()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0][:, 3].eq(0).all()


def test_changing_what_is_ahead_changes_nothing():
    query, key, value = some(q=K)
    before = chunked_attention(query, key, value, causal=True, chunk=4)
    other_key, other_value = key.detach().clone(), value.detach().clone()
    other_key[:, 6:], other_value[:, 6:] = 1e6, torch.nan
    after = chunked_attention(query, other_key, other_value, causal=True, chunk=3)
    assert_close(after[:, :6], before[:, :6])


def test_large_scores_do_not_overflow():
    query, key, value = some()
    found = with_gradients(chunked_attention, [1e3 * query, 1e3 * key, value], chunk=4)
    assert_close(found, with_gradients(by_the_table, [1e3 * query, 1e3 * key, value]))


def test_no_keys_give_zeros():
    query, _, _ = some()
    found = chunked_attention(query, torch.zeros(B, 0, D).double(), torch.zeros(B, 0, V).double())
    assert_close(found, torch.zeros(B, Q, V, dtype=torch.float64))


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_are_those_of_differences(causal):
    mask = MASKS["any"]
    tensors = some()
    assert torch.autograd.gradcheck(lambda q, k, v: chunked_attention(q, k, v, mask, causal, chunk=5), tensors)


def test_a_second_derivative_is_refused():
    query, key, value = some()
    loss = chunked_attention(query, key, value).square().sum()
    (gradient,) = torch.autograd.grad(loss, value, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        gradient.sum().backward()


def relative_errors(found: tuple[Tensor, ...], exact: tuple[Tensor, ...]) -> list[float]:
    return [float((one.double() - two).norm() / two.norm()) for one, two in zip(found, exact, strict=True)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("length", "width", "wide", "scale"),
    [(300, 64, 64, 1.0), (700, 33, 33, 10.0), (257, 16, 16, 4.0), (600, 16, 64, 10.0), (600, 64, 32, 30.0)],
)
@pytest.mark.parametrize("causal", [False, True])
def test_as_exact_as_pytorch_within_twice(dtype, length, width, wide, scale, causal):
    for seed in range(3):
        widths = enumerate((width, width, wide))
        tensors = [scale * drawn(1, 2, length, size, seed=3 * seed + part).to(dtype) for part, size in widths]
        mask = causal_mask(length) if causal else None
        exact = with_gradients(by_the_table, [tensor.double() for tensor in tensors], mask=mask)
        ours = with_gradients(chunked_attention, tensors, causal=causal, chunk=128)
        theirs = with_gradients(scaled_dot_product_attention, tensors, is_causal=causal)
        for our, their in zip(relative_errors(ours, exact), relative_errors(theirs, exact), strict=True):
            assert our <= 2 * their


class Made(TorchDispatchMode):
    """Watch what is made: the numbers of the largest new storage, and of all matrix products, as blocks."""

    def __init__(self, *given: Tensor):
        super().__init__()
        self.known = {x.untyped_storage().data_ptr() for x in given}
        self.largest, self.products = 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor) and tensor.untyped_storage().data_ptr() not in self.known:
                self.largest = max(self.largest, tensor.untyped_storage().nbytes() // tensor.element_size())
        if "bmm" in str(function):
            self.products.append(tuple(result.shape[-2:]))
        return result


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_nothing_of_size_n_by_n_is_made(causal, masked):
    largest = []
    for length in (256, 512, 1024):
        tensors = [drawn(2, 2, length, 8, seed=part, dtype=torch.float32).requires_grad_() for part in range(3)]
        mask = torch.ones(2, 1, length, length, dtype=torch.bool) if masked else None
        with Made(*tensors, *([mask] if masked else [])) as made:
            output = chunked_attention(*tensors, mask=mask, causal=causal, chunk=64)
            output.sum().backward()
        largest.append(made.largest)
    assert largest == [4 * length * 8 for length in (256, 512, 1024)]  # an output, a gradient


def test_a_block_is_no_larger_for_a_large_batch():
    tensors = drawn(24, 4, 1), drawn(24, 64, 1), drawn(24, 64, 1)
    with Made(*tensors) as made:
        found = chunked_attention(*tensors, chunk=64)
    assert made.largest == 64 * 64 // 2
    assert_close(found, by_the_table(*tensors))


def test_what_is_kept_is_linear():
    for length in (100, 200):
        width = 8
        layer = ChunkedSelfAttention(width)
        assert kept(layer, drawn(1, length, width, dtype=torch.float32)) == 5 * length * width + 2 * length


def test_the_way_back_holds_no_more_than_a_line():
    def both_ways(*given):
        return torch.cat([part.flatten() for part in with_gradients(partial(chunked_attention, chunk=64), given)])

    held = [
        extra_bytes(both_ways, *(drawn(length, 8, dtype=torch.float32) for _ in range(3))) for length in (512, 1024)
    ]
    assert held[1] <= 2 * held[0]
    assert held[1] < 4 * 1024 * 1024 / 4  # not a quarter of the table of scores


def test_blocks_are_cut_in_both_directions_and_skipped():
    tensors = [drawn(1, 100, 8, seed=part) for part in range(3)]
    with Made() as whole:
        chunked_attention(*tensors, chunk=20)
    with Made() as half:
        chunked_attention(*tensors, chunk=20, causal=True)
    assert whole.products == [(10, 20), (10, 8)] * 50
    assert sum(high * wide for high, wide in half.products[::2]) == sum(10 * end for end in range(10, 101, 10))
    assert set(half.products[1::2]) == {(10, 8)}


def test_the_layer_gives_what_self_attention_gives():
    layer, same = SelfAttention(D).double(), ChunkedSelfAttention(D).double()
    same.load_state_dict(layer.state_dict())
    x, mask = drawn(B, K, D), padding_mask(torch.tensor([K, 4]), longest=K)
    assert_close(same(x, mask)[0], layer(x, mask)[0])
    assert same(x)[1] is None


def test_nothing_is_written_to_the_arguments():
    tensors = [x.detach() for x in some()]
    before = [x.clone() for x in tensors]
    mask = MASKS["any"].clone()
    with_gradients(chunked_attention, tensors, mask=mask, causal=True, chunk=4)
    assert all(torch.equal(x, y) for x, y in zip([*tensors, mask], [*before, MASKS["any"]], strict=True))


def test_a_chunk_of_nothing_is_refused():
    with pytest.raises(ValueError, match="chunk must be at least 1, but is 0"):
        chunked_attention(*some(), chunk=0)
