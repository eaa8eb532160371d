"""The geometry of homographies, and which of them no nudged camera makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Homography: TypeAlias = "NDArray[np.float64]"
"""(3, 3), (x, y) to (x, y)."""
Points: TypeAlias = "NDArray[np.float64]"
"""(N, 2), x and y."""
Size: TypeAlias = "tuple[int, int]"
"""Height and width."""


def moved(points: Points, homography: Homography) -> Points:
    """Where points (N, 2) come to lie.

    >>> moved(np.array([[2.0, 3.0]]), np.diag([2.0, 2.0, 1.0])).tolist()
    [[4.0, 6.0]]
    """
    lifted = np.column_stack([points, np.ones(len(points))]) @ homography.T  # (N, 3)
    landed: Points = lifted[:, :2] / lifted[:, 2:]
    return landed


def corners(size: Size) -> Points:
    """(4, 2): the centres of a picture's outermost pixels, clockwise from the top left.

    >>> corners((2, 5)).tolist()
    [[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [0.0, 1.0]]
    """
    height, width = size
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=np.float64)


def resizing(size: Size, to: Size) -> Homography:
    """What resizing a picture does to its points, edges to edges.

    >>> moved(corners((1, 4)), resizing((1, 4), (1, 2)))[:2].tolist()
    [[-0.25, 0.0], [1.25, 0.0]]
    """
    down, across = to[0] / size[0], to[1] / size[1]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def corner_error(found: Homography, true: Homography, size: Size) -> float:
    """Mean distance in pixels between where two homographies bring a picture's corners."""
    apart = moved(corners(size), found) - moved(corners(size), true)
    return float(np.hypot(*apart.T).mean())


@dataclass(frozen=True, slots=True)
class Limits:
    """What a nudged camera may have done; beyond it a homography is an accident of matching.

    shift: the furthest that a corner may move, as a share of the reference's diagonal.
    stretch: how many times longer or shorter anything may get anywhere. One limit for scale, shear and
        perspective: all three show as lengths.
    uncertainty: the largest standard error of a corner's place, as a share of the diagonal; where the key
        points that hold a homography lie close together, a far corner may be anywhere.
    Shift and stretch count against the photograph merely resized to the reference.
    """

    shift: float = 0.25
    stretch: float = 1.5
    uncertainty: float = 0.01


def folded(homography: Homography, size: Size) -> bool:
    """Whether some part of a picture would be mirrored, turned inside out or sent to infinity.

    Exact: the third coordinate is linear, so that it has one sign in the whole picture where it has one at
    the corners, and with it the determinant of the derivative, det H / w^3, has one sign, too.
    """
    heights = corners(size) @ homography[2, :2] + homography[2, 2]  # (4,)
    determinant = np.linalg.det(homography)
    return bool((heights * determinant <= 0).any() or not np.isfinite(homography).all())


def shift_of(homography: Homography, size: Size, to: Size) -> float:
    """The furthest that a corner moves against a plain resize, as a share of the diagonal of `to`."""
    apart = moved(corners(size), homography) - moved(corners(size), resizing(size, to))
    return float(np.hypot(*apart.T).max() / np.hypot(*to))


def stretch_of(homography: Homography, size: Size, to: Size) -> float:
    """The largest factor, 1 or more, by which a length at a corner changes against a plain resize."""
    plain = np.diag(1 / np.diag(resizing(size, to))[:2])  # (2, 2)
    lengths = np.array(
        [np.linalg.svd(_derivative(homography, corner) @ plain, compute_uv=False) for corner in corners(size)]
    )
    return float(max(lengths.max(), 1 / max(lengths.min(), np.finfo(float).tiny)))


def uncertainty_of(homography: Homography, sources: Points, targets: Points, size: Size, to: Size) -> float:
    """The largest standard error of where a corner comes to lie, as a share of the diagonal of `to`.

    Of a homography fitted by least squares to pairs (N, 2) that each miss as much as these do: the errors of
    its eight numbers, carried on to the corners to first order (Hartley and Zisserman, "Multiple view
    geometry", 2nd edition, section 5.2). Infinite where the pairs leave it open.
    """
    freedom = 2 * len(sources) - 8
    if freedom <= 0:
        return float("inf")
    near = _centred(sources)  # else the numbers differ by powers of the width, and inverting loses them
    inner = homography @ np.linalg.inv(near)
    inner = inner / inner[2, 2]
    design = _sensitivity(inner, moved(sources, near)).reshape(-1, 8)  # (2 N, 8)
    if np.linalg.matrix_rank(design) < 8:
        return float("inf")
    missed = float(((moved(sources, homography) - targets) ** 2).sum()) / freedom
    spread = missed * np.linalg.inv(design.T @ design)  # (8, 8)
    reach = _sensitivity(inner, moved(corners(size), near))  # (4, 2, 8)
    variances = np.einsum("cij,jk,cik->c", reach, spread, reach)  # (4,)
    return float(np.sqrt(variances.max()) / np.hypot(*to))


def _centred(points: Points) -> Homography:
    """What brings points (N, 2) to the origin and to a root mean square distance of 1 from it."""
    centre = points.mean(axis=0)
    unit = 1 / max(float(np.sqrt(((points - centre) ** 2).sum(axis=1).mean())), np.finfo(float).tiny)
    return np.array([[unit, 0, -unit * centre[0]], [0, unit, -unit * centre[1]], [0, 0, 1]])


def _sensitivity(homography: Homography, points: Points) -> NDArray[np.float64]:
    """(N, 2, 8): how x and y of each moved point change with the homography's first eight numbers."""
    lifted = np.column_stack([points, np.ones(len(points))])  # (N, 3)
    scale = (lifted @ homography[2])[:, None]  # (N, 1)
    landed = moved(points, homography)
    zero = np.zeros_like(lifted)
    across = np.hstack([lifted, zero, -landed[:, :1] * lifted[:, :2]]) / scale
    down = np.hstack([zero, lifted, -landed[:, 1:] * lifted[:, :2]]) / scale
    return np.stack([across, down], axis=1)


def _derivative(homography: Homography, point: Points) -> NDArray[np.float64]:
    """(2, 2): how (x, y) near a point (2,) moves."""
    x, y, w = homography @ np.append(point, 1.0)
    derivative: NDArray[np.float64] = (homography[:2, :2] - np.outer([x / w, y / w], homography[2, :2])) / w
    return derivative
