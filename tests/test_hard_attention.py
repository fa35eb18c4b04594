import math

import pytest
import torch
from jaxtyping import TypeCheckError
from torch.nn.functional import cross_entropy, one_hot
from torch.testing import assert_close

from attention_src.attention import weigh
from attention_src.exercises import hard_attention as more_windows
from attention_src.experiments import Run
from attention_src.experiments import hard_attention as experiment
from attention_src.hard_attention import (
    SoftViewer,
    Viewer,
    Watcher,
    anywhere,
    best,
    draw,
    exact_gradient,
    glimpse,
    gumbel,
    hardest,
    near,
    pathwise,
    quality,
    read_all,
    read_best,
    read_near,
    reinforce,
    relax,
    returns,
    running_mean,
    sampled,
    straight_through,
    thumbnail,
    viewer_loss,
    windows,
)
from attention_src.training import Plan, fit

B, Q, K, V = 2, 3, 5, 7


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def away_from(wanted):
    """Half the squared distance from what is wanted."""
    return lambda context: 0.5 * (context - wanted).square().sum(dim=-1)


def problem(places=K, seed=0):
    """Scores, values and a loss, and the loss of each place."""
    scores, value, wanted = normal(places, seed=seed), normal(places, V, seed=seed + 1), normal(V, seed=seed + 2)
    loss = away_from(wanted)
    return scores, value, loss, loss(value)


# Three ways to look


def test_hardest_by_hand():
    scores = torch.tensor([[[1.0, 3.0, 2.0]], [[5.0, 5.0, 0.0]]])
    assert_close(hardest(scores), torch.tensor([[[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]]]))
    mask = torch.tensor([[[True, False, True]], [[False, False, False]]])
    assert_close(hardest(scores, mask), torch.tensor([[[0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0]]]))


def test_hardest_is_weigh_with_very_large_scores():
    scores, mask = normal(B, Q, K), normal(B, 1, K, seed=1) > -1
    assert_close(hardest(scores, mask), weigh(1e6 * scores, mask))


def test_hardest_copes_with_scores_that_are_all_very_low():
    assert_close(hardest(torch.tensor([[-1e30, -2e30]])), torch.tensor([[1.0, 0.0]]))


def test_no_gradient_comes_back_through_the_choice():
    """Move the scores a little: the choice stays, and so does the output. The gradient is zero, not small."""
    scores, value = normal(Q, K).requires_grad_(), normal(K, V).requires_grad_()
    read = hardest(scores) @ value
    assert torch.autograd.grad(read.sum(), scores, allow_unused=True, retain_graph=True)[0] is None
    assert value.grad is None
    read.sum().backward()
    assert_close(value.grad.sum(dim=1), V * hardest(scores).sum(dim=0))
    nudged = (scores + 1e-6 * normal(Q, K, seed=5)).detach()
    assert_close(hardest(nudged) @ value, read, rtol=0, atol=0)


class Counted:
    """Rows that count how many of them were read."""

    def __init__(self, rows):
        self.rows, self.read = rows, 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, places):
        self.read += len(places)
        return self.rows[places]


def test_soft_reads_all_hard_reads_one_value_local_reads_a_window():
    """The claims soft-is-all-keys, soft-skips-input and hard-one-input: what is compared and what is read."""
    near = torch.tensor([1, 2, 3])
    for look, compared, values in (
        (read_all, K, K),
        (read_best, K, 1),
        (lambda *given: read_near(*given, near), 3, 3),
    ):
        key, value = Counted(normal(K, 4)), Counted(normal(K, V, seed=1))
        look(normal(4, seed=2), key, value)
        assert (key.read, value.read) == (compared, values)


def test_near_by_hand():
    found = near(torch.tensor([5, 6]), across=3, reach=1).view(2, 3, 3)
    assert found[0].tolist() == [[False, True, True]] * 3
    assert found[1].tolist() == [[False] * 3, [True, True, False], [True, True, False]]
    assert near(torch.tensor([4]), across=3, reach=0).sum() == 1
    assert near(torch.tensor([4]), across=5, reach=9).all()


