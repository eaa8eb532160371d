"""Results as a table on the terminal, plain enough for a log file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from leatherens.ensembles.summary import COLUMNS, shown

if TYPE_CHECKING:
    from leatherens.core.reporting import RunView
    from leatherens.ensembles.summary import Summary


def print_results(view: RunView) -> None:
    """The metrics of each member and of the ensemble, and what is promised."""
    rows = {**view.metrics["members"], "ensemble": view.metrics["ensemble"]}
    header = ["", *(title for _, title in COLUMNS)]
    _print_table(
        [header, *([name, *(shown(key, row[key]) for key, _ in COLUMNS)] for name, row in rows.items())]
    )
    decision = view.decisions["ensemble"]
    click.echo(
        f"threshold: {decision.image:.4g} by the rule '{decision.rule}' from {decision.normals} held-out "
        "good images"
    )
    if decision.promise is not None:
        click.echo(f"promise: at most {decision.promise:.3g} of fresh good images are flagged")
    for remark in view.remarks:
        click.echo(f"note: {remark}")


def print_summary(summary: Summary) -> None:
    """A line for each category, the means, and what the table does not show."""
    _print_table(summary.table())
    for note in summary.notes():
        click.echo(f"note: {note}")


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    """Names to the left, numbers to the right, as wide as they need to be."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for name, *cells in lines:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        click.echo("  ".join([name.ljust(widths[0]), *padded]))
