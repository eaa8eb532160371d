"""Random fields over the pixel grid, float32, (H, W): the raw stuff of grain, dye, light and defects."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]  # (H, W), or (H, W, 3) for colour
Shape = tuple[int, int]  # (height, width)

# Standard deviation of white noise after a Gaussian blur of one pixel: 1 / (2 sqrt(pi)).
_BLURRED_STD = 0.2821


def blur(field: Field, sigma: float) -> Field:
    """Gaussian blur with `sigma` in pixels; the border is mirrored."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)


def smooth_noise(rng: np.random.Generator, shape: Shape, scale: float) -> Field:
    """Gaussian noise of about unit variance whose bumps are about `scale` pixels wide.

    Drawn on a coarse grid and enlarged, so that a wide noise costs as little as a fine one.
    """
    step = max(scale / 3.0, 1.0)
    coarse = [int(np.ceil(length / step)) + 4 for length in shape]
    grid = blur(rng.standard_normal(coarse, dtype=np.float32), 1.0) / _BLURRED_STD
    right, down = rng.uniform(1.0, 2.0, 2).astype(np.float32)
    height, width = shape
    x = np.arange(width, dtype=np.float32) / step + right
    y = np.arange(height, dtype=np.float32)[:, None] / step + down
    x, y = (np.ascontiguousarray(np.broadcast_to(way, shape)) for way in (x, y))
    return np.asarray(cv2.remap(grid, x, y, cv2.INTER_CUBIC), np.float32)


def fractal_noise(rng: np.random.Generator, shape: Shape, scale: float, octaves: int = 3) -> Field:
    """Smooth noise with finer, weaker copies of itself on top; about unit variance."""
    weights = 0.55 ** np.arange(octaves)
    layers = [weight * smooth_noise(rng, shape, scale / 2**octave) for octave, weight in enumerate(weights)]
    return np.asarray(np.sum(layers, axis=0) / np.linalg.norm(weights), np.float32)


def specks(rng: np.random.Generator, density: Field, sigma: float) -> Field:
    """Dots of peak height up to 1, `sigma` pixels wide; `density` is the chance of a dot at each pixel."""
    hits = rng.random(density.shape, dtype=np.float32) < density
    heights = rng.uniform(0.35, 1.0, density.shape).astype(np.float32)
    dots = blur(np.where(hits, heights, np.float32(0)), sigma) * np.float32(2 * np.pi * sigma**2)
    return np.asarray(np.clip(dots, 0, 1), np.float32)


def pixel_grid(shape: Shape) -> tuple[Field, Field]:
    """Row and column of each pixel, both (H, W)."""
    ways = np.meshgrid(*(np.arange(length, dtype=np.float32) for length in shape), indexing="ij")
    return ways[0], ways[1]


def ramp(values: Field, start: float, end: float) -> Field:
    """0 up to `start`, 1 from `end` on, smooth between; a `start` above `end` makes it fall."""
    t = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
