"""How good scores are: exact metrics of images and of pixels, each with a definition to write beside it.

Higher scores are more anomalous, in any unit. A decision is `score > threshold`, strictly: the largest score
of good images, taken as threshold, raises no alarm on them. What is undefined (one class missing, no defect
region, no good pixel) is NaN, never 0 or 0.5, and `undefined` says why. Nothing is learned.

`images` takes scores and labels. `pixels` takes one (H, W) map and one (H, W) bool mask (True: defect) per
image, at the image's original size, which may differ between images, and optionally one (H, W) bool `valid`
per image: False pixels are ignored everywhere; `None` for an image: all its pixels count. The pixels of all
images are pooled, those of good images included. `decisions` takes a threshold; `impostors` computes what
other code calls by the same names.
"""

from leatherens.core.metrics.curves import iou_at, overlap_curve
from leatherens.core.metrics.decisions import Confusion, PixelDecisions, iou, pro, spro
from leatherens.core.metrics.definitions import DEFINITIONS, FPR_LIMIT, GROUPS, LOCO_LIMITS, undefined
from leatherens.core.metrics.images import (
    confusion,
    f1_max,
    false_alarm_rate,
    image_ap,
    image_auroc,
    image_f1,
    precision_recall_curve,
    roc_curve,
)
from leatherens.core.metrics.pixels import (
    PixelMetrics,
    area_under_overlap,
    au_pro,
    au_spro,
    pixel_ap,
    pixel_auroc,
    pixel_f1_max,
    pixel_metrics,
    sampled_au_pro,
)

__all__ = [
    "DEFINITIONS",
    "FPR_LIMIT",
    "GROUPS",
    "LOCO_LIMITS",
    "Confusion",
    "PixelDecisions",
    "PixelMetrics",
    "area_under_overlap",
    "au_pro",
    "au_spro",
    "confusion",
    "f1_max",
    "false_alarm_rate",
    "image_ap",
    "image_auroc",
    "image_f1",
    "iou",
    "iou_at",
    "overlap_curve",
    "pixel_ap",
    "pixel_auroc",
    "pixel_f1_max",
    "pixel_metrics",
    "precision_recall_curve",
    "pro",
    "roc_curve",
    "sampled_au_pro",
    "spro",
    "undefined",
]
