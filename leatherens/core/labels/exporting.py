"""From masks to a file that an annotator opens, so that people can correct them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from leatherens.core.artifact import folder_written_whole, write_json, write_text
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.labels import coco, labelme, via
from leatherens.core.labels.outlines import Outline, outlines
from leatherens.core.labels.shapes import Polygon
from leatherens.core.listing import counted, images_under, named, pair_masks, require_folder
from leatherens.core.photographs import photograph_size, read_masks
from leatherens.core.progress import Progress, Silent
from leatherens.core.reading import GOOD, Sample, is_known

if TYPE_CHECKING:
    from leatherens.core.photographs import Mask

FORMATS = ("via", "coco", "labelme")
PREDICTED = ".mask.png"
"""What `leatherens predict --out` appends to the name of an image."""


@dataclass(frozen=True, slots=True)
class Outlined:
    """A picture and the outlines of what is marked on it.

    name: posix path below the folder of pictures. size: (height, width). bytes: of its file.
    """

    path: Path
    name: str
    size: tuple[int, int]
    bytes: int
    kind: str = GOOD
    outlines: tuple[Outline, ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """Pictures ready to be written, and what a user should know."""

    pictures: tuple[Outlined, ...]
    remarks: tuple[str, ...] = field(default=())


def of_samples(
    samples: Sequence[Sample], root: Path, *, tolerance: float = 0.0, progress: Progress | None = None
) -> Exported:
    """The outlines of samples that are good or have masks; others would come back as good."""
    known = [sample for sample in samples if is_known(sample)]
    entries = [(sample.path, sample.masks, sample.defect) for sample in known]
    unmasked = [sample.id for sample in samples if not is_known(sample)]
    exported = _exported(entries, root, tolerance, progress or Silent())
    if not unmasked:
        return exported
    left = counted(len(unmasked), "image")
    remark = f"left out {left} without a mask, which would come back as good: {named(unmasked)}"
    return Exported(exported.pictures, (remark, *exported.remarks))


def of_masks(
    pictures: Path, masks: Path, *, kind: str, tolerance: float = 0.0, progress: Progress | None = None
) -> Exported:
    """The outlines of masks in a folder, on the pictures below another that are called like them.

    Masks that `leatherens predict` wrote are called `NAME.png.mask.png`, others as in every layout.
    """
    for folder in (pictures, masks):
        require_folder(folder)
    places = {image: image.relative_to(pictures) for image in images_under(pictures).images}
    found = images_under(masks).images
    predicted = [mask for mask in found if mask.name.endswith(PREDICTED)]
    marked = {
        mask: PurePath(mask.relative_to(masks).as_posix().removesuffix(PREDICTED))
        for mask in predicted or found
    }
    pairs, unpaired = pair_masks(places, marked)
    if not pairs:
        raise InputError(
            f"{masks}: no mask is called like an image below {pictures}; give the masks of these images"
        )
    entries = [(image, own, kind) for image, own in sorted(pairs.items())]
    exported = _exported(entries, pictures, tolerance, progress or Silent())
    if not unpaired:
        return exported
    left = counted(len(unpaired), "mask")
    remark = f"left out {left} without an image: {named([path.name for path in unpaired])}"
    return Exported(exported.pictures, (remark, *exported.remarks))


def _exported(
    entries: Sequence[tuple[Path, tuple[Path, ...], str]], root: Path, tolerance: float, progress: Progress
) -> Exported:
    pictures = []
    marked = changed = 0
    with progress.step("drawing outlines", len(entries)) as advance:
        for path, files, kind in entries:
            size = photograph_size(path)
            mask = read_masks(files, size)
            lines = tuple(_simplified(mask, tolerance))
            marked += int(mask.sum())
            changed += _differing(mask, lines) if tolerance else 0
            name = path.relative_to(root).as_posix()
            pictures.append(Outlined(path, name, size, path.stat().st_size, kind if lines else GOOD, lines))
            advance(1)
    remark = f"with a tolerance of {tolerance:g} pixels {changed} pixels differ from the {marked} marked"
    return Exported(tuple(pictures), (remark,) if tolerance else ())


def _simplified(mask: Mask, tolerance: float) -> Iterator[Outline]:
    """Outlines with fewer corners, the exact line no farther than `tolerance` away (Douglas-Peucker)."""
    import cv2

    for outline in outlines(mask):
        if not tolerance:
            yield outline
            continue
        kept = cv2.approxPolyDP(np.array(outline, dtype=np.int32)[:, None], tolerance, closed=True)
        yield outline if len(kept) < 3 else [(int(x), int(y)) for x, y in kept[:, 0]]


def _differing(mask: Mask, lines: Sequence[Outline]) -> int:
    again = np.zeros_like(mask)
    for outline in lines:
        again |= Polygon(outline).mask(mask.shape)
    return int((again ^ mask).sum())


def write_labels(exported: Exported, format: str, root: Path, out: Path) -> None:
    """Write pictures below `root`: VIA as CSV or JSON, by the suffix of `out`; LabelMe as a folder."""
    if not exported.pictures:
        raise InputError(f"{root}: no image is good or has a mask; nothing can be exported")
    if format == "labelme":
        _write_labelme(exported.pictures, out)
    elif format == "coco":
        write_json(out, coco.written(exported.pictures))
    elif out.suffix.lower() == ".csv":
        write_text(out, via.written_csv(exported.pictures))
    else:
        write_json(out, via.written(exported.pictures, root))


def check_out(format: str, out: Path) -> None:
    """Refuse a name that does not fit what would be written under it."""
    suffixes: Mapping[str, tuple[str, ...]] = {"via": (".json", ".csv"), "coco": (".json",)}
    if format in suffixes and out.suffix.lower() not in suffixes[format]:
        allowed = " or ".join(suffixes[format])
        raise ConfigError(f"--out: expected a name that ends in {allowed}, got '{out.name}'")
    if format in suffixes and out.is_dir():
        raise ConfigError(f"--out: {out} is a folder; give a file in it")


def _write_labelme(pictures: Sequence[Outlined], out: Path) -> None:
    with folder_written_whole(out) as made:
        for picture, name in zip(pictures, labelme.names(pictures), strict=True):
            write_json(made / name, labelme.written(picture, out))
