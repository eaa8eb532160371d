"""A whole experiment: every run fitted or found, measured where it is to be, and the tables kept current."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from leatherens.configs.recipe import Recipe
from leatherens.core.errors import ArtifactError, LeatherensError, PluginError, WeightsError
from leatherens.core.host import PluginHost
from leatherens.core.params import parse_params
from leatherens.core.progress import Progress
from leatherens.ensembles.ablation.adopting import adopt, members_of, other_weights
from leatherens.ensembles.experiments.costs import Cost, measure_cost
from leatherens.ensembles.experiments.data_sets import DataSet
from leatherens.ensembles.experiments.entrants import Entrant
from leatherens.ensembles.experiments.folder import ExperimentFolder
from leatherens.ensembles.experiments.measuring import Measuring
from leatherens.ensembles.experiments.plan import Cell, Kind, plan
from leatherens.ensembles.experiments.results import Result, mark_of, read_marked, write_marked
from leatherens.ensembles.experiments.writing import write_tables
from leatherens.ensembles.failures import failure_of
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.opening import open_run
from leatherens.ensembles.parts import build
from leatherens.ensembles.running import Run
from leatherens.ensembles.stored import stored_recipe


@dataclass(frozen=True, slots=True)
class Experiment:
    """One kind of experiment being made; plugins: what made `host`, for processes of their own.

    timed: also measure what runs cost, which wants a machine that does nothing else.
    remark: what stands above the tables.
    """

    folder: ExperimentFolder
    kind: Kind
    data_sets: Sequence[DataSet]
    entrants: Sequence[Entrant]
    host: PluginHost
    plugins: Mapping[str, Any]
    progress: Progress
    timed: bool = True
    remark: str = ""

    def make(self) -> list[Result]:
        """Do what is not done yet; the tables are written after every run."""
        cells = plan(self.kind, self.data_sets, self.entrants)
        for data_set in self.data_sets:
            _ = data_set.splits  # what cannot be dealt out is told before anything is learned
        results: list[Result] = []
        by_run = groupby(cells, key=lambda cell: (cell.trained.name, cell.entrant.name))
        groups = [list(group) for _, group in by_run]
        with self.progress.step(f"experiment {self.kind.value}: runs", len(groups)) as advance:
            for group in groups:
                results += self._of_run(group)
                write_tables(self.folder, self.kind, results, self.remark)
                advance(1)
        results = list(self._with_costs(results))
        write_tables(self.folder, self.kind, results, self.remark)
        return results

    def _of_run(self, cells: Sequence[Cell]) -> list[Result]:
        """All cells of one run; what goes wrong with it spoils them only."""
        trained, entrant = cells[0].trained, cells[0].entrant
        try:
            run = self._made(trained, entrant)
            return list(self._measured(run, cells))
        except Exception as error:
            if _stops_all(error):
                raise
            folder = self.folder.run(trained.name, entrant.name)
            reason = failure_of(entrant.name, error, folder.path).reason
            self.progress.say(f"{entrant.name} on {trained.name} was not made: {reason}")
            return [Result(cell, {}, problem=reason) for cell in cells]

    def _made(self, data_set: DataSet, entrant: Entrant) -> RunFolder:
        """The finished run of an entrant."""
        folder = self.folder.run(data_set.name, entrant.name)
        if folder.begun:
            self._require_same(folder, entrant.recipe, data_set)
        if folder.done:
            return folder
        self.progress.say(f"{entrant.name}, learning from {data_set.name}")
        run = Run(
            folder,
            entrant.recipe,
            data_set.data,
            self.host,
            self.progress,
            self.folder.resume_command,
            data_set.splits,
        )
        if not entrant.alone:
            self._take_over(run, data_set, entrant)
        run.make()
        return folder

    def _require_same(self, folder: RunFolder, recipe: Recipe, data_set: DataSet) -> None:
        """Refuse a run that was made with other options, or from other images."""
        facts, stored = folder.facts(), stored_recipe(folder, self.host, recipe.places)
        if stored != recipe:
            raise ArtifactError(
                f"{folder.path}: made with other options than are given now; give the same, or another --out"
            )
        if facts.data != data_set.data:
            raise ArtifactError(f"{folder.path}: made from {facts.data.root}; choose another --out")

    def _take_over(self, run: Run, data_set: DataSet, entrant: Entrant) -> None:
        """Copy members that have learned alone already, in the same way, into the run of an ensemble."""
        mine = run.recipe.members
        alone = [self.folder.run(data_set.name, entrant.single(id)) for id in mine]
        offered = members_of([folder.path for folder in alone if folder.done])
        same = {
            id: one
            for id, one in offered.items()
            if one.choice.options == mine[id].options and _teach_alike(one.recipe, run.recipe)
        }
        if not same:
            return
        run.begin()
        with run.folder.locked():
            _, pool, _ = run.prepare()
            members = build(run.recipe, self.host).members
            same = {id: one for id, one in same.items() if not other_weights(one, members[id], pool)}
            adopt(run.folder, same, members, pool, self.progress)

    def _measured(self, run: RunFolder, cells: Sequence[Cell]) -> Iterator[Result]:
        """Each cell, read where it was measured before."""
        measuring: Measuring | None = None
        for cell in _with_checkpoints(run, cells):
            path = self.folder.cell(cell.trained.name, cell.tested.name, cell.name)
            mark = mark_of(run, cell.tested)
            content = read_marked(path, mark)
            if content is None:
                if measuring is None:
                    opened = open_run(run.path, self.host, weights=cell.entrant.recipe.weights)
                    measuring = Measuring(opened, self.host, self.progress)
                write_marked(path, mark, measuring.of(cell))
                content = read_marked(path, mark) or {}
            yield Result(cell, content)

    def _with_costs(self, results: Sequence[Result]) -> Iterator[Result]:
        """The results with what each run costs, one run after the other so that none disturbs another."""
        if not self.timed:
            yield from results
            return
        with self.progress.step("timing", len(results)) as advance:
            for result in results:
                cost = None if result.problem else self._cost(result.cell)
                yield Result(result.cell, result.content, cost, result.problem)
                advance(1)

    def _cost(self, cell: Cell) -> Cost:
        """What a run costs on the set it is tested on, measured once."""
        run = self.folder.run(cell.trained.name, cell.entrant.name)
        path = self.folder.cost(cell.trained.name, cell.tested.name, cell.entrant.name)
        mark = mark_of(run, cell.tested)
        content = read_marked(path, mark)
        if content is None:
            images = [sample.path for sample in cell.tested.samples("test")]
            cost = measure_cost(run.path, images, self.plugins, cell.entrant.recipe.weights)
            write_marked(path, mark, content := cost.model_dump(mode="json"))
        return parse_params(Cost, content, owner=str(path))


def _with_checkpoints(run: RunFolder, cells: Sequence[Cell]) -> Iterator[Cell]:
    """The cells, one of a set-up after those of the checkpoints that its run kept, if it is of one member."""
    for cell in cells:
        if cell.entrant.setup is not None and cell.entrant.alone:
            (id,) = cell.entrant.recipe.members
            yield from (replace(cell, step=step) for step in run.checkpoint_steps(id))
        yield cell


def _teach_alike(one: Recipe, other: Recipe) -> bool:
    """Whether a member learns the same in both."""
    keys = ("size", "tile", "overlap", "preparation", "effort", "shares", "labelled", "keep_every", "seed")
    return all(getattr(one, key) == getattr(other, key) for key in keys)


def _stops_all(error: Exception) -> bool:
    """Whether an error is none of one entrant: missing weights, a broken plugin, a full disk."""
    if not isinstance(error, LeatherensError):
        return False
    return isinstance(error, ArtifactError | WeightsError | PluginError)
