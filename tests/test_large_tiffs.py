from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leatherens.core import large_tiffs
from leatherens.core.errors import ArtifactError
from leatherens.core.large_tiffs import write_tiled_tiff


def bands(pixels: np.ndarray, *starts: int) -> list[np.ndarray]:
    return np.split(pixels, list(starts))


@pytest.mark.parametrize("size", [(1, 1), (256, 256), (300, 700), (512, 100), (513, 257)])
def test_map__comes_back_bit_for_bit_and_is_tiled(tmp_path, size):
    pixels = np.random.default_rng(0).normal(size=size).astype(np.float32)
    write_tiled_tiff(tmp_path / "a.tiff", bands(pixels, size[0] // 3, size[0] // 2), size)
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        assert file.pages.first.is_tiled
        assert file.pages.first.tilewidth == 256
        assert not file.is_bigtiff
    assert np.array_equal(tifffile.imread(tmp_path / "a.tiff"), pixels)
    with Image.open(tmp_path / "a.tiff") as picture:
        assert np.array_equal(np.asarray(picture), pixels), "other programs read it alike"


@given(height=st.integers(1, 40), width=st.integers(1, 40), cuts=st.lists(st.integers(0, 40), max_size=4))
@settings(deadline=None, max_examples=40)
def test_tiles__of_bands_of_any_height(height, width, cuts):
    pixels = np.arange(height * width, dtype=np.float32).reshape(height, width)
    before, large_tiffs.TILE = large_tiffs.TILE, 16
    try:
        parts = bands(pixels, *sorted(min(cut, height) for cut in cuts))
        tiles = list(large_tiffs._tiles(iter(parts), height, pixels.dtype))
    finally:
        large_tiffs.TILE = before
    across = -(-width // 16)
    rows = [np.concatenate(tiles[i : i + across], axis=1) for i in range(0, len(tiles), across)]
    assert np.array_equal(np.concatenate(rows)[:height, :width], pixels)


def test_mask__is_black_and_white(tmp_path):
    mask = np.zeros((300, 20), dtype=np.bool_)
    mask[100:200, 5:9] = True
    write_tiled_tiff(tmp_path / "a.tiff", bands(mask, 150), (300, 20))
    found = tifffile.imread(tmp_path / "a.tiff")
    assert found.dtype == np.uint8
    assert np.array_equal(found, mask * np.uint8(255))


def test_more_than_four_gigabytes_would_be_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(large_tiffs, "CLASSIC_BYTES", 1000)
    pixels = np.ones((40, 40), dtype=np.float32)
    write_tiled_tiff(tmp_path / "a.tiff", [pixels], (40, 40))
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        assert file.is_bigtiff
    assert np.array_equal(tifffile.imread(tmp_path / "a.tiff"), pixels)


def test_interrupted__leaves_nothing(tmp_path):
    def breaking():
        yield np.zeros((300, 10), dtype=np.float32)
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed"):
        write_tiled_tiff(tmp_path / "a.tiff", breaking(), (600, 10))
    assert list(tmp_path.iterdir()) == []


def test_full_disk__is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"cannot be written"):
        write_tiled_tiff(tmp_path / "file" / "a.tiff", [np.zeros((9, 9), dtype=np.float32)], (9, 9))
