"""A run on disk: which file lies where, who may write, and whether it is finished.

```text
RUN/
  recipe.yaml   the resolved recipe     run.json    versions, data, command, weights
  splits.json   which image taught what  images.json  a digest of each image
  preparation/N-ID/   what a step learned, such as a reference to register against
  members/ID/   state; training.csv, of those that train by steps; checkpoint while training;
                checkpoints/STEP, where they were kept
  ensemble/     block, head, scales, score fusion, agreement, calibrators, thresholds, colours;
                pixel-thresholds, where pixels have a rule of their own;
                out-of-fold.safetensors, what thresholds were learned from across folds
  metrics.json  details.json  scores.csv  maps/  report.html  overviews/ (of tiled runs)
  pictures.zip  what a report shows and no other file holds (`kept_pictures`)
  trackers.json and a folder of each, where a run is logged elsewhere (`tracking`)
  DONE          written last            history/     what was changed since (`history`)
```
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from leatherens.core.artifact import read_json, read_state, write_json, write_state, write_text
from leatherens.core.component import Component
from leatherens.core.errors import ArtifactError, ConfigError
from leatherens.core.params import Params, parse_params
from leatherens.ensembles.facts import Facts, read_facts

C = TypeVar("C", bound=Component)

PROJECT = "project.json"
"""What makes a folder one of several views, each of which has its run below it."""

_STATE = ("state.json", "state.safetensors")
"""The files of what a component learned."""


class _Saved(Params):
    """What stands beside a saved state: whose it is, and a digest of each of its files."""

    id: str
    options: dict[str, Any]
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths and files of one run.

    layers: folders whose members and parts stand before the run's own, the first first.
    """

    path: Path
    layers: tuple[Path, ...] = ()

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def splits(self) -> Path:
        """Which image taught what."""
        return self.path / "splits.json"

    @property
    def images(self) -> Path:
        """A digest of the content of each image; runs of the first version lack it."""
        return self.path / "images.json"

    @property
    def metrics(self) -> Path:
        """Metrics of the ensemble and of each member, with their definitions."""
        return self.path / "metrics.json"

    @property
    def details(self) -> Path:
        """What a report tells beside the metrics; runs of older versions lack it."""
        return self.path / "details.json"

    @property
    def trackers(self) -> Path:
        """With which trackers it is logged, if with any."""
        return self.path / "trackers.json"

    @property
    def scores(self) -> Path:
        """One line per test image."""
        return self.path / "scores.csv"

    @property
    def pictures(self) -> Path:
        """What a report shows and no other file holds; may be deleted, and runs of older versions lack it."""
        return self.path / "pictures.zip"

    @property
    def done(self) -> bool:
        """Whether the run was finished."""
        return (self.path / "DONE").exists()

    @property
    def begun(self) -> bool:
        """Whether there is a run at all."""
        return (self.path / "run.json").exists()

    @property
    def learned(self) -> bool:
        """Whether anything was learned yet, if only in part."""
        return any((self.path / "members").rglob("*.safetensors"))

    @property
    def resume_command(self) -> str:
        """What to type to go on with this run."""
        return shlex.join(["leatherens", "run", "--resume", "--out", str(self.path)])

    def member(self, id: str) -> Path:
        """The folder of one member."""
        return self._in_force("members", _file_name(id))

    def training(self, id: str) -> Path:
        """How the training of a member went, as the run was made."""
        return self.path / "members" / _file_name(id) / "training.csv"

    def checkpoints(self, id: str) -> Path:
        """The folder of what one member was at some steps of its training."""
        return self.path / "members" / _file_name(id) / "checkpoints"

    def checkpoint_steps(self, id: str) -> list[int]:
        """The steps of which a member's checkpoints were kept whole."""
        found = self.checkpoints(id).glob("*/component.json")
        return sorted(int(path.parent.name) for path in found)

    def fit_time(self, id: str) -> Path:
        """How long one member took to learn."""
        return self.member(id) / "fit.json"

    @property
    def fusion_time(self) -> Path:
        """How long block, head, scales and score fusion took to learn."""
        return self.path / "ensemble" / "fit.json"

    def part(self, *names: str) -> Path:
        """`block`, `head`, `score-fusion`; `calibrators`, `thresholds`, `pixel-thresholds` and a scorer."""
        return self._in_force("ensemble", *map(_file_name, names))

    def preparation(self, number: int, id: str) -> Path:
        """One step of the preparation; the same step may come twice."""
        return self._in_force("preparation", f"{number}-{_file_name(id)}")

    def scale(self, voter: str) -> Path:
        """One voter's scale."""
        return self._in_force("ensemble", "scales", f"{_file_name(voter)}.safetensors")

    @property
    def agreement(self) -> Path:
        """What makes the image score of fused scores."""
        return self._in_force("ensemble", "agreement.safetensors")

    @property
    def out_of_fold(self) -> Path:
        """The scores of good images by ensembles that did not learn from them, where folds calibrated."""
        return self.path / "ensemble" / "out-of-fold.safetensors"

    @property
    def folds(self) -> Path:
        """The folder of what is learned and scored fold by fold, gone when all are done."""
        return self.path / "folds"

    @property
    def colours(self) -> Path:
        """The colours of the images that teach; runs that were made before colours were told lack it."""
        return self._in_force("ensemble", "colours.json")

    def _in_force(self, *names: str) -> Path:
        """A file or folder of what was learned: a layer's where one has it, else the run's own."""
        changed = (layer.joinpath(*names) for layer in self.layers)
        return next((path for path in changed if path.exists()), self.path.joinpath(*names))

    def map(self, id: str) -> Path:
        """The ensemble's score map of one test image, float32 TIFF at original size."""
        return self.path / "maps" / f"{id}.tiff"

    def overview(self, id: str) -> Path:
        """A test photograph of a tiled run made small, its defects outlined."""
        return self.path / "overviews" / f"{id}.jpg"

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
            if not self.begun:  # refused before anything was written: leave nothing behind
                (self.path / ".lock").unlink(missing_ok=True)
                with suppress(OSError):
                    self.path.rmdir()

    def withdraw(self) -> None:
        """Take back a beginning of which nothing was learned: what was refused leaves no run behind."""
        logged = read_json(self.trackers) if self.trackers.exists() else ()
        for path in (self.path / "run.json", self.splits, self.images, self.recipe, self.trackers):
            path.unlink(missing_ok=True)
        for name in ("members", "preparation", *map(_file_name, logged)):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def write_facts(self, facts: Facts) -> None:
        """Write run.json, after which the run has begun."""
        write_json(self.path / "run.json", facts.model_dump(mode="json"))

    def facts(self) -> Facts:
        """What `write_facts` wrote; refuses what is no run, or a run of a newer version."""
        if not self.path.is_dir():
            raise ArtifactError(f"{self.path}: no such run folder")
        if (self.path / PROJECT).exists():
            views = sorted(path.name for path in (self.path / "views").glob("*/"))
            runs = f", such as {self.path / 'views' / views[0]}" if views else ""
            raise ArtifactError(
                f"{self.path}: a project of several views, not a run; give the run of one of them{runs}"
            )
        if not self.begun:
            raise ArtifactError(f"{self.path}: not a run folder of leatherens (there is no run.json in it)")
        return read_facts(self.path / "run.json")

    def require_done(self) -> None:
        """Refuse a run that was not finished."""
        self.facts()
        if not self.done:
            raise ArtifactError(f"{self.path}: this run is not finished; go on with {self.resume_command}")

    def finish(self) -> None:
        """Say that everything is there."""
        write_text(self.path / "DONE", "")

    def save(self, folder: Path, component: Component) -> None:
        """Write a fitted component: its state, then its options, whose presence says it is whole."""
        write_state(folder, component.state())
        files = {name: _digest(folder / name) for name in _STATE}
        saved = _Saved(id=component.id, options=component.params.model_dump(mode="json"), files=files)
        write_json(folder / "component.json", saved.model_dump(mode="json"))

    def holds(self, folder: Path) -> bool:
        """Whether a component was saved there whole."""
        return (folder / "component.json").exists()

    def size(self, folder: Path) -> int:
        """Bytes of the state of a component that was saved there."""
        return sum((folder / name).stat().st_size for name in _STATE)

    def saved_id(self, folder: Path) -> str:
        """Whose state was saved there."""
        return parse_params(_Saved, read_json(folder / "component.json"), owner=str(folder)).id

    def load(self, folder: Path, kind: type[C]) -> C:
        """The fitted component saved there, unless one of its files is not what was saved."""
        saved = parse_params(_Saved, read_json(folder / "component.json"), owner=str(folder))
        if saved.id != kind.id:
            raise ArtifactError(
                f"{folder}: holds '{saved.id}', expected '{kind.id}'; the run's recipe was changed"
            )
        for name, digest in saved.files.items():
            if _digest(folder / name) != digest:
                raise ArtifactError(f"{folder / name}: damaged; copy the run again, or make it again")
        try:
            params = parse_params(kind.Params, saved.options, owner=kind.id)
        except ConfigError as error:
            raise ArtifactError(f"{folder}: saved by another version of '{kind.id}' ({error})") from None
        return kind.from_state(params, read_state(folder))


def _file_name(id: str) -> str:
    """An id as a file name: `plugin:id` has a character that not every file system takes."""
    return re.sub(r"[^\w.-]", "--", id)


def _digest(path: Path) -> str:
    """Changes with any byte of a file."""
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except FileNotFoundError:
        raise ArtifactError(f"{path}: missing; copy the run again, or make it again") from None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from None
