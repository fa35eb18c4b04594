"""The contract and the runner, tried on a tiny experiment; then the book's own result files against its code."""

import json
import os
import runpy
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from attention_src import experiments
from attention_src.experiments import (
    EXERCISES,
    ExperimentError,
    Places,
    Rule,
    Run,
    Tolerance,
    clean,
    differences,
    flatten,
    judge,
)
from attention_src.experiments.__main__ import main, versions
from attention_src.experiments.results import load, load_model

QUICK = 20.0  # seconds: parts of seed 0 that take less are run again

TOY = """
    import os, time
    from functools import partial
    from pathlib import Path
    import torch
    from attention_src.experiments import Rule, Tolerance

    HERE = Path(__file__).parent
    SETTINGS = {"factor": 7, "sizes": (2, 3)}

    def part(run, size):
        with open(HERE / "calls", "a") as calls:
            calls.write(f"{run.seed}{size}\\n")
        if (HERE / "fail").exists() and run.seed == 1 and size == 3:
            raise {"stop": KeyboardInterrupt, "error": RuntimeError}[(HERE / "fail").read_text()]("no luck")
        while (HERE / "wait").exists() and run.seed == 1 and size == 3:
            time.sleep(0.02)
        run.progress(1, 2, "half")
        run.keep(f"toy-{size}", torch.nn.Linear(size, 5), {"size": size})
        return {"product": SETTINGS["factor"] * run.seed, "list": [size, 0.25], "noise": torch.rand(2, 3)}

    PARTS = {f"size-{size}": partial(part, size=size) for size in SETTINGS["sizes"]}
    RULES = [Rule("grows", "the product is above 0", lambda m: m["size-2"]["product"] > 0, at_least=2, of=3)]
    TOLERANCE = {"*.noise.*": Tolerance(absolute=0.1), "*": Tolerance()}
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The places of an experiment called toy, in a package that no other test has loaded."""
    package = f"experiments_of_{tmp_path.name}".replace("-", "_")
    folder = tmp_path / "code" / package
    folder.mkdir(parents=True)
    (folder / "toy.py").write_text(textwrap.dedent(TOY))
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    yield Places(package, tmp_path / "results", tmp_path / "models", tmp_path / "kept")
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def folder_of(places):
    return places.results.parent / "code" / places.package


def calls(places):
    """Which parts were run since the last look, as seed and size."""
    path = folder_of(places) / "calls"
    text = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    return text.split()


def written(places):
    return json.loads((places.results / "toy.json").read_text())


def edit(places, old, new):
    """Change the experiment, as its author would between two runs."""
    path = folder_of(places) / "toy.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    for name in [name for name in sys.modules if name.startswith(places.package)]:
        del sys.modules[name]


# --- the contract ----------------------------------------------------------------------------------------------------


def test_a_rule_by_hand():  # 3 of 5 pass: enough for 3 of 5, not for 4 of 5
    seeds = {str(seed): {"gain": gain} for seed, gain in enumerate([0.5, -1, 2, 0, 7])}
    three = Rule("three", "it gains", lambda m: m["gain"] > 0, at_least=3)
    four = Rule("four", "it gains", lambda m: m["gain"] > 0)
    assert [(o["holds"], o["seeds_passing"], o["seeds_total"]) for o in judge([three, four], seeds)] == [
        (True, 3, 5),
        (False, 3, 5),
    ]


def test_a_rule_asks_for_the_same_share_of_more_seeds():
    seeds = {str(seed): {"gain": seed < 7} for seed in range(10)}
    assert not judge([Rule("r", "s", lambda m: m["gain"])], seeds)[0]["holds"]  # 7 of 10, asked for: 8 of 10


def test_flatten_by_hand():
    assert flatten({"a": {"b": [1, [2, 3]]}, "c": 4}) == {"a.b.0": 1, "a.b.1.0": 2, "a.b.1.1": 3, "c": 4}


