"""`leatherens thresholds`: every threshold rule side by side on a finished run, and another made its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli import options

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.ensembles.choosing_rule import Asked, Looking
    from leatherens.ensembles.data import DataChoice

BESIDE = ("layout", "defects", "masks")
"""How the folder of --labelled is to be read."""


@click.command()
@click.argument("run", type=options.PATH)
@click.option(
    "--false-alarms",
    type=float,
    show_default="as in the run, or 0.01",
    help="Share of good images that may be flagged, for rules that promise one.",
)
@click.option(
    "--labelled", type=options.PATH, help="Labelled photographs, good and defective, to measure on."
)
@options.defects
@options.masks
@options.layout
@click.option("--use", metavar="ID", help="Make this rule the run's own.")
@click.option("--use-pixel", metavar="ID", help="Make this rule the run's own for pixels alone.")
@click.option(
    "--set",
    "settings",
    metavar="RULE.KEY=VALUE",
    multiple=True,
    help="An option of a rule, such as k-sigma.k=2 (repeatable).",
)
@click.option("--json", "as_json", is_flag=True, help="Everything that was measured, as JSON.")
@options.device
@options.weights_of_run
@click.pass_obj
def thresholds(
    session: Session,
    /,
    run: Path,
    *,
    false_alarms: float | None,
    labelled: Path | None,
    use: str | None,
    use_pixel: str | None,
    settings: Sequence[str],
    as_json: bool,
    device: str,
    weights: tuple[Path, ...],
    **beside: Any,
) -> None:
    """Compare every threshold rule on RUN: how many good images each flags, and what it finds.

    No rule is measured on images it learned from. With --use, a rule becomes RUN's own; `leatherens rollback`
    undoes it, and images of --labelled that taught it are left out by `leatherens evaluate`.
    """
    from leatherens.ensembles.choosing_rule import Asked
    from leatherens.ensembles.data import DataChoice

    if labelled is None and any(beside.values()):
        raise click.UsageError("--layout, --defects and --masks belong to --labelled; give that too")
    asked = Asked(false_alarms, _options(settings))
    asked.check(session.host)
    choice = None if labelled is None else DataChoice.at(labelled, **beside)
    if use is not None or use_pixel is not None:
        _use(session, run, asked, choice, use, use_pixel, device, weights)
        return
    found = _looking(session, run, device, weights).compare(asked, choice)
    if as_json:
        from leatherens.cli.thresholds_table import as_content
        from leatherens.core.artifact import without_nan

        click.echo(json.dumps(without_nan(as_content(found)), indent=2))
        return
    from leatherens.cli.thresholds_table import print_comparison

    print_comparison(found)


def _use(
    session: Session,
    run: Path,
    asked: Asked,
    labelled: DataChoice | None,
    images: str | None,
    pixels: str | None,
    device: str,
    weights: tuple[Path, ...],
) -> None:
    from leatherens.cli.adapted import adapting, print_entry, unchanged_if_interrupted
    from leatherens.ensembles.choosing_rule import use_rules

    change = adapting(session, run, device, weights)
    with unchanged_if_interrupted(run):
        entry = use_rules(change, asked, images=images, pixels=pixels, labelled=labelled)
    for sentence in entry.changed:
        click.echo(sentence)
    print_entry(run, entry)


def _looking(session: Session, run: Path, device: str, weights: tuple[Path, ...]) -> Looking:
    from leatherens.configs.from_options import weight_places
    from leatherens.core.feature_cache import FeatureCache
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.choosing_rule import Looking
    from leatherens.ensembles.folder import RunFolder
    from leatherens.ensembles.known import known_images
    from leatherens.ensembles.opening import open_run

    opened = open_run(run, session.host, device=device, weights=weight_places(weights), cache=FeatureCache())
    known = known_images(RunFolder(run), opened.lineage, session.host)
    return Looking(opened, known, session.host, terminal_progress())


def _options(settings: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """What --set says, by rule."""
    found: dict[str, dict[str, Any]] = {}
    for text in settings:
        path, value = options.setting(text, "RULE.KEY=VALUE, such as k-sigma.k=2", dotted=True)
        rule, _, key = path.rpartition(".")
        found.setdefault(rule, {})[key] = value
    return found
