"""Fixtures of several test files: a little demo leather and finished runs on it, made once per session."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch is imported, here and in processes that tests start: sums in one order on every machine, so
# that small trainings end in the same state, and no thread that spins while it waits for another.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

# No test reads or writes the features that this user's own runs remember; those that test it say where it is.
os.environ["LEATHERENS_CACHE_MB"] = "0"

from changed_runs import write_darker
from counted_passes import counted  # noqa: F401 - a fixture
from tiny_runs import make

from leatherens.core.leather import write_demo


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_counts() -> Iterator[None]:
    """Ctrl-C works as at a terminal: started in the background, Python would inherit that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def leather(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 x 64 pixels; 16 good to learn from, 5 good and 4 defective to test. Not to be written to."""
    folder = tmp_path_factory.mktemp("data") / "leather"
    write_demo(folder, scenario="one-colour", size=64, train=16, test=9, seed=0)
    return folder


@pytest.fixture(scope="session")
def alone(leather: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of stfpm. Not to be written to."""
    return make(tmp_path_factory.mktemp("runs") / "alone", leather, "stfpm")


@pytest.fixture(scope="session")
def pair(leather: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of stfpm and draem, fused both ways. Not to be written to."""
    return make(tmp_path_factory.mktemp("runs") / "pair", leather, "stfpm,draem")


@pytest.fixture(scope="session")
def banked(leather: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of patchcore: 12 images taught, 2 validated, 2 calibrated. Not to be written to."""
    return make(tmp_path_factory.mktemp("runs") / "banked", leather, "patchcore")


@pytest.fixture(scope="session")
def darker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 good images of a darker line than `leather`. Not to be written to."""
    return write_darker(tmp_path_factory.mktemp("data"))
