"""Every checker accepts the solution and rejects typical mistakes, naming the property that broke."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from attention_src.exercises import Checker
from attention_src.exercises import bottleneck as b

MISTAKES = {
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
}
SOLUTIONS = {
    b.check_last_states: b.last_states,
    b.check_teacher_forcing: b.teacher_forcing,
    b.check_loss_without_padding: b.loss_without_padding,
}


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
