"""LBP: histograms of uniform local binary patterns (Ojala, Pietikäinen and Mäenpää, PAMI 2002).

A pixel's pattern says which of the points on a circle around it are at least as bright; what is counted is
how many, where they hang together, and all the others as one. Brightness and contrast drop out, and rotation.
"""

from __future__ import annotations

import numpy as np

from leatherens_classic.texture import TextureDetector, TextureParams
from leatherens_classic.windows import Codes, Plane, cell_histograms, grey, over_windows, padded

LEVELS = 255
"""Grey values are compared as 8-bit numbers: rounding must not decide between equal neighbours."""


def patterns(plane: Plane, points: int, radius: float) -> Codes:
    """(H, W) grey in 0..1 to each pixel's pattern, 0 .. points + 1, the last for all that are not uniform."""
    from skimage.feature import local_binary_pattern

    bytes_ = np.rint(plane * LEVELS).astype(np.uint8)
    return local_binary_pattern(bytes_, points, radius, method="uniform").astype(np.intp)


class LBP(TextureDetector):
    """Shares of uniform binary patterns in windows, on several circles."""

    id = "lbp"

    class Params(TextureParams):
        """Circles of the paper's multi-resolution variant: points and radius in pixels."""

        circles: tuple[tuple[int, float], ...] = ((8, 1.0), (16, 2.0))

    def _describe(self, photograph: Plane) -> Plane:
        plane, cell = padded(grey(photograph), self.params.cell), self.params.cell
        shares = [
            cell_histograms(patterns(plane, points, radius), points + 2, cell)
            for points, radius in self.params.circles
        ]
        # Square roots make Euclidean distances those of Hellinger, and the shares' variances alike.
        return np.sqrt(np.maximum(over_windows(np.concatenate(shares, axis=-1), self.params.reach), 0))
