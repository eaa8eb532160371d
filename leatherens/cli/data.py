"""`leatherens data`: look at folders of images and at artificial anomalies, and make artificial leather."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leatherens.cli import Group
from leatherens.cli.anomalies import anomalies
from leatherens.cli.crop_good import crop_good
from leatherens.cli.data_export import data_export
from leatherens.cli.data_import import data_import
from leatherens.cli.inspect import inspect
from leatherens.cli.options import PATH

if TYPE_CHECKING:
    from leatherens.core.progress import Progress


@click.group(cls=Group)
def data() -> None:
    """Look at images, bring in labels, or make data sets."""


data.add_command(anomalies)
data.add_command(crop_good)
data.add_command(data_export)
data.add_command(data_import)
data.add_command(inspect)


@data.command(short_help="Make leather with known defects.")
@click.option("--out", type=PATH, required=True, help="Folder to make; MVTec AD layout.")
@click.option("--scenario", default="one-colour", show_default=True, help="one-colour or multi-colour.")
@click.option("--size", type=int, default=256, show_default=True, help="Height and width in pixels.")
@click.option("--train", type=int, default=60, show_default=True, help="Good images to learn from.")
@click.option("--test", type=int, default=40, show_default=True, help="Test images, half of them defective.")
@click.option("--seed", type=int, default=0, show_default=True)
def synth(*, out: Path, scenario: str, size: int, train: int, test: int, seed: int) -> None:
    """Make leather with pixel-exact defects: cut, hole, line, wrinkle, stain, glue, poke."""
    from leatherens.core.terminal_progress import terminal_progress

    make_leather(out, terminal_progress(), scenario=scenario, size=size, train=train, test=test, seed=seed)
    click.echo(f"{train} good images to learn from and {test} test images in {out}")


def make_leather(
    out: Path,
    progress: Progress,
    *,
    scenario: str = "one-colour",
    size: int = 256,
    train: int = 60,
    test: int = 40,
    seed: int = 0,
) -> None:
    """Write leather into a folder that is new or empty; an interrupted call leaves nothing there."""
    from leatherens.core.artifact import folder_written_whole
    from leatherens.core.leather import write_demo

    with (
        folder_written_whole(out) as made,
        progress.step(f"making {scenario} leather", train + test) as advance,
    ):
        write_demo(
            made, scenario=scenario, size=size, train=train, test=test, seed=seed, advance=lambda: advance(1)
        )
