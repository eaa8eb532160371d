"""Measuring a finished run on labelled images, its own and others."""

from __future__ import annotations

import shutil
from pathlib import Path

from tiny_runs import (
    call,
    evaluated,
    files,
    metrics,
    untimed,
)


def test_evaluate__on_the_run_s_own_data_gives_its_metrics(pair: Path, leather: Path) -> None:
    found, expected = evaluated(pair, leather), metrics(pair)

    assert untimed(found["ensemble"]) == untimed(expected["ensemble"])
    assert {id: untimed(row) for id, row in found["members"].items()} == {
        id: untimed(row) for id, row in expected["members"].items()
    }


def test_evaluate__writes_results_elsewhere(alone: Path, leather: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    result = call("evaluate", alone, "--data", leather, "--out", out)

    assert result.exit_code == 0
    assert result.stdout.endswith(f"report: {out / 'report.html'}\n")
    assert (out / "scores.csv").read_bytes() == (alone / "scores.csv").read_bytes()
    assert files(out) == {"metrics.json", "details.json", "scores.csv", "report.html"} | {
        name for name in files(alone) if name.startswith("maps/")
    }


def test_evaluate__with_labels_only_measures_images(alone: Path, leather: Path, tmp_path: Path) -> None:
    data = tmp_path / "unmarked"
    shutil.copytree(leather / "test", data / "test")
    found = evaluated(alone, data)

    pixel = {key: found["ensemble"][key] for key in ("pixel_auroc", "pixel_ap", "au_pro")}
    assert pixel == dict.fromkeys(pixel)
    assert found["ensemble"]["image_auroc"] == metrics(alone)["ensemble"]["image_auroc"]
    assert found["images"] == {"good": 5, "defective": 4, "with_truth": 5}


def test_evaluate__says_what_the_new_images_lack_and_not_what_the_old_did(
    alone: Path, leather: Path, tmp_path: Path
) -> None:
    data = tmp_path / "unmarked"
    shutil.copytree(leather / "test", data / "test")
    result = call("evaluate", alone, "--data", data)

    assert "note: no defective image has a mask: results are for whole images only\n" in result.stdout
    assert "read as MVTec AD: 0 good to learn from, 5 good and 4 defective to test\n" in result.stderr


def test_evaluate__with_defective_images_only_measures_what_it_can(
    alone: Path, leather: Path, tmp_path: Path
) -> None:
    data = tmp_path / "defects"
    shutil.copytree(leather / "test/cut", data / "test/cut")
    shutil.copytree(leather / "ground_truth/cut", data / "ground_truth/cut")
    row = evaluated(alone, data)["ensemble"]

    assert (row["image_auroc"], row["false_alarm_rate"]) == (None, None)
    assert row["pixel_auroc"] is not None


def test_evaluate__of_a_plain_folder_tests_the_good_images_too(
    alone: Path, leather: Path, tmp_path: Path
) -> None:
    data = tmp_path / "plain"
    shutil.copytree(leather / "test/good", data / "good")
    shutil.copytree(leather / "test/cut", data / "defective/cut")

    assert evaluated(alone, data)["images"] == {"good": 5, "defective": 1, "with_truth": 5}
