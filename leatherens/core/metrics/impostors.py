"""What other published code computes under the same names, so that its figures can be compared with like.

None of these is AU-PRO as MVTec defines it, IoU, or average precision; most are larger. Each is restated from
the code of the project it is called after. They know no `valid`: every pixel counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from leatherens.core.metrics.decisions import confusion_of
from leatherens.core.metrics.pixels import area_under_overlap
from leatherens.core.pixel_pool import BoolArray, ImagePixels, PixelPool
from leatherens.core.score_counts import FloatArray, ScoreCounts
from leatherens.core.sweep import Sweep

IMPOSTORS: Final[Mapping[str, str]] = {
    "ader_au_pro": "ADer, Dinomaly, DDAD: overlap at 200 evenly spaced thresholds; rates below 0.3 are kept "
    "and divided by the highest kept, and nothing is interpolated at 0.3.",
    "rd4ad_au_pro": "RD4AD, RD++: the same for each defective image by itself, its rate being that of its "
    "own good pixels, then the mean over these images.",
    "simplenet_au_pro": "SimpleNet: as ADer's, but what a threshold marks is widened by 2 pixels on every "
    "side before the overlap is taken, and not for the rate.",
    "stfpm_au_pro": "STFPM: 4000 evenly spaced thresholds; of the points up to rate 0.3 both the rate and "
    "the overlap are stretched to 0..1.",
    "cfa_au_pro": "CFA: as STFPM's with 200 thresholds.",
    "cflow_au_pro": "CFLOW: 1000 evenly spaced thresholds; the rate up to 0.3 is stretched to 0..1, the "
    "overlap is not; what is marked in holes of defects counts as found.",
    "memseg_au_pro": "MemSeg: AU-PRO integrated to rate 1.",
    "patchcore_pixel_auroc": "PatchCore's second pixel AUROC: of the pixels of defective images alone.",
    "trapezoid_image_ap": "SimpleNet, SPot-the-difference: area under straight lines between the points of "
    "precision and recall of images, which no classifier attains.",
    "trapezoid_pixel_ap": "The same of pooled pixels.",
    "cflow_iou": "CFLOW: mean IoU of the images with a defect, at the pixel threshold.",
}

_ADER_STEPS, _STFPM_STEPS, _CFA_STEPS, _CFLOW_STEPS = 200, 4000, 200, 1000
_LIMIT = 0.3

Curve = tuple[FloatArray, FloatArray]
"""(N,) rates and (N,) overlaps, the rates rising."""


@dataclass(slots=True)
class Impostors:
    """What impostors need beside a pool, gathered image by image; threshold: of pixels, if there is one."""

    threshold: float | None = None
    lowest: float = math.inf
    highest: float = -math.inf
    widened: list[FloatArray] = field(default_factory=list)
    filled: list[FloatArray] = field(default_factory=list)
    filled_weights: list[FloatArray] = field(default_factory=list)
    by_image: list[float] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)

    def add(self, scores: FloatArray, mask: BoolArray, image: ImagePixels) -> None:
        """One more image, of which `image` holds the pixels."""
        low, high = float(scores.min()), float(scores.max())
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        if not image.regions:
            return
        self.widened.append(_widened(scores)[mask])
        filled, weights = _filled_regions(scores, mask)
        self.filled.append(filled)
        self.filled_weights.append(weights)
        good = [ScoreCounts([image.good])]
        thresholds = _evenly(low, high, _ADER_STEPS)
        curve = _curve(image.defect, image.weights / image.regions, good, thresholds)
        self.by_image.append(_renormalised(*curve))
        if self.threshold is not None:
            self.ious.append(confusion_of(image.defect, image.good, self.threshold).iou)

    def values(self, pool: PixelPool, defective: PixelPool, images: Sweep) -> dict[str, float]:
        """All impostors; NaN where undefined. defective: of the images with a defect; images: their sweep."""
        pixels = pool.sweep()
        found = {
            **self._overlaps(pool),
            "rd4ad_au_pro": _mean(self.by_image),
            "memseg_au_pro": area_under_overlap(pixels, 1.0),
            "patchcore_pixel_auroc": defective.sweep().auroc(),
            "trapezoid_image_ap": trapezoid_precision(images),
            "trapezoid_pixel_ap": trapezoid_precision(pixels),
        }
        if self.threshold is not None:
            found["cflow_iou"] = _mean(self.ious)
        return {name: found[name] for name in IMPOSTORS if name in found}

    def _overlaps(self, pool: PixelPool) -> dict[str, float]:
        """Those of pooled pixels at evenly spaced thresholds."""
        names = ("ader_au_pro", "simplenet_au_pro", "stfpm_au_pro", "cfa_au_pro", "cflow_au_pro")
        if not pool.regions or not self.lowest < self.highest:
            return dict.fromkeys(names, math.nan)
        own, weights = np.concatenate(pool.defect), np.concatenate(pool.weights) / pool.regions
        filled = np.concatenate(self.filled), np.concatenate(self.filled_weights) / pool.regions

        def curve(steps: int, scores: FloatArray = own, shares: FloatArray = weights, *, top: bool) -> Curve:
            thresholds = _evenly(self.lowest, self.highest, steps, top=top)
            return _curve(scores, shares, pool.good, thresholds)

        return {
            "ader_au_pro": _renormalised(*curve(_ADER_STEPS, top=False)),
            "simplenet_au_pro": _renormalised(
                *curve(_ADER_STEPS, np.concatenate(self.widened), weights, top=False)
            ),
            "stfpm_au_pro": _stretched(*curve(_STFPM_STEPS, top=True), both=True),
            "cfa_au_pro": _stretched(*curve(_CFA_STEPS, top=True), both=True),
            "cflow_au_pro": _stretched(*curve(_CFLOW_STEPS, *filled, top=True), both=False),
        }


def trapezoid_precision(counts: Sweep) -> float:
    """Area under straight lines between points of precision and recall: `auc(recall, precision)`."""
    if not counts.decidable:
        return math.nan
    false_alarms, found = counts.corners(counts.hits)
    called = false_alarms + found
    precision = np.divide(found, called, out=np.ones_like(called), where=called > 0)
    return _trapezoid(found / counts.defects, precision)


def _evenly(low: float, high: float, steps: int, *, top: bool = False) -> FloatArray:
    """(steps,) rising thresholds: the lowest score among them, or else the highest."""
    at = np.arange(1, steps + 1) if top else np.arange(steps)
    return low + (high - low) / steps * at


def _curve(
    defect: FloatArray, shares: FloatArray, good: Sequence[ScoreCounts], thresholds: FloatArray
) -> Curve:
    """Rate and overlap of `score > threshold`, the rate rising."""
    order = np.argsort(defect)
    below = np.concatenate([[0.0], np.cumsum(shares[order])])
    overlap = below[-1] - below[np.searchsorted(defect[order], thresholds, side="right")]
    above: FloatArray = np.sum([bag.above(thresholds) for bag in good], axis=0)
    total = sum(bag.size for bag in good) or math.nan
    return (above / total)[::-1], overlap[::-1]


def _renormalised(rate: FloatArray, overlap: FloatArray) -> float:
    """Area over the rates below the limit, divided by the highest of them."""
    kept = rate < _LIMIT
    if not kept.any() or not rate[kept].max() > 0:
        return math.nan
    return _trapezoid(rate[kept] / rate[kept].max(), overlap[kept])


def _stretched(rate: FloatArray, overlap: FloatArray, *, both: bool) -> float:
    """Area over the rates up to the limit, stretched to 0..1; the overlaps, too, if `both`."""
    kept = rate <= _LIMIT
    if not kept.any():
        return math.nan
    return _trapezoid(_to_unit(rate[kept]), _to_unit(overlap[kept]) if both else overlap[kept])


def _to_unit(values: FloatArray) -> FloatArray:
    return np.asarray((values - values.min()) / (np.ptp(values) or math.nan))


def _trapezoid(x: FloatArray, y: FloatArray) -> float:
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2)


def _widened(scores: FloatArray) -> FloatArray:
    """(H, W) the highest score within 2 pixels: above a threshold where a 5 x 5 dilation of it is."""
    from scipy import ndimage

    return np.asarray(ndimage.maximum_filter(scores, size=5, mode="nearest"))


def _filled_regions(scores: FloatArray, mask: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Scores in each 8-connected region and in its holes, and 1 / |C| for each, C being without the holes."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    found, weights = [], []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        region = labels[box] == number
        found.append(scores[box][ndimage.binary_fill_holes(region)])
        weights.append(np.full(found[-1].size, 1 / np.count_nonzero(region)))
    return np.concatenate(found), np.concatenate(weights)


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan
