"""Principal components of a stream of rows: float64 moments, eigenvectors with fixed signs, how many to keep.

Rows are observations, channels are variables. Only C x C numbers are held, whatever the number of
rows, and the result does not depend on how the stream was cut into batches beyond rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from leatherens.core.errors import ConfigError, InputError

CHUNK = 8192
"""Rows turned into float64 at a time: 64 MB for a thousand channels."""

SIGN_TIE = 1e-6
"""Loadings this near to the largest count as equally large, so that rounding cannot flip a sign."""

ROUNDING = 5e-7
"""Deviations below this share of the mean are what interpolation in float32 leaves of a constant map."""

FULLY = 1e-9
"""What is left of a group's variance below this share is rounding."""


class Moments:
    """Count, mean and scatter of rows seen so far, merged as in Chan, Golub and LeVeque (1983).

    Each batch is centred before it is squared: a channel of mean 1e4 and variance 1 keeps its digits.
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean = torch.zeros(channels, dtype=torch.float64)
        self.scatter = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        """Take in rows (M, C) of any float type; the sums are kept in float64 on the CPU."""
        for chunk in torch.split(rows.detach(), CHUNK):
            if len(chunk):
                self._merge(chunk.to("cpu", torch.float64))

    def _merge(self, rows: Tensor) -> None:
        mean = rows.mean(dim=0)
        centred = rows - mean
        shift = mean - self.mean
        total = self.count + len(rows)
        self.scatter += centred.T @ centred
        self.scatter += torch.outer(shift, shift) * (self.count * len(rows) / total)
        self.mean += shift * (len(rows) / total)
        self.count = total

    def covariance(self) -> Tensor:
        """(C, C) float64, the sum of squares divided by count - 1."""
        if self.count < 2:
            raise InputError(f"a covariance needs at least two positions to learn from, got {self.count}")
        return self.scatter / (self.count - 1)


@dataclass(frozen=True, slots=True)
class Components:
    """All principal components: variances (C,) in falling order, loadings (C, C) float64, one per column."""

    variances: Tensor
    loadings: Tensor


@dataclass(frozen=True, slots=True)
class Explained:
    """What the kept components of one PCA say of good images, for reports.

    fractions: share of the variance per component. members: by member, what share of each component's
    squared loadings is its own; per component they sum to one.
    """

    name: str
    channels: int
    fractions: tuple[float, ...]
    members: Mapping[str, tuple[float, ...]]


def principal_components(covariance: Tensor) -> Components:
    """Eigenvalues and eigenvectors of a covariance (C, C); the largest loading of each is positive."""
    variances, loadings = torch.linalg.eigh(covariance)
    variances = variances.flip(0).clamp_min(0.0)
    return Components(variances, signed(loadings.flip(1)))


def signed(loadings: Tensor) -> Tensor:
    """Columns turned so that the first of their largest entries is positive.

    >>> signed(torch.tensor([[0.6, -0.8], [-0.8, -0.6]]))
    tensor([[-0.6000,  0.8000],
            [ 0.8000,  0.6000]])
    """
    sizes = loadings.abs()
    largest = sizes >= sizes.amax(dim=0) * (1 - SIGN_TIE)
    first = largest.to(torch.uint8).argmax(dim=0, keepdim=True)  # argmax takes the first of equals
    signs = loadings.gather(0, first).sign()
    return loadings * torch.where(signs == 0, 1.0, signs)


def kept_components(
    variances: Tensor, wanted: int | float, *, limit: int | None = None, owner: str = "pca"
) -> int:
    """How many leading components to keep: a count, or the fewest that explain a fraction of the variance.

    `limit` caps what a fraction may ask for; a count is taken at its word.

    >>> kept_components(torch.tensor([90.0, 6.0, 4.0]), 0.95)
    2
    """
    channels = len(variances)
    if isinstance(wanted, int):
        if wanted > channels:
            raise ConfigError(
                f"{owner}: components: {wanted} asked of {channels} channels; at most {channels} exist"
            )
        return wanted
    total = float(variances.sum())
    if total == 0:
        return 1
    explained = variances.cumsum(0) / total
    needed = int((explained < wanted - 1e-12).sum()) + 1  # 1e-12: a fraction met exactly is met
    return min(needed, channels, limit or channels)


def shared_out(variances: Sequence[Tensor], budget: int, *, owner: str = "pca") -> list[int]:
    """How many components each group keeps of a common budget, so that all explain about an equal share.

    Every group gets one; each further component goes to the group that explains the smallest share of its
    own variance so far, the first of equals. What explains all of it gets more only when nobody else can.

    variances: per group (C_k,), in falling order.

    >>> shared_out([torch.tensor([9.0, 1.0]), torch.tensor([1.0, 1.0, 1.0])], 4)
    [1, 3]
    """
    channels = sum(len(group) for group in variances)
    if not len(variances) <= budget <= channels:
        raise ConfigError(
            f"{owner}: budget: {budget} components for {len(variances)} members of {channels} channels; "
            f"give at least {len(variances)}, one for each, and at most {channels}"
        )
    explained = [(group.cumsum(0) / (float(group.sum()) or 1.0)).tolist() for group in variances]
    kept = [1] * len(variances)
    for _ in range(budget - len(variances)):
        open_groups = [i for i, shares in enumerate(explained) if kept[i] < len(shares)]
        kept[min(open_groups, key=lambda i: _satisfied(explained[i], kept[i]))] += 1
    return kept


def _satisfied(explained: Sequence[float], kept: int) -> float:
    """The share explained by the kept components; 1 where the rest explains nothing."""
    return 1.0 if explained[-1] - explained[kept - 1] < FULLY else explained[kept - 1]
