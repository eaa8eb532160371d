"""From a mask to outlines between its pixels, from which `shapes.Polygon` makes the same mask again.

An outline cannot have holes in most annotators. A part with holes is therefore cut straight through the
top of each hole, and the pieces are joined again wherever that closes none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leatherens.core.photographs import Mask

Outline = list[tuple[int, int]]
"""Corners (x, y) in pixels, clockwise; the last is joined to the first."""

_WITH_CORNERS = np.ones((3, 3), dtype=np.bool_)


def outlines(mask: Mask) -> list[Outline]:
    """Outlines without holes, no two of them over the same pixel, that together cover a mask (H, W) exactly.

    Pixels that only touch at a corner are apart.

    >>> outlines(np.array([[True, True], [False, True]]))
    [[(2, 0), (2, 2), (1, 2), (1, 1), (0, 1), (0, 0)]]
    """
    pieces = _without_holes(mask)
    return [
        _outline(pieces[window] == number, left=window[1].start, top=window[0].start)
        for number, window in _windows(pieces)
    ]


def area(outline: Outline) -> int:
    """The number of pixels inside.

    >>> area([(0, 0), (3, 0), (3, 2), (0, 2)])
    6
    """
    ends = zip(outline, [*outline[1:], outline[0]], strict=True)
    return abs(sum(x * far_y - far_x * y for (x, y), (far_x, far_y) in ends)) // 2


def _windows(labels: NDArray[Any]) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """Each number that occurs, and the window that holds it."""
    for index, window in enumerate(ndimage.find_objects(labels)):
        if window is not None:
            yield index + 1, window


def _without_holes(mask: Mask) -> NDArray[Any]:
    """(H, W) numbers from 1: connected pieces of the mask, none of which encloses anything; 0 outside."""
    parts, count = ndimage.label(mask)
    cuts = _cuts(mask, parts)
    windows = ndimage.find_objects(parts)
    for part, rows in cuts.items():
        window = windows[part - 1]
        inside = parts[window] == part
        within = sorted(row - window[0].start for row in rows)
        pieces = _joined(_bands(inside, within), within)
        parts[window][inside] = pieces[inside] + count
        count += int(pieces.max())
    numbered: NDArray[Any] = parts
    return numbered


def _cuts(mask: Mask, parts: NDArray[Any]) -> dict[int, set[int]]:
    """The rows in which the holes of each part begin."""
    around, _ = ndimage.label(np.pad(~mask, 1, constant_values=True), _WITH_CORNERS)
    outside = around[0, 0]
    cuts: dict[int, set[int]] = defaultdict(set)
    numbers, firsts = np.unique(around, return_index=True)  # the first pixel of each, row by row
    for number, first in zip(numbers, firsts, strict=True):
        if number not in (0, outside):
            row, column = (int(place) - 1 for place in np.unravel_index(first, around.shape))
            cuts[int(parts[row - 1, column])].add(row)  # what lies above a hole's first pixel encloses it
    return cuts


def _bands(part: Mask, rows: Sequence[int]) -> NDArray[Any]:
    """The pieces of a part cut above each of the rows.

    No piece has a hole: a hole reaches the top of the band it begins in, and a part of it in a later
    band is joined to the rest across that band's top or bottom.
    """
    apart = np.insert(part, rows, False, axis=0)
    pieces, _ = ndimage.label(apart)
    gaps = [row + number for number, row in enumerate(rows)]
    joined: NDArray[Any] = np.delete(pieces, gaps, axis=0)
    return joined


def _joined(pieces: NDArray[Any], rows: Sequence[int]) -> NDArray[Any]:
    """Pieces joined across the cuts where they meet along one run of pixels only: that encloses nothing."""
    runs = [run for row in rows for run in _runs(pieces[row - 1], pieces[row])]
    meetings: dict[int, Counter[int]] = defaultdict(Counter)
    for upper, lower in runs:
        meetings[upper][lower] += 1
        meetings[lower][upper] += 1
    group = list(range(int(pieces.max()) + 1))
    for upper, lower in runs:
        kept, gone = sorted((_root(group, upper), _root(group, lower)), key=lambda root: -len(meetings[root]))
        if kept != gone and meetings[kept][gone] == 1:
            group[gone] = kept
            for other, times in meetings.pop(gone).items():
                del meetings[other][gone]
                if other != kept:
                    meetings[kept][other] += times
                    meetings[other][kept] += times
    joined: NDArray[Any] = np.array([_root(group, piece) for piece in range(len(group))])[pieces]
    return joined


def _root(group: list[int], piece: int) -> int:
    """The piece that stands for the group of one; the way to it is shortened."""
    while group[piece] != piece:
        group[piece] = group[group[piece]]
        piece = group[piece]
    return piece


def _runs(above: NDArray[Any], below: NDArray[Any]) -> list[tuple[int, int]]:
    """The pairs of pieces that meet between two rows, once for each unbroken run of pixels."""
    pairs = np.stack([above, below], axis=1) * ((above > 0) & (below > 0))[:, None]  # (W, 2)
    begins = np.any(np.diff(pairs, axis=0, prepend=0) != 0, axis=1) & (pairs[:, 0] > 0)
    return [(int(upper), int(lower)) for upper, lower in pairs[begins]]


def _outline(piece: Mask, *, left: int, top: int) -> Outline:
    """The corners of one piece, of which the first pixel lies at (left, top), walked clockwise.

    Where two of its pixels touch at a corner the walk turns right, so that it never crosses itself.
    """
    height, width = piece.shape[0] + 2, piece.shape[1] + 2
    padded = np.zeros((height, width), dtype=np.bool_)
    padded[1:-1, 1:-1] = piece
    inside = padded.tobytes()
    ahead = (1, width, -1, -width)  # east, south, west, north
    aside = tuple(ahead[turn] + ahead[turn - 1] for turn in range(4))  # ahead and to the left
    pixel = start = inside.index(1)
    turn = 0
    corners: Outline = []
    while True:
        if inside[pixel + ahead[turn]] and not inside[pixel + aside[turn]]:
            pixel += ahead[turn]
        else:
            row, column = divmod(pixel, width)
            corners.append((left + column - 1 + (turn in (0, 1)), top + row - 1 + (turn in (1, 2))))
            if inside[pixel + ahead[turn]]:
                pixel, turn = pixel + aside[turn], (turn - 1) % 4
            else:
                turn = (turn + 1) % 4
        if (pixel, turn) == (start, 0):
            return corners
