"""The bug museum: small functions that are wrong in ways in which public code was wrong, and the tests that tell.

Each :class:`Exhibit` puts a right function, a wrong one and a test side by side. :func:`check` takes a reader's test
and says whether it tells the two apart; :func:`check_all` tries one test on all wrong versions of a function.
"""

import inspect
import math
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from attention_src.attention import attend, causal_mask, weigh
from attention_src.exercises.bahdanau import look_then_step
from attention_src.multi_head import merge_heads, split_heads
from attention_src.positions import rotary
from attention_src.scores import ScaledDot
from attention_src.transformer import smoothed_loss

# --- what is right, where the book has no function of just this kind --------------------------------------------------


def weigh_words(scores: Tensor, words: Tensor) -> Tensor:
    """Weigh words, not padding; words (batch, k) is True where one stands."""
    return weigh(scores, words[:, None])


def for_heads(mask: Tensor) -> Tensor:
    """Give a mask (batch, q, k) an axis on which all heads share it."""
    return mask.unsqueeze(1)


def see_back(new: int, kept: int) -> Tensor:
    """Let each new word look at all that are kept, and back."""
    return causal_mask(kept + new)[kept:]


def look(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Mix the values by how well the keys fit each query.

    From (batch, q, d), (batch, k, d) and (batch, k, v) make (batch, q, v).
    """
    context, _ = attend(ScaledDot()(query, key), value)
    return context


def residual(x: Tensor, part: Callable, norm: Callable) -> Tensor:
    """One layer of the paper: LayerNorm(x + part(x))."""
    return norm(x + part(x))


def turn(x: Tensor) -> Tensor:
    """Turn x (batch, heads, length, d) by place."""
    return rotary(x, torch.arange(x.shape[2]))


def to_keys(by_offset: Tensor) -> Tensor:
    """From a score for each offset give the score for each key.

    In row i stand the scores of query i for the offsets -(n - 1) to n - 1.
    """
    n = len(by_offset)
    padded = nn.functional.pad(by_offset, (1, 0))  # (n, 2 n)
    return padded.view(2 * n, n)[1:].reshape(n, 2 * n - 1)[:, :n]


def compare(state: Tensor, annotations: Tensor, matrix: Tensor) -> Tensor:
    """Score each annotation (batch, n, d) for a state (batch, d)."""
    return ((state @ matrix)[:, None] @ annotations.mT)[:, 0]


def shifted(words: list, begin: int, end: int) -> tuple[list, list]:
    """Give what the decoder is fed in training, and what it should say."""
    return [begin, *words], [*words, end]


def score_with(matrix: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Make a bilinear score of a query with keys."""

    def score(query, key):
        return query @ (key @ matrix).mT

    return score


# --- what is wrong ----------------------------------------------------------------------------------------------------


def inverted_mask(scores, mask):
    """Weigh the keys at which one may look.

    >>> inverted_mask(torch.zeros(1, 3), torch.tensor([[True, True, False]]))
    tensor([[0., 0., 1.]])
    """
    lowest = torch.finfo(scores.dtype).min
    weights = scores.masked_fill(mask, lowest).softmax(dim=-1)
    return weights.masked_fill(mask, 0.0)


def masked_rows(scores, words):
    """Weigh the words of each sentence, not its padding.

    >>> masked_rows(torch.zeros(1, 2, 2), torch.tensor([[True, False]]))
    tensor([[[0.5000, 0.5000],
             [0.5000, 0.5000]]])
    """
    padding = ~words[:, :, None]
    return (scores - 10_000.0 * padding).softmax(dim=-1)


def square_mask(mask):
    """Give a mask (batch, q, k) an axis on which all heads share it.

    >>> square_mask(torch.ones(1, 3, 3)).shape
    torch.Size([1, 1, 3, 3])
    >>> square_mask(torch.ones(1, 2, 3)).shape
    Traceback (most recent call last):
    RuntimeError: shape '[1, 1, 2, 2]' is invalid for input of size 6
    """
    batch, length, _ = mask.shape
    return mask.reshape(batch, 1, length, length)


def from_the_corner(new, kept):
    """Let each new word look at all that are kept, and back.

    >>> from_the_corner(new=1, kept=3)
    tensor([[ True, False, False, False]])
    """
    return torch.ones(new, kept + new, dtype=torch.bool).tril()


def overwritten_scores(scores, mask):
    """Weigh the keys at which one may look.

    >>> scores = torch.zeros(1, 2)
    >>> weights = overwritten_scores(scores, torch.tensor([[True, False]]))
    >>> scores
    tensor([[       0., -1000000.]])
    """
    scores[~mask] = -1e6
    return scores.softmax(dim=-1).masked_fill(~mask, 0.0)


def over_the_batch(scores, mask):
    """Weigh the keys at which one may look.

    >>> over_the_batch(torch.zeros(1, 2, 3), torch.tensor(True))
    tensor([[[1., 1., 1.],
             [1., 1., 1.]]])
    """
    lowest = torch.finfo(scores.dtype).min
    weights = scores.masked_fill(~mask, lowest).softmax(dim=0)
    return weights.masked_fill(~mask, 0.0)


def across_the_batch(query, key, value):
    """Mix the values by how well the keys fit each query.

    >>> one, two = torch.tensor([[[1.0]]]), torch.tensor([[[1.0]], [[3.0]]])
    >>> across_the_batch(one, one, one)
    tensor([[[1.]]])
    >>> across_the_batch(torch.zeros(2, 1, 1), two, two)[0]
    tensor([[2.]])
    """
    query, key, value = (x.transpose(0, 1) for x in (query, key, value))
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return (scores.softmax(dim=-1) @ value).transpose(0, 1)


def swapped_roles(query, key, value):
    """Mix the values by how well the keys fit each query.

    >>> query = torch.tensor([[[9.0], [0.0]]])
    >>> key = torch.tensor([[[9.0], [1.0]]])
    >>> value = torch.tensor([[[5.0], [7.0]]])
    >>> swapped_roles(query, key, value)[0, 1]  # 0 fits both keys: 6 is right
    tensor([5.0002])
    """
    scores = key @ query.mT / math.sqrt(query.shape[-1])
    return scores.softmax(dim=-1) @ value


def scrambled_split(vectors, heads):
    """Cut each vector into pieces; head h gets the h-th piece.

    >>> scrambled_split(torch.tensor([[1, 2], [3, 4], [5, 6]]), heads=2)[1]
    tensor([[4],
            [5],
            [6]])
    """
    *batch, length, width = vectors.shape
    return vectors.reshape(*batch, heads, length, width // heads)


def scrambled_merge(pieces):
    """Put the pieces of all heads side by side again.

    >>> scrambled_merge(torch.tensor([[[1], [2], [3]], [[10], [20], [30]]]))
    tensor([[ 1,  2],
            [ 3, 10],
            [20, 30]])
    """
    *batch, heads, length, d = pieces.shape
    return pieces.reshape(*batch, length, heads * d)


def value_inside(query, key, value):
    """Mix the values by how well the keys fit each query.

    >>> value = torch.tensor([[[8.0, -4.0], [8.0, -4.0]]])
    >>> value_inside(torch.ones(1, 1, 1), torch.zeros(1, 2, 1), value)
    tensor([[[0.5000, 0.5000]]])
    """
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return (scores @ value).softmax(dim=-1)


def norm_first(x, part, norm):
    """One layer of the paper: LayerNorm(x + part(x)).

    >>> norm_first(torch.tensor([[10.0, 30.0]]), torch.zeros_like, nn.LayerNorm(2))
    tensor([[10., 30.]])
    """
    return x + part(norm(x))


def looks_late(cell, compare, word, state, annotations):
    """Take one step in Bahdanau's order."""
    state = cell(word, state)
    weights = compare(state, annotations).softmax(dim=-1)
    context = (weights[:, None] @ annotations)[:, 0]
    return state, context, weights


def turned_by_head(x):
    """Turn x (batch, heads, length, d) by place.

    >>> turned_by_head(torch.tensor([1.0, 0.0]).expand(1, 1, 3, 2))[0, 0]
    tensor([[1., 0.],
            [1., 0.],
            [1., 0.]])
    """
    turned = rotary(x.transpose(1, 2), torch.arange(x.shape[1]))
    return turned.transpose(1, 2)


def wrong_end(by_offset):
    """From a score for each offset give the score for each key.

    >>> offsets = torch.tensor([[-1, 0, 1], [-1, 0, 1]])
    >>> wrong_end(offsets)  # [[0, 1], [-1, 0]] is right
    tensor([[ 0, -1],
            [ 1,  0]])
    """
    n = len(by_offset)
    padded = nn.functional.pad(by_offset, (1, 0))  # (n, 2 n)
    return padded.view(2 * n, n)[:-1].reshape(n, 2 * n - 1)[:, :n]


def nan_row(scores, mask):
    """Weigh the keys at which one may look.

    >>> nan_row(torch.zeros(2, 2), torch.tensor([[True, False], [False, False]]))
    tensor([[1., 0.],
            [nan, nan]])
    """
    return scores.masked_fill(~mask, -math.inf).softmax(dim=-1)


def equal_row(scores, mask):
    """Weigh the keys at which one may look.

    >>> equal_row(torch.zeros(2, 2), torch.tensor([[True, False], [False, False]]))
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]])
    """
    return scores.masked_fill(~mask, -1e9).softmax(dim=-1)


def log_of_zero(logits, wanted, smoothing):
    """Cross-entropy with a wanted distribution that is not quite sure.

    >>> logits = torch.tensor([[0.0, -200.0]])
    >>> log_of_zero(logits, torch.tensor([0]), 0.1)  # 10 is right
    tensor(inf)
    """
    log_p = logits.softmax(dim=-1).log()
    true = -log_p.gather(1, wanted[:, None]).mean()
    return (1 - smoothing) * true - smoothing * log_p.mean()


def blind_scores(state, annotations, matrix):
    """Score each annotation for a state of the decoder.

    >>> state, matrix = torch.tensor([[1.0, 2.0]]), torch.eye(2)
    >>> blind_scores(state, torch.zeros(1, 2, 2), matrix)
    tensor([[1., 2.]])
    >>> blind_scores(state, torch.full((1, 2, 2), 9.0), matrix)
    tensor([[1., 2.]])
    """
    return (state @ matrix)[:, : annotations.shape[1]]


def unshifted(words, begin, end):
    """Give what the decoder is fed in training, and what it should say.

    >>> unshifted([7, 8], begin=1, end=2)
    ([7, 8, 2], [7, 8, 2])
    """
    return [*words, end], [*words, end]


def kept_keys(matrix):
    """Make a bilinear score of a query with keys.

    >>> score = kept_keys(torch.eye(1))
    >>> score(torch.ones(1, 1), torch.tensor([[5.0], [6.0]]))
    tensor([[5., 6.]])
    >>> score(torch.ones(1, 1), torch.tensor([[0.0], [0.0]]))
    tensor([[5., 6.]])
    """
    kept = []

    def score(query, key):
        if not kept:
            kept.append(key @ matrix)  # the keys do not change from step to step
        return query @ kept[0].mT

    return score


# --- the tests that tell ----------------------------------------------------------------------------------------------


def some(*shape: int, seed: int = 0) -> Tensor:
    """Numbers in which no axis looks like another; the same at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def true_means_may_look(weigh):
    """the best key is forbidden; the others share the weight, 2 to 1."""
    scores = torch.tensor([[9.0, 2.0, 1.0]]).log()
    found = weigh(scores, torch.tensor([[False, True, True]]))
    assert_close(found, torch.tensor([[0.0, 2 / 3, 1 / 3]]))


def the_arguments_stay_as_they_were(weigh):
    """what the caller passed is not written to."""
    scores = some(2, 3)
    weigh(scores, torch.tensor([[True, False, True], [False, True, True]]))
    assert_close(scores, some(2, 3))


def a_neighbour_changes_no_weight(weigh):
    """the weights of a sentence are the same alone and in a batch."""
    scores, mask = some(2, 3, 5), torch.ones(2, 3, 5, dtype=torch.bool)
    assert_close(weigh(scores, mask)[:1], weigh(scores[:1], mask[:1]))


def an_empty_row_stays_finite(weigh):
    """an empty row makes no NaN, neither in weights nor in a gradient."""
    scores = some(2, 3).requires_grad_()
    mask = torch.tensor([[False, False, False], [True, True, False]])
    weights = weigh(scores, mask)
    (weights * some(2, 3, seed=1)).sum().backward()
    assert weights.isfinite().all(), f"the weights are {weights.tolist()}"
    assert scores.grad.isfinite().all(), f"the gradient is {scores.grad.tolist()}"


def an_empty_row_looks_at_nothing(weigh):
    """a query that may look at nothing gives no weight to a forbidden key."""
    weights = weigh(some(1, 3), torch.zeros(1, 3, dtype=torch.bool))
    assert not weights.any(), f"the weights are {weights.tolist()}"


def padding_gets_no_weight(weigh_words):
    """another score at a padded key changes no weight of any word."""
    words = torch.tensor([[True, True, False], [True, False, False]])
    scores = some(2, 3, 3)
    other = scores + 5 * ~words[:, None]
    one, two = (weigh_words(each, words) for each in (scores, other))
    assert_close(one[words], two[words])


def two_queries_and_three_keys(for_heads):
    """a mask of 2 queries and 3 keys keeps its rows and columns."""
    mask = torch.tensor([[[True, False, False], [True, True, False]]])
    assert_close(for_heads(mask)[0, 0], mask[0])


def a_new_word_sees_what_is_kept(see_back):
    """behind three words, the first new one sees four, the second five."""
    assert see_back(2, 3).sum(dim=1).tolist() == [4, 5]


def sentences_do_not_disturb_each_other(look):
    """a sentence reads the same alone and in a batch."""
    query, key = some(2, 3, 5), some(2, 4, 5, seed=1)
    value = some(2, 4, 7, seed=2)
    assert_close(look(query, key, value)[:1], look(query[:1], key[:1], value[:1]))


def each_query_reads_for_itself(look):
    """a query alone reads what it reads beside another one."""
    query, key = some(1, 2, 5), some(1, 3, 5, seed=1)
    value = some(1, 3, 7, seed=2)
    assert_close(look(query, key, value)[:, 1:], look(query[:, 1:], key, value))


def equal_keys_give_the_mean(look):
    """if all keys are equal, a query reads the mean of the values."""
    value = torch.tensor([[[8.0, -4.0], [4.0, 2.0]]])
    found = look(torch.ones(1, 1, 3), torch.ones(1, 2, 3), value)
    assert_close(found, torch.tensor([[[6.0, -1.0]]]))


def a_piece_belongs_to_one_word(split_heads):
    """changing one word changes one row of each head, and no other row."""
    words, other = some(3, 4), some(3, 4)
    other[1] += 1
    changed = split_heads(other, 2) != split_heads(words, 2)
    assert changed.any(dim=-1).tolist() == [[False, True, False]] * 2


def a_word_gets_its_own_pieces(merge_heads):
    """two heads and three words: row i has what both heads found for word i."""
    pieces = torch.tensor([[[1.0], [2.0], [3.0]], [[10.0], [20.0], [30.0]]])
    wanted = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    assert_close(merge_heads(pieces), wanted)


def the_norm_comes_last(residual):
    """what leaves the layer has the mean 0 and the variance 1."""
    found = residual(10 + 3 * some(2, 8), torch.tanh, nn.LayerNorm(8))
    room = {"atol": 1e-3, "rtol": 0}
    assert_close(found.mean(dim=-1), torch.zeros(2), **room)
    assert_close(found.var(dim=-1, unbiased=False), torch.ones(2), **room)


def the_last_word_moves_no_weight(step):
    """the word that goes into a step changes no weight of its look."""
    state, annotations = some(2, 3), some(2, 5, 3, seed=1)

    def cell(given, state):
        return torch.tanh(state + given.sum(dim=-1, keepdim=True))

    def compare(state, annotations):
        return (annotations @ state[:, :, None])[..., 0]

    given = cell, compare
    _, _, one = step(*given, some(2, 4, seed=2), state, annotations)
    _, _, other = step(*given, some(2, 4, seed=3), state, annotations)
    assert_close(one, other)


def the_same_vector_turns_from_place_to_place(turn):
    """place 0 is not turned, the next one by 1, and every head alike."""
    found = turn(torch.tensor([1.0, 0.0]).expand(1, 2, 3, 2))
    wanted = [[math.cos(p), math.sin(p)] for p in range(3)]
    assert_close(found[0, 0], torch.tensor(wanted))
    assert_close(found[0, 1], found[0, 0])


def each_key_gets_its_offset(to_keys):
    """if each offset scores itself, query i and key j score j - i."""
    offsets = torch.arange(-3, 4).expand(4, -1)
    wanted = [[j - i for j in range(4)] for i in range(4)]
    assert to_keys(offsets).tolist() == wanted


def logits_far_apart_cost_what_they_should(loss):
    """a word 200 below the best, with a share of 0.05, costs 10."""
    logits = torch.tensor([[0.0, -200.0]], requires_grad=True)
    found = loss(logits, torch.tensor([0]), 0.1)
    found.backward()
    assert_close(found.detach(), torch.tensor(10.0))
    assert_close(logits.grad, torch.tensor([[0.05, -0.05]]))


def another_source_has_other_scores(compare):
    """the source counts: other annotations have other scores."""
    state, matrix = some(2, 5), some(5, 5, seed=1)
    one = compare(state, some(2, 3, 5, seed=2), matrix)
    other = compare(state, some(2, 3, 5, seed=3), matrix)
    assert not torch.equal(one, other), "two sources have the same scores"


def a_word_is_not_fed_before_it_is_said(shifted):
    """what is fed at a step has only words that were wanted at earlier steps."""
    given, wanted = shifted([5, 6, 7], 1, 2)
    assert given[1:] == wanted[:-1], f"fed {given}, wanted {wanted}"
    assert given[0] == 1, f"fed first: {given[0]}, not the begin mark"


def a_second_sentence_gets_its_own_scores(make):
    """a sentence scores the same, whether or not another came before."""
    matrix, query, key = some(3, 5), some(2, 5, seed=1), some(4, 3, seed=2)
    used, fresh = make(matrix), make(matrix)
    used(query, some(4, 3, seed=3))
    assert_close(used(query, key), fresh(query, key))


# --- the catalogue ----------------------------------------------------------------------------------------------------

CHECKS = {
    "by hand": "Work out a case on paper, with numbers that all differ, and compare.",
    "other sizes": "Make all sizes different: as many queries as keys is the case that hides most.",
    "must not matter": "Change what must not matter, and see that nothing moves.",
    "must matter": "Change what must matter, and see that something moves.",
    "alone": "Take one sentence, one head or one query alone, and compare with what it was among others.",
    "empty and extreme": "Try a row in which all is forbidden, and numbers far apart; look at the gradients too.",
    "twice": "Call it twice, and look at what you passed: nothing may be kept, nothing written over.",
}


@dataclass(frozen=True)
class Exhibit:
    """A bug that public code had, small enough to be read at once."""

    title: str
    family: str  # masks, axes, order, numerics or decoder
    chapter: str  # the stem of the chapter that explains what is right
    right: Callable
    broken: Callable
    test: Callable[[Callable], None]
    check: str  # the one of CHECKS that the test is an instance of
    symptom: str  # what one sees
    lives: str  # why it can live for years
    fix: str
    seen: str  # where; owner/name#12 is an issue or a pull request

    @property
    def name(self) -> str:
        """The name of the wrong function."""
        return self.broken.__name__

    @property
    def asks(self) -> str:
        """The name of the right function: what a test of this exhibit is given."""
        return self.right.__name__


EXHIBITS = (
    Exhibit(
        title="The mask is the wrong way round",
        family="masks",
        chapter="attention",
        right=weigh,
        broken=inverted_mask,
        test=true_means_may_look,
        check="by hand",
        symptom="The one forbidden key gets all the weight. In a decoder each word sees only the words after it: "
        "the loss in training falls far too fast, and what is said alone is nonsense.",
        lives="Some libraries say True for *may look*, others for *must not*. Both masks are boolean, both have the "
        "right shape, and a model that sees the future has an excellent loss.",
        fix="Decide once what True means, say it where the mask is made, and negate where a library means the "
        "opposite.",
        seen="rasbt/LLMs-from-scratch#1061, in one of several ways to compute the same layer; mended the next day, "
        "with a test. PyTorch has both meanings: True is *take part* in `scaled_dot_product_attention` and *not "
        "allowed* in `MultiheadAttention`. A mask of numbers in place of a boolean one did the same in "
        "wfondrie/depthcharge#38.",
    ),
    Exhibit(
        title="The mask hides rows, and a large number hides the mistake",
        family="masks",
        chapter="attention",
        right=weigh_words,
        broken=masked_rows,
        test=padding_gets_no_weight,
        check="must not matter",
        symptom="Padding gets as much weight as a word. The mask lies along the queries, so it lowers *every* "
        "score of a padded row by 10,000, and the softmax does not see a number that is taken from a whole "
        "row.",
        lives="Nothing is NaN and nothing crashes: rows of words are not masked at all, and rows of padding, which "
        "nobody reads, are normal too. With minus infinity in place of −10,000 those rows would be NaN on the "
        "first day.",
        fix="A mask of keys has its ones along the last axis: `words[:, None]`, not `words[:, :, None]`.",
        seen="hyunwoongko/transformer#40, whose author explains how −10,000 hid it.",
    ),
    Exhibit(
        title="As many queries as keys",
        family="masks",
        chapter="multi_head",
        right=for_heads,
        broken=square_mask,
        test=two_queries_and_three_keys,
        check="other sizes",
        symptom="In self-attention all is well. The first time that the decoder looks at a source of another "
        "length, the reshape fails: 2 times 3 numbers are not 2 times 2. Where the numbers do fit, rows "
        "and columns are mixed.",
        lives="Tests of attention have as many queries as keys, because one `x` is passed three times.",
        fix="Never write a size into a reshape that the tensor can say itself: `mask.unsqueeze(1)`.",
        seen="harvard-edge/cs249r_book#1875. The same blindness for other lines: huggingface/transformers#48356, "
        "where the keys were cut by the number of queries; “every suite stayed green” because no test had two "
        "lengths.",
    ),
    Exhibit(
        title="Looking back from the wrong corner",
        family="masks",
        chapter="transformer",
        right=see_back,
        broken=from_the_corner,
        test=a_new_word_sees_what_is_kept,
        check="other sizes",
        symptom="A decoder that keeps its keys says word 4, and word 4 looks at word 1 only. In training, where "
        "nothing is kept, the same function is right.",
        lives="The triangle begins at the top left; the new words are the *last* rows of the square. Without kept "
        "words both are the same, and with one new word many programs pass no mask at all.",
        fix="Make the square of all words, and take its last rows.",
        seen="A matter of convention as well: PyTorch's `is_causal` begins at the top left, and its documentation "
        "says so. FlashAttention 2 changed to the bottom right, and PyTorch then refused unequal lengths "
        "there (pytorch/pytorch#111007).",
    ),
    Exhibit(
        title="The caller's scores are gone",
        family="masks",
        chapter="attention",
        right=weigh,
        broken=overwritten_scores,
        test=the_arguments_stay_as_they_were,
        check="twice",
        symptom="The weights are right. But the scores that were passed now hold −1,000,000, and whoever looks at "
        "them again, draws them or masks them in another way, finds that. Autograd stops with an error if "
        "it still needs them.",
        lives="In most programs nobody uses the scores a second time.",
        fix="`masked_fill` makes a new tensor; `masked_fill_` and `scores[~mask] = …` do not.",
        seen="The PyTorch version of `masked_softmax` in a widely used textbook, *Dive into Deep Learning*, in the "
        "version that we read: it writes through a reshape that shares its memory. The versions for other "
        "libraries are free of it.",
    ),
    Exhibit(
        title="The softmax runs over the batch",
        family="axes",
        chapter="attention",
        right=weigh,
        broken=over_the_batch,
        test=a_neighbour_changes_no_weight,
        check="alone",
        symptom="With one sentence in the batch, all weights are 1. With more, the sentences share out the weight "
        "among themselves, and the sum over the keys can be anything.",
        lives="The shape is right, all numbers lie between 0 and 1, and a network learns something even so. PyTorch "
        "chooses an axis if none is named, now with a warning: for three axes, the first.",
        fix="Name the axis, and count it from the end: `softmax(dim=-1)`.",
        seen="PetrochukM/PyTorch-NLP#2; the reader who found it saw that the weight was 1 whatever was passed.",
    ),
    Exhibit(
        title="Sentences read each other",
        family="axes",
        chapter="self_attention",
        right=look,
        broken=across_the_batch,
        test=sentences_do_not_disturb_each_other,
        check="alone",
        symptom="Two sentences with the values 1 and 3 both read 2, their mean. Within a sentence no word sees "
        "another one.",
        lives="Many layers of PyTorch take the words first and the batch second unless told `batch_first=True`. "
        "Any two axes fit. The model even learns from the neighbours, and then depends on what else is in "
        "the batch.",
        fix="Say `batch_first=True`, and test with a batch of two against each sentence alone.",
        seen="IBM/TabFormer#14, Exorust/TorchLeet#5, om-ai-lab/OmDet#19 and more.",
    ),
    Exhibit(
        title="The keys ask the queries",
        family="axes",
        chapter="query_key_value",
        right=look,
        broken=swapped_roles,
        test=each_query_reads_for_itself,
        check="other sizes",
        symptom="The table of weights is turned round: row j says who asks key j. With another number of queries "
        "than keys, the next product fails; with the same number, each row reads the wrong mixture.",
        lives="In self-attention with equal sizes every shape is right. If query and key come from the same "
        "projection, the scores are even symmetric, and nothing differs at all.",
        fix="Queries are rows: `query @ key.mT`. Let q, k, d and v be 2, 3, 5 and 7 in a test.",
        seen="Seen in public code; we could not find the place again, so it is not named.",
    ),
    Exhibit(
        title="Heads that cut across words",
        family="axes",
        chapter="multi_head",
        right=split_heads,
        broken=scrambled_split,
        test=a_piece_belongs_to_one_word,
        check="must not matter",
        symptom="One reshape without a transpose. With three words of two numbers, head 2 gets 4, 5 and 6: the end "
        "of word 2 and all of word 3. A word then looks with pieces of other words.",
        lives="The shape is right, and the layer can still be trained: the mixing is the same for all sentences of a "
        "length, so the matrices around it learn to live with it.",
        fix="First cut the last axis, then move the new axis forward.",
        seen="reczoo/FuxiCTR#30, which names three models that it reached, and the article from which the lines were "
        "taken.",
    ),
    Exhibit(
        title="Words that get other words' answers",
        family="axes",
        chapter="multi_head",
        right=merge_heads,
        broken=scrambled_merge,
        test=a_word_gets_its_own_pieces,
        check="by hand",
        symptom="The way back, again without its transpose. Word 1 gets what head 1 found for the words 1 and 2, "
        "and the last word gets the end of the last head.",
        lives="A copying task still passes, the author writes: it is so easy that a network with enough parameters "
        "learns around the scrambling.",
        fix="Move the axis of the heads back behind the words, and only then flatten.",
        seen="jsbaan/transformer-from-scratch#6, mended and explained by its author; "
        "ajhalthor/Transformer-Neural-Network#4.",
    ),
    Exhibit(
        title="The value inside the softmax",
        family="order",
        chapter="attention",
        right=look,
        broken=value_inside,
        test=equal_keys_give_the_mean,
        check="by hand",
        symptom="What a query reads is positive and sums to one, whatever the values are. Values of 8 and −4 come "
        "out as 0.5 and 0.5.",
        lives="In a formula it is one bracket: softmax(QKᵀV) for softmax(QKᵀ)V. In code the shapes agree, and layers "
        "behind it can use such numbers too.",
        fix="The softmax makes the weights; the values come after it.",
        seen="In the formula of a textbook, which we do not name. We found the same bracket in public notes, next to "
        "code that is right.",
    ),
    Exhibit(
        title="The text says one norm, the code has another",
        family="order",
        chapter="transformer",
        right=residual,
        broken=norm_first,
        test=the_norm_comes_last,
        check="by hand",
        symptom="A sum leaves the layer as it is: 10 and 30 stay 10 and 30, where the paper's order gives −1 and "
        "1. A stack of such layers needs one more norm at its end.",
        lives="It is no mistake as such: this order trains more easily {cite:p}`xiong2020layer`. It is one beside a "
        "text that describes the other order, and for weights that are moved from one to the other.",
        fix="Say which of the two it is. Here the task is the paper's order.",
        seen="harvardnlp/annotated-transformer#92 and several others ask about it. The code has a comment that says "
        "so, and the answer there is that the order was changed in the paper's own code too.",
    ),
    Exhibit(
        title="Named after Bahdanau, looks after the step",
        family="order",
        chapter="bahdanau",
        right=look_then_step,
        broken=looks_late,
        test=the_last_word_moves_no_weight,
        check="must not matter",
        symptom="The weights of step i depend on the word that has just gone in, which in Bahdanau's model comes "
        "too late for them. And the context no longer goes into the step.",
        lives="It is a good model, close to Luong's, and it trains as well. Only the name is wrong, and with it each "
        "comparison with the paper.",
        fix="Look with the state *before* the step, and put the context into the step.",
        seen="tensorflow/tensorflow#11365: a wrapper took Bahdanau's score, but looked with the cell's *output*, so "
        "that the paper's model could not be built with it. tensorflow/tensorflow#20131 says the same of the "
        "order.",
    ),
    Exhibit(
        title="Turned by head",
        family="order",
        chapter="positions",
        right=turn,
        broken=turned_by_head,
        test=the_same_vector_turns_from_place_to_place,
        check="by hand",
        symptom="Each head turns all its words by the same angle. A turn that is the same for all words changes no "
        "score, so the network is told no places at all.",
        lives="Any sizes fit, and a causal mask alone tells a network some of the order ({chapter}`positions`); it "
        "only learns less well.",
        fix="Turn along the axis of the places, and see that the heads agree.",
        seen="mlfoundations/open_lm#4 and tensorgi/TPA#4, both found by people who read the code. A cousin that "
        "crashed on its own example was found sooner: labmlai/annotated_deep_learning_paper_implementations#215.",
    ),
    Exhibit(
        title="The wrong end is cut off",
        family="order",
        chapter="positions",
        right=to_keys,
        broken=wrong_end,
        test=each_key_gets_its_offset,
        check="by hand",
        symptom="To turn scores by offset into scores by key, one pads by a column, reads the numbers as a table of "
        "another width, and cuts off one row. Cut the last row in place of the first, and each score stands in a "
        "wrong place.",
        lives="It is a trick with memory that nobody reads twice. The result has the right shape and the right "
        "kind of numbers.",
        fix="Cut the first row. Better: let the score of an offset *be* the offset in a test, and read the answer.",
        seen="labmlai/annotated_deep_learning_paper_implementations#185, a difference of `[:-1]` and `[1:]` to the "
        "paper's code; ZhengkunTian/OpenTransformer#25 has another error of the same trick.",
    ),
    Exhibit(
        title="A row of NaN",
        family="numerics",
        chapter="attention",
        right=weigh,
        broken=nan_row,
        test=an_empty_row_stays_finite,
        check="empty and extreme",
        symptom="A query that may look at nothing gets NaN weights: 0 divided by 0. One such row makes every "
        "gradient of the matrices NaN, also if its output is thrown away, because 0 times NaN is NaN.",
        lives="Rows are empty only for some batches: padding at the beginning together with a window, a document "
        "without words. The loss is NaN at step 20,000 and nobody knows why.",
        fix="Fill with the lowest finite number, and set what is forbidden to zero after the softmax.",
        seen="pytorch/pytorch#41508, open since 2020, with many reports; for some paths it is settled in another way.",
    ),
    Exhibit(
        title="An empty row looks everywhere",
        family="numerics",
        chapter="attention",
        right=weigh,
        broken=equal_row,
        test=an_empty_row_looks_at_nothing,
        check="empty and extreme",
        symptom="The cure for the row of NaN, half done. All scores of the row are −1,000,000,000, so all are "
        "equal, and each forbidden key gets the same weight.",
        lives="It is finite, and it sums to one. The mean of the padding goes into the model quietly.",
        fix="After the softmax, set the weight of every forbidden key to zero.",
        seen="NVIDIA/apex#1390.",
    ),
    Exhibit(
        title="The log of zero",
        family="numerics",
        chapter="transformer",
        right=smoothed_loss,
        broken=log_of_zero,
        test=logits_far_apart_cost_what_they_should,
        check="empty and extreme",
        symptom="In float32 exp(−200) is 0, and its log is minus infinity. Smoothing gives *each* word a share, so "
        "one word far behind makes the whole loss infinite. 10 is right.",
        lives="Without smoothing only the true word's probability counts, and it is seldom 0. Early in training no "
        "logit is 200 away.",
        fix="`log_softmax` never makes the probability: it subtracts logits.",
        seen="harvardnlp/annotated-transformer#109, in an example that passes the log of zeros: the loss is infinite "
        "and the figure stays empty.",
    ),
    Exhibit(
        title="Attention that does not look",
        family="decoder",
        chapter="bahdanau",
        right=compare,
        broken=blind_scores,
        test=another_source_has_other_scores,
        check="must matter",
        symptom="Any two sources of the same length have the same scores. The weights belong to places, and sources "
        "longer than the table have no scores at all.",
        lives="It is a mechanism of its own: Luong's *location* score. On short sentences in nearly the same order "
        "it works, and the heatmap has a diagonal.",
        fix="The score must read the annotation as well as the state.",
        seen="The official PyTorch tutorial on translation, where the weights were made from word and state alone: "
        "pytorch/tutorials#87 (2017), pytorch/tutorials#1098 (2020). A later version has an additive score.",
    ),
    Exhibit(
        title="The answer is fed in",
        family="decoder",
        chapter="bottleneck",
        right=shifted,
        broken=unshifted,
        test=a_word_is_not_fed_before_it_is_said,
        check="by hand",
        symptom="At each step the decoder is fed the very word that it should say, and learns to copy it. In "
        "training nearly every word is right; alone, with its own words fed in, it says nothing of use.",
        lives="All numbers of the training are excellent, on new sentences too, as long as the true words are fed in.",
        fix="Feed the begin mark first: the word of step i goes in at step i + 1.",
        seen="Project-MONAI/GenerativeModels#314: trained “to predict token N, given tokens 0-N inclusive”. A mask "
        "that lets a word see itself or the next one does the same.",
    ),
    Exhibit(
        title="Keys of the sentence before",
        family="decoder",
        chapter="scores",
        right=score_with,
        broken=kept_keys,
        test=a_second_sentence_gets_its_own_scores,
        check="twice",
        symptom="The first sentence is right. The second one gets the scores of the first, or an error where its "
        "length differs.",
        lives="Keys of a source are rightly made once for all steps of a decoder. A test that makes a new layer for "
        "each case never sees a second sentence.",
        fix="Give the prepared keys back to the caller (`Score.prepare`), and keep nothing on the layer.",
        seen="JoeyNMT's attention keeps its projected keys on the module; `forward` asserts that another method was "
        "called before, which is an honest guard for the first sentence and none for the second.",
    ),
)


def exhibit(name: str) -> Exhibit:
    """Give the exhibit whose wrong function has this name."""
    found = [one for one in EXHIBITS if one.name == name]
    if not found:
        raise ValueError(f"name must be one of {', '.join(one.name for one in EXHIBITS)}, but is {name!r}")
    return found[0]


# --- what a reader calls ----------------------------------------------------------------------------------------------


def outcome(test: Callable[[Callable], None], function: Callable) -> str | None:
    """Run a test on a function; give what it saw, or None if it passed."""
    with torch.random.fork_rng(devices=[]):  # the reader's own random numbers stay as they were
        torch.manual_seed(0)
        try:
            given = test(function)
        except NotImplementedError:
            raise
        except Exception as error:  # a wrong function may raise anything, and that is found out too
            return said_by(error)
    if given is not None:
        raise TypeError(f"a test must assert and give nothing back, but it gave {given!r}")
    return None


def verdict(test: Callable[[Callable], None], one: Exhibit) -> tuple[bool, str]:
    """Tell whether a test passes on what is right and fails on what is wrong, and say so."""
    try:
        if (seen := outcome(test, one.right)) is not None:
            return False, f"your test fails on the right {one.asks}. It saw: {seen}"
        if (seen := outcome(test, one.broken)) is not None:
            return True, f"caught. Of the wrong {one.asks} your test says: {seen}"
    except NotImplementedError:
        return False, "not written yet."
    except TypeError as error:
        return False, f"no verdict: {error}."
    return False, f"your test passes on the wrong {one.asks} as well. A hint: {CHECKS[one.check]}"


def said_by(error: Exception) -> str:
    """What an error says, on one line, without the digits that another processor may have otherwise."""
    said = " ".join(re.sub(r"(Greatest a|A)bsolute difference.*", "", str(error), flags=re.DOTALL).split())
    if isinstance(error, AssertionError):
        return said or "an assertion does not hold"
    return f"{type(error).__name__}: {said}"


def show(name: str) -> None:
    """Print the wrong function and what one sees of it."""
    one = exhibit(name)
    seen = textwrap.fill(re.sub(r"[*`]", "", one.symptom), 76)  # without the marks that a page needs
    print(f"{one.title}\n\n{inspect.getsource(one.broken)}\n{seen}")


def check(name: str, test: Callable[[Callable], None]) -> None:
    """Run your test on the right and on the wrong function of an exhibit, and print whether it tells them apart."""
    must_be_a_test(test)
    print(f"{name}: {verdict(test, exhibit(name))[1]}")


def check_all(asks: str, test: Callable[[Callable], None]) -> None:
    """Try your test on all wrong versions of one function, and print which of them it catches."""
    must_be_a_test(test)
    versions = [one for one in EXHIBITS if one.asks == asks]
    if not versions:
        names = dict.fromkeys(one.asks for one in EXHIBITS)
        raise ValueError(f"asks must be one of {', '.join(names)}, but is {asks!r}")
    found = {one.name: verdict(test, one) for one in versions}
    if not any(caught for caught, _ in found.values()) and len({said for _, said in found.values()}) == 1:
        print(f"{asks}: {next(iter(found.values()))[1]}")
        return
    for name, (caught, _) in found.items():
        print(f"{name:20} {'caught' if caught else 'passes'}")
    print(f"{sum(caught for caught, _ in found.values())} of {len(found)} caught.")


def must_be_a_test(test: Callable) -> None:
    """Refuse what cannot be called."""
    if not callable(test):
        raise TypeError(f"test must be your function, without brackets, but is {test!r}")
