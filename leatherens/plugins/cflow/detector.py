"""The CFLOW detector: options, what is learned, scores and feature maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest, Pyramids
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.flows import full_precision
from leatherens.core.geometry import Size, image_maximum, positions_of, silence
from leatherens.core.params import Params
from leatherens.core.randomness import seeded_construction
from leatherens.core.schedules import KeepingParams, Schedule
from leatherens.core.synthesis.turns import random_turns
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
from leatherens.plugins.cflow.decoders import Decoder, damped, fibres, rate
from leatherens.plugins.cflow.scores import calmest, density_sum, mean_surprise


class CFLOW(Detector):
    """Flows that know how likely a feature vector is where it lies; the score is how unlikely it is."""

    id: ClassVar[str] = "cflow"
    capabilities: ClassVar[Capabilities] = Capabilities(trains=True)
    default_cut: ClassVar[tuple[str, ...]] = ("latent*",)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "coupling_blocks": 2,
        "condition_vec": 8,
        "rotation": 0,
        "batch_size": 4,
        "steps": 12,
        "learning_rate": 0.01,
    }
    """All channels of equal weight and nearly independent on good images; likelihoods follow from them."""

    class Params(KeepingParams):
        """The published settings: section 5 of the paper and the authors' code.

        Not done here: the code keeps the weights that do best on the images under test, and takes leather at
        512 x 512; the size is the run's.
        """

        backbone: str = "wide_resnet50_2"
        layers: tuple[int, ...] = (2, 3, 4)
        weights: str = "pretrained"
        coupling_blocks: PositiveInt = 8
        """Couplings of a level's flow, each followed by a scale and offset of channels and a rotation."""
        condition_vec: Annotated[int, Field(gt=0, multiple_of=4)] = 128
        """Channels of the code of a position."""
        clamp_alpha: PositiveFloat = 1.9
        """Log-scales s are clamp_alpha * tanh(s), as the FrEIA of the authors' code has it."""
        N: PositiveInt = 256
        """Vectors of a fibre: each is a gradient step of its own, however many images they come from."""
        rotation: Annotated[float, Field(ge=0, le=180)] = 5.0
        """Learn from images turned by up to so many degrees; the corners this opens are black in the authors'
        code, and here teach nothing."""
        epochs: PositiveInt = 200
        batch_size: PositiveInt = 32
        learning_rate: PositiveFloat = 2e-4
        score: Literal["density", "likelihood"] = "density"
        """Of a pixel: by how much its density, relative to the likeliest good position and added over levels,
        falls short of good images' largest sum; or by how much its log-likelihood falls short, mean over
        levels, which still tells apart what all densities call impossible."""

    decoders_: nn.Module
    channels_: list[int]
    strides_: list[int]
    calm_: list[float]
    """Of each level the smallest -log p per channel among the positions of good images."""
    likeliest_: float
    """The largest sum of relative densities among their pixels."""

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, short flows, no turns and a bounded time.

        Its levels are one finer, so that images of 256 x 256 have the grids that leather has in the paper.
        Steps are what a core does in two minutes. Levels and score were chosen by artificial anomalies on
        good images. Of four learning rates, compared on the published levels, twice this one had a slightly
        smaller loss on held-out good images (2.49 against 2.51) and, scored by likelihood, located worse.
        """
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(
            backbone=DEFAULT_MODEL,
            layers=(1, 2, 3),
            coupling_blocks=4,
            rotation=0,
            batch_size=8,
            steps=60,
            learning_rate=5e-3,
            score="likelihood",
        )

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """The pyramid whose levels the flows read."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """Per level the latents, standard normal where all is well, and log p per channel."""
        self.require_fitted("features")
        levels = list(enumerate(zip(self.channels_, self.strides_, strict=True), start=1))
        return (
            *(FeatureSpec(f"{self.id}/latent{i}", c, s) for i, (c, s) in levels),
            *(FeatureSpec(f"{self.id}/likelihood{i}", 1, s) for i, (_, s) in levels),
        )

    def _build(self) -> None:
        o = self.params
        self.decoders_ = nn.ModuleList(
            Decoder(channels, condition=o.condition_vec, blocks=o.coupling_blocks, clamp=o.clamp_alpha)
            for channels in self.channels_
        )

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        spec = context.pool.spec(request)
        self.channels_, self.strides_ = list(spec.channels), list(spec.strides)
        self.backbone_, self.size_ = spec.fingerprint, list(images.size)
        self.require_learned_size(validation.size)
        with seeded_construction(context.seed, self.id):
            self._build()
        self.decoders_.to(context.device)
        schedule = self.params.schedule(len(images.ids))
        task = self._task(schedule, context)
        self.log_ = train(task, images, validation, schedule, context).as_json()
        self._learn_scale(images, context)

    def _task(self, schedule: Schedule, context: FitContext) -> Task:
        (request,) = self.backbones()
        options = self.params

        def loss(batch: ImageBatch, generator: torch.Generator) -> Iterator[Tensor]:
            shown = random_turns(batch, options.rotation, generator)
            with full_precision(shown.pixels):
                maps = context.pool.pyramids(shown, [request], keep=shown is batch)[request].maps
            for decoder, level in zip(self._decoders(), maps, strict=True):
                rows, codes = decoder.vectors(level, shown.valid)
                for fibre in fibres(len(rows), options.N, generator):
                    chosen = fibre.to(rows.device)
                    with full_precision(shown.pixels):
                        lost = damped(decoder(rows[chosen], codes[chosen])[1]).mean()
                    yield lost

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            singles = batches(ImagesInMemory(batch), 1)
            return torch.stack(
                [self._lost(context.pyramids(s, [request])[request].maps, s.valid) for s in singles]
            )

        adam = torch.optim.Adam(self.decoders_.parameters(), options.learning_rate)
        falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: rate(step, schedule.steps))
        judges = judge if options.keep == "best" else None
        identity = f"{options!r} {self.backbone_}"
        return Task(self.id, self.decoders_, [adam], loss, judges, [falling], identity)

    def _decoders(self) -> list[Decoder]:
        return [d for d in self.decoders_.children() if isinstance(d, Decoder)]

    def _lost(self, maps: Sequence[Tensor], valid: Tensor | None) -> Tensor:
        """The mean loss over all inspected vectors of all levels, a scalar."""
        pairs = zip(self._decoders(), maps, strict=True)
        return damped(torch.cat([d(*d.vectors(level, valid))[1] for d, level in pairs])).mean()

    def _learn_scale(self, images: ImageSource, context: FitContext) -> None:
        """Once the flows have learned: the likeliest positions and pixels of the images they learned from."""
        walk = context.walk(images, self.backbones(), f"{self.id}: likeliest positions")
        with torch.no_grad():  # not inference_mode: other members will learn from the pyramids kept here
            good = [
                (self._surprises(self._seen(pyramids)[1], batch.valid), batch.valid)
                for batch, pyramids in walk
            ]
            self.calm_ = calmest(surprises for surprises, _ in good)
            self.likeliest_ = max(
                float(image_maximum(density_sum(surprises, self.calm_, images.size), valid).max())
                for surprises, valid in good
            )

    def _seen(self, pyramids: Pyramids) -> tuple[list[Tensor], list[Tensor]]:
        """Latents (B, C, h, w) and log p per channel (B, h, w) of every level."""
        (request,) = self.backbones()
        pairs = zip(self._decoders(), pyramids[request].maps, strict=True)
        latents, likelihoods = zip(*(decoder.seen(level) for decoder, level in pairs), strict=True)
        return list(latents), list(likelihoods)

    def _surprises(self, likelihoods: Sequence[Tensor], valid: Tensor | None) -> list[Tensor]:
        """-log p per channel (B, h, w) of every level, its lowest where there is nothing to inspect."""
        positions = [positions_of(m, valid) for m in likelihoods]
        return [silence(-level, where) for level, where in zip(likelihoods, positions, strict=True)]

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        self.require_learned_size(batch.size)
        latents, likelihoods = self._seen(pyramids)
        names = tuple(spec.name for spec in self.features())
        features = FeatureMaps((*latents, *(level[:, None] for level in likelihoods)), names)
        pixels = silence(self._scores(self._surprises(likelihoods, batch.valid), batch.size), batch.valid)
        return Observation(features, ScoreMap(pixels, image_maximum(pixels, batch.valid)))

    def _scores(self, surprises: Sequence[Tensor], size: Size) -> Tensor:
        if self.params.score == "density":
            return self.likeliest_ - density_sum(surprises, self.calm_, size)
        return mean_surprise(surprises, self.calm_, size)
