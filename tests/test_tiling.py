from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leatherens.core.errors import ConfigError
from leatherens.core.tiling import Box, Grid, Stitcher, grid, shares

SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))
TILES = st.tuples(st.integers(1, 30), st.integers(1, 30))
OVERLAPS = st.floats(0, 0.75)


def cut(tiles: Grid, pixels: np.ndarray) -> list[np.ndarray]:
    """The tiles of a map at full size, what lies beyond the picture filled with what must not count."""
    cut_out = []
    for box in tiles.boxes():
        tile = np.full(tiles.tile, 1e9, dtype=np.float32)
        part = pixels[box.top : box.bottom, box.left : box.right]
        tile[: part.shape[0], : part.shape[1]] = part
        cut_out.append(tile)
    return cut_out


def stitched(tiles: Grid, maps: list[np.ndarray | None], valids: list[np.ndarray] | None = None):
    """The map and where it counts."""
    stitcher, bands = Stitcher(tiles), []
    for number, tile in enumerate(maps):
        if tile is not None:
            bands += stitcher.add(number, tile, None if valids is None else valids[number])
    bands += stitcher.finish()
    counted = [np.ones(rows.shape, bool) if valid is None else valid for rows, valid in bands]
    return np.concatenate([rows for rows, _ in bands]), np.concatenate(counted)


@given(size=SIZES, tile=TILES, overlap=OVERLAPS)
@settings(deadline=None)
def test_grid__covers_every_pixel_with_the_overlap_asked_for(size, tile, overlap):
    tiles = grid(size, tile, overlap)
    covered = np.zeros(size, dtype=int)
    for box in tiles.boxes():
        covered[box.top : box.bottom, box.left : box.right] += 1
        for length, side, extent in zip(
            size, tile, (box.bottom - box.top, box.right - box.left), strict=True
        ):
            assert extent == min(length, side), "only a picture smaller than a tile leaves some of it empty"
    assert covered.min() >= 1
    for starts, side in ((tiles.tops, tile[0]), (tiles.lefts, tile[1])):
        for before, after in pairwise(starts):
            assert after > before
            assert before + side - after >= min(side - 1, np.floor(side * overlap))


def test_grid__of_hand():
    tiles = grid((5, 8), (4, 4), 0)
    assert (tiles.tops, tiles.lefts, len(tiles)) == ((0, 1), (0, 4), 4)
    assert list(tiles.boxes()) == [Box(0, 4, 0, 4), Box(0, 4, 4, 8), Box(1, 5, 0, 4), Box(1, 5, 4, 8)]
    assert tiles.bands == [(0, 4), (1, 5)]


def test_grid__of_a_picture_smaller_than_a_tile__is_one_tile_that_reaches_beyond():
    tiles = grid((3, 9), (4, 4), 0.5)
    assert (tiles.tops, tiles.box(0), tiles.bands) == ((0,), Box(0, 3, 0, 4), [(0, 3)])


def test_grid__without_need_has_no_more_tiles():
    assert len(grid((1024, 1024), (256, 256), 0)) == 16
    assert len(grid((1024, 1024), (256, 256), 0.25)) == 25
    assert len(grid((256, 256), (256, 256), 0.75)) == 1


@given(size=SIZES, tile=TILES, overlap=OVERLAPS)
@settings(deadline=None)
def test_weights__sum_to_one_at_every_pixel(size, tile, overlap):
    tiles = grid(size, tile, overlap)
    total = np.zeros(size)
    for number, box in enumerate(tiles.boxes()):
        weights = tiles.weights(number)
        assert weights.min() > 0
        total[box.top : box.bottom, box.left : box.right] += weights
    assert np.allclose(total, 1, atol=1e-6)


def test_shares__of_hand():
    """Two tiles of 4 pixels share 2: sin^2 of 1/8, 3/8, 5/8 and 7/8 of pi."""
    low, high = np.sin(np.pi / 8) ** 2, np.sin(3 * np.pi / 8) ** 2
    first, second = shares((0, 2), 4, 6)
    assert np.allclose(first, [1, 1, high / (high + low), low / (low + high)])
    assert np.allclose(second, first[::-1])


