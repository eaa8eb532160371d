"""Simplex noise against the sum over all corners of the lattice, and rectangles of it on good images."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from leatherens.core.synthesis.noise_patch import NoisePatch
from leatherens.core.synthesis.simplex import (
    LOUDNESS,
    REACH,
    UNSKEW,
    gradients_at,
    shuffled_table,
    simplex,
    simplex_octaves,
)

TABLE = shuffled_table(np.random.default_rng(0))


def lattice(corners: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Where lattice corners (..., 3) lie in space."""
    return corners - UNSKEW * corners.sum(axis=-1, keepdims=True)


def test_noise__is_the_sum_over_every_corner_in_reach() -> None:
    """No tetrahedra here: a wrong order of corners would leave one out that is heard."""
    points = np.random.default_rng(1).uniform(-3, 3, (500, 3))
    expected = np.zeros(len(points))
    for corner in product(range(-8, 9), repeat=3):
        away = points - lattice(np.array(corner))
        fade = np.clip(REACH - np.square(away).sum(axis=1), 0, None) ** 4
        expected += LOUDNESS * fade * (gradients_at(np.array(corner)[:, None], TABLE).T * away).sum(axis=1)
    np.testing.assert_allclose(simplex(points, TABLE), expected, atol=1e-9)


def test_noise__is_silent_at_the_corners() -> None:
    corners = np.array(list(product(range(-2, 3), repeat=3)))
    np.testing.assert_allclose(simplex(lattice(corners), TABLE), 0, atol=1e-12)


def test_noise__is_about_minus_one_to_one() -> None:
    noise = simplex(np.random.default_rng(2).uniform(-50, 50, (200_000, 3)), TABLE)
    assert 0.8 < np.abs(noise).max() <= 1.01
    assert abs(noise.mean()) < 0.01


def test_octaves__differ_with_the_generator_and_only_with_it() -> None:
    one, again, other = (simplex_octaves(np.random.default_rng(s), (20, 30)) for s in (1, 1, 2))
    assert one.shape == (20, 30, 3)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[..., 0], one[..., 1])


def test_octaves__add_ever_finer_and_fainter_noise() -> None:
    first, second = (
        simplex_octaves(np.random.default_rng(3), (8, 8), octaves=n, persistence=0.5, period=4)
        for n in (1, 2)
    )
    table = shuffled_table(np.random.default_rng(3))
    points = np.stack(np.meshgrid(np.arange(8), np.arange(8), np.arange(3), indexing="ij"), axis=-1)
    np.testing.assert_allclose(second - first, 0.5 * simplex(points * 0.5, table), atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_patch__changes_a_rectangle_of_the_published_size_and_nothing_else(seed: int) -> None:
    image = np.full((64, 96, 3), 0.5, np.float32)
    spoilt, mask = NoisePatch().draw(image, None, np.random.default_rng(seed))
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert 10 <= len(rows) <= 31
    assert 10 <= len(columns) <= 31
    assert min(rows[0], columns[0]) >= 1
    assert np.array_equal(spoilt[~mask], image[~mask])
    assert not np.array_equal(spoilt[mask], image[mask])


def test_patch__stays_in_range_and_within_what_is_valid() -> None:
    image, valid = np.ones((40, 40, 3), np.float32), np.zeros((40, 40), np.bool_)
    valid[:, :20] = True
    for seed in range(10):
        spoilt, mask = NoisePatch().draw(image, valid, np.random.default_rng(seed))
        assert not (mask & ~valid).any()
        assert spoilt.min() >= 0
        assert spoilt.max() <= 1


def test_patch__fits_into_a_small_image() -> None:
    spoilt, mask = NoisePatch().draw(np.zeros((8, 9, 3), np.float32), None, np.random.default_rng(0))
    assert spoilt.shape == (8, 9, 3)
    assert mask.any()
