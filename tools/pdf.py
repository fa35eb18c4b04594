"""Print the whole book to one PDF file."""

import sys
import threading
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
"""
MARGIN = {"top": "18mm", "bottom": "20mm", "left": "16mm", "right": "16mm"}
FOOTER = (
    '<div style="width: 100%; text-align: center; font: 8px sans-serif; color: #5b6070">'
    '<span class="pageNumber"></span></div>'
)


def wait_for_everything(page: Page) -> None:
    """Wait for fonts, equations and every picture: what is not there yet would be missing on paper."""
    page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(image => { image.loading = 'eager' })")
    page.evaluate("() => window.equations")
    page.wait_for_function("() => [...document.images].every(image => image.complete)")
    page.evaluate("() => document.fonts.ready.then(() => true)")


def print_pdf(folder: Path, target: Path) -> None:
    """Open the book that lies in ``folder`` as one page, in the light theme, and print it to ``target``."""
    with serve.server(0, folder) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_or_install(), args=list(ARGUMENTS))
            page = browser.new_page(color_scheme="light")
            page.goto(f"http://127.0.0.1:{running.server_port}/{at_the_top(folder)}", wait_until="load")
            page.emulate_media(media="print")
            page.add_style_tag(content=STYLE)
            page.evaluate("document.title = document.querySelector('h1').firstChild.textContent")
            wait_for_everything(page)
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
        running.shutdown()


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
        print_pdf(SINGLE, PDF)
    except NoBrowser as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\nThe book is printed in {PDF.relative_to(book.ROOT)} ({PDF.stat().st_size / 1e6:.1f} MB).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
