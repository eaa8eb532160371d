"""A piece of the image in slightly other colours, pasted elsewhere: CutPaste and its scar.

Li et al., CVPR 2021, section 2.2; the authors published no code, sizes and angles are those of open
implementations. On an even surface such a piece may be all but invisible.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from leatherens.core.synthesis.jitter import jittered
from leatherens.core.synthesis.overlay import within
from leatherens.core.synthesis.perlin import Floats, Mask, Shape
from leatherens.core.synthesis.rectangles import Range, feasible_sides, placed


@dataclass(frozen=True, slots=True)
class CutPaste:
    """A large rectangle; an `AnomalyKind`.

    area: ends of its share of the picture. aspect: ends of its width / height. jitter: of its colours.
    """

    area: Range = (0.02, 0.15)
    aspect: Range = (0.3, 1 / 0.3)
    jitter: float = 0.1

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3) with the anomaly, and its mask; cut from within `valid` and pasted there."""
        shape = image.shape[0], image.shape[1]
        sides = feasible_sides(shape, self.area, self.aspect, rng)
        patch = jittered(image[placed(sides, shape, valid, rng, whole=True)], rng, strength=self.jitter)
        return within(image, patch, placed(sides, shape, valid, rng), valid)


@dataclass(frozen=True, slots=True)
class CutPasteScar:
    """A thin strip, turned; an `AnomalyKind`.

    width, length: ends of the strip's sides in pixels, less where half the picture's shorter side is less.
    rotation: degrees either way from upright.
    """

    width: Range = (2, 16)
    length: Range = (10, 25)
    rotation: float = 45.0
    jitter: float = 0.1

    def draw(self, image: Floats, valid: Mask | None, rng: np.random.Generator) -> tuple[Floats, Mask]:
        """The image (H, W, 3) with the anomaly, and its mask; cut from within `valid` and pasted there."""
        shape = image.shape[0], image.shape[1]
        most = max(1, min(shape) // 2)
        tall, wide = (min(round(rng.uniform(*ends)), most) for ends in (self.length, self.width))
        source = placed((tall, wide), shape, valid, rng, whole=True)
        strip = jittered(image[source], rng, strength=self.jitter)
        patch, covered = tilted(strip, rng.uniform(-self.rotation, self.rotation))
        window = placed((patch.shape[0], patch.shape[1]), shape, valid, rng)
        return within(image, patch, window, valid, covered=covered)


def tilted(patch: Floats, degrees: float) -> tuple[Floats, Mask]:
    """A patch (h, w, 3) turned anticlockwise, on a canvas that just holds it, and which pixels it covers."""
    height, width = patch.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    canvas = _canvas((height, width), degrees)
    turn[:, 2] += (canvas[1] - width) / 2, (canvas[0] - height) / 2
    turned = cv2.warpAffine(patch, turn, canvas[::-1], borderMode=cv2.BORDER_REPLICATE)
    weight = cv2.warpAffine(np.ones((height, width), np.float32), turn, canvas[::-1])
    return np.asarray(np.clip(turned, 0, 1), np.float32), np.asarray(weight >= 0.5)


def _canvas(sides: Shape, degrees: float) -> Shape:
    cosine, sine = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    height, width = sides
    # Less a thousandth of a pixel: rounding must not add a row to a patch that is not turned.
    return (
        int(np.ceil(height * cosine + width * sine - 1e-3)),
        int(np.ceil(width * cosine + height * sine - 1e-3)),
    )
