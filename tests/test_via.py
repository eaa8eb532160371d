"""VIA's files: what versions 1 and 2 export, and what people and spreadsheets make of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from leatherens.core.errors import InputError
from leatherens.core.labels import via
from leatherens.core.labels.annotations import Pens
from leatherens.core.labels.exporting import Outlined
from leatherens.core.labels.shapes import Circle, Ellipse, Line, Point, Polygon, Rectangle

FILE = Path("via.csv")
HEADER = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
ELLIPSE = '"{""name"":""ellipse"",""cx"":252,""cy"":190,""rx"":27,""ry"":26}"'
RECT = '"{""name"":""rect"",""x"":2,""y"":3,""width"":4,""height"":5}"'
NO_PENS = Pens()


def read_csv(*lines: str, pens: Pens = NO_PENS, header: str = HEADER):
    return via.read_csv("\n".join([header, *lines]) + "\n", FILE, pens)


def refused(*lines: str, **options) -> str:
    with pytest.raises(InputError) as caught:
        read_csv(*lines, **options)
    return str(caught.value)


def region(pens: Pens = NO_PENS, **attributes):
    """The shape that these attributes describe."""
    document = {"a.png9": {"filename": "a.png", "size": 9, "regions": [{"shape_attributes": attributes}]}}
    (picture,) = via.read(document, FILE, pens).pictures
    return picture.regions[0].shape


def region_refused(**attributes) -> str:
    with pytest.raises(InputError) as caught:
        region(**attributes)
    return str(caught.value)


class TestCsv:
    def test_doubled_quotes_and_no_theta__of_the_table_of_facts(self):
        (picture,) = read_csv(f'a.png,1234,"{{}}",1,0,{ELLIPSE},"{{""type"":""hole""}}"').pictures

        assert picture.name == "a.png"
        assert picture.bytes == 1234
        assert [(r.shape, r.kind) for r in picture.regions] == [(Ellipse(252, 190, 27, 26, 0.0), "hole")]

    def test_lines_of_one_picture_come_together(self):
        found = read_csv(
            f'a.png,9,"{{}}",2,0,{RECT},"{{}}"',
            f'b.png,7,"{{}}",1,0,{RECT},"{{}}"',
            f'a.png,9,"{{}}",2,1,{ELLIPSE},"{{}}"',
        )

        assert [(p.name, len(p.regions)) for p in found.pictures] == [("a.png", 2), ("b.png", 1)]
        assert found.regions == 3

    def test_same_name_and_another_size__is_another_picture(self):
        found = read_csv(f'a.png,9,"{{}}",1,0,{RECT},"{{}}"', f'a.png,8,"{{}}",1,0,{RECT},"{{}}"')

        assert [p.bytes for p in found.pictures] == [9, 8]

    def test_region_count_0__is_a_picture_without_regions(self):
        (picture,) = read_csv('a.png,9,"{}",0,0,"{}","{}"').pictures

        assert picture.regions == ()

    def test_version_1(self):
        assert via.recognises_csv("#" + HEADER)
        (picture,) = read_csv(f'a.png,-1,"{{}}",1,0,{RECT},"{{}}"', header="#" + HEADER).pictures

        assert picture.bytes is None

    def test_commas_in_the_name__are_of_the_name(self):
        (picture,) = read_csv(f'hide 3, left, wet.png,9,"{{}}",1,0,{RECT},"{{}}"').pictures

        assert picture.name == "hide 3, left, wet.png"

    @pytest.mark.parametrize("mark", [";", "\t"])
    def test_saved_by_a_spreadsheet(self, mark):
        line = mark.join(["a.png", "9", "{}", "1", "0", RECT, "{}"])

        (picture,) = read_csv(line, header=HEADER.replace(",", mark)).pictures

        assert via.recognises_csv(HEADER.replace(",", mark))
        assert (picture.name, picture.regions[0].shape) == ("a.png", Rectangle.at(2, 3, width=4, height=5))

    def test_longer_than_csv_allows_by_itself(self):
        xs = list(range(60_000))
        shape = json.dumps({"name": "polygon", "all_points_x": xs, "all_points_y": xs}).replace('"', '""')
        before = csv.field_size_limit()

        (picture,) = read_csv(f'a.png,9,"{{}}",1,0,"{shape}","{{}}"').pictures

        assert len(picture.regions[0].shape.points) == 60_000
        assert csv.field_size_limit() == before

    def test_damage__is_named_with_its_line(self):
        again = "; export the annotations again"
        assert refused("a.png,9") == f"via.csv: line 2: expected 7 columns, got 2{again}"
        assert refused('a.png,9,"{}",1,0,"{""name"":""re') == (
            f"via.csv: line 2: damaged, not CSV (unexpected end of data){again}"
        )
        assert refused(f'a.png,9,"{{}}",1,0,{RECT},"{{}}"', 'b.png,9,"{}",1,0,"{""name"":}","{}"') == (
            f"via.csv: line 3: damaged, not JSON (Expecting value){again}"
        )
        assert refused('a.png,big,"{}",0,0,"{}","{}"') == (
            'via.csv: a.png: expected a file size in bytes, got "big"'
        )
        assert refused(header=HEADER.replace("region_id", "id")).startswith(
            "via.csv: line 1: expected the columns filename,file_size,"
        )


class TestJson:
    def test_project_annotations_and_version_1__say_the_same(self):
        regions = [
            {
                "shape_attributes": {"name": "circle", "cx": 5, "cy": 6, "r": 2},
                "region_attributes": {"k": "cut"},
            }
        ]
        entry = {"filename": "a.png", "size": "99", "regions": regions, "file_attributes": {}}
        by_number = {**entry, "regions": {"0": regions[0]}}
        documents = [{"a.png99": entry}, {"_via_img_metadata": {"a.png99": entry}}, {"a.png99": by_number}]

        found = [via.read(document, FILE, NO_PENS).pictures for document in documents]

        assert all(map(via.recognises, documents))
        assert found[0] == found[1] == found[2]
        assert found[0][0].bytes == 99
        assert found[0][0].regions[0].shape == Circle.at(5, 6, radius=2)

    @pytest.mark.parametrize(
        "document", [[], {}, {"a": 1}, {"a": {"filename": "x"}}, {"images": [], "annotations": []}]
    )
    def test_others__are_not_recognised(self, document):
        assert not via.recognises(document)

    def test_damage(self):
        with pytest.raises(
            InputError, match=r"^via\.csv: _via_img_metadata: expected an object with named values"
        ):
            via.read({"_via_img_metadata": []}, FILE, NO_PENS)
        with pytest.raises(InputError, match=r"^via\.csv: a: expected a file name, got 7$"):
            via.read({"a": {"filename": 7, "regions": []}}, FILE, NO_PENS)

    def test_region_that_only_says_something__is_none(self):
        document = {
            "a": {
                "filename": "a",
                "size": 1,
                "regions": [{"shape_attributes": {}, "region_attributes": {"x": "y"}}],
            }
        }

        assert via.read(document, FILE, NO_PENS).pictures[0].regions == ()


class TestShapes:
    def test_every_shape(self):
        pens = Pens(line_width=3, point_radius=1)
        xs, ys = [1, 5, 5], [2, 2, 7.5]
        points = [(1, 2), (5, 2), (5, 7.5)]
        assert region(name="rect", x=1, y=2, width=3, height=4) == Rectangle.at(1, 2, width=3, height=4)
        assert region(name="circle", cx=1, cy=2, r=3.5) == Circle.at(1, 2, radius=3.5)
        assert region(name="ellipse", cx=1, cy=2, rx=3, ry=4, theta=0.5) == Ellipse(1, 2, 3, 4, 0.5)
        assert region(name="polygon", all_points_x=xs, all_points_y=ys) == Polygon(points)
        assert region(pens, name="polyline", all_points_x=xs, all_points_y=ys) == Line(points, 3)
        assert region(pens, name="point", cx=4, cy=5) == Point.at(4, 5, radius=1)

    def test_without_area__needs_a_pen(self):
        where = "via.csv: a.png, region 1: "
        assert region_refused(name="polyline", all_points_x=[1, 2], all_points_y=[1, 2]) == (
            where + "a line has no area; say --line-width with its width in pixels"
        )
        assert region_refused(name="point", cx=1, cy=1) == (
            where + "a point has no area; say --point-radius in pixels, 0 for one pixel"
        )

    def test_damage(self):
        where = "via.csv: a.png, region 1: "
        assert region_refused(name="extreme_rect", x=1) == where + (
            "unknown shape 'extreme_rect' (shapes: rect, circle, ellipse, polygon, polyline, point); "
            "draw it as a polygon"
        )
        assert region_refused(name="circle", cx=1, cy=1) == where + "'r' is missing"
        assert region_refused(name="circle", cx=1, cy="b", r=1) == where + 'cy: expected a number, got "b"'
        assert region_refused(name="rect", x=1, y=1, width=-4, height=2) == (
            where + "width: expected 0 or more, got -4"
        )
        assert region_refused(name="polygon", all_points_x=[1, 2, 3], all_points_y=[1, 2]) == (
            where + "3 values of x and 2 of y; mend or delete the region"
        )
        assert region_refused(name="polygon", all_points_x=[1, 2], all_points_y=[1, 2]) == (
            where + "2 points, at least 3 are needed; mend or delete the region"
        )
        assert region_refused(name="polygon", all_points_x=7, all_points_y=[1]) == (
            where + "all_points_x: expected a list, got 7"
        )

    @pytest.mark.parametrize(
        ("option", "value"), [("line_width", 0.5), ("point_radius", -1), ("line_width", float("nan"))]
    )
    def test_pens__of_no_width(self, option, value):
        with pytest.raises(InputError, match="or more pixels, got"):
            Pens(**{option: value})


def kinds(*attributes, pens: Pens = NO_PENS, **project) -> list[str]:
    shape = {"name": "circle", "cx": 1, "cy": 1, "r": 1}
    regions = [{"shape_attributes": shape, "region_attributes": said} for said in attributes]
    document = {"_via_img_metadata": {"a": {"filename": "a", "size": 1, "regions": regions}}, **project}
    return [region.kind for region in via.read(document, FILE, pens).pictures[0].regions]


class TestKinds:
    def test_the_only_attribute(self):
        assert kinds({"type": "cut"}, {}, {"type": ""}, {"type": "hole"}) == ["cut", "", "", "hole"]

    def test_several__one_has_to_be_named(self):
        with pytest.raises(InputError) as caught:
            kinds({"type": "cut", "who": "Ann"})
        assert str(caught.value) == (
            "via.csv: regions have several attributes (type, who); say with --attribute which one names the "
            "kind of defect"
        )
        assert kinds({"type": "cut", "who": "Ann"}, {"who": "Bob"}, pens=Pens(attribute="type")) == [
            "cut",
            "",
        ]

    def test_unknown_attribute(self):
        with pytest.raises(InputError, match=r"no region has the attribute 'kind' \(attributes: type\)"):
            kinds({"type": "cut"}, pens=Pens(attribute="kind"))

    def test_boxes(self):
        assert kinds({"type": {"cut": True, "hole": False}}, {"type": {}}) == ["cut", ""]
        with pytest.raises(InputError, match=r"region 1: 2 kinds are ticked \(cut, hole\); tick one"):
            kinds({"type": {"cut": True, "hole": True}})

    def test_numbers_of_an_imported_coco_file__become_their_names(self):
        attributes = {"region": {"defect": {"type": "radio", "options": {"1": "cut", "2": "hole"}}}}

        assert kinds({"defect": "2"}, {"defect": "1"}, {"defect": "7"}, _via_attributes=attributes) == [
            "hole",
            "cut",
            "7",
        ]

    def test_no_text(self):
        with pytest.raises(InputError, match=r"region 1: expected a kind of defect, got \[1\]"):
            kinds({"type": [1]})


PICTURES = [
    Outlined(Path("/data/cut/1.png"), "cut/1.png", (8, 9), 77, "cut", ([(1, 1), (3, 1), (3, 4), (1, 4)],)),
    Outlined(Path("/data/good/2.png"), "good/2.png", (8, 9), 78),
]


class TestWritten:
    def test_comes_back(self, tmp_path):
        document = json.loads(json.dumps(via.written(PICTURES, tmp_path)))
        text = via.written_csv(PICTURES)

        found = via.read(document, FILE, NO_PENS).pictures, via.read_csv(text, FILE, NO_PENS).pictures

        assert via.recognises(document)
        assert via.recognises_csv(text)
        assert found[0] == found[1]
        assert [(p.name, p.bytes) for p in found[0]] == [("cut/1.png", 77), ("good/2.png", 78)]
        assert [[(r.shape, r.kind) for r in p.regions] for p in found[0]] == [
            [(Polygon([(1, 1), (3, 1), (3, 4), (1, 4)]), "cut")],
            [],
        ]

    def test_project__is_what_via_asks_for(self, tmp_path):
        project = via.written(PICTURES, tmp_path)

        assert project["_via_settings"]["core"]["default_filepath"] == f"{tmp_path.as_uri()}/"
        assert (
            list(project["_via_img_metadata"])
            == project["_via_image_id_list"]
            == ["cut/1.png77", "good/2.png78"]
        )
        assert project["_via_attributes"]["region"]["defect"]["options"] == {"cut": "cut"}

    def test_csv__has_the_header_via_asks_for(self):
        assert via.written_csv(PICTURES).splitlines()[0] == HEADER
