"""An evaluated run as reporters see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from leatherens.configs.recipe import Recipe
from leatherens.core.details import Details
from leatherens.core.fusion import FusionBlock
from leatherens.core.preparation import FloatMap
from leatherens.core.reporting import RunView, ScoredImage
from leatherens.core.thresholds import Group
from leatherens.ensembles.colouring import Colouring
from leatherens.ensembles.deciding import Decider, decision_remarks
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.facts import Facts
from leatherens.ensembles.preparing import prepared_images
from leatherens.ensembles.reproducing import reproduction_of
from leatherens.ensembles.scoring import Scores, WholeScores
from leatherens.ensembles.sources import Shown


def view_of(
    recipe: Recipe,
    facts: Facts,
    source: Shown,
    scores: Scores,
    deciders: Mapping[str, Decider],
    metrics: Mapping[str, Any],
    colouring: Colouring,
    groups: Sequence[Group],
    block: FusionBlock | None = None,
    details: Details | None = None,
    run: Path | None = None,
) -> RunView:
    """What was scored, against which thresholds, with what result; run: the folder that learned."""
    told = decision_remarks(recipe, deciders[ENSEMBLE].decision)
    return RunView(
        name=facts.name,
        data=facts.data_sentence,
        recipe=recipe.model_dump(mode="json"),
        metrics=metrics,
        decisions={scorer: decider.decision for scorer, decider in deciders.items()},
        images=tuple(
            _image(index, source, scores, deciders[ENSEMBLE], colouring.names[index], groups[index])
            for index in range(len(source.ids))
        ),
        remarks=(*told, *facts.remarks),
        command=facts.command,
        versions=facts.versions,
        explained=() if block is None else block.explained(),
        prepared=partial(prepared_images, source),
        colours=colouring.sentence,
        details=details or Details(),
        reproduction=reproduction_of(facts, recipe, run),
    )


def _image(
    index: int, source: Shown, scores: Scores, decider: Decider, colour: str, group: Group
) -> ScoredImage:
    sample = source.samples[index]
    ensemble = scores.by_scorer[ENSEMBLE]
    return ScoredImage(
        id=sample.id,
        defect=sample.defect,
        defective=sample.defective,
        scores={scorer: float(found.images[index]) for scorer, found in scores.by_scorer.items()},
        flagged=bool(decider.flags(ensemble.images[index : index + 1], [group])[0]),
        photograph=partial(source.photograph, index),
        threshold=decider.rules.images.image_for(group),
        pixel_threshold=decider.rules.pixels.pixel_for(group),
        score_map=partial(ensemble.map, index),
        truth=partial(source.mask, index),
        valid=partial(ensemble.valid, index),
        reconstructions={
            scorer: partial(found.picture, index)
            for scorer, found in scores.by_scorer.items()
            if isinstance(found, WholeScores) and found.pictures
        },
        member_maps=_member_maps(scores, index),
        colour=colour,
        view=sample.view,
        path=sample.path,
    )


def _member_maps(scores: Scores, index: int) -> dict[str, Callable[[], FloatMap]]:
    """Of several members; one alone is the ensemble."""
    members = {scorer: found for scorer, found in scores.by_scorer.items() if scorer != ENSEMBLE}
    if len(members) < 2:
        return {}
    return {scorer: partial(found.map, index) for scorer, found in members.items()}
