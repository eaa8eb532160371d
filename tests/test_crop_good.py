"""`leatherens data crop-good`, as typed, up to a run on what it made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_runs import call, files, make

LEATHER = ("--size", "24", "--train", "16", "--test", "6", "--margin", "2")


def test_data_set__is_one_to_run_on(leather, tmp_path):
    result = call("data", "crop-good", "--data", leather, *LEATHER, "--out", tmp_path / "tiles")

    assert result.exit_code == 0, result.stderr
    first, *_, last, _ = result.stdout.splitlines()
    assert first == f"{leather}: read as MVTec AD: 16 good to learn from, 5 good and 4 defective to test"
    assert last.startswith(f"{tmp_path / 'tiles'}: 16 tiles to learn from, of ")
    make(tmp_path / "run", tmp_path / "tiles", "stfpm")
    assert "DONE" in files(tmp_path / "run")


def test_same_seed__same_files(leather, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        call("data", "crop-good", "--data", leather, *LEATHER, "--seed", seed, "--out", tmp_path / name)
    content = [
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (tmp_path / "a", tmp_path / "b", tmp_path / "c")
    ]

    assert content[0] == content[1] != content[2]


def test_too_few__writes_nothing(leather, tmp_path):
    arguments = ("data", "crop-good", "--data", leather, "--size", "48", "--train", "90", "--test", "9")

    result = call(*arguments, "--out", tmp_path / "tiles")

    assert result.exit_code == 2
    assert "25 photographs give" in result.stderr
    assert list(tmp_path.iterdir()) == []
    assert call(*arguments, "--fewer", "--out", tmp_path / "tiles").exit_code == 0


def test_wrong_size__is_told_before_anything_is_read(tmp_path):
    result = call(
        "data", "crop-good", "--data", tmp_path / "nothing", "--size", "4", "--out", tmp_path / "tiles"
    )

    assert result.exit_code == 2
    assert result.stderr.endswith("Error: --size: expected at least 8 x 8 pixels, got 4 x 4\n")


@pytest.mark.skipif(
    "LEATHERENS_DATA" not in os.environ, reason="LEATHERENS_DATA names no folder of real data"
)
def test_multi_colour_leather(tmp_path):
    root = Path(os.environ["LEATHERENS_DATA"], "leather_multi_colour")
    if not root.is_dir():
        pytest.skip("no leather_multi_colour in LEATHERENS_DATA")

    result = call(
        "data", "crop-good", "--data", root, "--size", "96", "--margin", "4", "--out", tmp_path / "tiles"
    )

    assert result.exit_code == 0, result.stderr
    assert f"{tmp_path / 'tiles'}: 260 tiles to learn from, of " in result.stdout
