"""Which photograph, hide or part an image is of, told by its name.

Tiles of one photograph look alike. Where some teach and others calibrate, the model has seen what it is
calibrated on, and promises too much; so what belongs together is named here and never split.
"""

from __future__ import annotations

import re
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
    torn = torn_groups(found)
    if torn:
        raise InputError(
            f"--group-by '{pattern}': {counted(len(torn), 'group')} both to learn from and to test: "
            f"{named(torn)}; move all images of a group to one side"
        )
    count = len({sample.group for sample in found.samples})
    return replace(found, remarks=(*found.remarks, f"{counted(count, 'group')} by the names of the images"))


def torn_groups(collection: Collection) -> list[str]:
    """The groups with images both to learn from and to test, sorted."""
    taught, tested = (
        {sample.group for sample in part if sample.group is not None}
        for part in ((*collection.train, *collection.validation), collection.test)
    )
    return sorted(taught & tested)


def _group(sample: Sample, pattern: re.Pattern[str]) -> str:
    match = pattern.search(sample.id)
    name = (match[1] if pattern.groups else match[0]) if match else None
    if not name:
        raise InputError(
            f"--group-by '{pattern.pattern}': finds nothing in {sample.id}; "
            "give a pattern that fits every image"
        )
    return name
