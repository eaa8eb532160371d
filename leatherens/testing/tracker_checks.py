"""Checks of trackers, told of made-up runs: whole ones, interrupted ones, and ones with nothing to tell."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leatherens.core.errors import PluginError, PluginWarning
from leatherens.core.observers import Observers, require_hooks
from leatherens.core.tracking import Tracker
from leatherens.testing.bench import Bench
from leatherens.testing.declaration_checks import PART_CHECKS

RECIPE = {
    "members": {"stfpm": {"options": {"steps": 6, "crop": None}}, "padim": {"options": {}}},
    "size": [64, 48],
    "seed": 0,
}
METRICS: dict[str, Any] = {
    "ensemble": {"image_auroc": 0.98, "au_pro": 0.9},
    "members": {"stfpm": {"image_auroc": 0.95, "au_pro": 0.9}, "padim": {"image_auroc": 0.9, "au_pro": 0.8}},
    "definitions": {"image_auroc": "area under the ROC curve", "au_pro": "area under the PRO curve"},
}
UNDEFINED: dict[str, Any] = {**METRICS, "ensemble": dict.fromkeys(METRICS["ensemble"]), "members": {}}
LOSSES = (3.0, 2.5, 2.0, 1.5, 1.0, 0.5)
EPOCH = 3
"""Steps of a walk through the images."""


def _start(observers: Observers, folder: Path, *, resumed: bool = False) -> None:
    observers.tell(
        "run_started",
        folder=folder,
        recipe=RECIPE,
        data="made-up leather: 16 good to learn from",
        command="leatherens run --members stfpm,padim",
        versions={"leatherens": "0.1.0"},
        resumed=resumed,
    )


def _learn(observers: Observers, folder: Path, *, epochs: tuple[int, ...] = (1, 2)) -> None:
    for epoch in epochs:
        step = EPOCH * epoch
        observers.tell(
            "epoch_ended",
            folder=folder,
            member="stfpm",
            task="stfpm",
            epoch=epoch,
            step=step,
            losses=LOSSES[step - EPOCH : step],
            validations=[(step, 1 / epoch)],
            best_step=step,
        )


def _fitted(observers: Observers, folder: Path) -> None:
    for member in ("stfpm", "padim"):
        told = {"seconds": 1.5, "images": 16, "size": 4096}
        observers.tell("member_fitted", folder=folder, member=member, **told)


def _finish(observers: Observers, folder: Path, metrics: Mapping[str, Any] = METRICS) -> None:
    report: Path | None = None
    if metrics is METRICS:
        report = folder / "report.html"
        report.write_text("<!doctype html><title>made-up</title>", encoding="utf-8")
    observers.tell("run_finished", folder=folder, metrics=metrics, report=report)


def _stop(observers: Observers, folder: Path) -> None:
    observers.tell("run_stopped", folder=folder, reason="KeyboardInterrupt")


def _observers(trial: Bench) -> Observers:
    """Who tells a new tracker, which can work here."""
    tracker: Tracker = trial.make()
    try:
        tracker.require_needs()
        return Observers((), [tracker])
    except PluginError as error:
        trial.fail(str(error))


@contextmanager
def _run_folder() -> Iterator[Path]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve() / "brown hide"
        folder.mkdir()
        yield folder


@contextmanager
def _nothing_goes_wrong(trial: Bench, what: str) -> Iterator[None]:
    """Fail where the host would have warned: of what it raised, or of what it changed for everybody."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    told = [str(warning.message) for warning in caught if warning.category is PluginWarning]
    trial.expect(not told, f"told of {what}: {'; '.join(told)}")


def check_tracker_has_known_hooks(trial: Bench) -> None:
    """Its methods are observer hooks of the right names and arguments, each with its marker."""
    try:
        require_hooks(type(trial.make()))
    except PluginError as error:
        trial.fail(str(error))


def check_tracker_follows_a_run(trial: Bench) -> None:
    """Told of a whole run, it neither raises nor changes what everybody shares."""
    with _run_folder() as folder, _nothing_goes_wrong(trial, "a whole run"):
        observers = _observers(trial)
        _start(observers, folder)
        _learn(observers, folder)
        _fitted(observers, folder)
        _finish(observers, folder)


def check_tracker_goes_on(trial: Bench) -> None:
    """Of an interrupted run a new one is told the rest, as the first one could not know that it would be."""
    with _run_folder() as folder, _nothing_goes_wrong(trial, "a run that was interrupted and gone on with"):
        observers = _observers(trial)
        _start(observers, folder)
        _learn(observers, folder, epochs=(1,))
        _stop(observers, folder)
        again = _observers(trial)
        _start(again, folder, resumed=True)
        _learn(again, folder, epochs=(2,))
        _fitted(again, folder)
        _finish(again, folder)


def check_tracker_takes_what_is_missing(trial: Bench) -> None:
    """A run of which nothing trains, no metric is defined and no report was written is a run, too."""
    with _run_folder() as folder, _nothing_goes_wrong(trial, "a run with nothing to tell"):
        observers = _observers(trial)
        _start(observers, folder)
        _finish(observers, folder, UNDEFINED)


def check_tracker_keeps_to_its_folder(trial: Bench) -> None:
    """What it writes into the run's folder lies in a folder called as its id."""
    with _run_folder() as folder:
        observers = _observers(trial)
        own = type(trial.make()).id
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PluginWarning)  # other checks tell of it
            _start(observers, folder)
            _learn(observers, folder)
            _finish(observers, folder, UNDEFINED)
        others = sorted(path.name for path in folder.iterdir() if path.name != own)
        trial.expect(not others, f"it writes {', '.join(others)} into the run's folder, expected {own}/...")


CHECKS: tuple[Callable[[Bench], None], ...] = (
    *PART_CHECKS,
    check_tracker_has_known_hooks,
    check_tracker_follows_a_run,
    check_tracker_goes_on,
    check_tracker_takes_what_is_missing,
    check_tracker_keeps_to_its_folder,
)
