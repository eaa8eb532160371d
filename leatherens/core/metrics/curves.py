"""Curves of pooled pixels over all thresholds: PRO against false alarms, and IoU against the threshold."""

from __future__ import annotations

import numpy as np

from leatherens.core.metrics.definitions import FPR_LIMIT
from leatherens.core.pixel_pool import PixelPool, whole
from leatherens.core.score_counts import FloatArray
from leatherens.core.sweep import Sweep, share


def overlap_curve(counts: Sweep, limit: float = FPR_LIMIT) -> tuple[FloatArray, FloatArray]:
    """(false-positive rate, mean overlap with the defect regions), corners from rate 0 to `limit`.

    Straight lines between them are the curve whose area over `limit` is AU-PRO. Empty where one class is
    missing.

    >>> from leatherens.core.score_counts import ScoreCounts
    >>> from leatherens.core.sweep import sweep
    >>> counts = sweep(np.array([3.0, 1.0]), [ScoreCounts([np.array([2.0, 0.0])])], np.array([0.5, 0.5]))
    >>> overlap_curve(counts, 0.75)
    (array([0.  , 0.  , 0.  , 0.5 , 0.5 , 0.75]), array([0. , 0. , 0.5, 0.5, 1. , 1. ]))
    """
    if not counts.decidable:
        return np.empty(0), np.empty(0)
    false_alarms, overlap = counts.corners(counts.gain)
    rates, overlaps = share(false_alarms), share(overlap)
    inside = rates <= limit
    at_limit = np.interp(limit, rates, overlaps)
    return np.append(rates[inside], limit), np.append(overlaps[inside], at_limit)


def iou_at(pool: PixelPool, thresholds: FloatArray) -> FloatArray:
    """(T,) rising thresholds to the IoU (T,) of the pooled pixels with `score > threshold` (strict).

    NaN where neither the masks nor the threshold mark a pixel.
    """
    defect = np.sort(whole(pool.defect))
    found = defect.size - np.searchsorted(defect, thresholds, "right")
    false_alarms = np.zeros(thresholds.size, np.int64)
    for scores in pool.good:
        false_alarms += scores.above(thresholds)
    marked = defect.size + false_alarms
    values: FloatArray = np.divide(found, marked, out=np.full(thresholds.size, np.nan), where=marked > 0)
    return values
