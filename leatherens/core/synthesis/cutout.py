"""A rectangle of one colour laid over a good image.

The cut-out of a thesis on line clearance, whose real defects were white leaflets and blisters that DRAEM's
textures had not taught it to see. Not to be mistaken for the augmentation of that name, which marks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leatherens.core.synthesis.overlay import within
from leatherens.core.synthesis.perlin import Floats, Mask
from leatherens.core.synthesis.rectangles import Range, feasible_sides, placed


@dataclass(frozen=True, slots=True)
class CutOut:
    """An `AnomalyKind`.

    colour: RGB in 0..1. area: ends of the rectangle's share of the picture, neither a speck nor most of it.
    aspect: ends of its width / height.
    """

    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    area: Range = (0.005, 0.1)
    aspect: Range = (0.3, 1 / 0.3)

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3) with the anomaly, and its mask, within `valid`."""
        shape = image.shape[0], image.shape[1]
        sides = feasible_sides(shape, self.area, self.aspect, rng)
        patch = np.broadcast_to(np.array(self.colour, np.float32), (*sides, 3))
        return within(image, patch, placed(sides, shape, valid, rng), valid)
