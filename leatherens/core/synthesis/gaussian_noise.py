"""Noise from pixel to pixel, as of a rough or dusty place, or of a sensor at fault."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leatherens.core.synthesis.perlin import Floats, Mask
from leatherens.core.synthesis.spots import SPOTS, Spots


@dataclass(frozen=True, slots=True)
class GaussianNoise:
    """White noise added inside the mask, in every channel its own; an `AnomalyKind`.

    deviation: ends of the draw of its standard deviation, where the image's values are 0..1.
    """

    spots: Spots = SPOTS
    deviation: tuple[float, float] = (0.05, 0.3)

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3), brought back into 0..1, and the anomaly's mask, within `valid`."""
        mask = self.spots.draw((image.shape[0], image.shape[1]), valid, rng)
        noise = rng.standard_normal((np.count_nonzero(mask), 3), np.float32)
        noisy = image.copy()
        noisy[mask] = np.clip(image[mask] + np.float32(rng.uniform(*self.deviation)) * noise, 0, 1)
        return noisy, mask
