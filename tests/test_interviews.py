"""Questions of interviews: the boxes of the chapters, and the page of all of them."""

import re

import pytest

from tests.chapters import ROOT, numbered
from tests.sphinx_pages import build, extension

extension("interviews")  # so that Sphinx finds it

ONE = """# One vector

(sec-far)=
## Far away

Text.

| a | b |
| --- | --- |
| 1 | 2 |

```{interview} Why one *vector*?
:level: first
:shown: sec-far, tab-two

**In a minute.** It is short. See {numref}`tab-two`, {ref}`sec-far` and [above](#far-away).

**One level deeper.** It is *long*.
```

```{interview} Which bug?
:level: hard

A mask.
```
"""
TWO = """# Two

```{list-table} Two.
:name: tab-two

* - a
```

```{interview} Which bug?
:level: first
:shown: eq-two

$$
x
$$ (eq-two)

Another mask.
```

```{interview} Without a level?

Then it is in the middle.
```
"""
ALL = """# All

```{levels}
```

## In short

```{minute}
- 02_bottleneck: Why one *vector*?
```

## Vectors

```{interviews} 02_bottleneck 03_attention
```
"""
INDEX = "# Book\n\n```{toctree}\n02_bottleneck\n03_attention\nall\n```\n"


def build_pages(folder, builder="html", **changed):
    """Two chapters and the page of all questions."""
    pages = {"index": INDEX, "02_bottleneck": ONE, "03_attention": TWO, "all": ALL}
    pages |= {name.removeprefix("page_"): text for name, text in changed.items()}
    pages = {f"{name}.md": text for name, text in pages.items()}
    settings = {"myst_enable_extensions": ["dollarmath"], "myst_heading_anchors": 3}
    return build(folder, pages, builder, extensions=("interviews",), **settings)


# --- in the chapter --------------------------------------------------------------------------------------------------


def test_a_box_says_how_far_it_goes_and_what_shows_it(tmp_path):
    built = build_pages(tmp_path)
    assert built.warnings == []
    page, text = built.html("02_bottleneck"), built.text("02_bottleneck")
    assert "It is long . Asked first · Shown in Far away and Table 1" in text
    assert "A mask. Hard Previous" in text.replace("quick search", "") or "A mask. Hard" in text
    assert 'href="#sec-far"' in page
    assert 'href="03_attention.html#tab-two"' in page
    assert 'id="interview-2-why-one-vector"' in page
    assert "Another mask. Asked first · Shown in (1)" in built.text("03_attention")
    assert 'class="where"' in built.html("03_attention").partition("Without a level?")[0]
    assert 'class="where"' not in built.html("03_attention").partition("Without a level?")[2]


# --- the page of all -------------------------------------------------------------------------------------------------


def test_all_questions_stand_by_level_each_closed_with_its_chapter(tmp_path):
    built = build_pages(tmp_path)
    page = built.html("all").partition("<h2>Vectors")[2]
    levels = re.findall(
        r'<div class="level (\w+) docutils container">(.*?)(?=<div class="level|</section>)', page, re.S
    )
    found = {level: re.findall(r"<summary><span>(.*?)</span></summary>", text) for level, text in levels}
    two, three = ' <span class="from">chapter 2</span>', ' <span class="from">chapter 3</span>'
    assert list(found.items()) == [
        ("first", [f"Why one <em>vector</em>?{two}", f"Which bug?{three}"]),
        ("deeper", [f"Without a level?{three}"]),
        ("hard", [f"Which bug?{two}"]),
    ]
    assert page.count("<details") == page.count('<details class="answer asked">') == 4
    text = built.text("all").partition("Vectors")[2]
    assert "It is long . Chapter 2, One vector · Shown in Far away and Table 1" in text
    assert 'href="02_bottleneck.html#interview-2-why-one-vector">Chapter 2, One vector<' in page


def test_the_page_of_all_loads_what_sets_equations_if_a_copy_holds_one(tmp_path):
    def loads(built):
        return re.findall(r"<script[^>]*mathjax", built.html("all")) != []

    assert loads(build_pages(tmp_path / "with"))
    without = TWO.replace("$$\nx\n$$ (eq-two)\n", "").replace(":shown: eq-two\n", "")
    assert not loads(build_pages(tmp_path / "without", page_03_attention=without))


def test_a_copy_keeps_its_links_and_doubles_no_id(tmp_path):
    built = build_pages(tmp_path)
    page = built.html("all").partition('role="main"')[2]
    assert 'href="03_attention.html#tab-two"' in page
    assert 'href="02_bottleneck.html#far-away"' in page
    assert page.count('href="02_bottleneck.html#sec-far"') == 3  # in the answer twice, and under it
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "eq-two" not in " ".join(ids)
    whole = build_pages(tmp_path, "singlehtml")
    assert whole.warnings == []
    ids = re.findall(r' id="([^"]+)"', whole.html("index"))
    assert len(ids) == len(set(ids))
    assert "<details" not in whole.html("index")
    assert "<input" not in whole.html("index")


def test_in_a_minute_takes_the_paragraph_alone(tmp_path):
    part = build_pages(tmp_path).text("all").partition("In short")[2].partition("Vectors")[0]
    assert "Why one vector ? It is short. See Table 1 , Far away and above . Chapter 2, One vector" in part
    assert "long" not in part


def test_the_page_follows_the_chapters(tmp_path):
    build_pages(tmp_path)
    assert build_pages(tmp_path).read == []
    again = build_pages(tmp_path, page_03_attention=TWO.replace("Another mask", "Two masks"))
    assert set(again.read) == {"03_attention", "all"}
    assert "Two masks" in again.text("all")


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "old", "new", "said"),
    [
        (
            "02_bottleneck",
            ":level: first",
            ":level: easy",
            "02_bottleneck.md:12: ERROR: interview: :level: must be one of first, deeper, hard, but",
        ),
        (
            "02_bottleneck",
            "tab-two\n\n",
            "tab-too\n\n",
            "02_bottleneck.md:12: WARNING: interview: :shown: names 'tab-too', which is no figure",
        ),
        (
            "all",
            "{interviews} 02_bottleneck",
            "{interviews} 02_bottle",
            "md:14: WARNING: no page 02_bottle has a question",
        ),
        ("all", "{interviews} 02_bottleneck", "{interviews} index", "no page index has a question"),
        ("all", "Why one *vector*?", "Why two?", "md:8: WARNING: no box 'Why two?' of 02_bottleneck has a paragraph"),
        ("02_bottleneck", "**In a minute.**", "**Soon.**", "has a paragraph that begins with **In a minute.**"),
    ],
)
def test_wrong_names_fail_the_build_with_page_and_line(tmp_path, page, old, new, said):
    text = {"02_bottleneck": ONE, "all": ALL}[page]
    assert old in text
    warnings = build_pages(tmp_path, **{f"page_{page}": text.replace(old, new)}).warnings
    assert sum(said in line for line in warnings) == 1, warnings


# --- the book's page -------------------------------------------------------------------------------------------------


def test_each_chapter_stands_under_one_topic_and_ten_answers_take_a_minute():
    page = (ROOT / "book" / "interview.md").read_text(encoding="utf-8")
    listed = " ".join(re.findall(r"```\{interviews\} (.*)", page)).split()
    assert sorted(listed) == [f"{number}_{stem}" for number, stem in numbered(ROOT)]
    (minute,) = re.findall(r"```\{minute\}\n(.*?)```", page, re.S)
    assert len(minute.strip().splitlines()) == 10
