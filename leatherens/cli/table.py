"""Results as a table on the terminal, plain enough for a log file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from leatherens.core.reporting import RunView
    from leatherens.ensembles.checkpoints import CheckpointRow

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
    rows = {**view.metrics["members"], "ensemble": view.metrics["ensemble"]}
    header = ["", *(title for _, title in COLUMNS)]
    _print_aligned([header, *([name, *_cells(row)] for name, row in rows.items())])
    decision = view.decisions["ensemble"]
    click.echo(
        f"threshold: {decision.image:.4g} by the rule '{decision.rule}' from {decision.normals} held-out "
        "good images"
    )
    if decision.promise is not None:
        click.echo(f"promise: at most {decision.promise:.3g} of fresh good images are flagged")
    for remark in view.remarks:
        click.echo(f"note: {remark}")


CHECKPOINT_COLUMNS = (("image_auroc", "image AUROC"), ("image_ap", "image AP"), *COLUMNS[1:4])


def print_checkpoints(rows: Sequence[CheckpointRow]) -> None:
    """What each checkpoint of each member scores alone."""
    header = ["", "step", *(title for _, title in CHECKPOINT_COLUMNS)]
    lines = [header]
    for row in rows:
        cells = (_cell(key, row.metrics[key]) for key, _ in CHECKPOINT_COLUMNS)
        lines.append([row.member, str(row.step or "in use"), *cells])
    _print_aligned(lines)
    click.echo("note: nothing is chosen; a checkpoint chosen by these images must be judged on others")


def _print_aligned(lines: Sequence[Sequence[str]]) -> None:
    """Names to the left, everything else to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for name, *cells in lines:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        click.echo("  ".join([name.ljust(widths[0]), *padded]))


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [_cell(key, row[key]) for key, _ in COLUMNS]


def _cell(key: str, value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.0f}" if key == "ms_per_image" else f"{value:.3f}"
