import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.testing import assert_close

from attention_src import looking
from attention_src.attention import weigh
from attention_src.looking import (
    EDGES,
    FEATURES,
    SHARPNESS,
    against_surround,
    edges,
    even,
    features,
    focus,
    glance,
    hues,
    in_cells,
    order,
    priority,
    promote,
    query,
    saliency,
)

B, R, C = 2, 5, 7  # pictures, rows and columns of cells
CELL = 6  # pixels along the side of a cell


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def some(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(shape, size=16):
    """A light shape on a dark ground, in the middle of 3 x 3 cells."""
    y, x = torch.meshgrid(*2 * [torch.arange(size) - (size - 1) / 2], indexing="ij")
    inside = {
        "circle": x**2 + y**2 < 30,
        "square": torch.maximum(x.abs(), y.abs()) < 5,
        "diamond": x.abs() + y.abs() < 7,
    }[shape]
    picture = torch.full((3, 3 * size, 3 * size), 0.2, dtype=torch.float64)
    picture[0, size : 2 * size, size : 2 * size][inside] = 0.8
    return picture


# --- features --------------------------------------------------------------------------------------------------------


def test_cells_by_hand():
    pixels = doubles([[1, 3, 0, 0], [5, 7, 0, 4]])
    assert_close(in_cells(pixels, 2), doubles([[4, 1]]))


def test_a_picture_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="cell must divide the picture of 4 x 6 pixels without a rest, but is 3"):
        in_cells(torch.zeros(4, 6), 3)


@pytest.mark.parametrize(
    ("colour", "wanted"),
    [
        ((1, 0, 0), (1, 0, 0, 0)),
        ((0, 1, 0), (0, 1, 0, 0)),
        ((0, 0, 1), (0, 0, 1, 0)),
        ((1, 1, 0), (0.5, 0.5, 0, 1)),
        ((0.3, 0.3, 0.3), (0, 0, 0, 0)),
        ((0.8, 0.2, 0.2), (0.6, 0, 0, 0)),
        ((0.6, 0.4, 0.0), (0.4, 0.1, 0, 0.4)),
    ],
)
def test_hues_by_hand(colour, wanted):
    assert_close(hues(doubles(colour)), doubles(wanted))


def test_an_upright_step_is_an_upright_edge():
    """Dark on the left, light on the right: the change of light is 1/2 at the two pixels beside the step."""
    light = doubles([[0, 0, 1, 1]] * 4)
    level, rising, upright, falling = edges(light)
    assert_close(upright, doubles([[0, 0.25, 0.25, 0]] * 4))
    assert not any(part.any() for part in (level, rising, falling))
    assert_close(edges(light.mT)[0], upright.mT)  # turned, it is level


def test_a_rising_edge_rises():
    """Light grows towards the lower right, so the line between dark and light runs from lower left to upper right."""
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    level, rising, upright, falling = edges((x + y).double())
    assert_close(rising, torch.full((5, 7), 2.0, dtype=torch.float64))
    assert not any(part.any() for part in (level, upright, falling))
    assert_close(edges((x - y).double())[3], rising)


def test_edges_agree_with_numpy():
    light = some(B, R, C)
    y, x = np.gradient(light.numpy(), axis=(-2, -1))
    angle, strength = np.arctan2(y, x), x**2 + y**2
    for number, part in enumerate(edges(light)):
        towards = np.cos(2 * (angle - np.pi / 2 + number * np.pi / 4))  # 1 where the change of light crosses the edge
        np.testing.assert_allclose(part, strength * towards.clip(min=0), atol=1e-12)


@pytest.mark.parametrize("shape", list(looking.SHAPES))
def test_a_shape_has_the_edges_that_its_query_asks_for(shape):
    found = features(drawn(shape), 16)[1, 1, len(looking.COLOURS) :]
    fits = {name: float(found @ doubles(wanted)) for name, wanted in looking.SHAPES.items()}
    assert max(fits, key=fits.get) == shape
    assert fits[shape] > 0.95 * float(found.norm())


