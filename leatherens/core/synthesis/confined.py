"""Any kind of anomaly kept to one spot and let fade: real defects are often small, and often faint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leatherens.core.synthesis.kinds import AnomalyKind
from leatherens.core.synthesis.overlay import blend
from leatherens.core.synthesis.perlin import Floats, Mask


@dataclass(frozen=True, slots=True)
class Confined:
    """Of what a kind does, only what lies in one ellipse about a random place of it; an `AnomalyKind`.

    area: ends of the ellipse's share of the picture, small ones as likely as large ones.
    elongation: its largest ratio of axes, round ones as likely as scratches.
    fade: ends of how much the good image shines through.
    """

    kind: AnomalyKind
    area: tuple[float, float] = (0.0005, 0.05)
    elongation: float = 12.0
    fade: tuple[float, float] = (0.0, 0.8)

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3) with the anomaly, and its mask, within `valid` and the kind's own."""
        spoilt, mask = self.kind.draw(image, valid, rng)
        if not mask.any():
            return spoilt, mask
        mask = mask & self._ellipse(mask, rng)
        return blend(image, spoilt, mask, beta=rng.uniform(*self.fade)), mask

    def _ellipse(self, mask: Mask, rng: np.random.Generator) -> Mask:
        """(H, W), about a random place of the mask, which is always inside."""
        places = np.argwhere(mask)
        centre = places[rng.integers(len(places))]
        pixels = mask.size * np.exp(rng.uniform(*np.log(self.area)))
        ratio, angle = np.exp(rng.uniform(0, np.log(self.elongation))), rng.uniform(0, np.pi)
        down, right = np.arange(mask.shape[0]) - centre[0], np.arange(mask.shape[1]) - centre[1]
        along = np.sin(angle) * down[:, None] + np.cos(angle) * right
        across = np.cos(angle) * down[:, None] - np.sin(angle) * right
        away = along**2 / ratio + across**2 * ratio  # the squared radius of a circle of the same area
        return np.asarray(away <= max(pixels / np.pi, 0.5))
