"""A whole hide on one screen: the photograph made small, its defects outlined, and their share of the area.

Everything is gathered from bands of rows, so that memory is that of the small picture, whatever the hide.
Shrinking averages the photograph and keeps the marks: a block that holds one marked pixel is marked, so that
no defect is too small to be seen. The share is counted on all pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leatherens.core.photographs import Mask, Photograph

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 2048
"""Pixels of the longer side of an overview, at most."""

OUTLINE = (255, 0, 64)
"""RGB; no leather has it."""

_CAPTION = 40  # rows under the picture
_DIMMED = 0.35  # brightness of what is not inspected


class Shrinking:
    """Bands of a picture of (height, width) `size`, made small as they come; the blocks are `block` square.

    reduce: what becomes of blocks (rows, block, columns, block, ...) over the axes 1 and 3.
    """

    def __init__(self, size: tuple[int, int], reduce: Callable[..., NDArray[Any]], block: int) -> None:
        self._size = size
        self._reduce = reduce
        self._block = block
        self._waiting: list[NDArray[Any]] = []
        self._seen = 0
        self._done: list[NDArray[Any]] = []

    def add(self, band: NDArray[Any]) -> None:
        """The next rows (r, W, ...)."""
        self._waiting.append(band)
        self._seen += len(band)
        held, block = sum(map(len, self._waiting)), self._block
        last = self._seen == self._size[0]
        ready = held if last else held // block * block
        if ready:
            rows = np.concatenate(self._waiting)
            self._waiting = [rows[ready:].copy()]
            self._done.append(self._shrunk(rows[:ready]))

    def _shrunk(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Whole blocks; those at the right and lower edge are filled up with the edge's own pixels."""
        block, beyond = self._block, [(0, 0)] * (rows.ndim - 2)
        padding = [(0, -len(rows) % block), (0, -rows.shape[1] % block), *beyond]
        filled = np.pad(rows, padding, mode="edge")
        height, width = filled.shape[0] // block, filled.shape[1] // block
        return self._reduce(filled.reshape(height, block, width, block, *rows.shape[2:]), axis=(1, 3))

    @property
    def picture(self) -> NDArray[Any]:
        """(h, w, ...), when all rows have been added."""
        return np.concatenate(self._done)


def block_for(size: tuple[int, int], longest: int = LONGEST) -> int:
    """Pixels on a side of the blocks that make a picture at most `longest`.

    >>> block_for((9000, 11000)), block_for((200, 300))
    (6, 1)
    """
    return -(-max(size) // longest)


def averaged(blocks: NDArray[np.uint8], axis: tuple[int, int]) -> NDArray[np.uint8]:
    """Means of 8-bit values, rounded."""
    means: NDArray[np.uint8] = np.rint(blocks.mean(axis=axis, dtype=np.float32)).astype(np.uint8)
    return means


@dataclass(slots=True)
class Area:
    """Pixels of a hide that count, and those of them that are marked as defective."""

    counted: int = 0
    marked: int = 0

    def add(self, marked: Mask, valid: Mask | None = None) -> None:
        """The next rows."""
        self.counted += marked.size if valid is None else int(valid.sum())
        self.marked += int(marked.sum() if valid is None else (marked & valid).sum())

    @property
    def percent(self) -> float:
        """What part of the hide is defective, which sets its price; 0 of nothing."""
        return 100 * self.marked / self.counted if self.counted else 0.0


def drawn(photograph: Photograph, marked: Mask, valid: Mask | None, caption: str) -> Photograph:
    """The overview (h + 40, w, 3): defects outlined, what is not inspected dark, a caption underneath."""
    import cv2

    picture = photograph.copy()
    if valid is not None:
        picture[~valid] = (picture[~valid] * _DIMMED).astype(np.uint8)
    borders: Sequence[Any] = cv2.findContours(marked.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[
        0
    ]
    cv2.drawContours(picture, borders, -1, OUTLINE, thickness=2 if max(marked.shape) > 512 else 1)
    strip = np.full((_CAPTION, picture.shape[1], 3), 255, dtype=np.uint8)
    cv2.putText(strip, caption, (8, 27), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([picture, strip])
