"""One cell: what a run that learned from one data set is worth on the test images of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from leatherens.core.host import PluginHost
from leatherens.core.metrics import false_alarm_rate
from leatherens.core.progress import Progress
from leatherens.ensembles.checkpoints import alone_at
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.evaluation import threshold_free
from leatherens.ensembles.experiments.cuts import Cuts, Seen
from leatherens.ensembles.experiments.data_sets import DataSet
from leatherens.ensembles.experiments.plan import Cell
from leatherens.ensembles.experiments.rules import Rules
from leatherens.ensembles.opening import OpenedRun
from leatherens.ensembles.parts import build_rules
from leatherens.ensembles.scoring import score_images
from leatherens.ensembles.sources import require_no_problems

OWN, THEIRS = "own", "tested"
"""Whose held-out and labelled images thresholds come from: the run's own data set, or the one tested on."""


class Measuring:
    """Measures one opened run; what it has seen once is kept as long as this object."""

    def __init__(self, run: OpenedRun, host: PluginHost, progress: Progress) -> None:
        self.run, self.host, self.progress = run, host, progress
        self._seen: dict[tuple[str, str], Seen] = {}

    def of(self, cell: Cell) -> dict[str, Any]:
        """What its kind of experiment shows of a cell."""
        if cell.entrant.setup is None:
            return self.cell(cell.trained, cell.tested)
        return self.at(cell.step).setup(cell.trained, cell.tested)

    def at(self, step: int | None) -> Measuring:
        """The same run of one member, as this was after so many steps of its training."""
        if step is None:
            return self
        (id,) = self.run.ensemble.members
        then = alone_at(self.run.ensemble, id, step, self.run.folder)
        return Measuring(replace(self.run, ensemble=then), self.host, self.progress)

    def setup(self, trained: DataSet, tested: DataSet) -> dict[str, Any]:
        """Metrics at the three rules of the line-clearance thesis."""
        good, labelled = self._look(trained, "calibrate"), self._look(trained, "threshold_labelled")
        test = self._look(tested, "test")
        return {**Rules.learned(self.host, good, labelled).worth(test), "images": _counts(test)}

    def cell(self, trained: DataSet, tested: DataSet) -> dict[str, Any]:
        """Metrics without a threshold, and by whose images thresholds come from, those with one."""
        test = self._look(tested, "test")
        found: dict[str, Any] = {"metrics": threshold_free(test.samples, test.scores, test.masks)}
        for whose, data_set in ((OWN, trained), (THEIRS, tested)):
            good, labelled = self._look(data_set, "calibrate"), self._look(data_set, "threshold_labelled")
            cuts = Cuts.learned(self.host, good, labelled)
            found[whose] = {"cuts": cuts.content(), **cuts.worth(test), **self._promise(good, test)}
        found["images"] = _counts(test)
        return found

    def _promise(self, good: Seen, test: Seen) -> Mapping[str, float]:
        """The run's own rule, learned from these good images: false alarms, and the rate it promises."""
        rule, _ = build_rules(self.run.recipe, self.host)[0]
        if rule.needs_labels:
            return {"false_alarms": np.nan, "promise": np.nan}
        rule.fit(good.scores.normals(), sides=("image",))
        found = false_alarm_rate(test.images, test.labels, rule.image_)
        return {"false_alarms": found, "promise": np.nan if rule.promise_ is None else rule.promise_}

    def _look(self, data_set: DataSet, job: str) -> Seen:
        if (data_set.name, job) not in self._seen:
            source = self.run.source(data_set.samples(job))
            require_no_problems(source.problems(), len(source.ids))
            title = f"scoring {data_set.name}, {job.replace('_', ' ')}"
            with self.progress.step(title, len(source.ids)) as advance:
                scores = score_images(self.run.ensemble, source, self.run.recipe.batch_size, advance)
            self._seen[data_set.name, job] = Seen(source.samples, scores.by_scorer[ENSEMBLE], source.masks())
        return self._seen[data_set.name, job]


def _counts(test: Seen) -> dict[str, int]:
    """How many images, of those with a label."""
    return {"good": sum(not label for label in test.labels), "defective": sum(test.labels)}
