"""`leatherens recalibrate`: move calibration and threshold to a new line or lighting."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leatherens.cli import options

if TYPE_CHECKING:
    from leatherens.cli import Session


@click.command()
@click.argument("run", type=options.PATH)
@click.option(
    "--good", type=options.PATH, required=True, help="Good photographs of the new line or lighting."
)
@click.option(
    "--false-alarms",
    type=float,
    show_default="as before",
    help="Share of good images that may be flagged.",
)
@options.layout
@options.device
@options.weights_of_run
@click.pass_obj
def recalibrate(
    session: Session,
    /,
    run: Path,
    good: Path,
    *,
    false_alarms: float | None,
    layout: str | None,
    device: str,
    weights: tuple[Path, ...],
) -> None:
    """Learn RUN's thresholds anew from good images of a new line or lighting; scores stay the same.

    `leatherens rollback` undoes it.
    """
    from leatherens.cli.adapted import adapting, print_entry, unchanged_if_interrupted
    from leatherens.ensembles import recalibrating
    from leatherens.ensembles.data import DataChoice

    change = adapting(session, run, device, weights)
    with unchanged_if_interrupted(run):
        entry = recalibrating.recalibrate(
            change, DataChoice.at(good, layout=layout), false_alarms=false_alarms
        )
    print_entry(run, entry)
