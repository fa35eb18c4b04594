"""The bug museum: its tests tell right from wrong, and so do the tests of this book when its bugs are planted."""

import ast
import json
import os
import re
import subprocess
import sys
from typing import NamedTuple

import nbformat
import pytest
import torch

from attention_src.exercises import bug_museum as museum
from tests.chapters import ROOT, stems
from tests.sphinx_pages import extension

NAMES = [one.name for one in museum.EXHIBITS]
each = pytest.mark.parametrize("one", museum.EXHIBITS, ids=NAMES)


# --- the exhibits -----------------------------------------------------------------------------------------------------


@each
def test_an_exhibits_test_passes_on_what_is_right_and_fails_on_what_is_wrong(one):
    one.test(one.right)
    with pytest.raises((AssertionError, RuntimeError)):
        one.test(one.broken)


@each
def test_an_exhibits_test_does_not_depend_on_chance(one):
    for seed in range(3):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        assert museum.verdict(one.test, one)[0]
        assert torch.equal(torch.random.get_rng_state(), before)


@each
def test_an_exhibit_is_small_and_says_all_that_it_must(one):
    tree = ast.parse((ROOT / "attention_src/exercises/bug_museum.py").read_text("utf-8"))
    (broken,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == one.name]
    assert broken.end_lineno - broken.lineno < 20
    assert ast.get_docstring(broken)
    assert one.chapter in stems(ROOT)
    assert one.check in museum.CHECKS
    assert all((one.title, one.symptom, one.lives, one.fix, one.seen))


def test_there_are_enough_and_no_two_are_alike():
    assert len(NAMES) == len(set(NAMES)) >= 14
    assert len({one.title for one in museum.EXHIBITS}) == len(NAMES)
    assert len({one.test for one in museum.EXHIBITS}) == len(NAMES)
    assert {one.check for one in museum.EXHIBITS} == set(museum.CHECKS)  # no check is there for nothing


def test_each_chapter_that_an_exhibit_names_leads_to_it():
    pages = {path.stem: path.read_text("utf-8") for path in (ROOT / "book").glob("[0-9]*.md")}
    leading = {stem[3:] for stem, text in pages.items() if "```{bugs-here}\n" in text}
    assert leading == {one.chapter for one in museum.EXHIBITS}


# --- the checker ------------------------------------------------------------------------------------------------------


def blind(function):
    """Asserts nothing."""


def unfair(weigh):
    raise AssertionError("it is no None")


def unwritten(function):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("test", "says"),
    [
        (museum.true_means_may_look, "caught. Of the wrong weigh your test says: Tensor-likes are not close!"),
        (blind, f"your test passes on the wrong weigh as well. A hint: {museum.CHECKS['by hand']}"),
        (unfair, "your test fails on the right weigh. It saw: it is no None"),
        (lambda weigh: weigh(1), "your test fails on the right weigh. It saw: "),
        (unwritten, "not written yet."),
        (lambda weigh: True, "no verdict: a test must assert and give nothing back, but it gave True."),
    ],
    ids=["sees", "blind", "unfair", "raises", "unwritten", "gives"],
)
def test_the_checker_says_what_a_test_can_tell(test, says, capsys):
    museum.check("inverted_mask", test)
    said = capsys.readouterr().out
    assert said.startswith(f"inverted_mask: {says}")
    assert said.count("\n") == 1


def test_an_error_of_the_wrong_code_counts_as_caught(capsys):
    museum.check("square_mask", museum.two_queries_and_three_keys)
    assert "caught. Of the wrong for_heads your test says: RuntimeError: shape" in capsys.readouterr().out


def test_an_assertion_without_words_is_told_too(capsys):
    museum.check("from_the_corner", museum.a_new_word_sees_what_is_kept)
    assert capsys.readouterr().out.endswith("your test says: an assertion does not hold\n")


def test_one_test_is_tried_on_all_wrong_versions(capsys):
    museum.check_all("weigh", museum.true_means_may_look)
    assert capsys.readouterr().out.splitlines() == [
        "inverted_mask        caught",
        "overwritten_scores   passes",
        "over_the_batch       caught",
        "nan_row              passes",
        "equal_row            passes",
        "2 of 5 caught.",
    ]
    museum.check_all("weigh", unfair)
    assert capsys.readouterr().out == "weigh: your test fails on the right weigh. It saw: it is no None\n"
    museum.check_all("weigh", unwritten)
    assert capsys.readouterr().out == "weigh: not written yet.\n"
    museum.check_all("weigh", blind)
    assert capsys.readouterr().out.splitlines()[-1] == "0 of 5 caught."


