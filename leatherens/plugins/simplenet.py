"""SimpleNet: a discriminator that tells features from noisy features (Liu et al., CVPR 2023).

Patch descriptors of a frozen backbone pass a linear adapter; Gaussian noise makes anomalies of the adapted
features, and a small network learns to tell the two apart, position by position. Scoring takes one pass:
nothing is stored and nothing searched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.discriminator import HINGE, Discriminator, hinge_loss, whole_statistics, with_noise
from leatherens.core.params import OddSide, Params
from leatherens.core.patches import described_channels, locally_aware, patch_scores
from leatherens.core.randomness import numpy_generator, seeded_construction, torch_generator
from leatherens.core.rows import RowReservoir, maps_of, rows_of
from leatherens.core.schedules import KeepingParams
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import FeatureMaps, ImageBatch, ImagesInMemory, ImageSource, Observation, batches
from leatherens.core.weights import DEFAULT_MODEL

ADAPTER_DECAY, DISCRIMINATOR_DECAY = 1e-2, 1e-5
"""Weight decays of the authors' AdamW and Adam."""

SPREAD_ROWS = 20_000
"""Descriptors that show how far all of them spread; more no longer move it."""


class Networks(nn.Module):
    """Adapter and discriminator; build them under `randomness.seeded_construction`."""

    def __init__(self, channels: int, hidden: int, *, adapts: bool) -> None:
        super().__init__()
        self.adapter: nn.Module = nn.Identity()
        if adapts:
            self.adapter = nn.Linear(channels, channels)
            nn.init.xavier_normal_(self.adapter.weight)
        self.discriminator = Discriminator(channels, hidden)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Descriptors (M, C) to adapted features (M, C), the hidden layer (M, hidden), scores (M, 1)."""
        adapted = self.adapter(rows)
        hidden = self.discriminator.body(adapted)
        return adapted, hidden, -self.discriminator.tail(hidden)


def noisy_hinge(
    networks: Networks, rows: Tensor, *, deviation: float, margin: float, generator: torch.Generator
) -> Tensor:
    """Truncated hinge of descriptors (M, C) against themselves with noise of this deviation; scalar.

    Both sides share the adapter, so that it learns from both (section 3 of the paper).
    """
    with torch.autocast(rows.device.type, enabled=False):  # reduced precision would round small noise away
        adapted = networks.adapter(rows)
        fake = with_noise(adapted, adapted.new_ones(1), adapted.new_tensor([deviation]), generator)
        return hinge_loss(networks.discriminator, adapted, fake, margin)


def generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """A generator on the device that holds the rows, seeded by the step's, which may be elsewhere."""
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    return torch.Generator(device).manual_seed(int(seed))


def spread_of(rows: Tensor) -> float:
    """Root of the mean variance of the channels of (M, C).

    >>> spread_of(torch.tensor([[0.0, 5.0], [2.0, 5.0]]))
    0.7071067690849304
    """
    return float(rows.var(dim=0, correction=0).mean().sqrt())


