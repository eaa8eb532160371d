"""From an annotator's file and its pictures to a data set in the layout of MVTec AD."""

from __future__ import annotations

import io
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from leatherens.core.artifact import folder_written_whole, write_json
from leatherens.core.errors import InputError, did_you_mean
from leatherens.core.labels import coco, labelme, via
from leatherens.core.labels.annotations import Annotated, Annotations, Pens, Region
from leatherens.core.labels.finding import Pictures
from leatherens.core.labels.values import parse_json
from leatherens.core.listing import counted, named
from leatherens.core.naming import flat_names
from leatherens.core.photographs import photograph_size
from leatherens.core.progress import Progress, Silent
from leatherens.core.reading import GOOD
from leatherens.core.texts import read_text

if TYPE_CHECKING:
    from leatherens.core.photographs import Mask

FORMATS = {"via": via, "coco": coco, "labelme": labelme}
"""What annotators write, by name."""

UNNAMED = "defect"
"""Kind of a region of which nobody said one."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture of the data set to be: `name` in the folder of its `kind`, and its mask as a PNG file.

    regions: what was drawn, for people and programs. cut: sentences on what lay outside the picture.
    """

    source: Path
    name: str
    kind: str
    mask: bytes = b""
    regions: tuple[dict[str, Any], ...] = ()
    cut: tuple[str, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made: numbers of pictures by folder, and what a user should know."""

    folders: Counter[str]
    remarks: tuple[str, ...]


def read_annotations(path: Path, pens: Pens, format: str | None = None) -> Annotations:
    """The annotations in a file, or in a folder of LabelMe's files; `format` where they do not show it."""
    if format is not None and format not in FORMATS:
        hint = did_you_mean(format, FORMATS) or ";"
        raise InputError(f"unknown format '{format}'{hint} (formats: {', '.join(FORMATS)})")
    if path.is_dir():
        if format not in (None, "labelme"):
            raise InputError(f"{path}: a folder; only LabelMe's files come in folders, give the file")
        return labelme.read_folder(path, pens)
    text, _ = read_text(path)
    if via.recognises_csv(text) and format in (None, "via"):
        return via.read_csv(text, path, pens)
    if not text.lstrip().startswith(("{", "[")):
        raise InputError(f"{path}: neither JSON nor VIA's CSV, which begins with {','.join(via.HEADER[:3])}")
    document = parse_json(text, path)
    _refuse_version_3(document, path)
    known = [name for name, reader in FORMATS.items() if reader.recognises(document)]
    if format is not None and format not in known:
        raise InputError(f"{path}: not {format}" + (f", but {known[0]}; leave --from out" if known else ""))
    if not known:
        raise InputError(f"{path}: JSON, but of none of the formats {', '.join(FORMATS)}")
    annotations: Annotations = FORMATS[format or known[0]].read(document, path, pens)
    return annotations


def _refuse_version_3(document: Any, path: Path) -> None:
    if isinstance(document, dict) and {"metadata", "view", "config"} <= document.keys():
        raise InputError(f"{path}: a project of VIA 3, which is not read; export it from VIA 3 as COCO")


def import_labels(
    annotations: Annotations,
    source: Path,
    pictures: Pictures,
    out: Path,
    *,
    good: str | None = None,
    unlisted: bool = False,
    link: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Write a data set of annotated pictures into `out`, a folder that is new or empty.

    good: "test" or "train", where pictures without regions go; `None` leaves those that lie in a folder
    `train/good` on that side, and tests on the others. unlisted: pictures that the annotations do not name
    are taken for good, too. link: pictures are hard links where the file system has them.
    """
    progress = progress or Silent()
    files = pictures.find(annotations.pictures, source)
    if not files:
        raise InputError(f"{source}: names no images; annotate some and export them")
    taken = []
    with progress.step("drawing the regions", len(files)) as advance:
        for picture, file in zip(annotations.pictures, files, strict=True):
            taken.append(_taken(picture, file, pictures.folder, source))
            advance(1)
    left = [file for file in pictures.files if file not in set(files) and not pictures.is_mask(file)]
    if unlisted:
        taken += [Taken(file, _name(file, pictures.folder), GOOD) for file in left]
    places = _places(taken, good)
    with (
        folder_written_whole(out) as made,
        progress.step("writing the data set", len(taken)) as advance,
    ):
        for entry, place in zip(taken, places, strict=True):
            _write(entry, made, place, link=link)
            advance(1)
        write_json(made / "regions.json", [_record(e, p) for e, p in zip(taken, places, strict=True)])
    remarks = [remark for entry in taken for remark in (*entry.cut, entry.remark) if remark]
    if left and not unlisted:
        names = named([_name(file, pictures.folder) for file in left])
        remarks.append(f"left out {counted(len(left), 'image')} that {source} does not name: {names}")
    return Imported(Counter(place.parent.as_posix() for place in places), tuple(remarks))


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _taken(picture: Annotated, file: Path, folder: Path, source: Path) -> Taken:
    """A picture with its mask drawn; the masks of thousands stay small as PNG files."""
    name = _name(file, folder)
    size = photograph_size(file)
    if picture.size is not None and picture.size != size:
        found, said = (f"{height} x {width}" for height, width in (size, picture.size))
        raise InputError(
            f"{source}: {picture.name} is annotated as {said} pixels and {file} has {found} "
            "(height x width); give the annotated images"
        )
    if not picture.regions:
        return Taken(file, name, GOOD)
    marked: dict[str, Mask] = {}
    records, cuts = [], []
    for number, region in enumerate(picture.regions, start=1):
        mask = region.shape.mask(size)
        kind = _kind(region, f"{source}: {picture.name}, region {number}")
        marked[kind] = marked[kind] | mask if kind in marked else mask
        cut = _cut(region, mask, size)
        record = {"kind": kind, "shape": region.shape.name, "pixels": int(mask.sum())}
        records.append({**record, "cut": cut} if cut else record)
        cuts += [f"{picture.name}, region {number} ({region.shape.name}): {cut}"] if cut else []
    areas = Counter({kind: int(mask.sum()) for kind, mask in marked.items() if mask.any()})
    if not areas:
        raise InputError(
            f"{source}: {picture.name}: its regions mark none of the {size[0]} x {size[1]} pixels; mend or "
            "delete them"
        )
    (kind, _), *others = areas.most_common()
    remark = ""
    if others:
        listed = ", ".join(f"{kind} {area}" for kind, area in areas.most_common())
        remark = f"{picture.name}: several kinds ({listed} pixels), taken as {kind}"
    union = np.logical_or.reduce(list(marked.values()))
    return Taken(file, name, kind, _png(union), tuple(records), tuple(cuts), remark)


def _kind(region: Region, what: str) -> str:
    """The kind as the name of a folder."""
    kind = region.kind.strip() or UNNAMED
    if kind.casefold() == GOOD:
        raise InputError(
            f"{what}: its kind is '{kind}', the folder of images without defects; delete the region or rename"
        )
    if kind.startswith(".") or any(letter in '/\\:*?"<>|' or letter < " " for letter in kind):
        raise InputError(f"{what}: its kind {kind!r} cannot be the name of a folder; rename it")
    return kind


def _cut(region: Region, mask: Mask, size: tuple[int, int]) -> str:
    past = region.shape.cut(size)
    if not mask.any():
        return "lies outside the picture, left out" if past else "marks no pixel, left out"
    return f"reaches {past}, cut off there" if past else ""


def _places(taken: Sequence[Taken], good: str | None) -> list[PurePath]:
    """Where each picture goes."""
    folders = [PurePath(_side(entry, good), entry.kind) for entry in taken]
    places: dict[int, PurePath] = {}
    for folder in dict.fromkeys(folders):
        members = [index for index, own in enumerate(folders) if own == folder]
        names = flat_names([taken[index].name for index in members])
        places |= {index: folder / name for index, name in zip(members, names, strict=True)}
    return [places[index] for index in range(len(taken))]


def _side(entry: Taken, good: str | None) -> str:
    if entry.kind != GOOD:
        return "test"
    own = "train" if entry.source.parts[-3:-1] == ("train", GOOD) else "test"
    return good or own


def _write(entry: Taken, root: Path, place: PurePath, *, link: bool) -> None:
    picture = root / place
    picture.parent.mkdir(parents=True, exist_ok=True)
    if not (link and _linked(entry.source, picture)):
        shutil.copyfile(entry.source, picture)
    if entry.mask:
        mask = root / "ground_truth" / entry.kind / f"{place.stem}_mask.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        mask.write_bytes(entry.mask)


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without hard links
        return False
    return True


def _png(mask: Mask) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(file, format="PNG")
    return file.getvalue()


def _record(entry: Taken, place: PurePath) -> dict[str, Any]:
    return {"image": place.as_posix(), "from": entry.name, "regions": list(entry.regions)}
