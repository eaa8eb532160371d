"""What thresholds and calibrators learn from: scores of held-out good images, of labelled ones if need be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from leatherens.configs.recipe import Recipe
from leatherens.core.colours import Colours
from leatherens.core.photographs import Mask
from leatherens.core.preparation import Preparation
from leatherens.core.progress import Progress
from leatherens.core.thresholds import ANY, Group, Labelled, Normals
from leatherens.ensembles.colouring import coloured
from leatherens.ensembles.conditions import conditions_of
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.scoring import Scores, score_images
from leatherens.ensembles.tiled_photographs import Source


@dataclass(frozen=True, slots=True)
class LabelledScores:
    """Scores of labelled images, (n,) labels, True is defective, and masks at the maps' size."""

    scores: Scores
    labels: NDArray[np.bool_]
    masks: Sequence[Mask | None]

    def of(self, scorer: str) -> Labelled:
        """One scorer's."""
        found, every = self.scores.by_scorer[scorer], range(len(self.labels))
        maps, valid = [found.map(i) for i in every], [found.valid(i) for i in every]
        return Labelled(found.images, self.labels, maps, self.masks, valid)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Scores of held-out good images, what these are like, and scores of labelled images.

    conditions: how all of them were prepared.
    """

    good: Scores
    groups: Sequence[Group] | None = None
    labelled: LabelledScores | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)

    def normals(self, scorer: str) -> Normals:
        """One scorer's scores of the good images."""
        normals = self.good.by_scorer[scorer].normals()
        return replace(normals, groups=self.groups, crossed=self.good.crossed)

    def lessons(self, scorer: str) -> Labelled | None:
        """One scorer's scores of the labelled images."""
        return None if self.labelled is None else self.labelled.of(scorer)


@dataclass(frozen=True, slots=True)
class Gathering:
    """Where evidence is scored. steps: the preparation as fitted. colours: those learned, if known."""

    ensemble: FittedEnsemble
    recipe: Recipe
    steps: Sequence[Preparation]
    colours: Colours | None
    progress: Progress

    def evidence(
        self, good: Source, labelled: Source | None = None, *, scores: Scores | None = None
    ) -> Evidence:
        """Scores of held-out good images and of labelled ones, each with a label.

        scores: of the good ones, in their order, where others than this ensemble scored them (`crossing`).
        """
        if scores is None:
            scores = self.scored(good, "calibrating on held-out good images")
        return Evidence(
            scores,
            groups_of(good, self.colours),
            None if labelled is None else self.labelled(labelled),
            conditions_of(self.recipe, self.steps),
        )

    def labelled(self, source: Source) -> LabelledScores:
        """Scores and truth of labelled images."""
        labels = np.array([bool(sample.defective) for sample in source.samples])
        return LabelledScores(self.scored(source, "scoring labelled images"), labels, source.masks())

    def scored(self, source: Source, title: str) -> Scores:
        """Every scorer's scores of a source."""
        with self.progress.step(title, len(source.ids)) as advance:
            return score_images(self.ensemble, source, self.recipe.batch_size, advance)


def groups_of(source: Source, colours: Colours | None) -> list[Group]:
    """What each image is like, for rules that judge unlike images apart."""
    names = coloured(colours, source).names
    return [Group(sample.view, colour) for sample, colour in zip(source.samples, names, strict=True)]


def groups_for(source: Source, colours: Colours | None, *, told: bool) -> list[Group]:
    """The same where a rule asks for it; else nothing is looked at."""
    return groups_of(source, colours) if told else [ANY] * len(source.ids)
