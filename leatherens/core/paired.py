"""Whether one of two scorers of the same images is better: differences with intervals, image by image paired.

Ranking metrics, F1 and IoU: the images are drawn anew within the good and the defective ones, the same ones
for both scorers, and the difference is taken in each draw (percentile bootstrap; Efron and Tibshirani, 1993,
chapter 13). Shares of verdicts: the adjusted Wald interval of Bonett and Price (2012), closed and honest with
few images: where no verdict differs, resampling would know a difference of exactly zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from leatherens.core.bootstrap import PixelCounts, ap_of, auroc_of, interval, ratio_of
from leatherens.core.pixel_pool import BoolArray
from leatherens.core.score_counts import FloatArray, IntArray

NORMAL_975: Final = 1.959963984540054
"""The 0.975 quantile of the standard normal distribution: 95 % lie within."""

MOST_PAIRS: Final = 4_000_000
"""Pairs of a defective with a good image of which an AUROC is resampled: 32 MB, a second or two."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of two scorers; low, high: the 95 % interval of `value`, NaN where none can be told."""

    first: float
    other: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """The other's less the first's."""
        return self.other - self.first

    @property
    def certain(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Marks:
    """Pixels of m images at a scorer's threshold, (m,) each: defects marked, not marked, good but marked."""

    found: IntArray
    missed: IntArray
    false: IntArray


@dataclass(frozen=True, slots=True)
class Judged:
    """What one scorer says of n labelled images: (n,) scores and (n,) verdicts.

    pixels, marks: of the m images whose defects are known pixel by pixel, `None` where there are none.
    """

    scores: FloatArray
    flagged: BoolArray
    pixels: PixelCounts | None = None
    marks: Marks | None = None


def resampled(
    judged: Judged, defective: BoolArray, known: BoolArray, draws: IntArray
) -> dict[str, FloatArray]:
    """(B, n) draws to (B,) values of each metric; defective, known: (n,) labels, whose pixels are known."""
    found, called = judged.flagged & defective, judged.flagged.astype(np.int64)
    values = {
        "image_ap": ap_of(draws, judged.scores, defective),
        "image_f1": ratio_of(draws, 2 * found, called + defective),  # 2 TP / ((TP + FP) + (TP + FN))
    }
    if int(defective.sum()) * int((~defective).sum()) <= MOST_PAIRS:
        values["image_auroc"] = auroc_of(draws, judged.scores, defective)
    if judged.pixels is not None:
        chosen = draws[:, known]
        values["pixel_auroc"] = judged.pixels.auroc(chosen)
        values["pixel_ap"] = judged.pixels.ap(chosen)
        values["au_pro"] = judged.pixels.au_pro(chosen)
    if judged.marks is not None:
        marks, chosen = judged.marks, draws[:, known]
        values["iou"] = ratio_of(chosen, marks.found, marks.found + marks.missed + marks.false)
    return values


def resampled_difference(
    name: str,
    first: Mapping[str, float],
    other: Mapping[str, float],
    draws: tuple[Mapping[str, FloatArray], Mapping[str, FloatArray]],
) -> Difference:
    """Of the metric `name`, from both scorers' values and what the same draws of images give them.

    No interval where all draws give one difference: they then say nothing of how far it would move.
    """
    low = high = math.nan
    if name in draws[0] and name in draws[1]:
        moved = draws[1][name] - draws[0][name]
        defined = moved[~np.isnan(moved)]
        if defined.size and np.ptp(defined) > 0:
            low, high = interval(defined)
    return Difference(first.get(name, math.nan), other.get(name, math.nan), low, high)


def share_difference(first: BoolArray, other: BoolArray) -> Difference:
    """Shares of n images for which (n,) `first` and (n,) `other` hold; NaN without an image.

    Bonett and Price (2012, Journal of Educational and Behavioral Statistics 37, 479-488): to each of the two
    counts of images on which only one holds, one is added.

    >>> found = share_difference(np.array([True, True, False, False]), np.array([True, False, False, False]))
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (-0.25, -0.717, 0.383)
    """
    count = first.size
    if not count:
        return Difference(math.nan, math.nan, math.nan, math.nan)
    gained = (int(np.count_nonzero(other & ~first)) + 1) / (count + 2)
    lost = (int(np.count_nonzero(first & ~other)) + 1) / (count + 2)
    centre = gained - lost
    half = NORMAL_975 * math.sqrt((gained + lost - centre**2) / (count + 2))
    low, high = max(centre - half, -1.0), min(centre + half, 1.0)
    return Difference(float(first.mean()), float(other.mean()), low, high)
