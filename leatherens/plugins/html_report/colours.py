"""The colours of score maps: viridis on one scale, fixed by the run and by no image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from leatherens.core.reporting import ScoredImage

SAMPLE = 4096  # pixels per map from which the scale is learned: 16 MB for a thousand maps
COLOURS = 256
HIGH = 0.75  # the share of defective images whose highest pixel lies within the scale

Bytes = NDArray[np.uint8]
Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ColourScale:
    """The scores painted in the first and last colour of viridis, the same for all images of a run.

    low_from, high_from: the images that fixed the end, "all" where none is labelled "good" or "defective".
    threshold: place of the pixel threshold on the scale, 0..1, `None` where there is none.
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
        span = (scores.astype(np.float64) - self.low) / (self.high - self.low)
        return np.ceil(np.clip(span, 0, 1) * (COLOURS - 1)).astype(np.uint8)

    @property
    def gradient(self) -> str:
        """The scale from left to right, as a CSS gradient."""
        stops = palette()[:: COLOURS // 15].tolist()
        return f"linear-gradient(to right, {', '.join('rgb({} {} {})'.format(*stop) for stop in stops)})"


def colour_scale(images: Sequence[ScoredImage], threshold: float) -> ColourScale:
    """From the median pixel of good images to the 0.75 quantile of the defective images' highest pixels.

    The pixel threshold always lies within. Each map is read once; only a sample of it is kept.
    """
    samples, peaks = [], []
    for image in images:
        scores = image.score_map()
        peaks.append(float(scores.max()))
        samples.append(scores.ravel()[:: max(1, scores.size // SAMPLE)].copy())
    low_from = "good" if any(image.defective is False for image in images) else "all"
    high_from = "defective" if any(image.defective for image in images) else "all"
    calm = [s for s, i in zip(samples, images, strict=True) if low_from == "all" or i.defective is False]
    loud = [p for p, i in zip(peaks, images, strict=True) if high_from == "all" or i.defective]
    low = float(np.median(np.concatenate(calm))) if calm else 0.0
    high = float(np.quantile(loud, HIGH)) if loud else 1.0
    if math.isfinite(threshold):
        low, high = min(low, threshold), max(high, threshold)
    if high <= low:
        high = low + 1.0
    place = (threshold - low) / (high - low) if math.isfinite(threshold) else None
    return ColourScale(low, high, low_from, high_from, place)


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
