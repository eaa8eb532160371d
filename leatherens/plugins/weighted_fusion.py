"""Weighted mean: a weak voter must not drag the others down.

Weights are set by hand or learned from artificial anomalies. A voter is as good as it tells those from good
images: its AUROC over images, its AU-PRO over pixels, which a few sure false alarms cost as much as they cost
a user. Weights fall exponentially with what a voter lacks to the best, as in Hedge (Freund and Schapire, "A
decision-theoretic generalization of on-line learning", 1997). Each voter is judged by itself, so that a few
examples suffice and the oddities of artificial anomalies cannot choose one voter over all others; the
`stacker` also sees who repeats whom.
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
from leatherens.core.metrics import image_auroc, sampled_au_pro
from leatherens.core.params import Params
from leatherens.core.scorefusion import Lessons, ScoreFusion, weighted_sum

IMAGE_TEMPERATURE, PIXEL_TEMPERATURE = 0.1, 0.05
"""A voter that is so much worse, in AUROC or AU-PRO, counts 1 / e as much: pixels say more surely who is."""
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
        learned = [
            learned_weights(image_skills(examples), count, IMAGE_TEMPERATURE),
            learned_weights(pixel_skills(examples), count, PIXEL_TEMPERATURE),
        ]
        self.weights_ = torch.from_numpy(np.stack(learned)).float()

    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        weights = self._by_hand() if self.params.weights is not None else self.weights_[of]
        return weighted_sum(weights, stacked)

    def _by_hand(self) -> Tensor:
        given = torch.tensor([self.params.weights[name] for name in sorted(self.params.weights)])
        return given / given.sum()


def image_skills(examples: Examples) -> Floats:
    """(V,) AUROCs of spoilt images against good ones."""
    good, spoilt = examples.rows(Of.images)
    labels = np.repeat([0, 1], [len(good), len(spoilt)])
    columns = torch.cat([good, spoilt]).T.numpy()
    return np.array([image_auroc(column, labels) for column in columns])


def pixel_skills(examples: Examples) -> Floats:
    """(V,) AU-PROs of spoilt pixels, every anomaly alike, against good ones."""
    good, spoilt = (rows.T.numpy() for rows in examples.rows(Of.pixels))
    shares = examples.spoilt.shares
    weights = None if shares is None else shares.numpy()
    return np.array([sampled_au_pro(*columns, weights) for columns in zip(good, spoilt, strict=True)])


def learned_weights(skills: Floats, count: int, temperature: float) -> Floats:
    """(V,) weights that sum to 1, from skills (V,) in 0 .. 1 measured on `count` independent examples.

    Proportional to exp(skill / temperature), then drawn towards equal weights by `PRIOR / (PRIOR + count)`.

    >>> learned_weights(np.array([0.9, 0.8, 0.5]), 10**9, 0.1).round(3).tolist()
    [0.721, 0.265, 0.013]
    >>> learned_weights(np.array([0.9, 0.8, 0.5]), 4, 0.1).round(3).tolist()
    [0.527, 0.299, 0.173]
    """
    found = np.exp((skills - skills.max()) / temperature)
    doubt = PRIOR / (PRIOR + count)
    return np.asarray((1 - doubt) * found / found.sum() + doubt / len(skills))
