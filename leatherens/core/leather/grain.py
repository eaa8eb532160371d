"""The grain of a hide: cells between creases, as a Voronoi diagram in warped and stretched coordinates.

Two networks lie over each other, a wide and a finer one, and every crease has its own depth, down to
nothing: that is what keeps the pattern from looking like tiles. Heights in pixels, up is out of the hide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leatherens.core.leather.fields import Field, Shape, blur, pixel_grid, smooth_noise
from leatherens.core.leather.scenarios import GrainFamily

Points = npt.NDArray[np.float64]  # (N, 2)
Indices = npt.NDArray[np.int64]  # (N,)

_NUMBER_BITS = 20  # a million cells: more than a picture of 4096 pixels has


@dataclass(frozen=True, slots=True)
class Grain:
    """One hide's grain, drawn from its family; lengths in pixels of the photograph, `heading` in radians."""

    cell: float
    stretch: float
    heading: float
    depth: float
    dome: float
    minor: float
    nap: float


@dataclass(frozen=True, slots=True)
class _Network:
    border: Field  # pixels to the nearest border between two cells
    strength: Field  # 0..1, how deep that border is pressed
    cells: Field  # a number in -1..1 that each cell has to itself
    tilt: Field  # a slope that each cell has to itself, 0 at its seed, about -1..1 at its border


def draw_grain(rng: np.random.Generator, family: GrainFamily, unit: float) -> Grain:
    """A grain of this family; `unit` is the photograph's scale, 1 for a short side of 256."""
    cell, stretch, depth, dome, minor, nap = (
        float(rng.uniform(*span))
        for span in (family.cell, family.stretch, family.depth, family.dome, family.minor, family.nap)
    )
    heading = float(rng.uniform(0, np.pi))
    return Grain(cell * unit, stretch, heading, depth * unit, dome * unit, minor, nap * unit)


def grain_height(rng: np.random.Generator, shape: Shape, grain: Grain) -> tuple[Field, Field]:
    """The height of the grain, and the tone each cell took from the dye (-1..1); both (H, W)."""
    points = _leather_coordinates(rng, shape, grain)
    major = _network(rng, points, shape, grain.cell)
    minor = _network(rng, points, shape, grain.cell * float(rng.uniform(0.55, 0.75)))
    fade = 0.75 + 0.25 * smooth_noise(rng, shape, 4 * grain.cell)
    height = _relief(major, grain) + grain.minor * np.clip(fade, 0, 1.5) * _relief(minor, grain)
    height += grain.nap * (smooth_noise(rng, shape, 2.5) + 1.5 * smooth_noise(rng, shape, 6.0))
    tone = blur(major.cells + grain.minor * minor.cells, max(0.06 * grain.cell, 0.7))
    return np.asarray(blur(height, 0.6), np.float32), tone


def _leather_coordinates(rng: np.random.Generator, shape: Shape, grain: Grain) -> Points:
    """Where each pixel lies in the hide's own unstretched, unwarped coordinates; (H * W, 2)."""
    rows, columns = pixel_grid(shape)
    for amount, scale in ((0.13, 1.4), (0.045, 0.5)):
        rows = rows + amount * grain.cell * smooth_noise(rng, shape, scale * grain.cell)
        columns = columns + amount * grain.cell * smooth_noise(rng, shape, scale * grain.cell)
    cosine, sine, root = np.cos(grain.heading), np.sin(grain.heading), np.sqrt(grain.stretch)
    along, across = cosine * columns + sine * rows, cosine * rows - sine * columns
    return np.stack([along / root, across * root], axis=-1).reshape(-1, 2).astype(np.float64)


def _network(rng: np.random.Generator, points: Points, shape: Shape, cell: float) -> _Network:
    spots, seeds = _scatter(rng, points / cell)
    own, other = two_nearest(spots, seeds)
    seeds = seeds.reshape(-1, 2)
    to_own, to_other = spots - seeds[own], spots - seeds[other]
    gap = np.linalg.norm(seeds[own] - seeds[other], axis=1)
    border = cell * ((to_other**2).sum(axis=1) - (to_own**2).sum(axis=1)) / (2 * gap)
    lot = rng.random(len(seeds))
    strength = np.abs(2 * ((lot[own] + lot[other]) % 1.0) - 1)  # the same from both sides of a border
    lean = rng.normal(0, 0.6, seeds.shape)
    tilt = (to_own * lean[own]).sum(axis=1)
    layers = (border, strength**0.7, 2 * lot[own] - 1, tilt)
    return _Network(*(layer.reshape(shape).astype(np.float32) for layer in layers))


def _scatter(rng: np.random.Generator, points: Points) -> tuple[Points, Points]:
    """Jittered bricks, (I, J, 2), two to spare around the points; and the points in their coordinates.

    Both in cells. Brick (i, j) has its seed within half a cell of (i, j), of (i + 0.5, j) in even rows.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    columns, rows = (int(count) + 6 for count in np.ceil(high - low))
    seeds = np.moveaxis(np.indices((columns, rows)), 0, -1).astype(float)
    seeds[:, ::2, 0] += 0.5
    seeds += rng.uniform(-0.48, 0.48, seeds.shape)
    return points - low + 2.5, seeds


def two_nearest(spots: Points, seeds: Points) -> tuple[Indices, Indices]:
    """The flat numbers of the two seeds nearest to each spot; `seeds` (I, J, 2) as `_scatter` lays them.

    Seeds are bound to their bricks, so the 5 x 5 bricks around a spot hold both; twice as fast as a tree.
    Distance and number share an integer, so that the two smallest need no bookkeeping.
    """
    rows = seeds.shape[1]
    x, y = spots.T.astype(np.float32)
    seed_x, seed_y = seeds.reshape(-1, 2).T.astype(np.float32)
    home = np.floor(x).astype(np.int64) * rows + np.rint(y).astype(np.int64)
    first = np.full(len(spots), np.iinfo(np.int64).max)
    second = first.copy()
    for step in (column * rows + row for column in range(-2, 3) for row in range(-2, 3)):
        number = home + step
        distance = (x - seed_x[number]) ** 2 + (y - seed_y[number]) ** 2
        key = (distance * 2**_NUMBER_BITS).astype(np.int64) << _NUMBER_BITS | number
        second = np.minimum(second, np.maximum(first, key))
        first = np.minimum(first, key)
    mask = (1 << _NUMBER_BITS) - 1
    return first & mask, second & mask


def _relief(network: _Network, grain: Grain) -> Field:
    """Creases with raised lips, between cells that bulge and lean."""
    width = max(0.045 * grain.cell, 0.9)
    crease = np.exp(-((network.border / width) ** 2))
    lip = np.exp(-(((network.border - 2.2 * width) / (1.2 * width)) ** 2))
    bulge = 1 - np.exp(-network.border / (0.16 * grain.cell))
    pressed = grain.depth * (0.15 + 0.85 * network.strength)
    height = pressed * (0.35 * lip - crease) + grain.dome * bulge * (0.8 + 0.9 * network.tilt)
    return np.asarray(height, np.float32)
