"""`leatherens data import` and `export`, as typed: what is said, and masks that go out and come back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from pictures import grain, mvtec, save
from tiny_runs import call

from leatherens.core.photographs import read_mask


def said(*arguments: object) -> list[str]:
    result = call("data", *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def refused(*arguments: object) -> str:
    result = call("data", *arguments)
    assert result.exit_code == 2
    return result.stderr.splitlines()[-1]


def same_masks(one: Path, other: Path) -> int:
    """How many masks of a data set lie at the same place in another and are the same."""
    masks = sorted((one / "ground_truth").rglob("*.png"))
    return sum(
        np.array_equal(read_mask(mask), read_mask(other / mask.relative_to(one)))
        for mask in masks
        if (other / mask.relative_to(one)).exists()
    )


def test_there_and_back(tmp_path):
    root = mvtec(tmp_path / "data", train=2, good=1, cut=2, hole=1)
    file, back = tmp_path / "via.json", tmp_path / "back"

    assert said("export", "--to", "via", "--data", root, "--out", file) == [
        f"{root}: read as MVTec AD: 2 good to learn from, 1 good and 3 defective to test",
        f"{file}: 4 images, 3 regions",
    ]
    assert said("import", file, "--images", root, "--out", back, "--unlisted") == [
        f"{file}: read as a VIA project: 4 images, 3 regions",
        f"{back}: 3 defective images (cut 2, hole 1); without regions: 2 in train/good, 1 in test/good",
    ]
    assert same_masks(root, back) == 3
    for picture in root.glob("t*/*/*.png"):
        assert (back / picture.relative_to(root)).read_bytes() == picture.read_bytes()


def test_predicted_masks__out_and_back(alone, leather, tmp_path):
    predicted = tmp_path / "predicted"
    call("predict", alone, leather / "test", "--out", predicted, "--device", "cpu")
    marked = {
        mask.relative_to(predicted).as_posix().removesuffix(".mask.png"): read_mask(mask)
        for mask in predicted.rglob("*.mask.png")
    }
    assert any(mask.any() for mask in marked.values())

    lines = said(
        "export",
        "--to",
        "coco",
        "--data",
        leather / "test",
        "--masks",
        predicted,
        "--out",
        tmp_path / "x.json",
    )
    said("import", tmp_path / "x.json", "--images", leather / "test", "--out", tmp_path / "back")

    assert lines[-1].startswith(f"{tmp_path / 'x.json'}: {len(marked)} images, ")
    came = {
        entry["from"]: entry["image"] for entry in json.loads((tmp_path / "back/regions.json").read_text())
    }
    for name, mask in marked.items():
        if not mask.any():
            assert came[name].startswith("test/good/")
        else:
            stem = Path(came[name]).stem
            assert np.array_equal(read_mask(tmp_path / f"back/ground_truth/defect/{stem}_mask.png"), mask)


def test_import__lists_what_was_cut_off(tmp_path):
    save(tmp_path / "images/1.png", grain())
    file = tmp_path / "via.csv"
    file.write_text(
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
        '1.png,-1,"{}",1,0,"{""name"":""rect"",""x"":-3,""y"":2,""width"":9,""height"":4}","{}"\n'
    )

    assert said(
        "import", "--from", "via", file, "--images", tmp_path / "images", "--out", tmp_path / "out"
    ) == [
        f"{file}: read as VIA annotations (CSV): 1 image, 1 region",
        "note: 1.png, region 1 (rectangle): reaches 3 pixels past the left edge, cut off there",
        f"{tmp_path / 'out'}: 1 defective image (defect 1); without regions: none",
    ]


def test_import__pens_and_attribute(tmp_path):
    save(tmp_path / "images/1.png", grain())
    line = {"name": "polyline", "all_points_x": [2, 9], "all_points_y": [5, 5]}
    point = {"name": "point", "cx": 20, "cy": 5}
    said_ = {"kind": "cut", "by": "Ann"}
    regions = [{"shape_attributes": shape, "region_attributes": said_} for shape in (line, point)]
    file = tmp_path / "via.json"
    file.write_text(json.dumps({"1.png9": {"filename": "1.png", "size": 9, "regions": regions}}))
    arguments = ("import", file, "--images", tmp_path / "images", "--out", tmp_path / "out", "--changed")

    assert "say with --attribute" in refused(*arguments)
    assert "say --line-width" in refused(*arguments, "--attribute", "kind")
    assert "say --point-radius" in refused(*arguments, "--attribute", "kind", "--line-width", "1")
    said(*arguments, "--attribute", "kind", "--line-width", "1", "--point-radius", "0")
    assert read_mask(tmp_path / "out/ground_truth/cut/1_mask.png").sum() == 8 + 1


def test_export__of_masks_takes_no_layout(tmp_path):
    arguments = ("--to", "coco", "--data", tmp_path, "--masks", tmp_path, "--out", tmp_path / "x.json")

    assert refused("export", *arguments, "--layout", "folder").endswith("leave it out with --masks")


def test_export__says_what_a_tolerance_costs(tmp_path):
    root = mvtec(tmp_path / "data", train=1, good=1, cut=1)

    lines = said("export", "--to", "labelme", "--data", root, "--out", tmp_path / "x", "--tolerance", "2")

    assert lines[1] == "note: with a tolerance of 2 pixels 0 pixels differ from the 24 marked"


@pytest.mark.parametrize("tolerance", ["-1", "nan", "1001"])
def test_export__tolerance_that_cannot_be(tmp_path, tolerance):
    arguments = ("--to", "coco", "--data", tmp_path, "--out", tmp_path / "x.json", "--tolerance", tolerance)

    assert refused("export", *arguments).startswith("Error: --tolerance: expected 0 to 1000 pixels, got ")


REAL = {"leather_multi_colour": 105, "leather_one_colour": 39, "magnetic_tile": 192}


@pytest.mark.skipif(
    "LEATHERENS_DATA" not in os.environ, reason="LEATHERENS_DATA names no folder of real data"
)
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("out", ["via.csv", "coco.json"])
def test_real_masks__come_back_to_the_pixel(tmp_path, name, out):
    root = Path(os.environ["LEATHERENS_DATA"], name)
    if not root.is_dir():
        pytest.skip(f"no {name} in LEATHERENS_DATA")
    said("export", "--to", out.split(".", maxsplit=1)[0], "--data", root, "--out", tmp_path / out)
    said("import", tmp_path / out, "--images", root, "--out", tmp_path / "back", "--link")

    assert same_masks(root, tmp_path / "back") == REAL[name]
