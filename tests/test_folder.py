"""The run's folder: where things lie, who may write, what is saved whole, what is refused."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import pytest
from pydantic import Field

from leatherens.core.errors import ArtifactError, ConfigError
from leatherens.core.params import Params
from leatherens.core.thresholds import Normals
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.facts import CHANGED_FORMAT, FORMAT, Facts
from leatherens.ensembles.folder import RunFolder
from leatherens.plugins.thresholds import ConformalThreshold, MaximumThreshold

FACTS = Facts(
    name="hides",
    command="leatherens run --members stfpm",
    data=DataChoice(root="/data/hides"),
    data_sentence="read as MVTec AD",
    data_fingerprint="0" * 32,
    recipe_fingerprint="1" * 32,
    remarks=("stfpm is reduced",),
    backbones={"resnet18": {"weights": "pretrained", "origin": "hub", "fingerprint": "ab"}},
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def learned() -> ConformalThreshold:
    scores = np.arange(10, dtype=np.float32)
    threshold = ConformalThreshold(ConformalThreshold.Params(false_alarms=0.2))
    return threshold.fit(Normals(scores, [np.full((2, 3), score) for score in scores]))


# facts


def test_facts__come_back_as_they_were_written(folder: RunFolder) -> None:
    folder.write_facts(FACTS)

    assert folder.facts() == FACTS
    assert FACTS.format == FORMAT
    assert {"python", "leatherens", "torch"} <= FACTS.versions.keys()


def test_facts__say_whether_the_run_began_and_ended(folder: RunFolder) -> None:
    assert (folder.begun, folder.done) == (False, False)
    folder.write_facts(FACTS)
    assert (folder.begun, folder.done) == (True, False)
    with pytest.raises(ArtifactError) as caught:
        folder.require_done()
    assert str(caught.value) == f"{folder.path}: this run is not finished; go on with {folder.resume_command}"
    folder.finish()
    assert (folder.begun, folder.done) == (True, True)
    folder.require_done()


def test_facts__of_a_newer_version_are_refused_whatever_they_hold(folder: RunFolder) -> None:
    folder.path.mkdir()
    content = {"format": CHANGED_FORMAT + 1, "versions": {"leatherens": "7.0"}, "colour": "brown"}
    (folder.path / "run.json").write_text(json.dumps(content), encoding="utf-8")

    with pytest.raises(ArtifactError) as caught:
        folder.facts()
    assert str(caught.value) == (
        f"{folder.path}: written by leatherens 7.0 (format 3), this one reads up to format 2; "
        "update leatherens"
    )


def test_facts__that_are_damaged_name_the_key(folder: RunFolder) -> None:
    folder.write_facts(FACTS)
    content = json.loads((folder.path / "run.json").read_text(encoding="utf-8"))
    (folder.path / "run.json").write_text(json.dumps({**content, "remarks": 3}), encoding="utf-8")

    with pytest.raises(
        ConfigError, match=r"run\.json: option 'remarks': input should be a valid tuple, got 3$"
    ):
        folder.facts()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [(False, "no such run folder"), (True, "not a run folder of leatherens (there is no run.json in it)")],
)
def test_facts__of_no_run_are_refused(make: bool, sentence: str, folder: RunFolder) -> None:
    if make:
        folder.path.mkdir()

    with pytest.raises(ArtifactError) as caught:
        folder.facts()
    assert str(caught.value) == f"{folder.path}: {sentence}"


# the lock


def test_lock__keeps_others_out_until_it_is_released(folder: RunFolder) -> None:
    with folder.locked():
        folder.write_facts(FACTS)
        with pytest.raises(ArtifactError) as caught, RunFolder(folder.path).locked():
            pass
        assert str(caught.value) == (
            f"{folder.path}: another process is working on this run; wait for it or use another --out"
        )
    with folder.locked():
        pass


def _hold_and_die(path: Path, ready: object) -> None:
    lock = RunFolder(path).locked()
    lock.__enter__()
    ready.set()  # type: ignore[attr-defined]
    import os

    os._exit(9)


def test_lock__of_a_process_that_died_counts_for_nothing(folder: RunFolder) -> None:
    folder.write_facts(FACTS)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold_and_die, args=(folder.path, ready))
    process.start()
    process.join(60)

    assert (ready.is_set(), process.exitcode) == (True, 9)
    assert (folder.path / ".lock").exists()
    with folder.locked():
        pass


def test_lock__leaves_nothing_where_no_run_began(folder: RunFolder) -> None:
    with pytest.raises(ZeroDivisionError), folder.locked():
        raise ZeroDivisionError
    assert not folder.path.exists()


def test_lock__leaves_what_was_there_before(folder: RunFolder) -> None:
    folder.path.mkdir()
    (folder.path / "notes.txt").write_text("mine", encoding="utf-8")
    with folder.locked():
        pass

    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


def test_lock__where_nothing_can_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    path = tmp_path / "file" / "run"

    with pytest.raises(ArtifactError) as caught, RunFolder(path).locked():
        pass
    assert str(caught.value) == f"{path}: cannot be written (Not a directory); choose another --out"


# names


def test_names__hold_no_character_that_a_file_system_refuses() -> None:
    folder = RunFolder(Path("run"))

    assert folder.member("stfpm") == Path("run/members/stfpm")
    assert folder.member("grain:stfpm") == Path("run/members/grain--stfpm")
    assert folder.part("thresholds", "grain:stfpm") == Path("run/ensemble/thresholds/grain--stfpm")
    assert folder.scale("fused-features") == Path("run/ensemble/scales/fused-features.safetensors")
    assert folder.map("test/cut/1.png") == Path("run/maps/test/cut/1.png.tiff")


def test_resume_command__can_be_pasted() -> None:
    assert RunFolder(Path("a run")).resume_command == "leatherens run --resume --out 'a run'"


# components


def test_component__comes_back_as_it_was_saved(folder: RunFolder) -> None:
    saved, at = learned(), folder.part("thresholds", "ensemble")
    assert not folder.holds(at)
    folder.save(at, saved)
    found = folder.load(at, ConformalThreshold)

    assert folder.holds(at)
    assert found.params == saved.params
    assert (found.image_, found.pixel_, found.promise_, found.normals_) == (
        saved.image_,
        saved.pixel_,
        saved.promise_,
        saved.normals_,
    )


def test_component__is_not_held_before_it_is_whole(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = folder.part("thresholds", "ensemble")

    def full(path: Path, value: object) -> None:
        raise ArtifactError(f"{path}: cannot be written")

    monkeypatch.setattr("leatherens.ensembles.folder.write_json", full)
    with pytest.raises(ArtifactError):
        folder.save(at, learned())
    assert (at / "state.json").exists()
    assert not folder.holds(at)


def test_component__of_another_id_is_refused(folder: RunFolder) -> None:
    at = folder.part("thresholds", "ensemble")
    folder.save(at, learned())

    with pytest.raises(ArtifactError) as caught:
        folder.load(at, MaximumThreshold)
    assert str(caught.value) == (f"{at}: holds 'conformal', expected 'maximum'; the run's recipe was changed")


class Renamed(ConformalThreshold):
    class Params(Params):
        rate: Annotated[float, Field(gt=0)] = 0.01

    id: ClassVar[str] = "conformal"


def test_component__of_another_version_is_refused(folder: RunFolder) -> None:
    at = folder.part("thresholds", "ensemble")
    folder.save(at, learned())

    with pytest.raises(ArtifactError) as caught:
        folder.load(at, Renamed)
    assert str(caught.value) == (
        f"{at}: saved by another version of 'conformal' "
        "(conformal: unknown option 'false_alarms' (options: rate))"
    )


@pytest.mark.parametrize("name", ["state.json", "state.safetensors"])
def test_component__with_a_file_that_changed_is_refused(name: str, folder: RunFolder) -> None:
    at = folder.part("thresholds", "ensemble")
    folder.save(at, learned())
    content = (at / name).read_bytes()
    (at / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    with pytest.raises(ArtifactError) as caught:
        folder.load(at, ConformalThreshold)
    assert str(caught.value) == f"{at / name}: damaged; copy the run again, or make it again"
