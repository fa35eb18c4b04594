"""Questions of interviews: the boxes of the chapters, and the page that collects them."""

from typing import ClassVar

from docutils.parsers.rst import directives
from house import Box

LEVELS = {"first": "Asked first", "deeper": "One level deeper", "hard": "Hard"}


class Interview(Box):
    """A question of an interview with its answer, how often it is asked, and what in the book shows it."""

    required_arguments = 1
    optional_arguments = 0
    option_spec: ClassVar = Box.option_spec | {
        "level": directives.unchanged_required,
        "shown": directives.unchanged_required,
    }

    def run(self):
        """Return the box; it keeps its level, and the labels of what shows it."""
        level = self.options.get("level")
        if level is not None and level not in LEVELS:
            raise self.error(f"{self.name}: :level: must be one of {', '.join(LEVELS)}, but it is {level!r}")
        (box,) = super().run()
        box["level"] = level
        box["shown"] = [label.strip() for label in self.options.get("shown", "").split(",") if label.strip()]
        return [box]


def setup(app):
    """Register the directive."""
    app.add_directive("interview", Interview)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
