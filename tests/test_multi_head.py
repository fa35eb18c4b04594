"""Several queries, heads with projections, heads switched off; what one look cannot do, and what it can."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import nn
from torch.testing import assert_close

from attention_src.attention import attend, causal_mask, padding_mask
from attention_src.exercises.multi_head import EqualHeads, EqualHeadsAndOut
from attention_src.multi_head import (
    Asker,
    ByName,
    Follower,
    MultiHeadAttention,
    merge_heads,
    several_queries,
    split_heads,
    without_heads,
)
from attention_src.scores import Dot, ScaledDot

B, Q, K, HEADS, D = 2, 3, 5, 3, 4  # sentences, queries, keys, heads, numbers in a head
WIDTH = HEADS * D


def draw(*shape, seed=0):
    """Random numbers of a shape, in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def doubles(rows):
    """Rows of numbers as a tensor of float64."""
    return torch.tensor(rows, dtype=torch.float64)


def build(width=WIDTH, heads=HEADS, seed=0):
    torch.manual_seed(seed)
    return MultiHeadAttention(width, heads).double()


def inputs(*batch):
    return draw(*batch, Q, WIDTH), draw(*batch, K, WIDTH, seed=1), draw(*batch, K, WIDTH, seed=2)


# --- several queries -------------------------------------------------------------------------------------------------


def test_two_queries_by_hand():
    """Dot products 0 and log 3 give weights 1/4 and 3/4; the other query gives one half each."""
    key, value = doubles([[0.0], [1.0]]), doubles([[8.0, 0.0], [4.0, 2.0]])
    found, weights = several_queries(Dot(), doubles([[3.0], [1.0]]).log(), key, value)
    assert_close(weights, doubles([[0.25, 0.75], [0.5, 0.5]]))
    assert_close(found, doubles([5.0, 1.5, 6.0, 1.0]))


def test_several_queries_are_single_looks_side_by_side():
    query, key, value = draw(B, Q, D), draw(B, K, D, seed=1), draw(B, K, 7, seed=2)
    found, weights = several_queries(ScaledDot(), query, key, value)
    for number in range(Q):
        alone, row = attend(ScaledDot()(query[:, number : number + 1], key), value)
        assert_close(found[:, 7 * number : 7 * (number + 1)], alone[:, 0])
        assert_close(weights[:, number], row[:, 0])


# --- split and merge -------------------------------------------------------------------------------------------------


