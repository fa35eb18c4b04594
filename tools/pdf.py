"""Print the whole book to one PDF file."""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tools import book, serve
from tools.browser import ARGUMENTS, NoBrowser, find_or_install

PDF = book.BUILD / "weighing-attention.pdf"
PRINTED = "print.html"
SINGLE = book.BUILD / "singlehtml"
# Paper is white already; a chapter begins on a new page, and what belongs together stays together.
STYLE = """
html, body { background: white !important; }
[id^="document-"] + section { break-before: page; }
h1, h2, h3, h4, dt { break-after: avoid; }
pre, figure, table, svg { break-inside: avoid; }
pre { white-space: pre-wrap !important; overflow-wrap: anywhere; }
.scroll-x, pre, div.math > mjx-container[display="true"] { overflow: visible !important; }
article > *, :is(div[class*="highlight-"], .literal-block-wrapper, div.cell, .admonition) { max-width: 100%; }
:is(div[class*="highlight-"], .literal-block-wrapper, div.cell, .admonition) { margin-inline: 0 !important; }
.wa-note { display: block !important; }
"""
PATIENCE = 600_000  # ms: thousands of equations in one page take a slow machine minutes
MARGIN = {"top": "18mm", "bottom": "20mm", "left": "16mm", "right": "16mm"}
COLUMN = round((210 - 2 * 16) / 25.4 * 96)  # the width of the text on an A4 page, in CSS pixels
FOOTER = (
    '<div style="width: 100%; text-align: center; font: 8px sans-serif; color: #5b6070">'
    '<span class="pageNumber"></span></div>'
)


# What a reader opens by hand is open on paper, and a still picture says where it lives.
OPEN = """site => {
  document.querySelectorAll("details").forEach(details => { details.open = true });
  let page = "";
  for (const node of document.querySelectorAll("[id^=document-], .wa-note"))
    if (node.id) page = node.id.slice("document-".length);
    else {
      const figure = node.closest("figure")?.id;
      node.textContent = "This figure moves in the book’s web edition" + (site ? ": " : ".");
      if (site && figure) {
        const link = document.createElement("a");
        link.href = link.textContent = `${site}${page}.html#${figure}`;
        node.append(link);
      }
    }
}"""
# A table or an equation that is wider than the page is set smaller, step by step; code is wrapped by the style.
FIT = """width => {
  for (const node of document.querySelectorAll("table, mjx-container[display=true]")) {
    const inner = node.matches("table") ? node : node.querySelector("mjx-math");
    const box = () => inner.getBoundingClientRect();
    const right = () => Math.max(box().right, box().left + inner.scrollWidth);
    const edge = Math.min(node.parentElement.getBoundingClientRect().right, width);
    for (let size = 95; right() > edge + 1 && size >= 40; size -= 5) node.style.fontSize = `${size}%`;
  }
}"""
TOO_WIDE = """width => {
  const clipped = node => node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).overflowX !== "visible";
  const hidden = "mjx-assistive-mml, mjx-assistive-mml *, mjx-math *, .visually-hidden, .wa-widget, .wa-widget *"
    + ", .skip";
  const wide = node => !node.matches(hidden) && node.getClientRects().length
    && (node.getBoundingClientRect().right > width + 1.5 || node.getBoundingClientRect().left < -1.5 || clipped(node));
  let page = "";
  const found = [];
  for (const node of document.body.querySelectorAll("*")) {
    if (node.id?.startsWith("document-")) page = node.id.slice("document-".length);
    if (wide(node) && ![...node.children].some(wide))
      found.push(`${page}: ${Math.round(node.getBoundingClientRect().right)} px: ${node.outerHTML.slice(0, 120)}`);
  }
  return found;
}"""


class TooWide(Exception):
    """Something does not fit the width of a page."""


def lay_out(page: Page, site: str = "") -> None:
    """Prepare the one page for paper: all of it there, all of it open, and nothing wider than the text.

    :param site: the address of the web edition, where the figures move; empty if it has none
    :raises TooWide: if something is wider all the same; it would be cut
    """
    page.emulate_media(media="print")
    page.set_viewport_size({"width": COLUMN, "height": 1000})
    page.add_style_tag(content=STYLE)
    page.evaluate(OPEN, site)
    wait_for_everything(page)
    page.evaluate(FIT, COLUMN)
    if wide := page.evaluate(TOO_WIDE, COLUMN):
        raise TooWide("wider than the page:\n" + "\n".join(wide))


def wait_for_everything(page: Page) -> None:
    """Wait for fonts, equations and every picture: what is not there yet would be missing on paper."""
    page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(image => { image.loading = 'eager' })")
    page.evaluate("() => window.equations")
    page.wait_for_function("() => [...document.images].every(image => image.complete)")
    page.evaluate("() => document.fonts.ready.then(() => true)")


def print_pdf(folder: Path, target: Path, site: str = "") -> None:
    """Open the book that lies in ``folder`` as one page, in the light theme, and print it to ``target``."""
    with serve.beside(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_or_install(), args=list(ARGUMENTS))
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(PATIENCE)
        page.goto(address + at_the_top(folder), wait_until="load")
        page.evaluate("document.title = document.querySelector('h1').firstChild.textContent")
        lay_out(page, site)
        page.pdf(
            path=target,
            format="A4",
            margin=MARGIN,
            print_background=True,
            display_header_footer=True,
            header_template="<div></div>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )
        browser.close()


def at_the_top(folder: Path) -> str:
    """Put a copy of the book's one page into ``folder`` itself and return its name.

    Sphinx writes it where the root page of _toc.yml lies, but with paths that hold for the top folder.
    """
    pages = [path for path in folder.rglob("*.html") if "_static" not in path.parts and path.name != PRINTED]
    page = max(pages, key=lambda path: path.stat().st_size)  # the others lead to it
    text = page.read_text(encoding="utf-8").replace(f'href="{page.relative_to(folder).as_posix()}#', 'href="#')
    (folder / PRINTED).write_text(text, encoding="utf-8")
    return PRINTED


def main() -> int:
    """Build the book as one page and print it."""
    if status := book.build(builder=("--builder", "custom", "--custom-builder", "singlehtml")):
        print("\nThe book was not built, so nothing was printed. The lines above say why.", file=sys.stderr)
        return status
    try:
        print_pdf(SINGLE, PDF, book.address())
    except (NoBrowser, TooWide) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\nThe book is printed in {PDF.relative_to(book.ROOT)} ({PDF.stat().st_size / 1e6:.1f} MB).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
