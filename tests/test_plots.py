"""The figures: what they draw, that the same input gives the same bytes, and what they say about wrong input."""

import io
import re
import subprocess
import sys
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib
import matplotlib.image
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from nbclient import NotebookClient

from attention_src import plots

ROWS, COLUMNS = ["le", "chat", "dort"], ["the", "cat", "does", "sleep", "."]
WEIGHTS = np.array([[0.75, 0.25, 0, 0, 0], [0, 1, 0, 0, 0], [0.004, 0.1, 0.2, 0.3, 0.396]])


@pytest.fixture(autouse=True)
def _style():
    with matplotlib.rc_context():
        plots.house_style()
        yield


def texts(svg):
    """The words of a figure, in the order in which they are drawn."""
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("}text")]


def figures():
    random = np.random.default_rng(0)
    return {
        "few": lambda noise: plots.heatmap(np.clip(WEIGHTS + noise, 0, 1), ROWS, COLUMNS, gold=[(0, 0), (2, 3)]),
        "many": lambda noise: plots.heatmap(np.eye(13, 11) * 0.7 + noise, ["word"] * 13, list("abcdefghijk")),
        "by_length": lambda noise: plots.by_length(
            ["3-10", "11-20"], {"one": (WEIGHTS[:, :2] + noise) * 90, "two": (WEIGHTS[:, 2:4] + noise) * 90}
        ),
        "lines": lambda noise: plots.lines_over_seeds([1, 2, 5], {"a": WEIGHTS[:, :3] + noise}, xlabel="x", ylabel="y"),
        "history": lambda noise: plots.history({"a": np.linspace(5, 1, 730) + noise, "b": random.random((2, 70)) * 0}),
        "document": lambda noise: plots.document(
            [["le", "chat"], [], ["dort"]], {"one": ([0.3 + noise, 0, 0.7], [[0.75 + noise, 0.25], [], [1]])}, [2]
        ),
    }


# --- what they draw --------------------------------------------------------------------------------------------------


def test_a_heatmap_shows_each_weight_and_label():
    svg = plots.to_svg(plots.heatmap(WEIGHTS, ROWS, COLUMNS))
    words = texts(svg)
    assert sorted(words) == sorted(ROWS + COLUMNS + [*"00000000", "1", ".75", ".25", ".10", ".20", ".30", ".40"])
    assert "<image" not in svg
    for weight in (0, 0.25, 0.75, 1):
        assert f"fill: {to_hex(plots.WEIGHTS(weight))}" in svg


def test_gold_links_are_outlined_in_their_cells():
    figure = plots.heatmap(WEIGHTS, ROWS, COLUMNS, gold={(2, 3)})
    boxes = [patch for patch in figure.axes[0].patches if to_hex(patch.get_edgecolor()) == plots.LIGHT["ink"]]
    assert len(boxes) == 1
    assert (int(boxes[0].get_x()), int(boxes[0].get_y())) == (3, 2)  # column 3, row 2


def test_a_large_heatmap_has_a_scale_and_no_numbers():
    figure = plots.heatmap(np.full((11, 13), 1 / 13), ["a"] * 11, ["b"] * 13)
    assert sorted(set(texts(plots.to_svg(figure)))) == [".5", "0", "1", "a", "b"]
    assert figure.get_figwidth() <= plots.WIDTH + 0.5


@pytest.mark.parametrize("weight", np.linspace(0, 1, 23))
def test_the_number_in_a_cell_can_be_read_in_both_themes(weight):
    shown = plots._readable_on(weight)
    names = {colour: name for name, colour in plots.LIGHT.items()}
    for theme in ("light", "dark"):
        cell = plots._on_scale(plots.PALETTE["weights"][theme], weight)
        text = plots.PALETTE[theme][names[shown]] if shown in names else shown
        assert plots._contrast(cell, text) > 3


def test_turned_labels_begin_over_their_columns():
    columns = ["anna ate figs", "mary went to rome", "what did anna eat?"]
    figure = plots.heatmap(np.eye(3), columns, columns)
    axes = figure.axes[0]
    figure.canvas.draw()
    labels = [label for label in axes.get_xticklabels() if label.get_visible()]
    assert [label.get_text() for label in labels] == columns
    for column, label in enumerate(labels):
        begins = axes.transData.inverted().transform(label.get_window_extent().min)[0]
        assert column + 0.2 < begins < column + 0.8


def test_contrast_by_hand():
    assert plots._contrast("white", "black") == pytest.approx(21)
    assert plots._contrast("#777777", "white") == pytest.approx(4.48, abs=0.01)  # the known border of 4.5


def test_a_document_shows_each_word_on_its_weight_once_for_each_reading():
    words, weights = [["le", "chat"], [], ["dort"]], ([0.3, 0.0, 0.7], [[0.75, 0.25], [], [1.0]])
    svg = plots.to_svg(plots.document(words, {"one": weights, "two": weights}, gold=[2]))
    panel = ["30 %", "le", "chat", "0 %", "★", "70 %", "dort"]
    assert [text for text in texts(svg) if text] == ["one", *panel, "two", *panel]
    for weight in (0.3, 0.75, 0.25, 1.0, 0.0, 0.7):
        assert svg.count(f"fill: {to_hex(plots.WEIGHTS(weight))}") >= 2


