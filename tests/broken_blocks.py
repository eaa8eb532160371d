"""Fusion blocks that each break one promise, named for their sin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from leatherens.core.fusion import FusionBlock, GoodFeatures, MemberFeatures, common_grid
from leatherens.core.geometry import resize
from leatherens.core.rows import rows_of
from leatherens.core.score_channels import apart


class Centred(FusionBlock):
    """Keeps the contract: all maps side by side, less the mean good position."""

    id = "centred"
    mean_: Tensor

    def _fit(self, batches: Iterator[GoodFeatures]) -> None:
        rows = torch.cat([rows_of(self._side_by_side(members), valid) for members, valid in batches])
        self.mean_ = rows.mean(dim=0)

    def _transform(self, members: MemberFeatures) -> Tensor:
        return self._side_by_side(members) - self.mean_.view(1, -1, 1, 1)

    def _side_by_side(self, members: MemberFeatures) -> Tensor:
        maps = [m for kept in apart(members)[0].values() for m in kept.maps]
        grid = common_grid(maps, 64)
        return torch.cat([resize(m, grid) for m in maps], dim=1)


class GridByTheBatch(Centred):
    def _transform(self, members: MemberFeatures) -> Tensor:
        return super()._transform(members)[..., : 8 + len(next(iter(members.values())).maps[0])]


class InTheOrderGiven(Centred):
    def _ordered(self, features: MemberFeatures) -> MemberFeatures:
        return features


class NeedsSeveralMembers(Centred):
    def _fit(self, batches: Iterator[GoodFeatures]) -> None:
        super()._fit(batches)
        assert len(self.layout_) > 1


class CentresTheBatch(Centred):
    def _transform(self, members: MemberFeatures) -> Tensor:
        fused = super()._transform(members)
        return fused - fused.mean(dim=(0, 2, 3), keepdim=True)


class WritesIntoMaps(Centred):
    def _transform(self, members: MemberFeatures) -> Tensor:
        next(iter(members.values())).maps[0].clamp_(min=0)
        return super()._transform(members)


class DrawsComponents(Centred):
    def _fit(self, batches: Iterator[GoodFeatures]) -> None:
        super()._fit(batches)
        self.mean_ = self.mean_ + 0 * torch.randn(1)


class LearnsFromTheWholePicture(Centred):
    def _checked(self, batches: Iterator[GoodFeatures]) -> Iterator[GoodFeatures]:
        return ((features, None) for features, _ in batches)


class PassesNaNOn(Centred):
    def _require_finite(self, member: str, features: Any) -> None:
        """Nobody looks."""


class AveragesOverFits(Centred):
    def _fit(self, batches: Iterator[GoodFeatures]) -> None:
        super()._fit(batches)
        self.mean_ = self.earlier = 0.5 * (self.mean_ + getattr(self, "earlier", self.mean_))


class LosesItsMean(Centred):
    def state(self) -> dict[str, Any]:
        kept = dict(super().state())
        return kept | {"mean_": torch.zeros_like(kept["mean_"])}
