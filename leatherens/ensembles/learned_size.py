"""How much was learned: the files of a run that scoring reads, and how many numbers they hold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path


def learned_files(*folders: Path) -> list[Path]:
    """The tensors below some folders, checkpoints left out."""
    found = [path for folder in folders for path in sorted(folder.rglob("*.safetensors"))]
    return [path for path in found if "checkpoints" not in path.parts]


def numbers_in(files: Iterable[Path]) -> int:
    """How many numbers tensors on disk hold together; only their headers are read."""
    from safetensors import safe_open

    total = 0
    for path in files:
        with safe_open(path, framework="pt") as tensors:
            shapes = [tensors.get_slice(key).get_shape() for key in tensors.keys()]  # noqa: SIM118 - no mapping
        total += sum(math.prod(shape) for shape in shapes)
    return total


def megabytes(files: Iterable[Path]) -> float:
    """Binary megabytes on disk."""
    return sum(path.stat().st_size for path in files) / 2**20
