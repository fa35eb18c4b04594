import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch.testing import assert_close
from torchcrf import CRF

from attention_src.data import segments, tagged
from attention_src.experiments import structured as experiment
from attention_src.structured import (
    FORBIDDEN,
    Choice,
    Gates,
    LinearChainCRF,
    OneSegment,
    SegmentReader,
    Tagger,
    TiedGates,
    feature_counts,
    feature_weights,
)

B, N, TAGS, WORDS = 5, 4, 3, 7  # sentences, places, tags, words of the vocabulary
LENGTHS = (4, 1, 3, 0, 2)


def build(tags=TAGS, seed=0, scale=1.0, dtype=torch.float64):
    """A chain with random ties."""
    torch.manual_seed(seed)
    chain = LinearChainCRF(tags).to(dtype)
    for parameter in chain.parameters():
        torch.nn.init.normal_(parameter, std=scale)
    return chain


def mask_of(lengths, longest=None):
    """The mask of a batch with these lengths."""
    return torch.arange(longest or max(lengths)) < torch.tensor(lengths)[:, None]


def example(seed=1):
    """Emissions of five sentences, one of them empty, and their mask."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(B, N, TAGS, dtype=torch.float64, generator=random), mask_of(LENGTHS)


def plain_score(chain, emissions, tags):
    """The score of one sequence, in a plain loop; emissions (length, tags) without padding."""
    if not len(tags):
        return 0.0
    start, transition, end = (p.tolist() for p in (chain.start, chain.transition, chain.end))
    total = start[tags[0]] + end[tags[-1]]
    for place, tag in enumerate(tags):
        total += emissions[place][tag].item()
        if place:
            total += transition[tags[place - 1]][tag]
    return total


def every(chain, emissions):
    """All sequences of tags of one sentence with their probabilities, and log Z."""
    paths = list(itertools.product(range(chain.tags), repeat=len(emissions)))
    scores = np.array([plain_score(chain, emissions, path) for path in paths])
    log_z = np.logaddexp.reduce(scores)
    return paths, np.exp(scores - log_z), log_z


# --- a case by hand --------------------------------------------------------------------------------------------------


def by_hand():
    """Three gates with the factors 3, 1, 3 for open; equal neighbours get the factor 2."""
    gates = TiedGates().double()
    with torch.no_grad():
        gates.chain.transition.copy_(torch.tensor([[2.0, 1.0], [1.0, 2.0]]).log())
    scores = torch.tensor([[3.0, 1.0, 3.0]], dtype=torch.float64).log()
    return gates, scores, torch.ones(1, 3, dtype=torch.bool)


def test_three_gates_by_hand():
    """The eight paths have the weights 4, 6, 1, 6, 6, 9, 6 and 36, and 74 together."""
    gates, scores, mask = by_hand()
    emissions = torch.stack([torch.zeros_like(scores), scores], dim=-1)
    chain = gates.chain
    weights = {(0, 0, 0): 4, (0, 0, 1): 6, (0, 1, 0): 1, (0, 1, 1): 6}
    weights |= {(1, 0, 0): 6, (1, 0, 1): 9, (1, 1, 0): 6, (1, 1, 1): 36}
    for path, weight in weights.items():
        tags = torch.tensor([path])
        assert chain.score(emissions, tags, mask).exp().item() == pytest.approx(weight)
        assert chain.log_likelihood(emissions, tags, mask).exp().item() == pytest.approx(weight / 74)
    assert chain.log_partition(emissions, mask).exp().item() == pytest.approx(74)
    assert_close(gates(scores, mask) * 74, torch.tensor([[57.0, 49.0, 57.0]], dtype=torch.float64))
    assert chain.viterbi(emissions, mask).tolist() == [[1, 1, 1]]


def test_without_ties_by_hand():
    _, scores, mask = by_hand()
    assert_close(TiedGates().double()(scores, mask), torch.tensor([[0.75, 0.5, 0.75]]).double())
    assert_close(Gates()(scores, mask), torch.tensor([[0.75, 0.5, 0.75]]).double())
    assert_close(Choice()(scores, mask), torch.tensor([[3.0, 1.0, 3.0]]).double() / 7)


# --- the first oracle: all sequences, one by one ----------------------------------------------------------------------


@pytest.mark.parametrize("tags", [1, 2, 3])
def test_every_answer_is_that_of_all_sequences(tags):
    chain = build(tags)
    emissions, mask = torch.randn(B, N, tags, dtype=torch.float64), mask_of(LENGTHS)
    found = {name: getattr(chain, name)(emissions, mask) for name in ("log_partition", "marginals", "viterbi")}
    for row, length in enumerate(LENGTHS):
        words = emissions[row, :length]
        paths, shares, log_z = every(chain, words)
        assert found["log_partition"][row].item() == pytest.approx(log_z, abs=1e-12)
        for place in range(N):
            wanted = [
                sum(p for path, p in zip(paths, shares, strict=True) if path[place : place + 1] == (tag,))
                for tag in range(tags)
            ]
            np.testing.assert_allclose(found["marginals"][row, place].tolist(), wanted, atol=1e-12)
        assert found["viterbi"][row].tolist() == [*paths[int(shares.argmax())], *[-1] * (N - length)]
        for path, share in zip(paths, shares, strict=True):
            given_ = torch.zeros(B, N, dtype=torch.long)
            given_[row, :length] = torch.tensor(path, dtype=torch.long)
            said = chain.log_likelihood(emissions, given_, mask)[row].item()
            assert said == pytest.approx(math.log(share), abs=1e-12)
            score = chain.score(emissions, given_, mask)[row].item()
            assert score == pytest.approx(plain_score(chain, words, path), abs=1e-12)


def test_samples_come_by_their_probability():
    chain, many = build(2, scale=1.5), 20_000
    emissions = torch.randn(1, 3, 2, dtype=torch.float64)
    paths, shares, _ = every(chain, emissions[0])
    drawn = chain.sample(
        emissions.expand(many, 3, 2), mask_of([3]).expand(many, 3), torch.Generator().manual_seed(0)
    ).tolist()
    for path, share in zip(paths, shares, strict=True):
        assert drawn.count(list(path)) / many == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / many))


def test_samples_of_rows_of_different_length():
    """The end scores count where a row ends, not where the batch ends."""
    chain = build(2, seed=3, scale=2.0)
    many, emissions = 4000, torch.randn(1, 4, 2, dtype=torch.float64)
    mask = mask_of([2], 4).expand(many, 4)
    paths, shares, _ = every(chain, emissions[0, :2])
    drawn = chain.sample(emissions.expand(many, 4, 2), mask, torch.Generator().manual_seed(0))
    assert (drawn[:, 2:] == -1).all()
    for path, share in zip(paths, shares, strict=True):
        assert drawn[:, :2].tolist().count(list(path)) / many == pytest.approx(share, abs=0.03)


# --- the second oracle: the gradient of log Z -------------------------------------------------------------------------


def test_marginals_are_the_gradient_of_the_log_partition():
    chain, (emissions, mask) = build(), example()
    emissions.requires_grad_()
    (gradient,) = torch.autograd.grad(chain.log_partition(emissions, mask).sum(), emissions)
    assert_close(chain.marginals(emissions, mask), gradient)


def test_the_gradient_of_the_ties_is_the_expected_number_of_pairs():
    chain, (emissions, mask) = build(), example()
    chain.log_partition(emissions, mask).sum().backward()
    pairs, first, last = np.zeros((TAGS, TAGS)), np.zeros(TAGS), np.zeros(TAGS)
    for row, length in enumerate(LENGTHS):
        for path, share in zip(*every(chain, emissions[row, :length])[:2], strict=True):
            for a, b in itertools.pairwise(path):
                pairs[a, b] += share
            if path:
                first[path[0]] += share
                last[path[-1]] += share
    for parameter, wanted in ((chain.transition, pairs), (chain.start, first), (chain.end, last)):
        np.testing.assert_allclose(parameter.grad.numpy(), wanted, atol=1e-12)


def test_the_gradients_are_those_of_small_differences():
    chain, (emissions, mask) = build(), example()
    emissions.requires_grad_()
    torch.autograd.gradcheck(lambda e: chain.log_partition(e, mask), emissions)
    torch.autograd.gradcheck(lambda e: chain.marginals(e, mask), emissions)


# --- the third oracle: another program --------------------------------------------------------------------------------


def test_it_agrees_with_pytorch_crf():
    chain, other = build(), CRF(TAGS, batch_first=True).double()
    other.load_state_dict(
        {"start_transitions": chain.start, "end_transitions": chain.end, "transitions": chain.transition}
    )
    lengths = (11, 2, 7, 5)
    emissions, mask = torch.randn(4, 11, TAGS, dtype=torch.float64), mask_of(lengths)
    tags = torch.randint(TAGS, (4, 11))
    assert_close(chain.log_likelihood(emissions, tags, mask), other(emissions, tags, mask, reduction="none"))
    paths = chain.viterbi(emissions, mask)
    assert [row[:length].tolist() for row, length in zip(paths, lengths, strict=True)] == other.decode(emissions, mask)


# --- padding, empty rows, masks ---------------------------------------------------------------------------------------


def test_padding_changes_nothing():
    chain, (emissions, mask) = build(), example()
    tags = torch.randint(TAGS, (B, N))
    wide = torch.cat([emissions, torch.full((B, 2, TAGS), torch.nan, dtype=torch.float64)], dim=1)
    wide = wide.masked_fill(~mask_of(LENGTHS, N + 2)[..., None], torch.nan).requires_grad_()
    wide_mask, wide_tags = mask_of(LENGTHS, N + 2), torch.cat([tags, torch.full((B, 2), 99)], dim=1)
    wide_tags = wide_tags.masked_fill(~wide_mask, -5)
    assert_close(chain.log_partition(wide, wide_mask), chain.log_partition(emissions, mask))
    assert_close(chain.marginals(wide, wide_mask)[:, :N], chain.marginals(emissions, mask))
    assert torch.equal(chain.viterbi(wide, wide_mask)[:, :N], chain.viterbi(emissions, mask))
    found = chain.log_likelihood(wide, wide_tags, wide_mask)
    assert_close(found, chain.log_likelihood(emissions, tags, mask))
    found.sum().backward()
    assert wide.grad.isfinite().all()
    assert (wide.grad[~wide_mask] == 0).all()
    assert all(parameter.grad.isfinite().all() for parameter in chain.parameters())


@pytest.mark.parametrize("longest", [0, 3])
def test_an_empty_sentence_has_one_sequence_of_tags(longest):
    chain = build()
    emissions = torch.randn(2, longest, TAGS, dtype=torch.float64, requires_grad=True)
    mask, tags = torch.zeros(2, longest, dtype=torch.bool), torch.zeros(2, longest, dtype=torch.long)
    nothing = torch.zeros(2, dtype=torch.float64)
    assert_close(chain.log_partition(emissions, mask), nothing)
    assert_close(chain.log_likelihood(emissions, tags, mask), nothing)
    assert_close(chain.score(emissions, tags, mask), nothing)
    assert_close(chain.marginals(emissions, mask), torch.zeros_like(emissions))
    for way in (chain.viterbi, chain.sample):
        assert torch.equal(way(emissions, mask), tags - 1)
    (chain.log_partition(emissions, mask).sum() + chain.marginals(emissions, mask).sum()).backward()
    assert (emissions.grad == 0).all()
    assert all(parameter.grad is None or (parameter.grad == 0).all() for parameter in chain.parameters())


def test_bad_arguments_are_named():
    chain, (emissions, mask) = build(), example()
    holes = mask.clone()
    holes[2] = torch.tensor([True, False, True, False])
    for name in ("log_partition", "marginals", "viterbi", "sample"):
        with pytest.raises(ValueError, match="in row 2 True follows False: move the words to the front"):
            getattr(chain, name)(emissions, holes)
        with pytest.raises(ValueError, match="one score for each of the 3 tags in their last axis, but have 2"):
            getattr(chain, name)(emissions[..., :2], mask)
        with pytest.raises(TypeCheckError, match="parameter 'mask'"):
            getattr(chain, name)(emissions, mask[:, 1:])
    tags = torch.zeros(B, N, dtype=torch.long)
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=r"tags must lie between 0 and 2 where mask is True, but go from"):
            chain.log_likelihood(emissions, tags + wrong, mask)
    with pytest.raises(TypeCheckError, match="parameter 'tags'"):
        chain.log_likelihood(emissions, tags[:, 1:], mask)
    with pytest.raises(ValueError, match="tags must be at least 1, but is 0"):
        LinearChainCRF(0)


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_a_thousand_places_in_float32(scale):
    longest, lengths = 1000, (1000, 637)
    single = build(5, scale=scale, dtype=torch.float32)
    double = build(5, scale=scale, dtype=torch.float32).double()
    emissions = scale * torch.randn(2, longest, 5)
    mask, tags = mask_of(lengths), torch.randint(5, (2, longest))
    tags[1] = double.viterbi(emissions.double(), mask)[1].clamp(min=0)
    wide = emissions.double()
    assert_close(single.log_partition(emissions, mask).double(), double.log_partition(wide, mask), rtol=2e-6, atol=0)
    found, wanted = (c.log_likelihood(e, tags, mask).double() for c, e in ((single, emissions), (double, wide)))
    assert_close(found, wanted, rtol=2e-6, atol=1e-3)
    assert_close(single.marginals(emissions, mask).double(), double.marginals(wide, mask), rtol=0, atol=2e-5 * scale)
    assert torch.equal(single.viterbi(emissions, mask), double.viterbi(wide, mask))
    emissions.requires_grad_()
    single.log_likelihood(emissions, tags, mask).sum().backward()
    assert emissions.grad.isfinite().all()
    one_hot = torch.nn.functional.one_hot(tags, 5) * mask[..., None]
    assert_close(emissions.grad.double(), one_hot - double.marginals(wide, mask), rtol=0, atol=1e-4 * scale)


@given(st.integers(0, 10_000), st.sampled_from([1.0, 100.0, 1e4]))
def test_no_score_makes_a_number_that_is_none(seed, scale):
    chain = build(3, seed, scale, torch.float32)
    emissions = (scale * torch.randn(2, 6, 3)).requires_grad_()
    mask = mask_of((6, 2))
    marginals = chain.marginals(emissions, mask)
    assert_close(marginals.sum(dim=-1), mask.float(), rtol=0, atol=1e-5)
    assert marginals.min() >= 0
    (chain.log_partition(emissions, mask).sum() + marginals.square().sum()).backward()
    assert emissions.grad.isfinite().all()
    assert chain.transition.grad.isfinite().all()


def test_a_forbidden_pair_never_comes():
    chain = build(seed=5)
    with torch.no_grad():
        chain.transition[1, 2] = FORBIDDEN
    emissions = torch.zeros(500, 6, TAGS, dtype=torch.float64)
    emissions[:, ::2, 1] = emissions[:, 1::2, 2] = 20.0  # all words call for the forbidden pair
    mask = torch.ones(500, 6, dtype=torch.bool)
    for tags in (chain.viterbi(emissions, mask), chain.sample(emissions, mask, torch.Generator().manual_seed(0))):
        assert not ((tags[:, :-1] == 1) & (tags[:, 1:] == 2)).any()


@pytest.mark.parametrize(("forbidden", "finite"), [(FORBIDDEN, True), (-math.inf, False)])
def test_why_forbidden_is_not_minus_infinity(forbidden, finite):
    """A tag that nothing may precede: with minus infinity its forward score has no gradient, and the rest goes too."""
    chain, (emissions, mask) = build(), example()
    with torch.no_grad():
        chain.transition[:, 2] = forbidden
    chain.log_partition(emissions.requires_grad_(), mask).sum().backward()
    assert bool(emissions.grad.isfinite().all()) == finite
    assert bool(chain.transition.grad.isfinite().all()) == finite


# --- properties -------------------------------------------------------------------------------------------------------


def test_a_new_chain_is_a_softmax_at_each_place():
    chain, (emissions, mask) = LinearChainCRF(TAGS).double(), example()
    assert_close(chain.marginals(emissions, mask), emissions.softmax(dim=-1) * mask[..., None])
    tags = torch.randint(TAGS, (B, N))
    apart = emissions.log_softmax(dim=-1).gather(2, tags[..., None])[..., 0]
    assert_close(chain.log_likelihood(emissions, tags, mask), (apart * mask).sum(dim=1))


def test_a_constant_at_one_place_changes_no_probability():
    chain, (emissions, mask) = build(), example()
    moved = emissions + torch.randn(B, N, 1, dtype=torch.float64)
    assert_close(chain.marginals(moved, mask), chain.marginals(emissions, mask))


def test_sentences_do_not_disturb_each_other():
    chain, (emissions, mask) = build(), example()
    together = chain.marginals(emissions, mask)
    for row, length in enumerate(LENGTHS):
        if length:
            alone = chain.marginals(emissions[row : row + 1, :length], torch.ones(1, length, dtype=torch.bool))
            assert_close(together[row, :length], alone[0])


def test_the_last_word_moves_the_first_tag():
    """The chain is no row of decisions from left to right: what comes later counts too."""
    chain, (emissions, mask) = build(), example()
    other = emissions.clone()
    other[0, 3] += torch.tensor([5.0, 0.0, -5.0])
    assert (chain.marginals(other, mask)[0, 0] - chain.marginals(emissions, mask)[0, 0]).abs().max() > 1e-3


def test_the_arguments_are_not_written_to():
    chain, (emissions, mask) = build(), example()
    before = emissions.clone(), mask.clone()
    chain.marginals(emissions, mask)
    chain.viterbi(emissions, mask)
    chain.log_likelihood(emissions, torch.full((B, N), 2), mask)
    assert torch.equal(emissions, before[0])
    assert torch.equal(mask, before[1])


# --- features (claim crf-features) ------------------------------------------------------------------------------------


def sentences():
    """Words, tags, mask, a table of emissions and a chain."""
    random = torch.Generator().manual_seed(2)
    words, tags = (torch.randint(n, (B, N), generator=random) for n in (WORDS, TAGS))
    table = torch.randn(WORDS, TAGS, dtype=torch.float64, generator=random, requires_grad=True)
    return words, tags, mask_of(LENGTHS), table, build()


def test_the_features_of_one_sentence_by_hand():
    counts = feature_counts(torch.tensor([[1, 0, 1]]), torch.tensor([[0, 1, 1]]), mask_of([3]), (2, 2))[0].tolist()
    assert counts[:4] == [0, 1, 1, 1]  # word 0: once with tag 1; word 1: once with tag 0, once with tag 1
    assert counts[4:8] == [0, 1, 0, 1]  # 0 then 1, 1 then 1
    assert counts[8:] == [1, 0, 0, 1]  # begins with 0, ends with 1


def test_the_score_is_features_times_weights():
    words, tags, mask, table, chain = sentences()
    counts = feature_counts(words, tags, mask, (WORDS, TAGS)).double()
    assert_close(counts @ feature_weights(table, chain), chain.score(table[words], tags, mask))


def test_the_gradient_is_observed_minus_expected_counts():
    words, tags, mask, table, chain = sentences()
    chain.log_likelihood(table[words], tags, mask).sum().backward()
    gradient = torch.cat([p.grad.flatten() for p in (table, chain.transition, chain.start, chain.end)])
    wanted = feature_counts(words, tags, mask, (WORDS, TAGS)).double().sum(dim=0)
    for row, length in enumerate(LENGTHS):
        paths, shares, _ = every(chain, table[words][row, :length])
        for path, share in zip(paths, shares, strict=True):
            if path:
                one = (words[row : row + 1, :length], torch.tensor([path]), mask[row : row + 1, :length])
                wanted -= share * feature_counts(*one, (WORDS, TAGS))[0]
    assert_close(gradient, wanted)


# --- what a first-order chain cannot say (claim crf-linear-only) ------------------------------------------------------


def joint(chain, emissions):
    """The distribution over all sequences as a table with one axis for each place."""
    _, shares, _ = every(chain, emissions)
    return torch.tensor(shares).view((chain.tags,) * len(emissions))


def dependence(table, one, other, given_others=()):
    """How far two places of a table are from independent: the largest difference of p(a, b) and p(a) p(b).

    The tags of the places in ``given_others`` are held, and the largest over them counts; all others are summed out.
    """
    kept = [one, other, *given_others]
    table = table.sum(dim=[d for d in range(table.dim()) if d not in kept]) if len(kept) < table.dim() else table
    order = sorted(kept)
    table = table.permute([order.index(place) for place in kept]).flatten(2) if given_others else table[..., None]
    if not given_others and one > other:
        table = table.transpose(0, 1)
    table = table / table.sum(dim=(0, 1), keepdim=True)
    return float((table - table.sum(1, keepdim=True) * table.sum(0, keepdim=True)).abs().max())


@given(st.integers(0, 10_000))
def test_two_apart_are_independent_given_the_middle_tag(seed):
    chain = build(2, seed, 1.5)
    table = joint(chain, torch.randn(5, 2, dtype=torch.float64))
    for middle in (1, 2, 3):
        assert dependence(table, middle - 1, middle + 1, (middle,)) < 1e-12
    assert dependence(table, 0, 4, (2,)) < 1e-12  # and so is all that lies before from all that lies behind


def test_without_the_middle_tag_they_are_not():
    table = joint(by_hand()[0].chain, torch.zeros(3, 2, dtype=torch.float64))
    assert dependence(table, 0, 2) > 0.01


def test_with_emissions_that_are_not_fixed_they_are_not():
    """A mixture of two sentences: the first tag tells which one it is, and so tells of the third."""
    chain, one = by_hand()[0].chain, torch.zeros(3, 2, dtype=torch.float64)
    one[0, 0] = one[2, 0] = 3.0
    mixture = (joint(chain, one) + joint(chain, -one)) / 2
    assert dependence(mixture, 0, 2, (1,)) > 0.01


def test_a_chain_of_second_order_is_not_bound_by_it_but_a_first_order_chain_of_pairs_says_it():
    """Tag 3 equals tag 1 with a factor of 5: no first-order chain, but one over pairs of tags."""
    second = torch.tensor([[[5.0 if a == c else 1.0 for c in (0, 1)] for b in (0, 1)] for a in (0, 1)]).double()
    assert dependence(second / second.sum(), 0, 2, (1,)) > 0.1
    pairs = LinearChainCRF(4).double()  # the tags (0, 0), (0, 1), (1, 0), (1, 1)
    with torch.no_grad():
        pairs.transition.fill_(FORBIDDEN)
        for a, b, c in itertools.product((0, 1), repeat=3):
            pairs.transition[2 * a + b, 2 * b + c] = second[a, b, c].log()
    table = joint(pairs, torch.zeros(2, 4, dtype=torch.float64))
    for a, b, c in itertools.product((0, 1), repeat=3):
        assert table[2 * a + b, 2 * b + c].item() == pytest.approx((second[a, b, c] / second.sum()).item())


def grid(emissions, tie, rows=2, columns=2):
    """The distribution over a grid of gates: ``tie`` for each pair of equal neighbours, across and down."""
    places = list(itertools.product(range(rows), range(columns)))
    pairs = [(p, q) for p, q in itertools.combinations(places, 2) if abs(p[0] - q[0]) + abs(p[1] - q[1]) == 1]
    scores = torch.zeros((2,) * len(places), dtype=torch.float64)
    for tags in itertools.product((0, 1), repeat=len(places)):
        at = dict(zip(places, tags, strict=True))
        scores[tags] = sum(e * t for e, t in zip(emissions, tags, strict=True)) + sum(
            tie * (at[p] == at[q]) for p, q in pairs
        )
    return scores.flatten().softmax(0).view(scores.shape), [(places.index(p), places.index(q)) for p, q in pairs]


def odds(table, one, other):
    """The smallest size of the log odds ratio of two places, given all others: 0 if they are independent given them."""
    log = table.movedim((one, other), (0, 1)).log()
    return float((log[0, 0] + log[1, 1] - log[0, 1] - log[1, 0]).abs().min())


def test_no_chain_has_the_distribution_of_a_grid_of_four():
    """A chain of four ties three pairs, in whatever order. The grid ties four, and a tie shows given all the rest."""
    table, pairs = grid([1.0, -0.5, 0.3, -1.2], tie=0.8)
    assert len(pairs) == 4
    for one, other in itertools.combinations(range(4), 2):
        assert odds(table, one, other) == pytest.approx(2 * 0.8 if (one, other) in pairs else 0, abs=1e-12)
    for seed in range(20):
        chain = joint(build(2, seed, 1.5), torch.randn(4, 2, dtype=torch.float64))
        tied = {(place, place + 1) for place in range(3)}
        for one, other in itertools.combinations(range(4), 2):
            assert (odds(chain, one, other) > 1e-9) == ((one, other) in tied)


def chain_over(emissions, order, pairs, tie):
    """Marginals of the chain that visits the places in ``order`` and keeps the emissions and ties of the grid."""
    chain = torch.zeros((2,) * len(order), dtype=torch.float64)
    for tags in itertools.product((0, 1), repeat=len(order)):
        at = dict(zip(order, tags, strict=True))
        kept = [(p, q) for p, q in itertools.pairwise(order) if (p, q) in pairs or (q, p) in pairs]
        chain[tags] = sum(emissions[p] * at[p] for p in order) + sum(tie * (at[p] == at[q]) for p, q in kept)
    table = chain.flatten().softmax(0).view(chain.shape)
    return [float(table.movedim(order.index(place), 0)[1].sum()) for place in range(len(order))]


def test_no_chain_over_the_same_scores_has_the_marginals_of_the_grid():
    emissions, tie = [2.0, -0.5, 0.3, -1.2], 0.8
    table, pairs = grid(emissions, tie)
    wanted = [float(table.movedim(place, 0)[1].sum()) for place in range(4)]
    for order in itertools.permutations(range(4)):
        found = chain_over(emissions, list(order), set(pairs), tie)
        assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) > 0.02
    without, _ = grid(emissions, 0.0)  # without ties the order does not matter, and a chain gives them all
    found = chain_over(emissions, [0, 1, 2, 3], set(pairs), 0.0)
    assert found == pytest.approx([float(without.movedim(place, 0)[1].sum()) for place in range(4)])


def test_a_chain_whose_tags_are_whole_columns_says_the_grid():
    """Two rows and three columns: four tags, one for each state of a column. The price is 2 to the number of rows."""
    emissions, tie, columns = [2.0, -0.5, 0.3, -1.2, 0.9, 0.1], 0.8, 3
    table, _ = grid(emissions, tie, 2, columns)
    chain = LinearChainCRF(4).double()
    states = list(itertools.product((0, 1), repeat=2))
    scores = torch.zeros(1, columns, 4, dtype=torch.float64)
    with torch.no_grad():
        for i, (a, b) in enumerate(states):
            for place in range(columns):
                scores[0, place, i] = emissions[place] * a + emissions[columns + place] * b + tie * (a == b)
            for j, (c, d) in enumerate(states):
                chain.transition[i, j] = tie * (a == c) + tie * (b == d)
    found = chain.marginals(scores, torch.ones(1, columns, dtype=torch.bool))[0]
    for place in range(columns):
        for row in (0, 1):
            wanted = float(table.movedim(row * columns + place, 0)[1].sum())
            open_ = sum(found[place, i].item() for i, state in enumerate(states) if state[row])
            assert open_ == pytest.approx(wanted)


# --- weights (claims crf-from-soft and binomial) ----------------------------------------------------------------------


def some_scores(dtype=torch.float64):
    return torch.randn(B, N, dtype=dtype, generator=torch.Generator().manual_seed(4)), mask_of(LENGTHS)


def test_gates_without_ties_are_the_sigmoid_and_the_score_of_a_path_is_a_product():
    """Independent binomial choices are the chain with no ties."""
    scores, mask = some_scores()
    assert_close(TiedGates().double()(scores, mask), Gates()(scores, mask))
    emissions = torch.stack([torch.zeros_like(scores), scores], dim=-1)[:1]
    shares = Gates()(scores, mask)[0]
    for path in itertools.product((0, 1), repeat=N):
        product = math.prod(p if gate else 1 - p for gate, p in zip(path, shares.tolist(), strict=True))
        said = LinearChainCRF(2).double().log_likelihood(emissions, torch.tensor([path]), mask[:1])
        assert said.exp().item() == pytest.approx(product)


def test_the_softmax_is_a_chain_too():
    """Before, here, after, in this order, with one place for here: its marginals are the weights of a softmax."""
    scores, mask = some_scores()
    assert_close(OneSegment(longer=False).double()(scores, mask), Choice()(scores, mask))
    assert_close(OneSegment(longer=False)(scores.float(), mask), Choice()(scores.float(), mask), rtol=0, atol=1e-6)


def test_one_segment_is_the_sum_over_all_segments():
    scores, mask = some_scores()
    module = OneSegment().double()
    found = module(scores, mask)
    for row, length in enumerate(LENGTHS):
        segments = [(a, b) for a in range(length) for b in range(a + 1, length + 1)]
        weights = [math.exp(sum(scores[row, a:b].tolist())) for a, b in segments]
        for place in range(N):
            wanted = sum(w for (a, b), w in zip(segments, weights, strict=True) if a <= place < b)
            assert found[row, place].item() == pytest.approx(wanted / sum(weights) if length else 0)


def test_what_is_forbidden_stays_so_in_training():
    torch.manual_seed(0)
    module, (scores, mask) = OneSegment(), some_scores(torch.float32)
    adam = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(20):
        adam.zero_grad()
        (module(scores, mask)[:, 0]).sum().backward()
        adam.step()
    chain = module.chain
    assert chain.transition[0, 2] == chain.transition[1, 0] == chain.transition[2, 1] == FORBIDDEN
    assert chain.start[2] == chain.end[0] == FORBIDDEN
    assert chain.transition[1, 1] != 0


@pytest.mark.parametrize("kind", [Choice, Gates, TiedGates, OneSegment])
def test_weights_keep_to_the_words(kind):
    weights, (scores, mask) = kind().double(), some_scores()
    before = weights(scores, mask)
    assert (before[~mask] == 0).all()
    assert before.min() >= 0
    assert before.max() <= 1
    changed = scores.masked_fill(~mask, 50.0)
    assert_close(weights(changed, mask), before)
    scores.requires_grad_()
    weights(scores, mask).sum().backward()
    assert scores.grad.isfinite().all()


# --- models -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("tied", [True, False])
def test_taggers(hidden, tied):
    torch.manual_seed(0)
    model = Tagger(WORDS, TAGS, hidden, tied).double()
    words, tags, mask = torch.randint(WORDS, (4, N)), torch.randint(TAGS, (4, N)), mask_of((4, 1, 3, 2))
    found = model(words, tags, mask)
    emissions = model.emissions(words, mask)
    assert emissions.shape == (4, N, TAGS)
    if not tied:
        apart = emissions.log_softmax(dim=-1).gather(2, tags[..., None])[..., 0]
        assert_close(found, (apart * mask).sum(dim=1))
    found.sum().backward()
    assert (model.chain.transition.grad is not None) == tied
    other = words.clone()
    other[0, 3] = (words[0, 3] + 1) % WORDS
    moved = (model.emissions(other, mask) - emissions)[0].abs().amax(dim=-1) > 1e-9
    assert moved.tolist() == [hidden > 0] * 3 + [True]


@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("kind", [Choice, Gates, TiedGates, OneSegment])
def test_segment_readers(kind, hidden):
    torch.manual_seed(0)
    model = SegmentReader(WORDS, 2, kind(), hidden).double()
    words, mask = torch.randint(WORDS, (4, N)), mask_of((4, 1, 3, 2))
    logits, weights = model(words, mask)
    values = model.value(words)
    for row in range(4):
        context = sum(weights[row, place] * values[row, place] for place in range(N))
        assert_close(logits[row], model.answer(context))
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    changed = words.masked_fill(~mask, 0)
    assert_close(model(changed, mask)[0], logits)


# --- data and what the experiment knows of it -------------------------------------------------------------------------


def test_tagged_sentences_keep_to_their_chain():
    some = tagged.tagged(300, "test")
    assert some == tagged.tagged(300, "test") != tagged.tagged(300, "other")
    assert {len(one.words) for one in some} == set(range(5, 16))
    for one in some:
        assert len(one.words) == len(one.tags)
        assert all(word in tagged.WORDS[tag] for word, tag in zip(one.words, one.tags, strict=True))
        assert tagged.START[tagged.TAGS.index(one.tags[0])] > 0
        for before, after in itertools.pairwise(one.tags):
            assert tagged.NEXT[before][tagged.TAGS.index(after)] > 0
    assert all(sum(row) == pytest.approx(1) for row in [tagged.START, *tagged.NEXT.values()])
    with pytest.raises(ValueError, match="shortest and longest must be 1 <= shortest <= longest, but are 0, 3"):
        tagged.tagged(1, 0, 0, 3)


def test_rows_have_one_segment_with_a_clear_answer():
    some = segments.rows(500, "test")
    assert some == segments.rows(500, "test") != segments.rows(500, "other")
    assert {row.end - row.begin for row in some} == {4, 5, 6}
    lights = {True: [], False: []}
    for row in some:
        assert len(row.symbols) == len(row.lights) == 24
        inside = row.symbols[row.begin : row.end]
        assert all(inside.count(row.answer) > inside.count(other) for other in set(inside) - {row.answer})
        for place, on in enumerate(row.lights):
            lights[row.begin <= place < row.end].append(on)
    assert np.mean(lights[True]) == pytest.approx(0.8, abs=0.03)
    assert np.mean(lights[False]) == pytest.approx(0.2, abs=0.02)


def test_the_true_chain_gives_the_probability_by_which_sentences_are_drawn():
    one = tagged.Tagged(("the", "light", "run"), ("article", "noun", "verb"))
    words, tags, mask = experiment.encoded([one])
    emit, chain = experiment.true_chain()
    drawn = 0.6 * (1 / 4) * 0.6 * (1 / 6) * 0.8 * (1 / 6)
    assert chain.score(emit[words], tags, mask).exp().item() == pytest.approx(drawn)


def test_what_is_right_is_counted_by_hand():
    found = torch.tensor([[0, 3, 2], [2, 3, -1]])  # article, verb, noun: an impossible pair
    tags, mask = torch.tensor([[0, 2, 2], [2, 3, 0]]), torch.tensor([[True] * 3, [True, True, False]])
    assert experiment.tagged_well(found, tags, mask) == {
        "words": pytest.approx(0.8),
        "sentences": 0.5,
        "impossible": 0.5,
    }


def test_the_best_answer_weighs_all_segments():
    """Four lights in a row, all else dark: the segment is there, and its symbol is the answer."""
    row = segments.Row("a" * 10 + "bcbb" + "a" * 10, (False,) * 10 + (True,) * 4 + (False,) * 10, 10, 14)
    assert experiment.best_answer(row) == "b"
    assert experiment.unambiguous(1) == 1
    assert experiment.unambiguous(2) == pytest.approx(1 / 8)
    assert experiment.unambiguous(3) == pytest.approx((8 + 3 * 8 * 7) / 8**3)


def test_pairs_are_the_tags_with_those_before():
    assert experiment.PairTagger.pairs(torch.tensor([[1, 0, 1]])).tolist() == [[1, 2, 1]]
    words, tags = experiment.two_apart_data(0, 2000)
    same = (tags[:, 2:] == tags[:, :-2]).double().mean().item()
    assert same == pytest.approx(0.95, abs=0.01)
    assert (tags[:, 1:] == tags[:, :-1]).double().mean().item() == pytest.approx(0.5, abs=0.03)
    assert (words == tags).double().mean().item() == pytest.approx(0.75, abs=0.01)
