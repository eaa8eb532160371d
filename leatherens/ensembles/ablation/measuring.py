"""One variant's numbers: measured as a run is, and how far they would move with other test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leatherens.configs.recipe import Recipe
from leatherens.core.bootstrap import auroc_of, pixel_counts, share_of, stratified_draws
from leatherens.core.host import PluginHost
from leatherens.core.photographs import Mask
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import Sample
from leatherens.core.sweep import FloatArray, IntArray
from leatherens.ensembles.ablation.trials import Trial
from leatherens.ensembles.deciding import Decider, learn_deciders
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.evaluation import Masks, row
from leatherens.ensembles.evidence import Evidence
from leatherens.ensembles.scoring import ScorerScores, Scores
from leatherens.ensembles.sources import FileSource

RESAMPLED = ("image_auroc", "pixel_ap", "au_pro", "false_alarm_rate")
"""The metrics that come with an interval; milliseconds have none, they are no property of the test images."""

INTERVALS = (
    "95 % percentile bootstrap intervals: the test images drawn anew with replacement within the good, the "
    "defective and the unlabelled ones, the same draws for every variant; what was fitted stays as it is. "
    "Resampled pixel metrics come from counts at 2,049 frozen thresholds, the value itself is exact."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Metrics as in a run, and the resampled values (B,) of those that have an interval."""

    metrics: Mapping[str, float]
    resampled: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Yardstick:
    """The test images and their truth, and which of them each resampling draws."""

    samples: Sequence[Sample]
    masks: Masks
    draws: IntArray

    @classmethod
    def of(cls, test: FileSource, resamplings: int, seed: int) -> Yardstick:
        """For these test images; the same seed draws the same images for every variant."""
        labels = [sample.defective for sample in test.samples]
        draws = stratified_draws(labels, resamplings, numpy_generator(seed, "ablation", "resampling"))
        return cls(test.samples, test.masks(), draws)

    def measure(self, trial: Trial, recipe: Recipe, host: PluginHost) -> Measured:
        """A trial's metrics at the threshold that *calibrate* gives it."""
        decider = _decider(trial.calibrate, recipe, host)
        metrics = row(self.samples, trial.test, self.masks, decider, trial.milliseconds)
        resampled = {**self._of_images(trial.test, decider), **self._of_pixels(trial.test)}
        return Measured(metrics, resampled)

    def _of_images(self, scores: ScorerScores, decider: Decider) -> dict[str, FloatArray]:
        labels = np.array([-1 if s.defective is None else int(s.defective) for s in self.samples])
        known, good = labels >= 0, labels == 0
        return {
            "image_auroc": auroc_of(self.draws[:, known], scores.images[known], labels[known] == 1),
            "false_alarm_rate": share_of(self.draws[:, good], decider.flags(scores.images[good])),
        }

    def _of_pixels(self, scores: ScorerScores) -> dict[str, FloatArray]:
        known = [i for i, mask in enumerate(self.masks) if mask is not None]
        masks: list[Mask] = [mask for mask in self.masks if mask is not None]
        if not any(mask.any() for mask in masks):
            undefined = np.full(len(self.draws), np.nan)
            return {"pixel_ap": undefined, "au_pro": undefined}
        counts = pixel_counts([scores.map(i) for i in known], masks, [scores.valid(i) for i in known])
        draws = self.draws[:, known]
        return {"pixel_ap": counts.ap(draws), "au_pro": counts.au_pro(draws)}


def _decider(calibrate: ScorerScores, recipe: Recipe, host: PluginHost) -> Decider:
    ids = tuple(str(i) for i in range(len(calibrate.images)))
    return learn_deciders(recipe, host, Evidence(Scores(ids, {ENSEMBLE: calibrate}, {})))[ENSEMBLE]
