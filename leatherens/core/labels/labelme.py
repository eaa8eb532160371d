"""Files of LabelMe (Wada): one JSON file for each picture, which it names from where the file lies."""

from __future__ import annotations

import base64
import binascii
import io
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from leatherens.core.errors import InputError
from leatherens.core.labels.annotations import Annotated, Annotations, Pens, Region, corners, drawn
from leatherens.core.labels.shapes import Circle, Pixels, Polygon, Rectangle, Several, Shape
from leatherens.core.labels.values import listing, mapping, named_value, number, parse_json, shown
from leatherens.core.texts import read_text

if TYPE_CHECKING:
    from leatherens.core.labels.exporting import Outlined


def recognises(document: Any) -> bool:
    """Whether a JSON document is one picture's shapes."""
    return isinstance(document, dict) and {"shapes", "imagePath"} <= document.keys()


def read(document: Any, path: Path, pens: Pens) -> Annotations:
    """The annotations of one JSON document."""
    return Annotations("LabelMe annotations", (_picture(document, path, pens),))


def read_folder(folder: Path, pens: Pens) -> Annotations:
    """The annotations of all JSON files below a folder."""
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise InputError(f"{folder}: no .json files in it; give the folder of LabelMe's files")
    pictures = []
    for file in files:
        document = parse_json(read_text(file)[0], file)
        if not recognises(document):
            raise InputError(
                f"{file}: not a file of LabelMe (no 'shapes' and 'imagePath'); move it elsewhere"
            )
        pictures.append(_picture(document, file, pens))
    return Annotations("a folder of LabelMe annotations", tuple(pictures))


def _picture(document: dict[str, Any], path: Path, pens: Pens) -> Annotated:
    name = document["imagePath"]
    if not isinstance(name, str):
        raise InputError(f"{path}: expected the name of a picture as imagePath, got {shown(name)}")
    sides = [document.get(key) for key in ("imageHeight", "imageWidth")]
    height, width = (None if side is None else int(number(side, f"{path}: size", least=1)) for side in sides)
    size = None if height is None or width is None else (height, width)
    regions = []
    for index, value in enumerate(listing(document["shapes"], f"{path}: shapes")):
        what = f"{path}: region {index + 1}"
        shape = mapping(value, what)
        regions.append(Region(_shape(shape, what, pens), str(shape.get("label") or "")))
    return Annotated(name, tuple(regions), size, beside=path.parent)


def _shape(shape: dict[str, Any], what: str, pens: Pens) -> Shape:
    def points(least: int) -> list[tuple[float, float]]:
        return corners(listing(named_value(shape, "points", what), what), what, least=least)

    shapes: dict[str, Callable[[], Shape]] = {
        "polygon": lambda: Polygon(points(3)),
        "rectangle": lambda: _rectangle(points(2)),
        "oriented_rectangle": lambda: Polygon(points(4)),
        "circle": lambda: _circle(points(2)),
        "line": lambda: pens.line(points(2), what),
        "linestrip": lambda: pens.line(points(2), what),
        "point": lambda: pens.point(*points(1)[0], what),
        "points": lambda: Several([pens.point(x, y, what) for x, y in points(1)]),
        "mask": lambda: _mask(shape.get("mask"), points(1)[0], what),
    }
    return drawn(shapes, shape.get("shape_type", "polygon"), what)


def _rectangle(points: list[tuple[float, float]]) -> Shape:
    """From two opposite corners, or all four."""
    (left, right), (top, bottom) = ((min(side), max(side)) for side in zip(*points, strict=True))
    return Rectangle.at(left, top, width=right - left, height=bottom - top)


def _circle(points: list[tuple[float, float]]) -> Shape:
    """From its middle and a point on it."""
    (x, y), (rim_x, rim_y) = points[:2]
    return Circle.at(x, y, radius=math.hypot(rim_x - x, rim_y - y))


def _mask(data: Any, corner: tuple[float, float], what: str) -> Shape:
    """From a PNG file, written as text, whose first pixel lies at a corner."""
    from PIL import Image

    if not isinstance(data, str):
        raise InputError(f"{what}: a mask without its picture; draw it as a polygon")
    try:
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True)), formats=["PNG"]) as picture:
            marked = np.asarray(picture.convert("L")) > 0
    except (OSError, ValueError, SyntaxError, binascii.Error) as error:
        raise InputError(f"{what}: a damaged mask ({error}); draw it as a polygon") from None
    return Pixels(marked, *(math.floor(side) for side in corner))


def written(picture: Outlined, folder: Path) -> dict[str, Any]:
    """The file of one picture, to lie in `folder`."""
    shapes: list[dict[str, Any]] = [
        {
            "label": picture.kind,
            "points": [[float(x), float(y)] for x, y in outline],
            "group_id": None,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
        }
        for outline in picture.outlines
    ]
    return {
        "version": "5.2.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": PurePath(os.path.relpath(picture.path.resolve(), folder.resolve())).as_posix(),
        "imageData": None,
        "imageHeight": picture.size[0],
        "imageWidth": picture.size[1],
    }


def names(pictures: Sequence[Outlined]) -> list[str]:
    """The name of each picture's file: LabelMe looks for that of the picture with another suffix."""
    from leatherens.core.naming import flat_names

    return [f"{PurePath(name).stem}.json" for name in flat_names([picture.name for picture in pictures])]
