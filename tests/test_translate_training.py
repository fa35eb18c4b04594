"""Training on a reader's own sentence pairs: the same numbers however the work is ordered, stopped or shared."""

import csv
import errno
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from attention_src import training as book_training
from attention_src.data.batches import Bitext
from attention_src.data.vocabulary import Vocabulary
from attention_src.translate.__main__ import main
from attention_src.translate.batches import Buckets, batch_of
from attention_src.translate.corpus import Corpus, Side
from attention_src.translate.losses import Recurrence, SummedLoss, SumOfLosses
from attention_src.translate.runs import load, read_tensors
from attention_src.translate.settings import LARGE, MODELS, SMALL, Settings
from attention_src.translate.training import Pairs, Training, World, duration

CPU = torch.device("cpu")
TINY = ["--width", "4", "--hidden", "6", "--batch", "40", "--save-every", "3"]


def sides(lengths: list[tuple[int, int]], words: int = 9) -> Corpus:
    draw = np.random.default_rng(0)
    rows = [[draw.integers(4, words, length) for length in pair] for pair in lengths]
    made = [[row[side] for row in rows] for side in (0, 1)]
    return Corpus(*(Side(np.concatenate(one).astype(np.int32), np.cumsum([0, *map(len, one)])) for one in made))


def small(model: str, **more) -> Settings:
    return Settings(model=model, **{"width": 4, "hidden": 6, "layers": 1} | more)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """60 pairs of sentences whose words have one translation each, in the same order."""
    draw = random.Random(0)
    path = tmp_path_factory.mktemp("corpus") / "pairs.tsv"
    sentences = [[draw.randrange(8) for _ in range(draw.randrange(1, 6))] + [n % 8] for n in range(60)]
    path.write_text("".join("\t".join(" ".join(f"{a}{n}" for n in one) for a in "st") + "\n" for one in sentences))
    return path


def train(*arguments) -> int:
    return main(["train", *map(str, arguments)])


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_file(folder / f"{name}.safetensors")


def same(one: Path, other: Path) -> bool:
    found = [[weights(folder, name) for name in ("last", "best")] for folder in (one, other)]
    return all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a) for a, b in zip(*found, strict=True)
    )


# The loss


