"""Several categories in one call: a run each, one after the other, interrupted, failed and gone on with."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import pytest
from pictures import mvtec
from tiny_runs import at_step, call, files, options, press_ctrl_c, untimed

from leatherens.core import artifact

SUMMARY = {"categories.json", "recipe.yaml", "summary.csv", "summary.md", "summary.json"}
IMAGES = ".bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp"


@pytest.fixture
def several(leather: Path, tmp_path: Path) -> Path:
    """Two categories, which are one leather."""
    for name in ("darkgreen", "teal"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).symlink_to(leather)
    return tmp_path / "data"


@pytest.fixture
def broken(several: Path) -> Path:
    """And a third one, in which nothing can be learned from two images."""
    mvtec(several / "silk", train=2)
    return several


FEW = (
    "at least 8 good images are needed to learn, validate and calibrate, got 2; add photographs of good "
    "surfaces"
)


def test_run__of_several_categories(several: Path, tmp_path: Path, alone: Path) -> None:
    out = tmp_path / "out"
    result = call("run", *options("stfpm"), "--data", several, "--out", out)

    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith(
        "read as MVTec AD: 2 categories (darkgreen, teal)\ncategory 1 of 2: darkgreen\n"
    )
    told = result.stdout.splitlines()
    assert [line.split()[0] for line in told[1:4]] == ["darkgreen", "teal", "mean"]
    assert told[4] == f"summary: {out / 'summary.md'}"
    found = files(out)
    assert {name for name in found if "/" not in name} == {*SUMMARY, ".lock", "DONE"}
    for category in ("darkgreen", "teal"):
        own = {name.removeprefix(f"{category}/") for name in found if name.startswith(category)}
        assert own - {".lock"} == files(alone) - {".lock"}
        assert (out / category / "scores.csv").read_bytes() == (alone / "scores.csv").read_bytes()
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    metrics = json.loads((alone / "metrics.json").read_text(encoding="utf-8"))
    means, alone_row = untimed(summary["mean"]["ensemble"]), untimed(metrics["ensemble"])
    assert means == pytest.approx({key: alone_row.get(key) for key in means}, nan_ok=True)
    assert summary["data"] == "read as MVTec AD: 2 categories (darkgreen, teal)"
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 6

    again = call("run", "--resume", "--out", out)
    assert (again.exit_code, again.stdout) == (
        0,
        f"{out}: this run is finished already; its summary is {out / 'summary.md'}\n",
    )
    again = call("run", *options("stfpm"), "--data", several, "--out", out)
    assert again.stderr == f"Error: {out}: holds a finished run; choose another --out\n"


def test_a_failing_category__does_not_stop_the_others(broken: Path, leather: Path, tmp_path: Path) -> None:
    broken.joinpath("teal").rename(broken / "wool")  # so that one comes after it
    out = tmp_path / "out"
    result = call("run", *options("stfpm"), "--data", broken, "--out", out)

    assert result.exit_code == 2
    told = f"1 of 3 categories were not made: silk: {broken / 'silk'}: {FEW}."
    assert result.stderr.endswith(
        f"Error: {told} When the cause is mended, go on with: leatherens run --resume --out {out}\n"
    )
    assert [line.split("  ")[0] for line in result.stdout.splitlines()[1:5]] == [
        "darkgreen", "silk", "wool", "mean of 2 (of 3)",
    ]  # fmt: skip
    assert (out / "wool/DONE").exists()
    assert not (out / "silk").exists()
    assert not (out / "DONE").exists()

    learned = (out / "wool/DONE").stat().st_mtime_ns
    (broken / "silk/train").rename(broken / "silk/spoilt")
    (broken / "silk/train").symlink_to(leather / "train")
    resumed = call("run", "--resume", "--out", out)

    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.stderr.count("already finished") == 2
    assert (out / "wool/DONE").stat().st_mtime_ns == learned
    assert (out / "DONE").exists()
    assert "mean of 3" in (out / "summary.md").read_text(encoding="utf-8")


def test_ctrl_c__in_the_second_category(
    several: Path, tmp_path: Path, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    learned: list[int] = []

    def in_the_second() -> None:
        learned.append(1)
        if len(learned) == 2:
            press_ctrl_c()

    with monkeypatch.context() as patch:
        at_step(patch, "stfpm: learning", in_the_second, after=2)
        result = call("run", *options("stfpm"), "--data", several, "--out", out)

    assert result.exit_code == 130
    assert result.stderr.endswith(
        f"Interrupted; what was learned is kept. Go on with: leatherens run --resume --out {out}\n"
    )
    assert (out / "darkgreen/DONE").exists()
    assert not (out / "teal/DONE").exists()
    assert not (out / "summary.md").exists()

    resumed = call("run", "--resume", "--out", out)

    assert resumed.exit_code == 0, resumed.stderr
    assert "stfpm: going on from step" in resumed.stderr
    assert (out / "teal/scores.csv").read_bytes() == (alone / "scores.csv").read_bytes()


def test_resume__without_out_finds_them(
    several: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        at_step(patch, "stfpm: learning", press_ctrl_c, after=2)
        assert call("run", *options("stfpm"), "--data", several).exit_code == 130
    (begun,) = Path("runs").iterdir()

    assert call("run", "--resume").exit_code == 0
    assert (begun / "DONE").exists()


def test_nothing_begun__leaves_nothing(several: Path, tmp_path: Path) -> None:
    """A size that no category can be learned at is told once and leaves no folder."""
    out = tmp_path / "out"
    result = call("run", *options("stfpm"), "--size", "8", "--data", several, "--out", out)

    assert result.exit_code == 2
    assert "2 of 2 categories were not made: darkgreen, teal: " in result.stderr
    assert result.stderr.endswith("When the cause is mended, start again\n")
    assert not out.exists()


def test_missing_weights__stop_at_once(several: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = ["--members", "stfpm", "--set", "stfpm.backbone=test_resnet", "--size", "64", "--device", "cpu"]
    result = call("run", *given, "--data", several, "--out", out)

    assert result.exit_code == 2
    assert "category 2 of 2" not in result.stderr
    assert "test_resnet" in result.stderr
    assert not out.exists()


def test_full_disk__stops_and_says_how_to_go_on(
    several: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_disk = artifact._to_disk

    def fail(path: Path) -> None:
        if "metrics.json" in path.name:
            raise OSError(28, os.strerror(28))
        to_disk(path)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "_to_disk", fail)
        result = call("run", *options("stfpm"), "--data", several, "--out", out)

    assert result.exit_code == 2
    assert "category 2 of 2" not in result.stderr
    assert f"go on with: leatherens run --resume --out {out}" in result.stderr
    assert call("run", "--resume", "--out", out).exit_code == 0


def test_a_fault_that_no_message_foresaw__is_kept_with_its_traceback(
    several: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault() -> None:
        raise ZeroDivisionError("by nothing")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        at_step(patch, "calibrating on held-out good images", fault)
        result = call("run", *options("stfpm"), "--data", several, "--out", out)

    assert result.exit_code == 2
    assert "darkgreen was not made: ZeroDivisionError: by nothing (the traceback is in " in result.stderr
    assert (out / "darkgreen/error.txt").exists()
    assert call("run", "--resume", "--out", out).exit_code == 0


def test_changed_recipe__is_refused(broken: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call("run", *options("stfpm"), "--data", broken, "--out", out).exit_code == 2
    text = (out / "recipe.yaml").read_text(encoding="utf-8")
    (out / "recipe.yaml").write_text(text.replace("seed: 0", "seed: 1"), encoding="utf-8")

    result = call("run", "--resume", "--out", out)

    assert result.stderr == (
        f"Error: {out / 'recipe.yaml'}: changed since this run began; put it back, or start a new run with "
        "another --out\n"
    )


def test_refused_before_anything_begins(several: Path, alone: Path, tmp_path: Path) -> None:
    def told(*more: object) -> str:
        result = call("run", *options("stfpm"), "--data", several, *more)
        assert result.exit_code == 2
        return result.stderr

    named = f"{several}: 2 categories lie here (darkgreen, teal)"
    both = f"{named}; give one of them, such as {several / 'darkgreen'}"
    assert told("--masks", several / "teal/ground_truth", "--out", tmp_path / "out").endswith(
        f"Error: {both}\n"
    )
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/teal").symlink_to(alone)
    assert told("--out", tmp_path / "taken").endswith(
        f"Error: {tmp_path / 'taken/teal'}: a run was begun here; choose another --out\n"
    )
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "categories.json").write_text("[]", encoding="utf-8")
    assert told("--out", begun).endswith(
        f"Error: {begun}: a run was begun here; go on with leatherens run --resume --out {begun}, or choose "
        "another --out\n"
    )
    assert call("run", "--resume", "--out", begun).stderr == (
        f"Error: {begun / 'categories.json'}: damaged, expected keys and values, got list\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
@pytest.mark.parametrize("inside", [True, False])
def test_a_name_that_is_not_utf8(inside: bool, several: Path, leather: Path, tmp_path: Path) -> None:
    odd = several / os.fsdecode(b"gr\xfcn")
    odd.mkdir()
    for part in ("train", "test"):
        (odd / part).symlink_to(leather / part)
    result = call("run", *options("stfpm"), "--data", odd if inside else several, "--out", tmp_path / "out")

    told = f"{several}/gr\\xfcn: a name in it is not UTF-8, so no run could keep it; rename it"
    assert (result.exit_code, result.stderr) == (2, f"Error: {told}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["evaluate", "ablate", "update", "recalibrate", "anomalies"])
def test_other_commands__name_the_categories(
    command: str, several: Path, alone: Path, banked: Path, tmp_path: Path
) -> None:
    arguments = {
        "evaluate": ["evaluate", alone, "--data", several],
        "ablate": ["ablate", *options("stfpm"), "--data", several, "--out", tmp_path / "ablation"],
        "update": ["update", banked, "--good", several],
        "recalibrate": ["recalibrate", alone, "--good", several],
        "anomalies": ["data", "anomalies", "--data", several, "--out", tmp_path / "sheet.png"],
    }
    result = call(*arguments[command])

    assert result.exit_code == 2
    assert f"{several}: 2 categories lie here (darkgreen, teal); give one of them" in result.stderr
    assert not (tmp_path / "ablation").exists()
