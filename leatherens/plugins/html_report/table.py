"""The table of ensemble and members: which metrics, how their numbers are written, which is best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

DASH = "–"


def number(value: float | None, digits: int = 4) -> str:
    """A score in so many significant digits; a dash where it is undefined.

    >>> number(1234.567), number(0.000123456), number(float("nan"))
    ('1235', '0.0001235', '–')
    """
    return DASH if _undefined(value) else f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    r"""A share as a percentage with two significant digits at least, on one line with its sign.

    >>> percent(0.05), percent(0.00012), percent(None)
    ('5.0\xa0%', '0.012\xa0%', '–')
    """
    if value is None or _undefined(value):
        return DASH
    return f"{100 * value:.1f}\xa0%" if value >= 0.001 or value == 0 else f"{100 * value:.2g}\xa0%"


def places(count: int) -> Callable[[float | None], str]:
    """A metric with so many places; a dash where it is undefined."""
    return lambda value: DASH if _undefined(value) else f"{value:.{count}f}"


def _undefined(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Column:
    """One metric: its key in metrics.json, its heading, how it is written, and which way is better."""

    key: str
    heading: str
    write: Callable[[float | None], str]
    higher_is_better: bool = True


COLUMNS = (
    Column("image_auroc", "image AUROC", places(3)),
    Column("pixel_auroc", "pixel AUROC", places(3)),
    Column("pixel_ap", "pixel AP", places(3)),
    Column("au_pro", "AU-PRO", places(3)),
    Column("image_f1", "F1 at the threshold", places(3)),
    Column("false_alarm_rate", "false-alarm rate", percent, higher_is_better=False),
    Column("ms_per_image", "ms per image", places(1), higher_is_better=False),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as written."""

    text: str
    undefined: bool
    best: bool


def rows(metrics: Mapping[str, Any]) -> list[tuple[str, list[Cell]]]:
    """Ensemble first, then each member by id; equal as written is equally best, all equal is no best."""
    scorers = {"ensemble": metrics["ensemble"], **dict(sorted(metrics["members"].items()))}
    columns = [list(_cells(column, list(scorers.values()))) for column in COLUMNS]
    return [(scorer, list(cells)) for scorer, cells in zip(scorers, zip(*columns, strict=True), strict=True)]


def _cells(column: Column, scorers: list[Mapping[str, float | None]]) -> Iterator[Cell]:
    values = [metrics.get(column.key) for metrics in scorers]
    defined = [value for value in values if value is not None and not _undefined(value)]
    contested = len({column.write(value) for value in defined}) > 1
    best = column.write((max if column.higher_is_better else min)(defined)) if contested else None
    for value in values:
        text = column.write(value)
        yield Cell(text, undefined=_undefined(value), best=text == best)


def definitions(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What each column's number means, by its key, as the run stored it."""
    stored = metrics.get("definitions", {})
    return {column.key: stored[column.key] for column in COLUMNS if column.key in stored}
