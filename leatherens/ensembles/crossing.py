"""Cross calibration: every good image is scored by an ensemble that did not learn from it.

Where good images are few, a share of them that only calibrates can promise little: n of them no rate under
1 / (n + 1). Here all that teach calibrate as well. They are dealt into folds; the whole ensemble, scales,
fusion and head included, learns from all folds but one and scores that one. Thresholds learn from the pooled
scores; what judges fresh images learned from all folds (cross-conformal prediction with one final fit).

What that gives is measured (docs/coverage.md) and not guaranteed: the final ensemble is another one than
those that scored. CV+ (Barber et al., 2021), which keeps all of them, guarantees at best twice the asked
rate, for as many times the work on every image that is judged.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from leatherens.configs.recipe import Calibration, Recipe
from leatherens.core.backbones import BackbonePool
from leatherens.core.calibration import normals_needed
from leatherens.core.errors import InputError
from leatherens.core.host import PluginHost
from leatherens.core.listing import counted
from leatherens.core.progress import Progress, Within
from leatherens.core.reading import Collection, Sample
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.fitting import Fitting
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.kept_scores import joined, read_scores_of, write_scores_of
from leatherens.ensembles.parts import build, build_preparation
from leatherens.ensembles.preparing import fit_preparation
from leatherens.ensembles.scoring import Scores, score_images
from leatherens.ensembles.splits import Splits, deal_folds
from leatherens.ensembles.tiled_photographs import Source, TiledPhotographs, source_of

Folds = tuple[tuple[str, ...], ...]
"""Sample ids by fold."""

WORTH_A_GUARANTEE = 0.1
"""The false-alarm rate from which `auto` asks for no smaller one to be guaranteed.