def test_the_three_looks_agree_where_they_must():
    query, key, value = normal(4), normal(K, 4, seed=1), normal(K, V, seed=2)
    soft = torch.nn.functional.scaled_dot_product_attention(query[None], key, value, scale=1.0)[0]
    assert_close(read_all(query, key, value), soft)
    assert_close(read_near(query, key, value, torch.arange(K)), soft)
    place = (key @ query).argmax()
    assert_close(read_best(query, key, value), value[place])
    assert_close(read_near(query, key, value, place[None]), value[place])
    assert_close(read_all(1e4 * query, key, value), value[place])


def test_soft_uses_every_value_hard_uses_exactly_one():
    """The claim hard-one-input: by the gradient of the output with respect to each value."""
    query, key = normal(4), normal(K, 4, seed=1)
    used = []
    for look in (read_all, read_best):
        value = normal(K, V, seed=2).requires_grad_()
        look(query, key, value).sum().backward()
        used.append(value.grad.ne(0).any(dim=1).sum().item())
    assert used == [K, 1]


# A random choice


def test_draw_has_the_frequencies_of_the_softmax():
    scores = torch.tensor([3.0, 1.0, 4.0], dtype=torch.float64).log()
    many = scores.expand(200_000, 3)
    drawn = draw(many, gumbel(many, torch.Generator().manual_seed(0)))
    assert_close(torch.bincount(drawn) / len(drawn), torch.tensor([3 / 8, 1 / 8, 4 / 8]), rtol=0, atol=0.005)


def test_gumbel_noise_has_the_distribution_of_its_name():
    noise = gumbel(torch.zeros(200_000, dtype=torch.float64), torch.Generator().manual_seed(1))
    for point in (-1.0, 0.0, 2.0):
        assert abs((noise < point).double().mean() - math.exp(-math.exp(-point))) < 0.005
    assert abs(noise.mean() - 0.5772) < 0.01


def test_relaxed_weights_are_a_choice_when_cold_and_even_when_hot():
    scores, noise = normal(B, K), normal(B, K, seed=1)
    cold, hot = relax(scores, noise, 1e-4), relax(scores, noise, 1e6)
    assert_close(cold, one_hot(draw(scores, noise), K).double())
    assert_close(hot, torch.full((B, K), 1 / K, dtype=torch.float64), rtol=0, atol=1e-5)
    for temperature in (0.1, 1.0, 10.0):  # warmth never changes which weight is the largest
        assert_close(relax(scores, noise, temperature).argmax(-1), draw(scores, noise))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_must_be_a_positive_number(temperature):
    with pytest.raises(ValueError, match="temperature must be"):
        relax(torch.zeros(K), torch.zeros(K), temperature)


def test_straight_through_is_hard_forwards_and_soft_backwards():
    scores = normal(B, K).requires_grad_()
    noise, slope = normal(B, K, seed=1), normal(B, K, seed=2)
    hard = straight_through(relax(scores, noise, 0.7))
    assert torch.equal(hard.detach(), one_hot(draw(scores, noise), K).double())  # exactly, not nearly
    found = torch.autograd.grad((hard * slope).sum(), scores)[0]
    soft = torch.autograd.grad((relax(scores, noise, 0.7) * slope).sum(), scores)[0]
    assert_close(found, soft)
    assert found.ne(0).all()


def test_straight_through_is_exactly_hard_in_single_precision_too():
    soft = normal(1000, K).softmax(dim=-1).float()
    assert straight_through(soft).unique().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_pytorchs_own_gumbel_softmax_has_the_same_mean_and_spread(temperature):
    many = normal(K).expand(100_000, K)
    torch.manual_seed(3)
    theirs = torch.nn.functional.gumbel_softmax(many, tau=temperature)
    ours = relax(many, gumbel(many), temperature)
    assert_close(ours.mean(0), theirs.mean(0), rtol=0, atol=0.01)
    assert_close(ours.std(0), theirs.std(0), rtol=0, atol=0.01)


