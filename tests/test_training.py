import os

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attention_src import training
from attention_src.training import Plan, fit, load_model, save_model, word_loss, write_whole


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.2), nn.Linear(5, 2))  # dropout: the random state must resume too


def batch_at(step):
    random = torch.Generator().manual_seed(step)
    return torch.randn(7, 3, generator=random), torch.randn(7, 2, generator=random)


def loss(model, batch):
    return (model(batch[0]) - batch[1]).square().mean()


def test_one_step_by_hand():  # Adam's first step moves every weight by the rate, against the sign of its gradient
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    history = fit(
        model, lambda m, x: m(x).sum(), lambda step: torch.ones(2, 1), Plan(steps=1, rate=0.5, decay_from=1.0)
    )
    assert history == [6.0]
    assert_close(model.weight, torch.tensor([[2.5]]))


def test_the_rate_falls_at_the_end():
    plan = Plan(steps=10, rate=0.2, decay_from=0.5)
    assert [round(plan.rate_at(step), 3) for step in range(10)] == [0.2] * 6 + [0.16, 0.12, 0.08, 0.04]


def test_the_plain_loop_is_the_oracle():
    plan = Plan(steps=20, rate=0.05, clip=0.1)
    ours, plain = make_model(), make_model()
    torch.manual_seed(5)
    history = fit(ours, loss, batch_at, plan)
    torch.manual_seed(5)
    adam, expected = torch.optim.Adam(plain.parameters()), []
    for step in range(20):
        adam.param_groups[0]["lr"] = plan.rate_at(step)
        adam.zero_grad()
        value = loss(plain, batch_at(step))
        value.backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
        adam.step()
        expected.append(value.item())
    assert history == expected
    assert_close(ours.state_dict(), plain.state_dict(), rtol=0, atol=0)
    assert not ours.training


class Killed(Exception):
    pass


def test_a_killed_run_goes_on_bit_by_bit(tmp_path):
    plan, file = Plan(steps=30, rate=0.05), tmp_path / "run" / "model.safetensors"
    whole = make_model()
    torch.manual_seed(5)
    expected = fit(whole, loss, batch_at, plan)

    def dying(step):
        if step == 17:
            raise Killed
        return batch_at(step)

    killed = make_model()
    torch.manual_seed(5)
    with pytest.raises(Killed):
        fit(killed, loss, dying, plan, checkpoint=file, every=7)
    again = make_model()
    torch.manual_seed(999)  # the random state comes from the checkpoint
    assert fit(again, loss, batch_at, plan, checkpoint=file, every=7) == expected
    assert_close(again.state_dict(), whole.state_dict(), rtol=0, atol=0)
    finished = make_model()
    assert fit(finished, loss, lambda step: pytest.fail("nothing is left to do"), plan, checkpoint=file) == expected
    assert_close(finished.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_a_foreign_or_damaged_checkpoint_is_refused_and_kept(tmp_path):
    file = tmp_path / "model.safetensors"
    fit(make_model(), loss, batch_at, Plan(steps=3), checkpoint=file)
    content = file.read_bytes()
    with pytest.raises(
        ValueError, match=r"belongs to another run: its plan is .*\"steps\": 3.*, this one is .*\"steps\": 4"
    ):
        fit(make_model(), loss, batch_at, Plan(steps=4), checkpoint=file)
    with pytest.raises(ValueError, match="holds another model"):
        fit(nn.Linear(3, 2), loss, batch_at, Plan(steps=3), checkpoint=file)
    assert file.read_bytes() == content
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="is damaged or no safetensors file"):
        fit(make_model(), loss, batch_at, Plan(steps=3), checkpoint=file)
    assert len(file.read_bytes()) == len(content) // 2


def test_nan_stops_the_training():
    with pytest.raises(FloatingPointError, match="loss is nan at step 2"):
        fit(
            make_model(),
            lambda m, x: loss(m, x) * (float("nan") if x is last else 1),
            lambda s: last if s == 2 else batch_at(s),
            Plan(5),
        )


last = batch_at(99)


@pytest.mark.parametrize(("argument", "value"), [("steps", 0), ("decay_from", 1.5)])
def test_a_bad_plan_is_named(argument, value):
    with pytest.raises(ValueError, match=f"{argument} must be .* but is {value}"):
        Plan(**{"steps": 5, argument: value})


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "deep" / "file"
    write_whole(file, b"old")

    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_whole(file, b"new and longer")
    assert file.read_bytes() == b"old"
    assert list(file.parent.iterdir()) == [file]


def test_models_travel_with_their_settings(tmp_path):
    model, file = make_model(), tmp_path / "small.safetensors"
    save_model(file, model, {"width": 3, "name": "ünïcode"})
    weights, settings = load_model(file)
    assert settings == {"width": 3, "name": "ünïcode"}
    assert_close(weights, {name: tensor.half().float() for name, tensor in model.state_dict().items()}, rtol=0, atol=0)
    with pytest.raises(FileNotFoundError, match=r"there is no .*missing"):
        load_model(tmp_path / "missing")
    training.write_whole(file, training.save({"a": torch.zeros(1)}))
    with pytest.raises(ValueError, match="holds no settings"):
        load_model(file)


def test_word_loss_counts_words_and_not_padding():  # two words: one certain, one of four alike
    logits = torch.tensor([[[50.0, 0, 0, 0], [0, 0, 0, 0], [0, 99.0, 0, 0]]])
    mask = torch.tensor([[True, True, False]])
    assert_close(word_loss(logits, torch.tensor([[0, 2, 0]]), mask), torch.tensor(4.0).log() / 2)
