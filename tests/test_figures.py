"""Figures in pages: SVG made safe, themed and numbered, from diagrams, charts and notebooks."""

import json
import re
import sys
import textwrap
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.colors import to_hex

from attention_src import plots
from attention_src.experiments import Places
from tests.sphinx_pages import build, extension

figures = extension("figures")
ROOT = Path(__file__).resolve().parents[1]
INK, MUTED = plots.LIGHT["ink"], plots.LIGHT["muted"]


SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def svg(inside="", **root):
    """A small SVG file."""
    attributes = " ".join(f'{name}="{value}"' for name, value in {"viewBox": "0 0 30 20", **root}.items())
    return f"<svg {SPACES} {attributes}>{inside}</svg>"


def inline(inside="", **root):
    """It, as it goes into a page."""
    return figures.inline_svg(svg(inside, **root), "f1", "What it shows")


# --- one SVG ---------------------------------------------------------------------------------------------------------


def test_the_root_by_hand():
    assert inline() == (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 30 20" '
        'style="width: 30px; max-width: 100%; height: auto;" '
        'id="f1" role="img" aria-label="What it shows" class="wa-figure" />'
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"width": "30pt", "height": "15pt"}, "width: 40px;"),
        ({"width": "50", "height": "15"}, "width: 50px;"),
        ({"style": "stroke-linecap: butt"}, "height: auto; stroke-linecap: butt"),
    ],
)
def test_the_size_of_the_root(given, shown):
    text = inline(**given)
    assert shown in text
    assert not re.search(r' (width|height)="', text)


def test_a_title_inside_gives_way_to_the_alt_text():
    assert "secret" not in inline("<title>secret</title><desc>secret</desc><metadata>secret</metadata>")


@pytest.mark.parametrize(
    ("element", "shown"),
    [
        (f'<path style="fill: {INK}; stroke:{MUTED.upper()}"/>', "fill: var(--wa-ink); stroke: var(--wa-muted)"),
        (f'<path fill="{INK}" style="opacity: .5"/>', "fill: var(--wa-ink); opacity: .5"),
        ('<path style="fill: var(--wa-query)" stroke="none"/>', "stroke: none; fill: var(--wa-query)"),
        ("<text style=\"font-family: 'Source Sans 3', sans-serif\">a</text>", "font-family: var(--wa-font-label)"),
        ('<text font-family="var(--wa-font-code)">a</text>', 'style="font-family: var(--wa-font-code)"'),
        (f'<path fill="{plots.PALETTE["dark"]["ink"]}"/>', f"fill: {plots.PALETTE['dark']['ink']}"),
    ],
)
def test_colours_become_variables(element, shown):
    text = inline(element)
    assert shown in text
    assert ' fill="' not in text


def test_every_weight_of_a_heatmap_becomes_a_place_on_the_scale():
    for level in range(256):
        colour = to_hex(plots.WEIGHTS(level))
        shown = figures.themed(colour)
        parts = re.fullmatch(r"color-mix\(in srgb, var\(--wa-weight-(\d)\) ([\d.]+)%, var\(--wa-weight-(\d)\)\)", shown)
        if parts:
            above, share, below = int(parts[1]), float(parts[2]) / 100, int(parts[3])
            assert above == below + 1
            assert (below + share) / 4 == pytest.approx(level / 255, abs=0.0006 + 1 / 255)
        else:
            assert colour in (plots.LIGHT["paper"], *plots.PALETTE["weights"]["light"])
    assert (
        figures.themed(to_hex(plots.WEIGHTS(102))) == "color-mix(in srgb, var(--wa-weight-2) 60.0%, var(--wa-weight-1))"
    )


def test_colours_that_are_one_in_the_light_are_one_in_the_dark():  # or a page could not tell which is meant
    names = {}
    for theme in ("light", "dark"):
        colours = plots.PALETTE[theme] | {f"weight-{n}": c for n, c in enumerate(plots.PALETTE["weights"][theme])}
        for name, colour in colours.items():
            names.setdefault((theme, colour), set()).add(name)
    same_in_the_light = [group for (theme, _), group in names.items() if theme == "light" and len(group) > 1]
    for group in same_in_the_light:
        assert any(group <= other for (theme, _), other in names.items() if theme == "dark")


def test_a_mix_follows_its_light_colour_for_browsers_that_cannot_mix():
    colour = to_hex(plots.WEIGHTS(100))
    assert re.search(rf"fill: {colour}; fill: color-mix\(", inline(f'<path style="fill: {colour}"/>'))


