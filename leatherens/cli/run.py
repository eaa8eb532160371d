"""`leatherens run`: from a folder of photographs to a calibrated, measured ensemble and its report."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.core.errors import ArtifactError, ConfigError, did_you_mean

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.configs.recipe import Recipe
    from leatherens.core.progress import Progress
    from leatherens.core.reporting import RunView

RUNS = Path("runs")
DEMO = RUNS / "demo-leather"
"""Where the demo leather is made when no data are given."""

EXISTING_FOLDER = click.Path(path_type=Path)


@click.command()
@click.option(
    "--members", metavar="ID,ID", help="Detectors to fit, e.g. stfpm,draem (see: leatherens plugins list)."
)
@click.option(
    "--data", type=EXISTING_FOLDER, help="Photographs; without it, the demo leather is made and used."
)
@click.option(
    "--defects", type=EXISTING_FOLDER, help="Defective photographs beside a plain folder of good ones."
)
@click.option("--masks", type=EXISTING_FOLDER, help="Masks of the defective photographs.")
@click.option("--layout", metavar="ID", help="Read the folder as this layout instead of recognising it.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder (default: runs/NAME).")
@click.option("--resume", is_flag=True, help="Go on with the unfinished run in --out, or the latest one.")
@click.option(
    "--effort", default="auto", show_default=True, help="quick, full (the published schedules), or auto."
)
@click.option(
    "--mode", type=click.Choice(["feature", "score", "hybrid"]), help="What is fused (default: hybrid)."
)
@click.option("--block", metavar="ID", default="independent", show_default=True, help="Feature fusion block.")
@click.option(
    "--head", metavar="ID", default=None, help="Head on the fused features: discriminator or memory-bank."
)
@click.option("--score-fusion", metavar="ID", default="mean", show_default=True, help="How scores are fused.")
@click.option(
    "--threshold", metavar="ID", default="conformal", show_default=True, help="Where defective begins."
)
@click.option(
    "--false-alarms",
    type=float,
    default=0.01,
    show_default=True,
    help="Share of good images that may be flagged.",
)
@click.option(
    "--size", metavar="N or HxW", default="256", show_default=True, help="Size images are brought to."
)
@click.option(
    "--set", "settings", metavar="MEMBER.KEY=VALUE", multiple=True, help="A member's option (repeatable)."
)
@click.option("--textures", type=EXISTING_FOLDER, help="Folder of pictures for artificial anomalies.")
@click.option(
    "--weights",
    type=EXISTING_FOLDER,
    multiple=True,
    help="File or folder of pretrained weights (repeatable).",
)
@click.option("--allow-download", is_flag=True, help="Let missing weights be fetched from the hub.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.pass_obj
def run(session: Session, /, **options: Any) -> None:
    """Learn from good images, calibrate, test and write a report."""
    from leatherens.cli.progress import terminal_progress
    from leatherens.cli.table import print_results

    started = time.monotonic()
    progress = terminal_progress()
    view, folder = (
        _resumed(session, options, progress) if options["resume"] else _begun(session, options, progress)
    )
    print_results(view)
    click.echo(f"report: {folder / 'report.html'}")
    click.echo(f"run: {folder} ({time.monotonic() - started:.0f} s)")


def _begun(session: Session, options: dict[str, Any], progress: Progress) -> tuple[RunView, Path]:
    from leatherens.ensembles.folder import RunFolder
    from leatherens.ensembles.parts import resolve
    from leatherens.ensembles.running import DataChoice, Run

    if not options["members"]:
        known = ", ".join(session.host.detectors().ids())
        raise click.UsageError(f"which detectors? give --members with one or more of: {known}")
    recipe = resolve(_recipe(session, options), session.host)
    out = options["out"] or _fresh_folder(options, recipe)
    folder = RunFolder(out)
    if folder.begun:
        state = "is finished" if folder.done else "was begun"
        raise ArtifactError(f"{out}: a run here {state}; choose another --out, or go on with --resume")
    data = options["data"] or _demo(progress)
    paths = {key: str(options[key].resolve()) if options[key] else None for key in ("defects", "masks")}
    choice = DataChoice(str(data.resolve()), options["layout"], **paths)
    command = shlex.join(["leatherens", *sys.argv[1:]])
    return Run(folder, recipe, choice, session.host, progress, command).make(), out


def _resumed(session: Session, options: dict[str, Any], progress: Progress) -> tuple[RunView, Path]:
    from leatherens.configs.recipe import read_recipe
    from leatherens.ensembles.folder import RunFolder
    from leatherens.ensembles.running import DataChoice, Run

    out = options["out"] or _latest_unfinished()
    folder = RunFolder(out)
    facts = folder.facts()
    choice = DataChoice(**facts["data"])
    return Run(
        folder, read_recipe(folder.recipe), choice, session.host, progress, facts["command"]
    ).make(), out


def _recipe(session: Session, options: dict[str, Any]) -> Recipe:
    from leatherens.configs.recipe import Recipe
    from leatherens.core.params import parse_params

    threshold: dict[str, Any] = {"id": options["threshold"]}
    if options["threshold"] == "conformal":
        threshold["options"] = {"false_alarms": options["false_alarms"]}
    content: dict[str, Any] = {
        "members": _members(session, options),
        "block": {"id": options["block"]},
        "score_fusion": {"id": options["score_fusion"]},
        "threshold": threshold,
        "size": _size(options["size"]),
        "weights": tuple(str(path) for path in options["weights"]),
        **{key: options[key] for key in ("effort", "mode", "allow_download", "device", "seed")},
    }
    if options["head"]:
        content["head"] = {"id": options["head"]}
    return parse_params(Recipe, content, owner="run")


def _members(session: Session, options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The members with the options set for them; a texture folder goes to every member that takes one."""
    ids = [id.strip() for id in options["members"].split(",") if id.strip()]
    members: dict[str, dict[str, Any]] = {id: {"options": {}} for id in ids}
    for id in ids:
        detector = session.host.detectors().load(id)
        if options["textures"] and "textures" in detector.Params.model_fields:
            members[id]["options"]["textures"] = str(options["textures"].resolve())
    for setting in options["settings"]:
        member, key, value = _setting(setting, ids)
        members[member]["options"][key] = value
    return members


