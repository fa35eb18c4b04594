"""The tools behind the make targets."""

import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
import torch
import yaml
from nbformat.v4 import new_code_cell, new_notebook, new_output

from attention_src.bahdanau import Bahdanau
from attention_src.data.batches import Batch, pad
from tests.chapters import ROOT
from tools import bench, bench_attention, bench_bahdanau, book, browser, check, execute_notebooks, readme_picture, serve
from tools.check import Stage, Tally

# The browser


class Machine:
    """A machine on which some browsers start, and some ways to get one work; it notes what is tried."""

    def __init__(self, monkeypatch, *, system=(), starting=(), working=(), root=True):
        self.tried, self.system, self.starting, self.working = [], list(system), set(starting), working
        monkeypatch.setattr(browser, "on_this_machine", lambda: list(self.system))
        monkeypatch.setattr(browser, "playwrights_own", lambda: "/own/chrome")
        monkeypatch.setattr(browser, "can_apt_get", lambda: root)
        monkeypatch.setattr(browser, "starts", self.start)
        monkeypatch.setattr(browser, "run", self.install)

    def start(self, path):
        self.tried.append(path)
        return path in self.starting

    def install(self, *command):
        name = "playwright" if "playwright" in command else " ".join(command[:2])
        self.tried.append(name)
        if name == "playwright" and name in self.working:
            self.starting.add("/own/chrome")
        if name == "apt-get install" and name in self.working:
            self.system.append("/usr/bin/chromium")
            self.starting.add("/usr/bin/chromium")
        return name in self.working


def test_a_browser_of_the_system_comes_first(monkeypatch):
    machine = Machine(monkeypatch, system=["/a", "/b"], starting=["/a", "/b", "/own/chrome"])
    assert browser.find_or_install() == "/a"
    assert machine.tried == ["/a"]


def test_a_browser_that_does_not_start_is_passed_over(monkeypatch):
    machine = Machine(monkeypatch, system=["/stub", "/b"], starting=["/b"])
    assert browser.find_or_install() == "/b"
    assert machine.tried == ["/stub", "/b"]


def test_playwrights_own_comes_second_and_is_not_installed_twice(monkeypatch):
    machine = Machine(monkeypatch, system=["/stub"], starting=["/own/chrome"])
    assert browser.find_or_install() == "/own/chrome"
    assert machine.tried == ["/stub", "/own/chrome"]


def test_playwright_installs_its_own_before_the_system_is_changed(monkeypatch):
    machine = Machine(monkeypatch, working=["playwright", "apt-get update", "apt-get install"])
    assert browser.find_or_install() == "/own/chrome"
    assert machine.tried == ["/own/chrome", "playwright", "/own/chrome"]


def test_debians_package_is_the_last_way(monkeypatch):
    machine = Machine(monkeypatch, working=["apt-get update", "apt-get install"])
    assert browser.find_or_install() == "/usr/bin/chromium"
    assert machine.tried == ["/own/chrome", "playwright", "apt-get update", "apt-get install", "/usr/bin/chromium"]


def test_who_is_not_root_does_not_call_apt_get(monkeypatch):
    machine = Machine(monkeypatch, working=["apt-get update", "apt-get install"], root=False)
    with pytest.raises(browser.NoBrowser, match="apt install chromium"):
        browser.find_or_install()
    assert machine.tried == ["/own/chrome", "playwright"]