def test_split_by_hand():
    """Two words of four numbers: each head gets the same half of every word."""
    words = doubles([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert_close(split_heads(words, 2), doubles([[[1, 2], [5, 6]], [[3, 4], [7, 8]]]))


@pytest.mark.parametrize("batch", [(), (B,), (B, 7)])
def test_merge_undoes_split(batch):
    words = draw(*batch, K, WIDTH)
    pieces = split_heads(words, HEADS)
    assert pieces.shape == (*batch, HEADS, K, D)
    assert_close(merge_heads(pieces), words)


def test_a_piece_holds_numbers_of_its_own_word_only():
    """The classic bug, one view without a transpose, mixes words and heads, and every shape is right."""
    words, other = draw(B, K, WIDTH), draw(B, K, WIDTH)
    other[:, 1] += 1
    changed = split_heads(other, HEADS) != split_heads(words, HEADS)
    assert changed[:, :, 1].all()
    assert changed.sum() == B * WIDTH
    scrambled = words.view(B, HEADS, K, D)
    assert scrambled.shape == split_heads(words, HEADS).shape
    assert not torch.equal(scrambled, split_heads(words, HEADS))


# --- the layer -------------------------------------------------------------------------------------------------------


def identity_layer(width, heads):
    """A layer whose four maps change nothing."""
    layer = build(width, heads)
    for linear in (layer.of_query, layer.of_key, layer.of_value, layer.out):
        nn.init.eye_(linear.weight)
        nn.init.zeros_(linear.bias)
    return layer


def test_two_heads_by_hand():
    """Width 2, two heads of one number: each head sees its own number and mixes its own number."""
    query = doubles([[3.0, 1.0]]).log()  # head 0 has log 3, head 1 has 0
    key, value = doubles([[0.0, 0.0], [1.0, 1.0]]), doubles([[8.0, 2.0], [4.0, 6.0]])
    output, weights = identity_layer(2, 2)(query, key, value)
    assert_close(weights, doubles([[[0.25, 0.75]], [[0.5, 0.5]]]))
    assert_close(output, doubles([[5.0, 4.0]]))


def loop(layer, query, key, value, mask=None):
    """The formula as a plain loop: one head at a time, with its own rows of each matrix."""
    outputs, weights = layer.out.bias.expand(*query.shape), []
    for head in range(layer.heads):
        rows = slice(head * D, (head + 1) * D)
        q, k, v = (
            x @ linear.weight[rows].T + linear.bias[rows]
            for x, linear in ((query, layer.of_query), (key, layer.of_key), (value, layer.of_value))
        )
        scores = q @ k.mT / D**0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        weights.append(scores.softmax(-1))
        outputs = outputs + (weights[-1] @ v) @ layer.out.weight[:, rows].T
    return outputs, torch.stack(weights, dim=-3)


@pytest.mark.parametrize("batch", [(), (B,), (B, 7)])
def test_heads_are_single_looks_added_up(batch):
    """Side by side and then one matrix is the same as: one matrix for each head, and then the sum."""
    layer, some = build(), inputs(*batch)
    assert_close(layer(*some), loop(layer, *some))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_same_numbers_as_pytorch(bias, batch_first):
    torch.manual_seed(1)
    theirs = nn.MultiheadAttention(WIDTH, HEADS, bias=bias, batch_first=batch_first).double().eval()
    if bias:  # PyTorch starts with biases of zero, which would hide that they are forgotten
        nn.init.normal_(theirs.in_proj_bias)
        nn.init.normal_(theirs.out_proj.bias)
    ours, some = MultiHeadAttention.from_torch(theirs), inputs(B)
    mask = draw(B, Q, K, seed=3) > -0.3
    mask[..., 0] = True
    for ours_sees, theirs_hides in ((None, None), (mask, (~mask).repeat_interleave(HEADS, dim=0))):
        given = some if batch_first else [x.transpose(0, 1) for x in some]
        output, weights = theirs(*given, attn_mask=theirs_hides, average_attn_weights=False)
        expected = output if batch_first else output.transpose(0, 1)
        assert_close(ours(*some, ours_sees), (expected, weights))


def test_same_gradients_as_pytorch():
    torch.manual_seed(1)
    theirs, some = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).double(), inputs(B)
    ours, wanted = MultiHeadAttention.from_torch(theirs), draw(B, Q, WIDTH, seed=4)
    (ours(*some)[0] * wanted).sum().backward()
    (theirs(*some)[0] * wanted).sum().backward()
    parts = (ours.of_query, ours.of_key, ours.of_value)
    assert_close(torch.cat([part.weight.grad for part in parts]), theirs.in_proj_weight.grad)
    assert_close(torch.cat([part.bias.grad for part in parts]), theirs.in_proj_bias.grad)
    assert_close(ours.out.weight.grad, theirs.out_proj.weight.grad)


def test_taking_over_copies():
    theirs = nn.MultiheadAttention(WIDTH, HEADS, dtype=torch.float64).eval()
    ours = MultiHeadAttention.from_torch(theirs)
    assert ours.out.weight.dtype == torch.float64
    assert not ours.training
    before = theirs.out_proj.weight.clone()
    nn.init.zeros_(ours.out.weight)
    assert_close(theirs.out_proj.weight.detach(), before.detach())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kdim": 7}, "kdim and vdim equal to embed_dim, which is 12, but they are 7 and 12"),
        ({"vdim": 7}, "kdim and vdim equal to embed_dim, which is 12, but they are 12 and 7"),
        ({"add_bias_kv": True}, "add_bias_kv"),
        ({"add_zero_attn": True}, "add_zero_attn"),
        ({"dropout": 0.1}, "dropout=0 or be set to eval.., but has 0.1"),
    ],
)
def test_what_cannot_be_taken_over_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention.from_torch(nn.MultiheadAttention(WIDTH, HEADS, **settings))


