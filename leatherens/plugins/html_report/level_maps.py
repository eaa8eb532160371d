"""Score maps as pictures that are seen and measured: the palette paints them, places in it are the levels.

Written here because no library at hand filters the rows of a PNG with a palette, which halves smooth maps
(PNG specification, sections 9 and 11).
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

MOST = 36_000  # bytes of a map: with a photograph and outlines, 200 images stay under 30 MB
COARSER = (1, 4, 16)  # steps to which levels are rounded up until a map of mere noise is small enough


def level_map_uri(levels: Bytes, colours: Bytes) -> str:
    """(H, W) places in a (256, 3) RGB palette as a data URI, without loss unless it would exceed `MOST`."""
    for step in COARSER:
        rounded = np.minimum(-(-levels.astype(np.int16) // step) * step, 255).astype(np.uint8)
        if len(file := png(rounded, colours)) <= MOST:
            break
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")


def png(levels: Bytes, colours: Bytes) -> bytes:
    """A PNG of eight bits and a palette; each row is stored as its difference from the row above."""
    height, width = levels.shape
    differences: NDArray[Any] = np.diff(levels, axis=0, prepend=np.zeros((1, width), np.uint8))  # modulo 256
    rows = np.hstack([np.full((height, 1), 2, np.uint8), differences])  # 2: filter "up"
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": colours.tobytes(),
        b"IDAT": zlib.compress(rows.tobytes(), 9),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks.items())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
