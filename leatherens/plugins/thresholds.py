"""Four rules for where good ends, all from held-out good images."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from leatherens.core.calibration import allowed_exceedances, promised_rate
from leatherens.core.params import Params
from leatherens.core.thresholds import Floats, Normals, Threshold


class ConformalThreshold(Threshold):
    """The smallest threshold that keeps a false-alarm rate on fresh good images.

    Image: the k-th largest held-out score, k = floor(rate (n + 1)), at least 1. Pixel: the same for
    the images' highest pixels, so that a good image shows any marked pixel as rarely.
    """

    id: ClassVar[str] = "conformal"
    makes_promise: ClassVar[bool] = True

    class Params(Params):
        """false_alarms: the asked share of fresh good images called defective."""

        false_alarms: Annotated[float, Field(gt=0, lt=1)] = 0.01

    def _value(self, scores: Floats) -> float:
        allowed = allowed_exceedances(self.params.false_alarms, len(scores))
        return float(np.sort(scores)[-allowed])

    def _pixel_value(self, normals: Normals) -> float:
        return self._value(normals.maxima)

    def _promise(self, count: int) -> float:
        return promised_rate(self.params.false_alarms, count)


class MaximumThreshold(Threshold):
    """The highest held-out good score: no false alarm on them; one outlier costs recall."""

    id: ClassVar[str] = "maximum"

    def _value(self, scores: Floats) -> float:
        return float(scores.max())


class QuantileThreshold(Threshold):
    """The p-quantile of held-out good scores, linear between them (T1 of Soares et al., 2023: p = 0.99)."""

    id: ClassVar[str] = "p-quantile"

    class Params(Params):
        """p: the share of good scores at or below."""

        p: Annotated[float, Field(gt=0, le=1)] = 0.99

    def _value(self, scores: Floats) -> float:
        return float(np.quantile(scores, self.params.p))


class SigmaThreshold(Threshold):
    """Mean plus k standard deviations (of the sample itself, ddof 0) of held-out good scores."""

    id: ClassVar[str] = "k-sigma"

    class Params(Params):
        """k: how many standard deviations."""

        k: Annotated[float, Field(gt=0)] = 3.0

    def _value(self, scores: Floats) -> float:
        return float(scores.mean(dtype=np.float64) + self.params.k * scores.std(dtype=np.float64))
