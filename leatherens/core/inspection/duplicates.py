"""Photographs that are there twice: pixel for pixel, or nearly.

Nearly means that at most `NEAR` bits of their perceptual hashes differ and that their details correlate to
`ALIKE`. Both were chosen on ten real sets (docs/inspect.md): copies that were saved as JPEG, scaled to half,
lightened or given noise mostly correlate to more, unlike images of one leather to 0.4 at most. The hash is
the quick first look; it also rules out pictures that agree in one edge only, as the selvages of a fabric.
Pictures that were turned, mirrored, or cut out a little elsewhere are not found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leatherens.core.inspection.perceptual import BITS, Small, detail, perceptual_hash
from leatherens.core.progress import Advance

NEAR = 72
"""Bits of 255 that may differ at first look; of unlike images 82 and more do."""

ALIKE = 0.5
"""Least correlation at second look; at it, pairs of one tile under other light were looked at and right."""

_BLOCK = 1024  # images compared with all others at once: 40 MB for 10 000


@dataclass(frozen=True, slots=True)
class Alike:
    """Images that show the same, by their positions.

    least: the smallest correlation of the pairs that join them; 1 where they are identical.
    """

    members: tuple[int, ...]
    least: float


def identical(contents: Sequence[bytes]) -> tuple[Alike, ...]:
    """Groups of positions with the same content, each of two and more, by first member."""
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, content in enumerate(contents):
        places[content].append(place)
    return tuple(Alike(tuple(members), 1.0) for members in places.values() if len(members) > 1)


def similar(smalls: Sequence[Small], contents: Sequence[bytes], advance: Advance) -> tuple[Alike, ...]:
    """Groups of positions that show nearly the same; of identical ones the first stands for all.

    advance: told the number of images that were compared with all others.
    """
    first = {content: place for place, content in reversed(list(enumerate(contents)))}
    unique = np.array(sorted(first.values()), np.intp)
    advance(len(smalls) - len(unique))
    details = [detail(smalls[place]) for place in unique]
    found = []
    for one, other in _near_pairs(details, advance):
        alike = float(details[one] @ details[other])
        if alike >= ALIKE:
            found.append((int(unique[one]), int(unique[other]), alike))
    return _groups(found)


def _near_pairs(details: Sequence[NDArray[np.float32]], advance: Advance) -> Iterable[tuple[int, int]]:
    """Pairs whose hashes differ in few bits, each once, the earlier first."""
    if not details:
        return
    signs = np.stack([perceptual_hash(found) for found in details]).astype(np.float32) * 2 - 1  # (N, BITS)
    least = BITS - 2 * NEAR  # a product of signs counts the bits that agree less those that differ
    for start in range(0, len(signs), _BLOCK):
        block = signs[start : start + _BLOCK]
        rows, columns = np.nonzero(block @ signs[start:].T >= least)
        for row, column in zip(rows[columns > rows], columns[columns > rows], strict=True):
            yield start + int(row), start + int(column)
        advance(len(block))


def _groups(pairs: Sequence[tuple[int, int, float]]) -> tuple[Alike, ...]:
    """Pairs joined wherever they share a member."""
    parents: dict[int, int] = {}

    def root(member: int) -> int:
        while parents.setdefault(member, member) != member:
            parents[member] = parents[parents[member]]
            member = parents[member]
        return member

    for one, other, _ in pairs:
        ends = root(one), root(other)
        parents[max(ends)] = min(ends)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for member in sorted(parents):
        members[root(member)].append(member)
    least: defaultdict[int, list[float]] = defaultdict(list)
    for one, _, alike in pairs:
        least[root(one)].append(alike)
    return tuple(Alike(tuple(found), min(least[first])) for first, found in members.items())
