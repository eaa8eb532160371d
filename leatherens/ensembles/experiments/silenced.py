"""Scores of which every pixel counts: where nothing was looked at, nothing was found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leatherens.core.photographs import Mask
from leatherens.core.preparation import FloatMap
from leatherens.core.thresholds import Normals
from leatherens.ensembles.scoring import ScorerScores


@dataclass(slots=True)
class Silenced(ScorerScores):
    """Other scores, their uncounted pixels set to the lowest counted one of all images."""

    images: NDArray[np.float32]
    inner: ScorerScores
    lowest: float

    @classmethod
    def of(cls, scores: ScorerScores) -> Silenced:
        """From scores of at least one image."""
        return cls(scores.images, scores, min(counting(scores, i).min() for i in range(len(scores.images))))

    def map(self, index: int) -> FloatMap:
        """(H, W) float32, silenced."""
        pixels, valid = self.inner.map(index), self.inner.valid(index)
        return pixels if valid is None else np.where(valid, pixels, np.float32(self.lowest))

    def valid(self, index: int) -> Mask | None:
        """Everywhere."""
        return None

    def normals(self) -> Normals:
        """What thresholds learn from, in which silenced pixels have no say."""
        return self.inner.normals()


def counting(scores: ScorerScores, index: int) -> FloatMap:
    """(n,) the counting pixels of an image."""
    pixels, valid = scores.map(index), scores.valid(index)
    return pixels.ravel() if valid is None else pixels[valid]
