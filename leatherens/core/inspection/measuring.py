"""What a run on the folder could not promise or measure, and masks that would spoil the measuring."""

from __future__ import annotations

from functools import partial

from leatherens.core.inspection.finding import Finding, Plan, Rule
from leatherens.core.inspection.inspection import Inspection
from leatherens.core.inspection.marks import EMPTY, ON_GOOD
from leatherens.core.inspection.problems import wrong_masks
from leatherens.core.inspection.stock import TEST, TRAIN, VALIDATION
from leatherens.core.listing import counted, named
from leatherens.core.reading import unpaired_remark

LOOSE = 0.05
"""A false-alarm rate that is hardly worth promising."""


def loose_promise(seen: Inspection, plan: Plan) -> Finding | None:
    """Too few good images to promise few false alarms."""
    promise = 1 / (plan.calibrating + 1)
    if not plan.calibrating or promise <= LOOSE:
        return None
    good = counted(len(seen.stock.part(TRAIN, VALIDATION)), "good image")
    return Finding(
        "few-good-images",
        f"of {good} only {plan.calibrating} can be held out to calibrate: no false-alarm rate under "
        f"{100 * promise:.1f} % can be promised; add good images",
    )


def no_good_to_test(seen: Inspection, plan: Plan) -> Finding | None:
    """Nobody could tell how often a good image is called defective."""
    tested = seen.stock.part(TEST)
    if not plan.calibrating or any(item.sample.defective is False for item in tested):
        return None
    return Finding(
        "no-good-test", "there is no good image to test on: some to learn from would be held out for it"
    )


def no_defects_to_test(seen: Inspection, plan: Plan) -> Finding | None:
    """Nobody could tell how many defects are missed."""
    if seen.stock.refusal or any(item.sample.defective for item in seen.stock.items):
        return None
    return Finding("no-defective", "there is no defective image: how many are missed cannot be measured")


MOST = 0.5
"""Share of a picture that a defect rarely covers; a mask of more is often drawn the other way round."""


def inverted(seen: Inspection, plan: Plan) -> Finding | None:
    """Masks that mark nearly everything."""
    ids = tuple(seen.pictures[place].id for place, size in seen.defects.items() if size.share > MOST)
    if not ids:
        return None
    what = "masks that mark more than half of the picture, perhaps the wrong way round"
    return Finding("masks-large", f"{what}: {counted(len(ids), 'image')}, {named(ids)}", ids)


def marked_good(seen: Inspection, plan: Plan) -> Finding | None:
    """Masks of good images that no layout reads."""
    names = tuple(map(seen.stock.id_of, seen.marked_good))
    if not names:
        return None
    what = "masks of good images that mark something and are passed over"
    return Finding("masks-on-good", f"{what}: {len(names)}, {named(names)}", names)


def orphans(seen: Inspection, plan: Plan) -> Finding | None:
    """Masks whose image is missing, or called otherwise."""
    if not seen.orphans:
        return None
    names = tuple(map(seen.stock.id_of, seen.orphans))
    return Finding("masks-without-image", unpaired_remark(seen.orphans), names)


RULES: tuple[Rule, ...] = (
    partial(wrong_masks, ON_GOOD, "masks that mark a defect on an image called good"),
    partial(wrong_masks, EMPTY, "masks that mark nothing on an image called defective"),
    marked_good,
    orphans,
    inverted,
    loose_promise,
    no_good_to_test,
    no_defects_to_test,
)
