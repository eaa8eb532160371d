"""What the curves of image scores say at round rates, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leatherens.core.metrics import precision_recall_curve, roc_curve
from leatherens.core.reporting import ScoredImage
from leatherens.plugins.html_report.curves import by_scorer, why_no_curves
from leatherens.plugins.html_report.number_table import NumberTable
from leatherens.plugins.html_report.table import percent

LOST = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Shares of good images lost."""

FOUND = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Shares of defective images found."""

Floats = NDArray[np.floating[Any]]


def curve_tables(images: Sequence[ScoredImage]) -> tuple[NumberTable, ...]:
    """The ROC and the precision-recall curve of every scorer; none where there are no curves."""
    if why_no_curves(images):
        return ()
    labels, scores = by_scorer(images)
    return (
        NumberTable(
            "share of defective images found while good ones lost are at most",
            ("scorer", *map(percent, LOST)),
            tuple((s, *_row(found_at(values, labels))) for s, values in scores.items()),
        ),
        NumberTable(
            "precision while defective images found are at least",
            ("scorer", *map(percent, FOUND)),
            tuple((s, *_row(precision_at(values, labels))) for s, values in scores.items()),
        ),
    )


def _row(values: Mapping[float, float]) -> tuple[str, ...]:
    return tuple(percent(value) for value in values.values())


def found_at(scores: Floats, labels: NDArray[np.bool_]) -> dict[float, float]:
    """The largest share found at each of `LOST`, by thresholds that exist.

    >>> found_at(np.array([3.0, 1.0, 2.0]), np.array([True, True, False]))[0.0]
    0.5
    """
    lost, found = roc_curve(scores, labels)
    return {limit: float(found[lost <= limit].max()) for limit in LOST}


def precision_at(scores: Floats, labels: NDArray[np.bool_]) -> dict[float, float]:
    """The largest precision at each of `FOUND`."""
    precision, recall = precision_recall_curve(scores, labels)
    return {least: float(precision[recall >= least].max()) for least in FOUND}
