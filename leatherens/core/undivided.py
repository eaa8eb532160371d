"""Layouts whose authors give no split, or none without defects to learn from: one rule for all of them."""

from __future__ import annotations

from collections.abc import Iterable

from leatherens.core.reading import Sample

EVERY = 5
"""Of the good images a fifth is tested, as in the random 80/20 splits of the literature; nothing is drawn, so
that everybody who has the files has the split."""


def every_fifth_tested(good: Iterable[Sample]) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Good samples that teach and that are tested: of their groups, sorted by name, every fifth.

    A sample without a group is one by itself.

    >>> from pathlib import Path
    >>> good = [Sample(Path(name), name, False) for name in "abcdefg"]
    >>> [sample.id for sample in every_fifth_tested(good)[1]]
    ['e']
    """
    ordered = sorted(good, key=lambda sample: sample.id)
    groups = sorted({sample.id if sample.group is None else sample.group for sample in ordered})
    tested = set(groups[EVERY - 1 :: EVERY])
    parts: tuple[list[Sample], list[Sample]] = [], []
    for sample in ordered:
        parts[(sample.id if sample.group is None else sample.group) in tested].append(sample)
    return tuple(parts[0]), tuple(parts[1])
