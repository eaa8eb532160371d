"""What stops a run: each of these `leatherens run` refuses, too."""

from __future__ import annotations

from functools import partial

from leatherens.core.inspection.finding import Finding, Plan, Rule
from leatherens.core.inspection.inspection import Inspection
from leatherens.core.inspection.marks import OTHER_SIZE, UNREADABLE
from leatherens.core.inspection.stock import TRAIN
from leatherens.core.listing import counted, named


def not_understood(seen: Inspection, plan: Plan) -> Finding | None:
    """No reader knows the layout."""
    return Finding("layout", seen.stock.refusal) if seen.stock.refusal else None


def no_good(seen: Inspection, plan: Plan) -> Finding | None:
    """Nothing to learn from."""
    if seen.stock.refusal or seen.stock.part(TRAIN):
        return None
    way_out = "add photographs of good surfaces"
    if seen.defects:
        way_out += ", or cut clean pieces from the defective ones (leatherens data crop-good)"
    return Finding("no-good-images", f"there are no good images to learn from; {way_out}")


def cannot_be_split(seen: Inspection, plan: Plan) -> Finding | None:
    """Too little to learn, validate and calibrate."""
    if seen.stock.refusal or not seen.stock.part(TRAIN) or not plan.refusal:
        return None
    return Finding("too-few-good-images", plan.refusal)


def unreadable(seen: Inspection, plan: Plan) -> Finding | None:
    """Photographs that cannot be opened."""
    ids = tuple(bad.item.sample.id for bad in seen.unreadable)
    if not ids:
        return None
    share = f"{len(ids)} of {counted(len(seen.stock.items), 'photograph')}"
    return Finding("unreadable", f"{share} cannot be read; mend or remove: {named(ids)}", ids)


def wrong_masks(fault: str, what: str, seen: Inspection, plan: Plan) -> Finding | None:
    """Masks with a fault; what: begins the sentence."""
    ids = tuple(dict.fromkeys(found.id for found in seen.mask_faults if found.fault == fault))
    if not ids:
        return None
    kind = f"masks-{fault.replace(' ', '-')}"
    return Finding(kind, f"{what}: {counted(len(ids), 'image')}, {named(ids)}", ids)


RULES: tuple[Rule, ...] = (
    not_understood,
    no_good,
    cannot_be_split,
    unreadable,
    partial(wrong_masks, UNREADABLE, "masks that cannot be read"),
    partial(wrong_masks, OTHER_SIZE, "masks of another size than their photograph"),
)
