"""From annotations to a data set: what lands where, what is listed, and that nothing is half-written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import grain, save
from PIL import Image

from leatherens.core.errors import ArtifactError, InputError
from leatherens.core.labels.annotations import Pens
from leatherens.core.labels.finding import Pictures
from leatherens.core.labels.importing import Imported, import_labels, read_annotations
from leatherens.core.layouts import read_folder
from leatherens.core.photographs import read_mask
from leatherens.plugins.mvtec_reader import MVTecReader

CUT = {"name": "rect", "x": 2, "y": 3, "width": 4, "height": 5}
HOLE = {"name": "circle", "cx": 20, "cy": 10, "r": 3}


def region(shape: dict, kind: str | None = "cut") -> dict:
    return {"shape_attributes": shape, "region_attributes": {} if kind is None else {"kind": kind}}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, name in enumerate(("1.png", "2.png", "deep/3.jpg")):
        save(tmp_path / "images" / name, grain(seed=number))
    return tmp_path / "images"


def annotate(root: Path, *, size: int = -1, **regions: list[dict]) -> Path:
    """A VIA file; names of pictures without their suffix, or with it after two underscores."""
    entries = {}
    for name, own in regions.items():
        file = name.replace("__", ".").removeprefix("_") if "__" in name else f"{name.removeprefix('_')}.png"
        entries[name] = {"filename": file, "size": size, "regions": own, "file_attributes": {}}
    path = root / "via.json"
    path.write_text(json.dumps(entries))
    return path


def take(source: Path, images: Path, out: Path, **options) -> Imported:
    found = read_annotations(source, Pens())
    return import_labels(found, source, Pictures(images), out, **options)


def refused(source: Path, images: Path, **options) -> str:
    out = source.parent / "out"
    with pytest.raises(InputError) as caught:
        take(source, images, out, **options)
    assert not out.exists()
    assert sorted(p.name for p in source.parent.iterdir()) == ["images", "via.json"]
    return str(caught.value).replace(f"{source.parent}/", "")


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_data_set(tmp_path, images):
    source = annotate(tmp_path, _1=[region(CUT)], _2=[], _3__jpg=[region(HOLE, "hole"), region(CUT, "hole")])
    out = tmp_path / "out"

    imported = take(source, images, out)

    assert files(out) == [
        "ground_truth/cut/1_mask.png",
        "ground_truth/hole/3_mask.png",
        "regions.json",
        "test/cut/1.png",
        "test/good/2.png",
        "test/hole/3.jpg",
    ]
    assert imported.folders == {"test/cut": 1, "test/good": 1, "test/hole": 1}
    assert imported.remarks == ()
    assert (out / "test/hole/3.jpg").read_bytes() == (images / "deep/3.jpg").read_bytes()
    expected = np.zeros((24, 32), dtype=bool)
    expected[3:8, 2:6] = True
    assert np.array_equal(read_mask(out / "ground_truth/cut/1_mask.png"), expected)
    assert set(np.unique(np.asarray(Image.open(out / "ground_truth/hole/3_mask.png")))) == {0, 255}
    assert read_mask(out / "ground_truth/hole/3_mask.png").sum() == 20 + 29


def test_data_set__is_read(tmp_path, images):
    out = tmp_path / "out"
    take(annotate(tmp_path, _1=[region(CUT)], _2=[]), images, out, good="train", unlisted=True)

    found = read_folder({"mvtec-ad": MVTecReader()}, out)

    assert found.sentence == "read as MVTec AD: 2 good to learn from and to test, 1 defective to test"
    assert found.remarks == ()
    assert found.test[0].masks == (out / "ground_truth/cut/1_mask.png",)


def test_regions__are_kept(tmp_path, images):
    out = tmp_path / "out"
    take(annotate(tmp_path, _1=[region(CUT), region(HOLE)]), images, out)

    assert json.loads((out / "regions.json").read_text()) == [
        {
            "image": "test/cut/1.png",
            "from": "1.png",
            "regions": [
                {"kind": "cut", "shape": "rectangle", "pixels": 20},
                {"kind": "cut", "shape": "circle", "pixels": 29},
            ],
        }
    ]


def test_several_kinds__the_one_with_the_largest_area(tmp_path, images):
    source = annotate(
        tmp_path, _1=[region(CUT), region(HOLE, "hole"), region(CUT)]
    )  # the cut twice counts once
    out = tmp_path / "out"

    imported = take(source, images, out)

    assert imported.remarks[:1] == ("1.png: several kinds (hole 29, cut 20 pixels), taken as hole",)
    assert read_mask(out / "ground_truth/hole/1_mask.png").sum() == 49


def test_without_a_kind(tmp_path, images):
    take(annotate(tmp_path, _1=[region(CUT, None)], _2=[region(HOLE, " ")]), images, tmp_path / "out")

    assert (tmp_path / "out/ground_truth/defect/1_mask.png").exists()
    assert (tmp_path / "out/ground_truth/defect/2_mask.png").exists()


def test_outside__is_cut_off_and_listed(tmp_path, images):
    shapes = [
        {"name": "rect", "x": -3, "y": 20, "width": 6, "height": 9},
        {"name": "circle", "cx": 99, "cy": 99, "r": 5},
        {"name": "rect", "x": 5, "y": 5, "width": 0, "height": 2},
    ]
    out = tmp_path / "out"

    imported = take(annotate(tmp_path, _1=[region(shape) for shape in shapes]), images, out)

    cut = "reaches 3 pixels past the left edge, 5 pixels past the bottom edge, cut off there"
    assert imported.remarks[:3] == (
        f"1.png, region 1 (rectangle): {cut}",
        "1.png, region 2 (circle): lies outside the picture, left out",
        "1.png, region 3 (rectangle): marks no pixel, left out",
    )
    assert read_mask(out / "ground_truth/cut/1_mask.png").sum() == 12
    (record,) = json.loads((out / "regions.json").read_text())
    assert record["regions"][0]["cut"] == cut


def test_nothing_marked__is_refused(tmp_path, images):
    source = annotate(tmp_path, _1=[region({"name": "circle", "cx": 99, "cy": 99, "r": 5})])

    assert refused(source, images) == (
        "via.json: 1.png: its regions mark none of the 24 x 32 pixels; mend or delete them"
    )


@pytest.mark.parametrize("kind", ["../up", "a/b", ".hidden", "a\\b", "con:", "new\nline"])
def test_kind__that_is_no_name_of_a_folder(tmp_path, images, kind):
    assert refused(annotate(tmp_path, _1=[region(CUT, kind)]), images) == (
        f"via.json: 1.png, region 1: its kind {kind!r} cannot be the name of a folder; rename it"
    )


def test_kind__good(tmp_path, images):
    assert refused(annotate(tmp_path, _1=[region(CUT, "Good")]), images) == (
        "via.json: 1.png, region 1: its kind is 'Good', the folder of images without defects; delete the "
        "region or rename"
    )


class TestGoodImages:
    def test_stay_where_they_are_or_are_tested(self, tmp_path, images):
        save(images / "train/good/4.png", grain(seed=4))
        save(images / "test/good/5.png", grain(seed=5))

        imported = take(annotate(tmp_path, _2=[], _4=[], _5=[]), images, tmp_path / "out")

        assert imported.folders == {"train/good": 1, "test/good": 2}
        assert imported.remarks == (
            "left out 2 images that " + str(tmp_path / "via.json") + " does not name: 1.png, deep/3.jpg",
        )

    def test_where_they_are_told_to_go(self, tmp_path, images):
        save(images / "test/good/5.png", grain(seed=5))

        imported = take(annotate(tmp_path, _2=[], _5=[]), images, tmp_path / "out", good="train")

        assert imported.folders == {"train/good": 2}

    def test_unlisted__with_no_mask_among_them(self, tmp_path, images):
        save(images / "ground_truth/cut/1.png", grain(seed=6))
        save(images / "2_mask.png", grain(seed=6))

        imported = take(annotate(tmp_path, _1=[region(CUT)]), images, tmp_path / "out", unlisted=True)

        assert imported.folders == {"test/cut": 1, "test/good": 2}
        assert imported.remarks == ()


class TestNames:
    def test_same_name_in_two_folders(self, tmp_path, images):
        save(images / "deep/1.jpg", grain(seed=7))
        source = annotate(tmp_path, _1=[region(CUT)], _1__jpg=[region(CUT)])

        take(source, images, tmp_path / "out")

        assert [name for name in files(tmp_path / "out") if "_" in name] == [
            "ground_truth/cut/1_mask.png",
            "ground_truth/cut/deep_1_mask.png",
            "test/cut/deep_1.jpg",
        ]

    def test_that_cannot_be_told_apart(self, tmp_path, images):
        save(images / "1.jpg", grain(seed=7))

        assert refused(annotate(tmp_path, _1=[region(CUT)], _1__jpg=[region(CUT)]), images) == (
            "1.png and 1.jpg would get the same name in one folder; rename one"
        )


class TestWriting:
    def test_link(self, tmp_path, images):
        take(annotate(tmp_path, _1=[region(CUT)]), images, tmp_path / "out", link=True)

        assert (tmp_path / "out/test/cut/1.png").samefile(images / "1.png")

    def test_link__where_there_are_none(self, tmp_path, images, monkeypatch):
        def refuse(*_: object) -> None:
            raise OSError("no links here")

        monkeypatch.setattr("os.link", refuse)

        take(annotate(tmp_path, _1=[region(CUT)]), images, tmp_path / "out", link=True)

        assert (tmp_path / "out/test/cut/1.png").read_bytes() == (images / "1.png").read_bytes()

    def test_out_is_taken(self, tmp_path, images):
        save(tmp_path / "out/mine.png", grain())

        with pytest.raises(ArtifactError, match=r"there is something already; choose another --out$"):
            take(annotate(tmp_path, _1=[region(CUT)]), images, tmp_path / "out")
        assert files(tmp_path / "out") == ["mine.png"]

    def test_failure_halfway__leaves_nothing(self, tmp_path, images, monkeypatch):
        source = annotate(tmp_path, _1=[region(CUT)], _2=[])

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("shutil.copyfile", fail)
        with pytest.raises(ArtifactError, match=r"out: cannot be written \(No space left on device\)"):
            take(source, images, tmp_path / "out")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "via.json"]


class TestPictures:
    def test_size_in_pixels_that_does_not_fit(self, tmp_path, images):
        path = tmp_path / "via.json"
        path.write_text(
            json.dumps(
                {
                    "images": [{"id": 1, "file_name": "1.png", "width": 24, "height": 32}],
                    "annotations": [],
                    "categories": [],
                }
            )
        )

        assert refused(path, images) == (
            "via.json: 1.png is annotated as 32 x 24 pixels and images/1.png has 24 x 32 (height x width); "
            "give the annotated images"
        )

    def test_turned_by_exif__is_annotated_upright(self, tmp_path, images):
        turned = Image.Exif()
        turned[0x0112] = 6
        save(images / "4.jpg", grain(24, 32), exif=turned)
        shape = {"name": "rect", "x": 20, "y": 25, "width": 9, "height": 3}

        imported = take(annotate(tmp_path, _4__jpg=[region(shape)]), images, tmp_path / "out")

        assert read_mask(tmp_path / "out/ground_truth/cut/4_mask.png").shape == (32, 24)
        assert "reaches 5 pixels past the right edge" in imported.remarks[0]

    def test_damaged(self, tmp_path, images):
        (images / "1.png").write_bytes(b"not a picture")

        assert "images/1.png: not an image that can be read" in refused(annotate(tmp_path, _1=[]), images)

    def test_none(self, tmp_path, images):
        path = tmp_path / "via.json"
        path.write_text('{"_via_img_metadata": {}}')

        assert refused(path, images) == "via.json: names no images; annotate some and export them"


class TestFormats:
    def said(self, path: Path, format: str | None = None) -> str:
        with pytest.raises(InputError) as caught:
            read_annotations(path, Pens(), format)
        return str(caught.value).replace(f"{path.parent}/", "")

    def test_unknown(self, tmp_path):
        assert self.said(tmp_path, "cocoa") == (
            "unknown format 'cocoa'; did you mean 'coco'? (formats: via, coco, labelme)"
        )

    def test_another_than_said(self, tmp_path):
        path = annotate(tmp_path, _1=[])

        assert self.said(path, "coco") == "via.json: not coco, but via; leave --from out"
        assert read_annotations(path, Pens(), "via").title == "VIA annotations (JSON)"

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            ("{}", "x: JSON, but of none of the formats via, coco, labelme"),
            (
                "name,mask\n1,2\n",
                "x: neither JSON nor VIA's CSV, which begins with filename,file_size,file_attributes",
            ),
            (
                '{"project": {}, "config": {}, "view": {}, "metadata": {}}',
                "x: a project of VIA 3, which is not read; export it from VIA 3 as COCO",
            ),
            ('{"images": [', "x: line 1: damaged, not JSON (Expecting value); export the annotations again"),
        ],
        ids=["json", "csv", "via 3", "damaged"],
    )
    def test_not_known(self, tmp_path, content, sentence):
        (tmp_path / "x").write_text(content)

        assert self.said(tmp_path / "x") == sentence

    def test_folder(self, tmp_path):
        assert self.said(tmp_path, "coco").endswith(
            ": a folder; only LabelMe's files come in folders, give the file"
        )

    def test_in_another_encoding(self, tmp_path):
        path = annotate(tmp_path, _1=[region(CUT, "Löcher")])
        path.write_text(path.read_text().encode().decode("unicode_escape"), encoding="utf-16")

        assert read_annotations(path, Pens()).pictures[0].regions[0].kind == "Löcher"
