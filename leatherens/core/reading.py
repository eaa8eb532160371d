"""The contract of a reader: from a folder on disk to named samples, of which no file has been opened.

A reader knows one layout: which image lies where, what it shows, and where its mask lies. Opening
the files, and refusing those that cannot be used, is the business of the image source.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn, final

from leatherens.core.errors import InputError, UnknownPlugin, did_you_mean
from leatherens.core.listing import counted, images_under, named, require_folder, sample_id, sub_folders
from leatherens.core.photographs import IMAGE_SUFFIXES

GOOD = "good"
"""What `Sample.defect` says of an image without a defect."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image on disk.

    id: posix path below the collection's root, the image's name in every file and message.
    defective: the label, `None` where nobody has labelled it.
    masks: files of the marked defects, their union is the defect; none for good images and where only labels
        exist.
    defect: kind of defect ("cut", "hole"), "good" without one, "" where unlabelled.
    group: samples of one group (one hide, one photograph) are never split; `None` stands alone.
    view: of several camera positions the one it was taken from, "" where there is one.
    part: the piece it shows, where several images show one piece, "" where each is a piece of its own.
    """

    path: Path
    id: str
    defective: bool | None = None
    masks: tuple[Path, ...] = ()
    defect: str = ""
    group: str | None = None
    view: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """What a reader found: good images to learn from, others to test on, and what a user should know.

    layout, title: id and name of the reader. remarks: one sentence each. validation: good images that the
    layout keeps apart to validate and to calibrate on; most keep none, and a share of `train` is used.
    """

    root: Path
    layout: str
    title: str
    train: tuple[Sample, ...]
    test: tuple[Sample, ...] = ()
    remarks: tuple[str, ...] = ()
    validation: tuple[Sample, ...] = ()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All of them, those to learn from first."""
        return (*self.train, *self.validation, *self.test)

    @property
    def sentence(self) -> str:
        """How the folder was read, for the user to agree or disagree with."""
        good, defective = self._tested
        if not good:
            learned = f"{len(self.train)} good to learn from and to test"
            return f"read as {self.title}: {learned}" + (
                f", {defective} defective to test" if defective else ""
            )
        kept = f"{len(self.validation)} good to validate on, " if self.validation else ""
        tested = f"{good} good and {defective} defective to test"
        return f"read as {self.title}: {len(self.train)} good to learn from, {kept}{tested}"

    @property
    def _tested(self) -> tuple[int, int]:
        good = sum(sample.defective is False for sample in self.test)
        return good, len(self.test) - good


@dataclass(frozen=True, slots=True)
class Folders:
    """Where to read: the collection's root and, for layouts that take them, folders beside it."""

    root: Path
    defects: Path | None = None
    masks: Path | None = None


