"""A run as event files that TensorBoard shows: `tensorboard --logdir RUN/tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from leatherens.core.hookspecs import hookimpl
from leatherens.core.params import Params
from leatherens.core.tracking import Folder, Tracker, epoch_points, final_metrics, flattened


class TensorBoardTracker(Tracker):
    """Losses and validations by step, cost and metrics, and the recipe as text and as hyperparameters."""

    id: ClassVar[str] = "tensorboard"
    needs: ClassVar[Mapping[str, str]] = {"tensorboard": "leatherens[trackers]"}

    class Params(Params):
        """Where it writes."""

        place: Folder | None = None
        """Folder in which the run gets a folder of its own; without, RUN/tensorboard."""

    @hookimpl
    def run_started(self, folder: Path, recipe: Mapping[str, Any], data: str, command: str) -> None:
        """Open the run's event files; those of before an interruption stay beside them."""
        from torch.utils.tensorboard import SummaryWriter

        place = self.params.place
        where = folder / self.id if place is None else place / folder.name
        self._writer = SummaryWriter(str(where))
        self._recipe = dict(flattened(recipe))
        rows = "".join(f"| {_cell(key)} | {_cell(value)} |\n" for key, value in self._recipe.items())
        self._writer.add_text("recipe", f"| key | value |\n| --- | --- |\n{rows}")
        self._writer.add_text("data", data)
        self._writer.add_text("command", f"    {command}")
        self._writer.flush()

    @hookimpl
    def epoch_ended(
        self,
        member: str,
        task: str,
        step: int,
        losses: Sequence[float],
        validations: Sequence[tuple[int, float]],
    ) -> None:
        """Add the epoch's points."""
        for name, value, at in epoch_points(member, task, step, losses, validations):
            self._writer.add_scalar(name, value, at)

    @hookimpl
    def member_fitted(self, member: str, seconds: float, size: int) -> None:
        """Add what it cost."""
        self._writer.add_scalar(f"{member}/fit_seconds", seconds, 0)
        self._writer.add_scalar(f"{member}/bytes", size, 0)
        self._writer.flush()

    @hookimpl
    def run_finished(self, metrics: Mapping[str, Any]) -> None:
        """Add what was measured, as curves of one point and beside the hyperparameters."""
        found = final_metrics(metrics)
        for name, value in found.items():
            self._writer.add_scalar(f"result/{name}", value, 0)
        options = {key: _plain(value) for key, value in self._recipe.items()}
        shown = {f"hparam/{name}": value for name, value in found.items() if name.startswith("ensemble/")}
        self._writer.add_hparams(options, shown, run_name=".")
        self._writer.close()

    @hookimpl
    def run_stopped(self) -> None:
        """Close the files; the next ones go on."""
        self._writer.close()


def _cell(value: Any) -> str:
    """A value in a table of Markdown."""
    return str(value).replace("|", "\\|")


def _plain(value: Any) -> bool | int | float | str:
    """A value as the page on hyperparameters takes it."""
    return value if isinstance(value, bool | int | float | str) else str(value)
