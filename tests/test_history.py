"""The history of a changed run: going back bit for bit, and what an interruption leaves."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from changed_runs import digests, done, images_of, judged, listed, some
from filelock import FileLock
from tiny_runs import at_step, call, press_ctrl_c

from leatherens.core import artifact
from leatherens.core.errors import ArtifactError
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.history import History


@pytest.fixture
def run(banked: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(banked, tmp_path / "run"))


# history and rollback


def test_rollback__restores_every_file_and_every_score(
    run: Path, darker: Path, leather: Path, tmp_path: Path
) -> None:
    before, scores = digests(run), judged(run, leather / "test")
    done("update", run, "--good", some(darker, tmp_path / "new", 0, 10))
    updated = judged(run, leather / "test")
    done("recalibrate", run, "--good", some(darker, tmp_path / "more", 10, 20))

    assert done("rollback", run) == f"{run}: entry 1 is in force\n"
    assert judged(run, leather / "test") == updated
    assert done("rollback", run) == f"{run}: as it was made\n"
    assert digests(run) == before
    assert judged(run, leather / "test") == scores
    assert done("rollback", run, "--to", "1") == f"{run}: entry 1 is in force\n"
    assert judged(run, leather / "test") == updated


def test_rollback__refuses_where_there_is_nothing_to_go_to(run: Path) -> None:
    nothing = call("rollback", run)
    unknown = call("rollback", run, "--to", "7")

    assert nothing.stderr == f"Error: {run}: nothing to go back to; this run is as it was made\n"
    assert unknown.stderr == "Error: --to: there is no entry 7 (entries: 0; 0 is the run as it was made)\n"


def test_what_was_rolled_back__is_new_again(run: Path, darker: Path, tmp_path: Path) -> None:
    new = some(darker, tmp_path / "new", 0, 10)
    done("update", run, "--good", new)
    assert "no new good images" in call("update", run, "--good", new).stderr
    done("rollback", run)
    done("update", run, "--good", new)

    assert [(entry["number"], entry["parent"]) for entry in listed(run)["entries"]] == [(1, 0), (2, 0)]
    assert listed(run)["present"] == 2


def test_history__lists_what_was_done(run: Path, darker: Path, tmp_path: Path) -> None:
    assert done("history", run) == "* 0  as it was made\n"
    done("recalibrate", run, "--good", some(darker, tmp_path / "new", 0, 10))
    lines = done("history", run).splitlines()

    assert lines[0] == "  0  as it was made"
    assert lines[1].startswith("* 1  recalibrate of 2")
    assert lines[1].endswith(" with 10 good images, after entry 0")
    assert "threshold " in lines[2]
    assert (
        lines[3] == "     calibrators and thresholds: learned anew; members, head and scale stay as they are"
    )
    image = images_of(run, 1)[0]
    content = (tmp_path / "new/000.png").read_bytes()
    assert image == {
        "path": str(tmp_path / "new/000.png"),
        "digest": hashlib.blake2b(content, digest_size=32).hexdigest(),
        "job": "calibrate",
        "defective": False,
        "masks": [],
    }


# half way


@pytest.mark.parametrize(
    "title",
    ["patchcore: gathering patches", "patchcore: core set", "calibrating on held-out good images"],
)
def test_ctrl_c__leaves_the_run_as_it_was(
    title: str, run: Path, darker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digests(run)
    with monkeypatch.context() as patch:
        at_step(patch, title, press_ctrl_c)
        result = call("update", run, "--good", some(darker, tmp_path / "new", 0, 10))

    assert result.exit_code == 130
    assert result.stderr.endswith(f"\nInterrupted; {run} is as it was before.\n")
    assert digests(run) == before
    assert not (run / "history").exists()


@pytest.mark.parametrize("full_at", ["state.safetensors", "entry.json", "present.json"])
def test_full_disk__leaves_the_run_as_it_was(
    full_at: str, run: Path, darker: Path, leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_disk, before, scores = artifact._to_disk, digests(run), judged(run, leather / "test/good")

    def fail(path: Path) -> None:
        if full_at in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        to_disk(path)

    with monkeypatch.context() as patch:
        patch.setattr(artifact, "_to_disk", fail)
        result = call("recalibrate", run, "--good", some(darker, tmp_path / "new", 0, 10))

    assert result.exit_code == 2
    assert result.stderr.endswith(
        f"Error: {run}: cannot be written (No space left on device); free some space. The run is as it was "
        "before\n"
    )
    assert digests(run) == before
    assert judged(run, leather / "test/good") == scores
    done("recalibrate", run, "--good", tmp_path / "new")


def test_notices_that_cannot_be_written__are_told_and_the_change_holds(
    run: Path, darker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_disk = artifact._to_disk

    def fail(path: Path) -> None:
        if "metrics.json" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        to_disk(path)

    before = digests(run)
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "_to_disk", fail)
        said = done("recalibrate", run, "--good", some(darker, tmp_path / "new", 0, 10))

    assert ". The entry is in force, but metrics, report and run.json do not say so\n" in said
    assert listed(run)["present"] == 1
    done("rollback", run)
    assert digests(run) == before


def test_a_killed_update__is_swept_up_by_the_next(
    run: Path, darker: Path, leather: Path, tmp_path: Path
) -> None:
    scores = judged(run, leather / "test/good")
    left = run / "history/.next/members/patchcore"
    left.mkdir(parents=True)
    (left / "component.json").write_text("{}", encoding="utf-8")

    assert judged(run, leather / "test/good") == scores
    done("recalibrate", run, "--good", some(darker, tmp_path / "new", 0, 10))
    assert not (run / "history/.next").exists()
    assert not (run / "history/0001/members").exists()


@pytest.mark.parametrize(
    "command", [("update", "--good", "."), ("recalibrate", "--good", "."), ("rollback",)]
)
def test_a_run_that_is_being_changed__is_locked(command: tuple[str, ...], run: Path) -> None:
    with FileLock(run / ".lock"):
        result = call(command[0], run, *command[1:])

    assert result.exit_code == 2
    assert f"{run}: another process is working on this run" in result.stderr


@pytest.mark.parametrize(
    "command", [("update", "--good", "."), ("recalibrate", "--good", "."), ("rollback",), ("history",)]
)
def test_what_is_no_finished_run__is_refused(command: tuple[str, ...], run: Path, tmp_path: Path) -> None:
    (run / "DONE").unlink()

    assert "this run is not finished" in call(command[0], run, *command[1:]).stderr
    assert f"{tmp_path / 'no'}: no such run folder" in call(command[0], tmp_path / "no", *command[1:]).stderr
    assert not (tmp_path / "no").exists()


# damage


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "present.json: damaged, expected the number of an entry"),
        ('{"entry": -1}', "present.json: damaged, expected the number of an entry"),
        ('{"entry": 4}', "0004/entry.json: missing; copy the run again, or make it again"),
        ("{", "present.json: damaged, not JSON"),
    ],
)
def test_a_damaged_history__is_a_sentence(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    (tmp_path / "history/present.json").write_text(content, encoding="utf-8")

    with pytest.raises(ArtifactError) as found:
        History(RunFolder(tmp_path)).lineage()

    assert sentence in str(found.value)


def test_an_entry_whose_parent_is_not_older__is_a_sentence(run: Path, darker: Path, tmp_path: Path) -> None:
    done("recalibrate", run, "--good", some(darker, tmp_path / "new", 0, 10))
    entry = run / "history/0001/entry.json"
    entry.write_text(json.dumps({**json.loads(entry.read_text(encoding="utf-8")), "parent": 1}))

    assert f"{entry}: damaged, its parent is not older\n" in call("predict", run, tmp_path / "new").stderr


def test_a_damaged_list_of_images__is_a_sentence(run: Path, darker: Path) -> None:
    images = run / "images.json"
    images.write_text("[]", encoding="utf-8")
    listless = call("update", run, "--good", darker).stderr
    images.write_text("{}", encoding="utf-8")
    lacking = call("update", run, "--good", darker).stderr

    assert f"{images}: damaged, expected a digest for each image\n" in listless
    assert f"{images}: damaged, it lacks train/good/" in lacking


def test_originals__are_copied_where_links_cannot_be_made(
    run: Path, darker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(file: Path, name: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    before = digests(run)
    monkeypatch.setattr(os, "link", no_links)
    done("recalibrate", run, "--good", some(darker, tmp_path / "new", 0, 10))
    assert digests(run) != before
    done("rollback", run)

    assert digests(run) == before
