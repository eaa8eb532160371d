"""Centres of clusters of rows (k-means, through scikit-learn); one cluster is the plain mean."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from leatherens.core.errors import InputError
from leatherens.core.randomness import kept_python_random

STARTS = 10
"""Random starts of which the tightest clustering is kept."""


def centres_of(rows: Tensor, count: int, *, seed: int, owner: str, most_steps: int = 300) -> Tensor:
    """(count, C) float32 centres of rows (N, C), found from `seed`.

    Where fewer than `count` rows are distinct, some centres coincide. owner: who asks, for the message when
    there are fewer rows than clusters.

    >>> centres_of(torch.tensor([[0.0], [2.0]]), 1, seed=0, owner="cse").tolist()
    [[1.0]]
    """
    if len(rows) < count:
        raise InputError(f"{owner}: {count} clusters asked of {len(rows)}; ask for at most {len(rows)}")
    if count == 1:
        return rows.double().mean(dim=0, keepdim=True).float()
    with kept_python_random():  # scikit-learn's first import draws from it
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

    means = KMeans(count, n_init=STARTS, max_iter=most_steps, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows that coincide: their centres may, too
        found = means.fit(rows.detach().cpu().double().numpy()).cluster_centers_
    return torch.from_numpy(found).float().to(rows.device)
