"""Splits that somebody made: taken as they are, unless an image or a photograph would have two jobs."""

from __future__ import annotations

from pathlib import Path

from leatherens.core.errors import InputError
from leatherens.core.listing import counted, named
from leatherens.core.reading import Collection
from leatherens.ensembles.leaks import leaks, refuse
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
    named_images = [samples[id].path for ids in splits.jobs().values() for id in ids]
    refuse(leaks(splits, samples, content_digests(named_images)), str(path))
    return splits
