"""A rectangle of coloured simplex noise added to a good image (RD++, Tien et al., CVPR 2023, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leatherens.core.synthesis.perlin import Floats, Mask, Shape
from leatherens.core.synthesis.simplex import simplex_octaves

Window = tuple[slice, slice]

ATTEMPTS = 20
"""Rectangles drawn at most until one meets something to inspect."""


@dataclass(frozen=True, slots=True)
class NoisePatch:
    """An `AnomalyKind`. sides: ends of the draw of height and width, in pixels. strength: of the noise."""

    sides: tuple[int, int] = (10, 31)
    strength: float = 0.2

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3), brought back into 0..1, and the rectangle, within `valid`."""
        window = self._window(image.shape[:2], valid, rng)
        mask = np.zeros(image.shape[:2], np.bool_)
        mask[window] = True if valid is None else valid[window]
        noisy = image.copy()
        noisy[window] += np.float32(self.strength) * simplex_octaves(rng, mask[window].shape)
        return np.where(mask[..., None], np.clip(noisy, 0, 1), image), mask

    def _window(self, shape: Shape, valid: Mask | None, rng: np.random.Generator) -> Window:
        """Drawn again while it lies where there is nothing to inspect."""
        for _ in range(ATTEMPTS):
            window = self._span(shape[0], rng), self._span(shape[1], rng)
            if valid is None or bool(valid[window].any()):
                break
        return window

    def _span(self, length: int, rng: np.random.Generator) -> slice:
        """Where along one axis: never at the very first pixel, as in the authors' code."""
        side = min(int(rng.integers(*self.sides, endpoint=True)), length - 1)
        start = int(rng.integers(1, length - side, endpoint=True))
        return slice(start, start + side)
