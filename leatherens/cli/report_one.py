"""The report of one run, or of one project, anew, for `leatherens report RUN`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leatherens.core.errors import ArtifactError, ConfigError, LeatherensError

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.core.reporting import ProjectView, Reporter, RunView


def report_one(session: Session, run: Path, out: Path | None, data: Path | None) -> None:
    """Write the report into the run or `out`, a folder or the file it is to be; nothing is scored."""
    from leatherens.ensembles.project.folder import ProjectFolder

    into = out or run
    if into.is_dir() or not into.suffix:
        folder, name = into, None
    else:
        folder, name = into.parent, into.name
    if name is not None and into.suffix != ".html":
        raise ConfigError(f"--out: expected a folder or a file that ends in .html, got {into}")
    if ProjectFolder(run).begun:
        _project(session, run, folder, name, data)
    else:
        _run(session, run, folder, name, data)


def _run(session: Session, run: Path, folder: Path, name: str | None, data: Path | None) -> None:
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.categories import CategoriesFolder
    from leatherens.ensembles.folder import RunFolder
    from leatherens.ensembles.reopening import view_of_run

    if CategoriesFolder(run).begun:
        raise ArtifactError(f"{run}: runs of several categories; give one or more of the runs below it")
    try:
        view = view_of_run(run, session.host, terminal_progress(), data=data)
    except ArtifactError as error:
        if RunFolder(run).begun:
            _tell_unfinished(session, run, error, folder, name)
        raise
    _write(session, lambda reporter, at: reporter.write(view, at), folder, name)
    for remark in view.remarks:
        click.echo(f"note: {remark}")


def _project(session: Session, run: Path, folder: Path, name: str | None, data: Path | None) -> None:
    """The page of a project and, where its links lead, those of its views."""
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.project.reopening import view_of_project

    if data is not None:
        raise ConfigError("--data: belongs to one run; give that of a view")
    project, views = view_of_project(run, session.host, terminal_progress())

    def of_view(view: RunView) -> Callable[[Reporter, Path], Path | None]:
        return lambda reporter, at: reporter.write(view, at)

    def of_project(project: ProjectView) -> Callable[[Reporter, Path], Path | None]:
        return lambda reporter, at: reporter.write_project(project, at)

    for view, found in views.items():
        _write(session, of_view(found), folder / "views" / view, None)
    _write(session, of_project(project), folder, name)
    for remark in project.remarks:
        click.echo(f"note: {remark}")


def _write(
    session: Session, write: Callable[[Reporter, Path], Path | None], folder: Path, name: str | None
) -> None:
    """What every reporter makes; the HTML page under another name, if it was given one."""
    from tempfile import TemporaryDirectory

    from leatherens.core.strangers import surviving
    from leatherens.ensembles.guarding import WRITING

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for id, reporter in session.host.reporters().usable().items():
            with surviving(f"reporter '{id}'", WRITING):
                if name is None:
                    made = write(reporter(), folder)
                else:
                    with TemporaryDirectory(prefix=".report-", dir=folder.resolve().parent) as beside:
                        found = write(reporter(), Path(beside))
                        html = found is not None and found.suffix == ".html"
                        made = found.replace(folder / name) if found is not None and html else None
                if made is not None:
                    click.echo(f"report: {made}")
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from None


def _tell_unfinished(
    session: Session, run: Path, error: LeatherensError, folder: Path, name: str | None
) -> None:
    """What is there of a run that cannot be reported: a page, and a line each."""
    from leatherens.ensembles.folder import RunFolder
    from leatherens.ensembles.unfinished import unfinished_view

    view = unfinished_view(RunFolder(run), error)
    width = max(len(fragment.what) for fragment in view.fragments)
    for fragment in view.fragments:
        sign = "✓" if fragment.whole else "✗"
        click.echo(f"{sign} {fragment.what:<{width}}  {fragment.told}")
    _write(session, lambda reporter, at: reporter.write_unfinished(view, at), folder, name)
    if RunFolder(run).done:
        click.echo(
            "the run was finished; if its members are whole, leatherens evaluate makes its results anew"
        )