def test_dropout_that_is_switched_off_does_no_harm():
    theirs = nn.MultiheadAttention(WIDTH, HEADS, dropout=0.1, batch_first=True).eval()
    x = torch.randn(2, 5, WIDTH)
    assert_close(MultiHeadAttention.from_torch(theirs)(x, x, x)[0], theirs(x, x, x)[0])


def test_another_layer_cannot_be_taken_over():
    with pytest.raises(TypeError, match=r"module must be an nn\.MultiheadAttention, but is a Linear"):
        MultiHeadAttention.from_torch(nn.Linear(3, 3))


# --- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mask",
    [
        causal_mask(K)[:Q],  # one for all sentences
        padding_mask(torch.tensor([2, 4]), K),  # one for all queries
        (draw(B, Q, K, seed=3) > -0.3) | torch.eye(Q, K, dtype=torch.bool),
    ],
    ids=["causal", "padding", "both"],
)
def test_a_mask_holds_for_every_head(mask):
    layer, some = build(), inputs(B)
    output, weights = layer(*some, mask)
    assert_close((output, weights), loop(layer, *some, mask))
    assert weights[~mask[..., None, :, :].expand(B, HEADS, Q, K)].eq(0).all()


def test_the_padding_of_one_sentence_is_not_that_of_another():
    """As many heads as sentences: a mask that broadcasts over the wrong axis would pass unnoticed."""
    layer = build(heads=2)
    query, key, value = draw(2, Q, WIDTH), draw(2, K, WIDTH, seed=1), draw(2, K, WIDTH, seed=2)
    _, weights = layer(query, key, value, padding_mask(torch.tensor([2, 4]), K))
    assert weights[0, :, :, 2:].eq(0).all()
    assert weights[0, :, :, :2].gt(0).all()
    assert weights[1, :, :, :4].gt(0).all()


def test_a_mask_of_one_row_for_each_sentence_is_refused():
    """(batch, k) is the classic mistake: it must be (batch, 1, k)."""
    with pytest.raises(TypeCheckError, match="parameter 'mask'"):
        build()(*inputs(B), padding_mask(torch.tensor([2, 4]), K)[:, 0])


def test_changing_a_forbidden_key_changes_nothing():
    layer, (query, key, value) = build(), inputs(B)
    mask = padding_mask(torch.tensor([2, 4]), K)
    before = layer(query, key, value, mask)
    key[0, 2:], value[0, 2:], key[1, 4:], value[1, 4:] = 9.0, -9.0, 1e3, -1e3
    assert_close(layer(query, key, value, mask), before, rtol=0, atol=0)


def test_a_query_with_nothing_to_see_gives_the_bias_and_trains():
    layer, some = build(), inputs(B)
    mask = torch.ones(B, Q, K, dtype=torch.bool)
    mask[1, 2] = False
    some[0].requires_grad_()
    output, weights = layer(*some, mask)
    assert weights[1, :, 2].eq(0).all()
    assert_close(output[1, 2], layer.out.bias)
    output.square().sum().backward()
    for parameter in (*layer.parameters(), some[0]):
        assert parameter.grad.isfinite().all()
    assert some[0].grad[1, 2].eq(0).all()


# --- properties ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 99), st.permutations(range(K)))
def test_moving_the_pairs_moves_the_weights_only(seed, order):
    layer, query = build(seed=seed), draw(B, Q, WIDTH, seed=seed)
    key, value = draw(B, K, WIDTH, seed=seed + 1), draw(B, K, WIDTH, seed=seed + 2)
    output, weights = layer(query, key, value)
    moved, moved_weights = layer(query, key[:, order], value[:, order])
    assert_close(moved, output)
    assert_close(moved_weights, weights[..., order])
    assert_close(weights.sum(-1), torch.ones(B, HEADS, Q).double())


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 6, 12])
def test_heads_change_no_size_but_that_of_the_weights(heads):
    layer = build(heads=heads)
    assert sum(p.numel() for p in layer.parameters()) == 4 * WIDTH * WIDTH + 4 * WIDTH
    output, weights = layer(*inputs(B))
    assert output.shape == (B, Q, WIDTH)
    assert weights.shape == (B, heads, Q, K)


