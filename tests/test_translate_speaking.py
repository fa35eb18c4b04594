"""Translating, aligning and measuring with a trained run."""

import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import sacrebleu
import torch
from torch.testing import assert_close

from attention_src import transformer
from attention_src.bahdanau import Bahdanau
from attention_src.data.batches import pad
from attention_src.data.vocabulary import BEGIN, END, PAD, UNKNOWN
from attention_src.decoding import Marks, beam, greedy
from attention_src.recurrent import Step, follow
from attention_src.translate import __main__ as command_line
from attention_src.translate.__main__ import main
from attention_src.translate.batches import batch_of
from attention_src.translate.errors import BadInputError
from attention_src.translate.losses import SumOfLosses
from attention_src.translate.measures import Report, agreement, read_gold
from attention_src.translate.runs import load
from attention_src.translate.saying import Sooner, largest, most_probable
from attention_src.translate.settings import MODELS
from attention_src.translate.speaking import Speaker, batches, looks
from attention_src.widgets.base import unpack
from tests.chapters import ROOT

SENTENCES = ["s1 s2 s3.", "", "s4", "s5 s6 s7 s0 s1 s2", "  ", "s3 s3", "unseen"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Sentences of words and a full stop; each word has one translation, in the same order."""
    draw, path = random.Random(0), tmp_path_factory.mktemp("corpus") / "pairs.tsv"
    rows = [[*(draw.randrange(8) for _ in range(draw.randrange(0, 3))), n % 8] for n in range(90)]
    path.write_text("".join("\t".join(" ".join(f"{a}{n}" for n in row) + "." for a in "st") + "\n" for row in rows))
    return path


def trained(corpus: Path, folder: Path, model: str, *more: str) -> Path:
    sizes = [
        "--width",
        "8",
        "--hidden",
        "8",
        "--batch",
        "60",
        "--rate",
        "0.02",
        "--epochs",
        "2",
        "--precision",
        "float64",
    ]
    assert main(["train", "--pairs", str(corpus), "--out", str(folder), "--model", model, *sizes, *more]) == 0
    return folder


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory) -> dict[str, Path]:
    """A run of each model, hardly trained."""
    return {model: trained(corpus, tmp_path_factory.mktemp("runs") / model, model) for model in MODELS}


@pytest.fixture(scope="module")
def good(corpus, tmp_path_factory) -> Path:
    """A run that has learned its corpus."""
    more = ["--epochs", "30", "--width", "16", "--hidden", "32", "--rate", "0.01"]
    return trained(corpus, tmp_path_factory.mktemp("good"), "bahdanau", *more)


def quiet(_):
    raise AssertionError("no line is too long")


# Translating


def test_the_step_that_comes_sooner_is_bahdanaus():
    torch.manual_seed(0)
    model = Bahdanau(11, 13, width=4, hidden=6, annotation=10, score=7, maxout=5).double()
    source, mask = pad([[4, 5, 6], [7, 8], [9]])
    quick = Sooner(model)
    (memory, state), (same, ready) = model.encode(source, mask), quick.encode(source, mask)
    for token in torch.tensor([[1, 1, 1], [5, 12, 4], [7, 4, 4]]):
        plain, found = model.step(token, state, memory), quick.step(token, ready, same)
        state, ready = plain.state, found.state
        assert_close((found.logits, ready.state, found.weights), (plain.logits, state, plain.weights))
    assert not quick.readout.requires_grad


class Scripted:
    """A decoder that says what is written for each sentence; its state is the sentence and the step."""

    def __init__(self, script: list[list[int]]):
        self.script, self.calls = script, []

    def step(self, token, state, memory):
        self.calls.append(state[0].tolist())
        said = [self.script[row][place] for row, place in zip(*(one.tolist() for one in state), strict=True)]
        assert memory.tolist() == [10 * row for row in state[0].tolist()]
        logits = torch.nn.functional.one_hot(torch.tensor(said), 9)
        return Step(logits, (state[0], state[1] + 1), state[0][:, None] + torch.zeros(1, 2))


def test_sentences_leave_when_they_have_ended_or_are_as_long_as_they_may_be():
    script = Scripted([[5, END, 6, 6], [4, 5, 6, 7], [END, 8, 8, 8], [7, 7, 7, END]])
    state, memory = (torch.arange(4), torch.zeros(4, dtype=torch.long)), 10 * torch.arange(4)
    found = most_probable(script.step, state, memory, torch.tensor([4, 3, 4, 4]))
    assert [one.tokens for one in found] == [[5], [4, 5, 6], [], [7, 7, 7]]
    assert [one.weights.tolist() for one in found] == [[[0, 0]], [[1, 1]] * 3, [], [[3, 3]] * 3]
    assert script.calls == [[0, 1, 2, 3], [0, 1, 3], [1, 3], [3]]


def test_few_that_have_ended_are_not_worth_a_smaller_batch():
    script = Scripted([[5, 6, END], [END, 7, 7]] + [[5, END, 6]] * 18)
    state, memory = (torch.arange(20), torch.zeros(20, dtype=torch.long)), 10 * torch.arange(20)
    found = most_probable(script.step, state, memory, torch.full((20,), 9))
    assert [len(one.tokens) for one in found] == [2, 0] + [1] * 18
    assert list(map(len, script.calls)) == [20, 20, 1]


def test_the_largest_number_is_found_in_every_row():
    numbers = torch.randn(7, 500)
    assert torch.equal(largest(numbers), numbers.argmax(dim=1))


@pytest.mark.parametrize("model", MODELS)
def test_saying_the_most_probable_word_is_the_books_greedy_decoding(runs, model):
    speaker = Speaker(load(runs[model]))
    rows = [speaker.encode(0, speaker.cut(0, line)) for line in SENTENCES if line.strip()]
    source, mask = pad(rows)
    plain = greedy(speaker.model.step, *speaker.model.encode(source, mask)[::-1], Marks(BEGIN, END), 9)
    memory, state = speaker.says.encode(source, mask)
    found = most_probable(speaker.says.step, state, memory, torch.full((len(rows),), 9))
    assert [one.tokens for one in found] == [one.tokens for one in plain]
    for one, other in zip(found, plain, strict=True):
        if one.weights is not None:
            assert_close(one.weights, other.weights[: len(one.tokens)])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("width", [1, 3])
def test_each_sentence_is_said_as_if_it_were_alone(runs, model, width):
    speaker = Speaker(load(runs[model]))
    found = speaker.translate(SENTENCES, width, quiet)
    assert [bool(one.source) for one in found] == [bool(line.strip()) for line in SENTENCES]
    for line, one in zip(SENTENCES, found, strict=True):
        if not line.strip():
            assert one.text == ""
            continue
        source = torch.tensor([speaker.encode(0, speaker.cut(0, line))])
        memory, state = speaker.model.encode(source, torch.ones_like(source, dtype=torch.bool))
        longest = 2 * source.shape[1] + 10
        (alone,) = beam(speaker.model.step, state, memory, Marks(BEGIN, END), longest, width)
        said = [number for number in alone.tokens if number > BEGIN]
        assert speaker.encode(1, one.target) == said
        if one.weights is not None:
            kept = [place for place, number in enumerate(alone.tokens) if number > BEGIN]
            assert_close(one.weights, alone.weights[kept])


@pytest.mark.parametrize("width", [1, 3])
def test_a_sentence_that_does_not_end_is_cut_at_its_own_limit(runs, width):
    speaker = Speaker(load(runs["luong"]))
    speaker.model.readout.bias.data[END] = -1e4
    speaker.spoken = lambda source, numbers, weights: (len(source), len(numbers))
    assert speaker.translate(["s1", "s1 s2 s3 s4 s5"], width, quiet) == [(1, 12), (5, 20)]


def test_the_tool_learns_a_small_language(good, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"s1 s2.\r\n\r\ns4 s5.")))
    links = tmp_path / "links"
    assert main(["translate", "--run", str(good), "--beam", "3", "--alignments", str(links)]) == 0
    assert capsys.readouterr().out == "t1 t2.\n\nt4 t5.\n"
    first, second, third = links.read_text().split("\n")[:-1]
    assert second == ""
    assert {link.split("-")[1] for link in first.split()} == {"0", "1"}
    assert third


def test_files_are_written_whole(good, tmp_path, capsys):
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"s1.\n\xff\n")
    out.write_text("before")
    command = ["translate", "--run", str(good), "--input", str(source), "--output", str(out)]
    assert main(command) == 2
    assert "in line 2: it is not UTF-8" in capsys.readouterr().err
    assert out.read_text() == "before"
    source.write_text("s1.\n" * 3)
    assert main(command) == 0
    assert out.read_text().count("\n") == 3
    source.write_text("")
    assert main(command) == 0
    assert out.read_text() == ""


def test_lines_are_read_bit_by_bit_in_their_order(good, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command_line, "AT_ONCE", 2)
    sizes, plain = [], Speaker.translate
    monkeypatch.setattr(
        Speaker, "translate", lambda self, lines, *more: sizes.append(len(lines)) or plain(self, lines, *more)
    )
    source, links, page = tmp_path / "in", tmp_path / "links", tmp_path / "page.html"
    source.write_text("s1.\n\ns3 s4.\n" + "s5 " * 101 + "\ns6.\n")
    more = ["--alignments", str(links), "--html", str(page)]
    assert main(["translate", "--run", str(good), "--input", str(source), *more]) == 0
    shown = capsys.readouterr()
    said = shown.out.split("\n")
    assert sizes == [2, 2, 1]
    assert said[:3] + said[4:] == ["t1.", "", "t3 t4.", "t6.", ""]
    assert [bool(line) for line in links.read_text().split("\n")] == [True, False, True, True, True, False]
    assert "line 4 is longer than 100 tokens" in shown.err
    assert '"5: s6."' in page.read_text()
    pairs = tmp_path / "pairs"
    pairs.write_text("s1\tt1\n" + "s1 " * 101 + "\tt1\ns2\tt2\n" + "s3 " * 101 + "\tt1\n")
    assert main(["align", "--run", str(good), "--pairs", str(pairs)]) == 0
    shown = capsys.readouterr()
    assert shown.out == "0-0\n\n0-0\n\n"
    assert [line.split()[2] for line in shown.err.splitlines()] == ["2", "4"]
    assert main(["evaluate", "--run", str(good), "--pairs", str(pairs)]) == 0
    assert "1 to 10\t2\t" in capsys.readouterr().out


def test_nothing_is_said_if_a_later_line_is_bad(good, capsys, monkeypatch):
    monkeypatch.setattr(command_line, "AT_ONCE", 1)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"s1.\ns2.\n\xff\n")))
    assert main(["translate", "--run", str(good)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "translate: standard input line 3: it is not UTF-8 (byte 1); save the file as UTF-8\n"


def test_a_reader_that_has_seen_enough_is_no_error(good, tmp_path):
    source = tmp_path / "in"
    source.write_text("s1.\n" * 30_000)
    command = f"{sys.executable} -m attention_src.translate translate --run {good} --input {source} | head -n 1"
    done = subprocess.run(["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("t1.\n", "", 141)


FULL = """
import resource, sys
from attention_src.translate.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # as on a full disk, no file can grow
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("command", "into", "code", "says"),
    [
        ("align", "> out", 2, "translate: a file: File too large; what was written before is whole\n"),
        ("evaluate", "| :", 141, ""),
    ],
)
def test_output_that_cannot_be_written_is_said_once(good, tmp_path, command, into, code, says):
    (tmp_path / "pairs").write_text("s1.\tt1.\n")
    (tmp_path / "full.py").write_text(FULL)
    tool = f"{sys.executable} full.py {command} --run {good} --pairs pairs {into}"
    done = subprocess.run(
        ["bash", "-c", f"{tool}; exit ${{PIPESTATUS[0]}}"],
        **{"cwd": tmp_path, "capture_output": True, "text": True},
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
    )
    assert (done.returncode, done.stderr) == (code, says)


