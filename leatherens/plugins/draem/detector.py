"""The DRAEM detector: options, the joint training of both networks, scores and feature maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from leatherens.core.backbones import Pyramids
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.geometry import block_mean, image_maximum, mean_filter
from leatherens.core.losses import focal, ssim
from leatherens.core.params import Params as BaseParams
from leatherens.core.randomness import seeded_construction
from leatherens.core.schedules import Schedule
from leatherens.core.synthesis.cutout import CutOut
from leatherens.core.synthesis.overlay import TextureOverlay
from leatherens.core.synthesis.patterns import ProceduralTextures
from leatherens.core.synthesis.textures import FolderTextures
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.plugins.draem.networks import DraemNetworks
from leatherens.plugins.draem.samples import Paths, Sampler, Samples

IMAGE_SCORE_WINDOW = 21
"""Side of the mean filter under the image score, in pixels, as in the authors' evaluation."""

Share = Annotated[float, Field(ge=0, le=1)]

POOLED = 4
"""Full-resolution maps are delivered averaged over blocks of this side; fusion does not work finer."""


def draem_loss(networks: DraemNetworks, samples: Samples) -> Tensor:
    """Squared error plus 1 - SSIM of the reconstruction plus focal loss of the segmentation; scalar.

    Zavrtanik et al., ICCV 2021, eq. 1-4.
    """
    reconstruction, logits = networks(samples.images)
    squared = (reconstruction - samples.targets).square().mean()
    dissimilar = 1 - ssim(reconstruction, samples.targets).mean()
    missed = focal(logits.float().softmax(dim=1), samples.masks).mean()
    total: Tensor = squared + dissimilar + missed
    return total


def image_scores(pixels: Tensor, valid: Tensor | None) -> Tensor:
    """(B, H, W) to (B,): the largest mean over a 21 x 21 window around a valid pixel.

    What lies beyond the border or is not valid counts as zero, so a defect weighs less at an edge.
    """
    shown = pixels if valid is None else pixels.masked_fill(~valid, 0.0)
    return image_maximum(mean_filter(shown, IMAGE_SCORE_WINDOW), valid)


def _side(value: int | None) -> int | None:
    if value is not None and (value < 32 or value % 32):
        raise ValueError("expected a multiple of 32, because the networks halve the image five times")
    return value


def _ordered(ends: tuple[Any, Any]) -> tuple[Any, Any]:
    if not 0 <= ends[0] <= ends[1]:
        raise ValueError("expected two ends of a range, the smaller first and not negative")
    return ends


