"""Which file is the picture that an annotator's file names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePath

from leatherens.core.errors import InputError
from leatherens.core.labels.annotations import Annotated
from leatherens.core.listing import counted, images_under, named, require_folder

MASK_FOLDERS = frozenset({"ground_truth", "mask", "masks"})
"""Folders below which no picture lies that an annotator has not named."""

_DRIVE_OR_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Pictures:
    """The pictures below a folder, by the names annotators give them.

    A name may have folders before it, which have to fit as far as both go: `cut/1.png` is found at
    `test/cut/1.png` and, with a folder `cut`, at `1.png` in it. Upper and lower case and the two ways
    to write an accent are one, unless both exist. by_name: folders are not looked at.
    changed: a file's size need not be the one it had when it was annotated.
    """

    def __init__(self, folder: Path, *, by_name: bool = False, changed: bool = False) -> None:
        require_folder(folder)
        self.folder = folder
        self.files = images_under(folder).images
        self._by_name = by_name
        self._changed = changed
        self._stems = {(file.parent, file.stem) for file in self.files}
        self._called: dict[str, list[tuple[tuple[str, ...], Path]]] = {}
        for file in self.files:
            parts = file.relative_to(folder).parts
            self._called.setdefault(_alike(parts[-1]), []).append((parts, file))

    def is_mask(self, file: Path) -> bool:
        """Whether a file is rather a mask than a picture, by its folder or its name."""
        folders, name = file.relative_to(self.folder).parts[:-1], file.stem
        in_masks = any(_alike(folder) in MASK_FOLDERS for folder in folders)
        owner = file.parent, name.removesuffix("_mask")
        return in_masks or (owner[1] != name and owner in self._stems)

    def find(self, pictures: Sequence[Annotated], source: Path) -> list[Path]:
        """The file of each picture; one sentence about all that are missing."""
        found: dict[Path, str] = {}
        missing = []
        for picture in pictures:
            file = self._file(picture, source)
            if file is None:
                missing.append(picture.name)
            elif file in found:
                both = picture.name if found[file] == picture.name else f"{found[file]} and {picture.name}"
                raise InputError(f"{source}: {both}: two entries for one picture, {file}; keep one")
            else:
                found[file] = picture.name
        if missing:
            raise InputError(
                f"{source}: {len(missing)} of {counted(len(pictures), 'image')} not found below "
                f"{self.folder}: {named(missing)}; give the folder of the annotated images"
            )
        return list(found)

    def _file(self, picture: Annotated, source: Path) -> Path | None:
        parts = self._parts(picture, source)
        candidates = [
            (place, file) for place, file in self._called.get(_alike(parts[-1]), []) if _fit(parts, place)
        ]
        if len(candidates) > 1:
            candidates = [entry for entry in candidates if entry[0] == parts] or candidates
        if len(candidates) > 1 and picture.bytes is not None:
            of_size = [entry for entry in candidates if entry[1].stat().st_size == picture.bytes]
            candidates = of_size or candidates
        files = [file for _, file in candidates]
        if len(files) > 1:
            raise InputError(
                f"{source}: {picture.name} fits {len(files)} images "
                f"({named([str(file) for file in files])}); rename them, or import folder by folder"
            )
        for file in files:
            self._require_size(picture, file, source)
        return files[0] if files else None

    def _require_size(self, picture: Annotated, file: Path, source: Path) -> None:
        size = file.stat().st_size
        if picture.bytes not in (None, size) and not self._changed:
            raise InputError(
                f"{source}: {picture.name} had {picture.bytes} bytes when it was annotated, {file} has "
                f"{size}; give the annotated images, or say --changed if only the file was saved anew"
            )

    def _parts(self, picture: Annotated, source: Path) -> tuple[str, ...]:
        """The folders and the name that a picture's file is known by."""
        name = picture.name.replace("\\", "/")
        if self._by_name:
            return (name.rsplit("/", 1)[-1],)
        if picture.beside is not None:
            inside = self._inside(picture.beside / name)
            if inside:
                return inside
        if name.startswith("/") and (inside := self._inside(Path(name))):
            return inside
        parts = PurePath(os.path.normpath(name)).parts
        if not name or name.startswith("/") or ".." in parts or _DRIVE_OR_URL.match(name) or parts == ():
            raise InputError(
                f"{source}: '{picture.name}' is not the name of an image below {self.folder}; "
                "say --by-name to look only at the last part of the names"
            )
        return parts

    def _inside(self, path: Path) -> tuple[str, ...]:
        """The parts of a path below the folder; none where it lies elsewhere."""
        full, folder = (PurePath(os.path.abspath(place)) for place in (path, self.folder))  # noqa: PTH100 - resolve() would follow links out of the folder
        return full.relative_to(folder).parts if full.is_relative_to(folder) else ()


def _alike(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _fit(name: tuple[str, ...], place: tuple[str, ...]) -> bool:
    """Whether two paths are the same as far as both go, from the end."""
    return all(
        _alike(one) == _alike(other) for one, other in zip(reversed(name), reversed(place), strict=False)
    )
