"""Score maps as pictures that are seen and measured: the palette paints them, places in it are the levels.

Written here because no library at hand filters the rows of a PNG with a palette, which halves smooth maps
(PNG specification, sections 9 and 11).
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leatherens.plugins.html_report.colours import ColourScale, palette
from leatherens.plugins.html_report.pictures import shrink_keeping_peaks

Scores = NDArray[np.float32]
Bytes = NDArray[np.uint8]

COARSER = (1, 4, 16)  # steps to which levels are rounded up until a map of mere noise is small enough
LEAST_SIDE = 16  # pixels, at which any map is small enough
DETAIL = 1024  # longest side in pixels of a map of which no working size is known, and of any


def working_side(recipe: Mapping[str, Any]) -> int:
    """Longest side of what score maps hold, in pixels: the working size, of photographs in tiles `DETAIL`.

    >>> working_side({"size": [256, 384], "tile": None})
    384
    """
    size = recipe.get("size")
    if recipe.get("tile") is not None or not isinstance(size, list | tuple):
        return DETAIL
    return min(DETAIL, max(int(side) for side in size))


def level_map_uri(scores: Scores, scale: ColourScale, sides: Sequence[int], most: int) -> str:
    """(H, W) scores as a data URI of at most `most` characters, with the highest score of each block.

    sides: longest sides in pixels, the best first. The last is coarsened, and then halved, if it must be.
    """
    for side in sides[:-1]:
        if len(uri := _uri(_small(scores, scale, side), 1)) <= most:
            return uri
    levels = _small(scores, scale, sides[-1])
    for step in COARSER:
        if len(uri := _uri(levels, step)) <= most:
            return uri
    while len(uri) > most and max(levels.shape) > LEAST_SIDE:
        levels = shrink_keeping_peaks(levels, max(levels.shape) // 2)
        uri = _uri(levels, COARSER[-1])
    return uri


def _small(scores: Scores, scale: ColourScale, side: int) -> Bytes:
    return scale.levels(shrink_keeping_peaks(scores, side))


def _uri(levels: Bytes, step: int) -> str:
    rounded = np.minimum(-(-levels.astype(np.int16) // step) * step, 255).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(png(rounded, palette())).decode("ascii")


def png(levels: Bytes, colours: Bytes) -> bytes:
    """A PNG of eight bits and a palette; each row is stored as its difference from the row above."""
    height, width = levels.shape
    differences: NDArray[Any] = np.diff(levels, axis=0, prepend=np.zeros((1, width), np.uint8))  # modulo 256
    rows = np.hstack([np.full((height, 1), 2, np.uint8), differences])  # 2: filter "up"
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": colours.tobytes(),
        b"IDAT": zlib.compress(rows.tobytes(), 6),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks.items())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
