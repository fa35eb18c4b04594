"""Self-checks of the pages: choosing among options, and guessing a number before it is shown."""

import json
import re

import pytest

from tests.sphinx_pages import build, extension
from tests.test_results import CONTENT

questions = extension("questions")

CHOOSE = """
```{choose} Which word does the look not know, *y* or *z*?
A line before the options.

- [ ] *y* and
  more words

  It went into the state.

  So it *asks*.
- [x] *z*

  > It comes too late.
```
"""
ALL = """
```{choose} Choose all that sum to one.
- [x] a row

  It does.
- [x] another row

  It does, too.
- [ ] a column

  It need not.
```
"""
PREDICT = """
```{predict} How many are right?
:of: toy:a.exact.3-10:.0f
:low: 0
:high: 100
:unit: %

Because of **this**.
```
"""


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The book's extensions see a folder of results with one file."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "toy.json").write_text(json.dumps(CONTENT))
    monkeypatch.setattr(questions, "FOLDER", folder)
    return tmp_path


def build_page(folder, text, name="02_bottleneck.md", builder="html"):
    """Build one page of questions."""
    pages = {name: f"# Page\n{text}", "index.md": f"# Book\n\n```{{toctree}}\n{name.removesuffix('.md')}\n```\n"}
    return build(folder / "book", pages, builder, extensions=("results", "questions"))


# --- choose ----------------------------------------------------------------------------------------------------------


def test_options_open_one_at_a_time_and_say_in_words_whether_they_are_right(results):
    built = build_page(results, CHOOSE)
    page = built.html("02_bottleneck")
    assert built.warnings == []
    assert re.findall(r'<details class="(choice[^"]*)" name="([^"]+)">', page) == [
        ("choice", "check-2-1"),
        ("choice right", "check-2-1"),
    ]
    assert " open" not in "".join(re.findall("<details[^>]*>", page))
    assert "A line before the options. A y and more words ✗ Not right. It went into" in built.text("02_bottleneck")
    assert "✓ Right. It comes too late." in built.text("02_bottleneck")
    assert "<em>asks</em>" in page
    assert "<summary><b>A</b> <span><em>y</em> and more words</span></summary>" in page


def test_checks_are_numbered_within_their_chapter(results):
    text = build_page(results, CHOOSE + PREDICT + ALL).text("02_bottleneck")
    assert re.findall(r"Check ([\d.]+)", text) == ["2.1", "2.2", "2.3"]
    assert "Check 1 Which" in build_page(results, CHOOSE, "notes.md").text("notes")


def test_several_right_options_can_stand_open_together(results):
    assert 'name="check' not in build_page(results, ALL).html("02_bottleneck")


@pytest.mark.parametrize("builder", ["singlehtml", "epub"])
def test_where_nothing_opens_all_stands_open(results, builder):
    built = build_page(results, CHOOSE + PREDICT, builder=builder)
    page = "index" if builder == "singlehtml" else "02_bottleneck"
    text = (built.folder / f"{page}.{'html' if builder == 'singlehtml' else 'xhtml'}").read_text()
    assert built.warnings == []
    assert "<details" not in text
    assert "<input" not in text.partition('class="body"')[2]
    words = " ".join(re.sub("<[^>]+>", " ", text).split())
    for said in ("more words ✗ Not right. It went", "✓ Right. It comes", "seeds: 96", "Because of this ."):
        assert said in words.replace("\xa0", " ")


# --- predict ---------------------------------------------------------------------------------------------------------


def test_a_prediction_shows_median_range_and_every_seed(results):
    built = build_page(results, PREDICT)
    page = built.html("02_bottleneck")
    assert built.warnings == []
    assert "See what was measured You said . Measured, over 3 seeds: 96 % (91 to 98) . 0 % you" in built.text(
        "02_bottleneck"
    )
    assert re.findall(r'class="seed" style="--at: ([\d.]+)%"', page) == ["96", "98", "91"]
    assert re.findall(r'class="median" style="--at: ([\d.]+)%"', page) == ["96"]
    assert 'aria-label="A scale from 0\xa0% to 100\xa0%: measured 96\xa0%"' in page
    assert 'min="0" max="100" step="1" value="50" data-unit="%"' in page
    assert page.count(' hidden="">') == 3  # the slider, what the reader said, and its mark wait for the script


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (":of: toy:b.share:%\n:low: 0\n:high: 80\n:unit: %", "25 % (12 to 50)"),
        (":of: toy:a.exact.11-20:.1f\n:low: 5\n:high: 10\n:unit: words", "7.5 words (7.2 to 9.0)"),
        (":of: toy:b.all\n:low: 0\n:high: 2\n:unit: heads", "1 heads (every seed)"),
        (":of: toy:a.loss.0:,\n:low: 0\n:high: 2e4", "4 (3 to 5)"),
    ],
)
def test_units_and_formats(results, lines, shown):
    built = build_page(results, PREDICT.replace(PREDICT[PREDICT.index(":of") : PREDICT.index("\n\nBec")], lines))
    assert built.warnings == []
    assert f"seeds: {shown} ." in built.text("02_bottleneck")


