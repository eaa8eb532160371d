"""How each member's training went, kept beside what it learned: `members/ID/training.csv`."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from leatherens.core.artifact import write_text
from leatherens.core.errors import ArtifactError
from leatherens.core.observers import Observers
from leatherens.core.progress import Progress
from leatherens.core.tasks import TrainingLog
from leatherens.core.training_curves import TrainingCurve, thinned
from leatherens.ensembles.folder import RunFolder

COLUMNS = ("task", "step", "loss", "validation", "best")
"""A line a step: its loss; the validation after it, if there was one; 1 where the state after it was kept."""

WRITE_SECONDS = 20.0
"""How often the file of a training that goes on is brought up to date."""


class TrainingRecorder:
    """Keeps the file of one member, and tells the run's observers of its epochs."""

    def __init__(self, folder: RunFolder, member: str, observers: Observers, progress: Progress) -> None:
        self._folder = folder
        self._member = member
        self._observers = observers
        self._progress = progress
        self._logs: dict[str, TrainingLog] = {}
        self._written = time.monotonic()
        self._failed = False

    def epoch_ended(self, task: str, epoch: int, log: TrainingLog, since: int) -> None:
        """Tell the observers, and write from time to time."""
        self._logs[task] = log
        self._observers.tell(
            "epoch_ended",
            folder=self._folder.path.resolve(),
            member=self._member,
            task=task,
            epoch=epoch,
            step=len(log.losses),
            losses=log.losses[since:],
            validations=[(step, value) for step, value in log.validations if step > since],
            best_step=log.best_step,
        )
        if time.monotonic() - self._written > WRITE_SECONDS:
            self._write()

    def ended(self, task: str, log: TrainingLog) -> None:
        """Write the file whole; all of it is known again after an interruption."""
        self._logs[task] = log
        self._write()

    def _write(self) -> None:
        """A full disk is told once and does not end a training that can go on."""
        try:
            write_training(self._folder.training(self._member), self._logs)
        except ArtifactError as error:
            if not self._failed:
                self._progress.say(f"{self._member}: the log of its training could not be kept; {error}")
            self._failed = True
        self._written = time.monotonic()


def write_training(path: Path, logs: Mapping[str, TrainingLog]) -> None:
    """Write the logs of a member's tasks, one below the other."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for task, log in logs.items():
        judged = dict(log.validations)
        for step, loss in enumerate(log.losses, start=1):
            validation = f"{judged[step]:.9g}" if step in judged else ""
            writer.writerow([task, step, f"{loss:.9g}", validation, 1 if step == log.best_step else ""])
    write_text(path, text.getvalue())


def read_training(path: Path) -> tuple[TrainingCurve, ...]:
    """The curves of a member's tasks, thinned; none where it does not train by steps."""
    if not path.exists():
        return ()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = groupby(csv.DictReader(file), key=lambda line: line["task"])
            return tuple(_curve(task, rows) for task, rows in lines)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from None
    except (KeyError, ValueError, TypeError, csv.Error):
        raise ArtifactError(f"{path}: damaged, expected the columns {', '.join(COLUMNS)}") from None


def _curve(task: str, rows: Iterable[Mapping[str, str]]) -> TrainingCurve:
    losses, validations, best = [], [], 0
    for row in rows:
        step = int(row["step"])
        losses.append(float(row["loss"]))
        if row["validation"]:
            validations.append((step, float(row["validation"])))
        if row["best"]:
            best = step
    width, points = thinned(losses)
    return TrainingCurve(task, len(losses), points, tuple(validations), best, width)


def training_curves(
    folder: RunFolder, members: Iterable[str], progress: Progress
) -> dict[str, tuple[TrainingCurve, ...]]:
    """The curves of those members that train by steps; a damaged file is told and left out."""
    found = {}
    for id in members:
        try:
            curves = read_training(folder.training(id))
        except ArtifactError as error:
            progress.say(f"{error}; the report does without it")
            continue
        if curves:
            found[id] = curves
    return found
