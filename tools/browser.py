"""Find a Chromium that starts, or get one."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# A browser that asks nobody but the page: no first-run pages, no updates, no background traffic.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOW_TO_INSTALL = """No Chromium was found and none could be installed. Install one, then run make again:
  - your system's package, for example on Debian: apt install chromium
  - Google Chrome or Chromium for macOS, in /Applications
  - Playwright's own: .venv/bin/python -m playwright install --with-deps chromium"""


class NoBrowser(RuntimeError):
    """No Chromium is here and none could be had."""


def find_or_install() -> str:
    """Return the path of a Chromium that starts: the system's, else Playwright's own, else Debian's package."""
    for path in candidates():
        if starts(path):
            return path
    raise NoBrowser(HOW_TO_INSTALL)


def candidates() -> Iterator[str]:
    """Yield places where a Chromium may lie, cheapest first; what must be installed is installed when it is reached."""
    yield from on_this_machine()
    ours = playwrights_own()
    yield ours
    if run(sys.executable, "-m", "playwright", "install", "chromium"):
        yield ours
    if can_apt_get() and run("apt-get", "update") and run("apt-get", "install", "-y", "chromium"):
        yield from on_this_machine()


def on_this_machine() -> list[str]:
    """Paths of the system's own browsers."""
    found = [path for name in NAMES if (path := shutil.which(name))]
    if platform.system() == "Darwin":
        found += [place for place in MAC_PLACES if Path(place).exists()]
    return found


def playwrights_own() -> str:
    """The path at which Playwright puts its Chromium, whether it lies there or not."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def can_apt_get() -> bool:
    """Whether this is root on Debian or a system derived from it."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def starts(path: str) -> bool:
    """Whether the browser at ``path`` runs: a file may be missing, a stub of a package, or short of a library."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def run(*command: str) -> bool:
    """Run ``command`` with its output shown, and return whether it succeeded."""
    print("Getting a browser:", *command, flush=True)
    try:
        return subprocess.run(command).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    print(find_or_install())
