"""Results as a table on the terminal, plain enough for a log file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from leatherens.core.reporting import RunView

Columns = Sequence[tuple[str, str]]

COLUMNS = (
    ("image_auroc", "image AUROC"),
    ("pixel_auroc", "pixel AUROC"),
    ("pixel_ap", "pixel AP"),
    ("au_pro", "AU-PRO"),
    ("image_f1", "F1"),
    ("false_alarm_rate", "false alarms"),
    ("ms_per_image", "ms/image"),
)


def print_results(view: RunView) -> None:
    """The metrics of each member and of the ensemble, and what is promised."""
    print_rows("", COLUMNS, {**view.metrics["members"], "ensemble": view.metrics["ensemble"]})
    decision = view.decisions["ensemble"]
    click.echo(
        f"threshold: {decision.image:.4g} by the rule '{decision.rule}' from {decision.normals} held-out "
        "good images"
    )
    if decision.promise is not None:
        click.echo(f"promise: at most {decision.promise:.3g} of fresh good images are flagged")
    for remark in view.remarks:
        click.echo(f"note: {remark}")


def print_rows(title: str, columns: Columns, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """A table of rows by name; columns: the key in a row and its heading."""
    header = [title, *(heading for _, heading in columns)]
    lines = [header, *([name, *(_cell(key, row[key]) for key, _ in columns)] for name, row in rows.items())]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for name, *cells in lines:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        click.echo("  ".join([name.ljust(widths[0]), *padded]))


def _cell(key: str, value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.0f}" if key == "ms_per_image" else f"{value:.3f}"
