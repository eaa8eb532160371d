"""The window walker that all descriptors share: cells, windows of cells, and the way back to pixels.

A photograph is cut into square cells without overlap; a window is a cell and its neighbours up to `reach`
cells away. Descriptors are means over the pixels of a window, so each pixel is looked at once, and windows
overlap for nothing. Planes are (H, W) or (H, W, C), grids (h, w, C), of numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[np.float32]
Codes = NDArray[np.intp]

GREY_WEIGHTS = np.float32([0.299, 0.587, 0.114])
"""What red, green and blue count in a grey value (Rec. 601, as in scikit-image up to rounding)."""


def grey(photograph: Plane) -> Plane:
    """(H, W, 3) in 0..1 to (H, W)."""
    return photograph @ GREY_WEIGHTS


def padded(plane: Plane, cell: int, margin: int = 0) -> Plane:
    """The plane mirrored beyond its ends: `margin` cells all round, and up to a whole cell at the far ends.

    >>> padded(np.float32([[1, 2, 3]]), 2)
    array([[1., 2., 3., 3.],
           [1., 2., 3., 3.]], dtype=float32)
    """
    around = margin * cell
    sides = [(around, around + -side % cell) for side in plane.shape[:2]]
    return np.pad(plane, [*sides, *[(0, 0)] * (plane.ndim - 2)], mode="symmetric")


def without_margin(grid: Plane, margin: int) -> Plane:
    """A grid less the cells that `padded` put around it."""
    return grid[margin:-margin, margin:-margin] if margin else grid


def cell_means(values: Plane, cell: int) -> Plane:
    """(h * cell, w * cell, C) to (h, w, C): the mean of each cell.

    >>> cell_means(np.float32([[0, 2, 5, 5], [4, 6, 5, 5]])[..., None], 2)[..., 0]
    array([[3., 5.]], dtype=float32)
    """
    height, width, channels = values.shape
    return values.reshape(height // cell, cell, width // cell, cell, channels).mean(axis=(1, 3))


def cell_histograms(codes: Codes, bins: int, cell: int) -> Plane:
    """(h * cell, w * cell) whole numbers below `bins` to (h, w, bins): the share of each in each cell.

    >>> cell_histograms(np.array([[0, 1, 2, 2], [1, 1, 2, 2]]), 3, 2)[0].tolist()
    [[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]]
    """
    height, width = (side // cell for side in codes.shape)
    of_cell = np.arange(height).repeat(cell)[:, None] * width + np.arange(width).repeat(cell)  # (H, W)
    counts = np.bincount((of_cell * bins + codes).ravel(), minlength=height * width * bins)
    return (counts / cell**2).astype(np.float32).reshape(height, width, bins)


def over_windows(cells: Plane, reach: int) -> Plane:
    """(h, w, C): the mean of each cell and its neighbours up to `reach` away.

    At the ends the nearest whole window stands in: one that is filled up with mirrored cells would hold fewer
    pixels, vary more, and look odd for that. A grid smaller than a window has only such ones.
    """
    side = 2 * reach + 1
    if not reach:
        return cells
    means = ndimage.uniform_filter(cells, size=(side, side, 1), mode="reflect")
    if min(cells.shape[:2]) < side:
        return means
    return np.pad(means[reach:-reach, reach:-reach], [(reach, reach), (reach, reach), (0, 0)], mode="edge")


def inspected(valid: NDArray[np.bool_], cell: int) -> NDArray[np.bool_]:
    """(H, W) to (h, w): cells of which at least half counts; those with the largest share where none has.

    >>> inspected(np.array([[True, True, False, False], [True, False, False, True]]), 2).tolist()
    [[True, False]]
    """
    share = cell_means(padded(valid.astype(np.float32), cell)[..., None], cell)[..., 0]
    return share >= min(0.5, share.max())


def on_pixels(scores: Plane, cell: int, size: tuple[int, int], sigma: float) -> Plane:
    """(h, w) scores of cells to (H, W) of pixels: bilinear between cell centres, then a Gaussian."""
    height, width = size
    zoomed = ndimage.zoom(scores, cell, order=1, mode="nearest", grid_mode=True)[:height, :width]
    return ndimage.gaussian_filter(zoomed, sigma) if sigma else zoomed
