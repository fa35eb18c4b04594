"""One query against keys: by hand, against independent formulas, and what each score can and cannot say."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attention_src.exercises import LargestTensor
from attention_src.experiments import scores as experiment
from attention_src.scores import (
    Additive,
    Bilinear,
    Concat,
    Cosine,
    Dot,
    Location,
    LowRankBilinear,
    ScaledDot,
    Score,
    unit,
)

B, Q, K, D, DK, H = 2, 3, 5, 7, 11, 13  # batch, queries, keys, width, another width, hidden units or rank
EQUAL = [Dot, ScaledDot, Cosine]  # query and key as wide as each other
BUILD = {
    "dot": Dot,
    "scaled": ScaledDot,
    "cosine": Cosine,
    "bilinear": lambda: Bilinear(D, DK),
    "low_rank": lambda: LowRankBilinear(D, DK, H),
    "additive": lambda: Additive(D, DK, H),
    "concat": lambda: Concat(D, DK, H),
    "location": lambda: Location(D, K + 1),
}


def build(name):
    torch.manual_seed(0)
    return BUILD[name]().double()


def example(name, *batch):
    rng = torch.Generator().manual_seed(1)
    width = D if BUILD[name] in EQUAL else DK
    query = torch.randn(*batch, Q, D, generator=rng, dtype=torch.float64)
    return query, torch.randn(*batch, K, width, generator=rng, dtype=torch.float64)


def set_weights(layer, rows):
    layer.weight.data = torch.tensor(rows, dtype=torch.float32)


ONE = torch.tensor([[1.0, 2.0]])
THREE = torch.tensor([[2.0, 1.0], [0.0, 3.0], [-2.0, 3.0]])


def by_hand():
    bilinear = Bilinear(2, 2)
    set_weights(bilinear.of_key, [[0, 1], [-1, 0]])  # W k = (k_2, -k_1)
    low = LowRankBilinear(2, 2, 1)
    set_weights(low.of_query, [[1, 1]])
    set_weights(low.of_key, [[1, -1]])
    additive, concat = Additive(2, 2, 2), Concat(2, 2, 2)
    set_weights(additive.of_query, [[1, 0], [0, 1]])
    set_weights(additive.of_key, [[0, -1], [1, 0]])
    set_weights(concat.both, [[1, 0, 0, -1], [0, 1, 1, 0]])
    for score in (additive, concat):
        set_weights(score.out, [[2, -1]])
    location = Location(2, 4)
    set_weights(location.of_place, [[1, 0], [0, 1], [1, 1], [9, 9]])
    bent = [2 * math.tanh(0) - math.tanh(4), 2 * math.tanh(-2) - math.tanh(2), 2 * math.tanh(-2) - math.tanh(0)]
    root = math.sqrt
    return {
        "dot": (Dot(), [4, 6, 4]),
        "scaled": (ScaledDot(), [4 / root(2), 6 / root(2), 4 / root(2)]),
        "cosine": (Cosine(), [4 / 5, 2 / root(5), 4 / root(5 * 13)]),
        "bilinear": (bilinear, [1 - 4, 3, 3 + 4]),
        "low_rank": (low, [3, -9, -15]),
        "additive": (additive, bent),
        "concat": (concat, bent),
        "location": (location, [1, 2, 3]),
    }


@pytest.mark.parametrize("name", BUILD)
def test_one_query_and_three_keys_by_hand(name):
    score, expected = by_hand()[name]
    assert_close(score(ONE, THREE), torch.tensor([expected], dtype=torch.float32))


def formula(score, q, k, place):
    """The formula of the paper for one pair, from the parameters, with the pair [q; k] built."""
    match score:
        case ScaledDot():
            return (q * k).sum() / len(q) ** 0.5
        case Cosine():
            return torch.cosine_similarity(q, k, dim=0)
        case Bilinear():
            return q @ score.of_key.weight @ k
        case LowRankBilinear():
            return torch.dot(score.of_query.weight @ q, score.of_key.weight @ k)
        case Additive():
            return score.out.weight[0] @ torch.tanh(score.of_query.weight @ q + score.of_key.weight @ k)
        case Concat():
            return score.out.weight[0] @ torch.tanh(score.both.weight @ torch.cat([q, k]))
        case Location():
            return score.of_place.weight[place] @ q
        case Dot():
            return (q * k).sum()


@pytest.mark.parametrize("name", BUILD)
def test_every_pair_has_the_number_of_the_formula(name):
    score, (query, key) = build(name), example(name, B)
    scores = score(query, key)
    for b, i, j in product(range(B), range(Q), range(K)):
        assert_close(scores[b, i, j], formula(score, query[b, i], key[b, j], j))


@pytest.mark.parametrize("name", BUILD)
def test_gradients(name):
    score, (query, key) = build(name), example(name)
    query.requires_grad_()
    key.requires_grad_(name != "location")

    def with_weights(query, key, *_):
        return score(query, key)

    assert torch.autograd.gradcheck(with_weights, (query, key, *score.parameters()))


@pytest.mark.parametrize("name", BUILD)
def test_two_halves_make_the_whole_and_the_second_never_needs_the_keys(name):
    """A decoder prepares once and compares at every step: the same numbers, query by query."""
    score, (query, key) = build(name), example(name, B)
    prepared = score.prepare(key)
    steps = [score.compare(query[:, i : i + 1], prepared) for i in range(Q)]
    assert_close(torch.cat(steps, dim=1), score(query, key))


@pytest.mark.parametrize("name", BUILD)
def test_no_tensor_is_larger_than_the_formula_needs(name):
    many, hidden, width = 40, 6, 45  # queries = keys; hidden units; width
    wide = {
        "bilinear": lambda: Bilinear(width, width),
        "low_rank": lambda: LowRankBilinear(width, width, hidden),
        "additive": lambda: Additive(width, width, hidden),
        "concat": lambda: Concat(width, width, hidden),
        "location": lambda: Location(width, many),
    }
    score = wide.get(name, BUILD[name])()
    query, key = torch.randn(2, many, width, requires_grad=True)
    with LargestTensor() as largest:
        score(query, key).sum().backward()
    needs_hidden = name in ("additive", "concat")
    limit = many * many * hidden if needs_hidden else 2 * many * width  # query and key together
    assert largest.numbers <= limit, f"{largest.numbers} numbers in one tensor, more than {limit}"
    assert limit < many * many * width  # the test can tell


@pytest.mark.parametrize("name", ["additive", "concat"])
def test_the_hidden_units_of_all_pairs_are_made_once(name):
    """Without a gradient, the largest tensor is made by the sum, and tanh writes into it."""
    score, (query, key) = build(name), example(name)
    made = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.numel() == Q * K * H:
                made.append(result.untyped_storage().data_ptr())
            return result

    with torch.no_grad(), Watch():
        score(query, key)
    assert made
    assert len(set(made)) == 1


FOR_ONE_QUERY = {  # multiplications of numbers that one more query costs when the keys are prepared
    "dot": K * D,
    "scaled": K * D,
    "cosine": K * D,
    "bilinear": K * D,
    "low_rank": D * H + K * H,
    "additive": D * H + K * H,
    "concat": D * H + K * H,
    "location": K * D,
}


@pytest.mark.parametrize("name", BUILD)
def test_comparing_repeats_no_work_on_the_keys(name):
    score, (query, key) = build(name), example(name)
    prepared = score.prepare(key)
    with FlopCounterMode(display=False) as count:
        score.compare(query[:1], prepared)
    assert count.get_total_flops() == 2 * FOR_ONE_QUERY[name]


def test_keys_are_scaled_when_they_are_prepared():
    key = torch.tensor([[3.0, 4.0, 0.0, 0.0]])
    assert_close(ScaledDot().prepare(key), key / 2)
    assert_close(Cosine().prepare(key), key / 5)


@pytest.mark.parametrize("name", BUILD)
def test_leading_axes_broadcast(name):
    score, (query, key) = build(name), example(name, B, 4)
    whole = score(query, key)
    assert whole.shape == (B, 4, Q, K)
    assert_close(score(query, key[:, :1])[:, 0], score(query[:, 0], key[:, 0]))
    assert score(query, key[0, 0]).shape == (B, 4, Q, K)  # the same keys for all
    assert score(query[0, 0], key).shape == (B, 4, Q, K)  # the same queries for all
    for b in range(B):
        assert_close(score(query, key[0, 0])[b, 3], score(query[b, 3], key[0, 0]))
        assert_close(score(query[0, 0], key)[b, 3], score(query[0, 0], key[b, 3]))


@pytest.mark.parametrize("name", BUILD)
def test_leading_axes_that_do_not_fit_are_refused(name):
    score, (query, key) = build(name), example(name, B)
    with pytest.raises(TypeCheckError):
        score(query, torch.cat([key, key[:1]]))  # 2 rows of queries, 3 of keys
    with pytest.raises(TypeCheckError):
        score(query[0, 0], key)  # a vector alone has no axis of queries


@pytest.mark.parametrize("name", [name for name in BUILD if name != "location"])  # it reads no key
def test_a_second_list_of_keys_gets_its_own_scores(name):
    """Keys that a layer keeps from call to call would serve the wrong sentence."""
    score, (query, key) = build(name), example(name)
    wanted = build(name)(query, key)
    score(query, key.flip(0))
    assert_close(score(query, key), wanted)


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize(("queries", "keys"), [(0, K), (Q, 0), (1, 1)])
def test_no_queries_or_no_keys_give_no_scores(name, queries, keys):
    score, (query, key) = build(name), example(name, B)
    assert score(query[:, :queries], key[:, :keys]).shape == (B, queries, keys)


@pytest.mark.parametrize("kind", EQUAL)
def test_vectors_of_no_width_have_the_score_zero(kind):
    assert_close(kind()(torch.ones(Q, 0), torch.ones(K, 0)), torch.zeros(Q, K))


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_kind_of_number_is_kept(name, dtype):
    score, (query, key) = build(name).to(dtype), example(name, B)
    assert score(query.to(dtype), key.to(dtype)).dtype == dtype


@pytest.mark.parametrize("name", BUILD)
def test_arguments_are_left_alone(name):
    score, (query, key) = build(name), example(name, B)
    kept = query.clone(), key.clone(), score.prepare(key).clone()
    prepared = score.prepare(key)
    score.compare(query, prepared)
    score(query, key)
    for now, before in zip((query, key, prepared), kept, strict=True):
        assert_close(now, before, rtol=0, atol=0)


def test_concat_is_additive_with_a_split_matrix():
    concat, additive = build("concat"), build("additive")
    additive.of_query.weight.data = concat.both.weight.data[:, :D]
    additive.of_key.weight.data = concat.both.weight.data[:, D:]
    additive.out.weight.data = concat.out.weight.data
    query, key = example("concat", B)
    assert_close(concat(query, key), additive(query, key))
    assert sum(p.numel() for p in concat.parameters()) == sum(p.numel() for p in additive.parameters())


def test_low_rank_is_bilinear_with_a_product():
    """s(x, q) = x^T W q with W = U^T V equals (U x)^T (V q); our bilinear score holds the transpose, V^T U."""
    low, full = build("low_rank"), build("bilinear")
    U, V = low.of_key.weight.data, low.of_query.weight.data
    full.of_key.weight.data = V.T @ U
    query, key = example("bilinear", B)
    assert_close(low(query, key), full(query, key))
    assert_close(low(query, key)[0, 0, 0], key[0, 0] @ (U.T @ V) @ query[0, 0])


def test_every_bilinear_score_of_small_rank_is_a_low_rank_one():
    """The best matrix of rank r cuts the singular values; the loss is what was cut, and nothing at full rank."""
    full = build("bilinear")
    W = full.of_key.weight.data
    left, values, right = torch.linalg.svd(W, full_matrices=False)
    query, key = torch.eye(D, dtype=torch.float64), torch.eye(DK, dtype=torch.float64)
    for rank in (1, 3, D):
        low = LowRankBilinear(D, DK, rank).double()
        low.of_query.weight.data = (left[:, :rank] * values[:rank]).T
        low.of_key.weight.data = right[:rank]
        lost = (low(query, key) - full(query, key)).square().sum()
        assert_close(lost, values[rank:].square().sum())


def test_the_matrix_has_the_query_on_its_left():
    score = Bilinear(2, 3)
    set_weights(score.of_key, [[0, 0, 5], [0, 0, 0]])  # first number of the query, third of the key
    first, third = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    assert score.of_key.weight.shape == (2, 3)
    assert score(first, third).item() == 5


def test_a_zero_vector_has_cosine_zero_and_finite_gradients():
    query, key = torch.zeros(1, 3, requires_grad=True), torch.tensor([[0.0, 0, 0], [3, 0, 4]], requires_grad=True)
    scores = Cosine()(query, key)
    assert_close(scores, torch.zeros(1, 2))
    scores.sum().backward()
    assert query.grad.isfinite().all()
    assert key.grad.isfinite().all()
    assert_close(query.grad, torch.tensor([[0.6, 0.0, 0.8]]))  # a zero vector is pulled like one that is not scaled


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_unit_vector_has_length_one(dtype):
    long = torch.full((1, 300), 200.0, dtype=dtype)  # the squares add up to more than float16 holds
    assert_close(unit(long), torch.full((1, 300), 300**-0.5, dtype=dtype), rtol=1e-2, atol=0)


def vector(width=3):
    whole = st.integers(-8, 8)
    return st.lists(whole, min_size=width, max_size=width).map(lambda x: torch.tensor([x], dtype=torch.float64))


@settings(max_examples=30)
@given(vector(), vector())
def test_no_query_makes_k_the_strict_best_of_zero_k_and_two_k(q, k):
    """Linear in the key: the score of k lies halfway between those of 0 and 2k, so it is no strict maximum."""
    key = torch.cat([0 * k, k, 2 * k])
    torch.manual_seed(0)
    for score in (Dot(), ScaledDot(), Bilinear(3, 3).double(), LowRankBilinear(3, 3, 2).double()):
        zero, one, two = score(q, key)[0]
        assert_close(one, (zero + two) / 2)


def corners(points):
    """The corners of the convex hull of points with whole numbers, by Andrew's chain."""
    ordered = sorted({tuple(map(int, point)) for point in points})
    if len(ordered) < 3:
        return set(ordered)

    def chain(run):
        kept = []
        for x, y in run:
            while len(kept) > 1:
                (ax, ay), (bx, by) = kept[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return set(chain(ordered)) | set(chain(ordered[::-1]))


def winners(score, queries, key):
    """The keys that are the strict best for some query."""
    scores = score(queries, key)
    best, second = scores.topk(2, dim=-1).values.T
    return {tuple(key[i].int().tolist()) for i in scores.argmax(-1)[best > second + 1e-9]}


ALL_WAYS = torch.linspace(0, 2 * math.pi, 2401, dtype=torch.float64)[:-1] + 1e-4
ALL_WAYS = torch.stack([ALL_WAYS.cos(), ALL_WAYS.sin()], dim=-1)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=9, unique=True))
def test_the_corners_of_the_hull_win_under_a_dot_product_and_no_other_key(points):
    key = torch.tensor(points, dtype=torch.float64)
    assert winners(Dot(), ALL_WAYS, key) == corners(points)


