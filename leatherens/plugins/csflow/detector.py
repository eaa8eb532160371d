"""The CS-Flow detector: options, what is learned, scores and feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import ConfigError
from leatherens.core.level_flows import LevelsFlow, counted_mean, refuse_odd, surprise
from leatherens.core.params import OddSide
from leatherens.core.patches import patch_scores
from leatherens.core.randomness import seeded_construction
from leatherens.core.schedules import KeepingParams
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.csflow.cross import cross_flow

SHRINKS = (1, 2, 4)
"""The backbone sees the image whole, at half and at a quarter of its sides."""

COARSEST_STRIDE = 32
"""Every stride that divides it halves the maps exactly from scale to scale, for the sizes this takes."""

ADAM_EPSILON, WEIGHT_DECAY, GRADIENT_NORM = 1e-4, 1e-5, 1.0
"""Of the authors' Adam, and the longest gradient it is shown."""


def shortened(optimizer: torch.optim.Optimizer, longest: float) -> torch.optim.Optimizer:
    """The optimiser, which from now on brings a gradient longer than `longest` down to that before a step."""

    def shorten(stepping: torch.optim.Optimizer, *_: Any) -> None:
        weights = [weight for group in stepping.param_groups for weight in group["params"]]
        torch.nn.utils.clip_grad_norm_(weights, longest)

    optimizer.register_step_pre_hook(shorten)
    return optimizer


class CSFlow(Detector):
    """One flow over the features of three image scales; the score is how unlikely they are together."""

    id: ClassVar[str] = "cs-flow"
    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=128, min_size=128, min_images=2, trains=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("latent*",)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layer": 2,
        "stages": False,
        "hidden": 16,
        "kernels": [3, 3],
        "batch_size": 4,
        "learning_rate": 0.01,
        "steps": 20,
    }

    class Params(KeepingParams):
        """The published settings: the authors' code, for images of 768 x 768.

        The code prints the best of all epochs by the images under test beside the last one's figure; here
        only good images can choose.
        """

        backbone: str = "tf_efficientnet_b5"
        layer: NonNegativeInt = 5
        """The map that the flow reads; of EfficientNet-B5 the one of 304 channels at stride 32."""
        stages: bool = True
        """Count `layer` in stages of an EfficientNet rather than in levels, the last of each stride."""
        weights: str = "pretrained"
        hidden: PositiveInt = 1024
        """Channels within the cross-scale convolutions."""
        kernels: Annotated[tuple[OddSide, ...], Field(min_length=1)] = (3, 3, 3, 5)
        """A coupling block for each, with convolutions of this side."""
        clamp: PositiveFloat = 3.0
        """Log-scales stay within it."""
        epochs: PositiveInt = 240
        batch_size: PositiveInt = 16
        learning_rate: PositiveFloat = 2e-4

    flow_: LevelsFlow
    channels_: int
    stride_: int

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, narrow sub-networks, fewer and larger steps.

        The map at stride 16 rather than 32: at 256 x 256 the flow then has 16 x 16 positions, and not 8 x 8,
        to show. Map, steps and learning rate were chosen by the likelihood of held-out good images and by
        artificial anomalies on them; 300 steps take one core little more than a minute.
        """
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(
            backbone=DEFAULT_MODEL,
            layer=3,
            stages=False,
            hidden=64,
            kernels=(3, 3, 3, 3),
            batch_size=8,
            learning_rate=1e-3,
            steps=300,
        )

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """One frozen map of the image at each scale, the largest first."""
        options = self.params
        return tuple(
            BackboneRequest(options.backbone, (options.layer,), options.weights, options.stages, shrink)
            for shrink in SHRINKS
        )

    def features(self) -> tuple[FeatureSpec, ...]:
        """Per scale what the flow makes of the backbone's map, and the mean of its squares."""
        self.require_fitted("features")
        strides = [self.stride_ * shrink for shrink in SHRINKS]
        return (
            *(FeatureSpec(f"{self.id}/latent{i}", self.channels_, s) for i, s in enumerate(strides, start=1)),
            *(FeatureSpec(f"{self.id}/energy{i}", 1, s) for i, s in enumerate(strides, start=1)),
        )

    def _build(self) -> None:
        options = self.params
        self.flow_ = cross_flow(
            self.channels_, len(SHRINKS), hidden=options.hidden, sides=options.kernels, clamp=options.clamp
        )

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse a map of a stride that does not halve evenly, or without two equal halves of channels."""
        (channels,), (stride,) = specs[0].channels, specs[0].strides
        backbone, layer = self.params.backbone, self.params.layer
        if COARSEST_STRIDE % stride:
            raise ConfigError(
                f"{self.id}: expected a map whose stride divides {COARSEST_STRIDE}, so that every scale has "
                f"half the height and width of the one before, {backbone} gives stride {stride} at layer "
                f"{layer}; choose another layer or backbone"
            )
        refuse_odd(channels, owner=self.id, source=backbone, layer=layer)

    def _remember(self, spec: PyramidSpec) -> None:
        (channels,), (stride,) = spec.channels, spec.strides
        self.channels_, self.stride_, self.backbone_ = channels, stride, spec.fingerprint

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self._remember(context.pool.spec(self.backbones()[0]))
        with seeded_construction(context.seed, self.id):
            self._build()
        self.flow_.to(context.device)
        schedule = self.params.schedule(len(images.ids))
        self.log_ = train(self._task(context), images, validation, schedule, context).as_json()

    def _task(self, context: FitContext) -> Task:
        options = self.params

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            return self._unlikeliness(context.pyramids(batch, self.backbones()), batch.valid)

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            return judge(batch, generator).mean()

        adam = torch.optim.Adam(
            self.flow_.parameters(),
            lr=options.learning_rate,
            eps=ADAM_EPSILON,
            weight_decay=WEIGHT_DECAY,
        )
        judges = judge if options.keep == "best" else None
        identity = f"{options!r} {self.backbone_}"
        return Task(self.id, self.flow_, [shortened(adam, GRADIENT_NORM)], loss, judges, identity=identity)

    def _unlikeliness(self, pyramids: Pyramids, valid: Tensor | None) -> Tensor:
        """(B,): the negative log-likelihood of an image, per number that the flow reads."""
        levels = self._levels(pyramids)
        with torch.autocast(levels[0].device.type, enabled=False):  # reduced precision blurs likelihoods
            return counted_mean(surprise(*self.flow_(levels)), valid) / self.channels_

    def _levels(self, pyramids: Pyramids) -> Sequence[Tensor]:
        return [pyramids[request].maps[0] for request in self.backbones()]

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        """The authors score images by the squared latents of all scales, and show those of the finest."""
        latents, _ = self.flow_(self._levels(pyramids))
        energies = [latent.square().mean(dim=1) for latent in latents]  # (B, h, w)
        image = counted_mean(energies, batch.valid) / 2
        names = tuple(spec.name for spec in self.features())
        maps = FeatureMaps((*latents, *(energy[:, None] for energy in energies)), names)
        scores = patch_scores(energies[0], batch.size, smoothing=0.0, valid=batch.valid, image=image)
        return Observation(maps, scores)
