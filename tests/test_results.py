"""Reading results in Python and quoting them in pages: hand-made numbers, and what is said about wrong names."""

import json
from statistics import median

import pytest

from attention_src.experiments.results import Interval, MissingResults, ResultsError, load, load_model
from tests.sphinx_pages import build, extension

pages = extension("results")


def rule(name, sentence, **outcome):
    """The outcome of a rule as a results file holds it."""
    return {"name": name, "rule": sentence, "at_least": "4 of 5", "seeds_total": 3, **outcome}


CONTENT = {
    "stem": "toy",
    "command": "python -m attention_src.experiments toy --seeds 3",
    "versions": {"python": "3.11", "torch": "2.13.0", "numpy": "2.4"},
    "settings": {"steps": 1400, "rate": 0.002, "sizes": [64, 128], "model": {"kind": "gru"}},
    "tolerance": {"*": {"relative": 0, "absolute": 0}},
    "rules": [
        rule("wins", "It wins.", holds=False, seeds_passing=1),
        rule("grows", "It grows.", holds=True, seeds_passing=3),
    ],
    "models": {},
    "seconds": {"0": {"a": 60, "b": 1}, "1": {"a": 61, "b": 1}, "2": {"a": 62, "b": 1}},
    "seeds": {
        "0": {"a": {"exact": {"3-10": 96, "11-20": 7.5}, "loss": [3, 2]}, "b": {"share": 0.5, "all": 1}},
        "1": {"a": {"exact": {"3-10": 98, "11-20": 7.25}, "loss": [5, 1]}, "b": {"share": 0.125, "all": 1}},
        "2": {"a": {"exact": {"3-10": 91, "11-20": 9}, "loss": [4, -1]}, "b": {"share": 0.25, "all": 1}},
    },
}


@pytest.fixture
def folder(tmp_path):
    """A folder of results with one file."""
    (tmp_path / "toy.json").write_text(json.dumps(CONTENT))
    return tmp_path


# --- in Python -------------------------------------------------------------------------------------------------------


def test_an_interval_by_hand(folder):
    results = load("toy", folder)
    assert results.over_seeds("a.exact.3-10") == Interval(96, 91, 98, (96, 98, 91))
    assert results.over_seeds("a.loss.1") == (1, -1, 2, (2, 1, -1))


def test_a_table_by_hand(folder):
    results = load("toy", folder)
    assert results.table("a.exact") == (["3-10", "11-20"], [[96, 7.5], [98, 7.25], [91, 9]])
    assert results.table("a.loss") == (["0", "1"], [[3, 2], [5, 1], [4, -1]])


def test_an_even_number_of_seeds_has_its_median_in_the_middle(folder):
    content = json.loads((folder / "toy.json").read_text())
    content["seeds"]["3"] = content["seeds"]["0"]
    (folder / "toy.json").write_text(json.dumps(content))
    assert load("toy", folder).over_seeds("b.share").median == median([0.5, 0.125, 0.25, 0.5]) == 0.375


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda r: r.over_seeds("a.exact.3-11"), "no measure 'a.exact.3-11' in toy.json; near it: a.exact.3-10"),
        (lambda r: r.over_seeds("a.exat.3-10"), "near it: a.exact.3-10"),
        (lambda r: r.over_seeds("a.loss.2"), "no measure 'a.loss.2'"),
        (lambda r: r.over_seeds("a.exact.3-10.x"), "no measure 'a.exact.3-10.x'"),
        (lambda r: r.over_seeds(""), "no measure ''"),
        (lambda r: r.over_seeds("a.exact"), "is not one number a seed; below it: a.exact.3-10, a.exact.11-20"),
        (lambda r: r.table("b.share"), "'b.share' in toy.json is one number a seed; use over_seeds"),
        (lambda r: r.rule("win"), "no rule is called 'win' in toy.json; near it: wins"),
    ],
)
def test_wrong_names_are_answered_with_near_ones(folder, ask, words):
    with pytest.raises(ResultsError) as caught:
        ask(load("toy", folder))
    assert words in str(caught.value)


