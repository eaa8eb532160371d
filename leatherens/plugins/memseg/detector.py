"""The MemSeg detector: options, the memory, training on artificial anomalies, scores and feature maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import ConfigError
from leatherens.core.geometry import block_mean, mean_of, top_mean
from leatherens.core.losses import focal
from leatherens.core.params import Share, ShareRange
from leatherens.core.randomness import numpy_generator, seeded_construction
from leatherens.core.schedules import KeepingParams, Schedule
from leatherens.core.synthesis.faded import Faded
from leatherens.core.synthesis.kinds import AnomalyKind, OneOf, spoilt
from leatherens.core.synthesis.structural import StructuralAnomaly, restyled
from leatherens.core.synthesis.textural import TexturalAnomaly
from leatherens.core.synthesis.texture_choice import Textures, say_what_was_skipped, textures_of
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import FeatureMaps, ImageBatch, ImagesInMemory, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.memseg.memory import Memory
from leatherens.plugins.memseg.networks import MemSegNetwork

GAMMA = 4.0
"""Of the focal loss."""

COUNTED = 100
"""Pixels that an image's score is the mean of."""

POOLED = 4
"""Logits are delivered averaged over blocks of this side; fusion does not work finer."""


def segmentation_loss(logits: Tensor, masks: Tensor, l1_weight: float, valid: Tensor | None = None) -> Tensor:
    """(B,): L1 of the anomaly's probability (B, 2, H, W) from its mask (B, H, W), and focal loss.

    Means over valid pixels; they weigh `l1_weight` and what is left of 1.
    """
    shares = logits.float().softmax(dim=1)
    apart = mean_of((shares[:, 1] - masks.float()).abs(), valid)
    missed = mean_of(focal(shares, masks, gamma=GAMMA), valid)
    return l1_weight * apart + (1 - l1_weight) * missed


def rate(step: int, steps: int, *, warm: float, least: float) -> float:
    """The learning rate of a step of `steps`, as a share of the highest: a ramp from `least`, then a cosine.

    >>> [round(rate(step, 100, warm=0.1, least=0.1), 3) for step in (0, 5, 10, 55, 100)]
    [0.1, 0.55, 1.0, 0.55, 0.1]
    """
    ramp = round(warm * steps)
    if step < ramp:
        return least + (1 - least) * step / ramp
    return least + (1 - least) * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp))) / 2


def joined(first: ImageBatch, second: ImageBatch) -> ImageBatch:
    """The images of two batches of one size; both have valid masks, or neither."""
    masks = [batch.valid for batch in (first, second) if batch.valid is not None]
    return ImageBatch(
        torch.cat([first.pixels, second.pixels]), first.ids + second.ids, torch.cat(masks) if masks else None
    )


def _five(layers: tuple[int, ...]) -> tuple[int, ...]:
    if len(layers) != 5:
        raise ValueError("expected five levels, each half as fine as the one before, such as (0, 1, 2, 3, 4)")
    return layers


