"""Fusing one variant from what was recorded, with the same fitting and scoring as a run.

A variant is an ensemble of recorded voters: the members, and in feature and hybrid mode one more voter, the
vote of block and head, which is itself recorded so that modes and fusions share it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from leatherens.configs.recipe import Mode, Recipe
from leatherens.core.backbones import BackbonePool
from leatherens.core.host import PluginHost
from leatherens.core.progress import Silent
from leatherens.core.types import FeatureMaps, ImageBatch, Observation, batches
from leatherens.ensembles.ablation.costs import Costs
from leatherens.ensembles.ablation.plan import Variant
from leatherens.ensembles.ablation.recording import Recorded, Recordings
from leatherens.ensembles.ensemble import ENSEMBLE, FUSED_FEATURES, FittedEnsemble, Stopwatch
from leatherens.ensembles.fitting import Fitting
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.parts import Parts, build, resolve
from leatherens.ensembles.scoring import ScorerScores, WholeScores
from leatherens.ensembles.sources import FileSource


@dataclass(frozen=True, slots=True)
class Trial:
    """One variant, scored. milliseconds: per image, everything it uses counted once."""

    calibrate: ScorerScores
    test: ScorerScores
    milliseconds: float


@dataclass(slots=True)
class Vote:
    """What block and head say of a batch, and how long it takes them; the first batch warms up."""

    key: str
    ensemble: FittedEnsemble
    watch: Stopwatch = field(default_factory=Stopwatch)
    timed: int = 0
    warm: bool = False

    def __call__(self, batch: ImageBatch) -> Mapping[str, Observation]:
        """The vote as an observation without features."""
        scores = self.ensemble.score(batch, self.watch if self.warm else Stopwatch())[ENSEMBLE]
        self.timed += len(batch) if self.warm else 0
        self.warm = True
        return {FUSED_FEATURES: Observation(FeatureMaps((), ()), scores)}

    @property
    def milliseconds(self) -> float:
        """Per image."""
        return 1000 * self.watch.seconds.get("fusion", 0.0) / max(1, self.timed)


@dataclass(slots=True)
class Trials:
    """Makes trials of recorded members; the latest vote of block and head is kept for the next variant.

    jobs: the images of each job of the splits. scratch: a folder of its own.
    """

    host: PluginHost
    pool: BackbonePool
    recordings: Recordings
    costs: Costs
    jobs: Mapping[str, FileSource]
    scratch: Path
    _vote: tuple[Vote, Recordings] | None = None

    def of(self, variant: Variant) -> Trial:
        """Fit what the variant fits, and score the images that calibrate and test."""
        recipe = resolve(variant.recipe, self.host)
        spent = self.costs.of(variant.members)
        voters: dict[str, Recorded] = (
            {} if recipe.mode is Mode.feature else self._members(recipe, features=False)
        )
        if variant.fused is not None:
            vote, votes = self._voted(variant.fused, recipe)
            voters[FUSED_FEATURES] = Recorded(FUSED_FEATURES, votes, features=False)
            spent += vote.milliseconds
        parts = replace(
            build(recipe, self.host),
            members=voters,
            cuts=dict.fromkeys(voters, ("*",)),
            block=None,
            head=None,
            votes=True,
        )
        ensemble = self._fitted("scores", recipe, parts)
        calibrate, _ = scored(ensemble, self.jobs["calibrate"], recipe.batch_size)
        test, fusing = scored(ensemble, self.jobs["test"], recipe.batch_size)
        return Trial(calibrate, test, spent + fusing)

    def close(self) -> None:
        """Remove what was kept for the next variant."""
        self._vote = None
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _members(self, recipe: Recipe, *, features: bool) -> dict[str, Recorded]:
        return {id: Recorded(id, self.recordings, features=features) for id in recipe.members}

    def _voted(self, key: str, recipe: Recipe) -> tuple[Vote, Recordings]:
        """Block and head, learned from recorded features, and their recorded votes."""
        if self._vote is None or self._vote[0].key != key:
            self._vote = None
            asked = recipe.model_copy(update={"mode": Mode.feature})
            parts = replace(build(asked, self.host), members=self._members(recipe, features=True))
            vote = Vote(key, self._fitted("fused", asked, parts))
            votes = Recordings(_emptied(self.scratch / "votes"), vote)
            for batch in batches(self.jobs["test"], recipe.batch_size):
                votes.ensure(batch.to(self.pool.device))
            self._vote = vote, votes
        return self._vote

    def _fitted(self, name: str, recipe: Recipe, parts: Parts) -> FittedEnsemble:
        folder = RunFolder(_emptied(self.scratch / name))
        fitting = Fitting(folder, self.pool, Silent(), recipe.seed, recipe.device, recipe.batch_size)
        return fitting.ensemble(parts, self.jobs["fit"], self.jobs["validate"])


def scored(ensemble: FittedEnsemble, source: FileSource, batch_size: int) -> tuple[ScorerScores, float]:
    """The ensemble's scores of a source, and the milliseconds per image that fusing them took."""
    watch, found = Stopwatch(ensemble.device), []
    for batch in batches(source, batch_size):
        found.append(ensemble.score(batch.to(ensemble.device), watch)[ENSEMBLE].to("cpu"))
    spent = 1000 * watch.seconds.get("fusion", 0.0) / len(source.ids)
    return WholeScores.of(found, source.frames), spent


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder
