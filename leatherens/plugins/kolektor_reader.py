"""The layouts of KolektorSDD (Tabernik et al., 2020) and KolektorSDD2 (Bozic et al., 2021).

Every image has a mask, empty where it is good, so the labels come from opening the masks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from leatherens.core.listing import counted, images_under, named, sample_id, sub_folders
from leatherens.core.photographs import read_mask
from leatherens.core.reading import GOOD, Collection, Folders, Reader, Sample, remarks_on
from leatherens.core.undivided import every_fifth_tested

_ITEM = re.compile(r"kos\d+")
DEFECT = "defect"
"""The one kind there is."""


class KolektorReader(Reader):
    """`kosNN/PartN.jpg` and `kosNN/PartN_label.bmp`: fifty commutators, of each eight sides.

    All sides with a defect are tested, and the good sides of every fifth commutator. Each commutator has a
    side with a defect, so that those tested and those learned from may be of one commutator, but never two
    good ones: a commutator is a group.
    """

    id = "kolektor-sdd"
    title = "KolektorSDD"
    shape = "kos01/Part0.jpg and kos01/Part0_label.bmp"

    def recognises(self, root: Path) -> bool:
        """By a folder kosNN with labels in it."""
        items = (folder for folder in sub_folders(root) if _ITEM.fullmatch(folder.name))
        return any(next(folder.glob("*_label.*"), None) for folder in items)

    def _read(self, folders: Folders) -> Collection:
        root = folders.root
        items = [folder for folder in sub_folders(root) if _ITEM.fullmatch(folder.name)]
        labelled, remarks = _labelled(root, items, "_label")
        samples = [replace(sample, group=sample.path.parent.name) for sample in labelled]
        train, good = every_fifth_tested(sample for sample in samples if not sample.defective)
        test = _by_id((*good, *(sample for sample in samples if sample.defective)))
        return Collection(root, self.id, self.title, train, test, remarks)


class Kolektor2Reader(Reader):
    """`train/NAME.png` with `train/NAME_GT.png`, and `test` alike; no defective image of `train` is used."""

    id = "kolektor-sdd2"
    title = "KolektorSDD2"
    shape = "train/NAME.png and train/NAME_GT.png, test/NAME.png and test/NAME_GT.png"

    def recognises(self, root: Path) -> bool:
        """By masks beside the images, in `train` or in `test`."""
        return any(next((root / part).glob("*_GT.*"), None) for part in ("train", "test"))

    def _read(self, folders: Folders) -> Collection:
        root = folders.root
        parts = {part: root / part for part in ("train", "test")}
        samples, remarks = _labelled(root, [folder for folder in parts.values() if folder.is_dir()], "_GT")
        train, test = ([s for s in samples if s.path.is_relative_to(folder)] for folder in parts.values())
        good = [sample for sample in train if not sample.defective]
        if len(good) < len(train):
            number = counted(len(train) - len(good), "defective image")
            remarks = (*remarks, f"left out {number} in train: only good images teach")
        return Collection(root, self.id, self.title, _by_id(good), _by_id(test), remarks)


def _labelled(root: Path, folders: Iterable[Path], ending: str) -> tuple[list[Sample], tuple[str, ...]]:
    """The images that have a mask, which is called like its image and ends in `ending`, and what to know."""
    listings = [images_under(folder) for folder in folders]
    images: dict[Path, Path] = {}
    masks: dict[Path, Path] = {}
    for path in (path for listing in listings for path in listing.images):
        stem = path.stem.removesuffix(ending)
        (images if stem == path.stem else masks)[path.parent / stem] = path
    owned = {image: masks[place] for place, image in images.items() if place in masks}
    with ThreadPoolExecutor() as pool:
        marked = pool.map(lambda mask: bool(read_mask(mask).any()), owned.values())
        samples = [
            Sample(image, sample_id(image, root), True, (mask,), DEFECT)
            if bad
            else Sample(image, sample_id(image, root), False, defect=GOOD)
            for (image, mask), bad in zip(owned.items(), marked, strict=True)
        ]
    unpaired = [mask for place, mask in masks.items() if place not in images]
    remarks = remarks_on([path for listing in listings for path in listing.ignored], samples, unpaired)
    bare = [sample_id(image, root) for image in images.values() if image not in owned]
    if bare:
        number = counted(len(bare), "image")
        remarks = (*remarks, f"left out {number} without a mask, which would tell the label: {named(bare)}")
    return samples, remarks


def _by_id(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=lambda sample: sample.id))
