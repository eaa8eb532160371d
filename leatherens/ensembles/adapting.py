"""Changing a finished run from good images that were verified in use: what `update` and `recalibrate` share.

A change is made beside the run, under its lock, and put in force at the end by one rename (`history`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leatherens.configs.recipe import Recipe
from leatherens.core.errors import InputError
from leatherens.core.feature_cache import FeatureCache
from leatherens.core.host import PluginHost
from leatherens.core.listing import counted
from leatherens.core.progress import Progress
from leatherens.core.reading import Sample
from leatherens.ensembles.colouring import load_colours
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.deciding import Decider, decision_remarks, learn_deciders, save_deciders
from leatherens.ensembles.ensemble import ENSEMBLE, FittedEnsemble
from leatherens.ensembles.evidence import Gathering
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.history import Entry, History, Job, Kind, TakenImage, Thresholds, now
from leatherens.ensembles.known import Fresh, Known, fresh_images, known_images
from leatherens.ensembles.notices import refresh_notices
from leatherens.ensembles.opening import OpenedRun, open_run
from leatherens.ensembles.parts import build_rules, needs_labels
from leatherens.ensembles.sources import require_no_problems
from leatherens.ensembles.tiled_photographs import Source


@dataclass(frozen=True, slots=True)
class Change:
    """A change in the making: the run, locked and opened, and a place to write what changes.

    number: the next entry's. written: its folder; nothing stays of it unless `keep` is called.
    """

    history: History
    opened: OpenedRun
    known: Known
    host: PluginHost
    progress: Progress
    number: int
    written: RunFolder

    def good_images(self, choice: DataChoice, barred: Collection[str]) -> Fresh:
        """The good images of a folder that may be used, each checked to its last byte.

        barred: jobs in the run whose images may not be used again.
        """
        collection = self.opened.of_its_view(choice.read(self.host))
        self.progress.say(f"read as {collection.title}: {counted(len(collection.train), 'good image')}")
        if collection.test:
            self.progress.say(f"left out {counted(len(collection.test), 'image')} that are there to test on")
        for remark in collection.remarks:
            self.progress.say(remark)
        fresh = fresh_images(collection.train, self.known.jobs, barred)
        for sentence in fresh.skipped:
            self.progress.say(sentence)
        if not fresh.samples:
            raise InputError(
                f"{choice.root}: no new good images: all {len(collection.train)} are known to the run "
                "already; an image that taught it cannot show how a fresh one scores"
            )
        if not self.known.complete:
            self.progress.say(
                "this run did not write down which images it learned from, and its photographs are gone or "
                "changed: that none of those given taught it is for you to know"
            )
        source = self.source(fresh.samples)
        require_no_problems(source.problems(self.progress), len(source.ids))
        return fresh

    def source(self, samples: Sequence[Sample]) -> Source:
        """Images prepared as the run's, at its size."""
        return self.opened.source(samples)

    def require_learnable(self, recipe: Recipe, labelled: Sequence[Sample]) -> None:
        """Refuse thresholds that the images at hand cannot teach, before anything slow begins."""
        for rule, sides in build_rules(recipe, self.host):
            rule.check_samples(self.known.held_out["calibrate"], labelled, sides=sides)

    def decide(
        self, ensemble: FittedEnsemble, recipe: Recipe, calibrate: Sequence[Sample]
    ) -> Mapping[str, Decider]:
        """Thresholds and calibrators of every scorer from held-out good images, written."""
        evidence = self.gathering(ensemble, recipe).evidence(
            self.source(calibrate), self._labelled(recipe, self.known.labelled)
        )
        deciders = learn_deciders(recipe, self.host, evidence)
        save_deciders(self.written, deciders)
        for remark in decision_remarks(recipe, deciders[ENSEMBLE].decision):
            self.progress.say(remark)
        return deciders

    def gathering(self, ensemble: FittedEnsemble, recipe: Recipe) -> Gathering:
        """Where what thresholds learn from is scored."""
        colours = load_colours(self.written) or load_colours(self.opened.folder)
        return Gathering(ensemble, recipe, self.opened.preparation, colours, self.progress)

    def _labelled(self, recipe: Recipe, samples: Sequence[Sample]) -> Source | None:
        return self.source(samples) if needs_labels(recipe, self.host) else None

    def keep(
        self,
        kind: Kind,
        command: str,
        images: tuple[TakenImage, ...],
        changed: Sequence[str],
        deciders: Mapping[str, Decider],
    ) -> Entry:
        """Put what was written in force, as an entry."""
        entry = Entry(
            number=self.number,
            parent=self.history.present,
            kind=kind,
            date=now(),
            command=command,
            images=images,
            changed=tuple(changed),
            before=_thresholds(self.opened.deciders[ENSEMBLE]),
            after=_thresholds(deciders[ENSEMBLE]),
        )
        self.history.keep(entry, self.written)
        return entry


def _thresholds(decider: Decider) -> Thresholds:
    found = decider.decision
    return Thresholds(image=found.image, pixel=found.pixel, promise=found.promise, normals=found.normals)


@dataclass(frozen=True, slots=True)
class Adapting:
    """Where a finished run is changed: its folder, the plugins, where to compute and where weights lie.

    command: what was typed, for the history.
    """

    path: Path
    host: PluginHost
    progress: Progress
    command: str
    device: str = "auto"
    weights: tuple[str, ...] = ()

    @contextmanager
    def change(self) -> Iterator[Change]:
        """The run, locked and opened; if the block raises, it is as it was."""
        RunFolder(self.path).require_done()
        with RunFolder(self.path).locked():
            history = History(RunFolder(self.path))
            opened = open_run(
                self.path, self.host, device=self.device, weights=self.weights, cache=FeatureCache()
            )
            known = known_images(RunFolder(self.path), opened.lineage, self.host)
            with history.next() as (number, written):
                yield Change(history, opened, known, self.host, self.progress, number, written)
            refresh_notices(history, self.progress.say)


def go_back(path: Path, to: int | None, progress: Progress) -> int:
    """Put another entry of a finished run in force, under its lock; the number."""
    RunFolder(path).require_done()
    with RunFolder(path).locked():
        history = History(RunFolder(path))
        number = history.go_back(to)
        refresh_notices(history, progress.say)
    return number


def taken(samples: Sequence[Sample], fresh: Fresh, job: Job) -> tuple[TakenImage, ...]:
    """Images and the job they have from now on, for an entry."""
    return tuple(
        TakenImage(
            path=str(sample.path.resolve()),
            digest=fresh.digests[sample.path],
            job=job,
            defective=bool(sample.defective),
            masks=tuple(str(mask.resolve()) for mask in sample.masks),
        )
        for sample in samples
    )
