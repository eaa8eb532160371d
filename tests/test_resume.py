"""Interrupted runs: what Ctrl-C and a full disk leave, and that going on gives the uninterrupted result."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from tiny_runs import (
    at_step,
    call,
    files,
    make,
    options,
    press_ctrl_c,
)

from leatherens.core import artifact


def test_ctrl_c__in_training_loses_nothing(
    alone: Path, leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a run"
    with monkeypatch.context() as patch:
        at_step(patch, "stfpm: learning", press_ctrl_c, after=2)
        result = call("run", *options("stfpm"), "--data", leather, "--out", out)

    assert result.exit_code == 130
    assert result.stderr.endswith(
        f"\nInterrupted; what was learned is kept. Go on with: leatherens run --resume --out '{out}'\n"
    )
    assert not (out / "DONE").exists()

    resumed = call("run", "--resume", "--out", out)

    assert resumed.exit_code == 0
    assert "stfpm: going on from step 2 of 3\n" in resumed.stderr
    assert (out / "scores.csv").read_bytes() == (alone / "scores.csv").read_bytes()
    assert files(out) - {".lock"} == files(alone) - {".lock"}


@pytest.mark.parametrize(
    "title",
    ["stfpm: learning", "fusion: gathering features", "scoring the test images", "writing the report"],
)
def test_ctrl_c__after_the_first_member_keeps_it(
    title: str, pair: Path, leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, title, press_ctrl_c)
        assert call("run", *options("stfpm,draem"), "--data", leather, "--out", out).exit_code == 130
    learned = (out / "members/draem/state.safetensors").stat().st_mtime_ns

    resumed = call("run", "--resume", "--out", out)

    assert resumed.exit_code == 0
    assert "draem: already learned\n" in resumed.stderr
    assert (out / "members/draem/state.safetensors").stat().st_mtime_ns == learned
    assert (out / "scores.csv").read_bytes() == (pair / "scores.csv").read_bytes()


def test_ctrl_c__before_the_run_began_leaves_nothing(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_step(monkeypatch, "checking the photographs", press_ctrl_c)
    result = call("run", *options("stfpm"), "--data", leather, "--out", tmp_path / "run")

    assert result.exit_code == 130
    assert result.stderr.endswith("\nInterrupted before anything was learned; start again.\n")
    assert not (tmp_path / "run").exists()


def test_resume__of_a_finished_run_says_so_and_changes_nothing(alone: Path) -> None:
    before = {path: (alone / path).stat().st_mtime_ns for path in files(alone)}
    result = call("run", "--resume", "--out", alone)

    assert (result.exit_code, result.stdout) == (
        0,
        f"{alone}: this run is finished already; its report is {alone / 'report.html'}\n",
    )
    assert {path: (alone / path).stat().st_mtime_ns for path in files(alone)} == before


def test_resume__without_out_takes_the_latest_unfinished_run(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("runs/finished"), leather, "stfpm")
    for name, second in (("older", 1_000_000_000), ("newer", 1_000_000_060)):
        shutil.copytree("runs/finished", f"runs/{name}")
        Path("runs", name, "DONE").unlink()
        os.utime(Path("runs", name, "run.json"), (second, second))

    result = call("run", "--resume")

    assert result.exit_code == 0
    assert Path("runs/newer/DONE").exists()
    assert not Path("runs/older/DONE").exists()


@pytest.mark.parametrize("full_at", ["state.safetensors", "metrics.json", "report.html"])
def test_full_disk__is_a_sentence_and_the_run_can_go_on(
    full_at: str, alone: Path, leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_disk = artifact._to_disk

    def fail(path: Path) -> None:
        if full_at in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        to_disk(path)

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "_to_disk", fail)
        result = call("run", *options("stfpm"), "--data", leather, "--out", out)

    assert result.exit_code == 2
    assert (
        f"{full_at}: cannot be written (No space left on device); free some space or choose another --out. "
        f"What was learned is kept; go on with: leatherens run --resume --out {out}\n" in result.stderr
    )
    assert call("run", "--resume", "--out", out).exit_code == 0
    assert (out / "scores.csv").read_bytes() == (alone / "scores.csv").read_bytes()
    assert not [name for name in files(out) if name.endswith(".part")]
