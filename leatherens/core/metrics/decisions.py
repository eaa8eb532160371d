"""What a threshold does: `score > threshold`, strictly, against the truth, of images or of pixels.

A threshold is rounded to the dtype of the scores before they are compared, which is how torch compares too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from leatherens.core.pixel_pool import BoolArray, ImagePixels, Maps, Masks, Valid, each_image
from leatherens.core.score_counts import FloatArray

if TYPE_CHECKING:
    from leatherens.core.saturation import Region


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of verdicts against labels; every ratio is NaN where its divisor is 0."""

    found: int  # defective, called so
    missed: int  # defective, called good
    false_alarms: int  # good, called defective
    passed: int  # good, called so

    @property
    def called(self) -> int:
        """How many are called defective."""
        return self.found + self.false_alarms

    @property
    def accuracy(self) -> float:
        """Share of all that are called what they are."""
        right = self.found + self.passed
        return _ratio(right, right + self.missed + self.false_alarms)

    @property
    def precision(self) -> float:
        """Share of those called defective that are."""
        return _ratio(self.found, self.found + self.false_alarms)

    @property
    def recall(self) -> float:
        """Share of the defective that are found."""
        return _ratio(self.found, self.found + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 where nothing is found; NaN where nothing is defective."""
        if not self.found + self.missed:
            return math.nan
        return 2 * self.found / (2 * self.found + self.missed + self.false_alarms)

    @property
    def false_alarm_rate(self) -> float:
        """Share of the good that are called defective."""
        return _ratio(self.false_alarms, self.false_alarms + self.passed)

    @property
    def iou(self) -> float:
        """Intersection over union of what is defective and what is called so."""
        return _ratio(self.found, self.found + self.missed + self.false_alarms)

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.found + other.found,
            self.missed + other.missed,
            self.false_alarms + other.false_alarms,
            self.passed + other.passed,
        )


NOTHING = Confusion(0, 0, 0, 0)
"""What is counted before the first."""


def confusion_of(defect: FloatArray, good: FloatArray, threshold: float) -> Confusion:
    """Of the scores of the defective and of the good."""
    found = int(np.count_nonzero(defect > float(threshold)))
    false_alarms = int(np.count_nonzero(good > float(threshold)))
    return Confusion(found, defect.size - found, false_alarms, good.size - false_alarms)


@dataclass(slots=True)
class PixelDecisions:
    """What one pixel threshold marks in all images that were added."""

    threshold: float
    pixels: Confusion = NOTHING
    ious: list[float] = field(default_factory=list)
    overlaps: float = 0.0
    regions: int = 0
    saturated_overlaps: list[float] = field(default_factory=list)

    def add(self, image: ImagePixels, *, threshold: float | None = None) -> None:
        """One more image, which may have a threshold of its own."""
        above = self.threshold if threshold is None else float(threshold)
        found = confusion_of(image.defect, image.good, above)
        self.pixels += found
        if not math.isnan(found.iou):
            self.ious.append(found.iou)
        self.overlaps += float(image.weights[image.defect > above].sum())
        self.regions += image.regions

    def add_channels(
        self,
        scores: FloatArray,
        regions: Iterable[Region],
        valid: BoolArray | None = None,
        *,
        threshold: float | None = None,
    ) -> None:
        """The regions of MVTec LOCO in an image that was added."""
        above = self.threshold if threshold is None else float(threshold)
        for region in regions:
            marked = region.marked if valid is None else region.marked & valid
            wanted = min(region.saturated, int(np.count_nonzero(marked)))
            if wanted:
                found = int(np.count_nonzero(scores[marked] > above))
                self.saturated_overlaps.append(min(found / wanted, 1.0))

    def __add__(self, other: PixelDecisions) -> PixelDecisions:
        return PixelDecisions(
            self.threshold,
            self.pixels + other.pixels,
            [*self.ious, *other.ious],
            self.overlaps + other.overlaps,
            self.regions + other.regions,
            [*self.saturated_overlaps, *other.saturated_overlaps],
        )

    @property
    def iou_per_image(self) -> float:
        """Mean IoU of the images in which the truth or the threshold marks a pixel; NaN without such."""
        return _mean(self.ious)

    @property
    def pro(self) -> float:
        """Mean over the connected defect regions of the share that is marked; NaN without a region."""
        return _ratio(self.overlaps, self.regions)

    @property
    def spro(self) -> float:
        """Mean over the regions of MVTec LOCO of the saturated share that is marked; NaN without a region."""
        return _mean(self.saturated_overlaps)


def pixel_decisions(
    maps: Maps, masks: Masks, threshold: float, *, valid: Valid | None = None
) -> PixelDecisions:
    """What a threshold marks in these images."""
    decisions = PixelDecisions(threshold)
    for image in each_image(maps, masks, valid):
        decisions.add(image)
    return decisions


def pro(maps: Maps, masks: Masks, threshold: float, *, valid: Valid | None = None) -> float:
    """Mean over all defect regions of the share with `score > threshold` (strict); NaN without a region."""
    return pixel_decisions(maps, masks, threshold, valid=valid).pro


def spro(
    maps: Maps, regions: Sequence[Sequence[Region]], threshold: float, *, valid: Valid | None = None
) -> float:
    """Mean over all regions A of min(|{score > threshold} in A| / s, 1), s to be found; NaN without any."""
    decisions = PixelDecisions(threshold)
    inside = [None] * len(maps) if valid is None else valid
    for scores, channels, within in zip(maps, regions, inside, strict=True):
        decisions.add_channels(scores, channels, within)
    return decisions.spro


def iou(maps: Maps, masks: Masks, threshold: float, *, valid: Valid | None = None) -> float:
    """TP / (TP + FP + FN) of pooled pixels with `score > threshold` (strict): one ratio for all images.

    NaN when neither the masks nor the decisions mark a pixel.
    """
    return pixel_decisions(maps, masks, threshold, valid=valid).pixels.iou


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float]) -> float:
    return _ratio(math.fsum(values), len(values))
