"""Who is told how a training goes, epoch by epoch; by default nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from leatherens.core.tasks import TrainingLog


class LearningObserver(Protocol):
    """Told of every training of one fit. It may copy from the log, which goes on growing, and change nothing.

    What it is told of an interrupted training and of its resumption is together what it would have been told
    of an uninterrupted one; only after a crash may it hear of an epoch twice.
    """

    def epoch_ended(self, task: str, epoch: int, log: TrainingLog, since: int) -> None:
        """A walk through the images is over, the `epoch`-th: what the log holds after step `since`.

        The last one may be cut short where the schedule or the patience ends.
        """

    def ended(self, task: str, log: TrainingLog) -> None:
        """A task is learned, was learned before an interruption, or is left: by Ctrl-C or an error."""


class Unobserved:
    """Tells nobody."""

    def epoch_ended(self, task: str, epoch: int, log: TrainingLog, since: int) -> None:
        """Nobody asks."""

    def ended(self, task: str, log: TrainingLog) -> None:
        """Nobody asks."""
