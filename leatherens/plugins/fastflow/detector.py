"""The FastFlow detector: options, what is learned, scores and feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.flows import full_precision
from leatherens.core.geometry import Size, image_maximum, positions_of, silence, smooth
from leatherens.core.params import OddSide, Params
from leatherens.core.randomness import seeded_construction
from leatherens.core.schedules import KeepingParams
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.fastflow.networks import LayerNorm, LevelFlow, Seen, convolutional_flow
from leatherens.plugins.fastflow.scores import energy, inspected_sum, mean_map, rarity, surprise


class FastFlow(Detector):
    """Flows that turn good features into noise; the score is how unlikely what they make of others is."""

    id: ClassVar[str] = "fastflow"
    capabilities: ClassVar[Capabilities] = Capabilities(trains=True)
    default_cut: ClassVar[tuple[str, ...]] = ("latent*",)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "flow_steps": 4,
        "layer_norm": "plain",
        "batch_size": 4,
        "steps": 40,
        "learning_rate": 0.01,
    }
    """All channels of equal weight and nearly independent on good images; the energies follow from them."""

    class Params(KeepingParams):
        """The published settings of WideResNet-50-2; those of the paper's transformers are not covered."""

        backbone: str = "wide_resnet50_2"
        layers: tuple[int, ...] = (1, 2, 3)
        weights: str = "pretrained"
        flow_steps: PositiveInt = 8
        """Coupling steps of the flow of each level."""
        kernels: Annotated[tuple[OddSide, ...], Field(min_length=1)] = (3, 1)
        """Of the steps in turn; published for ResNet-18: 3 throughout."""
        hidden_ratio: PositiveFloat = 1.0
        """Hidden channels of a sub-network, as a share of half the level's."""
        clamp: PositiveFloat = 2.0
        """Log-scales s are clamp * tanh(s), as the FrEIA of the published code has it."""
        layer_norm: Literal["positions", "plain"] = "positions"
        """Over a whole level: with a scale and offset learned for each position, which bind the detector to
        one image size, or with nothing learned. The published code learns them, outside of what its
        likelihood counts: a smaller scale, made up for in the flow, always lowers the loss, and long training
        shrinks it towards nothing. The paper does not speak of it."""
        epochs: PositiveInt = 500
        batch_size: PositiveInt = 32
        learning_rate: PositiveFloat = 1e-3
        weight_decay: NonNegativeFloat = 1e-5
        score: Literal["density", "energy", "likelihood"] = "density"
        """Of a position: minus its density relative to the peak's, exp(-energy), as published, in which far
        too strange and stranger still tie; the energy, half the mean square of its latents; or -log p per
        channel, which counts the stretch too."""
        smoothing: NonNegativeFloat = 0.0
        """Sigma of a Gaussian over the score map, in pixels; published: none."""

    flows_: nn.Module
    channels_: list[int]
    strides_: list[int]
    grids_: list[list[int]]
    """Height and width of each level; only where something is learned for each position."""

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, short flows and a bounded number of steps.

        Of three learning rates the one of the smallest loss on held-out good images: so few steps need a
        larger one than published.
        """
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(
            backbone=DEFAULT_MODEL,
            flow_steps=4,
            layer_norm="plain",
            batch_size=8,
            steps=500,
            learning_rate=1e-2,
        )

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """The pyramid whose levels the flows read."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """Per level the latents, standard normal where all is well, and half their mean square."""
        self.require_fitted("features")
        levels = list(enumerate(zip(self.channels_, self.strides_, strict=True), start=1))
        return (
            *(FeatureSpec(f"{self.id}/latent{i}", c, s) for i, (c, s) in levels),
            *(FeatureSpec(f"{self.id}/energy{i}", 1, s) for i, (_, s) in levels),
        )

    def _build(self) -> None:
        fixed = self.params.layer_norm == "positions"
        grids = [(h, w) for h, w in self.grids_] if fixed else [None] * len(self.channels_)
        pairs = zip(self.channels_, grids, strict=True)
        self.flows_ = nn.ModuleList(self._level(channels, grid) for channels, grid in pairs)

    def _level(self, channels: int, grid: Size | None) -> LevelFlow:
        o = self.params
        kernels = list(islice(cycle(o.kernels), o.flow_steps))
        flow = convolutional_flow(channels, kernels, clamp=o.clamp, hidden_ratio=o.hidden_ratio)
        return LevelFlow(LayerNorm(channels, grid), flow)

    def _remember(self, spec: PyramidSpec, images: ImageSource, context: FitContext) -> None:
        self.channels_, self.strides_ = list(spec.channels), list(spec.strides)
        self.backbone_ = spec.fingerprint
        (request,) = self.backbones()
        maps = context.pyramids(images.batch([0]).to(context.device), [request])[request].maps
        self.size_, self.grids_ = list(images.size), [list(m.shape[-2:]) for m in maps]

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        self._remember(context.pool.spec(request), images, context)
        self._check_learned_size(validation.size)
        with seeded_construction(context.seed, self.id):
            self._build()
        self.flows_.to(context.device)
        task, schedule = self._task(request, context), self.params.schedule(len(images.ids))
        self.log_ = train(task, images, validation, schedule, context).as_json()

    def _check_learned_size(self, size: Size) -> None:
        if self.params.layer_norm == "positions":
            self.require_learned_size(size)

    def _task(self, request: BackboneRequest, context: FitContext) -> Task:
        options = self.params

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            with full_precision(batch.pixels):
                return self._nats(context.pyramids(batch, [request])[request].maps, batch.valid)

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            return judge(batch, generator).mean()

        adam = torch.optim.Adam(
            self.flows_.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        judges = judge if options.keep == "best" else None
        return Task(self.id, self.flows_, [adam], loss, judges, identity=f"{options!r} {self.backbone_}")

    def _nats(self, maps: Sequence[Tensor], valid: Tensor | None) -> Tensor:
        """(B,): the surprise of all levels and inspected positions, whose mean is minimised.

        As published not divided by how many values there are: Adam would not care, its weight decay would.
        """
        inspected = [positions_of(m, valid) for m in maps]
        pairs = zip(self._seen(maps, inspected), inspected, strict=True)
        return torch.stack([inspected_sum(surprise(*seen), where) for seen, where in pairs]).sum(dim=0)

    def _seen(self, maps: Sequence[Tensor], inspected: Sequence[Tensor | None]) -> list[Seen]:
        """What each level's flow makes of its level."""
        levels = zip(self.flows_.children(), maps, inspected, strict=True)
        return [flow(level, where) for flow, level, where in levels]

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        (request,) = self.backbones()
        self._check_learned_size(batch.size)
        maps = pyramids[request].maps
        inspected = [positions_of(m, batch.valid) for m in maps]
        seen = self._seen(maps, inspected)
        levels = [silence(self._scores(*s), where) for s, where in zip(seen, inspected, strict=True)]
        pixels = smooth(silence(mean_map(levels, batch.size), batch.valid), self.params.smoothing)
        latents = [latent for latent, _ in seen]
        names = tuple(spec.name for spec in self.features())
        features = FeatureMaps((*latents, *(energy(z)[:, None] for z in latents)), names)
        return Observation(features, ScoreMap(pixels, image_maximum(pixels, batch.valid)))

    def _scores(self, latent: Tensor, stretch: Tensor) -> Tensor:
        """(B, h, w) of one level, per channel, so that a level of many channels does not outvote the rest."""
        if self.params.score == "density":
            return rarity(latent)
        if self.params.score == "energy":
            return energy(latent)
        return surprise(latent, stretch) / latent.shape[1]
