"""The best scenarios tried: learned at quick effort, told apart by artificial anomalies on held-out images.

No defective image is read. What teaches, validates and is held out are the good images' usual shares; the
anomalies are drawn anew, others than those that fusions learn from, on images that nothing has seen.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leatherens.configs.recipe import Recipe
from leatherens.core.artifact import read_json, write_json
from leatherens.core.errors import ArtifactError, InputError, LeatherensError
from leatherens.core.feature_cache import FeatureCache
from leatherens.core.host import PluginHost
from leatherens.core.metrics import image_auroc, pixel_metrics
from leatherens.core.params import Params, parse_params
from leatherens.core.progress import Progress, Within
from leatherens.core.randomness import derive
from leatherens.core.reading import Collection
from leatherens.core.synthesis.spoilt_images import example_images
from leatherens.core.types import ImageSource
from leatherens.ensembles.ablation.artificial import good_and_spoilt
from leatherens.ensembles.ensemble import ENSEMBLE, FittedEnsemble
from leatherens.ensembles.fitting import Fitting
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.parts import build, build_preparation, load_backbones, resolve
from leatherens.ensembles.preparing import fit_preparation
from leatherens.ensembles.recommending.candidates import Candidate
from leatherens.ensembles.recommending.choosing import Choice
from leatherens.ensembles.sources import FileSource, require_no_problems
from leatherens.ensembles.splits import Splits, content_digests, fingerprint, splits_of

MOST = 3
"""Scenarios that are tried."""

CAVEAT = (
    "Artificial anomalies are no real defects: a scenario that is best here need not be best on yours. "
    "Scenarios whose members learn from artificial anomalies (draem, cse, memseg) are flattered."
)


class Tried(Params):
    """How well one scenario told held-out good images from spoilt ones; good, spoilt: how many there were."""

    image_auroc: float
    au_pro: float
    good: int
    spoilt: int
    seconds: float

    @property
    def separation(self) -> float:
        """What is chosen by: the mean of both."""
        return (self.image_auroc + self.au_pro) / 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What each scenario reached, or why it could not be tried; the best; who was left out."""

    tried: Mapping[str, Tried | str]
    pick: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialFolder:
    """Where trials are kept: what was tried with, each scenario's members and its result.

    resume_command: what to type to go on with them.
    """

    path: Path
    resume_command: str = ""

    @property
    def settings(self) -> Path:
        """The images and scenarios of these trials."""
        return self.path / "try.json"

    @property
    def begun(self) -> bool:
        """Whether there are any."""
        return self.settings.exists()

    def run(self, id: str) -> RunFolder:
        """Where one scenario's members are learned."""
        return RunFolder(self.path / id.replace(":", "-"))

    def result(self, id: str) -> Path:
        """What one scenario reached."""
        return self.run(id).path / "tried.json"


