"""Metrics of images from (N,) scores and (N,) labels, 1 or True for a defective image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leatherens.core.errors import InputError
from leatherens.core.metrics.decisions import Confusion, confusion_of
from leatherens.core.score_counts import FloatArray, ScoreCounts
from leatherens.core.sweep import Sweep, share, sweep


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


def confusion(scores: npt.ArrayLike, labels: npt.ArrayLike, threshold: float) -> Confusion:
    """Verdicts against labels when defective means `score > threshold`; accuracy, precision and recall of it.

    >>> confusion([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 1, 0], 0.6)
    Confusion(found=2, missed=1, false_alarms=1, passed=1)
    """
    return confusion_of(*_by_class(scores, labels), threshold)


def image_f1(scores: npt.ArrayLike, labels: npt.ArrayLike, threshold: float) -> float:
    """F1 when defective means `score > threshold`: a score equal to the threshold is good, as in a verdict.

    NaN without a defective image; 0 when none of them is found.
    """
    return confusion(scores, labels, threshold).f1


def false_alarm_rate(scores: npt.ArrayLike, labels: npt.ArrayLike, threshold: float) -> float:
    """Share of the good images with `score > threshold` (strict); NaN without a good image."""
    return confusion(scores, labels, threshold).false_alarm_rate


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
    defect, good = _by_class(scores, labels)
    return sweep(defect, [ScoreCounts([good])])


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
