"""What the page's script is told of the run, as numbers: it recomputes verdicts and outlines from them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from leatherens.core.reporting import Decision, ScoredImage
from leatherens.plugins.html_report.colours import ColourScale, palette
from leatherens.plugins.html_report.gallery import Ranked
from leatherens.plugins.html_report.histogram import Histogram
from leatherens.plugins.html_report.verdict import outcomes_by_label

LABELS = {False: 0, True: 1, None: 2}
"""Places of "good", "defective" and "unlabelled" in the script's lists."""


def facts(
    images: Sequence[Ranked], decision: Decision, scale: ColourScale, histogram: Histogram | None
) -> str:
    """JSON: of each image, by rank, score, label and verdict; the thresholds (`null`: infinite); the scales.

    It holds numbers and our own words only, no name that others gave.
    """
    told: dict[str, Any] = {
        "images": [_image(image) for _, image in images],
        "image": _finite(decision.image),
        "pixel": _finite(decision.pixel),
        "axis": {"low": 0.0, "high": 1.0, "logarithmic": False}
        if histogram is None
        else asdict(histogram.axis),
        "scale": {"low": scale.low, "high": scale.high, "threshold": scale.threshold},
        "palette": palette().tobytes().hex(),
        "outcomes": {label: [asdict(o) for o in both] for label, both in outcomes_by_label().items()},
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _image(image: ScoredImage) -> tuple[float, int, int]:
    return image.scores["ensemble"], LABELS[image.defective], int(image.flagged)


def _finite(threshold: float) -> float | None:
    return threshold if math.isfinite(threshold) else None
