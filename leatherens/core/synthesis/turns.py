"""Pictures turned by a little, or mirrored: good leather lies at no exact angle, and on no side."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from leatherens.core.randomness import numpy_generators
from leatherens.core.synthesis.perlin import Floats, Mask
from leatherens.core.synthesis.rotation import rotated
from leatherens.core.types import ImageBatch


def some_turned(batch: ImageBatch, share: float, degrees: float, generator: torch.Generator) -> ImageBatch:
    """`random_turns` of each image with this chance."""
    chosen = (torch.rand(len(batch), generator=generator) < share).nonzero()[:, 0].tolist()
    if not chosen or degrees == 0:
        return batch
    turned = random_turns(batch.rows(chosen), degrees, generator)
    assert turned.valid is not None
    assert turned.hidden is not None
    pixels = batch.pixels.clone()
    valid = torch.ones_like(pixels[:, 0], dtype=torch.bool) if batch.valid is None else batch.valid.clone()
    hidden = ~valid if batch.hidden is None else batch.hidden.clone()
    pixels[chosen], valid[chosen], hidden[chosen] = turned.pixels, turned.valid, turned.hidden
    return ImageBatch(pixels, batch.ids, valid, hidden)


def some_mirrored(batch: ImageBatch, share: float, generator: torch.Generator) -> ImageBatch:
    """Each image mirrored left to right with this chance, and top to bottom with the same."""
    across, down = (torch.rand((2, len(batch)), generator=generator) < share).to(batch.pixels.device)
    valid, hidden = (None if m is None else _mirrored(m, across, down) for m in (batch.valid, batch.hidden))
    return ImageBatch(_mirrored(batch.pixels, across, down), batch.ids, valid, hidden)


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
