"""One widget in a real JupyterLab: a control changes the Python object, and Python moves the picture."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser import ROOT, chromium

CELLS = [
    "from tests.test_widgets import translator\n\nw = translator()\nw",
    "print('Python has:', w.sentence)",
    "w.sentence = 'the dog eats a red pear'",
]
QUIET = [
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port=0",
    "--ServerApp.allow_root=True",
    "--IdentityProvider.token=",
    "--LabApp.news_url=",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    "--LabApp.expose_app_in_browser=True",
]


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that shows one notebook, with settings and files of its own."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    (tmp_path / "files").mkdir()
    nbformat.write(notebook, tmp_path / "files" / "widget.ipynb")
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    environment = os.environ | own | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", *QUIET, f"--ServerApp.root_dir={tmp_path / 'files'}"]
    with (
        open(tmp_path / "log", "w", encoding="utf-8") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            yield wait_for(tmp_path / "log", server)
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(timeout=10)
            server.kill()


def wait_for(log, server, seconds=90):
    """The server's address, once it answers."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        lines = log.read_text("utf-8").split()
        found = [word for word in lines if word.startswith("http://127.0.0.1:") and word.endswith("/lab")]
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if found and urllib.request.urlopen(found[0].removesuffix("lab") + "api", timeout=5).status == 200:
                return found[0].removesuffix("lab")
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text('utf-8')}")


def test_the_widget_and_python_move_each_other(lab):
    with chromium() as browser, contextlib.closing(browser.new_page()) as page:
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.goto(lab + "lab/tree/widget.ipynb?reset")
        page.get_by_text("| Idle").wait_for()  # before that, running a cell asks which kernel to use
        page.wait_for_function("() => jupyterapp.shell.currentWidget?.sessionContext?.isReady")

        def run(cell):
            page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-InputPrompt").click()
            page.evaluate("void jupyterapp.commands.execute('notebook:run-cell')")

        run(0)
        box = page.locator(".wa-widget input[type=text]")
        expect(box).to_have_value("the cat sleeps")
        assert [word for word in page.locator(".tr-result .tr-truth").all_inner_texts() if word != "·"] == [
            "le",
            "chat",
            "dort",
        ]
        ink = "getComputedStyle(document.querySelector('.wa-widget')).getPropertyValue('--wa-ink')"
        light = page.evaluate(ink)
        page.locator(".wa-widget input[type=range]").fill("2")
        expect(box).to_have_value("the cat sleeps and the queen loves a small bird")
        run(1)
        printed = page.locator(".jp-OutputArea-output pre", has_text="Python has:")
        expect(printed).to_have_text("Python has: the cat sleeps and the queen loves a small bird")
        run(2)
        expect(box).to_have_value("the dog eats a red pear")
        expect(page.locator(".tr-score")).to_contain_text("6 English words")
        page.evaluate("void jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
        page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
        assert page.evaluate(ink) not in ("", light)
