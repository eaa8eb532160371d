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

_ROWS = 256  # summed at a time


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
    allowed = _window_sums(forbidden, cut.size, 0) == 0
    shown = _window_sums(mask, cut.size, 0) * allowed
    most = _BlockMaxima(shown, cut.size)
    unseen = mask.copy()
    places: Places = []
    least = max(1, ceil(SMALLEST_SHARE * most.value))
    while most.value >= least:
        y, x = most.place(rng)
        places.append((y, x))
        unseen[y : y + height, x : x + width] = False
        _take_away(allowed, conflicts, y, x)
        top, left = max(y - height + 1, 0), max(x - width + 1, 0)  # only tiles that meet this one show less
        near = _window_sums(unseen[top : y + 2 * height - 1, left : x + 2 * width - 1], cut.size, 0)
        window = slice(top, y + height), slice(left, x + width)
        shown[window] = near * allowed[window]
        most.changed(window)
    return places


class _BlockMaxima:
    """The maximum of a large array, found again quickly after a part changed: that of each block is kept."""

    def __init__(self, values: NDArray[Any], block: tuple[int, int]) -> None:
        self._values = values
        self._block = block
        self._maxima = np.zeros((0, 0), dtype=values.dtype) if not values.size else values
        for axis, side in enumerate(block if values.size else ()):
            starts = np.arange(0, values.shape[axis], side)
            self._maxima = np.maximum.reduceat(self._maxima, starts, axis=axis)

    @property
    def value(self) -> int:
        """The maximum; 0 of an empty array."""
        return int(self._maxima.max(initial=0))

    def place(self, rng: np.random.Generator) -> tuple[int, int]:
        """Where the maximum is; the generator chooses among equal blocks, and in the block."""
        row, column = _any_of(self._maxima == self.value, rng)
        top, left = row * self._block[0], column * self._block[1]
        down, across = _any_of(self._inside(row, column) == self.value, rng)
        return top + down, left + across

    def changed(self, window: tuple[slice, slice]) -> None:
        """Look again at a part of the array."""
        rows, columns = (
            range(part.start // side, min((part.stop - 1) // side + 1, blocks))
            for part, side, blocks in zip(window, self._block, self._maxima.shape, strict=True)
        )
        for row in rows:
            for column in columns:
                self._maxima[row, column] = self._inside(row, column).max()

    def _inside(self, row: int, column: int) -> NDArray[Any]:
        height, width = self._block
        return self._values[row * height : (row + 1) * height, column * width : (column + 1) * width]


def _any_of(mask: Mask, rng: np.random.Generator) -> tuple[int, int]:
    """The place of one of the marked pixels."""
    marked = np.flatnonzero(mask)
    row, column = divmod(int(marked[rng.integers(len(marked))]), mask.shape[1])
    return row, column


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
    counts = np.empty((len(top), len(left)), dtype=np.int32)
    for start in range(0, len(top), _ROWS):  # as little beside the result as can be
        rows = slice(start, start + _ROWS)
        across = sums[bottom[rows]] - sums[top[rows]]
        np.subtract(across[:, right], across[:, left], out=counts[rows])
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
