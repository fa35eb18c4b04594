"""The page "Your own sentences" shows commands that exist, and a corpus whose true links fit its lines."""

import importlib
import re
import shlex
import tomllib

import pytest

from attention_src.translate.__main__ import main, parser
from attention_src.translate.measures import read_gold
from tools.own_sentences import COLUMNS, COMMANDS, FOLDER, fold, line, make_files, word_of


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_one_that_the_tool_has(name):
    command = COMMANDS[name].split("|")[0].split("<")[0].replace("\\\n", "")
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "attention_src.translate"]
    parser().parse_args(words[3:])
    assert (FOLDER / f"{name}.txt").read_text("utf-8").startswith(f"$ {COMMANDS[name]}\n")


def test_the_page_shows_every_file_and_only_options_that_exist():
    page = FOLDER.with_suffix(".md").read_text("utf-8")
    shown = set(re.findall(r"literalinclude\} own_sentences/(\w+)\.txt", page))
    assert shown == {path.stem for path in FOLDER.glob("*.txt")} == {*COMMANDS, "files", "settings"}
    known = {option for action in parser()._subparsers._group_actions[0].choices.values() for option in options(action)}
    asked = set(re.findall(r"`(--[a-z-]+)", page)) | set(re.findall(r"`train (--[a-z-]+)", page))
    assert asked
    assert asked <= known
    assert max(len(one) for path in FOLDER.glob("*.txt") for one in path.read_text("utf-8").splitlines()) <= 80


def options(command) -> set[str]:
    return {text for action in command._actions for text in action.option_strings}


def test_links_of_the_grammar_become_links_between_words(tmp_path):
    assert line(["l'", "homme", "dort"]) == "L'homme dort."
    assert [word_of(["l'", "homme", "dort"], place) for place in range(3)] == [0, 0, 1]
    assert fold("a " * COLUMNS).split() == ["a"] * COLUMNS
    make_files(tmp_path)
    sides = [(tmp_path / f"test.{side}").read_text("utf-8").splitlines() for side in ("en", "fr")]
    sizes = [tuple(len(one.split()) for one in pair) for pair in zip(*sides, strict=True)]
    assert len(read_gold(tmp_path / "test.links", sizes).sure) == len(sizes) == 100
    assert not set(sides[0]) & {row.split("\t")[0] for row in (tmp_path / "pairs.tsv").read_text("utf-8").splitlines()}


def test_the_short_name_is_the_tool():
    told = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text("utf-8"))
    module, name = told["project"]["scripts"]["weigh-translate"].split(":")
    assert getattr(importlib.import_module(module), name) is main