def test_every_direction_can_win_under_the_cosine():
    key = torch.tensor([[4.0, 4], [1, 1.5], [1, 1.25], [0.5, 1], [-1, -1]], dtype=torch.float64) * 8
    assert len(winners(Cosine(), ALL_WAYS, key)) == 5
    assert len(winners(Dot(), ALL_WAYS, key)) < 5


@settings(max_examples=20)
@given(st.integers(0, 99))
def test_with_rank_one_at_most_two_keys_can_win(seed):
    torch.manual_seed(seed)
    score = LowRankBilinear(D, DK, 1).double()
    best = score(torch.randn(200, D, dtype=torch.float64), torch.randn(K, DK, dtype=torch.float64)).argmax(-1)
    assert len(set(best.tolist())) <= 2


@settings(max_examples=20)
@given(st.integers(0, 99))
def test_with_one_hidden_unit_the_query_cannot_change_the_order(seed):
    torch.manual_seed(seed)
    score = Additive(D, DK, 1).double()
    order = score(torch.randn(50, D, dtype=torch.float64), torch.randn(K, DK, dtype=torch.float64)).argsort(-1)
    assert order.eq(order[0]).all()


def test_with_two_hidden_units_the_query_can_change_the_order():
    score, key = hill(), torch.tensor([[-4.0], [0.0], [4.0]])
    assert score(torch.tensor([[1.0]]), key).argmax() != score(torch.tensor([[-1.0]]), key).argmax()