@dataclass(frozen=True, slots=True)
class Trials:
    """Trials of scenarios on one collection; what the folder holds already is not done again."""

    folder: TrialFolder
    host: PluginHost
    collection: Collection
    progress: Progress

    def of(self, choice: Choice) -> Outcome:
        """The first few that fit and keep the budget, tried."""
        chosen, remarks = to_be_tried(choice)
        recipes = {candidate.id: _quick(candidate, self.host) for candidate in chosen}
        self._begin(recipes)
        tried = {id: self._one(id, recipe, recipes) for id, recipe in recipes.items()}
        return Outcome(tried, best(tried), remarks)

    def _begin(self, recipes: dict[str, Recipe]) -> None:
        """Write down what is tried on what; a folder of other trials is refused."""
        good = (*self.collection.train, *self.collection.validation)
        mark = fingerprint(good, content_digests([sample.path for sample in good]))
        written = {id: recipe.model_dump(mode="json") for id, recipe in recipes.items()}
        if self.folder.begun:
            found = read_json(self.folder.settings)
            if found.get("data_fingerprint") != mark:
                raise ArtifactError(
                    f"{self.folder.path}: holds trials on other images; remove it, or give another --out"
                )
            for id, before in found.get("recipes", {}).items():
                if id in written and before != written[id]:  # of another version, or on another device
                    shutil.rmtree(self.folder.run(id).path, ignore_errors=True)
            written = {**found.get("recipes", {}), **written}
        write_json(self.folder.settings, {"data_fingerprint": mark, "recipes": written})

    def _one(self, id: str, recipe: Recipe, recipes: dict[str, Recipe]) -> Tried | str:
        path = self.folder.result(id)
        if path.exists():
            self.progress.say(f"{id}: already tried")
            return parse_params(Tried, read_json(path), owner=str(path))
        try:
            with self.folder.run(id).locked():
                self._share(id, recipe, recipes)
                tried = self._tried(id, recipe)
        except (ArtifactError, KeyboardInterrupt):
            raise
        except LeatherensError as error:
            return str(error).splitlines()[0]
        write_json(path, tried.model_dump(mode="json"))
        return tried

    def _share(self, id: str, recipe: Recipe, recipes: dict[str, Recipe]) -> None:
        """Take over the members that a scenario before this one has learned just so."""
        for other, its in recipes.items():
            if other == id:
                return
            if (its.size, its.preparation, its.seed) != (recipe.size, recipe.preparation, recipe.seed):
                continue
            for member, said in recipe.members.items():
                there, here = self.folder.run(other), self.folder.run(id)
                same = member in its.members and its.members[member].options == said.options
                if same and there.holds(there.member(member)) and not here.holds(here.member(member)):
                    shutil.copytree(there.member(member), here.member(member), dirs_exist_ok=True)

    def _tried(self, id: str, recipe: Recipe) -> Tried:
        started = time.monotonic()
        progress, folder = Within(self.progress, id), self.folder.run(id)
        splits = splits_of(recipe, self.collection)
        samples = {sample.id: sample for sample in self.collection.samples}
        taught = [samples[name] for name in splits.fit]
        steps = build_preparation(recipe, self.host)
        steps = fit_preparation(folder, steps, taught, seed=recipe.seed, progress=progress)
        good = [samples[name] for name in sorted(splits.fit + splits.validate + splits.calibrate)]
        source = FileSource(good, size=recipe.size, preparation=steps)
        require_no_problems(source.problems(progress), len(good))
        ensemble = self._learned(folder, recipe, source, splits, progress)
        return _separated(ensemble, source.only(splits.calibrate), recipe, progress, started)

    def _learned(
        self, folder: RunFolder, recipe: Recipe, source: FileSource, splits: Splits, progress: Progress
    ) -> FittedEnsemble:
        parts = build(recipe, self.host)
        pool = load_backbones(recipe, self.host, parts, cache=FeatureCache())
        fitting = Fitting(folder, pool, progress, recipe.seed, recipe.device, recipe.batch_size)
        return fitting.ensemble(parts, source.only(splits.fit), source.only(splits.validate))


def to_be_tried(choice: Choice) -> tuple[list[Candidate], tuple[str, ...]]:
    """The first few that can be compared, the pick first, and a line on each that cannot.

    Those for a tight budget come last. `InputError` for fewer than two.
    """
    there = [choice.pick, *(verdict for verdict in choice.verdicts if verdict.state == "within")]
    tiled = [v.id for v in there if v.candidate.recipe is not None and v.candidate.recipe.tile is not None]
    chosen = [verdict.candidate for verdict in there if verdict.id not in tiled][:MOST]
    if len(chosen) < 2:
        raise InputError(
            f"--try: there are no two scenarios to compare for these images and this budget "
            f"({', '.join(candidate.id for candidate in chosen) or 'none'}); leave --try out"
        )
    remarks = [f"{id} was not tried: in its tiles anomalies are of another size" for id in tiled]
    return chosen, tuple(remarks)


def best(tried: Mapping[str, Tried | str]) -> str:
    """The scenario that separates best; of equals the one that came first."""
    found = {id: one for id, one in tried.items() if isinstance(one, Tried)}
    if not found:
        reasons = "; ".join(f"{id}: {reason}" for id, reason in tried.items())
        raise LeatherensError(f"no scenario could be tried ({reasons})")
    return max(found, key=lambda id: found[id].separation)


def _quick(candidate: Candidate, host: PluginHost) -> Recipe:
    """Members at quick effort; options that the scenario itself names stay."""
    assert candidate.written is not None
    return resolve(candidate.written.model_copy(update={"effort": "quick"}), host)


def _separated(
    ensemble: FittedEnsemble, held_out: ImageSource, recipe: Recipe, progress: Progress, started: float
) -> Tried:
    images: list[float] = []
    maps: list[NDArray[np.float32]] = []
    masks: list[NDArray[np.bool_]] = []
    spoilt = example_images(held_out, seed=derive(recipe.seed, "try"))
    with progress.step("held-out images, good and spoilt", len(held_out.ids) + len(spoilt.ids)) as advance:
        for batch, where in good_and_spoilt(held_out, spoilt, recipe.batch_size):
            scores = ensemble.score(batch.to(recipe.device))[ENSEMBLE].to("cpu")
            images += scores.image.tolist()
            maps += list(scores.pixels.numpy())
            masks += list(where)
            advance(len(batch))
    labels = [bool(mask.any()) for mask in masks]
    return Tried(
        image_auroc=image_auroc(images, labels),
        au_pro=pixel_metrics(maps, masks).au_pro,
        good=labels.count(False),
        spoilt=labels.count(True),
        seconds=time.monotonic() - started,
    )
