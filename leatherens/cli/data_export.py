"""`leatherens data export`: from masks to a file that an annotator opens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leatherens.cli import options
from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from leatherens.cli import Session


@click.command("export", short_help="Write masks as polygons, to correct them.")
@click.option("--to", "format", type=click.Choice(["via", "coco", "labelme"]), required=True)
@click.option("--data", type=options.PATH, required=True, help="Folder of images, of any layout.")
@click.option(
    "--masks",
    type=options.PATH,
    help="Masks for the images of --data, such as `leatherens predict --out` wrote.",
)
@click.option(
    "--out",
    type=options.PATH,
    required=True,
    help="File to write: .json, or .csv for VIA; a new folder for LabelMe.",
)
@click.option("--kind", default="defect", show_default=True, help="What the regions of --masks are called.")
@click.option(
    "--tolerance",
    type=float,
    default=0.0,
    show_default=True,
    metavar="PX",
    help="Fewer corners, at most so far from the mask's edge; 0 keeps every pixel.",
)
@options.layout
@click.pass_obj
def data_export(
    session: Session,
    /,
    *,
    format: str,
    data: Path,
    masks: Path | None,
    out: Path,
    kind: str,
    tolerance: float,
    layout: str | None,
) -> None:
    """Write masks as polygons, to look at and to correct; `leatherens data import` takes them back.

    The masks are those of a data set, or with --masks those of its images that lie in another folder.
    """
    from leatherens.core.labels.exporting import check_out, of_masks, of_samples, write_labels
    from leatherens.core.listing import counted
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.data import DataChoice

    check_out(format, out)
    if not 0 <= tolerance <= 1000:
        raise ConfigError(f"--tolerance: expected 0 to 1000 pixels, got {tolerance:g}")
    if masks is None:
        found = DataChoice.at(data, layout=layout).read(session.host, learning=False)
        click.echo(f"{data}: {found.sentence}")
        exported = of_samples(found.test, found.root, tolerance=tolerance, progress=terminal_progress())
    elif layout is not None:
        raise click.UsageError("--layout is for the masks of a data set; leave it out with --masks")
    else:
        exported = of_masks(data, masks, kind=kind, tolerance=tolerance, progress=terminal_progress())
    write_labels(exported, format, data, out)
    for remark in exported.remarks:
        click.echo(f"note: {remark}")
    outlines = sum(len(picture.outlines) for picture in exported.pictures)
    pictures = counted(len(exported.pictures), "image")
    click.echo(f"{out}: {pictures}, {counted(outlines, 'region')}")
