"""PRO and IoU of pixels as points of SVGs: one chart of PRO for all scorers, one of IoU for each.

Scorers speak in units of their own, so that thresholds of two of them do not share an axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from leatherens.core.details import PixelCurves
from leatherens.core.metrics import FPR_LIMIT
from leatherens.plugins.html_report.curves import points
from leatherens.plugins.html_report.histogram import Axis
from leatherens.plugins.html_report.number_table import NumberTable
from leatherens.plugins.html_report.scorers import in_order
from leatherens.plugins.html_report.table import number, percent, places

RATES = (0.01, 0.03, 0.05, 0.1, 0.2, 0.3)
"""False-positive rates at which a table tells the overlap."""

SPREAD = 20
"""Largest over smallest threshold from which a logarithmic axis shows them better."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """One scorer's PRO curve: SVG points and the area under it."""

    scorer: str
    points: str
    area: float


@dataclass(frozen=True, slots=True)
class IouChart:
    """One scorer's IoU over thresholds; places on the axis in 0..1.

    top: upper end of the IoU axis. at: place of the run's threshold, the threshold and its IoU. best: the
    same of the largest IoU.
    """

    scorer: str
    points: str
    top: float
    axis: Axis
    ticks: tuple[tuple[float, float], ...]
    at: tuple[float, float, float] | None
    best: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PixelCharts:
    """All of them, and the numbers they show."""

    overlaps: tuple[Overlap, ...]
    overlap_numbers: NumberTable
    ious: tuple[IouChart, ...]
    iou_numbers: NumberTable


def pixel_charts(curves: Mapping[str, PixelCurves]) -> PixelCharts | None:
    """The charts of all scorers; `None` where no defect is marked, or by a run of an older version."""
    if not curves:
        return None
    ordered = {scorer: curves[scorer] for scorer in in_order(curves)}
    top = _round_up(max(found.best[1] for found in ordered.values()))
    return PixelCharts(
        tuple(_overlap(scorer, found) for scorer, found in ordered.items()),
        _overlap_numbers(ordered),
        tuple(_iou(scorer, found, top) for scorer, found in ordered.items()),
        _iou_numbers(ordered),
    )


def _overlap(scorer: str, found: PixelCurves) -> Overlap:
    rates, overlaps = map(np.array, found.overlap)
    return Overlap(scorer, points(rates / FPR_LIMIT, overlaps), found.au_pro)


def _overlap_numbers(curves: Mapping[str, PixelCurves]) -> NumberTable:
    return NumberTable(
        "mean share of a defect found, at shares of good pixels called defective",
        ("scorer", *map(percent, RATES), "AU-PRO"),
        tuple(
            (scorer, *(percent(overlap_at(found, rate)) for rate in RATES), places(3)(found.au_pro))
            for scorer, found in curves.items()
        ),
    )


def overlap_at(found: PixelCurves, rate: float) -> float:
    """The overlap at a false-positive rate, the upper end of a step."""
    rates, overlaps = map(np.array, found.overlap)
    after = int(np.searchsorted(rates, rate, "right"))
    if after == len(rates):
        return float(overlaps[-1])
    low, high = rates[after - 1], rates[after]
    share = (rate - low) / (high - low)
    return float(overlaps[after - 1] + share * (overlaps[after] - overlaps[after - 1]))


def _iou(scorer: str, found: PixelCurves, top: float) -> IouChart:
    limits, values = map(np.array, found.iou)
    low, high = float(limits[0]), float(limits[-1])
    axis = Axis.around(limits)
    if low > 0 and high > SPREAD * low:
        axis = Axis(low, high, logarithmic=True)
    return IouChart(
        scorer,
        points(np.array([axis.place(limit) for limit in limits.tolist()]), np.nan_to_num(values) / top),
        top,
        axis,
        tuple((axis.place(tick), tick) for tick in axis.ticks()),
        None if found.at is None else (axis.place(found.at[0]), *found.at),
        (axis.place(found.best[0]), *found.best),
    )


def _round_up(share: float) -> float:
    """The least of some round ends of an axis that holds a share."""
    return next(end for end in (0.1, 0.2, 0.3, 0.4, 0.5, 1.0) if share <= end)


def _iou_numbers(curves: Mapping[str, PixelCurves]) -> NumberTable:
    return NumberTable(
        "IoU at the run's pixel threshold and at the best one",
        ("scorer", "threshold", "IoU there", "best threshold", "IoU there"),
        tuple(
            (
                scorer,
                *((number(found.at[0]), places(3)(found.at[1])) if found.at else ("none", number(None))),
                number(found.best[0]),
                places(3)(found.best[1]),
            )
            for scorer, found in curves.items()
        ),
    )