def test_a_missing_file_says_how_to_get_it(folder):
    with pytest.raises(MissingResults) as caught:
        load("other", folder)
    assert f"there is no results file {folder / 'other.json'}; there are: toy;" in str(caught.value)
    assert str(caught.value).endswith("to get it: python -m attention_src.experiments other --seeds 5")


def test_what_exercises_measured_is_beside_it(folder):
    with pytest.raises(MissingResults) as caught:
        load("exercises/toy", folder)
    assert str(caught.value).endswith("there are: none; to get it: python -m attention_src.exercises toy --seeds 5")
    (folder / "exercises").mkdir()
    (folder / "exercises" / "toy.json").write_text(json.dumps(CONTENT).replace("96", "12"))
    assert load("exercises/toy", folder).over_seeds("a.exact.3-10").values == (12, 98, 91)
    assert load("toy", folder).over_seeds("a.exact.3-10").values == (96, 98, 91)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-1], "is damaged (Expecting"),
        (lambda text: text.replace('"seeds"', '"sedes"'), "is damaged (it lacks seeds)"),
        (lambda text: "3", "is damaged (it lacks command, models"),
        (lambda text: text.replace('"stem": "toy"', '"stem": "boy"'), "of another stem"),
    ],
)
def test_a_damaged_file_is_named(folder, change, words):
    path = folder / "toy.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(ResultsError) as caught:
        load("toy", folder)
    assert str(caught.value).startswith(f"{path} is damaged")
    assert words in str(caught.value)
    assert "python -m attention_src.experiments toy --seeds 5" in str(caught.value)


def test_a_missing_or_damaged_model_is_named(folder):
    with pytest.raises(MissingResults, match=r"there is no model file .*none.safetensors; there is none;"):
        load_model("none", folder)
    (folder / "toy.safetensors").write_bytes(b"no model")
    with pytest.raises(MissingResults, match="near it: toy"):
        load_model("toi", folder)
    with pytest.raises(ResultsError, match=r"toy.safetensors is damaged"):
        load_model("toy", folder)


# --- as text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "form", "text"),
    [
        (0.957, "%", "96 %"),
        (0.957, ".1%", "95.7 %"),
        (95.7, ".0f%", "96 %"),
        (1.4e-9, "e", "1 · 10⁻⁹"),
        (-25_000, "e", "−2 · 10⁴"),
        (1.0, "%", "100 %"),
        (-0.5, ".2f", "−0.50"),
        (-0.001, ".1f", "0.0"),  # no minus before a zero
        (0.012345, "", "0.0123"),
        (20000, "", "20,000"),
        (1400, "f", "1400.000000"),
        (12345.6, ",.0f", "12,346"),
        (3, "", "3"),
        (0.0, "", "0"),
    ],
)
def test_numbers_as_text(number, form, text):
    assert pages.show(number, form) == text.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize("form", ["d", "%%", "x", ".1f;", "{"])
def test_a_wrong_format_is_named(form):
    with pytest.raises(ResultsError, match="is none of"):
        pages.show(1.0, form)


def test_an_interval_as_text():
    assert pages.show_interval(Interval(96, 94, 98, ()), ".0f%").replace("\xa0", " ") == "96 % (94 to 98)"
    assert pages.show_interval(Interval(1, 1, 1, ()), "%").replace("\xa0", " ") == "100 % (every seed)"
    assert pages.show_interval(Interval(-1, -2.5, 0, ()), ".1f").replace("\xa0", " ") == "−1.0 (−2.5 to 0.0)"


# --- in pages --------------------------------------------------------------------------------------------------------

