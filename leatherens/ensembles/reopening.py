"""A finished run as reporters see it, from what its folder keeps: nothing is scored, nothing is fitted.

Scores, verdicts and metrics are those that the run wrote, and thresholds those that it was made with. The
ensemble's maps come from `maps/`, members' maps, reconstructions and small photographs from `pictures.zip`,
photographs and masks from where they are now. What is gone is told in the remarks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from leatherens.configs.recipe import Mode, Recipe, read_recipe
from leatherens.core.artifact import read_json
from leatherens.core.details import Details
from leatherens.core.errors import ArtifactError, LeatherensError
from leatherens.core.fusion import FusionBlock
from leatherens.core.host import PluginHost
from leatherens.core.listing import counted
from leatherens.core.progress import Progress, Silent
from leatherens.core.reporting import RunView
from leatherens.core.thresholds import ANY, Group
from leatherens.ensembles.colouring import Colouring, load_colours
from leatherens.ensembles.conditions import conditions_of
from leatherens.ensembles.deciding import load_deciders
from leatherens.ensembles.detailing import read_details
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.facts import recipe_fingerprint
from leatherens.ensembles.filed import Filed
from leatherens.ensembles.finding import Finding, Found
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.history import History
from leatherens.ensembles.kept_pictures import KeptPictures
from leatherens.ensembles.map_files import map_size, read_map
from leatherens.ensembles.parts import build_preparation
from leatherens.ensembles.preparing import Steps, load_preparation, prepared_images
from leatherens.ensembles.reproducing import reproduction_of
from leatherens.ensembles.scored_table import ScoredLine, read_scored
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.splits import Splits
from leatherens.ensembles.tiled_photographs import TiledPhotographs, Tiling
from leatherens.ensembles.training_log import training_curves
from leatherens.ensembles.view import view_of


def view_of_run(
    path: Path, host: PluginHost, progress: Progress | None = None, *, data: Path | None = None
) -> RunView:
    """A finished run, opened to be reported; raises `ArtifactError` for one that is not finished or damaged.

    data: where its photographs are now, if not where they were.
    """
    folder, told = RunFolder(path), progress or Silent()
    folder.require_done()
    recipe, lines = read_recipe(folder.recipe), read_tested(folder)
    found = Finding(folder, host, data).images(lines)
    steps = load_preparation(folder, build_preparation(recipe, host))
    kept, lost = _kept(folder)
    filed = Filed(folder, recipe, lines, found, _sizes_of_maps(folder, lines, told), kept)
    view = _view(filed, host, steps)
    details, undetailed = _details(folder)
    gone = (*lost, *undetailed, *found.remarks, *filed.remarks(_with_truth(view)))
    shown = partial(prepared_images, _photographs_there(recipe, found, steps)) if steps else view.prepared
    images = tuple(filed.as_written(index, image) for index, image in enumerate(view.images))
    return replace(
        view,
        images=images,
        remarks=(*_remarks(folder, view, kept), *gone),
        prepared=shown,
        details=details,
        training=training_curves(folder, recipe.members, told),
        reproduction=reproduction_of(folder.facts(), recipe, folder.path),
    )


def read_tested(folder: RunFolder) -> tuple[ScoredLine, ...]:
    """scores.csv; refused if it lacks images that the run says it tested."""
    lines = read_scored(folder.scores)
    tested = Splits.read(folder.splits).test
    if sorted(line.id for line in lines) != sorted(tested):
        raise ArtifactError(
            f"{folder.scores}: damaged, it holds {counted(len(lines), 'image')}, and the run tested "
            f"{len(tested)}"
        )
    return lines


def read_metrics(path: Path) -> dict[str, Any]:
    """metrics.json, NaN where a number is undefined."""
    content = read_json(path)
    if not (isinstance(content, dict) and isinstance(content.get("ensemble"), dict)):
        raise ArtifactError(f"{path}: damaged, expected the metrics of the ensemble and of its members")
    if not isinstance(content.setdefault("members", {}), dict):
        raise ArtifactError(f"{path}: damaged, expected metrics by member")
    found: dict[str, Any] = _with_nan(content)
    return found


def _with_nan(value: Any) -> Any:
    """The same with NaN for null, which JSON has in its place."""
    if isinstance(value, dict):
        return {key: _with_nan(v) for key, v in value.items()}
    return math.nan if value is None else value


def _kept(folder: RunFolder) -> tuple[KeptPictures | None, tuple[str, ...]]:
    """pictures.zip, or why nothing of it is shown."""
    try:
        return KeptPictures.at(folder.pictures), ()
    except ArtifactError as error:
        lacking = "score maps of members, reconstructions and what is not inspected are not shown"
        return None, (f"{lacking}: {error}",)


def _details(folder: RunFolder) -> tuple[Details, tuple[str, ...]]:
    """details.json, or why nothing of it is shown."""
    lacking = "pixel curves, calibration, costs and findings are not shown"
    if not folder.details.exists():
        told = f"{folder.details} is not there; it was deleted, or the run was made by an older version"
        return Details(), (f"{lacking}: {told}",)
    try:
        return read_details(folder.details), ()
    except LeatherensError as error:
        return Details(), (f"{lacking}: {error}",)


def _sizes_of_maps(
    folder: RunFolder, lines: Sequence[ScoredLine], progress: Progress
) -> dict[str, tuple[int, int]]:
    """Height and width of each map that can be read to its end, by image."""
    found = {}
    with progress.step("reading the score maps", len(lines)) as advance:
        for line in lines:
            try:
                size = map_size(folder.map(line.id))
                read_map(folder.map(line.id), step=max(1, max(size) // 1024))
            except ArtifactError:
                pass
            else:
                found[line.id] = size
            advance(1)
    return found


def _view(filed: Filed, host: PluginHost, steps: Steps) -> RunView:
    folder, recipe, lines = filed.folder, filed.recipe, filed.lines
    metrics, facts = read_metrics(folder.metrics), folder.facts()
    scorers = tuple(lines[0].scores) if lines else (ENSEMBLE,)
    deciders = load_deciders(folder, recipe, host, scorers, conditions_of(recipe, steps))
    colours = load_colours(folder)
    colouring = Colouring([line.colour for line in lines], "" if colours is None else colours.sentence)
    told = any(decider.rules.tell_groups for decider in deciders.values())
    groups = [
        Group(sample.view, line.colour) if told else ANY
        for sample, line in zip(filed.samples, lines, strict=True)
    ]
    block, trouble = _block(folder, recipe, host)
    facts = facts.model_copy(update={"remarks": (*facts.remarks, *trouble)})
    scores = filed.scores(scorers, metrics)
    return view_of(recipe, facts, filed, scores, deciders, metrics, colouring, groups, block)


def _block(folder: RunFolder, recipe: Recipe, host: PluginHost) -> tuple[FusionBlock | None, tuple[str, ...]]:
    """The fusion block, or why its components are not shown."""
    if recipe.fusion_mode is Mode.score:
        return None, ()
    try:
        return folder.load(folder.part("block"), host.fusion_blocks().load(recipe.block.id)), ()
    except LeatherensError as error:
        return None, (f"components of the fused features are not shown: {error}",)


def _remarks(folder: RunFolder, view: RunView, kept: KeptPictures | None) -> tuple[str, ...]:
    """What the report told when the run was made, and what has become of the run since."""
    told = view.remarks if kept is None else kept.index.remarks
    facts = folder.facts()
    since = [f"changed since it was made: {entry.sentence}" for entry in History(folder).lineage()]
    if since:
        since.append("this report is of the run as it was made; leatherens evaluate measures it as it is now")
    if recipe_fingerprint(folder.recipe) != facts.recipe_fingerprint:
        since.append("recipe.yaml was changed since the run was made")
    return (*told, *since)


def _with_truth(view: RunView) -> int:
    """How many of the images had a mask, or needed none, when they were measured."""
    counts = view.metrics.get("images")
    known = counts.get("with_truth", 0) if isinstance(counts, dict) else 0
    return int(known)


def _photographs_there(recipe: Recipe, found: Found, steps: Steps) -> FileSource | TiledPhotographs:
    """Those whose preparation can be shown."""
    samples = [sample for sample in found.samples if sample.id in found.there]
    if recipe.tile is not None:
        return TiledPhotographs(samples, Tiling(recipe.tile, recipe.size, recipe.overlap), steps)
    return FileSource(samples, size=recipe.size, preparation=steps)
