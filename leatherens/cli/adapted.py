"""What the commands that change a finished run share: where it is done, and how it is told."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.ensembles.adapting import Adapting
    from leatherens.ensembles.history import Entry


def adapting(session: Session, run: Path, device: str, weights: Sequence[Path]) -> Adapting:
    """Where a run is changed."""
    from leatherens.configs.from_options import weight_places
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.adapting import Adapting

    command = shlex.join(["leatherens", *sys.argv[1:]])
    return Adapting(run, session.host, terminal_progress(), command, device, weight_places(weights))


@contextmanager
def unchanged_if_interrupted(run: Path) -> Iterator[None]:
    """After Ctrl-C, tell that nothing was changed."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted; {run} is as it was before.") from None


def print_entry(run: Path, entry: Entry) -> None:
    """The thresholds before and after, what is promised, and how to go back."""
    before, after = entry.before, entry.after
    click.echo(
        f"threshold: {before.image:.4g} -> {after.image:.4g} (pixels {before.pixel:.4g} -> {after.pixel:.4g})"
    )
    click.echo(f"held-out good images: {before.normals} -> {after.normals}")
    if after.promise is not None:
        was = "" if before.promise is None else f" (before: {before.promise:.3g})"
        click.echo(f"promise: at most {after.promise:.3g} of fresh good images like these are flagged{was}")
    elif before.promise is not None:
        click.echo(f"promise: none by this rule (before: {before.promise:.3g})")
    click.echo(
        f"entry {entry.number} of {run}; back with: {shlex.join(['leatherens', 'rollback', str(run)])}"
    )
    click.echo(
        "note: metrics, scores, maps and report are those of the run as it was made; measure it as it is now"
    )
    click.echo("      with leatherens evaluate")
