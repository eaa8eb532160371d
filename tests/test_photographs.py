from __future__ import annotations

import os
import re
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import grain, save, spot
from PIL import Image, ImageOps

from leatherens.core.errors import InputError
from leatherens.core.photographs import (
    _PILLOW_SILENT,
    MIN_SIDE,
    photograph_size,
    read_at_least,
    read_mask,
    read_masks,
    read_photograph,
    resize_photograph,
)


def refusal(path: Path, read=read_photograph) -> str:
    """The sentence after the file's name."""
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_lossless_colour__comes_back_as_it_was(tmp_path, suffix):
    pixels = grain()
    options = {"lossless": True} if suffix == "webp" else {}

    read = read_photograph(save(tmp_path / f"a.{suffix}", pixels, **options))

    assert read.dtype == np.uint8
    assert np.array_equal(read, pixels)
    assert read.flags.writeable
    assert read.flags.c_contiguous


def test_jpeg__is_near(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 32).astype(np.uint8)[None, :, None], (24, 1, 3))
    read = read_photograph(save(tmp_path / "a.jpg", smooth, quality=95))
    assert np.abs(read.astype(int) - smooth).max() <= 6


def test_suffix_does_not_matter(tmp_path):
    path = save(tmp_path / "a.png", grain()).rename(tmp_path / "a.jpg")
    assert np.array_equal(read_photograph(path), grain())


def test_grey__is_repeated(tmp_path):
    grey = grain()[:, :, 0]
    read = read_photograph(save(tmp_path / "a.png", grey))
    assert np.array_equal(read, np.dstack([grey] * 3))


def test_palette__becomes_its_colours(tmp_path):
    picture = Image.fromarray(grain()).quantize(16)
    read = read_photograph(save(tmp_path / "a.png", picture))
    assert np.array_equal(read, np.asarray(picture.convert("RGB")))


def test_one_bit__is_black_and_white(tmp_path):
    read = read_photograph(save(tmp_path / "a.png", Image.fromarray(spot()).convert("1")))
    assert np.array_equal(read, np.dstack([spot()] * 3))


def test_cmyk__becomes_rgb(tmp_path):
    white = Image.new("CMYK", (32, 24))
    white.paste((0, 255, 255, 0), (16, 0, 32, 24))  # magenta and yellow make red
    read = read_photograph(save(tmp_path / "a.tif", white))
    assert read[0, 0].tolist() == [255, 255, 255]
    assert read[0, -1].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits__keep_the_upper_byte_whatever_the_image_holds(tmp_path, suffix):
    grey = np.full((24, 32), 255, dtype=np.uint16)
    grey[0, :4] = 256, 0x1234, 0x80FF, 0xFFFF
    read = read_photograph(save(tmp_path / f"a.{suffix}", grey))
    assert read[0, :4, 0].tolist() == [0x01, 0x12, 0x80, 0xFF]
    assert read[1:].max() == 0, "a dark image stays dark"


