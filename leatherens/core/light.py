"""Taking the light out of a photograph: its colour (colour constancy) and its fall-off (flattening).

Pixels are (H, W, 3) RGB, 8-bit or floating-point in 0..1, and come back in the same type; they are used as
they are stored, as in the papers, not turned into linear light. `valid` (H, W) says where the product is:
other pixels say nothing about the light, and get the same correction as those around them, so that no seam
appears. Only the image itself is looked at, so that a score depends on no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from leatherens.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leatherens.core.photographs import Mask

P = TypeVar("P", bound="NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.float64]")

Floats: TypeAlias = "NDArray[np.float32] | NDArray[np.float64]"

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the lightness of stored pixels (ITU-R BT.601)."""

_NOTHING = 1e-9  # of a Gaussian's weight: no pixel inside is near
_RIDGE = 1e-3  # square pixels; a strip one pixel wide has no slope across
_STEEPEST = 3.0  # a plane that few pixels hold goes no further from their mean than by this factor
_SMOOTHED = 12.0  # pixels of σ on the shrunken picture: smooth enough that shrinking takes nothing from it
_DARK = 1e-3  # of full scale; what is darker has no colour and no fall-off to divide by


def grey_world(pixels: P, valid: Mask | None = None) -> P:
    """The picture as if its light were white, if its mean is grey (Buchsbaum, J. Franklin Institute 1980)."""
    return shades_of_grey(pixels, norm=1.0, valid=valid)


def shades_of_grey(pixels: P, *, norm: float = 6.0, valid: Mask | None = None) -> P:
    """The picture as if its light were white, if the Minkowski norms of its channels are one.

    Norm 1 is grey-world, infinity is white-patch, 6 was best of all (Finlayson & Trezzi, CIC 2004). The mean
    of the three norms stays, so that the picture gets no lighter or darker.
    """
    if norm < 1:
        raise InputError(f"norm: expected 1 (grey-world) or more, infinity for white-patch, got {norm:g}")
    scaled, inside = _looked_at(pixels, valid)
    light = _norms(scaled.reshape(-1, 3) if valid is None else scaled[inside], norm)  # (3,)
    gains = np.divide(light.mean(), light, out=np.ones(3), where=light > _DARK)
    return _written(scaled * gains.astype(scaled.dtype), pixels)


def flatten(pixels: P, *, sigma: float = 0.2, valid: Mask | None = None) -> P:
    """The picture divided by its own smooth lightness, so that no part of it lies in the dark.

    sigma: of the Gaussian that smooths, as a share of the shorter side. What is much larger is taken for
    light, what is much smaller for texture and kept; a defect as wide as sigma is lost, so take it large.
    Colours keep their proportions, and the picture its mean lightness.
    """
    if not 0 < sigma <= 1:
        raise InputError(f"sigma: expected a share of the shorter side, above 0 and up to 1, got {sigma:g}")
    scaled, inside = _looked_at(pixels, valid)
    lightness = scaled @ np.array(LUMINANCE, scaled.dtype)  # (H, W)
    smooth = _smooth(lightness, inside, sigma * min(inside.shape))
    level = float(lightness[inside].mean())
    gains = np.divide(level, smooth, out=np.ones_like(smooth), where=smooth > _DARK)
    return _written(scaled * gains[..., None].astype(scaled.dtype), pixels)


def _looked_at(pixels: P, valid: Mask | None) -> tuple[Floats, Mask]:
    """The pixels in 0..1 and where they count; a wrong shape or type is an `InputError`."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(f"expected pixels of shape (H, W, 3), got {pixels.shape}")
    if pixels.dtype != np.uint8 and pixels.dtype.kind != "f":
        raise InputError(f"expected 8-bit pixels or floating-point ones in 0..1, got {pixels.dtype}")
    if valid is not None and (valid.dtype != np.bool_ or valid.shape != pixels.shape[:2]):
        raise InputError(
            f"expected a bool valid mask of shape {pixels.shape[:2]}, got {valid.dtype} {valid.shape}"
        )
    inside = np.ones(pixels.shape[:2], np.bool_) if valid is None else valid
    if not inside.any():
        raise InputError("the valid mask leaves nothing to look at")
    scaled: Any = pixels * np.float32(1 / 255) if pixels.dtype == np.uint8 else pixels
    return scaled, inside


def _norms(rows: Floats, norm: float) -> NDArray[np.float64]:
    """(3,) mean Minkowski norms of (N, 3); scaled by the maximum first, whose powers cannot vanish."""
    most = rows.max(axis=0)
    if np.isinf(norm):
        return np.asarray(most)
    relative = np.divide(rows, most, out=np.zeros_like(rows), where=most > 0)
    return np.asarray(most * np.mean(relative**norm, axis=0, dtype=np.float64) ** (1 / norm))


def _smooth(lightness: Floats, inside: Mask, sigma: float) -> NDArray[np.float64]:
    """(H, W) the plane that fits the pixels inside around each place best, weighted by a Gaussian, at that
    place.

    A Gaussian mean would look too far inwards at the borders and leave half of a slope there; a local line
    does not (local linear regression; Cleveland, JASA 1979). The picture is shrunken first where sigma is
    large enough.
    """
    import cv2

    height, width = lightness.shape
    factor = max(1.0, sigma / _SMOOTHED)
    size = max(1, round(width / factor)), max(1, round(height / factor))
    weight = cv2.resize(inside.astype(np.float64), size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(np.where(inside, lightness, 0.0).astype(np.float64), size, interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float64)

    def mean(part: NDArray[np.float64]) -> NDArray[np.float64]:
        blurred: NDArray[np.float64] = cv2.GaussianBlur(
            part, (0, 0), sigma / factor, borderType=cv2.BORDER_CONSTANT
        )
        divided: NDArray[np.float64] = np.divide(
            blurred, total, out=np.zeros_like(blurred), where=total > _NOTHING
        )
        return divided

    total = cv2.GaussianBlur(weight, (0, 0), sigma / factor, borderType=cv2.BORDER_CONSTANT)
    level, across, down = mean(sums), mean(weight * x), mean(weight * y)
    xx, xy, yy = (mean(weight * p) for p in (x * x, x * y, y * y))
    xx, xy, yy = xx - across**2 + _RIDGE, xy - across * down, yy - down**2 + _RIDGE
    lx, ly = mean(sums * x) - level * across, mean(sums * y) - level * down
    slope_x, slope_y = (np.divide(top, xx * yy - xy**2) for top in (lx * yy - ly * xy, ly * xx - lx * xy))
    plane = level + slope_x * (x - across) + slope_y * (y - down)
    plane = np.clip(plane, level / _STEEPEST, level * _STEEPEST)
    full: NDArray[np.float64] = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
    return full


def _written(changed: Floats, pixels: P) -> P:
    """The changed pixels in the type and range of the picture."""
    scaled = np.clip(changed, 0, 1)
    back: Any = np.rint(scaled * 255) if pixels.dtype == np.uint8 else scaled
    same: P = back.astype(pixels.dtype)
    return same
