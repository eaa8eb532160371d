"""The plainest score fusions: the mean and the maximum of the voters on the common scale."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from leatherens.core.examples import Of
from leatherens.core.scorefusion import ScoreFusion


class Mean(ScoreFusion):
    """The mean surprise: several weak suspicions at one place add up (Fisher's method, up to a factor)."""

    id: ClassVar[str] = "mean"

    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        return stacked.mean(dim=0)


class Maximum(ScoreFusion):
    """The largest surprise: one sure voter suffices."""

    id: ClassVar[str] = "maximum"

    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        return stacked.amax(dim=0)
