"""Mean of ranks: what share of held-out good scores a voter's score exceeds, whoever gave it.

Ranks of a batch among itself would make a score depend on its neighbours; here the good scores that ranks are
counted among are frozen at fit. Beyond the largest of them a rank goes on rising, from 1 towards 2, so that
sure defects keep their order and yet nobody counts for more than twice a good image's most.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leatherens.core.examples import Examples, Of
from leatherens.core.scorefusion import Lessons, ScoreFusion

KNOTS = 512
"""Quantiles that stand for many good scores, denser towards the largest."""
RAREST = 1e-4
"""Share of good scores above the last quantile before the largest."""

LEAST_REACH = 0.1
"""On the common scale, where good scores hardly differ: half the way from 1 to 2 takes this much."""

Floats = NDArray[np.float64]


class RankMean(ScoreFusion):
    """Learns each voter's good scores as quantiles; needs no anomalies."""

    id: ClassVar[str] = "rank-mean"
    knots_: Tensor
    """(2, V, KNOTS) good scores, ascending; equal ones say the same rank."""
    ranks_: Tensor
    """(2, V, KNOTS) their ranks, 0 to 1."""

    @property
    def lessons(self) -> Lessons:
        """Ranks are counted among good scores."""
        return Lessons.good

    def _fit(self, examples: Examples, seed: int) -> None:
        columns = [examples.good.of(of).double().T.numpy() for of in Of]  # (V, n) and (V, P)
        learned = [[rank_knots(column) for column in rows] for rows in columns]
        self.knots_, self.ranks_ = torch.from_numpy(np.array(learned)).permute(2, 0, 1, 3).float()

    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        learned = zip(stacked, self.knots_[of], self.ranks_[of], strict=True)
        return torch.stack([rank(scores, knots, ranks) for scores, knots, ranks in learned]).mean(dim=0)


def rank_knots(good: Floats) -> tuple[Floats, Floats]:
    """KNOTS quantiles of good scores (n,) and the share of good scores below each, ties counted half."""
    levels = np.append(1 - np.geomspace(1, RAREST, KNOTS - 1), 1.0)
    ordered = np.sort(good)
    knots = np.quantile(ordered, levels).astype(np.float32).astype(np.float64)
    below, upto = (np.searchsorted(ordered, knots, side) / len(ordered) for side in ("left", "right"))
    return knots, (below + upto) / 2


def rank(scores: Tensor, knots: Tensor, ranks: Tensor) -> Tensor:
    """Scores of any shape to ranks: among the knots (K,) interpolated, beyond them ever slower by up to 1."""
    knots, ranks = knots.to(scores), ranks.to(scores)
    right = torch.searchsorted(knots, scores.contiguous()).clamp(1, len(knots) - 1)
    step = (knots[right] - knots[right - 1]).clamp_min(1e-12)
    share = ((scores - knots[right - 1]) / step).clamp(0, 1)
    inside = ranks[right - 1] + share * (ranks[right] - ranks[right - 1])
    reach = (knots[-1] - knots[len(knots) // 8]).clamp_min(LEAST_REACH)  # from the upper third to the largest
    above, below = ((scores - knots[-1]).clamp_min(0) / reach, (knots[0] - scores).clamp_min(0) / reach)
    return inside + above / (1 + above) - below / (1 + below)