@pytest.mark.parametrize("name", ["additive", "concat"])
def test_without_a_bias_the_perceptron_is_odd(name):
    """s(-q, -k) = -s(q, k): what fits best turns into what fits worst."""
    score, (query, key) = build(name), example(name, B)
    assert_close(score(-query, -key), -score(query, key))
    assert_close(build("bilinear")(-query, -key), build("bilinear")(query, key))  # the others are even


@pytest.mark.parametrize("name", ["additive", "concat"])
def test_an_odd_score_is_right_on_one_of_two_mirrored_examples_at_most(name):
    score = build(name)
    for seed in range(20):
        torch.manual_seed(seed)
        query, key = torch.randn(1, D).double(), torch.randn(2 + seed % 3, DK).double()
        right = seed % len(key)
        both = [score(sign * query, sign * key)[0].argmax().item() == right for sign in (1, -1)]
        assert sum(both) <= 1


def test_a_one_at_the_end_of_the_vectors_is_a_bias_and_breaks_the_mirror():
    score = Additive(D + 1, DK + 1, H).double()
    query, key = (torch.nn.functional.pad(part, (0, 1), value=1.0) for part in example("additive"))
    mirrored = [torch.cat([-part[:, :-1], part[:, -1:]], dim=-1) for part in (query, key)]
    assert (score(*mirrored) + score(query, key)).abs().max() > 1e-3


