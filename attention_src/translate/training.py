"""Train a run: by one process or by several, from the beginning or from where it stopped."""

import csv
import io
import math
import os
import time
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, TextIO

import numpy as np
import torch
from torch import distributed, nn

from .. import plots
from ..training import Plan, write_whole
from .batches import Buckets, batch_of
from .corpus import Corpus, split
from .errors import BadInputError
from .losses import SumOfLosses
from .runs import Run, read_tensors, write_tensors

HELD_OUT, MOST_HELD_OUT = 0.05, 2000  # the share of the pairs on which no weight is trained, and their most
CLIP = 1.0
EVERY = 10.0  # seconds between two lines of progress where the terminal cannot write a line anew


class World(NamedTuple):
    """The processes that train together, seen from one of them."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    @classmethod
    def join(cls) -> "World":
        """Meet the other processes, if torchrun started several; take a GPU if there is one for each of them."""
        rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        place, neighbours = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        has_gpu = torch.cuda.is_available() and neighbours <= torch.cuda.device_count()
        device = torch.device("cuda", place) if has_gpu else torch.device("cpu")
        if has_gpu:
            torch.cuda.set_device(device)
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # a run that goes on must give the same bits
            torch.use_deterministic_algorithms(True, warn_only=True)
        if size > 1:
            distributed.init_process_group("nccl" if has_gpu else "gloo")
        return cls(rank, size, device)

    def leave(self) -> None:
        """Part from the others."""
        if self.size > 1:
            distributed.destroy_process_group()

    def wait(self) -> None:
        """Go on when all are here."""
        if self.size > 1:
            distributed.barrier()

    def sum(self, *numbers: float) -> list[float]:
        """Add up what each process found."""
        if self.size == 1:
            return list(numbers)
        found = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(found)
        return found.tolist()

    def share(self, rows: np.ndarray) -> tuple[np.ndarray, bool]:
        """The rows of this process; where there are too few, one row that must not count, and False."""
        mine = rows[self.rank :: self.size]
        return (mine, True) if len(mine) else (rows[:1], False)


@dataclass
class State:
    """How far a run has come."""

    step: int = 0
    loss: float = 0.0  # the sum over the words of this epoch so far
    words: int = 0  # of this epoch so far, those of all processes
    seconds: float = 0.0
    best: float = math.inf
    history: list[dict] = field(default_factory=list)  # one row for each epoch


class Progress:
    """Say on one line how far training is, how fast, and how long it will take."""

    def __init__(self, file: TextIO | None, words: int):
        self.file, self.words = file, words
        self.began, self.said, self.done = time.monotonic(), 0.0, 0

    def add(self, words: int, text: str) -> None:
        """Count words; write a line if the last one is old."""
        self.done += words
        now = time.monotonic()
        if self.file is None or now - self.said < (0.2 if self.file.isatty() else EVERY):
            return
        rate = self.done / (now - self.began)
        self.said = now
        self.write(f"{text}  {rate:,.0f} words/s  {duration((self.words - self.done) / rate)} left", stays=False)

    def write(self, text: str, stays: bool = True) -> None:
        """Write a line; one that does not stay is written over by the next."""
        if self.file is not None:
            tty = self.file.isatty()
            self.file.write(("\r\x1b[K" if tty else "") + text + ("" if tty and not stays else "\n"))
            self.file.flush()


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(59.6), duration(150), duration(7300)
    ('1 min 0 s', '2 min 30 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


class Pairs(NamedTuple):
    """What a run is trained on, and what it is judged by."""

    corpus: Corpus
    rows: np.ndarray  # those of ``corpus`` on which weights are trained
    valid: Corpus  # ``corpus``, or pairs in files of their own
    held: np.ndarray  # the rows of ``valid`` that judge the run

    @classmethod
    def of(cls, run: Run, corpus: Corpus) -> "Pairs":
        """Read the files for validation; without any, hold some pairs out."""
        if run.valid_files:
            valid = run.read(run.valid_files)
            return cls(corpus, np.arange(len(corpus)), valid, np.arange(len(valid)))
        rows, held = split(corpus, HELD_OUT, MOST_HELD_OUT, run.settings.seed)
        if not len(held) or not len(rows):
            raise BadInputError("no pair can be held out, as all share sentences: name files for validation")
        return cls(corpus, rows, corpus, held)


class Training:
    """One process of a training.

    :param file: where progress is written; None: nowhere
    """

    def __init__(self, run: Run, pairs: Pairs, world: World, file: TextIO | None = None):
        self.run, self.world, settings = run, world, run.settings
        self.corpus, self.valid = pairs.corpus, pairs.valid
        self.buckets = Buckets(pairs.corpus, pairs.rows, settings.batch, settings.seed)
        self.held = Buckets(pairs.valid, pairs.held, settings.batch, settings.seed)
        self.model = run.build().to(world.device)
        self.loss = loss = SumOfLosses(self.model)
        if world.size > 1:
            ids = [world.device] if world.device.type == "cuda" else None
            self.loss = nn.parallel.DistributedDataParallel(loss, device_ids=ids)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=settings.rate, fused=True)
        self.plan = Plan(steps=settings.epochs * len(self.buckets), rate=settings.rate)
        self.state = State()
        self.restore()
        self.file = file if world.rank == 0 else None

    # --- steps

    def train(self) -> State:
        """Train to the end of the last epoch."""
        state, buckets = self.state, self.buckets
        left = self.run.settings.epochs * buckets.words - len(state.history) * buckets.words - state.words
        progress = Progress(self.file, left)
        while state.step < self.plan.steps:
            began = time.monotonic()
            words = self.step(buckets.at(state.step))
            epoch, place = divmod(state.step, len(buckets))
            state.step += 1
            state.seconds += time.monotonic() - began
            known = state.loss / state.words
            text = f"epoch {epoch + 1}/{self.run.settings.epochs}  batch {place + 1}/{len(buckets)}  loss {known:.3f}"
            progress.add(words, text)
            if place + 1 == len(buckets):
                self.end_epoch(progress)
            elif state.step % self.run.settings.save_every == 0:
                self.keep()
        self.tell()  # the process may have been killed between the last checkpoint and its table
        self.draw()
        return state

    def step(self, rows: np.ndarray) -> int:
        """Change the weights by one batch; give its number of target words."""
        for group in self.adam.param_groups:
            group["lr"] = self.plan.rate_at(self.state.step)
        words = int((self.corpus.target.lengths[rows] + 1).sum())
        total = self.sum_of_losses(self.corpus, rows)
        # The processes' gradients are averaged; over all words of all of them it must be a sum.
        (total * (self.world.size / words)).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.adam.step()
        self.adam.zero_grad()
        (found,) = self.world.sum(total.item())
        if not math.isfinite(found):
            raise BadInputError(f"the loss is {found} at step {self.state.step}: begin anew with a lower --rate")
        self.state.loss += found
        self.state.words += words
        return words

    def sum_of_losses(self, corpus: Corpus, rows: np.ndarray) -> torch.Tensor:
        """The sum of -log p over the words of this process's rows."""
        mine, counts = self.world.share(rows)
        device = self.world.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.run.settings.precision == "bfloat16"):
            total = self.loss(batch_of(corpus, mine, device))
        return total * float(counts)

    # --- epochs

    def end_epoch(self, progress: Progress) -> None:
        """Measure the held-out loss, and keep what was learned."""
        state, epoch = self.state, len(self.state.history) + 1
        valid = self.held_out_loss()
        row = {"epoch": epoch, "steps": state.step, "loss": state.loss / state.words, "held_out_loss": valid}
        row |= {"rate": self.plan.rate_at(state.step - 1), "seconds": round(state.seconds, 1)}
        state.history.append(row)
        state.loss, state.words = 0.0, 0
        better = valid < state.best
        state.best = min(valid, state.best)
        if better and self.world.rank == 0:
            write_tensors(self.run.folder / "best.safetensors", self.run, self.model.state_dict(), epoch=epoch)
        self.keep()
        self.tell()
        said = f"epoch {epoch}: loss {row['loss']:.3f}, held out {valid:.3f}" + (" (best so far)" if better else "")
        progress.write(f"{said}, {duration(state.seconds)}")

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """The average of -log p over the words of the held-out pairs."""
        self.model.eval()
        total = sum(self.sum_of_losses(self.valid, rows).item() for rows in self.held.in_order())
        self.model.train()
        (found,) = self.world.sum(total)
        return found / self.held.words

    def tell(self) -> None:
        """Write the history as a table."""
        if self.world.rank != 0:
            return
        rows = self.state.history
        table = io.StringIO()
        writer = csv.DictWriter(table, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.run.folder / "history.csv", table.getvalue().encode())

    def draw(self) -> None:
        """Write the history as a picture."""
        if self.world.rank != 0:
            return
        rows = self.state.history
        lines = {"training": "loss", "held out": "held_out_loss"}
        figure = plots.history({name: [row[key] for row in rows] for name, key in lines.items()}, ylabel="loss a token")
        figure.axes[0].set_xlabel("epoch")
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=144)
        write_whole(self.run.folder / "history.png", picture.getvalue())

    # --- checkpoints

    def keep(self) -> None:
        """Write down all that the rest of the training depends on."""
        if self.world.rank != 0:
            return
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for number, moments in self.adam.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": tensor for name, tensor in moments.items()}
        write_tensors(self.run.folder / "last.safetensors", self.run, tensors, state=asdict(self.state))

    def restore(self) -> None:
        """Go back to where the training stopped, if it began."""
        path = self.run.folder / "last.safetensors"
        for partial in self.run.folder.glob(".*.[0-9]*"):  # of a process that was killed while it wrote
            if self.world.rank == 0:
                partial.unlink(missing_ok=True)
        if not path.exists():
            return
        tensors, more = read_tensors(path, self.run)
        weights = {name.removeprefix("model."): one for name, one in tensors.items() if name.startswith("model.")}
        self.model.load_state_dict(weights)
        moments: dict[int, dict] = {}
        for name, tensor in tensors.items():
            if name.startswith("adam."):
                _, number, part = name.split(".")
                moments.setdefault(int(number), {})[part] = tensor
        self.adam.load_state_dict({"state": moments, "param_groups": self.adam.state_dict()["param_groups"]})
        self.state = State(**more["state"])
