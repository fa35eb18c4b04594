"""Build the HTML book into ``_build/html``, with warnings as errors."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
HTML = BUILD / "html"
EXTENSIONS = ROOT / "book" / "_ext"
# Called like this because its script would break when the folder is moved. jsonschema imports rfc3987_syntax if it is
# there: half of the time of a build with nothing to do, only to check addresses, of which the settings have none.
JUPYTER_BOOK = "import sys; sys.modules['rfc3987_syntax'] = None; from jupyter_book.cli.main import main; main()"


def build(fresh: bool = False, builder: tuple[str, ...] = ()) -> int:
    """Run Jupyter Book on the repository and return its exit status.

    ``fresh`` throws away what was built before. ``builder`` are extra arguments that choose another builder than HTML.
    """
    if fresh:
        shutil.rmtree(HTML, ignore_errors=True)
        forget()
    arguments = ["build", str(ROOT), "-W", "-n", "--keep-going", *builder]
    status = subprocess.run([sys.executable, "-c", JUPYTER_BOOK, *arguments], cwd=ROOT).returncode
    if status != 0:
        forget()
    return status


def forget() -> None:
    """Drop the parsed pages: Sphinx does not repeat the warnings of a page it kept, so a second build would pass."""
    shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)


def address() -> str:
    """Return the public address of the site that _config.yml gives, or nothing."""
    sys.path[:0] = [] if str(EXTENSIONS) in sys.path else [str(EXTENSIONS)]
    sharing = importlib.import_module("sharing")
    return sharing.home(yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))).site


def main() -> int:
    """Build, then say where the book lies."""
    status = build()
    if status != 0:
        print("\nThe book was not built cleanly: the warnings and errors are in the lines above.", file=sys.stderr)
        return status
    print(f"\nThe book is in {HTML.relative_to(ROOT)}. Run make serve to read it, or open this in a browser:")
    print((HTML / "index.html").as_uri())
    return 0


if __name__ == "__main__":
    sys.exit(main())
