"""Sizes of marked defects, against shapes whose sizes are known."""

from __future__ import annotations

import numpy as np
import pytest

from leatherens.core.inspection.defect_sizes import (
    DefectSize,
    defect_size,
    extent_of,
    quantiles,
    thickness_of,
)


def test_size__of_a_bar_and_a_crumb() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[10:15, 20:50] = True
    mask[30, 5] = True

    found = defect_size(mask)

    assert found.picture == (40, 60)
    assert (found.area, found.regions) == (151, 2)
    assert found.share == pytest.approx(151 / 2400)
    assert found.extent == pytest.approx(np.hypot(4, 29) + 1)
    assert found.thickness == 5


def test_size__pieces_that_touch_at_a_corner_are_one() -> None:
    mask = np.zeros((10, 12), np.bool_)
    mask[2, 3] = mask[3, 4] = mask[4, 5] = True

    assert defect_size(mask).regions == 1
    assert defect_size(mask).extent == pytest.approx(2 * np.sqrt(2) + 1)


def test_extent__is_the_greatest_distance_of_any_shape() -> None:
    """Against all pairs."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        piece = rng.random((12, 17)) < 0.2
        points = np.argwhere(piece)
        apart = np.linalg.norm(points[:, None] - points, axis=2)
        assert extent_of(piece) == pytest.approx(apart.max() + 1)
    assert extent_of(np.ones((1, 1), np.bool_)) == 1


def test_thickness__of_a_disc_and_of_a_region_at_the_border() -> None:
    rows, columns = np.mgrid[:41, :41]
    disc = (rows - 20) ** 2 + (columns - 20) ** 2 <= 15**2

    assert thickness_of(disc) == pytest.approx(31, abs=2)
    assert thickness_of(np.ones((7, 30), np.bool_)) == 7  # the border ends it, too


def test_at__the_side_that_shrinks_more_counts() -> None:
    size = DefectSize((512, 1024), 10, 1, extent=64.0, thickness=4.0)

    assert size.at((256, 256)) == (16.0, 1.0)
    assert size.at((512, 1024)) == (64.0, 4.0)


def test_quantiles__of_one_and_of_five() -> None:
    assert set(quantiles([3]).values()) == {3.0}
    assert quantiles([1, 2, 3, 4, 5]) == {
        "least": 1,
        "quarter": 2,
        "median": 3,
        "three_quarters": 4,
        "most": 5,
    }
