"""`leatherens ablate`: what every member, block, head, fusion and mode is worth on some photographs."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli.going_on import saying_how_to_go_on
from leatherens.cli.options import PATH
from leatherens.cli.run import BESIDE, run
from leatherens.core.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.configs.recipe import Recipe
    from leatherens.core.progress import Progress
    from leatherens.ensembles.ablation.ablation import Ablation
    from leatherens.ensembles.ablation.adopting import Adopted
    from leatherens.ensembles.ablation.folder import AblationFolder
    from leatherens.ensembles.ablation.settings import AblationSettings

OWN = ("out", "resume", "data")
"""Options of `run` that mean something else here, or must be given."""

RESUMABLE = ("out", "device", "weights", "allow_download")

SHARED = [option for option in run.params if option.name not in OWN]


@click.command(params=SHARED)
@click.option("--data", type=PATH, help="Photographs, with defective ones to test on.")
@click.option(
    "--from",
    "adopted",
    metavar="RUN,RUN",
    help="Finished runs on the same images, whose members are taken over instead of fitted.",
)
@click.option("--out", type=PATH, help="The ablation's folder.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished ablation in --out.")
@click.option("--subsets", metavar="K", type=int, show_default="2", help="Try all subsets up to this size.")
@click.option(
    "--subset-mode",
    type=click.Choice(["feature", "score", "hybrid"]),
    show_default="--mode",
    help="How subsets are fused; score is quick.",
)
@click.option(
    "--components", metavar="N,N", show_default="16,64,0.99", help="Components to try in every block."
)
@click.option("--blocks", metavar="ID,ID", show_default="all", help="Blocks to try.")
@click.option("--heads", metavar="ID,ID", show_default="all", help="Heads to try.")
@click.option("--fusions", metavar="ID,ID", show_default="all", help="Score fusions to try.")
@click.option("--resamplings", type=int, show_default="500", help="Of the test images, for intervals.")
@click.pass_obj
def ablate(session: Session, /, **options: Any) -> None:
    """Fit members once and measure what every part of an ensemble of them is worth.

    Varied one at a time around the recipe that the other options make: each member alone, modes, score
    fusions, heads, blocks and their components, one member left out, subsets.
    """
    from leatherens.cli.ablation_table import print_outcome
    from leatherens.core.terminal_progress import terminal_progress

    started = time.monotonic()
    progress = terminal_progress()
    if options["out"] is None:
        raise click.UsageError("where to? give --out with a folder for the results")
    making = _begun(session, options, progress) if options["resume"] else _new(session, options, progress)
    if making is None:
        return
    with saying_how_to_go_on(making.folder, "what was learned and measured"):
        outcome = making.make()
    print_outcome(outcome)
    for path in (making.folder.table, making.folder.picture):
        if path.exists():
            click.echo(f"written: {path}")
    click.echo(f"ablation: {making.folder.result} ({time.monotonic() - started:.0f} s)")


def _new(session: Session, options: Mapping[str, Any], progress: Progress) -> Ablation:
    from leatherens.ensembles.ablation.ablation import Ablation
    from leatherens.ensembles.ablation.folder import AblationFolder
    from leatherens.ensembles.data import DataChoice
    from leatherens.ensembles.running import Run

    folder = AblationFolder(options["out"])
    _refuse_taken(folder)
    if options["data"] is None:
        raise click.UsageError("which photographs? give --data with a folder of them")
    recipe, settings = _recipe(session, options), _settings(options)
    beside = {key: options[key] for key in BESIDE}
    choice = DataChoice.at(options["data"], **beside)
    command = shlex.join(["leatherens", *sys.argv[1:]])
    making = Run(folder.run, recipe, choice, session.host, progress, command)
    return Ablation(folder, making, settings)


def _recipe(session: Session, options: Mapping[str, Any]) -> Recipe:
    """The recipe that is varied: as for a run, but for what members taken over have learned with."""
    from leatherens.cli.recipe_options import recipe_from, refuse_folds
    from leatherens.ensembles.ablation.adopting import members_of
    from leatherens.ensembles.parts import needs_labels, resolve

    refuse_folds(options, "an ablation fits its members once")
    adopted = members_of(_paths(options["adopted"]))
    _refuse_resetting(adopted, options["settings"])
    given = dict(options)
    if adopted:
        given["members"] = options["members"] or ",".join(sorted(adopted))
        theirs = next(iter(adopted.values())).recipe
        given["seed"] = theirs.seed if options["seed"] is None else options["seed"]
        given["size"] = options["size"] or "x".join(map(str, theirs.size))
    recipe = recipe_from(given, session.host)
    kept = {id: adopted[id].choice if id in adopted else member for id, member in recipe.members.items()}
    settled = resolve(recipe.model_copy(update={"members": kept}), session.host)
    if needs_labels(settled, session.host):
        raise ConfigError(
            f"--threshold: '{settled.threshold.id}' learns from labelled images, and an ablation measures "
            "on all of them; choose a rule that learns from good images only"
        )
    return settled


def _refuse_resetting(adopted: Mapping[str, Adopted], settings: tuple[str, ...]) -> None:
    for text in settings:
        for id in adopted:
            if text.startswith(f"{id}."):
                raise ConfigError(
                    f"--set {text}: '{id}' is taken from {adopted[id].folder.path}, where it learned with "
                    "other options; leave out one of the two"
                )


def _settings(options: Mapping[str, Any]) -> AblationSettings:
    from leatherens.core.params import parse_params
    from leatherens.ensembles.ablation.settings import AblationSettings

    content: dict[str, Any] = {
        key: options[key] for key in ("subsets", "subset_mode", "resamplings") if options[key] is not None
    }
    for key in ("blocks", "heads", "fusions"):
        if options[key] is not None:
            content[key] = _listed(options[key])
    if options["components"] is not None:
        content["components"] = [_number(text) for text in _listed(options["components"])]
    content["adopted"] = [str(path.resolve()) for path in _paths(options["adopted"])]
    return parse_params(AblationSettings, content, owner="ablate")


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _paths(text: str | None) -> list[Path]:
    return [Path(part) for part in _listed(text)]


def _number(text: str) -> int | float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if number <= 0 or (number >= 1 and number != int(number)):
        raise ConfigError(
            f"--components: expected counts (16) or shares of the variance (0.99), got '{text}'"
        )
    return number if number < 1 else int(number)


def _refuse_taken(folder: AblationFolder) -> None:
    if folder.done:
        raise ArtifactError(f"{folder.path}: holds a finished ablation; choose another --out")
    if folder.begun or folder.run.begun:
        raise ArtifactError(
            f"{folder.path}: an ablation was begun here; go on with {folder.resume_command}, or choose "
            "another --out"
        )


def _begun(session: Session, options: Mapping[str, Any], progress: Progress) -> Ablation | None:
    """The ablation to go on with; nothing, and a line, if it is finished."""
    from leatherens.cli.run import refuse_other_options
    from leatherens.configs.from_options import places_of
    from leatherens.ensembles.ablation.ablation import Ablation
    from leatherens.ensembles.ablation.folder import AblationFolder
    from leatherens.ensembles.running import unfinished_run

    refuse_other_options(options, RESUMABLE)
    folder = AblationFolder(options["out"])
    if not folder.begun:
        raise ArtifactError(f"{folder.path}: no ablation was begun here; start one without --resume")
    if folder.done:
        click.echo(f"{folder.path}: this ablation is finished already; its table is {folder.table}")
        return None
    found = unfinished_run(folder.run, session.host, progress, places_of(options))
    return Ablation(folder, found, folder.settings())
