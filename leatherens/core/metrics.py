"""How good scores are: exact metrics of images and of pixels, each with a definition to write beside it.

Higher scores are more anomalous, in any unit. A decision is `score > threshold`, strictly: the largest score
of good images, taken as threshold, raises no alarm on them. What is undefined (one class missing, no defect
region, no good pixel) is NaN, never 0 or 0.5. The evaluation and the report call this; nothing is learned.

Pixel metrics take one (H, W) map and one (H, W) bool mask (True: defect) per image, at the image's original
size, which may differ between images, and optionally one (H, W) bool `valid` per image: False pixels are
ignored everywhere; `None` for an image: all its pixels count. The pixels of all images are pooled, those of
good images included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from leatherens.core.errors import InputError
from leatherens.core.pixel_pool import Maps, Masks, Valid, pool_pixels
from leatherens.core.sweep import FloatArray, Sweep, area, share, sweep

FPR_LIMIT: Final = 0.3  # the integration limit of MVTec AD's AU-PRO

DEFINITIONS: Final[Mapping[str, str]] = {
    "image_auroc": "Probability that a defective image scores above a good one, ties counted half.",
    "image_ap": "Average precision of images: the sum over distinct scores of recall step times precision, "
    "step-wise, tied scores one step.",
    "image_f1": "F1 of the images at the run's threshold, defective meaning score > threshold (strict).",
    "pixel_auroc": "Probability that a defect pixel scores above a good one, ties counted half, the pixels "
    "pooled of all test images whose defects are marked (good images included), at original resolution, "
    "exact.",
    "pixel_ap": "Average precision of the pixels pooled of all test images whose defects are marked (good "
    "images included) at original resolution, step-wise, tied scores one step, exact.",
    "au_pro": "Area under the mean overlap with the 8-connected defect regions (each weighs the same) over "
    "the false-positive rate of the good pixels pooled of all test images whose defects are marked (good "
    "images included), from rate 0 to 0.3, divided by 0.3; original resolution, tied scores one step, linear "
    "interpolation there, exact.",
    "false_alarm_rate": "Share of the good images with score > the run's threshold (strict).",
    "ms_per_image": "Wall-clock milliseconds to score an image already in memory, mean over the test images; "
    "the first batch left out as warm-up if there are more.",
}


def image_auroc(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """AUROC of (N,) scores, (N,) labels (1: defective), half credit for ties; NaN with one class only.

    >>> round(image_auroc([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 1, 0]), 4)
    0.6667
    """
    return _image_sweep(scores, labels).auroc()


def image_ap(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Average precision, step-wise as scikit-learn's `average_precision_score`; NaN with one class only."""
    return _image_sweep(scores, labels).average_precision()


