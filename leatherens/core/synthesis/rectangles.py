"""How large a rectangle of an artificial anomaly is, and where it lies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leatherens.core.synthesis.perlin import Mask, Shape

Window = tuple[slice, slice]
Range = tuple[float, float]

ATTEMPTS = 20
"""Places drawn at most until one is such as it was asked for."""


def feasible_sides(shape: Shape, area: Range, aspect: Range, rng: np.random.Generator) -> Shape:
    """Height and width in pixels of a rectangle that fits into a picture of this shape.

    area: ends of its share of the picture. aspect: ends of its width / height, of which a flat shape is as
    likely as an upright one; only that part is drawn from that fits.
    """
    height, width = shape
    pixels = height * width * rng.uniform(*area)
    narrowest, widest = np.clip(aspect, pixels / height**2, width**2 / pixels)
    ratio = np.exp(rng.uniform(np.log(narrowest), np.log(widest)))
    tall, wide = round(np.sqrt(pixels / ratio)), round(np.sqrt(pixels * ratio))
    return min(max(tall, 1), height), min(max(wide, 1), width)


def placed(
    sides: Shape, shape: Shape, valid: Mask | None, rng: np.random.Generator, *, whole: bool = False
) -> Window:
    """Somewhere in a picture, drawn again while nothing of it (whole: not all of it) may be inspected.

    After `ATTEMPTS` draws it lies about a pixel that may be inspected, if there is one.
    """
    enough = np.all if whole else np.any
    window = _window(rng.integers(np.subtract(shape, sides) + 1), sides)
    if valid is None:
        return window
    for _ in range(ATTEMPTS):
        if enough(valid[window]):
            return window
        window = _window(rng.integers(np.subtract(shape, sides) + 1), sides)
    places = np.argwhere(valid)
    if len(places):
        centre = places[rng.integers(len(places))]
        window = _window(np.clip(centre - np.array(sides) // 2, 0, np.subtract(shape, sides)), sides)
    return window


def _window(corner: npt.NDArray[np.integer], sides: Shape) -> Window:
    (top, left), (height, width) = corner.tolist(), sides
    return slice(top, top + height), slice(left, left + width)
