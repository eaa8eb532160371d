"""sPRO and AU-sPRO of MVTec LOCO against the sheet's table, hand cases and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from leatherens.core.metrics import au_pro, au_spro, pro, spro
from leatherens.core.saturation import Region, Saturation


def region(marked: np.ndarray, saturated: int, kind: str = "a") -> Region:
    return Region(marked, saturated, kind)


def rows_of_eight_by_five() -> tuple[np.ndarray, list[Region]]:
    """Row r scores r / 10 + 0.05; rows 1, 3, 5, 7 saturate at 10 pixels, rows 0 and 6 at half of theirs."""
    scores = np.repeat(np.arange(8, dtype=np.float32)[:, None] / 10 + 0.05, 5, axis=1)
    odd, even = np.zeros((8, 5), bool), np.zeros((8, 5), bool)
    odd[[1, 3, 5, 7]], even[[0, 6]] = True, True
    absolute = Saturation("odd", 255, 10, relative=False).area(20)
    relative = Saturation("even", 254, 0.5, relative=True).area(10)
    return scores, [region(odd, absolute), region(even, relative)]


@pytest.mark.parametrize(
    ("threshold", "saturated", "plain"),
    [(0, 1, 1), (0.2, 1, 0.625), (0.4, 1, 0.5), (0.6, 0.75, 0.375), (0.8, 0, 0), (1.0, 0, 0)],
)
def test_spro__of_the_sheet(threshold, saturated, plain):
    scores, regions = rows_of_eight_by_five()
    whole = [region(r.marked, int(r.marked.sum())) for r in regions]
    assert spro([scores], [regions], threshold) == saturated
    assert spro([scores], [whole], threshold) == plain


def test_au_spro__by_hand():
    """A pixel of two is enough: sPRO is 1 from the first on, which a quarter of the good pixels precede."""
    scores = np.array([[0.9, 0.8, 0.1, 0.2, 0.3, 0.1]], np.float32)
    marked = np.array([[False, True, True, False, False, False]])
    found = au_spro([scores], [[region(marked, 1)]], limit=1)
    assert found == pytest.approx(0.75)
    assert au_spro([scores], [[region(marked, 1)]], limit=0.25) == 0
    assert au_pro([scores], [marked], limit=1) == pytest.approx(0.5 * 0.75 + 0.5 * 0.25 / 2)


def test_au_spro__a_tie_at_the_saturation_gives_no_more_than_one():
    scores = np.array([[0.5, 0.5, 0.5, 0.1, 0.2, 0.3]], np.float32)
    marked = np.array([[True, True, True, False, False, False]])
    assert au_spro([scores], [[region(marked, 2)]], limit=0.3) == pytest.approx(1)


def brute_force(maps, regions, limit):
    """From the definition at every score that occurs."""
    union = [np.any([r.marked for r in some], axis=0) for some in regions]
    good = np.concatenate([m[~u] for m, u in zip(maps, union, strict=True)])
    thresholds = np.unique(np.concatenate([m.ravel() for m in maps]))[::-1]
    xs, ys = [0.0], [0.0]
    for t in thresholds:
        pairs = [(m, r) for m, some in zip(maps, regions, strict=True) for r in some]
        xs.append(np.mean(good >= t))
        ys.append(np.mean([min((m[r.marked] >= t).sum() / r.saturated, 1) for m, r in pairs]))
    inside = np.array(xs) <= limit
    x = np.append(np.array(xs)[inside], limit)
    y = np.append(np.array(ys)[inside], np.interp(limit, xs, ys))
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2 / limit)


@pytest.mark.parametrize("levels", [4, 1000])
@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_au_spro__agrees_with_brute_force_where_regions_overlap(levels, limit):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        maps, regions = [], []
        for _ in range(4):
            maps.append(rng.integers(0, levels, (7, 9)).astype(np.float32))
            marked = [rng.random((7, 9)) < 0.3 for _ in range(2)]
            regions.append([region(m, int(rng.integers(1, m.sum() + 1))) for m in marked])
        found = au_spro(maps, regions, limit=limit)
        assert found == pytest.approx(brute_force(maps, regions, limit), abs=1e-12)


def test_au_spro__is_au_pro_where_all_is_to_be_found_of_connected_regions():
    rng = np.random.default_rng(5)
    masks = [np.zeros((20, 20), bool) for _ in range(3)]
    masks[0][2:6, 3:9], masks[1][10:, 4:5] = True, True
    maps = [rng.normal(size=(20, 20)) + mask for mask in masks]
    regions = [[region(mask, int(mask.sum()))] if mask.any() else [] for mask in masks]
    assert au_spro(maps, regions, limit=0.3) == pytest.approx(au_pro(maps, masks, limit=0.3))
    assert spro(maps, regions, 0.5) == pytest.approx(pro(maps, masks, 0.5))


def test_au_spro__without_a_region_is_undefined():
    assert math.isnan(au_spro([np.ones((3, 3))], [[]]))
    assert math.isnan(spro([np.ones((3, 3))], [[]], 0.5))


def test_spro__counts_only_what_is_valid():
    scores, marked = np.array([[0.9, 0.1, 0.9, 0.1]]), np.array([[True, True, True, False]])
    valid = [np.array([[False, True, True, True]])]
    assert spro([scores], [[region(marked, 3)]], 0.5, valid=valid) == 0.5
    assert au_spro([scores], [[region(marked, 3)]], valid=valid, limit=1) == pytest.approx(0.75)
