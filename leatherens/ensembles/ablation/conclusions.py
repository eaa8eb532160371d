"""What the table says: the whole against the best member, chosen fairly and with hindsight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leatherens.core.bootstrap import interval
from leatherens.ensembles.ablation.artificial import best
from leatherens.ensembles.ablation.plan import MEMBER, WHOLE
from leatherens.ensembles.ablation.results import Row

COMPARED = ("image_auroc", "pixel_ap", "au_pro")

TITLES = {"image_auroc": "image AUROC", "pixel_ap": "pixel AP", "au_pro": "AU-PRO"}


def conclude(rows: Sequence[Row], separated: Mapping[str, float]) -> dict[str, Any]:
    """The best members and the differences to the recipe, as plain values.

    by_validation: the member that artificial anomalies on *validate* name. with_hindsight: by metric, the
    member whose test value is best. Each difference is the recipe's value minus the member's, with its paired
    interval.
    """
    whole = next((row for row in rows if row.variant.varies == WHOLE), None)
    members = {row.variant.name: row for row in rows if row.variant.varies == MEMBER and not row.problem}
    chosen = best(separated)
    found: dict[str, Any] = {
        "separations": dict(separated),
        "by_validation": {"member": chosen, "differences": {}},
        "with_hindsight": {},
    }
    if whole is None or whole.problem:
        return found
    for metric in COMPARED:
        defined = {id: row for id, row in members.items() if not np.isnan(row.value(metric))}
        if chosen in defined:
            found["by_validation"]["differences"][metric] = difference(whole, defined[chosen], metric)
        if defined:
            top = min(defined, key=lambda id: (-defined[id].value(metric), id))
            found["with_hindsight"][metric] = {"member": top, **difference(whole, defined[top], metric)}
    return found


def difference(row: Row, other: Row, metric: str) -> dict[str, float]:
    """Value minus value, and the 95 % interval of it; the same images are drawn for both."""
    low, high = interval(row.resampled[metric] - other.resampled[metric])
    return {
        "recipe": row.value(metric),
        "alone": other.value(metric),
        "difference": row.value(metric) - other.value(metric),
        "low": low,
        "high": high,
    }


def sentences(found: Mapping[str, Any]) -> list[str]:
    """The conclusions, a line each."""
    fair = found["by_validation"]
    said = [
        f"best member by artificial anomalies on validate (no test image seen): {fair['member']} "
        f"({found['separations'][fair['member']]:.3f})"
    ]
    said += [f"  recipe against it, {_compared(m, d)}" for m, d in fair["differences"].items()]
    said += [
        f"best member with hindsight by {TITLES[m]}: {d['member']}; recipe against it, {_compared(m, d)}"
        for m, d in found["with_hindsight"].items()
    ]
    if not found["with_hindsight"]:
        said.append("no metric of images or pixels is defined on these test images: nothing can be compared")
    return said


def _compared(metric: str, found: Mapping[str, float]) -> str:
    ends = "" if np.isnan(found["low"]) else f" [{found['low']:+.3f}, {found['high']:+.3f}]"
    values = f"{found['recipe']:.3f} against {found['alone']:.3f}"
    return f"{TITLES[metric]}: {values}, {found['difference']:+.3f}{ends}"
