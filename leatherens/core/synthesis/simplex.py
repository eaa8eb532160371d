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
    """The gradients (..., 3) of lattice corners (..., 3)."""
    i, j, k = np.moveaxis(corners & 255, -1, 0)
    return np.asarray(GRADIENTS[table[i + table[j + table[k]]] % 12])


def simplex(points: npt.NDArray[np.float64], table: Table) -> npt.NDArray[np.float64]:
    """Noise at points (..., 3), about -1..1, (...)."""
    cell = np.floor(points + SKEW * points.sum(axis=-1, keepdims=True)).astype(np.int64)
    inside = points - (cell - UNSKEW * cell.sum(axis=-1, keepdims=True))
    # The way to the far corner goes along the largest coordinate first, then the next, then the last.
    rank = (-inside).argsort(axis=-1, kind="stable").argsort(axis=-1)
    noise = np.zeros(points.shape[:-1])
    for steps in range(4):
        corner = (rank < steps).astype(np.int64)
        away = inside - corner + steps * UNSKEW
        fade = np.clip(REACH - np.square(away).sum(axis=-1), 0, None) ** 4
        noise += fade * (gradients_at(cell + corner, table) * away).sum(axis=-1)
    return LOUDNESS * noise


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
    noise = np.zeros(points.shape[:-1])
    for octave in range(octaves):
        noise += persistence**octave * simplex(points * (2**octave / period), table)
    return noise.astype(np.float32)
