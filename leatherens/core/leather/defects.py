"""The seven kinds of defects an inspector knows, each done to the hide itself before it is photographed.

A defect takes a faultless hide and returns the damaged one. `strength` is its severity: 1 is typical,
0.5 is hard to see, 1.5 is plain; position, size and shape come from the generator. Sizes are shares of the
hide's short side, fine structure is in units of `Hide.unit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from leatherens.core.leather.fields import Field, blur, fractal_noise, ramp, smooth_noise
from leatherens.core.leather.hide import Hide
from leatherens.core.leather.shapes import draw_spot, draw_stroke

FLESH = np.asarray((0.74, 0.64, 0.53), np.float32)  # the undyed inside of the hide, seen where it is torn
INKS = np.asarray(
    [(0.52, 0.08, 0.09), (0.12, 0.16, 0.42), (0.10, 0.09, 0.08), (0.80, 0.76, 0.66), (0.62, 0.52, 0.14)],
    np.float32,
)  # red, ballpoint blue, oil, chalk, mustard


class Defect(Protocol):
    """What every kind of defect is: a damaged copy of a hide."""

    def __call__(self, hide: Hide, rng: np.random.Generator, *, strength: float = 1.0) -> Hide:
        """The hide with the defect; the one given stays as it was."""
        ...


def cut(hide: Hide, rng: np.random.Generator, *, strength: float = 1.0) -> Hide:
    """A blade went in: a thin dark opening, one lip higher than the other, pale where fibres show."""
    unit = hide.unit
    blade = draw_stroke(
        rng, hide.shape, length=rng.uniform(0.12, 0.42) * hide.side, bend=0.25, reach=12 * unit
    )
    ragged = 1 + 0.35 * smooth_noise(rng, hide.shape, 5 * unit)
    half = unit * rng.uniform(0.5, 1.5) * min(strength, 1.6) * blade.taper * np.clip(ragged, 0.2, 2)
    opening = ramp(np.abs(blade.across) - half, 0.5 * unit, -0.5 * unit) * blade.taper
    lip = blade.taper * np.exp(-(((np.abs(blade.across) - half - 1.6 * unit) / (1.7 * unit)) ** 2))
    uneven = 1 + rng.uniform(-0.8, 0.8) * np.sign(blade.across)
    height = hide.height + strength * unit * (0.9 * lip * uneven - 1.2 * opening)
    torn = 0.6 * lip * ramp(smooth_noise(rng, hide.shape, 4 * unit), 0.0, 1.2) * min(strength, 1.2)
    dye = _mixed(_mixed(hide.dye, FLESH, torn), 0.15 * hide.dye, 0.9 * opening)
    return replace(hide, height=_float(height), dye=dye)


def hole(hide: Hide, rng: np.random.Generator, *, strength: float = 1.0) -> Hide:
    """Material is missing: a dark disc with a torn, slightly raised rim."""
    radius = max(rng.uniform(0.010, 0.035) * hide.side * strength**0.5, 1.3 * hide.unit, 1.2)
    spot = draw_spot(rng, hide.shape, radius=radius, stretch=rng.uniform(1, 1.8), rough=0.2)
    inside = ramp(spot.reach, 1 + 0.7 / radius, 1 - 0.7 / radius)
    rim = np.exp(-(((spot.reach - 1.2) / 0.22) ** 2))
    height = hide.height + hide.unit * strength * (0.7 * rim - 1.5 * inside)
    torn = 0.5 * rim * ramp(smooth_noise(rng, hide.shape, 3 * hide.unit), -0.3, 1.0) * min(strength, 1.2)
    depth = (0.30 - 0.2 * min(strength, 1.2)) * hide.dye
    return replace(hide, height=_float(height), dye=_mixed(_mixed(hide.dye, FLESH, torn), depth, inside))


def line(hide: Hide, rng: np.random.Generator, *, strength: float = 1.0) -> Hide:
    """Something sharp slid over the hide: a long, shallow, broken scratch where the dye is scuffed."""
    unit = hide.unit
    path = draw_stroke(rng, hide.shape, length=rng.uniform(0.3, 0.85) * hide.side, bend=0.35, reach=6 * unit)
    width = unit * rng.uniform(0.8, 1.6)
    pressure = path.taper * ramp(smooth_noise(rng, hide.shape, 16 * unit), -1.4, 0.1)
    groove = pressure * np.exp(-((path.across / width) ** 2))
    bank = pressure * np.exp(-(((np.abs(path.across) - 2 * width) / width) ** 2))
    height = hide.height + strength * unit * (0.12 * bank - 0.4 * groove)
    scuffed = _float(hide.dye + rng.uniform(0.35, 0.6) * (FLESH - hide.dye) + 0.08)
    return replace(
        hide, height=_float(height), dye=_mixed(hide.dye, scuffed, np.clip(strength * groove, 0, 1))
    )


def wrinkle(hide: Hide, rng: np.random.Generator, *, strength: float = 1.0) -> Hide:
    """The hide was folded: ridges that shade on one side, a sharp crease at their foot, cross puckers."""
    width = rng.uniform(0.016, 0.040) * hide.side
    path = draw_stroke(rng, hide.shape, length=rng.uniform(0.35, 0.9) * hide.side, bend=0.3, reach=9 * width)
    puckers = 1 + 0.35 * smooth_noise(rng, hide.shape, 2.5 * width)
    relief = np.zeros(hide.shape, np.float32)
    for number in range(int(rng.integers(1, 4))):
        across = path.across - number * rng.uniform(2.6, 3.6) * width
        ridge = np.exp(-((across / width) ** 2))
        foot = np.exp(-(((across - 1.25 * width) / (0.35 * width)) ** 2))
        relief = relief + rng.uniform(0.6, 1.0) * (ridge - 0.35 * foot)
    bulge = 0.55 * strength * width * path.taper * puckers * relief
    return replace(hide, height=_float(hide.height + bulge))


def stain(hide: Hide, rng: np.random.Generator, *, strength: float = 1.0) -> Hide:
    """A foreign colour soaked in: cloudy inside, bounded by an uneven edge; the grain stays."""
    radius = rng.uniform(0.035, 0.10) * hide.side
    spot = draw_spot(rng, hide.shape, radius=radius, stretch=rng.uniform(1, 4), rough=0.2)
    frayed = spot.reach + 0.12 * fractal_noise(rng, hide.shape, max(0.5 * radius, 2.0))
    soaked = ramp(frayed, 1.05, 0.75) * np.clip(0.8 + 0.25 * fractal_noise(rng, hide.shape, radius), 0.3, 1.2)
    soaked = soaked + 0.25 * np.exp(-(((frayed - 0.85) / 0.1) ** 2))  # dye gathers where the edge dried
    mean = hide.dye.mean(axis=(0, 1))
    far = INKS[np.linalg.norm(INKS - mean, axis=1) > 0.28]
    ink = far[int(rng.integers(len(far)))] * (0.6 + 0.4 * hide.dye / mean)
    alpha = np.clip(rng.uniform(0.2, 0.55) * strength * soaked, 0, 0.9)
    return replace(hide, dye=_mixed(hide.dye, ink, alpha))


def glue(hide: Hide, rng: np.random.Generator, *, strength: float = 1.0) -> Hide:
    """A dried drop on the surface: it fills the grain, is a little lighter, and shines."""
    radius = rng.uniform(0.025, 0.08) * hide.side
    spot = draw_spot(rng, hide.shape, radius=radius, stretch=rng.uniform(1, 1.8), rough=0.1)
    inside = ramp(spot.reach, 1 + 0.8 / radius, 1 - 0.8 / radius)
    swell = np.clip(1 - spot.reach**2, 0, 1) ** 0.7
    filled = blur(hide.height, max(2.5 * hide.unit, 0.15 * radius))
    height = hide.height + min(0.85 * strength, 1.0) * inside * (filled - hide.height)
    height = height + blur(_float(rng.uniform(0.10, 0.28) * strength * radius * swell), 0.8)
    lighter = hide.dye * 1.12 + 0.03 * strength
    gloss = hide.gloss + inside * rng.uniform(0.15, 0.4) * strength
    return replace(hide, height=_float(height), dye=_mixed(hide.dye, lighter, inside), gloss=_float(gloss))


def poke(hide: Hide, rng: np.random.Generator, *, strength: float = 1.0) -> Hide:
    """A blunt point pressed in: a puckered dent, a dark centre, a bright rim on one side."""
    dent = rng.uniform(0.028, 0.065) * hide.side
    spot = draw_spot(rng, hide.shape, radius=dent, rough=0.1)
    core = spot.reach * dent / (hide.unit * rng.uniform(1.0, 1.9) + 0.5)  # 1 on the outline of the centre
    pucker = np.cos(rng.integers(3, 7) * spot.angle + rng.uniform(0, 6.28)) * spot.reach
    sunk = np.exp(-((1.2 * spot.reach) ** 2)) * (1 + 0.3 * pucker)
    height = hide.height - strength * (0.38 * dent * sunk + 0.8 * hide.unit * ramp(core, 1.4, 0.5))
    facing = ramp(np.cos(spot.angle - rng.uniform(0, 6.28)), 0.0, 0.8)
    rim = 0.55 * facing * np.exp(-(((core - 1.7) / 0.45) ** 2)) * min(strength, 1.4)
    dark = np.clip(0.85 * strength, 0.5, 0.95) * ramp(core, 1.3, 0.7)
    return replace(
        hide, height=_float(height), dye=_mixed(_mixed(hide.dye, FLESH, rim), 0.12 * hide.dye, dark)
    )


DEFECTS: Mapping[str, Defect] = MappingProxyType(
    {
        "cut": cut,
        "hole": hole,
        "line": line,
        "wrinkle": wrinkle,
        "stain": stain,
        "glue": glue,
        "poke": poke,
    }
)


def _mixed(dye: Field, other: Field, share: npt.NDArray[np.floating]) -> Field:
    """`dye` with a share (H, W) of `other` in it."""
    return _float(dye + share[..., None] * (other - dye))


def _float(field: npt.NDArray[np.floating]) -> Field:
    return np.asarray(field, np.float32)
