"""Several finished runs side by side: the images in common, and how far each differs from the first."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from leatherens.core.artifact import read_json
from leatherens.core.bootstrap import stratified_draws
from leatherens.core.comparison import COMPARED, SHARES, ChangedKey, ComparedRun, ComparisonView
from leatherens.core.errors import ConfigError, InputError, enumerated
from leatherens.core.host import PluginHost
from leatherens.core.judged_run import JudgedRun, judged_run, known_map
from leatherens.core.listing import counted, named
from leatherens.core.paired import Difference, resampled, resampled_difference, share_difference
from leatherens.core.progress import Progress
from leatherens.core.randomness import numpy_generator
from leatherens.core.reporting import RunView, ScoredImage
from leatherens.core.score_counts import FloatArray
from leatherens.core.strangers import surviving
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.guarding import WRITING
from leatherens.ensembles.learned_size import learned_files, megabytes, numbers_in
from leatherens.ensembles.reopening import view_of_run

RESAMPLINGS = 1000
SEED = 0
"""Of the draws: the same runs give the same intervals."""


@dataclass(frozen=True, slots=True)
class Given:
    """A run to compare. digests: of the content of its images by id, where they are known."""

    view: RunView
    digests: Mapping[str, str] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def all_costs(self) -> dict[str, float]:
        """With what the run measured when it was made."""
        spent = self.view.metrics["ensemble"].get("ms_per_image")
        found = {"milliseconds per image": math.nan if spent is None else float(spent), **self.costs}
        known = self.view.details.costs
        if known is None:
            return found
        parts = [*known.members.values(), *([] if known.joint is None else [known.joint])]
        seconds = [math.nan if part.seconds is None else part.seconds for part in parts]
        backbones = known.backbones.values()
        return {
            **found,
            "megabytes of backbones": sum(backbone.mb for backbone in backbones),
            "numbers of backbones": float(sum(backbone.parameters for backbone in backbones)),
            "seconds to learn": sum(seconds),
        }


def given_run(path: Path, host: PluginHost, progress: Progress) -> Given:
    """A finished run, opened from what its folder keeps."""
    folder = RunFolder(path)
    view = view_of_run(path, host, progress)
    digests = read_json(folder.images) if folder.images.exists() else {}
    files = learned_files(path / "members", path / "ensemble")
    learned = [file for file in files if file != folder.out_of_fold]  # scores that folds made, not learned
    costs = {"megabytes learned": megabytes(learned), "numbers learned": float(numbers_in(learned))}
    return Given(view, digests if isinstance(digests, dict) else {}, costs)


def require_distinct(runs: Sequence[Path]) -> None:
    """Refuse a run that is given twice: it differs from itself in nothing."""
    seen: dict[Path, Path] = {}
    for run in runs:
        if run.resolve() in seen:
            raise ConfigError(f"{run}: given twice; give different runs to compare")
        seen[run.resolve()] = run


def write_comparison(found: ComparisonView, folder: Path, host: PluginHost) -> list[Path]:
    """What the reporters that compare runs make of it; returns the files to open."""
    paths = []
    for id, reporter in host.reporters().usable().items():
        with surviving(f"reporter '{id}'", WRITING):
            path = reporter().write_comparison(found, folder)
            paths += [] if path is None else [path]
    return paths


def compare_runs(
    given: Sequence[Given], progress: Progress, command: str, resamplings: int = RESAMPLINGS
) -> ComparisonView:
    """Compare the others with the first, on the images that all were tested on."""
    views, remarks = _in_common(given, _names([run.view.name for run in given]))
    judged = [_judged(name, view, progress) for name, view in views.items()]
    values = _resampled(judged, resamplings, progress)
    runs = tuple(
        ComparedRun(
            name,
            view,
            judged[i],
            differences={} if i == 0 else _differences(judged, values, i),
            costs=given[i].all_costs,
        )
        for i, (name, view) in enumerate(views.items())
    )
    changed = changed_keys([run.view.recipe for run in given])
    return ComparisonView(runs, changed, tuple(remarks), command, resamplings)


def _names(names: Sequence[str]) -> list[str]:
    """The runs' names, numbered where several have one."""
    counts, seen, told = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        told.append(f"{name} ({seen[name]})" if counts[name] > 1 else name)
    return told


