"""The product out of focus in places: grain worn away, a smear (CSE, VISAPP 2024, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from leatherens.core.synthesis.overlay import blend
from leatherens.core.synthesis.perlin import Floats, Mask
from leatherens.core.synthesis.spots import SPOTS, Spots


def blurred(image: Floats, side: int, sigma: float) -> Floats:
    """(H, W, 3) under a Gaussian window of `side` x `side` pixels (odd), the border mirrored."""
    smooth = cv2.GaussianBlur(image, (side, side), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(np.clip(smooth, 0, 1), np.float32)  # rounding may pass the ends


@dataclass(frozen=True, slots=True)
class BlurAnomaly:
    """Inside the mask nothing but the blurred image; an `AnomalyKind`.

    sides: the window's, one drawn. sigma: wider than these windows, so that they count almost evenly.
    """

    spots: Spots = SPOTS
    sides: tuple[int, ...] = (5, 7, 9, 11, 13, 15)
    sigma: float = 6.0

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3) with the anomaly, and its mask, within `valid`."""
        mask = self.spots.draw((image.shape[0], image.shape[1]), valid, rng)
        smooth = blurred(image, int(rng.choice(self.sides)), self.sigma)
        return blend(image, smooth, mask, beta=0.0), mask
