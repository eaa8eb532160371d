"""What can be recognised in a photograph: ORB key points of a reduced grey picture.

Rublee et al., "ORB: an efficient alternative to SIFT or SURF", ICCV 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from leatherens.core.photographs import Photograph, resize_photograph
from leatherens.core.registration.homographies import Points, Size, moved, resizing

Grey: TypeAlias = "NDArray[np.uint8]"
"""(h, w)."""

BYTES = 32
"""Of an ORB descriptor: 256 comparisons, a bit each."""

LEAST_SIDE = 64
"""Pixels; in a smaller picture hardly a point is left that is not described by the border."""

_BORDER = 15
"""Pixels along the border without key points: half the side of what describes one. The further out they lie,
the better they hold the corners."""


@dataclass(frozen=True, slots=True)
class KeyPoints:
    """Points of one picture and what each looks like: (N, 2) float64 places, (N, 32) uint8 descriptors."""

    places: Points
    descriptors: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.places)


def reduced_grey(photograph: Photograph, side: int) -> Grey:
    """A photograph (H, W, 3) in grey, its longest side `side` at most; area averages, the aspect kept."""
    import cv2

    size = reduced_size((photograph.shape[0], photograph.shape[1]), side)
    return np.asarray(cv2.cvtColor(resize_photograph(photograph, size), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def reduced_size(size: Size, side: int) -> Size:
    """Height and width with the longest at most `side`.

    >>> reduced_size((1000, 2000), 640), reduced_size((100, 200), 640)
    ((320, 640), (100, 200))
    """
    factor = min(1.0, side / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def key_points(grey: Grey, size: Size, *, count: int, contrast: int) -> KeyPoints:
    """The `count` clearest key points of a grey picture, at their places in the photograph of `size`.

    contrast: least difference, in grey levels, between a corner and its surroundings.
    """
    import cv2

    if min(grey.shape) < LEAST_SIDE:
        return KeyPoints(np.zeros((0, 2)), np.zeros((0, BYTES), dtype=np.uint8))
    orb = cv2.ORB.create(nfeatures=count, fastThreshold=contrast, edgeThreshold=_BORDER)
    found, descriptors = orb.detectAndCompute(grey, None)
    if not found:
        return KeyPoints(np.zeros((0, 2)), np.zeros((0, BYTES), dtype=np.uint8))
    places = np.array([point.pt for point in found], dtype=np.float64)
    height, width = grey.shape
    return KeyPoints(moved(places, resizing((height, width), size)), np.asarray(descriptors, dtype=np.uint8))
