"""Checkpoints that a run keeps on request, and the table that compares them and chooses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_runs import TINY, at_step, call, files, make, metrics, options, press_ctrl_c, untimed

from leatherens.core.host import PluginHost
from leatherens.ensembles.folder import RunFolder

RANKED = ("auroc", "ap", "f1_max")
LONGER = ("--set", "draem.steps=5", "--keep-every", "2")


@pytest.fixture(scope="module")
def kept(leather: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of draem (5 steps), stfpm (3) and patchcore, with a checkpoint every 2 steps."""
    return make(tmp_path_factory.mktemp("kept") / "run", leather, "draem,stfpm,patchcore", *LONGER)


def compared(run: Path, data: Path, which: object) -> list[dict[str, object]]:
    result = call("evaluate", run, "--data", data, "--device", "cpu", "--checkpoint", which, "--json")
    assert result.exit_code == 0, result.stderr
    rows: list[dict[str, object]] = json.loads(result.stdout)
    return rows


def test_run__keeps_whole_checkpoints_of_what_trains(kept: Path) -> None:
    folder = RunFolder(kept)

    assert {id: folder.checkpoint_steps(id) for id in ("draem", "stfpm", "patchcore")} == {
        "draem": [2, 4],
        "stfpm": [2],
        "patchcore": [],
    }
    assert not list(kept.rglob("checkpoints/*.safetensors"))  # only whole members stay
    detector = folder.load(
        folder.checkpoints("draem") / "4", PluginHost(installed=False).detectors().load("draem")
    )
    assert len(detector.log_["losses"]) == 4


def test_run__is_the_same_with_and_without_checkpoints(kept: Path, leather: Path, tmp_path: Path) -> None:
    plain = make(tmp_path / "run", leather, "draem,stfpm,patchcore", *LONGER[:2])

    assert (plain / "scores.csv").read_bytes() == (kept / "scores.csv").read_bytes()
    assert not list(plain.rglob("checkpoints"))


def test_evaluate__compares_every_checkpoint_with_the_member_in_use(kept: Path, leather: Path) -> None:
    rows = compared(kept, leather, "all")

    assert [(row["member"], row["step"]) for row in rows] == [
        ("draem", 2),
        ("draem", 4),
        ("draem", None),
        ("stfpm", 2),
        ("stfpm", None),
    ]
    for row in rows:
        of_images, of_pixels = (f"image_{m}" for m in RANKED), (f"pixel_{m}" for m in RANKED)
        assert set(row) == {"member", "step", *of_images, *of_pixels, "au_pro"}
        if row["step"] is None:
            own = metrics(kept)["members"][row["member"]]
            assert {key: row[key] for key in row if key in own} == {
                key: value for key, value in untimed(own).items() if key in row
            }
    two, four, _ = rows[:3]
    assert {**two, "step": 0} != {**four, "step": 0}


def test_evaluate__of_one_checkpoint_is_its_row_of_the_table(kept: Path, leather: Path) -> None:
    every = compared(kept, leather, "all")

    assert compared(kept, leather, 4) == [
        row for row in every if row["member"] == "draem" and row["step"] != 2
    ]


def test_evaluate__prints_a_table_and_that_it_chooses_nothing(kept: Path, leather: Path) -> None:
    result = call("evaluate", kept, "--data", leather, "--device", "cpu", "--checkpoint", "2")
    lines = result.stdout.splitlines()

    assert lines[0].split() == [
        "step",
        "image",
        "AUROC",
        "image",
        "AP",
        "pixel",
        "AUROC",
        "pixel",
        "AP",
        "AU-PRO",
    ]
    assert [line.split()[:2] for line in lines[1:5]] == [
        ["draem", "2"],
        ["draem", "in"],
        ["stfpm", "2"],
        ["stfpm", "in"],
    ]
    assert lines[5:] == [
        "note: nothing is chosen; a checkpoint chosen by these images must be judged on others"
    ]


def test_run__interrupted_keeps_the_same_checkpoints(
    kept: Path, leather: Path, tmp_path: Path, monkeypatch
) -> None:
    out = tmp_path / "run"
    at_step(monkeypatch, "draem: learning", press_ctrl_c, after=3)
    given = (*options("draem,stfpm,patchcore"), *LONGER, "--data", leather, "--out", out)
    assert call("run", *given).exit_code == 130
    assert files(out / "members" / "draem") == {
        "checkpoint.safetensors",
        "checkpoints/2.safetensors",
        "fit.json",
        "training.csv",
    }
    monkeypatch.undo()

    resumed = call("run", "--resume", "--out", out)

    assert resumed.exit_code == 0, resumed.stderr
    assert RunFolder(out).checkpoint_steps("draem") == [2, 4]
    assert (out / "scores.csv").read_bytes() == (kept / "scores.csv").read_bytes()
    for step in ("2", "4"):
        name = f"members/draem/checkpoints/{step}/state.safetensors"
        assert (out / name).read_bytes() == (kept / name).read_bytes()


@pytest.mark.parametrize(
    ("which", "sentence"),
    [
        ("3", "{run}: no checkpoint of step 3 was kept (there are: 2, 4, or all)"),
        ("best", "--checkpoint: expected a step, such as 100, or all, got 'best'"),
        ("0", "--checkpoint: expected a step, such as 100, or all, got '0'"),
    ],
)
def test_evaluate__refuses_what_was_not_kept(which: str, sentence: str, kept: Path, leather: Path) -> None:
    result = call("evaluate", kept, "--data", leather, "--device", "cpu", "--checkpoint", which)

    assert result.exit_code == 2
    assert result.stderr.endswith(f"Error: {sentence.format(run=kept)}\n")


def test_evaluate__says_how_checkpoints_are_kept(alone: Path, leather: Path) -> None:
    result = call("evaluate", alone, "--data", leather, "--device", "cpu", "--checkpoint", "all")

    assert result.exit_code == 2
    assert result.stderr.endswith(
        f"Error: {alone}: no checkpoints were kept; make a run of members that train with "
        "--keep-every STEPS\n"
    )


def test_evaluate__of_checkpoints_writes_no_report(kept: Path, leather: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = call("evaluate", kept, "--data", leather, "--checkpoint", "all", "--out", out)

    assert result.exit_code == 2
    assert result.stderr == "Error: --checkpoint: makes a table and no report; leave out --out\n"
    assert not out.exists()


def test_report__shows_what_a_member_reconstructs(kept: Path) -> None:
    report = (kept / "report.html").read_text(encoding="utf-8")

    assert report.count("<figcaption>as draem reconstructs it</figcaption>") == 9
    assert "as stfpm reconstructs it" not in report


def test_tiny_members_train_longer_than_they_are_kept() -> None:
    assert TINY["stfpm"]["steps"] == 3  # the checkpoint of step 2 is not the last
