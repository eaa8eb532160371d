"""Detectors that each break one promise, named for their sin: the check of that promise must fail them."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ConfigDict
from reference_members import FrozenGaussian, GrowingGaussian, PatchGaussian, TinyAutoencoder
from torch import Tensor, nn
from typing_extensions import Self

from leatherens.core.backbones import Pyramids
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Effort, FeatureSpec, FitContext
from leatherens.core.errors import InputError
from leatherens.core.geometry import image_maximum
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.testing.scenes import blobs


def rescored(seen: Observation, pixels: Tensor, image: Tensor | None = None) -> Observation:
    """The same features with other scores."""
    return Observation(
        seen.features, ScoreMap(pixels, pixels.flatten(1).amax(dim=1) if image is None else image)
    )


class Altered(PatchGaussian):
    """Scores as the reference member does, then spoils them in `_spoil`."""

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        return self._spoil(super()._observe(batch, pyramids), batch)

    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        raise NotImplementedError


# what a detector says about itself


class FitsInConstructor(PatchGaussian):
    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.mean_ = torch.zeros(4)


class BuildsInConstructor(PatchGaussian):
    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.network = nn.Conv2d(3, 3, 1)


class ReadsFileInConstructor(PatchGaussian):
    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.note = len(Path(__file__).read_text(encoding="utf-8"))


class RoundsItsOptions(PatchGaussian):
    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.params = self.Params(sigma=self.params.sigma + 0.5)


class ChangeableOptions(PatchGaussian):
    class Params(PatchGaussian.Params):
        model_config = ConfigDict(frozen=False)


class SwallowsUnknownOptions(PatchGaussian):
    class Params(PatchGaussian.Params):
        model_config = ConfigDict(extra="ignore")


class HidesItsOptions(PatchGaussian):
    __repr__ = object.__repr__


class CamelCaseId(PatchGaussian):
    id = "PatchGaussian"


class ForeignParamsForEffort(PatchGaussian):
    @classmethod
    def params_for(cls, effort: Effort) -> Any:
        return {"sigma": 2.0}


class AnswersBeforeFit(PatchGaussian):
    def observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        if not self.fitted:
            pixels = torch.zeros(len(batch), *batch.size)
            return Observation(FeatureMaps((), ()), ScoreMap(pixels, pixels.amax(dim=(1, 2))))
        return super().observe(batch, pyramids)


class CrashesBeforeFit(PatchGaussian):
    def require_fitted(self, call: str) -> None:
        """Nobody asks."""


# how it learns


class ReturnsNothing(PatchGaussian):
    def fit(self, images: ImageSource, *, validation: ImageSource, context: FitContext) -> Self:
        super().fit(images, validation=validation, context=context)
        return None  # type: ignore[return-value]


class LearnsOutsideTheConvention(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self.centre = images.batch([0]).pixels.mean()


class WritesIntoTrainingImages(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        images.batch([0]).pixels.clamp_(max=0.3)


class KeepsAView(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        self.bank_ = images.batch([0]).pixels[0, :, 0]


class KeepsTheSource(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        self.source = images


class Prints(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        sys.stdout.write("learned something\n")


class SeedsGlobalGenerator(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        random.seed(context.seed)
        np.random.seed(context.seed)
        super()._fit(images, validation, context)


class ChangesDefaultDtype(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        torch.set_default_dtype(torch.float64)


class SetsThreadsWhenScoring(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        torch.set_num_threads(torch.get_num_threads() + 1)
        return seen


class DrawsFromGlobalGenerator(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        self.mean_ = self.mean_ + 0.02 * torch.randn(4)


class AveragesOverFits(PatchGaussian):
    """Keeps the first fit's mean in an attribute that `forget` does not know."""

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        self.history = [*getattr(self, "history", []), self.mean_]
        self.mean_ = torch.stack(self.history).mean(dim=0)


class NeedsTwoImages(PatchGaussian):
    """Declares `min_images=1`, but takes the standard deviation over images."""

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        means = torch.stack([images.batch([i]).pixels.mean() for i in range(len(images.ids))])
        self.precision_ = self.precision_ / ((means - means.mean()).square().sum() / (len(means) - 1)).sqrt()


