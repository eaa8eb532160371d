"""Any kind of anomaly with a mask that says exactly where the picture has changed, and that is not empty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leatherens.core.synthesis.kinds import AnomalyKind
from leatherens.core.synthesis.perlin import Floats, Mask

VISIBLE = 0.5 / 255
"""Half a grey level: less does not survive in an 8-bit picture."""

ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Exact:
    """What a kind does, but a pixel stays good where no channel changes visibly; an `AnomalyKind`.

    So a pixel is in the mask if, and only if, it differs from the good one, and then by `VISIBLE` at least.
    Draws that change nothing are drawn again, `ATTEMPTS` times in all: a white spot on white stays nothing.
    """

    kind: AnomalyKind

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3) with the anomaly, and its mask, within `valid`."""
        for _ in range(ATTEMPTS):
            spoilt, mask = settled(image, *self.kind.draw(image, valid, rng))
            if mask.any():
                break
        return spoilt, mask


def settled(image: Floats, spoilt: Floats, mask: Mask) -> tuple[Floats, Mask]:
    """Take back what cannot be seen: the spoilt image (H, W, 3) and the mask (H, W) of what can."""
    inside = np.flatnonzero(mask)
    good = image.reshape(-1, 3)[inside]  # (N, 3)
    change = np.abs(spoilt.reshape(-1, 3)[inside] - good)
    faint = np.maximum(np.maximum(change[:, 0], change[:, 1]), change[:, 2]) < VISIBLE
    if not faint.any():
        return spoilt, mask
    spoilt, mask = spoilt.copy(), mask.copy()
    spoilt.reshape(-1, 3)[inside[faint]] = good[faint]
    mask.reshape(-1)[inside[faint]] = False
    return spoilt, mask
