"""`Ensemble`: `leatherens run`, `predict` and `evaluate` as one object."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from typing_extensions import Self, Unpack

from leatherens.api.given import choice_of
from leatherens.api.home import Home
from leatherens.api.laid_out import TEACHING, TESTING, in_files
from leatherens.api.pictures import Images
from leatherens.api.result import Result
from leatherens.api.spelling import spoken_in_python
from leatherens.configs.checked import content_of
from leatherens.configs.from_options import places_of, recipe_of
from leatherens.configs.options import CALIBRATION, Options, listed
from leatherens.configs.recipe import Recipe
from leatherens.core.artifact import read_json, without_nan
from leatherens.core.errors import ArtifactError, ConfigError, NotFittedError, did_you_mean
from leatherens.core.host import PluginHost
from leatherens.core.progress import Progress, Silent
from leatherens.core.reading import Sample, unlabelled
from leatherens.core.reporting import Decision
from leatherens.core.terminal_progress import terminal_progress
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.given_splits import given_splits
from leatherens.ensembles.opening import OpenedRun, open_run
from leatherens.ensembles.parts import resolve
from leatherens.ensembles.running import Run
from leatherens.ensembles.taken import refuse_taken, result_folder
from leatherens.ensembles.tracking import tracking_of


@dataclass
class _Fitted:
    """A finished run and where it lies."""

    home: Home
    opened: OpenedRun


class Ensemble:
    """Detectors that learn from good images, calibrated and fused: `leatherens run` from Python.

    members: ids of detectors, a list or "stfpm,draem". config: a scenario ("one-colour"), a recipe file or a
    run whose recipe is taken; members and options then say what differs. out: the run's folder; without, a
    temporary one that goes with the object. verbose: show progress on stderr. plugins: .py files to load as
    plugins. track: trackers to log the run with besides, as --track: "tensorboard", or ["mlflow=DIR", ...].
    options: those of `leatherens run` with the same defaults, listed at `leatherens.configs.options.Options`.

    The constructor only keeps what it is given, less options that nobody knows; `fit` checks the rest.
    Errors are `LeatherensError`s, each a sentence that says what to do.
    """

    def __init__(
        self,
        members: str | Sequence[str] = (),
        *,
        config: Path | str | None = None,
        out: Path | str | None = None,
        verbose: bool = False,
        plugins: Sequence[Path | str] = (),
        track: str | Sequence[str] = (),
        **options: Unpack[Options],
    ) -> None:
        for key in options:
            if key not in Options.__annotations__:
                known = sorted(Options.__annotations__)
                hint = did_you_mean(key, known)
                raise ConfigError(f"Ensemble: unknown option '{key}'{hint} (options: {', '.join(known)})")
        self.members = tuple(listed(members))
        self.config = config
        self.out = None if out is None else Path(out)
        self.verbose = verbose
        self.plugins = tuple(Path(file) for file in plugins)
        self.track = (track,) if isinstance(track, str) else tuple(track)
        self.options = options
        self._fitted: _Fitted | None = None

    @classmethod
    def open(
        cls,
        run: Path | str,
        *,
        device: str | None = None,
        weights: Sequence[Path | str] = (),
        plugins: Sequence[Path | str] = (),
        verbose: bool = False,
    ) -> Self:
        """The ensemble of a finished run, whether Python or the command line made it.

        device, weights: where to compute and where weights lie, if elsewhere than when it was made.
        """
        places = Options(device=device, weights=tuple(weights))
        ensemble = cls("", out=run, verbose=verbose, plugins=plugins, **places)
        with spoken_in_python():
            ensemble._open(Home(Path(run)))
        ensemble.members = tuple(ensemble.recipe.members)
        return ensemble

    def fit(
        self,
        data: Path | str | Images,
        labels: Iterable[Any] | None = None,
        masks: Iterable[Any] | Path | str | None = None,
        *,
        defects: Path | str | None = None,
        layout: str | None = None,
        group_by: str | None = None,
        splits: Path | str | None = None,
    ) -> Self:
        """Learn from good images, calibrate, and test; what was fitted before is forgotten.

        data: a folder in any layout or a manifest, as --data; or images (paths, arrays, pictures, tensors).
        Of a folder, defects, masks, layout, group_by and splits are the options of `leatherens run`.
        Of images, labels says for each whether it is defective (0 or 1), masks where: those that are good
        teach, the others are tested on. They are kept in the run's folder.
        """
        self._fitted = None
        with spoken_in_python():
            tracking = tracking_of(self.track, self._host)
            recipe = self._recipe()
            home = self._new_home()
            beside = {"defects": defects, "layout": layout, "group_by": group_by}
            with home.withdrawn_if_refused():
                choice = choice_of(data, labels, masks, beside, into=home.photographs, good=TEACHING)
                dealt = None if splits is None else given_splits(Path(splits), choice.read(self._host))
                said = repr(str(data)) if isinstance(data, str | Path) else "images"
                command = f"{self._call}.fit({said})"
                asked = (self._host, self._progress, command, dealt, tracking)
                Run(RunFolder(home.path), recipe, choice, *asked).make()
            self._open(home)
        return self

    def judge(self, images: Path | str | Images) -> Iterator[Result]:
        """Judge images one batch at a time, in order: for more than memory holds the maps of.

        images: a file, a folder, or images as `fit` takes them. One that cannot be read has a `problem`.
        """
        return _judged(self._require("judge"), images)

    def predict(self, images: Path | str | Images) -> list[Result]:
        """Judge images, all at once."""
        self._require("predict")
        return list(self.judge(images))

    def evaluate(
        self,
        data: Path | str | Images,
        labels: Iterable[Any] | None = None,
        masks: Iterable[Any] | Path | str | None = None,
        *,
        defects: Path | str | None = None,
        layout: str | None = None,
        out: Path | str | None = None,
    ) -> dict[str, Any]:
        """Metrics on labelled images, with their definitions, as in metrics.json: nothing is learned.

        data, labels, masks: as of `fit`; shown the folder it learned from, it leaves out what it learned.
        out: a folder for metrics, scores, maps and a report.
        """
        run = self._require("evaluate")
        with spoken_in_python(), tempfile.TemporaryDirectory(prefix="leatherens-") as folder:
            beside = {"defects": defects, "layout": layout}
            choice = choice_of(data, labels, masks, beside, into=Path(folder), good=TESTING)
            collection = choice.read(self._host, learning=False)
            into = None if out is None else result_folder(Path(out))
            metrics = run.evaluate(collection, self._host, self._progress, into).metrics
        found: dict[str, Any] = without_nan(metrics)
        return found

    def save(self, folder: Path | str) -> Path:
        """Copy the run, report included, into a folder that is not there yet; `Ensemble.open` opens it."""
        self._require("save")
        assert self._fitted is not None
        with spoken_in_python():
            self._fitted.home.copy_to(Path(folder))
        return Path(folder)

    @property
    def run(self) -> Path:
        """The run's folder, which is gone with this object unless `out` named it."""
        self._require("run")
        assert self._fitted is not None
        return self._fitted.home.path

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self.run / "report.html"

    @property
    def metrics(self) -> dict[str, Any]:
        """What the run measured on its test images when it was made, with definitions: metrics.json."""
        found: dict[str, Any] = read_json(RunFolder(self.run).metrics)
        return found

    @property
    def recipe(self) -> Recipe:
        """Everything that decided what happened, every default written out."""
        return self._require("recipe").recipe

    @property
    def decision(self) -> Decision:
        """The thresholds, what is promised of them, and what must be known of that."""
        return self._require("decision").deciders[ENSEMBLE].decision

    @property
    def threshold(self) -> float:
        """An image is defective when its score is above; rules that judge groups apart have others, too."""
        return self.decision.image

    def __repr__(self) -> str:
        if self._fitted is None:
            return self._call
        return f"<{self._call}, threshold {self.threshold:.4g}, run {self.run}>"

    @property
    def _call(self) -> str:
        """How it was asked for."""
        config = None if self.config is None else str(self.config)
        out = None if self.out is None else str(self.out)
        said = {"config": config, "out": out, "track": self.track, **self.options}
        given = "".join(f", {key}={value!r}" for key, value in said.items() if value not in (None, (), {}))
        members = repr(list(self.members)) if self.members or config is None else ""
        return f"Ensemble({f'{members}{given}'.removeprefix(', ')})"

    @cached_property
    def _host(self) -> PluginHost:
        return PluginHost(files=self.plugins)

    def _new_home(self) -> Home:
        """Where the next run will lie, which must be free."""
        if self.out is not None:
            refuse_taken(self.out)
        home = Home(self.out)
        if home.photographs.exists():
            raise ArtifactError(f"{home.photographs}: is there already; choose another --out")
        return home

    @property
    def _progress(self) -> Progress:
        return terminal_progress() if self.verbose else Silent()

    def _recipe(self) -> Recipe:
        options, base = self.options.copy(), content_of(self.config, self._host)
        if options.get("calibration") is None and "calibration" not in base:
            options["calibration"] = CALIBRATION
        recipe = recipe_of(self.members, options, self._host, owner="Ensemble", base=base)
        return resolve(recipe, self._host)

    def _open(self, home: Home) -> None:
        places = places_of(self.options)
        opened = open_run(home.path, self._host, device=places.device or "auto", weights=places.weights)
        self._fitted = _Fitted(home, opened)

    def _require(self, call: str) -> OpenedRun:
        if self._fitted is None:
            raise NotFittedError(f"Ensemble: {call} needs a fitted one; call fit first, or Ensemble.open")
        return self._fitted.opened

    def __getstate__(self) -> dict[str, Any]:
        home = None if self._fitted is None else self._fitted.home
        kept = {name: value for name, value in self.__dict__.items() if name != "_host"}
        return {**kept, "_fitted": None, "home": home}

    def __setstate__(self, state: dict[str, Any]) -> None:
        home = state.pop("home")
        self.__dict__.update(state)
        if home is not None:
            self._open(home)


def _judged(run: OpenedRun, images: Path | str | Images) -> Iterator[Result]:
    if isinstance(images, str | Path):
        yield from (Result.of(found.path, found) for found in run.judge(unlabelled([Path(images)])))
        return
    with tempfile.TemporaryDirectory(prefix="leatherens-") as folder:
        for chunk in in_files(images, Path(folder), run.recipe.batch_size):
            samples = [Sample(path, str(name)) for name, path in chunk]
            for (name, _), found in zip(chunk, run.judge(samples), strict=True):
                yield Result.of(name, found)
