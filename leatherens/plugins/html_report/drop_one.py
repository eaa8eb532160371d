"""The table of the ensemble without each voter, and its distance from the whole one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leatherens.core.details import DropOne, Without
from leatherens.plugins.html_report.number_table import NumberTable
from leatherens.plugins.html_report.table import DASH, places

METRICS = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "au_pro": "AU-PRO"}

HEAD = "fused-features"
"""What the vote of block and head is called."""


@dataclass(frozen=True, slots=True)
class DropOneTable:
    """rows `None`: there are none, for the reason given."""

    table: NumberTable | None
    head: bool
    why_none: str


def drop_one_table(found: DropOne | None, metrics: Mapping[str, Any]) -> DropOneTable | None:
    """The whole ensemble first; `None` with a single member, or by a run of an older version."""
    if found is None:
        return None
    if not found.rows:
        return DropOneTable(None, found.head, found.why_none)
    whole = metrics["ensemble"]
    rows = [("ensemble", *(cell for key in METRICS for cell in (places(3)(whole.get(key)), "")))]
    rows += [(_named(row), *_cells(row, whole)) for row in found.rows]
    head = ("", *(heading for name in METRICS.values() for heading in (name, "difference")))
    table = NumberTable("the ensemble without each voter", head, tuple(rows))
    return DropOneTable(table, found.head, "")


def _named(row: Without) -> str:
    return "without the head" if row.voter == HEAD else f"without {row.voter}"


def _cells(row: Without, whole: Mapping[str, float | None]) -> list[str]:
    cells = []
    for key in METRICS:
        value = getattr(row, key)
        cells += [places(3)(value), difference(value, whole.get(key))]
    return cells


def difference(value: float | None, whole: float | None) -> str:
    """Signed, in three places; a dash where one of the two is undefined.

    >>> difference(0.95, 0.9), difference(0.95, 0.95), difference(None, 0.9)
    ('+0.050', '0.000', '–')
    """
    if value is None or whole is None:
        return DASH
    written = f"{value - whole:+.3f}"
    return "0.000" if float(written) == 0 else written.replace("-", "\N{MINUS SIGN}")
