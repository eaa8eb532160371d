"""Small detectors that keep the contract: they must pass every check of the conformance kit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest, Pyramids
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, FeatureSpec, FitContext
from leatherens.core.geometry import image_maximum, resize_scores, smooth
from leatherens.core.params import Params
from leatherens.core.randomness import seeded_construction
from leatherens.core.schedules import Schedule
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap, batches


def mahalanobis(rows: Tensor, mean: Tensor, precision: Tensor) -> Tensor:
    """(n, C) rows to (n,) squared distances."""
    centred = rows - mean
    return ((centred @ precision) * centred).sum(dim=1)


def colour_and_contrast(pixels: Tensor, sigma: float) -> Tensor:
    """(B, 3, H, W) to (B, 4, H, W): local colour and how much grey varies around it."""
    colour = torch.stack([smooth(channel, sigma) for channel in pixels.unbind(1)], dim=1)
    grey = pixels.mean(dim=1)
    contrast = smooth((grey - smooth(grey, sigma)).square(), sigma).clamp_min(0).sqrt()
    return torch.cat([colour, contrast[:, None]], dim=1)


class PatchGaussian(Detector):
    """One Gaussian over local colour and contrast of all good pixels; a statistic, nothing is trained."""

    id = "patch-gaussian"

    class Params(Params):
        sigma: Annotated[float, Field(gt=0)] = 1.5
        ridge: float = 1e-6

    mean_: Tensor
    precision_: Tensor

    def features(self) -> tuple[FeatureSpec, ...]:
        return (FeatureSpec(f"{self.id}/colour", 4, 1),)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        rows = torch.cat([self._rows(batch) for batch in batches(images, 4)]).double()
        self.mean_ = rows.mean(dim=0).float()
        covariance = rows.T.cov() + self.params.ridge * torch.eye(rows.shape[1], dtype=torch.float64)
        self.precision_ = torch.linalg.inv(covariance).float()

    def _rows(self, batch: ImageBatch) -> Tensor:
        maps = colour_and_contrast(batch.pixels, self.params.sigma).permute(0, 2, 3, 1)  # (B, H, W, 4)
        return maps.flatten(0, 2) if batch.valid is None else maps[batch.valid]

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        maps = colour_and_contrast(batch.pixels, self.params.sigma)
        rows = maps.permute(0, 2, 3, 1).flatten(0, 2)  # (B*H*W, 4)
        pixels = mahalanobis(rows, self.mean_, self.precision_).view(len(batch), *batch.size)
        features = FeatureMaps((maps,), (f"{self.id}/colour",))
        return Observation(features, ScoreMap(pixels, image_maximum(pixels, batch.valid)))


class GrowingGaussian(PatchGaussian):
    """The same from sums, to which those of further images can be added."""

    id = "growing-gaussian"
    capabilities = Capabilities(updates=True)

    count_: int
    sum_: Tensor
    products_: Tensor

    def features(self) -> tuple[FeatureSpec, ...]:
        return (FeatureSpec(f"{self.id}/colour", 4, 1),)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self.count_ = 0
        self.sum_ = torch.zeros(4, dtype=torch.float64)
        self.products_ = torch.zeros(4, 4, dtype=torch.float64)
        self._update(images, validation, context)

    def _update(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        rows = torch.cat([self._rows(batch) for batch in batches(images, 4)]).double()
        self.count_ = self.count_ + len(rows)
        self.sum_ = self.sum_ + rows.sum(dim=0)
        self.products_ = self.products_ + rows.T @ rows
        mean = self.sum_ / self.count_
        covariance = self.products_ / self.count_ - mean.outer(mean)
        ridge = self.params.ridge * torch.eye(4, dtype=torch.float64)
        self.mean_, self.precision_ = mean.float(), torch.linalg.inv(covariance + ridge).float()


class FrozenGaussian(Detector):
    """Distance of one level of a frozen pyramid from its mean over good images, in standard deviations."""

    id = "frozen-gaussian"
    REQUEST = BackboneRequest("test_resnet", (1,))

    mean_: Tensor
    deviation_: Tensor
    stride_: int

    def backbones(self) -> Sequence[BackboneRequest]:
        return (self.REQUEST,)

    def features(self) -> tuple[FeatureSpec, ...]:
        self.require_fitted("features")
        return (FeatureSpec(f"{self.id}/level1", len(self.mean_), self.stride_),)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        maps = [context.pyramids(b, self.backbones())[self.REQUEST].maps[0] for b in batches(images, 4)]
        rows = torch.cat([m.permute(0, 2, 3, 1).flatten(0, 2) for m in maps])  # (n, C)
        self.mean_, self.deviation_ = rows.mean(dim=0), rows.std(dim=0).clamp_min(1e-6)
        self.stride_ = context.pool.spec(self.REQUEST).strides[0]

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        maps = pyramids[self.REQUEST].maps[0]
        away = (maps - self.mean_.view(1, -1, 1, 1)) / self.deviation_.view(1, -1, 1, 1)
        pixels = resize_scores(away.square().mean(dim=1), batch.size)
        features = FeatureMaps((maps,), (f"{self.id}/level1",))
        return Observation(features, ScoreMap(pixels, image_maximum(pixels, batch.valid)))


def autoencoder() -> nn.Module:
    """Reconstructs colours from a quarter of the resolution and two channels."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 2, 3, stride=2, padding=1),
        nn.Upsample(scale_factor=4, mode="bilinear"),
        nn.Conv2d(2, 3, 3, padding=1),
    )


class TinyAutoencoder(Detector):
    """Error of a bottleneck that learned to reconstruct good images, by gradient steps."""

    id = "tiny-autoencoder"
    capabilities = Capabilities(multiple_of=4, min_size=16, min_images=2, trains=True, reconstructs=True)

    class Params(Params):
        steps: int = 40

    network_: nn.Module

    def features(self) -> tuple[FeatureSpec, ...]:
        return (FeatureSpec(f"{self.id}/error", 3, 1), FeatureSpec(f"{self.id}/code", 2, 4))

    def _build(self) -> None:
        self.network_ = autoencoder()

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        with seeded_construction(context.seed, self.id):
            self._build()
        optimizer = torch.optim.Adam(self.network_.parameters(), lr=0.02)
        task = Task(self.id, self.network_, [optimizer], self._loss, self._judge)
        schedule = Schedule(steps=self.params.steps, batch_size=4, validate_every=10)
        train(task, images, validation, schedule, context)

    def _loss(self, batch: ImageBatch, generator: torch.Generator) -> Tensor:
        noise = 0.02 * torch.randn(batch.pixels.shape, generator=generator)
        return (self.network_(batch.pixels + noise) - batch.pixels).square().mean()

    def _judge(self, batch: ImageBatch, generator: torch.Generator) -> Tensor:
        return (self.network_(batch.pixels) - batch.pixels).square().mean(dim=(1, 2, 3))

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        layers: Any = self.network_
        code = layers[:4](batch.pixels)
        reconstruction = layers[4:](code)
        error = (reconstruction - batch.pixels).square()
        pixels = smooth(error.mean(dim=1), 1.0)
        features = FeatureMaps((error, code), (f"{self.id}/error", f"{self.id}/code"))
        return Observation(features, ScoreMap(pixels, image_maximum(pixels, batch.valid)), reconstruction)
