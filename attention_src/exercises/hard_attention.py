"""Exercises of chapter 09: a loss for REINFORCE, two baselines, a hard choice with a slope; a viewer of 81 windows."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torch.testing import assert_close

from attention_src.data.digits import SIZE
from attention_src.exercises import Checker
from attention_src.experiments import Measures, Rule, Run, Tolerance
from attention_src.experiments.hard_attention import test_pictures, train_on_pictures, whole_loss
from attention_src.hard_attention import Viewer, best


def surrogate(
    scores: Tensor,
    place: Tensor,
    loss: Tensor,
    baseline: Tensor | float,
) -> Tensor:
    """Give a number whose gradient by the scores is REINFORCE's estimate.

    The estimate is averaged over the batch; scores (batch, k).
    """
    log_p = scores.log_softmax(dim=-1).gather(-1, place[:, None])[:, 0]
    return ((loss - baseline).detach() * log_p).mean()


def others_mean(losses: Tensor) -> Tensor:
    """Give each of the losses a baseline: the mean of all the others."""
    return (losses.sum() - losses) / (len(losses) - 1)


def best_baseline(weights: Tensor, losses: Tensor) -> Tensor:
    """Give the constant baseline with the smallest variance.

    From the probability and the loss of every place, both (k,).
    """
    every = torch.eye(len(weights), dtype=weights.dtype)
    toward = every - weights  # row z: the gradient of log p(z)
    size = weights * toward.square().sum(dim=1)
    return (size * losses).sum() / size.sum()


def hard_with_slope(
    scores: Tensor,
    noise: Tensor,
    temperature: float,
) -> Tensor:
    """Give a one-hot choice with the gradient of Gumbel-softmax."""
    soft = ((scores + noise) / temperature).softmax(dim=-1)
    hard = one_hot(soft.argmax(dim=-1), soft.shape[-1]).to(soft.dtype)
    return hard + (soft - soft.detach())


def view_often(
    run: Run,
    glimpses: int = 2,
    side: int = 8,
    stay_open: float = 0.02,
) -> Measures:
    """Train a viewer whose windows lie two pixels apart.

    Gives the share of right answers and the entropy of the first choice,
    at every 50th step, and the first of them with more than 20 % right.
    """
    torch.manual_seed(run.seed)
    model = Viewer(SIZE, answers=10, side=side, stride=2)
    picture, answer, _ = test_pictures(run.seed)
    right, entropy, reached = [], [], []

    @torch.no_grad()
    def look(done: int, steps: int) -> None:
        run.progress(done, steps)
        if done % SETTINGS["every"] == 0:
            seen = model(picture, glimpses, best)
            said, log_p = seen.logits[:, -1].argmax(-1), seen.log_p[:, 0]
            right.append(float((said == answer).double().mean()))
            entropy.append(float(-(log_p.exp() * log_p).sum(-1).mean()))
            reached.extend([done] * (right[-1] > SETTINGS["better"]))

    loss = partial(whole_loss, glimpses=glimpses, stay_open=stay_open)
    watched = replace(run, progress=look)
    train_on_pictures(model, loss, watched, SETTINGS["steps"])
    first = min(reached, default=SETTINGS["steps"] + SETTINGS["every"])
    return {"right": right, "entropy": entropy, "steps": first}


SETTINGS = {"steps": 1000, "every": 50, "better": 0.2}
PARTS = {
    "open": view_often,
    "large": partial(view_often, side=12),
    "closed": partial(view_often, stay_open=0.0),
}
RULES = [
    Rule(
        "a-larger-window-shortens-it",
        "With windows of 12 by 12 pixels, more than 20 % are right after fewer steps than with windows of 8 by 8.",
        lambda m: m["large"]["steps"] < m["open"]["steps"],
        at_least=3,
        of=3,
    ),
    Rule(
        "without-the-term-the-policy-settles-first",
        "With stay_open at 0, the entropy of the first choice is lower after 500 steps than with 0.02, and more than "
        "20 % are right no sooner.",
        lambda m: m["closed"]["entropy"][9] < m["open"]["entropy"][9] and m["closed"]["steps"] >= m["open"]["steps"],
        at_least=3,
        of=3,
    ),
]
TOLERANCE = {"*.steps": Tolerance(absolute=1050), "*.entropy.*": Tolerance(absolute=4.5), "*": Tolerance(absolute=1.0)}


def _example() -> tuple[Tensor, Tensor, Tensor]:
    """Scores of three places with shares 1/2, 1/4, 1/4; all places, each once; a loss for each."""
    scores = torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64).log()
    return scores, torch.arange(3), torch.tensor([1.0, 4.0, 7.0], dtype=torch.float64)


def _slope(answer, scores, place, loss, baseline):
    scores = scores.clone().requires_grad_()
    return torch.autograd.grad(answer(scores, place, loss, baseline), scores)[0]


def _one_sample_by_hand(answer):
    """one sample of loss 4 at a place of share 1/4 has the gradient (-2, 3, -1)."""
    scores, _, _ = _example()
    found = _slope(answer, scores[None], torch.tensor([1]), torch.tensor([4.0]).double(), 0.0)
    assert_close(found, torch.tensor([[-2.0, 3.0, -1.0]]).double())


def _a_baseline_is_taken_off(answer):
    """with the baseline 4 the same sample says nothing."""
    scores, _, _ = _example()
    found = _slope(answer, scores[None], torch.tensor([1]), torch.tensor([4.0]).double(), 4.0)
    assert_close(found, torch.zeros(1, 3).double())


def _a_batch_is_averaged(answer):
    """the gradient of a batch is the mean of its samples, not their sum."""
    scores, places, losses = _example()
    found = _slope(answer, scores.expand(3, 3), places, losses, torch.zeros(3).double())
    expected = losses[:, None] * (torch.eye(3) - scores.softmax(0)) / 3
    assert_close(found, expected.double())


def _losses_get_no_gradient(answer):
    """the losses and the baseline get no gradient from it: they are only numbers here."""
    scores, places, losses = _example()
    losses, baseline = losses.requires_grad_(), torch.ones(3).double().requires_grad_()
    total = answer(scores.expand(3, 3).clone().requires_grad_(), places, losses, baseline)
    slopes = torch.autograd.grad(total, (losses, baseline), allow_unused=True)
    assert slopes == (None, None), "a gradient comes back to the losses or to the baseline"


def _two_samples_swap(answer):
    """of two samples, each gets the loss of the other."""
    assert_close(answer(torch.tensor([3.0, 5.0])), torch.tensor([5.0, 3.0]))


def _its_own_loss_is_left_out(answer):
    """a sample's own loss does not change its baseline."""
    losses = torch.tensor([1.0, 2.0, 6.0, 4.0])
    changed = losses.clone()
    changed[2] = 100.0
    assert_close(answer(losses)[2], torch.tensor(7 / 3))
    assert_close(answer(changed)[2], torch.tensor(7 / 3))