class CrashesOnMaskedImages(PatchGaussian):
    def _rows(self, batch: ImageBatch) -> Tensor:
        rows = super()._rows(batch)
        return rows.view(len(batch), *batch.size, -1).flatten(0, 2)


class LearnsFromNothing(PatchGaussian):
    def fit(self, images: ImageSource, *, validation: ImageSource, context: FitContext) -> Self:
        self.forget()
        self.mean_, self.precision_ = torch.zeros(4), torch.eye(4)
        return self


class StartsAnewWhenResumed(TinyAutoencoder):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        if context.checkpoint is not None:
            context.checkpoint.unlink(missing_ok=True)
        super()._fit(images, validation, context)


class OwnRandomStreamWhenResumed(TinyAutoencoder):
    """Draws from a stream of its own, which starts again when a training goes on."""

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self.draws = torch.Generator().manual_seed(0)
        super()._fit(images, validation, context)

    def _loss(self, batch: ImageBatch, generator: torch.Generator) -> Tensor:
        return super()._loss(batch, self.draws)


class TrainsWithoutProgress(PatchGaussian):
    capabilities = Capabilities(trains=True)


class TrainsInSecret(TinyAutoencoder):
    capabilities = Capabilities(multiple_of=4, min_size=16, min_images=2, trains=False, reconstructs=True)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        assert context.checkpoint is not None
        context.checkpoint.touch()


# how it scores


class DoublePrecision(PatchGaussian):
    def observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        seen = super().observe(batch, pyramids)
        return rescored(seen, seen.scores.pixels.double())


class SubtractsMeanInPlace(PatchGaussian):
    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        seen = super()._observe(batch, pyramids)
        batch.pixels.sub_(batch.pixels.mean())
        return seen


class WritesIntoPyramids(FrozenGaussian):
    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        seen = super()._observe(batch, pyramids)
        pyramids[self.REQUEST].maps[0].relu_().add_(1)
        return seen


class RemembersTheLastBatch(PatchGaussian):
    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        self.last = batch.pixels
        return super()._observe(batch, pyramids)


class LeftInTrainingMode(TinyAutoencoder):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        self.network_.train()


class MovesBatchNormWhenScoring(TinyAutoencoder):
    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        self.network_.train()
        super()._observe(batch, pyramids)
        self.network_.eval()
        return super()._observe(batch, pyramids)


