"""Pictures turned by a little: good leather lies at no exact angle."""

from __future__ import annotations

import numpy as np
import torch

from leatherens.core.randomness import numpy_generators
from leatherens.core.synthesis.perlin import Floats, Mask
from leatherens.core.synthesis.rotation import rotated
from leatherens.core.types import ImageBatch


def random_turns(batch: ImageBatch, degrees: float, generator: torch.Generator) -> ImageBatch:
    """Each image turned about its centre by up to so many degrees either way; 0 gives the batch itself.

    What comes in from outside the picture is not to be inspected.
    """
    if degrees == 0:
        return batch
    pixels = batch.pixels.permute(0, 2, 3, 1).cpu().numpy()  # (B, H, W, 3)
    valid = np.ones(pixels.shape[:3], np.bool_) if batch.valid is None else batch.valid.cpu().numpy()
    drawn = [
        _turned(image, inside, rng.uniform(-degrees, degrees))
        for image, inside, rng in zip(pixels, valid, numpy_generators(generator, len(batch)), strict=True)
    ]
    images, masks = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
    device = batch.pixels.device
    return ImageBatch(images.permute(0, 3, 1, 2).to(device), batch.ids, masks.to(device))


def _turned(image: Floats, valid: Mask, degrees: float) -> tuple[Floats, Mask]:
    """As they are where the turn would leave nothing to inspect."""
    inside = rotated(valid.astype(np.float32), degrees) > 0.999  # bilinear weights fall below 1 at its edge
    if not inside.any():
        return image, valid
    return np.clip(rotated(image, degrees), 0, 1), inside