@pytest.mark.parametrize(
    ("fresh", "found"),
    [
        ({"a": 1.05, "b": {"c": [5, 7]}}, []),
        ({"a": 1.2, "b": {"c": [5, 7]}}, ["a was 1.0, now 1.2"]),
        ({"a": 0.8, "b": {"c": [5, 7]}}, ["a was 1.0, now 0.8"]),
        ({"a": 1.0, "b": {"c": [5, 8]}}, ["b.c.1 was 7, now 8"]),
        ({"a": 1.0, "b": {"c": [5]}}, ["b.c.1 is in the results file, but no run gives it"]),
        ({"a": 1.0, "b": {"c": [5, 7]}, "d": 3}, ["d is measured, but is not in the results file"]),
        ({"b": {"c": [5, 7]}}, ["a is in the results file, but no run gives it"]),
    ],
)
def test_differences_by_hand(fresh, found):
    tolerance = {"a": Tolerance(relative=0.06, absolute=0.04), "*": Tolerance()}
    sentences = differences({"a": 1.0, "b": {"c": [5, 7]}}, fresh, tolerance)
    assert len(sentences) == len(found)
    assert all(sentence.startswith(start) for sentence, start in zip(sentences, found, strict=True))


def test_a_measure_without_a_tolerance_is_found():
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": Tolerance()}) == ["b matches no pattern of TOLERANCE"]


def test_measures_become_plain_numbers():
    import numpy
    import torch

    found = clean({"a": torch.tensor([[1.0, 1 / 3]]), "b": numpy.float32(0.1), "c": True, "d": (2, 3)}, "here")
    assert found == {"a": [[1.0, 0.333333]], "b": 0.1, "c": 1, "d": [2, 3]}
    assert [type(value) for value in (found["b"], found["c"])] == [float, int]


@pytest.mark.parametrize(
    ("measures", "words"),
    [
        (None, "must return a dict"),
        ({}, "must return a dict"),
        ({"a": {"b": float("nan")}}, "a.b must be a finite number; it is nan"),
        ({"a": [1, float("inf")]}, "a.1 must be a finite number; it is inf"),
        ({"a": "many"}, "a must be a number, a list of numbers or a dict; it is 'many'"),
        ({"a": []}, "a must be a number"),
        ({"a": {}}, "a must be a number"),
        ({"a.b": 1}, "must be a word without dots"),
        ({3: 1}, "must be a word without dots"),
    ],
)
def test_wrong_measures_are_named(measures, words):
    with pytest.raises(ExperimentError, match="part of toy") as caught:
        clean(measures, "part of toy")
    assert words in str(caught.value)


def test_a_part_gives_the_same_whatever_ran_before(toy):
    toy_experiment = experiments.load("toy", toy.package)
    alone, seconds = toy_experiment.run_part("size-3", Run(1))
    toy_experiment.run_part("size-2", Run(0))
    after, _ = toy_experiment.run_part("size-3", Run(1))
    other, _ = toy_experiment.run_part("size-3", Run(2))
    assert alone == after
    assert alone["noise"] != other["noise"]
    assert 0 <= seconds < 10


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("RULES =", "OTHERS =", "must define RULES"),
        ('Rule("grows"', 'Rule("it grows"', "must be a word without dots"),
        ("PARTS =", "PARTS = {'a.b': part}; IGNORED =", "must be a word without dots"),
        ("RULES = [", "RULES = 2 * [", "must have different names; ['grows']"),
    ],
)
def test_a_wrong_experiment_is_named(toy, capsys, old, new, words):
    edit(toy, old, new)
    assert main(["toy"], toy) == 2
    assert words in capsys.readouterr().err


# --- the runner ------------------------------------------------------------------------------------------------------


