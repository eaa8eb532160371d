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

MORE = (
    Column("image_ap", "image AP", places(3)),
    Column("image_f1_max", "F1-max", places(3)),
    Column("image_accuracy", "accuracy", places(3)),
    Column("image_precision", "precision", places(3)),
    Column("image_recall", "recall", places(3)),
    Column("pixel_f1_max", "pixel F1-max", places(3)),
    Column("iou", "IoU", places(3)),
    Column("iou_per_image", "IoU per image", places(3)),
    Column("pro", "PRO", places(3)),
    Column("spro", "sPRO", places(3)),
    Column("au_spro", "AU-sPRO", places(3)),
)
"""What a second table shows, of the runs that have it."""

BY_KIND = (
    Column("image_auroc", "image AUROC", places(3)),
    Column("image_recall", "images found", percent),
    Column("pixel_auroc", "pixel AUROC", places(3)),
    Column("pixel_ap", "pixel AP", places(3)),
    Column("au_pro", "AU-PRO", places(3)),
    Column("pro", "PRO", places(3)),
    Column("au_spro", "AU-sPRO", places(3)),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as written."""

    text: str
    undefined: bool
    best: bool


@dataclass(frozen=True, slots=True)
class Table:
    """What stands in it: the columns, and the cells of each row by its name."""

    columns: tuple[Column, ...]
    rows: list[tuple[str, list[Cell]]]


def scorers_table(metrics: Mapping[str, Any], columns: tuple[Column, ...] = COLUMNS) -> Table:
    """Ensemble first, then each member by id; equal as written is equally best, all equal is no best."""
    return _table(
        {"ensemble": metrics["ensemble"], **dict(sorted(metrics["members"].items()))}, columns, best=True
    )


def more_table(metrics: Mapping[str, Any]) -> Table:
    """The metrics that the first table leaves out, those that this run has."""
    return scorers_table(metrics, tuple(column for column in MORE if column.key in metrics["ensemble"]))


def kinds_table(metrics: Mapping[str, Any]) -> Table:
    """The ensemble by kind of defect; runs of the first versions have no such rows."""
    kinds = metrics.get("kinds", {})
    shown = tuple(column for column in BY_KIND if any(column.key in row for row in kinds.values()))
    return _table(kinds, shown, best=False)


def _table(named: Mapping[str, Mapping[str, Any]], columns: tuple[Column, ...], *, best: bool) -> Table:
    cells = [list(_cells(column, list(named.values()), best=best)) for column in columns]
    lines = zip(*cells, strict=True) if cells else iter([])
    return Table(columns, [(name, list(line)) for name, line in zip(named, lines, strict=False)])


def _cells(column: Column, scorers: list[Mapping[str, float | None]], *, best: bool) -> Iterator[Cell]:
    values = [metrics.get(column.key) for metrics in scorers]
    defined = [value for value in values if value is not None and not _undefined(value)]
    contested = best and len({column.write(value) for value in defined}) > 1
    winner = column.write((max if column.higher_is_better else min)(defined)) if contested else None
    for value in values:
        text = column.write(value)
        yield Cell(text, undefined=_undefined(value), best=text == winner)


def definitions(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What each column's number means, by its key, as the run stored it."""
    stored = metrics.get("definitions", {})
    return {column.key: stored[column.key] for column in (*COLUMNS, *MORE) if column.key in stored}
