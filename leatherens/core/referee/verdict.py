"""Everything the referee found as plain values, with the definitions and the rules that were applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from leatherens.core.listing import counted, named
from leatherens.core.measurement import MEAN, Measured, Measurement
from leatherens.core.metrics import DEFINITIONS
from leatherens.core.metrics.impostors import IMPOSTORS
from leatherens.core.reading import Collection
from leatherens.core.referee import intervals as resampling
from leatherens.core.referee.intervals import Resampled
from leatherens.core.referee.pairing import RULE
from leatherens.core.referee.referee import Referee

SCHEMA = 1

_RULES = {
    "images": RULE,
    "ties": "tied scores are one step of every curve, half a win in AUROC",
    "connectivity": "8: defect pixels that touch at a side or a corner are one region",
    "masks": "a pixel is marked from half the scale upwards (128 of 255); in a mask that never reaches it, "
    "from 1 upwards; masks are never resized",
    "good images": "their pixels count as good in all pooled metrics",
}


def content_of(
    referee: Referee,
    collection: Collection,
    measured: Measurement,
    *,
    by: Iterable[str] = (),
    resampled: Resampled | None = None,
) -> dict[str, Any]:
    """What `leatherens metrics --json` prints; NaN stays NaN."""
    everything, impostors = measured.all(), measured.impostors()
    groups = {"by_defect": measured.by_defect} if "defect" in by else {}
    groups |= {"by_view": measured.by_view} if "view" in by else {}
    return {
        "schema": SCHEMA,
        "maps": str(referee.paired.folder),
        "data": str(collection.root),
        "read_as": collection.sentence,
        "images": measured.counts(),
        "metrics": everything.values,
        "intervals": {name: list(ends) for name, ends in (resampled or {}).items()},
        "undefined": everything.undefined,
        **{title: _plain(of()) for title, of in groups.items()},
        "impostors": impostors,
        "definitions": {
            **{name: DEFINITIONS[name] for name in everything.values if name in DEFINITIONS},
            **{name: IMPOSTORS[name] for name in impostors},
        },
        "rules": _rules(referee, resampled is not None, MEAN in (groups and measured.by_defect())),
        "remarks": [*collection.remarks, *referee.paired.remarks, *_remarks(referee)],
    }


def _plain(groups: Mapping[str, Measured]) -> dict[str, Any]:
    return {name: {"metrics": one.values, "undefined": one.undefined} for name, one in groups.items()}


def _rules(referee: Referee, resampled: bool, mean: bool) -> dict[str, str]:
    options = referee.options
    rules = dict(_RULES)
    rules["image scores"] = (
        "the highest score of the map, as it is stored" if referee.image_scores is None else "those given"
    )
    rules["resizing"] = "none: every map has the size of its image"
    if referee.resized:
        total = counted(len(referee.paired.pairs), "map")
        rules["resizing"] = (
            f"{referee.resized} of {total} brought to the size of the image, bilinear between the centres of "
            "pixels; AU-PRO as published takes maps of that size"
        )
    if options.threshold is not None:
        rules["threshold"] = f"an image is defective when its score > {options.threshold:g}, strictly"
    if options.pixel_threshold is not None:
        rules["pixel threshold"] = f"a pixel is marked when its score > {options.pixel_threshold:g}, strictly"
    if mean:
        rules[MEAN] = "each kind weighs the same, as in the tables of MVTec LOCO"
    if resampled:
        rules["intervals"] = resampling.RULE
    return rules


def _remarks(referee: Referee) -> list[str]:
    if not referee.unmarked:
        return []
    count = counted(len(referee.unmarked), "defective image")
    return [f"{count} without a mask count in no pixel metric: {named(referee.unmarked)}"]
