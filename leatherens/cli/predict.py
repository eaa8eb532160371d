"""`leatherens predict`: judge new images with a finished run."""

from __future__ import annotations

import glob
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli import options
from leatherens.core.errors import InputError

if TYPE_CHECKING:
    from leatherens.cli import Session
    from leatherens.ensembles.hides import Hide
    from leatherens.ensembles.opening import Judgement

GOOD, DEFECTIVE, FAILED = 0, 1, 2


@click.command()
@click.argument("run", type=options.PATH)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--out",
    type=options.PATH,
    help="Folder for score maps, masks and, of runs in tiles, overviews.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@options.device
@options.weights_of_run
@click.pass_context
def predict(
    ctx: click.Context,
    *,
    run: Path,
    paths: Sequence[str],
    out: Path | None,
    as_json: bool,
    device: str,
    weights: tuple[Path, ...],
) -> None:
    """Judge images, folders or globs with the finished run RUN, or parts with a project of several views.

    For a project, VIEW=PATH says which view took the photographs where their names do not.

    Exit code 0: all good, 1: something is defective, 2: a file could not be judged, or a part lacks a view.
    """
    from leatherens.cli.project import is_project, predict_parts
    from leatherens.configs.from_options import weight_places
    from leatherens.core.reading import unlabelled
    from leatherens.ensembles.opening import open_run

    session: Session = ctx.obj
    places = weight_places(weights)
    if is_project(run):
        code = predict_parts(session, run, paths, out=out, as_json=as_json, device=device, weights=places)
        ctx.exit(code)
    samples = unlabelled(expanded(paths))
    opened = open_run(run, session.host, device=device, weights=places)
    codes = {GOOD}
    for judgement in opened.judge(samples):
        written = write_judgement(judgement, out) if out else {}
        codes.add(_say(judgement, written, as_json))
    ctx.exit(max(codes))


def expanded(paths: Sequence[str]) -> list[Path]:
    """Paths, with globs that the shell left alone resolved."""
    found: list[Path] = []
    for path in paths:
        if Path(path).exists() or not glob.has_magic(path):
            found.append(Path(path))
            continue
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - the pattern may be absolute
        if not matches:
            raise InputError(f"{path}: no file matches")
        found += [Path(match) for match in matches]
    return found


def write_judgement(judgement: Judgement, out: Path) -> dict[str, str]:
    """Write map and mask, named like the image, and an overview of a hide; returns where they are."""
    from PIL import Image

    from leatherens.core.artifact import written_whole
    from leatherens.ensembles.evaluation import write_map

    if judgement.hide is not None:
        return _write_hide(judgement.hide, out / judgement.id)
    if judgement.map is None or judgement.mask is None:
        return {}
    at = {"map": out / f"{judgement.id}.map.tiff", "mask": out / f"{judgement.id}.mask.png"}
    write_map(at["map"], judgement.map)
    with written_whole(at["mask"]) as beside:
        Image.fromarray(judgement.mask).save(beside, format="PNG")
    return {kind: str(path) for kind, path in at.items()}


def _write_hide(hide: Hide, stem: Path) -> dict[str, str]:
    at = {kind: stem.with_name(f"{stem.name}.{kind}.tiff") for kind in ("map", "mask")}
    at["overview"] = stem.with_name(f"{stem.name}.overview.jpg")
    hide.write_map(at["map"])
    hide.write_mask(at["mask"])
    hide.write_overview(at["overview"])
    return {kind: str(path) for kind, path in at.items()}


def _say(judgement: Judgement, written: dict[str, str], as_json: bool) -> int:
    """One line about one image; a problem goes to stderr too, so that nobody overlooks it."""
    if judgement.problem is not None:
        click.echo(f"skipped: {judgement.problem}", err=True)
    if as_json:
        click.echo(json.dumps(_as_json(judgement, written)))
    elif judgement.problem is None:
        click.echo(
            f"{judgement.path}  {judgement.score:.4g}  {judgement.threshold:.4g}  {_verdict(judgement)}"
        )
    if judgement.problem is not None:
        return FAILED
    return DEFECTIVE if judgement.defective else GOOD


def _verdict(judgement: Judgement) -> str:
    return "defective" if judgement.defective else "good"


def _as_json(judgement: Judgement, written: dict[str, str]) -> dict[str, Any]:
    """The same keys for every image; one that could not be judged has a `problem` besides."""
    judged = judgement.problem is None
    line = {
        "path": str(judgement.path),
        "score": judgement.score if judged else None,
        "threshold": judgement.threshold if judged else None,
        "verdict": _verdict(judgement) if judged else None,
        "defective_percent": round(judgement.defective_percent, 6) if judged else None,
        "map": written.get("map"),
        "mask": written.get("mask"),
    }
    if "overview" in written:
        line["overview"] = written["overview"]
    return line if judged else {**line, "problem": judgement.problem}
