"""Runs that take a second: 64 x 64 pixels, a tiny backbone with random weights, a handful of steps."""

from __future__ import annotations

import csv
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from leatherens.cli import cli
from leatherens.core.terminal_progress import Lines

TINY = {
    "stfpm": {"backbone": "test_resnet", "weights": "random", "steps": 3},
    "patchcore": {"backbone": "test_resnet", "weights": "random", "layers": "[1]", "core_set": 0.05},
    "draem": {"width": 4, "discriminative_width": 4, "steps": 2, "crop": "null"},
}


def call(*arguments: object) -> Result:
    """What `leatherens` answers; an exception that is no exit is ours, and raised.

    It finds itself called as by a user, not with the arguments of pytest or one of its workers.
    """
    said = ["leatherens", *(str(a) for a in arguments)]
    with patch.object(sys, "argv", said):
        result = CliRunner().invoke(cli, said[1:], prog_name=said[0])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def options(members: str) -> list[str]:
    """What makes a run of these members tiny; few images as there are, they are not learned in folds."""
    return [*tiny(members), "--calibration", "split"]


def tiny(members: str) -> list[str]:
    """What makes any command that learns these members tiny."""
    settings = [
        f"{id}.{key}={value}" for id in members.split(",") for key, value in TINY[id.split(":")[-1]].items()
    ]
    given = ["--members", members, "--size", "64", "--device", "cpu"]
    return [*given, *(part for setting in settings for part in ("--set", setting))]


def make(out: Path, data: Path, members: str, *more: object) -> Path:
    """A finished run's folder."""
    result = call("run", *options(members), "--data", data, "--out", out, *more)
    assert result.exit_code == 0, result.stderr
    return out


def table(run: Path) -> dict[str, dict[str, str]]:
    """scores.csv by image."""
    with (run / "scores.csv").open(encoding="utf-8", newline="") as file:
        return {line["image"]: line for line in csv.DictReader(file)}


def metrics(run: Path) -> dict[str, Any]:
    """metrics.json."""
    content: dict[str, Any] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return content


def untimed(row: dict[str, Any]) -> dict[str, Any]:
    """A row of metrics without the one that differs from time to time."""
    return {key: value for key, value in row.items() if key != "ms_per_image"}


def files(run: Path) -> set[str]:
    """Every file below a folder."""
    return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}


def predicted(run: Path, *paths: Path) -> dict[str, tuple[str, bool]]:
    """Score and verdict by image, the scores as scores.csv writes them."""
    result = call("predict", run, *paths, "--json", "--device", "cpu")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {
        "/".join(Path(line["path"]).parts[-3:]): (f"{line['score']:.9g}", line["verdict"] == "defective")
        for line in lines
    }


def own_scores(run: Path) -> dict[str, tuple[str, bool]]:
    """The same as the run itself found them."""
    return {image: (line["ensemble"], line["flagged"] == "1") for image, line in table(run).items()}


def evaluated(run: Path, data: Path, *more: object) -> dict[str, Any]:
    """The metrics that `leatherens evaluate` prints."""
    result = call("evaluate", run, "--data", data, "--json", *more)
    assert result.exit_code == 0, result.stderr
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def array(path: str | Path) -> np.ndarray:
    """The pixels of a picture."""
    with Image.open(path) as picture:
        return np.array(picture)


def at_step(monkeypatch: Any, title: str, act: Callable[[], None], *, after: int = 1) -> None:
    """Do something when the step called `title` has advanced `after` times."""
    step = Lines.step

    @contextmanager
    def watched(self: Lines, said: str, total: int) -> Iterator[Callable[[int], None]]:
        with step(self, said, total) as advance:
            calls = 0

            def advanced(units: int) -> None:
                nonlocal calls
                advance(units)
                calls += units > 0
                if said == title and units and calls == after:
                    act()

            yield advanced

    monkeypatch.setattr(Lines, "step", watched)


def press_ctrl_c() -> None:
    """What the terminal does."""
    signal.raise_signal(signal.SIGINT)
