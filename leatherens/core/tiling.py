"""A picture as overlapping tiles, and the maps of its tiles as one map again.

Tiles stand in rows and columns, evenly spread, the first and the last flush with the picture's edges: every
pixel lies in a tile, no tile but that of a picture smaller than itself reaches beyond the picture, and
neighbours share at least the overlap asked for. Where tiles overlap, their maps are blended with weights that
fall to nothing at a tile's own edge, where a network sees the least around a pixel, and sum to 1 everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatMap = NDArray[np.float32]
    Mask = NDArray[np.bool_]
    Band = tuple[FloatMap, Mask | None]
    """Rows (r, W) of a map, and where they count; `None` everywhere."""

OVERLAP = 0.25
"""Share of a tile's side; what it buys and costs is measured in docs/large-images.md."""

MOST_OVERLAP = 0.75
"""A picture is then read 16 times over."""


@dataclass(frozen=True, slots=True)
class Box:
    """A place in a picture: rows `top` to `bottom`, columns `left` to `right`, the ends left out."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Grid:
    """Where the tiles of one picture stand, row by row.

    size, tile: height and width in pixels. tops, lefts: the first row, or column, of each row of tiles.
    """

    size: tuple[int, int]
    tile: tuple[int, int]
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def box(self, number: int) -> Box:
        """The part of tile `number` that lies in the picture."""
        row, column = divmod(number, len(self.lefts))
        top, left = self.tops[row], self.lefts[column]
        (height, width), (tall, wide) = self.size, self.tile
        return Box(top, min(top + tall, height), left, min(left + wide, width))

    def boxes(self) -> Iterator[Box]:
        """Every tile's, in order."""
        return map(self.box, range(len(self)))

    @property
    def bands(self) -> list[tuple[int, int]]:
        """The rows of the picture that each row of tiles needs, the end left out."""
        return [(top, min(top + self.tile[0], self.size[0])) for top in self.tops]

    def weights(self, number: int) -> FloatMap:
        """(h, w) of tile `number` within the picture; those of all tiles at one pixel sum to 1."""
        row, column = divmod(number, len(self.lefts))
        down, across = self._shares
        weights: FloatMap = down[row][:, None] * across[column]
        return weights

    @cached_property
    def _shares(self) -> tuple[list[FloatMap], list[FloatMap]]:
        return tuple(  # type: ignore[return-value]
            shares(starts, tile, length)
            for starts, tile, length in zip((self.tops, self.lefts), self.tile, self.size, strict=True)
        )


def grid(size: tuple[int, int], tile: tuple[int, int], overlap: float = OVERLAP) -> Grid:
    """The tiles of a picture of (height, width) `size`, neighbours sharing at least `overlap` of a side.

    >>> grid((256, 700), (256, 256), 0.25).lefts
    (0, 148, 296, 444)
    """
    if min(tile) < 1:
        raise ConfigError(
            f"tile: expected a height and a width of at least 1 pixel, got {tile[0]} x {tile[1]}"
        )
    if not 0 <= overlap <= MOST_OVERLAP:
        raise ConfigError(f"overlap: expected a share of a tile from 0 to {MOST_OVERLAP}, got {overlap:g}")
    tops, lefts = (_starts(length, side, overlap) for length, side in zip(size, tile, strict=True))
    return Grid(size, tile, tops, lefts)


def _starts(length: int, side: int, overlap: float) -> tuple[int, ...]:
    """Where tiles begin along one side of a picture."""
    room = max(0, length - side)
    steps = math.ceil(room / max(1, math.floor(side * (1 - overlap))))
    return tuple(number * room // steps for number in range(steps + 1)) if steps else (0,)


def shares(starts: tuple[int, ...], side: int, length: int) -> list[FloatMap]:
    """What each tile along one side counts at each of its pixels; at every pixel they sum to 1.

    Squared sines over the tile, divided by their sum: smooth, and exactly 1 where a tile stands alone.
    """
    window = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    inside = [slice(start, min(start + side, length)) for start in starts]
    total = np.zeros(length)
    for place in inside:
        total[place] += window[: place.stop - place.start]
    return [(window[: place.stop - place.start] / total[place]).astype(np.float32) for place in inside]


class Stitcher:
    """Makes one map of the maps of a grid's tiles, holding one row of tiles and never the picture.

    Finished rows come out as bands, from top to bottom. Pixels that count in no tile have the score 0.
    """

    def __init__(self, tiles: Grid) -> None:
        self._grid = tiles
        self._row = 0  # of tiles; the first of the held rows is its top
        shape = min(tiles.tile[0], tiles.size[0]), tiles.size[1]
        self._scores, self._weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def add(self, number: int, tile: FloatMap, valid: Mask | None = None) -> list[Band]:
        """Take the map (h, w) of a tile; returns what no later tile touches.

        number: of the tile, higher than those before; tiles that are passed over count nowhere.
        valid: (h, w) bool, where the map counts. What lies beyond the picture is cut off.
        """
        row = number // len(self._grid.lefts)
        done = [self._finished() for _ in range(self._row, row)]
        box, weights = self._grid.box(number), self._grid.weights(number)
        height, width = weights.shape
        if valid is not None:
            weights = weights * valid[:height, :width]
        self._scores[:height, box.left : box.right] += tile[:height, :width] * weights
        self._weights[:height, box.left : box.right] += weights
        return done

    def finish(self) -> list[Band]:
        """The bands that are left, when there are no more tiles."""
        return [self._finished() for _ in range(self._row, len(self._grid.tops))]

    def _finished(self) -> Band:
        """The rows above the next row of tiles; those below move up to stand at its top."""
        tops = (*self._grid.tops, self._grid.size[0])
        count = tops[self._row + 1] - tops[self._row]
        scores, weights = self._scores[:count], self._weights[:count]
        valid: Mask = weights > 0
        band: FloatMap = np.divide(scores, weights, out=np.zeros_like(scores), where=valid)
        self._scores, self._weights = _moved_up(self._scores, count), _moved_up(self._weights, count)
        self._row += 1
        return band, None if valid.all() else valid


def _moved_up(rows: FloatMap, count: int) -> FloatMap:
    """Without the first rows, as many zeros at the end."""
    return np.concatenate([rows[count:], np.zeros((count, rows.shape[1]), dtype=rows.dtype)])
