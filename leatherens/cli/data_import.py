"""`leatherens data import`: from an annotator's file to masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leatherens.cli import options

if TYPE_CHECKING:
    from leatherens.core.labels.importing import Imported


@click.command("import", short_help="Make masks of what annotators drew.")
@click.argument("file", type=options.PATH)
@click.option("--images", type=options.PATH, required=True, help="Folder of the annotated images.")
@click.option("--out", type=options.PATH, required=True, help="Folder to make; MVTec AD layout.")
@click.option("--from", "format", metavar="FORMAT", help="via, coco or labelme, where FILE does not show it.")
@click.option(
    "--good",
    type=click.Choice(["test", "train"]),
    help="Where images without regions go; left out, those that lie in train/good stay, others to test.",
)
@click.option("--unlisted", is_flag=True, help="Take images that FILE does not name for good, too.")
@click.option("--attribute", metavar="NAME", help="VIA: the region attribute that names the kind of defect.")
@click.option("--line-width", type=float, metavar="PX", help="Width of polylines, which have no area.")
@click.option("--point-radius", type=float, metavar="PX", help="Radius of points; 0 for one pixel.")
@click.option("--by-name", is_flag=True, help="Find images by the last part of their names alone.")
@click.option("--changed", is_flag=True, help="Take images whose file size is not the annotated one.")
@click.option("--link", is_flag=True, help="Hard links to the images in place of copies, where possible.")
def data_import(
    *,
    file: Path,
    images: Path,
    out: Path,
    format: str | None,
    good: str | None,
    unlisted: bool,
    attribute: str | None,
    line_width: float | None,
    point_radius: float | None,
    by_name: bool,
    changed: bool,
    link: bool,
) -> None:
    """Make a data set with masks from regions that people drew.

    FILE is VIA's CSV or JSON, COCO's JSON, a JSON file of LabelMe or a folder of them. docs/labels.md says
    which pixels a shape marks.
    """
    from leatherens.core.labels.annotations import Pens
    from leatherens.core.labels.finding import Pictures
    from leatherens.core.labels.importing import import_labels, read_annotations
    from leatherens.core.listing import counted
    from leatherens.core.terminal_progress import terminal_progress

    annotations = read_annotations(file, Pens(line_width, point_radius, attribute), format)
    found = f"{counted(len(annotations.pictures), 'image')}, {counted(annotations.regions, 'region')}"
    click.echo(f"{file}: read as {annotations.title}: {found}")
    imported = import_labels(
        annotations,
        file,
        Pictures(images, by_name=by_name, changed=changed),
        out,
        good=good,
        unlisted=unlisted,
        link=link,
        progress=terminal_progress(),
    )
    for remark in imported.remarks:
        click.echo(f"note: {remark}")
    click.echo(f"{out}: {_summary(imported)}")


def _summary(imported: Imported) -> str:
    from leatherens.core.listing import counted

    good = {folder: imported.folders[folder] for folder in ("train/good", "test/good")}
    kinds = {folder: n for folder, n in sorted(imported.folders.items()) if folder not in good}
    listed = ", ".join(f"{folder.removeprefix('test/')} {count}" for folder, count in kinds.items())
    defective = counted(sum(kinds.values()), "defective image") + (f" ({listed})" if kinds else "")
    clean = ", ".join(f"{count} in {folder}" for folder, count in good.items() if count)
    return f"{defective}; without regions: {clean or 'none'}"
