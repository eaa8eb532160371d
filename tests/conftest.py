"""Fixtures of several test files: a little demo leather and finished runs on it, made once per session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# As the command line does, and before torch is imported: a spinning thread makes a busy machine far slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from tiny_runs import make  # noqa: E402

from leatherens.core.leather import write_demo  # noqa: E402


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
