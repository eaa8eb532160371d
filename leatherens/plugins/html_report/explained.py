"""How much the fusion block's components explain, as points and bars of an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leatherens.core.pca import Explained

SIDE = 300
"""Height and width of the square that both axes span, in SVG units."""

MOST_BARS = 64
"""Components whose shares are drawn; more bars than that are thinner than a hair."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """One PCA's line: SVG points of the cumulative share, its end, kept and all components.

    colour: a member's, as in the curves; 0, the ensemble's, where all members share the PCA.
    """

    name: str
    colour: int
    points: str
    end: tuple[float, float]
    total: float
    kept: int
    channels: int


@dataclass(frozen=True, slots=True)
class Part:
    """One member's part of a bar, y and height in SVG units; share: of the component's loadings."""

    member: str
    colour: int
    y: float
    height: float
    share: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One component: its number from 1, place and width in SVG units, share of the variance, its parts."""

    number: int
    x: float
    width: float
    fraction: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Shares:
    """Of one PCA over several members: whose channels each component is made of."""

    members: tuple[str, ...]
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, int], ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class ExplainedFigure:
    """Everything the figure shows; ticks: place in SVG units and number of components."""

    spectra: tuple[Spectrum, ...]
    ticks: tuple[tuple[float, int], ...]
    shares: Shares | None


def explained_figure(explained: Sequence[Explained]) -> ExplainedFigure | None:
    """The figure of a block's spectra; `None` where it has none."""
    if not explained:
        return None
    most = max(len(found.fractions) for found in explained)
    mixed = [found for found in explained if len(found.members) > 1]
    return ExplainedFigure(
        tuple(
            _spectrum(found, i if len(found.members) == 1 else 0, most)
            for i, found in enumerate(explained, 1)
        ),
        tuple((_place(number, most), number) for number in round_counts(most)),
        _shares(mixed[0]) if mixed else None,
    )


def _spectrum(found: Explained, colour: int, most: int) -> Spectrum:
    total, points = 0.0, [(_place(0, most), float(SIDE))]
    for number, fraction in enumerate(found.fractions, start=1):
        total += fraction
        points.append((_place(number, most), round(SIDE * (1 - total), 1)))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Spectrum(found.name, colour, line, points[-1], total, len(found.fractions), found.channels)


def _place(number: int, most: int) -> float:
    return round(SIDE * number / most, 1)


def _shares(found: Explained) -> Shares:
    members = tuple(found.members)
    count = min(len(found.fractions), MOST_BARS)
    wide = SIDE / count
    bars = tuple(
        Bar(
            i + 1, i * wide, wide, found.fractions[i], _parts([found.members[m][i] for m in members], members)
        )
        for i in range(count)
    )
    ticks = tuple(((number - 0.5) * wide, number) for number in round_counts(count))
    return Shares(members, bars, ticks, len(found.fractions) - count)


def _parts(shares: Sequence[float], members: Sequence[str]) -> tuple[Part, ...]:
    parts, below = [], 0.0
    for colour, (member, share) in enumerate(zip(members, shares, strict=True), start=1):
        below += share
        parts.append(Part(member, colour, SIDE * (1 - below), SIDE * share, share))
    return tuple(parts)


def round_counts(most: int) -> list[int]:
    """Two to six numbers of components up to the most, equally far apart from the step on.

    >>> round_counts(64), round_counts(3)
    ([10, 20, 30, 40, 50, 60], [1, 2, 3])
    """
    steps = [digit * 10**decade for decade in range(len(str(most)) + 1) for digit in (1, 2, 5)]
    step = next(step for step in steps if most // step <= 6)
    return list(range(step, most + 1, step))
