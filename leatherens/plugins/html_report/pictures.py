"""Small pictures of one image: photograph as JPEG data URI, regions as SVG paths.

Shrinking keeps what a hide is inspected for: each pixel of a small score map or mask is the maximum of
the pixels it stands for, so that a defect of one pixel is still there.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST_QUALITY = 35  # JPEG, percent: below, leather loses its grain
LEAST_SIDE = 16  # pixels, at which any picture is small enough

Bytes = NDArray[np.uint8]
T = TypeVar("T", bound=np.generic)


def small_size(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """Height and width with the longest side at most `longest`, the proportions kept.

    >>> small_size((1000, 2000, 3), 320)
    (160, 320)
    """
    factor = min(1.0, longest / max(shape[:2]))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def shrink(photograph: Bytes, longest: int) -> Bytes:
    """A photograph, averaged down."""
    height, width = small_size(photograph.shape, longest)
    return np.asarray(cv2.resize(photograph, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def shrink_keeping_peaks(pixels: NDArray[T], longest: int) -> NDArray[T]:
    """(H, W) to (h, w), each the maximum of its own block; the blocks share out all pixels."""
    height, width = small_size(pixels.shape, longest)
    top = np.arange(height) * pixels.shape[0] // height
    left = np.arange(width) * pixels.shape[1] // width
    small: NDArray[T] = np.maximum.reduceat(np.maximum.reduceat(pixels, top, axis=0), left, axis=1)
    return small


@dataclass(frozen=True, slots=True)
class Regions:
    """What a mask marks: its border as an SVG path in small pixels, pieces, share of the image."""

    path: str
    count: int
    share: float


def regions(mask: NDArray[np.bool_], longest: int) -> Regions:
    """The 8-connected regions of a mask; the path is drawn on the shrunken mask, the numbers are exact."""
    pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
    return Regions(_path(shrink_keeping_peaks(mask, longest)), pieces, float(mask.mean()))


def _path(mask: NDArray[np.bool_]) -> str:
    """Borders and holes as closed subpaths; a lone pixel is a point, shown by its line cap."""
    borders, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return "".join(_subpath(cv2.approxPolyDP(border, 0.6, closed=True).reshape(-1, 2)) for border in borders)


def _subpath(corners: NDArray[np.int32]) -> str:
    """(N, 2) x and y as one start and N - 1 steps, which are shorter to write than places.

    >>> _subpath(np.array([[10, 10], [30, 9], [30, 12]], dtype=np.int32))
    'M10 10l20-1 0 3Z'
    """
    steps = " ".join(f"{dx} {dy}" for dx, dy in np.diff(corners, axis=0).tolist())
    return f"M{corners[0, 0]} {corners[0, 1]}" + f"l{steps or '0 0'}Z".replace(" -", "-")


def jpeg_uri(picture: Bytes, quality: int, most: int | None = None) -> str:
    """(H, W, 3) RGB as a data URI of at most `most` characters: if need be coarser, then smaller."""
    uri = _jpeg(picture, quality)
    while most is not None and len(uri) > most and max(picture.shape) > LEAST_SIDE:
        if quality > LEAST_QUALITY:
            quality = max(LEAST_QUALITY, quality - 15)
        else:
            picture = shrink(picture, max(picture.shape) // 2)
        uri = _jpeg(picture, quality)
    return uri


def _jpeg(picture: Bytes, quality: int) -> str:
    options: list[Any] = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    encoded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), options)[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")
