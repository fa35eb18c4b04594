"""Pictures of nine objects: what is asked about stands where the mark is."""

import torch

from attention_src.data.cues import CELLS, COLOURS, CUES, SHAPES, SIDE, TEXTURES, pictures

CORNERS = ((0, 0), (0, SIDE - 1), (SIDE - 1, 0))  # of shape, texture, colour


def drawn(apart, count=300, seed=0):
    some = pictures(count, torch.Generator().manual_seed(seed), apart)
    return some, some.cells.view(count, CELLS, 3, SIDE, SIDE)


def test_marks_are_where_they_say_and_nowhere_else():
    for apart in (True, False):
        some, cells = drawn(apart)
        for cue, (y, x) in enumerate(CORNERS):
            white = cells[:, :, :, y, x].eq(1).all(dim=2)
            assert torch.equal(white.int().argmax(dim=1), some.places[:, cue])
            assert white.sum(dim=1).eq(1).all()


def test_places_are_apart_or_together():
    apart, together = drawn(True)[0].places, drawn(False)[0].places
    assert all(len(set(row)) == 3 for row in apart.tolist())
    assert all(len(set(row)) == 1 for row in together.tolist())
    assert apart.unique().tolist() == together.unique().tolist() == list(range(CELLS))


def test_answers_can_be_read_off_the_marked_object():
    for apart in (True, False):
        some, cells = drawn(apart)
        rows = torch.arange(len(cells))
        colour = cells[rows, some.places[:, 2]].sum(dim=(-1, -2)).argmax(dim=1)
        assert torch.equal(colour, some.answers[:, 2])
        shape = cells[rows, some.places[:, 0]].amax(dim=1) > 0.2  # (batch, y, x)
        middle, side = shape[:, 3, 3], shape[:, 4, 1]  # disc: both; cross: middle only; frame: neither
        assert torch.equal(torch.where(middle, torch.where(side, 0, 1), 2), some.answers[:, 0])


def test_kinds_are_drawn_alike_and_alone():
    answers = drawn(True, count=3000)[0].answers
    assert (len(SHAPES), len(TEXTURES), len(COLOURS), len(CUES)) == (3, 3, 3, 3)
    for cue in range(3):
        assert (answers[:, cue].bincount() / 3000 - 1 / 3).abs().max() < 0.04
    pairs = (3 * answers[:, 0] + answers[:, 1]).bincount() / 3000
    assert (pairs - 1 / 9).abs().max() < 0.03


def test_a_seed_draws_the_same_again():
    assert torch.equal(drawn(True, 5)[0].cells, drawn(True, 5)[0].cells)
    assert not torch.equal(drawn(True, 5)[0].cells, drawn(True, 5, seed=1)[0].cells)
