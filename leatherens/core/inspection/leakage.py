"""Images that are there twice: across parts they make results too good, in one they make it look larger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from leatherens.core.inspection.duplicates import Alike
from leatherens.core.inspection.finding import Finding, Plan, Rule
from leatherens.core.inspection.inspection import Inspection
from leatherens.core.listing import counted


def identical_across(seen: Inspection, plan: Plan) -> Finding | None:
    """The same picture to learn from and to test on."""
    return _across(seen, seen.identical, "leak-identical", "the same pixels as in another part")


def similar_across(seen: Inspection, plan: Plan) -> Finding | None:
    """Nearly the same picture to learn from and to test on."""
    return _across(seen, seen.similar, "leak-similar", "nearly the same picture as in another part")


def _across(seen: Inspection, groups: Sequence[Alike], kind: str, what: str) -> Finding | None:
    crossing = seen.crossing(groups)
    if not crossing:
        return None
    later: Counter[str] = Counter()
    for group in crossing:
        found = Counter(seen.pictures[member].item.split for member in group.members)
        later.update({part: found[part] for part in seen.splits(group)[1:]})
    totals = " and ".join(
        f"{number} of {len(seen.stock.part(part))} in {part}" for part, number in later.items()
    )
    one, other = _pair(seen, crossing[0].members)
    return Finding(
        kind,
        f"{what}: {totals}, such as {other} and {one}; results on them are better than on new leather: "
        "keep all photographs of one piece in one part",
        tuple(id for group in crossing for id in seen.ids(group)),
    )


def _pair(seen: Inspection, members: Sequence[int]) -> tuple[str, str]:
    """Two of a group's images from different parts."""
    first = seen.pictures[members[0]]
    other = next(seen.pictures[m] for m in members if seen.pictures[m].item.split != first.item.split)
    return first.id, other.id


def repeated(seen: Inspection, plan: Plan) -> Finding | None:
    """The same picture twice in one part."""
    groups = [group for group in (*seen.identical, *seen.similar) if len(seen.splits(group)) == 1]
    if not groups:
        return None
    extra = Counter(seen.splits(group)[0] for group in groups for _ in group.members[1:])
    parts = " and ".join(f"{counted(number, 'image')} in {part}" for part, number in extra.items())
    one, other = seen.ids(groups[0])[:2]
    return Finding(
        "repeated",
        f"shown before in the same part: {parts}, such as {other} and {one}; there are fewer "
        "independent images than files",
        tuple(dict.fromkeys(id for group in groups for id in seen.ids(group))),
    )


RULES: tuple[Rule, ...] = (identical_across, similar_across, repeated)