def test_without_the_bend_the_query_has_no_effect_on_the_weights():
    """v^T (W q + U k) is a number of the query plus a number of the key; the softmax drops the first."""
    score, (query, key) = build("additive"), example("additive")
    flat = (score.of_query(query)[:, None] + score.of_key(key)[None]) @ score.out.weight[0]
    weights = flat.softmax(-1)
    assert_close(weights, weights[:1].expand(Q, K))
    outside = torch.tanh(score.of_query(query))[:, None] + torch.tanh(score.of_key(key))[None]  # tanh, then the sum
    weights = (outside @ score.out.weight[0]).softmax(-1)
    assert_close(weights, weights[:1].expand(Q, K))
    assert score(query, key).softmax(-1).std(0).max() > 1e-3


def test_the_scale_needs_numbers_that_are_independent():
    """Variance d for independent numbers; d squared where all numbers of a vector are one number."""
    torch.manual_seed(0)
    d, many = 64, 20_000
    apart, alike = torch.randn(2, many, 1, d).double(), torch.randn(2, many, 1, 1).double().expand(2, many, 1, d)
    assert Dot()(*apart).var().item() == pytest.approx(d, rel=0.05)
    assert ScaledDot()(*apart).var().item() == pytest.approx(1, rel=0.05)
    assert Dot()(*alike).var().item() == pytest.approx(d * d, rel=0.1)
    assert ScaledDot()(*alike).var().item() == pytest.approx(d, rel=0.1)


