"""The DDAD detector: options, both trainings, the reconstruction, scores and feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.geometry import block_mean, image_maximum, silence, smooth
from leatherens.core.own_pyramid import OwnPyramid
from leatherens.core.pyramid_models import image_by_image
from leatherens.core.randomness import seeded_construction, torch_generator
from leatherens.core.training import Course
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.ddad.diffusion import denoised, noises
from leatherens.plugins.ddad.lessons import adaptation_task, denoising_task
from leatherens.plugins.ddad.options import DDADParams, refuse_impossible, refuse_size
from leatherens.plugins.ddad.scores import Distances, balance, distances
from leatherens.plugins.ddad.unet import UNet

POOLED = 4
"""Differences of pixels are delivered averaged over blocks of this side; fusion does not work finer."""


class DDAD(Detector):
    """Reconstructs an image as a good one by denoising; the score is how far they are apart."""

    id: ClassVar[str] = "ddad"
    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=32, min_size=32, min_images=2, trains=True, reconstructs=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("residual", "difference*")
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "width": 16,
        "multipliers": [1, 2],
        "attention": [2],
        "heads": 2,
        "patch": 2,
        "predicts": "image",
        "learned_times": "asked",
        "exact": True,
        "batch_size": 4,
        "steps": 100,
        "learning_rate": 0.005,
        "skip": 125,
        "conditioning": 0,
        "adaptation_steps": 2,
        "adaptation_batch": 4,
    }

    class Params(DDADParams):
        """As in `options`."""

    unet_: UNet
    extractor_: OwnPyramid
    balance_: float
    """What pixel distances are multiplied by before `pixel_weight`."""

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort a small U-Net on patches that says which image it sees, two calls, less
        noise, no pull, and the backbone that is always there."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(
            backbone=DEFAULT_MODEL,
            width=32,
            multipliers=(1, 2, 2),
            attention=(4,),
            heads=2,
            patch=4,
            predicts="image",
            steps=300,
            batch_size=8,
            learning_rate=2e-3,
            anneal=True,
            start=150,
            learned_times="asked",
            skip=75,
            exact=True,
            conditioning=0.0,
            adaptation_steps=20,
            adaptation_batch=8,
            crop=128,
        )

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """What the feature extractor begins as."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """What separates pixels, and per compared level unit features, from the reconstruction's; how far."""
        self.require_fitted("features")
        levels = list(zip(self.params.layers[1:], self.channels_[1:], self.strides_[1:], strict=True))
        return (
            FeatureSpec(f"{self.id}/residual", 3, POOLED),
            *(FeatureSpec(f"{self.id}/difference{i}", c, s) for i, c, s in levels),
            *(FeatureSpec(f"{self.id}/distance{i}", 1, s) for i, _, s in levels),
        )

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse images and crops whose grid the U-Net cannot halve, and heads that do not share channels."""
        refuse_impossible(self.params, size, owner=self.id)

    def _build(self) -> None:
        options = self.params
        unet = UNet(
            options.width,
            self.multipliers_,
            self.attention_,
            heads=options.heads,
            dropout=options.dropout,
            patch=options.patch,
        )
        (request,) = self.backbones()
        self.unet_ = unet.to(memory_format=torch.channels_last)
        extractor = OwnPyramid(request, self.mean_, self.std_)
        self.extractor_ = extractor.to(memory_format=torch.channels_last)

    def _remember(self, spec: PyramidSpec, size: tuple[int, int]) -> None:
        multipliers, attention = self.params.plan(size)
        self.multipliers_, self.attention_ = list(multipliers), list(attention)
        self.mean_, self.std_ = list(spec.mean), list(spec.std)
        self.channels_, self.strides_ = list(spec.channels), list(spec.strides)
        self.backbone_ = spec.fingerprint

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        self._remember(context.pool.spec(request), images.size)
        with seeded_construction(context.seed, self.id):
            self._build()
        context.pool.copy_into(self.extractor_.network, request)
        self.extractor_.eval()
        self.to(context.device)
        self.log_ = self._learn(Course(images, validation, context), len(images.ids))
        self.balance_ = self._balance(validation, context)

    def _learn(self, course: Course, images: int) -> dict[str, Any]:
        """To denoise first, then what the extractor makes of what was denoised; both trainings' logs."""
        options, schedule = self.params, self.params.schedule(images)
        denoising = denoising_task(f"{self.id} denoising", self.unet_, options, schedule)
        logs = {"denoising": course.train(denoising, schedule).as_json()}
        adapting = options.adaptation(images)
        if adapting:
            adaptation = adaptation_task(
                f"{self.id} adaptation", self.extractor_, self.unet_, options, self.backbone_
            )
            logs["adaptation"] = course.train(adaptation, adapting).as_json()
        return logs

    def _reconstructed(self, pixels: Tensor) -> Tensor:
        """Each image towards itself, with the same noise for all: a score depends on the image alone."""
        reverse, (height, width) = self.params.reverse(self.params.conditioning), pixels.shape[-2:]
        denoiser = self.params.denoiser(self.unet_)

        def each(some: Tensor) -> list[Tensor]:
            noise = noises((1, 3, height, width), torch_generator(0, self.id, "noise"))
            return [denoised(denoiser, some, some, reverse, noise)]

        return image_by_image(each, pixels)[0]

    def _distances(self, pixels: Tensor, rebuilt: Tensor) -> Distances:
        return distances(self.extractor_, pixels, rebuilt)

    def _balance(self, validation: ImageSource, context: FitContext) -> float:
        """From held-out good images: the extractor and the U-Net know the others."""
        peaks: list[Tensor] = []
        with torch.no_grad():
            for batch, _ in context.walk(validation, (), f"{self.id}: balancing pixels and features"):
                found = self._distances(batch.pixels, self._reconstructed(batch.pixels))
                both = [image_maximum(d, batch.valid) for d in (found.features, found.pixels)]
                peaks.append(torch.stack(both, dim=1).cpu())
        features, pixels = torch.cat(peaks).unbind(dim=1)
        return balance(features, pixels)

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        refuse_size(batch.size, self.unet_.unit, owner=self.id)
        rebuilt = self._reconstructed(batch.pixels)
        found = self._distances(batch.pixels, rebuilt)
        far = found.features + self.params.pixel_weight * self.balance_ * found.pixels
        pixels = smooth(silence(far, batch.valid), self.params.smoothing)
        residual = block_mean((batch.pixels - rebuilt).abs(), POOLED)
        maps = (residual, *found.differences, *(level[:, None] for level in found.levels))
        features = FeatureMaps(maps, tuple(spec.name for spec in self.features()))
        return Observation(features, ScoreMap(pixels, image_maximum(pixels, batch.valid)), rebuilt)
