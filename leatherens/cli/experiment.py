"""`leatherens experiment`: whole tables of results, over data sets, detectors and ensembles."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli import Group
from leatherens.cli.going_on import saying_how_to_go_on
from leatherens.cli.options import PATH
from leatherens.cli.run import run
from leatherens.core.errors import ConfigError, InputError, LeatherensError

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.ensembles.experiments.data_sets import DataSet
    from leatherens.ensembles.experiments.entrants import Entrant
    from leatherens.ensembles.experiments.results import Result
    from leatherens.ensembles.experiments.setups import Setup

Option = Callable[[Any], Any]

OWN = ("data", "members", "defects", "masks", "layout", "group_by", "project", "out", "resume", "splits")
"""Options of `run` that mean something else here, or nothing."""

SHARED = [option for option in run.params if option.name not in OWN]


@click.group(cls=Group)
def experiment() -> None:
    """Make whole tables of results. Typed again, a command goes on where it was stopped."""


def _kind(
    name: str, *, without: Sequence[str] = (), more: Sequence[Option] = ()
) -> Callable[[Callable[..., None]], click.Command]:
    """A command of one kind of experiment: the options of `run` less some, those of all kinds, and more."""

    def made(function: Callable[..., None]) -> click.Command:
        shared = [option for option in SHARED if option.name not in without]
        command = click.command(name, params=shared)(click.pass_obj(function))
        for option in reversed((*_OPTIONS, *more)):
            command = option(command)
        experiment.add_command(command)
        return command

    return made


_OPTIONS = (
    click.option("--data", "sets", metavar="[NAME=]DIR", multiple=True, help="A data set (repeatable)."),
    click.option(
        "--members", metavar="ID,ID", show_default="all", help="Detectors, each alone; none for none."
    ),
    click.option(
        "--ensembles", metavar="ID+ID,ID+ID", help="Ensembles beside them, their members joined by +."
    ),
    click.option(
        "--group-by",
        metavar="NAME=REGEX",
        multiple=True,
        help="What an image of a data set is a picture of, told by its name; such a group is never split.",
    ),
    click.option("--out", type=PATH, help="The experiment's folder; kinds of experiment may share one."),
)

_TIMING = (
    click.option(
        "--no-timing",
        is_flag=True,
        help="Leave out time and memory, which want a machine that does nothing else.",
    ),
)

_CHECKPOINTS = (
    click.option(
        "--checkpoints",
        type=click.IntRange(min=1),
        metavar="STEPS",
        help="Measure each trained detector after every so many steps, too.",
    ),
)


@_kind("within", more=_TIMING)
def within(session: Session, /, **options: Any) -> None:
    """Learn from a data set and test on it, for each (experiment 1 of the leather thesis)."""
    _make(session, "within", options)


@_kind("cross", more=_TIMING)
def cross(session: Session, /, **options: Any) -> None:
    """Learn from one data set, test on another, with its own thresholds and with new ones (experiment 2)."""
    _make(session, "cross", options)


@_kind("joint", more=_TIMING)
def joint(session: Session, /, **options: Any) -> None:
    """Learn from all data sets together, test on each (experiment 3)."""
    _make(session, "joint", options)


@_kind("members", more=_TIMING)
def members(session: Session, /, **options: Any) -> None:
    """Survey detectors and ensembles: accuracy, speed, memory, parameters, size on disk."""
    _make(session, "members", options)


@_kind("setup", without=("masking", "keep_every"), more=_CHECKPOINTS)
def setup(session: Session, /, **options: Any) -> None:
    """Try masks (before, after, none), registration (on, off) and checkpoints: the line-clearance grid.

    The region to leave out is --ignore; without it, no mask is tried.
    """
    from leatherens.cli.setup_options import UNMASKED, by_setup

    found = by_setup(options)
    masked = any(setup.masking for setup in found)
    if masked and len(options["sets"]) > 1:
        raise ConfigError(
            "--ignore: a region is drawn on the photographs of one view; give one --data, and each view an "
            "--out of its own"
        )
    remark = "" if masked else UNMASKED
    _make(session, "setup", {**options, "no_timing": True}, setups=found, remark=remark)


def _make(
    session: Session,
    kind: str,
    options: Mapping[str, Any],
    *,
    setups: Mapping[Setup, Mapping[str, Any]] | None = None,
    remark: str = "",
) -> None:
    """setups: the options of each, where the experiment is on these."""
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.experiments.experiment import Experiment
    from leatherens.ensembles.experiments.folder import ExperimentFolder
    from leatherens.ensembles.experiments.plan import Kind

    started = time.monotonic()
    if options["out"] is None:
        raise click.UsageError("where to? give --out with a folder for the results")
    folder = ExperimentFolder(options["out"], ("leatherens", *sys.argv[1:]))
    entrants = [
        _entrant(session, name, given, setup)
        for name in _names(session, options)
        for setup, given in (setups.items() if setups else [(None, options)])
    ]
    data_sets = _data_sets(session, options, entrants[0])
    if setups and options["ignore"] is not None:
        folder.keep_region(options["ignore"])
    plugins = {"installed": session.installed_plugins, "files": session.plugin_files}
    making = Experiment(
        folder,
        Kind(kind),
        data_sets,
        entrants,
        session.host,
        plugins,
        terminal_progress(),
        timed=not options["no_timing"],
        remark=remark,
    )
    with saying_how_to_go_on(folder, "what was learned and measured"):
        results = making.make()
    click.echo(folder.table(kind, ".md").read_text(encoding="utf-8").partition("## What")[0].rstrip())
    click.echo(f"\ntables: {folder.table(kind, '.md')}, .csv, .svg ({time.monotonic() - started:.0f} s)")
    _require_whole(results)


def _require_whole(results: Sequence[Result]) -> None:
    """What could not be made is told last, and the exit code says so."""
    failed = list(dict.fromkeys(r.cell.entrant.name for r in results if r.problem))
    if failed:
        total = len({result.cell.entrant.name for result in results})
        raise LeatherensError(
            f"{len(failed)} of {total} entrants could not be made, see above: {', '.join(failed)}; when the "
            "cause is mended, give the same command again"
        )


def _names(session: Session, options: Mapping[str, Any]) -> list[str]:
    """Detectors alone, then ensembles."""
    from leatherens.ensembles.experiments.entrants import PLUS

    known = session.host.detectors().ids()
    asked = options["members"]
    alone = list(known) if asked in (None, "all") else [id for id in _listed(asked) if id != "none"]
    ensembles = _listed(options["ensembles"])
    for name in ensembles:
        if PLUS not in name:
            raise ConfigError(f"--ensembles: expected members joined by +, such as stfpm+draem, got '{name}'")
    names = [*alone, *ensembles]
    if not names:
        raise ConfigError("--members none: then give --ensembles; there is nothing to measure")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"'{twice[0]}' is named twice; name each once")
    return names


def _entrant(session: Session, name: str, options: Mapping[str, Any], setup: Setup | None) -> Entrant:
    """The recipe that the options make for these members; what only ensembles take is left out of others."""
    from leatherens.cli.recipe_options import recipe_from, refuse_folds
    from leatherens.configs.recipe import LABELLED
    from leatherens.ensembles.experiments.entrants import PLUS, Entrant
    from leatherens.ensembles.parts import resolve

    refuse_folds(options, "an experiment compares thresholds from images that nothing learned from")
    ids = name.split(PLUS)
    given = {option.name: None for option in run.params} | dict(options)
    given |= {"members": ",".join(ids), "group_by": None, "splits": None}
    if given["labelled_share"] is None:
        given["labelled_share"] = LABELLED
    if len(ids) == 1:
        given |= dict.fromkeys(("mode", "block", "head", "score_fusion"), None) | {"features": ()}
    given["settings"] = tuple(text for text in options["settings"] if _concerns(text, ids, session))
    return Entrant.of(name, resolve(recipe_from(given, session.host), session.host), setup)


def _concerns(text: str, ids: Sequence[str], session: Session) -> bool:
    """Whether a --set is for these members: those of other detectors are passed over."""
    others = [id for id in session.host.detectors().ids() if id not in ids]
    return not any(text.startswith(f"{id}.") for id in others)


def _data_sets(session: Session, options: Mapping[str, Any], entrant: Entrant) -> list[DataSet]:
    from leatherens.ensembles.data import DataChoice
    from leatherens.ensembles.experiments.data_sets import DataSet

    named = _named_sets(options["sets"])
    patterns = _patterns(options["group_by"], named)
    found = []
    for name, path in named.items():
        data = DataChoice.at(path, group_by=patterns.get(name))
        found.append(DataSet(name, data, entrant.recipe, session.host))
    for data_set in found:
        if not any(sample.defective for sample in data_set.collection.test):
            raise InputError(
                f"{data_set.data.root}: no defective images to test on; an experiment needs some"
            )
    return found


def _named_sets(given: Sequence[str]) -> dict[str, Path]:
    if not given:
        raise click.UsageError("which photographs? give --data with a folder of them, once for each data set")
    found: dict[str, Path] = {}
    for text in given:
        match = re.fullmatch(r"([\w.-]+)=(.+)", text)
        name, path = (match[1], Path(match[2])) if match and not Path(text).exists() else ("", Path(text))
        name = name or path.resolve().name
        if name in found:
            raise ConfigError(
                f"--data: two data sets are called '{name}'; give one another name: NAME={path}"
            )
        found[name] = path
    return found


def _patterns(given: Sequence[str], named: Mapping[str, Path]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, pattern = text.partition("=")
        if not equals and len(named) == 1:
            name, pattern = next(iter(named)), text
        elif name not in named:
            raise ConfigError(
                f"--group-by: expected NAME=REGEX with one of the data sets {', '.join(named)}, got '{text}'"
            )
        found[name] = pattern
    return found


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
