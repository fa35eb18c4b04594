"""A percent sign stays with its number, and short code on its line."""

import re

import pytest

from tests.sphinx_pages import build, extension

extension("spacing")  # so that Sphinx finds it
PAGE = """# 5 % in a title

About 80 % of them, **90** % here, `70 %` as typed, and $x < 60 % 7$.

```text
50 % of this
```
"""


def test_a_percent_sign_stays_on_the_line_of_its_number(tmp_path):
    settings = {"myst_enable_extensions": ["dollarmath"]}
    built = build(tmp_path, {"index.md": PAGE}, extensions=("spacing",), **settings)
    page = built.html("index").replace("&#160;", "\xa0")
    assert all(text in page for text in ("<h1>5\xa0% in a title", "80\xa0% of", "<strong>90</strong>\xa0% here"))
    assert "60 % 7" in page
    assert "50 % of this" in page
    assert ">70\xa0%<" not in page


def test_short_code_is_marked_and_long_code_may_break(tmp_path):
    page = "# Code\n\n`(N, T)`, `--source a.en --target a.fr` and `attention_src.experiments.results`.\n"
    html = build(tmp_path, {"index.md": page}, extensions=("spacing",)).html("index")
    kinds = [set(kind.split()) & {"whole", "short"} for kind in re.findall(r'<code class="([^"]+)">', html)]
    assert kinds == [{"whole"}, {"short"}, set()]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("It is $x$, and $y$.", [("x", ","), ("y", ".")]),
        ("Of ($x$) one, $n$-th, $x$.", [("(x)", ""), ("n", "-th,"), ("x", ".")]),
        ("No $x$ here, $y$ *there*.", []),
        ("From $a$–$b$, *far*$c$, $d$**near**.", [("a–", ""), ("b", ","), ("c", ",")]),
        ("Both local-m and local-p, not a well-known one.", [("local-m", ""), ("local-p", "")]),
        ("The link not–ne, but `a-b` and $c-d$ are.", [("not–ne", "")]),
    ],
)
def test_a_formula_keeps_its_marks_and_a_name_its_letters(tmp_path, text, kept):
    settings = {"myst_enable_extensions": ["dollarmath"]}
    built = build(tmp_path, {"index.md": f"# Page\n\n{text}\n"}, extensions=("spacing",), **settings)
    spans = re.findall(
        r'<span class="together">((?:<span class="math[^>]*>.*?</span>|[^<])*)</span>', built.html("index")
    )
    assert [re.sub(r"<[^>]+>|\\[()]", "", span) for span in spans] == ["".join(one) for one in kept]
    assert all(built.text("index").count(word) >= text.count(word) for word in ("one", "far", "near"))