def test_one_head_is_attention_with_projections():
    layer, (query, key, value) = build(heads=1), inputs(B)
    found, weights = attend(ScaledDot()(layer.of_query(query), layer.of_key(key)), layer.of_value(value))
    assert_close(layer(query, key, value), (layer.out(found), weights[:, None]))


def test_nothing_is_kept_between_calls():
    layer, some = build(), inputs(B)
    before = dict(vars(layer))
    kept = [x.clone() for x in some]
    layer(*some)
    assert vars(layer) == before
    assert_close(some, tuple(kept))


# --- switching heads off ---------------------------------------------------------------------------------------------


def test_without_a_head_its_part_of_the_sum_is_missing():
    layer, some = build(), inputs(B)
    output, weights = layer(*some)
    parts = [output - without_heads(layer, [head])(*some)[0] for head in range(HEADS)]
    assert_close(sum(parts) + layer.out.bias, output)
    for head, part in enumerate(parts):
        value = split_heads(layer.of_value(some[2]), HEADS)[:, head]
        columns = layer.out.weight[:, head * D : (head + 1) * D]
        assert_close(part, weights[:, head] @ value @ columns.T)


def test_switching_off_leaves_the_layer_and_the_looks_as_they_were():
    layer, some = build(), inputs(B)
    before = layer(*some)
    off = without_heads(layer, {0, 2})
    assert_close(layer(*some), before, rtol=0, atol=0)
    assert_close(off(*some)[1], before[1], rtol=0, atol=0)
    assert_close(without_heads(layer, [])(*some), before, rtol=0, atol=0)
    everything = without_heads(layer, range(HEADS))(*some)[0]
    assert_close(everything, layer.out.bias.expand(B, Q, WIDTH))


# --- errors ----------------------------------------------------------------------------------------------------------


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match=r"heads must divide width.* 7 / 2 is no whole number; take a width of 8"):
        MultiHeadAttention(7, 2)
    with pytest.raises(ValueError, match="heads must be at least 1, but is 0"):
        MultiHeadAttention(7, 0)
    with pytest.raises(ValueError, match="width must be at least 1, but is 0"):
        MultiHeadAttention(0, 1)


def test_bad_input_is_named():
    layer, (query, key, value) = build(), inputs(B)
    with pytest.raises(ValueError, match="query must be 12 wide for this layer, but is 7 wide"):
        layer(query[..., :7], key[..., :7], value[..., :7])
    with pytest.raises(TypeCheckError, match="parameter 'key'"):
        layer(query, key[..., :7], value)
    with pytest.raises(TypeCheckError, match="parameter 'value'"):
        layer(query, key, value[:, 1:])
    with pytest.raises(TypeCheckError, match="parameter 'mask'"):
        layer(query, key, value, torch.zeros(B, Q, K))
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=f"off must name heads from 0 to 2, but names {wrong}"):
            without_heads(layer, [0, wrong])


# --- what several queries have to do with it -------------------------------------------------------------------------


def test_the_layer_is_several_queries_to_what_came_in_and_one_map():
    """A head's matrices can be moved: those of keys into the query, those of values behind the mixture."""
    layer, (query, key, value) = build(), inputs(B)
    rows = [slice(head * D, (head + 1) * D) for head in range(HEADS)]
    asked = layer.of_query(query) / D**0.5
    queries = torch.stack([asked[..., part] @ layer.of_key.weight[part] for part in rows], dim=-3)
    found, weights = several_queries(Dot(), queries[:, :, 0], key, value)  # of the first query of each sentence
    behind = torch.cat([layer.out.weight[:, part] @ layer.of_value.weight[part] for part in rows], dim=1)
    constant = layer.out(layer.of_value.bias)  # weights sum to one
    expected, expected_weights = layer(query, key, value)
    assert_close(weights, expected_weights[:, :, 0])
    assert_close(found @ behind.T + constant, expected[:, 0])


def test_a_heads_score_is_a_matrix_of_low_rank():
    layer = build()
    for head in range(HEADS):
        rows = slice(head * D, (head + 1) * D)
        between = layer.of_query.weight[rows].T @ layer.of_key.weight[rows]
        assert torch.linalg.matrix_rank(between) == D < WIDTH