@pytest.mark.parametrize("model", MODELS)
def test_the_loss_is_the_models_own_on_real_words_only(model):
    torch.manual_seed(0)
    corpus = sides([(3, 5), (2, 7), (5, 1)])
    batch = batch_of(corpus, np.arange(3), CPU)
    translator = small(model).build(9, 9).double()
    plain = translator(batch.source, batch.source_mask, batch.given)[batch.target_mask]
    found = []
    for loss in (
        SumOfLosses(translator)(batch),
        book_training.word_loss(plain[None], batch.wanted[batch.target_mask][None], torch.ones(1, 16).bool()) * 16,
    ):
        translator.zero_grad()
        loss.backward()
        found.append([loss.detach(), *(one.grad.clone() for one in translator.parameters())])
    assert_close(*found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_the_output_layer_reads_real_words_only_and_is_there_afterwards(model, monkeypatch):
    corpus = sides([(3, 5), (2, 7), (5, 1)])
    batch, loss = batch_of(corpus, np.arange(3), CPU), SumOfLosses(small(model).build(9, 9))
    readout, seen = loss.model.readout, []
    plain = SummedLoss.apply
    monkeypatch.setattr(SummedLoss, "apply", lambda said, *more: seen.append(len(said)) or plain(said, *more))
    loss(batch)
    assert seen == [6 + 8 + 2]
    assert loss.model.readout is readout
    with pytest.raises(ValueError, match="a word has the number 99"):
        loss(batch._replace(given=torch.full_like(batch.given, 99)))
    assert loss.model.readout is readout


def test_a_loss_in_portions_is_cross_entropy(monkeypatch):
    monkeypatch.setattr("attention_src.translate.losses.PORTION", 3)
    said, weight, bias = (
        torch.randn(*sizes, dtype=torch.float64, requires_grad=True) for sizes in ((7, 2), (5, 2), (5,))
    )
    wanted = torch.tensor([0, 4, 4, 1, 2, 3, 0])
    assert torch.autograd.gradcheck(lambda *learned: SummedLoss.apply(*learned, wanted), (said, weight, bias))
    plain = torch.nn.functional.cross_entropy(said @ weight.T + bias, wanted, reduction="sum")
    assert_close(SummedLoss.apply(said, weight, bias, wanted), plain)
    with torch.no_grad():
        assert_close(SummedLoss.apply(said, weight, bias, wanted), plain)


def test_the_way_back_through_all_steps_is_the_gradient():
    torch.manual_seed(0)
    batch, source, steps, asked, mixed, hidden = 2, 3, 4, 5, 6, 7
    mask = torch.tensor([[True, True, True], [True, True, False]])
    shapes = [(batch, steps, 3 * hidden), (batch, hidden), (batch, source, asked), (batch, source, mixed)]
    shapes += [(asked, hidden), (asked,), (3 * hidden, mixed), (3 * hidden, hidden), (3 * hidden,)]
    given = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(lambda *given: Recurrence.apply(*given[:4], mask, *given[4:]), given)
    states, _ = Recurrence.apply(*given[:4], mask, *given[4:])
    (slope,) = torch.autograd.grad(states.sum(), given[0], create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):  # a second one would be wrong without a word
        slope.sum().backward()


@pytest.mark.parametrize("model", MODELS)
def test_half_precision_gives_about_the_same_loss(model):
    corpus = sides([(3, 5), (2, 7), (5, 1)])
    batch, loss = batch_of(corpus, np.arange(3), CPU), SumOfLosses(small(model).build(9, 9))
    with torch.autocast("cpu", torch.bfloat16):
        rough = loss(batch)
    rough.backward()
    assert_close(rough, loss(batch), rtol=0.02, atol=0)


def test_a_batch_is_the_books():
    corpus = sides([(3, 5), (2, 7), (5, 1)])
    words = Vocabulary([str(number) for number in range(4, 9)])
    rows = [(words.decode(corpus.source[row]), words.decode(corpus.target[row])) for row in range(3)]
    made = [type("Pair", (), {"source": source, "target": target}) for source, target in rows]
    (wanted,) = Bitext(made, words, words, size=3).in_order()
    for mine, books in zip(batch_of(corpus, np.arange(3), CPU), wanted, strict=True):
        assert torch.equal(mine, books)


# Buckets


def test_buckets_hold_every_row_once_and_are_full():
    draw = np.random.default_rng(1)
    corpus = sides([tuple(pair) for pair in draw.integers(3, 41, (2000, 1)).repeat(2, axis=1)])
    buckets = Buckets(corpus, np.arange(100, 2000), tokens=300, seed=5)
    for epoch in range(2):
        batches = [buckets.at(epoch * len(buckets) + place) for place in range(len(buckets))]
        assert sorted(np.concatenate(batches).tolist()) == list(range(100, 2000))
        sizes = [len(rows) * (corpus.target.lengths[rows].max() + 1) for rows in batches]
        assert max(sizes) <= 300
        assert buckets.words / sum(sizes) > 0.97
    again = Buckets(corpus, np.arange(100, 2000), tokens=300, seed=5)
    assert np.array_equal(again.at(len(buckets) + 3), batches[3])  # without the steps before it
    assert not np.array_equal(buckets.at(3), batches[3])
    assert sorted(np.concatenate(list(buckets.in_order())).tolist()) == list(range(100, 2000))


def test_each_epoch_shuffles_the_batches_and_who_is_together():
    lengths = np.arange(3, 41).repeat(50)
    corpus = sides([(n, n) for n in lengths])
    buckets = Buckets(corpus, np.arange(len(lengths)), tokens=300, seed=5)
    epochs = [[buckets.at(epoch * len(buckets) + place) for place in range(len(buckets))] for epoch in range(2)]
    orders = [[int(lengths[rows].max()) for rows in batches] for batches in epochs]
    assert orders[0] != orders[1]
    for order in orders:
        assert abs(np.corrcoef(order, range(len(order)))[0, 1]) < 0.3  # sorted by length it is 1
    together = [{frozenset(rows.tolist()) for rows in batches} for batches in epochs]
    assert len(together[0] & together[1]) < len(buckets) / 10


def test_a_sentence_larger_than_a_batch_is_a_batch():
    assert [len(rows) for rows in Buckets(sides([(9, 1), (2, 3), (1, 9)]), np.arange(3), 5, 0).in_order()] == [1, 1, 1]


# A whole run


def test_a_run_learns_and_says_so(pairs, tmp_path, capsys):
    out = tmp_path / "run"
    wide = ["--width", 16, "--hidden", 16, "--batch", 40, "--rate", 0.01]
    assert train("--pairs", pairs, "--out", out, *wide, "--epochs", 6, "--tokens", "spaces") == 0
    names = {"settings.json", "vocabulary.json", "last.safetensors", "best.safetensors", "history.csv", "history.png"}
    assert {path.name for path in out.iterdir()} == names
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert float(rows[-1]["loss"]) < 0.6 * float(rows[0]["loss"])
    said = capsys.readouterr().err
    assert "60 sentence pairs\nbahdanau: " in said
    assert "vocabularies of 12 and 12 tokens" in said
    assert "words/s" in said
    assert "left" in said
    run = load(out)
    assert (run.settings.epochs, run.settings.rate, run.settings.least) == (6, 0.01, 1)
    found, more = read_tensors(out / "best.safetensors", run)
    held = [float(row["held_out_loss"]) for row in rows]
    assert more["epoch"] == 1 + held.index(min(held))
    model = run.build()
    model.load_state_dict(found)
    check = Training(run, Pairs.of(run, run.read_again()), World())
    check.model.load_state_dict(found)
    assert check.held_out_loss() == pytest.approx(min(held), rel=1e-5)


def test_the_held_out_pairs_can_have_their_own_files(pairs, tmp_path):
    first = ["--pairs", pairs, *TINY, "--epochs", 1]
    assert train(*first, "--valid-pairs", pairs, "--out", tmp_path / "a") == 0
    run = load(tmp_path / "a")
    session = Training(run, Pairs.of(run, run.read_again()), World())
    assert (
        session.buckets.words
        == session.held.words
        == sum(len(line.split()) for line in pairs.read_text().splitlines()) // 2 + 60
    )


def test_sizes_follow_the_corpus():
    sizes = [Settings(width=7).fitted(count) for count in (SMALL - 1, SMALL, LARGE)]
    assert [one.hidden for one in sizes] == [128, 256, 512]
    assert [one.width for one in sizes] == [7, 7, 7]
    files = dict.fromkeys(("pairs", "source", "target", "valid_pairs", "valid_source", "valid_target"), "")
    assert None not in vars(Settings(model="transformer", **files).fitted(5)).values()
    assert [duration(x) for x in (3, 61, 3700)] == ["3 s", "1 min 1 s", "1 h 1 min"]


def test_pieces_are_kept_with_the_run(pairs, tmp_path):
    assert (
        train("--pairs", pairs, "--out", tmp_path, *TINY, "--epochs", 1, "--tokens", "pieces", "--vocabulary", 20) == 0
    )
    run = load(tmp_path)
    assert run.cutters[0].join(run.cutters[0].cut("s1 s2")) == "s1 s2"
    assert run.read_again().fingerprint() == run.corpus


# Stopped and gone on with


@pytest.fixture(scope="module")
def whole(pairs, tmp_path_factory) -> Path:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train("--pairs", pairs, "--out", out, *TINY, "--epochs", 4) == 0
    return out


@pytest.mark.parametrize("step", [0, 1, 4, 9, 15])
def test_a_run_that_stopped_goes_on_to_the_same_bits(pairs, tmp_path, whole, step, monkeypatch, capsys):
    plain = Training.step

    def stop(self, rows):
        if self.state.step == step:
            raise KeyboardInterrupt
        return plain(self, rows)

    monkeypatch.setattr(Training, "step", stop)
    assert train("--pairs", pairs, "--out", tmp_path, *TINY, "--epochs", 4) == 130
    assert capsys.readouterr().err.endswith("translate: stopped; train --resume goes on\n")
    monkeypatch.undo()
    assert train("--resume", "--out", tmp_path) == 0
    assert same(tmp_path, whole)
    tables = [(out / "history.csv").read_text().split() for out in (tmp_path, whole)]
    shown = [[line.split(",")[:5] for line in table] for table in tables]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("write", range(5))
def test_a_full_disk_leaves_the_last_checkpoint_whole(pairs, tmp_path, whole, write, monkeypatch, capsys):
    count = itertools.count()
    plain = os.fsync

    def full(file):
        if next(count) == 2 + write:  # the first two are the vocabulary and the settings
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(file)

    monkeypatch.setattr(os, "fsync", full)
    assert train("--pairs", pairs, "--out", tmp_path, *TINY, "--epochs", 4) == 2
    monkeypatch.undo()
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"translate: {tmp_path}" in line
    assert "No space left" in line
    assert not list(tmp_path.glob(".*"))
    assert train("--resume", "--out", tmp_path) == 0
    assert same(tmp_path, whole)


def test_a_killed_run_goes_on_to_the_same_bits(pairs, tmp_path):
    more = [*TINY, "--epochs", "15", "--save-every", "1"]
    assert train("--pairs", pairs, "--out", tmp_path / "whole", *more) == 0
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "attention_src.translate", "train", "--out", str(out)]
    process = subprocess.Popen([*command, "--pairs", str(pairs), *more], stderr=subprocess.DEVNULL)
    last, end = out / "last.safetensors", time.monotonic() + 60
    while not last.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it was not done yet
    (out / ".last.safetensors.123").write_bytes(b"half")  # what it leaves if it was writing
    assert train("--resume", "--out", out) == 0
    assert same(out, tmp_path / "whole")
    assert not list(out.glob(".*"))