def test_who_stops_a_translation_is_not_told_of_training(good, tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Speaker, "translate", stop)
    (tmp_path / "in").write_text("s1.\n")
    assert main(["translate", "--run", str(good), "--input", str(tmp_path / "in")]) == 130
    assert capsys.readouterr().err == "translate: stopped\n"


def test_what_is_no_file_is_not_replaced_by_one(good, tmp_path, capsys):
    source, pipe = tmp_path / "in", tmp_path / "pipe"
    source.write_text("s1.\n")
    os.mkfifo(pipe)
    command = ["translate", "--run", str(good), "--output"]
    assert main([*command, os.devnull, "--input", str(source)]) == 0
    assert Path(os.devnull).is_char_device()
    assert main([*command, str(tmp_path / "out"), "--input", str(pipe)]) == 2
    assert f"{pipe} can be read only once" in capsys.readouterr().err
    assert main([*command, str(tmp_path), "--input", str(source)]) == 2
    assert "Is a directory" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "pipe"]


def test_a_line_that_is_too_long_is_cut_and_named(corpus, tmp_path, capsys):
    out = trained(corpus, tmp_path / "run", "luong", "--longest", "8")
    source = tmp_path / "in"
    source.write_text("s1\n" + "s1 " * 100_000 + "\n")
    assert main(["translate", "--run", str(out), "--input", str(source)]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("\n") == 2
    assert "line 2 is longer than 8 tokens" in shown.err


def test_an_unknown_word_is_the_source_word_that_was_looked_at(good):
    speaker = Speaker(load(good))
    weights = torch.tensor([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.3, 0.3, 0.4]])
    known = speaker.numbers[1]["t3"]
    said = speaker.spoken(["a", "Paris", "c"], [UNKNOWN, PAD, known], weights)
    assert said.text == "Paris t3"
    assert said.links == {(1, 0), (2, 1)}
    assert_close(said.weights, weights[[0, 2]])
    assert speaker.spoken(["a"], [UNKNOWN], None).text == "<unk>"


