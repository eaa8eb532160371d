"""An inspection as plain values: what `leatherens data inspect --json` prints (docs/inspect.md lists the
keys)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from leatherens.core.colours import REACH, srgb
from leatherens.core.inspection.defect_sizes import DefectSize, quantiles
from leatherens.core.inspection.duplicates import Alike
from leatherens.core.inspection.finding import Plan
from leatherens.core.inspection.findings import Findings
from leatherens.core.inspection.inspection import Inspection
from leatherens.core.inspection.marks import EMPTY, ON_GOOD, OTHER_SIZE, UNREADABLE
from leatherens.core.reading import GOOD

SCHEMA = 1
"""Raised whenever a key changes its meaning or goes away; new keys may come without."""


GOOD_MARKED = "lies among masks of good images and marks something; remove it, or move its photograph"
"""What is wrong with a mask that no layout reads."""


def content_of(seen: Inspection, findings: Findings, plan: Plan) -> dict[str, Any]:
    """Everything that was seen, with every image named."""
    told = {finding.sentence for finding in (*findings.problems, *findings.warnings)}
    return {
        "schema": SCHEMA,
        "folder": str(seen.stock.root),
        "read_as": seen.stock.read,
        "layout": seen.stock.layout,
        "usable": not findings.problems,
        "problems": [asdict(finding) for finding in findings.problems],
        "warnings": [asdict(finding) for finding in findings.warnings],
        "remarks": [remark for remark in seen.stock.remarks if remark not in told],
        "images": {"total": len(seen.stock.items), "readable": len(seen.pictures), "parts": parts(seen)},
        "sizes": sizes(seen),
        "modes": modes(seen),
        "turned": [picture.id for picture in seen.pictures if picture.header.turned],
        "unreadable": [
            {"image": bad.item.sample.id, "part": bad.item.split, "reason": bad.reason}
            for bad in seen.unreadable
        ],
        "identical": [_group(seen, group) for group in seen.identical],
        "similar": [{**_group(seen, group), "correlation": group.least} for group in seen.similar],
        "masks": _masks(seen),
        "defects": {"size": list(plan.size), "kinds": defects(seen, plan)},
        "colours": _colours(seen),
    }


def parts(seen: Inspection) -> dict[str, dict[str, int]]:
    """Numbers of images by part and by what they show, good ones first."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for item in seen.stock.items:
        found[item.split][item.kind] += 1
    return {split: dict(sorted(kinds.items(), key=_good_first)) for split, kinds in found.items()}


def _good_first(entry: tuple[str, object]) -> tuple[bool, str]:
    return entry[0] != GOOD, entry[0]


def sizes(seen: Inspection) -> list[dict[str, int]]:
    """Numbers of images by size, the most frequent first."""
    found = Counter(picture.size for picture in seen.pictures)
    ordered = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"height": h, "width": w, "images": count} for (h, w), count in ordered]


def modes(seen: Inspection) -> dict[str, int]:
    """Numbers of images by how they are stored."""
    return dict(Counter(picture.header.words for picture in seen.pictures).most_common())


def defects(seen: Inspection, plan: Plan) -> dict[str, dict[str, Any]]:
    """Quantiles of the marked defects' sizes by kind, and of all together where there are several kinds."""
    by_kind: defaultdict[str, list[DefectSize]] = defaultdict(list)
    for place, size in seen.defects.items():
        by_kind[seen.pictures[place].item.kind].append(size)
    rows = dict(sorted(by_kind.items()))
    every = list(seen.defects.values())
    return {
        **{kind: _row(found, plan) for kind, found in rows.items()},
        **({"all": _row(every, plan)} if len(rows) > 1 else {}),
    }


def _row(found: Sequence[DefectSize], plan: Plan) -> dict[str, Any]:
    values: Mapping[str, Iterable[float]] = {
        "area": (size.area for size in found),
        "share": (size.share for size in found),
        "regions": (size.regions for size in found),
        "extent": (size.extent for size in found),
        "thickness": (size.thickness for size in found),
        "extent_at_size": (size.at(plan.size)[0] for size in found),
        "thickness_at_size": (size.at(plan.size)[1] for size in found),
    }
    return {"images": len(found), **{name: quantiles(list(numbers)) for name, numbers in values.items()}}


def _group(seen: Inspection, group: Alike) -> dict[str, Any]:
    return {"images": list(seen.ids(group)), "parts": list(seen.splits(group))}


def _masks(seen: Inspection) -> dict[str, Any]:
    faults: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for fault in seen.mask_faults:
        faults[fault.fault].append({"image": fault.id, "reason": fault.reason})
    samples = [item.sample for item in seen.stock.items]
    return {
        "images_with": sum(bool(sample.masks) for sample in samples),
        "defective_without": [s.id for s in samples if s.defective and not s.masks],
        "unreadable": faults[UNREADABLE],
        "other_size": faults[OTHER_SIZE],
        "empty": faults[EMPTY],
        "on_good": [
            *faults[ON_GOOD],
            *({"image": "", "reason": f"{path}: {GOOD_MARKED}"} for path in seen.marked_good),
        ],
        "without_image": [seen.stock.id_of(path) for path in seen.orphans],
    }


def _colours(seen: Inspection) -> dict[str, Any]:
    colours = seen.colours
    images = zip(seen.matches, seen.pictures, strict=True)
    return {
        "of": "images to learn from" if seen.learned else "all images",
        "sentence": colours.sentence,
        "one": colours.one,
        "gap": colours.gap,
        "reach": REACH,
        "clusters": [
            {
                "name": cluster.name,
                "lab": [round(value, 2) for value in cluster.colour.tolist()],
                "srgb": list(srgb(cluster.colour)),
                "images": cluster.images,
            }
            for cluster in colours.clusters
        ],
        "unlike": [
            {"image": picture.id, "distance": match.distance} for match, picture in images if not match.known
        ],
    }
