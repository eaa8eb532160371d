"""Which images a run knows, and which of its held-out ones can be looked at again.

An image that taught cannot calibrate: it scores lower than a fresh one, and a threshold learned from it
breaks its promise. Images are told apart by the content of their files, not by their names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leatherens.core.artifact import read_json
from leatherens.core.errors import ArtifactError, InputError, LeatherensError
from leatherens.core.host import PluginHost
from leatherens.core.listing import counted, named
from leatherens.core.reading import Sample
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.history import Entry, TakenImage
from leatherens.ensembles.splits import Splits, content_digests, fingerprint

TAUGHT = ("fit", "validate", "teach")
"""Jobs whose images may never calibrate."""

HELD_OUT_JOBS = ("validate", "calibrate")

LABELLED_JOBS = ("threshold_labelled", "label")
"""Jobs of images whose labels a threshold learned from: of the run's own, and of those given since."""


@dataclass(slots=True)
class Known:
    """The images of a run and of what it took in since.

    jobs: by digest, the first an image had. held_out: those to validate and to calibrate on that are still on
    disk as they were. lost: how many are not. labelled: what thresholds with labels learn from, still there.
    own: the run's own images of any job, as far as its data can be read. complete: whether they are known by
    digest.
    """

    jobs: dict[str, str] = field(default_factory=dict)
    held_out: dict[str, list[Sample]] = field(default_factory=lambda: {job: [] for job in HELD_OUT_JOBS})
    lost: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HELD_OUT_JOBS, 0))
    labelled: list[Sample] = field(default_factory=list)
    own: tuple[Sample, ...] = ()
    complete: bool = True

    def hold(self, job: str, samples: Mapping[str, Sample | None]) -> None:
        """Take in images of a job by digest; `None` for one that is lost."""
        self.jobs = dict.fromkeys(samples, job) | self.jobs
        if job in HELD_OUT_JOBS:
            found = [sample for sample in samples.values() if sample is not None]
            self.held_out[job] += found
            self.lost[job] += len(samples) - len(found)
        if job in LABELLED_JOBS:  # those given since stand for all before
            self.labelled = [sample for sample in samples.values() if sample is not None]

    def drop_calibrate(self) -> None:
        """Other conditions began: what calibrated before does so no longer, found or lost."""
        self.held_out["calibrate"], self.lost["calibrate"], self.labelled = [], 0, []


def known_images(run: RunFolder, lineage: Sequence[Entry], host: PluginHost) -> Known:
    """What a run and the entries in force know."""
    known = Known()
    _add_own(known, run, host)
    for entry in lineage:
        if entry.kind == "recalibrate":
            known.drop_calibrate()
        for job in ("teach", "validate", "calibrate", "label"):
            taken = {image.digest: image for image in entry.images if image.job == job}
            there = _unchanged({Path(image.path): digest for digest, image in taken.items()})
            samples = {
                digest: _sample(image) if Path(image.path) in there else None
                for digest, image in taken.items()
            }
            if samples:
                known.hold(job, samples)
    return known


def _sample(image: TakenImage) -> Sample:
    return Sample(Path(image.path), image.path, image.defective, tuple(map(Path, image.masks)))


def _unchanged(digests: Mapping[Path, str]) -> set[Path]:
    """The files that still hold what their digest says."""
    there = [path for path in digests if path.is_file()]
    return {path for path, digest in content_digests(there).items() if digest == digests[path]}


def _add_own(known: Known, run: RunFolder, host: PluginHost) -> None:
    """The images the run was made with."""
    splits, samples = Splits.read(run.splits), _own_samples(run, host)
    digests = _own_digests(run, samples)
    known.own = tuple(samples.values())
    if digests is None:
        known.complete = False
        known.lost = {job: len(splits.jobs()[job]) for job in HELD_OUT_JOBS}
        return
    for job in ("fit", *HELD_OUT_JOBS, "threshold_labelled"):
        ids = splits.jobs()[job]
        if missing := [id for id in ids if id not in digests]:
            raise ArtifactError(f"{run.images}: damaged, it lacks {missing[0]}")
        there = _unchanged({samples[id].path: digests[id] for id in ids if id in samples})
        found = {id: samples[id] for id in ids if id in samples and samples[id].path in there}
        known.hold(job, {digests[id]: found.get(id) for id in ids})


def _own_samples(run: RunFolder, host: PluginHost) -> Mapping[str, Sample]:
    """The run's photographs by id as far as its data folder can still be read."""
    data = run.facts().data
    try:
        collection = data.read(host)
    except LeatherensError:  # moved, renamed or emptied since
        return {}
    return {sample.id: sample for sample in collection.samples}


def _own_digests(run: RunFolder, samples: Mapping[str, Sample]) -> Mapping[str, str] | None:
    """By id, as written down or, for a run made before that was done, of photographs that did not change."""
    if run.images.exists():
        found = read_json(run.images)
        if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
            raise ArtifactError(f"{run.images}: damaged, expected a digest for each image")
        return found
    if not samples:
        return None
    try:
        by_path = content_digests([sample.path for sample in samples.values()])
        same = fingerprint(samples.values(), by_path) == run.facts().data_fingerprint
    except InputError:
        return None
    return {id: by_path[sample.path] for id, sample in samples.items()} if same else None


@dataclass(frozen=True, slots=True)
class Fresh:
    """Images given that may be used: by path their digest; skipped: a sentence for each kind left out."""

    samples: tuple[Sample, ...]
    digests: Mapping[Path, str]
    skipped: tuple[str, ...]


def fresh_images(given: Sequence[Sample], known: Mapping[str, str], barred: Collection[str]) -> Fresh:
    """The images given, less those whose job in the run (by digest) is barred, and less twins."""
    digests = content_digests([sample.path for sample in given])
    left: dict[str, Sample] = {}
    twins: list[str] = []
    met: list[str] = []
    for sample in given:
        digest = digests[sample.path]
        if known.get(digest) in barred:
            met.append(sample.id)
        elif digest in left:
            twins.append(sample.id)
        else:
            left[digest] = sample
    reasons = ((met, "known to the run already"), (twins, "the same as another"))
    skipped = tuple(
        f"skipped {counted(len(ids), 'image')} {why}: {named(ids)}" for ids, why in reasons if ids
    )
    samples = tuple(left.values())
    return Fresh(samples, {sample.path: digests[sample.path] for sample in samples}, skipped)