def test_the_file_by_hand(toy, capsys):
    assert main(["toy", "--seeds", "3"], toy) == 0
    found = written(toy)
    noise = {
        seed: {part: measures[part].pop("noise") for part in measures} for seed, measures in found["seeds"].items()
    }
    assert found["seeds"] == {
        str(seed): {f"size-{size}": {"product": 7 * seed, "list": [size, 0.25]} for size in (2, 3)} for seed in range(3)
    }
    assert noise["0"] != noise["1"]
    assert found["stem"] == "toy"
    assert found["command"] == f"python -m {toy.package} toy --seeds 3"
    assert found["versions"] == versions()
    assert found["settings"] == {"factor": 7, "sizes": [2, 3]}
    assert found["tolerance"] == {
        "*.noise.*": {"relative": 0, "absolute": 0.1},
        "*": {"relative": 0, "absolute": 0},
    }
    assert found["rules"] == [
        {
            "name": "grows",
            "rule": "the product is above 0",
            "at_least": "2 of 3",
            "holds": True,
            "seeds_passing": 2,
            "seeds_total": 3,
        }
    ]
    assert found["seconds"].keys() == found["seeds"].keys()
    said = capsys.readouterr().err
    assert "toy  seed 2  size-3 (2 of 2)  done" in said
    assert "holds in 2 of 3 seeds: the product is above 0" in said
    assert not list(toy.kept.iterdir())


def test_what_is_measured_is_not_measured_again_unless_asked(toy):
    main(["toy", "--seeds", "2"], toy)
    first = written(toy)
    assert calls(toy) == ["02", "03", "12", "13"]
    main(["toy", "--seeds", "2"], toy)
    assert calls(toy) == []
    main(["toy", "--seeds", "3"], toy)
    assert calls(toy) == ["22", "23"]
    main(["toy", "--seeds", "1"], toy)  # what is there stays
    assert calls(toy) == []
    assert list(written(toy)["seeds"]) == ["0", "1", "2"]
    main(["toy", "--seeds", "2", "--again"], toy)
    assert calls(toy) == ["02", "03", "12", "13"]
    again = written(toy)
    first.pop("seconds"), again.pop("seconds")
    assert again == first


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ('"factor": 7', '"factor": 11', ["02", "03", "12", "13"]),  # other settings: all is void
        ("PARTS = {f", "PARTS = {'new': partial(part, size=5), **{f", ["05", "15"]),  # a part more
        ("is above 0", "exceeds 0", []),  # another wording: only the file is written again
    ],
)
def test_a_change_makes_void_what_depends_on_it(toy, old, new, again):
    main(["toy", "--seeds", "2"], toy)
    calls(toy)
    edit(toy, old, new)
    if "new" in new:
        edit(toy, 'for size in SETTINGS["sizes"]}', 'for size in SETTINGS["sizes"]}}')
    main(["toy", "--seeds", "2"], toy)
    assert calls(toy) == again
    assert written(toy)["rules"][0]["rule"] == f"the product {'exceeds' if 'exceeds' in new else 'is above'} 0"


def test_other_versions_make_kept_seeds_void(toy, monkeypatch):
    main(["toy", "--seeds", "1"], toy)
    calls(toy)
    monkeypatch.setattr("attention_src.experiments.__main__.versions", lambda: {"python": "4.0"})
    main(["toy", "--seeds", "1"], toy)
    assert calls(toy) == ["02", "03"]


def test_a_run_that_was_stopped_goes_on(toy, capsys):
    (folder_of(toy) / "fail").write_text("stop")
    assert main(["toy", "--seeds", "3"], toy) == 130
    assert capsys.readouterr().err.endswith("the same command goes on from here\n")
    assert calls(toy) == ["02", "03", "12", "13"]
    assert not (toy.results / "toy.json").exists()
    (folder_of(toy) / "fail").unlink()
    assert main(["toy", "--seeds", "3"], toy) == 0
    assert calls(toy) == ["13", "22", "23"]
    assert list(written(toy)["seeds"]) == ["0", "1", "2"]


