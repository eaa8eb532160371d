"""Which run is measured where, and which of its thresholds the table shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from leatherens.core.errors import ConfigError
from leatherens.ensembles.experiments.data_sets import DataSet, joined
from leatherens.ensembles.experiments.entrants import Entrant


class Kind(str, Enum):
    """An experiment: three of the leather thesis, the ensemble thesis' survey, the line-clearance grid."""

    within = "within"
    cross = "cross"
    joint = "joint"
    members = "members"
    setup = "setup"


@dataclass(frozen=True, slots=True)
class Cell:
    """One entrant that learned from one data set, measured on the test images of another or of the same.

    step: after so many steps of its training; `None`: as the run uses it.
    """

    trained: DataSet
    tested: DataSet
    entrant: Entrant
    step: int | None = None

    @property
    def name(self) -> str:
        """The entrant and the step."""
        return self.entrant.name if self.step is None else f"{self.entrant.name}@{self.step}"


def plan(kind: Kind, data_sets: Sequence[DataSet], entrants: Sequence[Entrant]) -> list[Cell]:
    """The cells in the order they are made, those of one run together."""
    if kind in (Kind.cross, Kind.joint) and len(data_sets) < 2:
        raise ConfigError(f"{kind.value}: needs at least two data sets; give --data more than once")
    pairs = list(_pairs(kind, data_sets))
    trained = {data_set.name: data_set for data_set, _ in pairs}
    return [
        Cell(data_set, tested, entrant)
        for data_set in trained.values()
        for entrant in entrants
        for other, tested in pairs
        if other is data_set
    ]


def _pairs(kind: Kind, data_sets: Sequence[DataSet]) -> Iterator[tuple[DataSet, DataSet]]:
    """Which data set teaches and which one is tested on."""
    if kind is Kind.joint:
        whole = joined(data_sets)
        yield from ((whole, data_set) for data_set in data_sets)
    elif kind is Kind.cross:
        yield from ((a, b) for a in data_sets for b in data_sets if a is not b)
    else:
        yield from ((data_set, data_set) for data_set in data_sets)
