"""Results as a table on the terminal, plain enough for a log file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from leatherens.ensembles.summary import COLUMNS, shown

if TYPE_CHECKING:
    from leatherens.core.reporting import RunView
    from leatherens.ensembles.checkpoints import CheckpointRow
    from leatherens.ensembles.summary import Summary


def print_results(view: RunView) -> None:
    """The metrics of each member and of the ensemble, and what is promised."""
    print_rows("", COLUMNS, {**view.metrics["members"], "ensemble": view.metrics["ensemble"]})
    decision = view.decisions["ensemble"]
    learned = (
        f"{decision.normals} {'good images across folds' if decision.crossed else 'held-out good images'}"
    )
    if decision.labelled:
        learned += f" and {decision.labelled} labelled ones"
    click.echo(f"threshold: {decision.image:.4g} by the rule '{decision.rule}' from {learned}")
    if decision.pixel_rule not in ("", decision.rule):
        click.echo(f"threshold of pixels: {decision.pixel:.4g} by the rule '{decision.pixel_rule}'")
    if decision.promise is not None:
        click.echo(promise_sentence(decision.promise, crossed=decision.crossed))
    for remark in view.remarks:
        click.echo(f"note: {remark}")


def promise_sentence(rate: float, *, crossed: bool) -> str:
    """What may be said of fresh good images."""
    if crossed:
        return (
            f"expected: about {rate:.3g} of fresh good images are flagged (measured across folds, not "
            "guaranteed)"
        )
    return f"promise: at most {rate:.3g} of fresh good images are flagged (guaranteed on average)"


def print_rows(title: str, columns: Sequence[tuple[str, str]], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """A table of rows by name; columns: the key in a row and its heading."""
    header = [title, *(heading for _, heading in columns)]
    cells = ([name, *(shown(key, row[key]) for key, _ in columns)] for name, row in rows.items())
    print_table([header, *cells])


CHECKPOINT_COLUMNS = (("image_auroc", "image AUROC"), ("image_ap", "image AP"), *COLUMNS[1:4])


def print_checkpoints(rows: Sequence[CheckpointRow]) -> None:
    """What each checkpoint of each member scores alone."""
    lines = [["", "step", *(title for _, title in CHECKPOINT_COLUMNS)]]
    for row in rows:
        cells = (shown(key, row.metrics[key]) for key, _ in CHECKPOINT_COLUMNS)
        lines.append([row.member, str(row.step or "in use"), *cells])
    print_table(lines)
    click.echo("note: nothing is chosen; a checkpoint chosen by these images must be judged on others")


def print_summary(summary: Summary) -> None:
    """A line for each category, the means, and what the table does not show."""
    print_table(summary.table())
    for note in summary.notes():
        click.echo(f"note: {note}")


def print_table(lines: Sequence[Sequence[str]]) -> None:
    """Names to the left, numbers to the right, as wide as they need to be."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for name, *cells in lines:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        click.echo("  ".join([name.ljust(widths[0]), *padded]))