def test_a_browser_starts_if_it_can_say_its_version(tmp_path):
    for name, status in (("good", 0), ("bad", 1)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    assert [browser.starts(str(tmp_path / name)) for name in ("good", "bad", "missing")] == [True, False, False]


def test_the_systems_browsers_are_looked_up_by_name(monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", {"chromium-browser": "/x", "google-chrome": "/y"}.get)
    monkeypatch.setattr(browser.platform, "system", lambda: "Linux")
    assert browser.on_this_machine() == ["/x", "/y"]


def test_on_macos_the_applications_are_looked_up_too(monkeypatch, tmp_path):
    (tmp_path / "Chrome").touch()
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    monkeypatch.setattr(browser.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(browser, "MAC_PLACES", (str(tmp_path / "none"), str(tmp_path / "Chrome")))
    assert browser.on_this_machine() == [str(tmp_path / "Chrome")]


# Setting up


@pytest.fixture
def clone(tmp_path):
    """The files that set the environment up, and a Python that only notes how it is called."""
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/setup.sh", tmp_path / "tools")
    return tmp_path


def python(folder: Path, *, version="3.11", too_old=0, venv=0, pip=0) -> Path:
    """Write a stand-in for python3. The numbers are the exit statuses of what it is asked."""
    path = folder / "python"
    path.write_text(f"""#!/bin/sh
echo "$@" >> "{folder}/calls"
case "$*" in
    --version) echo "Python {version}" ;;
    *"sys.exit(sys.version_info"*) exit {too_old} ;;
    *"print("*) echo {version} ;;
    *"import venv"*) exit {venv} ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m pip"*) echo "extra index $PIP_EXTRA_INDEX_URL" >> "{folder}/calls"; exit {pip} ;;
esac
""")
    path.chmod(0o755)
    return path


def make(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run make there; give its status, what it said, and how the stand-in was called."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "NEWEST", "PYTHON")}
    done = subprocess.run(
        ["make", ".venv/.ready", *arguments], cwd=folder, capture_output=True, text=True, env=environment
    )
    calls = folder / "calls"
    return done.returncode, done.stdout + done.stderr, calls.read_text() if calls.exists() else ""


def test_setting_up_installs_the_pinned_set_once(clone):
    status, said, calls = make(clone, f"PYTHON={python(clone)}")
    assert status == 0, said
    assert "-m pip install -c constraints.txt -r requirements.txt" in calls
    assert "-m pip install --no-deps --no-build-isolation -e ." in calls
    assert make(clone, f"PYTHON={clone / 'python'}")[2] == calls  # nothing changed: nothing is done


@pytest.mark.parametrize("name", ["requirements.txt", "constraints.txt", "pyproject.toml"])
def test_setting_up_happens_again_when_a_list_changes(clone, name):
    _, _, calls = make(clone, f"PYTHON={python(clone)}")
    later = (clone / ".venv/.ready").stat().st_mtime + 5
    os.utime(clone / name, (later, later))
    assert len(make(clone, f"PYTHON={clone / 'python'}")[2]) > len(calls)


def test_newest_leaves_the_pins_away(clone):
    _, _, calls = make(clone, f"PYTHON={python(clone)}", "NEWEST=1")
    assert "-m pip install -r requirements.txt" in calls


def test_an_index_given_to_make_reaches_pip(clone):
    _, _, calls = make(clone, f"PYTHON={python(clone)}", "PIP_EXTRA_INDEX_URL=elsewhere")
    assert "extra index elsewhere" in calls


def test_an_environment_of_another_python_is_made_anew(clone):
    make(clone, f"PYTHON={python(clone)}")
    (clone / ".venv/.ready").unlink()
    _, _, calls = make(clone, f"PYTHON={python(clone, version='3.13')}")
    assert "-m venv --clear .venv" in calls


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"version": "3.9", "too_old": 1}, r"Python 3\.11 or newer is needed, but \S+ is Python 3\.9"),
        ({"venv": 1}, "apt install python3-venv"),
        ({"pip": 1}, "pip could not install the packages"),
    ],
)
def test_what_hinders_setting_up_is_said_once_and_clearly(clone, wrong, says):
    status, said, _ = make(clone, f"PYTHON={python(clone, **wrong)}")
    assert status != 0
    assert re.search(says, said)
    assert not (clone / ".venv/.ready").exists()


def test_no_python_at_all_is_said_too(clone):
    status, said, _ = make(clone, "PYTHON=no-such-python")
    assert status != 0
    assert "There is no no-such-python here" in said


