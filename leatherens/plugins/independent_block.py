"""Independent transformation block: one PCA per member, then all on one grid, side by side.

Heller et al., Intelligent Systems with Applications 19 (2023) 200264. No member can crowd out
another, whatever its unit or its number of channels; what members have in common is kept twice.

A member's several maps are stacked on that member's own finest grid and share one PCA: the levels of
one network are correlated, so one PCA says once what they say together, and the number of fused
channels grows with the number of members, not of maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from leatherens.core.fusion import FusionBlock, GoodFeatures, MemberFeatures, common_grid
from leatherens.core.geometry import resize
from leatherens.core.map_pca import MapPCA, MapPCAFit, PCAParams


class IndependentBlock(FusionBlock):
    """One PCA per member."""

    id = "independent"

    class Params(PCAParams):
        """As for any PCA, applied to each member."""

    pcas_: nn.ModuleList
    """One `MapPCA` per member, in the order of `layout_`."""
    explained_: dict[str, dict[str, Any]]

    def _fit(self, batches: Iterator[GoodFeatures]) -> None:
        fits: dict[str, MapPCAFit] = {}
        for members, valid in batches:
            for member, features in members.items():
                if member not in fits:
                    channels = sum(m.shape[1] for m in features.maps)
                    fits[member] = MapPCAFit(self.params, [(member, channels)], owner=f"{self.id} ({member})")
                grid = common_grid(features.maps, self.params.max_grid)
                fits[member].add(features.maps, grid, valid)
        solved = {member: fit.solve() for member, fit in fits.items()}
        self.pcas_ = nn.ModuleList(pca for pca, _ in solved.values())
        self.explained_ = {member: explained for member, (_, explained) in solved.items()}

    def _transform(self, members: MemberFeatures) -> Tensor:
        limit = self.params.max_grid
        size = common_grid([m for features in members.values() for m in features.maps], limit)
        parts = [
            resize(pca(features.maps, common_grid(features.maps, limit)), size)
            for pca, features in zip(self.pcas_, members.values(), strict=True)
        ]
        return torch.cat(parts, dim=1)

    def _build(self) -> None:
        self.pcas_ = nn.ModuleList(
            MapPCA(
                sum(int(count) for _, count in maps),
                len(self.explained_[member]["variance"]),
                residual=self.params.residual,
            )
            for member, maps in self.layout_.items()
        )