def test_ids_are_made_unique_wherever_they_are_used():
    text = inline(
        '<defs><marker id="tip"/><path id="p"/></defs><use xlink:href="#p"/><use href="#p"/>'
        '<path marker-end="url(#tip)" style="clip-path: url(#tip)"/>'
        "<style>#p { fill: none } .a #tip { fill: none }</style>"
    )
    assert set(re.findall(r' id="([^"]+)"', text)) == {"f1", "f1-tip", "f1-p"}
    assert re.findall(r' href="([^"]+)"', text) == ["#f1-p", "#f1-p"]
    assert text.count("url(#f1-tip)") == 2
    assert "xlink" not in text
    assert "#f1 { #f1-p {fill: none} .a #f1-tip {fill: none} }" in text  # nested: it reaches nothing else in the page


def test_words_keep_their_blanks_and_elements_lose_theirs():
    text = inline("\n<g>\n <text>one <tspan>two</tspan> three</text>\n</g>\n")
    assert "<g><text>one <tspan>two</tspan> three</text></g>" in text


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("<script>alert(1)</script>", "must not hold a script element"),
        ('<path onclick="alert(1)"/>', "must not hold a script (attribute onclick)"),
        ("<foreignObject/>", "must not hold a foreignObject element"),
        ('<a href="javascript:alert(1)"/>', "must not load anything"),
        ('<use href="other.svg#a"/>', "must not load anything"),
        ('<image href="http://example.org/a.png"/>', "must not hold a image element"),
        ('<path style="fill: url(http://example.org/a)"/>', "must not load anything"),
        ("<style>@import 'a.css';</style>", "must not load anything"),
        ("<style>@font-face {}</style>", "must not hold a rule that begins with @"),
        ('<animate attributeName="href"/>', "must not hold a animate element"),
        ('<path fill="#123456"/>', "the colour #123456 is not in attention_src/palette.json"),
        ('<path style="stroke: red"/>', "the colour red is not in"),
        ("<style>.a { fill: #123456 }</style>", "the colour #123456 is not in"),
        ('<path fill="var(--wa-quary)"/>', "the variable --wa-quary is none of the book's"),
        ("<path>", "it is no SVG"),
    ],
)
def test_what_a_page_must_not_hold_is_refused(inside, words):
    with pytest.raises(figures.FigureError) as caught:
        inline(inside)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "<html/>", '<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg"/>']
)
def test_other_files_are_refused(text):
    with pytest.raises(figures.FigureError):
        figures.inline_svg(text, "f1", "alt")


def test_bitmaps_that_are_inside_may_stay():
    assert "data:image/png;base64,AA==" in inline('<image xlink:href="data:image/png;base64,AA=="/>')


def test_every_plot_can_be_shown():
    plots.house_style()
    weights = np.random.default_rng(0).dirichlet(np.ones(11), 13)
    for figure in (
        plots.heatmap(weights, ["a"] * 13, ["b"] * 11, gold=[(2, 3)]),
        plots.heatmap(weights[:2, :5], "ab", "cdefg"),
        plots.by_length(["1-2", "3-5"], {str(n): weights[:, :2] for n in range(6)}),
        plots.history({"a": [3, 2, 1]}),
    ):
        text = figures.inline_svg(plots.to_svg(figure), "f1", "alt")
        left = set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r"fill: #\w+; fill: color-mix", "", text)))
        left = set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r"stroke: #\w+; stroke: color-mix", "", " ".join(left))))
        assert left <= set(plots.PALETTE["dark"].values()) | {to_hex(plots.WEIGHTS(level)) for level in range(256)}
        assert not left & set(plots.LIGHT.values())


def test_fixed_colours_for_formats_without_variables():
    text = figures.plain_svg(svg('<path style="fill: var(--wa-ink)" stroke="var(--wa-weight-4)"/>'))
    assert f"fill: {INK}" in text
    assert f'stroke="{plots.PALETTE["weights"]["light"][4]}"' in text


def test_every_diagram_of_the_pages_can_be_shown():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "book" / "figures").glob("*.svg")]
    shown = [text for text in texts if "var(--wa-" in text]  # the others are for README
    assert shown
    for text in shown:
        figures.inline_svg(text, "f1", "alt")


# --- pages -----------------------------------------------------------------------------------------------------------

