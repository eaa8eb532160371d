"""The outlines of defects: a bent line (cut, scratch, wrinkle) or a closed spot (hole, stain, glue, poke).

Both are centred anywhere in the picture, so some reach over its border. Lengths in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from leatherens.core.leather.fields import Field, Shape, pixel_grid

Points = npt.NDArray[np.float64]  # (N, 2) row and column

_SPACING = 0.6  # pixels between the points that stand for a line


@dataclass(frozen=True, slots=True)
class Stroke:
    """A bent line as each pixel sees it; all (H, W).

    across: signed distance to the line, negative on its left; beyond `reach` it stays at plus `reach`.
    along: where on the line the nearest point lies, 0 at its start, 1 at its end and out of `reach`.
    """

    across: Field
    along: Field

    @property
    def taper(self) -> Field:
        """1 in the middle of the line, falling to 0 at both ends and beyond."""
        return np.asarray(np.clip(np.sin(np.pi * self.along), 0, 1) ** 0.6, np.float32)


@dataclass(frozen=True, slots=True)
class Spot:
    """A rounded, uneven closed outline as each pixel sees it; both (H, W).

    reach: 0 at the centre, 1 on the outline, growing outwards.
    angle: direction from the centre, in radians.
    """

    reach: Field
    angle: Field


def draw_stroke(
    rng: np.random.Generator, shape: Shape, *, length: float, bend: float, reach: float
) -> Stroke:
    """A line through a random point in a random direction; `bend` is its typical turn in radians."""
    points, tangents = _bent_line(rng, length, bend)
    points += rng.uniform(0.04, 0.96, 2) * shape - points[len(points) // 2]
    pixels = np.stack(pixel_grid(shape), axis=-1).reshape(-1, 2)
    distance, nearest = cKDTree(points).query(pixels, distance_upper_bound=reach)
    far = nearest == len(points)
    nearest = np.minimum(nearest, len(points) - 1)
    offset = pixels - points[nearest]
    left = tangents[nearest, 0] * offset[:, 1] - tangents[nearest, 1] * offset[:, 0] > 0
    across = np.where(far, reach, np.where(left, -distance, distance))
    along = np.where(far, 1.0, nearest / (len(points) - 1))
    return Stroke(across.reshape(shape).astype(np.float32), along.reshape(shape).astype(np.float32))


def draw_spot(
    rng: np.random.Generator, shape: Shape, *, radius: float, stretch: float = 1.0, rough: float = 0.15
) -> Spot:
    """A spot of about this radius; `stretch` makes it longer than wide, `rough` makes its outline uneven."""
    rows, columns = pixel_grid(shape)
    row, column = rng.uniform(0.04, 0.96, 2) * shape
    heading, root = rng.uniform(0, np.pi), np.sqrt(stretch)
    y, x = rows - row, columns - column
    along = (np.cos(heading) * x + np.sin(heading) * y) / root
    across = (np.cos(heading) * y - np.sin(heading) * x) * root
    angle = np.arctan2(across, along)
    outline = np.full(shape, radius)
    for harmonic in range(2, 7):
        swing = radius * rough * rng.normal() / harmonic
        outline = outline + swing * np.cos(harmonic * angle + rng.uniform(0, 2 * np.pi))
    reach = np.hypot(along, across) / np.maximum(outline, 0.35 * radius)
    return Spot(reach.astype(np.float32), angle.astype(np.float32))


def _bent_line(rng: np.random.Generator, length: float, bend: float) -> tuple[Points, Points]:
    """The points of a line, and its unit tangent at each."""
    count = max(int(length / _SPACING), 8)
    t = np.linspace(-1, 1, count)
    turn = bend * (rng.normal() * t + 0.5 * rng.normal() * np.sin(np.pi * t + rng.uniform(0, 2 * np.pi)))
    wobble = 0.15 * bend * np.sin(np.outer(t, rng.uniform(4, 14, 3)) + rng.uniform(0, 6.28, 3)).sum(axis=1)
    heading = rng.uniform(0, 2 * np.pi) + turn + wobble
    tangents = np.stack([np.sin(heading), np.cos(heading)], axis=-1)
    return np.cumsum(tangents, axis=0) * (length / count), tangents