def test_a_new_run_that_was_stopped_goes_on_and_not_back_to_the_old_file(toy):
    main(["toy", "--seeds", "2"], toy)
    calls(toy)
    (folder_of(toy) / "fail").write_text("stop")
    assert main(["toy", "--seeds", "2", "--again"], toy) == 130
    (folder_of(toy) / "fail").unlink()
    calls(toy)
    main(["toy", "--seeds", "2"], toy)
    assert calls(toy) == ["13"]


def test_a_killed_run_goes_on(toy):
    (folder_of(toy) / "wait").touch()
    places = ", ".join(map(repr, (toy.package, str(toy.results), str(toy.models), str(toy.kept))))
    code = (
        "import sys; from pathlib import Path; from attention_src.experiments import Places;"
        "from attention_src.experiments.__main__ import main;"
        f"sys.path.insert(0, {str(folder_of(toy).parent)!r}); p = ({places});"
        "main(['toy', '--seeds', '2'], Places(p[0], *map(Path, p[1:])))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while "13" not in ((folder_of(toy) / "calls").read_text() if (folder_of(toy) / "calls").exists() else ""):
        assert time.monotonic() < until, "the run did not begin in a minute"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (folder_of(toy) / "wait").unlink()
    calls(toy)
    assert main(["toy", "--seeds", "2"], toy) == 0
    assert calls(toy) == ["13"]


def test_a_seed_that_fails_leaves_the_others_and_the_old_file(toy, capsys):
    main(["toy", "--seeds", "1"], toy)
    before = written(toy)
    (folder_of(toy) / "fail").write_text("error")
    assert main(["toy", "--seeds", "3"], toy) == 1
    said = capsys.readouterr().err
    assert "toy  seed 1  size-3 (2 of 2)  FAILED: RuntimeError: no luck" in said
    assert "toy: seed 1 failed; the others are kept" in said
    assert written(toy) == before
    (folder_of(toy) / "fail").unlink()
    calls(toy)
    assert main(["toy", "--seeds", "3"], toy) == 0
    assert calls(toy) == ["13"]


def test_two_processes_give_the_same_file(toy):
    main(["toy", "--seeds", "2"], toy)
    one = written(toy)
    assert main(["toy", "--seeds", "2", "--again", "--jobs", "2"], toy) == 0
    two = written(toy)
    one.pop("seconds"), two.pop("seconds")
    assert two == one
    (folder_of(toy) / "fail").write_text("error")
    assert main(["toy", "--seeds", "2", "--again", "--jobs", "2"], toy) == 1


def test_seed_0_keeps_its_models(toy):
    import torch

    main(["toy", "--seeds", "2"], toy)
    assert sorted(path.name for path in toy.models.iterdir()) == ["toy-2.safetensors", "toy-3.safetensors"]
    state, settings = load_model("toy-3", toy.models)
    assert settings == {"size": 3}
    torch.manual_seed(0)  # as the runner does before each part
    weight = torch.nn.Linear(3, 5).weight
    assert torch.equal(state["weight"], weight.half().float())
    assert {name: model["part"] for name, model in written(toy)["models"].items()} == {
        "toy-2": "size-2",
        "toy-3": "size-3",
    }
    calls(toy)
    (toy.models / "toy-3.safetensors").unlink()
    main(["toy", "--seeds", "2"], toy)
    assert calls(toy) == ["03"]
    assert (toy.models / "toy-3.safetensors").exists()
    (toy.models / "toy-2.safetensors").write_bytes(b"another")
    main(["toy", "--seeds", "2"], toy)
    assert calls(toy) == ["02"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "no experiment is called nothing; there are: toy"),
        (["toy", "--seeds", "0"], "--seeds must be at least 1; it is 0"),
        (["toy", "--jobs", "-1"], "--jobs must be at least 1; it is -1"),
    ],
)
def test_a_request_that_cannot_be_met_is_answered_in_one_line(toy, capsys, arguments, words):
    assert main(arguments, toy) == 2
    assert capsys.readouterr().err == f"error: {words}\n"
    assert calls(toy) == []