def _setting(text: str, ids: list[str]) -> tuple[str, str, Any]:
    import yaml

    path, equals, value = text.partition("=")
    member, dot, key = path.partition(".")
    if not equals or not dot:
        raise ConfigError(f"--set: expected MEMBER.KEY=VALUE, such as stfpm.lr=0.1, got '{text}'")
    if member not in ids:
        raise ConfigError(
            f"--set {text}: '{member}' is not among the members{did_you_mean(member, ids)} ({', '.join(ids)})"
        )
    return member, key, yaml.safe_load(value)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not height.isdigit() or not (width or height).isdigit():
        raise ConfigError(f"--size: expected one number, or HEIGHTxWIDTH such as 256x320, got '{text}'")
    return int(height), int(width or height)


def _fresh_folder(options: dict[str, Any], recipe: Recipe) -> Path:
    """A name that tells what and when, never taken."""
    data = options["data"].resolve().name if options["data"] else "demo"
    return RUNS / f"{data}-{'-'.join(recipe.members)}-{time.strftime('%Y%m%d-%H%M%S')}"


def _latest_unfinished() -> Path:
    begun = [path.parent for path in RUNS.glob("*/run.json") if not (path.parent / "DONE").exists()]
    if not begun:
        raise ArtifactError(f"no unfinished run in {RUNS}; name one with --out")
    return max(begun, key=lambda path: (path / "run.json").stat().st_mtime)


def _demo(progress: Progress) -> Path:
    """The demo leather, made once."""
    from leatherens.cli.data import make_leather

    if not DEMO.exists():
        make_leather(DEMO, progress=progress)
    return DEMO
