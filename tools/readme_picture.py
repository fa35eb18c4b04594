"""Draw the README's picture: the true alignment of one sentence pair, as a map of weights."""

import json
from pathlib import Path

from attention_src.data.translation import ENGLISH_FRENCH, Pair

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "book" / "figures" / "readme.svg"
SENTENCE = "the man did not find the big red house"
CELL, GAP = 30, 2
LEFT, TOP, EDGE = 112, 84, 20


def weights(pair: Pair) -> list[list[float]]:
    """One row for each target word: its weight on each source word, shared equally among those it comes from."""
    rows = []
    for target in range(len(pair.target)):
        linked = [source for source, other in pair.links if other == target]
        rows.append([(1 / len(linked) if source in linked else 0.0) for source in range(len(pair.source))])
    return rows


def colour(weight: float, scale: list[str]) -> int:
    """The step of the scale that stands for ``weight``."""
    return round(weight * (len(scale) - 1))


def rules(palette: dict, theme: str) -> str:
    """The CSS of one theme, from the book's palette."""
    inks = palette[theme]
    scale = palette["weights"][theme]
    lines = [f".card {{ fill: {inks['paper']}; stroke: {inks['rule']}; }}"]
    lines += [f".{name} {{ fill: {inks[name]}; }}" for name in ("source", "target", "muted")]
    lines += [f".grid {{ fill: {inks['panel']}; }}"]
    lines += [f".w{step} {{ fill: {shade}; }}" for step, shade in enumerate(scale)]
    return " ".join(lines)


def draw(pair: Pair, palette: dict) -> str:
    """The map as an SVG with its own background, which follows the reader's light or dark setting."""
    columns, rows = len(pair.source), len(pair.target)
    width, height = LEFT + columns * CELL + EDGE + 24, TOP + rows * CELL + EDGE
    said = f"English: {' '.join(pair.source)}. French: {' '.join(pair.target)}."
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' role="img" aria-labelledby="title">',
        f'<title id="title">Which English word each French word comes from. {said}</title>',
        f"<style>{rules(palette, 'light')}",
        f"@media (prefers-color-scheme: dark) {{ {rules(palette, 'dark')} }}",
        "text { font: 15px 'Source Sans 3', -apple-system, 'Segoe UI', 'Liberation Sans', sans-serif; }",
        "</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>',
    ]
    for j, word in enumerate(pair.source):
        x = LEFT + j * CELL + CELL / 2
        parts.append(f'<text class="source" transform="translate({x + 2} {TOP - 10}) rotate(-48)">{word}</text>')
    for i, (word, row) in enumerate(zip(pair.target, weights(pair), strict=True)):
        y = TOP + i * CELL
        parts.append(f'<text class="target" x="{LEFT - 12}" y="{y + CELL / 2 + 5}" text-anchor="end">{word}</text>')
        for j, weight in enumerate(row):
            step = colour(weight, palette["weights"]["light"])
            parts.append(
                f'<rect class="{f"w{step}" if step else "grid"}" x="{LEFT + j * CELL + GAP / 2}" y="{y + GAP / 2}"'
                f' width="{CELL - GAP}" height="{CELL - GAP}" rx="3"/>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def picture() -> str:
    """The README's picture, from the grammar and the palette as they are."""
    palette = json.loads((ROOT / "attention_src" / "palette.json").read_text("utf-8"))
    return draw(ENGLISH_FRENCH.translate(SENTENCE), palette)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(f"Wrote {PICTURE.relative_to(ROOT)}")
