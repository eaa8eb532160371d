"""Weighted mean: a weak voter must not drag the others down.

Weights are set by hand or learned from artificial anomalies. A voter's skill is the log-odds of ranking an
anomaly above something good, log(a / (1 - a)) of its AUROC a, and none at chance or below: the weights that
make a vote of independent judges right most often (Shapley and Grofman, "Optimizing group judgmental accuracy
in the presence of interdependencies", 1984). Each voter is judged by itself, so that a few examples suffice;
the `stacker` also sees who repeats whom.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor

from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.examples import Examples, Of
from leatherens.core.metrics import image_auroc
from leatherens.core.params import Params
from leatherens.core.scorefusion import Lessons, ScoreFusion, weighted_sum

PRIOR = 4
"""Held-out good images that equal weights are worth: with so many, half the weight is dealt out equally."""

Floats = NDArray[np.float64]


class Weighted(ScoreFusion):
    """Learns two sets of weights, for images and for pixels, or takes one by hand for both."""

    id: ClassVar[str] = "weighted"

    class Params(Params):
        """Weights by hand are only worth their while where somebody knows more than the examples."""

        weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
        """By voter, in any unit; 0 silences one. By default they are learned from artificial anomalies."""

        @field_validator("weights")
        @classmethod
        def _not_all_silent(cls, weights: dict[str, float] | None) -> dict[str, float] | None:
            if weights is not None and not any(weights.values()):
                raise ValueError("at least one weight must be above 0")
            return weights

    weights_: Tensor
    """(2, V), for images and for pixels; each row sums to 1."""

    @property
    def lessons(self) -> Lessons:
        """Nothing to learn where the weights are given."""
        return Lessons.anomalies if self.params.weights is None else Lessons.nothing

    def check_voters(self, voters: Sequence[str]) -> None:
        """Every voter must have a weight, and nobody else."""
        if self.params.weights is None:
            return
        known = f"(voters: {', '.join(sorted(voters))})"
        for name in self.params.weights:
            if name not in voters:
                hint = did_you_mean(name, voters)
                raise ConfigError(f"{self.id}: a weight is given for '{name}', who is no voter{hint} {known}")
        for name in sorted(voters):
            if name not in self.params.weights:
                raise ConfigError(f"{self.id}: '{name}' has no weight; give it one, 0 silences it {known}")

    def _fit(self, examples: Examples, seed: int) -> None:
        count = min(len(examples.good.images), len(examples.spoilt.images))
        learned = [learned_weights(skills(*examples.rows(of)), count) for of in Of]
        self.weights_ = torch.from_numpy(np.stack(learned)).float()

    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        weights = self._by_hand() if self.params.weights is not None else self.weights_[of]
        return weighted_sum(weights, stacked)

    def _by_hand(self) -> Tensor:
        given = torch.tensor([self.params.weights[name] for name in sorted(self.params.weights)])
        return given / given.sum()


def skills(good: Tensor, spoilt: Tensor) -> Floats:
    """(V,) AUROCs of rows (n, V) against rows (m, V), by voter."""
    labels = np.repeat([0, 1], [len(good), len(spoilt)])
    columns = torch.cat([good, spoilt]).T.numpy()
    return np.array([image_auroc(column, labels) for column in columns])


def learned_weights(aurocs: Floats, count: int) -> Floats:
    """(V,) weights that sum to 1, from AUROCs (V,) measured on `count` independent examples.

    Log-odds, those at chance or below 0, and equal where nobody has any; a perfect AUROC counts as one error
    in `2 * count`. Then drawn towards equal weights by `PRIOR / (PRIOR + count)`.

    >>> learned_weights(np.array([0.9, 0.75, 0.5]), 10**9).round(3).tolist()
    [0.667, 0.333, 0.0]
    >>> learned_weights(np.array([0.9, 0.4]), 4).tolist()
    [0.75, 0.25]
    """
    bounded = np.clip(aurocs, 0.5, 1 - 0.5 / max(count, 2))
    odds = np.log(bounded / (1 - bounded))
    equal = np.full(len(odds), 1 / len(odds))
    doubt = PRIOR / (PRIOR + count)
    learned = odds / odds.sum() if odds.sum() > 0 else equal
    return np.asarray((1 - doubt) * learned + doubt * equal)
