"""LabelMe's files, one and a folder of them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leatherens.core.errors import InputError
from leatherens.core.labels import labelme
from leatherens.core.labels.annotations import Pens
from leatherens.core.labels.exporting import Outlined
from leatherens.core.labels.shapes import Circle, Line, Point, Polygon, Rectangle, Several

FILE = Path("labels/a.json")
PENS = Pens(line_width=3, point_radius=1)


def document(*shapes: dict, **others) -> dict:
    return {"shapes": list(shapes), "imagePath": "a.png", "imageHeight": 6, "imageWidth": 8, **others}


def shape_of(shape_type: str, *points, **others):
    shape = {"label": "cut", "shape_type": shape_type, "points": [list(point) for point in points], **others}
    (picture,) = labelme.read(document(shape), FILE, PENS).pictures
    return picture.regions[0].shape


def refused(value: dict, pens: Pens = PENS) -> str:
    with pytest.raises(InputError) as caught:
        labelme.read(value, FILE, pens)
    return str(caught.value)


def as_png(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_picture():
    shape = {"label": "cut", "points": [[0, 0], [4, 0], [4, 3]]}  # old files do not say the type

    (picture,) = labelme.read(document(shape), FILE, PENS).pictures

    assert (picture.name, picture.size, picture.beside) == ("a.png", (6, 8), Path("labels"))
    assert [(r.shape, r.kind) for r in picture.regions] == [(Polygon([(0, 0), (4, 0), (4, 3)]), "cut")]


def test_every_shape():
    assert shape_of("rectangle", (5, 6), (1, 2)) == Rectangle.at(1, 2, width=4, height=4)
    assert shape_of("rectangle", (1, 2), (5, 2), (5, 6), (1, 6)) == Rectangle.at(1, 2, width=4, height=4)
    assert shape_of("oriented_rectangle", (2, 0), (4, 2), (2, 4), (0, 2)) == Polygon(
        [(2, 0), (4, 2), (2, 4), (0, 2)]
    )
    assert shape_of("circle", (1, 2), (4, 6)) == Circle.at(1, 2, radius=5)
    assert shape_of("line", (1, 2), (3, 4)) == Line([(1, 2), (3, 4)], 3)
    assert shape_of("linestrip", (1, 2), (3, 4), (5, 5)) == Line([(1, 2), (3, 4), (5, 5)], 3)
    assert shape_of("point", (1.5, 2.5)) == Point.at(1, 2, radius=1)
    assert shape_of("points", (1, 2), (3, 4)) == Several([Point.at(1, 2, radius=1), Point.at(3, 4, radius=1)])


def test_mask__lies_where_its_corner_is():
    marked = np.array([[True, False], [True, True]])

    mask = shape_of("mask", (3.0, 1.0), (4.0, 2.0), mask=as_png(marked)).mask((6, 8))

    assert np.array_equal(mask[1:3, 3:5], marked)
    assert mask.sum() == 3


def test_damage():
    where = f"{FILE}: region 1: "
    assert refused(document({"shape_type": "cuboid", "points": []})).startswith(
        where + "unknown shape 'cuboid' (shapes: "
    )
    assert refused(document({"shape_type": "polygon"})) == where + "'points' is missing"
    assert refused(document({"points": [[1, 2], [3]]})) == where + "expected points with x and y, got [3]"
    assert refused(document({"shape_type": "line", "points": [[1, 2], [3, 4]]}), Pens()) == (
        where + "a line has no area; say --line-width with its width in pixels"
    )
    assert refused(document({"shape_type": "mask", "points": [[1, 1]]})) == (
        where + "a mask without its picture; draw it as a polygon"
    )
    assert refused(document({"shape_type": "mask", "points": [[1, 1]], "mask": "abc"})).startswith(
        where + "a damaged mask ("
    )
    assert refused(document({"shape_type": "mask", "points": [[1, 1]], "mask": "YWJj"})).startswith(
        where + "a damaged mask ("
    )
    assert (
        refused(document(imagePath=None)) == f"{FILE}: expected the name of a picture as imagePath, got null"
    )


def test_folder(tmp_path):
    for name in ("b", "deep/a"):
        file = tmp_path / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(document(imagePath=f"{name[-1]}.png")))

    found = labelme.read_folder(tmp_path, PENS)

    assert [(p.name, p.beside) for p in found.pictures] == [("b.png", tmp_path), ("a.png", tmp_path / "deep")]


def test_folder__of_other_things(tmp_path):
    with pytest.raises(InputError, match=r"no \.json files in it; give the folder of LabelMe's files$"):
        labelme.read_folder(tmp_path, PENS)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match=r"x\.json: not a file of LabelMe .*; move it elsewhere$"):
        labelme.read_folder(tmp_path, PENS)


def test_written__comes_back(tmp_path):
    outline = [(1, 1), (3, 1), (3, 4), (1, 4)]
    picture = Outlined(tmp_path / "data/test/cut/1.png", "test/cut/1.png", (6, 8), 77, "cut", (outline,))

    value = json.loads(json.dumps(labelme.written(picture, tmp_path / "labels")))
    (found,) = labelme.read(value, tmp_path / "labels/1.json", PENS).pictures

    assert labelme.recognises(value)
    assert (found.name, found.size) == ("../data/test/cut/1.png", (6, 8))
    assert [(r.shape, r.kind) for r in found.regions] == [(Polygon(outline), "cut")]


def test_names__are_told_apart():
    pictures = [Outlined(Path(name), name, (6, 8), 1) for name in ("test/cut/1.png", "test/hole/1.png")]

    assert labelme.names(pictures) == ["test_cut_1.json", "test_hole_1.json"]
    assert labelme.names(pictures[:1]) == ["1.json"]
