"""One Gaussian for all rows: its covariance pulled to a sphere, and the Mahalanobis distance to its mean."""

from __future__ import annotations

import torch
from torch import Tensor


def whitening(covariance: Tensor, shrinkage: float) -> Tensor:
    """(C, C): inverse lower Cholesky factor of a covariance (C, C) that is pulled to its mean variance.

    shrinkage: share of the mean variance, in all directions alike. Raises `torch.linalg.LinAlgError` where
    the result is singular; where nothing varies at all it is the identity, for plain distances.
    """
    identity = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    level = covariance.diagonal().mean()
    if not level:
        return identity
    factor = torch.linalg.cholesky((1 - shrinkage) * covariance + shrinkage * level * identity)
    inverse: Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return inverse


def best_shrinkage(rows: Tensor) -> float:
    """The share with the smallest expected error for independent rows (N, C): Ledoit and Wolf, 2004.

    >>> best_shrinkage(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    1.0
    """
    centred = rows.double() - rows.double().mean(dim=0)
    count, channels = centred.shape
    covariance = centred.T @ centred / count
    level = covariance.diagonal().mean()
    apart = covariance.square().sum() - channels * level**2  # from the sphere
    noise = (centred.square().sum(dim=1).square().sum() / count - covariance.square().sum()) / count
    return 1.0 if apart <= noise else max(0.0, float(noise / apart))


def mahalanobis(rows: Tensor, mean: Tensor, whitening: Tensor) -> Tensor:
    """Rows (M, C) to (M,): the length of what is whitened.

    >>> mahalanobis(torch.tensor([[4.0, 2.0]]), torch.tensor([2.0, 2.0]), torch.eye(2) / 2).item()
    1.0
    """
    return ((rows - mean) @ whitening.T).square().sum(dim=1).sqrt()
