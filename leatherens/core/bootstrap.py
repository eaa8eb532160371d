"""Bootstrap of the metrics over test images: which images each resampling draws, and what they give.

Images are drawn with replacement within each class (Efron and Tibshirani, 1993, chapter 8), so that every
resampling has the good and the defective images it needs. A resampling is a row of whole numbers, how often
each image was drawn; with it every metric of images is a product of matrices. Metrics of pixels come from
each image's counts at thresholds that are frozen beforehand (`PixelCounts`), so that no map is touched
again. The same draws for several scorers make their differences paired.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leatherens.core.metrics import FPR_LIMIT
from leatherens.core.pixel_pool import BoolArray, ImagePixels, Valid, image_pixels
from leatherens.core.score_counts import FloatArray, IntArray
from leatherens.core.sweep import area

DEFECT_LEVELS = 1024
"""Thresholds at evenly spaced quantiles of defect pixels: a step of a thousandth in recall."""

GOOD_LEVELS = 1024
"""Thresholds at evenly spaced logarithms of the share of good pixels above: the rare ones decide."""

RAREST = 1e-6
"""The smallest of these shares."""

MOST_PIXELS = 1_000_000
"""Thresholds are placed by at most so many pixels of a kind, thinned evenly."""


def stratified_draws(strata: Sequence[Hashable], count: int, rng: np.random.Generator) -> IntArray:
    """(count, n): how often each of n images is drawn, as many within each stratum as it has.

    >>> stratified_draws([0, 1, 1], 2, np.random.default_rng(0)).sum(axis=1).tolist()
    [3, 3]
    """
    draws = np.zeros((count, len(strata)), dtype=np.int64)
    for stratum in dict.fromkeys(strata):
        places = [i for i, found in enumerate(strata) if found == stratum]
        share = np.full(len(places), 1 / len(places))
        draws[:, places] = rng.multinomial(len(places), share, size=count)
    return draws


def auroc_of(draws: IntArray, scores: FloatArray, defective: BoolArray) -> FloatArray:
    """(B, n) draws of (n,) scores to (B,) image AUROCs, ties counted half; NaN where a class is missing."""
    defect, good = scores[defective], scores[~defective]
    wins = (defect[:, None] > good) + 0.5 * (defect[:, None] == good)  # (D, G)
    won = ((draws[:, defective] @ wins) * draws[:, ~defective]).sum(axis=1)
    return _divided(won, draws[:, defective].sum(axis=1) * draws[:, ~defective].sum(axis=1))


def ap_of(draws: IntArray, scores: FloatArray, defective: BoolArray) -> FloatArray:
    """(B, n) draws of (n,) scores to (B,) average precisions of images, tied scores one step; or NaN."""
    order = np.argsort(-scores)
    last = np.append(np.diff(scores[order]) != 0, True)[: scores.size]  # of each tie
    drawn = draws[:, order]
    found = np.cumsum(drawn * defective[order], axis=1)[
        :, last
    ]  # (B, T) at each score, from the highest down
    called = np.cumsum(drawn, axis=1)[:, last]
    steps = np.diff(found, axis=1, prepend=0)
    both = np.where(called[:, -1] > found[:, -1], found[:, -1], 0)  # 0 where a class is missing
    return _divided((steps * found / np.maximum(called, 1)).sum(axis=1), both)


def share_of(draws: IntArray, flags: BoolArray) -> FloatArray:
    """(B, n) draws of (n,) flags to (B,): the share that is flagged; NaN without an image."""
    return _divided(draws @ flags.astype(np.int64), draws.sum(axis=1))


def ratio_of(draws: IntArray, part: FloatArray | IntArray, whole: FloatArray | IntArray) -> FloatArray:
    """(B, n) draws of (n,) counts to (B,): what the parts sum to over what the wholes do; NaN of nothing."""
    return _divided(draws @ part, draws @ whole)


def interval(values: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of resampled values (B,), those that are NaN left out; NaN if all are."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """What n images have at or above each of T falling thresholds.

    good, defect: (n, T) pixels. overlap: (n, T) sum over the image's regions of their share. goods, defects,
    regions: (n,) totals.
    """

    good: FloatArray
    defect: FloatArray
    overlap: FloatArray
    goods: FloatArray
    defects: FloatArray
    regions: FloatArray

    @classmethod
    def of(cls, rows: Sequence[tuple[Any, ...]]) -> PixelCounts:
        """Of n images, of each a `row`."""
        return cls(*(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)))

    @staticmethod
    def row(image: ImagePixels, thresholds: FloatArray) -> tuple[Any, ...]:
        """One image's counts at (T,) falling thresholds: its part of every field."""
        order = np.argsort(image.defect)
        above = _at_least(image.defect[order], thresholds)
        overlap = np.concatenate([[0.0], np.cumsum(image.weights[order][::-1])])  # of the k highest
        good = _at_least(np.sort(image.good), thresholds)
        return good, above, overlap[above], image.good.size, image.defect.size, image.regions

    def auroc(self, draws: IntArray) -> FloatArray:
        """(B, n) draws to (B,) areas under the ROC curve of pooled pixels, straight between thresholds."""
        rate = _divided(draws @ self.good, (draws @ self.goods)[:, None])  # (B, T)
        found = _divided(draws @ self.defect, (draws @ self.defects)[:, None])
        return np.array([_area(x, y, 1.0) for x, y in zip(rate, found, strict=True)])

    def ap(self, draws: IntArray) -> FloatArray:
        """(B, n) draws to (B,) average precisions of pooled pixels, step-wise at the frozen thresholds."""
        found, false = draws @ self.defect, draws @ self.good  # (B, T)
        steps = np.diff(found, axis=1, prepend=0.0)
        precision = found / np.maximum(found + false, 1)
        return _divided((steps * precision).sum(axis=1), draws @ self.defects)

    def au_pro(self, draws: IntArray, limit: float = FPR_LIMIT) -> FloatArray:
        """(B, n) draws to (B,) areas under the PRO curve from rate 0 to `limit`, divided by `limit`."""
        rate = _divided(draws @ self.good, (draws @ self.goods)[:, None])  # (B, T)
        overlap = _divided(draws @ self.overlap, (draws @ self.regions)[:, None])
        return np.array([_area(x, y, limit) for x, y in zip(rate, overlap, strict=True)]) / limit


