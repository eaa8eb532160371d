"""Good images dealt into folds, each of which is scored by what learned from the others."""

from __future__ import annotations

from collections.abc import Sequence

from leatherens.core.errors import InputError
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import Sample

Folds = tuple[tuple[str, ...], ...]
"""Sample ids by fold, disjoint, sorted within each."""


def deal_folds(samples: Sequence[Sample], *, seed: int, count: int) -> Folds:
    """At most `count` folds of nearly equal size; the same images and seed give the same ones.

    Samples of one group share a fold, so that there are never more folds than groups. Raises `InputError` for
    fewer than two groups.
    """
    units = _units(samples)
    if len(units) < 2:
        raise InputError(
            f"cross calibration needs good images of at least two groups, got {len(units)}; add photographs "
            "of others, or calibrate by --calibration split"
        )
    order = numpy_generator(seed, "folds").permutation(len(units))
    shuffled = sorted((units[i] for i in order), key=len, reverse=True)  # large groups first, the rest level
    folds: list[list[str]] = [[] for _ in range(min(count, len(units)))]
    for unit in shuffled:
        min(folds, key=len).extend(unit)
    return tuple(tuple(sorted(fold)) for fold in folds)


def _units(samples: Sequence[Sample]) -> list[list[str]]:
    """Ids that stay together, in an order that depends on names only."""
    units: dict[tuple[bool, str], list[str]] = {}
    for sample in samples:
        alone = sample.group is None
        units.setdefault((alone, sample.id if sample.group is None else sample.group), []).append(sample.id)
    return [sorted(units[key]) for key in sorted(units)]