def test_features_by_their_names():
    found = dict(zip(FEATURES, features(drawn("square"), 16)[1, 1].tolist(), strict=True))
    assert found["red"] > 0.95
    assert found["green"] == found["blue"] == found["yellow"] == 0
    assert found["level"] == pytest.approx(found["upright"])
    assert found["level"] > 5 * found["rising"]
    assert len(EDGES) == len(looking.SHAPES["circle"])


def test_an_empty_cell_has_no_features_and_a_batch_is_seen_one_by_one():
    empty = features(torch.full((3, R * CELL, C * CELL), 0.2, dtype=torch.float64), CELL)
    assert empty.shape == (R, C, len(FEATURES))
    assert not empty.any()
    pictures = some(B, 3, R * CELL, C * CELL)
    both = features(pictures, CELL)
    assert_close(both, torch.stack([features(picture, CELL) for picture in pictures]))
    assert (both >= 0).all()
    assert (both <= 1).all()


def test_even_brings_vectors_to_length_one_and_keeps_their_direction():
    vectors = doubles([[3, 4], [0, 0], [300, 400]])
    assert_close(even(vectors).norm(dim=-1), doubles([1, 0, 1]), atol=1e-3, rtol=0)
    assert_close(even(vectors)[0, 0] / even(vectors)[0, 1], doubles(0.75))


