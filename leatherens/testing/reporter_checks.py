"""Checks of reporters, tried on a made-up run of eight small images, some without a label or a mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leatherens.core.comparison import COMPARED, ChangedKey, ComparedRun, ComparisonView
from leatherens.core.judged_run import judged_run
from leatherens.core.metrics import DEFINITIONS
from leatherens.core.paired import Difference
from leatherens.core.randomness import numpy_generator
from leatherens.core.reporting import Decision, Reporter, RunView, ScoredImage
from leatherens.testing.bench import Bench, described
from leatherens.testing.declaration_checks import PART_CHECKS

SIZE = (36, 48)
DEFECT = (slice(8, 14), slice(30, 40))
THRESHOLD = 1.0
MEMBERS = ("ensemble", "padim", "stfpm")
LABELS = (False, False, False, True, True, True, None, None)
ODD_NAMES = {0: "test/<b>&\"1'.png", 1: "test/Häute/ü 2.png"}
"""Names that break a page or a table when they are put in as they are."""


def made_up_run() -> RunView:
    """A run of two members and an ensemble."""
    values = {
        "image_auroc": 0.98,
        "pixel_auroc": 0.95,
        "pixel_ap": None,
        "au_pro": 0.9,
        "image_f1": 0.9,
        "false_alarm_rate": 0.0,
        "ms_per_image": 12.5,
    }
    return RunView(
        name="brown hide",
        data="made-up leather",
        recipe={"members": list(MEMBERS[1:]), "seed": 0, "size": [*SIZE]},
        metrics={
            "ensemble": values,
            "members": dict.fromkeys(MEMBERS[1:], values),
            "definitions": DEFINITIONS,
        },
        decisions={name: Decision("conformal", THRESHOLD, 0.9, 0.01, 99) for name in MEMBERS},
        images=tuple(_image(number, label) for number, label in enumerate(LABELS)),
        remarks=("Learned from 40 images only.",),
        command="leatherens run --members padim,stfpm",
        versions={"leatherens": "0.1.0"},
    )


def _image(number: int, defective: bool | None) -> ScoredImage:
    score = 0.4 + 0.05 * number + bool(defective)
    return ScoredImage(
        id=ODD_NAMES.get(number, f"test/{number}.png"),
        defect="cut" if defective else "",
        defective=defective,
        scores=dict.fromkeys(MEMBERS, score),
        flagged=score > THRESHOLD,
        photograph=lambda: _photograph(number, marked=bool(defective)),
        score_map=lambda: _spot(score).astype(np.float32),
        truth=lambda: _spot(1) > 0 if defective else None,
    )


def _photograph(number: int, *, marked: bool) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = numpy_generator(number, "photograph").integers(
        90, 140, (*SIZE, 3), dtype=np.uint8
    )
    if marked:
        pixels[DEFECT] //= 3
    return pixels


def _spot(height: float) -> NDArray[np.float64]:
    values = np.zeros(SIZE)
    values[DEFECT] = height
    return values


def _written(trial: Bench, run: RunView, folder: Path) -> Path:
    reporter: Reporter = trial.make()
    try:
        found: Any = reporter.write(run, folder)
    except Exception as error:  # noqa: BLE001  (the reporter's own code; whatever it raised is the finding)
        trial.fail(f"a sound run must be reported, but {described(error)}")
    trial.expect(isinstance(found, Path), f"write must return the file to open, got {type(found).__name__}")
    path: Path = found
    return path


def check_reporter_writes_into_the_folder(trial: Bench) -> None:
    """It returns a file in the folder it was given, not empty; a second report takes its place."""
    with TemporaryDirectory() as name:
        for _ in range(2):
            path = _written(trial, made_up_run(), Path(name))
            inside = Path(name).resolve() in path.resolve().parents
            trial.expect(inside, f"the report {path} is not in the folder given")
            trial.expect(path.is_file() and path.stat().st_size, f"there is nothing in {path.name}")


def check_reporter_needs_no_labels(trial: Bench) -> None:
    """A run without a label, without a promise or with one image is reported, too."""
    run = made_up_run()
    bare = tuple(replace(image, defective=None, defect="", truth=lambda: None) for image in run.images)
    unsure = {name: replace(decision, promise=None) for name, decision in run.decisions.items()}
    nothing: dict[str, Any] = dict.fromkeys(run.metrics["ensemble"])
    metrics = {**run.metrics, "ensemble": nothing, "members": dict.fromkeys(MEMBERS[1:], nothing)}
    with TemporaryDirectory() as name:
        for given in (
            replace(run, images=bare, metrics=metrics),
            replace(run, decisions=unsure, images=bare[:1]),
        ):
            _written(trial, given, Path(name))


def check_reporter_says_the_same_again(trial: Bench) -> None:
    """The same run gives the same files."""
    said: list[dict[str, bytes]] = []
    with TemporaryDirectory() as name:
        for number in ("1", "2"):
            folder = Path(name, number)
            folder.mkdir()
            _written(trial, made_up_run(), folder)
            said.append(_files(folder))
    odd = sorted(file for file in said[0].keys() | said[1].keys() if said[0].get(file) != said[1].get(file))
    trial.expect(not odd, f"the same run, reported twice, gives another {', '.join(odd)}")


def check_reporter_writes_whole_or_not_at_all(trial: Bench) -> None:
    """Where a picture cannot be read, no half report is left, and an earlier one stays as it was."""
    run = made_up_run()

    def gone() -> Any:
        raise OSError("the disk is gone")

    broken = tuple(replace(image, photograph=gone, score_map=gone) for image in run.images)
    with TemporaryDirectory() as name:
        _written(trial, run, Path(name))
        before = _files(Path(name))
        try:
            trial.make().write(replace(run, images=broken, name="another"), Path(name))
        except Exception:  # noqa: BLE001  (that it raises is right; what it leaves is judged)
            same = _files(Path(name)) == before
            trial.expect(
                same, "an interrupted report leaves half of it; write with core.artifact.written_whole"
            )


def check_reporter_compares_in_the_folder(trial: Bench) -> None:
    """Runs side by side give a file in the folder, the same again, or `None` where single runs are shown."""
    said: list[dict[str, bytes]] = []
    with TemporaryDirectory() as name:
        for number in ("1", "2"):
            folder = Path(name, number)
            folder.mkdir()
            try:
                path: Any = trial.make().write_comparison(made_up_comparison(), folder)
            except Exception as error:  # noqa: BLE001  (the reporter's own code; whatever it raised is the finding)
                trial.fail(f"a sound comparison must be reported, but {described(error)}")
            if path is None:
                return
            inside = isinstance(path, Path) and folder.resolve() in path.resolve().parents
            trial.expect(
                inside and path.is_file(), f"the comparison {path} is not a file in the folder given"
            )
            said.append(_files(folder))
    trial.expect(said[0] == said[1], "the same comparison, reported twice, gives other files")


def made_up_comparison() -> ComparisonView:
    """Two runs of the same images, the second of which misses a defect more."""
    first, other = made_up_run(), made_up_run()
    missed = replace(other.images[3], flagged=False)
    other = replace(other, name="another", images=(*other.images[:3], missed, *other.images[4:]))
    differences = {metric: Difference(0.8, 0.7, -0.2, 0.1) for metric in COMPARED}
    return ComparisonView(
        runs=(
            ComparedRun(first.name, first, judged_run(first), costs={"milliseconds per image": 12.5}),
            ComparedRun(other.name, other, judged_run(other), differences),
        ),
        changed=(ChangedKey("seed", ("0", "1")),),
        remarks=("Compared on 8 images.",),
        command="leatherens report one another",
        resamplings=1000,
    )


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


CHECKS: tuple[Callable[[Bench], None], ...] = (
    *PART_CHECKS,
    check_reporter_writes_into_the_folder,
    check_reporter_needs_no_labels,
    check_reporter_says_the_same_again,
    check_reporter_writes_whole_or_not_at_all,
    check_reporter_compares_in_the_folder,
)
