"""What pictures for people are made of: paper, ink, letters, and outlines that can be seen on any leather."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import ImageFont

if TYPE_CHECKING:
    from leatherens.core.photographs import Mask, Photograph

Colour: TypeAlias = tuple[int, int, int]
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

TITLE, NAME, TEXT, SMALL = 32, 22, 16, 14
"""Sizes of letters."""

PAPER, INK, GREY, RULE, FRAME = (255, 255, 255), (24, 24, 27), (96, 96, 104), (222, 222, 226), (150, 150, 156)
MARKERS: Mapping[str, Colour] = {
    "yellow": (255, 226, 0),
    "cyan": (0, 226, 255),
    "green": (64, 255, 64),
    "red": (255, 32, 48),
    "magenta": (255, 48, 255),
}
"""What outlines may be drawn in: the one least like the good images is."""


def outlined(picture: Photograph, mask: Mask, colour: Colour) -> Photograph:
    """The picture (H, W, 3) with a line around the mask, which hides none of it.

    Gaps of a pixel or two in the mask, where by chance nothing changed, are not drawn.
    """
    import cv2

    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    ring = cv2.dilate(closed, np.ones((3, 3), np.uint8)) - closed
    marked: Photograph = picture.copy()
    marked[(ring > 0) & ~mask] = colour
    return marked


def marker_for(pictures: Sequence[Photograph]) -> str:
    """The colour that is far even from those pixels that are most like it, one in twenty of all."""
    pixels = np.concatenate([picture[::4, ::4].reshape(-1, 3) for picture in pictures]).astype(np.float32)

    def away(name: str) -> float:
        return float(np.quantile(np.linalg.norm(pixels - MARKERS[name], axis=1), 0.05))

    return max(MARKERS, key=away)


def shortened(text: str, pixels: int, size: int = SMALL) -> str:
    """The end of a text that is too long for its place: of a path the file's name is what counts."""
    letters = font(size)
    while letters.getlength(text) > pixels and len(text) > 1:
        text = "…" + text.lstrip("…")[1:]
    return text


def font(size: int) -> Font:
    """Pillow's own, which is at hand everywhere."""
    return ImageFont.load_default(size)
