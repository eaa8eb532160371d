"""Gaussian head: how many deviations a position lies from the mean of good fused features.

One Gaussian for all positions, and the Mahalanobis distance to it: the cheapest head, and the right one where
good features form one cloud. Several colours or regions are several clouds: take the memory bank for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Self

from leatherens.core.detector import FitContext
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.heads import GoodMaps, Head, HeadParams
from leatherens.core.one_gaussian import mahalanobis, whitening
from leatherens.core.pca import Moments
from leatherens.core.rows import maps_of, rows_of


class GaussianHead(Head):
    """Keeps mean and scatter of good positions and measures the Mahalanobis distance."""

    id = "gaussian"
    updates = True

    class Params(HeadParams):
        """What every head has, and how far the covariance is pulled to a sphere."""

        shrinkage: Annotated[float, Field(ge=0, le=1)] = 0.01
        """Share of the mean variance, in all directions alike, in the covariance (Ledoit and Wolf, 2004): 0
        is the sample's own, 1 a sphere. Directions in which good features never vary need some. Their rule
        for the best share is for independent samples, which neighbouring positions are not."""

    count_: int
    """Positions learned from."""
    mean_: Tensor
    """(C,) float64."""
    scatter_: Tensor
    """(C, C) float64: the covariance times count - 1, kept whole so that more positions can be taken in."""

    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        self._take_in(maps, None)

    def _update(self, maps: Iterable[GoodMaps], context: FitContext) -> None:
        """As if these positions had been there from the beginning: moments merge exactly."""
        known = Moments(self.channels_)
        known.count, known.mean = self.count_, self.mean_.cpu().clone()
        known.scatter = self.scatter_.cpu().clone()  # the sums are made in place
        self._take_in(maps, known)

    def _take_in(self, maps: Iterable[GoodMaps], moments: Moments | None) -> None:
        for rows in self.positions(maps):
            moments = moments or Moments(self.channels_)
            moments.add(rows)
        assert moments is not None  # `positions` refuses to end without any
        if moments.count < 2:
            raise InputError(f"{self.id}: needs at least two positions to learn from, got {moments.count}")
        self.count_, self.mean_, self.scatter_ = moments.count, moments.mean, moments.scatter
        self._build()

    def _build(self) -> None:
        shrinkage = self.params.shrinkage
        self._mean = self.mean_.float()
        try:
            self._whitening = whitening(self.scatter_ / (self.count_ - 1), shrinkage).float()
        except RuntimeError:  # torch.linalg.LinAlgError is one
            raise ConfigError(
                f"{self.id}: shrinkage: with {shrinkage:g} the covariance cannot be inverted, as good "
                "features do not vary in every direction; give a larger one, such as 0.01"
            ) from None

    def to(self, device: torch.device | str) -> Self:
        """Move the moments; the whitening is made anew where they now lie."""
        moved = super().to(device)
        moved._build()
        return moved

    def _score(self, maps: Tensor) -> Tensor:
        distances = mahalanobis(rows_of(maps), self._mean, self._whitening)
        return maps_of(distances[:, None], maps)[:, 0]
