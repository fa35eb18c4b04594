"""The page for teachers: what it sends people to is there."""

import importlib
import re

import pytest

from attention_src.exercises import Checker
from attention_src.experiments import ROOT
from tests.chapters import numbered

PAGE = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
WEEKS = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]*`[^|]+) \| [^|]+ \|$", PAGE, re.M)


def checked(stems: list[str]) -> set[str]:
    """The names of the functions that the checkers of some chapters try."""
    modules = [importlib.import_module(f"attention_src.exercises.{stem}") for stem in stems]
    return {value.name for module in modules for value in vars(module).values() if isinstance(value, Checker)}


def test_a_term_has_twelve_weeks_and_all_chapters():
    assert [int(week) for week, _, _ in WEEKS] == list(range(1, 13))
    linked = [stem for _, chapters, _ in WEEKS for stem in re.findall(r"<\d\d_(\w+)>", chapters)]
    assert linked == [stem for _, stem in numbered(ROOT)]


@pytest.mark.parametrize(("week", "chapters", "homework"), WEEKS)
def test_homework_has_a_checker_in_its_chapters(week, chapters, homework):
    assert set(re.findall(r"`(\w+)`", homework)) <= checked(re.findall(r"<\d\d_(\w+)>", chapters))


def test_the_minutes_of_a_lecture_follow_each_other():
    minutes = re.findall(r"^(\d+) to (\d+) · .+$", PAGE, re.M)
    assert [begin for begin, _ in minutes] == ["0", *(end for _, end in minutes[:-1])]
    assert minutes[-1][1] == "90"