def test_make_alone_explains_every_target():
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True).stdout
    targets = re.search(r"^\.PHONY: help (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert [target for target in targets if not re.search(rf"^make {target} ", said, re.MULTILINE)] == []


def test_ci_runs_make_test_and_nothing_else():
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert lines == ["#!/bin/sh", "exec make test"]
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_workflows_run_make_targets_only():
    commands = []
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            commands += [step["run"] for step in job["steps"] if "run" in step]
    assert sorted(commands) == ["make book", "make test", "make test NEWEST=1 PLAIN=all"]


# Building


def test_a_failed_build_forgets_the_pages_it_read(monkeypatch, tmp_path):
    monkeypatch.setattr(book, "BUILD", tmp_path)
    for status, kept in ((0, True), (1, False)):
        (tmp_path / ".doctrees").mkdir(exist_ok=True)
        monkeypatch.setattr(
            book.subprocess, "run", lambda *a, status=status, **k: subprocess.CompletedProcess(a, status)
        )
        assert book.build() == status
        assert (tmp_path / ".doctrees").exists() == kept


def test_the_server_takes_another_port_when_its_own_is_taken(tmp_path):
    (tmp_path / "index.html").write_text("the book")
    with serve.server(0, tmp_path) as first, serve.server(first.server_port, tmp_path) as second:
        assert second.server_port != first.server_port
        threading.Thread(target=second.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{second.server_port}/") as answer:
            assert answer.read() == b"the book"
        second.shutdown()


def test_a_server_beside_other_work_ends_with_it_also_by_an_error(tmp_path):
    def break_off():
        with serve.beside(tmp_path) as address, urllib.request.urlopen(address) as answer:
            assert answer.status == 200
            raise KeyError(address)

    before = set(threading.enumerate())
    with pytest.raises(KeyError) as caught:
        break_off()
    (address,) = caught.value.args
    assert [one for one in set(threading.enumerate()) - before if "serve_forever" in one.name] == []
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address)


@pytest.mark.parametrize(("error", "said"), [(ConnectionResetError("gone"), False), (ValueError("broken"), True)])
def test_the_server_is_silent_only_about_a_browser_that_breaks_off(tmp_path, capsys, error, said):
    with serve.server(0, tmp_path) as running:
        try:
            raise error
        except type(error):
            running.handle_error(None, ("127.0.0.1", 1))
    assert (str(error) in capsys.readouterr().err) is said


# Counting


def report(tmp_path, **counts):
    path = tmp_path / "report.xml"
    attributes = " ".join(f'{name}="{number}"' for name, number in counts.items())
    path.write_text(f"<testsuites><testsuite {attributes}/></testsuites>")
    return path


def test_passed_is_what_did_not_fail(tmp_path):
    assert check.count(report(tmp_path, tests=11, failures=2, errors=1, skipped=0), 1) == Tally(8, 3)
    assert check.count(report(tmp_path, tests=11, failures=0, errors=0, skipped=0), 0) == Tally(11, 0)


def test_a_skipped_test_counts_as_failed(tmp_path):
    assert check.count(report(tmp_path, tests=11, failures=0, errors=0, skipped=1), 0) == Tally(10, 1)


def test_nothing_run_or_a_broken_run_counts_as_failed(tmp_path):
    assert check.count(report(tmp_path, tests=0), 5) == Tally(0, 1)
    assert check.count(report(tmp_path, tests=7), 3) == Tally(7, 1)
    assert check.count(tmp_path / "none.xml", 2) == Tally(0, 1)


def test_the_last_line_sums_all_stages(capsys):
    assert check.check([Stage("a", lambda: Tally(2, 0)), Stage("b", lambda: Tally(5, 0))]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "7 passed, 0 failed"


def test_a_failure_ends_the_run(capsys):
    ran = []
    stages = [Stage("a", lambda: Tally(2, 1)), Stage("b", lambda: ran.append(1) or Tally(5, 0))]
    assert check.check(stages) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "2 passed, 1 failed"
    assert "b          not run" in out
    assert not ran


@pytest.mark.parametrize("stages", [[], [Stage("a", lambda: Tally(0, 0))]])
def test_nothing_at_all_is_no_success(stages):
    assert check.check(stages) == 1


def test_a_failing_command_fails_its_check():
    assert check.commands("json.tool --help", "json.tool no-such-file") == Tally(1, 1)


def test_no_notebooks_is_a_failure():
    assert check.notebooks("x", []) == Tally(0, 1)


def test_three_notebooks_are_spread_over_the_book():
    paths = [Path(str(i)) for i in range(17)]
    assert check.spread(paths) == [Path("0"), Path("8"), Path("16")]
    assert check.spread(paths[:2]) == paths[:2]


def test_all_notebooks_run_plain_when_asked(monkeypatch):
    runs = {}
    monkeypatch.setattr(check, "notebooks", lambda name, paths, **env: runs.update({name: (paths, env)}) or Tally(1, 0))
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [Path(f"{i:02}.ipynb") for i in range(1, 8)])
    for plain_all, number in ((True, 7), (False, 3)):
        for stage in check.stages(plain_all):
            if stage.name in ("notebooks", "plain"):
                stage.run()
        assert len(runs["notebooks"][0]) == 7
        assert len(runs["plain"][0]) == number
        assert runs["plain"][1] == {"ATEN_CPU_CAPABILITY": "default"}


@pytest.fixture
def stored(tmp_path):
    """A notebook that prints 1 + 1 and a time, with what it printed."""

    def write(answer: str) -> Path:
        cells = [
            new_code_cell("1 + 1", execution_count=1),
            new_code_cell("import time; print(time.perf_counter_ns(), 's')", execution_count=2),
        ]
        cells[0].outputs = [new_output("execute_result", {"text/plain": answer}, execution_count=1)]
        cells[1].outputs = [new_output("stream", name="stdout", text="12.5 s\n")]
        path = tmp_path / "a.ipynb"
        nbformat.write(new_notebook(cells=cells, metadata=execute_notebooks.KERNEL), path)
        return path

    return write


def test_a_stored_output_that_is_not_true_is_found(stored, monkeypatch, tmp_path):
    monkeypatch.setattr(check, "REPORTS", tmp_path)
    assert check.notebooks("true", [stored("2")]) == Tally(2, 0)
    assert check.notebooks("untrue", [stored("3")]) == Tally(1, 1)


# Executing


def widgets(*ids: str) -> nbformat.NotebookNode:
    """A notebook that shows the box ``ids[0]`` with equal children, and has two layouts which are not shown."""
    box, narrow, wide, *children = ids
    state = {
        narrow: {"state": {"width": "1px"}},
        box: {"state": {"children": [f"IPY_MODEL_{child}" for child in children]}},
        wide: {"state": {"width": "9px"}},
        **{child: {"state": {"value": 1}} for child in sorted(children)},
    }
    shown = new_output("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": box}})
    metadata = {
        "widgets": {execute_notebooks.WIDGET_STATE: {"state": state, "version_major": 2}},
        "language_info": {"name": "python", "version": "3.11.7"},
    }
    return new_notebook(cells=[new_code_cell("box", id="one", outputs=[shown])], metadata=metadata)


