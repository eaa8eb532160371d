"""What the tests that change a finished run share: new images, and looks at a run before and after."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from pictures import save
from tiny_runs import array, call

from leatherens.core.leather import write_demo

SHIFT = 0.6
"""How much darker the new line is."""


def write_darker(folder: Path) -> Path:
    """60 good images of a darker line."""
    write_demo(folder / "bright", scenario="one-colour", size=64, train=60, test=2, seed=5)
    for image in sorted((folder / "bright/train/good").iterdir()):
        save(folder / "dark" / image.name, (array(image) * SHIFT).astype(np.uint8))
    return folder / "dark"


def some(folder: Path, to: Path, start: int, stop: int) -> Path:
    """A folder with these images of another."""
    to.mkdir(parents=True, exist_ok=True)
    for image in sorted(folder.iterdir())[start:stop]:
        shutil.copy(image, to)
    return to


def done(*arguments: object) -> str:
    """All that a command says when it ends well."""
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout + result.stderr


def digests(run: Path) -> dict[str, str]:
    """Every file of a run outside its history, but for the lock."""
    found = (path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if "history" not in path.relative_to(run).parts
    }


def judged(run: Path, *images: Path) -> dict[str, tuple[float, float, bool]]:
    """Score, threshold and verdict by file name."""
    lines = call("predict", run, *images, "--json", "--device", "cpu").stdout.splitlines()
    return {
        Path(line["path"]).name: (line["score"], line["threshold"], line["verdict"] == "defective")
        for line in map(json.loads, lines)
    }


def listed(run: Path) -> Any:
    """The history as `leatherens history --json` prints it."""
    return json.loads(done("history", run, "--json"))


def images_of(run: Path, number: int) -> Any:
    """The images of one entry."""
    return next(entry["images"] for entry in listed(run)["entries"] if entry["number"] == number)