def hill():
    """v^T tanh(W q + U k) with two units: tanh(q + k) - tanh(k - q), highest at k = 0 if q is above 0."""
    score = Additive(1, 1, 2)
    set_weights(score.of_key, [[1], [1]])
    set_weights(score.of_query, [[1], [-1]])
    set_weights(score.out, [[1, -1]])
    return score


def test_the_perceptron_can_put_a_maximum_in_the_middle():
    key = torch.tensor([[-4.0], [0.0], [4.0]])
    assert hill()(torch.tensor([[1.0]]), key).argmax().item() == 1
    assert hill()(torch.tensor([[-1.0]]), key).argmin().item() == 1


def test_a_very_short_vector_still_has_a_direction():
    query, key = example("cosine")
    assert_close(Cosine()(1e-60 * query, 1e-60 * key), Cosine()(query, key))


@settings(max_examples=30)
@given(vector(), vector(), st.integers(1, 9))
def test_cosine_cannot_tell_k_from_its_multiples(q, k, times):
    scores = Cosine()(q, torch.cat([k, times * k]))[0]
    assert_close(scores[0], scores[1])
    assert_close(Cosine()(times * q, k), Cosine()(q, k))


@settings(max_examples=30)
@given(vector(), vector())
def test_a_dot_product_is_symmetric(a, b):
    """So it cannot say "a comes before b", which needs s(a, b) > s(b, a)."""
    for score in (Dot(), ScaledDot(), Cosine()):
        assert_close(score(a, b), score(b, a).mT)


