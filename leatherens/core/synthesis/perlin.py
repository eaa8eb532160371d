"""Gradient noise and the irregular masks cut from it: where an artificial anomaly lies.

One octave of Perlin noise (Perlin, SIGGRAPH 2002) on a lattice of unit gradients, as DRAEM uses it
(Zavrtanik et al., ICCV 2021, section 3.3).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from leatherens.core.synthesis.rotation import rotated

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Shape = tuple[int, int]  # (height, width)


AT_ONCE = 1 << 17
"""Products of numbers in one product of matrices: OpenBLAS takes one thread up to twice that."""


def perlin(gradients: Floats, rows: Floats, columns: Floats) -> Floats:
    """Gradient noise at every pair of a row and a column coordinate; (R, C), within -1..1.

    gradients: (r + 1, c + 1, 2) unit vectors (down, right) at the nodes of a lattice of r x c cells.
    rows, columns: (R,) in 0..r and (C,) in 0..c.

    Each node adds fade(row offset) * fade(column offset) * (gradient . offset): two terms, each a product of
    a factor of the row and a factor of the column. So the whole picture is two pairs of matrix products
    instead of gathers for each pixel. sqrt 2 brings the largest possible value, at a cell's centre, to 1.
    """
    above, down = _reach(rows, gradients.shape[0])
    left, right = _reach(columns, gradients.shape[1])
    noise = np.empty((len(rows), len(columns)), np.float32)
    for some in _blocks(len(rows), len(columns) * gradients.shape[1]):
        noise[some] = down[some] @ gradients[..., 0] @ left.T + above[some] @ gradients[..., 1] @ right.T
    return np.asarray(np.sqrt(2) * noise, np.float32)


def _blocks(rows: int, products: int) -> Iterator[slice]:
    """A few rows at a time, each of so many products.

    Linear algebra libraries share larger matrix products out among threads, which on a busy machine wait for
    each other many times as long as the product takes.
    """
    step = max(1, AT_ONCE // products)
    return (slice(start, start + step) for start in range(0, rows, step))


def _reach(positions: Floats, nodes: int) -> tuple[Floats, Floats]:
    """How much each lattice line counts at each position, alone and times its offset; both (P, nodes)."""
    offset = np.asarray(positions, np.float32)[:, None] - np.arange(nodes, dtype=np.float32)
    near = np.minimum(np.abs(offset), 1)
    weight = 1 - near**3 * (near * (6 * near - 15) + 10)  # 1 - (6 t^5 - 15 t^4 + 10 t^3)
    return weight, weight * offset


def perlin_noise(rng: np.random.Generator, shape: Shape, resolution: Shape) -> Floats:
    """A picture of gradient noise with `resolution` lattice cells down and across; (H, W).

    The cells need not divide the picture: pixel i of n lies at i * cells / n.
    """
    angles = rng.uniform(0, 2 * np.pi, (resolution[0] + 1, resolution[1] + 1))
    gradients = np.stack([np.sin(angles), np.cos(angles)], axis=-1).astype(np.float32)
    rows, columns = (
        (np.arange(length) * (cells / length)).astype(np.float32)
        for length, cells in zip(shape, resolution, strict=True)
    )
    return perlin(gradients, rows, columns)


def perlin_mask(
    rng: np.random.Generator, shape: Shape, *, exponents: tuple[int, int] = (0, 5), threshold: float = 0.5
) -> Mask:
    """Irregular spots: noise of 2^a by 2^b cells, turned by up to 90 degrees, above a threshold.

    exponents: a and b are drawn independently among these, ends included. The mask may be empty.
    """
    low, high = exponents
    down, across = (int(cells) for cells in 2 ** rng.integers(low, high, size=2, endpoint=True))
    noise = perlin_noise(rng, shape, (down, across))
    return np.asarray(rotated(noise, rng.uniform(-90, 90)) > threshold)
