"""Figures that follow the page's theme: SVG drawn into the page itself, with colours that are CSS variables.

``{diagram} figures/x.svg`` shows a diagram of the book, ``{chart} stem.name`` a chart that is drawn from the results of
an experiment, and the SVG that notebooks carry is shown in the same way. All three are ordinary figures: numbered,
with caption, name and alt text.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.directives.patches import Figure
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from attention_src.experiments import ROOT, Places

PLACES = Places()
PALETTE = json.loads((ROOT / "attention_src" / "palette.json").read_text(encoding="utf-8"))
LOGGER = logging.getLogger(__name__)

SVG = "http://www.w3.org/2000/svg"
COLOURED = ("fill", "stroke", "color", "stop-color", "flood-color", "lighting-color")
NO_COLOUR = re.compile(r"none|currentcolor|inherit|transparent|context-[a-z]+|(url|color-mix|var)\(.*\)", re.I)
FORBIDDEN = ("script", "foreignObject", "iframe", "object", "embed", "animate", "set", "handler", "image")


class FigureError(ValueError):
    """A picture that cannot be shown in a page."""


# --- colours ---------------------------------------------------------------------------------------------------------


def _themed_colours():
    """What a page writes for each colour of the light palette: a variable, or a mix of two on the scale of weights."""
    themed = {}
    scale = [tuple(bytes.fromhex(colour[1:])) for colour in PALETTE["weights"]["light"]]
    for level in range(256):  # the levels of plots.WEIGHTS
        step, share = divmod(level / 255 * (len(scale) - 1), 1)
        step = int(step)
        above = min(step + 1, len(scale) - 1)
        mixed = [round((1 - share) * low + share * high) for low, high in zip(scale[step], scale[above], strict=True)]
        mix = f"color-mix(in srgb, var(--wa-weight-{above}) {100 * share:.1f}%, var(--wa-weight-{step}))"
        themed["#{:02x}{:02x}{:02x}".format(*mixed)] = mix if share else f"var(--wa-weight-{step})"
    return themed | {colour: f"var(--wa-{name})" for name, colour in reversed(PALETTE["light"].items())}


THEMED = _themed_colours()
FIXED = set(PALETTE["dark"].values())  # the same in both themes: for lettering on coloured cells
VARIABLES = {f"--wa-{name}" for name in PALETTE["light"]} | {f"--wa-weight-{n}" for n in range(5)}
VARIABLES |= {"--wa-font-label", "--wa-font-text", "--wa-font-code"}


def themed(value: str) -> str:
    """One colour of an SVG as the page writes it: its variable, or as it is if it is none of the palette's."""
    value = value.strip().lower()
    if re.fullmatch(r"#[0-9a-f]{3}", value):
        value = "#" + "".join(2 * digit for digit in value[1:])
    if value in FIXED:
        return value
    if value not in THEMED:
        near = min(THEMED, key=lambda other: _distance(value, other)) if re.fullmatch(r"#[0-9a-f]{6}", value) else None
        if near is None or _distance(value, near) > 1:  # one level: two ways to round a mix
            raise FigureError(
                f"the colour {value} is not in attention_src/palette.json; use a var(--wa-…) or house_style()"
            )
        value = near
    return THEMED[value]


def _themed_or_foreign(value):
    try:
        return themed(value)
    except FigureError:
        return value


def _distance(one, other):
    return max(abs(a - b) for a, b in zip(bytes.fromhex(one[1:]), bytes.fromhex(other[1:]), strict=True))


# --- from an SVG file to SVG in the page -----------------------------------------------------------------------------


def inline_svg(text: str, prefix: str, alt: str, width: str = "", foreign: bool = False) -> str:
    """``text`` as an element for a page: one image with the name ``alt``, its ids begun with ``prefix``.

    ``foreign`` lets colours that are none of the palette's stay as they are; else they are an error.
    """
    root = _safe_root(text)
    box = root.get("viewBox") or f"0 0 {_pixels(root.get('width'))} {_pixels(root.get('height'))}"
    width = width or f"{_pixels(root.get('width')) or float(box.split()[2]):g}px"
    for name in ("width", "height", "class", "version"):
        root.attrib.pop(name, None)
    for child in [child for child in root if child.tag in (f"{{{SVG}}}title", f"{{{SVG}}}desc", f"{{{SVG}}}metadata")]:
        root.remove(child)  # the alt text says it
    ids = {element.get("id"): f"{prefix}-{element.get('id')}" for element in root.iter() if element.get("id")}
    for element in root.iter():
        _prepare(element, ids, prefix, foreign)
    style = f"width: {width}; max-width: 100%; height: auto; {root.get('style', '')}".strip()
    root.attrib.update({"viewBox": box, "style": style, "id": prefix})
    root.attrib.update({"role": "img", "aria-label": alt, "class": "wa-figure"})
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _safe_root(text):
    if "<!ENTITY" in text:
        raise FigureError("an SVG must not define entities")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise FigureError(f"it is no SVG: {error}") from None
    if root.tag != f"{{{SVG}}}svg":
        raise FigureError(f"it is no SVG: its root element is {root.tag}")
    for element in root.iter():
        kind = element.tag.rsplit("}", 1)[-1]
        if kind in FORBIDDEN and not (kind == "image" and _target(element).startswith("data:image/")):
            raise FigureError(f"an SVG of the book must not hold a {kind} element")
        for name, value in element.attrib.items():
            if name.rsplit("}", 1)[-1].lower().startswith("on"):
                raise FigureError(f"an SVG of the book must not hold a script (attribute {name})")
            outside = name.endswith("href") and kind != "image" and not value.startswith("#")
            if outside or re.search(r"url\((?!#)|@import|javascript:", value):
                raise FigureError(f"an SVG of the book must not load anything ({name} is {value:.60})")
        if kind == "style" and re.search(r"url\((?!#)|@", element.text or ""):
            raise FigureError("the style of an SVG must not load anything, and must not hold a rule that begins with @")
    return root


