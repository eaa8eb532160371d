"""The colours of score maps: viridis on one scale, fixed by the run and by no image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from leatherens.core.reporting import RunView, ScoredImage

SAMPLE = 4096  # pixels per map from which the scale is learned: 16 MB for a thousand maps
COLOURS = 256
HIGH = 0.75  # the share of defective images whose highest pixel lies within the scale

Bytes = NDArray[np.uint8]
Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ColourScale:
    """The scores painted in the first and last colour of viridis, the same for all images of a run.

    low_from, high_from: the images that fixed the end, "all" where none is labelled "good" or "defective".
    threshold: the pixel threshold, painted in the middle colour, so that the maps of several scorers can be
    read side by side; `None` where there is none, and the scale is even.
    """

    low: float
    high: float
    low_from: str
    high_from: str
    threshold: float | None

    def levels(self, scores: Scores) -> Bytes:
        """(H, W) scores to (H, W) places in `palette`; beyond the scale, its ends.

        Rounded up: a level is above k exactly when the score is above the k-th of 255 steps from low to high.
        """
        middle = (self.low + self.high) / 2 if self.threshold is None else self.threshold
        span = np.interp(scores, (self.low, middle, self.high), (0.0, 0.5, 1.0))
        return np.ceil(span * (COLOURS - 1)).astype(np.uint8)

    @property
    def gradient(self) -> str:
        """The scale from left to right, as a CSS gradient."""
        stops = palette()[:: COLOURS // 15].tolist()
        return f"linear-gradient(to right, {', '.join('rgb({} {} {})'.format(*stop) for stop in stops)})"


def colour_scale(images: Sequence[ScoredImage], threshold: float, member: str | None = None) -> ColourScale:
    """From the median pixel of good images to the 0.75 quantile of the defective images' highest pixels.

    Of the ensemble's maps or of one member's. An end on the wrong side of the threshold is moved as far
    beyond it as the other end is. Each map is read once; only a sample of it is kept.
    """
    samples, peaks = [], []
    mapped = [image for image in images if member is None or member in image.member_maps]
    for image in mapped:
        scores = (image.score_map if member is None else image.member_maps[member])()
        peaks.append(float(scores.max()))
        samples.append(scores.ravel()[:: max(1, scores.size // SAMPLE)].copy())
    low_from = "good" if any(image.defective is False for image in mapped) else "all"
    high_from = "defective" if any(image.defective for image in mapped) else "all"
    calm = [s for s, i in zip(samples, mapped, strict=True) if low_from == "all" or i.defective is False]
    loud = [p for p, i in zip(peaks, mapped, strict=True) if high_from == "all" or i.defective]
    low = float(np.median(np.concatenate(calm))) if calm else 0.0
    high = float(np.quantile(loud, HIGH)) if loud else 1.0
    if not math.isfinite(threshold):
        return ColourScale(low, high if high > low else low + 1.0, low_from, high_from, None)
    low, high = _around(threshold, low, high)
    return ColourScale(low, high, low_from, high_from, threshold)


def member_scales(run: RunView) -> dict[str, ColourScale]:
    """Of each member with maps of its own, around its own pixel threshold."""
    members = dict.fromkeys(member for image in run.images for member in image.member_maps)
    limits = {member: run.decisions[member].pixel for member in members if member in run.decisions}
    return {member: colour_scale(run.images, limits.get(member, math.inf), member) for member in members}


def _around(threshold: float, low: float, high: float) -> tuple[float, float]:
    """The ends of a scale with the threshold strictly between them.

    >>> _around(5.0, 2.0, 4.0), _around(1.0, 2.0, 4.0), _around(3.0, 3.0, 3.0)
    ((2.0, 8.0), (-2.0, 4.0), (2.0, 4.0))
    """
    if low >= threshold and high <= threshold:
        return threshold - 1.0, threshold + 1.0
    if high <= threshold:
        return low, 2 * threshold - low
    return (low, high) if low < threshold else (2 * threshold - high, high)


@cache
def palette() -> Bytes:
    """(256, 3) RGB of viridis, no colour twice, so that each tells its level."""
    painted = cv2.applyColorMap(np.arange(COLOURS, dtype=np.uint8)[None], cv2.COLORMAP_VIRIDIS)
    colours: Bytes = painted[0, :, ::-1].astype(np.uint8)
    seen: set[tuple[int, ...]] = set()
    for colour in colours:
        while tuple(colour.tolist()) in seen:
            colour[2] += 1  # a step of blue that no eye sees
        seen.add(tuple(colour.tolist()))
    return colours
