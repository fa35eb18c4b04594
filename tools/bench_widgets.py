"""How fast the widgets of the built book are, in a browser: until one is ready, one step of its model, one move."""

import atexit
import contextlib
from functools import cache

from attention_src.experiments import bahdanau, bottleneck
from attention_src.widgets import base
from attention_src.widgets.steps import Steps
from attention_src.widgets.translator import Translator
from tests.browser import SITE, chromium

PAGE = SITE / "book" / "02_bottleneck.html"
FIGURE = "#widget-translator"
TIMES = 100


@cache
def browser():
    """A Chromium that is started once and closed at the end."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(chromium())


def opened():
    """The chapter's page, as soon as its widget is live."""
    page = browser().new_page()
    page.goto(PAGE.as_uri() + FIGURE)
    page.wait_for_selector(f"{FIGURE}[data-live]")
    return page


@cache
def ready():
    """A page with the widget, and with the functions of its script under ``window.all`` and a sentence half said."""
    page = opened()
    widget = Translator(**bottleneck.widget())
    page.evaluate(
        """async ([text, weights, kind]) => {
            const all = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
            const source = Array.from({ length: 32 }, (_, i) => 4 + i);
            window.said = all.translator(all.unpack(weights), kind)(source);
        }""",
        [base.script("translator"), widget.weights, widget.kind],
    )
    return page


def bench_page_opened_until_its_first_widget_is_ready() -> None:
    """The whole page, its scripts and its state."""
    opened().close()


def bench_100_steps_of_the_translator() -> None:
    """One step says one word."""
    ready().evaluate("n => { for (let i = 0; i < n; i++) said.step(5, said.state); }", TIMES)


def bench_100_moves_of_a_control() -> None:
    """Each move reads the sentence, shows it and lays out the page; a sentence seen before is not translated again."""
    ready().evaluate(
        """([id, n]) => {
            const slider = document.querySelector(`${id} input[type=range]`);
            for (let i = 0; i < n; i++) {
                slider.value = 3 + (i % 2);
                slider.dispatchEvent(new Event("input"));
                slider.getBoundingClientRect();
            }
        }""",
        [FIGURE, TIMES],
    )


@cache
def stepping():
    """The page of chapter 05, its widget at a sentence of 32 words, and a step of its model in ``window.looked``."""
    page = browser().new_page()
    page.goto((SITE / "book" / "05_bahdanau.html").as_uri() + "#widget-steps")
    page.wait_for_selector("#widget-steps[data-live]")
    page.fill("#widget-steps input[type=text]", " ".join(["the black cat sleeps and"] * 6 + ["i sleep"]))
    assert page.locator("#widget-steps .st-weights li").count() == 32
    widget = Steps(**bahdanau.widget())
    page.evaluate(
        """async ([text, weights, kind]) => {
            const all = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
            window.looked = all.translator(all.unpack(weights), kind)(Array.from({ length: 32 }, (_, i) => 4 + i));
        }""",
        [base.script("steps"), widget.weights, widget.kind],
    )
    return page


def bench_100_steps_that_look_first() -> None:
    """One step of the translator of chapter 05, over 32 source words."""
    stepping().evaluate("n => { for (let i = 0; i < n; i++) looked.step(5, looked.state); }", TIMES)


def bench_100_moves_to_another_step() -> None:
    """Each move shows another step of the translation of 32 words, and lays out the page."""
    stepping().evaluate(
        """n => {
            const slider = document.querySelector("#widget-steps input[type=range]");
            for (let i = 0; i < n; i++) {
                slider.value = 3 + (i % 2);
                slider.dispatchEvent(new Event("input"));
                slider.getBoundingClientRect();
            }
        }""",
        TIMES,
    )
