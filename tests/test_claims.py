"""The ledger of claims: every claim is settled, and its evidence is there and says what the verdict needs."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from attention_src.experiments import ROOT
from tests.sphinx_pages import build, extension

claims = extension("claims")
LEDGER = claims.read()
# An id is a promise to whoever links to it.
IDS = [
    "bottleneck-by-length",
    "bottleneck-step-needs",
    "three-stages",
    "expectation",
    "low-rank",
    "similarity-list",
    "end-to-end",
    "learns-alignment",
    "me-to-I",
    "bahdanau-state",
    "bahdanau-bidirectional",
    "one-pass-decoding",
    "global-no-parameters",
    "global-fast-on-long",
    "global-misses-relations",
    "local-window-cost",
    "local-middle",
    "local-quality",
    "cnn-is-global",
    "bilstm-vanishes",
    "external-internal",
    "qkv-translation",
    "qkv-reading",
    "soft-addressing",
    "key-counts-values",
    "multihead-is-queries",
    "multihead-sizes",
    "multihead-memory",
    "multihead-views",
    "weights-dynamic",
    "fc-fixed-length",
    "sa-replaces",
    "sa-no-order",
    "relative-in-transformer",
    "complex-positions",
    "far-in-one-step",
    "parallel",
    "small-model",
    "crf-from-soft",
    "crf-linear-only",
    "weights-are-c",
    "self-key-equals-query",
    "weights-settle",
    "order-because-bidirectional",
    "uses",
    "distributed-lm",
    "four-benefits",
    "needs-long-input",
    "global-not-mainstream",
    "bilstm-is-local",
    "heads-build-on-local",
    "crf-features",
    "select-and-ignore",
    "one-at-a-time",
    "binomial",
    "simple-scores",
    "weights-are-parameters",
    "framework-free",
    "vision-first",
    "human-focus",
    "nineties",
    "limited-compute",
    "hierarchy",
    "pointer-no-mix",
    "pointer-lengths",
    "soft-is-all-keys",
    "soft-skips-input",
    "hard-needs-rl",
    "hard-one-input",
    "soft-is-global",
    "hard-misaligned",
]


@cache
def functions_of(stem: str) -> dict[str, list[str]]:
    """The tests of a file, each with the names of its decorators."""
    path = ROOT / "tests" / f"test_{stem}.py"
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return {node.name: [ast.unparse(mark) for mark in node.decorator_list] for node in functions}


@cache
def headings_with_output(notebook: str) -> set[str]:
    """The headings of a notebook below which a cell was run and gave something."""
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    found, heading = set(), None
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else ():
        for line in re.findall(r"^#+ +(.+?) *$", "".join(cell["source"]), re.M) if cell["cell_type"] != "code" else ():
            heading = line
        if cell["cell_type"] == "code" and cell["outputs"]:
            found.add(heading)
    return found


def fault(piece: dict) -> str | None:
    """Say what is wrong with a piece of evidence."""
    if "test" in piece:
        stem, name = piece["test"].split(": ")
        if name not in functions_of(stem):
            return f"tests/test_{stem}.py has no {name}"
        skipped = [mark for mark in functions_of(stem)[name] if "skip" in mark or "xfail" in mark]
        return f"{name} is not run: {skipped}" if skipped else None
    if "cell" in piece:
        notebook, heading = piece["cell"].split(": ", 1)
        there = heading in headings_with_output(notebook)
        return None if there else f"notebooks/{notebook}.ipynb shows nothing below {heading!r}"
    if "cite" in piece:
        there = f"{{{piece['cite']}," in (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
        return None if there else f"book/references.bib has no {piece['cite']}"
    try:
        claims.outcome(piece)
    except ValueError as error:
        return str(error)
    return None


def test_every_claim_is_there_once():
    assert [claim.id for claim in LEDGER.claims] == list(dict.fromkeys(claim.id for claim in LEDGER.claims))
    assert {claim.id for claim in LEDGER.claims} == set(IDS)


@pytest.mark.parametrize("claim", LEDGER.claims, ids=lambda claim: claim.id)
def test_the_evidence_is_there_and_says_so(claim):
    assert claim.evidence
    assert [found for piece in claim.evidence if (found := fault(piece))] == []


@pytest.mark.parametrize("claim", LEDGER.claims, ids=lambda claim: claim.id)
def test_a_claim_names_its_place_and_its_chapter(claim):
    assert claim.place
    assert all(claim.place.values())
    page = (ROOT / "book" / f"{claim.chapter}.md").read_text(encoding="utf-8")
    assert "```{claims}\n" in page


def test_what_holds_without_condition_has_more_than_references():
    papers_alone = [claim.id for claim in LEDGER.claims if all("cite" in piece for piece in claim.evidence)]
    assert papers_alone == []


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        ({"test": "attention: test_that_is_not_there"}, "has no test_that_is_not_there"),
        ({"test": "nothing: test_x"}, "tests/test_nothing.py has no test_x"),
        ({"rule": "attention: never-zero", "held": False}, "must have failed"),
        ({"rule": "attention: the-best-word-is-not-all", "held": True}, "must have held"),
        ({"rule": "attention: renamed", "held": True}, "no rule is called 'renamed'"),
        ({"rule": "nothing: at-all", "held": True}, "no results file"),
        ({"cell": "03_attention: No such heading"}, "shows nothing below 'No such heading'"),
        ({"cite": "nobody2000nothing"}, "has no nobody2000nothing"),
    ],
)
def test_missing_evidence_is_found(piece, said):
    assert said in fault(piece)


def test_a_skipped_test_is_no_evidence(monkeypatch):
    monkeypatch.setitem(globals(), "functions_of", lambda stem: {"test_x": ["pytest.mark.skip"]})
    assert "is not run" in fault({"test": "attention: test_x"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": "perhaps"}, "must be one of"),
        ({"place": {"elsewhere": "x"}}, "names ['elsewhere']"),
        ({"colour": "red"}, "must have the fields"),
        ({"evidence": [{"rule": "attention: never-zero"}]}, "held: true or false"),
        ({"evidence": [{"opinion": "ours"}]}, "a piece of evidence"),
    ],
)
def test_a_wrong_ledger_is_refused_by_the_id(tmp_path, change, said):
    content = yaml.safe_load(claims.LEDGER.read_text(encoding="utf-8"))
    content["claims"] = [content["claims"][0] | change]
    path = Path(tmp_path / "claims.yml")
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(claims.ClaimsError, match="bottleneck-by-length") as raised:
        claims.read(path)
    assert said in str(raised.value)


# --- on the pages ----------------------------------------------------------------------------------------------------


def test_each_builder_makes_its_own_links_of_the_same_parsed_pages(tmp_path):
    pages = {
        "index.md": "# Book\n\n```{toctree}\nbook/02_bottleneck\nbook/claims\n```\n",
        "book/02_bottleneck.md": "# One vector\n\n```{claims}\n```\n",
        "book/claims.md": "# Claims\n\n```{ledger}\n```\n",
    }
    whole, site = (build(tmp_path, pages, builder, extensions=("claims",)) for builder in ("singlehtml", "html"))
    assert site.read == []
    assert 'href="index.html#claim-bottleneck-by-length"' in whole.html("index")
    assert 'href="claims.html#claim-bottleneck-by-length"' in site.html("book/02_bottleneck")
    assert 'href="02_bottleneck.html#rule-bottleneck-' in site.html("book/claims")
    assert 'href="claims.html">' in site.html("book/02_bottleneck")
    assert any("03_attention" in line for line in whole.warnings)  # a chapter that is not there
