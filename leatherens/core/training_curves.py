"""How the trainings of a member went, thinned to what a picture can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MOST_POINTS = 300
"""Losses that stay of a training: a figure is some hundred pixels wide."""


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """One training of a member; those with several have one of each.

    losses: (last step, mean loss) of `width` steps in a row, the last perhaps of fewer.
    validations: (step, value) of each judgement on held-out images, smaller is better; none without a judge.
    best_step: the step whose state was kept, 0 where the training did not come to its end.
    """

    task: str
    steps: int
    losses: tuple[tuple[int, float], ...]
    validations: tuple[tuple[int, float], ...] = ()
    best_step: int = 0
    width: int = 1


def thinned(losses: Sequence[float], most: int = MOST_POINTS) -> tuple[int, tuple[tuple[int, float], ...]]:
    """Steps per point, and the points: the last step of each and the mean of its losses, `most` at most.

    losses: of the steps 1, 2, ...

    >>> thinned([4.0, 2.0, 3.0, 1.0, 5.0], most=3)
    (2, ((2, 3.0), (4, 2.0), (5, 5.0)))
    """
    width = max(1, math.ceil(len(losses) / most))
    points = []
    for start in range(0, len(losses), width):
        part = losses[start : start + width]
        points.append((start + len(part), math.fsum(part) / len(part)))
    return width, tuple(points)
