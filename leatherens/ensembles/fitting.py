"""Fitting an ensemble: members, then block and head, then scales, each saved as soon as it is learned.

Fit images teach members, block and head; validate images choose epochs and set the common scale;
calibrate images, which nothing saw before, give thresholds their promise (`deciding`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from leatherens.core.artifact import read_tensors, write_json, write_tensors
from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import Detector, FitContext
from leatherens.core.fusion import FusionBlock, GoodFeatures
from leatherens.core.heads import GoodMaps
from leatherens.core.progress import Progress
from leatherens.core.scale import Scale, fit_scale
from leatherens.core.types import ImageBatch, ImageSource, Observation, batches
from leatherens.ensembles.ensemble import Ensemble
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.parts import Parts


@dataclass(frozen=True, slots=True)
class Fitting:
    """Where and how an ensemble is fitted; whatever the folder holds already is loaded, not learned again."""

    folder: RunFolder
    pool: BackbonePool
    progress: Progress
    seed: int
    device: str
    batch_size: int

    def ensemble(self, parts: Parts, fit: ImageSource, validate: ImageSource) -> Ensemble:
        """The fitted ensemble."""
        members = self.members(parts.members, fit, validate)
        ensemble = Ensemble(self.pool, members, parts.cuts, parts.score_fusion, votes=parts.votes)
        if parts.block is not None and parts.head is not None:
            ensemble = self._with_head(ensemble, parts, fit, validate)
        return replace(ensemble, scales=self._scales(ensemble, validate))

    def members(
        self, members: Mapping[str, Detector], fit: ImageSource, validate: ImageSource
    ) -> dict[str, Detector]:
        """All members fitted; one that comes fitted stays as it is."""
        return {id: self._member(id, member, fit, validate) for id, member in members.items()}

    def _member(self, id: str, member: Detector, fit: ImageSource, validate: ImageSource) -> Detector:
        if member.fitted:
            return member
        folder = self.folder.member(id)
        if self.folder.holds(folder):
            self.progress.say(f"{id}: already learned")
            return self.folder.load(folder, type(member)).to(self.device)
        started = time.monotonic()
        checkpoint = folder / "checkpoint.safetensors"
        context = FitContext(self.pool, self.seed, self.device, self.progress, checkpoint)
        member.fit(fit, validation=validate, context=context)
        write_json(
            folder / "fit.json", {"seconds": round(time.monotonic() - started, 2), "images": len(fit.ids)}
        )
        self.folder.save(folder, member)
        checkpoint.unlink(missing_ok=True)
        return member

    def _with_head(
        self, ensemble: Ensemble, parts: Parts, fit: ImageSource, validate: ImageSource
    ) -> Ensemble:
        block, head = parts.block, parts.head
        assert block is not None
        assert head is not None
        at_block, at_head = self.folder.part("block"), self.folder.part("head")
        if self.folder.holds(at_block) and self.folder.holds(at_head):
            self.progress.say("fusion: already learned")
            block, head = self.folder.load(at_block, type(block)), self.folder.load(at_head, type(head))
            return replace(ensemble, block=block.to(self.device), head=head.to(self.device))
        features = self._features(ensemble, fit, "fusion: gathering features")
        block.fit(features).to(self.device)
        held_out = self._features(ensemble, validate, "fusion: held-out features")
        context = FitContext(self.pool, self.seed, self.device, self.progress)
        head.fit(Fused(block, features), validation=Fused(block, held_out), context=context)
        self.folder.save(at_block, block)
        self.folder.save(at_head, head)
        return replace(ensemble, block=block, head=head)

    def _features(self, ensemble: Ensemble, images: ImageSource, title: str) -> Replayed:
        def compute(batch: ImageBatch) -> GoodFeatures:
            return ensemble.features(ensemble.observe(batch, keep=True)), batch.valid

        return Replayed(self, images, title, compute)

    def _scales(self, ensemble: Ensemble, validate: ImageSource) -> Mapping[str, Scale]:
        """The common scale of every voter; a single voter needs none."""
        if ensemble.alone:
            return {}
        names = ensemble.voter_names
        if not all(self.folder.scale(name).exists() for name in names):
            seen = [ensemble.voters(s, b) for s, b in self._observed(ensemble, validate)]
            for name in names:
                write_tensors(self.folder.scale(name), fit_scale([voters[name] for voters in seen]).state())
        return {name: Scale.from_state(read_tensors(self.folder.scale(name))[0]) for name in names}

    def _observed(
        self, ensemble: Ensemble, images: ImageSource
    ) -> Iterator[tuple[Mapping[str, Observation], ImageBatch]]:
        with self.progress.step("setting the common scale", len(images.ids)) as advance:
            for batch in self.walk(images):
                yield ensemble.observe(batch, keep=True), batch
                advance(len(batch))

    def walk(self, images: ImageSource) -> Iterator[ImageBatch]:
        """The images in batches, on the device."""
        for batch in batches(images, self.batch_size):
            yield batch.to(self.device)


@dataclass(frozen=True, slots=True)
class Fused:
    """The fused maps of a source, made anew in each walk: they are larger than their features."""

    block: FusionBlock
    features: Iterable[GoodFeatures]

    def __iter__(self) -> Iterator[GoodMaps]:
        for features, valid in self.features:
            yield self.block.transform(features), valid


REPLAYED_BYTES = 2 * 2**30
"""Features of training images kept in memory; beyond that they are computed anew in each walk."""


class Replayed:
    """Features of a source, batch by batch, walked several times and remembered while room lasts."""

    def __init__(
        self, fitting: Fitting, images: ImageSource, title: str, compute: Callable[[ImageBatch], GoodFeatures]
    ) -> None:
        self._fitting = fitting
        self._images = images
        self._title = title
        self._compute = compute
        self._kept: dict[int, GoodFeatures] = {}
        self._room = REPLAYED_BYTES

    def __iter__(self) -> Iterator[GoodFeatures]:
        count = len(self._images.ids)
        size = self._fitting.batch_size
        with self._fitting.progress.step(self._title, count) as advance:
            for start in range(0, count, size):
                if start not in self._kept:
                    rows = range(start, min(start + size, count))
                    computed = self._compute(self._images.batch(rows).to(self._fitting.device))
                    self._remember(start, computed)
                    yield computed
                else:
                    yield self._kept[start]
                advance(min(size, count - start))

    def _remember(self, start: int, computed: GoodFeatures) -> None:
        features, _ = computed
        room = sum(m.nbytes for maps in features.values() for m in maps.maps)
        if room <= self._room:
            self._kept[start] = computed
            self._room -= room
