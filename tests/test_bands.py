from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import grain, save
from PIL import Image

from leatherens.core import bands
from leatherens.core.bands import mask_bands, photograph_bands, size_of
from leatherens.core.errors import InputError
from leatherens.core.photographs import read_mask, read_photograph

tifffile = pytest.importorskip("tifffile")
HEIGHT, WIDTH = 151, 83
SPANS = [(0, 40), (30, 70), (30, 70), (60, 130), (130, 151)]

RGB = grain(HEIGHT, WIDTH)
GREY = RGB[:, :, 0]
ALPHA = grain(HEIGHT, WIDTH, seed=1)[:, :, 0]
DEEP = np.random.default_rng(2).integers(0, 1 << 16, (HEIGHT, WIDTH), dtype=np.uint16)
PALETTE = Image.fromarray(RGB).quantize(16)
ONE_BIT = Image.fromarray(GREY).convert("1")
GREY_ALPHA = Image.fromarray(np.dstack([GREY, ALPHA]))


def written_png(path: Path, deep: np.ndarray, colour: int) -> Path:
    """A PNG of 16 bits a channel, which Pillow reads and does not write."""
    rows = b"".join(b"\0" + row.tobytes() for row in deep.astype(">u2"))
    header = struct.pack(">IIBBBBB", deep.shape[1], deep.shape[0], 16, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def tiff(path: Path, pixels: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, pixels, **options)
    return path


STREAMED = {
    "rgb.jpg": lambda p: save(p, RGB, quality=90),
    "rgb444.jpg": lambda p: save(p, RGB, quality=90, subsampling=0),
    "grey.jpg": lambda p: save(p, GREY),
    "cmyk.jpg": lambda p: save(p, Image.fromarray(RGB).convert("CMYK")),
    "rgb.png": lambda p: save(p, RGB),
    "grey.png": lambda p: save(p, GREY),
    "rgba.png": lambda p: save(p, np.dstack([RGB, ALPHA])),
    "la.png": lambda p: save(p, GREY_ALPHA),
    "palette.png": lambda p: save(p, PALETTE),
    "clear-palette.png": lambda p: save(p, PALETTE, transparency=bytes(range(0, 160, 10))),
    "clear-colour.png": lambda p: save(p, RGB, transparency=tuple(map(int, RGB[5, 5]))),
    "one.png": lambda p: save(p, ONE_BIT),
    "sixteen.png": lambda p: save(p, DEEP),
    "sixteen-rgb.png": lambda p: written_png(p, RGB.astype(np.uint16) * 256 + 77, 2),
    "sixteen-rgba.png": lambda p: written_png(p, np.dstack([RGB, ALPHA]).astype(np.uint16) * 256 + 77, 6),
    "sixteen-la.png": lambda p: written_png(p, np.dstack([GREY, ALPHA]).astype(np.uint16) * 256 + 200, 4),
    "rgb.tif": lambda p: save(p, RGB),
    "grey.tif": lambda p: save(p, GREY),
    "rgba.tif": lambda p: save(p, np.dstack([RGB, ALPHA])),
    "palette.tif": lambda p: save(p, PALETTE),
    "cmyk.tif": lambda p: save(p, Image.fromarray(RGB).convert("CMYK")),
    "one.tif": lambda p: save(p, ONE_BIT, compression="group4"),
    "sixteen.tif": lambda p: save(p, DEEP),
    "big-endian.tif": lambda p: tiff(p, DEEP.astype(">u2"), byteorder=">", photometric="minisblack"),
    "lzw.tif": lambda p: save(p, RGB, compression="tiff_lzw"),
    "deflate.tif": lambda p: save(p, RGB, compression="tiff_adobe_deflate"),
    "jpeg.tif": lambda p: save(p, RGB, compression="jpeg"),
    "tiled.tif": lambda p: tiff(p, RGB, tile=(32, 32), photometric="rgb"),
    "planar.tif": lambda p: tiff(
        p, np.moveaxis(RGB, 2, 0).copy(), planarconfig="separate", photometric="rgb"
    ),
    "big.tif": lambda p: tiff(p, RGB, bigtiff=True, photometric="rgb"),
    "white-is-0.tif": lambda p: tiff(p, GREY, photometric="miniswhite"),
}
WHOLE = {
    "progressive.jpg": lambda p: save(p, RGB, progressive=True),
    "rgb.bmp": lambda p: save(p, RGB),
    "rgb.webp": lambda p: save(p, RGB),
    "white-is-0-sixteen.tif": lambda p: tiff(p, DEEP, photometric="miniswhite"),
    "premultiplied.tif": lambda p: tiff(
        p, np.dstack([RGB, ALPHA]), photometric="rgb", extrasamples=["assocalpha"]
    ),
    "a-fourth-channel.tif": lambda p: tiff(
        p, np.dstack([RGB, ALPHA]), photometric="rgb", extrasamples=["unspecified"]
    ),
}


@pytest.fixture
def small_is_large(monkeypatch):
    """Every picture is taken for one that is too large to be decoded whole."""
    pytest.importorskip("pyvips")
    monkeypatch.setattr(bands, "WHOLE_PIXELS", 0)


@pytest.fixture
def never_whole(monkeypatch, small_is_large):
    def refuse(path):
        raise AssertionError(f"{path.name} was read whole")

    monkeypatch.setattr(bands, "read_photograph", refuse)
    monkeypatch.setattr(bands, "read_mask", refuse)


@pytest.mark.parametrize("name", STREAMED)
def test_streamed_bands__are_the_photographs_own_pixels(tmp_path, never_whole, name):
    path = STREAMED[name](tmp_path / name)
    expected = read_photograph(path)
    found = list(photograph_bands(path, SPANS))
    assert size_of(path) == expected.shape[:2]
    for (start, stop), band in zip(SPANS, found, strict=True):
        assert band.dtype == np.uint8
        assert np.array_equal(band, expected[start:stop]), (start, stop)


@pytest.mark.parametrize("name", WHOLE)
def test_what_cannot_be_streamed_alike__is_read_whole(tmp_path, small_is_large, name):
    path = WHOLE[name](tmp_path / name)
    expected = read_photograph(path)
    assert bands._stream(path) is None
    assert size_of(path) == expected.shape[:2]
    found = np.concatenate(list(photograph_bands(path, [(0, 70), (70, HEIGHT)])))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_turned_photographs__come_upright(tmp_path, never_whole, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a.{suffix}", RGB, exif=exif)
    expected = read_photograph(path)
    assert size_of(path) == expected.shape[:2]
    spans = [(0, 30), (20, 60), (60, expected.shape[0])]
    for (start, stop), band in zip(spans, photograph_bands(path, spans), strict=True):
        assert np.array_equal(band, expected[start:stop])


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("levels", ["drawn", "classes", "deep", "deep classes"])
def test_mask_bands__are_the_mask(tmp_path, never_whole, orientation, levels):
    drawn = {
        "drawn": GREY,
        "classes": GREY // 100,
        "deep": DEEP,
        "deep classes": (DEEP > 40000).astype(np.uint16),
    }[levels]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "mask.png", drawn, exif=exif)
    expected = read_mask(path)
    assert 0 < expected.mean() < 1
    spans = [(0, 50), (50, expected.shape[0])]
    assert np.array_equal(np.concatenate(list(mask_bands(path, spans))), expected)


def test_small_photographs__are_read_whole(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", RGB)
    assert bands._stream(path) is None
    assert np.array_equal(next(photograph_bands(path, [(3, 9)])), RGB[3:9])
    assert np.array_equal(next(mask_bands(path, [(3, 9)])), read_mask(path)[3:9])


def test_without_libvips__everything_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(bands, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(bands, "find_spec", lambda name: None)
    path = save(tmp_path / "a.png", RGB)
    assert size_of(path) == (HEIGHT, WIDTH)
    assert np.array_equal(next(photograph_bands(path, [(3, 9)])), RGB[3:9])


class TestRefusals:
    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
    def test_truncated_below_the_last_band(self, tmp_path, small_is_large, suffix):
        path = save(tmp_path / f"a.{suffix}", RGB)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
        with pytest.raises(InputError) as whole:
            read_photograph(path)
        with pytest.raises(InputError) as caught:
            list(photograph_bands(path, [(0, 16)]))
        for error in (whole, caught):
            assert str(error.value).startswith(f"{path}: damaged (")
            assert str(error.value).endswith("; copy it again or remove it")

    @pytest.mark.parametrize("content", [b"", b"no image"])
    def test_no_image__has_the_sentence_of_a_small_one(self, tmp_path, small_is_large, content):
        path = tmp_path / "a.png"
        path.write_bytes(content)
        with pytest.raises(InputError) as expected:
            read_photograph(path)
        for attempt in (lambda: size_of(path), lambda: list(photograph_bands(path, [(0, 9)]))):
            with pytest.raises(InputError) as caught:
                attempt()
            assert str(caught.value) == str(expected.value)

    def test_floating_point_and_several_pictures(self, tmp_path, small_is_large):
        floating = tiff(tmp_path / "a.tif", GREY.astype(np.float32))
        several = save(tmp_path / "b.tif", RGB, save_all=True, append_images=[Image.fromarray(RGB)])
        for path, reason in ((floating, "holds floating-point values"), (several, "holds 2 pictures")):
            with pytest.raises(InputError, match=reason):
                list(photograph_bands(path, [(0, 9)]))

    def test_more_than_any_hide(self, tmp_path, monkeypatch, small_is_large):
        monkeypatch.setattr(bands, "MOST_PIXELS", 10_000)
        path = save(tmp_path / "a.png", RGB)
        with pytest.raises(InputError) as caught:
            size_of(path)
        assert str(caught.value) == (
            f"{path}: 0 million pixels, more than 0 million are refused as a possible decompression bomb; "
            "cut it into several files"
        )

    def test_beyond_pillows_limit__only_what_streams(self, tmp_path, monkeypatch, small_is_large):
        streamed, whole = save(tmp_path / "a.jpg", RGB), save(tmp_path / "b.jpg", RGB, progressive=True)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        assert np.concatenate(list(photograph_bands(streamed, [(0, HEIGHT)]))).shape == RGB.shape
        with pytest.raises(InputError) as caught:
            list(photograph_bands(whole, [(0, HEIGHT)]))
        assert "in a form that can only be decoded whole" in str(caught.value)

    def test_no_room_to_turn(self, tmp_path, monkeypatch, small_is_large):
        exif = Image.Exif()
        exif[0x0112] = 6
        path = save(tmp_path / "a.jpg", RGB, exif=exif)

        def full(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(bands, "_write_upright", full)
        with pytest.raises(InputError) as caught:
            list(photograph_bands(path, [(0, 9)]))
        assert str(caught.value).startswith(f"{path}: cannot be turned upright in ")
        assert "No space left on device" in str(caught.value)


def test_memory__does_not_grow_with_the_height(tmp_path, monkeypatch, small_is_large):
    """What Python holds of a photograph while it walks it: bands, whatever its height."""
    import tracemalloc

    peaks = []
    for height in (600, 3000):
        path = tiff(tmp_path / f"{height}.tif", np.zeros((height, 700, 3), dtype=np.uint8), photometric="rgb")
        tracemalloc.start()
        for band in photograph_bands(path, [(top, top + 100) for top in range(0, height, 100)]):
            assert band.shape == (100, 700, 3)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 3000 * 700 * 3 / 4, "less than the picture"
