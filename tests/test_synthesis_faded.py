"""Anomalies through which the good image shines."""

from __future__ import annotations

import numpy as np
import pytest

from leatherens.core.synthesis.faded import Faded


class White:
    """White in the upper left quarter."""

    def draw(self, image, valid, rng):
        mask = np.zeros(image.shape[:2], np.bool_)
        mask[:4, :4] = True
        return np.where(mask[..., None], np.float32(1), image), mask


@pytest.mark.parametrize("opacity", [0.0, 0.15, 1.0])
def test_faded__mixes_kind_and_image_in_the_mask_alone(opacity):
    image = np.zeros((8, 8, 3), np.float32)
    found, mask = Faded(White(), (opacity, opacity)).draw(image, None, np.random.default_rng(0))
    np.testing.assert_allclose(found[mask], opacity, atol=1e-6)
    assert not found[~mask].any()
    assert not image.any()


def test_faded__draws_its_opacity_between_the_ends():
    image = np.zeros((8, 8, 3), np.float32)
    generator = np.random.default_rng(0)
    drawn = [float(Faded(White()).draw(image, None, generator)[0][0, 0, 0]) for _ in range(200)]
    assert 0.15 <= min(drawn) < 0.2
    assert 0.95 < max(drawn) <= 1
