"""A run in an MLflow store on this machine, one SQLite file and a folder of artifacts; nothing is sent.

`mlflow ui --backend-store-uri sqlite:///RUN/mlflow/mlflow.db` shows it. Several runs that are logged to one
place can be compared there.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from leatherens.core.artifact import read_json, write_json
from leatherens.core.hookspecs import hookimpl
from leatherens.core.params import Params
from leatherens.core.tracking import Folder, Tracker, epoch_points, final_metrics, flattened

MOST_METRICS = 1000
MOST_PARAMS = 100
"""What MLflow takes at once."""

LONGEST_PARAM = 6000
"""Characters of a parameter's value that MLflow keeps."""

SEND_SECONDS = 2.0
"""Points are gathered so long: a transaction each would be slower than the steps of a small network."""


class MLflowTracker(Tracker):
    """Parameters, losses and validations by step, cost, metrics, and the report as an artifact."""

    id: ClassVar[str] = "mlflow"
    needs: ClassVar[Mapping[str, str]] = {
        "mlflow": "leatherens[trackers]",
        "sqlalchemy": "leatherens[trackers]",
        "alembic": "leatherens[trackers]",
    }

    class Params(Params):
        """Where it writes."""

        place: Folder | None = None
        """Folder with mlflow.db and artifacts, which several runs may share; without, RUN/mlflow."""
        experiment: str = "leatherens"
        """MLflow's name for runs that are compared."""

    @hookimpl
    def run_started(
        self, folder: Path, recipe: Mapping[str, Any], data: str, command: str, versions: Mapping[str, str]
    ) -> None:
        """Begin an MLflow run, or go on with the one that was begun."""
        self._points: list[Any] = []
        self._sent = time.monotonic()
        note = folder / self.id / "run.json"
        store = folder / self.id if self.params.place is None else self.params.place
        store.mkdir(parents=True, exist_ok=True)
        self._client = _client(store)
        if note.exists():
            self._run = str(read_json(note)["run"])
            self._go_on()
            return
        tags = {"data": data, "command": command, "folder": str(folder)}
        tags |= {f"version.{name}": version for name, version in versions.items()}
        self._run = self._client.create_run(
            self._experiment(store), run_name=folder.name, tags=tags
        ).info.run_id
        self._log_params(recipe)
        write_json(note, {"run": self._run, "store": str(store)})

    def _go_on(self) -> None:
        self._client.set_terminated(self._run, "RUNNING")
        if "stopped" in self._client.get_run(self._run).data.tags:
            self._client.delete_tag(self._run, "stopped")

    def _experiment(self, store: Path) -> str:
        """The id of the experiment, made with a place for artifacts beside the store."""
        found = self._client.get_experiment_by_name(self.params.experiment)
        if found is not None:
            return str(found.experiment_id)
        artifacts = (store / "artifacts").as_uri()
        return str(self._client.create_experiment(self.params.experiment, artifact_location=artifacts))

    def _log_params(self, recipe: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(_name(key), str(value)[:LONGEST_PARAM]) for key, value in flattened(recipe)]
        for start in range(0, len(params), MOST_PARAMS):
            self._client.log_batch(self._run, params=params[start : start + MOST_PARAMS])

    @hookimpl
    def epoch_ended(
        self,
        member: str,
        task: str,
        step: int,
        losses: Sequence[float],
        validations: Sequence[tuple[int, float]],
    ) -> None:
        """Gather the epoch's points."""
        for point in epoch_points(member, task, step, losses, validations):
            self._gather(*point)
        if time.monotonic() - self._sent > SEND_SECONDS:
            self._send()

    @hookimpl
    def member_fitted(self, member: str, seconds: float, size: int) -> None:
        """Log what it cost."""
        self._gather(f"{member}/fit_seconds", seconds)
        self._gather(f"{member}/bytes", size)
        self._send()

    @hookimpl
    def run_finished(self, metrics: Mapping[str, Any], report: Path | None) -> None:
        """Log what was measured, keep the report, and end the MLflow run."""
        for name, value in final_metrics(metrics).items():
            self._gather(f"result/{name}", value)
        self._send()
        if report is not None:
            self._client.log_artifact(self._run, str(report))
        self._client.set_terminated(self._run, "FINISHED")

    @hookimpl
    def run_stopped(self, reason: str) -> None:
        """Log what is known, and say why it ended."""
        self._send()
        self._client.set_tag(self._run, "stopped", reason)
        self._client.set_terminated(self._run, "KILLED" if reason == "KeyboardInterrupt" else "FAILED")

    def _gather(self, name: str, value: float, step: int = 0) -> None:
        from mlflow.entities import Metric

        if math.isfinite(value):  # an infinite one is refused by SQLite
            self._points.append(Metric(_name(name), float(value), int(time.time() * 1000), step))

    def _send(self) -> None:
        for start in range(0, len(self._points), MOST_METRICS):
            self._client.log_batch(self._run, metrics=self._points[start : start + MOST_METRICS])
        self._points = []
        self._sent = time.monotonic()


def _client(store: Path) -> Any:
    """A client of the SQLite store in a folder, made without a word."""
    with _nothing_is_sent():
        from mlflow.tracking import MlflowClient
    with _quiet():
        uri = f"sqlite:///{(store / 'mlflow.db').as_posix()}"
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def _nothing_is_sent() -> Iterator[None]:
    """MLflow decides while it is imported whether it reports its use to its makers: it does not."""
    before = os.environ.get("MLFLOW_DISABLE_TELEMETRY")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    try:
        yield
    finally:
        del os.environ["MLFLOW_DISABLE_TELEMETRY"]
        if before is not None:
            os.environ["MLFLOW_DISABLE_TELEMETRY"] = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Without MLflow's lines on tables that it makes."""
    logger = logging.getLogger("mlflow.store.db.utils")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _name(text: str) -> str:
    """A name that MLflow takes on every system: without the colon of `plugin:id`."""
    return text.replace(":", ".")
