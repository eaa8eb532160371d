"""Textures made on the spot, for work without a collection of pictures: every draw is another one.

A pattern is a field over the pixels, about 0..1; a palette of a few colours makes a picture of it.
Half the draws cut two of them together.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import torch

from leatherens.core.leather.fields import Field, fractal_noise, smooth_noise
from leatherens.core.synthesis.augment import Picture
from leatherens.core.synthesis.perlin import Shape

Labels = npt.NDArray[np.int32]  # (H, W)
Pattern = Callable[[np.random.Generator, Shape], Field]


class ProceduralTextures:
    """A `TextureSource` that needs no files."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Picture:
        """A coloured pattern, or two with one showing through holes in the other."""
        picture = _coloured(rng, _pattern(rng, shape))
        if rng.random() < 0.5:
            holes = _pattern(rng, shape) > rng.uniform(0.4, 0.7)
            cv2.copyTo(_coloured(rng, _pattern(rng, shape)), holes.astype(np.uint8), picture)
        return picture


def clouds(rng: np.random.Generator, shape: Shape) -> Field:
    """Soft noise, from fine grit to wide drifts."""
    return _spread(fractal_noise(rng, shape, _length(rng, 3, 100), octaves=int(rng.integers(1, 5))))


def cracks(rng: np.random.Generator, shape: Shape) -> Field:
    """Dark lines along which noise changes its sign."""
    noise = np.abs(fractal_noise(rng, shape, _length(rng, 10, 80), octaves=2))
    return np.asarray(np.clip(noise / rng.uniform(0.1, 1.0), 0, 1), np.float32)


def stripes(rng: np.random.Generator, shape: Shape) -> Field:
    """Parallel bands, soft or hard, straight or wavy."""
    return _band(rng, _waves(rng, shape, _length(rng, 4, 60)))


def checks(rng: np.random.Generator, shape: Shape) -> Field:
    """Two bands across each other: a chequer board or a weave."""
    heading, period = rng.uniform(0, np.pi), _length(rng, 6, 60)
    along, across = (_waves(rng, shape, period, heading + turn) for turn in (0, np.pi / 2))
    mixed = along * across if rng.random() < 0.5 else np.maximum(along, across)
    return _band(rng, mixed)


def blobs(rng: np.random.Generator, shape: Shape) -> Field:
    """Round islands with a sharp shore, and a slope inside."""
    noise = smooth_noise(rng, shape, _length(rng, 5, 60))
    shore = rng.uniform(-0.3, 1.0)
    return np.asarray(np.where(noise > shore, _spread(noise), 0), np.float32)


def dots(rng: np.random.Generator, shape: Shape) -> Field:
    """Discs of one size strewn about."""
    away, _ = _nearest_seed(rng, shape, _length(rng, 8, 50))
    return np.asarray(np.clip(1.5 - away / _length(rng, 2, 12), 0, 1), np.float32)


def cells(rng: np.random.Generator, shape: Shape) -> Field:
    """A cobble of cells, flat or domed."""
    spacing = _length(rng, 6, 50)
    away, seed = _nearest_seed(rng, shape, spacing)
    flat = rng.random(int(seed.max()) + 1, dtype=np.float32)[seed]
    domed = 1 - np.clip(away / np.float32(spacing), 0, 1)
    return flat if rng.random() < 0.5 else np.asarray(0.5 * flat + 0.5 * domed, np.float32)


def mosaic(rng: np.random.Generator, shape: Shape) -> Field:
    """Rectangles at random levels."""
    coarse = [max(2, int(length / _length(rng, 3, 60))) for length in shape]
    levels = rng.random(coarse, dtype=np.float32)
    return np.asarray(cv2.resize(levels, shape[::-1], interpolation=cv2.INTER_NEAREST), np.float32)


def grit(rng: np.random.Generator, shape: Shape) -> Field:
    """Noise from pixel to pixel, streaked in one direction or not at all."""
    noise = rng.random(shape, dtype=np.float32)
    width, height = (int(length) for length in rng.choice((1, 1, 2, 5, 25), 2))
    return _spread(np.asarray(cv2.blur(noise, (width, height)), np.float32))


PATTERNS: tuple[Pattern, ...] = (clouds, cracks, stripes, checks, blobs, dots, cells, mosaic, grit)


def _pattern(rng: np.random.Generator, shape: Shape) -> Field:
    return PATTERNS[rng.integers(len(PATTERNS))](rng, shape)


def _coloured(rng: np.random.Generator, field: Field) -> Picture:
    """A field looked up in a palette of two to four random colours, with steps or gradients between them."""
    colours = rng.uniform(0, 255, (int(rng.integers(2, 5)), 3))
    if rng.random() < 0.3:
        colours = colours.mean(axis=1, keepdims=True) + 0.15 * (colours - colours.mean(axis=1, keepdims=True))
    at = np.linspace(0, 1, 256)
    if rng.random() < 0.25:
        table = colours[np.minimum((at * len(colours)).astype(int), len(colours) - 1)]
    else:
        stops = np.linspace(0, 1, len(colours))
        table = np.stack([np.interp(at, stops, channel) for channel in colours.T], axis=-1)
    levels = np.asarray(np.clip(field, 0, 1) * 255, np.uint8)
    palette = np.rint(table).astype(np.uint8)[:, None]  # (256, 1, 3)
    return np.asarray(cv2.applyColorMap(levels, palette), np.uint8)


def _length(rng: np.random.Generator, low: float, high: float) -> float:
    """A length in pixels, small ones as likely as large ones."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _spread(noise: Field) -> Field:
    """Noise brought to about 0..1 with most of it in use."""
    centred = noise - noise.mean()
    return np.asarray(0.5 + centred / (4 * centred.std() + 1e-6), np.float32)


def _waves(rng: np.random.Generator, shape: Shape, period: float, heading: float | None = None) -> Field:
    """A sine of this period in pixels across the picture, -1..1; the fronts may bend."""
    heading = rng.uniform(0, np.pi) if heading is None else heading
    down, right = (np.arange(length, dtype=np.float32) for length in shape)
    phase = (np.cos(heading) * right + (np.sin(heading) * down)[:, None]) * (2 * np.pi / period)
    bend = rng.choice((0.0, 0.5, 2.0, 5.0))
    if bend:
        phase = phase + bend * smooth_noise(rng, shape, 60.0)
    phase += rng.uniform(0, 2 * np.pi)
    # NumPy takes several times as long for sines in double precision; rounded they are the same.
    return np.asarray(torch.from_numpy(phase).sin_().float().numpy())


def _band(rng: np.random.Generator, waves: Field) -> Field:
    """-1..1 to 0..1 with an edge between soft and hard."""
    return np.asarray(np.clip(0.5 + _length(rng, 0.5, 8.0) * waves, 0, 1), np.float32)


def _nearest_seed(rng: np.random.Generator, shape: Shape, spacing: float) -> tuple[Field, Labels]:
    """How far the nearest of some strewn seeds is, and which one it is; both (H, W).

    spacing: pixels from seed to seed, on average.
    """
    count = max(4, int(shape[0] * shape[1] / spacing**2))
    seeds = np.ones(shape, np.uint8)
    seeds[rng.integers(shape[0], size=count), rng.integers(shape[1], size=count)] = 0
    away, label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return np.asarray(away, np.float32), np.asarray(label, np.int32)