def _in_common(given: Sequence[Given], names: Sequence[str]) -> tuple[dict[str, RunView], list[str]]:
    """The views cut to the images that all have alike, in the first one's order, and what was left out."""
    by_id = [{image.id: image for image in run.view.images} for run in given]
    shared = [id for id in by_id[0] if all(id in images for images in by_id)]
    altered = [id for id in shared if len({run.digests.get(id) for run in given} - {None}) > 1]
    relabelled = [id for id in shared if len({images[id].defective for images in by_id}) > 1]
    left_out = {*altered, *relabelled}
    common = [id for id in shared if id not in left_out]
    remarks = []
    for name, images in zip(names, by_id, strict=True):
        if alone := [id for id in images if id not in shared]:
            remarks.append(f"Not in all runs: {counted(len(alone), 'image')} of {name} ({named(alone)}).")
    if altered:
        remarks.append(f"One name, different content: {counted(len(altered), 'image')} ({named(altered)}).")
    if relabelled:
        remarks.append(f"Labelled differently: {counted(len(relabelled), 'image')} ({named(relabelled)}).")
    if not common:
        raise InputError(
            f"{enumerated(names)} have no test image in common, so that they cannot be compared. "
            f"{' '.join(remarks)} Give runs that were tested on the same images."
        )
    if remarks:
        shared_by_all = f"Compared on the {counted(len(common), 'image')} that all runs were tested on."
        remarks = [" ".join([shared_by_all, *remarks])]
    seen = [[images[id] for id in common] for images in by_id]
    if unsure := _unmarked(seen):
        remarks.append(
            f"Pixel metrics leave out {counted(len(unsure), 'image')} whose map or mask is gone from one of "
            f"the runs ({named(sorted(unsure))})."
        )
    return {
        name: replace(run.view, images=tuple(_without_truth(image, unsure) for image in images))
        for name, run, images in zip(names, given, seen, strict=True)
    }, remarks


def _unmarked(seen: Sequence[Sequence[ScoredImage]]) -> set[str]:
    """The images whose pixels some of the runs know the truth of, and some do not."""
    known = [{image.id for image in images if known_map(image) is not None} for images in seen]
    return {id for ids in known for id in ids if not all(id in others for others in known)}


def _without_truth(image: ScoredImage, unsure: Collection[str]) -> ScoredImage:
    return replace(image, truth=_nobody_marked) if image.id in unsure else image


def _nobody_marked() -> None:
    """What `ScoredImage.truth` says where no mask is known."""


def _judged(name: str, view: RunView, progress: Progress) -> JudgedRun:
    labelled = sum(image.defective is not None for image in view.images)
    with progress.step(f"{name}: measuring", 2 * labelled) as advance:
        return judged_run(view, advance)


def _resampled(judged: Sequence[JudgedRun], count: int, progress: Progress) -> list[Mapping[str, FloatArray]]:
    """Every metric in every draw, the same draws for all runs; nothing without a labelled image."""
    defective = judged[0].defective
    if not defective.size:
        return [{} for _ in judged]
    draws = stratified_draws(defective.tolist(), count, numpy_generator(SEED, "comparison"))
    values: list[Mapping[str, FloatArray]] = []
    with progress.step("resampling the images", len(judged)) as advance:
        for run in judged:
            values.append(resampled(run.judged, defective, run.known, draws))
            advance(1)
    return values


def _differences(
    judged: Sequence[JudgedRun], values: Sequence[Mapping[str, FloatArray]], index: int
) -> dict[str, Difference]:
    """To the first run."""
    first, other = judged[0], judged[index]
    found = {}
    for metric in COMPARED:
        if metric in SHARES:
            counted_in = first.defective if metric == "missed_rate" else ~first.defective
            wrong = [(run.judged.flagged != run.defective)[counted_in] for run in (first, other)]
            found[metric] = share_difference(*wrong)
        else:
            draws = values[0], values[index]
            found[metric] = resampled_difference(metric, first.values, other.values, draws)
    return found


def changed_keys(recipes: Sequence[Mapping[str, Any]]) -> tuple[ChangedKey, ...]:
    """The keys that the recipes do not agree on, dotted; what one of them lacks is one key, however deep.

    >>> changed_keys([{"seed": 0, "head": {"id": "a"}}, {"seed": 0, "head": {"id": "b", "k": {"x": 1}}}])
    (ChangedKey(key='head.id', said=('a', 'b')), ChangedKey(key='head.k', said=('', 'x: 1')))
    """
    return tuple(_changed("", recipes))


_NOTHING = object()
"""Stands for a key that a recipe has not."""


def _changed(prefix: str, recipes: Sequence[Any]) -> list[ChangedKey]:
    if all(isinstance(recipe, Mapping) for recipe in recipes):
        keys = dict.fromkeys(key for recipe in recipes for key in recipe)
        return [
            changed
            for key in keys
            for changed in _changed(
                f"{prefix}.{key}" if prefix else str(key), [recipe.get(key, _NOTHING) for recipe in recipes]
            )
        ]
    said = tuple(_said(recipe) for recipe in recipes)
    return [ChangedKey(prefix, said)] if len(set(said)) > 1 else []


def _said(value: Any) -> str:
    """A value of a recipe on one line."""
    if value is _NOTHING:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_said(inner)}" for key, inner in value.items()) or "{}"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
