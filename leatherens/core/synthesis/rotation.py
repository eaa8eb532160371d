"""Turning a picture on its canvas."""

from __future__ import annotations

from typing import Any

import cv2
import numpy.typing as npt


def rotated(image: npt.NDArray[Any], degrees: float) -> npt.NDArray[Any]:
    """(H, W) or (H, W, 3) turned anticlockwise about its centre: same size, bilinear, zeros from outside."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    turned: npt.NDArray[Any] = cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR)
    return turned
