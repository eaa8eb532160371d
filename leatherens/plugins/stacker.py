"""Stacking: a small model learns from artificial anomalies how to read the voters together.

Stacked generalisation (Wolpert, 1992) with scikit-learn's logistic regression, or a random forest, on the
voters' scores on the common scale; one model for images and one for pixels. It learns from held-out good
images and from artificial anomalies on them, never from an evaluation image. Nobody's suspicion may count as
a relief: the logistic model has no negative coefficient, the forest rises with every voter.
"""

from __future__ import annotations

import warnings
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from leatherens.core.examples import Examples, Of
from leatherens.core.forests import Forest, grow_forest
from leatherens.core.params import Params
from leatherens.core.randomness import derive, kept_python_random
from leatherens.core.scorefusion import Lessons, ScoreFusion, weighted_sum

PIXELS = 20_000
"""Pixels of each class that a model learns from: it has as many coefficients as voters."""
TIE = 1e-3
"""What the mean score adds to a forest's share at most: beyond its last splits a forest knows no degrees."""

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


class Stacker(ScoreFusion):
    """Learns who is to be believed when, with an eye on who repeats whom."""

    id: ClassVar[str] = "stacker"

    class Params(Params):
        """A model of few numbers: there are about a hundred examples."""

        model: Literal["logistic", "forest"] = "logistic"
        """`forest` bends where voters matter only together; it takes longer and knows few degrees."""
        inverse_penalty: Annotated[float, Field(gt=0)] = 1.0
        """C of the logistic regression, scikit-learn's default: smaller draws coefficients towards 0."""
        trees: Annotated[int, Field(ge=1)] = 50
        """Of the forest; time grows with them."""
        depth: Annotated[int, Field(ge=1, le=12)] = 4
        """Of each tree: up to 16 cases to tell apart."""

    weights_: Tensor
    """(2, V) coefficients of the logistic model, for images and for pixels; equal ones beside a forest."""
    image_forest_: Tensor
    pixel_forest_: Tensor
    """(5, T, N) as `Forest.tensor` gives them; empty beside a logistic model."""

    @property
    def lessons(self) -> Lessons:
        """A model needs both classes."""
        return Lessons.anomalies

    def _fit(self, examples: Examples, seed: int) -> None:
        sets = [_rows(*examples.rows(of)) for of in Of]
        self.image_forest_ = self.pixel_forest_ = torch.empty(5, 0, 0, dtype=torch.float64)
        coefficients = [equal_weights(len(examples.voters))] * len(Of)
        if self.params.model == "forest":
            self.image_forest_, self.pixel_forest_ = (self._grown(*rows, seed).tensor() for rows in sets)
        else:
            coefficients = [rising_logistic(*rows, self.params.inverse_penalty) for rows in sets]
        self.weights_ = torch.from_numpy(np.stack(coefficients)).float()
        self._build()

    def _grown(self, rows: Floats, labels: Labels, seed: int) -> Forest:
        p = self.params
        return grow_forest(rows, labels, trees=p.trees, depth=p.depth, seed=derive(seed, self.id, "forest"))

    def _build(self) -> None:
        self._forests = [Forest.from_tensor(stored) for stored in (self.image_forest_, self.pixel_forest_)]

    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        linear = weighted_sum(self.weights_[of], stacked)
        if self.params.model == "logistic":
            return linear
        columns = stacked.flatten(1).cpu().numpy()  # (V, M)
        share = torch.from_numpy(self._forests[of](columns)).to(stacked).view(stacked.shape[1:])
        return share + TIE * linear / (1 + linear.abs())


def _rows(good: Tensor, spoilt: Tensor) -> tuple[Floats, Labels]:
    """Rows and labels of both classes, thinned evenly to what a model needs."""
    kept = [rows[:: -(-len(rows) // PIXELS)] for rows in (good, spoilt)]
    return torch.cat(kept).numpy(), np.repeat([0, 1], [len(rows) for rows in kept])


def rising_logistic(rows: Floats, labels: Labels, inverse_penalty: float) -> NDArray[np.float64]:
    """(V,) coefficients of a logistic regression with an L2 penalty, none negative; equal if all would be.

    Classes weigh the same. While a coefficient is negative, the column of the most negative one is left out
    and the rest is learned again. The constant is dropped: it changes no ranking.
    """
    with kept_python_random():  # scikit-learn's first import draws from it
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

    coefficients = np.zeros(rows.shape[1])
    kept = list(range(rows.shape[1]))
    model = LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=1000, tol=1e-6)
    while kept:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a thousand steps are near enough
            found = model.fit(rows[:, kept].astype(np.float64), labels).coef_[0]
        if found.min() >= 0:
            coefficients[kept] = found
            break
        del kept[int(found.argmin())]
    return coefficients if coefficients.any() else equal_weights(rows.shape[1])


def equal_weights(voters: int) -> NDArray[np.float64]:
    """(V,) that sum to 1."""
    return np.full(voters, 1 / voters)