class DRAEM(Detector):
    """Learns to undo, and to find, textures laid over good images; needs no pretrained weights."""

    id = "draem"
    capabilities = Capabilities(multiple_of=32, min_size=32, trains=True, reconstructs=True)
    default_cut: ClassVar[tuple[str, ...]] = ("residual", "decoder3")
    check_options: ClassVar[Mapping[str, Any]] = {
        "width": 4,
        "discriminative_width": 16,
        "steps": 40,
        "batch_size": 4,
        "crop": 32,
        "learning_rate": 0.005,
        "beta": [0.0, 0.2],
        "clean_share": 0.3,
        "rotated_share": 0.0,
        "perlin_exponents": [0, 2],
    }

    class Params(BaseParams):
        """Defaults are the published ones; where the paper and the authors' code differ, the code's."""

        width: int = Field(default=128, ge=1)
        """Channels of the reconstructive network's first stage; up to 8 times as many deeper."""
        discriminative_width: int = Field(default=64, ge=1)
        """The same of the discriminative network."""
        epochs: int = Field(default=700, ge=1)
        """Walks through the good images."""
        steps: int | None = Field(default=None, ge=1)
        """Gradient steps in all, in place of `epochs`: a bound on time whatever the number of images."""
        batch_size: int = Field(default=8, ge=2)
        """At least 2, since batch normalisation learns from several images; it is unsteady under 4."""
        learning_rate: float = Field(default=1e-4, gt=0)
        """Of Adam; a fifth of it after 80% and a 25th after 90% of the training."""
        crop: Annotated[int | None, AfterValidator(_side)] = None
        """Learn on random squares of this side; `None`, as published, is the whole image."""
        textures: Path | None = None
        """Folder of pictures of anything else (the paper: Describable Textures Dataset); else procedural."""
        beta: Annotated[tuple[Share, Share], AfterValidator(_ordered)] = (0.0, 0.8)
        """Transparency of an anomaly, as in the authors' code; the paper draws its opacity in 0.1..1."""
        clean_share: Share = 0.5
        """Chance of an image without an anomaly."""
        cut_out_share: Share = 0.0
        """Of the others, how many get a rectangle of one colour in place of a texture; published are none.

        A thesis on line clearance added it, because white leaflets and blisters were hard to find.
        """
        cut_out_colour: tuple[Share, Share, Share] = (1.0, 1.0, 1.0)
        """Of the rectangle, RGB in 0..1."""
        rotated_share: Share = 0.3
        """Chance of a turned image."""
        rotation: float = Field(default=90.0, ge=0, le=180)
        """Furthest turn in degrees, on a black canvas; the authors' code."""
        perlin_exponents: Annotated[tuple[int, int], AfterValidator(_ordered)] = (0, 5)
        """The mask's noise has 2^a by 2^b cells, a and b drawn among these."""
        perlin_threshold: float = 0.5
        """The mask is where the noise, within -1..1, exceeds this."""
        masking: Literal["post", "pre"] = "post"
        """What may not be inspected is silenced in the score map, or (pre) kept from the second network too.

        Pre gives the reconstruction the image's own filling there, so that the second network finds no
        difference to carry over into what is valid.
        """
        keep: Literal["last", "best"] = "last"
        """The last state, as published, or the best at finding artificial anomalies in validation images."""
        patience: int | None = Field(default=None, ge=1)
        """Only with keep=best: validations without a better one before stopping."""

    @classmethod
    def params_for(cls, effort: Effort) -> Any:
        """Published at `full`; `quick` learns with narrow networks on crops, two minutes of one core."""
        if effort is Effort.full:
            return cls.Params()
        # The best of three tries of about equal processor time, one seed each, by artificial anomalies on
        # held-out good leather: wider networks with fewer steps, and crops of 64, found less.
        return cls.Params(width=8, discriminative_width=8, steps=200, crop=128, learning_rate=2e-3)

    def features(self) -> tuple[FeatureSpec, ...]:
        """Stages at stride 4 and coarser.

        Finer ones stay inside: encoder1 and decoder5 alone are 16 MB each for an image of 256 x 256.
        """
        w, d = self.params.width, self.params.discriminative_width
        sizes = [
            ("residual", 3, POOLED),
            ("logits", 2, POOLED),
            ("decoder3", 2 * d, 4),
            ("encoder3", 4 * d, 4),
            ("decoder2", 4 * d, 8),
            ("encoder4", 8 * d, 8),
            ("decoder1", 8 * d, 16),
            ("encoder5", 8 * d, 16),
            ("bottleneck", 8 * w, 16),
            ("encoder6", 8 * d, 32),
        ]
        return tuple(FeatureSpec(f"{self.id}/{name}", channels, stride) for name, channels, stride in sizes)

    def _build(self) -> None:
        networks = DraemNetworks(self.params.width, self.params.discriminative_width)
        self.networks_ = networks.to(memory_format=torch.channels_last)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        textures = (
            ProceduralTextures() if self.params.textures is None else FolderTextures(self.params.textures)
        )
        with seeded_construction(context.seed, self.id):
            self._build()
        self.networks_.to(context.device)
        schedule = self._schedule(len(images.ids))
        task = self._task(schedule, self._sampler(textures))
        self.log_ = train(task, images, validation, schedule, context).as_json()
        if isinstance(textures, FolderTextures) and textures.unreadable:
            context.progress.say(
                f"{self.id}: {len(textures.unreadable)} of {len(textures.files)} texture files in "
                f"{textures.folder} could not be read and were skipped"
            )

    def _schedule(self, images: int) -> Schedule:
        steps: int = self.params.steps or self.params.epochs * math.ceil(images / self.params.batch_size)
        return Schedule(
            steps=steps,
            batch_size=self.params.batch_size,
            validate_every=max(1, steps // 20),
            patience=self.params.patience,
        )

    def _sampler(self, textures: ProceduralTextures | FolderTextures) -> Sampler:
        p = self.params
        overlay = TextureOverlay(textures, p.beta, exponents=p.perlin_exponents, threshold=p.perlin_threshold)
        paths = Paths(overlay, CutOut(p.cut_out_colour), p.clean_share, p.cut_out_share)
        return Sampler(paths, p.rotated_share, p.rotation, p.crop)

    def _task(self, schedule: Schedule, sampler: Sampler) -> Task:
        """Adam over both networks; the whole loss teaches, the focal part on whole images judges."""
        judged = Sampler(replace(sampler.paths, clean_share=0.0), rotated_share=0.0)

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            return draem_loss(self.networks_, sampler.draw(batch, generator))

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            samples = judged.draw(batch, generator)
            _, logits = self.networks_(samples.images)
            return focal(logits.softmax(dim=1), samples.masks).mean(dim=(1, 2))

        adam = torch.optim.Adam(self.networks_.parameters(), lr=self.params.learning_rate)
        # Whole numbers: MultiStepLR never fires at a milestone such as 560.0000000000001.
        milestones = [schedule.steps * 8 // 10, schedule.steps * 9 // 10]
        rates = torch.optim.lr_scheduler.MultiStepLR(adam, milestones, gamma=0.2)
        judges = judge if self.params.keep == "best" else None
        return Task(self.id, self.networks_, [adam], loss, judges, [rates])

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        image = batch.pixels.contiguous(memory_format=torch.channels_last)
        reconstruction, bottleneck = self.networks_.reconstructive(image)
        if self.params.masking == "pre" and batch.valid is not None:
            reconstruction = torch.where(batch.valid[:, None], reconstruction, image)
        logits, encoded, decoded = self.networks_.discriminative(torch.cat([reconstruction, image], dim=1))
        maps = {
            "residual": block_mean((image - reconstruction).abs(), POOLED),
            "logits": block_mean(logits, POOLED),
            "bottleneck": bottleneck,
            **{f"encoder{i}": stage for i, stage in enumerate(encoded, start=1)},
            **{f"decoder{i}": stage for i, stage in enumerate(decoded, start=1)},
        }
        names = tuple(spec.name for spec in self.features())
        features = FeatureMaps(tuple(maps[name.split("/", 1)[1]] for name in names), names)
        pixels = logits.softmax(dim=1)[:, 1]
        return Observation(features, ScoreMap(pixels, image_scores(pixels, batch.valid)), reconstruction)
