"""The conformal calibrator: a score that says how many held-out good images look as bad."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from leatherens.core.calibration import Calibrator, conformal_scores
from leatherens.core.types import CalibratedScores


class Conformal(Calibrator):
    """Split-conformal image scores (Vovk et al., 2005)."""

    id: ClassVar[str] = "conformal"

    def _fit(self, normals: Tensor) -> None:
        self.normals_ = normals.sort().values

    def _calibrate(self, scores: Tensor) -> CalibratedScores:
        return CalibratedScores(conformal_scores(scores.cpu(), self.normals_), len(self.normals_))
