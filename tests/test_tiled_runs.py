"""Runs whose photographs are looked at in tiles, from the command line to the files they write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tiny_runs import array, call, evaluated, files, metrics, options, predicted, table, untimed

from leatherens.core import bands
from leatherens.core.leather import write_demo


@pytest.fixture(scope="module")
def hides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 x 96 pixels; 16 good to learn from, 5 good and 4 defective to test."""
    folder = tmp_path_factory.mktemp("data") / "hides"
    write_demo(folder, scenario="one-colour", size=96, train=16, test=9, seed=0)
    return folder


TILED = ("--tile", "64", "--overlap", "0.5")


def run(out: Path, data: Path, members: str, *more: object) -> Path:
    given = options(members)
    del given[given.index("--size") : given.index("--size") + 2]
    result = call("run", *given, *TILED, "--data", data, "--out", out, *more)
    assert result.exit_code == 0, result.stderr
    return out


@pytest.fixture(scope="module")
def tiled(hides: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("runs") / "tiled", hides, "stfpm")


def test_run__writes_maps_and_overviews_of_every_test_photograph(hides, tiled):
    lines = table(tiled)
    assert len(lines) == 9
    for image, line in lines.items():
        scores = tifffile.imread(tiled / "maps" / f"{image}.tiff")
        assert scores.shape == (96, 96)
        assert scores.dtype == np.float32
        assert array(tiled / "overviews" / f"{image}.jpg").shape == (96 + 40, 96, 3)
        assert 0 <= float(line["defective_percent"]) <= 100
    found = metrics(tiled)
    assert found["images"] == {"good": 5, "defective": 4, "with_truth": 9}
    assert 0 <= found["ensemble"]["au_pro"] <= 1
    assert "report.html" in files(tiled)


def test_members_learn_from_tiles(hides, tiled):
    fitted = json.loads((tiled / "members/stfpm/fit.json").read_text())
    splits = json.loads((tiled / "splits.json").read_text())
    assert fitted["images"] == 4 * len(splits["fit"])
    assert all("@" not in id for ids in splits.values() for id in ids), "photographs are split, not tiles"


def test_predict__gives_the_run_s_own_scores_and_files_at_original_size(hides, tiled, tmp_path):
    own = table(tiled)
    result = call("predict", tiled, hides / "test", "--out", tmp_path, "--json", "--device", "cpu")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code in (0, 1)
    assert len(lines) == 9
    for line in lines:
        image = "/".join(Path(line["path"]).parts[-3:])
        assert f"{line['score']:.9g}" == own[image]["ensemble"]
        assert f"{line['defective_percent']:.4g}" == own[image]["defective_percent"]
        mask, scores = tifffile.imread(line["mask"]), tifffile.imread(line["map"])
        assert (mask.shape, mask.dtype) == ((96, 96), np.uint8)
        assert np.array_equal(scores, tifffile.imread(tiled / "maps" / f"{image}.tiff"))
        assert 100 * (mask > 0).mean() == pytest.approx(line["defective_percent"], abs=1e-6)
        assert array(line["overview"]).shape == (136, 96, 3)


def test_evaluate__measures_as_the_run_did(hides, tiled):
    assert untimed(evaluated(tiled, hides)["ensemble"]) == pytest.approx(
        untimed(metrics(tiled)["ensemble"]), nan_ok=True
    )


def test_ensemble_of_two__fused_both_ways(hides, tmp_path):
    made = run(tmp_path / "pair", hides, "stfpm,patchcore")
    assert set(metrics(made)["members"]) == {"stfpm", "patchcore"}
    assert predicted(made, hides / "test") == {
        image: (line["ensemble"], line["flagged"] == "1") for image, line in table(made).items()
    }


def test_streamed_and_whole_photographs__give_the_same_run(hides, tiled, tmp_path, monkeypatch):
    pytest.importorskip("pyvips")
    monkeypatch.setattr(bands, "WHOLE_PIXELS", 0)
    made = run(tmp_path / "streamed", hides, "stfpm")
    assert table(made) == table(tiled)


def test_masked__tiles_outside_teach_and_score_nothing(hides, tmp_path):
    region = np.zeros((96, 96), np.uint8)
    region[:, :70] = 255
    from PIL import Image

    Image.fromarray(region).save(tmp_path / "region.png")
    made = run(tmp_path / "masked", hides, "stfpm", "--ignore", tmp_path / "region.png")
    fitted = json.loads((made / "members/stfpm/fit.json").read_text())
    splits = json.loads((made / "splits.json").read_text())
    assert fitted["images"] == 2 * len(splits["fit"])
    for image in table(made):
        scores = tifffile.imread(made / "maps" / f"{image}.tiff")
        assert (scores[:, :70] == scores.min()).all()
        assert scores[:, 70:].std() > 0


def test_recalibrate_and_update__work_on_tiles(hides, tmp_path):
    made = run(tmp_path / "run", hides, "patchcore")
    before = predicted(made, hides / "test")
    for seed, command in enumerate(("update", "recalibrate"), start=7):
        fresh = tmp_path / command
        write_demo(fresh, scenario="one-colour", size=96, train=12, test=4, seed=seed)
        result = call(command, made, "--good", fresh / "train/good")
        assert result.exit_code == 0, result.stderr
        assert command != "update" or "patchcore: took in 32 images" in result.stderr
    assert predicted(made, hides / "test") != before


def test_damaged_photograph__is_skipped_and_the_others_judged(hides, tiled, tmp_path):
    photographs = tmp_path / "new"
    photographs.mkdir()
    for number, path in enumerate(sorted((hides / "test/good").glob("*.png"))[:3]):
        content = path.read_bytes()
        (photographs / path.name).write_bytes(content[: len(content) // 2] if number == 1 else content)
    result = call("predict", tiled, photographs, "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 2
    assert [line["verdict"] is None for line in lines] == [False, True, False]
    assert "damaged (" in lines[1]["problem"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--overlap", "0.3"), "--overlap: there are no tiles to overlap; give --tile as well"),
        (("--tile", "wide"), "--tile: expected one number, or HEIGHTxWIDTH such as 256x320, got 'wide'"),
        (("--tile", "64", "--overlap", "0.9"), "overlap"),
        (("--tile", "4"), "tile"),
    ],
)
def test_wrong_options(hides, tmp_path, given, sentence):
    result = call("run", *options("stfpm"), "--data", hides, "--out", tmp_path / "run", *given)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not (tmp_path / "run").exists()