def test_a_share_lies_on_the_scale_as_percent(results):
    lines = ":of: toy:b.share:%\n:low: 20\n:high: 60\n:unit: %"
    page = PREDICT.replace(PREDICT[PREDICT.index(":of") : PREDICT.index("\n\nBec")], lines)
    assert "the seeds measured 12.5 to 50, which must lie within" in build_page(results, page).warnings[0]
    built = build_page(results, page.replace(":low: 20", ":low: 10"))
    assert re.findall(r'class="median" style="--at: ([\d.]+)%"', built.html("02_bottleneck")) == ["30"]
    assert "measured 25\xa0%" in built.html("02_bottleneck")


@pytest.mark.parametrize(
    ("low", "high", "form", "step"),
    [
        (0, 100, ".0f", 1),
        (0, 8, ".0f", 1),  # no half heads
        (0, 1, ".3f", 0.01),
        (0, 20_000, ",", 200),
        (-1, 5, "", 0.1),
        (0, 50, "%", 1),
    ],
)
def test_the_steps_of_a_slider(low, high, form, step):
    assert questions.slider_step(questions.Scale(low, high), form) == pytest.approx(step)


# --- what is wrong ---------------------------------------------------------------------------------------------------

HEAD = "```{predict} How many?\n"
WRONG = {
    "```{choose} Which?\n- [ ] a\n\n  Why.\n- [ ] b\n\n  Why.\n```": "choose: no option is right",
    "```{choose} Which?\n- [x] a\n\n  Why.\n- [ ] b $y$\n```": "choose: the option 'b $y$' has no reason",
    "```{choose} Which?\n- [x] a\n  why\n\n- [ ] b\n\n  Why.\n```": "choose: the option 'a why' has no reason",
    "```{choose} Which?\n- [x] a\n\n  Why.\n```": "choose: at least two options",
    "```{choose} Which?\n\nNothing.\n```": "but there are 0",
    "```{choose} Which?\n- [x] a\n\n  Why.\n- [x] b\n\n  Why.\n```": "choose: 2 options are right: mark one",
    "```{choose} Which?\n- [y] a\n\n  Why.\n- [x] b\n\n  Why.\n```": "not '- [y] a'",
    "```{choose} Which?\n- [x] a\n\n  Why.\n\nb\n```": "not 'b'",
    f"{HEAD}:low: 0\n:high: 1\n\nWhy.\n```": "predict: the option :of: is missing",
    f"{HEAD}:of: toy:a.exact.3-10\n:high: 1\n\nWhy.\n```": "predict: the option :low: is missing",
    f"{HEAD}:of: toy:a.exact.3-10\n:low: 0\n:high: 100\n```": "predict: say below the options why",
    f"{HEAD}:of: toy:a.exact.3-10\n:low: 5\n:high: 5\n\nWhy.\n```": ":low: must be below :high:, but they are 5 and 5",
    f"{HEAD}:of: toy:a.exact.3-10\n:low: 0\n:high: 97\n\nWhy.\n```": "the seeds measured 91 to 98",
    f"{HEAD}:of: toy:a.exact.3-10\n:low: 92\n:high: 99\n\nWhy.\n```": "within :low: 92 and :high: 99",
    f"{HEAD}:of: toy:a.exat.3-10\n:low: 0\n:high: 100\n\nWhy.\n```": "near it: a.exact.3-10",
    f"{HEAD}:of: toy\n:low: 0\n:high: 100\n\nWhy.\n```": "wants a stem, a colon and a name",
    f"{HEAD}:of: boy:a\n:low: 0\n:high: 100\n\nWhy.\n```": "there is no results file",
    f"{HEAD}:of: toy:a.exact.3-10:2f\n:low: 0\n:high: 100\n\nWhy.\n```": "the format '2f' is none of",
}


def test_wrong_questions_fail_the_build_with_page_and_line(results):
    text, lines = "", {}
    for wrong in WRONG:
        lines[wrong] = text.count("\n") + 2
        text += wrong + "\n\n"
    warnings = build_page(results, text).warnings
    for wrong, words in WRONG.items():
        found = [line for line in warnings if f"02_bottleneck.md:{lines[wrong]}:" in line and words in line]
        assert len(found) == 1, f"{wrong} at {lines[wrong]}: {warnings}"
    assert len(warnings) == len(WRONG)
