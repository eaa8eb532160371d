"""A whole ablation: fit or take over the members, look once, fuse every variant, compare, write."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leatherens.core.artifact import read_json, write_json
from leatherens.core.backbones import BackbonePool
from leatherens.core.errors import ArtifactError, ConfigError, LeatherensError
from leatherens.core.params import parse_params
from leatherens.core.types import ImageBatch, Observation, batches
from leatherens.ensembles.ablation.adopting import Adopted, adopt, members_of, require_same_origin
from leatherens.ensembles.ablation.artificial import separations
from leatherens.ensembles.ablation.conclusions import conclude
from leatherens.ensembles.ablation.costs import Costs, measure_costs
from leatherens.ensembles.ablation.folder import AblationFolder
from leatherens.ensembles.ablation.measuring import Yardstick
from leatherens.ensembles.ablation.plan import Variant, plan
from leatherens.ensembles.ablation.recording import Recordings
from leatherens.ensembles.ablation.results import Finished, Row, failed, made
from leatherens.ensembles.ablation.settings import AblationSettings
from leatherens.ensembles.ablation.trials import Trials
from leatherens.ensembles.ablation.writing import in_short, write_outcome
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.fitting import Fitting
from leatherens.ensembles.parts import build
from leatherens.ensembles.running import Run
from leatherens.ensembles.sources import FileSource

Jobs = Mapping[str, FileSource]
"""The images of each job of the splits."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows, in the order of the plan, and the conclusions as plain values."""

    rows: Sequence[Row]
    conclusions: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ablation:
    """One ablation being made; run: where its members are fitted, with the recipe that is varied."""

    folder: AblationFolder
    run: Run
    settings: AblationSettings

    def make(self) -> Outcome:
        """Do what is not done yet, and compare."""
        with self._settled(), self.run.folder.locked():
            if self.run.recipe.tile is not None:
                raise ConfigError("tile: an ablation looks at photographs as a whole; leave it out")
            variants = plan(self.run.recipe, self.settings, self.run.host)
            adopted = self._adopted()
            source, pool, splits = self.run.prepare()
            assert isinstance(source, FileSource)
            jobs = {job: source.only(ids) for job, ids in splits.jobs().items()}
            ensemble = self._members(pool, adopted, jobs)
            costs = self._costs(ensemble, jobs["test"])
            recordings = self._recordings(ensemble, jobs)
            separated = separations(
                recordings, sorted(ensemble.members), jobs["validate"], self.run.recipe, self.run.progress
            )
            trials = Trials(self.run.host, pool, recordings, costs, jobs, self.folder.scratch)
            rows = self._rows(variants, trials, jobs["test"])
            outcome = Outcome(rows, conclude(rows, separated))
            write_outcome(self.folder, self.run, self.settings, outcome.rows, outcome.conclusions, splits)
        self.folder.tidy()
        return outcome

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """The settings lie beside the run from the moment it begins; a refused one leaves nothing behind."""
        self.folder.write_settings(self.settings)
        try:
            yield
        finally:
            self.folder.leave_nothing()

    def _adopted(self) -> dict[str, Adopted]:
        """The members still to be taken over, after checking where they come from."""
        folder, recipe = self.run.folder, self.run.recipe
        wanted = [id for id in recipe.members if not folder.holds(folder.member(id))]
        if not self.settings.adopted or not wanted:
            return {}
        offered = members_of([Path(path) for path in self.settings.adopted])
        found = {id: offered[id] for id in wanted if id in offered}
        require_same_origin(found, recipe, self.run.data.read(self.run.host))
        return found

    def _members(self, pool: BackbonePool, adopted: Mapping[str, Adopted], jobs: Jobs) -> FittedEnsemble:
        recipe = self.run.recipe
        parts = build(recipe, self.run.host)
        adopt(self.run.folder, adopted, parts.members, pool, self.run.progress)
        fitting = Fitting(
            self.run.folder, pool, self.run.progress, recipe.seed, recipe.device, recipe.batch_size
        )
        members = fitting.members(parts, jobs["fit"], jobs["validate"])
        return FittedEnsemble(pool, members, parts.cuts, parts.score_fusion)

    def _costs(self, ensemble: FittedEnsemble, test: FileSource) -> Costs:
        path = self.folder.costs
        if path.exists():
            return parse_params(Costs, read_json(path), owner=str(path))
        costs = measure_costs(ensemble, test, self.run.recipe.batch_size, self.run.progress)
        write_json(path, costs.model_dump(mode="json"))
        return costs

    def _recordings(self, ensemble: FittedEnsemble, jobs: Jobs) -> Recordings:
        """What the members see in every image, and of their maps those that fusion takes."""

        def observe(batch: ImageBatch) -> dict[str, Observation]:
            seen = ensemble.observe(batch)
            taken = ensemble.features(seen)
            return {id: Observation(taken[id], seen[id].scores) for id in seen}

        recordings = Recordings(self.folder.observations, observe)
        total = sum(len(images.ids) for images in jobs.values())
        with self.run.progress.step("looking at every image", total) as advance:
            for images in jobs.values():
                for batch in batches(images, self.run.recipe.batch_size):
                    recordings.ensure(batch.to(ensemble.device))
                    advance(len(batch))
        return recordings

    def _rows(self, variants: Sequence[Variant], trials: Trials, test: FileSource) -> list[Row]:
        finished = Finished(self.folder.variants)
        rows = finished.rows(variants)
        yardstick = Yardstick.of(test, self.settings.resamplings, self.run.recipe.seed)
        with self.run.progress.step("variants", len(variants)) as advance:
            advance(len(rows))
            for variant in variants:
                if variant.key not in rows:
                    rows[variant.key] = self._row(variant, trials, yardstick)
                    finished.add(rows[variant.key])
                    advance(1)
        return [rows[variant.key] for variant in variants]

    def _row(self, variant: Variant, trials: Trials, yardstick: Yardstick) -> Row:
        """One variant; a mistake of the user's in its options spoils its own row only."""
        started = time.monotonic()
        try:
            trial = trials.of(variant)
            row = made(variant, yardstick.measure(trial, self.run.recipe, self.run.host))
        except ArtifactError:  # the disk, not the variant
            raise
        except LeatherensError as error:
            row = failed(variant, str(error))
        self.run.progress.say(f"{in_short(row)} ({time.monotonic() - started:.1f} s)")
        return row
