"""`leatherens data anomalies`: a contact sheet of artificial anomalies on somebody's own good images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leatherens.cli import options
from leatherens.core.errors import ArtifactError, ConfigError
from leatherens.core.synthesis.catalogue import KINDS, kind_named

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.core.synthesis.contact_sheet import Row
    from leatherens.core.synthesis.textures import FolderTextures
    from leatherens.core.types import ImageSource

LEAST_SIDE = 32
"""Pixels; less shows no anomaly, and the sheet's words would not fit."""

LARGEST = 100
"""Million pixels of a sheet: more than that many viewers refuse to open."""


@click.command(short_help="Draw a sheet of artificial anomalies.")
@click.option("--out", type=options.PATH, required=True, help="Picture to write; a PNG file.")
@click.option("--data", type=options.PATH, show_default="demo leather", help="Folder of good photographs.")
@click.option(
    "--kind",
    "kinds",
    metavar="ID,ID",
    default="all",
    show_default=True,
    help=f"Kinds of anomaly to show: {', '.join(KINDS)}.",
)
@click.option("--samples", type=int, default=3, show_default=True, help="Samples of each kind.")
@click.option("--textures", type=options.PATH, help="Folder of pictures to take textures from.")
@options.layout
@click.option("--size", metavar="N or HxW", default="256", show_default=True, help="Size of the pictures.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.pass_obj
def anomalies(
    session: Session,
    /,
    *,
    out: Path,
    data: Path | None,
    kinds: str,
    samples: int,
    textures: Path | None,
    layout: str | None,
    size: str,
    seed: int,
) -> None:
    """Show what artificial anomalies look like: good images, spoilt ones, and outlines of their masks.

    Detectors, heads and fusions learn from such images. docs/anomalies.md says who learns from which kind.
    """
    from leatherens.core.listing import counted

    ids = _kinds(kinds)
    sides = _checked(out, ids, samples, options.sides(size), textures)
    if data is None and layout is not None:
        raise click.UsageError("--layout belongs to --data; give that too")
    good, title = (
        _demo(sides, samples, seed) if data is None else _read(session, data, layout, sides, samples)
    )
    rows, skipped = _rows(ids, good, textures, seed=seed, count=samples)
    _write(f"Artificial anomalies on {title}, seed {seed}", rows, out)
    if skipped:
        click.echo(skipped, err=True)
    for row in rows:
        click.echo(f"{row.kind:<15} {row.typical}")
    click.echo(f"{out}: {counted(len(ids), 'kind')} of anomaly, {counted(samples, 'sample')} of each")


def _kinds(text: str) -> list[str]:
    if text.strip() == "all":
        return list(KINDS)
    ids = [id.strip() for id in text.split(",") if id.strip()]
    if not ids:
        raise click.UsageError(f"which kinds? give --kind with all, or one or more of: {', '.join(KINDS)}")
    for id in ids:
        if ids.count(id) > 1:
            raise ConfigError(f"--kind: '{id}' is named twice; name each kind once")
        kind_named(id)  # refuses an unknown one
    return ids


def _checked(
    out: Path, ids: Sequence[str], samples: int, sides: tuple[int, int], textures: Path | None
) -> tuple[int, int]:
    """The sides, when everything about the sheet can be done; told before anything is read or drawn."""
    from leatherens.core.synthesis.contact_sheet import sheet_size

    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out: expected a name that ends in .png, got '{out.name}'")
    if out.is_dir():
        raise ArtifactError(f"{out}: a folder; give --out a file in it, such as {out / 'sheet.png'}")
    if samples < 1:
        raise ConfigError(f"--samples: expected 1 or more, got {samples}")
    if min(sides) < LEAST_SIDE:
        raise ConfigError(
            f"--size: expected at least {LEAST_SIDE} x {LEAST_SIDE} pixels, got {sides[0]} x {sides[1]}"
        )
    if textures is not None and not any(KINDS[id].textured for id in ids):
        takers = ", ".join(id for id, entry in KINDS.items() if entry.textured)
        raise ConfigError(
            f"--textures: none of the kinds asked for has textures ({takers} have); leave it out"
        )
    height, width = sheet_size(len(ids), samples, sides)
    if height * width > LARGEST * 1e6:
        raise ConfigError(
            f"the sheet would have {height * width / 1e6:.0f} million pixels, at most {LARGEST} can be; take "
            "fewer kinds, fewer --samples or a smaller --size"
        )
    return sides


def _demo(size: tuple[int, int], count: int, seed: int) -> tuple[ImageSource, str]:
    """Good demo leather, a new hide for each sample."""
    import numpy as np
    import torch

    from leatherens.core.leather import good_hide
    from leatherens.core.randomness import numpy_generator
    from leatherens.core.types import ImageBatch, ImagesInMemory

    generators = [numpy_generator(seed, "anomalies", "hide", number) for number in range(count)]
    hides = np.stack([good_hide(rng, scenario="one-colour", size=size) for rng in generators])
    pixels = torch.from_numpy(hides).permute(0, 3, 1, 2).float() / 255
    ids = tuple(f"hide {number}" for number in range(count))
    return ImagesInMemory(ImageBatch(pixels, ids)), "demo leather"


def _read(
    session: Session, root: Path, layout: str | None, size: tuple[int, int], count: int
) -> tuple[ImageSource, str]:
    """So many of a folder's good images at most, from all over it."""
    from leatherens.ensembles.data import DataChoice
    from leatherens.ensembles.sources import FileSource

    found = DataChoice.at(root, layout=layout).read(session.host)
    click.echo(f"{root}: {found.sentence}")
    wanted = min(count, len(found.train))
    chosen = [found.train[number * len(found.train) // wanted] for number in range(wanted)]
    return FileSource(chosen, size=size), root.resolve().name


def _rows(
    ids: Sequence[str], good: ImageSource, folder: Path | None, *, seed: int, count: int
) -> tuple[list[Row], str]:
    """A row for each kind, and what there is to say about the textures."""
    from leatherens.core.synthesis.contact_sheet import Row, sampled
    from leatherens.core.synthesis.textures import FolderTextures

    textures = None if folder is None else FolderTextures(folder)
    rows = [
        Row(id, KINDS[id].summary, sampled(good, kind_named(id, textures), seed=seed, count=count))
        for id in ids
    ]
    return rows, _skipped(textures)


def _skipped(textures: FolderTextures | None) -> str:
    if textures is None or not textures.unreadable:
        return ""
    return (
        f"{textures.folder}: {len(textures.unreadable)} of {len(textures.files)} texture files could not be "
        "read and were skipped"
    )


def _write(title: str, rows: Sequence[Row], out: Path) -> None:
    """The whole picture, or none under that name."""
    from leatherens.core.artifact import written_whole
    from leatherens.core.synthesis.contact_sheet import contact_sheet

    sheet = contact_sheet(title, rows)
    with written_whole(out) as beside:
        sheet.save(beside, format="PNG")
