"""What the two autoencoders share: how they learn, the map of what they cannot repeat, what they expose.

They differ in how an image and its reconstruction are compared, in the loss and in the score alike.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor
from typing_extensions import Self

from leatherens.core.autoencoder import Passed, PatchAutoencoder, strides, whole
from leatherens.core.backbones import Pyramids
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import InputError
from leatherens.core.frame import learn_frame, levelled
from leatherens.core.geometry import block_mean, image_maximum, mean_of
from leatherens.core.losses import dissimilarity
from leatherens.core.randomness import seeded_construction
from leatherens.core.schedules import KeepingParams, Schedule
from leatherens.core.synthesis.crops import random_crops
from leatherens.core.synthesis.turns import some_mirrored, some_turned
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap, batches

POOLED = 4
"""Maps at the image's own resolution are delivered averaged over blocks of this side."""

VALIDATIONS = 20
"""Of one training."""

Share = Annotated[float, Field(ge=0, le=1)]


class AutoencoderParams(KeepingParams):
    """Bergmann et al., VISAPP 2019, for textures; what that leaves open is a public implementation's."""

    patch: Literal[32, 64, 128, 256] = 128
    """Side of the square it sees at once, in pixels; images are seen window by window."""
    latent: PositiveInt = 100
    """Numbers that a patch must pass through."""
    width: PositiveInt = 32
    """Channels of the first layers; up to four times as many deeper."""
    patches: PositiveInt = 10_000
    """Random patches of an epoch."""
    epochs: PositiveInt = 200
    batch_size: PositiveInt = 128
    learning_rate: PositiveFloat = 2e-4
    weight_decay: NonNegativeFloat = 1e-5
    rotation: NonNegativeFloat = 45.0
    """Furthest turn of an image, in degrees."""
    rotated_share: Share = 0.3
    """Chance of an image to be turned."""
    mirrored_share: Share = 0.3
    """Chance to be mirrored left to right, and chance to be mirrored top to bottom."""
    step: PositiveInt = 32
    """Pixels from window to window when an image is scored; what overlaps is averaged."""
    frame: NonNegativeInt = 0
    """Width of the strip along the edge, in pixels, where the error is divided by that of good images."""

    @model_validator(mode="after")
    def _on_one_grid(self) -> Self:
        coarsest = strides(self.patch)[-1]
        if self.step % coarsest or self.step > self.patch:
            raise ValueError(
                f"step: expected a multiple of {coarsest} (an eighth of the patch) up to {self.patch}, "
                f"got {self.step}"
            )
        return self

    def schedule(self, images: int) -> Schedule:
        """Steps of `batch_size` patches each, one patch of an image, whatever the number of images."""
        steps = self.steps or self.epochs * -(-self.patches // self.batch_size)
        return Schedule(
            steps=steps,
            batch_size=self.batch_size,
            validate_every=max(1, steps // VALIDATIONS),
            patience=self.patience,
        )


class AutoencoderDetector(Detector):
    """Repeats good patches through a narrow code; the score is where the image and what came back differ."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=16, min_size=32, trains=True, reconstructs=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("difference", "dissimilarity", "decoder3")
    check_options: ClassVar[Mapping[str, Any]] = {
        "patch": 32,
        "latent": 8,
        "width": 4,
        "batch_size": 8,
        "steps": 40,
        "learning_rate": 0.01,
        "step": 16,
        "frame": 4,
    }

    class Params(AutoencoderParams):
        """Those both have."""

    network_: PatchAutoencoder
    frame_: Tensor
    """By distance from the edge, how much larger the error of good images is there."""

    @classmethod
    def params_for(cls, effort: Effort) -> Any:
        """At quick effort half as wide, with fewer and faster steps, and windows that overlap by half."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(width=16, batch_size=16, steps=500, learning_rate=2e-3, step=64)

    @abstractmethod
    def compared(self, image: Tensor, reconstruction: Tensor) -> Tensor:
        """Error of every pixel and channel, (B, 3, H, W), not negative; its mean is the loss."""

    def structure(self, image: Tensor, reconstruction: Tensor, errors: Tensor) -> Tensor:
        """1 - SSIM, (B, 3, H, W), of what was `compared` with these errors: a map to fuse."""
        return dissimilarity(image, reconstruction)

    def features(self) -> tuple[FeatureSpec, ...]:
        """How image and reconstruction differ, in colour and in structure; maps around the code."""
        w, (fine, middle, coarse) = self.params.width, strides(self.params.patch)
        sizes = [
            ("difference", 3, POOLED),
            ("dissimilarity", 3, POOLED),
            ("encoder1", w, fine),
            ("encoder2", 2 * w, middle),
            ("encoder3", w, coarse),
            ("decoder1", 4 * w, coarse),
            ("decoder2", 2 * w, middle),
            ("decoder3", w, fine),
        ]
        return tuple(FeatureSpec(f"{self.id}/{name}", channels, stride) for name, channels, stride in sizes)

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse images that hold no whole patch, or that the grid of the code does not divide."""
        patch = self.params.patch
        grid = max(self.capabilities.multiple_of, strides(patch)[-1])  # both are powers of two
        if min(size) < patch or size[0] % grid or size[1] % grid:
            near = " x ".join(str(max(patch, round(side / grid) * grid)) for side in size)
            raise InputError(
                f"{self.id}: patches of {patch} x {patch} need images of height and width divisible by "
                f"{grid} and at least {patch}, got {size[0]} x {size[1]}; the nearest size is {near}, or "
                "set a smaller patch"
            )

    def _build(self) -> None:
        network = PatchAutoencoder(self.params.patch, self.params.latent, self.params.width)
        self.network_ = network.to(memory_format=torch.channels_last)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        with seeded_construction(context.seed, self.id):
            self._build()
        self.network_.to(context.device)
        schedule = self.params.schedule(len(images.ids))
        self.log_ = train(self._task(), images, validation, schedule, context).as_json()
        self.frame_ = torch.ones(0)
        if self.params.frame:
            self.frame_ = self._learned_frame(validation, context)

    def _task(self) -> Task:
        options = self.params

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            turned = some_turned(batch, options.rotated_share, options.rotation, generator)
            crops = random_crops(turned, options.patch, generator)
            seen = some_mirrored(crops, options.mirrored_share, generator)
            patches = seen.pixels.contiguous(memory_format=torch.channels_last)
            made = self.network_(patches).reconstruction.float()
            return mean_of(self.compared(seen.pixels, made).mean(dim=1), seen.valid).mean()

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            made = whole(self.network_, batch.pixels, options.step).reconstruction
            return mean_of(self.compared(batch.pixels, made).mean(dim=1), batch.valid)

        adam = torch.optim.Adam(
            self.network_.parameters(), options.learning_rate, weight_decay=options.weight_decay
        )
        judges = judge if options.keep == "best" else None
        return Task(self.id, self.network_, [adam], loss, judges, identity=repr(options))

    def _learned_frame(self, validation: ImageSource, context: FitContext) -> Tensor:
        """From good images that did not teach: on the others the edge looks better than it is."""
        with torch.inference_mode():
            errors = (
                (self._errors(batch.to(context.device).pixels)[0].mean(dim=1), batch.valid)
                for batch in batches(validation, 8)
            )
            return learn_frame(errors, self.params.frame)

    def _errors(self, pixels: Tensor) -> tuple[Tensor, Passed]:
        made = whole(self.network_, pixels, self.params.step)
        return self.compared(pixels, made.reconstruction), made

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        errors, made = self._errors(batch.pixels)
        pixels = levelled(errors.mean(dim=1), self.frame_)
        shown = made.reconstruction
        differences = [(batch.pixels - shown).abs(), self.structure(batch.pixels, shown, errors)]
        maps = (*(block_mean(d, POOLED) for d in differences), *made.encoded, *made.decoded)
        features = FeatureMaps(maps, tuple(spec.name for spec in self.features()))
        return Observation(features, ScoreMap(pixels, image_maximum(pixels, batch.valid)), shown)