def test_every_head_sees_every_key_and_all_heads_are_equally_wide():
    """Heads are no windows, and they do not differ in size."""
    _, weights = build()(*inputs(B))
    assert weights.gt(0).all()
    pieces = split_heads(draw(K, WIDTH), HEADS)
    assert [piece.shape for piece in pieces] == [(K, D)] * HEADS


# --- what one look cannot do -----------------------------------------------------------------------------------------

BITS = doubles([[0, 0], [0, 1], [1, 0], [1, 1]])  # what Ana has, what Ben has: 0 is tea, 1 is milk


def answers(found, readout, bias):
    """Which of the two answers are milk: two numbers of the mixture's, each above 0 or not."""
    return (found @ readout.T + bias > 0).double()


@given(st.integers(0, 10_000))
def test_one_look_gets_at_most_three_of_four(seed):
    """Any weights, any value of tea and of milk, any linear answers: never all four."""
    random = torch.Generator().manual_seed(seed)
    weights = torch.rand(2, generator=random, dtype=torch.float64)
    values = torch.randn(2, 3, generator=random, dtype=torch.float64)
    found = weights[0] * values[BITS[:, 0].long()] + weights[1] * values[BITS[:, 1].long()]
    readout = torch.randn(2, 3, generator=random, dtype=torch.float64)
    # the best constants for these directions: between any two neighbours of what comes out
    said = found @ readout.T
    cuts = [torch.cat([s.sort().values - 1e-9, s.max()[None] + 1]) for s in said.T]
    best = max(
        int((answers(found, readout, -torch.stack([a, b])) == BITS).all(1).sum()) for a in cuts[0] for b in cuts[1]
    )
    assert best <= 3


def test_three_of_four_can_be_had():
    found = BITS @ doubles([[2 / 3], [1 / 3]])
    said = answers(found, doubles([[1.0], [1.0]]), doubles([-0.5, -0.2]))
    assert (said == BITS).all(1).tolist() == [True, True, False, True]


def test_two_looks_get_all_four():
    """The layer itself: keys are who, values are what; head 0 looks at the first key, head 1 at the second."""
    layer = identity_layer(2, 2)
    query = doubles([[100.0, 100.0]])
    key = doubles([[1.0, 0.0], [0.0, 1.0]])  # Ana's key speaks to head 0, Ben's to head 1
    value = BITS[..., None].expand(4, 2, 2)  # each head is shown what each of them has
    found, weights = layer(query.expand(4, 1, 2), key.expand(4, 2, 2), value)
    assert_close(weights[0, :, 0], torch.eye(2).double())
    assert_close(answers(found[:, 0], torch.eye(2).double(), doubles([-0.5, -0.5])), BITS)


def test_without_the_linear_readout_one_look_is_enough():
    """2/3 and 1/3 give the four mixtures 0, 1/3, 2/3, 1; a bend tells them apart."""
    found = BITS @ doubles([2 / 3, 1 / 3])
    bump = torch.relu(found) - 4 * torch.relu(found - 1 / 3) + 8 * torch.relu(found - 2 / 3)  # 0, 1/3, -1/3, 2
    assert_close(answers(torch.stack([found, bump], -1), torch.eye(2).double(), doubles([-0.5, -0.1])), BITS)


def test_with_weights_that_depend_on_the_values_one_look_is_enough():
    """Look at those of the two who have milk, and read who they are; if nobody has, look at a third person."""
    who = doubles([[1, 0], [0, 1], [0, 0]])
    scores = torch.cat([200 * BITS, torch.full((4, 1), 100.0).double()], dim=1)  # milk 200, tea 0, the third 100
    found, _ = attend(scores[:, None], who.expand(4, 3, 2))
    assert_close(found[:, 0], doubles([[0, 0], [0, 1], [1, 0], [0.5, 0.5]]))
    assert_close(answers(found[:, 0], torch.eye(2).double(), doubles([-0.25, -0.25])), BITS)


def test_with_values_that_say_who_has_it_one_look_is_enough():
    """One half each; Ana's thing stands in the first number, Ben's in the second."""
    value = torch.diag_embed(BITS)  # (4, 2, 2): row 0 is (Ana's, 0), row 1 is (0, Ben's)
    found, _ = attend(torch.zeros(4, 1, 2).double(), value)
    assert_close(answers(found[:, 0], torch.eye(2).double(), doubles([-0.25, -0.25])), BITS)


