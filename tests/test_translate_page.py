"""The page of `translate --html` in a browser: one file, alive, with what the model looked at."""

import json

import pytest
import torch
from playwright.sync_api import expect
from torch.testing import assert_close

from attention_src.data.vocabulary import BEGIN
from attention_src.translate.__main__ import main
from attention_src.translate.errors import BadInputError
from attention_src.translate.pages import page
from attention_src.translate.runs import learned, load
from attention_src.translate.speaking import EMPTY, Spoken
from attention_src.widgets.base import rounded
from tests.browser import DESKTOP, PHONE, check_access, javascript, opened, serve

WEIGHTS = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
NASTY = "</script><b>bold</b> /*STATE*/ & more"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of three lines, one of them empty, served from a folder in which it is alone."""
    folder = tmp_path_factory.mktemp("page")
    said = [
        Spoken("le chat", ["the", "small", "cat"], ["le", "chat"], WEIGHTS, {(0, 0), (2, 1)}),
        EMPTY,
        Spoken(NASTY, NASTY.split(), ["mot"], torch.full((1, 4), 0.25), set()),
    ]
    (folder / "page.html").write_text(page(["the small cat", "", NASTY], said), "utf-8")
    with serve(folder) as base:
        yield f"{base}page.html"


@pytest.mark.parametrize("window", [DESKTOP, PHONE])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_page_lives_alone(browser, address, window, colours):
    with opened(browser, address, "html", viewport=window, color_scheme=colours) as shown:
        cells = shown.locator(".ln-map tbody button")
        expect(cells).to_have_count(6)
        assert [cell.inner_text() for cell in cells.all()] == ["●", "", "", "", "", "●"]
        expect(shown.locator(".ln-result")).to_have_text("2 links are said.")
        assert "weight 0.60; said" in cells.nth(5).get_attribute("aria-label")
        cells.nth(1).click()
        expect(shown.locator(".ln-result")).to_have_text("3 links are said.")
        check_access(shown, "body")
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
        lines = shown.locator("#sentences li")
        expect(lines).to_have_count(2)
        expect(lines.nth(1).locator("span")).to_have_text(NASTY)
        lines.nth(1).locator("button").press("Enter")
        expect(shown.locator(".ln-map thead th")).to_have_text(NASTY.split())
        expect(shown.locator(".ln-result")).to_have_text("1 links are said.")
        expect(shown.locator(".ln-field select").first).to_have_value("1")


def test_the_book_still_judges_where_the_truth_is_known(browser, address):
    with opened(browser, address, "html") as shown:
        known = shown.evaluate(
            """async () => {
                const text = JSON.parse(document.getElementById("code").textContent);
                const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
                const map = { title: "a", source: ["x"], target: ["y"], weights: [[1]], gold: [[0, 0]] };
                const state = { maps: [map], chosen: 0, reading: "largest", least: 0.3, shift: 0, toggled: [] };
                const el = document.createElement("div");
                document.body.append(el);
                (await import(url)).default.render({ model: { get: name => state[name], set() {}, on() {} }, el });
                return el.innerText;
            }"""
        )
    assert "1 links are said, 1 of them true; 1 are true." in known
    assert "said and true, ✕ said and not true" in known


def test_nothing_said_is_no_page():
    with pytest.raises(BadInputError, match="nothing was translated"):
        page([""], [EMPTY])


FIRST_STEP = """({ weights, kind }, source, begin) => {
    const { state, step } = all.translator(all.unpack(weights), kind)(source);
    return step(begin, state).logits;
}"""


@pytest.mark.parametrize("model", ["bottleneck", "bahdanau", "luong"])
def test_what_is_exported_runs_in_the_books_widget(browser, tmp_path, model):
    pairs, out = tmp_path / "pairs.tsv", tmp_path / "weights.json"
    pairs.write_text("".join(f"a{n} b{n}\tx{n} y{n}\n" for n in range(9)))
    sizes = ["--width", "4", "--hidden", "6", "--epochs", "1", "--model", model]
    assert main(["train", "--pairs", str(pairs), "--out", str(tmp_path / "run"), *sizes]) == 0
    assert main(["export", "--run", str(tmp_path / "run"), "--out", str(out)]) == 0
    told = json.loads(out.read_text("utf-8"))
    source = [told["source_words"].index(word) for word in ("a3", "b5", "a0")]
    python = rounded(learned(load(tmp_path / "run")), told["weights"]).double()
    with torch.no_grad():
        memory, state = python.encode(torch.tensor([source]), torch.ones(1, 3, dtype=torch.bool))
        logits = python.step(torch.tensor([BEGIN]), state, memory).logits[0]
    with javascript(browser, "side") as call:
        found = call(FIRST_STEP, told, source, BEGIN)
    assert_close(torch.tensor(found, dtype=torch.float64), logits, rtol=0, atol=1e-5)
