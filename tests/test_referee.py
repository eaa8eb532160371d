"""`leatherens metrics`: maps of any tool, matched, opened, measured, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pictures import grain, save, spot
from PIL import Image
from sklearn import metrics as reference
from tiny_runs import call

from leatherens.core import metrics
from leatherens.core.saturation import Region

SIZE = (24, 32)
IDS = ("test/cut/000", "test/cut/001", "test/hole/000", "test/good/000", "test/good/001")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two cuts, one hole, two good images to test."""
    root = tmp_path / "data"
    for number, name in enumerate(("train/good/000", *IDS)):
        save(root / f"{name}.png", grain(*SIZE, seed=number))
    for number, name in enumerate(("cut/000", "cut/001", "hole/000")):
        save(root / "ground_truth" / f"{name}_mask.png", np.roll(spot(*SIZE), 2 * number, axis=0))
    return root


def truth(data: Path, id: str) -> np.ndarray:
    path = data / f"{id.replace('test', 'ground_truth')}_mask.png"
    return np.array(Image.open(path)) > 0 if path.is_file() else np.zeros(SIZE, bool)


def scores(data: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {id: (rng.normal(size=SIZE) + 2 * truth(data, id)).astype(np.float32) for id in IDS}


def write(folder: Path, maps: dict[str, np.ndarray], suffix: str = ".tiff") -> Path:
    for id, pixels in maps.items():
        path = folder / f"{id}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix.endswith(".npy"):
            np.save(path, pixels)
        elif suffix.endswith(".png"):
            Image.fromarray(pixels).save(path)
        else:
            tifffile.imwrite(path, pixels)
    return folder


def found(*arguments: object) -> dict[str, Any]:
    result = call("metrics", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def refused(*arguments: object) -> str:
    result = call("metrics", *arguments)
    assert result.exit_code == 2
    return result.stderr.splitlines()[-1]


def test_metrics__are_those_of_the_functions(data, tmp_path):
    made = scores(data)
    maps = write(tmp_path / "maps", made)
    content = found(
        *("--maps", maps, "--data", data, "--threshold", 3, "--pixel-threshold", 1.5),
        *("--limit", 0.3, "--limit", 0.05, "--by", "defect"),
    )
    pixels, masks = list(made.values()), [truth(data, id) for id in made]
    tops, labels = [p.max() for p in pixels], [m.any() for m in masks]
    expected = {
        "image_auroc": reference.roc_auc_score(labels, tops),
        "image_accuracy": np.mean((np.array(tops) > 3) == labels),
        "pixel_ap": reference.average_precision_score(np.ravel(masks), np.ravel(pixels)),
        "au_pro": metrics.au_pro(pixels, masks),
        "au_pro_0.05": metrics.au_pro(pixels, masks, limit=0.05),
        "iou": metrics.iou(pixels, masks, 1.5),
    }
    assert {name: content["metrics"][name] for name in expected} == pytest.approx(expected)
    assert content["undefined"] == {}
    assert content["images"]["good_images"] == 2
    assert list(content["by_defect"]) == ["cut", "hole"]
    chosen = [id for id in made if "hole" not in id]
    cut = metrics.au_pro([made[id] for id in chosen], [truth(data, id) for id in chosen])
    assert content["by_defect"]["cut"]["metrics"]["au_pro"] == pytest.approx(cut)
    assert set(content["definitions"]) == {name for name in content["metrics"] if name != "au_pro_0.05"}


@pytest.mark.parametrize("suffix", [".tiff", ".npy", ".png.tiff", ".png.npy", ".tif"])
@pytest.mark.parametrize("leading", ["", "test/"])
def test_maps__are_found_by_the_end_of_the_path(data, tmp_path, suffix, leading):
    """As this program names them, too: the image's own suffix stays."""
    made = scores(data)
    maps = write(tmp_path / "maps", {id.removeprefix(leading): p for id, p in made.items()}, suffix)
    content = found("--maps", maps, "--data", data)
    masks = [truth(data, id) for id in made]
    assert content["metrics"]["au_pro"] == pytest.approx(metrics.au_pro(list(made.values()), masks))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tiff", ".npy"])
def test_maps__of_whole_numbers(data, tmp_path, dtype, suffix):
    levels = np.iinfo(dtype).max
    made = {id: (np.clip(p / 10 + 0.5, 0, 1) * levels).astype(dtype) for id, p in scores(data).items()}
    content = found("--maps", write(tmp_path / "maps", made, suffix), "--data", data)
    masks = [truth(data, id) for id in made]
    floats = [p.astype(np.float32) for p in made.values()]
    assert content["metrics"]["pixel_auroc"] == metrics.pixel_auroc(floats, masks)


def test_maps__float64_loses_nothing(data, tmp_path):
    """Numbers that are one and the same float32."""
    made = {id: 1 + truth(data, id) * 1e-12 for id in IDS}
    content = found("--maps", write(tmp_path / "maps", made, ".npy"), "--data", data)
    assert content["metrics"]["pixel_auroc"] == 1


def test_resize__enlarges_and_says_so(data, tmp_path):
    made = {id: p[::2, ::2] for id, p in scores(data).items()}
    made[IDS[0]] = scores(data)[IDS[0]]
    maps = write(tmp_path / "maps", made)
    content = found("--maps", maps, "--data", data, "--resize", "bilinear")
    assert content["rules"]["resizing"].startswith("4 of 5 maps brought to the size of the image, bilinear")
    assert refused("--maps", maps, "--data", data) == (
        f"Error: {maps}/test/cut/001.tiff: the map is 12 x 16 pixels and its image 24 x 32 (height x width); "
        "save maps at the size of their images, or have them brought to it with --resize bilinear"
    )


def test_scores__of_images_from_a_file(data, tmp_path):
    maps = write(tmp_path / "maps", scores(data))
    file = tmp_path / "scores.csv"
    file.write_text("image,score\ncut/000,5\ncut/001,4\nhole/000.png,1\ngood/000,2\ngood/001,0\n")
    content = found("--maps", maps, "--data", data, "--scores", file)
    assert content["metrics"]["image_auroc"] == 5 / 6
    assert content["rules"]["image scores"] == "those given"
    file.write_text("image,score\ncut/000,5\ncut/001,4\n")
    assert refused("--maps", maps, "--data", data, "--scores", file) == (
        f"Error: {file}: no score for test/good/000.png; give every image that is measured a line"
    )
    file.write_text("image,score\ncut/000,nan\n")
    assert refused("--maps", maps, "--data", data, "--scores", file) == (
        f"Error: {file}: line 2: expected a number as score, got 'nan'"
    )
    file.write_text("name,points\na,1\n")
    assert refused("--maps", maps, "--data", data, "--scores", file) == (
        f"Error: {file}: expected the columns image and score, got name, points"
    )


def test_intervals__hold_the_value_and_follow_the_seed(data, tmp_path):
    maps = write(tmp_path / "maps", scores(data))
    arguments = ("--maps", maps, "--data", data, "--threshold", 3, "--intervals", 50)
    content = found(*arguments)
    for name in ("image_auroc", "pixel_auroc", "pixel_ap", "au_pro", "image_recall"):
        low, high = content["intervals"][name]
        assert low <= content["metrics"][name] + 0.01
        assert content["metrics"][name] <= high + 0.01
    assert found(*arguments)["intervals"] == content["intervals"]
    assert found(*arguments, "--seed", 1)["intervals"] != content["intervals"]


def test_loco__structural_logical_and_their_mean(tmp_path):
    root, rng = tmp_path / "loco", np.random.default_rng(0)
    kinds = ("logical_anomalies", "structural_anomalies")
    for name in ("train/good/0", "test/good/0", *(f"test/{kind}/0" for kind in kinds)):
        save(root / f"{name}.png", grain(*SIZE))
    for level, kind in zip((255, 254), kinds, strict=True):
        save(root / "ground_truth" / kind / "0" / "000.png", ((spot(*SIZE) > 0) * level).astype(np.uint8))
    keys = ("defect_name", "pixel_value", "saturation_threshold", "relative_saturation")
    config = [dict(zip(keys, row, strict=True)) for row in (("a", 255, 3, False), ("b", 254, 0.5, True))]
    (root / "defects_config.json").write_text(json.dumps(config))
    ids = ["test/good/0", *(f"test/{kind}/0" for kind in kinds)]
    maps = write(tmp_path / "maps", {id: rng.normal(size=SIZE).astype(np.float32) for id in ids})

    groups = found("--maps", maps, "--data", root, "--by", "defect")["by_defect"]
    assert list(groups) == [*kinds, "mean of kinds"]
    values = [groups[name]["metrics"]["au_spro_0.3"] for name in groups]
    assert values[2] == pytest.approx((values[0] + values[1]) / 2)
    for kind, saturated in zip(kinds, (3, 12), strict=True):
        marked = spot(*SIZE) > 0
        some = [tifffile.imread(maps / f"{id}.tiff") for id in ("test/good/0", f"test/{kind}/0")]
        expected = metrics.au_spro(some, [[], [Region(marked, saturated, "x")]], limit=0.3)
        assert groups[kind]["metrics"]["au_spro_0.3"] == pytest.approx(expected)


def test_text__says_numbers_definitions_and_rules(data, tmp_path):
    maps = write(tmp_path / "maps", scores(data))
    result = call("metrics", "--maps", maps, "--data", data, "--impostors")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("5 images (2 good, 3 defective), 3 defect regions")
    assert any(line.startswith("AU-PRO to 0.3  ") for line in lines)
    assert any(line.startswith("stfpm_au_pro  ") for line in lines)
    for rule in ("images", "ties", "connectivity", "resizing", "image scores"):
        assert any(line.startswith(f"{rule}: ") for line in lines)


def test_out__is_what_json_prints(data, tmp_path):
    maps = write(tmp_path / "maps", scores(data))
    content = found("--maps", maps, "--data", data, "--out", tmp_path / "found.json")
    assert json.loads((tmp_path / "found.json").read_text()) == content


def test_undefined__has_a_reason(data, tmp_path):
    """Good images alone."""
    for kind in ("cut", "hole"):
        for image in (data / "test" / kind).iterdir():
            image.unlink()
    maps = write(tmp_path / "maps", {id: p for id, p in scores(data).items() if "good" in id})
    content = found("--maps", maps, "--data", data)
    assert content["metrics"]["image_auroc"] is None
    assert content["undefined"]["image_auroc"] == "there is no defective image"
    assert content["undefined"]["au_pro"] == "there is no defect pixel that is marked and counts"
    lines = call("metrics", "--maps", maps, "--data", data).stdout.splitlines()
    assert "undefined: image AUROC, image AP, image F1-max: there is no defective image" in lines


def test_empty_masks__are_undefined_for_pixels_only(data, tmp_path):
    for mask in (data / "ground_truth").rglob("*.png"):
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(mask)
    content = found("--maps", write(tmp_path / "maps", scores(data)), "--data", data)
    assert content["metrics"]["image_auroc"] is not None
    assert set(content["undefined"]) == {"pixel_auroc", "pixel_ap", "pixel_f1_max", "au_pro"}


def test_defects_without_a_mask__count_as_images_only(data, tmp_path):
    (data / "ground_truth/hole/000_mask.png").unlink()
    made = scores(data)
    content = found("--maps", write(tmp_path / "maps", made), "--data", data)
    rest = [id for id in made if "hole" not in id]
    expected = metrics.au_pro([made[id] for id in rest], [truth(data, id) for id in rest])
    assert content["metrics"]["au_pro"] == pytest.approx(expected)
    assert (
        "1 defective image without a mask count in no pixel metric: test/hole/000.png" in content["remarks"]
    )


def test_images_to_learn_from__stand_in_where_no_good_one_is_tested(data, tmp_path):
    for image in (data / "test/good").iterdir():
        image.unlink()
    made = {id: p for id, p in scores(data).items() if "good" not in id}
    maps = write(tmp_path / "maps", {**made, "train/good/000": np.zeros(SIZE, np.float32)})
    content = found("--maps", maps, "--data", data)
    assert content["images"]["good_images"] == 1
    assert any("1 good image with a map stand in" in remark for remark in content["remarks"])


# What is refused


def test_refused__a_map_is_missing(data, tmp_path):
    made = scores(data)
    del made["test/cut/001"]
    maps = write(tmp_path / "maps", made)
    assert refused("--maps", maps, "--data", data) == (
        f"Error: {maps}: no map for test/cut/001.png (looked for test/cut/001.* or cut/001.* or 001.*); "
        "score every test image, or measure those that have a map with --partial"
    )
    content = found("--maps", maps, "--data", data, "--partial")
    assert (
        content["remarks"][-1] == "1 of 5 images to test without a map were left out, first test/cut/001.png"
    )


def test_refused__no_map_at_all(data, tmp_path):
    maps = write(tmp_path / "maps", {"other": np.zeros(SIZE, np.float32)})
    assert "no map for test/cut/000.png, nor for 4 others of 5 (" in refused(
        "--maps", maps, "--data", data, "--partial"
    )
    (tmp_path / "empty").mkdir()
    assert "no score maps in it (.npy, .png, .tif, .tiff)" in refused(
        "--maps", tmp_path / "empty", "--data", data
    )
    assert "no such folder" in refused("--maps", tmp_path / "nowhere", "--data", data)


def test_refused__one_map_for_two_images_or_two_for_one(data, tmp_path):
    maps = write(tmp_path / "maps", {id.rpartition("/")[2]: p for id, p in scores(data).items()})
    assert refused("--maps", maps, "--data", data) == (
        f"Error: {maps}/000.tiff: fits two images (test/cut/000.png and test/good/000.png); keep maps in "
        "folders named like the images'"
    )
    maps = write(tmp_path / "more", scores(data))
    write(maps, scores(data), ".npy")
    assert "two maps are called test/cut/000: " in refused("--maps", maps, "--data", data)


def test_extra_maps__are_told(data, tmp_path):
    maps = write(tmp_path / "maps", {**scores(data), "test/scratch/000": np.zeros(SIZE, np.float32)})
    content = found("--maps", maps, "--data", data)
    assert content["remarks"][-1] == "passed over 1 map of no image to test, first test/scratch/000.tiff"


@pytest.mark.parametrize(
    ("pixels", "suffix", "told"),
    [
        (np.full(SIZE, np.nan, np.float32), ".tiff", "768 of 768 pixels are NaN; every pixel needs a score"),
        (np.zeros((*SIZE, 3), np.float32), ".npy", "expected one score per pixel, (H, W), got (24, 32, 3);"),
        (np.zeros((*SIZE, 3), np.uint8), ".png", "a picture in colours, no scores; save one grey channel"),
        (np.zeros(SIZE, np.complex64), ".npy", "holds complex64, no real numbers; save scores as float32"),
        (np.array([["a"]], object), ".npy", "not a score map that can be read ("),
    ],
)
def test_refused__maps_without_scores(data, tmp_path, pixels, suffix, told):
    maps = write(tmp_path / "maps", scores(data))
    (maps / "test/hole/000.tiff").unlink()
    write(maps, {"test/hole/000": pixels}, suffix)
    assert f"{maps}/test/hole/000{suffix}: {told}" in refused("--maps", maps, "--data", data)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--limit", 0), "limit: expected a false-positive rate above 0 and at most 1, got 0.0"),
        (("--intervals", 1), "--intervals: expected at least 2 resamplings, such as 1000, got 1"),
    ],
)
def test_refused__options(data, tmp_path, option, told):
    maps = write(tmp_path / "maps", scores(data))
    assert refused("--maps", maps, "--data", data, *option) == f"Error: {told}"
