"""What belongs together: which images are of one photograph, hide or part, by the reader or by their names.

Tiles of one photograph look alike. Where some teach and others calibrate, the model has seen what it is
calibrated on, and promises too much; so what belongs together is named here and never split.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.listing import counted, named
from leatherens.core.reading import Collection, Sample


def grouped(collection: Collection, pattern: str) -> Collection:
    """The samples in groups: what `pattern` finds in an id, or its first parenthesis if it has one.

    An id is the path below the collection's root. Raises `ConfigError` for what is no pattern, `InputError`
    where an id does not fit or one group is both to learn from and to test.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--group-by '{pattern}': no regular expression ({error})") from None
    parts = [
        tuple(replace(sample, group=_group(sample, compiled)) for sample in part)
        for part in (collection.train, collection.test, collection.validation)
    ]
    found = replace(collection, train=parts[0], test=parts[1], validation=parts[2])
    torn = torn_groups((*found.train, *found.validation), found.test)
    if torn:
        raise InputError(
            f"--group-by '{pattern}': {counted(len(torn), 'group')} both to learn from and to test: "
            f"{named(torn)}; move all images of a group to one side"
        )
    count = len({sample.group for sample in found.samples})
    return replace(found, remarks=(*found.remarks, f"{counted(count, 'group')} by the names of the images"))


def by_group(samples: Iterable[Sample]) -> dict[tuple[bool, str], list[Sample]]:
    """The samples that stay together, in their order; one without a group is a group of its own."""
    groups: dict[tuple[bool, str], list[Sample]] = {}
    for sample in samples:
        alone = sample.group is None
        groups.setdefault((alone, sample.id if sample.group is None else sample.group), []).append(sample)
    return groups


def torn_groups(taught: Iterable[Sample], tested: Iterable[Sample]) -> list[str]:
    """The groups with images both to learn from and to test, sorted."""
    sides = ({sample.group for sample in side if sample.group is not None} for side in (taught, tested))
    return sorted(set.intersection(*sides))


def _group(sample: Sample, pattern: re.Pattern[str]) -> str:
    match = pattern.search(sample.id)
    name = (match[1] if pattern.groups else match[0]) if match else None
    if not name:
        raise InputError(
            f"--group-by '{pattern.pattern}': finds nothing in {sample.id}; "
            "give a pattern that fits every image"
        )
    return name