class SimpleNet(Detector):
    """A linear adapter and a discriminator taught by noise; the score is how noisy a position looks."""

    id: ClassVar[str] = "simplenet"
    capabilities: ClassVar[Capabilities] = Capabilities(trains=True)
    default_cut: ClassVar[tuple[str, ...]] = ("adapted",)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "pretrain_embed_dimension": None,
        "target_embed_dimension": None,
        "hidden": 32,
        "noise": "relative",
        "noise_std": 1.5,
        "dsc_lr": 0.005,
        "proj_lr": 0.001,
        "batch_size": 4,
        "steps": 60,
    }

    class Params(KeepingParams):
        """The published settings: section 4 of the paper and the authors' code.

        Except for `keep`: the authors keep the best of 40 states by the images under test.
        """

        backbone: str = "wide_resnet50_2"
        layers: tuple[int, ...] = (2, 3)
        weights: str = "pretrained"
        patch_size: OddSide = 3
        """Side of the window around a position that its descriptor averages."""
        pretrain_embed_dimension: PositiveInt | None = 1536
        """Channels each level is averaged to; `None` keeps its own."""
        target_embed_dimension: PositiveInt | None = 1536
        """Channels of a descriptor; `None` keeps those of all levels."""
        pre_proj: bool = True
        """Whether there is an adapter; without one the noise is put on the descriptors."""
        hidden: PositiveInt = 1024
        """Width of the discriminator's hidden layer."""
        noise: Literal["absolute", "relative"] = "absolute"
        """What `noise_std` counts in: the features' own unit, or the spread of descriptors of good images."""
        noise_std: PositiveFloat = 0.015
        """Deviation of the noise; 0.015 belongs to the scale of this backbone's features."""
        dsc_margin: PositiveFloat = HINGE
        """Scores this far on the right side of zero no longer pull."""
        dsc_lr: PositiveFloat = 2e-4
        """Learning rate of the discriminator."""
        proj_lr: PositiveFloat = 1e-4
        """Learning rate of the projection."""
        epochs: PositiveInt = 160
        batch_size: PositiveInt = 8
        smoothing: NonNegativeFloat = 4.0
        """Sigma of the Gaussian over the score map, in pixels."""

    networks_: Networks
    channels_: int
    stride_: int
    deviation_: float
    """Of the noise, in the unit of the adapted features."""

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, noise on its features' scale, fewer steps."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(
            backbone=DEFAULT_MODEL,
            pretrain_embed_dimension=None,
            target_embed_dimension=None,
            hidden=256,
            noise="relative",
            noise_std=0.35,
            dsc_lr=1e-3,
            proj_lr=5e-4,
            steps=400,
        )

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """The frozen pyramid that descriptors are made of."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """The descriptors, the same adapted, the discriminator's hidden layer and the score it gives."""
        self.require_fitted("features")
        hidden: int = self.params.hidden
        wide = {"descriptors": self.channels_, "adapted": self.channels_, "hidden": hidden, "score": 1}
        return tuple(FeatureSpec(f"{self.id}/{name}", c, self.stride_) for name, c in wide.items())

    def _build(self) -> None:
        self.networks_ = Networks(self.channels_, self.params.hidden, adapts=self.params.pre_proj)

    def _remember(self, spec: PyramidSpec) -> None:
        options = self.params
        self.channels_ = described_channels(
            spec.channels, options.pretrain_embed_dimension, options.target_embed_dimension
        )
        self.stride_, self.backbone_ = min(spec.strides), spec.fingerprint

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        self._remember(context.pool.spec(request))
        with seeded_construction(context.seed, self.id):
            self._build()
        self.networks_.to(context.device)
        unit = self._spread(images, context) if self.params.noise == "relative" else 1.0
        self.deviation_ = self.params.noise_std * unit
        log = train(self._task(context), images, validation, self.params.schedule(len(images.ids)), context)
        self.log_ = log.as_json()
        self._settle(images, context)

    def _settle(self, images: ImageSource, context: FitContext) -> None:
        """Batch normalisation goes by all good descriptors and their noisy twins, not by the last batches."""
        generator = torch_generator(context.seed, self.id, "statistics")
        with whole_statistics(self.networks_):
            for batch, pyramids in context.walk(images, self.backbones(), f"{self.id}: settling statistics"):
                self._hinge(rows_of(self._described(pyramids), batch.valid), generator)

    def _spread(self, images: ImageSource, context: FitContext) -> float:
        """Of the descriptors, which the adapter keeps on average as it starts."""
        reservoir = RowReservoir(SPREAD_ROWS, numpy_generator(context.seed, self.id, "spread"))
        for batch, pyramids in context.walk(images, self.backbones(), f"{self.id}: spread of features"):
            reservoir.add(rows_of(self._described(pyramids), batch.valid))
        return spread_of(reservoir.rows())

    def _task(self, context: FitContext) -> Task:
        options = self.params

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            maps = self._described(context.pyramids(batch, self.backbones()))
            return self._hinge(rows_of(maps, batch.valid), generator)

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            singles = batches(ImagesInMemory(batch), 1)
            return torch.stack([loss(single, generator) for single in singles])

        judges = judge if options.keep == "best" else None
        identity = f"{options!r} {self.backbone_}"
        return Task(self.id, self.networks_, self._optimizers(), loss, judges, identity=identity)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        options, networks = self.params, self.networks_
        adam = torch.optim.Adam(
            networks.discriminator.parameters(), options.dsc_lr, weight_decay=DISCRIMINATOR_DECAY
        )
        if not options.pre_proj:
            return [adam]
        return [
            adam,
            torch.optim.AdamW(networks.adapter.parameters(), options.proj_lr, weight_decay=ADAPTER_DECAY),
        ]

    def _hinge(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        return noisy_hinge(
            self.networks_,
            rows,
            deviation=self.deviation_,
            margin=self.params.dsc_margin,
            generator=generator_on(rows.device, generator),
        )

    def _described(self, pyramids: Pyramids) -> Tensor:
        (request,) = self.backbones()
        options = self.params
        return locally_aware(
            pyramids[request].maps,
            side=options.patch_size,
            level_bins=options.pretrain_embed_dimension,
            bins=options.target_embed_dimension,
        )

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        descriptors = self._described(pyramids)
        seen = [maps_of(rows, descriptors) for rows in self.networks_(rows_of(descriptors))]
        maps = FeatureMaps((descriptors, *seen), tuple(spec.name for spec in self.features()))
        patches = seen[-1][:, 0]  # (B, h, w)
        scores = patch_scores(patches, batch.size, smoothing=self.params.smoothing, valid=batch.valid)
        return Observation(maps, scores)
