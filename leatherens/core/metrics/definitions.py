"""What each number means, in a sentence to write beside it, and why one is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

FPR_LIMIT: Final = 0.3
"""The integration limit of MVTec AD's AU-PRO."""

LOCO_LIMITS: Final = (0.01, 0.05, 0.1, 0.3, 1.0)
"""Those of MVTec LOCO's AU-sPRO, of which its paper reports 0.05."""

_POOLED: Final = (
    "the pixels pooled of all test images whose defects are marked (good images included), at original "
    "resolution, exact."
)

DEFINITIONS: Final[Mapping[str, str]] = {
    "image_auroc": "Probability that a defective image scores above a good one, ties counted half.",
    "image_ap": "Average precision of images: the sum over distinct scores of recall step times precision, "
    "step-wise, tied scores one step.",
    "image_f1": "F1 of the images at the threshold, defective meaning score > threshold (strict).",
    "pixel_auroc": f"Probability that a defect pixel scores above a good one, ties counted half, {_POOLED}",
    "pixel_ap": "Average precision of the pixels pooled of all test images whose defects are marked (good "
    "images included) at original resolution, step-wise, tied scores one step, exact.",
    "au_pro": "Area under the mean overlap with the 8-connected defect regions (each weighs the same) over "
    "the false-positive rate of the good pixels pooled of all test images whose defects are marked (good "
    "images included), from rate 0 to 0.3, divided by 0.3; original resolution, tied scores one step, linear "
    "interpolation there, exact.",
    "false_alarm_rate": "Share of the good images with score > threshold (strict).",
    "image_f1_max": "The largest F1 of the images that any threshold gives: chosen with the labels, so no "
    "promise for new images.",
    "image_accuracy": "Share of the labelled images whose verdict at the threshold agrees with the label.",
    "image_precision": "Share of the labelled images with score > threshold that are defective.",
    "image_recall": "Share of the defective images with score > threshold.",
    "pixel_f1_max": f"The largest F1 that any threshold gives, chosen with the truth: {_POOLED}",
    "iou": "Pixels that are marked and score > the pixel threshold, over those that do either: one ratio for "
    f"all images, {_POOLED}",
    "iou_per_image": "Mean over the images of each image's IoU at the pixel threshold; images in which "
    "neither the truth nor the threshold marks a pixel have none and are left out.",
    "pro": "Mean over the 8-connected defect regions of the share of a region that scores > the pixel "
    "threshold, each region weighing the same.",
    "spro": "Saturated PRO of MVTec LOCO: as PRO, but each mask file is one region, connected or not, and "
    "counts as found whole once its saturated area is found.",
    "au_spro": "Saturated AU-PRO of MVTec LOCO: as AU-PRO to rate 0.05, divided by 0.05, but each mask file "
    "is one region, connected or not, and counts as found whole once its saturated area is found.",
    "ms_per_image": "Wall-clock milliseconds to score an image already in memory, mean over the test images; "
    "the first batch left out as warm-up if there are more.",
}

GROUPS: Final[Mapping[str, str]] = {
    "kinds": "The ensemble's metrics of the images with this kind of defect and of all good images.",
    "views": "The ensemble's metrics of the images taken from this view.",
}
"""What stands in `metrics.json` beside the rows."""

_RANKING: Final = ("good image", "defective image")
_PIXELS: Final = ("defect pixel that is marked and counts", "good pixel that counts")
_CHANNEL: Final = "defect of which the data say how much must be found"

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "image_auroc": _RANKING,
    "image_ap": _RANKING,
    "image_f1_max": _RANKING,
    "image_f1": _RANKING[1:],
    "image_accuracy": ("labelled image",),
    "image_precision": ("labelled image above the threshold",),
    "image_recall": _RANKING[1:],
    "false_alarm_rate": _RANKING[:1],
    "pixel_auroc": _PIXELS,
    "pixel_ap": _PIXELS,
    "pixel_f1_max": _PIXELS,
    "au_pro": _PIXELS,
    "au_spro": (_CHANNEL, _PIXELS[1]),
    "iou": ("pixel that is marked or above the pixel threshold",),
    "iou_per_image": ("pixel that is marked or above the pixel threshold",),
    "pro": _PIXELS[:1],
    "spro": (_CHANNEL,),
}
"""What there must be at least one of; AU-PRO and AU-sPRO to any limit are called `au_pro` and `au_spro`."""


def undefined(values: Mapping[str, float], missing: frozenset[str] | set[str]) -> dict[str, str]:
    """Why each value that is NaN has no number; missing: what there is none of, in the words of `NEEDS`.

    >>> undefined({"image_auroc": float("nan"), "image_recall": 0.5}, {"good image"})
    {'image_auroc': 'there is no good image'}
    """
    reasons = {}
    for name, value in values.items():
        lacking = [need for need in NEEDS.get(_family(name), ()) if need in missing]
        if math.isnan(value) and lacking:
            reasons[name] = f"there is no {' and no '.join(lacking)}"
    return reasons


def _family(name: str) -> str:
    """The name without a limit: `au_pro_0.05` is an `au_pro`."""
    stem, _, limit = name.rpartition("_")
    return stem if limit[:1].isdigit() else name