CHARTS = """
    from pathlib import Path
    from attention_src.plots import history

    def falling(results):
        with open(Path(__file__).parent / "drawn", "a") as drawn:
            drawn.write("x")
        return history({"toy": results.at("a.loss")})

    SETTINGS, PARTS, RULES, TOLERANCE = {}, {}, [], {}
    CHARTS = {"falling": falling, "broken": lambda results: results.over_seeds("b")}
"""

PAGE = """
# Page

See {numref}`fig-box`, {numref}`fig-chart` and {numref}`fig-weights`.

```{diagram} pictures/box.svg
:name: fig-box
:alt: A box in ink.
:width: 77
The *box*.
```

```{chart} toy.falling
:name: fig-chart
:alt: A falling line.
A chart.
```

```{toctree}
lab
```
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A folder for pages with a diagram, a notebook, and an experiment that has charts."""
    package = f"charts_of_{tmp_path.name}".replace("-", "_")
    code = tmp_path / "code" / package
    code.mkdir(parents=True)
    (code / "toy.py").write_text(textwrap.dedent(CHARTS))
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    results = tmp_path / "book" / "results"
    results.mkdir(parents=True)
    parts = {"stem": "toy", "rules": [], "seeds": {"0": {"a": {"loss": [3, 2, 1]}}, "1": {"a": {"loss": [4, 3, 2]}}}}
    empty = {name: {} for name in ("command", "versions", "settings", "tolerance", "models", "seconds")}
    (results / "toy.json").write_text(json.dumps(empty | parts))
    monkeypatch.setattr(figures, "PLACES", Places(package, results))
    pictures = tmp_path / "book" / "pictures"
    pictures.mkdir()
    (pictures / "box.svg").write_text(svg('<path id="a" style="fill: var(--wa-ink)"/><use href="#a"/>'))
    (tmp_path / "book" / "lab.ipynb").write_text(notebook())
    yield tmp_path / "book"
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def notebook(alt="A grid of weights."):
    """A notebook with one figure, stored as it was executed."""
    picture = plots.to_svg(plots.heatmap([[0.25, 0.75]], ["le"], ["the", "cat"]))
    cell = nbformat.v4.new_code_cell("figure", id="one", execution_count=1)
    cell.metadata["mystnb"] = {"figure": {"name": "fig-weights", "caption": "Weights."}, "image": {"alt": alt}}
    data = {"image/svg+xml": picture, "text/plain": "<Figure>"}
    cell.outputs = [nbformat.v4.new_output("execute_result", data, execution_count=1)]
    cells = [nbformat.v4.new_markdown_cell("# Lab", id="zero"), cell]
    language = {"language_info": {"name": "python", "pygments_lexer": "python"}}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=language | kernel))


def drawn(book):
    return len((book.parent / "code" / figures.PLACES.package / "drawn").read_text())


def build_figures(book, pages, builder="html"):
    return build(book, pages, builder, extensions=("figures",))


def test_figures_are_inlined_numbered_and_named(book):
    built = build_figures(book, {"index.md": PAGE})
    assert built.warnings == []
    page, lab = built.html("index"), built.html("lab")
    assert "See Figure 1 , Figure 2 and Figure 3 ." in built.text("index")
    assert re.search(r'<figure[^>]* id="fig-box">\s*<svg [^>]*aria-label="A box in ink."', page)
    assert '<p><span class="caption-number">Figure 1 </span><span class="caption-text">The <em>box</em>.</span>' in page
    assert "width: 77px;" in page
    assert re.search(r'<figure[^>]* id="fig-weights">\s*<svg [^>]*aria-label="A grid of weights."', lab)
    assert "color-mix(in srgb, var(--wa-weight-" in lab
    assert page.count('role="img"') == 2
    assert "<img" not in page + lab
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_charts_are_drawn_again_only_if_something_changed(book):
    build_figures(book, {"index.md": PAGE})
    assert drawn(book) == 1
    assert build_figures(book, {"index.md": PAGE}).read == []
    again = build_figures(book, {"index.md": PAGE + "\nMore.\n"})
    assert again.read == ["index"]
    assert drawn(book) == 1
    path = book / "results" / "toy.json"
    path.write_text(path.read_text().replace("[3, 2, 1]", "[3, 2.5, 1]"))
    assert build_figures(book, {"index.md": PAGE + "\nMore.\n"}).read == ["index"]
    assert drawn(book) == 2
    (book / "pictures" / "box.svg").write_text(svg('<path style="fill: var(--wa-query)"/>'))
    assert "fill: var(--wa-query)" in build_figures(book, {"index.md": PAGE + "\nMore.\n"}).html("index")


