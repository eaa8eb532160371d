"""Several collections read as one: every name then begins with its collection's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from leatherens.core.reading import Collection, Sample


def joined_collections(collections: Mapping[str, Collection], root: Path) -> Collection:
    """All samples of collections by name; root: a folder that holds them all.

    Ids, groups and parts begin with their collection's name, so that none of two are taken for one.
    """
    parts = ("train", "test", "validation")
    samples = {
        part: tuple(
            _named(name, sample) for name, found in collections.items() for sample in getattr(found, part)
        )
        for part in parts
    }
    title = f"{len(collections)} collections joined ({', '.join(collections)})"
    remarks = tuple(f"{name}: {told}" for name, found in collections.items() for told in found.remarks)
    return Collection(
        root, "joined", title, samples["train"], samples["test"], remarks, samples["validation"]
    )


def joined_name(collection: str, name: str) -> str:
    """What an id, a group or a part is called among those of other collections.

    >>> joined_name("hides", "test/cut/1.png")
    'hides/test/cut/1.png'
    """
    return f"{collection}/{name}"


def _named(collection: str, sample: Sample) -> Sample:
    return replace(
        sample,
        id=joined_name(collection, sample.id),
        group=None if sample.group is None else joined_name(collection, sample.group),
        part=joined_name(collection, sample.part) if sample.part else "",
    )
