"""`leatherens experiment setup`: masks, registration and checkpoints on a tiny board; its rules by hand."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import board
from pictures import save
from tiny_runs import TINY, call

from leatherens.core.host import PluginHost
from leatherens.core.metrics import pixel_metrics
from leatherens.core.reading import Sample
from leatherens.core.thresholds import Normals
from leatherens.ensembles.experiments.cuts import Seen
from leatherens.ensembles.experiments.rules import Rules, verdicts
from leatherens.ensembles.experiments.setups import Setup, setups
from leatherens.ensembles.experiments.silenced import Silenced
from leatherens.ensembles.folder import RunFolder

SETTINGS = {
    **{f"patchcore.{key}": value for key, value in TINY["patchcore"].items()},
    **{f"draem.{key}": value for key, value in {**TINY["draem"], "steps": 3}.items()},
}
LABEL = (slice(100, 130), slice(60, 120))
"""Where each photograph shows something else, and nobody is to look."""


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of one board that stands still, defects beside the label and one beneath it."""
    root, scene = tmp_path_factory.mktemp("boards") / "line", board(size=(160, 200))
    for number in range(10):
        save(root / f"train/good/{number:03d}.png", photographed(scene, number))
    for number in range(4):
        save(root / f"test/good/{number:03d}.png", photographed(scene, 20 + number))
        mask = np.zeros(scene.shape[:2], np.uint8)
        mask[(slice(105, 120), slice(70, 90)) if number == 3 else (slice(30, 60), slice(120, 160))] = 255
        defective = np.where(mask[..., None] > 0, 255 - scene, scene)
        save(root / f"test/cut/{number:03d}.png", photographed(defective, 40 + number))
        save(root / f"ground_truth/cut/{number:03d}_mask.png", mask)
    return root