def test_batches_hold_every_sentence_once():
    found = list(batches([3, 0, 9, 4, 1], 8))
    assert found == [[2], [3, 0], [4]]
    assert list(batches([], 8)) == []


# Aligning


@pytest.mark.parametrize("model", [model for model in MODELS if model != "bottleneck"])
def test_weights_of_given_translations_are_the_models(runs, model):
    speaker = Speaker(load(runs[model]))
    pairs = [("s1 s2.", "t1 t2 t3."), ("s4", "t5"), ("", "t1"), ("s1", "")]
    found = speaker.align(pairs, quiet)
    assert [one.links == set() for one in found] == [False, False, True, True]
    for (source, target), one in zip(pairs[:2], found, strict=False):
        numbers, mask = pad([speaker.encode(0, speaker.cut(0, source))])
        given, _ = pad([[BEGIN, *speaker.encode(1, speaker.cut(1, target))]])
        with torch.no_grad():
            memory, state = speaker.model.encode(numbers, mask)
            _, weights = follow(speaker.model.step, given, state, memory)
            assert_close(one.weights, weights[0, : len(one.target)])
            assert_close(looks(speaker.model, numbers, mask, given), weights)


def test_links_are_between_words_however_they_are_cut(good):
    speaker = Speaker(load(good))
    weights = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.0, 0.2, 0.8]])
    assert speaker.links(weights, ["s1", "￭,", "s2"], ["t1", "t2", "￭."], 2) == {(0, 0), (0, 1), (1, 1)}


