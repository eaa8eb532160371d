"""The numbers of a chart as a table, for who cannot see it or wants to know exactly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NumberTable:
    """caption: what the numbers are. head: of the first column, then of the others. rows: as written."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
