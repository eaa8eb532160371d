"""Layers and interpolation worked out by numpy, for tests that compute a network's answer a second time."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def convolved(
    maps: np.ndarray, weight: np.ndarray, bias: np.ndarray, *, stride: int = 1, border: str = "constant"
) -> np.ndarray:
    """(B, C, h, w) convolved with (D, C, side, side); beyond the border zeros, or with "edge" the edge."""
    half = weight.shape[-1] // 2
    padded = np.pad(maps, ((0, 0), (0, 0), (half, half), (half, half)), mode=border)  # type: ignore[call-overload]
    windows = sliding_window_view(padded, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    found: np.ndarray = np.einsum("bchwij,dcij->bdhw", windows, weight) + bias[:, None, None]
    return found


def atan_clamped(scales: np.ndarray, limit: float) -> np.ndarray:
    """The soft limit of log-scales in AST and CS-Flow."""
    return limit * 0.636 * np.arctan(scales / limit)


def bilinear(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(..., h, w) to (..., H, W), linear between the middles of cells, constant beyond the outermost."""

    def along(line: np.ndarray, length: int) -> np.ndarray:
        at = (np.arange(length) + 0.5) * len(line) / length - 0.5
        return np.interp(at, np.arange(len(line)), line)

    return np.apply_along_axis(along, -1, np.apply_along_axis(along, -2, maps, size[0]), size[1])


def bicubic(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(..., h, w) to (..., H, W) by Keys' kernel of parameter -0.75, the border repeated."""

    def kernel(away: np.ndarray) -> np.ndarray:
        near = 1.25 * away**3 - 2.25 * away**2 + 1
        far = -0.75 * (away**3 - 5 * away**2 + 8 * away - 4)
        return np.where(away <= 1, near, np.where(away < 2, far, 0.0))

    def along(line: np.ndarray, length: int) -> np.ndarray:
        at = (np.arange(length) + 0.5) * len(line) / length - 0.5
        cells = np.floor(at).astype(int)[:, None] + np.arange(-1, 3)  # (length, 4)
        weights = kernel(np.abs(at[:, None] - cells))
        return (weights * line[cells.clip(0, len(line) - 1)]).sum(axis=1)

    return np.apply_along_axis(along, -1, np.apply_along_axis(along, -2, maps, size[0]), size[1])
