"""Photographs as people keep them: a folder of good ones, perhaps a folder of bad ones beside it."""

from __future__ import annotations

from pathlib import Path

from leatherens.core.errors import InputError
from leatherens.core.listing import (
    MASK_FOLDERS,
    counted,
    images_under,
    named,
    pair_masks,
    printable,
    sample_id,
    sub_folders,
)
from leatherens.core.reading import (
    DEFECT_NAMES,
    GOOD,
    GOOD_NAMES,
    Collection,
    Folders,
    Reader,
    Sample,
    remarks_on,
)


class FolderReader(Reader):
    """A folder of good images, in sub-folders or not; folders in it may hold the others.

    Directly in the root, in any case: `good` (or `normal`, `ok`) holds the good images, and without
    it all images elsewhere are good; `defective` (or `bad`, `anomaly`, `ko`, `ng` ...) holds
    defective ones, their sub-folders named after the defect; `masks` (or `ground_truth`), there or
    in a folder of defective ones, holds masks. A `NAME_mask.*` beside `NAME.*` is a mask too.
    Folders of defective images and of masks may also be named explicitly, wherever they lie.
    """

    id = "folder"
    title = "a plain folder"
    shape = "images of good surfaces, or the folders good, defective and masks"
    takes_defects = True
    fallback = True

    def recognises(self, root: Path) -> bool:
        """Any folder with images, unless it is divided into train and test."""
        divided = any(folder.name.lower() in ("train", "test") for folder in sub_folders(root))
        return not divided and bool(images_under(root).images)

    def _read(self, folders: Folders) -> Collection:
        root = folders.root
        defects = [*_called(root, DEFECT_NAMES), *_named_by_user(folders.defects, root)]
        masks = [inner for folder in (root, *defects) for inner in _called(folder, MASK_FOLDERS)]
        masks += _named_by_user(folders.masks, root)
        below = images_under(root)
        apart = [image for image in below.images if not _lies_in(image, defects + masks)]
        good = [image for image in apart if _lies_in(image, _called(root, GOOD_NAMES) or [root])]
        _refuse_masks(good)
        _refuse_deep_defects(root, good)
        tested, unpaired = _defective(root, defects, masks)
        outside = [images_under(folder).ignored for folder in defects + masks if not _lies_in(folder, [root])]
        ignored = (*below.ignored, *(path for paths in outside for path in paths))
        remarks = (*remarks_on(ignored, tested, unpaired), *_doubts(root, good, set(apart) - set(good)))
        taken = tuple(Sample(image, sample_id(image, root), False, defect=GOOD) for image in good)
        return Collection(root, self.id, self.title, taken, tested, remarks)


def _defective(
    root: Path, folders: list[Path], masks: list[Path]
) -> tuple[tuple[Sample, ...], tuple[Path, ...]]:
    """The defective samples, sorted by id, and the masks that belong to none of them."""
    places = {
        image: image.relative_to(folder.parent) for folder in folders for image in images_under(folder).images
    }
    places = {image: place for image, place in places.items() if not _lies_in(image, masks)}
    beside = {mask: places.pop(mask) for mask in _masks_beside(list(places))}
    marked = {mask: mask.relative_to(folder) for folder in masks for mask in images_under(folder).images}
    pairs, unpaired = pair_masks(places, {**marked, **beside})
    samples = []
    for image, place in places.items():
        id = sample_id(image, root) if _lies_in(image, [root]) else printable(place.as_posix())
        kind = printable(place.parts[1 if len(place.parts) > 2 else 0])
        samples.append(Sample(image, id, True, pairs.get(image, ()), kind))
    return tuple(sorted(samples, key=lambda sample: sample.id)), unpaired


def _called(root: Path, names: frozenset[str]) -> list[Path]:
    return [folder for folder in sub_folders(root) if folder.name.lower() in names]


def _named_by_user(folder: Path | None, root: Path) -> list[Path]:
    """The folder, as a path below the root if it lies there."""
    if folder is None:
        return []
    real, real_root = folder.resolve(), root.resolve()
    if real_root.is_relative_to(real):
        raise InputError(
            f"{folder}: holds the good images as well ({root}); give a folder beside or below them"
        )
    return [root / real.relative_to(real_root) if real.is_relative_to(real_root) else folder]


def _lies_in(path: Path, folders: list[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _masks_beside(images: list[Path]) -> list[Path]:
    """The images called NAME_mask where a NAME lies in the same folder."""
    stems = {(image.parent, image.stem) for image in images}
    marked = [image for image in images if image.stem.endswith("_mask")]
    return [mask for mask in marked if (mask.parent, mask.stem.removesuffix("_mask")) in stems]


def _refuse_masks(good: list[Path]) -> None:
    for mask in _masks_beside(good)[:1]:
        raise InputError(
            f"{mask}: a mask beside an image taken for good; move defective images and their masks "
            "into a folder named defective"
        )


def _refuse_deep_defects(root: Path, good: list[Path]) -> None:
    """Folders of defects count directly in the root only; further down nobody meant them to be good."""
    for image in good:
        for folder in image.relative_to(root).parents:
            if folder.name.lower() in DEFECT_NAMES:
                raise InputError(
                    f"{root / folder}: called {folder.name}, but would be taken for good, as it does not lie "
                    f"directly in {root}; move it there, or give the folder that holds it"
                )


def _doubts(root: Path, good: list[Path], left: set[Path]) -> list[str]:
    """Decisions about sub-folders that the user may not have meant."""
    remarks = []
    kinds = sorted({image.relative_to(root).parts[0] for image in good if image.parent != root})
    unnamed = [kind for kind in kinds if kind.lower() not in GOOD_NAMES]
    if unnamed:
        remarks.append(f"took all images in {named(unnamed)} for good")
    if left:
        places = sorted({image.relative_to(root).parent.as_posix() for image in left})
        remarks.append(
            f"left out {counted(len(left), 'image')} in {named(places)}: neither good nor defective by name"
        )
    return remarks
