"""`leatherens run`: from a folder of photographs to a calibrated, measured ensemble and its report."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli.going_on import saying_how_to_go_on
from leatherens.cli.options import PATH, config, defects, layout, masks
from leatherens.core.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.core.progress import Progress
    from leatherens.ensembles.categories import CategoryRuns
    from leatherens.ensembles.running import Run

RUNS = Path("runs")
DEMO = RUNS / "demo-leather"
"""Where the demo leather is made when no data are given."""

BESIDE = ("layout", "defects", "masks", "group_by")
"""The options that say how --data is to be read."""

RESUMABLE = ("out", "device", "weights", "allow_download")
"""The options that --resume takes: which run, where to compute, where weights lie."""


@click.command()
@click.option(
    "--members", metavar="ID,ID", help="Detectors to fit, e.g. stfpm,draem (see: leatherens plugins list)."
)
@config
@click.option("--data", type=PATH, help="Photographs, or a manifest; without it, the demo leather is used.")
@defects
@masks
@layout
@click.option(
    "--group-by",
    metavar="REGEX",
    help="What an image is a picture of, told by its name; such a group is never split.",
)
@click.option(
    "--project", metavar="FILE", type=PATH, help="Several views of the same parts, as a project file says."
)
@click.option("--out", type=PATH, help="The run's folder (default: runs/NAME).")
@click.option("--resume", is_flag=True, help="Go on with the unfinished run in --out, or the latest one.")
@click.option("--effort", show_default="auto", help="quick, full (the published schedules), or auto.")
@click.option(
    "--mode",
    type=click.Choice(["feature", "score", "hybrid"]),
    show_default="hybrid; score for one member",
    help="What is fused.",
)
@click.option("--block", metavar="ID", show_default="independent", help="Feature fusion block.")
@click.option("--head", metavar="ID", show_default="memory-bank", help="Head on the fused features.")
@click.option(
    "--features",
    metavar="MEMBER=PATTERN,...",
    multiple=True,
    show_default="each member's own cut",
    help="Feature maps that fusion takes, e.g. 'stfpm=difference*,draem=decoder*'.",
)
@click.option("--score-fusion", metavar="ID", show_default="weighted", help="How scores are fused.")
@click.option(
    "--calibrator", metavar="ID", show_default="conformal", help="How unusual a score is among good ones."
)
@click.option("--threshold", metavar="ID", show_default="conformal", help="Where defective begins.")
@click.option(
    "--pixel-threshold",
    metavar="ID",
    show_default="as --threshold",
    help="Where a defective pixel begins, if by another rule.",
)
@click.option(
    "--false-alarms", type=float, show_default="0.01", help="Share of good images that may be flagged."
)
@click.option(
    "--calibration",
    type=click.Choice(["auto", "split", "cross"]),
    show_default="auto",
    help="By a share of the good images, or across folds of all: promises less, wants fewer.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    show_default="5",
    help="Of --calibration cross; everything is learned once more for each.",
)
@click.option(
    "--shares",
    metavar="F,V,C",
    show_default="0.7,0.15,0.15",
    help="Of the good images, to fit, to validate and to calibrate.",
)
@click.option(
    "--labelled-share",
    type=float,
    show_default="0; 0.15 for a threshold that needs labels",
    help="Of the test images, for thresholds that need labels; these are not evaluated.",
)
@click.option(
    "--splits",
    type=PATH,
    help="Which image teaches, calibrates and tests, as another run's splits.json says.",
)
@click.option("--size", metavar="N or HxW", show_default="256", help="Size images are brought to.")
@click.option(
    "--tile",
    metavar="N or HxW",
    help="Look at photographs in windows of this size, each brought to --size (default: the window's own).",
)
@click.option(
    "--overlap", type=float, show_default="0.25", help="Share of a window's side that neighbours share."
)
@click.option("--prepare", metavar="ID,ID", help="Steps before images are brought to --size, in this order.")
@click.option("--ignore", type=PATH, help="Picture, white where nothing is to be inspected.")
@click.option(
    "--masking",
    type=click.Choice(["before", "after"]),
    show_default="before",
    help="Whether models see what --ignore leaves out (after) or not (before).",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="One key of the recipe, e.g. stfpm.steps=100, head.neighbours=3 or seed=1 (repeatable).",
)
@click.option("--textures", type=PATH, help="Folder of pictures for artificial anomalies.")
@click.option(
    "--weights", type=PATH, multiple=True, help="File or folder of pretrained weights (repeatable)."
)
@click.option("--allow-download", is_flag=True, help="Let missing weights be fetched from the hub.")
@click.option(
    "--keep-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Keep a checkpoint of each trained member so often, for: evaluate --checkpoint.",
)
@click.option(
    "--track",
    metavar="ID[=PLACE]",
    multiple=True,
    help="Log the run besides with a tracker, such as tensorboard or mlflow (repeatable).",
)
@click.option("--device", show_default="auto", help="auto, cpu or cuda.")
@click.option("--seed", type=int, show_default="0")
@click.pass_obj
def run(session: Session, /, **options: Any) -> None:
    """Learn from good images, calibrate, test and write a report.

    Where --data holds several categories side by side, each becomes a run in a folder of --out, and a
    summary compares them.
    """
    from leatherens.cli.project import is_project, make_project
    from leatherens.cli.table import print_results, print_summary
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.summary import Summary

    if options["project"] or (options["resume"] and is_project(options["out"] or latest_unfinished())):
        make_project(session, options)
        return
    started = time.monotonic()
    progress = terminal_progress()
    making = (
        _unfinished(session, options, progress) if options["resume"] else _new(session, options, progress)
    )
    if making is None:
        return
    folder = making.folder
    with saying_how_to_go_on(folder):
        made = making.make()
    took = f"({time.monotonic() - started:.0f} s)"
    if isinstance(made, Summary):
        print_summary(made)
        if folder.begun:
            click.echo(f"summary: {folder.path / 'summary.md'}\nruns: {folder.path} {took}")
        made.require_whole(f"go on with: {folder.resume_command}" if folder.begun else "start again")
    else:
        print_results(made)
        click.echo(f"report: {folder.path / 'report.html'}\nrun: {folder.path} {took}")


def _new(session: Session, options: Mapping[str, Any], progress: Progress) -> Run | CategoryRuns:
    from leatherens.cli.recipe_options import recipe_from
    from leatherens.configs.options import CALIBRATION
    from leatherens.ensembles.categories import CategoriesFolder, CategoryRuns
    from leatherens.ensembles.data import DataChoice
    from leatherens.ensembles.folder import RunFolder
    from leatherens.ensembles.given_splits import given_splits
    from leatherens.ensembles.parts import resolve
    from leatherens.ensembles.repeating import Repeated
    from leatherens.ensembles.running import Run
    from leatherens.ensembles.taken import refuse_taken
    from leatherens.ensembles.tracking import tracking_of

    tracking = tracking_of(options["track"], session.host)
    asked = {**options, "usual_calibration": CALIBRATION}
    recipe = resolve(recipe_from(asked, session.host), session.host)
    beside = {key: options[key] for key in BESIDE}
    if options["data"] is None and any((*beside.values(), options["splits"])):
        raise click.UsageError(
            "--layout, --defects, --masks, --group-by and --splits belong to --data; give that too"
        )
    if options["out"]:
        refuse_taken(options["out"])
    said = (session.host, progress, shlex.join(["leatherens", *sys.argv[1:]]))
    first = Repeated.by(options["config"]) if options["data"] is None else None
    if first is not None:
        dealt = first.splits(recipe, session.host, progress)
        out = options["out"] or fresh_folder(Path(first.data.root), recipe.members)
        return Run(RunFolder(out), recipe, first.data, *said, splits=dealt, tracking=tracking)
    choice = DataChoice.at(options["data"] or _demo(progress), **beside)
    several = None if options["defects"] or options["masks"] else choice.categories(session.host)
    out = options["out"] or fresh_folder(options["data"], recipe.members)
    if several is None:
        splits = (
            None if options["splits"] is None else given_splits(options["splits"], choice.read(session.host))
        )
        return Run(RunFolder(out), recipe, choice, *said, splits=splits, tracking=tracking)
    if options["splits"] is not None:
        raise ConfigError("--splits: says who learns of one collection; give one category as --data")
    return CategoryRuns.new(CategoriesFolder(out), recipe, choice, several, *said, tracking)


def _unfinished(
    session: Session, options: Mapping[str, Any], progress: Progress
) -> Run | CategoryRuns | None:
    """The run to go on with, or those of several categories; nothing, and a line, if it is finished."""
    from leatherens.configs.from_options import places_of
    from leatherens.ensembles.categories import CategoriesFolder, unfinished_categories
    from leatherens.ensembles.folder import RunFolder
    from leatherens.ensembles.running import unfinished_run

    refuse_other_options(options, RESUMABLE)
    out = options["out"] or latest_unfinished()
    folder, around = RunFolder(out), CategoriesFolder(out)
    asked = places_of(options)
    found: Run | CategoryRuns
    if around.begun:
        found, result = unfinished_categories(around, session.host, progress, asked), "summary.md"
    else:
        found, result = unfinished_run(folder, session.host, progress, asked), "report.html"
    if folder.done:
        noun = "summary" if around.begun else "report"
        click.echo(f"{out}: this run is finished already; its {noun} is {out / result}")
        return None
    return found


def refuse_other_options(
    options: Mapping[str, Any],
    allowed: Sequence[str],
    why: str = "--resume goes on as the run was begun; leave out",
) -> None:
    """A run is gone on with as it was begun; what else was given would be believed to count."""
    names = {"settings": "--set", "adopted": "--from"}
    others = sorted(
        names.get(key, f"--{key.replace('_', '-')}")
        for key, value in options.items()
        if key not in (*allowed, "resume") and value not in (None, ())
    )
    if others:
        raise ConfigError(f"{why} {', '.join(others)}")


def fresh_folder(data: Path | None, members: Mapping[str, Any]) -> Path:
    """A new folder whose name tells what and when; made here, so that no other run takes the name."""
    names = [data.resolve().name if data else "demo", *(id.replace(":", "-") for id in members)]
    stem = f"{'-'.join(names)}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        RUNS.mkdir(exist_ok=True)
        for number in count(1):
            folder = RUNS / (stem if number == 1 else f"{stem}-{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise ArtifactError(f"{RUNS}: cannot be written ({error.strerror}); give another --out") from None
    raise AssertionError("counting never ends")


def latest_unfinished() -> Path:
    """The folder in `RUNS` of what was begun last and is not finished."""
    names = ("run.json", "categories.json", "project.json")
    begun = [path for name in names for path in RUNS.glob(f"*/{name}")]
    begun = [path for path in begun if not (path.parent / "DONE").exists()]
    if not begun:
        raise ArtifactError(f"no unfinished run in {RUNS}; name one with --out")
    return max(begun, key=lambda path: path.stat().st_mtime).parent


def _demo(progress: Progress) -> Path:
    """The demo leather, made once."""
    from leatherens.cli.data import make_leather

    if not DEMO.exists():
        try:
            make_leather(DEMO, progress=progress)
        except ArtifactError:
            if not DEMO.exists():  # else another run has made it meanwhile
                raise
    return DEMO
