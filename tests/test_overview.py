from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import grain

from leatherens.core.overview import OUTLINE, Area, Shrinking, averaged, block_for, drawn


def shrunk(pixels: np.ndarray, reduce, block: int, *cuts: int) -> np.ndarray:
    shrinking = Shrinking(pixels.shape[:2], reduce, block)
    for band in np.split(pixels, list(cuts)):
        shrinking.add(band)
    return shrinking.picture


@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    block=st.integers(1, 7),
    cuts=st.lists(st.integers(0, 30), max_size=4),
)
@settings(deadline=None, max_examples=60)
def test_marks__are_kept_whatever_the_bands(height, width, block, cuts):
    marked = np.random.default_rng(height).random((height, width)) > 0.9
    found = shrunk(marked, np.max, block, *sorted(min(cut, height) for cut in cuts))
    expected = np.array(
        [
            [marked[y : y + block, x : x + block].any() for x in range(0, width, block)]
            for y in range(0, height, block)
        ]
    )
    assert np.array_equal(found, expected)


def test_photograph__is_averaged():
    pixels = grain(12, 20)
    found = shrunk(pixels, averaged, 4, 3, 5)
    assert found.shape == (3, 5, 3)
    assert np.array_equal(found, np.rint(pixels.reshape(3, 4, 5, 4, 3).mean(axis=(1, 3))))


def test_edge_blocks__are_averages_of_their_own_pixels_of_a_constant():
    assert (shrunk(np.full((7, 5, 3), 9, dtype=np.uint8), averaged, 4) == 9).all()


def test_memory__is_that_of_the_small_picture():
    """Bands are let go as soon as they are shrunk."""
    shrinking = Shrinking((100_000, 64), np.max, 64)
    for _ in range(100):
        shrinking.add(np.zeros((1000, 64), dtype=np.bool_))
        assert sum(map(len, shrinking._waiting)) < 64
    assert shrinking.picture.shape == (-(-100_000 // 64), 1)


def test_block__for_a_picture_that_fits_is_one_pixel():
    assert [block_for(size, 2048) for size in ((10, 2048), (2049, 10), (10_000, 10_000))] == [1, 2, 5]


def test_area__counts_what_is_valid():
    area = Area()
    marked = np.zeros((4, 10), dtype=np.bool_)
    marked[:, :3] = True
    valid = np.ones_like(marked)
    valid[:, 2:6] = False
    area.add(marked, valid)
    assert (area.counted, area.marked, area.percent) == (24, 8, pytest.approx(100 / 3))
    area.add(np.zeros((1, 10), dtype=np.bool_))
    assert (area.counted, area.marked) == (34, 8)
    assert Area().percent == 0


def test_drawn__outlines_defects_and_darkens_what_is_not_inspected():
    photograph = np.full((60, 80, 3), 200, dtype=np.uint8)
    marked, valid = np.zeros((60, 80), dtype=np.bool_), np.ones((60, 80), dtype=np.bool_)
    marked[20:40, 30:50], valid[:, 70:] = True, False
    before = photograph.copy()

    picture = drawn(photograph, marked, valid, "8.3 % defective")

    assert picture.shape == (100, 80, 3)
    assert picture[20, 30].tolist() == list(OUTLINE)
    assert picture[30, 40].tolist() == [200, 200, 200], "the inside stays visible"
    assert picture[5, 5].tolist() == [200, 200, 200]
    assert picture[5, 75].tolist() == [70, 70, 70]
    assert (picture[60:] < 128).any(), "there is a caption"
    assert np.array_equal(photograph, before)


def test_drawn__one_marked_pixel_is_seen():
    marked = np.zeros((30, 30), dtype=np.bool_)
    marked[7, 9] = True
    picture = drawn(np.zeros((30, 30, 3), dtype=np.uint8), marked, None, "")
    assert (picture[:30] == OUTLINE).all(axis=2).any()
