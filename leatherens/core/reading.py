"""The contract of a reader: from a folder on disk to named samples, of which no photograph has been opened.

A reader knows one layout: which image lies where, what it shows, and where its mask lies. Opening
the files, and refusing those that cannot be used, is the business of the image source; which reader
reads a folder is chosen in `layouts`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

from typing_extensions import Self

from leatherens.core.errors import InputError
from leatherens.core.listing import counted, images_under, named, require_folder, sample_id
from leatherens.core.params import Params, parse_params
from leatherens.core.photographs import IMAGE_SUFFIXES
from leatherens.core.saturation import Saturation

GOOD = "good"
"""What `Sample.defect` says of an image without a defect."""
GOOD_NAMES = frozenset({"good", "normal", "ok"})
DEFECT_NAMES = frozenset(
    {"abnormal", "anomalies", "anomalous", "anomaly", "bad", "defect", "defective", "defects", "ko", "ng"}
)
"""What people call folders and labels of images without and with defects, in lower case."""

SUFFIXES = ", ".join(sorted(IMAGE_SUFFIXES))
"""For messages."""


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
    saturations: how much of each kind of defect must be found, where each of `masks` marks one defect by the
        grey level of its kind; nothing where every marked pixel counts.
    """

    path: Path
    id: str
    defective: bool | None = None
    masks: tuple[Path, ...] = ()
    defect: str = ""
    group: str | None = None
    view: str = ""
    part: str = ""
    saturations: tuple[Saturation, ...] = ()


def is_known(sample: Sample) -> bool:
    """Whether each pixel is known to show a defect or not: good images, and defective ones with a mask."""
    return sample.defective is False or (sample.defective is True and bool(sample.masks))


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
        kept = f", {len(self.validation)} good to validate on" if self.validation else ""
        learned = f"{len(self.train)} good to learn from"
        good, defective, unlabelled = self._tested
        more = f"{defective} defective" if not unlabelled else f"{unlabelled} unlabelled"
        if unlabelled and defective:
            more = f"{defective} defective and {more}"
        if not good:
            tested = f", {more} to test" if defective or unlabelled else ""
            return f"read as {self.title}: {learned} and to test{kept}{tested}"
        joint = ", " if unlabelled and defective else " and "
        return f"read as {self.title}: {learned}{kept}, {good} good{joint}{more} to test"

    @property
    def _tested(self) -> tuple[int, int, int]:
        """Of the images to test, how many are good, defective, unlabelled."""
        found = Counter(sample.defective for sample in self.test)
        return found[False], found[True], found[None]


@dataclass(frozen=True, slots=True)
class Folders:
    """Where to read: the collection's root or the file that lists it, and folders beside it if any."""

    root: Path
    defects: Path | None = None
    masks: Path | None = None


class Reader(ABC):
    """Plugin kind `readers`: knows one layout of images on disk.

    title: its name in sentences ("MVTec AD", "a plain folder").
    shape: what such a folder holds, for messages.
    takes_defects: folders of defective images and of masks may be named beside the root.
    takes_file: a file may be given instead of a folder.
    fallback: asked only about folders that no other reader recognises.
    refines: ids of more general layouts, which such a folder has as well; it is read as this one. "*" means
        all others: somebody wrote down what is there.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    shape: ClassVar[str]
    takes_defects: ClassVar[bool] = False
    takes_file: ClassVar[bool] = False
    fallback: ClassVar[bool] = False
    refines: ClassVar[tuple[str, ...]] = ()

    class Params(Params):
        """No options; a `layout.yaml` in the folder gives them to readers that have some."""

    def __init__(self, params: Any = None) -> None:
        self.params: Any = self.Params() if params is None else params

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Made from plain options; a wrong one is a `ConfigError`."""
        return cls(parse_params(cls.Params, options, owner=cls.id))

    @abstractmethod
    def recognises(self, root: Path) -> bool:
        """Whether a folder, or a file where one is taken, has this layout, by the names in it."""

    @abstractmethod
    def _read(self, folders: Folders) -> Collection:
        """The samples, each part sorted by id."""

    @final
    def read(
        self, root: Path, *, defects: Path | None = None, masks: Path | None = None, learning: bool = True
    ) -> Collection:
        """The samples of a folder; `InputError` where there is nothing to learn from, if that is meant."""
        for folder in (root, defects, masks):
            if folder is not None and not (folder is root and self.takes_file and root.is_file()):
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
            good, defective, _ = collection._tested
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
        raise InputError(f"{path}: no images in it ({SUFFIXES}); give images or a folder that holds some")
    return images


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
        remarks.append(unpaired_remark(unpaired))
    return tuple(remarks)


def unpaired_remark(masks: Sequence[Path]) -> str:
    """What there is to tell of masks that belong to no image."""
    return f"{counted(len(masks), 'mask')} without an image: {named([path.name for path in masks])}"
