"""Parts seen by two cameras: A sees the left of a piece of leather, B the right, in half the light.

All parts are one piece with other noise, so that good ones score alike and a few tell where good ends.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pictures import save
from tiny_runs import TINY, call

from leatherens.core.leather import good_hide
from leatherens.core.randomness import numpy_generator

SIDE = 64
PARTS = {"train/good": 16, "test/good": 3, "test/in-a": 2, "test/in-b": 2, "test/hidden": 1}
"""How many parts; the defects of in-a and in-b show in one view, that of hidden where B is masked."""

SPOTS = {"test/in-a": ("A", 30), "test/in-b": ("B", 30), "test/hidden": ("B", 2)}
"""The view and the column of a loud square."""


def photograph(root: Path) -> Path:
    """Pictures of all parts in the layout of MVTec AD, `NUMBER_A.png` beside `NUMBER_B.png`."""
    goods = good_hide(numpy_generator(0, "goods"), scenario="one-colour", size=(SIDE, 2 * SIDE))
    for place, count in PARTS.items():
        for number in range(count):
            noise = numpy_generator(0, "part", place, number).integers(-8, 9, goods.shape)
            hide = np.clip(goods + noise, 0, 255).astype(np.uint8)
            views = {"A": hide[:, :SIDE].copy(), "B": hide[:, SIDE:] // 2}
            view, column = SPOTS.get(place, ("", 0))
            if view:
                views[view][20:36, column : column + 14] = (250, 0, 250)
            for name, pixels in views.items():
                save(root / place / f"{number:03d}_{name}.png", pixels)
    return root


def left_margin(path: Path) -> Path:
    """A mask of the left quarter, where the defect of `hidden` lies."""
    region = np.zeros((SIDE, SIDE), np.uint8)
    region[:, : SIDE // 4] = 255
    return save(path, region)


def project_file(folder: Path, **keys: Any) -> Path:
    """A project of tiny views beside its `photographs`."""
    content = {
        "data": "photographs",
        "members": {"patchcore": {"options": options("patchcore")}},
        "size": SIDE,
        "device": "cpu",
        "false_alarms": 0.5,
        "views": {"A": {}, "B": {}},
        **keys,
    }
    path = folder / "machine.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {key: value for key, value in content.items() if value is not None}
    path.write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
    return path


def options(member: str) -> dict[str, Any]:
    """What makes a member tiny, as a recipe holds it."""
    return {key: yaml.safe_load(str(value)) for key, value in TINY[member].items()}


def make_project(file: Path, out: Path) -> Path:
    """A finished project's folder."""
    result = call("run", "--project", file, "--out", out)
    assert result.exit_code == 0, result.stderr
    return out


def parts(out: Path) -> dict[str, dict[str, str]]:
    """parts.csv by part."""
    with (out / "parts.csv").open(encoding="utf-8", newline="") as file:
        return {line["part"]: line for line in csv.DictReader(file)}