def _prepare(element, ids, prefix, foreign):
    """Give one element its new ids and colours, and drop blanks that are not shown."""
    if not element.tag.endswith(("}text", "}tspan")):
        for child in element:
            child.tail = None
        if not element.tag.endswith(("}style", "}title", "}desc")):
            element.text = None
    if element.tag.endswith("}style"):
        rules = re.sub(r"#([\w-]+)(?=[^{}]*\{)", lambda match: f"#{ids.get(match[1], match[1])}", element.text or "")
        rules = re.sub(r"\{([^{}]*)\}", lambda match: f"{{{_style(match[1], ids, foreign)}}}", rules)
        element.text = f"#{prefix} {{ {rules} }}"  # nested, so that the rules reach no other part of the page
    for name in list(element.attrib):
        value = element.attrib.pop(name)
        if name == "id":
            element.set("id", ids[value])
        elif name.endswith("href"):
            element.set("href", f"#{ids.get(value[1:], value[1:])}" if value.startswith("#") else value)
        elif name in COLOURED or (name == "font-family" and "var(" in value):
            element.set("style", f"{name}: {value}; {element.get('style', '')}{element.attrib.pop('style', '')}")
        elif name == "style":
            element.set("style", f"{element.get('style', '')}{value}")
        elif "}" not in name:
            element.set(name, _links(value, ids))
    if "style" in element.attrib:
        element.set("style", _style(element.get("style"), ids, foreign))


def _style(text, ids, foreign):
    """Declarations with colours and the label font as variables. A mix of colours comes after its light colour."""
    done = []
    for declaration in filter(None, (part.strip() for part in text.split(";"))):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name in COLOURED and not NO_COLOUR.fullmatch(value):
            colour = _themed_or_foreign(value) if foreign else themed(value)
            done += [f"{name}: {value}"] if colour.startswith("color-mix") else []
            value = colour
        if unknown := set(re.findall(r"var\((--[\w-]+)", value)) - VARIABLES:
            raise FigureError(f"the variable {min(unknown)} is none of the book's; see attention_src/palette.json")
        if name == "font-family" and "Source Sans 3" in value:
            value = "var(--wa-font-label)"
        done.append(f"{name}: {_links(value, ids)}")
    return "; ".join(done)


def _links(value, ids):
    return re.sub(r"url\(#([^)]+)\)", lambda match: f"url(#{ids.get(match[1], match[1])})", value)


def _target(element):
    return next((value for name, value in element.attrib.items() if name.endswith("href")), "")


def _pixels(length):
    """A length of an SVG's root in pixels; 0 if there is none."""
    match = re.fullmatch(r"([\d.]+)(px|pt)?", length or "")
    return float(match[1]) * (4 / 3 if match[2] == "pt" else 1) if match else 0


def plain_svg(text: str) -> str:
    """``text`` with the light palette's colours instead of variables, for formats that know no variables."""
    light = {f"--wa-{name}": colour for name, colour in PALETTE["light"].items()}
    light |= {f"--wa-weight-{step}": colour for step, colour in enumerate(PALETTE["weights"]["light"])}
    light |= {"--wa-font-label": "sans-serif", "--wa-font-text": "serif", "--wa-font-code": "monospace"}
    return re.sub(r"var\((--wa-[\w-]+)\)", lambda match: light[match[1]], text)


# --- directives ------------------------------------------------------------------------------------------------------


