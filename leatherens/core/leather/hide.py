"""A hide before its photograph: what grows (grain, undulation, pores), the dye on it, and harmless dust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leatherens.core.leather.fields import Field, Shape, fractal_noise, ramp, smooth_noise, specks
from leatherens.core.leather.grain import Grain, draw_grain, grain_height
from leatherens.core.leather.lighting import Lamp, Photograph, draw_lamp, photograph
from leatherens.core.leather.scenarios import Leather


@dataclass(frozen=True, slots=True)
class Hide:
    """height: (H, W) pixels, up is out of the hide; dye: (H, W, 3) in 0..1; gloss: (H, W) in 0..1."""

    height: Field
    dye: Field
    gloss: Field
    lamp: Lamp

    @property
    def shape(self) -> Shape:
        """(height, width) in pixels."""
        rows, columns = self.height.shape
        return rows, columns

    @property
    def side(self) -> int:
        """The short side in pixels: the measure of defects."""
        return min(self.shape)

    @property
    def unit(self) -> float:
        """Pixels per unit of fine structure."""
        return unit_of(self.shape)

    def photograph(self) -> Photograph:
        """(H, W, 3) uint8; the same hide gives the same bytes."""
        return photograph(self.height, self.dye, self.gloss, self.lamp)


def unit_of(shape: Shape) -> float:
    """Scale of fine structure, 1 for a short side of 256.

    It grows with the square root of the size: a larger picture shows both more hide and more detail.
    """
    return float(np.sqrt(min(shape) / 256))


def raw_hide(rng: np.random.Generator, shape: Shape, leather: Leather) -> Hide:
    """A faultless hide of this leather, with a grain, folds, tone and lamp of its own."""
    unit = unit_of(shape)
    grain = draw_grain(rng, leather.grain, unit)
    height, tone = grain_height(rng, shape, grain)
    pores = _pores(rng, shape, grain, unit)
    height = height - 0.5 * unit * pores + _undulation(rng, shape)
    dye = _dye(rng, leather, height, tone) * (1 - 0.35 * pores[..., None])
    gloss = (
        leather.gloss * rng.uniform(0.6, 1.4) * np.clip(1 + 0.2 * smooth_noise(rng, shape, 60 * unit), 0, 2)
    )
    dusty = _with_dust(rng, dye, unit)
    return Hide(height.astype(np.float32), dusty, gloss.astype(np.float32), draw_lamp(rng, shape))


def _undulation(rng: np.random.Generator, shape: Shape) -> Field:
    """Soft folds: how the hide lies. The slope, not the height, is what the eye sees."""
    wide, narrow = (float(rng.uniform(low, high)) * min(shape) for low, high in ((0.5, 0.9), (0.18, 0.3)))
    slope = rng.uniform(0.02, 0.09)
    folds = slope * wide * smooth_noise(rng, shape, wide)
    return np.asarray(0.3 * (folds + 0.4 * slope * narrow * smooth_noise(rng, shape, narrow)), np.float32)


def _pores(rng: np.random.Generator, shape: Shape, grain: Grain, unit: float) -> Field:
    """Hair follicles, in clusters; 1 at the bottom of a pore."""
    clusters = ramp(smooth_noise(rng, shape, 2.5 * grain.cell), -0.2, 1.8)
    return specks(
        rng, np.asarray(rng.uniform(0.004, 0.02) / unit**2 * clusters, np.float32), 0.75 * unit**0.5
    )


def _dye(rng: np.random.Generator, leather: Leather, height: Field, tone: Field) -> Field:
    """The dye takes unevenly: cloudy over the hide, a little different on each cell, darker in creases."""
    shape = (height.shape[0], height.shape[1])
    base = np.asarray(leather.dye) * (1 + rng.normal(0, 0.06)) * (1 + rng.normal(0, 0.014, 3))
    cloud = 0.035 * fractal_noise(rng, shape, 0.22 * min(shape)) + 0.018 * smooth_noise(rng, shape, 3.0)
    amount = 1 + cloud + rng.uniform(0.01, 0.035) * tone
    return np.asarray(base * amount[..., None], np.float32)


def _with_dust(rng: np.random.Generator, dye: Field, unit: float) -> Field:
    """Specks that are no defect, as on any real hide: mostly pale, some dark, a few in a picture."""
    shape = (dye.shape[0], dye.shape[1])
    rate = rng.gamma(1.0, 3.0) / (256 * unit) ** 2
    for shade, share in ((0.85, 0.7), (0.05, 0.5)):
        dust = specks(rng, np.full(shape, share * rate, np.float32), float(rng.uniform(0.5, 0.9)) * unit**0.5)
        dye = dye + 0.7 * dust[..., None] * (shade - dye)
    return dye.astype(np.float32)
