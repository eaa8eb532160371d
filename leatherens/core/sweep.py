"""One sweep of the threshold from high to low: the counts from which every ranking metric follows.

`metrics` sweeps images and pixels alike. Only thresholds that equal the score of a defect matter: between
two of them no further defect is found and only false alarms are added, so every curve runs straight there and
every area stays exact. Good scores are therefore only counted, never permuted: that makes it quick.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leatherens.core.score_counts import FloatArray, IntArray, ScoreCounts


def sweep(defect: FloatArray, good: Sequence[ScoreCounts], weights: FloatArray | None = None) -> Sweep:
    """Count (D,) scores of defects, of weight 1 or `weights` (D,), and the good ones of all these bags."""
    rising, step = np.unique(defect, return_inverse=True)  # (T,), (D,)
    above, reached = np.zeros((2, rising.size), np.int64)
    for counts in good:
        more_above, more_reached = counts.around(rising)
        above, reached = above + more_above, reached + more_reached
    return Sweep(
        thresholds=rising[::-1],
        hits=np.bincount(step, minlength=rising.size)[::-1],
        gain=np.bincount(step, weights=weights, minlength=rising.size)[::-1],
        above=above[::-1],
        reached=reached[::-1],
        defects=defect.size,
        goods=sum(counts.size for counts in good),
    )


@dataclass(frozen=True, slots=True)
class Sweep:
    """Counts at the T distinct scores of defects, from high to low; equal scores are one step."""

    thresholds: FloatArray  # (T,) strictly falling
    hits: IntArray  # (T,) defects with score == threshold
    gain: FloatArray | IntArray  # (T,) their weights, summed
    above: IntArray  # (T,) good scores > threshold
    reached: IntArray  # (T,) good scores >= threshold
    defects: int
    goods: int

    @property
    def decidable(self) -> bool:
        """Whether both classes occur; without that no ranking metric is defined."""
        return self.defects > 0 and self.goods > 0

    def auroc(self) -> float:
        """P(a defect scores above a good one) + 0.5 P(they tie), counted in whole numbers; or NaN."""
        if not self.decidable:
            return math.nan
        half_wins = self.hits * (2 * self.goods - self.above - self.reached)  # (T,)
        return int(half_wins.sum()) / (2 * self.defects * self.goods)

    def average_precision(self) -> float:
        """Sum of (R_n - R_{n-1}) P_n over the distinct scores: a step function, no trapezoid; or NaN."""
        if not self.decidable:
            return math.nan
        found = np.cumsum(self.hits)
        return float(np.sum(self.hits * (found / (found + self.reached))) / self.defects)

    def best_f1(self) -> tuple[float, float]:
        """The largest F1 of `score >= threshold` and the lowest threshold that attains it; or two NaN."""
        if not self.decidable:
            return math.nan, math.nan
        found = np.cumsum(self.hits)
        f1 = 2 * found / (found + self.reached + self.defects)  # 2 TP / (2 TP + FP + FN)
        best = np.flatnonzero(f1 == f1.max())[-1]
        return float(f1[best]), float(self.thresholds[best])

    def corners(self, gain: FloatArray | IntArray) -> tuple[IntArray, FloatArray]:
        """(false alarms, accumulated gain), both (2T + 2,): corners of the curve from (0, 0) to (goods, all).

        A threshold gives two, just before it and with it. Straight lines between them are the complete curve;
        a score that both classes share makes a sloping one, which is the half credit for ties.
        """
        passed = np.stack([self.above, self.reached], axis=1).ravel()  # (2T,)
        false_alarms = np.concatenate([[0], passed, [self.goods]]).astype(np.int64)
        return false_alarms, np.repeat(np.concatenate([[0.0], np.cumsum(gain)]), 2)


def share(accumulated: FloatArray | IntArray) -> FloatArray:
    """A never-falling curve divided by its last value; NaN throughout where that is zero."""
    return np.asarray(accumulated / (accumulated[-1] or math.nan))


def area(x: FloatArray, y: FloatArray, limit: float) -> float:
    """Trapezoidal area under the corners (x, y) from 0 to `limit`, y interpolated linearly at the limit."""
    inside = x <= limit
    x, y = np.append(x[inside], limit), np.append(y[inside], np.interp(limit, x, y))
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2)
