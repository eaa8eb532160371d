"""Masks and their outlines: what is traced and filled again is the same to the pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from leatherens.core.labels.outlines import area, outlines
from leatherens.core.labels.shapes import Polygon

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


def pixels(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


RING = pixels("#####", "#...#", "#.#.#", "#...#", "#####")
DIAGONAL = pixels("#.#", ".#.", "#.#")
PINCHED = pixels("####", "#.##", "##.#", "####")  # its two holes touch at a corner: one hole
TOUCHING = pixels("###..", "#.#..", "###.#", "...#.", "#...#")


def filled(lines, size) -> np.ndarray:
    """How many outlines lie over each pixel."""
    return sum((Polygon(line).mask(size).astype(int) for line in lines), np.zeros(size, dtype=int))


@settings(deadline=None)
@given(masks)
@example(np.ones((1, 1), dtype=bool))
@example(np.zeros((3, 4), dtype=bool))
@example(np.ones((7, 3), dtype=bool))
@example(RING)
@example(DIAGONAL)
@example(PINCHED)
@example(TOUCHING)
@example(np.kron(RING, np.ones((2, 3))).astype(bool))
def test_outlines__fill_to_the_same_mask(mask):
    lines = outlines(mask)

    assert np.array_equal(filled(lines, mask.shape), mask.astype(int))
    assert sum(map(area, lines)) == mask.sum()


@settings(deadline=None)
@given(masks)
def test_outlines__are_simple(mask):
    """Corners are whole, turn at each, and no piece of the way is walked twice."""
    for line in outlines(mask):
        ends = list(zip(line, [*line[1:], line[0]], strict=True))
        across = [one[1] == other[1] for one, other in ends]
        assert all(here != there for here, there in zip(across, [*across[1:], across[0]], strict=True))
        steps = [
            (int(x), int(y), flat)
            for ((x0, y0), (x1, y1)), flat in zip(ends, across, strict=True)
            for x, y in (
                [(x, y0) for x in range(min(x0, x1), max(x0, x1))]
                if flat
                else [(x0, y) for y in range(min(y0, y1), max(y0, y1))]
            )
        ]
        assert len(steps) == len(set(steps))


@settings(deadline=None)
@given(masks)
def test_outlines__without_holes_one_for_each_part(mask):
    whole = ndimage.binary_fill_holes(mask)  # holes of the kind that corners do not let out
    parts = ndimage.label(whole)[1]

    assert len(outlines(whole)) == parts


def test_outline__of_a_pixel():
    assert outlines(pixels("...", "..#")) == [[(3, 1), (3, 2), (2, 2), (2, 1)]]


def test_diagonal__pixels_that_touch_at_a_corner_are_apart():
    assert len(outlines(DIAGONAL)) == 5


def test_ring__is_two_pieces():
    assert len(outlines(RING[:, :])) == 3  # with the pixel inside


def test_holes_side_by_side__are_cut_once():
    mask = np.ones((8, 16), dtype=bool)
    mask[3:5, 2:4] = mask[3:6, 8:12] = False

    assert len(outlines(mask)) == 2


def test_arms_beside_a_hole__are_joined_again():
    """The cut through the hole crosses three arms, of which only the ring has to stay cut."""
    mask = pixels(
        "#############",
        "#..#.###.#..#",
        "#..#.#.#.#..#",
        "#..#.###.#..#",
        "####.....####",
    )
    mask[1:4, 1:3] = True
    mask[1:4, 10:12] = True

    assert len(outlines(mask)) == 2


@pytest.mark.parametrize("share", [0.4, 0.8])
def test_noise__of_a_larger_picture(share):
    mask = np.random.default_rng(3).random((120, 90)) < share

    assert np.array_equal(filled(outlines(mask), mask.shape), mask.astype(int))
