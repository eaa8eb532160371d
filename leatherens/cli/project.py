"""Projects of several views on the command line: made from a file, gone on with, and judging parts."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli.going_on import saying_how_to_go_on

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.core.progress import Progress
    from leatherens.core.reading import Sample
    from leatherens.core.reporting import ProjectView
    from leatherens.ensembles.project.opening import JudgedPart
    from leatherens.ensembles.project.running import ProjectRun

VIEW_COLUMNS = (
    ("image_auroc", "image AUROC"),
    ("pixel_auroc", "pixel AUROC"),
    ("au_pro", "AU-PRO"),
    ("image_f1", "F1"),
    ("false_alarm_rate", "false alarms"),
    ("ms_per_image", "ms/image"),
)

PART_COLUMNS = (
    ("part_auroc", "AUROC"),
    ("part_ap", "AP"),
    ("part_f1", "F1"),
    ("false_alarm_rate", "false alarms"),
    ("missed_rate", "missed"),
)

GOOD, DEFECTIVE, FAILED = 0, 1, 2


def make_project(session: Session, options: Mapping[str, Any]) -> None:
    """Make the project of a file, or go on with one, and print what came of it."""
    from leatherens.core.terminal_progress import terminal_progress

    started = time.monotonic()
    progress = terminal_progress()
    making = (
        _unfinished(session, options, progress) if options["resume"] else _new(session, options, progress)
    )
    if making is None:
        return
    folder = making.folder
    with saying_how_to_go_on(folder):
        found = making.make()
    print_project(found)
    click.echo(f"report: {folder.path / 'report.html'}")
    click.echo(f"project: {folder.path} ({time.monotonic() - started:.0f} s)")


def is_project(path: Path) -> bool:
    """Whether a folder holds a project of several views."""
    from leatherens.ensembles.project.folder import ProjectFolder

    return ProjectFolder(path).begun


def _new(session: Session, options: Mapping[str, Any], progress: Progress) -> ProjectRun:
    from leatherens.cli.run import RESUMABLE, fresh_folder, refuse_other_options
    from leatherens.configs.from_options import places_of
    from leatherens.configs.project import read_project
    from leatherens.ensembles.project.folder import ProjectFolder
    from leatherens.ensembles.project.resolving import resolved
    from leatherens.ensembles.project.running import ProjectRun
    from leatherens.ensembles.taken import refuse_taken
    from leatherens.ensembles.tracking import tracking_of

    file = options["project"]
    refuse_other_options(options, (*RESUMABLE, "project", "track"), f"{file} says what is done; leave out")
    tracking = tracking_of(options["track"], session.host)
    project = resolved(read_project(file), session.host, places_of(options))
    if options["out"]:
        refuse_taken(options["out"])
    out = options["out"] or fresh_folder(file.with_suffix(""), {})
    command = shlex.join(["leatherens", *sys.argv[1:]])
    return ProjectRun(ProjectFolder(out), project, session.host, progress, command, tracking)


def _unfinished(session: Session, options: Mapping[str, Any], progress: Progress) -> ProjectRun | None:
    """The project to go on with; nothing, and a line, if it is finished."""
    from leatherens.cli.run import RESUMABLE, latest_unfinished, refuse_other_options
    from leatherens.configs.from_options import places_of
    from leatherens.ensembles.project.folder import ProjectFolder
    from leatherens.ensembles.project.running import unfinished_project

    refuse_other_options(options, RESUMABLE)
    folder = ProjectFolder(options["out"] or latest_unfinished())
    found = unfinished_project(folder, session.host, progress, places_of(options))
    if folder.done:
        report = folder.path / "report.html"
        click.echo(f"{folder.path}: this project is finished already; its report is {report}")
        return None
    return found


def print_project(found: ProjectView) -> None:
    """What each view found in its images, what each alone and all together say of the parts, the promise."""
    from leatherens.cli.table import print_rows

    views = found.metrics["views"]
    print_rows("images", VIEW_COLUMNS, {name: row["images"] for name, row in views.items()})
    alone = {f"{name} alone": row["parts"] for name, row in views.items()}
    print_rows("parts", PART_COLUMNS, {**alone, "all views": found.metrics["parts"]})
    if found.promise is not None:
        shares = " + ".join(f"{view.name} {view.decision.promise:.3g}" for view in found.views)
        click.echo(f"promise: at most {found.promise:.3g} of fresh good parts are flagged ({shares})")
    for remark in found.remarks:
        click.echo(f"note: {remark}")


def predict_parts(
    session: Session,
    path: Path,
    paths: Sequence[str],
    *,
    out: Path | None,
    as_json: bool,
    device: str,
    weights: tuple[str, ...],
) -> int:
    """Judge parts with a finished project, a line each; returns the exit code."""
    from leatherens.ensembles.project.opening import OpenedProject

    opened = OpenedProject.at(path, session.host, device=device, weights=weights)
    codes = {GOOD}
    for part in opened.judge(opened.parts(_samples(paths, list(opened.runs)))):
        codes.add(_say(part, out, as_json))
    return max(codes)


def _samples(paths: Sequence[str], views: Sequence[str]) -> list[Sample]:
    """The images given; those after VIEW= are of that view."""
    from dataclasses import replace

    from leatherens.cli.predict import expanded
    from leatherens.core.reading import unlabelled

    plain: list[str] = []
    of_view: dict[str, list[str]] = {}
    for path in paths:
        view, equals, rest = path.partition("=")
        if equals and view in views and not Path(path).exists():
            of_view.setdefault(view, []).append(rest)
        else:
            plain.append(path)
    found = list(unlabelled(expanded(plain))) if plain else []
    for view, given in of_view.items():
        found += [replace(sample, view=view) for sample in unlabelled(expanded(given))]
    return found


def _say(part: JudgedPart, out: Path | None, as_json: bool) -> int:
    """One line about one part; problems and missing views go to stderr too, so that nobody overlooks them."""
    from leatherens.cli.predict import write_judgement
    from leatherens.core.views import Verdict

    for problem in part.problems:
        click.echo(f"skipped: {problem}", err=True)
    written = {
        view: write_judgement(found, out / view) if out else {} for view, found in part.judgements.items()
    }
    click.echo(json.dumps(_as_json(part, written)) if as_json else _line(part))
    verdict = part.severities.verdict
    if verdict is Verdict.incomplete or part.problems:
        return FAILED
    return DEFECTIVE if verdict is Verdict.defective else GOOD


def _line(part: JudgedPart) -> str:
    """Part, severity, verdict and why, then each view's severity."""
    seen = part.severities
    why = f" ({', '.join(seen.flagged_by)})" if seen.flagged_by else ""
    why += f" (no {', '.join(seen.missing)})" if seen.missing else ""
    by_view = "  ".join(f"{view} {severity:.3g}" for view, severity in seen.by_view.items())
    return f"{part.name}  {seen.worst:.3g}  {seen.verdict.value}{why}  {by_view}".rstrip()


def _as_json(part: JudgedPart, written: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    from leatherens.core.artifact import without_nan

    seen = part.severities
    views = {
        view: {
            "path": str(found.path),
            "severity": seen.by_view.get(view),
            "score": found.score,
            "threshold": found.threshold,
            "map": written[view].get("map"),
            "mask": written[view].get("mask"),
            **({} if found.problem is None else {"problem": found.problem}),
        }
        for view, found in part.judgements.items()
    }
    line: dict[str, Any] = without_nan(
        {
            "part": part.name,
            "verdict": seen.verdict.value,
            "severity": seen.worst,
            "flagged_by": list(seen.flagged_by),
            "missing": list(seen.missing),
            "views": views,
        }
    )
    return line
