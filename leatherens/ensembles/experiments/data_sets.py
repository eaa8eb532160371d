"""The data sets of an experiment, each dealt out once, and all of them as one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from leatherens.configs.recipe import Recipe
from leatherens.core.host import PluginHost
from leatherens.core.reading import Collection, Sample
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.splits import Splits, splits_of

JOINT = "+"
"""Between the names of data sets that are one ground together."""


@dataclass(frozen=True)
class Ground:
    """What a run learns from or is measured on: images, and the job of each.

    recipe: whose seed and shares deal them out. parts: the grounds that this one joins, if any.
    """

    name: str
    data: DataChoice
    recipe: Recipe
    host: PluginHost
    parts: tuple[Ground, ...] = ()

    @cached_property
    def collection(self) -> Collection:
        """The samples."""
        return self.data.read(self.host)

    @cached_property
    def splits(self) -> Splits:
        """The jobs; joined grounds keep those that their images have at home."""
        if not self.parts:
            return splits_of(self.recipe, self.collection)
        jobs: dict[str, tuple[str, ...]] = {}
        for part in self.parts:
            for job, ids in part.splits.jobs().items():
                jobs[job] = (*jobs.get(job, ()), *(f"{part.name}/{id}" for id in ids))
        return Splits(**{job: tuple(sorted(ids)) for job, ids in jobs.items()})

    @cached_property
    def _by_id(self) -> Mapping[str, Sample]:
        return {sample.id: sample for sample in self.collection.samples}

    def samples(self, job: str) -> list[Sample]:
        """The samples of one job."""
        return [self._by_id[id] for id in self.splits.jobs()[job]]


def joined(grounds: Sequence[Ground]) -> Ground:
    """All grounds as one."""
    roots = [ground.data.root for ground in grounds]
    data = DataChoice(root=storable_parent(roots), joined={ground.name: ground.data for ground in grounds})
    name = JOINT.join(ground.name for ground in grounds)
    return Ground(name, data, grounds[0].recipe, grounds[0].host, tuple(grounds))


def storable_parent(roots: Sequence[str]) -> str:
    """The folder that holds all of them."""
    return str(Path(os.path.commonpath(roots)))
