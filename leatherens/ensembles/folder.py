"""A run on disk: which file lies where, who may write, and whether it is finished.

```text
RUN/
  recipe.yaml   the resolved recipe     run.json    versions, data, command, weights
  splits.json   which image taught what
  members/ID/   state, training log, checkpoint while training
  ensemble/     block, head, scales, calibrators, thresholds
  metrics.json  scores.csv  maps/  report.html
  DONE          written last
```
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from leatherens.core.artifact import read_json, read_state, write_json, write_state, write_text
from leatherens.core.component import Component
from leatherens.core.errors import ArtifactError, ConfigError
from leatherens.core.params import parse_params

FORMAT = 1
"""Version of this layout; a run of a newer one is refused."""

C = TypeVar("C", bound=Component)

_NAMED_VERSIONS = (
    "leatherens",
    "torch",
    "timm",
    "numpy",
    "scikit-learn",
    "faiss-cpu",
    "opencv-python-headless",
)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths and files of one run."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def splits(self) -> Path:
        """Which image taught what."""
        return self.path / "splits.json"

    @property
    def metrics(self) -> Path:
        """Metrics of the ensemble and of each member, with their definitions."""
        return self.path / "metrics.json"

    @property
    def scores(self) -> Path:
        """One line per test image."""
        return self.path / "scores.csv"

    @property
    def done(self) -> bool:
        """Whether the run was finished."""
        return (self.path / "DONE").exists()

    @property
    def begun(self) -> bool:
        """Whether there is a run at all."""
        return (self.path / "run.json").exists()

    def member(self, id: str) -> Path:
        """The folder of one member."""
        return self.path / "members" / id

    def part(self, name: str) -> Path:
        """One part of the ensemble: `block`, `head`, `scales`, `calibrators/ID`, `thresholds/ID`."""
        return self.path / "ensemble" / name

    def map(self, id: str) -> Path:
        """The ensemble's score map of one test image, float32 TIFF at original size."""
        return self.path / "maps" / f"{id}.tiff"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second process out; a lock left by a process that died counts for nothing."""
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise ArtifactError(
                f"{self.path}: another process is working on this run; wait for it or use another --out"
            ) from None
        except OSError as error:
            raise ArtifactError(
                f"{self.path}: cannot be written ({error.strerror}); choose another --out"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        """Write run.json: what a reader needs to trust or repeat the run."""
        write_json(self.path / "run.json", {"format": FORMAT, "versions": versions(), **facts})

    def facts(self) -> dict[str, Any]:
        """What `write_facts` wrote; refuses what is no run, or a run of a newer version."""
        if not self.path.is_dir():
            raise ArtifactError(f"{self.path}: no such run folder")
        if not self.begun:
            raise ArtifactError(f"{self.path}: not a run folder of leatherens (there is no run.json in it)")
        facts: dict[str, Any] = read_json(self.path / "run.json")
        if facts.get("format", 0) > FORMAT:
            made = facts.get("versions", {}).get("leatherens", "a newer version")
            raise ArtifactError(
                f"{self.path}: written by leatherens {made} (format {facts['format']}), this one reads up to "
                f"format {FORMAT}; update leatherens"
            )
        return facts

    def require_done(self) -> None:
        """Refuse a run that was not finished."""
        self.facts()
        if not self.done:
            raise ArtifactError(
                f"{self.path}: this run is not finished; go on with leatherens run --resume {self.path}"
            )

    def finish(self) -> None:
        """Say that everything is there."""
        write_text(self.path / "DONE", "")

    def save(self, folder: Path, component: Component) -> None:
        """Write a fitted component: its state, then its options, whose presence says it is whole."""
        write_state(folder, component.state())
        write_json(
            folder / "component.json",
            {"id": component.id, "options": component.params.model_dump(mode="json")},
        )

    def holds(self, folder: Path) -> bool:
        """Whether a component was saved there whole."""
        return (folder / "component.json").exists()

    def load(self, folder: Path, kind: type[C]) -> C:
        """The fitted component saved there."""
        saved = read_json(folder / "component.json")
        if saved["id"] != kind.id:
            raise ArtifactError(
                f"{folder}: holds '{saved['id']}', expected '{kind.id}'; the run's recipe was changed"
            )
        try:
            params = parse_params(kind.Params, saved["options"], owner=kind.id)
        except ConfigError as error:
            raise ArtifactError(f"{folder}: saved by another version of '{kind.id}' ({error})") from None
        return kind.from_state(params, read_state(folder))


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    found = {"python": platform.python_version()}
    for name in _NAMED_VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