# Refused


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    """A copy of the run whose files may be spoiled."""
    out = tmp_path / "run"
    out.mkdir()
    for path in whole.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    return out


def refused(capsys, out: Path, *arguments) -> str:
    """The one line with which a command is refused; nothing in the folder may change."""
    before = {path: path.read_bytes() for path in out.iterdir()} if out.exists() else {}
    capsys.readouterr()
    assert train("--out", out, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert ({path: path.read_bytes() for path in out.iterdir()} if out.exists() else {}) == before
    return line


def test_a_truncated_checkpoint_is_refused(copy, capsys):
    path = copy / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    assert f"{path} is damaged" in refused(capsys, copy, "--resume")
    path.write_bytes(b"")
    assert f"{path} is damaged" in refused(capsys, copy, "--resume")


def test_a_foreign_checkpoint_is_refused(copy, capsys, pairs, tmp_path):
    other = tmp_path / "other"
    assert train("--pairs", pairs, "--out", other, *TINY, "--epochs", 1, "--seed", 1) == 0
    path = copy / "last.safetensors"
    path.write_bytes((other / "last.safetensors").read_bytes())
    assert f"{path} belongs to another run" in refused(capsys, copy, "--resume")
    save_file({"a": torch.zeros(2)}, path)
    assert f"{path} belongs to another run" in refused(capsys, copy, "--resume")


def test_other_choices_another_corpus_or_no_run_are_refused(copy, capsys, pairs, tmp_path):
    assert f"{copy} holds a run already" in refused(capsys, copy, "--pairs", pairs)
    assert "begun with --epochs 4, not 5" in refused(capsys, copy, "--resume", "--epochs", 5)
    assert "holds no run: there is no settings.json" in refused(capsys, tmp_path / "new", "--resume")
    settings = copy / "settings.json"
    text = settings.read_text()
    settings.unlink()
    assert f"{copy} holds a run already" in refused(capsys, copy, "--pairs", pairs)
    other = tmp_path / "pairs.tsv"
    other.write_text(pairs.read_text() + "s1\tt1\n")
    settings.write_text(text.replace(str(pairs), str(other)))
    assert f"{other} has changed since" in refused(capsys, copy, "--resume")
    for spoiled in ("{", "[]", text.replace("run 1", "run 2"), text.replace('"seed"', '"sead"')):
        settings.write_text(spoiled)
        assert str(copy) in refused(capsys, copy, "--resume")


def test_bad_input_is_refused_before_anything_is_written(pairs, capsys, tmp_path):
    bad = tmp_path / "bad.tsv"
    bad.write_bytes(pairs.read_bytes() + b"no tab\n")
    new = tmp_path / "new"
    assert "bad.tsv line 61: there is no tab" in refused(capsys, new, "--pairs", bad)
    assert "name one file of sentence pairs" in refused(capsys, new)
    wrong = ["--model", "transformer", "--width", 6]
    assert "no transformer can be built" in refused(capsys, new, "--pairs", pairs, *wrong)
    assert "layers is 2" in refused(capsys, new, "--pairs", pairs, "--layers", 2)
    assert not new.exists()
    assert train("--pairs", bad, "--skip-bad", "--out", new, *TINY, "--epochs", 1) == 0
    assert "60 sentence pairs; left out: 1 bad" in capsys.readouterr().err
    one = tmp_path / "one.tsv"
    one.write_text("a\tb\n")
    other = tmp_path / "other"
    assert "no pair can be held out" in refused(capsys, other, "--pairs", one)
    assert "bad.tsv line 61" in refused(capsys, other, "--pairs", pairs, "--valid-pairs", bad)
    assert "name both files" in refused(capsys, other, "--pairs", pairs, "--valid-source", bad)
    assert not other.exists()
    assert train("--out", bad, "--pairs", pairs) == 2
    assert f"{bad} is a file" in capsys.readouterr().err


def test_a_loss_that_is_no_number_stops_the_run(pairs, tmp_path, capsys):
    assert train("--pairs", pairs, "--out", tmp_path, *TINY, "--epochs", 9, "--rate", 1e30) == 2
    assert "begin anew with a lower --rate" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--epochs", "0"], ["--rate", "-1"], ["--rate", "x"], ["--model", "bert"], []])
def test_wrong_options_are_refused(wrong, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        train(*wrong, *(["--out", tmp_path] if wrong else []))
    assert stop.value.code == 2


def test_help_can_be_read(capsys):
    shown = []
    for arguments in (["--help"], ["train", "--help"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
        shown.append(" ".join(capsys.readouterr().out.split()))
    assert "learn from sentence pairs" in shown[0]
    assert "5 % of the pairs are held out, at most 2,000" in shown[1]


# Several processes


def test_two_processes_lose_as_much_as_one(pairs, tmp_path):
    precise = [*TINY, "--epochs", "2", "--precision", "float64", "--valid-pairs", str(pairs)]
    assert train("--pairs", pairs, "--out", tmp_path / "one", *precise) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "attention_src.translate", "train", "--pairs", str(pairs), *precise]
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}  # what torchrun sets
    processes = [
        subprocess.Popen([*command, "--out", str(tmp_path / "two")], env={**os.environ, **meet, "RANK": rank})
        for rank in "01"
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    one, two = (list(csv.DictReader((tmp_path / name / "history.csv").read_text().split())) for name in ("one", "two"))
    for name in ("loss", "held_out_loss"):
        assert [float(row[name]) for row in two] == pytest.approx([float(row[name]) for row in one], rel=1e-4)
    for name, tensor in weights(tmp_path / "one", "best").items():
        assert_close(weights(tmp_path / "two", "best")[name], tensor, rtol=0, atol=1e-4)


def test_each_row_belongs_to_one_process():
    rows = np.array([5, 7, 2])
    shares = [World(rank, 4).share(rows) for rank in range(4)]
    assert [(part.tolist(), counts) for part, counts in shares] == [([5], True), ([7], True), ([2], True), ([5], False)]


def test_a_process_without_a_row_counts_nothing(whole):
    run = load(whole)
    session = Training(run, Pairs.of(run, run.read_again()), World())
    session.world = World(rank=3, size=4)
    total = session.sum_of_losses(session.corpus, np.array([0, 1]))
    assert total.item() == 0
    total.backward()  # the other processes wait for its gradients
    assert [name for name, one in session.model.named_parameters() if one.grad is None or one.grad.any()] == []


# Devices


@pytest.mark.parametrize(
    ("gpus", "local", "of", "takes", "meets_by"),
    [(0, 0, 1, "cpu", None), (1, 0, 1, "cuda:0", None), (2, 1, 2, "cuda:1", "nccl"), (1, 0, 2, "cpu", "gloo")],
)
def test_a_gpu_is_taken_only_if_there_is_one_for_each_process(gpus, local, of, takes, meets_by, monkeypatch):
    called = []
    for name, value in {"RANK": local, "WORLD_SIZE": of, "LOCAL_RANK": local, "LOCAL_WORLD_SIZE": of}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: called.append(str(device)))
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **more: None)
    monkeypatch.setattr(torch.distributed, "init_process_group", called.append)
    world = World.join()
    assert (str(world.device), world.rank, world.size) == (takes, local, of)
    assert called == [takes] * (takes != "cpu") + [meets_by] * (meets_by is not None)


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")  # there is nothing to copy to
def test_a_checkpoint_goes_to_the_device_of_the_run(whole):
    run = load(whole)
    elsewhere = Training(run, Pairs.of(run, run.read_again()), World(device=torch.device("meta")))
    moments = [tensor for state in elsewhere.adam.state.values() for tensor in state.values()]
    assert len(moments) == 3 * len(list(elsewhere.model.parameters()))
    assert {tensor.device.type for tensor in moments} == {"meta"}
    assert elsewhere.state.step == elsewhere.plan.steps
