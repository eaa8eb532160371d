"""Where good ends, as functions of good scores: the mathematics of the threshold rules.

Whatever is strictly above the limit is defective.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leatherens.core.calibration import allowed_exceedances

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]


def highest(scores: Floats) -> float:
    """The largest score, above which none of them lies."""
    return float(scores.max())


def quantile_limit(scores: Floats, p: float) -> float:
    """The p-quantile, linear between scores.

    >>> round(quantile_limit(np.arange(100.0), 0.99), 2)
    98.01
    """
    return float(np.quantile(scores, p))


def sigma_limit(scores: Floats, k: float) -> float:
    """Mean plus k standard deviations of the sample itself (ddof 0), taken in float64.

    >>> round(sigma_limit(np.array([0.1, 0.2, 0.3, 0.4]), 3), 6)
    0.58541
    """
    return float(scores.mean(dtype=np.float64) + k * scores.std(dtype=np.float64))


def conformal_limit(scores: Floats, rate: float) -> float:
    """The k-th largest score, k = floor(rate (n + 1)), at least 1.

    >>> conformal_limit(np.arange(30.0), 0.1)
    27.0
    """
    return float(np.sort(scores)[-allowed_exceedances(rate, len(scores))])


def area_limit(maps: Sequence[Floats], valid: Sequence[Mask | None], area: int) -> float:
    """The smallest score t for which no 8-connected region of {score > t} has more than `area` pixels.

    maps: (H, W) each. valid: per map where it counts. Regions never grow as t rises, so each map is bisected
    over its own scores; one that is calm at what the maps before it asked for costs a single look. Where no
    map has more than `area` pixels in one piece, the lowest score of all.

    >>> area_limit([np.array([[5.0, 5, 0, 0], [0, 0, 0, 9]])], [None], 1)
    5.0
    """
    limit = -np.inf
    for scores, counted in zip(maps, valid, strict=True):
        limit = max(limit, _limit_of_one(scores, counted, area, limit))
    if np.isfinite(limit):
        return float(limit)
    return float(min((m if v is None else m[v]).min() for m, v in zip(maps, valid, strict=True)))


def _limit_of_one(scores: Floats, counted: Mask | None, area: int, least: float) -> float:
    """What one map asks for, if that is more than `least`, else `least`."""

    def calm(t: float) -> bool:
        above = scores > t
        return largest_region(above if counted is None else above & counted) <= area

    if calm(least):
        return least
    steps = np.unique(scores[scores > least] if counted is None else scores[(scores > least) & counted])
    return float(steps[bisect_left(steps, True, key=calm)])


def largest_region(marked: Mask) -> int:
    """Pixels in the largest 8-connected region of (H, W) marks; 0 where nothing is marked."""
    import cv2

    if not marked.any():
        return 0
    _, _, stats, _ = cv2.connectedComponentsWithStats(marked.astype(np.uint8), connectivity=8)
    return int(stats[1:, cv2.CC_STAT_AREA].max())