def test_a_sentence_is_drawn_as_far_as_there_is_room():
    words = ["word"] * 40
    svg = plots.to_svg(plots.document([words, words[:3]], {"one": ([0.5, 0.5], [[0.1] * 40, [0.1] * 3])}))
    shown = [text for text in texts(svg) if text in ("word", "…")]
    assert shown.count("…") == 1
    assert 8 < shown.index("…") < 20
    assert shown[shown.index("…") + 1 :] == ["word"] * 3


def test_lines_go_through_the_medians_and_dots_show_all_seeds():
    table = np.array([[1.0, 10, 5], [2, 30, 6], [9, 20, 7]])
    axes = plots.lines_over_seeds(["a", "b", "c"], {"one": table}, xlabel="x", ylabel="y").axes[0]
    line, dots = axes.lines[:2]
    assert line.get_ydata().tolist() == [2, 20, 6]
    assert sorted(zip(dots.get_xdata(), dots.get_ydata(), strict=True)) == sorted(
        (place, table[seed, place]) for seed in range(3) for place in range(3)
    )
    (bars,) = axes.collections
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[1, 9], [10, 30], [5, 7]]


def test_series_differ_without_colour():
    styles = [(str(dash), marker) for _, dash, marker in plots.SERIES]
    assert len({dash for dash, _ in styles}) == len({marker for _, marker in styles}) == len(styles)


def test_every_series_is_named_at_its_line_and_no_two_names_overlap():
    names = [f"size {size}" for size in (16, 32, 64, 128, 256)]
    figure = plots.by_length(["3-10", "11-20"], {name: np.zeros((3, 2)) + n for n, name in enumerate(names)})
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert [text.get_text() for text in figure.axes[0].texts] == names  # the lowest line first
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    assert min(box.y0 for box in boxes) > figure.axes[0].get_window_extent().y0 - 10


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([0, 50], [0, 50]),
        ([0, 4], [-3, 7]),  # pushed apart around their middle
        ([0, 0, 0], [-10, 0, 10]),
        ([0, 1, 30, 40], [-4.5, 5.5, 30, 40]),
        ([0, 1, 12], [-10 / 3 - 7 / 3, 10 / 3 + 1, 43 / 3]),
    ],
)
def test_labels_move_apart_by_hand(wanted, found):
    assert plots._apart(wanted, 10) == pytest.approx(found)


def test_history_averages_blocks_of_steps():  # 730 steps: blocks of 8, the last one of 2
    losses = np.arange(730.0)
    line = plots.history({"a": losses}).axes[0].lines[0]
    assert len(line.get_xdata()) == 92
    assert line.get_xdata()[[0, -1]].tolist() == [4.5, 729.5]
    assert line.get_ydata()[[0, -1]].tolist() == pytest.approx([3.5, 728.5], abs=1)


def test_a_tensor_that_learns_can_be_drawn():
    plots.heatmap(torch.full((3, 5), 0.2, requires_grad=True), ROWS, COLUMNS)


# --- bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", figures())
def test_the_same_input_gives_the_same_bytes_and_noise_does_not_show(name):
    draw = figures()[name]
    first = plots.to_svg(draw(0))
    assert plots.to_svg(figures()[name](0)) == first
    assert plots.to_svg(figures()[name](2e-5)) == first
    assert plots.to_svg(figures()[name](0.05)) != first


def test_a_picture_inside_a_figure_stays_in_it():
    figure = Figure()
    figure.add_subplot().imshow([[0, 1], [1, 0]])
    assert '<image xlink:href="data:image/png;base64,' in plots.to_svg(figure).replace("\n", "")


def test_another_process_gives_the_same_bytes():
    code = "from attention_src import plots; plots.house_style(); print(plots.to_svg(plots.history({'a': [3, 2, 1]})))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == plots.to_svg(plots.history({"a": [3, 2, 1]})) + "\n"
    assert done.stderr == ""


@pytest.mark.parametrize("name", figures())
def test_the_svg_is_clean(name):
    svg = plots.to_svg(figures()[name](0))
    assert "'Source Sans 3', 'DejaVu Sans'" in svg
    assert not re.search(r"<metadata|<style|<!--|<image|\d\.\d{3}", svg)
    allowed = set(plots.LIGHT.values()) | set(plots.PALETTE["dark"].values())
    allowed |= {to_hex(plots.WEIGHTS(level)) for level in range(256)}
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= allowed
    used, defined = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', svg)), set(re.findall(r' id="([^"]+)"', svg))
    assert used == defined
    assert all(re.fullmatch(r"wa-[0-9a-f]{8}-\d+", name) for name in used)


