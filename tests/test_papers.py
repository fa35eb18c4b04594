"""Numbers that papers report: each has a place and a state, each is used, and none is typed in its page."""

import re
from pathlib import Path

import pytest
import yaml

from attention_src.experiments import ROOT
from tests.sphinx_pages import build, extension

papers = extension("papers")
ENTRIES = papers.read()
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")}
HERE = PAGES["papers.md"]


@pytest.mark.parametrize("name", ENTRIES)
def test_a_paper_is_in_the_bibliography_and_its_sources_on_the_page(name):
    paper = ENTRIES[name].paper
    assert f"{{{paper}," in (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert f"```{{reported-from}} {paper}\n" in HERE
    assert f"{{cite:t}}`{paper}`" in HERE


@pytest.mark.parametrize("name", ENTRIES)
def test_numbers_are_as_printed_and_say_when_they_were_read(name):
    entry = ENTRIES[name]
    assert [number for number in entry.numbers.values() if not re.fullmatch(r"\d+(\.\d+)?", number)] == []
    assert (entry.read == "never") == (entry.state == "unchecked")
    assert entry.how.endswith(".")


def test_each_number_is_used():
    used = set(re.findall(r"\{reported\}`([^`]+)`", "".join(PAGES.values())))
    assert {f"{name}.{part}" for name, entry in ENTRIES.items() for part in entry.numbers} == used


def test_the_page_types_no_result():
    prose = re.sub(r"\{[\w:]+\}`[^`]*`|^:alt:.*$", "", HERE, flags=re.M)
    assert re.findall(r"\d+\.\d+", prose) == []


# --- what a reader sees ----------------------------------------------------------------------------------------------

FIND = "shaw2018self:parts.none"


def page(text: str) -> dict[str, str]:
    """A book of one page."""
    return {"index.md": f"# Page\n\n{text}\n"}


def test_a_number_shows_its_place_and_state(tmp_path):
    built = build(tmp_path, page(f"It is {{reported}}`{FIND}`."), extensions=("papers",))
    assert built.warnings == []
    abbreviation = re.search(r'<abbr class="reported" title="([^"]+)">([^<]+)</abbr>', built.html("index"))
    assert abbreviation.groups() == ("table 3, arXiv 1803.02155; read in the text of the paper", "12.5")


def test_a_number_that_nobody_checked_says_so_in_words(tmp_path):
    built = build(tmp_path, page("{reported}`yang2016hierarchical:pooling.mean`"), extensions=("papers",))
    assert "67.0 (not checked)" in built.text("index")


def test_sources_and_counts(tmp_path):
    text = "```{reported-from} yang2016hierarchical\n```\n\n```{reported-states}\n```"
    built = build(tmp_path, page(text), extensions=("papers",))
    assert built.warnings == []
    words = built.text("index")
    assert "Table 2 (NAACL 2016), right answers in percent" in words
    assert "Read where others quote it : One set of notes that quotes this row. Read on 29 November 2026." in words
    assert "Not checked : From memory. We found no copy of these rows." in words
    assert "Read on never" not in words
    total = sum(len(entry.numbers) for entry in ENTRIES.values())
    assert f"Not checked : 2 of {total} numbers" in words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{reported}`nobody2000:x.1`", "'nobody2000:x' is none of book/papers.yml, which has: bahdanau2015neural:bleu"),
        ("{reported}`shaw2018self:parts.all`", "has no number 'all'; it has: both, keys, values, none"),
        ("{reported}`shaw2018self:parts`", "has no number ''"),
        ("```{reported-from} nobody2000\n```", "has nothing of the paper 'nobody2000'"),
    ],
)
def test_an_unknown_number_is_found_with_page_and_line(tmp_path, text, said):
    built = build(tmp_path, page(text), extensions=("papers",))
    assert len(built.warnings) >= 1
    assert said in built.warnings[0]
    assert "index.md:3" in built.warnings[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": "perhaps"}, "must be one of ['text', 'quoted', 'unchecked']"),
        ({"place": ""}, "these are empty: ['place']"),
        ({"numbers": {"a": 21.5}}, "must stand in quotes, as printed, but these do not: [21.5]"),
        ({"colour": "red"}, "must have the fields"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_name(tmp_path, change, said):
    entry = yaml.safe_load(papers.FILE.read_text(encoding="utf-8"))[0]
    path = Path(tmp_path / "papers.yml")
    path.write_text(yaml.safe_dump([entry | change]), encoding="utf-8")
    with pytest.raises(papers.PapersError, match=r"bahdanau2015neural:bleu") as raised:
        papers.read(path)
    assert said in str(raised.value)


def test_an_entry_stands_once(tmp_path):
    entry = yaml.safe_load(papers.FILE.read_text(encoding="utf-8"))[0]
    path = Path(tmp_path / "papers.yml")
    path.write_text(yaml.safe_dump([entry, entry]), encoding="utf-8")
    with pytest.raises(papers.PapersError, match=r"bahdanau2015neural:bleu must stand once"):
        papers.read(path)
