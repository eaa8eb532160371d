"""Majority vote: each voter says defective or good at a threshold of its own, and most of them decide.

The fused score is the median of the voters' margins, score less threshold: above 0 exactly where more than
half of an odd number of voters say defective, and by how much is kept for ranking. Of an even number, the two
in the middle decide by their mean, which settles a tie.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from leatherens.core.calibration import allowed_exceedances
from leatherens.core.examples import Examples, Of
from leatherens.core.params import Params
from leatherens.core.scorefusion import Lessons, ScoreFusion


class Vote(ScoreFusion):
    """Learns each voter's threshold from held-out good images; needs no anomalies."""

    id: ClassVar[str] = "vote"

    class Params(Params):
        """How easily a single voter says defective."""

        false_alarms: Annotated[float, Field(gt=0, lt=1)] = 0.05
        """Share of good images, and of good pixels, that each voter may call defective.

        Three that err independently at 0.05 make a false majority in 0.007 of cases.
        """

    thresholds_: Tensor
    """(2, V) on the common scale, for images and for pixels."""

    @property
    def lessons(self) -> Lessons:
        """Thresholds come from good scores."""
        return Lessons.good

    def _fit(self, examples: Examples, seed: int) -> None:
        self.thresholds_ = torch.stack(
            [threshold(examples.good.of(of), self.params.false_alarms) for of in Of]
        )

    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        own = self.thresholds_[of].to(stacked)  # (V,)
        return median(stacked - own.view(-1, *[1] * (stacked.ndim - 1)))


def threshold(good: Tensor, rate: float) -> Tensor:
    """(V,) the k-th largest of each voter's good scores (n, V), k as many as the rate allows, at least 1.

    >>> threshold(torch.arange(99.0)[:, None], 0.05).tolist()
    [94.0]
    """
    k = allowed_exceedances(rate, len(good))
    return good.topk(k, dim=0).values[-1]


def median(stacked: Tensor) -> Tensor:
    """(V, ...) to (...): the middle value, or the mean of the two in the middle.

    >>> median(torch.tensor([[1.0], [9.0], [2.0], [4.0]])).tolist()
    [3.0]
    """
    ordered, half = stacked.sort(dim=0).values, len(stacked) // 2
    return ordered[half] if len(stacked) % 2 else (ordered[half - 1] + ordered[half]) / 2
