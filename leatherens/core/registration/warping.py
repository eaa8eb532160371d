"""Pixels and masks laid over the reference; `core.preparation.Frame` brings maps back."""

from __future__ import annotations

import numpy as np

from leatherens.core.photographs import Mask, Photograph, resize_photograph
from leatherens.core.registration.homographies import Homography, Size, resizing


def warped(photograph: Photograph, homography: Homography, to: Size) -> tuple[Photograph, Mask]:
    """A photograph (h, w, 3) laid over a reference of size `to`, and where (H, W) it shows something.

    Bilinear, with area averages first where the reference is smaller. Beyond the photograph's edge its last
    pixels go on, so that no dark seam comes in when the picture is resized; they are not valid.
    """
    import cv2

    size = photograph.shape[0], photograph.shape[1]
    between = min(size[0], to[0]), min(size[1], to[1])
    photograph = resize_photograph(photograph, between)
    homography = homography @ np.linalg.inv(resizing(size, between))
    pixels = cv2.warpPerspective(
        photograph, homography, to[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(pixels, dtype=np.uint8), covered(between, homography, to)


def covered(size: Size, homography: Homography, to: Size) -> Mask:
    """(H, W) of the reference: where a pixel of a picture of `size` is the nearest."""
    import cv2

    everywhere = np.full(size, 255, dtype=np.uint8)
    inside: Mask = cv2.warpPerspective(everywhere, homography, to[::-1], flags=cv2.INTER_NEAREST) == 255
    return inside


def warped_mask(mask: Mask, homography: Homography, to: Size) -> Mask:
    """A mask (h, w) laid over a reference of size `to`: marked where at least half of a pixel is.

    With the inverse it comes back.
    """
    import cv2

    levels = cv2.warpPerspective(mask.astype(np.uint8) * 255, homography, to[::-1], flags=cv2.INTER_LINEAR)
    marked: Mask = levels >= 128
    return marked
