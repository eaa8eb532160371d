"""`leatherens data`: look at folders of images and at artificial anomalies, and make artificial leather."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from leatherens.cli import Group
from leatherens.cli.anomalies import anomalies
from leatherens.cli.inspect import inspect
from leatherens.cli.options import PATH
from leatherens.core.errors import ArtifactError

if TYPE_CHECKING:
    from leatherens.core.progress import Progress


@click.group(cls=Group)
def data() -> None:
    """Look at a folder of images, or make artificial ones."""


data.add_command(anomalies)
data.add_command(inspect)


@data.command()
@click.option("--out", type=PATH, required=True, help="Folder to make; MVTec AD layout.")
@click.option("--scenario", default="one-colour", show_default=True, help="one-colour or multi-colour.")
@click.option("--size", type=int, default=256, show_default=True, help="Height and width in pixels.")
@click.option("--train", type=int, default=60, show_default=True, help="Good images to learn from.")
@click.option("--test", type=int, default=40, show_default=True, help="Test images, half of them defective.")
@click.option("--seed", type=int, default=0, show_default=True)
def synth(*, out: Path, scenario: str, size: int, train: int, test: int, seed: int) -> None:
    """Make leather with pixel-exact defects: cut, hole, line, wrinkle, stain, glue, poke."""
    from leatherens.cli.progress import terminal_progress

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
    from leatherens.core.leather import write_demo

    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ArtifactError(f"{out}: there is something already; choose another --out")
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".leather-", dir=out.parent) as beside:
            made = Path(beside) / "made"
            with progress.step(f"making {scenario} leather", train + test) as advance:
                write_demo(
                    made,
                    scenario=scenario,
                    size=size,
                    train=train,
                    test=test,
                    seed=seed,
                    advance=lambda: advance(1),
                )
            made.replace(out)
    except OSError as error:
        raise ArtifactError(
            f"{out}: cannot be written ({error.strerror or error}); free some space or choose another --out"
        ) from error
