"""A foreign texture laid over a good image inside an irregular mask: DRAEM's artificial anomaly.

Zavrtanik et al., ICCV 2021, section 3.3; the numbers are those of the authors' code where it differs from the
paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leatherens.core.synthesis.augment import augmented
from leatherens.core.synthesis.perlin import Floats, Mask, perlin_mask
from leatherens.core.synthesis.textures import TextureSource


def blend(image: Floats, texture: Floats, mask: Mask, *, beta: float) -> Floats:
    """Inside the mask (1 - beta) * texture + beta * image, outside the image itself; all (H, W, 3).

    beta: transparency; 0 hides the image under the texture.
    """
    mixed: Floats = image.copy()
    rows = mixed.reshape(-1, 3)  # (H * W, 3)
    inside = np.flatnonzero(mask)
    rows[inside] = np.float32(1 - beta) * texture.reshape(-1, 3)[inside] + np.float32(beta) * rows[inside]
    return mixed


def within(
    image: Floats,
    patch: Floats,
    window: tuple[slice, slice],
    valid: Mask | None,
    *,
    covered: Mask | None = None,
) -> tuple[Floats, Mask]:
    """The image (H, W, 3) with a patch (h, w, 3) in a window of its size, and where that shows, (H, W).

    valid: where the patch may show. covered: (h, w), the pixels that the patch has; `None` for all.
    """
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[window] = True if covered is None else covered
    if valid is not None:
        mask &= valid
    pasted = image.copy()
    pasted[window][mask[window]] = patch[mask[window]]
    return pasted, mask


@dataclass(frozen=True, slots=True)
class TextureOverlay:
    """How textures are laid over good images.

    beta: ends of the transparency's uniform draw. clean_share: chance to leave an image as it is.
    exponents, threshold: of the Perlin mask.
    """

    textures: TextureSource
    beta: tuple[float, float] = (0.0, 0.8)
    clean_share: float = 0.5
    exponents: tuple[int, int] = (0, 5)
    threshold: float = 0.5

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3), with an anomaly or without, and the anomaly's mask, within `valid`."""
        if rng.random() < self.clean_share:
            return image, np.zeros(image.shape[:2], np.bool_)
        return self.laid(image, valid, rng)

    def laid(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image with an anomaly, unless its mask happens to be empty."""
        shape = image.shape[0], image.shape[1]
        mask = perlin_mask(rng, shape, exponents=self.exponents, threshold=self.threshold)
        if valid is not None:
            mask &= valid
        if not mask.any():
            return image, mask
        texture = augmented(self.textures.draw(rng, shape), rng) / np.float32(255)
        return blend(image, texture, mask, beta=rng.uniform(*self.beta)), mask
