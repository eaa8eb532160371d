"""Photographs with something to recognise, and what a nudged camera makes of them."""

from __future__ import annotations

import cv2
import numpy as np

MARGIN = 60
"""Pixels of a scene around what the camera shows before it is nudged."""


def board(seed: int = 0, size: tuple[int, int] = (440, 520)) -> np.ndarray:
    """(H, W, 3) uint8: pads, tracks and print on green, another board for each seed."""
    rng = np.random.default_rng(seed)
    height, width = size
    picture = np.full((height, width, 3), (40, 90, 50), dtype=np.uint8)
    for _ in range(100):
        x, y = (int(rng.integers(side)) for side in (width, height))
        colour = tuple(int(level) for level in rng.integers(60, 256, 3))
        shape = int(rng.integers(4))
        if shape == 0:
            cv2.circle(picture, (x, y), int(rng.integers(4, 16)), colour, -1)
        elif shape == 1:
            corner = x + int(rng.integers(6, 40)), y + int(rng.integers(6, 30))
            cv2.rectangle(picture, (x, y), corner, colour, int(rng.choice([-1, 2])))
        elif shape == 2:
            end = x + int(rng.integers(-60, 60)), y + int(rng.integers(-60, 60))
            cv2.line(picture, (x, y), end, colour, 2)
        else:
            cv2.putText(picture, f"R{rng.integers(1000)}", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1)
    return cv2.GaussianBlur(picture, (3, 3), 0)


def nudge(
    size: tuple[int, int],
    *,
    turn: float = 0,
    shift: tuple[float, float] = (0, 0),
    scale: float = 1,
    tilt: float = 0,
) -> np.ndarray:
    """(3, 3): about the middle turned (degrees) and scaled, moved (pixels), tilted (share of the depth)."""
    height, width = size
    middle = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    angle = np.deg2rad(turn)
    inner = np.array(
        [
            [scale * np.cos(angle), -scale * np.sin(angle), shift[0]],
            [scale * np.sin(angle), scale * np.cos(angle), shift[1]],
            [tilt / width, -tilt / height, 1],
        ]
    )
    return middle @ inner @ np.linalg.inv(middle)


def photographed(
    scene: np.ndarray, homography: np.ndarray | None = None, *, light: float = 1, seed: int = 0
) -> np.ndarray:
    """(H, W, 3) uint8: the middle of a scene, `MARGIN` less on each side, by a camera nudged like this.

    What comes in at the edge is what the scene shows there. With the noise of a sensor.
    """
    height, width = scene.shape[0] - 2 * MARGIN, scene.shape[1] - 2 * MARGIN
    cut = np.array([[1, 0, -MARGIN], [0, 1, -MARGIN], [0, 0, 1.0]])
    whole = cut if homography is None else homography @ cut
    moved = cv2.warpPerspective(scene, whole, (width, height)).astype(np.float64)
    noise = np.random.default_rng(seed).normal(0, 2, moved.shape)
    return (light * moved + noise).clip(0, 255).round().astype(np.uint8)
