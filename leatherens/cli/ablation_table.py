"""An ablation's table on the terminal, plain enough for a log file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from leatherens.ensembles.ablation.ablation import Outcome
    from leatherens.ensembles.ablation.results import Row

COLUMNS = (
    ("image_auroc", "image AUROC"),
    ("pixel_ap", "pixel AP"),
    ("au_pro", "AU-PRO"),
    ("false_alarm_rate", "false alarms"),
)

WIDEST = 44
"""Characters of a variant's name; a subset of many members is cut."""


def print_outcome(outcome: Outcome) -> None:
    """The table, each value with its 95 % interval, then what it says."""
    from leatherens.ensembles.ablation.conclusions import sentences

    header = ["varies", "variant", "mode", *(title for _, title in COLUMNS), "ms/image"]
    lines = [header, *(_cells(row) for row in outcome.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        words = [cell.ljust(width) for cell, width in zip(line[:3], widths[:3], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(line[3:], widths[3:], strict=True)]
        click.echo("  ".join([*words, *numbers]))
    for row in outcome.rows:
        if row.problem:
            click.echo(f"note: {row.variant.varies} {row.variant.name} was not made: {row.problem}")
    for sentence in sentences(outcome.conclusions):
        click.echo(sentence)


def _cells(row: Row) -> list[str]:
    name = row.variant.name
    shown = name if len(name) <= WIDEST else f"{name[: WIDEST - 3]}..."
    milliseconds = row.value("ms_per_image")
    cost = "-" if math.isnan(milliseconds) else f"{milliseconds:.0f}"
    return [row.variant.varies, shown, row.variant.mode.value, *(_cell(row, key) for key, _ in COLUMNS), cost]


def _cell(row: Row, metric: str) -> str:
    value = row.value(metric)
    if math.isnan(value):
        return "-"
    low, high = row.intervals[metric]
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
