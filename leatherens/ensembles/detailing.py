"""What a report tells beside the metrics, gathered while score maps and fitted parts are at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from leatherens.core.artifact import read_json
from leatherens.core.details import Details, Inspected, PixelCurves, Unusual
from leatherens.core.measurement import Measurement
from leatherens.core.params import parse_params
from leatherens.core.photographs import Mask
from leatherens.core.pixel_curves import pixel_curves
from leatherens.core.progress import Progress
from leatherens.ensembles.costing import costs_of
from leatherens.ensembles.deciding import Decider
from leatherens.ensembles.dropping import drop_one
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.scoring import Scores
from leatherens.ensembles.tiled_photographs import Source


@dataclass(frozen=True, slots=True)
class Detailing:
    """Gathers the details of one evaluation.

    run: where what it learned lies, `None` for what lies nowhere. inspected: its images, where somebody
    looked.
    """

    ensemble: FittedEnsemble
    deciders: Mapping[str, Decider]
    batch_size: int
    progress: Progress
    run: RunFolder | None = None
    inspected: Inspected | None = None

    def of(
        self,
        source: Source,
        scores: Scores,
        masks: Sequence[Mask | None],
        measured: Mapping[str, Measurement],
    ) -> Details:
        """Of scored and measured test images; measured: by scorer."""
        curves = {scorer: self._curves(scorer, found) for scorer, found in measured.items()}
        good = [i for i, sample in enumerate(source.samples) if sample.defective is False]
        return Details(
            curves={scorer: found for scorer, found in curves.items() if found is not None},
            unusual=self._unusual(scores, good) if good else None,
            drop_one=drop_one(self.ensemble, source, scores, masks, self.batch_size, self.progress),
            costs=None if self.run is None else costs_of(self.run, self.ensemble),
            inspected=self.inspected,
        )

    def _curves(self, scorer: str, found: Measurement) -> PixelCurves | None:
        return pixel_curves(found.pool, self.deciders[scorer].rules.pixels.pixel_)

    def _unusual(self, scores: Scores, good: Sequence[int]) -> Unusual:
        rates, normals = {}, 0
        for scorer, found in scores.by_scorer.items():
            images: NDArray[np.float32] = found.images[good]
            calibrated = self.deciders[scorer].calibrator.calibrate(torch.from_numpy(images))
            normals = calibrated.normals
            rates[scorer] = tuple(sorted(round(1 - value, 6) for value in calibrated.image.tolist()))
        return Unusual(normals=normals, rates=rates)


def read_details(path: Path) -> Details:
    """What a run kept in `details.json`; nothing of runs that have none."""
    return parse_params(Details, read_json(path), owner=str(path)) if path.exists() else Details()
