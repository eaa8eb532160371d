"""Where the scores of good images lie and how far apart: no more can be said of a handful of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Spread(NamedTuple):
    """Median and mean absolute deviation from it."""

    median: float
    deviation: float

    def __call__(self, scores: Tensor) -> Tensor:
        """Scores in deviations from the median, float64 of the same shape."""
        return (scores.to(torch.float64) - self.median) / self.deviation


def fit_spread(scores: Tensor) -> Spread:
    """The spread of image scores (n,).

    >>> fit_spread(torch.tensor([1.0, 2.0, 6.0]))
    Spread(median=2.0, deviation=1.6666666666666667)
    """
    values = scores.double().cpu().numpy()
    median = float(np.median(values))
    floor = max(abs(median) * 1e-3, 1e-12)  # one image, or equal ones, show no spread
    return Spread(median, max(float(np.abs(values - median).mean()), floor))