def test_a_glance_is_coarse_and_unsure():
    picture = some(3, 4, 6)
    assert_close(glance(picture, torch.Generator(), by=2, grain=0.0), in_cells(picture, 2))
    one, same, other = (glance(picture, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert_close(one, same)
    assert not torch.equal(one, other)
    assert (one - in_cells(picture, 2)).abs().max() <= looking.GRAIN


# --- what stands out -------------------------------------------------------------------------------------------------


def test_a_centre_and_its_surround_by_hand():
    grid = doubles([[1, 0, 0], [0, 9, 0]])
    wanted = [[abs(1 - 9 / 3), 10 / 5, 9 / 3], [10 / 3, 9 - 1 / 5, 9 / 3]]
    assert_close(against_surround(grid, 1), doubles(wanted))


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_surrounds_agree_with_scipy(reach):
    maps = some(B, R, C)
    ring = np.ones((2 * reach + 1, 2 * reach + 1))
    ring[reach, reach] = 0
    count = ndimage.convolve(np.ones((R, C)), ring, mode="constant")
    for map_, found in zip(maps.numpy(), against_surround(maps, reach), strict=True):
        around = ndimage.convolve(map_, ring, mode="constant") / count
        np.testing.assert_allclose(found, np.abs(map_ - around))


def test_a_grid_of_equals_has_nothing_that_stands_out():
    assert_close(against_surround(torch.full((R, C), 3.0), 2), torch.zeros(R, C))
    assert_close(against_surround(torch.ones(1, 1), 1), torch.ones(1, 1))  # nothing around it: it stands alone
    assert not saliency(torch.full((R, C, len(FEATURES)), 0.5)).any()


def test_a_map_with_one_peak_is_promoted():
    """One peak among n cells has the mean 1 / n; a map of peaks everywhere has the mean 1 and counts nothing."""
    one = torch.zeros(2, 5)
    one[1, 3] = 7
    assert_close(promote(one)[1, 3], torch.tensor(0.81))
    assert not promote(torch.full((2, 5), 7.0)).any()
    assert not promote(torch.zeros(2, 5)).any()
    assert_close(promote(torch.stack([one, one + 1]))[0], promote(one))


def row_of(*colours):
    """Cells side by side that differ in their colour only."""
    known = torch.zeros(1, len(colours), len(FEATURES), dtype=torch.float64)
    for place, colour in enumerate(colours):
        known[0, place, FEATURES.index(colour)] = 1
    return known


def test_what_differs_from_its_neighbours_stands_out():
    map_ = saliency(row_of("green", "green", "green", "red", "green", "green", "green"))[0]
    assert map_.argmax() == 3
    assert map_[0] == 0  # its neighbours, near and far, are like itself


def test_what_counts_counts():
    known = row_of(*["green"] * 5)
    known[0, 1, FEATURES.index("red")] = 1
    known[0, 3, FEATURES.index("rising")] = 1
    by_colour, by_edges = saliency(known, (1.0, 0.0)), saliency(known, (0.0, 1.0))
    assert (by_colour.argmax(), by_edges.argmax()) == (1, 3)
    assert_close(saliency(known, (2.0, 3.0)), 2 * by_colour + 3 * by_edges)


def test_saliency_moves_with_the_picture():
    known = some(B, R, C, len(FEATURES))
    assert_close(saliency(known.flip(1)), saliency(known).flip(1))
    assert_close(saliency(known.transpose(1, 2)), saliency(known).mT)
    assert_close(saliency(known)[1], saliency(known[1]))


# --- what is asked for -----------------------------------------------------------------------------------------------


def test_a_query_by_hand():
    found = dict(zip(FEATURES, query("red", "circle").tolist(), strict=True))
    assert found == dict.fromkeys(FEATURES, 0.0) | {"red": 1.0} | dict.fromkeys(EDGES, 0.5)
    assert query("blue", None).tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert not query().any()
    assert_close(query("red", "square", (2.0, 3.0)), 2 * query("red") + 3 * query(None, "square"))
    for shape in looking.SHAPES:
        assert float(query(None, shape).norm()) == pytest.approx(1)


@pytest.mark.parametrize("wish", [{"colour": "pink"}, {"shape": "star"}])
def test_an_unknown_wish_is_refused(wish):
    (name,) = wish
    with pytest.raises(ValueError, match=f"{name} must be one of .*, or None for any, but is '{wish[name]}'"):
        query(**wish)


def test_four_things_by_hand():
    """A red circle, a red square, a green circle, a green square: scores 2, 1 + r, 1, r with r = sqrt(1/2)."""
    known = torch.stack([query(c, s) for c in ("red", "green") for s in ("circle", "square")])[None]
    r = 0.5**0.5
    found, weights = focus(known, query("red", "circle"), torch.eye(4, dtype=torch.float64))
    raised = torch.tensor([2, 1 + r, 1, r], dtype=torch.float64).mul(SHARPNESS).exp()
    assert_close(weights[0], raised / raised.sum())
    assert_close(found, weights[0])


def test_focus_is_attention_over_the_cells():
    known, wishes, value = some(B, R, C, len(FEATURES)), some(B, len(FEATURES), seed=1), some(B, R * C, 3, seed=2)
    found, weights = focus(known, wishes, value)
    for one in range(B):
        scores = (known[one].reshape(R * C, -1) * wishes[one]).sum(dim=-1)
        wanted = weigh(SHARPNESS * scores[None])[0]
        assert_close(weights[one].flatten(), wanted)
        assert_close(found[one], (wanted[:, None] * value[one]).sum(dim=0))
    assert_close(weights.sum(dim=(1, 2)), torch.ones(B, dtype=torch.float64))


def test_asking_for_nothing_looks_everywhere_alike():
    _, weights = focus(some(R, C, len(FEATURES)), query(), torch.zeros(R * C, 1, dtype=torch.float64))
    assert_close(weights, torch.full((R, C), 1 / (R * C), dtype=torch.float64))


# --- looks -----------------------------------------------------------------------------------------------------------


def test_priority_by_hand():
    out, asked = doubles([[4, 1]]), doubles([[0.1, 0.2]])
    assert_close(priority(out, asked, 0.25), doubles([[0.75 + 0.25 * 0.5, 0.75 * 0.25 + 0.25]]))
    assert_close(priority(out, asked, 0.0), out / 4)
    assert_close(priority(out, asked, 1.0), asked * 5)
    assert not priority(0 * out, 0 * asked, 0.5).any()


@pytest.mark.parametrize("will", [-0.1, 1.1, float("nan")])
def test_a_will_out_of_range_is_refused(will):
    with pytest.raises(ValueError, match="will must be between 0"):
        priority(torch.zeros(1, 2), torch.zeros(1, 2), will)


def test_looks_go_from_the_largest_down_and_never_twice():
    assert order(doubles([[1, 5], [3, 5]])).tolist() == [1, 3, 2, 0]
    maps = some(B, R, C)
    for map_, places in zip(maps, order(maps), strict=True):
        assert sorted(places.tolist()) == list(range(R * C))
        falling = map_.flatten()[places]
        assert (falling[:-1] >= falling[1:]).all()
