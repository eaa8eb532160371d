"""A run measured from what a reporter sees of it: exact metrics, and the counts of curves and intervals.

Maps are read twice and none is kept: first for the exact metrics and to place thresholds, then to count.
Images without a label count nowhere, as in the run itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leatherens.core.bootstrap import MOST_PIXELS, PixelCounts, frozen_thresholds
from leatherens.core.measurement import Measured, Measurement, Options
from leatherens.core.metrics.decisions import confusion_of
from leatherens.core.paired import Judged, Marks
from leatherens.core.pixel_pool import BoolArray, ImagePixels, image_pixels, whole
from leatherens.core.progress import Advance
from leatherens.core.reading import Sample
from leatherens.core.reporting import Decision, RunView, ScoredImage, if_there
from leatherens.core.score_counts import FloatArray
from leatherens.core.sweep import share

SCORER = "ensemble"
"""Whose scores are looked at: those that give the verdicts."""


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run's n labelled images, in its order.

    defective, known: (n,) labels, and whether each pixel is known to show a defect or not. measured: exact
    metrics. thresholds: (T,) falling, those of `judged.pixels`; none where no pixel is known.
    """

    defective: BoolArray
    known: BoolArray
    judged: Judged
    measured: Measured
    thresholds: FloatArray

    @property
    def values(self) -> Mapping[str, float]:
        """Its metrics by name, and the share of the defective images that it missed."""
        found = self.measured.values
        return {**found, "missed_rate": 1 - found["image_recall"]}

    @property
    def pro_curve(self) -> tuple[FloatArray, FloatArray]:
        """(false-positive rate of good pixels, mean overlap with the defect regions), (T + 1,) from (0, 0).

        NaN throughout where there is no good pixel, or no region.
        """
        counts = self.judged.pixels
        assert counts is not None, "no pixel is known"
        rate, overlap = (np.append(0.0, each.sum(axis=0)) for each in (counts.good, counts.overlap))
        return share(rate), share(overlap)

    @property
    def iou_curve(self) -> tuple[FloatArray, FloatArray]:
        """(falling thresholds, IoU of the pooled pixels that score at least as much), (T,) each."""
        counts = self.judged.pixels
        assert counts is not None, "no pixel is known"
        found, false = counts.defect.sum(axis=0), counts.good.sum(axis=0)
        union = false + counts.defects.sum()
        return self.thresholds, np.asarray(found / np.where(union > 0, union, np.nan))


def judged_run(view: RunView, advance: Advance = lambda units: None) -> JudgedRun:
    """Measure a run; `advance` is told of each labelled image twice."""
    images, decision = [image for image in view.images if image.defective is not None], view.decisions[SCORER]
    first = _FirstLook(decision, len(images))
    for image in images:
        first.see(image)
        advance(1)
    thresholds = first.thresholds
    rows, marks = [], []
    for image in images:
        if (found := known_map(image)) is not None:
            pixels = image_pixels(*found, name=image.id)
            rows.append(PixelCounts.row(pixels, thresholds))
            marks.append(_marked(pixels, pixel_threshold(image, decision)))
        advance(1)
    return JudgedRun(
        defective=np.array([image.defective for image in images], dtype=np.bool_),
        known=np.array(first.known, dtype=np.bool_),
        judged=Judged(
            scores=np.array([image.scores[SCORER] for image in images], dtype=np.float64),
            flagged=np.array([image.flagged for image in images], dtype=np.bool_),
            pixels=PixelCounts.of(rows) if rows else None,
            marks=Marks(*np.array(marks, dtype=np.int64).T) if marks else None,
        ),
        measured=first.measurement.all(),
        thresholds=thresholds,
    )


def known_map(image: ScoredImage) -> tuple[FloatArray, BoolArray, BoolArray | None] | None:
    """An image's map, mask and where they count, (H, W) each.

    `None` where nobody marked what it shows, or where a file of these is gone.
    """
    mask, scores = if_there(image.truth), if_there(image.score_map)
    return None if mask is None or scores is None else (scores, mask, image.valid())


def pixel_threshold(image: ScoredImage, decision: Decision) -> float:
    """From which score on its pixels are called defective."""
    return decision.pixel if image.pixel_threshold is None else image.pixel_threshold


class _FirstLook:
    """The first pass over `count` images: exact metrics, and some of the scores to place thresholds by."""

    def __init__(self, decision: Decision, count: int) -> None:
        self.decision = decision
        self.most = max(MOST_PIXELS // max(count, 1), 1)
        self.measurement = Measurement(Options(decision.image, decision.pixel))
        self.known: list[bool] = []
        self._defect: list[FloatArray] = []
        self._good: list[FloatArray] = []
        self._lowest = np.inf

    def see(self, image: ScoredImage) -> None:
        """One more image."""
        sample = Sample(Path(image.id), image.id, image.defective, defect=image.defect)
        self.measurement.add(sample, image.scores[SCORER], flagged=image.flagged)
        found = known_map(image)
        self.known.append(found is not None)
        if found is None:
            return
        threshold = pixel_threshold(image, self.decision)
        self.measurement.add_pixels(sample, *found, threshold=threshold)
        pixels = image_pixels(*found, name=image.id)
        for kept, scores in ((self._defect, pixels.defect), (self._good, pixels.good)):
            if scores.size:
                self._lowest = min(self._lowest, float(scores.min()))
                kept.append(scores[:: -(-scores.size // self.most)].copy())

    @property
    def thresholds(self) -> FloatArray:
        """(T,) falling; none where no pixel is known."""
        if not self._defect and not self._good:
            return np.empty(0)
        return frozen_thresholds(whole(self._defect), whole(self._good), self._lowest)


def _marked(pixels: ImagePixels, threshold: float) -> Sequence[int]:
    """What a threshold marks: defect pixels found, missed, and good pixels that are marked."""
    found = confusion_of(pixels.defect, pixels.good, threshold)
    return found.found, found.missed, found.false_alarms
