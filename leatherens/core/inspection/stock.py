"""What there is to inspect: the samples a reader found, each with the part it belongs to, and what it left
out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leatherens.core.errors import InputError
from leatherens.core.listing import MASK_FOLDERS, images_under, sample_id
from leatherens.core.reading import GOOD, Collection, Sample

TRAIN, VALIDATION, TEST, UNSORTED = "train", "validation", "test", "unsorted"
"""Parts of a collection; images of a folder that no reader understands are unsorted."""
PARTS = (TRAIN, VALIDATION, TEST, UNSORTED)
"""In this order, those to learn from first."""


@dataclass(frozen=True, slots=True)
class Item:
    """One image and the part of the collection it belongs to."""

    sample: Sample
    split: str

    @property
    def kind(self) -> str:
        """What it shows: "good", a kind of defect, or the folder it lies in where nobody has said."""
        return self.sample.defect or self.sample.path.parent.name


@dataclass(frozen=True, slots=True)
class Stock:
    """Everything in a folder.

    read: how it was read, a sentence. layout: the reader's id, `None` where none understands the folder;
    refusal then says why. remarks: the reader's own.
    masks_left: mask files that belong to no defective image.
    """

    root: Path
    read: str
    items: tuple[Item, ...]
    layout: str | None = None
    refusal: str = ""
    remarks: tuple[str, ...] = ()
    masks_left: tuple[Path, ...] = ()

    def part(self, *splits: str) -> tuple[Item, ...]:
        """The items of these parts."""
        return tuple(item for item in self.items if item.split in splits)

    def id_of(self, path: Path) -> str:
        """A file's name in messages."""
        return sample_id(path, self.root) if path.is_relative_to(self.root) else path.as_posix()


def stock_of(collection: Collection) -> Stock:
    """What a reader found."""
    parts = ((TRAIN, collection.train), (VALIDATION, collection.validation), (TEST, collection.test))
    items = tuple(Item(sample, split) for split, samples in parts for sample in samples)
    used = {path for item in items for path in (item.sample.path, *item.sample.masks)}
    left = [path for path in images_under(collection.root).images if path not in used]
    return Stock(
        collection.root,
        collection.sentence,
        items,
        layout=collection.layout,
        remarks=collection.remarks,
        masks_left=tuple(path for path in left if _is_mask(path, collection.root)),
    )


def unsorted_stock(root: Path, refusal: str) -> Stock:
    """All images below a folder that no reader understands, for the reason `refusal`."""
    images = images_under(root).images
    if not images:
        raise InputError(refusal)
    kept = [path for path in images if not _is_mask(path, root)]
    items = tuple(Item(Sample(path, sample_id(path, root)), UNSORTED) for path in kept)
    masks = tuple(path for path in images if _is_mask(path, root))
    return Stock(root, "read as no layout", items, refusal=refusal, masks_left=masks)


def _is_mask(path: Path, root: Path) -> bool:
    folders = (folder.lower() for folder in path.relative_to(root).parts[:-1])
    return path.stem.endswith("_mask") or not MASK_FOLDERS.isdisjoint(folders)


def of_good(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The masks that lie in a folder of good images."""
    return tuple(path for path in paths if path.parent.name.lower() == GOOD)
