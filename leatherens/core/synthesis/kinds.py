"""What every kind of artificial anomaly does, the draw among several kinds, and a whole batch spoilt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from leatherens.core.randomness import numpy_generators
from leatherens.core.synthesis.perlin import Floats, Mask
from leatherens.core.types import ImageBatch


class AnomalyKind(Protocol):
    """One way to spoil a good image."""

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3) in 0..1 with an anomaly, and exactly where it is, (H, W) within `valid`."""
        ...


@dataclass(frozen=True, slots=True)
class OneOf:
    """Each kind with equal chance; with chance `clean_share` the image itself and an empty mask."""

    kinds: tuple[AnomalyKind, ...]
    clean_share: float = 0.0

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """What the kind drawn makes of the image."""
        if rng.random() < self.clean_share:
            return image, np.zeros(image.shape[:2], np.bool_)
        return self.kinds[rng.integers(len(self.kinds))].draw(image, valid, rng)


def spoilt(batch: ImageBatch, kind: AnomalyKind, generator: torch.Generator) -> tuple[ImageBatch, Tensor]:
    """What a kind makes of each image, and exactly where, (B, H, W) bool; one draw an image."""
    return spoilt_by(batch, kind, numpy_generators(generator, len(batch)))


def spoilt_by(
    batch: ImageBatch, kind: AnomalyKind, generators: Sequence[np.random.Generator]
) -> tuple[ImageBatch, Tensor]:
    """`spoilt` with a generator for each image."""
    pixels = batch.pixels.cpu().permute(0, 2, 3, 1).contiguous().numpy()  # (B, H, W, 3)
    valid = [None] * len(batch) if batch.valid is None else list(batch.valid.cpu().numpy())
    drawn = [
        kind.draw(image, inside, rng) for image, inside, rng in zip(pixels, valid, generators, strict=True)
    ]
    images, masks = (
        torch.from_numpy(np.stack(part)).to(batch.pixels.device) for part in zip(*drawn, strict=True)
    )
    return replace(batch, pixels=images.permute(0, 3, 1, 2)), masks