def test_one_page_for_all_has_all_figures(book):
    built = build_figures(book, {"index.md": PAGE}, "singlehtml")
    assert built.warnings == []
    page = built.html("index")
    assert page.count('role="img"') == 3
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_formats_without_variables_get_a_file_or_the_words(book):
    built = build_figures(book, {"index.md": PAGE}, "epub")
    files = [path.read_text() for path in (built.folder / "_images").glob("*.svg")]
    assert len(files) == 3
    assert not any("var(" in text for text in files)
    built = build_figures(book, {"index.md": PAGE}, "text")
    assert "*A box in ink.*" in (built.folder / "index.txt").read_text()
    assert "*A falling line.*" in (built.folder / "index.txt").read_text()


def test_a_notebook_figure_without_alt_text_fails_the_build(book):
    built = build_figures(book, {"index.md": PAGE, "lab.ipynb": notebook(alt="")})
    assert len(built.warnings) == 1
    assert "lab.ipynb" in built.warnings[0]
    assert "no alt text" in built.warnings[0]


def test_a_notebook_figure_in_other_colours_fails_the_build(book):
    built = build_figures(book, {"index.md": PAGE, "lab.ipynb": notebook().replace(INK, "#1f77b4")})
    assert len(built.warnings) == 1
    assert "the colour #1f77b4 is not in attention_src/palette.json" in built.warnings[0]


WRONG = {
    "```{diagram} pictures/box.svg\nCaption.\n```": "diagram pictures/box.svg needs an :alt: that says what it shows",
    "```{diagram} pictures/box.svg\n:alt: Box\n```": "diagram pictures/box.svg needs a caption",
    "```{diagram} pictures/no.svg\n:alt: Box\nCaption.\n```": "there is no diagram pictures/no.svg",
    "```{diagram} pictures/bad.svg\n:alt: Box\nCaption.\n```": "bad.svg: an SVG of the book must not hold a script",
    "```{chart} toy.falling\nCaption.\n```": "needs an :alt:",
    "```{chart} toy.rising\n:alt: Line\nCaption.\n```": "toy has no chart 'rising'; it has: broken, falling",
    "```{chart} toy.broken\n:alt: Line\nCaption.\n```": "chart toy.broken: no measure 'b' in toy.json",
    "```{chart} boy.falling\n:alt: Line\nCaption.\n```": "there is no experiment 'boy'",
    "```{chart} falling\n:alt: Line\nCaption.\n```": "a chart is named as in bottleneck.by_length; not 'falling'",
}


def test_wrong_figures_fail_the_build_with_page_and_line(book):
    (book / "pictures" / "bad.svg").write_text(svg("<script/>"))
    text, lines = PAGE, {}
    for wrong in WRONG:
        lines[wrong] = text.count("\n") + 1
        text += wrong + "\n\n"
    warnings = build_figures(book, {"index.md": text}).warnings
    for wrong, words in WRONG.items():
        found = [warning for warning in warnings if f"index.md:{lines[wrong]}:" in warning and words in warning]
        assert len(found) == 1, f"{wrong} at {lines[wrong]}: {warnings}"
    assert len(warnings) == len(WRONG)


# --- still pictures of widgets ---------------------------------------------------------------------------------------


def test_a_colour_of_none_of_the_palettes_stays_only_where_it_may():
    svg = f'<svg {SPACES} viewBox="0 0 9 9"><path style="fill: #0a0b0c"/><path style="fill: #ffffff"/></svg>'
    with pytest.raises(figures.FigureError, match="the colour #0a0b0c is not in"):
        figures.inline_svg(svg, "f", "x")
    assert 'style="fill: #0a0b0c"' in figures.inline_svg(svg.replace("#ffffff", "none"), "f", "x", foreign=True)


def test_a_still_picture_of_a_map_follows_the_theme():
    shades = {to_hex(plots.WEIGHTS(level)) for level in (40, 100, 180)}  # between the steps of the scale
    cells = "".join(f'<path style="fill: {shade}"/>' for shade in shades)
    shown = figures.inline_svg(f'<svg {SPACES} viewBox="0 0 9 9">{cells}</svg>', "f", "x", foreign=True)
    assert shown.count("fill: color-mix(in srgb, var(--wa-weight-") == 3
