"""A Gaussian for each position of a grid: moments of a stream of maps, whitening, Mahalanobis distance.

Only positions x channels squared numbers are held, whatever the number of images.
"""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import Self

from leatherens.core.progress import Advance

BLOCK = 1 << 23
"""Numbers of covariances factorised at a time in float64: 64 MB."""


class PositionMoments:
    """Count (P,), mean (P, C) and scatter (P, C, C) of the vectors seen at each of P positions, in float32.

    Each batch is centred before it is squared and then merged (Chan, Golub and LeVeque, 1983), so that
    float32 keeps its digits: what varies less than a millionth of what varies most is rounding, and left to
    the ridge. In float64 the scatter would take twice the memory.
    """

    def __init__(self, positions: int, channels: int, device: torch.device | str = "cpu") -> None:
        self.count = torch.zeros(positions, device=device)
        self.mean = torch.zeros(positions, channels, device=device)
        self.scatter = torch.zeros(positions, channels, channels, device=device)

    @classmethod
    def restored(cls, count: Tensor, mean: Tensor, factors: Tensor, ridge: float) -> Self:
        """The moments that `whitening` made these inverse factors (P, C, C) of, up to rounding.

        Positions counted fewer than twice have no factor of their own and begin empty.
        """
        positions, channels = mean.shape
        moments = cls(positions, channels, mean.device)
        known = count >= 2
        moments.count = torch.where(known, count, 0.0)
        moments.mean = torch.where(known[:, None], mean, 0.0)
        identity = torch.eye(channels, dtype=torch.float64, device=mean.device)
        height = max(1, BLOCK // channels**2)
        for start in range(0, positions, height):
            block = slice(start, start + height)
            lower = torch.linalg.solve_triangular(factors[block].double(), identity, upper=False)
            freedom = (moments.count[block] - 1).clamp_min(0).double()[:, None, None]
            moments.scatter[block] = ((lower @ lower.mT - ridge * identity) * freedom).float()
        return moments

    def add(self, vectors: Tensor, counted: Tensor | None = None) -> None:
        """Take in vectors (P, B, C) of B images; counted (P, B) bool leaves some of them out."""
        weights = torch.ones_like(vectors[..., 0]) if counted is None else counted.to(vectors)
        new = weights.sum(dim=1)  # (P,)
        total = self.count + new
        mean = (vectors * weights[..., None]).sum(dim=1) / new.clamp_min(1)[:, None]
        centred = (vectors - mean[:, None]) * weights[..., None]
        shift = torch.where(new[:, None] > 0, mean - self.mean, 0.0)
        # The shift between both means is one more vector of the scatter.
        between = shift * (self.count * new / total.clamp_min(1)).sqrt()[:, None]
        spread = torch.cat([centred, between[:, None]], dim=1)  # (P, B + 1, C)
        self.scatter.baddbmm_(spread.mT, spread)
        self.mean += shift * (new / total.clamp_min(1))[:, None]
        self.count = total

    def pool_rarely_seen(self) -> int:
        """Give positions seen in fewer than two images what the others have on average; how many they are."""
        rare = self.count < 2
        if bool(rare.any()) and not bool(rare.all()):
            freedom = (self.count[~rare] - 1).sum()
            self.scatter[rare] = 0
            self.scatter[rare] = self.scatter.sum(dim=0) / freedom
            self.mean[rare] = self.mean[~rare].mean(dim=0)
            self.count[rare] = 2.0  # a scatter over 2 - 1
        return int(rare.sum())


def whitening(moments: PositionMoments, ridge: float, advance: Advance = lambda positions: None) -> Tensor:
    """(P, C, C): the inverse lower Cholesky factors of covariance + ridge, in place of the moments' scatter.

    Covariances are divided by count - 1. Factors are made and inverted in float64, in blocks; rounding their
    inverse to float32 costs a relative error of about 1e-7 times the root of the condition number.
    `advance` is told how many positions are done. Raises `torch.linalg.LinAlgError` where one is singular.
    """
    positions, channels = moments.mean.shape
    identity = torch.eye(channels, dtype=torch.float64, device=moments.mean.device)
    height = max(1, BLOCK // channels**2)
    for start in range(0, positions, height):
        block = slice(start, start + height)
        freedom = (moments.count[block] - 1).double()[:, None, None]
        covariance = moments.scatter[block].double() / freedom + ridge * identity
        factor = torch.linalg.cholesky(covariance)
        moments.scatter[block] = torch.linalg.solve_triangular(factor, identity, upper=False).float()
        advance(len(factor))
    return moments.scatter


def whitened(vectors: Tensor, mean: Tensor, factors: Tensor) -> Tensor:
    """Vectors (P, B, C) less their position's mean (P, C), times its inverse factor (P, C, C): (P, B, C).

    On what the Gaussians were learned from, components are independent and of variance 1; their length is
    the Mahalanobis distance.

    >>> whitened(torch.tensor([[[4.0]]]), torch.tensor([[2.0]]), torch.tensor([[[0.5]]])).item()
    1.0
    """
    return (vectors - mean[:, None]) @ factors.mT


def at_positions(maps: Tensor) -> Tensor:
    """(B, C, h, w) to (h * w, B, C)."""
    return maps.permute(2, 3, 0, 1).flatten(0, 1)


def on_grid(vectors: Tensor, size: tuple[int, int]) -> Tensor:
    """(h * w, B, C) to (B, C, h, w)."""
    return vectors.view(*size, *vectors.shape[1:]).permute(2, 3, 0, 1)
