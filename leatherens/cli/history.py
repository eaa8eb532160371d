"""`leatherens history`: what was done to a finished run since it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leatherens.cli.options import PATH

if TYPE_CHECKING:
    from leatherens.ensembles.history import Entry


@click.command()
@click.argument("run", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Everything that is kept, as JSON.")
def history(run: Path, *, as_json: bool) -> None:
    """List the updates, recalibrations and other thresholds of RUN; a star marks the one in force."""
    from leatherens.ensembles.folder import RunFolder
    from leatherens.ensembles.history import History

    folder = RunFolder(run)
    folder.require_done()
    kept = History(folder)
    entries, present = kept.entries(), kept.present
    if as_json:
        listed = [entry.model_dump(mode="json") for entry in entries]
        click.echo(json.dumps({"present": present, "entries": listed}, indent=2))
        return
    click.echo(f"{_mark(0, present)} 0  as it was made")
    for entry in entries:
        _print(entry, present)


def _mark(number: int, present: int) -> str:
    return "*" if number == present else " "


def _print(entry: Entry, present: int) -> None:
    click.echo(f"{_mark(entry.number, present)} {entry.number}  {entry.sentence}, after entry {entry.parent}")
    click.echo(f"     threshold {entry.before.image:.4g} -> {entry.after.image:.4g}; {entry.command}")
    for sentence in entry.changed:
        click.echo(f"     {sentence}")