# The estimators: enumeration is the oracle


def test_the_exact_gradient_by_hand():
    """The page's case: two places with equal scores, losses 4 and 2; moving a score by s moves the mean by s/2."""
    value = torch.tensor([[4.0], [2.0]])
    found = exact_gradient(torch.zeros(2), value, lambda context: context[..., 0])
    assert_close(found, torch.tensor([0.5, -0.5]))


def test_the_exact_gradient_is_that_of_the_enumerated_mean():
    scores, value, loss, losses = problem()
    moved = scores.clone().requires_grad_()
    mean = sum(moved.softmax(0)[place] * losses[place] for place in range(K))
    mean.backward()
    assert_close(exact_gradient(scores, value, loss), moved.grad)
    step = torch.zeros(K).double()
    step[2] = 1e-6
    up, down = ((scores + sign * step).softmax(0) @ losses for sign in (1, -1))
    assert_close(exact_gradient(scores, value, loss)[2], (up - down) / 2e-6)


@pytest.mark.parametrize("baseline", [0.0, 3.0, -20.0])
def test_reinforce_has_the_right_mean_with_every_constant_baseline(baseline):
    """All places, each with its probability: the expectation is exact, whatever the baseline."""
    scores, value, loss, _ = problem()
    each = reinforce(scores, value, loss, torch.arange(K), baseline)
    assert_close(scores.softmax(0) @ each, exact_gradient(scores, value, loss))


def test_reinforce_by_hand():
    value = torch.tensor([[4.0], [2.0]])

    def loss(context):
        return context[..., 0]

    each = reinforce(torch.zeros(2), value, loss, torch.arange(2))
    assert_close(each, torch.tensor([[2.0, -2.0], [-1.0, 1.0]]))
    calm = reinforce(torch.zeros(2), value, loss, torch.arange(2), 3.0)  # the mean as baseline: here, no variance left
    assert_close(calm, torch.tensor([[0.5, -0.5], [0.5, -0.5]]))


def test_the_mean_baseline_varies_less_by_enumeration():
    scores, value, _, _ = problem()

    def loss(context):  # far from zero, as losses are
        return away_from(normal(V, seed=2))(context) + 10

    weights, losses = scores.softmax(0), loss(value)

    def variance(baseline):
        each = reinforce(scores, value, loss, torch.arange(K), baseline)
        return (weights @ each.square() - (weights @ each).square()).sum()

    assert variance((weights @ losses).item()) < variance(0.0) / 5


def test_a_baseline_made_with_the_sample_itself_is_biased():
    """The condition: the baseline must not depend on the draw. The mean of a batch of n shrinks by (n - 1)/n."""
    scores, value, loss, losses = problem(places=3)
    weights, pairs = scores.softmax(0), torch.cartesian_prod(torch.arange(3), torch.arange(3))
    chance = weights[pairs].prod(dim=1)
    own = losses[pairs].mean(dim=1)  # the batch mean, the sample's own loss in it
    other = losses[pairs[:, 1]]  # leave the sample out
    exact = exact_gradient(scores, value, loss)
    for baseline, factor in ((own, 0.5), (other, 1.0)):
        each = reinforce(scores, value, loss, pairs[:, 0], baseline)
        assert_close(chance @ each, factor * exact)


def logistic_mean(function, steps=200_001):
    """The mean of a function of the difference of two Gumbel numbers, which is logistic; by quadrature."""
    share = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    return function(torch.logit(share)).mean(dim=0)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("straight", [False, True])
