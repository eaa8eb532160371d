"""From a hide to a photograph: a lamp from one side, a lens that is not perfect, a sensor with noise.

Only `photograph` makes pixels, and it is deterministic: the lamp, its fall-off and the noise belong to the
hide's `Lamp`. So two photographs of one hide, with and without a defect, differ by the defect alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leatherens.core.leather.fields import Field, Shape, blur, pixel_grid, smooth_noise

Photograph = npt.NDArray[np.uint8]  # (H, W, 3) RGB

AMBIENT = 0.42  # light that comes from everywhere; the rest comes from the lamp
SHININESS = 24.0  # exponent of the highlight; leather is duller than plastic (60 and more)


@dataclass(frozen=True, slots=True)
class Lamp:
    """Where the light comes from and how the camera takes it.

    direction: unit vector (right, down, towards the camera) that points to the lamp.
    exposure: (H, W, 3) factor: brightness, its fall-off across the picture, colour cast.
    noise: (H, W, 3) sensor noise, added at the end.
    """

    direction: tuple[float, float, float]
    exposure: Field
    noise: Field


def draw_lamp(rng: np.random.Generator, shape: Shape) -> Lamp:
    """A lamp somewhere to the upper left, as inspectors place it, with its own brightness and fall-off."""
    azimuth = np.deg2rad(rng.uniform(185, 275))  # 180 is left, 270 is above (rows grow downwards)
    elevation = np.deg2rad(rng.uniform(35, 52))
    flat = np.cos(elevation)
    direction = (float(flat * np.cos(azimuth)), float(flat * np.sin(azimuth)), float(np.sin(elevation)))
    grey = 0.010 * blur(rng.standard_normal(shape, dtype=np.float32), 0.5) / 0.6
    colour = 0.004 * rng.standard_normal((*shape, 3), dtype=np.float32)
    return Lamp(direction, _exposure(rng, shape), grey[..., None] + colour)


def photograph(height: Field, dye: Field, gloss: Field, lamp: Lamp) -> Photograph:
    """The picture of a height field (pixels), a dye (H, W, 3) in 0..1 and a gloss in 0..1."""
    down, right = (np.asarray(slope, np.float32) for slope in np.gradient(height))
    length = np.sqrt(1 + down**2 + right**2)
    diffuse = np.maximum(_facing(down, right, lamp.direction) / length, 0) / lamp.direction[2]
    halfway = np.add(lamp.direction, (0.0, 0.0, 1.0))
    shine = np.maximum(_facing(down, right, halfway / np.linalg.norm(halfway)) / length, 0) ** SHININESS
    light = (AMBIENT * _openness(height) + (1 - AMBIENT) * diffuse)[..., None] * dye
    picture = (light + (gloss * shine)[..., None]) * lamp.exposure
    picture = blur(picture.astype(np.float32), 0.55) + lamp.noise
    return np.asarray(np.rint(np.clip(picture, 0, 1) * 255), np.uint8)


def _facing(down: Field, right: Field, towards: npt.ArrayLike) -> Field:
    """Dot product of the unnormalised surface normal with a direction."""
    x, y, z = np.asarray(towards, np.float32)
    return np.asarray(z - x * right - y * down, np.float32)


def _openness(height: Field) -> Field:
    """How much of the surrounding light reaches a point: less in creases, a little more on ridges."""
    relief = height - blur(height, max(2.5, min(height.shape) / 90))
    return np.asarray(np.clip(1 + 0.55 * relief, 0.25, 1.15), np.float32)


def _exposure(rng: np.random.Generator, shape: Shape) -> Field:
    rows, columns = pixel_grid(shape)
    y, x = rows / shape[0] - 0.5, columns / shape[1] - 0.5
    slope = rng.uniform(0, 0.45) * np.exp(1j * rng.uniform(0, 2 * np.pi))
    fall_off = 1 + slope.real * x + slope.imag * y - rng.uniform(0, 0.25) * (x**2 + y**2)
    cast = 1 + rng.normal(0, 0.01, 3)
    drift = 1 + 0.008 * np.stack([smooth_noise(rng, shape, 0.7 * min(shape)) for _ in range(3)], axis=-1)
    level = rng.uniform(0.72, 1.12)
    return np.asarray(level * fall_off[..., None] * cast * drift, np.float32)