def test_align_writes_a_line_for_each_pair(good, corpus, tmp_path, capsys):
    pairs = tmp_path / "pairs"
    pairs.write_text("s1 s2\tt1 t2\n\ns4\tt4\n" + "s1 " * 101 + "\tt1\n")
    assert main(["align", "--run", str(good), "--pairs", str(pairs)]) == 0
    shown = capsys.readouterr()
    assert shown.out.split("\n")[1:] == ["", "0-0", "", ""]
    assert "line 4 is longer than 100 tokens; it has no links" in shown.err


def test_a_model_without_attention_has_no_alignments(runs, corpus, tmp_path, capsys):
    for command in (["align"], ["evaluate", "--gold", "x"]):
        assert main([*command, "--run", str(runs["bottleneck"]), "--pairs", str(corpus)]) == 2
        assert "has no attention" in capsys.readouterr().err
    assert main(["translate", "--run", str(runs["bottleneck"]), "--alignments", "x"]) == 2


# Measuring


def test_the_report_is_sacrebleus():
    sources = ["a b", "a " * 11, "c"]
    said, wanted = ["the cat sat here", "no dogs", "yes"], ["the cat sat there", "no dogs at all", "yes"]
    bleu, chrf = sacrebleu.corpus_bleu(said, [wanted]), sacrebleu.corpus_chrf(said, [wanted])
    found = Report()
    found.add(sources[:1], said[:1], wanted[:1])
    found.add(sources[1:], said[1:], wanted[1:])
    lines = [line.split("\t") for line in found.text().split("\n")]
    assert lines[0][:2] == ["BLEU", f"{bleu.score:.1f}"]
    assert "tok:13a" in lines[0][2]
    assert "version" in lines[0][2]
    assert lines[1][:2] == ["chrF2", f"{chrf.score:.1f}"]
    assert [line[:2] for line in lines[3:]] == [["1 to 10", "2"], ["11 to 20", "1"]]
    assert lines[4][2] == f"{sacrebleu.corpus_bleu(said[1:2], [wanted[1:2]]).score:.1f}"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("0-0 1?1\n0-1\n", None),
        ("1-1 2?2\n1-2\n", 1),
        ("0-0 1p1\n0-1\n", 0),
        ("0001 1 1 S\n0001 2 2 P\n0002 1 2\n", None),
        ("1 0 0 S 0.9\n1 1 1 P\n2 0 1 S\n", 0),
    ],
)
def test_gold_alignments_in_their_formats(tmp_path, text, first):
    path = tmp_path / "gold"
    path.write_text(text)
    gold = read_gold(path, [(2, 2), (1, 2)], first)
    assert gold.sure == [{(0, 0)}, {(0, 1)}]
    assert gold.possible == [{(1, 1)}, set()]
    found = agreement([{(0, 0), (1, 1)}, {(0, 0)}], gold)
    assert found.error == pytest.approx(1 - (1 + 2) / (3 + 2))
    assert agreement([{(0, 0)}, {(0, 1)}], gold).error == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0-0\n", "has 1 lines, but there are 2"),
        ("0-0\nx\n", "line 2: 'x' is no link"),
        ("0-0\n1-1\n", "line 2: the link 1-1 lies outside"),
        ("1 1 1\n3 1 1\n", "line 2: the link 1-1 lies outside"),
        ("0-0\n\0\n", "line 2: it holds a NUL byte"),
        ("", "holds no link"),
        ("\n\n", "holds no link"),
    ],
)
def test_wrong_gold_alignments_are_named(tmp_path, text, says):
    path = tmp_path / "gold"
    path.write_text(text)
    with pytest.raises(BadInputError, match="gold") as error:
        read_gold(path, [(2, 2), (1, 1)])
    assert says in str(error.value)