PAGE = """
# Page

R1 {result}`toy:a.exact.3-10:.0f%` R2 {median}`toy:b.share:%` R3 {rule}`toy:wins` R4 {setting}`toy:steps`
R5 {setting}`toy:sizes` R6 {setting}`toy:model.kind` R7 {result}`toy:b.all` See {numref}`table-toy`.

```{results-table} toy
:measure: a.{row}.{column}
:rows: exact = exact match
:columns: 3-10 = short; 11-20 = longer
:corner: measure
:format: .1f
:name: table-toy
The *middle* of three seeds.
```

```{rules} toy
```

```{numbers-from} toy
```
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A folder for pages, whose results are the toy's."""
    folder = tmp_path / "book" / "results"
    folder.mkdir(parents=True)
    (folder / "toy.json").write_text(json.dumps(CONTENT))
    monkeypatch.setattr(pages, "FOLDER", folder)
    return tmp_path / "book"


def test_a_page_quotes_the_file_and_follows_it(book):
    written = {"index.md": PAGE, "role.md": "---\norphan: true\n---\n# One role\n{result}`toy:a.exact.3-10`\n"}
    first = build(book, written)
    assert first.warnings == []
    text = first.text("index")
    for words in (
        "R1 96 % (91 to 98) R2 25 % R3 1 of 3 seeds R4 1,400",
        "R5 64, 128 R6 gru R7 1 (every seed)",
        "See Table 1",
        "Table 1 The middle of three seeds.",
        "measure short longer exact match 96.0 (91.0 to 98.0) 7.5 (7.2 to 9.0)",
        "Failed (1 of 3 seeds passed, at least 4 of 5 were asked for): It wins.",
        "Held (3 of 3 seeds passed, at least 4 of 5 were asked for): It grows.",
        "3 seeds (0 to 2), run one by one on one thread with Python 3.11 and torch 2.13.0 in 3 minutes",
        "They are in toy.json . To get them again: python -m attention_src.experiments toy --seeds 3",
    ):
        assert words in text
    assert 'title="median of 3 seeds: 96\xa0%, 98\xa0%, 91\xa0%"' in first.html("index")
    assert list((first.folder / "_downloads").rglob("toy.json"))

    assert build(book, written).read == []  # nothing changed, nothing is read again
    changed = json.dumps(CONTENT).replace("96", "12")
    (book / "results" / "toy.json").write_text(changed)
    second = build(book, written)
    assert "R1 91 % (12 to 98)" in second.text("index")
    assert "91 (12 to 98)" in second.text("role")


WRONG = {
    "{result}`toy:a.exact.3-11`": "result: no measure 'a.exact.3-11' in toy.json; near it: a.exact.3-10",
    "{result}`toy:a.exact`": "result: 'a.exact' in toy.json is not one number a seed",
    "{result}`toy:b.share:d`": "result: the format 'd' is none of",
    "{result}`other:a`": "result: there is no results file",
    "{median}`toy`": "median: a stem, a colon and a name are wanted",
    "{rule}`toy:win`": "rule: no rule is called 'win' in toy.json; near it: wins",
    "{setting}`toy:step`": "setting: no setting 'step' in toy.json; at 'step' there is: steps, rate, sizes, model",
    "{setting}`toy:model`": "setting: the setting 'model' holds several: kind",
    "```{rules} other\n```": "rules: there is no results file",
    "```{numbers-from} other\n```": "numbers-from: there is no results file",
    "```{results-table} toy\n:rows: a\n:columns: b\nCaption\n```": "results-table: the option :measure: is missing",
    "```{results-table} toy\n:measure: a.{row}\n:rows: z\n:columns: b\nCaption\n```": "no measure 'a.z' in toy.json",
}


def test_wrong_names_fail_the_build_with_page_and_line(book):
    text, lines = "# Page\n\n", {}
    for wrong in WRONG:
        lines[wrong] = text.count("\n") + 1
        text += wrong + "\n\n"
    warnings = build(book, {"index.md": text}).warnings
    for wrong, words in WRONG.items():
        found = [warning for warning in warnings if f"index.md:{lines[wrong]}:" in warning and words in warning]
        assert len(found) == 1, f"{wrong} at {lines[wrong]}: {warnings}"
    assert len(warnings) == len(WRONG)
