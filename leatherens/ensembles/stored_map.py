"""A score map as large as its photograph, in a temporary file: written and read in bands of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import torch

from leatherens.core.own_level import GRID, SHARE, own_level
from leatherens.core.photographs import Mask
from leatherens.core.preparation import FloatMap, Frame
from leatherens.core.scratch import no_room, scratch_file

Band: TypeAlias = "tuple[FloatMap, Mask | None]"
"""Rows (r, W) of a map, and where they count; `None` everywhere."""

_ROWS = 256  # read at once


class StoredMap:
    """The map (H, W) of one photograph; rows are added from the top, and the file is gone with the object.

    lowest, highest: scores among the pixels that count; `lowest` stands wherever they do not.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.lowest, self.highest = float("inf"), float("-inf")
        self._less = np.float32(0)
        self._counts = False  # whether any pixel does not
        self._scores, self._valid = scratch_file(self), scratch_file(self)

    def add(self, band: Band) -> None:
        """The next rows."""
        scores, valid = band
        counted = scores if valid is None else scores[valid]
        if counted.size:
            self.lowest = min(self.lowest, float(counted.min()))
            self.highest = max(self.highest, float(counted.max()))
        self._counts |= valid is not None
        marks = np.ones(scores.shape, np.bool_) if valid is None else valid
        try:
            self._scores.seek(0, 2)
            self._valid.seek(0, 2)
            self._scores.write(np.ascontiguousarray(scores, np.float32).tobytes())
            self._valid.write(np.packbits(marks, axis=1).tobytes())
        except OSError as error:
            raise no_room(f"a score map of {self.size[0]} x {self.size[1]} pixels", error) from None

    def rows(self, start: int, stop: int) -> Band:
        """Some rows (stop - start, W), and where they count."""
        width = self.size[1]
        packed = -(-width // 8)
        self._scores.seek(4 * start * width)
        self._valid.seek(start * packed)
        scores = np.frombuffer(self._scores.read(4 * (stop - start) * width), np.float32)
        scores = scores.reshape(-1, width) - self._less
        if not self._counts:
            return scores, None
        marks = np.frombuffer(self._valid.read((stop - start) * packed), np.uint8).reshape(-1, packed)
        valid: Mask = np.unpackbits(marks, axis=1, count=width).view(np.bool_)
        return np.where(valid, scores, np.float32(self.lowest)), valid

    def bands(self) -> Iterator[Band]:
        """All rows, from top to bottom."""
        for start in range(0, self.size[0], _ROWS):
            yield self.rows(start, min(start + _ROWS, self.size[0]))

    def thinned(self, down: int, across: int) -> Band:
        """Each `across`-th pixel of each `down`-th row, the first ones among them."""
        parts = [self.rows(row, row + 1) for row in range(0, self.size[0], down)]
        scores = np.concatenate([scores[:, ::across] for scores, _ in parts])
        valids = [valid[:, ::across] for _, valid in parts if valid is not None]
        return scores, np.concatenate(valids) if valids else None

    def take_off_own_level(self) -> None:
        """What `less_own_level` does to the map of a whole photograph."""
        down, across = (-(-side // GRID) for side in self.size)
        some, _ = self.thinned(down, across)
        less = SHARE * float(own_level(torch.from_numpy(some)[None])[0])
        self._less += np.float32(less)
        self.lowest, self.highest = self.lowest - less, self.highest - less

    def back(self, frame: Frame) -> StoredMap:
        """The map of a prepared picture as its photograph lies; held whole where the picture was moved."""
        if frame.warp is None:
            return self
        scores, valid = self.rows(0, self.size[0])
        back = StoredMap(frame.original)
        marks = np.ones(self.size, np.bool_) if valid is None else valid
        back.add((frame.back(torch.from_numpy(scores)), frame.back_valid(torch.from_numpy(marks))))
        return back
