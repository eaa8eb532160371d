"""The data sets of an experiment, each dealt out once, and all of them as one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from leatherens.configs.recipe import Recipe
from leatherens.core.host import PluginHost
from leatherens.core.joining import joined_name
from leatherens.core.reading import Collection, Sample
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.splits import Splits, splits_of

JOINT = "+"
"""Between the names of data sets that are one together."""


@dataclass(frozen=True)
class DataSet:
    """What a run learns from or is measured on: images, and the job of each.

    recipe: whose seed and shares deal them out. parts: those that this one joins, if any.
    """

    name: str
    data: DataChoice
    recipe: Recipe
    host: PluginHost
    parts: tuple[DataSet, ...] = ()

    @cached_property
    def collection(self) -> Collection:
        """The samples."""
        return self.data.read(self.host)

    @cached_property
    def splits(self) -> Splits:
        """The jobs; joined ones keep those that their images have at home."""
        if not self.parts:
            return splits_of(self.recipe, self.collection)
        jobs: dict[str, tuple[str, ...]] = {}
        for part in self.parts:
            for job, ids in part.splits.jobs().items():
                jobs[job] = (*jobs.get(job, ()), *(joined_name(part.name, id) for id in ids))
        return Splits(**{job: tuple(sorted(ids)) for job, ids in jobs.items()})

    @cached_property
    def _by_id(self) -> Mapping[str, Sample]:
        return {sample.id: sample for sample in self.collection.samples}

    def samples(self, job: str) -> list[Sample]:
        """The samples of one job."""
        return [self._by_id[id] for id in self.splits.jobs()[job]]


def joined(data_sets: Sequence[DataSet]) -> DataSet:
    """All of them as one."""
    roots = [data_set.data.root for data_set in data_sets]
    data = DataChoice(root=_parent(roots), joined={data_set.name: data_set.data for data_set in data_sets})
    name = JOINT.join(data_set.name for data_set in data_sets)
    return DataSet(name, data, data_sets[0].recipe, data_sets[0].host, tuple(data_sets))


def _parent(roots: Sequence[str]) -> str:
    """The folder that holds all of them."""
    return str(Path(os.path.commonpath(roots)))
