"""Positions of maps as rows, and samples of a stream of rows that fit in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from leatherens.core.geometry import valid_positions

COLUMNS = 16
"""Columns of a table that are put into another order at a time."""


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


class RowSample(Protocol):
    """Rows of a stream that fit into memory, whatever its length and however it is cut into batches."""

    seen: int
    """Rows offered so far."""

    def add(self, rows: Tensor) -> None:
        """Offer rows (M, C)."""
        ...

    def rows(self) -> Tensor:
        """(K, C): those kept, in the order they came; good until more are offered."""
        ...


class RowTable:
    """A table of at most `limit` rows.

    In main memory it is made at its full height, of which the system gives out what is written to: growing
    would hold what there is twice. On a GPU it grows by doubling.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._table = torch.empty(0, 0)

    @property
    def rows(self) -> Tensor:
        """(used, C): what it holds."""
        return self._table[: self.used]

    def append(self, rows: Tensor) -> None:
        """Put rows (M, C) after the others; there must be room."""
        end = self.used + len(rows)
        if end > len(self._table) or self.used == 0:
            self._grow(end, rows)
        self._table[self.used : end] = rows
        self.used = end

    def keep(self, order: Tensor) -> None:
        """Only these of its rows (M,), in this order, without a second table."""
        for columns in torch.split(self._table, COLUMNS, dim=1):
            columns[: len(order)] = columns[order]
        self.used = len(order)

    def _grow(self, needed: int, like: Tensor) -> None:
        height = self.limit if like.device.type == "cpu" else min(max(needed, 2 * self.used), self.limit)
        with torch.inference_mode(False):  # rows of a frozen backbone must not keep the table from training
            larger = torch.empty(height, like.shape[1], dtype=like.dtype, device=like.device)
            if self.used:
                larger[: self.used] = self.rows
        self._table = larger


class RowReservoir:
    """A uniform sample of at most `limit` rows of a stream, in the order they came.

    Each row draws a random key and the largest keys stay, so that the sample depends on the
    generator and the rows, not on how the stream was cut into batches.
    """

    def __init__(self, limit: int, generator: np.random.Generator) -> None:
        self.seen = 0
        self._generator = generator
        self._table = RowTable(limit)
        self._keys = torch.empty(0, dtype=torch.float64)  # of the table's rows
        self._came = torch.empty(0, dtype=torch.long)

    def add(self, rows: Tensor) -> None:
        """Offer rows (M, C)."""
        keys = torch.cat([self._keys, torch.from_numpy(self._generator.random(len(rows)))])
        came = torch.cat([self._came, torch.arange(self.seen, self.seen + len(rows))])
        self.seen += len(rows)
        stays = _largest(keys, self._table.limit)
        used = self._table.used
        entering = stays[used:].nonzero()[:, 0]
        freed = (~stays[:used]).nonzero()[:, 0]
        into, after = entering[: len(freed)], entering[len(freed) :]
        if len(freed):
            self._table.rows[freed.to(rows.device)] = rows[into.to(rows.device)]
        self._table.append(rows[after.to(rows.device)])
        for values in (keys, came):
            values[freed] = values[used + into]
            values[used : used + len(after)] = values[used + after]
        self._keys, self._came = keys[: self._table.used].clone(), came[: self._table.used].clone()

    def rows(self) -> Tensor:
        """(min(limit, seen), C): the sample."""
        order = self._came.argsort()
        if not bool((order[1:] > order[:-1]).all()):
            self._table.keep(order.to(self._table.rows.device))
            self._keys, self._came = self._keys[order], self._came[order]
        return self._table.rows


def _largest(keys: Tensor, count: int) -> Tensor:
    """(N,) bool: the `count` largest keys, all where there are no more."""
    stays = torch.ones(len(keys), dtype=torch.bool)
    if len(keys) > count:
        stays[keys.topk(len(keys) - count, largest=False, sorted=False).indices] = False
    return stays


class MergedRows:
    """At most `limit` rows of a stream, those thinned by a core set whenever the table is full.

    Unlike a uniform sample it does not lose what is rare: each row of the stream has one kept near it.
    Rows are thinned at fixed places of the stream, so that its cuts into batches do not matter. A stream of
    no more than `limit` rows is kept whole.
    """

    def __init__(self, limit: int, kept: int, thin: Callable[[Tensor, int], Tensor]) -> None:
        """`thin` gives the indices of at most `kept` of rows (limit, C)."""
        self.seen = 0
        self._kept = kept
        self._thin = thin
        self._table = RowTable(limit)

    def add(self, rows: Tensor) -> None:
        """Offer rows (M, C)."""
        self.seen += len(rows)
        while len(rows):
            if self._table.used == self._table.limit:
                self._table.keep(self._thin(self._table.rows, self._kept).sort().values)
            room = self._table.limit - self._table.used
            self._table.append(rows[:room])
            rows = rows[room:]

    def rows(self) -> Tensor:
        """(K, C): those kept."""
        return self._table.rows