def test_together_the_books_tests_catch_all_wrong_versions_of_weigh(capsys):
    def all_of_them(weigh):
        for one in museum.EXHIBITS:
            if one.asks == "weigh":
                one.test(weigh)

    museum.check_all("weigh", all_of_them)
    assert capsys.readouterr().out.splitlines()[-1] == "5 of 5 caught."


def test_what_is_shown_is_the_wrong_function(capsys):
    museum.show("unshifted")
    said = capsys.readouterr().out
    assert said.startswith("The answer is fed in\n\ndef unshifted(words, begin, end):\n")
    assert "learns to copy it" in " ".join(said.split())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: museum.check("inverted", blind), ValueError, r"name must be one of inverted_mask, .* is 'inverted'"),
        (lambda: museum.check_all("weight", blind), ValueError, r"asks must be one of weigh, .* but is 'weight'"),
        (lambda: museum.check("nan_row", 3), TypeError, "test must be your function, without brackets, but is 3"),
        (lambda: museum.check_all("weigh", 3), TypeError, "test must be your function, without brackets, but is 3"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- page and notebook ------------------------------------------------------------------------------------------------


def test_the_page_shows_every_family():
    page = (ROOT / "book/bug_museum.md").read_text("utf-8")
    shown = re.findall(r"^```\{exhibits\} (\w+)$", page, re.MULTILINE)
    assert shown == list(extension("museum").FAMILIES)
    assert {one.family for one in museum.EXHIBITS} == set(shown)


def test_the_notebook_asks_for_a_test_of_every_exhibit():
    cells = nbformat.read(ROOT / "notebooks/bug_museum.ipynb", 4).cells
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    asked = set(re.findall(r'museum\.check\("(\w+)"', source))
    of_all = set(re.findall(r'museum\.check_all\("(\w+)"', source))
    assert asked | {one.name for one in museum.EXHIBITS if one.asks in of_all} == set(NAMES)
    assert all(f'"{name}"' in source for name in NAMES)  # each wrong function is shown


def test_places_become_links():
    linked = extension("museum").linked("a-b/c.d_e#12; see #3")
    assert linked == "a-b/c.d_e#12(https://github.com/a-b/c.d_e/issues/12); see #3".replace(
        "a-b/c.d_e#12(", "[a-b/c.d_e#12]("
    )


@each
def test_each_issue_that_an_exhibit_names_has_its_link(one):
    assert extension("museum").linked(one.seen).count("](https://") == len(re.findall(r"#\d", one.seen))


def test_an_unknown_family_is_named():
    with pytest.raises(ValueError, match=r"family must be one of masks, .* but is 'mask'"):
        extension("museum").of_family("mask")


# --- the bugs in our own modules --------------------------------------------------------------------------------------


class Plant(NamedTuple):
    """A mistake in a module of the book, and a test of the book that must see it."""

    module: str
    right: str
    wrong: str
    test: str
    error: str = "AssertionError"


WEIGH = """    weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)"""
PLANTED = {
    "inverted_mask": Plant("attention", WEIGH, WEIGH.replace("~", ""), "attention::test_a_forbidden_key_by_hand"),
    "masked_rows": Plant(
        "multi_head",
        "mask = mask.unsqueeze(-3)",
        "mask = mask.unsqueeze(-3).mT",
        "transformer::test_what_stands_in_the_padding_changes_nothing",
    ),
    "square_mask": Plant(
        "multi_head",
        "mask = mask.unsqueeze(-3)",
        "mask = mask.reshape(*mask.shape[:-2], 1, mask.shape[-2], mask.shape[-2])",
        "multi_head::test_a_mask_holds_for_every_head",
        "RuntimeError",
    ),
    "from_the_corner": Plant(
        "transformer",
        "causal_mask(old + new)[None, old:]",
        "torch.ones(1, new, old + new, dtype=torch.bool).tril()",
        "transformer::test_going_on_after_several_words_at_once",
    ),
    "overwritten_scores": Plant(
        "attention",
        "scores.masked_fill(",
        "scores.masked_fill_(",
        "attention::test_nothing_is_written_to_the_arguments",
    ),
    "over_the_batch": Plant(
        "attention", "return scores.softmax(dim=-1)", "return scores.softmax(dim=0)", "attention::test_two_keys_by_hand"
    ),
    "across_the_batch": Plant(
        "self_attention",
        "bidirectional=both_ways, batch_first=True",
        "bidirectional=both_ways",
        "self_attention::test_recurrence_both_ways_sees_both_sides",
    ),
    "swapped_roles": Plant(
        "scores", "return query @ prepared.mT", "return prepared @ query.mT", "self_attention::test_by_hand"
    ),
    "scrambled_split": Plant(
        "multi_head",
        "return pieces.transpose(-3, -2)\n",
        "return pieces.reshape(*vectors.shape[:-2], heads, vectors.shape[-2], -1)\n",
        "multi_head::test_a_piece_holds_numbers_of_its_own_word_only",
    ),
    "scrambled_merge": Plant(
        "multi_head",
        "return pieces.transpose(-3, -2).flatten(start_dim=-2)",
        "return pieces.reshape(*pieces.shape[:-3], pieces.shape[-2], -1)",
        "multi_head::test_merge_undoes_split",
    ),
    "value_inside": Plant(
        "attention",
        "return weights @ value, weights",
        "return (scores @ value).softmax(dim=-1), weights",
        "attention::test_two_keys_by_hand",
    ),
    "norm_first": Plant("transformer", "if self.norm_first:", "if True:", "transformer::test_the_two_orders_by_hand"),
    "looks_late": Plant(
        "bahdanau",
        """        context, weights = self.look(state, memory)
        state = self.cell(torch.cat([word, context], dim=-1), state)
""",
        """        state = self.cell(torch.cat([word, torch.zeros_like(memory.value[:, 0])], dim=-1), state)
        context, weights = self.look(state, memory)
""",
        "bahdanau::test_the_loop_of_the_gradient_test_is_the_decoder",
    ),
    "turned_by_head": Plant(
        "positions",
        "return self.score(rotary(query, positions), rotary(key, positions))",
        """heads = torch.arange(self.heads)
        turned = (rotary(x.transpose(-3, -2), heads).transpose(-3, -2) for x in (query, key))
        return self.score(*turned)""",
        "positions::test_each_layer_is_its_formula",
    ),
    "wrong_end": Plant(
        "positions",
        "offset.clamp(-farthest, farthest)",
        "(offset - 1).clamp(-farthest, farthest)",
        "positions::test_offsets_by_hand",
    ),
    "nan_row": Plant(
        "attention",
        WEIGH,
        "    return scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)",
        "attention::test_query_with_nothing_to_see_is_zero_and_trainable",
    ),
    "equal_row": Plant(
        "attention",
        "return weights.masked_fill(~mask, 0.0)",
        "return weights",
        "attention::test_query_with_nothing_to_see_is_zero_and_trainable",
    ),
    "log_of_zero": Plant(
        "transformer",
        "log_p = logits.log_softmax(dim=-1)",
        "log_p = logits.softmax(dim=-1).log()",
        "transformer::test_an_impossible_word_does_no_harm_without_smoothing",
    ),
    "blind_scores": Plant(
        "scores",
        'bend_and_add(through(self.of_query, "query", query), prepared, self.out)',
        'bend_and_add(through(self.of_query, "query", query), 0 * prepared, self.out)',
        "bahdanau::test_changing_a_source_word_changes_the_weights",
    ),
    "unshifted": Plant(
        "data.batches", "pad([[BEGIN, *target] for", "pad([[*target, END] for", "batches::test_a_batch_by_hand"
    ),
    "kept_keys": Plant(
        "scores",
        "return self.compare(query, self.prepare(key))",
        """if not hasattr(self, "kept"):
            self.kept = self.prepare(key)
        return self.compare(query, self.kept)""",
        "scores::test_a_second_list_of_keys_gets_its_own_scores",
    ),
}


@pytest.fixture(scope="module")
def ends():
    """How the named tests end: all of them in the sound book, and each in the book with its mistake."""
    asked = [
        {**plant._asdict(), "test": f"tests/test_{plant.test.replace('::', '.py::')}"} for plant in PLANTED.values()
    ]
    # One thread, so that the process can be forked; and these tests need no plugins, which each run would load.
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "tests/planting.py"],
        input=json.dumps(asked),
        env=alone,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_exhibit_is_planted():
    assert list(PLANTED) == NAMES


def test_the_named_tests_pass_in_the_sound_book(ends):
    assert len(ends["sound"]) >= len({plant.test for plant in PLANTED.values()})
    assert set(map(str, ends["sound"])) == {"None"}


@pytest.mark.parametrize("name", NAMES)
def test_a_test_of_the_book_sees_the_bug_in_the_books_own_module(name, ends):
    failed = [kinds for kinds in ends["planted"][NAMES.index(name)] if kinds is not None]
    assert failed, f"{PLANTED[name].test} does not see it"
    assert all(PLANTED[name].error in kinds for kinds in failed), failed
