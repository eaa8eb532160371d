"""`leatherens data crop-good`: good samples from photographs that all show a defect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leatherens.cli import options

if TYPE_CHECKING:
    from leatherens.cli import Session


@click.command("crop-good", short_help="Cut good tiles out of defective photographs.")
@click.option(
    "--data", type=options.PATH, required=True, help="Folder of photographs and masks, of any layout."
)
@click.option("--out", type=options.PATH, required=True, help="Folder to make; MVTec AD layout.")
@click.option("--size", metavar="N or HxW", default="256", show_default=True, help="Size of the tiles.")
@click.option("--train", type=int, default=260, show_default=True, help="Good tiles to learn from.")
@click.option("--test", type=int, default=42, show_default=True, help="Good tiles to test on.")
@click.option(
    "--margin",
    type=int,
    default=8,
    show_default=True,
    metavar="PX",
    help="Pixels that a good tile keeps from every defect.",
)
@click.option(
    "--overlap",
    type=float,
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Share of a tile that another may show too.",
)
@click.option(
    "--share",
    type=float,
    default=0.5,
    show_default=True,
    help="Share of the photographs to learn from, at least; the others show their defects.",
)
@click.option(
    "--defects",
    type=click.Choice(["tiles", "whole"]),
    default="tiles",
    show_default=True,
    help="Show defects in tiles of the same size, or in whole photographs.",
)
@click.option(
    "--ignore",
    type=options.PATH,
    help="Regions to stay out of: a mask for all photographs, or a folder of masks called like them.",
)
@click.option("--fewer", is_flag=True, help="Take what there is where the photographs give fewer tiles.")
@options.layout
@click.option("--seed", type=int, default=0, show_default=True)
@click.pass_obj
def crop_good(
    session: Session,
    /,
    *,
    data: Path,
    out: Path,
    size: str,
    train: int,
    test: int,
    margin: int,
    overlap: float,
    share: float,
    defects: str,
    ignore: Path | None,
    fewer: bool,
    layout: str | None,
    seed: int,
) -> None:
    """Cut a data set to learn from and to test on out of defective photographs.

    Clean tiles keep a margin from every marked defect. A photograph gives tiles to learn from or to test on,
    never both; defects are shown in tiles of the same size, of the photographs to test on, or in these whole.
    """
    from leatherens.core.cropping.tile_set import MANIFEST, Photographs, Wanted, planned, summary, write_crops
    from leatherens.core.cropping.tiles import Cut
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.data import DataChoice

    wanted = Wanted(
        Cut(options.sides(size), margin, overlap), train, test, share, seed, whole=defects == "whole"
    )
    found = DataChoice.at(data, layout=layout).read(session.host, learning=False)
    click.echo(f"{data}: {found.sentence}")
    progress = terminal_progress()
    photographs = Photographs(found.samples, ignored=ignore)
    plan = planned(photographs, wanted, fewer=fewer, progress=progress)
    write_crops(plan, photographs, out, progress)
    for remark in plan.remarks:
        click.echo(f"note: {remark}")
    click.echo(f"{out}: {summary(plan)}")
    click.echo(f"{out / MANIFEST} says which tiles are of one photograph, so that they stay together")
