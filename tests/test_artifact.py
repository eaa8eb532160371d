"""Files of a run: the old one or the new one, never half of it; damaged and missing ones named in words."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leatherens.core.artifact import (
    folder_written_whole,
    read_json,
    read_state,
    read_tensors,
    without_nan,
    write_json,
    write_state,
    write_tensors,
    write_text,
    written_whole,
)
from leatherens.core.errors import ArtifactError


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_written_whole__keeps_the_old_file_when_the_block_fails(
    tmp_path: Path, error: type[BaseException]
) -> None:
    file = tmp_path / "metrics.json"
    file.write_text("old")

    def fail_halfway() -> None:
        with written_whole(file) as beside:
            beside.write_text("half of the n")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_written_whole__writes_beside_and_renames_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "members" / "stfpm" / "fit.json"
    with written_whole(file) as beside:
        beside.write_text("new")
        assert beside.parent == file.parent
        assert not file.exists()
    assert file.read_text() == "new"
    assert list(file.parent.iterdir()) == [file]


def test_written_whole__reaches_the_disk_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (order.append("fsync"), fsync(number))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("replace"), replace(self, to))[1])
    write_text(tmp_path / "DONE", "")
    assert order == ["fsync", "replace"]


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "text": ("pathlib.Path.write_text", lambda path: write_text(path, "x")),
    "json": ("pathlib.Path.write_text", lambda path: write_json(path, {"a": 1})),
    "tensors": ("safetensors.torch.save_file", lambda path: write_tensors(path, {"a": torch.ones(2)})),
    "flush": ("os.fsync", lambda path: write_text(path, "x")),
}


@pytest.mark.parametrize(("broken", "write"), WRITERS.values(), ids=WRITERS.keys())
def test_writing__to_a_full_disk_is_told_and_leaves_the_old_file(
    broken: str, write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    monkeypatch.setattr(broken, full_disk)
    with pytest.raises(ArtifactError) as caught:
        write(file)
    assert str(caught.value) == (
        f"{file}: cannot be written (No space left on device); free some space or choose another --out"
    )
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_write_tensors__tells_what_safetensors_could_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def refuse(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", refuse)
    with pytest.raises(ArtifactError, match=r"cannot be written \(I/O error: No space left on device"):
        write_tensors(tmp_path / "state.safetensors", {})


def test_writing__below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where a folder should be")
    file = tmp_path / "runs" / "hide1" / "metrics.json"
    with pytest.raises(ArtifactError) as caught:
        write_json(file, {})
    assert str(caught.value).startswith(f"{file}: cannot be written (")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_writing__into_a_folder_of_somebody_else_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(ArtifactError, match=r"metrics\.json: cannot be written \(Permission denied\)"):
        write_json(tmp_path / "metrics.json", {})


# JSON


def test_without_nan__reaches_all_the_way_down() -> None:
    value = {"a": [1.5, math.nan, (math.inf, {"b": -math.inf})], "c": np.float64("nan"), "d": "NaN", "e": 3}
    assert without_nan(value) == {"a": [1.5, None, [None, {"b": None}]], "c": None, "d": "NaN", "e": 3}
    assert math.isnan(value["c"])  # type: ignore[arg-type]


def test_write_json__is_read_back_and_is_strict_json(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    write_json(file, {"auroc": math.nan, "leather": "Nappa weiß", "exact": 0.1 + 0.2})
    text = file.read_text(encoding="utf-8")
    assert "weiß" in text
    assert text.endswith("}\n")
    assert json.loads(text, parse_constant=pytest.fail) == read_json(file)
    assert read_json(file) == {"auroc": None, "leather": "Nappa weiß", "exact": 0.1 + 0.2}


READERS: dict[str, Callable[[Path], Any]] = {"json": read_json, "tensors": read_tensors}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_reading__a_missing_file_says_how_to_finish_the_run(
    read: Callable[[Path], Any], tmp_path: Path
) -> None:
    file = tmp_path / "absent"
    with pytest.raises(ArtifactError) as caught:
        read(file)
    assert str(caught.value) == (
        f"{file}: missing; the run is incomplete, finish it with leatherens run --resume"
    )


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_reading__a_folder_is_told(read: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: ")


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00", b"not json"])
def test_read_json__names_a_damaged_file(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        read_json(file)
    assert str(caught.value).startswith(f"{file}: damaged, not JSON (")


@pytest.mark.parametrize("keep", [0, 5, 60, -4])
def test_read_tensors__names_a_damaged_file(keep: int, tmp_path: Path) -> None:
    file = tmp_path / "state.safetensors"
    write_tensors(file, {"a": torch.arange(100.0)})
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ArtifactError) as caught:
        read_tensors(file)
    assert str(caught.value).startswith(f"{file}: damaged, not safetensors (")


# tensors and states


def test_write_tensors__keeps_every_kind_of_tensor_and_the_note(tmp_path: Path) -> None:
    base = torch.randn(4, 6)
    tensors = {
        "double": base.double(),
        "half": base.half(),
        "bool": base > 0,
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "turned": base.T,
        "shared": base,
        "learned": base.clone().requires_grad_(),
    }
    write_tensors(tmp_path / "x.safetensors", tensors, {"note": "weiß"})
    back, note = read_tensors(tmp_path / "x.safetensors")
    assert note == {"note": "weiß"}
    assert back.keys() == tensors.keys()
    assert all(back[n].dtype == t.dtype and torch.equal(back[n], t.detach()) for n, t in tensors.items())


def test_write_tensors__without_a_note_has_none(tmp_path: Path) -> None:
    write_tensors(tmp_path / "x.safetensors", {})
    assert read_tensors(tmp_path / "x.safetensors") == ({}, {})


def test_state__comes_back(tmp_path: Path) -> None:
    state = {
        "mean_": torch.randn(3),
        "layer_.weight": torch.ones(2, 2),
        "names_": ["a"],
        "promise_": None,
        "k_": 3,
    }
    write_state(tmp_path / "stfpm", state)
    back = read_state(tmp_path / "stfpm")
    assert back.keys() == state.keys()
    assert torch.equal(back["mean_"], state["mean_"])
    assert (back["names_"], back["promise_"], back["k_"]) == (["a"], None, 3)


def test_state__of_which_a_file_is_missing_is_told(tmp_path: Path) -> None:
    write_state(tmp_path, {"a_": torch.ones(1)})
    (tmp_path / "state.json").unlink()
    with pytest.raises(ArtifactError, match=r"state\.json: missing; the run is incomplete"):
        read_state(tmp_path)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_folder_written_whole__leaves_nothing_when_the_block_fails(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def fail_halfway() -> None:
        with folder_written_whole(tmp_path / "deep/out") as made:
            (made / "half").write_text("of it")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert list((tmp_path / "deep").iterdir()) == []


def test_folder_written_whole__takes_the_place_of_an_empty_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with folder_written_whole(out) as made:
        (made / "file").write_text("new")
        assert list(out.iterdir()) == []
    assert (out / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [out]


def test_folder_written_whole__refuses_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path, tmp_path / "file"):
        with (
            pytest.raises(ArtifactError, match=r": there is something already; choose another --out$"),
            folder_written_whole(out),
        ):
            pass
    assert (tmp_path / "file").read_text() == "mine"


def test_folder_written_whole__full_disk(tmp_path: Path) -> None:
    with (
        pytest.raises(
            ArtifactError, match=r"out: cannot be written \(No space left on device\); free some space"
        ),
        folder_written_whole(tmp_path / "out"),
    ):
        full_disk()
    assert list(tmp_path.iterdir()) == []
