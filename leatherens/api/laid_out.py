"""Images from Python as a folder that a run can read, as any other run's: the layout of MVTec AD."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from leatherens.api.pictures import Images, Picture, is_tensor, pictures_of
from leatherens.core.errors import InputError
from leatherens.core.photographs import Mask, read_mask, require_content

LAYOUT = "mvtec-ad"
TEACHING, TESTING = "train/good", "test/good"
"""Where good images lie, to learn from or to test on."""
_DEFECTIVE = "defective"


def lay_out(
    folder: Path, images: Images, labels: Iterable[Any] | None, masks: Iterable[Any] | None, *, good: str
) -> int:
    """Write images, and the masks of defective ones, into a folder; returns how many images there are.

    labels: for each image whether it is defective; without, those with a mask that marks anything are, and
    without masks none is. masks: for each image (H, W) where it is defective, a file, or `None`.
    good: folder of the good ones. Pixels are kept as they are, and files copied: the run then needs nothing
    from elsewhere.
    """
    pictures = list(pictures_of(images))
    if not pictures:
        raise InputError("no images are given; give some to learn from or to test on")
    marks = [_mask(mask, number) for number, mask in enumerate(_one_each(masks, len(pictures), "masks"))]
    flags = [_flag(label, number) for number, label in enumerate(_one_each(labels, len(pictures), "labels"))]
    for number, (picture, mask, flag) in enumerate(zip(pictures, marks, flags, strict=True)):
        marked = mask is not None and bool(mask.any())
        if flag is False and marked:
            raise InputError(
                f"image {number}: labelled good, and its mask marks a defect; mend one of the two"
            )
        defective = marked if flag is None else flag
        stem = f"{number:05d}"
        write_picture(folder / (f"test/{_DEFECTIVE}" if defective else good), stem, picture)
        if mask is not None and defective:
            write_picture(folder / "ground_truth" / _DEFECTIVE, f"{stem}_mask", np.uint8(255) * mask)
    return len(pictures)


def write_picture(folder: Path, stem: str, picture: Picture | Mask) -> Path:
    """Write pixels as PNG, or copy a file under a new name; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, Path):
        require_content(picture)
        to = folder / f"{stem}{picture.suffix}"
        shutil.copyfile(picture, to)
        return to
    to = folder / f"{stem}.png"
    Image.fromarray(picture).save(to, compress_level=1)  # size hardly matters, time does
    return to


def in_files(images: Images, folder: Path, size: int) -> Iterator[list[tuple[int | Path, Path]]]:
    """What images are called (path, or place in the list) and files that hold them, `size` at a time.

    Pixels lie in files only until the next ones are asked for.
    """
    chunk: list[tuple[int | Path, Path]] = []
    for number, picture in enumerate(pictures_of(images)):
        if isinstance(picture, Path):
            chunk.append((picture, picture))
        else:
            chunk.append((number, write_picture(folder, str(number), picture)))
        if len(chunk) == size:
            yield from _and_gone(chunk)
            chunk = []
    yield from _and_gone(chunk)


def _and_gone(chunk: list[tuple[int | Path, Path]]) -> Iterator[list[tuple[int | Path, Path]]]:
    if chunk:
        yield chunk
    for name, path in chunk:
        if isinstance(name, int):
            path.unlink(missing_ok=True)


def _one_each(values: Iterable[Any] | None, count: int, what: str) -> Sequence[Any]:
    if values is None:
        return [None] * count
    found = list(values)
    if len(found) != count:
        raise InputError(f"{what}: expected one for each of {count} images, got {len(found)}")
    return found


def _flag(label: Any, number: int) -> bool | None:
    if label is None:
        return None
    if label not in (0, 1):
        raise InputError(f"labels: image {number} has {label!r}; expected 0 for good, 1 for defective")
    return bool(label)


def _mask(mask: Any, number: int) -> Mask | None:
    """(H, W) booleans; an array counts where it is not 0, a file as any mask's does."""
    if mask is None:
        return None
    if isinstance(mask, str | Path):
        return read_mask(Path(mask))
    array = np.asarray(mask.detach().cpu() if is_tensor(mask) else mask)
    if array.ndim != 2:
        raise InputError(f"masks: image {number} has one of shape {array.shape}; expected (H, W)")
    marked: Mask = array != 0
    return marked