def test_the_exercises_have_the_same_runner(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["python -m", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("attention_src.exercises.__main__", run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("usage: python -m attention_src.exercises ")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stem": "toy"}'])
def test_a_damaged_file_is_named_in_one_line(toy, capsys, content):
    main(["toy", "--seeds", "1"], toy)
    capsys.readouterr()
    (toy.results / "toy.json").write_text(content)
    assert main(["toy", "--seeds", "1"], toy) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {toy.results / 'toy.json'} is damaged")
    assert said.count("\n") == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"parts": 3}'])
def test_a_damaged_kept_seed_is_named_in_one_line(toy, capsys, content):
    (folder_of(toy) / "fail").write_text("stop")
    main(["toy", "--seeds", "2"], toy)
    capsys.readouterr()
    kept = toy.kept / "toy" / "seed-0.json"
    assert kept.exists()
    kept.write_text(content)
    assert main(["toy", "--seeds", "2"], toy) == 2
    assert capsys.readouterr().err == f"error: {kept} is damaged; remove it, and this seed is run again\n"


# --- the book's own results ------------------------------------------------------------------------------------------

SOLVED = sorted(path.stem for path in EXERCISES.results.glob("*.json"))  # test_layout asks for each
FILES = [*((Places(), stem) for stem in experiments.stems()), *((EXERCISES, stem) for stem in SOLVED)]
named = pytest.mark.parametrize(("places", "stem"), FILES, ids=lambda of: of if isinstance(of, str) else of.package)


def quick_parts(stem, places):
    """The quickest parts of seed 0, as many as fit into ``QUICK`` seconds."""
    spent, chosen = 0.0, []
    for part, seconds in sorted(load(stem, places.results).seconds["0"].items(), key=lambda item: item[1]):
        spent += seconds
        if spent < QUICK:
            chosen.append(part)
    return chosen


def test_every_experiment_has_its_file_and_every_file_its_experiment():
    assert sorted(path.stem for path in Places.results.glob("*.json")) == experiments.stems()


@named
def test_the_file_is_what_the_code_says(places, stem):
    experiment, results = experiments.load(stem, places.package), load(stem, places.results)
    content = json.loads(results.path.read_text(encoding="utf-8"))
    again = f"run {results.command} again"
    assert results.settings == experiment.settings, again
    assert content["tolerance"] == experiments.tolerance_as_data(experiment.tolerance), again
    assert content["rules"] == judge(experiment.rules, results.seeds), again
    assert len(results.seeds) >= (3 if places == EXERCISES else 5)
    assert results.command.startswith(f"python -m {places.package} {stem} ")
    for measures in results.seeds.values():
        assert list(measures) == list(experiment.parts), again
        assert flatten(measures).keys() == flatten(results.seeds["0"]).keys()
        assert not differences(measures, measures, experiment.tolerance)


@pytest.mark.parametrize("stem", experiments.stems())
def test_the_models_are_those_of_the_run(stem):
    import hashlib

    for name, model in load(stem).models.items():
        load_model(name)
        path = Places.models / f"{name}.safetensors"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == model["sha256"], f"{path} is not what {stem} wrote"


def test_every_model_is_in_a_results_file():
    kept = {name for stem in experiments.stems() for name in load(stem).models}
    assert {path.stem for path in Places.models.glob("*.safetensors")} == kept


@pytest.mark.parametrize("stem", experiments.stems())
def test_each_experiment_has_a_quick_part(stem):
    assert quick_parts(stem, Places()), f"give {stem} a part that takes under {QUICK:g} s, to be run again here"


@named
def test_the_numbers_come_again(places, stem):
    experiment, results = experiments.load(stem, places.package), load(stem, places.results)
    for part in quick_parts(stem, places):
        fresh, _ = experiment.run_part(part, Run(0))
        assert not differences({part: results.seeds["0"][part]}, {part: fresh}, experiment.tolerance)