def _a_constant_stays(answer):
    """if all losses are equal, so are their baselines."""
    assert_close(answer(torch.full((5,), 3.0)), torch.full((5,), 3.0))


def _equal_shares_give_the_mean(answer):
    """with equal shares it is the mean of the losses."""
    found = answer(torch.full((3,), 1 / 3).double(), torch.tensor([1.0, 4.0, 7.0]).double())
    assert_close(found, torch.tensor(4.0).double())


def _rare_places_count_more_than_their_share(answer):
    """with shares 3/4, 1/8, 1/8 and losses 0, 8, 8 it is 6.62, far from the mean 2."""
    found = answer(torch.tensor([0.75, 0.125, 0.125]).double(), torch.tensor([0.0, 8.0, 8.0]).double())
    assert_close(found, _by_search([0.75, 0.125, 0.125], [0, 8, 8]))


def _no_other_is_better(answer):
    """no other constant has a smaller variance."""
    scores, _, losses = _example()
    weights = scores.softmax(0)
    assert_close(answer(weights, losses), _by_search(weights.tolist(), losses.tolist()))


def _by_search(shares: list[float], losses: list[float]) -> Tensor:
    """The bottom of the parabola through the variances at three baselines."""
    weights, cost = torch.tensor(shares).double(), torch.tensor(losses).double()
    toward = torch.eye(len(shares)).double() - weights

    def size(baseline: float) -> Tensor:
        return (weights[:, None] * ((cost - baseline)[:, None] * toward).square()).sum()

    low, middle, high = size(-1), size(0), size(1)
    return (low - high) / (2 * (low - 2 * middle + high))


def _is_the_best_of_scores_and_noise(answer):
    """all weight falls on the best sum of score and noise, exactly."""
    scores, noise = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[5.0, 0.0, 0.0]])
    assert answer(scores, noise, 0.5).tolist() == [[1.0, 0.0, 0.0]]


def _has_the_slope_of_the_soft_weights(answer):
    """the gradient by the scores is that of softmax((scores + noise) / temperature)."""
    random = torch.Generator().manual_seed(0)
    scores, noise, toward = (torch.randn(2, 4, generator=random).double() for _ in range(3))
    scores.requires_grad_()
    found = torch.autograd.grad((answer(scores, noise, 0.7) * toward).sum(), scores)[0]
    soft = ((scores + noise) / 0.7).softmax(dim=-1)
    assert_close(found, torch.autograd.grad((soft * toward).sum(), scores)[0])


check_surrogate = Checker(
    "surrogate", [_one_sample_by_hand, _a_baseline_is_taken_off, _a_batch_is_averaged, _losses_get_no_gradient]
)
check_others_mean = Checker("others_mean", [_two_samples_swap, _its_own_loss_is_left_out, _a_constant_stays])
check_best_baseline = Checker(
    "best_baseline", [_equal_shares_give_the_mean, _rare_places_count_more_than_their_share, _no_other_is_better]
)
check_hard_with_slope = Checker(
    "hard_with_slope", [_is_the_best_of_scores_and_noise, _has_the_slope_of_the_soft_weights]
)
