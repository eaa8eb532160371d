"""One scorer's pixel curves as they are kept: exact points, no more of them than a chart can show."""

from __future__ import annotations

import math

import numpy as np

from leatherens.core.details import PixelCurves
from leatherens.core.metrics import FPR_LIMIT, area_under_overlap, iou_at, overlap_curve
from leatherens.core.pixel_pool import PixelPool, whole
from leatherens.core.score_counts import FloatArray

STEPS = 400
"""Along each axis: points that fall into one step are drawn as one."""

THRESHOLDS = 200
"""Thresholds whose IoU is worked out."""

LONG_TAIL = 30
"""Times the median that the highest score may be before thresholds are spaced by their logarithm."""


def pixel_curves(pool: PixelPool, threshold: float) -> PixelCurves | None:
    """The curves of pooled pixels, `None` without marked defects or good pixels.

    threshold: of pixels, the run's own.
    """
    counts = pool.sweep()
    if not counts.decidable:
        return None
    rates, overlaps = overlap_curve(counts)
    limits = _thresholds(whole(pool.defect), threshold)
    values = iou_at(pool, limits)
    at = None
    if math.isfinite(threshold):
        at = threshold, float(iou_at(pool, np.array([threshold], limits.dtype))[0])
    return PixelCurves(
        overlap=_points(*thinned(rates / FPR_LIMIT, overlaps, rates, overlaps)),
        au_pro=area_under_overlap(counts),
        iou=_points(limits, values),
        at=at,
        best=_best(*counts.best_f1()),
    )


def _thresholds(defect: FloatArray, threshold: float) -> FloatArray:
    """Rising ones, from what nearly all defect pixels exceed to what none does, in the scores' dtype."""
    low, high = float(np.quantile(defect, 0.01)), float(defect.max())
    if math.isfinite(threshold):
        low, high = min(low, threshold), max(high, threshold)
    tailed = low > 0 and high > LONG_TAIL * float(np.median(defect))
    spaced = (np.geomspace if tailed else np.linspace)(low, high, THRESHOLDS)
    wanted = np.append(spaced, threshold) if math.isfinite(threshold) else spaced
    return np.unique(wanted.astype(defect.dtype))


def _best(f1: float, threshold: float) -> tuple[float, float]:
    """Where F1 is largest so is the IoU, F1 / (2 - F1).

    `best_f1` counts scores that equal its threshold; a verdict does not, so that the largest number below
    it stands for it.
    """
    return float(np.nextafter(np.float32(threshold), np.float32(-np.inf))), f1 / (2 - f1)


def thinned(x: FloatArray, y: FloatArray, *columns: FloatArray) -> tuple[FloatArray, ...]:
    """The entries of columns (N,) whose places x and y in 0..1 differ from the one before, and the last one.

    >>> x = np.array([0, 1e-6, 0.5, 1])
    >>> thinned(x, x, x)[0].tolist()
    [0.0, 0.5, 1.0]
    """
    steps = np.round(STEPS * np.stack([x, y]))  # (2, N)
    kept = np.append(True, np.any(np.diff(steps, axis=1) != 0, axis=0))
    kept[-1] = True
    return tuple(column[kept] for column in columns)


def _points(x: FloatArray, y: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both columns in seven digits, more than a chart or a table shows."""
    first, second = ([float(f"{value:.7g}") for value in column.tolist()] for column in (x, y))
    return tuple(first), tuple(second)
