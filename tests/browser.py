"""Helpers for tests in a real browser: serve a folder, start Chromium, open a page and write down what it does."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, sync_playwright

from attention_src.widgets import base
from tools.browser import ARGUMENTS, find_or_install
from tools.serve import Quiet, beside

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
DESKTOP = {"width": 1300, "height": 900}
PHONE = {"width": 375, "height": 740}


class Handler(Quiet):
    """Serves files below a sub-path, as a site that shares its host with others; everything else is not found."""

    prefix = "/"

    def translate_path(self, path: str) -> str:
        """Map an address to a file; what lies outside the sub-path maps to a file that does not exist."""
        inside = path.startswith(self.prefix)
        return super().translate_path("/" + path.removeprefix(self.prefix) if inside else "/.outside-the-site")


@contextlib.contextmanager
def serve(folder: Path, prefix: str = "/") -> Iterator[str]:
    """Serve ``folder`` on a free port of this machine below ``prefix``; the address ends with a slash."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"folder must be a folder with files to serve, but {folder} is none; run: make book")
    with beside(folder, type("Handler", (Handler,), {"prefix": prefix})) as address:
        yield address.removesuffix("/") + prefix


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start a Chromium that asks nobody but the page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_or_install(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Record:
    """What a page did: the addresses it asked for, those that failed, what it wrote to the console, its errors."""

    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def outside(self, base: str) -> list[str]:
        """Return the addresses that lie outside the site at ``base``."""
        return [url for url in self.requests if not url.startswith((base, "data:", "blob:"))]

    def problems(self, base: str) -> list[str]:
        """Return all that must not happen, each as a line to read."""
        return [
            *(f"request leaves the site: {url}" for url in self.outside(base)),
            *(f"request failed: {line}" for line in self.failed),
            *(f"console: {line}" for line in self.console),
            *(f"error: {line}" for line in self.errors),
        ]


def watch(page: Page) -> Record:
    """Write down from now on what ``page`` does."""
    record = Record()
    page.on("request", lambda request: record.requests.append(request.url))
    # ERR_ABORTED is the browser's own decision, as when the page is left before its icon has come.
    page.on(
        "requestfailed",
        lambda request: (
            request.failure == "net::ERR_ABORTED" or record.failed.append(f"{request.failure} {request.url}")
        ),
    )
    page.on(
        "response", lambda response: response.status < 400 or record.failed.append(f"{response.status} {response.url}")
    )
    page.on("console", lambda line: line.type in ("error", "warning") and record.console.append(line.text))
    page.on("pageerror", lambda error: record.errors.append(str(error)))
    return record


def settle(page: Page) -> None:
    """Wait until the page is loaded, its letters are there and its equations are set."""
    page.wait_for_load_state("load")
    page.evaluate("async () => { await document.fonts.ready; await window.equations; }")


def only(live: str, text: str) -> str:
    """Return a page's text with nothing in its article but the figure ``live`` (``#`` and its id)."""
    figure = re.search(rf'<figure class="wa-live" id="{live[1:]}".*?</figure>', text, re.DOTALL)
    if not figure:
        raise ValueError(f"live must name a widget's figure of the page, but there is none with the id {live[1:]!r}")
    before, _, rest = text.partition("<article>")
    return f"{before}<article><h1>{live[1:]}</h1>{figure[0]}</article>{rest.partition('</article>')[2]}"


@contextlib.contextmanager
def staged(browser: Browser, url: str, live: str, **settings) -> Iterator[Page]:
    """Open a page of the book without the prose around its widget ``live``: to lay out a chapter takes seconds."""

    def reduce(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=only(live, response.text()))

    def prepare(page: Page) -> None:
        page.route(url.partition("#")[0], reduce)

    with opened(browser, url, live, quiet=False, before=prepare, **settings) as page:
        yield page


@contextlib.contextmanager
def opened(
    browser: Browser,
    url: str,
    live: str | None,
    quiet: bool = True,
    before: Callable[[Page], None] = lambda page: None,
    **settings,
) -> Iterator[Page]:
    """Open a page in a fresh window and wait until the widget ``live`` lives; nothing may go wrong after it.

    :param before: what is done to the empty window before
    """
    settings = {"viewport": {"width": 1000, "height": 900}} | settings
    with contextlib.closing(browser.new_context(**settings)) as context:
        page = context.new_page()
        page.set_default_timeout(10_000)
        before(page)
        record = watch(page)
        page.goto(url)
        if live:
            page.wait_for_selector(f"{live}[data-live]", timeout=20_000)
        yield page
        if quiet:
            assert record.problems(url.rpartition("/")[0]) == []


@contextlib.contextmanager
def javascript(browser: Browser, name: str) -> Iterator[Callable]:
    """Call functions of core.js and of the widget ``name``: ``call("(x, y) => all.dot(x, y)", [1, 2], [3, 4])``."""
    with contextlib.closing(browser.new_page()) as page:
        page.evaluate(
            """async text => {
                window.all = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
                const inside = x => Object.fromEntries(Object.entries(x).map(([name, part]) => [name, plain(part)]));
                window.plain = x => ArrayBuffer.isView(x) ? [...x] : Array.isArray(x) ? x.map(plain)
                    : x && typeof x === "object" ? inside(x) : x;
            }""",
            base.script(name),
        )
        yield lambda expression, *args: page.evaluate(f"args => plain((({expression}))(...args))", list(args))


@contextlib.contextmanager
def alone(page: Page, selector: str) -> Iterator[None]:
    """Take out what stands beside ``selector`` in its article: axe-core asks for the style of each node of a page."""
    taken = page.evaluate_handle(
        """selector => {
            const top = scrollY, kept = [...document.querySelectorAll(selector)], taken = [];
            for (let node of kept)
                for (; !node.matches("article, body"); node = node.parentElement)
                    for (const other of [...node.parentElement.children]) {
                        if (kept.some(one => other.contains(one))) continue;
                        const mark = document.createComment("");
                        other.replaceWith(mark);
                        taken.push(() => mark.replaceWith(other));
                    }
            return () => { taken.forEach(back => back()); scrollTo(0, top); };
        }""",
        selector,
    )
    yield
    taken.evaluate("back => back()")


def check_access(page: Page, selector: str) -> None:
    """Assert that axe-core finds nothing inside ``selector``."""
    with alone(page, selector):
        found = Axe().run(page, context={"include": [selector]}).response["violations"]
    assert [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]] == []


def check_inside(page: Page, selector: str, *scrolling: str) -> None:
    """Assert that nothing of the widget ``selector`` that can be seen stands out to its right.

    :param scrolling: the parts that may be wider inside, because they scroll
    """
    box = page.locator(f"{selector} .wa-widget").bounding_box()
    far = page.locator(f"{selector} .wa-widget *").evaluate_all(
        """(all, hidden) => Math.max(...all.filter(n => !n.closest(hidden))
            .map(n => n.getBoundingClientRect().right))""",
        ", ".join([".wa-spoken", *scrolling]),
    )
    assert far <= box["x"] + box["width"]
