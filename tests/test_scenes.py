"""The pictures of chapter 01: what is in them, and that marks can be read."""

from collections import Counter

import pytest
import torch

from attention_src.data import scenes
from attention_src.data.scenes import CELL, COLOURS, KINDS, MARKS, SHAPES, Scene, Thing, read_mark, render, stencil


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("side", [2, 5])
def test_each_cell_holds_one_thing_and_the_target_is_the_only_one_of_its_kind(kind, side):
    for seed in range(20):
        scene = KINDS[kind](seeded(seed), side)
        assert sorted(thing.place for thing in scene.things) == list(range(side * side))
        looks = Counter((thing.colour, thing.shape) for thing in scene.things)
        assert looks[scene.target.colour, scene.target.shape] == 1
        assert all(thing.mark in MARKS for thing in scene.things)


def test_kinds_are_what_they_say():
    for seed in range(20):
        target, *others = scenes.one_colour(seeded(seed), 3).things
        assert {thing.shape for thing in others} == {target.shape}
        assert target.colour not in {thing.colour for thing in others}
        target, *others = scenes.one_shape(seeded(seed), 3).things
        assert {thing.colour for thing in others} == {target.colour}
        assert target.shape not in {thing.shape for thing in others}
        target, *others = scenes.both(seeded(seed), 3).things
        like = Counter((thing.colour == target.colour, thing.shape == target.shape) for thing in others)
        assert like == {(True, False): 4, (False, True): 4}
        target, *others, odd = scenes.surprise(seeded(seed), 3).things
        assert odd.colour not in {target.colour, *(thing.colour for thing in others)}
        assert odd.shape not in {target.shape, *(thing.shape for thing in others)}


def test_the_same_seed_gives_the_same_scene_and_picture():
    one, same, other = (scenes.both(seeded(seed), 4) for seed in (3, 3, 4))
    assert one == same != other
    assert torch.equal(render(one, seeded(5)), render(one, seeded(5)))
    assert not torch.equal(render(one, seeded(5)), render(one, seeded(6)))


def test_a_picture_by_hand():
    scene = Scene(2, (Thing(1, "yellow", "square", "lower left"), Thing(2, "blue", "circle", "upper left")))
    picture = render(scene, seeded(), noise=0)
    assert picture.shape == (3, 2 * CELL, 2 * CELL)
    assert picture[:, 7, CELL + 7].tolist() == list(COLOURS["yellow"])  # the middle of the upper right cell
    assert picture[:, 9, CELL + 6].tolist() == [0, 0, 0]  # its mark
    assert picture[:, CELL + 7, 7].tolist() == list(COLOURS["blue"])
    assert picture[:, 0, 0].tolist() == [0.2, 0.2, 0.2]
    assert (picture[:, :CELL, :CELL] == 0.2).all()  # no thing in this cell


def test_noise_moves_no_pixel_further_than_it_may():
    scene = scenes.both(seeded(), 3)
    moved = render(scene, seeded()) - render(scene, seeded(), noise=0)
    assert 0.09 < moved.abs().max() <= scenes.NOISE + 1e-12


def test_shapes_differ_and_hold_the_marks():
    tables = [stencil(shape) for shape in SHAPES]
    assert [int(table.sum()) for table in tables] == [88, 100, 84]
    for table in tables:
        assert all(table[place] for place in MARKS.values())
        assert torch.equal(table, table.flip(0))
        assert torch.equal(table, table.mT)


def test_marks_are_read():
    for seed in range(5):
        scene = scenes.surprise(seeded(seed), 4)
        picture = render(scene, seeded(seed))
        for thing in scene.things:
            row, column = (CELL * number for number in divmod(thing.place, scene.side))
            assert read_mark(picture[:, row : row + CELL, column : column + CELL]) == thing.mark


def test_too_small_a_picture_is_refused():
    with pytest.raises(ValueError, match="side must be 2 or more cells"):
        scenes.both(seeded(), 1)
