"""Pictures turned by a little, or mirrored: good leather lies at no exact angle, and on no side."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from leatherens.core.randomness import numpy_generators
from leatherens.core.synthesis.perlin import Floats, Mask
from leatherens.core.synthesis.rotation import rotated
from leatherens.core.types import ImageBatch, ImagesInMemory


def some_turned(batch: ImageBatch, share: float, degrees: float, generator: torch.Generator) -> ImageBatch:
    """`random_turns` of each image with this chance."""
    chosen = (torch.rand(len(batch), generator=generator) < share).nonzero()[:, 0].tolist()
    if not chosen or degrees == 0:
        return batch
    turned = random_turns(ImagesInMemory(batch).batch(chosen), degrees, generator)
    assert turned.valid is not None
    pixels = batch.pixels.clone()
    valid = torch.ones_like(pixels[:, 0], dtype=torch.bool) if batch.valid is None else batch.valid.clone()
    pixels[chosen], valid[chosen] = turned.pixels, turned.valid
    return ImageBatch(pixels, batch.ids, valid)


def some_mirrored(batch: ImageBatch, share: float, generator: torch.Generator) -> ImageBatch:
    """Each image mirrored left to right with this chance, and top to bottom with the same."""
    across, down = (torch.rand((2, len(batch)), generator=generator) < share).to(batch.pixels.device)
    return ImageBatch(
        _mirrored(batch.pixels, across, down),
        batch.ids,
        None if batch.valid is None else _mirrored(batch.valid, across, down),
    )


def _mirrored(maps: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """(B, ..., H, W) with those images mirrored that (B,) bool say."""
    chosen = (-1, *[1] * (maps.ndim - 1))
    maps = torch.where(across.view(chosen), maps.flip(-1), maps)
    return torch.where(down.view(chosen), maps.flip(-2), maps)


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
