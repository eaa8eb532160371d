"""Readers that each break one promise, named for their sin; their layout is a folder `grain` of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import Self

from leatherens.core.listing import images_under, sample_id
from leatherens.core.reading import GOOD, Collection, Folders, Reader, Sample


class Grain(Reader):
    """Keeps the contract: `grain/*`, all good but those called bad."""

    id = "grain"
    title = "grain"
    shape = "grain/NAME.png"

    def recognises(self, root: Path) -> bool:
        return (root / "grain").is_dir()

    def _read(self, folders: Folders) -> Collection:
        root = folders.root
        images = images_under(root / "grain").images
        samples = [
            Sample(i, sample_id(i, root), i.stem == "bad", (), "cut" if i.stem == "bad" else GOOD)
            for i in images
        ]
        good, bad = (tuple(s for s in samples if s.defective is bad) for bad in (False, True))
        return Collection(root, self.id, self.title, good, bad)


class CalledByItsClass(Grain):
    id = "GrainReader"


class HasNoWords(Grain):
    shape = ""


class RefinesItself(Grain):
    refines = ("grain",)


class KnowsEverything(Grain):
    def recognises(self, root: Path) -> bool:
        return True


class KnowsNothing(Grain):
    def recognises(self, root: Path) -> bool:
        return False


class TakesAnyFile(Grain):
    takes_file = True

    def recognises(self, root: Path) -> bool:
        return root.is_file() or super().recognises(root)


class CrashesOnAMissingFolder(Grain):
    def read(self, root: Path, **options: Any) -> Collection:  # type: ignore[misc, override]
        return self._read(Folders(root))

    def _read(self, folders: Folders) -> Collection:
        next(folders.root.iterdir())
        return super()._read(folders)


class ReadsUnderAnotherName(Grain):
    def _read(self, folders: Folders) -> Collection:
        return replace(super()._read(folders), layout="mvtec-ad")


class Unsorted(Grain):
    def _read(self, folders: Folders) -> Collection:
        found = super()._read(folders)
        return replace(found, train=found.train[::-1])


class TeachesDefects(Grain):
    def _read(self, folders: Folders) -> Collection:
        found = super()._read(folders)
        return replace(found, train=tuple(sorted((*found.train, *found.test), key=lambda s: s.id)), test=())


class _Changed(Grain):
    """Says something else of every sample to test or to learn from."""

    part = "train"
    changes: ClassVar[Mapping[str, Any]] = {}

    def _read(self, folders: Folders) -> Collection:
        found = super()._read(folders)
        changed = tuple(replace(sample, **self.changes) for sample in getattr(found, self.part))
        return replace(found, **{self.part: changed})


class AbsoluteIds(_Changed):
    part = "test"
    changes: ClassVar[Mapping[str, Any]] = {"id": "/grain/bad.png"}


class InventsFiles(_Changed):
    part = "test"
    changes: ClassVar[Mapping[str, Any]] = {"masks": (Path("no such mask.png"),)}


class GoodWithADefect(_Changed):
    changes: ClassVar[Mapping[str, Any]] = {"defect": "ok"}


class DefectiveWithoutOne(_Changed):
    part = "test"
    changes: ClassVar[Mapping[str, Any]] = {"defect": GOOD}


class CountsItsReadings(Grain):
    readings = 0

    def _read(self, folders: Folders) -> Collection:
        type(self).readings += 1
        return replace(super()._read(folders), remarks=(f"read {self.readings} times",))


class LeavesACache(Grain):
    def _read(self, folders: Folders) -> Collection:
        (folders.root / "cache.json").write_text("{}", encoding="utf-8")
        return super()._read(folders)


class SwallowsOptions(Grain):
    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        return cls()


class ForgetsItsOptions(Grain):
    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.params = vars(self.params)
