"""Score fusions, calibrators, thresholds, preparations: each breaks one promise, and is named for its sin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leatherens.core.calibration import Calibrator, conformal_scores
from leatherens.core.errors import InputError
from leatherens.core.examples import Examples, Of
from leatherens.core.photographs import Mask
from leatherens.core.preparation import Comparison, Pictures, Preparation, Prepared
from leatherens.core.progress import Progress
from leatherens.core.scorefusion import Lessons, ScoreFusion
from leatherens.core.thresholds import ANY, Floats, Group, Labelled, Normals, Threshold
from leatherens.core.types import CalibratedScores, ScoreMap


class Mean(ScoreFusion):
    """Keeps the contract."""

    id = "plain-mean"

    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        return stacked.mean(dim=0)


class LosesTheImageAxis(Mean):
    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        return stacked.flatten(1).mean(dim=0)


class FirstVoterCountsDouble(Mean):
    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        return (stacked.sum(dim=0) + stacked[0]) / (len(stacked) + 1)


class RescalesALoneVoter(Mean):
    def fuse(self, voters: Any) -> ScoreMap:
        seen = super().fuse(voters)
        return ScoreMap(seen.pixels / 2, seen.image / 2)


class DistanceFromTheMean(Mean):
    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        return (stacked - 3 * stacked[0]).abs().amax(dim=0)


class MinMaxOverTheVotes(Mean):
    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        return ((stacked - stacked.min()) / (stacked.max() - stacked.min())).mean(dim=0)


class SuspicionAsRelief(Mean):
    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        return stacked.amax(dim=0) - 0.1 * stacked.amin(dim=0)


class LearnedMean(ScoreFusion):
    """Keeps the contract: the mean, measured from the mean good score."""

    id = "learned-mean"
    level_: Tensor
    lessons = Lessons.good

    def _fit(self, examples: Examples, seed: int) -> None:
        self.level_ = torch.stack([examples.good.of(of).mean() for of in Of])

    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        return stacked.mean(dim=0) - self.level_[of]


class RemembersEarlierLessons(LearnedMean):
    def _fit(self, examples: Examples, seed: int) -> None:
        super()._fit(examples, seed)
        self.level_ = self.level_ + getattr(self, "earlier", 0)
        self.earlier = self.level_


class LosesItsLevel(LearnedMean):
    def state(self) -> dict[str, Any]:
        return dict(super().state()) | {"level_": torch.zeros(2)}


class FusesUnfitted(LearnedMean):
    def fuse(self, voters: Any) -> ScoreMap:
        if self.fitted:
            return super().fuse(voters)
        return next(iter(voters.values()))


class Conformal(Calibrator):
    """Keeps the contract."""

    id = "plain-conformal"
    normals_: Tensor

    def _fit(self, normals: Tensor) -> None:
        self.normals_ = normals

    def _calibrate(self, scores: Tensor) -> CalibratedScores:
        return CalibratedScores(conformal_scores(scores, self.normals_), len(self.normals_))


class TurnedRound(Conformal):
    def _calibrate(self, scores: Tensor) -> CalibratedScores:
        right = super()._calibrate(scores)
        return CalibratedScores(1 - right.image, right.normals)


class AssumesGaussianScores(Conformal):
    def _calibrate(self, scores: Tensor) -> CalibratedScores:
        away = (scores - self.normals_.mean()) / self.normals_.std()
        return CalibratedScores(torch.special.ndtr(away), len(self.normals_))


class PoolsWithEarlierFits(Conformal):
    def _fit(self, normals: Tensor) -> None:
        self.earlier = torch.cat([getattr(self, "earlier", normals[:0]), normals])
        self.normals_ = self.earlier


class Highest(Threshold):
    """Keeps the contract; promises what the maximum of n promises, at any n."""

    id = "plain-highest"
    makes_promise = True

    def _value(self, scores: Floats) -> float:
        return float(scores.max())

    def _promise(self, count: int) -> float | None:
        return 1 / (count + 1)


class NeedsTwoScores(Highest):
    def _value(self, scores: Floats) -> float:
        return float(scores.max()) if len(scores) > 1 else float("nan")


class FixedMargin(Highest):
    def _value(self, scores: Floats) -> float:
        return float(scores.max() + 0.5)


class PromisesTooMuch(Highest):
    def _value(self, scores: Floats) -> float:
        return float(np.quantile(scores, 0.95))


class PromisesInSecret(Highest):
    makes_promise = False


class RemembersTheHighest(Highest):
    def _value(self, scores: Floats) -> float:
        self.highest = max(getattr(self, "highest", -np.inf), float(scores.max()))
        return self.highest


class LosesItsThreshold(Highest):
    def state(self) -> dict[str, Any]:
        return {name: value for name, value in super().state().items() if name != "pixel_"}


class PixelsByTheImages(Highest):
    def _pixel_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        return super()._pixel_limit(normals, labelled) + getattr(self, "image_", 0.0)


class PeeksAtLabels(Highest):
    def _image_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        return super()._image_limit(normals, labelled) if labelled is None else float(labelled.image.max())


class TakesDefectiveImagesOnly(Highest):
    """Learns from labels, and is content with one kind."""

    needs_labels = True

    def _check_labels(self, labelled: Labelled | None) -> None:
        if labelled is None:
            raise InputError("give labels")


class TellsNoGroupsAfterAll(Highest):
    tells_groups = True


class GroupsInSecret(Highest):
    def image_for(self, group: Group = ANY) -> float:
        return self.image_ + len(group.view)


class ShiftedBack(Preparation):
    """Keeps the contract: moves a picture to the right, and says so."""

    id = "shifted"
    learns = True
    by_: int

    def _fit(self, good: Pictures, seed: int, progress: Progress) -> None:
        self.by_ = len(good) + 3

    def _apply(self, picture: Prepared) -> Prepared:
        moved = np.zeros_like(picture.pixels)
        moved[:, self.by_ :] = picture.pixels[:, : -self.by_]
        empty = np.zeros(picture.size, np.bool_)
        empty[:, : self.by_] = True
        warp = np.array([[1.0, 0, self.by_], [0, 1, 0], [0, 0, 1]])
        kept = replace(picture, pixels=moved, warp=warp)
        for name in ("ignored", "hidden"):
            kept = replace(kept, **{name: self._moved(getattr(picture, name))})
        return kept.hiding(empty)

    def _moved(self, region: Mask | None) -> Mask | None:
        return None if region is None else np.roll(region, self.by_, axis=1)


class DeliversFloats(ShiftedBack):
    def _apply(self, picture: Prepared) -> Prepared:
        found = super()._apply(picture)
        return replace(found, pixels=found.pixels / 255)


class WritesIntoThePhotograph(ShiftedBack):
    def _apply(self, picture: Prepared) -> Prepared:
        picture.pixels[:4] = 0
        return super()._apply(picture)


class MovesEachTimeFurther(ShiftedBack):
    def _apply(self, picture: Prepared) -> Prepared:
        self.by_ += 1
        return super()._apply(picture)


class ForgetsWhatWasLeftOut(ShiftedBack):
    def _apply(self, picture: Prepared) -> Prepared:
        return super()._apply(replace(picture, ignored=None, hidden=None))


class WarpTurnedRound(ShiftedBack):
    def _apply(self, picture: Prepared) -> Prepared:
        found = super()._apply(picture)
        return replace(found, warp=np.linalg.inv(found.warp))


class ComparesOtherSizes(ShiftedBack):
    def compare(self, picture: Prepared) -> Comparison | None:
        return Comparison(picture.pixels, picture.pixels[:-1], "4 pixels", "The right one is moved.")


class RemembersEarlierPhotographs(ShiftedBack):
    def _fit(self, good: Pictures, seed: int, progress: Progress) -> None:
        super()._fit(good, seed, progress)
        self.by_ += getattr(self, "earlier", 0)
        self.earlier = 1


class CountsRowsFromTheBand(Preparation):
    """Says that it works by parts, and hides the upper rows of each."""

    id = "upper-rows"
    by_parts = True

    def _apply(self, picture: Prepared) -> Prepared:
        upper = np.zeros(picture.size, np.bool_)
        upper[:8] = True
        return picture.hiding(upper)


class LosesItsShift(ShiftedBack):
    def state(self) -> dict[str, Any]:
        return dict(super().state()) | {"by_": 1}
