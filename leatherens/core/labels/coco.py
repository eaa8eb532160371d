"""COCO's object detection files (Lin et al., ECCV 2014): polygons, run lengths, or boxes alone.

Several polygons of one annotation are its parts. Run lengths go down the columns, and their compressed
form writes each as the difference to the one before the last, in groups of five bits from the lowest, as
characters from "0" on (the reference is maskApi.c of the COCO API).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leatherens.core.errors import InputError
from leatherens.core.labels.annotations import Annotated, Annotations, Pens, Region, corners
from leatherens.core.labels.outlines import area
from leatherens.core.labels.shapes import Pixels, Polygon, Rectangle, Several, Shape
from leatherens.core.labels.values import listing, mapping, named_value, number, shown

if TYPE_CHECKING:
    from leatherens.core.labels.exporting import Outlined
    from leatherens.core.photographs import Mask

_MOST = 1 << 30  # pixels of run lengths: more would be a damaged size, and fill the memory

SUPERCATEGORY = "defect"
"""VIA makes it the name of the attribute that says the kind."""


def recognises(document: Any) -> bool:
    """Whether a JSON document has COCO's lists."""
    return isinstance(document, dict) and {"images", "annotations"} <= document.keys()


def read(document: Any, path: Path, pens: Pens) -> Annotations:
    """The annotations of a JSON document; nothing in it needs a pen."""
    kinds = {
        named_value(category, "id", f"{path}: categories"): str(category.get("name", ""))
        for category in _objects(document.get("categories", []), f"{path}: categories")
    }
    pictures: dict[Any, Annotated] = {}
    for number_, picture in enumerate(_objects(document["images"], f"{path}: images")):
        what = f"{path}: image {number_ + 1}"
        name = named_value(picture, "file_name", what)
        if not isinstance(name, str):
            raise InputError(f"{what}: expected a file name, got {shown(name)}")
        id = _id(named_value(picture, "id", what), what)
        if id in pictures:
            raise InputError(
                f"{path}: {name} and {pictures[id].name} have the same id {id}; number them anew"
            )
        pictures[id] = Annotated(name, size=_size(picture, what))
    regions: dict[Any, list[Region]] = {id: [] for id in pictures}
    for number_, annotation in enumerate(_objects(document["annotations"], f"{path}: annotations")):
        what = f"{path}: annotation {number_ + 1}"
        id = _id(named_value(annotation, "image_id", what), what)
        if id not in pictures:
            raise InputError(f"{what}: no image has the id {id}; export the annotations again")
        what = f"{path}: {pictures[id].name}, region {len(regions[id]) + 1}"
        category = annotation.get("category_id")
        if category is not None and _id(category, what) not in kinds:
            raise InputError(f"{what}: no category has the id {category}; export the annotations again")
        shape = _shape(annotation, pictures[id].size, what)
        regions[id].append(Region(shape, "" if category is None else kinds[category]))
    found = [
        Annotated(picture.name, tuple(regions[id]), size=picture.size) for id, picture in pictures.items()
    ]
    return Annotations("COCO annotations", tuple(found))


def _objects(value: Any, what: str) -> list[dict[str, Any]]:
    return [mapping(entry, f"{what}: entry {index + 1}") for index, entry in enumerate(listing(value, what))]


def _id(value: Any, what: str) -> Any:
    if not isinstance(value, str | int):
        raise InputError(f"{what}: expected an id, got {shown(value)}")
    return value


def _size(picture: Mapping[str, Any], what: str) -> tuple[int, int] | None:
    sides = [picture.get(key) for key in ("height", "width")]
    if None in sides:
        return None
    height, width = (int(number(side, what, least=1)) for side in sides)
    return height, width


def _shape(annotation: Mapping[str, Any], size: tuple[int, int] | None, what: str) -> Shape:
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return Pixels(_runs(segmentation, size, what))
    if segmentation:
        polygons = [_polygon(flat, what) for flat in listing(segmentation, what)]
        return polygons[0] if len(polygons) == 1 else Several(polygons)
    box = listing(annotation.get("bbox", []), what)
    if len(box) != 4:
        raise InputError(f"{what}: has neither polygons nor run lengths nor a box; mend or delete it")
    x, y = (number(value, what) for value in box[:2])
    width, height = (number(value, f"{what}: box", least=0) for value in box[2:])
    return Rectangle.at(x, y, width=width, height=height)


def _polygon(flat: Any, what: str) -> Polygon:
    values = listing(flat, what)
    if len(values) % 2:
        raise InputError(f"{what}: {len(values)} coordinates are no pairs of x and y; mend or delete it")
    return Polygon(corners(list(zip(values[::2], values[1::2], strict=True)), what, least=3))


def _runs(segmentation: Mapping[str, Any], size: tuple[int, int] | None, what: str) -> Mask:
    """The pixels that run lengths mark, for a picture of `size`."""
    values = listing(segmentation.get("size"), f"{what}: size of the run lengths")
    if len(values) != 2:
        raise InputError(f"{what}: expected height and width of the run lengths, got {shown(values)}")
    height, width = (int(number(value, what, least=1)) for value in values)
    if size is not None and (height, width) != size:
        raise InputError(
            f"{what}: the run lengths are for {height} x {width} pixels and the image has {size[0]} x "
            f"{size[1]} (height x width); export the annotations again"
        )
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        lengths = _decompressed(counts, what)
    else:
        lengths = [int(number(value, f"{what}: run length", least=0)) for value in listing(counts, what)]
    if sum(lengths) != height * width or min(lengths) < 0 or height * width > _MOST:
        raise InputError(
            f"{what}: the run lengths add up to {sum(lengths)} pixels, not to {height} x {width}; "
            "export the annotations again"
        )
    marked = np.arange(len(lengths)) % 2 == 1  # the first run is of pixels that are not marked
    pixels: Mask = np.repeat(marked, lengths).reshape(width, height).T
    return pixels


def _decompressed(text: str, what: str) -> list[int]:
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise InputError(f"{what}: damaged run lengths ({letter!r}); export the annotations again")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the last group, whose highest bit is the sign
            value -= (bits & 16) << shift - 4
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    if shift:
        raise InputError(f"{what}: the run lengths end in the middle; export the annotations again")
    return lengths


def written(pictures: Sequence[Outlined]) -> dict[str, Any]:
    """COCO annotations, one for each outline: VIA and others read only the first polygon of each."""
    kinds = sorted({picture.kind for picture in pictures if picture.outlines})
    annotations: list[dict[str, Any]] = []
    for index, picture in enumerate(pictures):
        for outline in picture.outlines:
            xs, ys = zip(*outline, strict=True)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": kinds.index(picture.kind) + 1,
                    "segmentation": [[side for corner in outline for side in corner]],
                    "bbox": [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)],
                    "area": area(outline),
                    "iscrowd": 0,
                }
            )
    images = [
        {"id": index + 1, "file_name": picture.name, "height": picture.size[0], "width": picture.size[1]}
        for index, picture in enumerate(pictures)
    ]
    categories = [
        {"id": index + 1, "name": kind, "supercategory": SUPERCATEGORY} for index, kind in enumerate(kinds)
    ]
    info = {"description": "written by leatherens"}
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}
