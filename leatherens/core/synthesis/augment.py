"""Ten ways to change how a texture looks, so that a small collection of textures goes a long way.

The ten of DRAEM (Zavrtanik et al., ICCV 2021, section 3.3). Each takes and gives (H, W, 3) uint8 RGB and
draws its own strength; strengths are on the 0..255 scale.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from leatherens.core.synthesis.rotation import rotated

Picture = npt.NDArray[np.uint8]  # (H, W, 3) RGB
Augmenter = Callable[[Picture, np.random.Generator], Picture]

_LEVELS = np.arange(256, dtype=np.float32)
_SMOOTHING = (
    np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
)  # what image editors sharpen against


def gamma_contrast(image: Picture, rng: np.random.Generator) -> Picture:
    """Raise each channel to a power of its own, 0.5..2."""
    powers = rng.uniform(0.5, 2.0, 3)
    return _looked_up(image, 255 * (_LEVELS[:, None] / 255) ** powers)


def brightness(image: Picture, rng: np.random.Generator) -> Picture:
    """Multiply the brightness (HSV value) by 0.8..1.2 and add -30..30."""
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    value = _looked_up(value, _LEVELS * rng.uniform(0.8, 1.2) + rng.uniform(-30, 30))
    return _rgb(hue, saturation, value)


def sharpness(image: Picture, rng: np.random.Generator) -> Picture:
    """Blur (factor 0) to sharpen (factor 3)."""
    factor = rng.uniform(0, 3)
    smooth = cv2.filter2D(image, -1, _SMOOTHING)
    return np.asarray(cv2.addWeighted(image, factor, smooth, 1 - factor, 0), np.uint8)


def hue_and_saturation(image: Picture, rng: np.random.Generator) -> Picture:
    """Add -50..50 to the hue, which wraps round, and to the saturation, drawn apart."""
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    turn, more = rng.uniform(-50, 50, 2)
    half_degrees = 180 / 255 * turn  # 8-bit hues run 0..179
    return _rgb(
        _looked_up(hue, np.rint(_LEVELS + half_degrees) % 180), _looked_up(saturation, _LEVELS + more), value
    )


def solarize(image: Picture, rng: np.random.Generator) -> Picture:
    """Every other time, invert what is brighter than 32..128."""
    threshold = rng.uniform(32, 128)
    if rng.random() >= 0.5:
        return image
    return _looked_up(image, np.where(threshold > _LEVELS, _LEVELS, 255 - _LEVELS))


def posterize(image: Picture, rng: np.random.Generator) -> Picture:
    """Keep only the 1..8 highest bits."""
    return np.asarray(image & np.uint8(256 - 2 ** (8 - rng.integers(1, 9))), np.uint8)


def invert(image: Picture, rng: np.random.Generator) -> Picture:
    """The negative."""
    return ~image


def autocontrast(image: Picture, rng: np.random.Generator) -> Picture:
    """Stretch each channel to 0..255, leaving out 0..20% of the pixels at either end."""
    cutoff = rng.uniform(0, 0.2)
    pixels = image[::2, ::2].reshape(-1, 3)
    ranks = np.rint((len(pixels) - 1) * np.array([cutoff, 1 - cutoff]))
    low, high = np.stack([_ranked(channel, ranks) for channel in pixels.T], axis=-1)  # (3,) each
    span = np.maximum(high - low, np.float32(1))
    return _looked_up(image, (_LEVELS[:, None] - low) * (255 / span))


def equalize(image: Picture, rng: np.random.Generator) -> Picture:
    """Flatten each channel's histogram."""
    return np.asarray(cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(image)]), np.uint8)


def rotate(image: Picture, rng: np.random.Generator) -> Picture:
    """Turn by up to 45 degrees on a black canvas."""
    return np.asarray(rotated(image, rng.uniform(-45, 45)), np.uint8)


AUGMENTERS: tuple[Augmenter, ...] = (
    gamma_contrast,
    brightness,
    sharpness,
    hue_and_saturation,
    solarize,
    posterize,
    invert,
    autocontrast,
    equalize,
    rotate,
)


def augmented(image: Picture, rng: np.random.Generator, *, count: int = 3) -> Picture:
    """`count` distinct augmenters, one after the other."""
    for index in rng.choice(len(AUGMENTERS), size=count, replace=False):
        image = AUGMENTERS[index](image, rng)
    return image


def _ranked(levels: npt.NDArray[np.uint8], ranks: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The values (K,) that would stand at these places, from 0, if the levels (N,) were sorted."""
    below = np.cumsum(np.bincount(levels, minlength=256))  # how many are at most 0, 1, ... 255
    return np.searchsorted(below, ranks, side="right").astype(np.float32)


def _looked_up(image: Picture, table: npt.NDArray[np.floating]) -> Picture:
    """Each value replaced from a table (256,), or (256, 3) with one column a channel; clipped to 0..255."""
    table = np.rint(np.clip(table, 0, 255)).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table if table.ndim == 1 else table[None]), np.uint8)


def _rgb(hue: Picture, saturation: Picture, value: Picture) -> Picture:
    return np.asarray(cv2.cvtColor(cv2.merge([hue, saturation, value]), cv2.COLOR_HSV2RGB), np.uint8)
