"""How large the marked defects are: an image's defect as a whole, and how its largest piece extends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leatherens.core.photographs import Mask

QUANTILES: Mapping[str, float] = {
    "least": 0,
    "quarter": 0.25,
    "median": 0.5,
    "three_quarters": 0.75,
    "most": 1,
}


@dataclass(frozen=True, slots=True)
class DefectSize:
    """Of one image: `picture` is its height and width.

    area, share: of all that is marked, in pixels and of the picture. regions: 8-connected pieces.
    extent: from end to end of the largest piece, in pixels. thickness: across it where it is thickest.
    """

    picture: tuple[int, int]
    area: int
    regions: int
    extent: float
    thickness: float

    @property
    def share(self) -> float:
        """Of the picture that is marked."""
        return self.area / (self.picture[0] * self.picture[1])

    def at(self, size: tuple[int, int]) -> tuple[float, float]:
        """Extent and thickness in pixels of a picture that is brought to this size; the less favourable side
        counts.

        >>> DefectSize((1024, 2048), 400, 1, extent=40.0, thickness=8.0).at((256, 256))
        (5.0, 1.0)
        """
        factor = min(size[0] / self.picture[0], size[1] / self.picture[1])
        return self.extent * factor, self.thickness * factor


def defect_size(mask: Mask) -> DefectSize:
    """The size of a defect (H, W) that marks at least one pixel."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height, _ = stats[largest].tolist()
    piece = labels[top : top + height, left : left + width] == largest
    size = mask.shape[0], mask.shape[1]
    return DefectSize(size, int(mask.sum()), count - 1, extent_of(piece), thickness_of(piece))


def extent_of(piece: Mask) -> float:
    """The greatest distance between two pixels of a region (H, W), counted from edge to edge.

    >>> extent_of(np.ones((1, 7), np.bool_))
    7.0
    """
    import cv2

    points = np.argwhere(piece).astype(np.int32)
    corners = cv2.convexHull(points).reshape(-1, 2).astype(np.float64)
    apart = np.linalg.norm(corners[:, None] - corners, axis=2)
    return float(apart.max()) + 1


def thickness_of(piece: Mask) -> float:
    """The width of a region (H, W) where it is thickest, in pixels, one too few where that is even.

    >>> thickness_of(np.ones((3, 20), np.bool_)), thickness_of(np.ones((1, 20), np.bool_))
    (3.0, 1.0)
    """
    import cv2

    framed = np.pad(piece.astype(np.uint8), 1)
    inside = float(cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max())
    return 2 * inside - 1


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Least, quartiles and most of one value and more."""
    found: NDArray[Any] = np.quantile(np.asarray(values, np.float64), list(QUANTILES.values()))
    return dict(zip(QUANTILES, found.tolist(), strict=True))
