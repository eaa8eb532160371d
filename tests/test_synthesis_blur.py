"""Blur anomalies: the window, where it comes from, and what it does to a picture."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from leatherens.core.synthesis import blurred as blurred_module
from leatherens.core.synthesis.blurred import BlurAnomaly, blurred


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(height=40, width=56, seed=0):
    return rng(seed).random((height, width, 3), dtype=np.float32)


def window(side, sigma):
    offsets = np.arange(side) - side // 2
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    return weights / weights.sum()


@pytest.mark.parametrize("side", [5, 9, 15])
def test_blurred__is_a_gaussian_mean_over_a_window_of_this_side(side):
    image = picture()
    expected = image.astype(float)
    for axis in (0, 1):
        expected = correlate1d(expected, window(side, 6.0), axis=axis, mode="mirror")
    np.testing.assert_allclose(blurred(image, side, 6.0), expected, atol=1e-5)


def test_blurred__leaves_flat_and_white_pictures_as_they_are():
    for level in (0.0, 0.3, 1.0):
        flat = np.full((20, 30, 3), level, np.float32)
        smooth = blurred(flat, 15, 6.0)
        np.testing.assert_allclose(smooth, flat, atol=1e-6)
        assert smooth.max() <= 1


def test_blur__draws_each_of_the_six_windows_and_the_published_sigma(monkeypatch):
    calls = []
    monkeypatch.setattr(
        blurred_module, "blurred", lambda image, side, sigma: (calls.append((side, sigma)), image)[1]
    )
    generator = rng()
    for _ in range(300):
        BlurAnomaly().draw(picture(8, 8), None, generator)
    sides, counts = np.unique([side for side, _ in calls], return_counts=True)
    assert sides.tolist() == [5, 7, 9, 11, 13, 15]
    assert counts.min() > 25
    assert {sigma for _, sigma in calls} == {6.0}


def test_blur__shows_the_blurred_image_inside_the_mask():
    image = picture(64, 64)
    seen, mask = BlurAnomaly(sides=(9,)).draw(image, None, rng(1))
    assert np.array_equal(seen[mask], blurred(image, 9, 6.0)[mask])
    assert seen[mask].std() < 0.5 * image[mask].std()
