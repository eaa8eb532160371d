"""Pairs of good features and noisy copies of them, from which a discriminator learns the boundary.

White noise is independent at every position and in every channel, as in SimpleNet (Liu et al., CVPR 2023).
A noise field is alike at neighbouring positions, as a defect is: simplex or Perlin noise over the grid, along
one random direction in the space of channels for each window of a map. In either case the deviation of the
noise is relative to each channel's own, and one of several scales is drawn per row or window.

A network that judges every position by itself cannot see that neighbours are alike. What a field changes for
it is how noise is spread: along one direction at a time, and from nothing to far in one window.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from leatherens.core.discriminator import with_noise
from leatherens.core.geometry import positions_of
from leatherens.core.heads import GoodMaps
from leatherens.core.rows import RowReservoir
from leatherens.core.synthesis.perlin import Floats, perlin_noise
from leatherens.core.synthesis.simplex import simplex_octaves

Field: TypeAlias = Literal["simplex", "perlin"]
Pair: TypeAlias = tuple[Tensor, Tensor]
"""Good rows (M, C) and as many noisy ones."""

WINDOW = 8
"""Side of the windows that a field covers, in positions: a batch of a thousand rows is of sixteen places."""
FIELDS = 64
SIDE = 64
"""Of the fields, in positions; every window takes a random part of a random field."""
PERIODS = (4, 8, 16)
"""Positions from one lattice cell to the next, one of them per field: from fine noise to nearly a slope."""


class Pairs(Protocol):
    """Draws pairs of good and noisy rows."""

    def draw(self, count: int, generator: torch.Generator) -> Pair:
        """About so many pairs, at random."""
        ...

    def all(self, generator: torch.Generator) -> Pair:
        """Every good row, and noisy ones."""
        ...


@dataclass(frozen=True, slots=True)
class WhitePairs:
    """Rows (M, C) with white noise of deviation `spread` (C,) times one of `scales` (K,)."""

    rows: Tensor
    spread: Tensor
    scales: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Pair:
        """So many pairs, at random."""
        picked = torch.randint(len(self.rows), (count,), generator=generator, device=self.rows.device)
        return self.rows[picked], with_noise(self.rows[picked], self.spread, self.scales, generator)

    def all(self, generator: torch.Generator) -> Pair:
        """Every row, and noisy ones."""
        return self.rows, with_noise(self.rows, self.spread, self.scales, generator)


@dataclass(frozen=True, slots=True)
class FieldPairs:
    """Windows of maps with noise that is alike at neighbouring positions.

    windows: (M, C, s, t). taught: (M, s, t) bool, the positions that may teach.
    fields: (FIELDS, SIDE, SIDE), of variance 1 in all.
    """

    windows: Tensor
    taught: Tensor
    fields: Tensor
    spread: Tensor
    scales: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Pair:
        """The pairs of as many windows as hold about `count` positions."""
        few = max(1, count // math.prod(self.windows.shape[-2:]))
        device = self.windows.device
        return self._pairs(
            torch.randint(len(self.windows), (few,), generator=generator, device=device), generator
        )

    def all(self, generator: torch.Generator) -> Pair:
        """The pairs of all windows."""
        return self._pairs(torch.arange(len(self.windows), device=self.windows.device), generator)

    def _pairs(self, picked: Tensor, generator: torch.Generator) -> Pair:
        true, taught = self.windows[picked], self.taught[picked]
        fake = true + self.noise(len(picked), generator)
        return true.movedim(1, -1)[taught], fake.movedim(1, -1)[taught]  # (n, s, t, C) -> (M, C)

    def noise(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, C, s, t): parts of fields along random directions, every channel of deviation `spread`."""
        _, channels, height, width = self.windows.shape
        device = self.windows.device

        def drawn(high: int, *shape: int) -> Tensor:
            return torch.randint(high, shape, generator=generator, device=device)

        rows = drawn(SIDE - height + 1, count, 1, 1) + torch.arange(height, device=device)[:, None]
        columns = drawn(SIDE - width + 1, count, 1, 1) + torch.arange(width, device=device)
        parts = self.fields[drawn(len(self.fields), count, 1, 1), rows, columns]  # (count, s, t)
        direction = torch.randn(count, channels, generator=generator, device=device) * self.spread
        along = direction * self.scales[drawn(len(self.scales), count, 1)]
        return parts[:, None] * along[:, :, None, None]


def noise_fields(kind: Field, rng: np.random.Generator) -> Tensor:
    """(FIELDS, SIDE, SIDE) float32, together of mean 0 and variance 1."""
    fields = np.stack([_field(kind, rng, PERIODS[i % len(PERIODS)]) for i in range(FIELDS)])
    return torch.from_numpy((fields - fields.mean()) / fields.std())


def _field(kind: Field, rng: np.random.Generator, period: int) -> Floats:
    if kind == "perlin":
        return perlin_noise(rng, (SIDE, SIDE), (SIDE // period, SIDE // period))
    return simplex_octaves(rng, (SIDE, SIDE), depth=1, octaves=2, period=period)[..., 0]


def window_sample(maps: Iterable[GoodMaps], limit: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A fair sample of windows (M, C, s, t), and which positions may teach (M, s, t); M s t about `limit`."""
    reservoir, shape = None, (0, 0, 0)
    for fused, valid in maps:
        positions = positions_of(fused, valid)
        counted = torch.ones_like(fused[:, 0]) if positions is None else positions.to(fused)
        windows = _windows(torch.cat([fused, counted[:, None]], dim=1))  # (n, C + 1, s, t)
        windows = windows[windows[:, -1].flatten(1).any(dim=1)]
        shape = (windows.shape[1], windows.shape[2], windows.shape[3])
        reservoir = reservoir or RowReservoir(max(1, limit // math.prod(shape[1:])), rng)
        reservoir.add(windows.flatten(1))
    assert reservoir is not None  # heads refuse to learn from nothing
    kept = reservoir.rows().view(-1, *shape).float().clone()
    return kept[:, :-1], kept[:, -1] > 0


def _windows(maps: Tensor) -> Tensor:
    """(B, C, h, w) to (n, C, s, t): every position in at least one window; a small map is one window."""
    tops, lefts = (_starts(length) for length in maps.shape[-2:])
    cut = [maps[..., top : top + WINDOW, left : left + WINDOW] for top in tops for left in lefts]
    return torch.stack(cut, dim=1).flatten(0, 1)


def _starts(length: int) -> list[int]:
    """Where windows begin along one axis, evenly apart.

    >>> _starts(20), _starts(5)
    ([0, 6, 12], [0])
    """
    last = max(0, length - WINDOW)
    count = -(-length // WINDOW)
    return sorted({round(i * last / max(1, count - 1)) for i in range(count)})
