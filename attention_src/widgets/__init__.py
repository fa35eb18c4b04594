"""Pictures that readers move: in the published page without Python, in JupyterLab as Python objects.

How a chapter gets one:

1. ``widgets/<name>.js`` exports ``{ render({ model, el }), address: [traits] }``. It takes its maths and its drawing
   helpers from ``core.js``, the book's translators from ``decoders.js``, positions from ``waves.js``, and the box in
   which readers write a sentence from ``sentence.js``; ``widgets/<name>.css``, if it needs one, uses the book's
   colours ``var(--wa-…)`` only.
2. ``widgets/<name>.py`` has one class on :class:`~attention_src.widgets.base.Widget`: traits with ``.tag(sync=True)``,
   checks in ``__init__``, ``still()`` for print, ``summary()`` for screen readers. A trained model travels by ``pack``.
3. The chapter's experiment has a function that gives the class's arguments; the page names it in a ``{widget} <name>``
   directive with ``:state: attention_src.experiments.<stem>:<function>``, and ``book/widgets.md`` does too.
4. The notebook ends a cell with ``w = <Class>(**<function>())`` and ``w``; the next one sets a trait.
5. ``tests/test_widget_<name>.py`` compares its numbers with the module's, and moves it.
"""

import re
from pathlib import Path

HERE = Path(__file__).parent
IMPORT = re.compile(r'^import\s*\{[^}]*\}\s*from\s*"\./(\w+)\.js";\n', re.MULTILINE)


def parts(name: str) -> list[str]:
    """The ``.js`` files that the file ``name`` needs, each after those that it needs itself; the last is ``name``.

    >>> parts("translator")
    ['core', 'decoders', 'sentence', 'translator']
    """
    found: list[str] = []
    for needed in IMPORT.findall((HERE / f"{name}.js").read_text("utf-8")):
        found += [part for part in parts(needed) if part not in found]
    return [*found, name]