def f1_max(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[float, float]:
    """The largest F1 any threshold gives and the lowest threshold that gives it; two NaN with one class only.

    Only here does a score *equal* to the threshold count as defective, as in scikit-learn's
    `precision_recall_curve`: the threshold is itself one of the scores. To decide by `score > threshold`,
    take `numpy.nextafter(threshold, -inf)` in the dtype of the scores.

    >>> f1_max([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 1, 0])
    (0.8571428571428571, 0.6)
    """
    return _image_sweep(scores, labels).best_f1()


def image_f1(scores: npt.ArrayLike, labels: npt.ArrayLike, threshold: float) -> float:
    """F1 when defective means `score > threshold`: a score equal to the threshold is good, as in a verdict.

    NaN without a defective image; 0 when none of them is found.
    """
    defect, good = _by_class(scores, labels)
    if not defect.size:
        return math.nan
    found = _count_above(defect, threshold)
    return 2 * found / (found + _count_above(good, threshold) + defect.size)


def false_alarm_rate(scores: npt.ArrayLike, labels: npt.ArrayLike, threshold: float) -> float:
    """Share of the good images with `score > threshold` (strict); NaN without a good image."""
    _, good = _by_class(scores, labels)
    return _count_above(good, threshold) / good.size if good.size else math.nan


def roc_curve(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """(false-positive rate, true-positive rate): the corners of the curve from (0, 0) to (1, 1).

    Straight lines between them are the whole curve; the area under it is `image_auroc`. The rate of a class
    that is missing is NaN throughout.
    """
    counts = _image_sweep(scores, labels)
    false_alarms, found = counts.corners(counts.hits)
    return share(false_alarms), share(found)


def precision_recall_curve(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """(precision, recall) from above the highest score (precision 1 by convention, recall 0) to the lowest.

    For drawing. `image_ap` is step-wise and not the area under straight lines between these points. Recall
    is NaN throughout without a defective image.
    """
    counts = _image_sweep(scores, labels)
    false_alarms, found = counts.corners(counts.hits)
    called = false_alarms + found
    precision = np.divide(found, called, out=np.ones_like(called), where=called > 0)
    return precision, share(found)


def _image_sweep(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Sweep:
    return sweep(*_by_class(scores, labels))


def _by_class(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The (D,) scores of the defective and the (G,) scores of the good images, copied."""
    values, truth = np.asarray(scores), np.asarray(labels)
    if values.ndim != 1 or truth.shape != values.shape:
        raise InputError(
            f"expected one label per score, got scores of shape {values.shape} and labels of {truth.shape}"
        )
    if not values.size:
        raise InputError("expected the score of at least one image, got none")
    strange = sorted(set(truth.tolist()) - {0, 1})
    if strange:
        raise InputError(f"labels are 0 (good) or 1 (defective), got {strange[0]!r}")
    nans = np.flatnonzero(np.isnan(values))
    if nans.size:
        raise InputError(f"{nans.size} of {values.size} scores are NaN, the first at index {nans[0]}")
    defective = truth.astype(bool)
    return values[defective], values[~defective]


def _count_above(scores: FloatArray, threshold: float) -> int:
    """How many exceed the threshold once it is rounded to their dtype, which is how torch compares too."""
    return int(np.count_nonzero(scores > float(threshold)))


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
    if not 0 < limit <= 1:
        raise InputError(f"limit: expected a false-positive rate above 0 and at most 1, got {limit}")
    pool = pool_pixels(maps, masks, valid)
    counts = sweep(pool.defect, pool.good, pool.weights)
    best, threshold = counts.best_f1()
    return PixelMetrics(
        auroc=counts.auroc(),
        ap=counts.average_precision(),
        au_pro=_area_under_pro(counts, limit),
        f1_max=best,
        f1_threshold=threshold,
        regions=pool.regions,
        defect_pixels=counts.defects,
        good_pixels=counts.goods,
    )


def _area_under_pro(counts: Sweep, limit: float) -> float:
    """AU-PRO of a sweep that gains 1 / |C| with each pixel of a region C, hence 1 with every region."""
    if not counts.decidable:
        return math.nan
    false_alarms, overlap = counts.corners(counts.gain)
    return area(share(false_alarms), share(overlap), limit) / limit


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
    return _area_under_pro(sweep(defects, np.array(good), weights), limit)


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


def pro(maps: Maps, masks: Masks, threshold: float, *, valid: Valid | None = None) -> float:
    """Mean over all defect regions of the share with `score > threshold` (strict); NaN without a region."""
    pool = pool_pixels(maps, masks, valid)
    if not pool.regions:
        return math.nan
    found = pool.weights[pool.defect > float(threshold)]
    return float(found.sum() / pool.weights.sum())  # the divisor is the number of regions, up to rounding


def iou(maps: Maps, masks: Masks, threshold: float, *, valid: Valid | None = None) -> float:
    """TP / (TP + FP + FN) of pooled pixels with `score > threshold` (strict): one ratio for all images.

    NaN when neither the masks nor the decisions mark a pixel.
    """
    pool = pool_pixels(maps, masks, valid)
    union = pool.defect.size + _count_above(pool.good, threshold)
    return _count_above(pool.defect, threshold) / union if union else math.nan
