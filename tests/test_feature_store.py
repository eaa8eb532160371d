"""The store on disk is bounded, shared, cleared, survives damage, and never fails a run."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from leatherens.core import feature_store
from leatherens.core.errors import ConfigError
from leatherens.core.feature_store import FeatureStore, store_folder, store_limit_mb, user_store

MIB = torch.ones(1, 512, 512)
"""One MiB; an entry has a few bytes more."""


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def test_store__gives_back_what_it_was_given(store: FeatureStore) -> None:
    level = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    store.write("a", level)

    found = store.read("a")

    assert found is not None
    assert torch.equal(found, level)
    assert store.read("b") is None
    assert (store.read_entries, store.damaged) == (1, 0)


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "another entry"])
def test_damaged__entry_counts_as_missing_and_is_removed(damage: str, store: FeatureStore) -> None:
    store.write("a", torch.ones(2, 3, 3))
    store.write("b", torch.zeros(2, 3, 3))
    path = store._path("a")
    content = path.read_bytes()
    flipped = content[:40] + bytes([content[40] ^ 1]) + content[41:]
    other = store._path("b").read_bytes()
    path.write_bytes({"cut": content[:-8], "empty": b"", "flipped": flipped, "another entry": other}[damage])

    assert store.read("a") is None
    assert not path.exists()
    assert store.damaged == 1
    assert store.read("b") is not None


def test_store__drops_what_was_not_used_for_longest(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, limit_mb=4)
    for second, key in enumerate("abc"):
        store.write(key, MIB)
        os.utime(store._path(key), (second, second))
    assert store.read("a") is not None  # used now

    store.write("d", MIB)
    store.write("e", MIB)

    assert {key for key in "abcde" if store._path(key).exists()} == {"a", "d", "e"}
    assert store.size().bytes <= 4 * 2**20


def test_store__stays_within_its_limit_whatever_is_written(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, limit_mb=3)
    largest = 0
    for number in range(30):
        store.write(str(number), MIB[:, : 64 * (1 + number % 8)].clone())
        largest = max(largest, store.size().bytes)
    assert 2 * 2**20 < largest <= 3 * 2**20


def test_store__counts_what_others_wrote(tmp_path: Path) -> None:
    one, other = FeatureStore(tmp_path, limit_mb=4), FeatureStore(tmp_path, limit_mb=4)
    for number in range(6):
        one.write(f"one{number}", MIB)
        other.write(f"other{number}", MIB)
    assert one.size().bytes <= 4 * 2**20


def test_store__does_not_take_what_is_larger_than_all_of_it(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, limit_mb=1)
    store.write("a", torch.ones(2, 512, 512))
    assert (store.size().entries, store.on) == (0, True)


def test_two_writers__of_one_key_leave_a_whole_entry(tmp_path: Path) -> None:
    stores = [FeatureStore(tmp_path) for _ in range(2)]
    missing: list[int] = []

    def work(store: FeatureStore) -> None:
        for _ in range(20):
            store.write("a", MIB)
            if store.read("a") is None:
                missing.append(1)

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [store.damaged for store in stores] == [0, 0]
    assert not list(tmp_path.rglob("*.part"))
    assert not missing


def test_unwritable__folder_turns_the_store_off_with_one_sentence(tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "features"
    folder.write_text("a file where the folder should be")
    store = FeatureStore(folder, say=said.append)

    for key in "ab":
        store.write(key, MIB)

    assert said == [
        f"feature cache: {folder}: cannot be written (Not a directory); features are remembered in memory "
        "only. Set LEATHERENS_CACHE to another folder, or LEATHERENS_CACHE_MB=0 to do without"
    ]
    assert store.read("a") is None


def test_full__disk_turns_the_store_off_before_it_takes_the_run_s_last_space(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    store._say = said.append
    usage = shutil.disk_usage("/")._replace(free=feature_store.FREE_MB * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    store.write("a", MIB)

    assert "cannot be written (less than 1024 MB are free)" in said[0]
    assert (store.on, store.size().entries) == (False, 0)


def test_failed__write_leaves_no_part_behind(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    store.write("a", MIB)

    assert not store.on
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_clear__removes_entries_and_parts_and_nothing_else(store: FeatureStore, tmp_path: Path) -> None:
    for key in "abc":
        store.write(key, MIB)
    (store._path("a").parent / ".left.123.part").write_bytes(b"half")
    mine = store._path("b").parent / "holiday.png"
    mine.write_bytes(b"mine")

    removed = store.clear()

    assert removed.entries == 3
    assert removed.megabytes == pytest.approx(3, abs=0.01)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    store.write("a", MIB)
    assert store.size().entries == 1


def test_parts__of_processes_that_died_go_when_room_is_made(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    old, new = tmp_path / "ab/.x.1.part", tmp_path / "ab/.y.2.part"
    for path in (old, new):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)

    store.write("a", MIB)

    assert (old.exists(), new.exists()) == (False, True)


# where it is


def test_place__is_the_variable_s_or_the_platform_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEATHERENS_CACHE", str(tmp_path))
    assert store_folder() == tmp_path / "features"

    monkeypatch.delenv("LEATHERENS_CACHE")
    for platform, variable, usual in [
        ("linux", "XDG_CACHE_HOME", ".cache"),
        ("darwin", "", "Library/Caches"),
        ("win32", "LOCALAPPDATA", "AppData/Local"),
    ]:
        monkeypatch.setattr(sys, "platform", platform)
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        assert store_folder() == Path.home() / usual / "leatherens/features"
        if variable:
            monkeypatch.setenv(variable, "not absolute")  # to be ignored, says the XDG specification
            assert store_folder() == Path.home() / usual / "leatherens/features"
            monkeypatch.setenv(variable, str(tmp_path / "caches"))
            assert store_folder() == tmp_path / "caches/leatherens/features"


def test_user__without_a_home_has_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "LEATHERENS_CACHE", "LEATHERENS_CACHE_MB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert store_folder() is None
    assert user_store() is None


@pytest.mark.parametrize(("text", "expected"), [("", 4096), (" 12 ", 12), ("0", 0)])
def test_limit__is_the_variable_s(text: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEATHERENS_CACHE_MB", text)
    assert store_limit_mb() == expected
    assert (user_store() is None) is (expected == 0)


@pytest.mark.parametrize("text", ["-1", "2 GB", "1.5"])
def test_limit__that_is_no_number_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEATHERENS_CACHE_MB", text)
    with pytest.raises(ConfigError) as caught:
        store_limit_mb()
    assert str(caught.value) == (
        f"LEATHERENS_CACHE_MB: expected a whole number of MB, or 0 for no cache, got '{text}'"
    )