def test_the_pathwise_estimators_mean_for_two_places(temperature, straight):
    """The oracle: for two places the noise is one logistic number, and the derivative can be written down."""
    scores = torch.tensor([0.4, -0.3]).double()
    value, wanted = normal(2, V), normal(V, seed=1)

    def derivative(difference):  # of the loss by the first score
        share = torch.sigmoid((scores[0] - scores[1] + difference) / temperature)
        used = (share > 0.5).double() if straight else share
        context = used[:, None] * value[0] + (1 - used[:, None]) * value[1]
        return (context - wanted) @ (value[0] - value[1]) * share * (1 - share) / temperature

    expected = logistic_mean(derivative)
    noise = gumbel(torch.zeros(400_000, 2).double(), torch.Generator().manual_seed(0))
    found = pathwise(scores, value, away_from(wanted), noise, temperature, straight)
    error = 4 * found[:, 0].std() / len(found) ** 0.5
    assert abs(found[:, 0].mean() - expected) < error
    assert_close(found[:, 0], -found[:, 1])


def test_a_sixth_in_place_of_a_quarter():
    """The page's case: equal scores, temperature 1. The share is uniform, and the mean of u(1 - u) is 1/6."""
    value = torch.tensor([[4.0], [2.0]]).double()
    noise = gumbel(torch.zeros(400_000, 2).double(), torch.Generator().manual_seed(0))

    def loss(context):
        return context[..., 0]

    warm = pathwise(torch.zeros(2).double(), value, loss, noise, 1.0)[:, 0].mean()
    cold = pathwise(torch.zeros(2).double(), value, loss, noise, 0.02)[:, 0].mean()
    assert abs(warm - 2 / 6) < 0.002
    assert abs(cold - 2 / 4) < 0.02


def test_pathwise_by_automatic_differentiation_of_one_sample():
    scores, value, loss, _ = problem()
    noise = normal(3, K, seed=7)
    moved = scores.clone().requires_grad_()
    loss(relax(moved, noise[1], 0.7)[None] @ value)[0].backward()
    assert_close(pathwise(scores, value, loss, noise, 0.7)[1], moved.grad)
    assert not pathwise(scores, value, loss, noise, 0.7).requires_grad


def test_running_mean_uses_the_past_only():
    numbers = torch.tensor([4.0, 4.0, 0.0, 100.0])
    assert_close(running_mean(numbers, keep=0.5), torch.tensor([0.0, 2.0, 3.0, 1.5]))
    changed = numbers.clone()
    changed[3] = -5
    assert_close(running_mean(changed), running_mean(numbers))


def test_quality_by_hand():
    estimates = torch.tensor([[3.0, 0.0], [5.0, 4.0]]).double()  # mean (4, 2), variances 2 and 8
    found = quality(estimates, torch.tensor([4.0, 0.0]).double())
    assert found == pytest.approx((0.5, 10 / 16))


# Pictures


def test_windows_and_glimpse_by_hand():
    picture = torch.arange(24.0).view(1, 4, 6)  # 4 rows, 6 columns
    cut = windows(picture, 2, 2)
    assert cut.shape == (1, 6, 4)
    assert cut[0, 4].tolist() == [14, 15, 20, 21]  # second row of windows, second window
    assert glimpse(picture, torch.tensor([4]), 2, 2).tolist() == [[14, 15, 20, 21]]


def test_glimpse_is_one_of_the_windows():
    picture, place = normal(3, 11, 9), torch.tensor([0, 7, 11])
    cut = windows(picture, 5, 2)
    assert cut.shape == (3, 4 * 3, 25)
    assert_close(glimpse(picture, place, 5, 2), cut[torch.arange(3), place])


def test_thumbnail_is_the_mean_of_each_block():
    picture = normal(2, 4, 6)
    blocks = [picture[:, r : r + 2, c : c + 2].mean(dim=(1, 2)) for r in (0, 2) for c in (0, 2, 4)]
    assert_close(thumbnail(picture, 2), torch.stack(blocks, dim=1))


