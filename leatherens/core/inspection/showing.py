"""What models would stumble over in the pictures: colours, nothing at all, odd ways of storing them."""

from __future__ import annotations

from leatherens.core.inspection.finding import Finding, Plan, Rule
from leatherens.core.inspection.inspection import Inspection
from leatherens.core.listing import counted, named

RARE = 10
"""Images; a colour of fewer is hardly learned."""


def several_colours(seen: Inspection, plan: Plan) -> Finding | None:
    """Leather of several colours to learn from."""
    if not seen.learned or seen.colours.one:
        return None
    rare = [cluster.name for cluster in seen.colours.clusters if cluster.images < RARE]
    few = f"; of {counted(len(rare), 'colour')} there are fewer than {RARE} images" if rare else ""
    sentence = f"to learn from: {seen.colours.sentence}{few}; make a run for each, or give each enough images"
    return Finding("several-colours", sentence)


def unlike_colours(seen: Inspection, plan: Plan) -> Finding | None:
    """Images of colours that were not learned."""
    if not seen.learned:
        return None
    pairs = zip(seen.matches, seen.pictures, strict=True)
    found = sorted(
        ((match.distance, picture) for match, picture in pairs if not match.known),
        key=lambda entry: (-entry[0], entry[1].id),
    )
    if not found:
        return None
    ids = tuple(picture.id for _, picture in found)
    good = sum(picture.item.sample.defective is False for _, picture in found)
    return Finding(
        "unlike-colour",
        f"of a colour unlike all to learn from, by up to {found[0][0]:.0f} ΔE: {counted(len(ids), 'image')}, "
        f"{good} of them good, such as {named(ids[:3])}; their colour alone makes them stand out",
        ids,
    )


def blank(seen: Inspection, plan: Plan) -> Finding | None:
    """Pictures that show nothing."""
    ids = tuple(picture.id for picture in seen.pictures if picture.flat)
    if not ids:
        return None
    return Finding(
        "blank", f"one even colour and nothing else: {counted(len(ids), 'image')}, {named(ids)}", ids
    )


DIM = 64
"""Of 255; a 16-bit file whose brightest pixel is darker fills 14 bits at most."""


def dim(seen: Inspection, plan: Plan) -> Finding | None:
    """Files of 16 bits of which few are used."""
    deep = [picture for picture in seen.pictures if picture.header.sixteen_bits]
    brightest = max((picture.brightest for picture in deep), default=DIM)
    if brightest >= DIM:
        return None
    return Finding(
        "dim-16-bit",
        f"16-bit files that use the lowest levels only: {counted(len(deep), 'image')}, the brightest pixel "
        f"is {brightest} of 255; scale them to the whole 16-bit range (12-bit values: times 16)",
        tuple(picture.id for picture in deep),
    )


def converted(seen: Inspection, plan: Plan) -> Finding | None:
    """Files whose pixels have to be converted with a loss."""
    odd = [p for p in seen.pictures if p.header.mode in ("CMYK", "YCbCr") or p.header.transparent]
    if not odd:
        return None
    modes = named(sorted({picture.header.words for picture in odd}))
    return Finding(
        "converted",
        f"stored as {modes}: {counted(len(odd), 'image')}; transparent parts are shown on white, and no "
        "colour profile is applied",
        tuple(picture.id for picture in odd),
    )


RULES: tuple[Rule, ...] = (several_colours, unlike_colours, blank, dim, converted)
