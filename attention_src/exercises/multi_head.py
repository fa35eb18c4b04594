"""Exercises of chapter 11: cutting vectors into heads, a mask for heads, which heads can go first, equal heads."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.testing import assert_close

from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.multi_head import FOUR, asked, mass, new_lists, right, sources_found, train_asker
from attention_src.multi_head import Asker


def split_heads(vectors: Tensor, heads: int) -> Tensor:
    """Give each head its piece of every vector: (batch, length, width) gives (batch, heads, length, width / heads)."""
    batch, length, width = vectors.shape
    pieces = vectors.reshape(batch, length, heads, width // heads)
    return pieces.transpose(1, 2)


def mask_for_heads(lengths: Tensor, longest: int) -> Tensor:
    """Hide the padding of each sentence from all its heads and queries; it broadcasts to (batch, heads, q, longest)."""
    mask = torch.arange(longest) < lengths[:, None]  # (batch, longest)
    return mask[:, None, None]


def prune_order(heads: int, score: Callable[[Sequence[int]], float]) -> list[int]:
    """Switch off head after head, each time the one whose loss leaves the best score; give them in this order."""
    gone: list[int] = []
    while len(gone) < heads:
        left = [head for head in range(heads) if head not in gone]
        gone.append(max(left, key=lambda head: score([*gone, head])))
    return gone


class EqualHeads(Asker):
    """As Asker; every head starts with the weights of the first."""

    def __init__(self, *sizes: int):
        super().__init__(*sizes)
        look = self.look
        for linear in (look.of_query, look.of_key, look.of_value):
            for numbers in (linear.weight.data, linear.bias.data):
                heads = numbers.unflatten(0, (look.heads, -1))
                heads[1:] = heads[:1].clone()  # into a view


class EqualHeadsAndOut(EqualHeads):
    """As EqualHeads, and their blocks of ``out`` start equal too."""

    def __init__(self, *sizes: int):
        super().__init__(*sizes)
        out, heads = self.look.out.weight.data, self.look.heads
        blocks = out.unflatten(1, (heads, -1))
        blocks[:, 1:] = blocks[:, :1].clone()


def start_equal(run: Run, kind: type[Asker]) -> Measures:
    """Train on four questions; give what is right, and how far the heads' weights are from those of the first."""
    model = train_asker(kind, FOUR, SETTINGS["heads"], run.seed, run.progress)
    test = new_lists(FOUR, run.seed)
    found, weights = right(model, test).double(), asked(model, test)[1].detach()
    apart = (weights - weights[:, :1])[:, 1:].abs().sum(dim=-1) / 2
    return {
        "all": float(found.prod(dim=1).mean()),
        "answers": float(found.mean()),
        "found": sources_found(mass(model, test)),
        "apart": float(apart.mean()),
    }


SETTINGS = {"heads": 4}
PARTS = {"heads": partial(start_equal, kind=EqualHeads), "heads_and_out": partial(start_equal, kind=EqualHeadsAndOut)}
RULES = [
    Rule(
        "different-out-parts-them",
        "With different blocks of the last matrix, equal heads part: all four answers are right in more than 95 % of "
        "the lists.",
        lambda m: m["heads"]["all"] > 0.95,
    ),
    Rule(
        "equal-heads-stay-equal",
        "With equal blocks too, less than 0.001 of a head's weight lies elsewhere than that of the first at the end, "
        "and fewer than half of the answers are right.",
        lambda m: m["heads_and_out"]["apart"] < 0.001 and m["heads_and_out"]["answers"] < 0.5,
    ),
]
TOLERANCE = {"*.found": Tolerance(absolute=2), "*": Tolerance(absolute=0.25)}  # trained in float32


def _has_the_shape(answer):
    """two sentences of three words of width 8 and four heads give the shape (2, 4, 3, 2)."""
    found = answer(torch.zeros(2, 3, 8), 4)
    assert tuple(found.shape) == (2, 4, 3, 2), f"the shape is {tuple(found.shape)}"


def _keeps_pieces_in_order(answer):
    """head h gets the h-th piece of every word."""
    words = torch.arange(24.0).view(1, 3, 8)
    found = answer(words, 4)
    for head in range(4):
        assert_close(found[:, head], words[..., 2 * head : 2 * head + 2], msg=f"head {head} has {found[0, head]}")


def _does_not_mix_words(answer):
    """a word that changes changes its own row in every head, and no other."""
    words = torch.zeros(1, 3, 8)
    words[0, 1] = 1.0
    rows = answer(words, 4).ne(0).any(dim=-1)[0]  # (heads, words)
    assert rows.tolist() == [[False, True, False]] * 4, f"word 1 was found in {rows.nonzero().tolist()} (head, word)"


def _some_scores() -> Tensor:
    return torch.zeros(2, 2, 3, 4)  # as many sentences as heads: a wrong axis would fit


def _broadcasts(answer):
    """the mask fits scores of two sentences, two heads, three queries and four keys."""
    mask = answer(torch.tensor([4, 2]), 4)
    assert torch.broadcast_shapes(mask.shape, _some_scores().shape) == _some_scores().shape
    assert mask.dtype == torch.bool, f"the mask holds {mask.dtype}"


def _hides_padding(answer):
    """padding is hidden and words are not."""
    mask = answer(torch.tensor([4, 2]), 4).expand(2, 2, 3, 4)
    for sentence, length in enumerate((4, 2)):
        rows = mask[sentence].flatten(0, 1)
        assert rows[:, :length].all(), f"a word of sentence {sentence} is hidden"
        assert not rows[:, length:].any(), f"padding of sentence {sentence} can be seen"


def _is_the_same_for_all_heads(answer):
    """all heads and all queries of a sentence see the same."""
    mask = answer(torch.tensor([1, 3]), 4).expand(2, 2, 3, 4)
    assert mask.eq(mask[:, :1, :1]).all(), "heads or queries of one sentence differ: which axis is the sentence's?"


WORTH = [0.1, 0.4, 0.0, 0.3]  # what each head brings, if they add up


def _drops_the_least_first(answer):
    """if what heads bring adds up, they go from the least to the most."""
    order = answer(4, lambda off: sum(worth for head, worth in enumerate(WORTH) if head not in off))
    assert list(order) == [2, 0, 3, 1], f"the order is {list(order)}"


def _each_goes_once(answer):
    """each head goes once."""
    order = answer(5, lambda off: -sum(off))
    assert sorted(order) == [0, 1, 2, 3, 4], f"the order is {list(order)}"


def _looks_again(answer):
    """after each loss the heads are judged again: of two heads that do the same work, only one is free to go."""

    def score(off):  # heads 0 and 1 do one work of worth 3 together; head 2 does another one of worth 1
        return 3.0 * (0 not in off or 1 not in off) + 1.0 * (2 not in off)

    order = list(answer(3, score))
    assert order[0] in (0, 1), f"head {order[0]} went first, and it is missed"
    assert order[1] == 2, f"the order is {order}: after the first, its twin has become the more important one"


check_split_heads = Checker("split_heads", [_has_the_shape, _keeps_pieces_in_order, _does_not_mix_words])
check_mask_for_heads = Checker("mask_for_heads", [_broadcasts, _hides_padding, _is_the_same_for_all_heads])
check_prune_order = Checker("prune_order", [_drops_the_least_first, _each_goes_once, _looks_again])
