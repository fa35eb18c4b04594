"""How long the book takes to build: from nothing, after one page changed, and with nothing changed."""

import os
import subprocess
import sys

from tools import book


def build() -> None:
    """Run what `make book` runs, without its output."""
    subprocess.run([sys.executable, "-m", "tools.book"], cwd=book.ROOT, stdout=subprocess.DEVNULL, check=True)


def bench_from_nothing() -> None:
    """Build all pages."""
    book.forget()
    build()


def bench_one_page_changed() -> None:
    """Build after a page has a newer time, which is what Sphinx goes by."""
    os.utime(book.ROOT / "book" / "notation.md")
    build()


def bench_nothing_changed() -> None:
    """Build when there is nothing to do."""
    build()
