"""The pixel thresholds that panels show outlines of: T1, T2, T3 of Soares et al. (2023), the run's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from leatherens.core.errors import LeatherensError
from leatherens.core.host import PluginHost
from leatherens.core.judged_run import SCORER
from leatherens.core.listing import counted
from leatherens.core.progress import Progress
from leatherens.core.reporting import RunView
from leatherens.core.thresholds import Labelled, Normals
from leatherens.ensembles.choosing_rule import good_images, out_of_fold
from leatherens.ensembles.colouring import load_colours
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.evidence import Gathering
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.known import known_images
from leatherens.ensembles.opening import open_run

P_QUANTILE, F1 = "p-quantile", "f1"
"""The rules that T1, and T2 and T3, are learned by."""

NO_LABELS = "the run kept no labelled images apart (leatherens run --labelled-share 0.15)"


@dataclass(frozen=True, slots=True)
class Limit:
    """A pixel threshold. value: NaN where it could not be learned, and then `missing` says why."""

    name: str
    about: str
    value: float = math.nan
    missing: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a threshold."""
        return not math.isnan(self.value)


T1 = Limit("T1", "the 99 % quantile of the pixels of held-out good images")
T2 = Limit("T2", "the highest F1 of the pixels of the labelled images")
T3 = Limit("T3", "the highest F1 of the labelled images, each scored by the highest pixel of its map")


def own_limit(view: RunView) -> Limit:
    """The threshold that the run marks pixels by."""
    decision = view.decisions[SCORER]
    rule = decision.pixel_rule or decision.rule
    if not math.isfinite(decision.pixel):
        return Limit("own", f"the run's own, by the rule '{rule}'", missing="it marks no pixel at all")
    return Limit("own", f"the run's own, by the rule '{rule}'", decision.pixel)


def learned_limits(
    run: Path, host: PluginHost, progress: Progress, *, device: str = "auto", weights: Sequence[str] = ()
) -> tuple[Limit, ...]:
    """T1, T2 and T3 of a run, from the images it held out; what cannot be learned any more says why."""
    try:
        good, labelled = _evidence(run, host, progress, device, tuple(weights))
    except LeatherensError as error:
        return tuple(replace(limit, missing=str(error)) for limit in (T1, T2, T3))
    first = host.thresholds().load(P_QUANTILE).from_options({}).fit(good, sides=("pixel",))
    found = [replace(T1, value=first.pixel_, about=f"{T1.about} ({counted(good.count, 'image')})")]
    if labelled is None:
        return (*found, replace(T2, missing=NO_LABELS), replace(T3, missing=NO_LABELS))
    learned = f"({counted(labelled.count, 'image')} that no number of the run is measured on)"
    for limit, side in ((T2, "pixel"), (T3, "image")):
        try:
            value = _by_labels(host, good, labelled, side)
        except LeatherensError as error:
            found.append(replace(limit, missing=str(error)))
        else:
            found.append(replace(limit, value=value, about=f"{limit.about} {learned}"))
    return tuple(found)


def _by_labels(host: PluginHost, good: Normals, labelled: Labelled, side: str) -> float:
    rule = host.thresholds().load(F1).from_options({})
    if side == "pixel":
        return rule.fit(good, labelled, sides=("pixel",)).pixel_
    inside = zip(labelled.maps, labelled.where, strict=True)
    highest = [(scores if valid is None else scores[valid]).max() for scores, valid in inside]
    return rule.fit(good, replace(labelled, image=np.array(highest)), sides=("image",)).image_


def _evidence(
    run: Path, host: PluginHost, progress: Progress, device: str, weights: tuple[str, ...]
) -> tuple[Normals, Labelled | None]:
    """What the ensemble says of held-out good images, and of those that were kept to learn from labels."""
    opened = open_run(run, host, device=device, weights=weights)
    known = known_images(RunFolder(run), opened.lineage, host)
    good = opened.source(good_images(opened, known, progress))
    marked = opened.source(known.labelled) if known.labelled else None
    colours = load_colours(opened.folder)
    gathering = Gathering(opened.ensemble, opened.recipe, opened.preparation, colours, progress)
    evidence = gathering.evidence(good, marked, scores=out_of_fold(opened, known, good))
    return evidence.normals(ENSEMBLE), evidence.lessons(ENSEMBLE)
