"""`leatherens recommend`: which scenario fits these photographs and this machine, and why."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli import options
from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.core.progress import Progress
    from leatherens.ensembles.recommending.recommending import Recommendation
    from leatherens.ensembles.recommending.trying import Outcome

NOTHING_WITHIN = 2
"""Exit code where no scenario keeps the budget."""


@click.command(short_help="Say which scenario fits these images and this machine.")
@click.option("--data", type=options.PATH, required=True, help="Photographs, or a manifest.")
@options.layout
@click.option("--ms", type=float, metavar="MS", help="Most that judging an image may take, in milliseconds.")
@click.option(
    "--memory-mb", type=float, metavar="MB", help="Most memory that a process which judges may take."
)
@options.device
@click.option(
    "--weights", type=options.PATH, multiple=True, help="File or folder of pretrained weights (repeatable)."
)
@click.option("--allow-download", is_flag=True, help="Let missing weights be fetched from the hub.")
@click.option("--explain", is_flag=True, help="Show all evidence, and the verdict on every scenario.")
@click.option(
    "--try",
    "try_",
    is_flag=True,
    help="Learn the best two or three at quick effort, and choose by artificial anomalies.",
)
@click.option(
    "--out",
    type=options.PATH,
    help="Folder of --try, which goes on where it was interrupted (default: runs/recommend-NAME).",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_obj
def recommend(session: Session, /, **given: Any) -> None:
    """Look at the good images and at this machine, and say which scenario fits, why, and what it costs.

    Only good images are opened. The costs are predicted from a short trial run here. Ends with 2 where no
    scenario keeps --ms and --memory-mb; the nearest is then named.
    """
    from leatherens.cli.recommend_text import content_of, print_recommendation
    from leatherens.core.artifact import without_nan
    from leatherens.core.terminal_progress import terminal_progress

    _refuse_wrong(given)
    progress = terminal_progress()
    found = _recommended(session, given, progress)
    outcome = _tried(session, given, found, progress) if given["try_"] and found.choice.within else None
    picked = outcome.pick if outcome else found.choice.pick.id
    command = _command(session, given, picked)
    if given["as_json"]:
        content = content_of(found, outcome, command)
        click.echo(json.dumps(without_nan(content), indent=2, ensure_ascii=False))
    else:
        print_recommendation(found, outcome, command, explain=given["explain"])
    if not found.choice.within:
        click.get_current_context().exit(NOTHING_WITHIN)


def _refuse_wrong(given: Mapping[str, Any]) -> None:
    for option, unit in (("ms", "milliseconds"), ("memory_mb", "megabytes")):
        value = given[option]
        if value is not None and not value > 0:
            raise ConfigError(f"--{option.replace('_', '-')}: expected {unit} above 0, got {value:g}")
    if given["out"] and not given["try_"]:
        raise ConfigError("--out: is the folder of --try; give that too, or leave it out")


def _recommended(session: Session, given: Mapping[str, Any], progress: Progress) -> Recommendation:
    from leatherens.configs.from_options import places_of
    from leatherens.ensembles.data import DataChoice
    from leatherens.ensembles.recommending.predicting import Budget
    from leatherens.ensembles.recommending.recommending import Recommending
    from leatherens.ensembles.recommending.trying import MOST

    plugins = {"installed": session.installed_plugins, "files": session.plugin_files}
    budget = Budget(given["ms"], given["memory_mb"])
    recommending = Recommending(session.host, plugins, progress, places_of(given), budget)
    choice = DataChoice.at(given["data"], layout=given["layout"])
    return recommending.of(choice, wanted=MOST if given["try_"] else 1)


def _tried(session: Session, given: Mapping[str, Any], found: Recommendation, progress: Progress) -> Outcome:
    from leatherens.cli.going_on import saying_how_to_go_on
    from leatherens.cli.run import RUNS
    from leatherens.ensembles.recommending.trying import TrialFolder, Trials

    out = given["out"] or RUNS / f"recommend-{given['data'].resolve().name}"
    typed = [*_leatherens(session), "recommend", *_said(given), "--try", "--out", str(out)]
    folder = TrialFolder(out, shlex.join(typed))
    with saying_how_to_go_on(folder):
        return Trials(folder, session.host, found.collection, progress).of(found.choice)


def _command(session: Session, given: Mapping[str, Any], scenario: str) -> str:
    """What to type to make the run."""
    return shlex.join([*_leatherens(session), "run", "--config", scenario, *_said(given)])


def _leatherens(session: Session) -> list[str]:
    """The command with the options before it that decide which plugins there are."""
    files = [part for file in session.plugin_files for part in ("--plugin", str(file))]
    return ["leatherens", *files, *([] if session.installed_plugins else ["--no-plugins"])]


def _said(given: Mapping[str, Any]) -> list[str]:
    """What was said of the data and the machine, to be said again."""
    said = ["--data", str(given["data"])]
    said += ["--layout", given["layout"]] if given["layout"] else []
    said += ["--device", given["device"]] if given["device"] != "auto" else []
    said += [part for path in given["weights"] for part in ("--weights", str(path))]
    said += ["--allow-download"] if given["allow_download"] else []
    return said
