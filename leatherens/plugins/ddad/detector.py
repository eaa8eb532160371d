"""The DDAD detector: options, both trainings, the reconstruction, scores and feature maps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor
from typing_extensions import Self

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.geometry import block_mean, image_maximum, mean_of, silence, smooth
from leatherens.core.own_pyramid import OwnPyramid
from leatherens.core.params import Share
from leatherens.core.pyramid_models import image_by_image
from leatherens.core.randomness import seeded_construction, torch_generator
from leatherens.core.schedules import KeepingParams, Schedule
from leatherens.core.synthesis.crops import random_crops
from leatherens.core.tasks import Task
from leatherens.core.training import Course
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.ddad.adaptation import adaptation_loss, halves
from leatherens.plugins.ddad.diffusion import Reverse, noised, reconstructed
from leatherens.plugins.ddad.scores import balance, feature_distances, pixel_distance, summed
from leatherens.plugins.ddad.unet import UNet, published_plan

POOLED = 4
"""Differences of pixels are delivered averaged over blocks of this side; fusion does not work finer."""


@dataclass(frozen=True, slots=True)
class Distances:
    """Of images from their reconstructions: pixels (B, H, W), the compared levels (B, h, w) and their sum
    (B, H, W), and what separates unit features, (B, C, h, w) a level."""

    pixels: Tensor
    levels: list[Tensor]
    features: Tensor
    differences: list[Tensor]


class DDAD(Detector):
    """Reconstructs an image as a good one by denoising; the score is how far they are apart."""

    id: ClassVar[str] = "ddad"
    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=32, min_size=32, min_images=2, trains=True, reconstructs=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("residual", "difference*")

    class Params(KeepingParams):
        """The authors' code and, where it has a setting for each class, what they give for leather."""

        backbone: str = "wide_resnet101_2"
        layers: Annotated[tuple[int, ...], Field(min_length=2)] = (1, 2, 3)
        """All are adapted, all but the finest are compared."""
        weights: str = "pretrained"
        width: PositiveInt = 64
        """Channels of the U-Net that `multipliers` multiply. The authors' small one: 32, with 2 heads, a
        dropout of 0.3 and batches of 16."""
        multipliers: tuple[PositiveFloat, ...] | None = None
        """One a level; `None`: as published for the image's shorter side, six levels for 256 pixels."""
        attention: tuple[PositiveInt, ...] | None = None
        """Reductions of the grid with attention; `None`: as published, on grids of 32, 16 and 8 positions."""
        heads: PositiveInt = 4
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
        patch: PositiveInt = 1
        """The U-Net sees squares of so many pixels a side as one position."""
        epochs: PositiveInt = 2000
        batch_size: PositiveInt = 32
        learning_rate: PositiveFloat = 3e-4
        weight_decay: NonNegativeFloat = 0.05
        """Added to the gradient of a loss that is a sum over pixels, so that it weighs next to nothing."""
        anneal: bool = False
        """Let the learning rate fall to nothing along a cosine; the authors keep it."""
        timesteps: Annotated[int, Field(ge=2)] = 1000
        """Of the whole diffusion."""
        start: PositiveInt = 250
        """Noise is put in up to this step (the paper's T')."""
        learned_times: Literal["all", "asked"] = "all"
        """Learn to denoise after any number of steps, or only after `start` at most: the U-Net is asked
        for no others."""
        skip: PositiveInt = 25
        """Steps from one call of the U-Net to the next: start / skip calls an image."""
        exact: bool = False
        """Tell the U-Net of the noise that there is. In the authors' code it is told of `skip` steps fewer at
        the first call, which matters where steps are long."""
        eta: Share = 1.0
        """How much of the noise is drawn anew at each call; the same for every image. 0 draws none."""
        conditioning: NonNegativeFloat = 11.0
        """How strongly the image pulls its reconstruction (w). The authors chose 0 to 11 for each class, on
        its test images; their code's default is 2."""
        adaptation_epochs: NonNegativeInt = 8
        """Walks through the good images that adapt the feature extractor; 0 leaves it as it was."""
        adaptation_steps: NonNegativeInt | None = None
        """Gradient steps, in place of `adaptation_epochs`."""
        adaptation_batch: Annotated[int, Field(ge=2)] = 16
        """Half of them are reconstructed towards the other half."""
        adaptation_rate: PositiveFloat = 1e-4
        adaptation_conditioning: NonNegativeFloat = 3.0
        distillation: NonNegativeFloat = 0.1
        """Weight of what keeps the extractor as it was."""
        pixel_weight: NonNegativeFloat = 1.0
        """Of pixel distances (v), once they are as large as those of features are on held-out good images."""
        smoothing: NonNegativeFloat = 4.0
        """Sigma of the Gaussian over the score map, in pixels."""
        crop: Annotated[int | None, Field(ge=32)] = None
        """Learn on random squares of this side."""

        @model_validator(mode="after")
        def _steps_in_range(self) -> Self:
            if self.start >= self.timesteps:
                raise ValueError(
                    f"expected a start within the diffusion's {self.timesteps} timesteps, 1 to "
                    f"{self.timesteps - 1}, got {self.start}"
                )
            if self.skip > self.start:
                raise ValueError(
                    f"expected a skip of at most the start, {self.start}, for the U-Net to be called at all, "
                    f"got {self.skip}"
                )
            return self

        def reverse(self, weight: float) -> Reverse:
            """How images are denoised with this conditioning."""
            return Reverse(self.timesteps, self.start, self.skip, self.eta, weight, self.exact)

        def adaptation(self, images: int) -> Schedule | None:
            """How long the extractor is adapted; `None`: not at all."""
            batch = min(self.adaptation_batch, images)
            epoch = -(-images // batch)
            wanted = self.adaptation_steps
            steps = self.adaptation_epochs * epoch if wanted is None else wanted
            return Schedule(steps=steps, batch_size=batch, validate_every=epoch) if steps else None

    unet_: UNet
    extractor_: OwnPyramid
    balance_: float
    """What pixel distances are multiplied by before `pixel_weight`."""

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort a small U-Net on patches, few calls, and the backbone that is always there."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(
            backbone=DEFAULT_MODEL,
            width=32,
            multipliers=(1, 2, 2),
            attention=(4,),
            heads=2,
            patch=4,
            steps=400,
            batch_size=8,
            learning_rate=1e-3,
            skip=50,
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
        multipliers, attention = self._plan(size)
        options, unit = self.params, self.params.patch * 2 ** (len(multipliers) - 1)
        _refuse_unless_divisible(self.id, size, unit)
        if options.crop and not _fits(options.crop, unit):
            raise ConfigError(
                f"{self.id}: expected a crop divisible by {unit} and at least {2 * unit}, as the U-Net "
                f"halves its grid, got {options.crop}; the nearest is {_nearest(options.crop, unit)}"
            )
        attending = {
            int(options.width * times)
            for level, times in enumerate(multipliers)
            if 2**level in attention or level + 1 == len(multipliers)
        }
        for channels in sorted(attending):
            if channels % options.heads:
                raise ConfigError(
                    f"{self.id}: expected heads that share the U-Net's {channels} channels evenly, got "
                    f"{options.heads}; take {_nearest_divisor(channels, options.heads)}"
                )

    def _plan(self, size: tuple[int, int]) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """Multipliers and reductions with attention, for images of this size."""
        options, (multipliers, attention) = self.params, published_plan(min(size))
        attending = attention if options.attention is None else options.attention
        return options.multipliers or multipliers, attending

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
        multipliers, attention = self._plan(size)
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
        course, schedule = Course(images, validation, context), self.params.schedule(len(images.ids))
        self.log_ = {"denoising": course.train(self._denoising(schedule), schedule).as_json()}
        adaptation = self.params.adaptation(len(images.ids))
        if adaptation:
            self.log_["adaptation"] = course.train(self._adaptation(), adaptation).as_json()
        self.balance_ = self._balance(validation, context)

    def _denoising(self, schedule: Schedule) -> Task:
        """The U-Net learns which noise it sees; the sum over an image's pixels is what it loses."""
        options = self.params

        most = options.timesteps if options.learned_times == "all" else options.start + 1

        def lost(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            images = 2 * batch.pixels - 1
            times = torch.randint(most, (len(batch),), generator=generator).to(images.device)
            noise = torch.randn(images.shape, generator=generator).to(images.device)
            found: Tensor = self.unet_(noised(images, noise, times, options.timesteps), times)
            return (found.float() - noise).square().sum(dim=1)  # (B, H, W)

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            shown = random_crops(batch, options.crop, generator)
            squares = lost(shown, generator)
            seen = squares if shown.valid is None else squares * shown.valid
            return seen.flatten(1).sum(dim=1).mean()

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            return mean_of(lost(batch, generator), batch.valid)

        adam = torch.optim.Adam(
            self.unet_.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, schedule.steps)
        return Task(
            f"{self.id} denoising",
            self.unet_,
            [adam],
            loss,
            judge if options.keep == "best" else None,
            [cosine] if options.anneal else [],
            identity=f"{options!r}",
        )

    def _adaptation(self) -> Task:
        """The extractor learns to see the same in a good image and in another one denoised towards it."""
        options, extractor = self.params, self.extractor_
        frozen = copy.deepcopy(extractor).requires_grad_(False).eval()
        reverse = options.reverse(options.adaptation_conditioning)

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            targets, others = halves(random_crops(batch, options.crop, generator))
            images = others.pixels
            with torch.no_grad():
                rebuilt = self._denoised(
                    images, targets.pixels, reverse, lambda: torch.randn(images.shape, generator=generator)
                )
                before = frozen(targets.pixels), frozen(rebuilt)
            now = extractor(targets.pixels), extractor(rebuilt)
            lost = adaptation_loss(*now, *before, options.distillation, targets.valid)
            return lost.mean()

        adam = torch.optim.AdamW(extractor.parameters(), lr=options.adaptation_rate)
        identity = f"{options!r} {self.backbone_}"
        return Task(f"{self.id} adaptation", extractor, [adam], loss, identity=identity)

    def _denoised(
        self, images: Tensor, targets: Tensor, reverse: Reverse, draw: Callable[[], Tensor]
    ) -> Tensor:
        """Images and targets (B, 3, H, W) in 0..1 to reconstructions in about 0..1."""
        noise = lambda: draw().to(images.device)  # noqa: E731
        return reconstructed(self.unet_, 2 * images - 1, 2 * targets - 1, reverse, noise) / 2 + 0.5

    def _reconstructed(self, pixels: Tensor) -> Tensor:
        """Each image towards itself, with the same noise for all: a score depends on the image alone."""
        reverse, (height, width) = self.params.reverse(self.params.conditioning), pixels.shape[-2:]

        def each(some: Tensor) -> list[Tensor]:
            generator = torch_generator(0, self.id, "noise")
            draw = lambda: torch.randn(1, 3, height, width, generator=generator)  # noqa: E731
            return [self._denoised(some, some, reverse, draw)]

        return image_by_image(each, pixels)[0]

    def _distances(self, pixels: Tensor, rebuilt: Tensor) -> Distances:
        seen, again = self.extractor_(pixels)[1:], self.extractor_(rebuilt)[1:]
        levels = feature_distances(seen, again)
        height, width = pixels.shape[-2:]
        differences = [F.normalize(one) - F.normalize(other) for one, other in zip(seen, again, strict=True)]
        return Distances(
            2 * pixel_distance(pixels, rebuilt), levels, summed(levels, (height, width)), differences
        )

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
        _refuse_unless_divisible(self.id, batch.size, self.unet_.unit)
        rebuilt = self._reconstructed(batch.pixels)
        found = self._distances(batch.pixels, rebuilt)
        far = found.features + self.params.pixel_weight * self.balance_ * found.pixels
        pixels = smooth(silence(far, batch.valid), self.params.smoothing)
        residual = block_mean((batch.pixels - rebuilt).abs(), POOLED)
        maps = (residual, *found.differences, *(level[:, None] for level in found.levels))
        features = FeatureMaps(maps, tuple(spec.name for spec in self.features()))
        return Observation(features, ScoreMap(pixels, image_maximum(pixels, batch.valid)), rebuilt)


def _refuse_unless_divisible(owner: str, size: tuple[int, int], unit: int) -> None:
    if not _fits(size[0], unit) or not _fits(size[1], unit):
        near = " x ".join(str(_nearest(side, unit)) for side in size)
        raise InputError(
            f"{owner}: expected images of height and width divisible by {unit} and at least {2 * unit}, as "
            f"the U-Net halves its grid, got {size[0]} x {size[1]}; the nearest size is {near}"
        )


def _fits(side: int, unit: int) -> bool:
    """Two positions of the coarsest grid at least: of one, group normalisation leaves nothing."""
    return side % unit == 0 and side >= 2 * unit


def _nearest(side: int, unit: int) -> int:
    return max(2 * unit, round(side / unit) * unit)


def _nearest_divisor(number: int, wanted: int) -> int:
    return min((d for d in range(1, number + 1) if number % d == 0), key=lambda d: abs(d - wanted))
