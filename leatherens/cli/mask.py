"""`leatherens mask suggest`: a region to ignore, from where held-out good images score high most often."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli import Group
from leatherens.cli.options import PATH
from leatherens.cli.run import run as run_command
from leatherens.core.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.core.photographs import Mask, Photograph
    from leatherens.core.progress import Progress
    from leatherens.ensembles.suggesting import Judge, Suggestion

MEMBERS = "patchcore"
"""Compares patches wherever they lie, so that what changes in one place stands out."""

RATE = 0.01
LONGEST = 1024
"""Pixels of the picture that shows the region."""

RED = (227, 0, 27)

OF_DATA = (
    "members",
    "layout",
    "effort",
    "size",
    "prepare",
    "settings",
    "allow_download",
    "seed",
)
"""Options of `leatherens run` that mean the same here; a finished run has made up its mind about them."""

SHARED = [option for option in run_command.params if option.name in (*OF_DATA, "device", "weights")]


@click.group(cls=Group)
def mask() -> None:
    """Propose a region that is not to be inspected."""


@mask.command(params=SHARED)
@click.option("--data", type=PATH, help="Photographs; members are fitted to their good ones.")
@click.option("--run", "finished", type=PATH, help="A finished run to ask instead, with its own images.")
@click.option("--out", type=PATH, required=True, help="Picture to write, white where to ignore; a PNG file.")
@click.option(
    "--false-alarms",
    type=float,
    default=RATE,
    show_default=True,
    help="Share of good images that may be flagged, for the threshold it is measured with.",
)
@click.pass_obj
def suggest(
    session: Session,
    /,
    *,
    data: Path | None,
    finished: Path | None,
    out: Path,
    false_alarms: float,
    **rest: Any,
) -> None:
    """Propose what to ignore: where good images that taught nothing score high most often.

    Half of the held-out good images choose the region, the others say what silencing it would change. A
    picture of it over the mean image is written besides: what is proposed is a place and no reason, so look.
    """
    from leatherens.core.terminal_progress import terminal_progress

    overlay = _checked(out, false_alarms)
    progress = terminal_progress()
    judge = _judge(session, data, finished, rest, progress)
    suggestion = judge.suggest(progress, rate=false_alarms)
    counts = len(judge.choosing.ids), len(judge.measuring.ids)
    click.echo(
        f"{counts[0]} held-out good images choose the region, {counts[1]} others measure what it changes"
    )
    if not suggestion.disturbance.pieces:
        click.echo(
            f"nothing to suggest: no place scores high in more of the {counts[0]} images than chance "
            "explains, and draws their highest pixels"
        )
        return
    _write(out, _region(suggestion), mode="1")
    _write(overlay, _shown(suggestion), mode="RGB")
    _say(suggestion, out, overlay)


def _checked(out: Path, rate: float) -> Path:
    """Where the picture of the region goes, if everything can be written; told before anything is learned."""
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out: expected a name that ends in .png, got '{out.name}'")
    overlay = out.with_name(f"{out.stem}-overlay.png")
    for path in (out, overlay):
        if path.is_dir():
            raise ArtifactError(f"{path}: a folder; give --out a file in it, such as {path / 'mask.png'}")
    if not 0 < rate < 1:
        raise ConfigError(f"--false-alarms: expected a share between 0 and 1, such as {RATE:g}, got {rate:g}")
    return overlay


def _judge(
    session: Session, data: Path | None, finished: Path | None, rest: Mapping[str, Any], progress: Progress
) -> Judge:
    from leatherens.cli.recipe_options import recipe_from
    from leatherens.configs.from_options import weight_places
    from leatherens.ensembles.data import DataChoice
    from leatherens.ensembles.opening import open_run
    from leatherens.ensembles.parts import resolve
    from leatherens.ensembles.suggesting import fitted_judge, judge_of_run

    if (data is None) is (finished is None):
        raise click.UsageError("whose good images? give either --data DIR or --run RUN")
    if finished is not None:
        given = [f"--{name.replace('_', '-')}" for name in OF_DATA if rest[name] not in (None, (), False)]
        if given:
            raise click.UsageError(f"a finished run keeps its own options; leave out {', '.join(given)}")
        places = weight_places(rest["weights"])
        opened = open_run(finished, session.host, device=rest["device"] or "auto", weights=places)
        return judge_of_run(opened, session.host)
    assert data is not None
    unset = dict.fromkeys(option.name for option in run_command.params)
    options = {**unset, **rest, "members": rest["members"] or MEMBERS}
    recipe = resolve(recipe_from(options, session.host), session.host)
    return fitted_judge(recipe, DataChoice.at(data, layout=rest["layout"]), session.host, progress)


def _region(suggestion: Suggestion) -> Mask:
    """(H, W) bool at the photographs' size: what is proposed and what is ignored already."""
    import cv2
    import numpy as np

    region = suggestion.disturbance.region | suggestion.ignored
    levels = cv2.resize(region.astype(np.uint8) * 255, suggestion.size[::-1], interpolation=cv2.INTER_LINEAR)
    whole: Mask = levels >= 128
    return whole


def _shown(suggestion: Suggestion) -> Photograph:
    """(h, w, 3): the mean image, the redder the more often a place is hot, the region outlined."""
    import cv2
    import numpy as np

    from leatherens.core.photographs import resize_photograph

    factor = min(1.0, LONGEST / max(suggestion.size))
    height, width = (max(1, round(side * factor)) for side in suggestion.size)
    mean = resize_photograph(suggestion.mean, (height, width)).astype(np.float32)
    hot = cv2.resize(suggestion.disturbance.hot, (width, height), interpolation=cv2.INTER_LINEAR)
    tint = 0.7 * hot.clip(0, 1)[..., None]
    painted = mean * (1 - tint) + np.array(RED, dtype=np.float32) * tint
    picture: Photograph = painted.round().astype(np.uint8)
    region = cv2.resize(
        _region(suggestion).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
    )
    borders, _ = cv2.findContours(region, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, borders, -1, (255, 255, 255), 3)
    cv2.drawContours(picture, borders, -1, RED, 1)
    return picture


def _write(path: Path, pixels: Mask | Photograph, mode: str) -> None:
    """A PNG, whole or not at all."""
    from PIL import Image

    from leatherens.core.artifact import written_whole

    with written_whole(path) as beside:
        Image.fromarray(pixels).convert(mode).save(beside, format="PNG")


def _say(suggestion: Suggestion, out: Path, overlay: Path) -> None:
    from leatherens.core.listing import counted

    found, before, after = suggestion.disturbance, suggestion.before, suggestion.after
    click.echo(
        f"suggested: {counted(found.pieces, 'piece')}, {found.share:.1%} of the picture, with the highest "
        f"pixels of {found.peaks} of {found.images} good images"
    )
    if suggestion.ignored.any():
        click.echo(
            f"{suggestion.ignored.mean():.1%} of the picture is ignored already; {out} holds that, too"
        )
    click.echo(
        f"silenced: the threshold goes from {before.threshold:.4g} to {after.threshold:.4g}, false alarms on "
        f"{after.images} other good images from {before.alarms} to {after.alarms}"
    )
    click.echo(f"{out}: white is to be ignored; leatherens run --ignore {out}")
    click.echo(f"{overlay}: the region over the mean image, redder where more images score high")
