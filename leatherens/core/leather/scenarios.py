"""Which leathers a scenario shows: the dyes, and the kind of grain that goes with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from leatherens.core.errors import InputError, did_you_mean

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class GrainFamily:
    """From what a hide's grain is drawn. Lengths in pixels of a photograph whose short side is 256."""

    cell: Range  # width of a cell
    stretch: Range  # how much longer than wide
    depth: Range  # of the creases between cells
    dome: Range  # how high a cell bulges above its border
    minor: Range  # strength of the finer second network, relative to the first
    nap: Range  # roughness of the surface itself


FULL_GRAIN = GrainFamily((15, 20), (1.0, 1.3), (0.65, 1.0), (0.5, 1.1), (0.4, 0.6), (0.05, 0.08))
CREASED = GrainFamily((24, 36), (1.0, 1.5), (0.9, 1.4), (0.5, 1.2), (0.5, 0.8), (0.05, 0.09))
PEBBLED = GrainFamily((9, 15), (1.0, 1.3), (0.5, 0.9), (0.9, 1.6), (0.1, 0.3), (0.04, 0.08))
NAPPA = GrainFamily((8, 13), (1.1, 1.8), (0.25, 0.45), (0.1, 0.3), (0.4, 0.8), (0.04, 0.07))
SUEDE = GrainFamily((20, 34), (1.0, 1.4), (0.05, 0.15), (0.1, 0.3), (0.2, 0.5), (0.22, 0.34))


@dataclass(frozen=True, slots=True)
class Leather:
    """One article of the tannery: sRGB dye in 0..1, kind of grain, and gloss (0 dull, 1 patent)."""

    dye: tuple[float, float, float]
    grain: GrainFamily
    gloss: float


SCENARIOS: Mapping[str, tuple[Leather, ...]] = {
    "one-colour": (Leather((0.53, 0.345, 0.275), FULL_GRAIN, 0.14),),
    "multi-colour": (
        Leather((0.13, 0.13, 0.14), PEBBLED, 0.22),  # black
        Leather((0.30, 0.34, 0.37), NAPPA, 0.12),  # slate
        Leather((0.38, 0.12, 0.15), PEBBLED, 0.20),  # burgundy
        Leather((0.70, 0.48, 0.29), CREASED, 0.14),  # tan
        Leather((0.78, 0.74, 0.66), NAPPA, 0.08),  # cream
        Leather((0.60, 0.61, 0.62), NAPPA, 0.10),  # light grey
        Leather((0.20, 0.32, 0.24), CREASED, 0.16),  # green
        Leather((0.17, 0.22, 0.34), PEBBLED, 0.18),  # navy
        Leather((0.27, 0.19, 0.15), CREASED, 0.18),  # dark brown
        Leather((0.34, 0.29, 0.26), SUEDE, 0.02),  # taupe suede
    ),
}


def leathers_of(scenario: str) -> tuple[Leather, ...]:
    """The scenario's leathers; an unknown name is refused with the nearest one."""
    if scenario not in SCENARIOS:
        known = ", ".join(SCENARIOS)
        raise InputError(
            f"unknown scenario {scenario!r}{did_you_mean(scenario, SCENARIOS)} (scenarios: {known})"
        )
    return SCENARIOS[scenario]


def pick_leather(rng: np.random.Generator, scenario: str) -> Leather:
    """One of the scenario's leathers, each as likely as the other."""
    leathers = leathers_of(scenario)
    return leathers[int(rng.integers(len(leathers)))]
