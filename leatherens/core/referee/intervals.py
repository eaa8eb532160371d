"""How far the numbers would move with other images: bootstrap over images, in a second pass over the maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from leatherens.core.bootstrap import (
    MOST_PIXELS,
    PixelCounts,
    ap_of,
    auroc_of,
    frozen_thresholds,
    interval,
    share_of,
    stratified_draws,
)
from leatherens.core.measurement import Options, limited
from leatherens.core.metrics import FPR_LIMIT
from leatherens.core.photographs import Mask
from leatherens.core.pixel_pool import ImagePixels, whole
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import Sample
from leatherens.core.score_counts import FloatArray

RULE = (
    "95 % percentile bootstrap: images drawn anew with replacement within the good and the defective ones; "
    "pixel metrics of a draw from counts at 2,049 frozen thresholds"
)

Resampled = Mapping[str, tuple[float, float]]
"""By metric the lower and the upper end."""


@dataclass(slots=True)
class Intervals:
    """Gathers what `images` images give: first a few of their scores to place thresholds, then counts.

    draws: resamplings. seed: of the draws.
    """

    draws: int
    seed: int
    images: int
    scores: list[float] = field(default_factory=list)
    labels: list[bool] = field(default_factory=list)
    defect: list[FloatArray] = field(default_factory=list)
    good: list[FloatArray] = field(default_factory=list)
    lowest: float = float("inf")
    thresholds: FloatArray | None = None
    counted: list[tuple[FloatArray, ...]] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)

    def see(self, sample: Sample, score: float, scores: FloatArray, mask: Mask | None) -> None:
        """An image of the first pass."""
        self.scores.append(score)
        self.labels.append(bool(sample.defective))
        self.lowest = min(self.lowest, float(scores.min()))
        if mask is not None:
            most = max(MOST_PIXELS // self.images, 1)
            for kept, found in ((self.defect, scores[mask]), (self.good, scores[~mask])):
                kept.append(found[:: -(-found.size // most) or 1])

    def count(self, image: ImagePixels | None) -> None:
        """An image of the second pass; `None` where no defect is marked that there is."""
        if self.thresholds is None:
            self.thresholds = frozen_thresholds(whole(self.defect), whole(self.good), self.lowest)
        self.known.append(image is not None)
        if image is not None:
            self.counted.append(PixelCounts.row(image, self.thresholds))

    def resampled(self, options: Options) -> Resampled:
        """The intervals of the metrics that have one; those that are undefined in every draw have none."""
        labels, scores = np.array(self.labels), np.array(self.scores)
        draws = stratified_draws(self.labels, self.draws, numpy_generator(self.seed, "metrics", "intervals"))
        values = {"image_auroc": auroc_of(draws, scores, labels), "image_ap": ap_of(draws, scores, labels)}
        if options.threshold is not None:
            above = scores > options.threshold
            values["image_accuracy"] = share_of(draws, above == labels)
            values["image_recall"] = share_of(draws[:, labels], above[labels])
            values["false_alarm_rate"] = share_of(draws[:, ~labels], above[~labels])
        if self.counted:
            counts, chosen = PixelCounts.of(self.counted), draws[:, np.array(self.known)]
            values |= {"pixel_auroc": counts.auroc(chosen), "pixel_ap": counts.ap(chosen)}
            for limit in options.limits:
                values[limited("au_pro", limit, FPR_LIMIT)] = counts.au_pro(chosen, limit)
        return {name: interval(found) for name, found in values.items() if not np.isnan(found).all()}