def test_adding_the_name_to_the_value_is_no_way_out():
    """A value that is who plus what moves all four mixtures by the same vector: still at most three."""
    who = draw(2, 3, seed=1)
    for seed in range(50):
        values, weights = draw(2, 3, seed=seed), draw(2, seed=seed).softmax(0)
        plain = weights[0] * values[BITS[:, 0].long()] + weights[1] * values[BITS[:, 1].long()]
        named = weights[0] * (who[0] + values[BITS[:, 0].long()]) + weights[1] * (who[1] + values[BITS[:, 1].long()])
        assert_close(named - plain, (weights @ who).expand(4, 3))


def test_with_a_second_layer_of_one_look_it_is_enough():
    """Look at Ana, keep what was found in the first number; the query moves on, to Ben, whose goes into the second."""
    first, second = identity_layer(2, 1), identity_layer(2, 1)
    with torch.no_grad():
        first.out.weight.copy_(doubles([[1, 0], [0, 0]]))
        second.out.weight.copy_(doubles([[0, 0], [1, 0]]))
        second.of_query.weight.copy_(doubles([[0, 0], [1, 0]]))  # the query that spoke to Ana speaks to Ben
    key = doubles([[1.0, 0.0], [0.0, 1.0]]).expand(4, 2, 2)
    value = torch.stack([BITS, torch.zeros(4, 2).double()], dim=-1)  # what each has, in the first number
    query = doubles([[100.0, 0.0]]).expand(4, 1, 2)
    found, looked = first(query, key, value)
    again, moved = second(query + found, key, value)
    assert_close(torch.cat([looked, moved], dim=-2)[:, 0], torch.eye(2).double().expand(4, 2, 2))
    assert_close(answers((found + again)[:, 0], torch.eye(2).double(), doubles([-0.5, -0.5])), BITS)


# --- what two looks can do besides -----------------------------------------------------------------------------------


def read_along(rays, weights, things):
    """Each question adds up the mixtures of all looks, by shares of its own, and says the thing that weighs most."""
    lists = torch.cartesian_prod(*weights.shape[1] * [torch.arange(things)])
    found = weights @ nn.functional.one_hot(lists, things).double()  # (lists, looks, things)
    right = ((rays @ found).argmax(dim=-1) == lists).all(dim=1)
    order = lists.sort(dim=1).values
    return right, (order[:, 1:] != order[:, :-1]).all(dim=1)


def test_two_looks_serve_three_questions_if_the_things_differ():
    """The example of the page: sum, difference, and the difference the other way round."""
    weights = doubles([[0.5, 0.5, 0], [0.5, 0, 0.5]])
    right, differ = read_along(doubles([[1, 1], [1, -1], [-1, 1]]), weights, 5)
    assert right[differ].all()
    assert not right.all()


def test_two_looks_serve_four_questions_if_the_things_differ():
    """Four pairs of weights on a quarter of a circle: each is the farthest out in its own direction."""
    angle = torch.tensor([0.0, 30.0, 60.0, 90.0]).double().deg2rad()
    rays = torch.stack([angle.cos(), angle.sin()])
    right, differ = read_along(rays.T, rays / rays.sum(dim=1, keepdim=True), 5)
    assert right[differ].all()
    assert not right.all()


@given(st.integers(0, 10_000))
def test_one_look_serves_one_question_even_if_the_things_differ(seed):
    """However it reads its one mixture: the thing with the largest weight, or one that nobody has."""
    random = torch.Generator().manual_seed(seed)
    weights = torch.rand(1, 2, generator=random, dtype=torch.float64)
    right, differ = read_along(torch.randn(2, 1, generator=random, dtype=torch.float64), weights, 3)
    assert not right[differ].any()


# --- the chapter's models --------------------------------------------------------------------------------------------


def small_list():
    return torch.tensor([[4, 1, 3, 0, 2], [0, 2, 4, 3, 1]]), torch.tensor([[0, 1, 1, 2, 0], [2, 2, 0, 1, 1]])


