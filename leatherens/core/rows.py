"""Positions of maps as rows, and a fair sample of a stream of rows that fits in memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from leatherens.core.geometry import valid_positions


def rows_of(maps: Tensor, valid: Tensor | None = None) -> Tensor:
    """Positions as rows: (B, C, h, w) to (M, C), those mostly on invalid pixels (B, H, W) left out."""
    rows = maps.permute(0, 2, 3, 1)  # (B, h, w, C)
    if valid is None:
        return rows.flatten(0, 2)
    height, width = maps.shape[-2:]
    return rows[valid_positions(valid, (height, width)).to(rows.device)]


def maps_of(rows: Tensor, like: Tensor) -> Tensor:
    """Rows as positions again: (B * h * w, C) to (B, C, h, w), the batch and grid of the map `like`.

    >>> maps = torch.arange(12.0).view(1, 2, 2, 3)
    >>> bool((maps_of(rows_of(maps), maps) == maps).all())
    True
    """
    batch, _, height, width = like.shape
    return rows.view(batch, height, width, -1).permute(0, 3, 1, 2)


class RowReservoir:
    """A uniform sample of at most `limit` rows of a stream, in the order they came.

    Each row draws a random key and the largest keys stay, so that the sample depends on the
    generator and the rows, not on how the stream was cut into batches.
    """

    def __init__(self, limit: int, generator: np.random.Generator) -> None:
        self.seen = 0
        self._limit = limit
        self._generator = generator
        self._keys = torch.empty(0, dtype=torch.float64)
        self._rows: list[Tensor] = []
        self._lowest = -1.0  # rows with a smaller key can no longer get in

    def add(self, rows: Tensor) -> None:
        """Offer rows (M, C)."""
        keys = torch.from_numpy(self._generator.random(len(rows)))
        self.seen += len(rows)
        entering = keys > self._lowest
        self._rows.append(rows[entering.to(rows.device)])
        self._keys = torch.cat([self._keys, keys[entering]])
        if len(self._keys) > 2 * self._limit:  # now and then, so that each row is copied a few times at most
            self._thin()

    def rows(self) -> Tensor:
        """(min(limit, seen), C): the sample."""
        self._thin()
        return self._rows[0]

    def _thin(self) -> None:
        rows = torch.cat(self._rows) if len(self._rows) > 1 else self._rows[0]
        if len(self._keys) > self._limit:
            kept = self._keys.topk(self._limit, sorted=False).indices.sort().values
            self._keys, rows = self._keys[kept], rows[kept.to(rows.device)]
            self._lowest = float(self._keys.min())
        self._rows = [rows]