def test_a_bilinear_score_can_say_before():
    """W that is its own negative transpose: s(a, b) = -s(b, a)."""
    score = Bilinear(2, 2)
    set_weights(score.of_key, [[0, 1], [-1, 0]])
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 2.0]])
    assert score(a, b).item() == 2
    assert score(b, a).item() == -2
    assert score(a, a).item() == 0


def test_location_cannot_see_the_keys():
    score, (query, key) = build("location"), example("location", B)
    assert_close(score(query, key), score(query, 100 * key.flip(1)), rtol=0, atol=0)
    key.requires_grad_()
    score(query, key).sum().backward()
    assert key.grad is None or key.grad.eq(0).all()


def test_location_uses_the_first_rows_for_few_keys_and_refuses_too_many():
    score, (query, key) = build("location"), example("location", B)
    assert_close(score(query, key[:, :2]), score(query, key)[..., :2])
    seven = torch.cat([key, key[:, :2]], dim=1)
    with pytest.raises(ValueError, match="key has 7 rows, but this score has learned only 6 places"):
        score(query, seven)


@pytest.mark.parametrize("name", ["dot", "scaled", "cosine", "bilinear", "low_rank", "additive", "concat"])
def test_a_score_of_content_moves_with_the_keys(name):
    """Other keys in another order: the same scores in that order. Only location is about places."""
    score, (query, key) = build(name), example(name, B)
    order = torch.tensor([3, 0, 4, 1, 2])
    assert_close(score(query, key[:, order]), score(query, key)[..., order])


@pytest.mark.parametrize("kind", EQUAL)
def test_different_widths_are_refused_with_a_way_out(kind):
    with pytest.raises(ValueError, match="equally wide to be multiplied, but are 7 and 11 wide; use Bilinear"):
        kind()(torch.zeros(Q, D), torch.zeros(K, DK))


@pytest.mark.parametrize("name", ["bilinear", "low_rank", "additive", "concat", "location"])
def test_a_wrong_width_is_named(name):
    score, (query, key) = build(name), example(name)
    with pytest.raises(
        ValueError, match=r"query must be 7 wide for this layer, but is 6 wide; build .* another query_width"
    ):
        score(query[:, :6], key)
    if name != "location":
        with pytest.raises(ValueError, match=r"key must be 11 wide.* but is 10 wide; build .* another key_width"):
            score(query, key[:, :10])


@pytest.mark.parametrize("name", ["additive", "concat"])
def test_keys_that_nobody_prepared_are_refused(name):
    score, (query, key) = build(name), example(name)
    with pytest.raises(ValueError, match="prepared must be 13 wide for this layer, but is 11 wide; give what prepare"):
        score.compare(query, key)


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (Bilinear, ["query_width", "key_width"]),
        (LowRankBilinear, ["query_width", "key_width", "rank"]),
        (Additive, ["query_width", "key_width", "hidden"]),
        (Concat, ["query_width", "key_width", "hidden"]),
        (Location, ["query_width", "longest"]),
    ],
)
def test_a_size_below_one_is_named(kind, sizes):
    for wrong in sizes:
        with pytest.raises(ValueError, match=f"{wrong} must be at least 1, but is 0"):
            kind(**{size: 0 if size == wrong else 3 for size in sizes})


