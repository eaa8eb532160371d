"""Fitting an ensemble: members, then block and head, then how scores are fused, each saved at once.

Fit images teach members, block and head; validate images choose epochs, set the common scale and teach the
score fusion (`voting`), and a head that needs images which no member remembers; calibrate images, which
nothing saw before, give thresholds their promise (`deciding`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import Detector, FitContext, Keeping, matching
from leatherens.core.fusion import FusionBlock, GoodFeatures
from leatherens.core.heads import GoodMaps, SpoiltMaps
from leatherens.core.observers import Observers
from leatherens.core.progress import Progress
from leatherens.core.randomness import derive
from leatherens.core.strangers import kept_from
from leatherens.core.synthesis.spoilt_images import example_images
from leatherens.core.types import ImageBatch, ImageSource, walked
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.failures import TRACEBACK, Failure, failure_of, members_failed, stops_all
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.guarding import LEARNING, guarded
from leatherens.ensembles.parts import Parts
from leatherens.ensembles.timing import seconds_in, timed
from leatherens.ensembles.training_log import TrainingRecorder
from leatherens.ensembles.voting import Voting


@dataclass(frozen=True, slots=True)
class Fitting:
    """Where and how an ensemble is fitted; whatever the folder holds already is loaded, not learned again."""

    folder: RunFolder
    pool: BackbonePool
    progress: Progress
    seed: int
    device: str
    batch_size: int
    keep_every: int | None = None
    observers: Observers = field(default_factory=Observers)

    def ensemble(
        self, parts: Parts, fit: ImageSource, validate: ImageSource, *, tiles: bool = False
    ) -> FittedEnsemble:
        """The fitted ensemble; tiles: the images are tiles of photographs."""
        members = self.members(parts, fit, validate)
        ensemble = FittedEnsemble(
            self.pool, members, parts.cuts, parts.score_fusion, votes=parts.votes, tiles=tiles
        )
        if parts.head is None and ensemble.alone:
            return ensemble
        with timed(self.folder.fusion_time, going_on=True):
            if parts.block is not None and parts.head is not None:
                ensemble = self._with_head(ensemble, parts, fit, validate)
            return self.voting(ensemble, validate)

    def members(self, parts: Parts, fit: ImageSource, validate: ImageSource) -> dict[str, Detector]:
        """All members fitted; one that fails is told after the others are learned and kept.

        One that comes fitted stays as it is.
        """
        fitted: dict[str, Detector] = {}
        failures: list[Failure] = []
        for id, member in parts.members.items():
            try:
                fitted[id] = self._member(id, member, fit, validate)
            except Exception as error:
                if stops_all(error, len(parts.members)):
                    raise
                failures.append(failure_of(id, error, self.folder.member(id)))
                self.progress.say(f"{id}: could not be learned ({failures[-1].reason})")
            else:  # a mistyped cut is told before another member takes its time
                matching([spec.name for spec in fitted[id].features()], parts.cuts[id])
        if failures:
            raise members_failed(failures, tuple(fitted), self.folder)
        return fitted

    def _member(self, id: str, member: Detector, fit: ImageSource, validate: ImageSource) -> Detector:
        if member.fitted:
            return member
        folder = self.folder.member(id)
        if self.folder.holds(folder):
            self.progress.say(f"{id}: already learned")
            return self.folder.load(folder, type(member)).to(self.device)
        checkpoint = folder / "checkpoint.safetensors"
        keeping = None if self.keep_every is None else Keeping(self.folder.checkpoints(id), self.keep_every)
        recorder = TrainingRecorder(self.folder, id, self.observers, self.progress)
        context = FitContext(
            self.pool, self.seed, self.device, self.progress, checkpoint, keeping, observer=recorder
        )
        with (
            timed(self.folder.fit_time(id), going_on=checkpoint.exists(), images=len(fit.ids)),
            kept_from(f"detector '{id}'", LEARNING),  # its faults are told by `members`
        ):
            member.fit(fit, validation=validate, context=context)
        if keeping is not None:
            self._keep_checkpoints(member, keeping, fit, validate)
        self.folder.save(folder, member)
        for leftover in (checkpoint, folder / TRACEBACK):
            leftover.unlink(missing_ok=True)
        self.observers.tell(
            "member_fitted",
            folder=self.folder.path.resolve(),
            member=id,
            size=self.folder.size(folder),
            seconds=seconds_in(self.folder.fit_time(id)) or 0.0,
            images=len(fit.ids),
        )
        return member

    def _keep_checkpoints(
        self, member: Detector, keeping: Keeping, fit: ImageSource, validate: ImageSource
    ) -> None:
        """Make a member of each checkpoint, as it would be had its training ended there."""
        files = keeping.files()
        with self.progress.step(f"{member.id}: keeping checkpoints", len(files)) as advance:
            for step, file in files.items():
                context = FitContext(self.pool, self.seed, self.device, checkpoint=file, until=step)
                then = type(member)(member.params).fit(fit, validation=validate, context=context)
                self.folder.save(keeping.folder / str(step), then)
                file.unlink()
                advance(1)

    def _with_head(
        self, ensemble: FittedEnsemble, parts: Parts, fit: ImageSource, validate: ImageSource
    ) -> FittedEnsemble:
        block, head = parts.block, parts.head
        assert block is not None
        assert head is not None
        at_block, at_head = self.folder.part("block"), self.folder.part("head")
        if self.folder.holds(at_block) and self.folder.holds(at_head):
            self.progress.say("fusion: already learned")
            block, head = self.folder.load(at_block, type(block)), self.folder.load(at_head, type(head))
            return replace(ensemble, block=block.to(self.device), head=head.to(self.device))
        ensemble = replace(ensemble, block=block)  # not fitted yet; it says which features it takes
        features = self._features(ensemble, fit, "fusion: gathering features")
        with guarded(f"fusion block '{block.id}'", LEARNING):
            block.fit(features).to(self.device)
        held_out = self._features(ensemble, validate, "fusion: held-out features")
        context = FitContext(self.pool, self.seed, self.device, self.progress)
        with guarded(f"head '{head.id}'", LEARNING):
            head.fit(
                Fused(block, features),
                validation=Fused(block, held_out),
                context=context,
                anomalies=self._spoilt(ensemble, block, validate) if head.wants_anomalies else (),
            )
        self.folder.save(at_block, block)
        self.folder.save(at_head, head)
        return replace(ensemble, block=block, head=head)

    def voting(self, ensemble: FittedEnsemble, validate: ImageSource) -> FittedEnsemble:
        """The ensemble with the common scale of its voters and a score fusion that has learned."""
        voting = Voting(self.folder, self.progress, self.seed, self.device, self.batch_size)
        return voting.learn(ensemble, validate)

    def _features(self, ensemble: FittedEnsemble, images: ImageSource, title: str) -> Replayed:
        def compute(batch: ImageBatch) -> GoodFeatures:
            return ensemble.features(ensemble.observe(batch, keep=True)), batch.valid

        return Replayed(self, images, title, compute)

    def _spoilt(
        self, ensemble: FittedEnsemble, block: FusionBlock, validate: ImageSource
    ) -> Iterator[SpoiltMaps]:
        """The fused maps of artificial anomalies on held-out images; others than score fusions learn from.

        On images that taught the members an anomaly would be known by what they do not remember.
        """
        images = example_images(validate, seed=derive(self.seed, "head"))
        with self.progress.step("fusion: artificial anomalies", len(images.ids)) as advance:
            for batch, masks in images.walk(self.batch_size):
                yield block.transform(ensemble.features(ensemble.observe(batch.to(self.device)))), masks
                advance(len(batch))


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
        picks = [range(count)[start : start + size] for start in range(0, count, size)]
        missing = walked(self._images, [rows for rows in picks if rows.start not in self._kept])
        with self._fitting.progress.step(self._title, count) as advance, closing(missing) as loaded:
            for rows in picks:
                if rows.start not in self._kept:
                    computed = self._compute(next(loaded).to(self._fitting.device))
                    self._remember(rows.start, computed)
                    yield computed
                else:
                    yield self._kept[rows.start]
                advance(len(rows))

    def _remember(self, start: int, computed: GoodFeatures) -> None:
        features, _ = computed
        room = sum(m.nbytes for maps in features.values() for m in maps.maps)
        if room <= self._room:
            self._kept[start] = computed
            self._room -= room
