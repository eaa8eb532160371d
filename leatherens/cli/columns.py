"""Texts in columns, for a terminal or a pipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

_SHORTEST = 20
"""What a column is cut to at most, in characters."""


def aligned(rows: Sequence[tuple[str, ...]], cut: int | None = None) -> list[str]:
    """Rows as aligned columns; on a narrow terminal the column `cut` is cut, into a pipe it goes whole."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if cut is not None and sys.stdout.isatty():
        excess = sum(widths) + 2 * (len(widths) - 1) - shutil.get_terminal_size().columns
        widths[cut] = max(min(widths[cut], _SHORTEST), widths[cut] - max(excess, 0))
    return [
        "  ".join(_cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
