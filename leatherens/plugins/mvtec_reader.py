"""The layout of MVTec AD (Bergmann et al., CVPR 2019), which most later data sets took over."""

from __future__ import annotations

from pathlib import Path

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
from leatherens.core.reading import GOOD, Collection, Folders, Reader, Sample, remarks_on

_FOLDERS = ("train", "test", "ground_truth")


class MVTecReader(Reader):
    """One category: `train/good`, `test/good`, `test/DEFECT` and `ground_truth/DEFECT`.

    A mask is `NAME_mask.*` or `NAME.*`. Masks may be missing, of some images or of all.
    """

    id = "mvtec-ad"
    title = "MVTec AD"
    shape = "train/good, test/good, test/DEFECT and ground_truth/DEFECT/NAME_mask.png"

    def recognises(self, root: Path) -> bool:
        """By `train/good`, or by `test` with folders in it."""
        test = root / "test"
        return (root / "train" / GOOD).is_dir() or (test.is_dir() and bool(sub_folders(test)))

    def _read(self, folders: Folders) -> Collection:
        root = folders.root
        train, test, truth = (_listed(root / name) for name in ("train/good", "test", "ground_truth"))
        kinds = {image: image.relative_to(test.folder).parts[0] for image in _in_folders(test)}
        defects = {image: image.relative_to(test.folder) for image, kind in kinds.items() if kind != GOOD}
        masks = {mask: mask.relative_to(truth.folder) for mask in truth.images}
        masks = {mask: place for mask, place in masks.items() if place.parts[0] != GOOD}
        pairs, unpaired = pair_masks(defects, masks)
        tested = tuple(
            Sample(image, sample_id(image, root), kind != GOOD, pairs.get(image, ()), printable(kind))
            for image, kind in kinds.items()
        )
        ignored = (*train.ignored, *test.ignored, *truth.ignored)
        remarks = (*remarks_on(ignored, tested, unpaired), *_left_out(root, test))
        good = tuple(Sample(image, sample_id(image, root), False, defect=GOOD) for image in train.images)
        return Collection(root, self.id, self.title, good, tested, remarks)


def _listed(folder: Path) -> Listing:
    return images_under(folder) if folder.is_dir() else Listing(folder)


def _in_folders(test: Listing) -> list[Path]:
    return [image for image in test.images if image.parent != test.folder]


def _left_out(root: Path, test: Listing) -> list[str]:
    """Images the layout has no place for, which somebody may have meant to be used."""
    remarks = []
    loose = len(test.images) - len(_in_folders(test))
    if loose:
        remarks.append(
            f"left out {counted(loose, 'image')} directly in test: put them in test/good or test/DEFECT"
        )
    others = [folder for folder in sub_folders(root) if folder.name not in _FOLDERS]
    if (root / "train").is_dir():
        others += [folder for folder in sub_folders(root / "train") if folder.name != GOOD]
    filled = [sample_id(folder, root) for folder in others if images_under(folder).images]
    if filled:
        remarks.append(f"left out the images in {named(filled)}: the layout has no place for them")
    return remarks
