"""`leatherens rollback`: put a finished run back to an earlier entry of its history."""

from __future__ import annotations

from pathlib import Path

import click

from leatherens.cli.options import PATH


@click.command()
@click.argument("run", type=PATH)
@click.option(
    "--to",
    metavar="N",
    type=int,
    show_default="the entry before",
    help="Entry to put in force; 0 is the run as it was made.",
)
def rollback(run: Path, *, to: int | None) -> None:
    """Undo the last update, recalibration or other threshold of RUN, bit for bit, or put entry N in force."""
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.adapting import go_back

    number = go_back(run, to, terminal_progress())
    click.echo(f"{run}: " + (f"entry {number} is in force" if number else "as it was made"))
