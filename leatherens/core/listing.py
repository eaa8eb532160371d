"""Files on disk: which images lie below a folder, and which mask belongs to which image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NoReturn

from leatherens.core.errors import InputError
from leatherens.core.photographs import IMAGE_SUFFIXES

MASK_FOLDERS = frozenset({"ground_truth", "mask", "masks"})
"""Folders with these names, in either case, hold masks."""

_NAMED = 5  # files or folders named in one sentence; the rest are counted


def require_folder(root: Path) -> None:
    """Raise unless `root` is a folder that can be listed."""
    if not root.exists():
        raise InputError(f"{root}: no such folder; check the name")
    if not root.is_dir():
        raise InputError(f"{root}: a file, not a folder; give the folder that holds it")


def sample_id(path: Path, root: Path) -> str:
    """The posix path below `root`, printable."""
    return printable(path.relative_to(root).as_posix())


def printable(name: str) -> str:
    """A file name as text: bytes that are not UTF-8 (a Latin-1 archive unpacked on Linux) become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Listing:
    """Images below a folder, sorted, and the files that were passed over as hidden or not images."""

    folder: Path
    images: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()


def images_under(folder: Path) -> Listing:
    """All images below a folder; hidden folders are not entered, linked ones are, once."""
    images: list[Path] = []
    ignored: list[Path] = []
    entered: set[str] = set()
    for where, folders, names in os.walk(folder, onerror=_refuse_unlisted, followlinks=True):
        real = os.path.realpath(where)
        folders[:] = [] if real in entered else [name for name in folders if not name.startswith(".")]
        for name in () if real in entered else names:
            is_image = not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
            (images if is_image else ignored).append(Path(where, name))
        entered.add(real)
    return Listing(folder, *(tuple(sorted(paths, key=Path.as_posix)) for paths in (images, ignored)))


def sub_folders(folder: Path) -> list[Path]:
    """The folders directly in one, sorted, hidden ones left out."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        _refuse_unlisted(error)
    return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]


def _refuse_unlisted(error: OSError) -> NoReturn:
    raise InputError(
        f"{error.filename}: cannot be listed ({error.strerror}); change its permissions"
    ) from None


def pair_masks(
    images: Mapping[Path, PurePath], masks: Mapping[Path, PurePath]
) -> tuple[dict[Path, tuple[Path]], tuple[Path, ...]]:
    """The mask of each image that has one, alone in a tuple, and the masks that belong to no image.

    images, masks: files and their places, paths below folders that correspond.
    A mask is called like its image, `NAME_mask.*` or else `NAME.*`, and its folders end the image's
    own: for `defective/cut/1.jpg` it is found at `defective/cut/1.png`, `cut/1.png` or `1.png`.
    """
    found: dict[tuple[tuple[str, ...], str], Path] = {}
    for mask, place in sorted(masks.items(), key=lambda item: (item[1].stem.endswith("_mask"), item)):
        found[place.parent.parts, place.stem.removesuffix("_mask")] = mask  # NAME_mask.* comes last and stays
    owners: dict[Path, Path] = {}
    for image, place in images.items():
        folders = place.parent.parts
        keys = [(folders[start:], place.stem) for start in range(len(folders) + 1)]
        owned = next((found[key] for key in keys if key in found), None)
        if owned in owners:
            both = f"{owners[owned]} and {image}"
            raise InputError(
                f"{owned}: fits two images ({both}); keep masks in folders named like the images'"
            )
        if owned is not None:
            owners[owned] = image
    return {image: (mask,) for mask, image in owners.items()}, tuple(sorted(masks.keys() - owners.keys()))


def pair_mask_folders(
    images: Mapping[Path, PurePath], masks: Mapping[Path, PurePath]
) -> tuple[dict[Path, tuple[Path, ...]], tuple[Path, ...]]:
    """The same as `pair_masks` where the masks of an image lie in a folder called like it.

    `cut/017.png` owns `cut/017/000.png`, `cut/017/001.png` and so on.
    """
    owners = {place.with_suffix(""): image for image, place in images.items()}
    found: dict[Path, tuple[Path, ...]] = {}
    for mask, place in sorted(masks.items()):
        if place.parent in owners:
            owner = owners[place.parent]
            found[owner] = (*found.get(owner, ()), mask)
    paired = {mask for owned in found.values() for mask in owned}
    return found, tuple(sorted(masks.keys() - paired))


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "mask"), counted(2, "mask")
    ('1 mask', '2 masks')
    """
    return f"{number} {noun}" + ("" if number == 1 else "s")


def named(names: Sequence[str]) -> str:
    """The first few names, the rest as a number.

    >>> named(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    rest = len(names) - _NAMED
    return ", ".join(map(printable, names[:_NAMED])) + (f" and {rest} more" if rest > 0 else "")
