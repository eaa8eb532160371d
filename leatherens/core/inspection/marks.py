"""What masks say of a photograph, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leatherens.core.errors import InputError
from leatherens.core.inspection.defect_sizes import DefectSize, defect_size
from leatherens.core.photographs import Mask, read_mask
from leatherens.core.reading import Sample
from leatherens.core.saturation import read_region

if TYPE_CHECKING:
    from leatherens.core.inspection.pictures import Picture

UNREADABLE, OTHER_SIZE, EMPTY, ON_GOOD = "unreadable", "other size", "empty", "on a good image"
"""What can be wrong with a mask."""


@dataclass(frozen=True, slots=True)
class MaskFault:
    """One of the faults above, of the image `id`, in a sentence that names the file."""

    id: str
    fault: str
    reason: str


@dataclass(frozen=True, slots=True)
class Marked:
    """The defect that an image's masks mark together; `None` where nothing is marked or the masks are
    wrong."""

    size: DefectSize | None = None
    faults: tuple[MaskFault, ...] = ()


def look_at_masks(picture: Picture) -> Marked:
    """Open the masks of one photograph."""
    sample = picture.item.sample
    if not sample.masks:
        return Marked()
    marked, faults = union(picture.id, sample.masks, picture.size)
    if sample.saturations and not faults:
        faults = _levels_not_told(sample)
    if faults:
        return Marked(faults=faults)
    first = sample.masks[0]
    if not marked.any():
        reason = (
            f"{first}: marks nothing, and its photograph is called defective; draw the defect or remove it"
        )
        return Marked(faults=(MaskFault(picture.id, EMPTY, reason),) if sample.defective else ())
    if sample.defective is False:
        reason = (
            f"{first}: marks a defect on a photograph called good; move the photograph, or remove the mask"
        )
        return Marked(faults=(MaskFault(picture.id, ON_GOOD, reason),))
    return Marked(defect_size(marked))


def union(id: str, paths: Sequence[Path], size: tuple[int, int]) -> tuple[Mask, tuple[MaskFault, ...]]:
    """All that the masks of one photograph of (height, width) `size` mark, (H, W), and those that cannot be
    used."""
    marked, faults = np.zeros(size, dtype=np.bool_), []
    for path in paths:
        try:
            mask = read_mask(path)
        except InputError as error:
            faults.append(MaskFault(id, UNREADABLE, str(error)))
            continue
        if mask.shape != size:
            found, expected = (f"{height} x {width}" for height, width in (mask.shape, size))
            reason = f"{path}: the mask is {found} pixels and its photograph {expected} (height x width)"
            faults.append(MaskFault(id, OTHER_SIZE, reason))
            continue
        marked |= mask
    return marked, tuple(faults)


def _levels_not_told(sample: Sample) -> tuple[MaskFault, ...]:
    """The masks whose grey level no `defects_config.json` explains."""
    try:
        for path in sample.masks:
            read_region(path, sample.saturations)
    except InputError as error:
        return (MaskFault(sample.id, UNREADABLE, str(error)),)
    return ()


def marks_anything(path: Path) -> bool:
    """Whether a mask that belongs to no defective image marks something; an unreadable one does not."""
    try:
        return bool(read_mask(path).any())
    except InputError:
        return False
