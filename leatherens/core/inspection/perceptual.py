"""What makes two pictures look alike: their detail, less the light on it, and a short hash of that.

Leather, fabric and steel look alike at low resolution, and photographs from one machine share its light: the
usual perceptual hashes of unlike images of such a set are as near as those of a picture and its copy. So the
light and the local contrast are taken out first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from leatherens.core.photographs import resize_photograph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leatherens.core.photographs import Photograph

Small: TypeAlias = "NDArray[np.uint8]"
"""(SIDE, SIDE) grey levels of a whole picture."""
Detail: TypeAlias = "NDArray[np.float32]"
"""(SIDE * SIDE,) of mean 0 and length 1, so that a product of two is their correlation; all 0 without
detail."""

SIDE = 64
"""Pixels; at 32, unlike images of one fabric correlate at 0.6 and more, at 64 at 0.3."""

BITS = 255
"""Signs of the 16 x 16 lowest cosine coefficients, less the mean."""

_SIGMA = 4.0  # pixels of SIDE; what is smoother is light
_FLOOR = 1.0  # grey levels; contrast below is noise of the camera and is not blown up


def small_grey(pixels: Photograph) -> Small:
    """A photograph (H, W, 3) averaged down; its proportions are not kept."""
    import cv2

    return np.asarray(cv2.cvtColor(resize_photograph(pixels, (SIDE, SIDE)), cv2.COLOR_RGB2GRAY), np.uint8)


def detail(small: Small) -> Detail:
    """The small picture less its smooth part, divided by its local contrast, as a unit vector."""
    import cv2

    grey = small.astype(np.float32)
    rough = grey - cv2.GaussianBlur(grey, (0, 0), _SIGMA, borderType=cv2.BORDER_REFLECT)
    contrast = np.sqrt(cv2.GaussianBlur(rough**2, (0, 0), _SIGMA, borderType=cv2.BORDER_REFLECT))
    even = (rough / (contrast + _FLOOR)).ravel()
    even -= even.mean()
    length = float(np.linalg.norm(even))
    return np.asarray(even / length if length > 1e-3 else np.zeros_like(even), np.float32)


def perceptual_hash(found: Detail) -> NDArray[np.bool_]:
    """(BITS,) signs of the lowest frequencies of a detail."""
    import cv2

    frequencies = cv2.dct(found.reshape(SIDE, SIDE))[:16, :16].ravel()[1:]
    return np.asarray(frequencies > 0)


def correlation(one: Small, other: Small) -> float:
    """How alike the details of two small pictures are, -1..1.

    >>> grain = np.random.default_rng(0).integers(0, 200, (SIDE, SIDE)).astype(np.uint8)
    >>> round(correlation(grain, grain + 40), 3)
    1.0
    """
    return float(detail(one) @ detail(other))
