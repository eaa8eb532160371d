"""Ranking metrics of pooled pixels, each from one sweep over all thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from leatherens.core.errors import InputError
from leatherens.core.metrics.curves import overlap_curve
from leatherens.core.metrics.definitions import FPR_LIMIT, LOCO_LIMITS
from leatherens.core.pixel_pool import BoolArray, Maps, Masks, PixelPool, Valid, image_pixels
from leatherens.core.score_counts import ScoreCounts
from leatherens.core.sweep import Sweep, area, sweep

if TYPE_CHECKING:
    from leatherens.core.saturation import Region


@dataclass(frozen=True, slots=True)
class PixelMetrics:
    """The ranking metrics of one sweep over all pixels, and the counts they rest on."""

    auroc: float
    ap: float
    au_pro: float
    f1_max: float
    f1_threshold: float  # of f1_max, by its rule: score >= f1_threshold
    regions: int  # 8-connected defect regions, all images together
    defect_pixels: int
    good_pixels: int


def pixel_metrics(
    maps: Maps, masks: Masks, *, valid: Valid | None = None, limit: float = FPR_LIMIT
) -> PixelMetrics:
    """All ranking metrics of pooled pixels from one sort; memory is about twice that of the maps.

    AUROC, AP and F1-max are defined as for images. AU-PRO is MVTec AD's (Bergmann et al., 2021): PRO(t) is
    the mean over the 8-connected defect regions C of all images of the share of C that scores at least t. Its
    curve over the false-positive rate of all good pixels is integrated from 0 to `limit` and divided by
    `limit`. Tied scores are one step, the curve is straight between steps and interpolated at the limit; a
    constant map gets limit / 2. Regions are formed by the valid pixels of a mask.

    >>> scores, mask = np.full((4, 4), 0.1, np.float32), np.zeros((4, 4), bool)
    >>> scores[0, 0], scores[2, 2], scores[0, 1], scores[3, 3] = 0.9, 0.7, 0.5, 0.3
    >>> mask[0, :2] = mask[3, 3] = True
    >>> found = pixel_metrics([scores], [mask])
    >>> round(found.auroc, 6), round(found.au_pro, 6), found.regions
    (0.948718, 0.807692, 2)
    """
    require_limit(limit)
    pool = PixelPool.of(maps, masks, valid)
    counts = pool.sweep()
    best, threshold = counts.best_f1()
    return PixelMetrics(
        auroc=counts.auroc(),
        ap=counts.average_precision(),
        au_pro=area_under_overlap(counts, limit),
        f1_max=best,
        f1_threshold=threshold,
        regions=pool.regions,
        defect_pixels=counts.defects,
        good_pixels=counts.goods,
    )


def require_limit(limit: float) -> None:
    """Refuse an integration limit that is no rate."""
    if not 0 < limit <= 1:
        raise InputError(f"limit: expected a false-positive rate above 0 and at most 1, got {limit}")


def area_under_overlap(counts: Sweep, limit: float = FPR_LIMIT) -> float:
    """AU-PRO of a pool's `sweep`, or AU-sPRO of its `saturated_sweep`: each region gains 1 in all."""
    if not counts.decidable:
        return math.nan
    return area(*overlap_curve(counts, limit), limit) / limit


def sampled_au_pro(
    good: npt.ArrayLike, defect: npt.ArrayLike, shares: npt.ArrayLike | None = None, limit: float = FPR_LIMIT
) -> float:
    """AU-PRO of some pixels' scores: (G,) good ones and (D,) of defects, `shares` (D,) of their regions.

    A pixel's share is 1 over the pixels that its region gave, so that small regions count as much as large
    ones; `None` takes all pixels for alike. NaN without either sort.

    >>> sampled_au_pro([1, 2, 3, 4], [5, 5, 0, 5], [0.5, 0.5, 1, 1], limit=1)
    0.6666666666666666
    """
    defects = np.array(defect)
    weights = np.ones(len(defects)) if shares is None else np.asarray(shares, dtype=np.float64)
    return area_under_overlap(sweep(defects, [ScoreCounts([np.array(good)])], weights), limit)


def pixel_auroc(maps: Maps, masks: Masks, *, valid: Valid | None = None) -> float:
    """AUROC of pooled pixels, half credit for ties; NaN with one class only."""
    return pixel_metrics(maps, masks, valid=valid).auroc


def pixel_ap(maps: Maps, masks: Masks, *, valid: Valid | None = None) -> float:
    """Average precision of pooled pixels, step-wise; NaN with one class only."""
    return pixel_metrics(maps, masks, valid=valid).ap


def pixel_f1_max(maps: Maps, masks: Masks, *, valid: Valid | None = None) -> tuple[float, float]:
    """The largest F1 of pooled pixels and the lowest threshold giving it, by the `>=` rule of `f1_max`."""
    found = pixel_metrics(maps, masks, valid=valid)
    return found.f1_max, found.f1_threshold


def au_pro(maps: Maps, masks: Masks, *, valid: Valid | None = None, limit: float = FPR_LIMIT) -> float:
    """Area under the PRO curve, see `pixel_metrics`; NaN without a region or without a good pixel."""
    return pixel_metrics(maps, masks, valid=valid, limit=limit).au_pro


def au_spro(
    maps: Maps,
    regions: Sequence[Sequence[Region]],
    *,
    valid: Valid | None = None,
    limit: float = LOCO_LIMITS[1],
) -> float:
    """Area under the saturated PRO curve of MVTec LOCO AD (Bergmann et al., IJCV 2022), over the limit.

    regions: of each image those of its mask files, none of a good image. As AU-PRO, but a region is a file
    however many pieces it has, regions may overlap, and sPRO(t) is the mean over the regions of
    min(|{score >= t} in A| / s, 1), s being how much of the region A must be found. The good pixels are those
    outside all regions. NaN without a region or without a good pixel.
    """
    require_limit(limit)
    valid = [None] * len(maps) if valid is None else valid
    pool = PixelPool.empty()
    for i, (scores, channels, inside) in enumerate(zip(maps, regions, valid, strict=True)):
        pool.add(image_pixels(scores, union(channels, scores.shape), inside, name=f"map {i}"))
        pool.add_channels(scores, channels, inside)
    return area_under_overlap(pool.saturated_sweep(), limit)


def union(regions: Sequence[Region], shape: tuple[int, ...]) -> BoolArray:
    """What any of the regions marks."""
    marked = np.zeros(shape, dtype=np.bool_)
    for region in regions:
        marked |= region.marked
    return marked
