"""The CFA detector: options, what is learned, scores and feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.clusters import centres_of
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.geometry import image_maximum
from leatherens.core.memory import refuse_beyond
from leatherens.core.params import Params
from leatherens.core.patches import described_channels, locally_aware, patch_scores
from leatherens.core.randomness import derive, seeded_construction
from leatherens.core.rows import maps_of, rows_of
from leatherens.core.schedules import KeepingParams
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import (
    FeatureMaps,
    ImageBatch,
    ImagesInMemory,
    ImageSource,
    Observation,
    ScoreMap,
    batches,
)
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.cfa.descriptor import Descriptor
from leatherens.plugins.cfa.hyperspheres import coupled_loss, mean_of_images, nearest_centres, softmin_score

TABLES = 6
"""Learning holds one step's descriptors so many times: five measured, and the pyramid they are made of."""

CLUSTERING_STEPS = 3000
"""The authors' bound, far beyond what k-means takes."""


class CFA(Detector):
    """Adapted descriptors around a memory of centres; the score is how far from them a position is."""

    id: ClassVar[str] = "cfa"
    capabilities: ClassVar[Capabilities] = Capabilities(trains=True)
    default_cut: ClassVar[tuple[str, ...]] = ("residual",)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "gamma_c": 4,
        "steps": 40,
    }

    class Params(KeepingParams):
        """The published settings; where paper and code differ, the code's.

        Not done here: the code reports the best epoch by the images under test, and with EfficientNet-B5, and
        nothing else, it divides features by their channels.
        """

        backbone: str = "wide_resnet50_2"
        layers: tuple[int, ...] = (1, 2, 3)
        weights: str = "pretrained"
        gamma_d: PositiveInt = 1
        """Descriptors are adapted to this fraction of their channels."""
        gamma_c: PositiveInt = 1
        """Positions per centre: the mean descriptors of all positions are clustered."""
        K: PositiveInt = 3
        """Nearest centres that attract, and that the score is taken over."""
        J: PositiveInt = 3
        """Next centres that repel."""
        radius: PositiveFloat = 1e-5
        """Of the hyperspheres before learning, which moves it."""
        nu: PositiveFloat = 1e-3
        """Both terms of the loss are divided by it."""
        alpha: NonNegativeFloat = 0.1
        """How far outside a squared radius repulsion ends."""
        epochs: PositiveInt = 30
        batch_size: PositiveInt = 4
        learning_rate: PositiveFloat = 1e-3
        weight_decay: NonNegativeFloat = 5e-4
        smoothing: NonNegativeFloat = 4.0
        """Sigma of the Gaussian over the score map, in pixels."""
        memory_mb: PositiveInt = 4096
        """Most that the centres and the descriptors of one step may take."""

    descriptor_: Descriptor
    centres_: Tensor
    """(M, C'): where descriptors of good images were adapted to before learning; they never move."""

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, fewer centres and fewer steps.

        On one core, at 256 x 256: 0.33 s a step, most of it comparing with 2048 centres (all 4096: 0.53 s,
        1024: 0.23 s), and 18 s of k-means. On demo leather fewer centres or more steps see fewer defects.
        """
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(backbone=DEFAULT_MODEL, gamma_c=2, steps=200)

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """The frozen pyramid that descriptors are made of."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """Adapted descriptors, what separates them from their nearest centre, and how far it is."""
        self.require_fitted("features")
        wide = self.centres_.shape[1]
        channels = {"adapted": wide, "residual": wide, "distance": 1}
        return tuple(FeatureSpec(f"{self.id}/{name}", c, self.stride_) for name, c in channels.items())

    def _build(self) -> None:
        adapted = self.channels_ // self.params.gamma_d
        self.descriptor_ = Descriptor(self.channels_, adapted, self.params.radius)

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse a share of the channels that leaves none."""
        channels = described_channels(specs[0].channels, None, None)
        if self.params.gamma_d > channels:
            raise ConfigError(
                f"{self.id}: gamma_d {self.params.gamma_d} leaves none of {channels} channels; "
                f"take at most {channels}"
            )

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        spec = context.pool.spec(request)
        self.channels_ = described_channels(spec.channels, None, None)
        self.stride_, self.backbone_ = min(spec.strides), spec.fingerprint
        schedule = self.params.schedule(len(images.ids))
        self._refuse_impossible(images.size, schedule.batch_size)
        with seeded_construction(context.seed, self.id):
            self._build()
        self.descriptor_.to(context.device)
        self.centres_ = self._centres(images, context)
        self.log_ = train(self._task(context), images, validation, schedule, context).as_json()

    def _refuse_impossible(self, size: tuple[int, int], batch: int) -> None:
        """Before any work: too few centres to tell apart, or more than memory holds."""
        height, width = (-(-side // self.stride_) for side in size)
        options, positions = self.params, height * width
        self._refuse_too_few(positions)
        refuse_beyond(
            options.memory_mb,
            (TABLES * batch + 1) * positions * self.channels_ * 4,
            owner=self.id,
            what=f"a step of {batch} images ({batch * positions} descriptors of {self.channels_} numbers)",
            remedy="smaller images, a smaller batch_size, coarser layers",
        )

    def _refuse_too_few(self, positions: int) -> None:
        options = self.params
        needed, found = options.K + options.J, positions // options.gamma_c
        if found < needed:
            most = positions // needed
            raise InputError(
                f"{self.id}: K {options.K} and J {options.J} need {needed} centres, {positions} positions of "
                f"an image make {found} at gamma_c {options.gamma_c}; take "
                + (f"a gamma_c of at most {most}" if most else "larger images or finer layers")
            )

    def _centres(self, images: ImageSource, context: FitContext) -> Tensor:
        """(M, C'): the mean over images of each position's adapted descriptor, clustered.

        As in the authors' code; in the paper, clusters of the first image follow those of the others. The
        descriptor is affine, so that adapting the mean is the mean of what is adapted.
        """
        walk = context.walk(images, self.backbones(), f"{self.id}: gathering centres")
        mean, counts = mean_of_images((self._described(pyramids), batch.valid) for batch, pyramids in walk)
        with torch.no_grad():
            rows = rows_of(self.descriptor_(mean[None]))[counts.flatten() > 0]
        self._refuse_too_few(len(rows))
        count = len(rows) // self.params.gamma_c
        if count == len(rows):
            return rows
        seed = derive(context.seed, self.id, "clusters")
        return centres_of(rows, count, seed=seed, owner=self.id, most_steps=CLUSTERING_STEPS)

    def _task(self, context: FitContext) -> Task:
        options = self.params

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            return self._lost(self._described(context.pyramids(batch, self.backbones())), batch.valid)

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            return torch.stack([loss(single, generator) for single in batches(ImagesInMemory(batch), 1)])

        adam = torch.optim.AdamW(
            self.descriptor_.parameters(),
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
            amsgrad=True,
        )
        judges = judge if options.keep == "best" else None
        identity = f"{options!r} {self.backbone_}"
        return Task(self.id, self.descriptor_, [adam], loss, judges, identity=identity)

    def _lost(self, maps: Tensor, valid: Tensor | None) -> Tensor:
        options = self.params
        with torch.autocast(maps.device.type, enabled=False):  # reduced precision would drown small distances
            rows = rows_of(self.descriptor_(maps), valid)
            squared, _ = nearest_centres(rows, self.centres_, options.K + options.J)
            return coupled_loss(
                squared, self.descriptor_.radius, attracting=options.K, nu=options.nu, alpha=options.alpha
            )

    def _described(self, pyramids: Pyramids) -> Tensor:
        """(B, C, h, w): 3 x 3 means of all levels, on the grid of the finest."""
        (request,) = self.backbones()
        return locally_aware(pyramids[request].maps, level_bins=None, bins=None)

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        adapted = self.descriptor_(self._described(pyramids))
        rows = rows_of(adapted)
        squared, chosen = nearest_centres(rows, self.centres_, self.params.K)
        distances = squared.sqrt()
        residual = rows - self.centres_[chosen[:, 0]]
        patches = maps_of(softmin_score(distances), adapted)[:, 0]
        seen = patch_scores(patches, batch.size, smoothing=self.params.smoothing, valid=batch.valid)
        maps = (adapted, maps_of(residual, adapted), maps_of(distances[:, :1], adapted))
        names = tuple(spec.name for spec in self.features())
        image = image_maximum(seen.pixels, batch.valid)
        return Observation(FeatureMaps(maps, names), ScoreMap(seen.pixels, image))
