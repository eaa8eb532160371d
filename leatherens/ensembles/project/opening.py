"""A finished project, opened to judge new parts from all their views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from typing_extensions import Self

from leatherens.configs.project import Project
from leatherens.core.errors import ArtifactError
from leatherens.core.host import PluginHost
from leatherens.core.listing import sample_id
from leatherens.core.reading import Sample
from leatherens.core.thresholds import Threshold
from leatherens.core.views import Severities, parts_of
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.opening import Judgement, OpenedRun, open_run
from leatherens.ensembles.project.folder import ProjectFolder


@dataclass(frozen=True, slots=True)
class JudgedPart:
    """One part judged: by view what was found; a view whose image could not be judged counts as missing."""

    name: str
    judgements: Mapping[str, Judgement]
    severities: Severities

    @property
    def problems(self) -> tuple[str, ...]:
        """Why images could not be judged."""
        return tuple(found.problem for found in self.judgements.values() if found.problem is not None)


@dataclass(frozen=True, slots=True)
class OpenedProject:
    """A finished project with every view's run, as it is now."""

    project: Project
    runs: Mapping[str, OpenedRun]

    def parts(self, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, Sample]]:
        """New images by part and view; refused where an image's view or part cannot be told."""
        return parts_of(self._assigned(sample) for sample in samples)

    def judge(self, parts: Mapping[str, Mapping[str, Sample]]) -> Iterator[JudgedPart]:
        """Judge parts in order, a batch at a time; images that cannot be read are told, not raised."""
        names = list(parts)
        size = max(run.recipe.batch_size for run in self.runs.values())
        for start in range(0, len(names), size):
            yield from self._chunk({name: parts[name] for name in names[start : start + size]})

    def _assigned(self, sample: Sample) -> Sample:
        """A new image with view and part, told as when the project learned."""
        views, path = self.project.told_by, Path(sample.path).resolve()
        for name, view in self.project.views.items():
            if not sample.view and self.project.share(name).own and path.is_relative_to(str(view.data)):
                below = replace(sample, id=sample_id(path, Path(str(view.data))))
                return replace(sample, view=name, part=views.part_of(below, name))
        return views.assigned(sample, views.view_of(sample))

    def _chunk(self, parts: Mapping[str, Mapping[str, Sample]]) -> Iterator[JudgedPart]:
        judged: dict[str, dict[str, Judgement]] = {name: {} for name in parts}
        for view, run in self.runs.items():
            seen = [name for name, images in parts.items() if view in images]
            for name, found in zip(seen, run.judge([parts[name][view] for name in seen]), strict=True):
                judged[name][view] = found
        for name, by_view in judged.items():
            yield JudgedPart(name, by_view, self._severities(by_view))

    def _severities(self, found: Mapping[str, Judgement]) -> Severities:
        by_view = {
            view: float(self._rule(view).severity(np.array([one.score]), one.group)[0])
            for view, one in found.items()
            if one.problem is None
        }
        return Severities(by_view, tuple(view for view in self.runs if view not in by_view))

    def _rule(self, view: str) -> Threshold:
        """Where images of a view begin to be defective."""
        return self.runs[view].deciders[ENSEMBLE].rules.images

    @classmethod
    def at(cls, path: Path, host: PluginHost, *, device: str = "auto", weights: tuple[str, ...] = ()) -> Self:
        """Open a finished project; an `ArtifactError` says what is missing, damaged or too old."""
        folder = ProjectFolder(path)
        folder.require_done()
        project = folder.read()
        runs = {
            view: open_run(folder.run(view).path, host, device=device, weights=weights)
            for view in project.views
        }
        opened = cls(project, runs)
        for view in runs:
            try:
                opened._rule(view).severity(np.zeros(1))
            except ArtifactError as error:
                raise ArtifactError(f"{folder.run(view).path}: {error}") from None
        return opened
