"""The training loop of the book. It knows no model and no data."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from tqdm.auto import tqdm


@dataclass(frozen=True)
class Plan:
    """How to train: Adam with a constant rate that falls in a straight line to zero over the last steps."""

    steps: int
    rate: float = 2e-3
    decay_from: float = 0.7  # the share of the steps after which the rate falls
    clip: float = 1.0  # the largest norm of the gradient

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, but is {self.steps}")
        if not 0.0 <= self.decay_from <= 1.0:
            raise ValueError(f"decay_from must be between 0 and 1, but is {self.decay_from}")

    def rate_at(self, step: int) -> float:
        """The learning rate of step ``step``, counted from 0. It depends on the step alone, never on a clock.

        >>> [round(Plan(steps=10, rate=1.0).rate_at(step), 2) for step in (0, 6, 7, 8, 9)]
        [1.0, 1.0, 1.0, 0.67, 0.33]
        """
        falling = max(self.steps * (1.0 - self.decay_from), 1.0)
        return self.rate * min(1.0, (self.steps - step) / falling)


def word_loss(logits: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Average -log p of the wanted word over the places where ``mask`` is True.

    >>> word_loss(torch.zeros(1, 2, 5), torch.tensor([[3, 0]]), torch.tensor([[True, False]])).exp()
    tensor(5.)
    """
    return nn.functional.cross_entropy(logits[mask], wanted[mask])


def fit(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], Tensor],
    batch_at: Callable[[int], Any],
    plan: Plan,
    *,
    report: Callable[[int, int], None] | None = None,
    checkpoint: Path | None = None,
    every: int = 200,
) -> list[float]:
    """Train ``model`` for ``plan.steps`` steps and give the loss of every step.

    :param loss: ``loss(model, batch)``, a scalar
    :param batch_at: ``batch_at(step)``, the batch of a step; it must depend on the step alone
    :param report: called with (steps done, steps in all) after each step, in place of the progress bar
    :param checkpoint: a file in which the run is kept, so that a killed run goes on where it stopped, bit by bit
    :param every: how many steps lie between two checkpoints
    """
    adam = torch.optim.Adam(model.parameters(), lr=plan.rate)
    history: list[float] = []
    if checkpoint is not None and checkpoint.exists():
        history = _restore(checkpoint, model, adam, plan)
    model.train()
    bar = tqdm(total=plan.steps, initial=len(history), desc="training", leave=False, disable=report is not None)
    for step in range(len(history), plan.steps):
        for group in adam.param_groups:
            group["lr"] = plan.rate_at(step)
        value = loss(model, batch_at(step))
        if not math.isfinite(value.item()):
            raise FloatingPointError(
                f"loss is {value.item()} at step {step}: lower the rate, or look for NaN in the batch"
            )
        adam.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        adam.step()
        history.append(value.item())
        if checkpoint is not None and (len(history) % every == 0 or len(history) == plan.steps):
            _keep(checkpoint, model, adam, plan, history)
        bar.update()
        if report is not None:
            report(len(history), plan.steps)
    bar.close()
    model.eval()
    return history


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a reader sees the old content or the new, never a part."""
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its place when all is written, and not at all if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.errno and not error.filename:  # a full disk names no file
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def save_model(path: Path, model: nn.Module, settings: Mapping[str, Any], dtype: torch.dtype = torch.float16) -> None:
    """Keep a trained model as a small safetensors file, with the settings that build it again."""
    tensors = {name: tensor.detach().to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    write_whole(path, save(tensors, metadata={"settings": json.dumps(settings, sort_keys=True)}))


def load_model(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Give the state dict (as float32) and the settings that :func:`save_model` kept."""
    tensors, metadata = _read(path)
    if "settings" not in metadata:
        raise ValueError(f"{path} holds no settings: it was not written by save_model")
    return {name: tensor.float() for name, tensor in tensors.items()}, json.loads(metadata["settings"])


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}: train it anew")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file ({error}): delete it and train anew") from error


def _keep(path: Path, model: nn.Module, adam: torch.optim.Optimizer, plan: Plan, history: list[float]) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, state in adam.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{name}": tensor for name, tensor in state.items()}
    tensors["random"] = torch.get_rng_state()
    tensors["history"] = torch.tensor(history, dtype=torch.float64)
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(tensors, metadata={"plan": json.dumps(asdict(plan))}))


def _restore(path: Path, model: nn.Module, adam: torch.optim.Optimizer, plan: Plan) -> list[float]:
    tensors, metadata = _read(path)
    if metadata.get("plan") != json.dumps(asdict(plan)):
        raise ValueError(
            f"checkpoint {path} belongs to another run: its plan is {metadata.get('plan')}, this one is "
            f"{json.dumps(asdict(plan))}; name another file, or delete it"
        )
    weights = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if own != {name: tuple(tensor.shape) for name, tensor in weights.items()}:
        raise ValueError(
            f"checkpoint {path} holds another model: its tensors have other names or shapes; name another file"
        )
    model.load_state_dict(weights)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("adam."):
            _, number, part = name.split(".")
            state.setdefault(int(number), {})[part] = tensor
    adam.load_state_dict({"state": state, "param_groups": adam.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random"])
    return tensors["history"].tolist()
