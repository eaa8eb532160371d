"""Where an artificial anomaly lies that must not be missed: Perlin spots of at least some pixels.

A Perlin mask may be empty, or fall where there is nothing to inspect; a bad example needs a defect in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leatherens.core.synthesis.perlin import Mask, Shape, perlin_mask

PIXELS_PER_LEAST = 500
"""Small images must show one pixel in so many: 100 pixels are that share of 224 x 224."""


def disc(inside: Mask, count: int, rng: np.random.Generator) -> Mask:
    """The `count` pixels of `inside` (H, W) nearest to one of them drawn at random; (H, W)."""
    places = np.argwhere(inside)  # (P, 2)
    away = np.square(places - places[rng.integers(len(places))]).sum(axis=1)
    rows, columns = places[np.argsort(away, kind="stable")[:count]].T
    mask = np.zeros_like(inside)
    mask[rows, columns] = True
    return mask


@dataclass(frozen=True, slots=True)
class Spots:
    """Perlin masks, drawn again while they are too small.

    exponents, threshold: of the Perlin mask. least: fewest pixels of an anomaly, or one in 500 of those that
    may be inspected where that is less. attempts: after so many masks too small, a disc of the least size.
    """

    exponents: tuple[int, int] = (0, 5)
    threshold: float = 0.5
    least: int = 100
    attempts: int = 20

    def draw(self, shape: Shape, valid: Mask | None, rng: np.random.Generator) -> Mask:
        """(H, W), within `valid`; empty only where nothing is valid."""
        inside = np.ones(shape, np.bool_) if valid is None else valid
        least = min(self.least, -(-int(np.count_nonzero(inside)) // PIXELS_PER_LEAST))
        for _ in range(self.attempts):
            mask = perlin_mask(rng, shape, exponents=self.exponents, threshold=self.threshold) & inside
            if np.count_nonzero(mask) >= least:
                return mask
        return disc(inside, least, rng)


SPOTS = Spots()
"""DRAEM's masks of at least 100 pixels, as published for images of 224 x 224."""
