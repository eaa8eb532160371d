"""Which run is measured where, and which of its thresholds the table shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from leatherens.core.errors import ConfigError
from leatherens.ensembles.experiments.entrants import Entrant
from leatherens.ensembles.experiments.grounds import Ground, joined


class Kind(str, Enum):
    """An experiment: three of the leather thesis, the ensemble thesis' survey, the line-clearance grid."""

    within = "within"
    cross = "cross"
    joint = "joint"
    members = "members"
    setup = "setup"


@dataclass(frozen=True, slots=True)
class Cell:
    """One entrant that learned from one ground, measured on the test images of another or of the same.

    step: after so many steps of its training; `None`: as the run uses it.
    """

    trained: Ground
    tested: Ground
    entrant: Entrant
    step: int | None = None

    @property
    def name(self) -> str:
        """The entrant and the step."""
        return self.entrant.name if self.step is None else f"{self.entrant.name}@{self.step}"


def plan(kind: Kind, grounds: Sequence[Ground], entrants: Sequence[Entrant]) -> list[Cell]:
    """The cells in the order they are made, those of one run together."""
    if kind in (Kind.cross, Kind.joint) and len(grounds) < 2:
        raise ConfigError(f"{kind.value}: needs at least two data sets; give --data more than once")
    pairs = list(_pairs(kind, grounds))
    trained = {ground.name: ground for ground, _ in pairs}
    return [
        Cell(ground, tested, entrant)
        for ground in trained.values()
        for entrant in entrants
        for other, tested in pairs
        if other is ground
    ]


def _pairs(kind: Kind, grounds: Sequence[Ground]) -> Iterator[tuple[Ground, Ground]]:
    """Which ground teaches and which one is tested on."""
    if kind is Kind.joint:
        whole = joined(grounds)
        yield from ((whole, ground) for ground in grounds)
    elif kind is Kind.cross:
        yield from ((a, b) for a in grounds for b in grounds if a is not b)
    else:
        yield from ((ground, ground) for ground in grounds)
