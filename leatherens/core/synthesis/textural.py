"""A foreign texture in place of the product, nothing shining through (CSE, VISAPP 2024, section 3.1).

Thomine and Snoussi's variant of DRAEM's overlay. The augmenters are DRAEM's; the authors' code leaves out the
rotation and moves hue and saturation by 10 at most, which among textures of anything at all matters little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leatherens.core.synthesis.augment import augmented
from leatherens.core.synthesis.overlay import blend
from leatherens.core.synthesis.perlin import Floats, Mask
from leatherens.core.synthesis.spots import SPOTS, Spots
from leatherens.core.synthesis.textures import TextureSource


@dataclass(frozen=True, slots=True)
class TexturalAnomaly:
    """Inside the mask nothing but a texture; an `AnomalyKind`.

    augmenters: so many change its looks before.
    """

    textures: TextureSource
    spots: Spots = SPOTS
    augmenters: int = 3

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3) with the anomaly, and its mask, within `valid`."""
        shape = image.shape[0], image.shape[1]
        mask = self.spots.draw(shape, valid, rng)
        texture = augmented(self.textures.draw(rng, shape), rng, count=self.augmenters) / np.float32(255)
        return blend(image, texture, mask, beta=0.0), mask
