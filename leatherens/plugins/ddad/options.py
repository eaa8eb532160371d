"""The options of DDAD, and what they mean for the sizes of images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from typing_extensions import Self

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.geometry import Size
from leatherens.core.params import Share
from leatherens.core.schedules import KeepingParams, Schedule
from leatherens.plugins.ddad.diffusion import Denoiser, Reverse, by_image
from leatherens.plugins.ddad.unet import published_plan


class DDADParams(KeepingParams):
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
    """Of attention, side by side."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of activations dropped while it learns."""
    patch: PositiveInt = 1
    """The U-Net sees squares of so many pixels a side as one position."""
    predicts: Literal["noise", "image"] = "noise"
    """What the U-Net says is in a noisy image. On patches of more values than it has channels, noise
    would not come through."""
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
    """Learning rate while features are adapted."""
    adaptation_conditioning: NonNegativeFloat = 3.0
    """How strongly the image guides its own denoising while features are adapted."""
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

    def denoiser(self, unet: Denoiser) -> Denoiser:
        """What says which noise is in an image."""
        return unet if self.predicts == "noise" else by_image(unet, self.timesteps)

    def adaptation(self, images: int) -> Schedule | None:
        """How long the extractor is adapted; `None`: not at all."""
        batch = min(self.adaptation_batch, images)
        epoch = -(-images // batch)
        wanted = self.adaptation_steps
        steps = self.adaptation_epochs * epoch if wanted is None else wanted
        return Schedule(steps=steps, batch_size=batch, validate_every=epoch) if steps else None

    def plan(self, size: Size) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """The U-Net's multipliers and the reductions with attention, for images of this size."""
        multipliers, attention = published_plan(min(size))
        return self.multipliers or multipliers, attention if self.attention is None else self.attention


def refuse_impossible(options: DDADParams, size: Size, *, owner: str) -> None:
    """Images and crops whose grid the U-Net cannot halve, and heads that do not share its channels."""
    multipliers, attention = options.plan(size)
    unit = options.patch * 2 ** (len(multipliers) - 1)
    refuse_size(size, unit, owner=owner)
    if options.crop and not _fits(options.crop, unit):
        raise ConfigError(
            f"{owner}: expected a crop divisible by {unit} and at least {2 * unit}, as the U-Net halves its "
            f"grid, got {options.crop}; the nearest is {_nearest(options.crop, unit)}"
        )
    for level, times in enumerate(multipliers):
        channels = int(options.width * times)
        attends = 2**level in attention or level + 1 == len(multipliers)
        if attends and channels % options.heads:
            raise ConfigError(
                f"{owner}: expected heads that share the U-Net's {channels} channels evenly, got "
                f"{options.heads}; take {_nearest_divisor(channels, options.heads)}"
            )


def refuse_size(size: Size, unit: int, *, owner: str) -> None:
    """Refuse a height and width that the U-Net cannot halve as often as it has to."""
    if not all(_fits(side, unit) for side in size):
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
