"""Run the commands of the page "Your own sentences" and keep what they print: ``python -m tools.own_sentences``.

The page quotes the files that this writes. It takes a minute; times and rates differ from machine to machine.
"""

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

from attention_src.data.translation import ENGLISH_FRENCH, pairs

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "book" / "own_sentences"
TOOL = "python -m attention_src.translate"
NEW = ("The red house is not cold.", "", "I did not find the cat.")
COMMANDS = {
    "train": f"{TOOL} train \\\n    --pairs pairs.tsv --out runs/fr --epochs 14",
    "translate": f"{TOOL} translate --run runs/fr --beam 5 < new.en",
    "align": f"{TOOL} align --run runs/fr \\\n    --source test.en --target test.fr | head -n 3",
    "evaluate": f"{TOOL} evaluate --run runs/fr \\\n    --source test.en --target test.fr --gold test.links",
    "refused": f"{TOOL} train --pairs broken.tsv --out runs/broken",
}
COLUMNS = 78  # of a page


def line(words: Sequence[str]) -> str:
    """Words as people write them.

    >>> line(["l'", "homme", "dort"])
    "L'homme dort."
    """
    text = " ".join(words).replace("' ", "'")
    return f"{text[0].upper()}{text[1:]}."


def word_of(words: Sequence[str], place: int) -> int:
    """Which word of the line a word of the grammar belongs to.

    >>> word_of(["l'", "homme", "dort"], 2)
    1
    """
    return sum(not word.endswith("'") for word in words[:place])


def make_files(folder: Path) -> None:
    """Write the corpus, the test sentences with their true links, and a corpus with a bad line."""
    made = pairs(ENGLISH_FRENCH, 2600, "own sentences", 3, 6)
    train, test = made[:2500], made[2500:]
    texts = [[line(pair.source), line(pair.target)] for pair in train]
    (folder / "pairs.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in texts), "utf-8")
    (folder / "broken.tsv").write_text(f"{texts[0][0]}\t{texts[0][1]}\n{texts[1][0]} {texts[1][1]}\n", "utf-8")
    (folder / "test.en").write_text("".join(line(pair.source) + "\n" for pair in test), "utf-8")
    (folder / "test.fr").write_text("".join(line(pair.target) + "\n" for pair in test), "utf-8")
    links = [sorted({(word_of(pair.source, i), word_of(pair.target, j)) for i, j in pair.links}) for pair in test]
    (folder / "test.links").write_text("".join(" ".join(f"{i}-{j}" for i, j in row) + "\n" for row in links), "utf-8")
    (folder / "new.en").write_text("".join(f"{sentence}\n" for sentence in NEW), "utf-8")


def main() -> int:
    """Write one file for each command: the command and what it printed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        make_files(Path(name))
        (FOLDER / "files.txt").write_text(shown("head -n 3 pairs.tsv", name, environment), "utf-8")
        for stem, command in COMMANDS.items():
            (FOLDER / f"{stem}.txt").write_text(shown(command, name, environment), "utf-8")
            print(stem, flush=True)
        settings = (Path(name) / "runs/fr/settings.json").read_text("utf-8").replace(f"{name}/", "")
        (FOLDER / "settings.txt").write_text(settings, "utf-8")
    return 0


def shown(command: str, folder: str, environment: dict[str, str]) -> str:
    """A command and what it prints, long lines folded."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    lines = done.stdout.replace(f"{folder}/", "").expandtabs(14).splitlines()
    printed = "".join(fold(one) + "\n" for one in lines)
    code = f"[exit code {done.returncode}]\n" if done.returncode else ""
    return f"$ {command}\n{printed}{code}"


def fold(text: str) -> str:
    """A line that a page can show without cutting it."""
    if len(text) <= COLUMNS:
        return text
    return "\n".join(textwrap.wrap(text, COLUMNS, subsequent_indent="    ", break_on_hyphens=False))


if __name__ == "__main__":
    sys.exit(main())
