"""What all tests share: one thread, the same Hypothesis examples on every run, and the mark of browser tests."""

import os
import re

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import matplotlib
import pytest
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")

BROWSER = re.compile(r"^\s*(from|import) (tests\.browser|browser|playwright)\b", re.MULTILINE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of a file that imports the browser: `make test` builds the book before it runs these."""
    needs = {}
    for item in items:
        if item.path.suffix == ".py":
            if item.path not in needs:
                needs[item.path] = bool(BROWSER.search(item.path.read_text(encoding="utf-8")))
            if needs[item.path]:
                item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")  # only one Playwright can run at a time, so no file keeps its own longer than it runs
def browser():
    """One browser for all tests of a file."""
    from tests.browser import chromium

    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def maths(browser, request):
    """Calls a function of core.js and of the widget that the test's file is named after, with JSON arguments."""
    from tests.browser import javascript

    with javascript(browser, request.path.stem.removeprefix("test_widget_")) as call:
        yield call


@pytest.fixture(scope="session")
def site():
    """The address of the built book, in a sub-folder of its server: a site must not mind where it lies."""
    from tests.browser import SITE, serve

    with serve(SITE, "/books/weighing-attention/") as address:
        yield address
