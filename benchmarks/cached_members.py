"""Members whose fits take milliseconds, on the features of a set's good images: for `coverage.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import FitContext
from leatherens.core.gaussians import PositionMoments, at_positions, whitened, whitening
from leatherens.core.host import PluginHost
from leatherens.core.layouts import read_folder
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import Sample
from leatherens.core.thresholds import Floats
from leatherens.core.types import batches
from leatherens.core.weights import DEFAULT_MODEL, WeightFinder
from leatherens.ensembles.sources import FileSource

SIZE = (128, 128)
RIDGE = 0.01
MOST = 160
"""Good images of a set that are looked at."""
GROUPS = {
    "leather_one_colour": r"([^/]+)_\d+_\d+\.png$",  # a photograph
    "leather_multi_colour_tiles": r"([^/]+)_\d+_\d+\.png$",
    "fabric_02": r"([^/]+)_\d+\.png$",  # a strip
    "fabric_03": r"([^/]+)_\d+\.png$",
    "circuit_board_pairs": r"(\d{5})\d+\.jpg$",  # a design
}
"""What an image is of, found in its id, for sets whose images are cut from larger ones."""


class Member(Protocol):
    """Learns from some images of a set and scores others, all by their number in the set."""

    def scores(self, taught: Sequence[int], seen: Sequence[int]) -> Floats:
        """(n,) image scores."""


class Bank:
    """PatchCore without a core set or reweighting: the largest distance to the nearest patch of any image."""

    def __init__(self, descriptors: Tensor) -> None:
        rows = descriptors.flatten(2).mT.contiguous()  # (N, P, C)
        count, patches, channels = rows.shape
        every = rows.view(-1, channels)
        near = [torch.cdist(own, every).view(patches, count, patches).amin(dim=2) for own in rows]
        self.near = torch.stack(near).numpy()  # (N, P, N): each patch to the nearest one of each image

    def scores(self, taught: Sequence[int], seen: Sequence[int]) -> Floats:
        """(n,) image scores."""
        found: Floats = self.near[np.ix_(seen, range(self.near.shape[1]), taught)].min(axis=2).max(axis=1)
        return found


class Gaussians:
    """PaDiM without smoothing: the largest Mahalanobis distance of any position."""

    def __init__(self, embedded: Tensor) -> None:
        self.vectors = at_positions(embedded)  # (P, N, C)

    def scores(self, taught: Sequence[int], seen: Sequence[int]) -> Floats:
        """(n,) image scores."""
        positions, _, channels = self.vectors.shape
        moments = PositionMoments(positions, channels)
        moments.add(self.vectors[:, list(taught)])
        factors = whitening(moments, RIDGE)
        found: Floats = (
            whitened(self.vectors[:, list(seen)], moments.mean, factors).norm(dim=2).amax(dim=0).numpy()
        )
        return found


MEMBERS: dict[str, tuple[dict[str, Any], str, type[Bank] | type[Gaussians]]] = {
    "patchcore": ({"layers": [3]}, "patchcore/descriptors", Bank),
    "padim": ({"layers": [3], "dimensions": 40}, "padim/embedding", Gaussians),
}
"""Options, the features that are kept of each image, and what learns from them: a fit takes milliseconds."""


@dataclass(frozen=True)
class Bench:
    """The good images of a set, at most `MOST`, and a member to learn from some of them."""

    name: str
    member: str
    samples: tuple[Sample, ...]
    learner: Member

    @classmethod
    def of(cls, data: Path, member: str) -> Bench:
        host = PluginHost(installed=False)
        readers, packages = host.readers(), host.backbones()
        collection = read_folder({id: readers.load(id)() for id in readers.ids()}, data)
        good = [grouped(sample, data.name) for sample in collection.samples if sample.defective is False]
        kept = {id for [id] in shuffled(good, numpy_generator(0, "kept"))[:MOST]}
        samples = tuple(sample for sample in good if sample.id in kept)
        options, features, kind = MEMBERS[member]
        finder = WeightFinder(packages={id: packages.load(id)() for id in packages.ids()})
        context = FitContext(BackbonePool(finder))
        source = FileSource(samples, size=SIZE)
        some = source.only([sample.id for sample in samples[:3]])
        detector = host.detectors().load(member).from_options({"backbone": DEFAULT_MODEL, **options})
        detector.fit(some, validation=some, context=context)
        maps = [
            detector.observe(batch, context.pool.pyramids(batch, detector.backbones())).features[features]
            for batch in batches(source, 8)
        ]
        return cls(data.name, member, samples, kind(torch.cat(maps)))

    def scores(self, taught: Sequence[str], seen: Sequence[str]) -> Floats:
        """(n,) scores of images by what learned from others."""
        number = {sample.id: i for i, sample in enumerate(self.samples)}
        return self.learner.scores([number[id] for id in taught], [number[id] for id in seen])


def grouped(sample: Sample, name: str) -> Sample:
    found = re.search(GROUPS[name], sample.id) if name in GROUPS else None
    return replace(sample, group=found[1] if found else None)


def shuffled(samples: Iterable[Sample], rng: np.random.Generator, *, whole: bool = False) -> list[list[str]]:
    """Ids in a random order, in groups that stay together if `whole`."""
    units: dict[str, list[str]] = {}
    for sample in samples:
        units.setdefault(sample.group if whole and sample.group else sample.id, []).append(sample.id)
    keys = sorted(units)
    return [units[keys[i]] for i in rng.permutation(len(keys))]
