"""A percent sign stays with its number, and short code on its line."""

import re

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
    page = "# Code\n\n`--source a.en` and `attention_src.experiments.results`.\n"
    html = build(tmp_path, {"index.md": page}, extensions=("spacing",)).html("index")
    short = ["short" in kind for kind in re.findall(r'<code class="([^"]+)">', html)]
    assert short == [True, False]
