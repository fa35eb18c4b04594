"""The built book in a real browser: every page, on a desktop and on a phone, in light and in dark."""

import importlib.util
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser import DESKTOP, PHONE, ROOT, SITE, Record, serve, settle, watch

PREFIX = "/books/weighing-attention/"  # the site must not mind where it lies
SIZES = {"desktop": DESKTOP, "phone": PHONE}
GRAVE = ("serious", "critical")
SHARES = 8

# What a page holds when a source was not understood: Markdown, roles, LaTeX.
RAW = re.compile(
    r"\\\(|\\\[|\$\$|\\(?:frac|begin|end|text|mathbb|operatorname|query|key|value|source|target|weight)\b"
    r"|```|\]\(|\*\*\w|\{[a-z][a-z:-]*\}`|:::"
)
READ_TEXT = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const lines = [];
  while (walker.nextNode()) {
    const holder = walker.currentNode.parentElement;
    if (!holder.closest("pre, code, script, style, noscript, mjx-container")) lines.push(walker.currentNode.data);
  }
  return lines;
}"""
FAILED_MATHS = """() => [...document.querySelectorAll("mjx-merror, [data-mjx-error]")]
  .map((node) => node.getAttribute("data-mjx-error") || node.textContent)"""
EMPTY_IMAGES = """async () => {
  const empty = [];
  for (const image of document.images) {
    image.loading = "eager";
    await image.decode().catch(() => {});
    if (!image.naturalWidth) empty.push(image.getAttribute("src"));
  }
  return empty;
}"""
TOO_WIDE = """() => {
  const { clientWidth, scrollWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const all = [...document.body.querySelectorAll("*")];
  const wide = all.filter((node) => node.getBoundingClientRect().right > clientWidth + 1);
  return wide.slice(-3).map((node) => node.outerHTML.slice(0, 90));
}"""
# In a long listing the same few colours come again and again: three pieces of each kind stand for all.
THIN_LISTINGS = """() => {
  const seen = {};
  for (const piece of document.querySelectorAll("pre span, dt.sig :is(span, em)")) {
    const kind = `${piece.className} in ${piece.closest(".admonition")?.className}`;
    seen[kind] = (seen[kind] || 0) + 1;
    if (seen[kind] > 3) piece.replaceWith(...piece.childNodes);
  }
  document.body.normalize();
}"""
FRAME = (".bar", ".contents", ".here", ".turn", ".colophon")  # what differs between a desktop and a phone


def pages(site: Path = SITE) -> list[str]:
    """Return the addresses of all pages of a built site, relative to it; index.html only leads to the front page."""
    found = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    if not found:
        raise FileNotFoundError(f"site must be a folder with built pages, but {site} has none; run: make book")
    return [page for page in found if not page.startswith("_static/") and page != "index.html"]


# --- every page ------------------------------------------------------------------------------------------------------


def look(page: Page, record: Record, base: str, theme: str) -> list[str]:
    """Return all that is wrong with the page that is open: all of it in ``theme``, its frame in the other one too."""
    settle(page)
    found = record.problems(base)
    found += [f"image without content: {source}" for source in page.evaluate(EMPTY_IMAGES)]
    found += [f"wider than the window: {node}" for node in page.evaluate(TOO_WIDE)]
    found += [f"raw text: {line.strip()[:90]!r}" for line in page.evaluate(READ_TEXT) if RAW.search(line)]
    found += [f"equation not understood: {error}" for error in page.evaluate(FAILED_MATHS)]
    page.evaluate(THIN_LISTINGS)
    found += violations(page)
    page.evaluate("document.querySelector('article')?.replaceChildren()")  # axe-core looks at every node of a page
    show(page, "light" if theme == "dark" else "dark")
    return found + violations(page, [part for part in FRAME if page.locator(part).count()], ["color-contrast"])


def show(page: Page, theme: str) -> None:
    """Let the system ask for ``theme``, and wait until the page has followed."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)


def violations(page: Page, parts: list[str] | None = None, rules: list[str] | None = None) -> list[str]:
    """Return what axe-core finds of level serious or critical in ``parts`` of the page, or in all of it."""
    if parts == []:
        return []
    where = [[part] for part in parts] if parts else "document"
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    run = "async ([where, options]) => (await axe.run(where === 'document' ? document : where, options)).violations"
    theme = page.evaluate("document.documentElement.dataset.theme")
    return [
        f"axe ({theme}): {rule['id']}: {node['html'][:90]}"
        for rule in page.evaluate(run, [where, options])
        if rule["impact"] in GRAVE
        for node in rule["nodes"][:3]
    ]


def open_page(browser: Browser, size: dict, theme: str = "light") -> Page:
    """Return a new window in which nothing moves, with axe-core at hand."""
    context = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
    context.add_init_script(Axe().axe_script)
    page = context.new_page()
    page.set_default_timeout(20_000)
    return page


def wrong(browser: Browser, site: str, names: list[str], size: str, theme: str) -> list[str]:
    """Return all that is wrong with the pages ``names``, opened one after the other in one window."""
    page = open_page(browser, SIZES[size], theme)
    record = watch(page)
    found = []
    for name in names:
        for lines in vars(record).values():
            lines.clear()
        page.goto(site + name)
        found += [f"{name}: {line}" for line in look(page, record, site, theme)]
    page.context.close()
    return found


# A window that has seen a hundred pages is slow, so each sees a share; the two classes can run side by side.
@pytest.mark.parametrize("share", range(SHARES))
class TestEveryPageOnADesktop:
    def test_nothing_is_wrong(self, browser, site, share):
        assert wrong(browser, site, pages()[share::SHARES], "desktop", "light") == []


@pytest.mark.parametrize("share", range(SHARES))
class TestEveryPageOnAPhone:
    def test_nothing_is_wrong(self, browser, site, share):
        assert wrong(browser, site, pages()[share::SHARES], "phone", "dark") == []


BROKEN = {
    "request leaves the site": '<link rel="stylesheet" href="http://127.0.0.2:9/x.css">',
    "request failed: 404": '<img src="none.png" alt="nothing">',
    "console": "<script>console.error('so')</script>",
    "error: so": "<script>throw new Error('so')</script>",
    "image without content": '<img src="broken.png" alt="nothing">',
    "wider than the window": '<div style="width: 2000px">wide</div>',
    "raw text: 'an equation $$x": "<p>an equation $$x^2$$</p>",
    "raw text: 'a role {numref}": "<p>a role {numref}`fig-one`</p>",
    "raw text: 'bold **text": "<p>bold **text**</p>",
    "equation not understood": '<mjx-container><mjx-merror data-mjx-error="Undefined"></mjx-merror></mjx-container>',
    "axe (light): button-name": "<button></button>",
    "axe (dark): color-contrast": "<style>[data-theme=dark] p { color: #222 }</style><p class='turn'>dark</p>",
    "axe (light): scrollable-region-focusable": f'<pre style="overflow: auto; width: 9em">{"word " * 99}</pre>',
}
SOUND = """<!DOCTYPE html><html lang="en"><head><title>A page</title><link rel="icon" href="data:,">
<style>html { background: #fff; color: #000 } html[data-theme=dark] { background: #000; color: #fff }</style></head>
<body><script>const dark = matchMedia("(prefers-color-scheme: dark)");
const set = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light" };
set(); dark.onchange = set;</script>
<main><h1>A page</h1><p>Text.</p>%s</main></body></html>"""


@pytest.fixture(scope="module")
def broken_site(tmp_path_factory) -> Path:
    """A folder with one sound page and one page for each fault that must be found."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "sound.html").write_text(SOUND % "", encoding="utf8")
    (folder / "broken.png").write_bytes(b"no picture")
    for number, fault in enumerate(BROKEN.values()):
        (folder / f"{number}.html").write_text(SOUND % fault, encoding="utf8")
    return folder


def faults_of(browser: Browser, site: Path, name: str) -> list[str]:
    """Return what ``look`` finds on one page of a site."""
    with serve(site) as address:
        page = open_page(browser, DESKTOP)
        record = watch(page)
        page.goto(address + name)
        found = look(page, record, address, "light")
        page.context.close()
    return found


def test_a_sound_page_passes(browser, broken_site):
    assert faults_of(browser, broken_site, "sound.html") == []


@pytest.mark.parametrize("fault", BROKEN)
def test_each_fault_is_found(browser, broken_site, fault):
    found = faults_of(browser, broken_site, f"{list(BROKEN).index(fault)}.html")
    assert any(line.startswith(fault) for line in found), found


# --- links -----------------------------------------------------------------------------------------------------------


class Links(HTMLParser):
    """What a page offers to link to, and what it links to."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: list[str] = []
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Note ids, and the addresses of links, images, scripts and styles."""
        given = dict(attributes)
        self.anchors += [given["id"]] if given.get("id") else []
        self.targets += [given[name] for name in ("href", "src") if given.get(name)]


def dead_links(site: Path) -> list[str]:
    """Return every internal link of a site that leads nowhere, and every id that a page has twice."""
    parsed = {page: Links((site / page).read_text(encoding="utf8")) for page in pages(site)}
    found = []
    for page, links in parsed.items():
        twice = {anchor for anchor in links.anchors if links.anchors.count(anchor) > 1}
        found += [f"{page}: id {anchor!r} stands twice" for anchor in sorted(twice)]
        for target in links.targets:
            address = urlsplit(urljoin(page, target))
            if address.scheme or address.netloc:
                continue
            path, anchor = unquote(address.path) or page, unquote(address.fragment)
            if not (site / path).is_file():
                found.append(f"{page}: {target} leads to no file")
            elif anchor and path in parsed and anchor not in parsed[path].anchors:
                found.append(f"{page}: {target} leads to no place on its page")
    return found


def test_every_link_leads_somewhere():
    assert dead_links(SITE) == []


def test_dead_links_are_found(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.html").write_text('<i id="x"></i><a href="../two.html#y"></a><a href="no.html"></a>')
    (tmp_path / "two.html").write_text('<a href="a/one.html#x"></a><a href="#z"></a><b id="w"></b><b id="w"></b>')
    assert dead_links(tmp_path) == [
        "a/one.html: ../two.html#y leads to no place on its page",
        "a/one.html: no.html leads to no file",
        "two.html: id 'w' stands twice",
        "two.html: #z leads to no place on its page",
    ]


# --- what a reader does ----------------------------------------------------------------------------------------------


def search(page: Page, words: str) -> list[str]:
    """Type ``words`` into the search field of the page that is open and return the titles found."""
    page.fill(".contents input[name=q]", words)
    page.press(".contents input[name=q]", "Enter")
    page.wait_for_function("document.querySelector('.search-summary')?.textContent.includes('inished')")
    return page.locator("ul.search li > a").all_inner_texts()


def test_search_finds_and_says_when_it_does_not(browser, site):
    page = open_page(browser, DESKTOP)
    record = watch(page)
    page.goto(site + "book/index.html")
    assert "Notation" in search(page, "expectation")
    page.wait_for_selector("p.context")
    prose = page.locator("li:not(:has(a[href*='/api/'])) p.context").all_inner_texts()  # a signature may hold **kept
    assert prose
    assert not RAW.search(" ".join(prose))
    page.goto(site + "book/index.html")
    page.fill(".contents input[name=q]", "zyzzyva")
    page.press(".contents input[name=q]", "Enter")
    page.wait_for_selector("text=did not match any documents")
    assert record.problems(site) == []
    page.context.close()


def test_the_book_opens_from_disk(browser):
    page = open_page(browser, DESKTOP)
    record = watch(page)
    for name in ("book/index.html", "book/notation.html"):
        page.goto((SITE / name).as_uri())
        settle(page)
    assert page.locator("mjx-container").count() > 0
    assert "Notation" in search(page, "expectation")
    assert record.problems("file:///") == []
    page.context.close()


def test_the_address_of_the_site_leads_to_the_front_page(browser, site):
    page = open_page(browser, DESKTOP)
    page.goto(site)
    page.wait_for_url(f"{site}book/index.html")
    page.context.close()


def test_an_address_that_is_no_code_of_a_text_harms_nothing(browser, site):
    page = open_page(browser, DESKTOP)
    record = watch(page)
    page.goto(site + "book/notation.html#100%")
    settle(page)
    assert page.locator("#contents a[aria-current=page]").inner_text().endswith("Notation")
    assert record.problems(site) == []
    page.context.close()


def test_the_reader_chooses_the_colours(browser, site):
    page = open_page(browser, DESKTOP)
    page.goto(site + "book/index.html")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(paper)
    assert dark != light
    page.goto(site + "book/notation.html")
    assert page.evaluate(paper) == dark  # the choice goes with the reader
    assert page.get_by_role("button", name="Dark").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Auto").click()
    assert page.evaluate(paper) == light
    show(page, "dark")
    assert page.evaluate(paper) == dark
    page.context.close()


def test_the_contents_open_and_close_on_a_phone(browser, site):
    page = open_page(browser, PHONE)
    page.goto(site + "book/index.html")
    contents = page.locator("#contents")
    assert not contents.is_visible()
    page.get_by_role("button", name="Contents").press("Enter")
    assert contents.is_visible()
    page.keyboard.press("Escape")
    assert not contents.is_visible()
    page.get_by_role("button", name="Contents").click()
    contents.get_by_role("link", name="Notation").click()
    page.wait_for_url("**/notation.html")
    assert not page.locator("#contents").is_visible()
    page.context.close()


def test_a_wide_equation_scrolls_by_keyboard_and_fades_where_it_goes_on(browser, site):
    page = open_page(browser, {"width": 320, "height": 700})
    page.goto(site + "book/notation.html")
    settle(page)
    box = page.locator("div.math > mjx-container").first
    page.evaluate("node => { node.style.width = '120px'; node.style.flex = 'none'; }", box.element_handle())
    page.evaluate("dispatchEvent(new Event('resize'))")
    assert box.get_attribute("tabindex") == "0"
    fades = [box.get_attribute("data-more-left") is not None, box.get_attribute("data-more-right") is not None]
    assert fades == [False, True]
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("node => node.scrollLeft > 0", arg=box.element_handle())
    page.evaluate("node => { node.scrollLeft = node.scrollWidth; }", box.element_handle())
    page.wait_for_function("node => !node.hasAttribute('data-more-right')", arg=box.element_handle())
    assert box.get_attribute("data-more-left") is not None
    page.context.close()


def test_pages_are_read_without_javascript(browser, site):
    context = browser.new_context(java_script_enabled=False, viewport=DESKTOP, color_scheme="dark")
    page = context.new_page()
    page.goto(site + "book/index.html")
    assert page.get_by_role("heading", level=1).inner_text().replace("\n", " ").startswith("Weighing Attention")
    assert page.get_by_role("link", name="Notation").first.is_visible()
    assert page.get_by_role("button", name="Dark").count() == 0  # a button that could do nothing is not shown
    page.screenshot()  # the page paints
    context.close()


# --- what the pages say ----------------------------------------------------------------------------------------------


def extension(name: str):
    """Load one of the book's Sphinx extensions."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_every_module_is_documented():
    text = "".join(page.read_text(encoding="utf8") for page in (SITE / "book" / "api").glob("*.html"))
    names = extension("house").module_names()
    assert "attention_src.attention" in names
    assert [name for name in names if f'id="module-{name}"' not in text] == []


def test_every_axis_is_explained():
    explained = set(
        re.findall(r"^\| (`.*?`) \|", (ROOT / "book" / "notation.md").read_text(encoding="utf8"), re.MULTILINE)
    )
    named = {name.strip("`") for cell in explained for name in cell.split(", ")}
    used = {}
    for file in sorted((ROOT / "attention_src").rglob("*.py")):
        for axes in re.findall(r'(?:Float|Int|Bool)\[Tensor, "([^"]*)"\]', file.read_text(encoding="utf8")):
            for axis in axes.split():
                used.setdefault(axis.lstrip("*#"), file.name)
    unexplained = {axis: file for axis, file in used.items() if not (axis in named or axis.isdigit() or axis == "...")}
    assert not unexplained, f"book/notation.md does not explain these axes: {unexplained}"
