"""Any kind of anomaly through which the good image shines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leatherens.core.synthesis.kinds import AnomalyKind
from leatherens.core.synthesis.overlay import blend
from leatherens.core.synthesis.perlin import Floats, Mask


@dataclass(frozen=True, slots=True)
class Faded:
    """What a kind does, mixed with the good image; an `AnomalyKind`.

    opacity: ends of the kind's part in the mixture, one draw for all of a mask (0.15 to 1: MemSeg).
    """

    kind: AnomalyKind
    opacity: tuple[float, float] = (0.15, 1.0)

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3) with the anomaly, and the kind's mask."""
        spoilt, mask = self.kind.draw(image, valid, rng)
        return blend(image, spoilt, mask, beta=1 - rng.uniform(*self.opacity)), mask
