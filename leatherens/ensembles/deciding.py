"""From scores to decisions: every scorer's thresholds and calibrator, learned on the calibrate images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from leatherens.configs.recipe import Choice, Recipe
from leatherens.core.calibration import Calibrator, normals_needed
from leatherens.core.host import PluginHost
from leatherens.core.reporting import Decision
from leatherens.core.thresholds import Threshold
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.parts import build_calibrator, build_threshold
from leatherens.ensembles.scoring import ScorerScores, Scores


@dataclass(frozen=True, slots=True)
class Decider:
    """One scorer's thresholds, and the calibrator that says how unusual a score is among good images."""

    threshold: Threshold
    calibrator: Calibrator

    def flags(self, images: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(n,) image scores to verdicts: True is defective."""
        flagged: NDArray[np.bool_] = images.astype(np.float64) > self.threshold.image_
        return flagged

    def marks(self, pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Scores of pixels to a mask: True is defective."""
        marked: NDArray[np.bool_] = pixels.astype(np.float64) > self.threshold.pixel_
        return marked

    def calibrated(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,) image scores to 1 - (1 + held-out good images scoring as high) / (n + 1)."""
        scores: NDArray[np.float32] = self.calibrator.calibrate(torch.from_numpy(images)).image.numpy()
        return scores

    @property
    def decision(self) -> Decision:
        """The thresholds as plain values."""
        return decision_of(self.threshold)


def decision_of(learned: Threshold) -> Decision:
    """Learned thresholds as plain values."""
    crossed = getattr(learned, "crossed_", False)
    return Decision(learned.id, learned.image_, learned.pixel_, learned.promise_, learned.normals_, crossed)


def learn_deciders(recipe: Recipe, host: PluginHost, scores: Scores) -> dict[str, Decider]:
    """A decider per scorer from the scores of held-out good images."""
    return {scorer: _learn(recipe, host, found, scores.crossed) for scorer, found in scores.by_scorer.items()}


def _learn(recipe: Recipe, host: PluginHost, scores: ScorerScores, crossed: bool) -> Decider:
    threshold = build_threshold(recipe, host).fit(replace(scores.normals(), crossed=crossed))
    calibrator = build_calibrator(recipe, host).fit(torch.from_numpy(scores.images))
    return Decider(threshold, calibrator)


def save_deciders(folder: RunFolder, deciders: Mapping[str, Decider]) -> None:
    """Write them into the run."""
    for scorer, decider in deciders.items():
        folder.save(folder.part("calibrators", scorer), decider.calibrator)
        folder.save(folder.part("thresholds", scorer), decider.threshold)


def load_deciders(
    folder: RunFolder, recipe: Recipe, host: PluginHost, scorers: tuple[str, ...]
) -> dict[str, Decider]:
    """What `save_deciders` wrote."""
    threshold, calibrator = type(build_threshold(recipe, host)), type(build_calibrator(recipe, host))
    return {
        scorer: Decider(
            folder.load(folder.part("thresholds", scorer), threshold),
            folder.load(folder.part("calibrators", scorer), calibrator),
        )
        for scorer in scorers
    }


def recipe_in_force(recipe: Recipe, deciders: Mapping[str, Decider]) -> Recipe:
    """The recipe with the threshold's options as they are now: recalibrating may have changed them."""
    options = next(iter(deciders.values())).threshold.params.model_dump(mode="json")
    return recipe.model_copy(update={"threshold": Choice(id=recipe.threshold.id, options=options)})


def promise_remark(recipe: Recipe, decision: Decision) -> str | None:
    """What the asked false-alarm rate became, where the held-out good images are too few to promise it."""
    asked = recipe.threshold.options.get("false_alarms")
    if asked is None or decision.promise is None or decision.promise <= asked:
        return None
    said = (
        "good images scored across folds can show" if decision.crossed else "held-out good images can promise"
    )
    return (
        f"a false-alarm rate of {asked:.3g} was asked for; {decision.normals} {said} "
        f"{decision.promise:.3g} at best ({normals_needed(asked)} are needed for the one asked)"
    )
