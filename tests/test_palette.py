"""The palette: readable on every ground, apart for colour-blind readers, a scale of weights that prints in grey."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PALETTE = json.loads((ROOT / "attention_src" / "palette.json").read_text(encoding="utf8"))
THEMES = ("light", "dark")
TEXTS = [name for name in PALETTE["light"] if name not in ("paper", "panel", "rule")]
GROUNDS = ("paper", "panel")
READABLE = 4.5  # WCAG 2.2, level AA, for text of any size
APART = 11  # in OKLab, times 100: two is hardly seen, eleven is seen at once and side by side
STEP = 8  # of lightness between two weights, of 100

# What the three kinds of colour-blind viewers see of linear RGB: Machado, Oliveira and Fernandes, 2009, severity 1.
SEEN_BY = {
    "all cones": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# From linear RGB to OKLab: Ottosson, 2020.
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colour: str) -> np.ndarray:
    """Return the linear red, green and blue, each in 0..1, of a colour such as ``#16358f``."""
    encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def contrast(colour: str, ground: str) -> float:
    """Return the contrast of two colours as WCAG defines it, from 1 to 21."""
    light = sorted(linear(each) @ [0.2126, 0.7152, 0.0722] + 0.05 for each in (colour, ground))
    return light[1] / light[0]


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Return lightness and two axes of hue, times 100, in a space whose distances are as large as they look."""
    return 100 * TO_LAB @ np.cbrt(TO_CONES @ rgb)


def distance(one: str, other: str, viewer: str) -> float:
    """Return how far apart ``viewer`` sees two colours."""
    seen = [np.clip(SEEN_BY[viewer] @ linear(colour), 0, 1) for colour in (one, other)]
    return float(np.linalg.norm(oklab(seen[0]) - oklab(seen[1])))


def test_the_measures_by_hand():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the well-known grey just short of 4.5
    assert oklab(linear("#ffffff")) == pytest.approx([100, 0, 0], abs=0.01)
    assert oklab(linear("#ff0000")) == pytest.approx([62.80, 22.49, 12.58], abs=0.01)  # published by Ottosson
    assert distance("#ff0000", "#ff0000", "deutan") == 0
    confused = "#c00000", "#5c5c00"  # a red and an olive
    assert distance(*confused, "protan") < distance(*confused, "all cones") / 2


def test_both_themes_name_the_same_colours():
    assert list(PALETTE["light"]) == list(PALETTE["dark"])
    for theme in THEMES:
        colours = [*PALETTE[theme].values(), *PALETTE["weights"][theme]]
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
        assert PALETTE["weights"][theme][0] == PALETTE[theme]["paper"]  # a weight of zero is not to be seen
        assert len(set(colours)) == len(colours) - 1, "charts find a colour's name by its value: each must be its own"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("name", TEXTS)
def test_text_is_readable(theme, ground, name):
    found = contrast(PALETTE[theme][name], PALETTE[theme][ground])
    assert found >= READABLE, f"{name} on {ground} in {theme}: {found:.2f}"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("viewer", SEEN_BY)
@pytest.mark.parametrize("pair", [*itertools.combinations(("query", "key", "value"), 2), ("source", "target")])
def test_meanings_stay_apart(theme, viewer, pair):
    found = distance(*(PALETTE[theme][name] for name in pair), viewer)
    assert found >= APART, f"{pair} in {theme}, {viewer}: {found:.1f}"


@pytest.mark.parametrize("theme", THEMES)
def test_weights_grow_darker_or_lighter_step_by_step(theme):
    lightness = [oklab(linear(colour))[0] for colour in PALETTE["weights"][theme]]
    steps = np.diff(lightness)
    assert (np.sign(steps) == (-1 if theme == "light" else 1)).all()
    assert (abs(steps) >= STEP).all(), f"{theme}: {lightness}"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("step", range(5))
def test_a_number_can_stand_on_every_weight(theme, step):
    ground = PALETTE["weights"][theme][step]
    best = max(contrast(PALETTE[theme][name], ground) for name in ("paper", "ink"))
    assert best >= READABLE, f"step {step} in {theme}: {best:.2f}"


def between(theme: str, weight: float) -> np.ndarray:
    """Return the linear colour of a weight, mixed in OKLab as a widget's page does it."""
    place = 4 * weight
    low = min(3, int(place))
    one, other = (oklab(linear(colour)) / 100 for colour in PALETTE["weights"][theme][low : low + 2])
    mixed = np.linalg.solve(TO_LAB, one + (other - one) * (place - low)) ** 3
    return np.clip(np.linalg.solve(TO_CONES, mixed), 0, 1)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("file", "pattern"),
    [("core.js", r"weight > ([\d.]+) \? \"var\(--wa-paper\)"), ("reader.py", r"\"paper\" if weight > ([\d.]+) else")],
)
def test_widgets_write_in_the_ink_that_is_read_best_on_each_weight(theme, file, pattern):
    (threshold,) = re.findall(pattern, (ROOT / "attention_src" / "widgets" / file).read_text("utf-8"))
    for weight in np.linspace(0, 1, 201):
        ground = between(theme, weight) @ [0.2126, 0.7152, 0.0722] + 0.05
        inks = (linear(PALETTE[theme][name]) @ [0.2126, 0.7152, 0.0722] + 0.05 for name in ("ink", "paper"))
        ink, paper = (max(ground, one) / min(ground, one) for one in inks)
        chosen, other = (paper, ink) if weight > float(threshold) else (ink, paper)
        assert chosen >= min(other, 3.7), f"{weight}: {chosen:.2f}"  # no ink has 4.5 on weights of about two thirds