def test_evaluate_prints_all_measures(good, corpus, tmp_path, capsys):
    pairs, gold = tmp_path / "pairs", tmp_path / "gold"
    pairs.write_text("s1 s2.\tt1 t2.\ns4.\tt4.\n")
    gold.write_text("0-0 1-1\n0-0\n")
    assert main(["evaluate", "--run", str(good), "--pairs", str(pairs), "--gold", str(gold), "--beam", "2"]) == 0
    shown = capsys.readouterr().out.split("\n")
    assert shown[0].startswith("BLEU\t")
    assert "nrefs:1|case:mixed" in shown[0]
    assert shown[1].startswith("chrF2\t100.0\t")
    assert shown[-2].startswith("AER\t")
    gold.write_text("0-0\n")
    assert main(["evaluate", "--run", str(good), "--pairs", str(pairs), "--gold", str(gold)]) == 2


def moved(function, *arguments):
    with torch.device("cpu"):
        return function(*(one if isinstance(one, int) else torch.arange(len(one)) for one in arguments))


# Weights for the page, and another machine


def test_export_gives_the_weights_of_the_best_model(good, tmp_path, capsys, corpus):
    out = tmp_path / "weights.json"
    assert main(["export", "--run", str(good), "--out", str(out)]) == 0
    told, speaker = json.loads(out.read_text()), Speaker(load(good))
    assert (told["kind"], told["source_words"]) == ("Bahdanau", list(speaker.run.vocabularies[0].words))
    for name, array in unpack(told["weights"]).items():
        assert_close(torch.from_numpy(array.copy()), speaker.model.state_dict()[name].float(), rtol=1e-3, atol=1e-3)
    large = trained(corpus, tmp_path / "large", "luong", "--hidden", "200", "--epochs", "1")
    assert main(["export", "--run", str(large), "--out", str(tmp_path / "no")]) == 2
    assert "at most 150,000" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_run_that_learned_nothing_is_refused(good, tmp_path, capsys):
    for name in ("settings.json", "vocabulary.json"):
        (tmp_path / name).write_bytes((good / name).read_bytes())
    assert main(["translate", "--run", str(tmp_path)]) == 2
    assert "has learned nothing yet" in capsys.readouterr().err


