"""Photographs that are there twice: copies are found, unlike images of one surface are not."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from leatherens.core.inspection.duplicates import ALIKE, NEAR, Alike, identical, similar
from leatherens.core.inspection.perceptual import (
    BITS,
    SIDE,
    correlation,
    detail,
    perceptual_hash,
    small_grey,
)
from leatherens.core.leather import good_hide
from leatherens.core.randomness import numpy_generator


def hide(number: int, size: int = 128) -> np.ndarray:
    return good_hide(numpy_generator(0, "twice", number), scenario="one-colour", size=(size, size))


def as_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


COPIES = {
    "jpeg": lambda pixels: as_jpeg(pixels, 60),
    "half": lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "lighter": lambda pixels: np.clip(pixels * 1.1 + 5, 0, 255).astype(np.uint8),
    "shaded": lambda pixels: (pixels * np.linspace(0.6, 1, pixels.shape[1])[:, None]).astype(np.uint8),
    "noise": lambda pixels: np.clip(
        pixels + np.random.default_rng(0).normal(0, 4, pixels.shape), 0, 255
    ).astype(np.uint8),
}


def found(pictures: list[np.ndarray]) -> list[tuple[int, ...]]:
    """Groups of nearly the same, none identical."""
    contents = [picture.tobytes() for picture in pictures]
    units: list[int] = []
    groups = similar([small_grey(picture) for picture in pictures], contents, units.append)
    assert sum(units) == len(pictures)
    return [group.members for group in groups]


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_similar__finds_a_copy_among_other_hides(copy) -> None:
    hides = [hide(number) for number in range(6)]

    assert found([*hides, copy(hides[2])]) == [(2, 6)]


def test_similar__finds_nothing_among_hides_and_even_pictures() -> None:
    hides = [hide(number) for number in range(12)]
    even = [np.full((64, 64, 3), level, np.uint8) for level in (100, 101, 150)]

    assert found([*hides, *even]) == []


def test_similar__a_shadow_alone_is_no_likeness() -> None:
    """Unlike images under one lamp: their small greys correlate, their details do not."""
    lamp = np.linspace(0.3, 1, 128)[None, :, None] ** 2
    one, other = ((hide(number) * lamp).astype(np.uint8) for number in (0, 1))

    greys = [cv2.resize(small_grey(picture), (16, 16)).ravel() for picture in (one, other)]
    assert np.corrcoef(greys)[0, 1] > 0.9
    assert correlation(small_grey(one), small_grey(other)) < 0.3


def test_similar__joins_chains_and_lets_the_first_of_identical_ones_stand_for_all() -> None:
    first = hide(0)
    copies = [first, as_jpeg(first, 90), first.copy(), COPIES["lighter"](first), hide(1)]
    contents = [picture.tobytes() for picture in copies]

    groups = similar([small_grey(picture) for picture in copies], contents, lambda units: None)

    assert [group.members for group in groups] == [(0, 1, 3)]
    assert ALIKE <= groups[0].least <= 1


def test_similar__compares_blocks_with_all_that_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    hides = [hide(number, 64) for number in range(7)]
    monkeypatch.setattr("leatherens.core.inspection.duplicates._BLOCK", 2)

    assert found([*hides, as_jpeg(hides[1], 90), as_jpeg(hides[6], 90)]) == [(1, 7), (6, 8)]
    assert found([]) == []


def test_identical__groups_equal_contents_by_first_place() -> None:
    assert identical([b"a", b"b", b"a", b"c", b"b", b"a"]) == (
        Alike((0, 2, 5), 1.0),
        Alike((1, 4), 1.0),
    )
    assert identical([b"a", b"b"]) == ()


def test_detail__is_a_unit_vector_that_light_and_contrast_do_not_change() -> None:
    small = small_grey(hide(3))

    found = detail(small)

    assert found.shape == (SIDE * SIDE,)
    assert float(found @ found) == pytest.approx(1, abs=1e-5)
    assert float(found.sum()) == pytest.approx(0, abs=1e-3)
    dimmed = np.rint(small.astype(np.float32) * 0.6 + 20).astype(np.uint8)
    assert float(found @ detail(dimmed)) > 0.98
    assert not detail(np.full((SIDE, SIDE), 77, np.uint8)).any()


def test_hash__is_the_signs_of_the_lowest_cosines() -> None:
    """Against the definition of the cosine transform."""
    found = detail(small_grey(hide(4))).reshape(SIDE, SIDE).astype(np.float64)
    places = (2 * np.arange(SIDE) + 1) * np.pi / (2 * SIDE)
    waves = np.cos(np.arange(16)[:, None] * places)  # (16, SIDE)
    expected = (waves @ found @ waves.T).ravel()[1:]

    bits = perceptual_hash(found.ravel().astype(np.float32))

    assert bits.shape == (BITS,)
    sure = np.abs(expected) > 1e-4
    np.testing.assert_array_equal(bits[sure], expected[sure] > 0)
    assert sure.mean() > 0.95


def test_hash__copies_are_near_and_other_hides_are_far() -> None:
    first = perceptual_hash(detail(small_grey(hide(0))))
    near = [
        np.count_nonzero(first != perceptual_hash(detail(small_grey(copy(hide(0))))))
        for copy in COPIES.values()
    ]
    far = [np.count_nonzero(first != perceptual_hash(detail(small_grey(hide(n))))) for n in range(1, 12)]

    assert max(near) <= NEAR < min(far)
