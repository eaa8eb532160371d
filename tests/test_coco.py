"""COCO's files: polygons, run lengths in both forms, boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from leatherens.core.errors import InputError
from leatherens.core.labels import coco
from leatherens.core.labels.annotations import Pens
from leatherens.core.labels.exporting import Outlined
from leatherens.core.labels.shapes import Pixels, Polygon, Rectangle, Several

FILE = Path("coco.json")
SIZE = 6, 5


def document(annotation: dict, **picture) -> dict:
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": 6, "width": 5, **picture}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, **annotation}],
        "categories": [{"id": 3, "name": "cut"}],
    }


def shape_of(**annotation):
    (picture,) = coco.read(document(annotation), FILE, Pens()).pictures
    return picture.regions[0].shape


def refused(value) -> str:
    with pytest.raises(InputError) as caught:
        coco.read(value, FILE, Pens())
    return str(caught.value)


def run_lengths(mask: np.ndarray) -> list[int]:
    """Column by column, one pixel after the other."""
    lengths, marked = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != marked:
            lengths.append(0)
            marked = pixel
        lengths[-1] += 1
    return lengths


def compressed(lengths: list[int]) -> str:
    """As maskApi.c writes them."""
    text = ""
    for index, length in enumerate(lengths):
        value = length - (lengths[index - 2] if index > 2 else 0)
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            text += chr((bits | 0x20 if more else bits) + 48)
    return text


def test_polygon_and_kind():
    (picture,) = coco.read(document({"segmentation": [[0, 0, 4, 0, 4, 3]]}), FILE, Pens()).pictures

    assert (picture.name, picture.size, picture.bytes) == ("a.png", SIZE, None)
    assert [(r.shape, r.kind) for r in picture.regions] == [(Polygon([(0, 0), (4, 0), (4, 3)]), "cut")]


def test_several_polygons__are_parts_of_one_region():
    parts = [[0, 0, 2, 0, 2, 2], [3, 3, 5, 3, 5, 5]]

    assert shape_of(segmentation=parts) == Several(
        [Polygon([(0, 0), (2, 0), (2, 2)]), Polygon([(3, 3), (5, 3), (5, 5)])]
    )


def test_box_alone():
    box = Rectangle.at(1, 2, width=3, height=2.5)

    assert shape_of(bbox=[1, 2, 3, 2.5]) == shape_of(bbox=[1, 2, 3, 2.5], segmentation=[]) == box


@settings(deadline=None)
@given(arrays(np.bool_, SIZE))
def test_run_lengths__in_both_forms(mask):
    lengths = run_lengths(mask)
    for counts in (lengths, compressed(lengths)):
        shape = shape_of(segmentation={"size": [6, 5], "counts": counts}, iscrowd=1)
        assert isinstance(shape, Pixels)
        assert np.array_equal(shape.mask(SIZE), mask)


@settings(deadline=None)
@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=12))
def test_compressed__long_runs(lengths):
    total = sum(lengths)
    picture = {
        **document(
            {"segmentation": {"size": [total, 1], "counts": compressed(lengths)}}, height=total, width=1
        )
    }

    (found,) = coco.read(picture, FILE, Pens()).pictures

    expected = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    assert np.array_equal(found.regions[0].shape.mask((total, 1))[:, 0], expected)


def test_picture_without_annotations():
    value = {**document({}), "annotations": []}

    assert coco.read(value, FILE, Pens()).pictures[0].regions == ()


def test_size__may_be_missing():
    (picture,) = coco.read(document({"bbox": [0, 0, 1, 1]}, height=None), FILE, Pens()).pictures

    assert picture.size is None


def test_without_category__has_no_kind():
    value = document({"bbox": [0, 0, 1, 1], "category_id": None})

    assert coco.read(value, FILE, Pens()).pictures[0].regions[0].kind == ""


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        ({}, "a.png, region 1: has neither polygons nor run lengths nor a box; mend or delete it"),
        (
            {"segmentation": [[0, 0, 1]]},
            "a.png, region 1: 3 coordinates are no pairs of x and y; mend or delete it",
        ),
        (
            {"segmentation": [[0, 0, 1, 1]]},
            "a.png, region 1: 2 points, at least 3 are needed; mend or delete the region",
        ),
        ({"bbox": [0, 0, -1, 2]}, "a.png, region 1: box: expected 0 or more, got -1"),
        ({"image_id": 8}, "annotation 1: no image has the id 8; export the annotations again"),
        ({"image_id": [8]}, "annotation 1: expected an id, got [8]"),
        (
            {"category_id": 9, "bbox": [0, 0, 1, 1]},
            "a.png, region 1: no category has the id 9; export the annotations again",
        ),
        (
            {"segmentation": {"size": [6, 4], "counts": [24]}},
            "a.png, region 1: the run lengths are for 6 x 4 pixels and the image has 6 x 5 (height x width); "
            "export the annotations again",
        ),
        (
            {"segmentation": {"size": [6, 5], "counts": [3, 4]}},
            "a.png, region 1: the run lengths add up to 7 pixels, not to 6 x 5; export the annotations again",
        ),
        (
            {"segmentation": {"size": [6, 5], "counts": "\x07"}},
            "a.png, region 1: damaged run lengths ('\\x07'); export the annotations again",
        ),
        (
            {"segmentation": {"size": [6, 5], "counts": "P"}},
            "a.png, region 1: the run lengths end in the middle; export the annotations again",
        ),
        (
            {"segmentation": {"size": [6], "counts": [30]}},
            "a.png, region 1: expected height and width of the run lengths, got [6]",
        ),
    ],
)
def test_damage(annotation, sentence):
    assert refused(document(annotation)) == f"coco.json: {sentence}"


def test_damaged_images():
    value = document({})
    assert refused({**value, "images": {}}) == "coco.json: images: expected a list, got {}"
    assert refused({**value, "images": [{"id": 7}]}) == "coco.json: image 1: 'file_name' is missing"
    assert refused({**value, "images": [{"id": 7, "file_name": 3}]}) == (
        "coco.json: image 1: expected a file name, got 3"
    )
    assert refused({**value, "images": [*value["images"], {"id": 7, "file_name": "b.png"}]}) == (
        "coco.json: b.png and a.png have the same id 7; number them anew"
    )


def test_written__comes_back():
    outline = [(1, 1), (3, 1), (3, 4), (1, 4)]
    pictures = [
        Outlined(Path("/d/cut/1.png"), "cut/1.png", SIZE, 77, "cut", (outline, outline)),
        Outlined(Path("/d/good/2.png"), "good/2.png", SIZE, 78),
    ]

    value = json.loads(json.dumps(coco.written(pictures)))
    found = coco.read(value, FILE, Pens()).pictures

    assert coco.recognises(value)
    assert [(p.name, p.size, len(p.regions)) for p in found] == [
        ("cut/1.png", SIZE, 2),
        ("good/2.png", SIZE, 0),
    ]
    assert found[0].regions[0].shape == Polygon(outline)
    assert value["annotations"][1] == {
        "id": 2,
        "image_id": 1,
        "category_id": 1,
        "segmentation": [[1, 1, 3, 1, 3, 4, 1, 4]],
        "bbox": [1, 1, 2, 3],
        "area": 6,
        "iscrowd": 0,
    }