class MemSeg(Detector):
    """Segments what differs from a memory of good images; learned from artificial anomalies."""

    id: ClassVar[str] = "memseg"
    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=32, min_size=64, min_images=2, trains=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("decoder3", "logits")
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "memory": 4,
        "itself": False,
        "scaled": True,
        "width": 8,
        "batch_size": 4,
        "steps": 60,
    }

    class Params(KeepingParams):
        """The settings of the open implementation; the authors published no code."""

        backbone: str = "resnet18"
        layers: Annotated[tuple[int, ...], AfterValidator(_five)] = (0, 1, 2, 3, 4)
        """Of a pyramid: the three in the middle are compared with the memory, the others only decoded."""
        weights: str = "pretrained"
        memory: PositiveInt = 30
        """Good images to remember; fewer if there are fewer to learn from."""
        itself: bool = True
        """Compare a remembered image with itself while learning, as published: all that differs then is the
        anomaly, which no image under test will be so kind to show. Else with the nearest other one."""
        scaled: bool = False
        """Divide levels by their size in the memory. The weights of places are products of three squared
        differences, and features of other backbones than ResNets may be far from 1."""
        width: PositiveInt = 48
        """Channels of the decoder's two finest stages."""
        epochs: PositiveInt = 100
        steps: PositiveInt | None = 5000
        batch_size: Annotated[int, Field(ge=2)] = 8
        """Every second image is spoilt."""
        learning_rate: PositiveFloat = 3e-3
        """Of AdamW, reached after a tenth of the steps, and then falling along a cosine."""
        least_rate: PositiveFloat = 1e-4
        """Learning rate at the end."""
        weight_decay: NonNegativeFloat = 5e-4
        warm_share: Share = 0.1
        """Of the steps, over which the learning rate rises."""
        l1_weight: Share = 0.6
        """Of the L1 loss; the focal loss has what is left of 1."""
        opacity: ShareRange = (0.15, 1.0)
        """Ends of an anomaly's part in its mixture with the good image."""
        textures: Path | None = None
        """Folder of pictures of anything else (the paper: Describable Textures Dataset); else procedural."""

    network_: MemSegNetwork
    memory_: Memory

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, a narrow decoder and fewer steps."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(backbone=DEFAULT_MODEL, scaled=True, itself=False, width=16, steps=150)

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """One frozen pyramid of five levels."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """Per compared level its squared differences and what they were fused to; the decoder; the logits."""
        self.require_fitted("features")
        levels = list(zip(self.channels_[1:4], self.strides_[1:4], strict=True))
        decoded = [*reversed(levels), (self.params.width, self.strides_[0])]
        return (
            *(FeatureSpec(f"{self.id}/difference{i}", c, s) for i, (c, s) in enumerate(levels, start=1)),
            *(FeatureSpec(f"{self.id}/fused{i}", c, s) for i, (c, s) in enumerate(levels, start=1)),
            *(FeatureSpec(f"{self.id}/decoder{i}", c, s) for i, (c, s) in enumerate(decoded, start=1)),
            FeatureSpec(f"{self.id}/logits", 2, POOLED),
        )

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse levels that do not halve from half of the image on, as the decoder doubles them."""
        strides = specs[0].strides
        if strides[0] != 2 or any(2 * fine != coarse for fine, coarse in pairwise(strides)):
            raise ConfigError(
                f"{self.id}: expected levels of strides 2, 4, 8, 16 and 32, {self.params.backbone} gives "
                f"{strides} at layers {self.params.layers}"
            )

    def _build(self) -> None:
        stem, *levels, deep = self.channels_
        network = MemSegNetwork(stem, levels, deep, self.params.width)
        self.network_ = network.to(memory_format=torch.channels_last)
        sizes = [(self.size_[0] // stride, self.size_[1] // stride) for stride in self.strides_[1:4]]
        self.memory_ = Memory(self.remembered_, levels, sizes)

    def _remember(self, spec: PyramidSpec, images: ImageSource) -> None:
        self.channels_, self.strides_ = list(spec.channels), list(spec.strides)
        self.size_, self.backbone_ = list(images.size), spec.fingerprint
        self.remembered_ = min(self.params.memory, len(images.ids))

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        textures = textures_of(self.params.textures)
        self._remember(context.pool.spec(self.backbones()[0]), images)
        self.require_learned_size(validation.size)
        with seeded_construction(context.seed, self.id):
            self._build()
        self.to(context.device)
        known = self._fill(images, context)
        schedule = self.params.schedule(len(images.ids))
        task = self._task(schedule, self._kind(textures), known, context)
        self.log_ = train(task, images, validation, schedule, context).as_json()
        self.memory_.eval()
        say_what_was_skipped(textures, self.id, context.progress)

    def _fill(self, images: ImageSource, context: FitContext) -> tuple[str, ...]:
        """Remember some good images, drawn at random; their names."""
        order = numpy_generator(context.seed, self.id, "memory").permutation(len(images.ids))
        batch = images.batch(order[: self.remembered_].tolist())
        walk = context.walk(ImagesInMemory(batch), self.backbones(), f"{self.id}: filling the memory")
        levels = [pyramids[self.backbones()[0]].maps[1:4] for _, pyramids in walk]
        whole = [torch.cat(level) for level in zip(*levels, strict=True)]
        self.memory_.fill(whole, scaled=self.params.scaled)
        return batch.ids

    def _kind(self, textures: Textures) -> AnomalyKind:
        kinds = (TexturalAnomaly(textures, augmenters=0), StructuralAnomaly(change=restyled))
        return Faded(OneOf(kinds), self.params.opacity)

    def _task(
        self, schedule: Schedule, kind: AnomalyKind, known: tuple[str, ...], context: FitContext
    ) -> Task:
        options, (request,) = self.params, self.backbones()

        def levels(batch: ImageBatch, *, keep: bool) -> Sequence[Tensor]:
            return context.pool.pyramids(batch, [request], keep=keep)[request].maps

        def lost(shown: ImageBatch, pyramid: Sequence[Tensor], masks: Tensor) -> Tensor:
            stem, *compared, deep = pyramid
            barred = self._barred(shown, known)
            seen = self.network_(stem, self.memory_.compared(compared, shown.valid, barred), deep)
            return segmentation_loss(seen.logits, masks, options.l1_weight, shown.valid)

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            parts = ImagesInMemory(batch)
            bad, where = spoilt(parts.batch(range(0, len(batch), 2)), kind, generator)
            good = parts.batch(range(1, len(batch), 2))
            nowhere = torch.zeros_like(good.pixels[:, 0], dtype=torch.bool)
            pairs = zip(levels(bad, keep=False), levels(good, keep=True), strict=True)
            masks = torch.cat([where, nowhere])
            return lost(joined(bad, good), [torch.cat(pair) for pair in pairs], masks).mean()

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            bad, where = spoilt(batch, kind, generator)
            return lost(bad, levels(bad, keep=True), where)

        adam = torch.optim.AdamW(
            self.network_.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        least = min(1.0, options.least_rate / options.learning_rate)
        falling: Any = partial(rate, steps=schedule.steps, warm=options.warm_share, least=least)
        rates = torch.optim.lr_scheduler.LambdaLR(adam, falling)
        judges = judge if options.keep == "best" else None
        identity = f"{options!r} {self.backbone_}"
        return Task(self.id, self.network_, [adam], loss, judges, [rates], identity)

    def _barred(self, batch: ImageBatch, known: tuple[str, ...]) -> Tensor | None:
        """(B, M): where image and remembered image are one; `None` where they may be compared."""
        if self.params.itself or len(known) == 1:
            return None
        same = [[name == remembered for remembered in known] for name in batch.ids]
        return torch.tensor(same, device=batch.pixels.device)

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        self.require_learned_size(batch.size)
        stem, *levels, deep = pyramids[self.backbones()[0]].maps
        compared = self.memory_.compared(levels, batch.valid)
        seen = self.network_(stem, compared, deep)
        differences = [level[:, level.shape[1] // 2 :] for level in compared]
        maps = (*differences, *seen.fused, *seen.decoded, block_mean(seen.logits, POOLED))
        features = FeatureMaps(maps, tuple(spec.name for spec in self.features()))
        pixels = seen.logits.softmax(dim=1)[:, 1]
        return Observation(features, ScoreMap(pixels, top_mean(pixels, COUNTED, batch.valid)))