LEARNED = {
    "dot": {},
    "scaled": {},
    "cosine": {},
    "bilinear": {"of_key": (D, DK)},
    "low_rank": {"of_query": (H, D), "of_key": (H, DK)},
    "additive": {"of_query": (H, D), "of_key": (H, DK), "out": (1, H)},
    "concat": {"both": (H, D + DK), "out": (1, H)},
    "location": {"of_place": (K + 1, D)},
}


@pytest.mark.parametrize("name", BUILD)
def test_what_is_learned_is_what_the_formula_has_and_no_bias(name):
    found = {parameter: tuple(numbers.shape) for parameter, numbers in build(name).named_parameters()}
    assert found == {f"{layer}.weight": shape for layer, shape in LEARNED[name].items()}


@pytest.mark.parametrize("name", [name for name in BUILD if name != "dot"])
def test_what_is_no_list_of_keys_is_refused_when_it_is_prepared(name):
    score, (_, key) = build(name), example(name)
    with pytest.raises(TypeCheckError, match="parameter 'key'"):
        score.prepare(key[0])
    with pytest.raises(TypeCheckError, match="parameter 'key'"):
        score.prepare(key.long())


def test_whole_numbers_are_refused():
    with pytest.raises(TypeCheckError, match="parameter 'query'"):
        Dot()(torch.ones(Q, D, dtype=torch.long), torch.ones(K, D))


def test_a_score_must_say_how_it_compares():
    with pytest.raises(NotImplementedError):
        Score()(torch.ones(Q, D), torch.ones(K, D))


# What the experiment draws


def test_rotations_are_drawn_evenly():
    """They keep lengths, mirror every other time, and turn a vector as often against itself as not."""
    random = torch.Generator().manual_seed(0)
    drawn = torch.stack([experiment.rotation(3, random) for _ in range(600)])
    assert_close(drawn @ drawn.mT, torch.eye(3).expand(600, 3, 3), rtol=0, atol=1e-5)
    assert (torch.linalg.det(drawn) > 0).float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert_close(drawn.mean(0), torch.zeros(3, 3), rtol=0, atol=0.1)


@pytest.mark.parametrize("kind", [{}, {"even": True}, {"words": 32}])
def test_the_query_is_one_key_turned_and_noisy(kind):
    task = experiment.Retrieval(3, **kind)
    query, key, labels, right = task.draw(500, torch.Generator().manual_seed(4))
    assert query.shape == (500, 1, task.few["width"])
    assert key.shape == (500, task.few["keys"], task.few["width"])
    assert labels.max().item() == task.few["labels"] - 1
    left = query[:, 0] - key[torch.arange(500), right] @ task.turn
    assert left.std().item() == pytest.approx(task.few["noise"], rel=0.05)
    length = key.norm(dim=-1)
    assert (length.std() < 1e-5) == ("even" in kind)
    if "even" in kind:
        assert_close(length.mean(), torch.tensor(math.sqrt(task.few["width"])))
    if "words" in kind:
        assert len(key.flatten(0, 1).unique(dim=0)) == 32


def test_a_tie_is_no_right_answer():
    scores = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 2.0, 1.0]])
    assert experiment.strictly_best(scores, torch.tensor([0, 1, 2])).tolist() == [False, True, False]


def test_who_knows_the_rotation_needs_the_lengths_too():
    """A bilinear score that holds the true rotation lacks the squared length of the keys, and the ceiling has it."""
    task = experiment.Retrieval(0)
    score = Bilinear(16, 16)
    score.of_key.weight.data = task.turn.T
    with_length = task.accuracy(lambda q, k: score(q, k) - k.square().sum(-1)[:, None] / 2, stream=5)
    assert with_length == pytest.approx(task.accuracy(task.ceiling, stream=5), abs=0.002)
    assert 0.8 < task.accuracy(score, stream=5) < with_length
