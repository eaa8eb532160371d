"""A region to ignore, proposed by what held-out good images score: fitted or opened, scored, measured.

The images that validate a run choose the region, those that calibrate it measure what it would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from leatherens.configs.recipe import Recipe
from leatherens.core.disturbance import Alarms, Disturbance, Maps, alarms, disturbed
from leatherens.core.errors import InputError
from leatherens.core.host import PluginHost
from leatherens.core.photographs import Mask, Photograph
from leatherens.core.progress import Progress
from leatherens.core.types import batches
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.ensemble import ENSEMBLE, FittedEnsemble
from leatherens.ensembles.fitting import Fitting
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.opening import OpenedRun
from leatherens.ensembles.parts import build
from leatherens.ensembles.running import Run
from leatherens.ensembles.scoring import WholeScores, score_images
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.splits import Splits
from leatherens.ensembles.tiled_photographs import Source


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What is proposed.

    disturbance: at working size. before, after: what the highest pixels say without and with the region
    silenced. size: height and width of the photographs as prepared, at which the mask is drawn.
    mean: (h, w, 3) the mean of the images that chose it. ignored: (h, w) what counts in none of them anyway.
    """

    disturbance: Disturbance
    before: Alarms
    after: Alarms
    size: tuple[int, int]
    mean: Photograph
    ignored: Mask


@dataclass(frozen=True, slots=True)
class Judge:
    """A fitted ensemble and good images that taught it nothing: those that choose, those that measure."""

    ensemble: FittedEnsemble
    choosing: FileSource
    measuring: FileSource
    batch_size: int

    def suggest(self, progress: Progress, *, rate: float) -> Suggestion:
        """The region that disturbs; rate: of false alarms, for the threshold it is measured with."""
        size = _one_size((self.choosing, self.measuring))
        chosen, counted = self._maps(self.choosing, progress)
        found = disturbed(chosen, counted)
        others, elsewhere = self._maps(self.measuring, progress)
        shown = np.concatenate([chosen, others]), np.concatenate([counted, elsewhere])
        lowest = np.where(shown[1], shown[0], shown[0].min())  # what does not count raises no alarm
        chosen, others = lowest[: len(chosen)], lowest[len(chosen) :]
        before, after = (
            alarms(chosen, others, silenced, rate=rate)
            for silenced in (np.zeros_like(found.region), found.region)
        )
        ignored: Mask = np.logical_not(np.logical_or.reduce(counted))
        return Suggestion(found, before, after, size, _mean(self.choosing), ignored)

    def _maps(self, source: FileSource, progress: Progress) -> tuple[Maps, Mask]:
        """(n, h, w) scores and where they count."""
        with progress.step("scoring held-out good images", len(source.ids)) as advance:
            scores = score_images(self.ensemble, source, self.batch_size, advance).by_scorer[ENSEMBLE]
        assert isinstance(scores, WholeScores)
        maps = np.stack([pixels.numpy() for pixels in scores.maps])
        valids = [np.ones(maps.shape[1:], np.bool_) if v is None else v.numpy() for v in scores.valids]
        return maps, np.stack(valids)


def fitted_judge(recipe: Recipe, data: DataChoice, host: PluginHost, progress: Progress) -> Judge:
    """Members fitted for this alone, in a folder that is gone afterwards."""
    with TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch) / "run")
        made, pool, splits = Run(folder, recipe, data, host, progress, "").prepare()
        source = _whole(made)
        fitting = Fitting(folder, pool, progress, recipe.seed, recipe.device, recipe.batch_size)
        ensemble = fitting.ensemble(
            build(recipe, host), source.only(splits.fit), source.only(splits.validate)
        )
    return Judge(ensemble, source.only(splits.validate), source.only(splits.calibrate), recipe.batch_size)


def judge_of_run(run: OpenedRun, host: PluginHost) -> Judge:
    """A finished run and the good images it held out."""
    splits = Splits.read(run.folder.splits)
    if not splits.calibrate:
        raise InputError(
            f"{run.folder.path}: was calibrated across folds, so that no good image is left to measure what "
            "a mask changes; give --data instead, or a run made with --calibration split"
        )
    samples = run.folder.facts().data.read(host).samples
    source = _whole(run.source(samples))
    choosing, measuring = (source.only(ids) for ids in (splits.validate, splits.calibrate))
    return Judge(run.ensemble, choosing, measuring, run.recipe.batch_size)


def _whole(source: Source) -> FileSource:
    """Photographs that are looked at as a whole: what is in tiles has no working size in common."""
    if not isinstance(source, FileSource):
        raise InputError(
            "the run looks at photographs in tiles, on which no region in common can be found; use a run "
            "without --tile"
        )
    return source


def _one_size(sources: Sequence[FileSource]) -> tuple[int, int]:
    """The size of all photographs as prepared."""
    first: dict[tuple[int, int], str] = {}
    for source in sources:
        for id, frame in zip(source.ids, source.frames, strict=True):
            first.setdefault(frame.prepared, id)
    if len(first) > 1:
        (one, name), (other, its_name), *_ = first.items()
        raise InputError(
            f"the photographs differ in size ({name} is {one[0]} x {one[1]} pixels, {its_name} {other[0]} x "
            f"{other[1]}), and a region belongs to one; register them first (--prepare registration)"
        )
    return next(iter(first))


def _mean(source: FileSource) -> Photograph:
    """(h, w, 3): the mean of the images at working size."""
    total = np.zeros((*source.size, 3))
    for batch in batches(source, 8):
        total += batch.pixels.double().sum(dim=0).permute(1, 2, 0).numpy()
    return np.asarray((255 * total / len(source.ids)).round(), dtype=np.uint8)
