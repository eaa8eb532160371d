"""How surely the ensemble tells defective images from good ones: its AUROC with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leatherens.core.bootstrap import auroc_of, interval, stratified_draws
from leatherens.core.metrics import image_auroc
from leatherens.core.reporting import ScoredImage

RESAMPLINGS = 1000
MOST_PAIRS = 4_000_000  # of a defective with a good image: 32 MB and a second or two; beyond, no interval


@dataclass(frozen=True, slots=True)
class Ranking:
    """The image AUROC, the pairs it rests on, and its 95 % interval; `None` where resampling tells none."""

    auroc: float
    pairs: int
    interval: tuple[float, float] | None


def ranking(images: Sequence[ScoredImage]) -> Ranking | None:
    """Of the labelled images; `None` without both classes.

    Images that are told apart without a mistake are so in every resampling: then there is no interval.
    """
    labelled = [image for image in images if image.defective is not None]
    defective = np.array([image.defective for image in labelled], dtype=np.bool_)
    pairs = int(defective.sum()) * int((~defective).sum())
    if not pairs:
        return None
    scores = np.array([image.scores["ensemble"] for image in labelled], dtype=np.float64)
    auroc = float(image_auroc(scores, defective))
    if auroc in (0.0, 1.0) or pairs > MOST_PAIRS:
        return Ranking(auroc, pairs, None)
    draws = stratified_draws(defective.tolist(), RESAMPLINGS, np.random.default_rng(0))
    return Ranking(auroc, pairs, interval(auroc_of(draws, scores, defective)))
