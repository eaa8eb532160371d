"""`leatherens evaluate`: measure a finished run on labelled images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli import options
from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.core.progress import Progress
    from leatherens.core.reading import Collection
    from leatherens.ensembles.opening import OpenedRun


@click.command()
@click.argument("run", type=options.PATH)
@click.option("--data", "root", type=options.PATH, required=True, help="Labelled photographs.")
@options.defects
@options.masks
@options.layout
@click.option("--out", type=options.PATH, help="Write metrics, scores, maps and report there.")
@click.option(
    "--checkpoint",
    metavar="STEP|all",
    help="Compare the checkpoints that the run kept (run --keep-every); chooses none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
@options.device
@options.weights_of_run
@click.pass_obj
def evaluate(
    session: Session,
    /,
    run: Path,
    root: Path,
    out: Path | None,
    checkpoint: str | None,
    as_json: bool,
    device: str,
    weights: tuple[Path, ...],
    **beside: Any,
) -> None:
    """Measure the finished run RUN on the test images of a folder.

    Nothing is learned from them; shown its own folder again, RUN leaves out the images it learned from.
    """
    from leatherens.cli.table import print_results
    from leatherens.configs.from_options import weight_places
    from leatherens.core.artifact import without_nan
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.data import DataChoice
    from leatherens.ensembles.opening import open_run
    from leatherens.ensembles.taken import result_folder

    step = _step(checkpoint, out)
    progress = terminal_progress()
    into = result_folder(out) if out else None
    opened = open_run(run, session.host, device=device, weights=weight_places(weights))
    collection = DataChoice.at(root, **beside).read(session.host, learning=False)
    progress.say(collection.sentence)
    if checkpoint is not None:
        _compare(opened, run, collection, progress, step, as_json=as_json)
        return
    view = opened.evaluate(collection, session.host, progress, into)
    if as_json:
        click.echo(json.dumps(without_nan(view.metrics), indent=2))
        return
    print_results(view)
    if into is not None:
        click.echo(f"report: {into.path / 'report.html'}")


def _step(checkpoint: str | None, out: Path | None) -> int | None:
    """The step that --checkpoint names, `None` for all."""
    if checkpoint is None:
        return None
    if out is not None:
        raise ConfigError("--checkpoint: makes a table and no report; leave out --out")
    if checkpoint != "all" and not (checkpoint.isdecimal() and int(checkpoint)):
        raise ConfigError(f"--checkpoint: expected a step, such as 100, or all, got '{checkpoint}'")
    return None if checkpoint == "all" else int(checkpoint)


def _compare(
    opened: OpenedRun,
    run: Path,
    collection: Collection,
    progress: Progress,
    step: int | None,
    *,
    as_json: bool,
) -> None:
    """Print what each kept checkpoint would score."""
    from leatherens.cli.table import print_checkpoints
    from leatherens.core.artifact import without_nan
    from leatherens.ensembles.checkpoints import compare_checkpoints
    from leatherens.ensembles.folder import RunFolder

    source, _ = opened.test_images(opened.of_its_view(collection), progress)
    rows = compare_checkpoints(opened, RunFolder(run), source, progress, step=step)
    if as_json:
        content = [{"member": row.member, "step": row.step, **row.metrics} for row in rows]
        click.echo(json.dumps(without_nan(content), indent=2))
    else:
        print_checkpoints(rows)
