"""`leatherens data inspect`: look at a folder before anything is trained on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli import options
from leatherens.core.errors import ArtifactError, ConfigError, InputError

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.core.inspection import Inspection, Plan, Stock
    from leatherens.core.progress import Progress
    from leatherens.core.reading import Collection
    from leatherens.ensembles.data import DataChoice


@click.command(short_help="Say what is in a folder, and what is wrong.")
@click.argument("folder", type=options.PATH)
@options.layout
@click.option("--size", metavar="N or HxW", default="256", show_default=True, help="Size a run would use.")
@click.option("--sheet", type=options.PATH, help="Picture to write: some images of each kind; a PNG file.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that was seen as JSON.")
@click.pass_obj
def inspect(
    session: Session, /, *, folder: Path, layout: str | None, size: str, sheet: Path | None, as_json: bool
) -> None:
    """Say what lies in FOLDER and what would be wrong with training on it.

    Images by part and kind, sizes, how they are stored, duplicates, files that cannot be read, masks, sizes
    of defects, colours. FOLDER may also be a file that lists images, or hold several categories, which are
    looked at one after the other. Ends with 2 where no run could begin, with 0 otherwise.
    """
    from leatherens.cli.inspection_text import print_inspection
    from leatherens.core.artifact import without_nan
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.data import DataChoice

    looking = _Looking(session, options.sides(size), _checked(sheet), terminal_progress())
    choice = DataChoice.at(folder, layout=layout)
    several = choice.categories(session.host)
    if several is None:
        contents = {"": looking.at(choice, sheet)}
    else:
        looking.progress.say(several.sentence)
        contents = dict(looking.at_each(choice, several.folders))
    usable = all(content["usable"] for content in contents.values())
    if as_json:
        shown = contents.get("") or {**_head(contents), "usable": usable, "categories": contents}
        click.echo(json.dumps(without_nan(shown), indent=2, ensure_ascii=False))
    else:
        for number, (name, content) in enumerate(contents.items()):
            click.echo("\n" * (number > 0), nl=False)
            print_inspection(content, looking.sheet_of(name))
    if not usable:
        click.get_current_context().exit(2)


def _head(contents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    first = next(iter(contents.values()))
    return {"schema": first["schema"], "folder": str(Path(first["folder"]).parent)}


def _checked(sheet: Path | None) -> Path | None:
    if sheet is None:
        return None
    if sheet.suffix.lower() != ".png":
        raise ConfigError(f"--sheet: expected a name that ends in .png, got '{sheet.name}'")
    if sheet.is_dir():
        raise ArtifactError(f"{sheet}: a folder; give --sheet a file in it, such as {sheet / 'sheet.png'}")
    return sheet


@dataclass(frozen=True)
class _Looking:
    """How folders are looked at: the size of a run, and where to draw a sheet, if at all."""

    session: Session
    size: tuple[int, int]
    sheet: Path | None
    progress: Progress

    def at_each(self, choice: DataChoice, folders: tuple[Path, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The content of each category by its name."""
        from leatherens.core.listing import printable

        for folder in folders:
            name = printable(folder.name)
            one = choice.model_copy(update={"root": str(folder)})
            yield name, self.at(one, self.sheet_of(name))

    def at(self, choice: DataChoice, sheet: Path | None) -> dict[str, Any]:
        """What was seen in one collection; its sheet is written."""
        from leatherens.core.inspection import findings_of
        from leatherens.core.inspection import inspect as looked_at
        from leatherens.core.inspection.content import content_of

        stock, plan = self._found(choice)
        seen = looked_at(stock, self.progress)
        if sheet is not None:
            _write(seen, sheet)
        return content_of(seen, findings_of(seen, plan), plan)

    def sheet_of(self, category: str) -> Path | None:
        """Where the sheet of a category is drawn: beside the one asked for."""
        if self.sheet is None or not category:
            return self.sheet
        return self.sheet.with_name(f"{self.sheet.stem}-{category}{self.sheet.suffix}")

    def _found(self, choice: DataChoice) -> tuple[Stock, Plan]:
        """What there is, and what a run would do; a folder that no reader understands is looked at, too."""
        from leatherens.core.inspection import Plan, stock_of, unsorted_stock

        root = Path(choice.root)
        try:
            collection = choice.read(self.session.host, learning=False)
        except InputError as error:
            if not root.is_dir():
                raise
            return unsorted_stock(root, str(error)), Plan(self.size)
        if not collection.samples:
            return unsorted_stock(root, f"{root}: {collection.sentence}"), Plan(self.size)
        return stock_of(collection), self._planned(collection)

    def _planned(self, collection: Collection) -> Plan:
        from leatherens.core.inspection import Plan
        from leatherens.ensembles.leaks import allowed, leaks
        from leatherens.ensembles.splits import content_digests, make_splits

        try:
            splits = make_splits(collection, seed=0)
            samples = {sample.id: sample for sample in collection.samples}
            digests = content_digests([sample.path for sample in collection.samples])
            allowed(leaks(splits, samples, digests), str(collection.root))
        except InputError as error:
            return Plan(self.size, refusal=str(error))
        return Plan(self.size, calibrating=len(splits.calibrate))


def _write(seen: Inspection, path: Path) -> None:
    """The whole picture, or none under that name."""
    from leatherens.core.artifact import written_whole
    from leatherens.core.inspection.sheet import sheet_of

    picture = sheet_of(seen)
    with written_whole(path) as beside:
        picture.save(beside, format="PNG")
