"""The valid pixels of many images, pooled: all that `metrics` needs of maps and masks.

Per image: an (H, W) score map, an (H, W) bool mask (True: defect) and optionally an (H, W) bool `valid`.
Sizes may differ between images. What stands where `valid` is False, NaN included, changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leatherens.core.errors import InputError
from leatherens.core.sweep import FloatArray

BoolArray = npt.NDArray[np.bool_]
Maps = Sequence[FloatArray]
Masks = Sequence[BoolArray]
Valid = Sequence["BoolArray | None"]
"""`None` where a whole image is valid."""


@dataclass(frozen=True, slots=True)
class PixelPool:
    """Scores of D defect pixels and G good ones."""

    defect: FloatArray  # (D,)
    weights: FloatArray  # (D,) 1 / |C| of the region C that the pixel belongs to
    good: FloatArray  # (G,)
    regions: int  # 8-connected regions of valid defect pixels, all images together


def pool_pixels(maps: Maps, masks: Masks, valid: Valid | None) -> PixelPool:
    """Check every image and gather its pixels; the arrays are copies."""
    _check_lengths(maps, masks, valid)
    defect, weights, good, regions = [], [], [], 0
    for index in range(len(maps)):
        scores, mask = np.asarray(maps[index]), np.asarray(masks[index])
        inside = None if valid is None else valid[index]
        _check_image(index, scores, mask, inside)
        marked = mask if inside is None else mask & inside
        unmarked = ~mask if inside is None else ~mask & inside
        defect.append(scores[marked])
        good.append(scores[unmarked])
        _check_numbers(index, defect[-1], good[-1])
        region_weights, count = _region_weights(marked)
        weights.append(region_weights)
        regions += count
    return PixelPool(np.concatenate(defect), np.concatenate(weights), np.concatenate(good), regions)


def _region_weights(marked: BoolArray) -> tuple[FloatArray, int]:
    """1 / |C| for each True pixel of (H, W), row by row, C its 8-connected region; and how many regions."""
    from scipy import ndimage

    if not marked.any():
        return np.empty(0), 0
    box = ndimage.find_objects(marked.view(np.uint8))[0]  # most of an image is good: label the bounding box
    labels, count = ndimage.label(marked[box], structure=np.ones((3, 3)))
    region = labels[marked[box]] - 1
    return (1 / np.bincount(region))[region], count


def _check_lengths(maps: Maps, masks: Masks, valid: Valid | None) -> None:
    if not len(maps):
        raise InputError("expected at least one map, got none")
    if len(masks) != len(maps):
        raise InputError(f"expected one mask per map, got {len(maps)} maps and {len(masks)} masks")
    if valid is not None and len(valid) != len(maps):
        raise InputError(f"expected one valid mask per map, got {len(maps)} maps, {len(valid)} valid masks")


def _check_image(index: int, scores: FloatArray, mask: BoolArray, inside: BoolArray | None) -> None:
    if scores.ndim != 2:
        raise InputError(f"map {index}: expected shape (H, W), got {scores.shape}")
    for name, marks in (("mask", mask), ("valid mask", mask if inside is None else inside)):
        if marks.shape != scores.shape:
            raise InputError(
                f"map {index} has shape {scores.shape}, its {name} {marks.shape}: "
                "bring the map to the image's original size"
            )
        if marks.dtype != np.bool_:
            raise InputError(f"{name} {index}: expected bool, got {marks.dtype}; binarise it, as in mask > 0")


def _check_numbers(index: int, defect: FloatArray, good: FloatArray) -> None:
    nans = np.count_nonzero(np.isnan(defect)) + np.count_nonzero(np.isnan(good))
    if nans:
        raise InputError(f"map {index}: {nans} of {defect.size + good.size} valid pixels are NaN")