@pytest.mark.parametrize("kind", [Asker, ByName])
def test_an_asker_is_one_look_between_two_linear_maps(kind):
    torch.manual_seed(0)
    model = kind(5, 3, 2, 4, 2).double()
    (names, things), asked = small_list(), torch.tensor([[4, 0], [1, 3]])
    logits, weights = model(names, things, asked)
    assert logits.shape == (2, 2, 3)
    assert weights.shape == (2, 2, 5)
    who, what = model.name(names), model.thing(things)
    query = model.ask[0](asked[:, 0]) + model.ask[1](asked[:, 1])
    key, value = (who, what) if kind is ByName else (who + what, who + what)
    found, expected = model.look(query[:, None], key, value)
    assert_close(weights, expected[:, :, 0])
    assert_close(logits[:, 1], found[:, 0] @ model.answer.weight[3:].T + model.answer.bias[3:])


def test_by_name_cannot_see_things_when_it_chooses():
    torch.manual_seed(0)
    (names, things), asked = small_list(), torch.tensor([[4, 0], [1, 3]])
    for kind, same in ((ByName, True), (Asker, False)):
        model = kind(5, 3, 2, 4, 2).double()
        before, after = model(names, things, asked)[1], model(names, things.flip(1), asked)[1]
        assert torch.equal(before, after) == same


def test_the_order_of_a_list_does_not_matter_and_that_of_the_questions_does():
    torch.manual_seed(0)
    model = Asker(5, 3, 2, 4, 2).double()
    (names, things), asked = small_list(), torch.tensor([[4, 0], [1, 3]])
    logits, _ = model(names, things, asked)
    assert_close(model(names.flip(1), things.flip(1), asked)[0], logits)
    assert not torch.allclose(model(names, things, asked.flip(1))[0].flip(1), logits)


def test_a_follower_adds_what_each_layer_finds():
    torch.manual_seed(0)
    model = Follower(5, 4, 2, 2).double()
    names, others = small_list()
    logits = model(names, others, torch.tensor([4, 1]))
    vectors = torch.cat([model.name(names) + model.other(others), model.ask(torch.tensor([[4], [1]]))], dim=1)
    for look in model.looks:
        vectors = vectors + look(vectors, vectors, vectors)[0]
    assert_close(logits, model.answer(vectors[:, 5]))
    assert len(model.looks) == 2


def test_bad_sizes_of_the_models_are_named():
    for name, sizes in (("names", (0, 3, 2)), ("things", (5, 0, 2)), ("questions", (5, 3, 0))):
        with pytest.raises(ValueError, match=f"{name} must be at least 1"):
            Asker(*sizes, 4, 2)
    with pytest.raises(ValueError, match="layers must be at least 1"):
        Follower(5, 4, 2, 0)


@pytest.mark.parametrize("kind", [EqualHeads, EqualHeadsAndOut])
def test_equal_heads_start_equal(kind):
    model = kind(5, 3, 2, WIDTH, HEADS)
    things, asked = torch.tensor([[0, 2, 1, 1, 0]]), torch.tensor([[4, 1]])
    _, weights = model(torch.tensor([[3, 1, 4, 0, 2]]), things, asked)
    assert weights.shape == (1, HEADS, 5)
    assert_close(weights, weights[:, :1].expand(-1, HEADS, -1))
    blocks = model.look.out.weight.unflatten(1, (HEADS, -1))
    assert torch.equal(blocks, blocks[:, :1].expand_as(blocks)) == (kind is EqualHeadsAndOut)


@pytest.mark.parametrize("kind", [EqualHeads, EqualHeadsAndOut])
def test_equal_heads_start_equal(kind):
    model = kind(5, 3, 2, WIDTH, HEADS)
    things, asked = torch.tensor([[0, 2, 1, 1, 0]]), torch.tensor([[4, 1]])
    _, weights = model(torch.tensor([[3, 1, 4, 0, 2]]), things, asked)
    assert weights.shape == (1, HEADS, 5)
    assert_close(weights, weights[:, :1].expand(-1, HEADS, -1))
    blocks = model.look.out.weight.unflatten(1, (HEADS, -1))
    assert torch.equal(blocks, blocks[:, :1].expand_as(blocks)) == (kind is EqualHeadsAndOut)
