"""The histogram of image scores: good upwards, defective downwards, on one axis with the threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leatherens.core.reporting import ScoredImage
from leatherens.plugins.html_report.number_table import NumberTable
from leatherens.plugins.html_report.table import number

BINS = 40
LONG_TAIL = (
    30  # largest over median score from which a linear axis would squeeze the good images into one bar
)

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: x and width as shares of the axis, its scores, its images, their share of the group."""

    x: float
    width: float
    low: float
    high: float
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Group:
    """The bars of the images with one label."""

    key: str
    total: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Groups on one axis; ticks and threshold with their places in 0..1."""

    axis: Axis
    groups: tuple[Group, ...]
    ticks: tuple[tuple[float, float], ...]
    threshold: float | None
    tallest: float


def histogram(images: Sequence[ScoredImage], threshold: float) -> Histogram | None:
    """The histogram of the ensemble's image scores; `None` without images."""
    if not images:
        return None
    everything = np.array([image.scores["ensemble"] for image in images])
    if math.isfinite(threshold):
        everything = np.append(everything, threshold)
    axis = Axis.around(everything)
    labels = {"good": False, "defective": True, "unlabelled": None}
    scores = {k: [i.scores["ensemble"] for i in images if i.defective is v] for k, v in labels.items()}
    groups = tuple(group_of(key, np.array(values), axis) for key, values in scores.items() if values)
    return Histogram(
        axis,
        groups,
        ticks=tuple((axis.place(tick), tick) for tick in axis.ticks()),
        threshold=axis.place(threshold) if math.isfinite(threshold) else None,
        tallest=max(bar.share for group in groups for bar in group.bars),
    )


def group_of(key: str, scores: Floats, axis: Axis) -> Group:
    """The bars of some scores (n,) on an axis."""
    places = np.array([axis.place(score) for score in scores])
    counts, edges = np.histogram(places, bins=BINS, range=(0, 1))
    bars = (
        Bar(left, right - left, axis.value(left), axis.value(right), int(count), int(count) / len(scores))
        for count, left, right in zip(counts, edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        if count
    )
    return Group(key, len(scores), tuple(bars))


def histogram_numbers(found: Histogram) -> NumberTable:
    """What its bars hold."""
    rows = sorted({(bar.low, bar.high) for group in found.groups for bar in group.bars})
    counts = [{(bar.low, bar.high): bar.count for bar in group.bars} for group in found.groups]
    return NumberTable(
        "images by score of the ensemble",
        ("score", *(f"{group.key}, {group.total}" for group in found.groups)),
        tuple(
            (f"{number(low)} to {number(high)}", *(str(count.get((low, high), 0)) for count in counts))
            for low, high in rows
        ),
    )


@dataclass(frozen=True, slots=True)
class Axis:
    """Scores from `low` to `high` onto 0..1, linearly or by their logarithm."""

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def around(cls, scores: Floats) -> Axis:
        """An axis that holds all scores, logarithmic for a long tail of positive ones."""
        low, high = float(scores.min()), float(scores.max())
        if low == high:
            low, high = low - 0.5, high + 0.5
        return cls(low, high, logarithmic=low > 0 and high > LONG_TAIL * float(np.median(scores)))

    def place(self, score: float) -> float:
        """Where a score lies, 0..1; one beyond an end lies at the end."""
        score = min(max(score, self.low), self.high)
        low, high, score = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, score))
        return (score - low) / (high - low)

    def value(self, place: float) -> float:
        """The score at a place."""
        if self.logarithmic:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + place * (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round numbers within the axis."""
        if not self.logarithmic:
            return round_numbers(self.low, self.high)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        leading = (1, 2, 5) if len(decades) < 5 else (1,)
        numbers = [float(f"{digit}e{decade}") for decade in decades for digit in leading]
        return [n for n in numbers if self.low <= n <= self.high]


def round_numbers(low: float, high: float) -> list[float]:
    """Three to six multiples of 1, 2 or 5 times a power of ten between two numbers.

    >>> round_numbers(0.13, 0.91)
    [0.2, 0.4, 0.6, 0.8]
    """
    raw = (high - low) / 4
    decade = 10.0 ** math.floor(math.log10(raw))
    step = decade * min((f for f in (1, 2, 5, 10)), key=lambda f: abs(f - raw / decade))
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]
