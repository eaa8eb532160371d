"""`leatherens evaluate`: measure a finished run on labelled images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from leatherens.cli import Session

FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=FOLDER)
@click.option("--data", "root", type=FOLDER, required=True, help="Labelled photographs.")
@click.option("--defects", type=FOLDER, help="Defective photographs beside a plain folder of good ones.")
@click.option("--masks", type=FOLDER, help="Masks of the defective photographs.")
@click.option("--layout", metavar="ID", help="Read the folder as this layout instead of recognising it.")
@click.option("--out", type=FOLDER, help="Write metrics, scores, maps and report there.")
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.pass_obj
def evaluate(
    session: Session, /, run: Path, out: Path | None, as_json: bool, device: str, **where: Any
) -> None:
    """Measure the finished run RUN on the test images of a folder.

    Nothing is learned from them, and images the run learned from are left out.
    """
    from leatherens.cli.progress import terminal_progress
    from leatherens.cli.table import print_results
    from leatherens.core.artifact import without_nan
    from leatherens.ensembles.folder import RunFolder
    from leatherens.ensembles.opening import open_run
    from leatherens.ensembles.running import DataChoice

    progress = terminal_progress()
    opened = open_run(run, session.host, device=device)
    choice = DataChoice(
        **{key: str(value.resolve()) if isinstance(value, Path) else value for key, value in where.items()}
    )
    view = opened.evaluate(
        choice.read(session.host, learning=False), session.host, progress, RunFolder(out) if out else None
    )
    if as_json:
        click.echo(json.dumps(without_nan(view.metrics), indent=2))
    else:
        print_results(view)
