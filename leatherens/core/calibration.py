"""The promise: what share of fresh good images will be called defective.

Conformal prediction (Vovk et al., 2005): if a fresh good image is exchangeable with n held-out good
ones, it scores above the k-th largest of them with probability k / (n + 1), whatever the detector.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import final

import torch
from torch import Tensor
from typing_extensions import Self

from leatherens.core.component import Component
from leatherens.core.errors import InputError
from leatherens.core.types import CalibratedScores


def conformal_scores(scores: Tensor, normals: Tensor) -> Tensor:
    """(B,) raw scores to 1 - (1 + held-out good images scoring as high) / (n + 1).

    >>> conformal_scores(torch.tensor([0.5, 9.0]), torch.tensor([1.0, 2.0, 3.0])).tolist()
    [0.0, 0.75]
    """
    ordered = normals.sort().values
    lower = torch.searchsorted(ordered, scores.to(ordered).contiguous())  # number of normals < score
    as_high = len(ordered) - lower
    return 1 - (1 + as_high).float() / (len(ordered) + 1)


def allowed_exceedances(rate: float, normals: int) -> int:
    """k, at least 1: the k-th largest of n held-out good scores is the lowest threshold that keeps `rate`.

    >>> allowed_exceedances(0.01, 500), allowed_exceedances(0.01, 30)
    (5, 1)
    """
    _check_rate(rate)
    return max(1, min(normals, math.floor(rate * (normals + 1) + 1e-9)))


def promised_rate(rate: float, normals: int) -> float:
    """The false-alarm rate that n held-out good images can promise, nearest to the one asked.

    >>> round(promised_rate(0.01, 500), 4), round(promised_rate(0.01, 30), 4)
    (0.01, 0.0323)
    """
    return allowed_exceedances(rate, normals) / (normals + 1)


def normals_needed(rate: float) -> int:
    """How many held-out good images a rate needs.

    >>> normals_needed(0.01)
    99
    """
    _check_rate(rate)
    return math.ceil(1 / rate - 1 - 1e-9)


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise InputError(f"a false-alarm rate must lie between 0 and 1, got {rate:g}; 0.01 asks for 1 in 100")


class Calibrator(Component):
    """Plugin kind `calibrators`: raw image scores to scores with a promise."""

    @final
    def fit(self, normals: Tensor) -> Self:
        """Learn from the (n,) image scores of held-out good images."""
        self._check(normals, "held-out good images")
        if not len(normals):
            raise InputError(f"{self.id}: needs the score of at least one held-out good image, got none")
        self.forget()
        self._fit(normals.float().cpu())
        return self

    @final
    def calibrate(self, scores: Tensor) -> CalibratedScores:
        """(B,) raw image scores to calibrated ones."""
        self.require_fitted("calibrate")
        self._check(scores, "images")
        calibrated = self._calibrate(scores)
        found, expected = tuple(calibrated.image.shape), tuple(scores.shape)
        if found != expected or not bool(calibrated.image.isfinite().all()):
            what = f"shape {found}, expected {expected}" if found != expected else "NaN or infinite values"
            raise InputError(f"{self.id}: delivered calibrated scores of {what}")
        return calibrated

    def _check(self, scores: Tensor, of: str) -> None:
        if scores.ndim != 1:
            raise InputError(f"{self.id}: expected scores (n,) of {of}, got {tuple(scores.shape)}")
        if not bool(scores.isfinite().all()):
            raise InputError(f"{self.id}: the scores of {of} hold NaN or infinite values")

    @abstractmethod
    def _fit(self, normals: Tensor) -> None: ...

    @abstractmethod
    def _calibrate(self, scores: Tensor) -> CalibratedScores: ...
