"""Layouts divided into train, test and ground truth: MVTec AD began, most later data sets took it over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from leatherens.core.listing import (
    Listing,
    counted,
    images_under,
    named,
    pair_masks,
    printable,
    sample_id,
    sub_folders,
)
from leatherens.core.reading import GOOD, Collection, Reader, Sample, remarks_on

Pairing = Callable[
    [Mapping[Path, PurePath], Mapping[Path, PurePath]],
    "tuple[Mapping[Path, tuple[Path, ...]], tuple[Path, ...]]",
]
"""From images and masks with their places below folders that correspond, to the masks of each image and
those that belong to none."""


@dataclass(frozen=True, slots=True)
class Divided:
    """Where such a layout keeps what.

    good: name of the folder of good images, in `train`, in `validation` if there is one, and in `test`.
    test, truth: the folders of kinds of tested images and of masks, below the root.
    pair: which masks belong to which image.
    untold: folders at the root that are left out without a word.
    """

    good: str = GOOD
    test: str = "test"
    truth: str = "ground_truth"
    pair: Pairing = pair_masks
    untold: tuple[str, ...] = ()

    def read(self, reader: Reader, root: Path) -> Collection:
        """The samples of a folder, as `reader` gives them."""
        train, validation = (_listed(root / part / self.good) for part in ("train", "validation"))
        test, truth = _listed(root / self.test), _listed(root / self.truth)
        kinds = {image: image.relative_to(test.folder).parts[0] for image in self._tested(test)}
        defects = {i: i.relative_to(test.folder) for i, kind in kinds.items() if kind != self.good}
        masks = {mask: mask.relative_to(truth.folder) for mask in truth.images}
        masks = {mask: place for mask, place in masks.items() if place.parts[0] != self.good}
        pairs, unpaired = self.pair(defects, masks)
        tested = tuple(
            Sample(image, sample_id(image, root), True, pairs.get(image, ()), printable(kind))
            if image in defects
            else _good(image, root)
            for image, kind in kinds.items()
        )
        ignored = {path: None for part in (train, validation, test, truth) for path in part.ignored}
        remarks = (*remarks_on(tuple(ignored), tested, unpaired), *self._left_out(root, test))
        taught, kept = (tuple(_good(i, root) for i in part.images) for part in (train, validation))
        return Collection(root, reader.id, reader.title, taught, tested, remarks, kept)

    def _tested(self, test: Listing) -> list[Path]:
        """The images in folders of kinds: not those directly in `test`, nor masks that lie in it."""
        truth = test.folder / PurePath(self.truth).name
        return [i for i in test.images if i.parent != test.folder and not i.is_relative_to(truth)]

    def _left_out(self, root: Path, test: Listing) -> list[str]:
        """Images the layout has no place for, which somebody may have meant to be used."""
        remarks = []
        loose = sum(image.parent == test.folder for image in test.images)
        if loose:
            told = f"left out {counted(loose, 'image')} directly in {self.test}"
            remarks.append(f"{told}: put them in {self.test}/{self.good} or {self.test}/DEFECT")
        parts = ("train", "validation")
        known = {*parts, *self.untold, *(PurePath(path).parts[0] for path in (self.test, self.truth))}
        others = [folder for folder in sub_folders(root) if folder.name not in known]
        for part in parts:
            inner = sub_folders(root / part) if (root / part).is_dir() else []
            others += [folder for folder in inner if folder.name != self.good]
        filled = [sample_id(folder, root) for folder in others if images_under(folder).images]
        if filled:
            remarks.append(f"left out the images in {named(filled)}: the layout has no place for them")
        return remarks


def _listed(folder: Path) -> Listing:
    return images_under(folder) if folder.is_dir() else Listing(folder)


def _good(image: Path, root: Path) -> Sample:
    return Sample(image, sample_id(image, root), False, defect=GOOD)
