"""One-class models of scikit-learn behind one function: fitted on rows of good windows, higher is stranger.

The fitted objects are never stored, as scikit-learn can only pickle them. A detector keeps the rows, and fits
again when it is loaded: the same rows and seed give the same model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leatherens.core.randomness import lent_generators

Model = Literal["mahalanobis", "one-class-svm", "isolation-forest", "local-outlier-factor"]
Rows = NDArray[np.float32]

OUTSIDE = 0.05
"""Share of good windows that the support vector machine may leave outside; more makes it slower to ask."""
NEIGHBOURS = 20
"""How many neighbours the outlier factor looks at: what its authors start from (Breunig et al., 2000)."""


def fitted_scores(model: Model, rows: Rows, seed: int) -> Callable[[Rows], NDArray[np.float64]]:
    """Learn from rows (N, C); what comes back takes rows (M, C) to (M,), each by itself."""
    if not np.ptp(rows, axis=0).any():  # all alike: there is nothing to learn but where they are
        return lambda asked: np.linalg.norm(asked - rows[0], axis=1)
    with lent_generators(seed, "one-class model"):  # libsvm draws from numpy's; some modules when imported
        detector = _made(model, len(rows), seed).fit(rows)
    if model == "mahalanobis":
        return lambda asked: np.sqrt(detector.mahalanobis(asked))
    return lambda asked: -detector.score_samples(asked)


def _made(model: Model, count: int, seed: int) -> Any:
    from sklearn.covariance import LedoitWolf
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.svm import OneClassSVM

    if model == "mahalanobis":
        return LedoitWolf()
    if model == "one-class-svm":
        return OneClassSVM(nu=OUTSIDE)
    if model == "isolation-forest":
        return IsolationForest(random_state=seed % 2**32)
    return LocalOutlierFactor(n_neighbors=min(NEIGHBOURS, count - 1), novelty=True)