def photographed(scene: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = scene.astype(np.int16) + rng.integers(-4, 5, scene.shape)
    picture[LABEL] += rng.integers(-60, 61, 3)
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mask = np.zeros((160, 200), np.uint8)
    mask[LABEL] = 255
    path = tmp_path_factory.mktemp("region") / "label.png"
    save(path, mask)
    return path


def grid(data: Path, out: Path, *more: object, members: str = "patchcore") -> Any:
    given = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    common = ("--size", 64, "--device", "cpu", "--labelled-share", 0.25, "--out", out)
    return call("experiment", "setup", "--data", data, "--members", members, *common, *given, *more)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "setup.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(boards: Path, region: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grid of one detector that does not train, so that --checkpoints adds nothing."""
    out = tmp_path_factory.mktemp("grids") / "made"
    result = grid(boards, out, "--ignore", region, "--checkpoints", 1)
    assert result.exit_code == 0, result.stderr
    return out


# the grid


def test_setup__tries_every_mask_with_and_without_registration(made: Path) -> None:
    found = [(row["entrant"], row["mask"], row["registration"], row["steps"]) for row in rows(made)]

    assert found == [
        ("patchcore", mask, registration, "last")
        for mask in ("none", "before", "after")
        for registration in ("off", "on")
    ]


def test_setup__makes_the_runs_that_it_names(made: Path, region: Path) -> None:
    def steps(name: str) -> list[tuple[str, Any]]:
        content = RunFolder(made / "runs" / "line" / f"patchcore-{name}").recipe.read_text()
        import yaml

        return [(step["id"], step["options"].get("when")) for step in yaml.safe_load(content)["preparation"]]

    assert steps("no-mask") == []
    assert steps("no-mask-registered") == [("registration", None)]
    assert steps("mask-before") == [("mask", "before")]
    assert steps("mask-after-registered") == [("registration", None), ("mask", "after")]
    assert (made / "ignore.png").read_bytes() == region.read_bytes()


def test_setup__measures_as_the_run_itself_does(made: Path) -> None:
    """Without mask and registration every pixel counts: the run's own evaluation is the reference."""
    own = json.loads((made / "runs/line/patchcore-no-mask/metrics.json").read_text())["ensemble"]
    row = rows(made)[0]

    for key in ("image_auroc", "pixel_auroc", "pixel_ap", "au_pro"):
        assert float(row[key]) == pytest.approx(own[key], rel=1e-5)
        if key != "image_auroc":
            assert row[f"{key}_counted"] == row[key]


def test_setup__does_not_reward_a_mask_for_the_defect_beneath_it(made: Path) -> None:
    """Whoever looks away from one of four defects finds three quarters of the regions at best."""
    tested = json.loads((made / "runs/line/patchcore-mask-before/splits.json").read_text())["test"]
    beneath = "test/cut/003.png" in tested
    defects = sum("cut" in id for id in tested)
    masked = {row["mask"]: row for row in rows(made) if row["registration"] == "off"}["before"]

    assert beneath, "the split was changed: choose another image to lie beneath the label"
    assert float(masked["pro"]) <= (defects - 1) / defects + 1e-6
    assert float(masked["pro"]) == pytest.approx(float(masked["pro_counted"]) * (defects - 1) / defects)


def test_setup__shows_a_table_for_each_detector(made: Path) -> None:
    text = (made / "setup.md").read_text()

    assert "### patchcore on line" in text
    assert "| mask | registration | rule taken | maximum | k-sigma | p-quantile | accuracy |" in text
    assert text.count("| before | on |") == 1
    assert "steps |" not in text
    assert (made / "setup.svg").read_text().count("<svg") == 1


def test_setup__typed_again_learns_and_measures_nothing(made: Path, boards: Path, region: Path) -> None:
    files = {
        path: path.stat().st_mtime_ns for path in made.rglob("*") if path.parent != made and path.is_file()
    }
    result = grid(boards, made, "--ignore", region, "--checkpoints", 1)

    assert result.exit_code == 0, result.stderr
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_setup__refuses_another_region_in_the_same_folder(made: Path, boards: Path, tmp_path: Path) -> None:
    other = tmp_path / "label.png"
    save(other, np.full((160, 200), 255, np.uint8))
    result = grid(boards, made, "--ignore", other, "--checkpoints", 1)

    assert result.exit_code == 2
    assert f"--ignore: {other}: not the region that runs in {made} were made with" in result.stderr


# checkpoints


@pytest.fixture(scope="module")
def kept(boards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grid of one that trains 3 steps and keeps each second, without a mask."""
    out = tmp_path_factory.mktemp("grids") / "kept"
    result = grid(boards, out, "--checkpoints", 2, members="draem")
    assert result.exit_code == 0, result.stderr
    return out


def test_setup__measures_checkpoints_each_with_its_own_thresholds(kept: Path) -> None:
    found = [(row["registration"], row["steps"]) for row in rows(kept)]
    cells = kept / "cells/line/line"
    then, last = (json.loads((cells / f"draem-no-mask{at}.json").read_text()) for at in ("--2", ""))

    assert found == [(registration, steps) for registration in ("off", "on") for steps in ("2", "last")]
    assert then["rules"]["maximum"]["image"] != last["rules"]["maximum"]["image"]
    assert "| mask | registration | steps | rule taken |" in (kept / "setup.md").read_text()


def test_setup__without_a_region_varies_registration_and_says_so(kept: Path) -> None:
    assert {row["mask"] for row in rows(kept)} == {"none"}
    assert "No region was given to leave out (--ignore)" in (kept / "setup.md").read_text()


def test_setup__goes_on_with_what_is_missing(boards: Path, tmp_path: Path, kept: Path) -> None:
    """One cell of a checkpoint is measured anew, no run is made again."""
    out = tmp_path / "out"
    shutil.copytree(kept, out)
    (out / "cells/line/line/draem-no-mask--2.json").unlink()
    (out / "setup.csv").unlink()
    learned = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()}
    result = grid(boards, out, "--checkpoints", 2, members="draem")

    assert result.exit_code == 0, result.stderr
    assert rows(out) == rows(kept)
    assert {path: path.stat().st_mtime_ns for path in learned} == learned


# what is refused


def test_setup__wants_a_view_at_a_time_where_there_is_a_region(
    boards: Path, region: Path, tmp_path: Path
) -> None:
    result = grid(boards, tmp_path / "out", "--data", boards.parent, "--ignore", region)

    assert result.exit_code == 2
    assert "--ignore: a region is drawn on the photographs of one view; give one --data" in result.stderr


def test_setup__does_not_take_one_way_of_masking(boards: Path, region: Path, tmp_path: Path) -> None:
    result = grid(boards, tmp_path / "out", "--ignore", region, "--set", "mask.when=after")

    assert result.exit_code == 2
    assert "--set mask.when: both are tried; leave it out" in result.stderr
    assert grid(boards, tmp_path / "out", "--masking", "after").exit_code == 2


# by hand


def test_setups__are_six_with_a_region_and_two_without() -> None:
    assert [setup.name for setup in setups(masked=True)] == [
        "no-mask",
        "no-mask-registered",
        "mask-before",
        "mask-before-registered",
        "mask-after",
        "mask-after-registered",
    ]
    assert setups(masked=False) == (Setup(None, registered=False), Setup(None, registered=True))


class ByHand:
    """Scores of images of one row, the image score the highest pixel; -1 does not count."""

    def __init__(self, maps: list[list[float]]) -> None:
        self.maps = [np.array([row], dtype=np.float32) for row in maps]
        self.images = np.array([row.max() for row in self.maps], dtype=np.float32)

    def map(self, index: int) -> np.ndarray:
        return self.maps[index]

    def valid(self, index: int) -> np.ndarray | None:
        counted = self.maps[index] >= 0
        return None if counted.all() else counted

    def normals(self) -> Normals:
        return Normals(self.images, [row[row >= 0] for row in self.maps])


def seen(maps: list[list[float]], truth: list[list[int]]) -> Seen:
    masks = [np.array([row], dtype=bool) for row in truth]
    samples = [Sample(Path(f"{i}.png"), f"{i}.png", any(row)) for i, row in enumerate(truth)]
    return Seen(samples, ByHand(maps), masks)  # type: ignore[arg-type]


GOOD = seen([[number] for number in range(101)], [[0]] * 101)
"""Maximum 100; mean 50 and deviation sqrt(850), so that k-sigma is 137.46; 0.99 quantile 99."""


@pytest.mark.parametrize(
    ("labelled", "taken"),
    [
        ([(99.5, 1), (10, 0)], "p-quantile"),  # only it finds the defective image
        ([(99.5, 0), (200, 1)], "maximum"),  # p-quantile flags the good one; maximum before k-sigma
        ([(120, 0), (200, 1)], "k-sigma"),  # both others flag the good one
        ([(99.5, 1), (99.6, 0)], "maximum"),  # all three judge one of two rightly
    ],
)
def test_rules__take_the_one_that_judges_most_rightly(labelled: list[tuple[float, int]], taken: str) -> None:
    share = seen([[score] for score, _ in labelled], [[label] for _, label in labelled])
    rules = Rules.learned(PluginHost(installed=False), GOOD, share)

    assert [rules.fitted[id].image_ for id in ("maximum", "k-sigma", "p-quantile")] == pytest.approx(
        [100, 50 + 3 * np.sqrt(850), 99]
    )
    assert rules.taken == taken


def test_verdicts__call_what_equals_the_threshold_good() -> None:
    assert verdicts(seen([[1], [2], [3], [2]], [[0], [0], [1], [1]]), 2).accuracy == 3 / 4


def test_silenced__counts_every_pixel_and_finds_nothing_where_nobody_looked() -> None:
    test = seen([[5, 9, -1], [3, 4, 4]], [[0, 1, 1], [0, 0, 0]])
    silenced = Silenced.of(test.scores)

    assert silenced.map(0).tolist() == [[5, 9, 3]]  # 3 is the lowest counted pixel of all
    assert silenced.map(1).tolist() == [[3, 4, 4]]
    assert silenced.valid(0) is None


def test_worth__by_hand() -> None:
    """At maximum (100): one of two defect pixels found, or the only one that counts."""
    labelled = seen([[99.5], [200]], [[0], [1]])
    test = seen([[5, 150, -1], [3, 120, 4]], [[0, 1, 1], [0, 0, 0]])
    worth = Rules.learned(PluginHost(installed=False), GOOD, labelled).worth(test)

    assert worth["rule"] == "maximum"
    assert worth["metrics"]["accuracy"] == 1 / 2  # the good image is flagged
    assert worth["metrics"]["false_alarms"] == 1
    assert worth["rules"]["k-sigma"]["accuracy"] == 1
    assert (worth["metrics"]["iou"], worth["counted"]["iou"]) == (1 / 3, 1 / 2)
    assert (worth["metrics"]["pro"], worth["counted"]["pro"]) == (1 / 2, 1)
    whole = pixel_metrics([np.array([[5, 150, 3], [3, 120, 4]])], [np.array([[0, 1, 1], [0, 0, 0]], bool)])
    assert worth["metrics"]["pixel_auroc"] == whole.auroc
    assert worth["counted"]["pixel_auroc"] == 1
