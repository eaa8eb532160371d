"""The product itself, in the wrong order: a good image changed in three ways, cut up and shuffled.

The structural anomalies of MemSeg (Yang et al., 2022) as Thomine and Snoussi take them over for surfaces
(CSE, VISAPP 2024, section 3.1): colours and grain are almost right, their arrangement is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from leatherens.core.synthesis.augment import augmented
from leatherens.core.synthesis.overlay import blend
from leatherens.core.synthesis.perlin import Floats, Mask
from leatherens.core.synthesis.rotation import rotated
from leatherens.core.synthesis.spots import SPOTS, Spots

Change = Callable[[Floats, np.random.Generator], Floats]  # (H, W, 3) in 0..1 to the same


def flipped(image: Floats, rng: np.random.Generator) -> Floats:
    """Left to right, every other time."""
    return np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.5 else image


def turned(image: Floats, rng: np.random.Generator) -> Floats:
    """By up to 45 degrees on a black canvas."""
    return np.asarray(rotated(image, rng.uniform(-45, 45)), np.float32)


def brightened(image: Floats, rng: np.random.Generator) -> Floats:
    """All values times 0.8..1.2."""
    return _unit(image * np.float32(rng.uniform(0.8, 1.2)))


def saturated(image: Floats, rng: np.random.Generator) -> Floats:
    """HSV saturation times 0.5..1.5."""
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    return _rgb(hue, np.clip(saturation * np.float32(rng.uniform(0.5, 1.5)), 0, 1), value)


def recoloured(image: Floats, rng: np.random.Generator) -> Floats:
    """HSV hue, counted from red, times 0.5..1.5; it wraps round."""
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    return _rgb(hue * np.float32(rng.uniform(0.5, 1.5)) % 360, saturation, value)  # degrees


CHANGES: tuple[Change, ...] = (flipped, turned, brightened, saturated, recoloured)


def changed(image: Floats, rng: np.random.Generator, *, count: int = 3) -> Floats:
    """`count` distinct changes, one after the other."""
    for index in rng.choice(len(CHANGES), size=count, replace=False):
        image = CHANGES[index](image, rng)
    return image


def shuffled(image: Floats, rng: np.random.Generator, *, grid: int = 8) -> Floats:
    """(H, W, 3) cut into `grid` x `grid` cells that change places.

    Where cells cannot all be equal, some are a pixel higher or wider; a cell that lands in a larger place
    brings along that pixel of its neighbour.
    """
    height, width = image.shape[:2]
    rows, columns = (np.arange(grid + 1) * length // grid for length in (height, width))
    mixed = np.empty_like(image)
    for place, cell in enumerate(rng.permutation(grid * grid)):
        (row, column), (from_row, from_column) = divmod(place, grid), divmod(int(cell), grid)
        tall, wide = rows[row + 1] - rows[row], columns[column + 1] - columns[column]
        top, left = min(rows[from_row], height - tall), min(columns[from_column], width - wide)
        mixed[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = image[
            top : top + tall, left : left + wide
        ]
    return mixed


def restyled(image: Floats, rng: np.random.Generator) -> Floats:
    """Changed as textures are before they are laid over images: MemSeg's way."""
    return _unit(augmented(np.rint(image * 255).astype(np.uint8), rng) / np.float32(255))


@dataclass(frozen=True, slots=True)
class StructuralAnomaly:
    """Inside the mask nothing but the shuffled image; an `AnomalyKind`.

    change: what is done to the image before.
    """

    spots: Spots = SPOTS
    grid: int = 8
    change: Change = changed

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3) with the anomaly, and its mask, within `valid`."""
        mask = self.spots.draw((image.shape[0], image.shape[1]), valid, rng)
        return blend(image, shuffled(self.change(image, rng), rng, grid=self.grid), mask, beta=0.0), mask


def _rgb(hue: Floats, saturation: Floats, value: Floats) -> Floats:
    return _unit(cv2.cvtColor(cv2.merge([hue, saturation, value]), cv2.COLOR_HSV2RGB))


def _unit(image: Floats) -> Floats:
    return np.asarray(np.clip(image, 0, 1), np.float32)
