"""Every checker accepts the solution and rejects typical mistakes, naming the property that broke."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from attention_src.attention import weigh
from attention_src.bottleneck import LookBack
from attention_src.data.documents import ANSWERS, CUES, MEANS, VOCABULARY
from attention_src.data.grammar import Pair
from attention_src.data.hulls import Task
from attention_src.exercises import Checker
from attention_src.exercises import alignment as links
from attention_src.exercises import attention as a
from attention_src.exercises import bahdanau as look
from attention_src.exercises import bottleneck as b
from attention_src.exercises import cost as price
from attention_src.exercises import hard_attention as hard
from attention_src.exercises import hierarchical as h
from attention_src.exercises import looking as eye
from attention_src.exercises import luong as step
from attention_src.exercises import multi_head as m
from attention_src.exercises import pointer_networks as n
from attention_src.exercises import positions as p
from attention_src.exercises import query_key_value as d
from attention_src.exercises import scores as s
from attention_src.exercises import self_attention as r
from attention_src.exercises import structured as c
from attention_src.exercises import transformer as t
from attention_src.experiments import Run
from attention_src.transformer import Transformer


def one_too_far(weights):
    """Weights that leave the place itself out, one column too far to the left."""
    return torch.cat([weights[:, 1:], weights[:, :1] * 0], dim=1).tril(-1)


def halves(x, positions):
    """Turns that pair number i with number i + width / 2."""
    pairs = x.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)
    return p.turn(pairs, positions).unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)


def overflowing(scores):
    """The sum of all e^score, shrunk at the end: right for small scores only."""
    return max(scores), sum(map(math.exp, scores)) / math.exp(max(scores))


def joined_without_care(left, right):
    """Both halves brought to the scale of e^0."""
    largest = torch.maximum(left[0], right[0])
    total, mixed = (left[0].exp() * a + right[0].exp() * b for a, b in zip(left[1:], right[1:], strict=True))
    return largest, total / largest.exp(), mixed / largest.exp()


def chunk_by_chunk(query, key, value, chunk):
    """One query, a chunk of keys at a time, without the largest score."""
    total, mixed = 0.0, 0.0
    for start in range(0, len(key), chunk):
        weights = (query @ key[start : start + chunk].mT / len(query) ** 0.5).exp()
        total, mixed = total + weights.sum(), mixed + weights @ value[start : start + chunk]
    return (mixed / total)[None]


def differences(grid, wrap=False, zeros=False):
    """A number minus the mean around it, with its sign; the edge may meet the other edge, or zeros."""
    height, width = len(grid), len(grid[0])

    def near(r, c):
        for i, j in [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]:
            if wrap or (0 <= i < height and 0 <= j < width):
                yield grid[i % height][j % width]
            elif zeros:
                yield 0.0

    def contrast(r, c):
        around = list(near(r, c))
        return grid[r][c] - sum(around) / len(around)

    return [[contrast(r, c) for c in range(width)] for r in range(height)]


def used_for_good(scores, used):
    """Right, but it writes into what it was given."""
    used[:, 0] = False
    return scores.masked_fill(used, -math.inf).softmax(dim=-1)


def written_over(said, weights, words, share, extra):
    """Put each weight at its word, where an earlier one of the same word is lost."""
    share = share[:, None]
    p = torch.cat([share * said, said.new_zeros(len(said), extra)], dim=1)
    return p.scatter(1, words, p.gather(1, words) + (1 - share) * weights)


def by_angle(points):
    """All points in the order of the hull: sorted by the angle around their middle, without asking who is a corner."""
    x, y = (sum(point[i] for point in points) / len(points) for i in (0, 1))
    order = sorted(range(len(points)), key=lambda place: math.atan2(points[place][1] - y, points[place][0] - x))
    first = order.index(min(order, key=lambda place: points[place]))
    return order[first:] + order[:first]


LOW = -1e9  # what many programs write in place of minus infinity

MISTAKES = {
    eye.check_stands_out: [
        (lambda grid: [[abs(x) for x in row] for row in grid], "nothing stands out"),
        (
            lambda grid: [[abs(x - sum(map(sum, grid)) / len(grid) / len(row)) for x in row] for row in grid],
            "its own number",
        ),
        (lambda grid: [[abs(x) for x in row] for row in differences(grid, zeros=True)], "nothing stands out"),
        (lambda grid: [[abs(x) for x in row] for row in differences(grid, wrap=True)], "at the edge"),
        (lambda grid: [[max(0.0, x) for x in row] for row in differences(grid)], "a 0 among 1s"),
    ],
    eye.check_shares: [
        (lambda scores: [score / sum(scores) for score in scores], "0.534"),
        (lambda scores: [float(score == max(scores)) for score in scores], "0.534"),
        (lambda scores: [math.exp(score) / sum(map(math.exp, scores)) for score in scores], "nothing overflows"),
    ],
    eye.check_first_looks: [
        (lambda map_, budget: sorted(range(len(map_)), key=map_.__getitem__)[:budget], "the largest comes first"),
        (lambda map_, budget: sorted(map_, reverse=True)[:budget], "the largest comes first"),
        (lambda map_, budget: (eye.first_looks(map_, budget) * 2)[:budget], "no place is looked at twice"),
        (
            lambda map_, budget: sorted(range(len(map_)), key=lambda place: (-map_[place], -place))[:budget],
            "of equal numbers",
        ),
        (lambda map_, budget: (eye.first_looks(map_, budget), map_.sort())[0], "the same afterwards"),
    ],
    n.check_point: [
        (lambda scores, used: scores.softmax(dim=0), "1/8, 2/8 and 5/8"),
        (lambda scores, used: scores.softmax(dim=-1), "has probability 0"),
        (lambda scores, used: scores.softmax(dim=-1) * ~used, "has probability 0"),
        (lambda scores, used: scores.masked_fill(used, -math.inf).softmax(dim=-1), "can be pointed at even if"),
        (used_for_good, "what was used before is not changed"),
    ],
    n.check_copy_or_say: [
        (
            lambda said, weights, words, share, extra: n.copy_or_say(said, weights, words, 1 - share / 2, extra),
            "new word",
        ),
        (lambda said, weights, words, share, extra: said, "new word"),
        (written_over, "the sum of their weights"),
        (
            lambda said, weights, words, share, extra: (
                n.copy_or_say(said, weights, words, share * 0 + 0.5, extra) * (1 + (share[:, None] - 0.5))
            ),
            "sums to one",
        ),
    ],
    n.check_hull: [
        (lambda points: n.hull(points)[::-1], "a square"),
        (lambda points: sorted(n.hull(points)), "a square"),
        (by_angle, "a square"),
        (lambda points: n.hull(points)[1:] + n.hull(points)[:1], "a square"),
        (
            lambda points: [p for p in by_angle(points) if points[p] != (1, 1) or len(points) != 5],
            "no corner",
        ),
        (
            lambda points: [len(points) - 1 - points[::-1].index(points[place]) for place in n.hull(points)],
            "the first stands for all",
        ),
        (lambda points: n.hull(points) if len(points) > 2 else list(range(len(points)))[1:], "one point has one"),
    ],
    hard.check_surrogate: [
        (lambda scores, place, loss, base: -hard.surrogate(scores, place, loss, base), "(-2, 3, -1)"),
        (
            lambda scores, place, loss, base: (
                (loss - base).detach() * scores.softmax(-1).gather(-1, place[:, None])[:, 0]
            ).mean(),
            "(-2, 3, -1)",
        ),
        (lambda scores, place, loss, base: hard.surrogate(scores, place, loss, 0.0), "says nothing"),
        (lambda scores, place, loss, base: len(loss) * hard.surrogate(scores, place, loss, base), "not their sum"),
        (
            lambda scores, place, loss, base: (
                (loss - base) * scores.log_softmax(-1).gather(-1, place[:, None])[:, 0]
            ).mean(),
            "get no gradient",
        ),
    ],
    hard.check_others_mean: [
        (lambda losses: losses.mean().expand_as(losses), "the loss of the other"),
        (lambda losses: losses.flip(0), "own loss"),
        (lambda losses: (losses.sum() - losses) / len(losses), "the loss of the other"),
    ],
    hard.check_best_baseline: [
        (lambda weights, losses: weights @ losses, "far from the mean"),
        (lambda weights, losses: losses[0] * 0, "with equal shares"),
        (lambda weights, losses: losses.mean(), "far from the mean"),
    ],
    hard.check_hard_with_slope: [
        (lambda scores, noise, t: ((scores + noise) / t).softmax(-1), "exactly"),
        (lambda scores, noise, t: hard.hard_with_slope(scores, 0 * noise, t), "best sum"),
        (lambda scores, noise, t: hard.hard_with_slope(scores, noise, 1.0), "the gradient by the scores"),
    ],
    a.check_masked_softmax: [
        (lambda scores, mask: scores * mask, "3/4 and 1/4"),
        (lambda scores, mask: a.masked_softmax(scores.T, mask.T).T, "3/4 and 1/4"),
        (lambda scores, mask: scores.softmax(dim=-1) if len(scores) == 1 else scores.softmax(dim=0), "each row"),
        (lambda scores, mask: a.masked_softmax(scores, ~mask), "3/4 and 1/4"),
        (lambda scores, mask: scores.softmax(dim=-1), "True means may look"),
        (lambda scores, mask: scores.softmax(dim=-1) * mask, "True means may look"),
        (lambda scores, mask: scores.masked_fill(~mask, -math.inf).softmax(dim=-1), "may look at nothing"),
        (lambda scores, mask: scores.masked_fill(~mask, LOW).softmax(dim=-1), "may look at nothing"),
        (
            lambda scores, mask: (scores + mask.float().log()).softmax(dim=-1).nan_to_num(0),
            "the gradients stay finite",
        ),
        (lambda scores, mask: scores.masked_fill(~mask, LOW).softmax(dim=-1) * mask, "however low its score"),
        (
            lambda scores, mask: (scores.exp() * mask) / (scores.exp() * mask).sum(-1, keepdim=True).clamp(min=1e-30),
            "however low its score",
        ),
        (
            lambda scores, mask: (
                scores.masked_fill_(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1) * mask
                if not scores.requires_grad
                else a.masked_softmax(scores, mask)
            ),
            "not written to",
        ),
    ],
    a.check_decoder_mask: [
        (lambda lengths, longest: a.decoder_mask(lengths, longest).float(), "is boolean"),
        (lambda lengths, longest: torch.arange(longest) < lengths[:, None], "axes"),
        (lambda lengths, longest: a.decoder_mask(lengths, longest).mT, "none after it"),
        (lambda lengths, longest: ~a.decoder_mask(lengths, longest), "none after it"),
        (lambda lengths, longest: a.decoder_mask(lengths, longest).tril(-1), "none after it"),
        (lambda lengths, longest: a.decoder_mask(lengths + 1, longest), "the padding"),
        (lambda lengths, longest: a.decoder_mask(lengths * 0 + longest, longest), "the padding"),
        (
            lambda lengths, longest: (
                a.decoder_mask(lengths, longest) & (torch.arange(longest)[:, None] < lengths[:, None, None])
            ),
            "the padding",
        ),
    ],
    a.check_softmax_gradient: [
        (lambda weights, gradient: weights * gradient, "no score moves"),
        (lambda weights, gradient: weights * (1 - weights) * gradient, "no score moves"),
        (lambda weights, gradient: gradient - (weights * gradient).sum(-1, keepdim=True), "raises its score"),
        (lambda weights, gradient: -a.softmax_gradient(weights, gradient), "raises its score"),
        (lambda weights, gradient: weights * (gradient - (weights * gradient).sum() / len(weights)), "autograd"),
    ],
    a.check_average_of_choices: [
        (lambda weights, value, draws: weights @ value, "one whole row"),
        (lambda weights, value, draws: value[weights.argmax()], "come close to the expectation"),
        (lambda weights, value, draws: weights @ value if draws > 50 else value[1] * 1.0, "two means"),
        (lambda weights, value, draws: value[torch.randint(len(value), (draws,))].mean(dim=0), "weight zero"),
        (lambda weights, value, draws: value[torch.multinomial(weights, draws, True)].sum(dim=0), "weight zero"),
        (
            lambda weights, value, draws: value[torch.multinomial((weights > 0).double(), draws, True)].mean(dim=0),
            "come close to the expectation",
        ),
    ],
    links.check_error_rate: [
        (lambda predicted, sure, possible: 1 - links.error_rate(predicted, sure, possible), "1 - (2 + 3)"),
        (lambda predicted, sure, possible: links.error_rate(predicted, sure, sure), "1 - (2 + 3)"),
        (
            lambda predicted, sure, possible: (
                1
                - sum(len(a & s) + len(a & p) for a, s, p in zip(predicted, sure, possible, strict=True))
                / sum(len(a) + len(s) for a, s in zip(predicted, sure, strict=True))
            ),
            "counts as possible too",
        ),
        (
            lambda predicted, sure, possible: (
                sum(links.error_rate([a], [s], [p]) for a, s, p in zip(predicted, sure, possible, strict=True))
                / len(sure)
            ),
            "not the mean",
        ),
        (
            lambda predicted, sure, possible: links.error_rate(predicted, sure, possible) or 1 / len(predicted[0]) * 0,
            "nothing was said",
        ),
    ],
    links.check_shares: [
        (lambda table, source, target: links.shares(table, source, target).mT, "3 rows of 2"),
        (lambda table, source, target: table[source][:, target].mT, "sum to one"),
        (lambda table, source, target: table[source][:, target].softmax(dim=0).mT, "1/4 das"),
        (lambda table, source, target: torch.full((len(target), len(source)), 1 / len(source)).double(), "1/4 das"),
        (lambda table, source, target: (table / table.sum(0))[source][:, target].mT, "sum to one"),
        (
            lambda table, source, target: links.shares(table / table.sum(dim=1, keepdim=True), source, target),
            "are not in the sentence",
        ),
    ],
    links.check_agreed: [
        (lambda forwards, backwards: {(j, i) for i, j in links.agreed(forwards, backwards)}, "as (source, target)"),
        (lambda forwards, backwards: {(i, j) for j, i in enumerate(forwards.argmax(1).tolist())}, "no link"),
        (
            lambda forwards, backwards: (
                {(i, j) for j, i in enumerate(forwards.argmax(1).tolist())}
                | {(i, j) for i, j in enumerate(backwards.argmax(1).tolist())}
            ),
            "both links are given",
        ),
        (
            lambda forwards, backwards: {(i, j) for j, i in ((forwards + backwards.mT) > 1.2).nonzero().tolist()},
            "heavy or light",
        ),
    ],
    links.check_what_matters: [
        (lambda say, source: links.what_matters(say, source).mT, "2 rows of 4"),
        (lambda say, source: 2 * links.what_matters(say, source), "leaving out a moves half"),
        (
            lambda say, source: torch.stack(
                [(say(source[:j] + source[j + 1 :]) - say(source)).amax(1) for j in range(len(source))], 1
            ),
            "half the sum",
        ),
        (
            lambda say, source: torch.stack(
                [(say([w for w in source if w != x]) - say(source)).abs().sum(1) / 2 for x in source], 1
            ),
            "one is left out",
        ),
        (
            lambda say, source: (links.what_matters(say, source), source.pop())[0],
            "as long afterwards",
        ),
    ],
    look.check_annotations: [
        (lambda forward, backward: torch.cat([forward, backward], dim=-1), "just read this word"),
        (lambda forward, backward: torch.cat([forward, backward.flip(0)], dim=-1), "just read this word"),
        (lambda forward, backward: torch.cat([forward, backward.flip(1).flip(0)], dim=-1), "just read this word"),
        (lambda forward, backward: torch.cat([forward, backward.flip(1).flip(2)], dim=-1), "in both directions"),
        (lambda forward, backward: torch.cat([forward, backward], dim=-1).flip(1), "reading from the left"),
        (lambda forward, backward: torch.cat([backward.flip(1), forward], dim=-1), "reading from the left"),
        (lambda forward, backward: forward + backward.flip(1), "3 rows of 4 numbers"),
        (lambda forward, backward: torch.cat([forward, backward.flip(1)], dim=1), "3 rows of 4 numbers"),
    ],
    look.check_look_then_step: [
        (
            lambda cell, compare, word, state, annotations: look.look_then_step(
                cell, lambda s, h: compare(cell(word, s), h), word, state, annotations
            ),
            "changes no weight",
        ),
        (
            lambda cell, compare, word, state, annotations: look.look_then_step(
                cell, lambda s, h: compare(cell(word * 0, s), h), word, state, annotations
            ),
            "state before the step",
        ),
        (
            lambda cell, compare, word, state, annotations: (
                None,
                None,
                compare(state, annotations).softmax(dim=0),
            ),
            "sum to one",
        ),
        (
            lambda cell, compare, word, state, annotations: (
                cell(word, state),
                *look.look_then_step(cell, compare, word, state, annotations)[1:],
            ),
            "context beside it",
        ),
        (
            lambda cell, compare, word, state, annotations: look.look_then_step(
                lambda given, s: cell(given.roll(-word.shape[1], 1), s), compare, word, state, annotations
            ),
            "context beside it",
        ),
        (
            lambda cell, compare, word, state, annotations: (
                state,
                *look.look_then_step(cell, compare, word, state, annotations)[1:],
            ),
            "context beside it",
        ),
        (
            lambda cell, compare, word, state, annotations: look.look_then_step(
                lambda given, s: cell(given, s * 0), compare, word, state, annotations
            ),
            "the state before the step.",
        ),
        (
            lambda cell, compare, word, state, annotations: (
                *look.look_then_step(cell, compare, word, state, annotations.mean(dim=1, keepdim=True))[:2],
                compare(state, annotations).softmax(dim=1),
            ),
            "each times its weight",
        ),
        (
            lambda cell, compare, word, state, annotations: (
                *look.look_then_step(cell, compare, word, state, annotations)[:2],
                compare(state, annotations),
            ),
            "sum to one",
        ),
    ],
    look.check_maxout: [
        (lambda pairs: pairs.unflatten(-1, (2, -1)).amax(dim=-2), "(1, 3, 5, 2)"),
        (lambda pairs: pairs.amax(dim=-1), "(1, 3, 5, 2)"),
        (lambda pairs: pairs.unflatten(-1, (-1, 2)).amin(dim=-1), "(1, 3, 5, 2)"),
        (lambda pairs: torch.maximum(pairs[..., :-1], pairs[..., 1:]), "(1, 3, 5, 2)"),
        (lambda pairs: pairs.relu().unflatten(-1, (-1, 2)).amax(dim=-1), "-1 and -3"),
        (lambda pairs: pairs.unflatten(-1, (-1, 2)).abs().amax(dim=-1), "-1 and -3"),
        (lambda pairs: pairs.view(-1, 2).amax(dim=-1), "each row"),
        (lambda pairs: look.maxout(pairs.detach()), "the gradient"),
    ],
    look.check_best_by_length: [
        (lambda hypotheses: max(hypotheses)[1], "beats -2 for 1 word"),
        (lambda hypotheses: max(hypotheses, key=lambda one: one[0] / len(one[1]))[1], "beats -1.8 for 2 words"),
        (lambda hypotheses: max(hypotheses, key=lambda one: one[0] / max(len(one[1]), 1))[1], "beats -1.8 for 2 words"),
        (lambda hypotheses: min(hypotheses, key=lambda one: one[0] / (len(one[1]) + 1))[1], "same length"),
        (lambda hypotheses: max(hypotheses, key=lambda one: len(one[1]))[1], "wherever it stands"),
        (lambda hypotheses: max(hypotheses, key=lambda one: one[0] / (len(one[1]) + 1)), "same length"),
        (lambda hypotheses: look.best_by_length([one for one in hypotheses if one[1]]), "without words"),
        (lambda hypotheses: hypotheses[0][1], "wherever it stands"),
    ],
    step.check_step_then_look: [
        (
            lambda cell, compare, combine, word, state, said, memory: step.step_then_look(
                lambda given, s: cell(given[:, : word.shape[1]], s), compare, combine, word, state, said, memory
            ),
            "what was said last beside it",
        ),
        (
            lambda cell, compare, combine, word, state, said, memory: step.step_then_look(
                cell, compare, combine, said, state, word, memory
            ),
            "what was said last beside it",
        ),
        (
            lambda cell, compare, combine, word, state, said, memory: (
                cell(torch.cat([word, said], dim=1), state),
                None,
                compare(state, memory).softmax(dim=0),
            ),
            "sum to one",
        ),
        (
            lambda cell, compare, combine, word, state, said, memory: (
                cell(torch.cat([word, said], dim=1), state),
                *step.step_then_look(lambda given, s: s, compare, combine, word, state, said, memory)[1:],
            ),
            "changes the weights",
        ),
        (
            lambda cell, compare, combine, word, state, said, memory: step.step_then_look(
                cell, lambda s, h: compare(s / 2, h), combine, word, state, said, memory
            ),
            "scores of the new state",
        ),
        (
            lambda cell, compare, combine, word, state, said, memory: step.step_then_look(
                cell, compare, lambda both: combine(both.roll(5, 1)), word, state, said, memory
            ),
            "the context first",
        ),
        (
            lambda cell, compare, combine, word, state, said, memory: step.step_then_look(
                cell, compare, lambda both: combine(torch.cat([both[:, :7], state], 1)), word, state, said, memory
            ),
            "the context first",
        ),
    ],
    step.check_window_weights: [
        (lambda scores, centre, reach: scores.softmax(dim=1), "1/4, 1/2, 1/4 and 0"),
        (lambda scores, centre, reach: step.window_weights(scores, centre + 1, reach), "1/4, 1/2, 1/4 and 0"),
        (lambda scores, centre, reach: scores.softmax(1) * step.window_weights(scores, centre, reach).gt(0), "1/4"),
        (lambda scores, centre, reach: step.window_weights(scores, centre.floor(), reach), "a centre of 2.5"),
        (lambda scores, centre, reach: step.window_weights(scores, centre[:1], reach), "a window of its own"),
        (
            lambda scores, centre, reach: scores.masked_fill(
                (torch.arange(1, scores.shape[1] + 1) - centre[:, None]).abs() > reach, -torch.inf
            ).softmax(dim=1),
            "not NaN",
        ),
        (
            lambda scores, centre, reach: scores.masked_fill(
                (torch.arange(1, scores.shape[1] + 1) - centre[:, None]).abs() > reach, LOW
            ).softmax(dim=1),
            "not equal shares",
        ),
        (
            lambda scores, centre, reach: torch.nn.functional.normalize(
                scores.softmax(1) * ((torch.arange(1, scores.shape[1] + 1) - centre[:, None]).abs() <= reach), 1, 1
            ),
            "a thousand higher",
        ),
    ],
    step.check_bell_weights: [
        (lambda weights, centre, spread: weights, "keeps its weight"),
        (lambda weights, centre, spread: step.bell_weights(weights, centre - 1, spread), "keeps its weight"),
        (lambda weights, centre, spread: step.bell_weights(weights, centre, spread / 2**0.5), "keeps its weight"),
        (lambda weights, centre, spread: step.bell_weights(weights, centre, spread**0.5), "exp(-8)"),
        (lambda weights, centre, spread: step.bell_weights(weights, centre, 1.0), "exp(-8)"),
        (
            lambda weights, centre, spread: (
                step.bell_weights(weights, centre, spread)
                if weights[0, 0] != 0.5
                else torch.nn.functional.normalize(step.bell_weights(weights, centre, spread), 1, 1)
            ),
            "not divided by their sums",
        ),
        (lambda weights, centre, spread: step.bell_weights(weights, centre[:1], spread), "a bell of its own"),
        (lambda weights, centre, spread: step.bell_weights(weights, centre.detach(), spread), "gradient"),
    ],
    step.check_look_inside: [
        (lambda query, memory, centre, reach: (memory @ query).softmax(0) @ memory, "at most ``reach``"),
        (lambda query, memory, centre, reach: step.look_inside(query, memory, centre + 1, reach), "at most ``reach``"),
        (lambda query, memory, centre, reach: step.look_inside(query, memory, centre, reach - 1), "at most ``reach``"),
        (
            lambda query, memory, centre, reach: (lambda near: (near @ query).softmax(0) @ near)(
                memory[centre - 1 - reach : centre + reach]
            ),
            "hangs over",
        ),
        (
            lambda query, memory, centre, reach: (
                (memory @ query)
                .masked_fill((torch.arange(1, len(memory) + 1) - centre).abs() > reach, -torch.inf)
                .softmax(0)
                @ memory
            ),
            "not read",
        ),
    ],
    b.check_last_states: [
        (lambda states, mask: states[:, -1], "shorter sentence"),
        (lambda states, mask: states.mean(dim=1), "without padding gives"),
        (lambda states, mask: (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True), "without padding gives"),
        (lambda states, mask: states[torch.arange(len(states)), mask.sum(dim=1)], "without padding gives"),
        (lambda states, mask: states[:, 0], "without padding gives"),
        (lambda states, mask: states[:, mask.sum(dim=1).min() - 1], "shorter sentence"),
        (lambda states, mask: (states * mask[..., None]).amax(dim=1), "without padding gives"),
    ],
    b.check_teacher_forcing: [
        (lambda target, begin, end: (target, target), "begins with the begin mark"),
        (lambda target, begin, end: b.teacher_forcing(target, end, begin), "begins with the begin mark"),
        (lambda target, begin, end: (b.teacher_forcing(target, begin, end)[0],) * 2, "then the end mark"),
        (lambda target, begin, end: (b.teacher_forcing(target, begin, end)[0], target), "then the end mark"),
    ],
    b.check_loss_without_padding: [
        (lambda logits, wanted, mask: cross_entropy(logits.flatten(0, 1), wanted.flatten()), "padding costs nothing"),
        (lambda logits, wanted, mask: -logits[mask].gather(-1, wanted[mask][:, None]).mean(), "costs log 4"),
        (
            lambda logits, wanted, mask: torch.stack(
                [cross_entropy(one[keep], word[keep]) for one, word, keep in zip(logits, wanted, mask, strict=True)]
            ).mean(),
            "counts the same",
        ),
        (
            lambda logits, wanted, mask: cross_entropy(logits[mask], wanted[mask], reduction="sum"),
            "padding costs nothing",
        ),
    ],
    s.check_scaled_dot: [
        (lambda query, key: query @ key.mT, "divided by 4"),
        (lambda query, key: query @ key.mT / key.shape[-1], "divided by 4"),
        (lambda query, key: query @ key.mT * key.shape[-1] ** 0.5, "divided by 4"),
        (lambda query, key: query @ key, "3 scores"),
        (lambda query, key: key @ query.mT / key.shape[-1] ** 0.5, "3 scores"),
        (lambda query, key: query @ key.mT / len(key[0]) ** 0.5, "a batch of 4"),
        (lambda query, key: (query @ key.mT / key.shape[-1] ** 0.5).softmax(-1), "divided by 4"),
        (
            lambda query, key: s.scaled_dot(query, key) if len(key) == 1 else s.scaled_dot(query, key).sort().values,
            "row",
        ),
    ],
    s.check_bilinear: [
        (lambda query, key, W: key @ W @ query.mT, "a matrix of 2 rows"),
        (lambda query, key, W: query @ W.mT @ key.mT, "a matrix of 2 rows"),
        (lambda query, key, W: (query @ (W.mT if W.shape == (2, 2) else W)) @ key.mT, "belongs to the query"),
        (lambda query, key, W: (key @ W.mT) @ query.mT, "holds q_i"),
    ],
    s.check_additive: [
        (
            lambda query, key, W, U, v: (torch.tanh(query @ W.mT)[:, None] + torch.tanh(key @ U.mT)) @ v,
            "tanh must bend the sum",
        ),
        (lambda query, key, W, U, v: ((query @ W.mT)[:, None] + key @ U.mT) @ v, "tanh must bend the sum"),
        (lambda query, key, W, U, v: torch.tanh(((query @ W.mT)[:, None] + key @ U.mT) @ v), "holds v^T tanh"),
        (lambda query, key, W, U, v: torch.relu((query @ W.mT)[:, None] + key @ U.mT) @ v, "holds v^T tanh"),
        (lambda query, key, W, U, v: torch.tanh((query @ W.mT)[:, None] - key @ U.mT) @ v, "holds v^T tanh"),
    ],
    s.check_concat: [
        (
            lambda query, key, W, v: (
                torch.tanh(
                    torch.cat([query[:, None].expand(-1, len(key), -1), key[None].expand(len(query), -1, -1)], dim=-1)
                    @ W.mT
                )
                @ v
            ),
            "are not built",
        ),
        (
            lambda query, key, W, v: s.additive(query, key, W[:, key.shape[1] :], W[:, : key.shape[1]], v),
            "holds v^T tanh(W [q_i; k_j])",
        ),
    ],
    d.check_hard_look_up: [
        (lambda scores, value: scores.softmax(dim=-1) @ value, "second value, whole"),
        (lambda scores, value: value[scores.argmax()][None], "each row"),
        (lambda scores, value: value[scores.argmax(dim=-1)], "tie"),
        (lambda scores, value: (scores == scores.amax(-1, keepdim=True)).to(value.dtype) @ value, "tie"),
        (lambda scores, value: (scores / 0.001).softmax(dim=-1) @ value, "by any lead"),
    ],
    d.check_write: [
        (lambda memory, weights, erase, add: memory + weights[:, None] * add, "this row becomes"),
        (lambda memory, weights, erase, add: memory * (1 - erase) + weights[:, None] * add, "this row becomes"),
        (lambda memory, weights, erase, add: memory * (1 - weights[:, None]) + weights[:, None] * add, "erase is 0"),
        (
            lambda memory, weights, erase, add: d.write(memory, (weights > 0.5).to(memory.dtype), erase, add),
            "loses a quarter",
        ),
        (
            lambda memory, weights, erase, add: (
                (memory + weights[:, None] * add) * (1 - weights[:, None] * erase)
                if len(weights) == 1
                else d.write(memory, weights, erase, add)
            ),
            "is not erased again",
        ),
        (
            lambda memory, weights, erase, add: memory.mul_(1 - weights[:, None] * erase).add_(weights[:, None] * add),
            "not written to",
        ),
    ],
    d.check_leave_one_out: [
        (
            lambda seen, said, width: (-torch.cdist(seen, seen).square() / (2 * width**2)).softmax(dim=-1) @ said,
            "does not count",
        ),
        (
            lambda seen, said, width: (
                (-torch.cdist(seen, seen).square() / (2 * width**2)).softmax(dim=-1).fill_diagonal_(0) @ said
            ),
            "from places 1 and 3",
        ),
        (lambda seen, said, width: d.leave_one_out(seen, said, width / 2**0.5), "from places 1 and 3"),
        (lambda seen, said, width: d.leave_one_out(seen, said, 1.0), "share evenly"),
        (
            lambda seen, said, width: (
                (-torch.cdist(seen, seen) / (2 * width**2)).fill_diagonal_(-math.inf).softmax(dim=-1) @ said
            ),
            "from places 1 and 3",
        ),
    ],
    d.check_distance: [
        (lambda query, key: query @ key.T, "-|q_i - k_j|²"),
        (lambda query, key: -torch.cdist(query, key), "-|q_i - k_j|²"),
        (lambda query, key: 2 * query @ key.T - key.square().sum(dim=-1), "-|q_i - k_j|²"),
        (lambda query, key: -d.distance(query, key), "-|q_i - k_j|²"),
        (lambda query, key: -(query[:, None] - key[None]).square().sum(dim=-1), "not built pair by pair"),
    ],
    c.check_log_partition: [
        (lambda emissions, transition: emissions.logsumexp(dim=1).sum(), "Z is 74"),
        (lambda emissions, transition: c.log_partition(emissions, transition.T), "over all sequences"),
        (
            lambda emissions, transition: c.log_partition(
                torch.cat([emissions[:1] + transition.logsumexp(0), emissions[1:]])
                if len(emissions) == 1
                else emissions,
                transition,
            ),
            "one word has no ties",
        ),
        (
            lambda emissions, transition: (
                c._all(emissions, transition)[1].exp().sum().log()
                if len(emissions) < 9
                else c.log_partition(emissions, transition)
            ),
            "no infinity",
        ),
        (
            lambda emissions, transition: (
                c._all(emissions, transition)[1].logsumexp(0) if len(emissions) < 9 else emissions.new_tensor(math.nan)
            ),
            "40 words",
        ),
    ],
    c.check_viterbi: [
        (lambda emissions, transition: [0] * len(emissions), "all three gates"),
        (lambda emissions, transition: greedy_path(emissions, transition), "best so far may be wrong"),
        (lambda emissions, transition: c.viterbi(emissions, transition)[::-1], "no sequence has a higher score"),
        (lambda emissions, transition: c.viterbi(emissions, transition.T), "best so far may be wrong"),
    ],
    c.check_pair_marginals: [
        (lambda emissions, transition: 2 * c.pair_marginals(emissions, transition), "sums to one"),
        (lambda emissions, transition: c.pair_marginals(emissions, transition).mT, "with that pair"),
        (lambda emissions, transition: c.pair_marginals(emissions, transition * 0), "with that pair"),
    ],
    c.check_ordered_ties: [
        (lambda allowed, tags, forbidden: c.ordered_ties(allowed, tags, forbidden).T, "allowed pairs have the tie 0"),
        (lambda allowed, tags, forbidden: torch.zeros(tags, tags), "allowed pairs have the tie 0"),
        (
            lambda allowed, tags, forbidden: c.ordered_ties(
                [*allowed, *((n, n) for n in range(tags))], tags, forbidden
            ),
            "nobody names",
        ),
    ],
    h.check_shares: [
        (lambda words, sentences, mask: words.flatten().softmax(0).view(words.shape) * 2, "the case by hand"),
        (lambda words, sentences, mask: words.flatten().softmax(0).view(words.shape), "twice the weight"),
        (
            lambda words, sentences, mask: words.softmax(1) * sentences.softmax(0)[:, None],
            "the mask hides have none",
        ),
        (lambda words, sentences, mask: weigh(words, mask) * sentences.softmax(0)[:, None], "sum to one"),
        (
            lambda words, sentences, mask: weigh(
                (words + sentences[:, None]).flatten()[None], mask.flatten()[None]
            ).view(words.shape),
            "the case by hand",
        ),
        (
            lambda words, sentences, mask: (
                (products := words.softmax(1) * sentences.softmax(0)[:, None] * mask) / products.sum()
            ),
            "sum to its weight",
        ),
        (
            lambda words, sentences, mask: (
                words.masked_fill(~mask, -math.inf).softmax(1).nan_to_num(0)
                * sentences.masked_fill(~mask.any(1), -math.inf).softmax(0)[:, None]
            ),
            "not NaN",
        ),
    ],
    h.check_sentence_scores: [
        (lambda words, mask: words.sum(dim=1), "log 4 and log 2"),
        (lambda words, mask: words.amax(dim=1), "log 4 and log 2"),
        (lambda words, mask: words.exp().sum(dim=1), "log 4 and log 2"),
        (lambda words, mask: words.logsumexp(dim=1), "over all words at once"),
        (lambda words, mask: (words.exp() * mask).sum(dim=1).clamp(min=1e-30).log(), "no infinity"),
    ],
    h.check_close_gaps: [
        (lambda vectors, mask: (vectors * mask[:, None], torch.arange(len(mask))), "comes first"),
        (lambda vectors, mask: (h.close_gaps(vectors, mask)[0].flip(0), torch.arange(len(mask))), "comes first"),
        (lambda vectors, mask: (vectors[(~mask).long().argsort(stable=True)], torch.arange(len(mask))), "zeros"),
        (
            lambda vectors, mask: (h.close_gaps(vectors, mask)[0], (~mask).long().argsort(stable=True)),
            "where it was",
        ),
    ],
    m.check_split_heads: [
        (lambda vectors, heads: vectors.view(*vectors.shape[:2], heads, -1), "the shape (2, 4, 3, 2)"),
        (lambda vectors, heads: vectors.view(len(vectors), heads, vectors.shape[1], -1), "the h-th piece"),
        (lambda vectors, heads: m.split_heads(vectors, heads).flip(1), "the h-th piece"),
        (lambda vectors, heads: vectors.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2), "the h-th piece"),
        (lambda vectors, heads: m.split_heads(vectors, heads).sort(dim=-2).values, "changes its own row"),
    ],
    m.check_mask_for_heads: [
        (lambda lengths, longest: torch.arange(longest) < lengths[:, None], "fits scores"),
        (lambda lengths, longest: m.mask_for_heads(lengths, longest).float(), "fits scores"),
        (lambda lengths, longest: (torch.arange(longest) < lengths[:, None])[:, None], "padding is hidden"),
        (lambda lengths, longest: ~m.mask_for_heads(lengths, longest), "padding is hidden"),
        (lambda lengths, longest: torch.arange(longest) <= lengths[:, None, None, None], "padding is hidden"),
        (
            lambda lengths, longest: (
                m.mask_for_heads(lengths, longest) | torch.tensor([[False], [True]])[:, None] & (lengths[0] < 2)
            ),
            "see the same",
        ),
    ],
    m.check_prune_order: [
        (lambda heads, score: sorted(range(heads), key=lambda head: score([head])), "from the least to the most"),
        (lambda heads, score: m.prune_order(heads, score)[::-1], "from the least to the most"),
        (lambda heads, score: list(range(heads)), "from the least to the most"),
        (lambda heads, score: m.prune_order(heads, score)[:4], "goes once"),
        (lambda heads, score: sorted(range(heads), key=lambda head: -score([head])), "judged again"),
    ],
    p.check_waves: [
        (
            lambda length, width: p.waves(length, width)[:, [0, 2, 1, 3]] if width == 4 else p.waves(length, width),
            "0, 1",
        ),
        (lambda length, width: p.waves(length + 1, width)[1:], "0, 1, 0, 1"),
        (lambda length, width: p.waves(width, length).T, "0, 1, 0, 1"),
        (lambda length, width: p.waves(2 * length, width)[::2], "turns by 1"),
        (lambda length, width: p.waves(length, 2 * width)[:, :width], "10,000 to the power of -2i / width"),
    ],
    p.check_turn: [
        (lambda x, positions: p.turn(x, positions + 1), "place 0 does not turn"),
        (lambda x, positions: x + p.waves(len(x), x.shape[-1])[positions % len(x)] - p.waves(1, x.shape[-1]), "length"),
        (lambda x, positions: p.turn(x, -positions), "(cos 1, sin 1, 0, 0)"),
        (lambda x, positions: halves(x, positions), "(cos 1, sin 1, 0, 0)"),
        (lambda x, positions: p.turn(x, positions**2), "the same wherever the two stand"),
        (
            lambda x, positions: torch.cat(
                [p.turn(x[..., i : i + 2], positions) for i in range(0, x.shape[-1], 2)], -1
            ),
            "complex multiplication",
        ),
    ],
    p.check_offsets: [
        (lambda length, farthest: p.offsets(length, farthest) - farthest, "has row ``farthest``"),
        (lambda length, farthest: p.offsets(length, farthest).T, "one step to the right"),
        (lambda length, farthest: p.offsets(length, length) - length + farthest, "no other row is asked for"),
        (lambda length, farthest: p.offsets(length, farthest) % (2 * farthest), "no other row is asked for"),
        (
            lambda length, farthest: (p.offsets(length, length) - length + farthest) % (2 * farthest + 1),
            "no other row is asked for",
        ),
    ],
    p.check_is_blind: [
        (lambda layer, x, order: torch.allclose(layer(x[order]), layer(x)), "adds the mean"),
        (lambda layer, x, order: torch.allclose(layer(x)[order], layer(x[order])[order]), "adds the mean"),
        (lambda layer, x, order: torch.allclose(layer(x[order])[order], layer(x)), "adds the mean"),
        (lambda layer, x, order: True, "is not blind"),
        (lambda layer, x, order: torch.allclose(layer(x[order]).sum(0), layer(x).sum(0)), "numbers its outputs"),
    ],
    r.check_read_itself: [
        (lambda x, q, k, v: ((x @ k.T) @ (x @ q.T).T).softmax(dim=1) @ x @ v.T, "66, 52.5 and 60"),
        (lambda x, q, k, v: ((x @ q.T) @ (x @ k.T).T).softmax(dim=0) @ x @ v.T, "66, 52.5 and 60"),
        (lambda x, q, k, v: (x @ x.T).softmax(dim=1) @ x, "66, 52.5 and 60"),
        (lambda x, q, k, v: ((x @ q.T) @ (x @ k.T).T).softmax(dim=1) @ x @ v.T, "the width of a query"),
        (
            lambda x, q, k, v: ((x @ q.T) @ (x @ k.T).T / (math.sqrt(7) if len(x) == 5 else 1)).softmax(1) @ x @ v.T,
            "the width of a query",
        ),
        (lambda x, q, k, v: r.read_itself(x[:5], q, k, v), "one word and eleven"),
    ],
    r.check_from_columns: [
        (lambda x, q, k, v: (v @ x) @ ((k @ x).T @ (q @ x)).softmax(dim=1), "66, 52.5 and 60"),
        (lambda x, q, k, v: (v @ x) @ ((q @ x).T @ (k @ x)).softmax(dim=0), "66, 52.5 and 60"),
        (lambda x, q, k, v: r.from_columns(x, q, k, v).T, "66, 52.5 and 60"),
        (lambda x, q, k, v: (v @ x) @ ((k @ x).T @ (q @ x)).softmax(dim=0), "turned"),
        (lambda x, q, k, v: (v @ x) @ ((k @ x).T @ (q @ x) / math.sqrt(len(x) - 1)).softmax(dim=0), "turned"),
    ],
    r.check_looking_back: [
        (lambda scores: scores.softmax(dim=-1), "above the diagonal"),
        (lambda scores: r.looking_back(scores.T).T, "above the diagonal"),
        (lambda scores: scores.tril().softmax(dim=-1), "above the diagonal"),
        (lambda scores: one_too_far(r.looking_back(scores)), "sees itself"),
        (lambda scores: scores.softmax(dim=-1).tril(), "sees itself"),
        (
            lambda scores: scores.softmax(dim=-1).tril() + (1 - scores.softmax(dim=-1).tril().sum(1)).diag(),
            "1/4 and 3/4",
        ),
        (lambda scores: r.looking_back(scores) / r.looking_back(scores).amax(1, keepdim=True), "sums to one"),
        (lambda scores: r.looking_back(torch.zeros_like(scores)), "1/4 and 3/4"),
        (
            lambda scores: scores.masked_fill_(torch.ones(scores.shape).bool().triu(1), -math.inf).softmax(dim=-1),
            "not written to",
        ),
    ],
    r.check_perplexity: [
        (lambda logits, wanted, mask: cross_entropy(logits[mask], wanted[mask]), "perplexity 5"),
        (lambda logits, wanted, mask: 2 ** cross_entropy(logits[mask], wanted[mask]), "perplexity 5"),
        (
            lambda logits, wanted, mask: (1 / logits.softmax(dim=-1).gather(2, wanted[..., None])[..., 0][mask]).mean(),
            "geometric mean",
        ),
        (lambda logits, wanted, mask: cross_entropy(logits.flatten(0, 1), wanted.flatten()).exp(), "padding"),
        (
            lambda logits, wanted, mask: (
                torch.stack([cross_entropy(a[m], b[m]) for a, b, m in zip(logits, wanted, mask, strict=True)])
                .mean()
                .exp()
            ),
            "padding",
        ),
    ],
    price.check_one_pass: [
        (lambda scores: (0.0, sum(map(math.exp, scores))), "shrinks the sum"),
        (lambda scores: (lambda all_: (max(all_), len(all_)))(list(scores)), "shrinks the sum"),
        (lambda scores: (max(scores), float(len(list(scores)))), "the sum is 3"),
        (lambda scores: overflowing(list(scores)), "make no infinity"),
    ],
    price.check_join: [
        (lambda left, right: tuple(a + b for a, b in zip(left, right, strict=True)), "what the whole gives"),
        (
            lambda left, right: (torch.maximum(left[0], right[0]), left[1] + right[1], left[2] + right[2]),
            "what the whole gives",
        ),
        (lambda left, right: joined_without_care(left, right), "make no infinity"),
    ],
    price.check_attend_in_chunks: [
        (lambda query, key, value, chunk: (query @ key.mT).softmax(dim=1) @ value, "scaled dot-product"),
        (lambda query, key, value, chunk: (query @ key.mT / 3**0.5).softmax(dim=1) @ value, "size of all scores"),
        (
            lambda query, key, value, chunk: price.attend_in_chunks(query, key[: chunk * 3], value[: chunk * 3], chunk),
            "scaled dot-product",
        ),
        (
            lambda query, key, value, chunk: torch.cat([chunk_by_chunk(one, key, value, chunk) for one in query]),
            "make no infinity",
        ),
    ],
    price.check_gradient_of_scores: [
        (lambda weights, value, context, d_context: weights * (d_context @ value.mT), "what autograd gives"),
        (lambda weights, value, context, d_context: d_context @ value.mT, "what autograd gives"),
        (
            lambda weights, value, context, d_context: (
                weights * (d_context @ value.mT - (weights * (d_context @ value.mT)).sum(dim=1, keepdim=True))
            ),
            "some of the keys alone",
        ),
    ],
    t.check_add_and_norm: [
        (lambda x, part, norm, first: t.add_and_norm(x, part, norm, not first), "norm((3, 9))"),
        (lambda x, part, norm, first: norm(x + part(x)), "(1, 3) + 2 (-1, 1)"),
        (lambda x, part, norm, first: norm(x) + part(norm(x)) if first else norm(x + part(x)), "(1, 3) + 2 (-1, 1)"),
        (lambda x, part, norm, first: x + norm(part(x)) if first else norm(x + part(x)), "(1, 3) + 2 (-1, 1)"),
        (lambda x, part, norm, first: x + part(norm(x)) if first else norm(part(x)) + 0 * x, "the part gives zeros"),
        (lambda x, part, norm, first: part(x) * 0 + t.add_and_norm(x, part, norm, first), "asked once"),
    ],
    t.check_look_at_kept: [
        (lambda query, key, value, kept: t.look_at_kept(query, key, value, None), "behind a causal mask"),
        (
            lambda query, key, value, kept: (
                t.look_at_kept(query, key, value, kept)[0],
                (key, value) if kept is None else kept,
            ),
            "behind a causal mask",
        ),
        (lambda query, key, value, kept: t.look_at_kept(query * 3**0.5, key, value, kept), "behind a causal mask"),
        (
            lambda query, key, value, kept: t.look_at_kept(
                query,
                *(
                    (key, value)
                    if kept is None
                    else (torch.cat([new, old], 1) for new, old in zip((key, value), kept, strict=True))
                ),
                None,
            ),
            "stand behind the old ones",
        ),
        (
            lambda query, key, value, kept: (
                t.look_at_kept(query.expand(-1, 1 if kept is None else 1 + kept[0].shape[1], -1), key, value, kept)[0][
                    :, -1:
                ],
                t.look_at_kept(query, key, value, kept)[1],
            ),
            "n by n",
        ),
    ],
    t.check_smooth_loss: [
        (lambda logits, wanted, smoothing: cross_entropy(logits, wanted), "0.8 of the true one"),
        (
            lambda logits, wanted, smoothing: (
                (1 - smoothing) * cross_entropy(logits, wanted)
                + smoothing
                / (logits.shape[1] - 1)
                * (-logits.log_softmax(-1).sum(-1).mean() - cross_entropy(logits, wanted))
            ),
            "0.8 of the true one",
        ),
        (
            lambda logits, wanted, smoothing: t.smooth_loss(logits, wanted, smoothing) * len(logits),
            "the mean over rows",
        ),
        (
            lambda logits, wanted, smoothing: (
                (1 - smoothing) * cross_entropy(logits, wanted) - smoothing * logits.log_softmax(dim=-1).mean()
            ),
            "an impossible word",
        ),
        (
            lambda logits, wanted, smoothing: (
                t.smooth_loss(logits.softmax(dim=-1).log(), wanted, smoothing)
                if smoothing
                else -(logits.softmax(dim=-1)[range(len(wanted)), wanted].log()).mean()
            ),
            "do not overflow",
        ),
    ],
    t.check_rate: [
        (lambda step, width, warm_up: t.rate(step + 1, width, warm_up), "1/2000"),
        (lambda step, width, warm_up: width**-0.5 * step * warm_up**-1.5, "last step of the warm-up"),
        (lambda step, width, warm_up: width**-0.5 * max(step**-0.5, step * warm_up**-1.5), "1/2000"),
        (
            lambda step, width, warm_up: (
                t.rate(step, width, warm_up) if step <= warm_up else t.rate(warm_up, width, warm_up) * warm_up / step
            ),
            "half of its peak",
        ),
    ],
}
SOLUTIONS = {
    eye.check_stands_out: eye.stands_out,
    eye.check_shares: eye.shares,
    eye.check_first_looks: eye.first_looks,
    n.check_point: n.point,
    n.check_copy_or_say: n.copy_or_say,
    n.check_hull: n.hull,
    price.check_one_pass: price.one_pass,
    price.check_join: price.join,
    price.check_attend_in_chunks: price.attend_in_chunks,
    price.check_gradient_of_scores: price.gradient_of_scores,
    h.check_shares: h.shares,
    h.check_sentence_scores: h.sentence_scores,
    h.check_close_gaps: h.close_gaps,
    c.check_log_partition: c.log_partition,
    c.check_viterbi: c.viterbi,
    c.check_pair_marginals: c.pair_marginals,
    c.check_ordered_ties: c.ordered_ties,
    a.check_masked_softmax: a.masked_softmax,
    a.check_decoder_mask: a.decoder_mask,
    a.check_softmax_gradient: a.softmax_gradient,
    a.check_average_of_choices: a.average_of_choices,
    links.check_error_rate: links.error_rate,
    links.check_shares: links.shares,
    links.check_agreed: links.agreed,
    links.check_what_matters: links.what_matters,
    look.check_annotations: look.annotations,
    hard.check_surrogate: hard.surrogate,
    hard.check_others_mean: hard.others_mean,
    hard.check_best_baseline: hard.best_baseline,
    hard.check_hard_with_slope: hard.hard_with_slope,
    look.check_look_then_step: look.look_then_step,
    look.check_maxout: look.maxout,
    look.check_best_by_length: look.best_by_length,
    step.check_step_then_look: step.step_then_look,
    step.check_window_weights: step.window_weights,
    step.check_bell_weights: step.bell_weights,
    step.check_look_inside: step.look_inside,
    b.check_last_states: b.last_states,
    b.check_teacher_forcing: b.teacher_forcing,
    b.check_loss_without_padding: b.loss_without_padding,
    s.check_scaled_dot: s.scaled_dot,
    s.check_bilinear: s.bilinear,
    s.check_additive: s.additive,
    s.check_concat: s.concat,
    d.check_hard_look_up: d.hard_look_up,
    d.check_write: d.write,
    d.check_leave_one_out: d.leave_one_out,
    d.check_distance: d.distance,
    m.check_split_heads: m.split_heads,
    m.check_mask_for_heads: m.mask_for_heads,
    m.check_prune_order: m.prune_order,
    p.check_waves: p.waves,
    p.check_turn: p.turn,
    p.check_offsets: p.offsets,
    p.check_is_blind: p.is_blind,
    r.check_read_itself: r.read_itself,
    r.check_from_columns: r.from_columns,
    r.check_looking_back: r.looking_back,
    r.check_perplexity: r.perplexity,
    t.check_add_and_norm: t.add_and_norm,
    t.check_look_at_kept: t.look_at_kept,
    t.check_smooth_loss: t.smooth_loss,
    t.check_rate: t.rate,
}


def greedy_path(emissions, transition):
    """Decide from left to right, each tag for good: not the best sequence."""
    path = [int(emissions[0].argmax())]
    for emission in emissions[1:]:
        path.append(int((transition[path[-1]] + emission).argmax()))
    return path


def name(value):
    return value.name if isinstance(value, Checker) else ""


@pytest.mark.parametrize("check", SOLUTIONS, ids=name)
def test_the_solution_is_accepted(check, capsys):
    assert check.broken(SOLUTIONS[check]) is None
    check(SOLUTIONS[check])
    assert capsys.readouterr().out == f"{check.name}: right. {len(check.properties)} properties hold.\n"
    assert SOLUTIONS[check].__name__ == check.name


@pytest.mark.parametrize(
    ("check", "mistake", "property_"), [(c, *m) for c, all_of_it in MISTAKES.items() for m in all_of_it], ids=name
)
def test_a_mistake_is_named(check, mistake, property_, capsys):
    assert property_ in check.broken(mistake)[0]
    check(mistake)
    assert f"{check.name}: not yet. It must hold that " in capsys.readouterr().out


@pytest.mark.parametrize("check", SOLUTIONS, ids=name)
def test_what_is_not_written_yet_is_not_wrong(check, capsys):
    def unwritten(*_):
        raise NotImplementedError

    check(unwritten)
    assert capsys.readouterr().out == f"{check.name}: not written yet.\n"


def test_an_answer_that_raises_is_told(capsys):
    b.check_last_states(lambda states, mask: states[99])
    assert "IndexError" in capsys.readouterr().out


def test_an_answer_must_be_a_function():
    with pytest.raises(TypeError, match="answer must be your function last_states, without brackets, but is 3"):
        b.check_last_states(3)


# Solutions of experiments: what they build, on cases that can be seen by hand (their numbers: test_experiments.py)


@torch.no_grad()
def test_a_temperature_of_1_changes_nothing_and_a_high_one_makes_the_weights_equal():
    torch.manual_seed(0)
    model = LookBack(11, 13, width=3, hidden=4, vector=5)
    memory, _ = model.encode(
        torch.tensor([[3, 4, 5], [6, 7, 0]]), torch.tensor([[True, True, True], [True, True, False]])
    )
    state = 9 * torch.randn(2, 4)
    as_it_was, same, hot = (
        at.context(state, memory) for at in (model, *(a.at_temperature(model, t) for t in (1, 1e6)))
    )
    torch.testing.assert_close(same, as_it_was)
    torch.testing.assert_close(hot[1], torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1 / 2, 1 / 2, 0]]), rtol=0, atol=1e-4)
    assert (as_it_was[1].amax(dim=1) > 0.5).all()


def test_the_pace_of_a_language_that_says_everything_twice_is_two(monkeypatch):
    def doubled(grammar, count, seed, low, high):
        links = frozenset((i, 2 * i + twice) for i in range(high) for twice in (0, 1))
        return [Pair(("w",) * high, ("v",) * (2 * high), links)]

    monkeypatch.setattr(step, "pairs", doubled)
    found = step.inside("english_french", Run(0))
    assert found["ratio"] == 2
    assert set(found["scaled"].values()) == {100.0}  # word t comes from word t / 2, or half a word away
    assert set(found["rounded"].values()) == {100.0}
    assert found["step"]["1"] == 100 * 3 / 60  # t = 1, 2, 3 come from the words 1, 1, 2; t = 4 from word 2, two away


def test_points_from_left_to_right_keep_their_hull():
    points = torch.tensor([[[0.9, 0.0], [0.1, 0.0], [0.4, 0.2], [0.5, 1.0]]])
    task = Task(points, torch.tensor([[2, 1, 4, 0, 0]]), torch.tensor([[True, True, True, True, False]]))
    found = n.from_left_to_right(task)
    assert found.inputs[0, :, 0].tolist() == pytest.approx([0.1, 0.4, 0.5, 0.9])
    assert found.answer.tolist() == [[1, 4, 3, 0, 0]]


def test_a_pointer_that_hides_nothing_can_point_twice(monkeypatch):
    torch.manual_seed(0)
    model = n.chapter.new_pointer("sort", "around")
    inputs, mask, given = torch.rand(2, 3, 1), torch.ones(2, 3, dtype=torch.bool), torch.tensor([[0, 2], [0, 3]])
    assert model(inputs, mask, given).softmax(dim=-1)[[0, 1], 1, [2, 3]].tolist() == [0, 0]
    monkeypatch.setattr("attention_src.pointer_networks.is_input", n.nothing_used)
    assert (model(inputs, mask, given).softmax(dim=-1) > 0.01).all()


def test_two_segments_have_a_gap_and_one_answer():
    words, answers, inside = c.two_segments(50, "test")
    for row, answer, places in zip(words.tolist(), answers.tolist(), inside.tolist(), strict=True):
        segments = "".join("x" if place else " " for place in places).split()
        assert [4 <= len(segment) <= 6 for segment in segments] == [True, True]
        symbols = [word % 8 for word, place in zip(row, places, strict=True) if place]
        assert all(symbols.count(answer) > symbols.count(other) for other in range(8) if other != answer)


def test_the_answer_stands_behind_the_sentence_with_the_cue():
    words, mask, answers, marked = h.except_this(50, "test")
    assert 30 < len(words) < 50  # a cue in the last sentence has nothing behind it
    for text, there, answer, cue in zip(words, mask, answers, marked, strict=True):
        sentences = [VOCABULARY.decode(row[some].tolist()) for row, some in zip(text, there, strict=True)]
        assert {*CUES} & {*sentences[cue]}
        assert ANSWERS[answer] in [MEANS.get(word) for word in sentences[cue + 1]]


@torch.no_grad()
def test_without_the_mask_a_word_sees_the_next(monkeypatch):
    torch.manual_seed(0)
    model = Transformer(7, 11, width=8, heads=2, inner=5, layers=1)
    source, mask = torch.tensor([[4, 5, 6]]), torch.ones(1, 3, dtype=torch.bool)
    one, other = torch.tensor([[1, 4, 5, 6]]), torch.tensor([[1, 4, 5, 9]])
    torch.testing.assert_close(model(source, mask, one)[:, :3], model(source, mask, other)[:, :3])
    monkeypatch.setattr("attention_src.transformer.causal_mask", t.everywhere)
    assert ((model(source, mask, one) - model(source, mask, other))[:, :3].abs().amax(dim=-1) > 1e-3).all()
