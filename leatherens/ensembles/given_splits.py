"""Splits that somebody made: taken as they are, unless an image or a photograph would have two jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from leatherens.core.errors import InputError
from leatherens.core.listing import counted, named
from leatherens.core.reading import Collection, Sample
from leatherens.ensembles.splits import Splits, content_digests

_TEACHING = ("fit", "validate", "calibrate")


def given_splits(path: Path, collection: Collection) -> Splits:
    """The splits in a file, checked against the images; an `InputError` says what would leak.

    Images that the file does not name are left out; without any to calibrate, folds do (`crossing`). Refused:
    names that no image has, defective images that teach, nothing to do another job, and the same group, or
    the same picture under two names, in two jobs.
    """
    splits = Splits.read(path)
    samples = {sample.id: sample for sample in collection.samples}
    unknown = [id for ids in splits.jobs().values() for id in ids if id not in samples]
    if unknown:
        raise InputError(
            f"{path}: names {counted(len(unknown), 'image')} that {collection.root} does not hold: "
            f"{named(unknown)}"
        )
    for job in ("fit", "validate", "test"):
        if not splits.jobs()[job]:
            raise InputError(f"{path}: no image for '{job}'; name at least one")
    for job in _TEACHING:
        bad = [id for id in splits.jobs()[job] if samples[id].defective is not False]
        if bad:
            raise InputError(f"{path}: '{job}' is for good images only, and names {named(bad)}")
    require_no_leak(splits, samples, str(path))
    return splits


def require_no_leak(splits: Splits, samples: Mapping[str, Sample], owner: str) -> None:
    """Refuse splits of which two jobs share a group, or a picture by its content."""
    jobs = {job: [samples[id] for id in ids] for job, ids in splits.jobs().items()}
    digests = content_digests([sample.path for part in jobs.values() for sample in part])
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for job, part in jobs.items():
        for sample in part:
            for what, key in _marks(sample, digests[sample.path]):
                before, first = seen.setdefault((what, key), (job, sample.id))
                if before != job:
                    raise InputError(
                        f"{owner}: {first} is in '{before}' and {sample.id}, {what}, in '{job}'; what is "
                        "tested or calibrated with must not have been learned from: put both into one job"
                    )


def _marks(sample: Sample, digest: str) -> Sequence[tuple[str, str]]:
    """What must not be in two jobs: the picture, its group, its part."""
    found = [("the same picture", digest)]
    if sample.group is not None:
        found.append(("of the same group", sample.group))
    if sample.part:
        found.append(("of the same part", sample.part))
    return found
