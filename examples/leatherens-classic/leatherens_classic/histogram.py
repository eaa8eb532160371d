"""Histogram statistics of patches, as Gan et al. (2021) used for tick bites on leather, and colour means.

Of the grey values of a window: mean, deviation, skewness, kurtosis, the three quartiles and the entropy;
of its colours the mean of two opponent channels. The cheapest
descriptor, and the only one here that sees colours.
"""

from __future__ import annotations

import numpy as np

from leatherens_classic.texture import TextureDetector, TextureParams
from leatherens_classic.windows import Plane, cell_histograms, cell_means, grey, over_windows, padded

BINS = 64
"""Grey levels of the histogram that quartiles and entropy are read from."""
QUIET = 1 / 255
"""Deviation under which a window is called flat: what rounding to 8 bits leaves."""
OPPONENTS = np.float32([[1, -1, 0], [0.5, 0.5, -1]]).T
"""(3, 2): red against green, yellow against blue."""


def moments(powers: Plane) -> Plane:
    """(..., 4) means of the first four powers to mean, deviation, skewness and kurtosis (3 where normal)."""
    first, second, third, fourth = np.moveaxis(powers.astype(np.float64), -1, 0)
    variance = np.maximum(second - first**2, 0)
    deviation = np.sqrt(variance + QUIET**2)
    skewness = (third - 3 * first * second + 2 * first**3) / deviation**3
    central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    return np.stack([first, np.sqrt(variance), skewness, central / deviation**4], axis=-1).astype(np.float32)


def quartiles(shares: Plane) -> Plane:
    """(..., bins) histograms over 0..1 to (..., 3), linear inside a bin.

    >>> quartiles(np.float32([0.5, 0.5])).tolist()
    [0.25, 0.5, 0.75]
    """
    bins = shares.shape[-1]
    reached = np.cumsum(shares, axis=-1)
    found = []
    for share in (0.25, 0.5, 0.75):
        at = np.minimum((reached < share).sum(axis=-1), bins - 1)[..., None]
        inside = np.take_along_axis(shares, at, axis=-1)
        before = np.take_along_axis(reached, at, axis=-1) - inside
        part = np.clip((share - before) / np.maximum(inside, 1e-9), 0, 1)
        found.append((at + part)[..., 0] / bins)
    return np.stack(found, axis=-1).astype(np.float32)


def entropy(shares: Plane) -> Plane:
    """(..., bins) to (..., 1), in bits.

    >>> entropy(np.float32([0.25, 0.25, 0.5])).tolist()
    [1.5]
    """
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return -(shares * logs).sum(axis=-1, keepdims=True)


class Histogram(TextureDetector):
    """Moments, quartiles and entropy of grey values, and mean opponent colours, in windows."""

    id = "histogram"

    class Params(TextureParams):
        """Those of every texture detector."""

    def _describe(self, photograph: Plane) -> Plane:
        cell, reach = self.params.cell, self.params.reach
        image = padded(photograph, cell)
        plane = np.clip(grey(image), 0, 1)
        powers = np.stack([plane, plane**2, plane**3, plane**4], axis=-1)
        codes = np.minimum((plane * BINS).astype(np.intp), BINS - 1)
        shares = np.clip(over_windows(cell_histograms(codes, BINS, cell), reach), 0, 1)
        return np.concatenate(
            [
                moments(over_windows(cell_means(powers.astype(np.float64), cell), reach)),
                quartiles(shares),
                entropy(shares),
                over_windows(cell_means(image @ OPPONENTS, cell), reach),
            ],
            axis=-1,
        )
