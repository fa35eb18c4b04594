"""Chapter 09: choosing for real. One place is picked and read, and the gradient has to be made in another way.

First the ways to look: softly at all places, at one, at some that are near. Then the random choice with its gradient
estimators. At the end :class:`Viewer`, which looks at a picture through a small window, again and again (after Mnih and
others, 2014), and :class:`SoftViewer`, which looks once at all windows together.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from .attention import attend, weigh
from .query_key_value import must_be_warm
from .scores import ScaledDot
from .shapes import at_least_one, checked

Loss = Callable[[Tensor], Tensor]  # from contexts (n v) to one number for each


# Three ways to look


@checked
def hardest(
    scores: Float[Tensor, "*batch q k"],
    mask: Bool[Tensor, "*#batch #q #k"] | None = None,
) -> Float[Tensor, "*batch q k"]:
    """Give all weight to the best score, the first of them if several tie.

    A query that may look at nothing gets zero weights. No gradient comes back to the scores.

    >>> hardest(torch.tensor([[1.0, 3.0, 2.0]]))
    tensor([[0., 1., 0.]])
    """
    shares = weigh(scores.detach(), mask)  # zeros where nothing may be looked at
    best = shares.argmax(dim=-1, keepdim=True)
    return torch.zeros_like(shares).scatter(-1, best, shares.amax(-1, True).gt(0).to(shares.dtype))


def read_all(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Soft: compare all keys, read all values."""
    every = torch.arange(len(key))
    return weigh((key[every] @ query)[None])[0] @ value[every]


