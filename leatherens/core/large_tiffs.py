"""Maps and masks of any size as tiled TIFF, written from bands of rows and never held whole.

Tiles let a viewer show one place of a hide without reading the rest. BigTIFF where 4 GB would not do. Masks
are deflated, scores are not: it saves them a tenth and takes longer than all other work but the models'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leatherens.core.artifact import written_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE = 256
"""Pixels on a side of a tile in the file; TIFF asks for a multiple of 16."""

CLASSIC_BYTES = 3 << 30
"""More pixels than this, uncompressed, go into a BigTIFF, which fewer programs read."""

_BUFFER = 8 << 20  # bytes of tiles that are compressed at once


def write_tiled_tiff(path: Path, bands: Iterable[NDArray[Any]], size: tuple[int, int]) -> None:
    """Write bands (rows, W) from top to bottom, all of one dtype: float32 scores, or bool as 0 and 255."""
    import tifffile

    rows = iter(bands)
    first = next(rows)
    dtype = np.dtype(np.uint8) if first.dtype == np.bool_ else first.dtype
    large = size[0] * size[1] * dtype.itemsize > CLASSIC_BYTES
    with written_whole(path) as beside, tifffile.TiffWriter(beside, bigtiff=large) as file:
        file.write(
            _tiles(_chained(first, rows), size[0], dtype),
            shape=size,
            dtype=dtype,
            tile=(TILE, TILE),
            photometric="minisblack",
            compression="zlib" if dtype == np.uint8 else None,
            buffersize=_BUFFER,
            metadata=None,
        )


def _chained(first: NDArray[Any], others: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    yield first
    yield from others


def _tiles(bands: Iterator[NDArray[Any]], height: int, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Bands of any height as tiles (TILE, TILE), row by row, zeros beyond the picture."""
    waiting: list[NDArray[Any]] = []
    done = held = 0
    for band in bands:
        waiting.append(band.astype(dtype) * 255 if band.dtype == np.bool_ else band)
        held += len(band)
        while held >= TILE or (held and done + held == height):
            rows = np.concatenate(waiting)
            yield from _across(rows[:TILE])
            waiting = [rows[TILE:]]
            done, held = done + min(held, TILE), max(0, held - TILE)


def _across(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for left in range(0, rows.shape[1], TILE):
        tile = np.zeros((TILE, TILE), dtype=rows.dtype)
        part = rows[:, left : left + TILE]
        tile[: part.shape[0], : part.shape[1]] = part
        yield tile
