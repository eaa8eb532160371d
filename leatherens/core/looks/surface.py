"""Texture or object: is there the same amount to see in every part of a picture?

A texture is as rough in one corner as in the middle. A picture of an object has parts where much changes, its
outline and its print, and parts where nothing does, a background or a plain face. So the measure is how
unevenly contrast lies over a picture, whatever its colour, light and amount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leatherens.core.photographs import resize_photograph

if TYPE_CHECKING:
    from leatherens.core.photographs import Photograph

UNEVEN = 0.5
"""From here on an object. Of 29 sets that were measured, textures reach 0.48 (photographs of crystals) and
leather and fabric 0.23; objects begin at 0.55 (docs/recommend.md)."""

SIDE, CELLS = 128, 8
"""Pixels of a side on which contrast is measured, and cells along it: 16 x 16 pixels each."""


def unevenness(photograph: Photograph) -> float:
    """How unevenly contrast lies over a photograph (H, W, 3): 0 for the same in all cells.

    The coefficient of variation, over the cells, of the standard deviation of CIELAB colours in a cell.

    >>> unevenness(np.full((40, 40, 3), 128, np.uint8))
    0.0
    """
    import cv2

    small = resize_photograph(photograph, (SIDE, SIDE))
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    step = SIDE // CELLS
    cells = lab.reshape(CELLS, step, CELLS, step, 3).transpose(0, 2, 1, 3, 4)  # (8, 8, 16, 16, 3)
    contrast = np.sqrt(cells.reshape(CELLS**2, step**2, 3).var(axis=1, dtype=np.float64).sum(axis=1))  # (64,)
    mean = float(contrast.mean())
    return float(contrast.std()) / mean if mean > _BLANK else 0.0


_BLANK = 1e-3
"""CIELAB; below it only rounding is left."""