@given(size=SIZES, tile=TILES, overlap=OVERLAPS, seed=st.integers(0, 99))
@settings(deadline=None)
def test_map_cut_and_stitched__is_itself(size, tile, overlap, seed):
    tiles = grid(size, tile, overlap)
    pixels = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    found, valid = stitched(tiles, cut(tiles, pixels))
    assert np.allclose(found, pixels, atol=2e-6)
    assert valid.all()


@given(size=SIZES, tile=TILES, overlap=OVERLAPS)
@settings(deadline=None)
def test_constant_map__stays_constant_and_a_ramp_linear(size, tile, overlap):
    tiles = grid(size, tile, overlap)
    down, across = np.indices(size, dtype=np.float32)
    for pixels in (np.full(size, 3.0, dtype=np.float32), 2 * down - across):
        assert np.allclose(stitched(tiles, cut(tiles, pixels))[0], pixels, rtol=1e-6, atol=1e-4)


def test_tiles_that_disagree__meet_without_a_seam():
    """Neighbours of 0 and 1 that share 64 pixels: no step is larger than a smooth one's."""
    tiles = grid((128, 448), (128, 128), 0.5)
    maps = [np.full((128, 128), number % 2, dtype=np.float32) for number in range(len(tiles))]
    row = stitched(tiles, maps)[0][64]
    assert (row.min(), row.max()) == (0, 1)
    assert np.abs(np.diff(row)).max() < np.pi / 2 / 64 * 1.01
    butted = stitched(grid((128, 256), (128, 128), 0), maps[:2])[0][64]
    assert np.abs(np.diff(butted)).max() == 1, "without overlap there is a seam: the test can fail"


def test_bands__are_given_out_as_soon_as_no_later_tile_touches_them():
    tiles = grid((10, 8), (4, 4), 0.25)  # tops 0, 3, 6
    stitcher, columns = Stitcher(tiles), len(tiles.lefts)
    given_out = [
        [len(rows) for rows, _ in stitcher.add(number, tile)]
        for number, tile in enumerate(cut(tiles, np.ones((10, 8), dtype=np.float32)))
    ]
    assert [i for i, rows in enumerate(given_out) if rows] == [columns, 2 * columns]
    assert given_out[columns] == given_out[2 * columns] == [3]
    assert [len(rows) for rows, _ in stitcher.finish()] == [4]


def test_memory__is_one_row_of_tiles_however_high_the_picture():
    held = {height: Stitcher(grid((height, 64), (16, 16)))._scores.nbytes for height in (16, 160, 16000)}
    assert len(set(held.values())) == 1


def test_left_out_tiles__count_nowhere():
    tiles = grid((12, 12), (4, 4), 0)
    maps: list[np.ndarray | None] = list(cut(tiles, np.ones((12, 12), dtype=np.float32)))
    for number in (1, 3, 4, 5, 8):
        maps[number] = None
    found, valid = stitched(tiles, maps)
    assert found[::4, ::4].tolist() == [[1, 0, 1], [0, 0, 0], [1, 1, 0]]
    assert np.array_equal(valid, found > 0)


@given(size=SIZES, tile=TILES, overlap=OVERLAPS, seed=st.integers(0, 99))
@settings(deadline=None)
def test_pixels_that_do_not_count__change_nothing(size, tile, overlap, seed):
    tiles, generator = grid(size, tile, overlap), np.random.default_rng(seed)
    pixels, counted = generator.normal(size=size).astype(np.float32), generator.random(size) > 0.4
    spoilt = cut(tiles, np.where(counted, pixels, np.float32(1e6)))
    found, valid = stitched(tiles, spoilt, [part > 0 for part in cut(tiles, counted.astype(np.float32))])
    assert np.array_equal(valid, counted)
    assert np.allclose(found[counted], pixels[counted], atol=1e-5)
    assert not found[~counted].any()


def test_wrong_tile_or_overlap():
    with pytest.raises(
        ConfigError, match=r"^tile: expected a height and a width of at least 1 pixel, got 0 x 4$"
    ):
        grid((9, 9), (0, 4))
    with pytest.raises(ConfigError, match=r"^overlap: expected a share of a tile from 0 to 0.75, got 0.8$"):
        grid((9, 9), (4, 4), 0.8)