def model_ids(letters: str) -> list[str]:
    """Model ids, each of one letter."""
    return [letter * 32 for letter in letters]


def test_new_model_ids_leave_no_difference():
    one = execute_notebooks.settle(widgets(*model_ids("abc12345")), "chapter")
    other = execute_notebooks.settle(widgets(*model_ids("f9250781")), "chapter")
    assert one == other
    assert "a" * 32 not in one
    metadata = nbformat.reads(one, 4).metadata
    assert metadata["language_info"] == {"name": "python"}
    assert len(metadata["widgets"][execute_notebooks.WIDGET_STATE]["state"]) == 8


def test_two_notebooks_do_not_share_model_ids():
    texts = [execute_notebooks.settle(widgets(*model_ids("abc12345")), name) for name in ("one", "two")]
    found = [set(re.findall(r"\b[0-9a-f]{32}\b", text)) for text in texts]
    assert found[0] & found[1] == set()


def test_executing_twice_changes_nothing(tmp_path):
    path = tmp_path / "a.ipynb"
    source = "import ipywidgets\nprint(6 * 7)\nipywidgets.HBox([ipywidgets.IntSlider(3), ipywidgets.Label('x')])"
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), path)
    texts = []
    for _ in range(2):
        assert execute_notebooks.main([path]) == 0
        texts.append(path.read_text())
    assert texts[0] == texts[1]
    assert "42" in texts[0]
    assert execute_notebooks.WIDGET_STATE in texts[0]


def test_a_failing_cell_is_named_and_the_file_stays(tmp_path, capsys):
    path = tmp_path / "b.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1"), new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    assert execute_notebooks.main([path]) == 1
    said = capsys.readouterr().err
    assert "b.ipynb: cell 2 of 2 failed" in said
    assert "ZeroDivisionError" in said
    assert path.read_bytes() == before


