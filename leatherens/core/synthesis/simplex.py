"""Simplex noise in three dimensions (Perlin, 2001), the third of which may be an image's colours.

Smoother than Perlin noise on a cubic lattice and without its axes: every point hears the four corners of the
tetrahedron it lies in, each through a random gradient that fades to nothing within that tetrahedron's reach.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leatherens.core.synthesis.perlin import Floats, Shape

SKEW, UNSKEW = 1 / 3, 1 / 6
REACH = 0.5
"""Squared distance at which a corner falls silent: with more, noise would jump between tetrahedra."""
LOUDNESS = 76.0
"""Brings the largest values near 1."""

GRADIENTS = np.array(
    [(a, b, 0) for a in (1, -1) for b in (1, -1)]
    + [(a, 0, b) for a in (1, -1) for b in (1, -1)]
    + [(0, a, b) for a in (1, -1) for b in (1, -1)],
    np.float64,
)
"""To the middles of a cube's edges, (12, 3)."""

Table = npt.NDArray[np.int64]
"""(512,): a random order of 0..255, twice."""


def shuffled_table(rng: np.random.Generator) -> Table:
    """What decides the gradients of one noise."""
    return np.tile(rng.permutation(256), 2)


def gradients_at(corners: npt.NDArray[np.int64], table: Table) -> npt.NDArray[np.float64]:
    """The gradients (3, ...) of lattice corners (3, ...)."""
    i, j, k = corners & 255
    return np.asarray(np.take(GRADIENTS.T, (table % 12)[i + table[j + table[k]]], axis=1))


def simplex(points: npt.NDArray[np.float64], table: Table) -> npt.NDArray[np.float64]:
    """Noise at points (..., 3), about -1..1, (...)."""
    points = np.ascontiguousarray(np.moveaxis(points, -1, 0))  # (3, ...): whole planes are quick to add
    cell = np.floor(points + SKEW * points.sum(axis=0)).astype(np.int64)
    inside = points - (cell - UNSKEW * cell.sum(axis=0))
    rank = _ranks(inside)
    noise = np.zeros(points.shape[1:])
    for steps in range(4):
        corner = (rank < steps).astype(np.int64)
        away = inside - corner + steps * UNSKEW
        fade = np.clip(REACH - np.square(away).sum(axis=0), 0, None) ** 4
        noise += fade * (gradients_at(cell + corner, table) * away).sum(axis=0)
    return LOUDNESS * noise


def _ranks(inside: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Which of a point's coordinates (3, ...) is the largest (0), the next and the last (2); (3, ...).

    The way to a tetrahedron's far corner goes along them in this order.
    """
    x, y, z = inside
    first, second, third = (larger.astype(np.int64) for larger in (x >= y, x >= z, y >= z))
    return np.stack([2 - first - second, 1 + first - third, second + third])


def simplex_octaves(
    rng: np.random.Generator,
    shape: Shape,
    *,
    depth: int = 3,
    octaves: int = 6,
    persistence: float = 0.6,
    period: float = 32.0,
) -> Floats:
    """(H, W, depth): octaves of one noise added, each twice as fine and `persistence` times as loud.

    period: pixels from one lattice cell to the next in the first octave.
    """
    table = shuffled_table(rng)
    points = np.stack(np.meshgrid(*(np.arange(n) for n in (*shape, depth)), indexing="ij"), axis=-1)
    scales = 2.0 ** np.arange(octaves) / period
    layers = simplex(points * scales[:, None, None, None, None], table)  # (octaves, H, W, depth)
    loudness = persistence ** np.arange(octaves)
    return np.asarray((loudness[:, None, None, None] * layers).sum(axis=0), np.float32)
