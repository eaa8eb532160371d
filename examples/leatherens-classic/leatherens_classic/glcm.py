"""GLCM: statistics of grey-level co-occurrence (Haralick, Shanmugam and Dinstein, 1973).

How often two grey levels stand at a given distance, in four directions. As in the paper, levels are equally
probable (here on good images, whatever their light), matrices are symmetric, and of each statistic the
mean and the range over the directions are kept: the one is the grain, the other how far it runs one way.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from leatherens import FitContext
from leatherens.core.randomness import numpy_generator
from leatherens.core.rows import RowReservoir
from leatherens.core.types import ImageSource
from leatherens_classic.texture import TextureDetector, TextureParams
from leatherens_classic.windows import Codes, Plane, cell_histograms, grey, over_windows, padded

DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""Down and across, one step: 0, 135, 90 and 45 degrees in the paper's terms."""
GREYS = 100_000
"""Grey values of good images that the levels are read from."""


def pair_codes(levels: Codes, offset: tuple[int, int], count: int) -> Codes:
    """(H, W) levels below `count` to (H, W): first * count + second of each pixel and the one at `offset`.

    offset: rows down, not negative, and columns across. Beyond the ends the plane is mirrored.
    """
    down, across = offset
    height, width = levels.shape
    beyond = np.pad(levels, [(0, down), (abs(across), abs(across))], mode="symmetric")
    start = abs(across) + across
    return levels * count + beyond[down : down + height, start : start + width]


def statistics(shares: Plane, count: int) -> Plane:
    """(..., count²) co-occurrence shares to (..., 6).

    Contrast, dissimilarity, homogeneity, energy, correlation and entropy, of the symmetric matrix, as
    scikit-image defines them (`graycoprops`); correlation is 1 where one level stands alone.
    """
    table = shares.astype(np.float64).reshape(*shares.shape[:-1], count, count)
    table = (table + np.swapaxes(table, -1, -2)) / 2
    level = np.arange(count, dtype=np.float64)
    apart = np.abs(level[:, None] - level)
    mean = table.sum(axis=-1) @ level
    variance = table.sum(axis=-1) @ level**2 - mean**2
    covariance = np.einsum("...ij,i,j->...", table, level, level) - mean**2
    logs = np.log2(table, out=np.zeros_like(table), where=table > 0)
    of_pairs = np.stack([apart**2, apart, 1 / (1 + apart**2)], axis=-1).reshape(count**2, 3)
    sums = table.reshape(shares.shape) @ of_pairs
    others = [
        np.sqrt((table**2).sum(axis=(-2, -1))),
        np.where(variance > 1e-9, covariance / np.maximum(variance, 1e-9), 1),
        -(table * logs).sum(axis=(-2, -1)),
    ]
    return np.concatenate([sums, np.stack(others, axis=-1)], axis=-1).astype(np.float32)


class GLCM(TextureDetector):
    """Six statistics of co-occurrence in windows, their means and ranges over four directions."""

    id = "glcm"

    class Params(TextureParams):
        """Levels and distances."""

        levels: int = Field(default=8, ge=2, le=32)
        """Grey levels, equally probable on good images; matrices have the square of it."""
        distances: tuple[PositiveInt, ...] = Field(default=(1, 3), min_length=1)
        """How far apart the two pixels are, in pixels (steps, diagonal ones too)."""

    edges_: Tensor
    """(levels - 1,) where one grey level ends and the next begins."""

    def _learn_scale(self, images: ImageSource, context: FitContext) -> None:
        sample = RowReservoir(GREYS, numpy_generator(context.seed, self.id, "greys"))
        for batch, _ in context.walk(images, (), f"{self.id}: looking for grey levels"):
            plane = torch.from_numpy(grey(batch.pixels.permute(0, 2, 3, 1).cpu().numpy()))  # (B, H, W)
            counted = plane.flatten() if batch.valid is None else plane[batch.valid.cpu()]
            sample.add(counted[:, None])
        share = np.arange(1, self.params.levels) / self.params.levels
        self.edges_ = torch.from_numpy(np.quantile(sample.rows()[:, 0].numpy(), share).astype(np.float32))

    def _describe(self, photograph: Plane) -> Plane:
        cell, reach, count = self.params.cell, self.params.reach, self.params.levels
        levels = np.searchsorted(self.edges_.cpu().numpy(), padded(grey(photograph), cell), side="right")
        found = []
        for distance in self.params.distances:
            turned = []
            for down, across in DIRECTIONS:
                codes = pair_codes(levels, (down * distance, across * distance), count)
                shares = np.maximum(over_windows(cell_histograms(codes, count**2, cell), reach), 0)
                turned.append(statistics(shares, count))
            found += [np.mean(turned, axis=0), np.ptp(turned, axis=0)]
        return np.concatenate(found, axis=-1)
