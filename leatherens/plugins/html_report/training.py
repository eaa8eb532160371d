"""How each member's training went, as small figures: loss, validation, and the step that was kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from leatherens.core.training_curves import TrainingCurve
from leatherens.plugins.html_report.explained import round_counts
from leatherens.plugins.html_report.histogram import Axis

WIDTH = 300
HEIGHT = 150
"""Of the rectangle that the axes span, in SVG units."""

WIDE_RANGE = 20
"""Largest over smallest value from which a linear axis would hide how the small ones fall."""

MOST_DOTS = 30
"""Validations that are drawn as dots too; more would run into a thick line."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TrainingFigure:
    """One training; points in SVG units.

    ticks: of steps and of values, place and number. best: the kept step, its validation and where it lies,
    `None` where nothing judged or the training did not come to its end. width: steps whose mean is a point.
    """

    title: str
    steps: int
    losses: str
    validations: str
    dots: tuple[Point, ...]
    best: tuple[int, float, Point] | None
    step_ticks: tuple[tuple[float, int], ...]
    value_ticks: tuple[tuple[float, float], ...]
    logarithmic: bool
    first: float
    last: float
    width: int


def training_figures(training: Mapping[str, Sequence[TrainingCurve]]) -> list[TrainingFigure]:
    """The figures of all members that train by steps, a figure for each training."""
    return [
        _figure(curve, curve.task if len(curves) > 1 else member)
        for member, curves in training.items()
        for curve in curves
        if curve.losses
    ]


def _figure(curve: TrainingCurve, title: str) -> TrainingFigure:
    axis = value_axis([value for _, value in (*curve.losses, *curve.validations)])

    def placed(point: tuple[int, float]) -> Point:
        step, value = point
        return round(WIDTH * step / curve.steps, 1), round(HEIGHT * (1 - axis.place(value)), 1)

    judged = dict(curve.validations)
    kept = curve.best_step
    dots = tuple(placed(point) for point in curve.validations)
    return TrainingFigure(
        title,
        curve.steps,
        _points(placed(point) for point in curve.losses),
        _points(dots),
        dots if len(dots) <= MOST_DOTS else (),
        (kept, judged[kept], placed((kept, judged[kept]))) if kept in judged else None,
        tuple((round(WIDTH * step / curve.steps, 1), step) for step in round_counts(curve.steps)),
        tuple((round(HEIGHT * (1 - axis.place(tick)), 1), tick) for tick in axis.ticks()),
        axis.logarithmic,
        curve.losses[0][1],
        curve.losses[-1][1],
        curve.width,
    )


def value_axis(values: Sequence[float]) -> Axis:
    """An axis that holds all values, logarithmic where positive ones lie far apart.

    >>> value_axis([2.0, 0.01]).logarithmic, value_axis([2.0, -1.0]).logarithmic
    (True, False)
    """
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return Axis(low, high, logarithmic=low > 0 and high > WIDE_RANGE * low)


def _points(placed: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