def test_a_notebook_shows_a_figure_once_as_svg():
    cells = [
        "from attention_src import plots\nplots.house_style()",
        "plots.history({'a': [3, 2, 1]})",
        "from matplotlib import pyplot\nplots.history({'a': [3, 2, 1]}, ax=pyplot.subplots()[1])\npyplot.show()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    assert notebook.cells[0].outputs == []
    for cell in notebook.cells[1:]:
        (output,) = cell.outputs
        assert sorted(output.data) == ["image/svg+xml", "text/plain"]
        assert output.data["image/svg+xml"] == plots.to_svg(plots.history({"a": [3, 2, 1]}))
        assert output.data["text/plain"] == "<Figure size 500x300 with 1 Axes>"


# --- wrong input -----------------------------------------------------------------------------------------------------

NAN = np.where(WEIGHTS == 0.3, np.nan, WEIGHTS)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: plots.heatmap(WEIGHTS[0], ROWS, COLUMNS), "weights must have 2 axes, none of them empty"),
        (lambda: plots.heatmap(WEIGHTS[:0], [], COLUMNS), "its shape is (0, 5)"),
        (lambda: plots.heatmap(NAN, ROWS, COLUMNS), "weights must hold finite numbers; at (2, 3) it holds nan"),
        (
            lambda: plots.heatmap(2 * WEIGHTS, ROWS, COLUMNS),
            "must lie between 0 and 1; they lie between 0 and 2",
        ),
        (lambda: plots.heatmap(WEIGHTS, COLUMNS, ROWS), "rows must hold 3 labels, as weights has 3 rows; it holds 5"),
        (
            lambda: plots.heatmap(WEIGHTS, ROWS, ROWS),
            "columns must hold 5 labels, as weights has 5",
        ),
        (lambda: plots.heatmap(WEIGHTS, ROWS, COLUMNS, gold=[(3, 2)]), "inside (3, 5); it holds (3, 2)"),
        (lambda: plots.heatmap(WEIGHTS, ROWS, COLUMNS, gold=[(0, -1)]), "it holds (0, -1)"),
        (lambda: plots.by_length(["3-10"], {"a": [[101.0]]}), "series['a'] must hold percent, 0 to 100"),
        (lambda: plots.by_length(["3-10"], {"a": [[1.0, 2]]}), "series['a'] must have shape (seeds, 1)"),
        (lambda: plots.by_length(["3-10"], {"a": [1.0]}), "series['a'] must have 2 axes"),
        (lambda: plots.by_length(["3-10"], {"a": [["x"]]}), "series['a'] must hold numbers"),
        (lambda: plots.by_length(["3-10"], {}), "series must hold 1 to 6 lines; it holds 0"),
        (lambda: plots.by_length(["3-10"], {str(n): [[n]] for n in range(7)}), "it holds 7. Draw two figures"),
        (lambda: plots.history({}), "losses must hold 1 to 6 lines; it holds 0"),
        (lambda: plots.history({"a": [1, np.inf]}), "losses['a'] must hold finite numbers; at (1,) it holds inf"),
        (lambda: plots.history({"a": np.ones((2, 3, 5))}), "losses['a'] must have 1 or 2 axes"),
    ],
)
def test_wrong_input_is_named(draw, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        draw()
    assert words in str(caught.value)


# --- pictures of cells -----------------------------------------------------------------------------------------------


def test_a_picture_is_drawn_pixel_by_pixel():
    picture = np.zeros((3, 2, 5))
    picture[0, 0, 4] = 1  # red, in the upper right corner
    drawn = matplotlib.image.imread(io.BytesIO(plots.pixels(picture, size=10)), format="png")
    assert drawn.shape[:2] == (4, 10)
    assert drawn[0, 9, :3].tolist() == drawn[1, 8, :3].tolist() == [1, 0, 0]
    assert drawn[..., :3].sum() == 4
    assert plots.pixels(picture) == plots.pixels(picture)


@pytest.mark.parametrize("wrong", [np.zeros((2, 3, 3)), np.full((3, 2, 2), 1.5), np.full((3, 2, 2), -0.5)])
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(ValueError, match=r"picture must have shape \(3, down, across\) and numbers from 0 to 1"):
        plots.pixels(wrong)


def test_objects_and_maps_have_their_first_cell_at_the_upper_left():
    things = [("#cc3333", "circle"), ("#33cc33", "square"), ("#3333cc", "diamond"), ("#cccc33", "square")]
    (axes,) = plots.objects(2, things, looks=[1]).axes
    assert axes.get_ylim() == (2, 0)
    centres = [polygon.get_path().get_extents().intervalx.mean() for polygon in axes.patches[1:5]]
    assert centres == pytest.approx([0.5, 1.5, 0.5, 1.5])
    assert [text.get_text() for text in axes.texts] == ["1"]
    assert axes.texts[0].get_position() == (1.22, 0.24)
    (axes,) = plots.cells([[0.0, 2.0], [1.0, 0.5]], looks=[1, 2]).axes
    assert axes.collections[0].get_array().ravel().tolist() == [0, 1, 0.5, 0.25]
    assert [text.get_position() for text in axes.texts] == [(1.22, 0.24), (0.22, 1.24)]


def test_objects_must_fill_the_square():
    with pytest.raises(ValueError, match="things must hold one for each of 2 x 2 cells; it holds 1"):
        plots.objects(2, [("#cc3333", "circle")])