def pixel_counts(
    maps: Sequence[FloatArray], masks: Sequence[BoolArray], valid: Valid | None = None
) -> PixelCounts:
    """Counts of valid pixels of (H, W) maps and masks; pooled, both kinds place the thresholds."""
    valid = [None] * len(maps) if valid is None else valid
    images = list(zip(maps, masks, valid, strict=True))
    thresholds = _thresholds(images)
    return PixelCounts.of([PixelCounts.row(image_pixels(*image), thresholds) for image in images])


Image = tuple[FloatArray, BoolArray, "BoolArray | None"]
"""A map, its mask, and where both count."""


def _thresholds(images: Sequence[Image]) -> FloatArray:
    defect = np.concatenate(list(_thinned(images, defective=True)))
    good = np.concatenate(list(_thinned(images, defective=False)))
    return frozen_thresholds(defect, good, min(float(scores.min()) for scores, *_ in images))


def frozen_thresholds(defect: FloatArray, good: FloatArray, lowest: float) -> FloatArray:
    """(T,) falling: quantiles of defect scores, rare quantiles of good ones, and the lowest score of all."""
    defect, good, chosen = np.sort(defect), np.sort(good), [np.array([lowest])]
    if defect.size:
        at = np.linspace(0, defect.size - 1, min(defect.size, DEFECT_LEVELS))
        chosen.append(defect[at.round().astype(np.int64)])
    if good.size:
        at = (1 - np.geomspace(RAREST, 1, GOOD_LEVELS)) * (good.size - 1)
        chosen.append(good[at.round().astype(np.int64)])
    return np.unique(np.concatenate(chosen))[::-1]


def _thinned(images: Sequence[Image], *, defective: bool) -> Iterator[FloatArray]:
    """The scores of one kind in each map, one in so many where there are more than `MOST_PIXELS`."""
    chosen = [
        (mask == defective) if valid is None else (mask == defective) & valid for _, mask, valid in images
    ]
    step = -(-sum(int(np.count_nonzero(mask)) for mask in chosen) // MOST_PIXELS) or 1
    return (scores[mask][::step] for (scores, *_), mask in zip(images, chosen, strict=True))


def _at_least(rising: FloatArray, thresholds: FloatArray) -> npt.NDArray[np.int64]:
    """(T,) how many of the rising scores are at least each threshold."""
    return np.asarray(rising.size - np.searchsorted(rising, thresholds, side="left"), dtype=np.int64)


def _area(rate: FloatArray, overlap: FloatArray, limit: float) -> float:
    """Trapezoidal area under one curve from (0, 0), interpolated linearly at the limit; NaN if undefined."""
    if np.isnan(rate[-1]) or np.isnan(overlap[-1]):
        return float("nan")
    return area(np.append(0.0, rate), np.append(0.0, overlap), limit)


def _divided(above: FloatArray | IntArray, below: FloatArray | IntArray) -> FloatArray:
    """Quotients, NaN where the divisor is zero."""
    out = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    return np.asarray(np.divide(above, below, out=out, where=below != 0))
