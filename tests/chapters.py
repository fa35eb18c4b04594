"""Which chapters the book has, read from _toc.yml."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def numbered(root: Path) -> list[tuple[str, str]]:
    """Number and stem of each chapter, such as ("02", "bottleneck"), in the order of _toc.yml."""
    return re.findall(r"^\s*-?\s*file: book/(\d\d)_(\w+)\s*$", (root / "_toc.yml").read_text("utf-8"), re.MULTILINE)


def stems(root: Path) -> list[str]:
    """The stems of the chapters in the order of _toc.yml."""
    return [stem for _, stem in numbered(root)]
