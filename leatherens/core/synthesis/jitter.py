"""A picture in slightly other colours: how a patch is changed before it is pasted.

Brightness, contrast, saturation and hue as torchvision's `ColorJitter` changes them, each once, in any order.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from leatherens.core.synthesis.perlin import Floats

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue add to the grey of a pixel (ITU-R BT.601)."""


def brightened(image: Floats, factor: float) -> Floats:
    """(H, W, 3) in 0..1, all values times the factor."""
    return _unit(image * np.float32(factor))


def contrasted(image: Floats, factor: float) -> Floats:
    """The distance of all values from the mean grey times the factor."""
    mean = (image @ LUMA).mean()
    return _unit(mean + np.float32(factor) * (image - mean))


def saturated(image: Floats, factor: float) -> Floats:
    """The distance of all values from the pixel's own grey times the factor."""
    grey = (image @ LUMA)[..., None]
    return _unit(grey + np.float32(factor) * (image - grey))


def hue_turned(image: Floats, factor: float) -> Floats:
    """The hue turned by factor - 1 of a full circle, so that 1 changes nothing here, too."""
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    hue = (hue + np.float32(360 * (factor - 1))) % 360  # degrees
    return _unit(cv2.cvtColor(cv2.merge([hue, saturation, value]), cv2.COLOR_HSV2RGB))


CHANGES: tuple[Callable[[Floats, float], Floats], ...] = (brightened, contrasted, saturated, hue_turned)


def jittered(image: Floats, rng: np.random.Generator, *, strength: float = 0.1) -> Floats:
    """(H, W, 3) in 0..1 after all four, in an order drawn, by factors from 1 - strength to 1 + strength."""
    for index in rng.permutation(len(CHANGES)):
        image = CHANGES[index](image, rng.uniform(1 - strength, 1 + strength))
    return image


def _unit(image: Floats) -> Floats:
    return np.asarray(np.clip(image, 0, 1), np.float32)
