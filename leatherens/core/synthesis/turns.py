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
    seen = valid if batch.hidden is None else ~batch.hidden.cpu().numpy()
    angles = [rng.uniform(-degrees, degrees) for rng in numpy_generators(generator, len(batch))]
    drawn = [_turned(*parts) for parts in zip(pixels, valid, seen, angles, strict=True)]
    images, inside, shown = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
    turned = ImageBatch(images.permute(0, 3, 1, 2), batch.ids, inside, ~shown)
    return turned.to(batch.pixels.device)


def _turned(image: Floats, valid: Mask, seen: Mask, degrees: float) -> tuple[Floats, Mask, Mask]:
    """As they are where the turn would leave nothing to inspect."""
    # bilinear weights fall below 1 at an edge
    inside, shown = (rotated(mask.astype(np.float32), degrees) > 0.999 for mask in (valid, seen))
    if not inside.any():
        return image, valid, seen
    return np.clip(rotated(image, degrees), 0, 1), inside, shown
