"""Structural anomalies: the image itself, changed and with its cells shuffled."""

from __future__ import annotations

import colorsys
from itertools import pairwise

import numpy as np
import pytest

from leatherens.core.synthesis import structural
from leatherens.core.synthesis.augment import augmented
from leatherens.core.synthesis.rotation import rotated
from leatherens.core.synthesis.structural import CHANGES, StructuralAnomaly, changed, restyled, shuffled


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(height=32, width=48, seed=0):
    return rng(seed).random((height, width, 3), dtype=np.float32)


def places(height, width):
    """A picture whose pixels say where they come from: row, column and nothing."""
    rows, columns = np.indices((height, width), dtype=np.float32)
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1)


# Cells


def cells(image, tall, wide):
    height, width = image.shape[:2]
    return [
        image[r : r + tall, c : c + wide].tobytes()
        for r in range(0, height, tall)
        for c in range(0, width, wide)
    ]


def test_shuffled__is_a_permutation_of_equal_cells():
    image = picture(64, 96)
    mixed = shuffled(image, rng(1))
    before, after = cells(image, 8, 12), cells(mixed, 8, 12)
    assert sorted(after) == sorted(before)
    assert len(set(before)) == 64
    moved = sum(a != b for a, b in zip(before, after, strict=True))
    assert moved > 55  # all but one, on average, change places


def test_shuffled__of_another_grid_has_its_cells():
    image = picture(12, 18)
    assert sorted(cells(shuffled(image, rng(1), grid=3), 4, 6)) == sorted(cells(image, 4, 6))


def edges(length, grid=8):
    return [i * length // grid for i in range(grid + 1)]


@pytest.mark.parametrize("size", [(61, 90), (37, 40)])
def test_shuffled__moves_whole_cells_of_any_image_by_the_border_to_within_a_pixel(size):
    rows, columns = edges(size[0]), edges(size[1])
    mixed = shuffled(places(*size), rng(2))
    starts = set()
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            piece = mixed[top:bottom, left:right]
            down, across = piece[0, 0, 0], piece[0, 0, 1]
            assert np.array_equal(piece, places(*size)[: bottom - top, : right - left] + [down, across, 0])
            row = int(np.argmin(np.abs(np.array(rows[:-1]) - down)))
            column = int(np.argmin(np.abs(np.array(columns[:-1]) - across)))
            assert abs(rows[row] - down) <= 1
            assert abs(columns[column] - across) <= 1
            starts.add((row, column))
    assert len(starts) == 64


def test_shuffled__takes_images_smaller_than_the_grid():
    mixed = shuffled(places(3, 5), rng())
    assert {tuple(pixel) for row in mixed for pixel in row} <= {
        tuple(pixel) for row in places(3, 5) for pixel in row
    }


# Changes


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_change__keeps_shape_and_range_and_leaves_its_input_alone(change):
    image = picture()
    before = image.copy()
    outcomes = [change(image, rng(seed)) for seed in range(8)]
    assert all(o.shape == image.shape and o.dtype == np.float32 for o in outcomes)
    assert all(-1e-6 <= o.min() <= o.max() <= 1 + 1e-6 for o in outcomes)
    assert any(not np.array_equal(o, image) for o in outcomes)
    assert np.array_equal(image, before)


def test_flipped__every_other_time():
    image = picture()
    outcomes = [structural.flipped(image, rng(seed)) for seed in range(200)]
    mirrored = [np.array_equal(o, image[:, ::-1]) for o in outcomes]
    assert all(m or np.array_equal(o, image) for m, o in zip(mirrored, outcomes, strict=True))
    assert 70 <= sum(mirrored) <= 130


def test_turned__by_up_to_45_degrees_either_way():
    image, angles = picture(), []
    for seed in range(60):
        angle = rng(seed).uniform(-45, 45)
        np.testing.assert_array_equal(structural.turned(image, rng(seed)), rotated(image, angle))
        angles.append(angle)
    assert min(angles) < -40
    assert max(angles) > 40


def test_brightened__by_a_fifth_at_most_and_clipped():
    image = picture()
    factors = []
    for seed in range(60):
        bright = structural.brightened(image, rng(seed))
        low = image < 0.8
        factors.append(float(np.median(bright[low] / image[low])))
        np.testing.assert_allclose(bright, np.clip(image * factors[-1], 0, 1), atol=1e-5)
    assert 0.8 <= min(factors) < 0.83
    assert 1.17 < max(factors) <= 1.2


def hsv(image):
    return np.array([[colorsys.rgb_to_hsv(*map(float, pixel)) for pixel in row] for row in image])


def rgb(image):
    return np.array([[colorsys.hsv_to_rgb(*pixel) for pixel in row] for row in image])


def test_saturated__multiplies_the_saturation_and_nothing_else():
    image = picture(6, 7)
    for seed in range(12):
        factor = rng(seed).uniform(0.5, 1.5)
        expected = hsv(image)
        expected[..., 1] = np.clip(expected[..., 1] * factor, 0, 1)
        np.testing.assert_allclose(structural.saturated(image, rng(seed)), rgb(expected), atol=1e-4)


def test_recoloured__multiplies_the_hue_which_wraps_round():
    image = picture(6, 7)
    wrapped = 0
    for seed in range(12):
        factor = rng(seed).uniform(0.5, 1.5)
        expected = hsv(image)
        wrapped += int((expected[..., 0] * factor > 1).sum())
        expected[..., 0] = expected[..., 0] * factor % 1
        np.testing.assert_allclose(structural.recoloured(image, rng(seed)), rgb(expected), atol=1e-3)
    assert wrapped


def test_changed__makes_three_distinct_changes(monkeypatch):
    applied = []
    fakes = tuple(lambda image, generator, k=k: (applied.append(k), image)[1] for k in range(5))
    monkeypatch.setattr(structural, "CHANGES", fakes)
    generator, seen = rng(), set()
    for _ in range(60):
        applied.clear()
        changed(picture(), generator)
        assert len(applied) == len(set(applied)) == 3
        seen |= set(applied)
    assert seen == set(range(5))


# The anomaly


def test_structural__shows_the_shuffled_image_inside_the_mask():
    image = places(64, 64) / 64
    known = {tuple(pixel) for row in image for pixel in row}
    for seed in range(5):
        seen, mask = StructuralAnomaly(change=lambda image, generator: image).draw(image, None, rng(seed))
        inside = [tuple(pixel) for pixel in seen[mask]]
        assert set(inside) <= known
        moved = (seen[mask] != image[mask]).any(axis=-1).mean()
        assert moved > 0.5


def test_structural__may_restyle_the_image_as_textures_are():
    image = rng(3).random((64, 64, 3), dtype=np.float32)
    changed_in = StructuralAnomaly(change=restyled)
    spoilt, mask = changed_in.draw(image, None, rng(1))
    assert mask.any()
    np.testing.assert_array_equal(spoilt[~mask], image[~mask])
    assert spoilt.dtype == np.float32
    assert not np.array_equal(spoilt, StructuralAnomaly().draw(image, None, rng(1))[0])


def test_restyled__is_three_augmenters_on_bytes():
    image = rng(3).random((16, 16, 3), dtype=np.float32)
    expected = augmented(np.rint(image * 255).astype(np.uint8), rng(5))
    np.testing.assert_allclose(restyled(image, rng(5)) * 255, expected, atol=1e-3)