def read_best(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Hard: compare all keys, read one value."""
    every = torch.arange(len(key))
    best = (key[every] @ query).argmax()
    return value[best[None]][0]


def read_near(query: Tensor, key: Tensor, value: Tensor, near: Tensor) -> Tensor:
    """Local: compare the keys of some places, read their values."""
    return weigh((key[near] @ query)[None])[0] @ value[near]


@checked
def near(place: Int[Tensor, " batch"], across: int, reach: int) -> Bool[Tensor, "batch k"]:
    """Tell which places of a square grid are at most ``reach`` rows and columns away.

    >>> near(torch.tensor([0]), across=3, reach=1).view(3, 3)
    tensor([[ True,  True, False],
            [ True,  True, False],
            [False, False, False]])
    """
    every = torch.arange(across**2, device=place.device)
    rows = (every // across - (place // across)[:, None]).abs()
    columns = (every % across - (place % across)[:, None]).abs()
    return torch.maximum(rows, columns) <= reach


# A random choice


def gumbel(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw Gumbel noise, -log of -log of a uniform number, in the shape of ``like``."""
    uniform = torch.rand(like.shape, generator=generator, dtype=like.dtype)
    return -(-uniform.log()).log()


@checked
def draw(
    scores: Float[Tensor, "*batch k"],
    noise: Float[Tensor, "*batch k"],
) -> Int[Tensor, "*batch"]:
    """Pick place j with probability softmax(scores)_j: add Gumbel noise, take the best."""
    return (scores + noise).argmax(dim=-1)


@checked
def relax(
    scores: Float[Tensor, "*batch k"],
    noise: Float[Tensor, "*batch k"],
    temperature: float,
) -> Float[Tensor, "*batch k"]:
    """Draw weights (Gumbel-softmax).

    Near 0 they are the choice of :func:`draw`; warmer, a mixture.
    """
    must_be_warm(temperature)
    if temperature == 0:
        raise ValueError("temperature must be above 0: at 0, call draw")
    return ((scores + noise) / temperature).softmax(dim=-1)


@checked
def straight_through(
    soft: Float[Tensor, "*batch k"],
) -> Float[Tensor, "*batch k"]:
    """Give the hard choice; its gradient is that of the soft weights."""
    hard = one_hot(soft.argmax(dim=-1), soft.shape[-1]).to(soft.dtype)
    return hard + (soft - soft.detach())  # the bracket is exactly 0


# Estimators of the gradient of the expected loss by the scores


@checked
def exact_gradient(
    scores: Float[Tensor, " k"],
    value: Float[Tensor, "k v"],
    loss: Loss,
) -> Float[Tensor, " k"]:
    """Try every place: the gradient of the expected loss, without chance."""
    weights, losses = scores.softmax(dim=0), loss(value)
    return weights * (losses - weights @ losses)


@checked
def reinforce(
    scores: Float[Tensor, " k"],
    value: Float[Tensor, "k v"],
    loss: Loss,
    places: Int[Tensor, " samples"],
    baseline: float | Float[Tensor, " samples"] = 0.0,
) -> Float[Tensor, "samples k"]:
    """Estimate the gradient once for each drawn place.

    Each is (loss - baseline) times the gradient of log p(place).
    """
    surprise = loss(value[places]) - baseline
    toward = one_hot(places, len(scores)) - scores.softmax(dim=0)
    return surprise[:, None] * toward


@checked
def pathwise(
    scores: Float[Tensor, " k"],
    value: Float[Tensor, "k v"],
    loss: Loss,
    noise: Float[Tensor, "samples k"],
    temperature: float,
    straight: bool = False,
) -> Float[Tensor, "samples k"]:
    """Estimate the gradient once for each noise.

    Through Gumbel-softmax weights, or straight through a hard choice.
    """
    copies = scores.detach().expand_as(noise).clone().requires_grad_()
    with torch.enable_grad():
        weights = relax(copies, noise, temperature)
        weights = straight_through(weights) if straight else weights
        total = loss(weights @ value).sum()
    return torch.autograd.grad(total, copies)[0]


@checked
def running_mean(
    numbers: Float[Tensor, " samples"],
    keep: float = 0.9,
) -> Float[Tensor, " samples"]:
    """Average what came before each number, the recent ones more: a baseline that needs nothing but the past.

    >>> running_mean(torch.tensor([4.0, 4.0, 0.0]), keep=0.5)
    tensor([0., 2., 3.])
    """
    mean, before = 0.0, []
    for number in numbers.tolist():
        before.append(mean)
        mean = keep * mean + (1 - keep) * number
    return torch.tensor(before, dtype=numbers.dtype)


class Quality(NamedTuple):
    """How far the mean of some estimates is from the truth, and how much they vary; relative to the truth's length."""

    bias: float
    variance: float


@checked
def quality(estimates: Float[Tensor, "samples k"], exact: Float[Tensor, " k"]) -> Quality:
    """Measure estimates of a gradient against the exact one."""
    size = exact.norm()
    bias = (estimates.mean(dim=0) - exact).norm() / size
    variance = estimates.var(dim=0).sum() / size**2
    return Quality(bias.item(), variance.item())


# Looking at pictures


@checked
def windows(picture: Float[Tensor, "batch rows columns"], side: int, stride: int) -> Float[Tensor, "batch k pixels"]:
    """Cut every window of a picture, row by row."""
    cut = picture.unfold(1, side, stride).unfold(2, side, stride)
    return cut.flatten(3).flatten(1, 2)


@checked
def glimpse(
    picture: Float[Tensor, "batch rows columns"],
    place: Int[Tensor, " batch"],
    side: int,
    stride: int,
) -> Float[Tensor, "batch pixels"]:
    """Cut one window of each picture, and touch no other pixel."""
    cut = picture.unfold(1, side, stride).unfold(2, side, stride)  # a view: nothing is copied yet
    across = cut.shape[2]
    return cut[torch.arange(len(cut)), place // across, place % across].flatten(1)


@checked
def thumbnail(picture: Float[Tensor, "batch rows columns"], block: int) -> Float[Tensor, "batch gist"]:
    """Give the mean of each square block: the picture as seen from far away."""
    return nn.functional.avg_pool2d(picture[:, None], block).flatten(1)


class Seen(NamedTuple):
    """What a viewer says of some pictures after each glimpse, and where it looked."""

    logits: Float[Tensor, "batch glimpses answers"]
    places: Int[Tensor, "batch glimpses"]
    log_p: Float[Tensor, "batch glimpses k"]  # of all places, before each glimpse
    hoped: Float[Tensor, "batch glimpses"]  # the reward that it expected: the baseline


def sampled(scores: Float[Tensor, "batch k"]) -> Int[Tensor, " batch"]:
    """Choose a place by its probability."""
    return draw(scores, gumbel(scores))


def best(scores: Float[Tensor, "batch k"]) -> Int[Tensor, " batch"]:
    """Choose the most probable place."""
    return scores.argmax(dim=-1)


def anywhere(scores: Float[Tensor, "batch k"]) -> Int[Tensor, " batch"]:
    """Choose a place without looking at the scores, all alike."""
    return torch.randint(scores.shape[1], scores.shape[:1])


class Watcher(nn.Module):
    """What both viewers share: a thumbnail that gives an idea where to look, and eyes that say what a window shows."""

    def __init__(self, size: int, answers: int, side: int = 8, stride: int = 4, block: int = 4, hidden: int = 64):
        super().__init__()
        at_least_one(answers=answers, side=side, stride=stride, block=block, hidden=hidden)
        if side > size:
            raise ValueError(f"side must be at most size, which is {size}, but is {side}: give a smaller window")
        if size % block:
            raise ValueError(f"size must be a multiple of block, which is {block}, but is {size}")
        self.side, self.stride, self.block = side, stride, block
        self.across = (size - side) // stride + 1  # windows in a row
        self.gist = nn.Linear((size // block) ** 2, hidden)
        self.what = nn.Sequential(nn.Linear(side**2, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, hidden))
        self.where = nn.Embedding(self.across**2, hidden)
        nn.init.normal_(self.where.weight, std=0.1)  # with its usual 1 it would drown what the window shows
        self.readout = nn.Linear(hidden, answers)

    def first_idea(self, picture: Float[Tensor, "batch rows columns"]) -> Float[Tensor, "batch hidden"]:
        """Give what the thumbnail says."""
        return self.gist(thumbnail(picture, self.block)).tanh()


class Viewer(Watcher):
    """Look at a few windows of a picture, one after the other; say after each what the picture shows.

    The thumbnail and the state say where the next glimpse will be. No pixel of a window is read before it is chosen.
    """

    def __init__(self, size: int, answers: int, side: int = 8, stride: int = 4, block: int = 4, hidden: int = 64):
        super().__init__(size, answers, side, stride, block, hidden)
        self.move = nn.GRUCell(hidden, hidden)
        self.policy = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, self.across**2))
        self.hope = nn.Linear(2 * hidden, 1)

    @checked
    def look(
        self,
        picture: Float[Tensor, "batch rows columns"],
        place: Int[Tensor, " batch"],
        state: Float[Tensor, "batch hidden"],
    ) -> Float[Tensor, "batch hidden"]:
        """Read one window of each picture, and move the state."""
        pixels = glimpse(picture, place, self.side, self.stride)
        seen = (self.what(pixels) + self.where(place)).relu()
        return self.move(seen, state)

    @checked
    def forward(
        self,
        picture: Float[Tensor, "batch rows columns"],
        glimpses: int,
        choose: Callable[[Tensor], Tensor] = sampled,
    ) -> Seen:
        """Look several times; ``choose`` makes a place of the scores."""
        at_least_one(glimpses=glimpses)
        idea = self.first_idea(picture)
        state, looks = torch.zeros_like(idea), []
        for _ in range(glimpses):
            known = torch.cat([idea, state], dim=1)
            log_p = self.policy(known).log_softmax(dim=-1)
            place = choose(log_p)
            state = self.look(picture, place, state)
            hoped = self.hope(known.detach())[:, 0]
            looks.append((self.readout(state), place, log_p, hoped))
        return Seen(*(torch.stack(each, dim=1) for each in zip(*looks, strict=True)))


@checked
def returns(
    right: Float[Tensor, "batch glimpses"],
) -> Float[Tensor, "batch glimpses"]:
    """Give each glimpse the rewards that come after it, its own too, as a share of all glimpses.

    >>> returns(torch.tensor([[0.0, 1.0, 1.0, 0.0]]))
    tensor([[0.5000, 0.5000, 0.2500, 0.0000]])
    """
    return right.flip(1).cumsum(dim=1).flip(1) / right.shape[1]


@checked
def viewer_loss(
    seen: Seen,
    answer: Int[Tensor, " batch"],
    stay_open: float = 0.0,
) -> Float[Tensor, ""]:
    """Teach what to say, where to look, and what to hope.

    ``stay_open`` rewards the entropy of the policy, so that it does not
    settle before it has looked around.
    """
    logits, glimpses = seen.logits, seen.places.shape[1]
    wanted = answer.repeat_interleave(glimpses)
    say = cross_entropy(logits.flatten(0, 1), wanted)
    right = (logits.argmax(dim=-1) == answer[:, None]).to(logits.dtype)
    surprise = returns(right) - seen.hoped
    chosen = seen.log_p.gather(-1, seen.places[..., None])[..., 0]
    where = -(surprise.detach() * chosen).sum(dim=1).mean()
    hope = surprise.square().sum(dim=1).mean()
    entropy = -(seen.log_p.exp() * seen.log_p).sum(dim=-1).mean()
    return say + where + hope - stay_open * entropy


class SoftViewer(Watcher):
    """Look once, softly, at all windows of a picture. The scores compare what the windows show with the first idea."""

    def __init__(self, size: int, answers: int, side: int = 8, stride: int = 4, block: int = 4, hidden: int = 64):
        super().__init__(size, answers, side, stride, block, hidden)
        self.query, self.key = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.score = ScaledDot()

    @checked
    def forward(
        self, picture: Float[Tensor, "batch rows columns"]
    ) -> tuple[Float[Tensor, "batch answers"], Float[Tensor, "batch k"]]:
        """Give the logits, and the weights of the windows."""
        state = self.first_idea(picture)
        seen = (self.what(windows(picture, self.side, self.stride)) + self.where.weight).relu()
        scores = self.score(self.query(state)[:, None], self.key(seen))
        context, weights = attend(scores, seen)
        return self.readout(context[:, 0]), weights[:, 0]