def test_sixteen_bit_colour__keeps_the_upper_byte_as_well(tmp_path):
    path = tmp_path / "a.png"
    deep = (grain().astype(np.uint16) * 256 + 200).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    header = struct.pack(">IIBBBBB", 32, 24, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert np.array_equal(read_photograph(path), grain())


def test_alpha__is_shown_on_white_and_hides_what_lies_under_it(tmp_path):
    rgba = np.dstack([grain(), np.full((24, 32), 255, dtype=np.uint8)])
    rgba[:, :16, 3] = 0
    rgba[0, 31] = 0, 0, 0, 128
    read = read_photograph(save(tmp_path / "a.png", rgba))
    assert (read[:, :16] == 255).all()
    assert read[0, 31].tolist() == [127, 127, 127]
    assert np.array_equal(read[1:, 16:], grain()[1:, 16:])


def test_transparent_palette__is_shown_on_white(tmp_path):
    picture = Image.new("P", (32, 24), 1)
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.paste(0, (0, 0, 16, 24))
    read = read_photograph(save(tmp_path / "a.png", picture, transparency=b"\x00\xff"))
    assert read[0, 0].tolist() == [255, 255, 255]
    assert read[0, -1].tolist() == [200, 100, 50]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_orientation__as_pillow_applies_it(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a.{suffix}", grain(), exif=exif)
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(read_photograph(path), expected)
    assert expected.shape == ((32, 24, 3) if orientation > 4 else (24, 32, 3))
    assert photograph_size(path) == expected.shape[:2]


class TestReadAtLeast:
    @pytest.mark.parametrize("orientation", [1, 6])
    @pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
    def test_large_jpeg__is_decoded_smaller_and_nearly_the_same(self, tmp_path, orientation, mode):
        exif = Image.Exif()
        exif[0x0112] = orientation
        smooth = np.kron(grain(12, 16) // 4 + 96, np.ones((40, 40, 1), np.uint8))
        path = save(tmp_path / "a.jpg", Image.fromarray(smooth).convert(mode), exif=exif, quality=95)
        whole = read_photograph(path)
        least = (30, 40) if orientation == 1 else (40, 30)

        pixels, size = read_at_least(path, least)

        assert size == whole.shape[:2]
        assert pixels.shape[:2] == tuple(side // 8 for side in size)
        near = resize_photograph(pixels, least).astype(int) - resize_photograph(whole, least)
        assert np.abs(near).max() <= 8
        assert np.abs(near).mean() < 1

    @pytest.mark.parametrize(("least", "height"), [((60, 80), 120), ((61, 80), 240), ((121, 9), 480)])
    def test_twice_the_size_that_is_needed__is_kept(self, tmp_path, least, height):
        path = save(tmp_path / "a.jpg", grain(480, 640))
        assert read_at_least(path, least)[0].shape[0] == height

    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
    def test_others__come_as_they_are(self, tmp_path, suffix):
        path = save(tmp_path / f"a.{suffix}", grain(48, 64))
        pixels, size = read_at_least(path, (40, 40))
        assert size == (48, 64)
        assert np.array_equal(pixels, read_photograph(path))

    def test_truncated__is_refused_as_the_whole(self, tmp_path):
        path = save(tmp_path / "a.jpg", grain(480, 640))
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(InputError) as whole:
            read_photograph(path)
        with pytest.raises(InputError) as reduced:
            read_at_least(path, (30, 40))
        assert str(reduced.value) == str(whole.value)


def test_damaged_exif__is_no_obstacle(tmp_path):
    path = save(tmp_path / "a.png", grain(), exif=b"Exif\0\0no tiff header")
    assert np.array_equal(read_photograph(path), grain())


def test_size__needs_no_sound_pixels_but_a_picture(tmp_path):
    whole = save(tmp_path / "a.jpg", grain(64, 48)).read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.jpg").write_text("no picture")

    assert photograph_size(tmp_path / "a.jpg") == (64, 48)
    assert refusal(tmp_path / "b.jpg", photograph_size) == refusal(tmp_path / "b.jpg")


def test_several_masks__are_united(tmp_path):
    lower = np.flipud(spot())
    paths = [save(tmp_path / "1.png", spot()), save(tmp_path / "2.png", np.ascontiguousarray(lower))]

    assert np.array_equal(read_masks(paths, (24, 32)), (spot() | lower) > 0)
    assert not read_masks((), (24, 32)).any()
    with pytest.raises(InputError, match="the mask is 24 x 32 pixels and its photograph 32 x 24"):
        read_masks(paths, (32, 24))


def test_missing(tmp_path):
    assert refusal(tmp_path / "a.png") == "no such file; check the name"
    assert refusal(tmp_path / "a\0.png") == "no such file; check the name"


def test_folder(tmp_path):
    assert refusal(tmp_path) == "a folder, not an image; give one of its files"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_pipe__is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert refusal(tmp_path / "a.png") == "not a regular file; give an image file"


def test_empty_file(tmp_path):
    (tmp_path / "a.png").touch()
    assert refusal(tmp_path / "a.png") == "an empty file (0 bytes); copy it again or remove it"


NOT_AN_IMAGE = "not an image that can be read (PNG, JPEG, TIFF, BMP or WebP); convert it to PNG or remove it"


def test_text_with_the_name_of_an_image(tmp_path):
    (tmp_path / "a.png").write_text("a leather jacket", encoding="utf-8")
    assert refusal(tmp_path / "a.png") == NOT_AN_IMAGE


def test_other_formats_of_pillow__are_not_opened(tmp_path):
    """EPS would start a PostScript interpreter on a file somebody sent."""
    eps = save(tmp_path / "a.eps", grain()).rename(tmp_path / "a.png")
    assert refusal(eps) == NOT_AN_IMAGE
    assert refusal(save(tmp_path / "a.gif", grain())) == NOT_AN_IMAGE


def test_truncated__names_the_file_whatever_the_decoder_says(tmp_path):
    for suffix in ("png", "jpg", "bmp", "tif", "webp"):
        whole = save(tmp_path / f"whole.{suffix}", grain(64, 64)).read_bytes()
        half = tmp_path / f"half.{suffix}"
        half.write_bytes(whole[: len(whole) // 2])
        assert re.fullmatch(r"damaged \(.+\); copy it again or remove it", refusal(half)), suffix


def test_truncated_jpeg__word_for_word(tmp_path):
    whole = save(tmp_path / "whole.jpg", grain(64, 64)).read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[:-400])
    found = refusal(tmp_path / "half.jpg")
    assert re.sub(r"\d+", "N", found) == (
        "damaged (image file is truncated (N bytes not processed)); copy it again or remove it"
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data(), suffix=st.sampled_from(["png", "jpg", "tif", "webp", "bmp"]))
def test_flipped_bytes__are_read_or_refused_but_never_crash(tmp_path_factory, data, suffix):
    path = tmp_path_factory.mktemp("flipped") / f"a.{suffix}"
    content = bytearray(save(path, grain()).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read = read_photograph(path)
    except InputError as error:
        found = str(error)
    else:
        found = f"{path}: {read.ndim} axes"
    assert found.startswith(f"{path}: ")


def test_tiny(tmp_path):
    path = save(tmp_path / "a.png", grain(1, 1))
    assert refusal(path) == "1 x 1 pixels, at least 8 x 8 are needed; remove it"
    assert (
        refusal(save(path, grain(30, MIN_SIDE - 1))) == "30 x 7 pixels, at least 8 x 8 are needed; remove it"
    )
    assert read_photograph(save(path, grain(30, MIN_SIDE))).shape == (30, 8, 3)


def test_float(tmp_path):
    path = save(tmp_path / "a.tif", grain()[:, :, 0].astype(np.float32))
    assert refusal(path) == (
        "holds floating-point values, of which no file says what is black and what is white; "
        "save it as 8-bit or 16-bit grey or RGB"
    )


def test_32_bit_integers(tmp_path):
    path = save(tmp_path / "a.tif", grain()[:, :, 0].astype(np.int32))
    assert refusal(path) == (
        "holds 32-bit or signed integers, of which no file says what is black and what is white; "
        "save it as 8-bit or 16-bit grey or RGB"
    )


def test_lab(tmp_path):
    path = save(tmp_path / "a.tif", Image.merge("LAB", Image.fromarray(grain()).split()))
    assert refusal(path) == "holds L*a*b* colours; save it as 8-bit or 16-bit grey or RGB"


def test_several_pages(tmp_path):
    pages = [Image.fromarray(grain(seed=n)) for n in range(3)]
    path = save(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    assert refusal(path) == "holds 3 pictures; save each as a file of its own"


def test_phone_jpeg_with_a_second_picture__is_its_first(tmp_path):
    pages = [Image.fromarray(grain(seed=n)) for n in range(2)]
    path = save(tmp_path / "a.jpg", pages[0], format="MPO", save_all=True, append_images=pages[1:])
    assert np.array_equal(read_photograph(path), read_photograph(save(tmp_path / "b.jpg", pages[0])))


def test_decompression_bomb(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", Image.new("L", (2000, 1100)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    assert refusal(path) == (
        "more than 2 million pixels, refused as a possible decompression bomb; work in tiles "
        "(leatherens run --tile, with leatherens[large] installed), or cut it into several files"
    )


def test_large_photograph__gives_no_warning(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", Image.new("L", (1500, 1000)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    assert read_photograph(path).shape == (1000, 1500, 3)


def test_forbidden(tmp_path, monkeypatch):
    def forbidden(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = save(tmp_path / "a.png", grain())
    monkeypatch.setattr(Image, "open", forbidden)
    assert refusal(path) == "may not be read; change its permissions or remove it"


def test_too_large_for_memory(tmp_path, monkeypatch):
    def exhausted(*args: object, **options: object) -> None:
        raise MemoryError

    path = save(tmp_path / "a.png", grain())
    monkeypatch.setattr(Image, "open", exhausted)
    assert refusal(path) == (
        "too large for the memory of this machine; work in tiles (leatherens run --tile, with "
        "leatherens[large] installed), or cut it into several files"
    )


def test_warning_filters__are_put_back_by_the_last_of_several_threads():
    before = list(warnings.filters)
    first_in, first_out = threading.Event(), threading.Event()

    def first() -> None:
        with _PILLOW_SILENT:
            first_in.set()
            assert first_out.wait(5)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        assert first_in.wait(5)
        with _PILLOW_SILENT:  # entered second, left last
            first_out.set()
            running.result(5)
            assert warnings.filters != before
    assert warnings.filters == before


def test_warnings_of_others__are_heard_while_pictures_are_read():
    with _PILLOW_SILENT, pytest.raises(UserWarning, match="mine"):
        warnings.warn("mine", UserWarning, stacklevel=1)


def test_mask__two_values(tmp_path):
    assert np.array_equal(read_mask(save(tmp_path / "m.png", spot())), spot() > 0)
    assert read_mask(save(tmp_path / "m.png", np.zeros((24, 32), np.uint8))).sum() == 0


def test_mask__soft_edges_are_cut_at_half(tmp_path):
    soft = np.tile(np.array([0, 1, 127, 128, 200, 255, 0, 0], np.uint8), (8, 1))
    read = read_mask(save(tmp_path / "m.png", soft))
    assert read.dtype == np.bool_
    assert read[0].tolist() == [False, False, False, True, True, True, False, False]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_mask__class_numbers_all_count(tmp_path, dtype):
    classes = np.tile(np.array([0, 1, 2, 9, 0, 0, 0, 127], dtype), (8, 1))
    assert np.array_equal(read_mask(save(tmp_path / "m.png", classes)), classes > 0)


def test_mask__sixteen_bits(tmp_path):
    levels = np.tile(np.array([0, 128, 0x7FFF, 0x8000, 0xFFFF, 0, 0, 0], np.uint16), (8, 1))
    assert (
        read_mask(save(tmp_path / "m.png", levels))[0].tolist()
        == [False, False, False, True, True] + [False] * 3
    )


def test_mask__one_bit_colour_palette_and_transparent(tmp_path):
    inside = spot() > 0
    red = np.zeros((24, 32, 3), np.uint8)
    red[inside] = 128, 0, 0
    drawn = np.full((24, 32, 4), 255, np.uint8)
    drawn[:, :, 3] = spot()
    for picture in (
        Image.fromarray(spot()).convert("1"),
        Image.fromarray(red),
        Image.fromarray(red).quantize(2),
        Image.fromarray(drawn),
    ):
        assert np.array_equal(read_mask(save(tmp_path / "m.png", picture)), inside), picture.mode


def test_mask__of_another_size(tmp_path):
    path = save(tmp_path / "m.png", spot(24, 32))
    assert read_mask(path, (24, 32)).shape == (24, 32)
    assert refusal(path, lambda p: read_mask(p, (32, 24))) == (
        "the mask is 24 x 32 pixels and its photograph 32 x 24 (height x width); "
        "give the mask of this photograph, at its size"
    )


def test_resize__the_same_size_changes_nothing():
    assert np.array_equal(resize_photograph(grain(), (24, 32)), grain())


def test_resize__shrinking_averages_areas():
    expected = grain().reshape(12, 2, 8, 4, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(resize_photograph(grain(), (12, 8)) - expected).max() <= 0.5 + 1e-6


def test_resize__one_side_up_and_one_down_averages_the_one_that_shrinks():
    """cv2's area method alone falls back to picking pixels as soon as one side grows."""
    stripes = np.zeros((16, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    read = resize_photograph(stripes, (32, 32))
    assert read.shape == (32, 32, 3)
    assert np.abs(read.astype(int) - 127).max() <= 1


@given(height=st.integers(8, 40), width=st.integers(8, 40), level=st.integers(0, 255))
@settings(max_examples=30, deadline=None)
def test_resize__keeps_a_flat_colour(height, width, level):
    flat = np.full((24, 17, 3), level, np.uint8)
    assert (resize_photograph(flat, (height, width)) == level).all()


def test_resize__keeps_left_left_and_top_top():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:16, 48:] = 255
    read = resize_photograph(pixels, (20, 12))
    assert read[1, -2].min() == 255
    assert read[-2, 1].max() == 0
    assert read[1, 1].max() == 0