def test_no_notebooks_to_execute_is_an_error(capsys):
    assert execute_notebooks.main([]) == 1
    assert "no notebooks" in capsys.readouterr().err


# Timing, and the README


def test_benchmarks_are_found_and_timed():
    functions = bench.found(ROOT / "tools")
    assert "book: nothing changed" in functions
    calls = []
    assert len(bench.seconds(lambda: calls.append(1), repeats=2)) == 2
    assert len(calls) == 3


def test_ratios_are_found_and_judged(monkeypatch, capsys):
    assert "attention: attend 1 query 8 keys" in bench.found(ROOT / "tools", "ratio_")
    for limit, said, code in ((2.0, "1.50 ×  (at most 2)", 0), (1.25, "1.50 ×  (at most 1.25, TOO SLOW)", 1)):
        ratios = {"one": lambda limit=limit: (1.5, limit)}
        monkeypatch.setattr(bench, "found", lambda folder, prefix="bench_", r=ratios: r if prefix == "ratio_" else {})
        assert bench.main() == code
        assert said in capsys.readouterr().out


def test_what_is_compared_with_plain_torch_gives_the_same():
    query, key, value = (torch.randn(2, size, 5, requires_grad=True) for size in (3, 7, 7))
    torch.testing.assert_close(bench_attention.ours(query, key, value), bench_attention.plain(query, key, value))
    assert 0 < bench_attention.ratio(2, 3, 7, times=1) < 10  # `make bench` judges it; here it must only run


def test_rates_are_found_and_counted(monkeypatch, capsys):
    assert "bahdanau: greedy" in bench.found(ROOT / "tools", "rate_")
    rates = {"some: reading": lambda: (640, "words")}
    monkeypatch.setattr(bench, "found", lambda folder, prefix="bench_": rates if prefix == "rate_" else {})
    monkeypatch.setattr(bench, "seconds", lambda function: [2.0, 1.0, 4.0])
    assert bench.main() == 0
    assert capsys.readouterr().out.split() == ["some:", "reading", "320", "words", "a", "second"]


def test_the_plain_loops_compute_what_the_translator_of_chapter_05_does():
    torch.manual_seed(2)
    model = Bahdanau(17, 19, width=3, hidden=5, annotation=6, score=7, maxout=11)
    plain = bench_bahdanau.Plain(model)
    source, mask = pad([[4, 5, 6, 7, 8], [9, 10]])
    given = torch.tensor([[2, 5, 6], [2, 7, 8]])
    torch.testing.assert_close(plain(source, mask, given), model(source, mask, given))
    batch = Batch(source, mask, given, given, torch.ones_like(given, dtype=torch.bool))
    with torch.no_grad():
        assert plain.greedy(batch) == bench_bahdanau.said(model, batch, 1)
        assert plain.beam(batch) == bench_bahdanau.said(model, batch, bench_bahdanau.WIDTH)


def test_the_corpus_of_a_benchmark_is_gone_at_its_end(tmp_path):
    program = "from tools import bench_translate as b; b.PAIRS = 90; assert len(b.training().corpus) == 90"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path)}, check=True)
    assert list(tmp_path.glob("bench*")) == []


def test_no_benchmarks_is_an_error(tmp_path, capsys):
    assert bench.main(tmp_path) == 1
    assert "no function bench_" in capsys.readouterr().err


def test_the_picture_of_the_readme_is_what_the_grammar_says():
    stored = readme_picture.PICTURE.read_text("utf-8")
    assert stored == readme_picture.picture(), f"run {sys.executable} -m tools.readme_picture"


def test_a_word_shares_its_weight_among_the_words_it_comes_from():
    pair = readme_picture.Pair(("a", "b", "c"), ("x", "y"), frozenset({(0, 0), (2, 0), (1, 1)}))
    assert readme_picture.weights(pair) == [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]


def test_the_readme_points_at_files_that_exist():
    text = (ROOT / "README.md").read_text("utf-8")
    targets = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", text)
    assert [path for pair in targets for path in pair if path and not (ROOT / path).exists()] == []
    assert re.findall(r"book/(\d\d_\w+)\.md", text) == re.findall(r"book/(\d\d_\w+)", (ROOT / "_toc.yml").read_text())