@pytest.mark.parametrize("model", MODELS)
def test_everything_is_made_where_the_model_is(runs, model, monkeypatch):
    """What is made without saying where would land on the meta device here, as it would beside a GPU's tensors."""
    for name in ("causal_mask", "waves"):  # made on the processor, then moved: the meta device cannot give that back
        plain = getattr(transformer, name)
        monkeypatch.setattr(transformer, name, lambda *sizes, plain=plain: moved(plain, *sizes))
    run = load(runs[model])
    corpus, speaker = run.read_again(), Speaker(run)
    batch = batch_of(corpus, torch.arange(3).numpy(), torch.device("cpu"))
    with torch.device("meta"):
        SumOfLosses(speaker.model)(batch).backward()
        with torch.no_grad():
            memory, state = speaker.says.encode(batch.source, batch.source_mask)
            most_probable(speaker.says.step, state, memory, torch.tensor([3, 1, 2], device="cpu"))
            beam(speaker.says.step, state, memory, Marks(BEGIN, END), 3, 2)


def test_the_page_is_written_with_the_translations(good, tmp_path, capsys):
    source, out = tmp_path / "in", tmp_path / "page.html"
    source.write_text("s1 s2.\n\ns4 </script>\n")
    assert main(["translate", "--run", str(good), "--input", str(source), "--html", str(out)]) == 0
    html = out.read_text("utf-8")
    assert html.count("</script>") == 3
    assert "http" not in html.replace("http://www.w3.org", "")
    assert '"t1"' in html
    assert capsys.readouterr().out.count("\n") == 3
