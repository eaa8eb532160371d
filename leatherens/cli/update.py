"""`leatherens update`: take in good images that were verified in use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leatherens.cli import options

if TYPE_CHECKING:
    from leatherens.cli import Session


@click.command()
@click.argument("run", type=options.PATH)
@click.option("--good", type=options.PATH, required=True, help="Verified good photographs.")
@click.option(
    "--teach",
    type=float,
    default=0.7,
    show_default=True,
    help="Share that goes into banks and statistics; the others are held out.",
)
@options.layout
@options.device
@options.weights_of_run
@click.pass_obj
def update(
    session: Session,
    /,
    run: Path,
    good: Path,
    *,
    teach: float,
    layout: str | None,
    device: str,
    weights: tuple[Path, ...],
) -> None:
    """Add verified good images to what RUN remembers, and calibrate it anew.

    Memory banks and statistics take them in; networks stay as they are. `leatherens rollback` undoes it.
    """
    from leatherens.cli.adapted import adapting, print_entry, unchanged_if_interrupted
    from leatherens.ensembles import updating
    from leatherens.ensembles.data import DataChoice

    change = adapting(session, run, device, weights)
    with unchanged_if_interrupted(run):
        entry = updating.update(change, DataChoice.at(good, layout=layout), teach=teach)
    print_entry(run, entry)