Measured over nine sets of real good images (docs/coverage.md): of 20 good images, 3 of them held out, a
share flags one fresh good image in four, folds fewer than they expect; of 100, 15 held out, 0.06 against
0.02. Folds are the better calibration wherever images are few, but everything is learned six times. From 9
held-out images (60 good ones) a share guarantees 0.1; what is left to gain is for the user to ask for.
"""


def enough(asked: float | None) -> int:
    """Held-out good images from which `auto` lets them calibrate: they guarantee what is asked, or 0.1.

    >>> enough(0.01), enough(0.05), enough(0.1), enough(None)
    (9, 9, 9, 9)
    """
    return normals_needed(max(asked or 0.0, WORTH_A_GUARANTEE))


def crosses(recipe: Recipe, held_out: int) -> bool:
    """Whether folds calibrate: as the recipe says, or where so few images would be held out for it."""
    few = held_out < enough(recipe.threshold.options.get("false_alarms"))
    return recipe.calibration is Calibration.cross or (recipe.calibration is Calibration.auto and few)


def with_folds(recipe: Recipe, splits: Splits, collection: Collection, progress: Progress) -> Splits:
    """Where folds calibrate, all images that would teach or calibrate teach.

    Raises `InputError` if the recipe asks for folds and there are too few groups (`auto` then splits), or for
    a share to calibrate, and splits that were given have none.
    """
    if not splits.calibrate and recipe.calibration is Calibration.split:
        raise InputError(
            "no image is there to calibrate; name some in the given splits, or take --calibration cross"
        )
    if not splits.calibrate:
        progress.say("the given splits name no image to calibrate: folds do")
        return splits
    if not crosses(recipe, len(splits.calibrate)):
        return splits
    samples = _of(collection, {*splits.fit, *splits.calibrate})
    alone = len({sample.group or sample.id for sample in samples}) < 2
    if alone and recipe.calibration is Calibration.auto:
        return splits
    folds = len(deal_folds(samples, seed=recipe.seed, count=recipe.folds))
    held_out = len(splits.calibrate)
    progress.say(
        f"calibrating across {folds} folds: {counted(held_out, 'held-out good image')} could promise no "
        f"false-alarm rate under {1 / (held_out + 1):.3g}. Everything is learned {folds + 1} times; with "
        "--calibration split once"
    )
    return replace(splits, fit=tuple(sorted(sample.id for sample in samples)), calibrate=())


def _of(collection: Collection, ids: set[str]) -> list[Sample]:
    return [sample for sample in collection.samples if sample.id in ids]


@dataclass(frozen=True, slots=True)
class FoldFolder(RunFolder):
    """Where a fold learns: below the run, which is what is gone on with. run: that one."""

    run: RunFolder | None = None

    @property
    def resume_command(self) -> str:
        """What to type to go on with the run."""
        return self.run.resume_command if self.run else RunFolder(self.path).resume_command


@dataclass(frozen=True, slots=True)
class Crossing:
    """Scores the good images of a run fold by fold; whatever was scored before is loaded."""

    folder: RunFolder
    recipe: Recipe
    host: PluginHost
    pool: BackbonePool
    progress: Progress

    def scores(self, source: Source, splits: Splits) -> Scores:
        """The out-of-fold scores of all images that taught, by every scorer, in the source's order."""
        good = source.only(splits.fit)
        if not self.folder.out_of_fold.exists():
            folds = deal_folds(good.samples, seed=self.recipe.seed, count=self.recipe.folds)
            for number in range(len(folds)):
                self._ensure(number, folds, source, splits)
            parts = [
                read_scores_of(self._kept(number), _thinned_as(good, good.only(fold)))
                for number, fold in enumerate(folds)
            ]
            write_scores_of(self.folder.out_of_fold, joined(parts))
        shutil.rmtree(self.folder.folds, ignore_errors=True)
        return read_scores_of(self.folder.out_of_fold, good, crossed=True)

    def _kept(self, number: int) -> Path:
        return self.folder.folds / f"{number + 1}.safetensors"

    def _ensure(self, number: int, folds: Folds, source: Source, splits: Splits) -> None:
        """Score a fold by an ensemble of its own, of which nothing else stays."""
        if self._kept(number).exists():
            return
        part = Within(self.progress, f"fold {number + 1} of {len(folds)}")
        folder = FoldFolder(self.folder.folds / str(number + 1), run=self.folder)
        taught = [id for other, fold in enumerate(folds) if other != number for id in fold]
        prepared = self._prepared(folder, source, taught, part)
        ensemble = self._fitted(folder, prepared, taught, splits, part)
        held_out = _thinned_as(prepared.only(splits.fit), prepared.only(folds[number]))
        with part.step("scoring", len(held_out.ids)) as advance:
            scores = score_images(ensemble, held_out, self.recipe.batch_size, advance)
        write_scores_of(self._kept(number), scores)
        shutil.rmtree(folder.path, ignore_errors=True)

    def _prepared(self, folder: RunFolder, source: Source, taught: list[str], progress: Progress) -> Source:
        """The images prepared by steps that saw those that teach only."""
        steps = build_preparation(self.recipe, self.host)
        if not any(step.learns for step in steps):
            return source
        samples = source.only(taught).samples
        steps = fit_preparation(folder, steps, samples, seed=self.recipe.seed, progress=progress)
        return source_of(self.recipe, source.samples, steps)

    def _fitted(
        self, folder: RunFolder, source: Source, taught: list[str], splits: Splits, progress: Progress
    ) -> FittedEnsemble:
        recipe = self.recipe
        fitting = Fitting(folder, self.pool, progress, recipe.seed, recipe.device, recipe.batch_size)
        return fitting.ensemble(
            build(recipe, self.host),
            source.only(taught).teaching,
            source.only(splits.validate).validating,
            tiles=recipe.tile is not None,
        )


def _thinned_as(whole: Source, part: Source) -> Source:
    """A part of some photographs, its maps thinned as those of all: in the end they are held together."""
    if isinstance(whole, TiledPhotographs) and isinstance(part, TiledPhotographs):
        part.step = whole.step
    return part
