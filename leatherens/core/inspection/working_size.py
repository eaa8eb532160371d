"""What happens to the photographs and their defects at the size that models see."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from leatherens.core.inspection.defect_sizes import DefectSize
from leatherens.core.inspection.finding import Finding, Plan, Rule
from leatherens.core.inspection.inspection import Inspection
from leatherens.core.inspection.pictures import Picture
from leatherens.core.listing import counted, named

CELL = 8
"""Pixels of a working image between two places of the finest feature maps that most members look at."""


def tiny(seen: Inspection, plan: Plan) -> Finding | None:
    """Defects that fall between two places of a feature map."""
    what = f"shorter than {CELL} pixels at {_by(plan.size)}, one place of the feature maps"
    way_out = "give a larger --size, or cut the photographs into tiles"
    return _lost(seen, "tiny-defects", what, way_out, lambda size: size.at(plan.size)[0] < CELL)


def thin(seen: Inspection, plan: Plan) -> Finding | None:
    """Defects that shrinking averages away."""
    what = f"thinner than one pixel at {_by(plan.size)}"
    way_out = "they fade when the photographs are made smaller"
    return _lost(seen, "thin-defects", what, way_out, lambda size: size.at(plan.size)[1] < 1)


def _lost(
    seen: Inspection, kind: str, what: str, way_out: str, lost: Callable[[DefectSize], bool]
) -> Finding | None:
    ids = tuple(seen.pictures[place].id for place, size in seen.defects.items() if lost(size))
    if not ids:
        return None
    share = f"{len(ids)} of {counted(len(seen.defects), 'marked defect')}"
    return Finding(kind, f"{what}: {share}, such as {named(ids[:3])}; {way_out}", ids)


STRETCHED = 1.25
"""Ratio of the factors that height and width change by, from which shapes are visibly others."""


def stretched(seen: Inspection, plan: Plan) -> Finding | None:
    """Proportions that change."""

    def uneven(picture: Picture) -> float:
        high, wide = _factors(picture, plan)
        return max(high, wide) / min(high, wide)

    found = [picture for picture in seen.pictures if uneven(picture) > STRETCHED]
    if not found:
        return None
    return Finding(
        "stretched",
        f"other proportions at {_by(plan.size)} than on disk, by up to {max(map(uneven, found)):.2g} to 1: "
        f"{_share(found, seen)}; give a --size of their proportions, or cut tiles",
        _ids(found),
    )


SCALED = 1.5
"""Ratio of the factors that pictures change by, from which one grain has visibly several scales."""


def several_scales(seen: Inspection, plan: Plan) -> Finding | None:
    """One surface at several scales."""
    factors = [math.sqrt(math.prod(_factors(picture, plan))) for picture in seen.pictures]
    ratio = max(factors) / min(factors) if factors else 1.0
    if ratio <= SCALED:
        return None
    sizes = len({picture.size for picture in seen.pictures})
    return Finding(
        "mixed-sizes",
        f"{sizes} sizes of photographs: brought to {_by(plan.size)}, the same defect is up to {ratio:.2g} "
        "times as large in one as in another; cut tiles of one size",
    )


ENLARGED, SHRUNK = 1.5, 4.0
"""Factors: made so much larger, a picture shows no more; made so much smaller, its fine defects fade."""


def enlarged(seen: Inspection, plan: Plan) -> Finding | None:
    """Pictures smaller than what models would see."""
    found = [picture for picture in seen.pictures if min(_factors(picture, plan)) >= ENLARGED]
    if not found:
        return None
    factor = max(min(_factors(picture, plan)) for picture in found)
    common = Counter(picture.size for picture in found).most_common(1)[0][0]
    return Finding(
        "enlarged",
        f"smaller than {_by(plan.size)}: {_share(found, seen)} would be enlarged up to {factor:.2g} times, "
        f"which costs time, yet can help; --size {_by(common)} takes them as they are, try both",
        _ids(found),
    )


def shrunk(seen: Inspection, plan: Plan) -> Finding | None:
    """Pictures much larger than what models would see."""
    found = [picture for picture in seen.pictures if max(_factors(picture, plan)) <= 1 / SHRUNK]
    if not found:
        return None
    factor = 1 / min(max(_factors(picture, plan)) for picture in found)
    return Finding(
        "shrunk",
        f"much larger than {_by(plan.size)}: {_share(found, seen)} would be shrunk up to {factor:.2g} times, "
        "where fine defects fade; give a larger --size, or cut tiles",
        _ids(found),
    )


def _factors(picture: Picture, plan: Plan) -> tuple[float, float]:
    """By which height and width change."""
    return plan.size[0] / picture.size[0], plan.size[1] / picture.size[1]


def _share(found: list[Picture], seen: Inspection) -> str:
    return f"{len(found)} of {counted(len(seen.pictures), 'image')}"


def _ids(pictures: list[Picture]) -> tuple[str, ...]:
    return tuple(picture.id for picture in pictures)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


RULES: tuple[Rule, ...] = (tiny, thin, stretched, several_scales, enlarged, shrunk)

KINDS = frozenset({"tiny-defects", "thin-defects", "stretched", "mixed-sizes", "enlarged", "shrunk"})
"""What these rules find; none of it holds where photographs are looked at in tiles."""
