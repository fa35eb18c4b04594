"""Draw the picture that stands beside a link to a page: one for the book and one for each chapter, as PNG files."""

import base64
import hashlib
import html
import io
import re
import sys
from pathlib import Path

import yaml
from PIL import Image, PngImagePlugin
from playwright.sync_api import sync_playwright

from tools.browser import ARGUMENTS, find_or_install

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
PREVIEWS = BOOK / "_static" / "previews"
FONTS = BOOK / "_static" / "fonts"
SIZE = (1200, 630)
COLOURS = 128  # of a picture; more would only make the file larger
MADE_FROM = "made-from"
SENTENCE = "the man did not find the big red house"
SHAPE = Path(__file__).with_suffix(".css")


def extension(name: str):
    """Return one of the book's own Sphinx extensions."""
    sys.path[:0] = [] if str(BOOK / "_ext") in sys.path else [str(BOOK / "_ext")]
    return __import__(name)


def sources() -> dict[str, tuple[str, str]]:
    """Return, by the name of the preview, a page's title and the picture that it shows first, as ``kind name``."""
    found = {"book": ("Weighing Attention", f"threads {SENTENCE}")}
    for chapter in yaml.safe_load((BOOK / "plan.yml").read_text("utf-8")):
        text = (BOOK / f"{chapter['stem']}.md").read_text("utf-8")
        picture = re.search(r"\{(diagram)\} (\S+)", text) or re.search(r"\{(chart)\} (\S+)", text)
        found[chapter["stem"]] = (re.search(r"^# (.+)$", text, re.MULTILINE)[1], " ".join(picture.groups()))
    return found


def digest(name: str) -> str:
    """Return in a few letters what a preview is made from."""
    title, picture = sources()[name]
    kind, _, of = picture.partition(" ")
    drawn = (BOOK / of).read_text("utf-8") if kind == "diagram" else picture
    return hashlib.sha256("\n".join([title, drawn, SHAPE.read_text("utf-8")]).encode()).hexdigest()[:16]


def stale() -> list[str]:
    """Return the previews that are missing, of another page than they were, or too many."""
    there = {}
    for path in PREVIEWS.glob("*.png"):
        with Image.open(path) as picture:
            there[path.stem] = picture.text.get(MADE_FROM)
    return sorted({name for name in sources() if there.get(name) != digest(name)} | (there.keys() - sources().keys()))


def drawing(picture: str) -> str:
    """Return a page's picture as HTML."""
    kind, _, name = picture.partition(" ")
    if kind == "threads":
        from attention_src.data.translation import ENGLISH_FRENCH

        front = extension("frontpage")
        return f'<figure class="threads">{front.across(ENGLISH_FRENCH.translate(name), "")}</figure>'
    figures = extension("figures")
    text = (BOOK / name).read_text("utf-8") if kind == "diagram" else figures.chart_svg(*name.split("."))
    return f"<figure>{figures.inline_svg(text, 'picture', '')}</figure>"


def page(name: str) -> str:
    """Return the page that a preview is a photograph of."""
    title, picture = sources()[name]
    house = extension("house")
    tokens = house.tokens_css(yaml.safe_load(house.PALETTE.read_text("utf-8")))
    faces = "".join(
        f'@font-face {{ font-family: "Source Sans 3"; font-weight: 200 900; src: url(data:font/woff2;base64,'
        f"{base64.b64encode((FONTS / f'source-sans-3-{part}-wght-normal.woff2').read_bytes()).decode()}); "
        f"unicode-range: {reach}; }}"
        for part, reach in (("latin", "U+0000-2215"), ("greek", "U+0370-03FF"))
    )
    family = ':root { --wa-font-label: "Source Sans 3"; --wa-font-text: serif; --wa-font-code: monospace; }'
    mark = (BOOK / "_templates" / "wordmark.svg").read_text("utf-8")
    if name == "book":
        kind, text = "book", f"<h1>{title}</h1><p>A textbook on the attention mechanism that runs</p>"
    else:
        kind, text = "chapter", f"<small>Chapter {int(name[:2])}</small><h1>{html.escape(title)}</h1>"
    head = "" if name == "book" else f"<header>{mark}<span>Weighing Attention</span></header>"
    style = f"<style>{tokens}{faces}{family}{SHAPE.read_text('utf-8')}</style>"
    return f'<!doctype html>{style}<body class="{kind}">{head}<div>{text}</div>{drawing(picture)}'


def small_png(png: bytes, made_from: str) -> bytes:
    """Return a PNG with few colours, and with a note of what it was made from."""
    note = PngImagePlugin.PngInfo()
    note.add_text(MADE_FROM, made_from)
    target = io.BytesIO()
    few = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(target, "PNG", optimize=True, pnginfo=note)
    return target.getvalue()


def main() -> int:
    """Draw the previews that are missing or out of date, and remove those of no page."""
    PREVIEWS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_or_install(), args=list(ARGUMENTS))
        window = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
        for name in stale():
            path = PREVIEWS / f"{name}.png"
            if name not in sources():
                path.unlink()
                continue
            window.set_content(page(name))
            window.evaluate("() => document.fonts.ready.then(() => true)")
            path.write_bytes(small_png(window.screenshot(), digest(name)))
            print(f"Wrote {path.relative_to(ROOT)} ({path.stat().st_size / 1000:.0f} kB)")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