def viewer(kind=Viewer, **settings):
    torch.manual_seed(0)
    return kind(**{"size": 12, "answers": 7, "side": 4, "stride": 2, "block": 3, "hidden": 11} | settings).double()


def test_what_lies_outside_the_glimpses_does_not_count_beyond_the_thumbnail():
    """Change pixels outside the chosen window so that no block's mean changes: nothing else changes."""
    model, picture = viewer(), normal(2, 12, 12)
    changed = picture.clone()
    changed[:, 9, 9] += 1
    changed[:, 9, 10] -= 1
    far, near = (lambda scores, p=p: torch.full((2,), p) for p in (0, 24))  # 24: the last window, lower right
    assert_close(model(changed, 2, far).logits, model(picture, 2, far).logits)
    with pytest.raises(AssertionError):
        assert_close(model(changed, 2, near).logits, model(picture, 2, near).logits)


def test_where_to_look_does_not_depend_on_pixels_not_yet_read():
    model, picture = viewer(), normal(2, 12, 12)
    changed = picture.clone()
    changed[:, 0, 0] += 1
    changed[:, 0, 1] -= 1  # the mean of the block stays
    first = model(picture, 1, best)
    assert_close(model(changed, 1, best).places, first.places)
    assert_close(model(changed, 1, best).log_p, first.log_p)


def test_a_viewer_step_by_step():
    model, picture = viewer(), normal(2, 12, 12)
    seen = model(picture, 3, best)
    assert seen.logits.shape == (2, 3, 7)
    idea, state = model.first_idea(picture), torch.zeros(2, 11).double()
    assert_close(idea, model.gist(thumbnail(picture, 3)).tanh())
    for step in range(3):
        known = torch.cat([idea, state], dim=1)
        assert_close(seen.log_p[:, step], model.policy(known).log_softmax(-1))
        assert_close(seen.places[:, step], seen.log_p[:, step].argmax(-1))
        assert_close(seen.hoped[:, step], model.hope(known)[:, 0])
        pixels = windows(picture, 4, 2)[torch.arange(2), seen.places[:, step]]
        state = model.move((model.what(pixels) + model.where(seen.places[:, step])).relu(), state)
        assert_close(seen.logits[:, step], model.readout(state))


def test_later_glimpses_do_not_change_earlier_answers():
    model, picture = viewer(), normal(2, 12, 12)
    few, many = model(picture, 2, best), model(picture, 5, best)
    assert_close(many.logits[:, :2], few.logits)
    assert_close(many.places[:, :2], few.places)


def test_the_thumbnail_says_where_and_never_what():
    """With the same window, another thumbnail gives the same answer."""
    model, picture = viewer(), normal(2, 12, 12)
    other = picture.clone()
    other[:, 8:, 8:] += 3  # outside the window of place 0
    corner = lambda scores: torch.zeros(2, dtype=torch.long)  # noqa: E731
    one, two = model(picture, 1, corner), model(other, 1, corner)
    assert_close(one.logits, two.logits)
    assert one.log_p.sub(two.log_p).abs().max() > 1e-3


def test_the_ways_to_choose():
    log_p = torch.tensor([0.7, 0.2, 0.1]).log().expand(50_000, 3)
    torch.manual_seed(0)
    for choose, expected in ((sampled, [0.7, 0.2, 0.1]), (best, [1.0, 0.0, 0.0]), (anywhere, [1 / 3] * 3)):
        shares = torch.bincount(choose(log_p), minlength=3) / len(log_p)
        assert_close(shares, torch.tensor(expected), rtol=0, atol=0.01)


def test_returns_by_hand():
    """Four glimpses, right after the second and third: the first two lead to both, the third to its own."""
    assert_close(returns(torch.tensor([[0.0, 1.0, 1.0, 0.0]])), torch.tensor([[0.5, 0.5, 0.25, 0.0]]))