class Reader(ABC):
    """Plugin kind `readers`: knows one layout of images on disk.

    title: its name in sentences ("MVTec AD", "a plain folder").
    shape: what such a folder holds, for messages.
    takes_defects: folders of defective images and of masks may be named beside the root.
    fallback: asked only about folders that no other reader recognises.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    shape: ClassVar[str]
    takes_defects: ClassVar[bool] = False
    fallback: ClassVar[bool] = False

    @abstractmethod
    def recognises(self, root: Path) -> bool:
        """Whether a folder has this layout, by the names in it."""

    @abstractmethod
    def _read(self, folders: Folders) -> Collection:
        """The samples, each part sorted by id."""

    @final
    def read(
        self, root: Path, *, defects: Path | None = None, masks: Path | None = None, learning: bool = True
    ) -> Collection:
        """The samples of a folder; `InputError` where there is nothing to learn from, if that is meant."""
        for folder in (root, defects, masks):
            if folder is not None:
                require_folder(folder)
        if not self.recognises(root):
            raise InputError(f"{root}: not {self.title}; expected {self.shape}")
        if not self.takes_defects and (defects or masks):
            raise InputError(
                f"{root}: {self.title} names its own defects and masks; "
                "name none beside it, or give the folder of its good images only"
            )
        collection = self._read(Folders(root, defects, masks))
        self._check(collection, learning)
        return collection

    def _check(self, collection: Collection, learning: bool) -> None:
        if learning and not collection.train:
            good, defective = collection._tested
            found = f"{good} good and {defective} defective to test"
            raise InputError(
                f"{collection.root}: read as {self.title}, there are no good images to learn from ({found}); "
                f"expected {self.shape}"
            )
        seen: dict[str, Path] = {}
        for sample in collection.samples:
            if sample.id in seen:
                both = f"{seen[sample.id]} and {sample.path}"
                raise InputError(f"{collection.root}: two images are called {sample.id} ({both}); rename one")
            seen[sample.id] = sample.path


def read_folder(
    readers: Mapping[str, Reader],
    root: Path,
    *,
    layout: str | None = None,
    defects: Path | None = None,
    masks: Path | None = None,
    learning: bool = True,
) -> Collection:
    """The samples of a folder, by the reader called `layout` or else the one that recognises it."""
    require_folder(root)
    reader = _recognising(readers, root) if layout is None else _named(readers, layout)
    return reader.read(root, defects=defects, masks=masks, learning=learning)


def _named(readers: Mapping[str, Reader], layout: str) -> Reader:
    if layout in readers:
        return readers[layout]
    known = sorted(readers)
    hint = did_you_mean(layout, known) or ";"
    message = f"unknown layout '{layout}'{hint} (layouts: {', '.join(known)})"
    raise UnknownPlugin(message, id=layout, candidates=known)


def _recognising(readers: Mapping[str, Reader], root: Path) -> Reader:
    found = _layouts(readers, root, fallback=False)
    if not found:
        _refuse_parent(readers, root)
        found = _layouts(readers, root, fallback=True)
    if len(found) > 1:
        raise InputError(f"{root}: fits the layouts {' and '.join(found)}; name one of them as the layout")
    if not found:
        _refuse_unknown(readers, root)
    return readers[found[0]]


def _layouts(readers: Mapping[str, Reader], root: Path, *, fallback: bool) -> list[str]:
    return [
        id
        for id, reader in sorted(readers.items())
        if reader.fallback is fallback and reader.recognises(root)
    ]


def _refuse_parent(readers: Mapping[str, Reader], root: Path) -> None:
    """Refuse a folder of collections, which would otherwise be read as one."""
    parts = [folder for folder in sub_folders(root) if _layouts(readers, folder, fallback=False)]
    if len(parts) == 1:
        raise InputError(f"{root}: the collection lies one folder down; give {parts[0]}")
    if parts:
        names = named([part.name for part in parts])
        raise InputError(
            f"{root}: {len(parts)} collections lie here ({names}); give one of them, such as {parts[0]}"
        )


def _refuse_unknown(readers: Mapping[str, Reader], root: Path) -> NoReturn:
    if not images_under(root).images:
        raise InputError(
            f"{root}: no images in it ({_suffixes()}); give the folder that holds the photographs"
        )
    shapes = "; ".join(f"{reader.title}: {reader.shape}" for _, reader in sorted(readers.items()))
    raise InputError(f"{root}: no layout fits it; arrange it as one of: {shapes}")


def unlabelled(paths: Sequence[Path]) -> tuple[Sample, ...]:
    """Image files, and all images below folders, to be judged: nothing is known of them.

    Their ids are paths below the folder that holds them all; an image given twice comes once.
    """
    images = {_absolute(image): image for path in paths for image in _images_at(path)}
    if not images:
        raise InputError("no images are given; give image files, or folders that hold some")
    root = Path(os.path.commonpath([_absolute(path if path.is_dir() else path.parent) for path in paths]))
    return tuple(Sample(given, sample_id(image, root)) for image, given in images.items())


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links out of the folder


def _images_at(path: Path) -> tuple[Path, ...]:
    if not path.is_dir():
        return (path,)
    images = images_under(path).images
    if not images:
        raise InputError(f"{path}: no images in it ({_suffixes()}); give images or a folder that holds some")
    return images


def _suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))


def remarks_on(
    ignored: Sequence[Path], tested: Sequence[Sample], unpaired: Sequence[Path]
) -> tuple[str, ...]:
    """What every layout has to tell: files passed over, defects without a mask, masks without an image."""
    defective = [sample for sample in tested if sample.defective]
    bare = [sample.id for sample in defective if not sample.masks]
    remarks = []
    if ignored:
        names = named([path.name for path in ignored])
        remarks.append(f"passed over {counted(len(ignored), 'file')} hidden or not an image: {names}")
    if bare and len(bare) == len(defective):
        remarks.append("no defective image has a mask: results are for whole images only")
    elif bare:
        remarks.append(f"{len(bare)} of {len(defective)} defective images have no mask: {named(bare)}")
    if unpaired:
        names = named([path.name for path in unpaired])
        remarks.append(f"{counted(len(unpaired), 'mask')} without an image: {names}")
    return tuple(remarks)
