"""`leatherens data inspect`: look at a folder before anything is trained on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leatherens.cli import options
from leatherens.core.errors import ArtifactError, ConfigError, InputError

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.core.inspection import Inspection, Plan, Stock
    from leatherens.core.reading import Collection


@click.command()
@click.argument("folder", type=options.PATH)
@options.layout
@click.option("--size", metavar="N or HxW", default="256", show_default=True, help="Size a run would use.")
@click.option("--sheet", type=options.PATH, help="Picture to write: some images of each kind; a PNG file.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that was seen as JSON.")
@click.pass_obj
def inspect(
    session: Session, /, *, folder: Path, layout: str | None, size: str, sheet: Path | None, as_json: bool
) -> None:
    """Say what lies in FOLDER (or a list of images, a CSV file or JSON lines) and what would be wrong with training on it.

    Images by part and kind, sizes, how they are stored, duplicates, files that cannot be read, masks, sizes
    of defects, colours. Ends with 2 where nothing can be trained until something is mended, with 0 otherwise.
    """
    from leatherens.cli.inspection_text import print_inspection
    from leatherens.cli.progress import terminal_progress
    from leatherens.core.artifact import without_nan
    from leatherens.core.inspection import findings_of
    from leatherens.core.inspection import inspect as looked_at
    from leatherens.core.inspection.content import content_of

    sides = options.sides(size)
    _check_sheet(sheet)
    stock, plan = _found(session, folder, layout, sides)
    seen = looked_at(stock, terminal_progress())
    findings = findings_of(seen, plan)
    content = content_of(seen, findings, plan)
    if sheet is not None:
        _write(seen, sheet)
    if as_json:
        click.echo(json.dumps(without_nan(content), indent=2, ensure_ascii=False))
    else:
        print_inspection(content, sheet)
    if findings.problems:
        click.get_current_context().exit(2)


def _check_sheet(sheet: Path | None) -> None:
    if sheet is None:
        return
    if sheet.suffix.lower() != ".png":
        raise ConfigError(f"--sheet: expected a name that ends in .png, got '{sheet.name}'")
    if sheet.is_dir():
        raise ArtifactError(f"{sheet}: a folder; give --sheet a file in it, such as {sheet / 'sheet.png'}")


def _found(session: Session, folder: Path, layout: str | None, sides: tuple[int, int]) -> tuple[Stock, Plan]:
    """What lies in the folder, and what a run on it would do; a folder no reader understands is looked at,
    too."""
    from leatherens.core.inspection import Plan, stock_of, unsorted_stock
    from leatherens.ensembles.data import DataChoice

    try:
        collection = DataChoice.at(folder, layout=layout).read(session.host, learning=False)
    except InputError as error:
        if not folder.is_dir():
            raise
        return unsorted_stock(folder.resolve(), str(error)), Plan(sides)
    if not collection.samples:
        return unsorted_stock(folder.resolve(), f"{folder}: {collection.sentence}"), Plan(sides)
    return stock_of(collection), _planned(collection, sides)


def _planned(collection: Collection, sides: tuple[int, int]) -> Plan:
    from leatherens.core.inspection import Plan
    from leatherens.ensembles.splits import make_splits

    try:
        splits = make_splits(collection, seed=0)
    except InputError as error:
        return Plan(sides, refusal=str(error))
    return Plan(sides, calibrating=len(splits.calibrate))


def _write(seen: Inspection, path: Path) -> None:
    """The whole picture, or none under that name."""
    from leatherens.core.artifact import written_whole
    from leatherens.core.inspection.sheet import sheet_of

    picture = sheet_of(seen)
    with written_whole(path) as beside:
        picture.save(beside, format="PNG")
