"""The valid pixels of many images, pooled one image at a time: all that pixel metrics need of maps and masks.

Per image: an (H, W) score map, an (H, W) bool mask (True: defect) and optionally an (H, W) bool `valid`.
Sizes may differ between images. What stands where `valid` is False, NaN included, changes nothing. A pool
keeps the scores of defect pixels, which are few, and counts those of good ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from leatherens.core.errors import InputError
from leatherens.core.score_counts import ROOM, FloatArray, ScoreCounts
from leatherens.core.sweep import Sweep, sweep

if TYPE_CHECKING:
    from leatherens.core.saturation import Region

BoolArray = npt.NDArray[np.bool_]
Maps = Sequence[FloatArray]
Masks = Sequence[BoolArray]
Valid = Sequence["BoolArray | None"]
"""`None` where a whole image is valid."""


@dataclass(frozen=True, slots=True)
class ImagePixels:
    """Scores of one image's D defect pixels and G good ones; they may be views of the map."""

    defect: FloatArray  # (D,) row by row
    weights: FloatArray  # (D,) 1 / |C| of the region C that the pixel belongs to
    good: FloatArray  # (G,)
    regions: int  # 8-connected regions of valid defect pixels


def image_pixels(
    scores: FloatArray, mask: BoolArray, valid: BoolArray | None = None, *, name: str = "map 0"
) -> ImagePixels:
    """Check an image and gather its pixels; an `InputError` begins with the map's name."""
    _check_image(name, scores, mask, valid)
    marked = mask if valid is None else mask & valid
    weights, regions = region_weights(marked)
    if regions:
        good = scores[~mask if valid is None else ~mask & valid]
    else:
        good = scores.ravel() if valid is None else scores[valid & ~mask]
    found = ImagePixels(scores[marked], weights, good, regions)
    _check_numbers(name, found)
    return found


def each_image(maps: Maps, masks: Masks, valid: Valid | None = None) -> Iterator[ImagePixels]:
    """The pixels of one image after the other, each checked; maps may be read when their turn comes."""
    _check_lengths(maps, masks, valid)
    for index in range(len(maps)):
        scores, mask = np.asarray(maps[index]), np.asarray(masks[index])
        inside = None if valid is None else valid[index]
        yield image_pixels(scores, mask, inside, name=f"map {index}")


def region_weights(marked: BoolArray) -> tuple[FloatArray, int]:
    """1 / |C| for each True pixel of (H, W), row by row, C its 8-connected region; and how many regions."""
    from scipy import ndimage

    rows = np.flatnonzero(marked.any(axis=1))
    if not rows.size:
        return np.empty(0), 0
    columns = np.flatnonzero(marked[rows[0] : rows[-1] + 1].any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # most of an image is good
    labels, count = ndimage.label(marked[box], structure=np.ones((3, 3)))
    region = labels[marked[box]] - 1
    return (1 / np.bincount(region))[region], count


@dataclass(slots=True)
class PixelPool:
    """Pixels of all images that were added.

    defect, weights: the fields of `ImagePixels`, one array per image. good: bags of good scores. saturated,
    shares: of the regions of MVTec LOCO the scores that can raise the saturated overlap, and by how much each
    does. regions, channels: numbers of connected regions, and of those of MVTec LOCO.
    """

    good: Sequence[ScoreCounts]
    defect: list[FloatArray] = field(default_factory=list)
    weights: list[FloatArray] = field(default_factory=list)
    saturated: list[FloatArray] = field(default_factory=list)
    shares: list[FloatArray] = field(default_factory=list)
    regions: int = 0
    channels: int = 0

    @classmethod
    def empty(cls, *, room: int = ROOM) -> Self:
        """A pool to be filled; room: good scores that wait before they are counted."""
        return cls([ScoreCounts(room=room)])

    @classmethod
    def of(cls, maps: Maps, masks: Masks, valid: Valid | None = None) -> Self:
        """The pool of these images."""
        pool = cls.empty()
        for image in each_image(maps, masks, valid):
            pool.add(image)
        return pool

    @classmethod
    def joined(cls, pools: Iterable[PixelPool]) -> Self:
        """The pool of all their images; their scores are shared, not copied."""
        joint = cls([])
        for pool in pools:
            joint.good = [*joint.good, *pool.good]
            for name in ("defect", "weights", "saturated", "shares"):
                getattr(joint, name).extend(getattr(pool, name))
            joint.regions += pool.regions
            joint.channels += pool.channels
        return joint

    def add(self, image: ImagePixels) -> None:
        """One more image."""
        self.good[0].add(image.good)
        self.defect.append(image.defect)
        self.weights.append(image.weights)
        self.regions += image.regions

    def add_channels(
        self, scores: FloatArray, regions: Iterable[Region], valid: BoolArray | None = None
    ) -> None:
        """The regions of MVTec LOCO in an image that was added: one per mask file, which may overlap."""
        for region in regions:
            marked = region.marked if valid is None else region.marked & valid
            falling = np.sort(scores[marked])[::-1]
            if falling.size:
                saturated = falling[: region.saturated]
                self.saturated.append(saturated)
                self.shares.append(np.full(saturated.size, 1 / saturated.size))
                self.channels += 1

    def sweep(self) -> Sweep:
        """Counts over all thresholds; a threshold's gain is 1 / |C| for each pixel of a region C."""
        return sweep(whole(self.defect), self.good, whole(self.weights))

    def saturated_sweep(self) -> Sweep:
        """The same with the regions of MVTec LOCO, whose gain ends where they are saturated."""
        return sweep(whole(self.saturated), self.good, whole(self.shares))


def whole(parts: Sequence[FloatArray]) -> FloatArray:
    """All of them in one array, which may be empty."""
    return np.concatenate(parts) if parts else np.empty(0)


def _check_lengths(maps: Maps, masks: Masks, valid: Valid | None) -> None:
    if not len(maps):
        raise InputError("expected at least one map, got none")
    if len(masks) != len(maps):
        raise InputError(f"expected one mask per map, got {len(maps)} maps and {len(masks)} masks")
    if valid is not None and len(valid) != len(maps):
        raise InputError(f"expected one valid mask per map, got {len(maps)} maps, {len(valid)} valid masks")


def _check_image(name: str, scores: FloatArray, mask: BoolArray, inside: BoolArray | None) -> None:
    if scores.ndim != 2:
        raise InputError(f"{name}: expected shape (H, W), got {scores.shape}")
    for title, marks in (("mask", mask), ("valid mask", mask if inside is None else inside)):
        if marks.shape != scores.shape:
            raise InputError(
                f"{name} has shape {scores.shape}, its {title} {marks.shape}: "
                "bring the map to the image's original size"
            )
        if marks.dtype != np.bool_:
            raise InputError(
                f"{name}: expected its {title} as bool, got {marks.dtype}; binarise it, as in mask > 0"
            )


def _check_numbers(name: str, found: ImagePixels) -> None:
    kinds = [kind for kind in (found.defect, found.good) if kind.size]
    if any(np.isnan(kind.min()) for kind in kinds):
        nans = sum(np.count_nonzero(np.isnan(kind)) for kind in kinds)
        raise InputError(f"{name}: {nans} of {sum(kind.size for kind in kinds)} valid pixels are NaN")