def paths(model, glimpses):
    """All sequences of places of one picture."""
    places = [torch.arange(model.across**2)] * glimpses
    return torch.cartesian_prod(*places).view(-1, glimpses)


def follow(path):
    """A way to choose that follows these places (pictures, glimpses)."""
    steps = iter(path.unbind(dim=1))
    return lambda scores: next(steps)


def test_the_viewers_loss_has_the_gradient_of_the_expected_reward():
    """The oracle: try every path of two glimpses. The policy's last layer is trained by REINFORCE alone."""
    model, glimpses = viewer(stride=4), 2
    every = paths(model, glimpses)  # 81 of them
    picture = (5 * normal(1, 12, 12)).expand(len(every), -1, -1)
    seen = model(picture, glimpses, follow(every))
    chance = seen.log_p.gather(-1, every[..., None]).sum(dim=1)[:, 0].exp()
    assert_close(chance.sum(), torch.tensor(1.0).double())
    answer = seen.logits.argmax(-1).flatten().mode().values[None]
    right = (seen.logits.argmax(-1) == answer).double()
    assert 0.1 < right.mean() < 0.9
    weight = model.policy[-1].weight
    exact = torch.autograd.grad(-(chance * right.mean(dim=1)).sum(), weight)[0]
    found = torch.zeros_like(exact)
    for path, share in zip(every, chance.tolist(), strict=True):
        loss = viewer_loss(model(picture[:1], glimpses, follow(path[None])), answer)
        found += share * torch.autograd.grad(loss, weight)[0]
    assert_close(found, exact)


def test_the_viewers_loss_by_hand():
    model, picture = viewer(), normal(2, 12, 12)
    seen = model(picture, 2, best)
    answer = torch.stack([seen.logits[0, 1].argmax(), seen.logits[1, 0].argmin()])
    right = (seen.logits.argmax(-1) == answer[:, None]).double()
    reward = torch.stack([right.sum(1) / 2, right[:, 1] / 2], dim=1)
    surprise = reward - seen.hoped
    chosen = seen.log_p.amax(-1)
    say = (cross_entropy(seen.logits[:, 0], answer) + cross_entropy(seen.logits[:, 1], answer)) / 2
    expected = say - (surprise * chosen).sum() / 2 + surprise.square().sum() / 2
    assert_close(viewer_loss(seen, answer), expected)
    entropy = torch.distributions.Categorical(logits=seen.log_p).entropy().mean()
    assert_close(viewer_loss(seen, answer, 0.3), expected - 0.3 * entropy)


def test_the_surprise_gives_the_policy_no_way_around():
    """Without detach, the policy's loss would train the baseline to be wrong."""
    model, picture, answer = viewer(), normal(2, 12, 12), torch.tensor([3, 5])
    seen = model(picture, 2, best)
    found = torch.autograd.grad(viewer_loss(seen, answer), model.hope.bias, retain_graph=True)[0]
    reward = returns((seen.logits.argmax(-1) == answer[:, None]).double())
    expected = torch.autograd.grad((reward - seen.hoped).square().sum() / 2, model.hope.bias)[0]
    assert_close(found, expected)


def test_what_the_viewer_hopes_does_not_move_what_it_sees():
    """The baseline watches; only its own two tables are trained by it."""
    model, picture = viewer(), normal(2, 12, 12)
    model(picture, 2, best).hoped.sum().backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {"hope.weight", "hope.bias"}


def test_the_soft_viewer_looks_at_all_windows_through_attend():
    model, picture = viewer(SoftViewer), normal(2, 12, 12)
    logits, weights = model(picture)
    assert_close(weights.sum(-1), torch.ones(2).double())
    seen = (model.what(windows(picture, 4, 2)) + model.where.weight).relu()
    scores = (model.key(seen) @ model.query(model.first_idea(picture))[..., None])[..., 0] / 11**0.5
    assert_close(weights, scores.softmax(-1))
    assert_close(logits, model.readout((weights[..., None] * seen).sum(1)))


