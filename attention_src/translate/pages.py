"""One page that needs nothing else: every translation with the weights of each word, in the widget of chapter 07."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..widgets import base
from ..widgets.links import AlignmentLinks
from .errors import BadInputError
from .speaking import Spoken

TITLE = 60  # characters of a sentence in the list from which one is chosen


def page(lines: Sequence[str], said: Sequence[Spoken]) -> str:
    """The page's HTML; empty lines are left out."""
    kept = [(number, line, one) for number, (line, one) in enumerate(zip(lines, said, strict=True), 1) if one.target]
    if not kept:
        raise BadInputError("nothing was translated, so there is no page to write")
    maps = [
        {
            "title": f"{number}: {line[:TITLE]}{'…' if len(line) > TITLE else ''}",
            "source": one.source,
            "target": one.target,
            "weights": one.weights,
            "gold": None,
        }
        for number, line, one in kept
    ]
    state = {
        "maps": AlignmentLinks(maps).state()["maps"],
        "chosen": 0,
        "texts": [(line, one.text) for _, line, one in kept],
    }
    parts = {"STATE": as_script(state), "CODE": as_script(base.script("links"))}
    parts["STYLE"] = base.tokens() + base.style("links")
    before, *rest = Path(__file__).with_name("page.html").read_text("utf-8").split("/*")
    html = [before]
    for part in rest:  # in one pass, so that no sentence can name a part
        name, _, after = part.partition("*/")
        html.append(parts[name] + after)
    return "".join(html)


def as_script(value: object) -> str:
    """JSON that may stand inside a script: no text in it can end the script.

    >>> as_script("</script>")
    '"\\\\u003c/script>"'
    """
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
