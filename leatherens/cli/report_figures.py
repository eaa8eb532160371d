"""Figures for papers, for `leatherens report RUN --figures DIR`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from leatherens.cli.options import PATH
from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from leatherens.cli import Session

F = TypeVar("F", bound=Callable[..., Any])


def figure_options(command: F) -> F:
    """The options that say which figures, in the order of the help."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--figures", type=PATH, metavar="DIR", help="Draw figures for papers there, of one run."),
    click.option(
        "--format",
        "formats",
        metavar="LIST",
        default="pdf,png",
        show_default=True,
        help="Of --figures: pdf, png, svg, with commas between.",
    ),
    click.option(
        "--images",
        metavar="ID,ID",
        multiple=True,
        help="Of --figures: the images of the panels (repeatable); some of every kind otherwise.",
    ),
    click.option(
        "--most",
        type=click.IntRange(min=1),
        default=8,
        show_default=True,
        help="Of --figures: images of the panels where none is named.",
    ),
    click.option(
        "--dpi",
        type=click.IntRange(50, 1200),
        default=300,
        show_default=True,
        help="Of --figures: dots per inch of pictures.",
    ),
)


def report_figures(
    session: Session,
    run: Path,
    folder: Path,
    *,
    formats: str,
    images: Sequence[str],
    most: int,
    dpi: int,
    device: str,
    weights: tuple[Path, ...],
    data: Path | None = None,
) -> None:
    """Write panels, curves and captions of a run into a folder."""
    from leatherens.configs.from_options import weight_places
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.figures.choosing import asked_for
    from leatherens.ensembles.figures.limits import learned_limits, own_limit
    from leatherens.ensembles.figures.style import formats_of
    from leatherens.ensembles.figures.writing import Figures, require_writable, write_figures
    from leatherens.ensembles.reopening import view_of_run

    kinds, progress = formats_of(formats), terminal_progress()
    view = view_of_run(run, session.host, progress, data=data)
    ids = names(images, [image.id for image in view.images])
    asked_for(view.images, ids)
    require_writable(folder)
    learned = learned_limits(run, session.host, progress, device=device, weights=weight_places(weights))
    limits = (*learned, own_limit(view))
    figures = Figures(folder, kinds, dpi)
    written = write_figures(view, limits, figures, progress, ids=ids, most=most)
    for limit in limits:
        if not limit.known:
            click.echo(f"note: {limit.name} is left out: {limit.missing}")
    click.echo(f"figures: {len(written) - 1} in {folder}, described in {folder / 'captions.md'}")


def names(said: Sequence[str], known: Sequence[str]) -> list[str]:
    """The images that --images names: a list with commas, unless that is itself the name of one.

    >>> names(["a.png,b.png", "c,d.png"], ["a.png", "b.png", "c,d.png"])
    ['a.png', 'b.png', 'c,d.png']
    """
    found = [part.strip() for text in said for part in ([text] if text in known else text.split(","))]
    if said and not all(found):
        raise ConfigError(f"--images: expected names of images, with commas between, got '{','.join(said)}'")
    return found