def test_a_viewer_learns_to_look_where_the_ink_is():
    """A bright corner says the answer; the thumbnail shows which corner, but not what is in it."""

    def batch(step):
        random = torch.Generator().manual_seed(step)
        corner, answer = (torch.randint(4, (32,), generator=random) for _ in range(2))
        picture = torch.zeros(32, 8, 8)
        marks = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])
        for row in range(32):
            r, c = divmod(corner[row].item(), 2)
            picture[row, 4 * r : 4 * r + 2, 4 * c : 4 * c + 2] = marks[answer[row]].view(2, 2) * 4
        return picture, answer

    torch.manual_seed(0)
    model = Viewer(8, 4, side=4, stride=4, block=4, hidden=24)
    fit(
        model,
        lambda m, given: viewer_loss(m(given[0], 1), given[1]),
        batch,
        Plan(steps=250, rate=1e-2),
        report=lambda *_: None,
    )
    picture, answer = batch(10_000)
    with torch.no_grad():
        right, blind = (
            (model(picture, 1, choose).logits[:, 0].argmax(-1) == answer).double().mean() for choose in (best, anywhere)
        )
    assert right > 0.9 > 0.7 > blind


def test_the_kept_viewer_reads_what_it_has_not_seen():
    """A small part of what the results file says, from the kept weights."""
    found = experiment.seen_well(experiment.load_viewer(), 123, best)
    assert found["right"][0] > 0.6
    assert found["found"][3] >= found["found"][0] > 0.4


def test_the_right_place_is_the_window_that_holds_the_digit():
    some = experiment.pictures(5, seed=1)
    pixels, _, place = experiment.tensors(some)
    for picture, window, (row, column) in zip(some.pixels, glimpse(pixels, place, 8, 4), some.corners, strict=True):
        assert window.tolist() == picture[row : row + 8, column : column + 8].flatten().tolist()


@pytest.mark.parametrize("way", ["soft", "relaxed", "straight", "mean", "running", "none"])
def test_each_way_trains_only_the_scores(way):
    scores = normal(3, K).requires_grad_()
    value, wanted = normal(3, K, V, seed=1), normal(3, V, seed=2)
    loss = experiment.read_loss(way, scores, value, wanted, experiment.Baseline(0.9))
    assert torch.autograd.grad(loss, scores)[0].ne(0).any()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="side must be at most size, which is 12, but is 13"):
        viewer(side=13)
    with pytest.raises(ValueError, match="size must be a multiple of block, which is 5, but is 12"):
        viewer(block=5)
    with pytest.raises(ValueError, match="hidden must be at least 1, but is 0"):
        viewer(hidden=0)
    with pytest.raises(ValueError, match="glimpses must be at least 1, but is 0"):
        viewer()(normal(2, 12, 12), 0)
    with pytest.raises(TypeCheckError, match="parameter 'noise'"):
        draw(torch.zeros(3), torch.zeros(5))
    with pytest.raises(TypeCheckError, match="parameter 'places'"):
        reinforce(torch.zeros(3), torch.zeros(3, 2), lambda c: c.sum(-1), torch.zeros(2))
    assert issubclass(Viewer, Watcher)


@pytest.mark.parametrize(("better", "steps"), [(-1.0, 1), (1.0, 3)])
def test_a_viewer_is_looked_at_while_it_trains(monkeypatch, better, steps):
    for name, value in {"steps": 2, "every": 1, "better": better}.items():
        monkeypatch.setitem(more_windows.SETTINGS, name, value)
    found = more_windows.view_often(Run(0))
    assert found["steps"] == steps
    assert len(found["right"]) == len(found["entropy"]) == 2
    assert found["entropy"][0] == pytest.approx(math.log(81), abs=0.1)  # nothing is preferred yet