class Diagram(SphinxDirective, Figure):
    """A diagram of the book as a numbered figure: the file beside the page, and what it shows as alt text."""

    option_spec: ClassVar = {
        "name": directives.unchanged,
        "alt": directives.unchanged,
        "width": directives.length_or_percentage_or_unitless,
    }

    def run(self):
        """Return a figure."""
        path = Path(self.env.relfn2path(self.arguments[0])[1])
        self.env.note_dependency(str(path))
        if not path.is_file():
            raise self.error(f"there is no diagram {self.arguments[0]} ({path})")
        return self.figure(path)

    def figure(self, path: Path):
        """Return the figure of an SVG file, after a look at whether it can be shown."""
        if not self.options.get("alt", "").strip():
            raise self.error(f"{self.name} {self.arguments[0]} needs an :alt: that says what it shows")
        if not self.content:
            raise self.error(f"{self.name} {self.arguments[0]} needs a caption")
        try:
            inline_svg(path.read_text(encoding="utf-8"), "try", "")
        except FigureError as error:
            raise self.error(f"{path.name}: {error}") from None
        self.env.note_dependency(__file__)
        self.env.note_dependency(str(ROOT / "attention_src" / "palette.json"))
        return super().run()


class Chart(Diagram):
    """A chart that a function of an experiment draws from its results: ``{chart} bottleneck.by_length``."""

    def run(self):
        """Draw the chart, unless it lies there already, and return its figure."""
        if not (match := re.fullmatch(r"(\w+)\.([\w-]+)", self.arguments[0])):
            raise self.error(f"a chart is named as in bottleneck.by_length; not {self.arguments[0]!r}")
        path = Path(self.env.doctreedir) / "charts" / f"{match[1]}-{match[2]}-{self.digest(match[1])}.svg"
        if not path.exists():
            svg = self.draw(*match.groups())
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(svg, encoding="utf-8")
        self.arguments[0] = "/" + _relative(path, self.env.srcdir)
        return self.figure(path)

    def digest(self, stem):
        """Return what the picture depends on as a few letters: results, the code that draws, colours."""
        module = importlib.util.find_spec(f"{PLACES.package}.{stem}")
        if module is None:
            raise self.error(f"there is no experiment {stem!r}")
        code = [Path(module.origin), *(ROOT / "attention_src" / name for name in ("plots.py", "palette.json"))]
        whole = hashlib.sha256(importlib.metadata.version("matplotlib").encode())
        for file in [PLACES.results / f"{stem}.json", *code]:
            self.env.note_dependency(str(file))
            whole.update(file.read_bytes() if file.exists() else b"")
        return whole.hexdigest()[:12]

    def draw(self, stem, name):
        """Return the chart as SVG text."""
        try:
            return chart_svg(stem, name)
        except Exception as error:
            raise self.error(f"chart {stem}.{name}: {error}") from error


def chart_svg(stem, name):
    """Return a chart of the experiment ``stem`` as SVG text, drawn from its results."""
    from attention_src import experiments, plots
    from attention_src.experiments import results

    charts = experiments.load(stem, PLACES.package).charts
    if name not in charts:
        raise ValueError(f"{stem} has no chart {name!r}; it has: {', '.join(sorted(charts)) or 'none'}")
    plots.house_style()
    return plots.to_svg(charts[name](results.load(stem, PLACES.results)))


def _relative(path, folder):
    return Path(os.path.relpath(path, folder)).as_posix()


# --- into the page ---------------------------------------------------------------------------------------------------


class InlineFigures(SphinxPostTransform):
    """Replace every local SVG image by the SVG itself, or by what the format can show."""

    default_priority = 300  # after myst-nb has chosen one of a cell's outputs

    def run(self, **kwargs):
        """Look at every image of the page."""
        images = [image for image in self.document.findall(nodes.image) if image["uri"].endswith(".svg")]
        for number, image in enumerate(images):
            path = Path(self.app.srcdir, image["uri"])
            if path.is_file():
                self.show(image, path.read_text(encoding="utf-8"), number)

    def show(self, image, text, number):
        """Show one image in the way that the builder can."""
        builder = self.app.builder
        alt = image.get("alt", "").strip()
        if not alt:
            LOGGER.warning("this figure has no alt text that says what it shows; %s", ALT_HINT, location=image)
        if builder.format == "html" and builder.name != "epub":
            try:
                width = image.get("width", "")
                svg = inline_svg(text, f"figure{number}", alt, f"{width}px" if width.isdecimal() else width)
            except FigureError as error:
                LOGGER.warning("figure %s: %s", image["uri"], error, location=image)
                return
            image.replace_self(nodes.raw("", svg, format="html"))
        elif "image/svg+xml" in builder.supported_image_types:
            self.show_file(image, plain_svg(text))
        else:
            image.replace_self(nodes.emphasis("", alt))

    def show_file(self, image, text):
        """Show a file with fixed colours instead."""
        path = Path(self.env.doctreedir, "charts", f"plain-{hashlib.sha256(text.encode()).hexdigest()[:12]}.svg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        image["uri"] = _relative(path, self.app.srcdir)
        image["candidates"] = {"*": image["uri"]}
        self.env.images.add_file(self.env.docname, image["uri"])


ALT_HINT = "in a notebook, write it into the cell's metadata: mystnb: {image: {alt: …}}"


def setup(app):
    """Register the directives and the transform."""
    app.add_directive("diagram", Diagram)
    app.add_directive("chart", Chart)
    app.add_post_transform(InlineFigures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
