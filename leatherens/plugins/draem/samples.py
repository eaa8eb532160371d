"""What DRAEM learns from: good images, some turned, half of them with an artificial anomaly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from leatherens.core.randomness import numpy_generators
from leatherens.core.synthesis.cutout import CutOut
from leatherens.core.synthesis.overlay import TextureOverlay
from leatherens.core.synthesis.perlin import Floats, Mask
from leatherens.core.synthesis.rotation import rotated
from leatherens.core.types import ImageBatch


@dataclass(frozen=True, slots=True)
class Samples:
    """images (B, 3, H, W) to look at, targets (B, 3, H, W) to reconstruct, masks (B, H, W) bool to find."""

    images: Tensor
    targets: Tensor
    masks: Tensor


@dataclass(frozen=True, slots=True)
class Paths:
    """The three ways an image goes: it stays as it is, gets a texture, or a rectangle of one colour.

    The third is that of a thesis on line clearance, whose chances are not told.

    clean_share: chance of the first. cut_out_share: of the third among the others.
    """

    overlay: TextureOverlay
    cut_out: CutOut
    clean_share: float = 0.5
    cut_out_share: float = 0.0

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3), with an anomaly or without, and the anomaly's mask, within `valid`."""
        if rng.random() < self.clean_share:
            return image, np.zeros(image.shape[:2], np.bool_)
        if self.cut_out_share and rng.random() < self.cut_out_share:
            return self.cut_out.draw(image, valid, rng)
        return self.overlay.laid(image, valid, rng)


@dataclass(frozen=True, slots=True)
class Sampler:
    """Draws samples from good images.

    paths: what becomes of an image. rotated_share: chance to turn it before by up to `rotation` degrees
    either way, on a black canvas that then counts as good. crop: side of a random square cut from it, `None`
    for the whole image.
    """

    paths: Paths
    rotated_share: float = 0.3
    rotation: float = 90.0
    crop: int | None = None

    def draw(self, batch: ImageBatch, generator: torch.Generator) -> Samples:
        """One sample of each image; anomalies lie within `batch.valid`."""
        pixels = batch.pixels.permute(0, 2, 3, 1).cpu().numpy()  # (B, H, W, 3)
        valid = [None] * len(batch) if batch.valid is None else list(batch.valid.cpu().numpy())
        drawn = [
            self._sample(image, inside, rng)
            for image, inside, rng in zip(pixels, valid, numpy_generators(generator, len(batch)), strict=True)
        ]
        images, targets, masks = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
        device = batch.pixels.device
        return Samples(
            images.permute(0, 3, 1, 2).to(device), targets.permute(0, 3, 1, 2).to(device), masks.to(device)
        )

    def _sample(
        self, image: Floats, valid: Mask | None, rng: np.random.Generator
    ) -> tuple[Floats, Floats, Mask]:
        if rng.random() < self.rotated_share:
            degrees = rng.uniform(-self.rotation, self.rotation)
            image = rotated(image, degrees).astype(np.float32)
            # Bilinear weights fall below 1 at the edge of what was valid and in the corners that came in.
            valid = None if valid is None else rotated(valid.astype(np.float32), degrees) > 0.999
        window = self._window(image.shape[0], image.shape[1], rng)
        image, valid = image[window], None if valid is None else valid[window]
        seen, mask = self.paths.draw(image, valid, rng)
        return seen, image, mask

    def _window(self, height: int, width: int, rng: np.random.Generator) -> tuple[slice, slice]:
        if self.crop is None:
            return slice(None), slice(None)
        sides = min(self.crop, height), min(self.crop, width)
        top, left = (
            int(rng.integers(whole - side + 1)) for whole, side in zip((height, width), sides, strict=True)
        )
        return slice(top, top + sides[0]), slice(left, left + sides[1])