class MinMaxOverTheBatch(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        pixels = seen.scores.pixels
        return rescored(seen, (pixels - pixels.min()) / (pixels.max() - pixels.min()))


class BatchStatisticsInFeatures(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        maps = seen.features.maps[0]
        whitened = (maps - maps.mean(dim=(0, 2, 3), keepdim=True)) / maps.std()
        return Observation(FeatureMaps((whitened,), seen.features.names), seen.scores)


class RunningSumOverTheBatch(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        return rescored(seen, seen.scores.pixels.cumsum(dim=0))


class ReadsTheLabelFromTheName(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        bonus = torch.tensor([1e9 * ("defect" in name) for name in batch.ids])
        return rescored(seen, seen.scores.pixels, seen.scores.image + bonus)


class ReadsRawMemory(Altered):
    """Takes the bytes as they lie, as code that hands a pointer to a C library does."""

    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        pixels = batch.pixels
        raw = torch.as_strided(
            pixels, pixels.shape, torch.empty(pixels.shape).stride(), pixels.storage_offset()
        )
        return rescored(seen, seen.scores.pixels * raw.mean(dim=1))


class KeepsTheGraph(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        with torch.inference_mode(False), torch.enable_grad():
            weight = torch.ones(1, requires_grad=True)
            pixels = seen.scores.pixels.clone() * weight
        return rescored(seen, pixels)


class SignReversed(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        return rescored(seen, -seen.scores.pixels, -seen.scores.image)


class MapTransposed(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        turned = seen.scores.pixels.transpose(1, 2)[:, None]
        pixels = torch.nn.functional.interpolate(turned, size=batch.size)[:, 0]
        return rescored(seen, pixels)


class MapMirrored(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        return rescored(seen, seen.scores.pixels.flip(-1))


class ScoresByPlaceNotByPicture(Altered):
    """Gives back where the defects were the last time; right until an image is mirrored."""

    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        return rescored(seen, blobs(len(batch), batch.size).float())


class CopiesTheImage(TinyAutoencoder):
    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        return replace(super()._observe(batch, pyramids), reconstruction=batch.pixels)


class PromisesReconstructions(PatchGaussian):
    capabilities = Capabilities(reconstructs=True)


class ReconstructsInSecret(TinyAutoencoder):
    """Its own `observe` lets through what the base class refuses."""

    capabilities = Capabilities(multiple_of=4, min_size=16, min_images=2, trains=True)

    def observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        with torch.inference_mode():
            return self._observe(batch, pyramids)


class LeavesHiddenPixelsLoud(PatchGaussian):
    def observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        return self._observe(batch, pyramids)


class ImageScoreOverHiddenPixels(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        return rescored(seen, seen.scores.pixels)


class TakesAnySize(TinyAutoencoder):
    """Pads in secret what its flags exclude, and crashes on what cannot be padded."""

    def check_size(self, size: tuple[int, int]) -> None:
        """Nobody asks."""


class RefusesWithoutTheSize(TinyAutoencoder):
    def check_size(self, size: tuple[int, int]) -> None:
        if any(side % 4 or side < 16 for side in size):
            raise InputError("tiny-autoencoder: this size of image cannot be used")


class CrashesOnAnotherSize(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        self.prior_ = torch.ones(images.size)

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        seen = super()._observe(batch, pyramids)
        return rescored(seen, seen.scores.pixels * self.prior_, seen.scores.image)


class SwallowsNaN(Altered):
    def _spoil(self, seen: Observation, batch: ImageBatch) -> Observation:
        clean = FeatureMaps(tuple(m.nan_to_num() for m in seen.features.maps), seen.features.names)
        pixels = seen.scores.pixels.nan_to_num()
        return Observation(clean, ScoreMap(pixels, image_maximum(pixels, batch.valid)))


# how it takes in further images


class UpdatesInSecret(GrowingGaussian):
    capabilities = Capabilities()


class PromisesUpdates(PatchGaussian):
    capabilities = Capabilities(updates=True)


class IgnoresAnUpdate(GrowingGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        PatchGaussian._fit(self, images, validation, context)
        self.count_, self.sum_, self.products_ = 0, torch.zeros(4), torch.zeros(4, 4)

    def _update(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        pass


class ForgetsInAnUpdate(GrowingGaussian):
    def _update(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self.count_, self.sum_, self.products_ = 0, self.sum_ * 0, self.products_ * 0
        super()._update(images, validation, context)


class SpoiltByCtrlC(GrowingGaussian):
    """Writes into the tensors it had, so that nobody can put them back."""

    def _update(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self.sum_ += 1
        super()._update(images, validation, context)


# how it is kept


class LosesATensor(PatchGaussian):
    def state(self) -> Mapping[str, Any]:
        return {name: value for name, value in super().state().items() if name != "precision_"}


class RoundsItsTensors(PatchGaussian):
    def state(self) -> Mapping[str, Any]:
        return {name: value.bfloat16().float() for name, value in super().state().items()}


class HoldsALambda(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        self.rule_ = lambda score: score > 1


class HoldsNaNInJson(PatchGaussian):
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        self.history_ = json.loads("[NaN]")


class DeclaresOtherChannels(PatchGaussian):
    def features(self) -> tuple[FeatureSpec, ...]:
        return (FeatureSpec(f"{self.id}/colour", 3, 1),)


class DeclaresAnotherStride(PatchGaussian):
    def features(self) -> tuple[FeatureSpec, ...]:
        return (FeatureSpec(f"{self.id}/colour", 4, 2),)


class DeclaresAnotherName(PatchGaussian):
    def features(self) -> tuple[FeatureSpec, ...]:
        return (FeatureSpec(f"{self.id}/color", 4, 1),)


class CutsNothing(PatchGaussian):
    default_cut = ("difference*",)


class KeepsATensorAside(PatchGaussian):
    """Caches what should move with the rest; survives saving, since loading rebuilds it."""

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        self._build()

    def _build(self) -> None:
        self.lookup = {"levels": torch.linspace(0, 1, 8)}
