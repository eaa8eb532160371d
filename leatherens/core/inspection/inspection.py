"""Everything that looking at a folder brings to light: each file is opened once, several at a time."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leatherens.core.colours import ColourMatch, Colours, colour_clusters
from leatherens.core.inspection.defect_sizes import DefectSize
from leatherens.core.inspection.duplicates import Alike, identical, similar
from leatherens.core.inspection.marks import Marked, MaskFault, look_at_masks, marks_anything
from leatherens.core.inspection.pictures import Picture, Unreadable, look_at
from leatherens.core.inspection.stock import PARTS, TRAIN, VALIDATION, Item, Stock, of_good
from leatherens.core.progress import Progress, Silent

_THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was seen.

    pictures: those that can be read, in the stock's order; all positions below are theirs.
    identical, similar: groups of them. defects: sizes of marked defects, by position.
    colours: of the good images to learn from, or of all where there are none. matches: of every picture.
    marked_good: masks in a folder of good images that mark something. unseen: how many photographs were not
    opened, as time ran out.
    """

    stock: Stock
    pictures: tuple[Picture, ...]
    unreadable: tuple[Unreadable, ...]
    identical: tuple[Alike, ...]
    similar: tuple[Alike, ...]
    defects: dict[int, DefectSize]
    mask_faults: tuple[MaskFault, ...]
    marked_good: tuple[Path, ...]
    colours: Colours
    matches: tuple[ColourMatch, ...]
    unseen: int = 0

    @property
    def orphans(self) -> tuple[Path, ...]:
        """Masks without an image."""
        good = set(of_good(self.stock.masks_left))
        return tuple(path for path in self.stock.masks_left if path not in good)

    @property
    def learned(self) -> bool:
        """Whether there are good images to learn from that can be read."""
        return any(picture.item.split in (TRAIN, VALIDATION) for picture in self.pictures)

    def splits(self, alike: Alike) -> tuple[str, ...]:
        """The parts that a group's images belong to, those to learn from first."""
        found = {self.pictures[member].item.split for member in alike.members}
        return tuple(sorted(found, key=PARTS.index))

    def crossing(self, groups: Sequence[Alike]) -> tuple[Alike, ...]:
        """The groups that are in several parts."""
        return tuple(group for group in groups if len(self.splits(group)) > 1)

    def ids(self, group: Alike) -> tuple[str, ...]:
        """The images of a group."""
        return tuple(self.pictures[member].id for member in group.members)


def inspect(stock: Stock, progress: Progress | None = None, *, seconds: float | None = None) -> Inspection:
    """Open every photograph and mask of a stock, and compare them.

    seconds: after so many no further photograph is opened; those that were lie evenly in the stock.
    """
    progress = progress or Silent()
    pictures, unreadable, marks = _opened(stock.items, progress, seconds)
    contents = [picture.content for picture in pictures]
    with progress.step("comparing the photographs", len(pictures)) as advance:
        alike = similar([picture.small for picture in pictures], contents, advance)
    colours = _colours(pictures)
    return Inspection(
        stock,
        pictures,
        unreadable,
        identical(contents),
        alike,
        {place: found.size for place, found in enumerate(marks) if found.size is not None},
        tuple(fault for found in marks for fault in found.faults),
        tuple(path for path in of_good(stock.masks_left) if marks_anything(path)),
        colours,
        tuple(colours.match(picture.colour) for picture in pictures),
        unseen=len(stock.items) - len(pictures) - len(unreadable),
    )


def _opened(
    items: Sequence[Item], progress: Progress, seconds: float | None
) -> tuple[tuple[Picture, ...], tuple[Unreadable, ...], list[Marked]]:
    """The pictures that can be read, the others, and the marks of each picture, in the items' order."""
    ends = math.inf if seconds is None else time.monotonic() + seconds
    order = range(len(items)) if seconds is None else spread(len(items))
    seen: dict[int, tuple[Picture | Unreadable, Marked]] = {}
    reading = progress.step("opening the photographs", len(items))
    with reading as advance, ThreadPoolExecutor(_THREADS) as pool:
        for place, found in zip(order, pool.map(lambda i: _seen_by(ends, items[i]), order), strict=True):
            if found is not None:
                seen[place] = found
            advance(1)
    opened = [seen[place] for place in sorted(seen)]
    return (
        tuple(found for found, _ in opened if isinstance(found, Picture)),
        tuple(found for found, _ in opened if isinstance(found, Unreadable)),
        [marked for found, marked in opened if isinstance(found, Picture)],
    )


def spread(count: int) -> list[int]:
    """The places 0 .. count - 1 in an order of which every beginning lies evenly among them.

    >>> spread(7)
    [0, 4, 2, 6, 1, 5, 3]
    """
    bits = max(count - 1, 0).bit_length()
    turned = [int(f"{place:0{bits}b}"[::-1], 2) for place in range(2**bits)] if bits else range(count)
    return [place for place in turned if place < count]


def _seen_by(ends: float, item: Item) -> tuple[Picture | Unreadable, Marked] | None:
    """An item, unless time has run out."""
    return _seen(item) if time.monotonic() < ends else None


def _seen(item: Item) -> tuple[Picture | Unreadable, Marked]:
    found = look_at(item)
    return found, look_at_masks(found) if isinstance(found, Picture) else Marked()


def _colours(pictures: Sequence[Picture]) -> Colours:
    """Of the good images to learn from; of all, where there are none."""
    learned = [picture.colour for picture in pictures if picture.item.split in (TRAIN, VALIDATION)]
    colours = learned or [picture.colour for picture in pictures]
    return colour_clusters(np.array(colours).reshape(-1, 3))
