"""Where tiles of one size fit into one photograph. A tile is known by its top left pixel (y, x)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leatherens.core.photographs import Mask

Places = list[tuple[int, int]]
"""(y, x) of each tile."""

SMALLEST_SHARE = 0.25
"""Of the defect pixels in the fullest tile of a photograph: a tile with fewer shows only an end of it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How tiles are cut.

    size: (height, width) in pixels. margin: a clean tile keeps more than so many pixels, across and down,
    from every pixel to keep away from. overlap: share of a tile that it may have in common with another.
    """

    size: tuple[int, int]
    margin: int = 0
    overlap: float = 0.0


def clean_places(blocked: Mask, cut: Cut) -> Mask:
    """(H - h + 1, W - w + 1): where a clean tile may lie in a photograph with `blocked` (H, W) pixels."""
    clean: Mask = _window_sums(blocked, cut.size, cut.margin) == 0
    return clean


def packed(free: Mask, cut: Cut, rng: np.random.Generator) -> Places:
    """Many tiles at free places, none overlapping another by more than allowed.

    The best of the eight ways to fill a page line by line; the generator chooses among equals.
    """
    ways = []
    for turned in (False, True):
        for flip in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            seen = (free.T if turned else free)[:: flip[0], :: flip[1]]
            height, width = cut.size[::-1] if turned else cut.size
            tiles = _line_by_line(seen, _conflicts(height, width, cut.overlap))
            places = [
                (y if down == 1 else seen.shape[0] - 1 - y, x if right == 1 else seen.shape[1] - 1 - x)
                for (y, x), (down, right) in ((tile, flip) for tile in tiles)
            ]
            ways.append([(x, y) for y, x in places] if turned else places)
    most = max(map(len, ways))
    best = [way for way in ways if len(way) == most]
    return best[rng.integers(len(best))]


def defect_places(mask: Mask, forbidden: Mask, cut: Cut, rng: np.random.Generator) -> Places:
    """Tiles that show the defect of a photograph, (H, W) booleans, the fullest first.

    Each next one shows most of what none shows yet, and the generator chooses among equals, so that small
    defects lie anywhere in their tile. Tiles keep clear of forbidden pixels (H, W).
    """
    height, width = cut.size
    conflicts = _conflicts(height, width, cut.overlap)
    shown = _window_sums(mask, cut.size, 0)
    allowed = _window_sums(forbidden, cut.size, 0) == 0
    unseen = mask.copy()
    places: Places = []
    least = max(1, ceil(SMALLEST_SHARE * int(shown.max(where=allowed, initial=0))))
    while (most := int(shown.max(where=allowed, initial=0))) >= least:
        fullest = np.flatnonzero((shown == most) & allowed)
        y, x = (int(side) for side in np.unravel_index(fullest[rng.integers(len(fullest))], shown.shape))
        places.append((y, x))
        unseen[y : y + height, x : x + width] = False
        _take_away(allowed, conflicts, y, x)
        top, left = max(y - height + 1, 0), max(x - width + 1, 0)  # only tiles that meet this one show less
        near = _window_sums(unseen[top : y + 2 * height - 1, left : x + 2 * width - 1], cut.size, 0)
        shown[top : y + height, left : x + width] = near
    return places


def _window_sums(mask: Mask, size: tuple[int, int], margin: int) -> NDArray[Any]:
    """(H - h + 1, W - w + 1) numbers of marked pixels in each window of `size` and the margin round it."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.int32)
    np.cumsum(mask, axis=0, dtype=np.int32, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    spans = []
    for side, own in zip(mask.shape, size, strict=True):
        starts = np.arange(max(side - own + 1, 0))
        spans.append((np.maximum(starts - margin, 0), np.minimum(starts + own + margin, side)))
    (top, bottom), (left, right) = spans
    upper, lower = sums[top], sums[bottom]
    counts: NDArray[Any] = lower[:, right] - lower[:, left] - upper[:, right] + upper[:, left]
    return counts


def _conflicts(height: int, width: int, overlap: float) -> Mask:
    """(height, width): the steps down and to the right after which a tile overlaps this one too much."""
    shared = (height - np.arange(height))[:, None] * (width - np.arange(width))
    conflicts: Mask = shared > overlap * height * width
    return conflicts


def _take_away(free: Mask, conflicts: Mask, y: int, x: int) -> None:
    """Mark the places as taken where a tile would overlap the one at (y, x) too much."""
    height, width = conflicts.shape
    for vertical, rows in ((1, slice(y, y + height)), (-1, slice(max(y - height + 1, 0), y + 1))):
        for horizontal, columns in ((1, slice(x, x + width)), (-1, slice(max(x - width + 1, 0), x + 1))):
            part = free[rows, columns][::vertical, ::horizontal]  # seen from (y, x) outwards
            part &= ~conflicts[: part.shape[0], : part.shape[1]]


def _line_by_line(free: Mask, conflicts: Mask) -> Places:
    """Tiles taken greedily from left to right, then down."""
    left = free.copy()
    places: Places = []
    for y in np.flatnonzero(free.any(axis=1)).tolist():
        x = int(left[y].argmax())
        while left[y, x]:
            places.append((y, x))
            _take_away(left, conflicts, y, x)
            x = int(left[y].argmax())
    return places
