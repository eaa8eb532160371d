"""What DDAD's two networks learn: the U-Net which noise it sees, the extractor to know the product.

The paper's section 3.4 for the latter: a good image and another one denoised towards it shall look alike.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from leatherens.core.geometry import mean_of
from leatherens.core.own_pyramid import OwnPyramid
from leatherens.core.reverse import flattened_loss
from leatherens.core.schedules import Schedule
from leatherens.core.synthesis.crops import random_crops
from leatherens.core.tasks import Task
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.plugins.ddad.diffusion import denoised, noised, noises
from leatherens.plugins.ddad.options import DDADParams
from leatherens.plugins.ddad.unet import UNet


def denoising_task(name: str, unet: UNet, options: DDADParams, schedule: Schedule) -> Task:
    """Lost is the sum of squares over an image's values, whatever it is divided by elsewhere.

    Adam adds the weight decay to the gradient, so that the size of the loss says how little that weighs.
    """
    times_learned = options.timesteps if options.learned_times == "all" else options.start + 1

    def lost(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        images = 2 * batch.pixels - 1
        times = torch.randint(times_learned, (len(batch),), generator=generator).to(images.device)
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        found: Tensor = unet(noised(images, noise, times, options.timesteps), times)
        wanted = noise if options.predicts == "noise" else images
        return (found.float() - wanted).square().sum(dim=1)  # (B, H, W)

    def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        shown = random_crops(batch, options.crop, generator)
        squares = lost(shown, generator)
        seen = squares if shown.valid is None else squares * shown.valid
        return seen.flatten(1).sum(dim=1).mean()

    def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        return mean_of(lost(batch, generator), batch.valid)

    adam = torch.optim.Adam(unet.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, schedule.steps)
    judges = judge if options.keep == "best" else None
    rates = [cosine] if options.anneal else []
    return Task(name, unet, [adam], loss, judges, rates, identity=f"{options!r}")


def adaptation_task(name: str, extractor: OwnPyramid, unet: UNet, options: DDADParams, origin: str) -> Task:
    """origin: fingerprint of the weights that the extractor begins with."""
    frozen = copy.deepcopy(extractor).requires_grad_(False).eval()
    reverse = options.reverse(options.adaptation_conditioning)

    def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        targets, others = halves(random_crops(batch, options.crop, generator))
        with torch.no_grad():
            noise = noises(tuple(others.pixels.shape), generator)
            rebuilt = denoised(options.denoiser(unet), others.pixels, targets.pixels, reverse, noise)
            before = frozen(targets.pixels), frozen(rebuilt)
        now = extractor(targets.pixels), extractor(rebuilt)
        return adaptation_loss(*now, *before, options.distillation, targets.valid).mean()

    adam = torch.optim.AdamW(extractor.parameters(), lr=options.adaptation_rate)
    return Task(name, extractor, [adam], loss, identity=f"{options!r} {origin}")


def halves(batch: ImageBatch) -> tuple[ImageBatch, ImageBatch]:
    """Two batches of equal length, of which the second is the first's partner; an odd image is left out."""
    count = len(batch) // 2
    parts = ImagesInMemory(batch)
    return parts.batch(range(count)), parts.batch(range(count, 2 * count))


def adaptation_loss(
    seen: Sequence[Tensor],
    rebuilt: Sequence[Tensor],
    frozen_seen: Sequence[Tensor],
    frozen_rebuilt: Sequence[Tensor],
    distillation: float,
    valid: Tensor | None = None,
) -> Tensor:
    """(B,): images and reconstructions shall look alike, and neither much unlike before.

    Each of the first four: levels (B, C, h, w), of the extractor that learns and of the one it was. Alike is
    the cosine of whole levels.
    """
    alike = flattened_loss(rebuilt, seen, valid)
    kept = flattened_loss(seen, frozen_seen, valid) + flattened_loss(rebuilt, frozen_rebuilt, valid)
    return alike + distillation * kept
