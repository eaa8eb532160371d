"""Global transformation block: every map to one grid, all channels side by side, one PCA.

Heller et al., Intelligent Systems with Applications 19 (2023) 200264. For members that are alike and
have about as many channels; redundancy between members is removed. Members that differ much lose
components to the one with the most variance: take the independent block for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from leatherens.core.fusion import FusionBlock, GoodFeatures, MemberFeatures, common_grid, feature_channels
from leatherens.core.map_pca import MapPCA, MapPCAFit, PCAParams
from leatherens.core.pca import Explained
from leatherens.core.score_channels import ScoreChannels, ScoreChannelsFit, apart

ALL = "all members"
"""What the one PCA is called in reports."""


class GlobalBlock(FusionBlock):
    """One PCA over the concatenated channels of all members."""

    id = "global"

    class Params(PCAParams):
        """As for any PCA; the cap is twice the independent block's, since all members share it."""

        max_components: Annotated[int, Field(ge=1)] = 128

    pca_: MapPCA
    explained_: dict[str, Any]

    @property
    def takes_scores(self) -> bool:
        """Whether score maps are appended."""
        return bool(self.params.scores)

    def explained(self) -> tuple[Explained, ...]:
        """One spectrum, of all members together."""
        self.require_fitted("explained")
        found = self.explained_
        members = {member: tuple(shares) for member, shares in found["members"].items()}
        channels = sum(feature_channels(self.layout_).values())
        return (Explained(ALL, channels, tuple(found["fraction"]), members),)

    def _fit(self, batches: Iterator[GoodFeatures]) -> None:
        sections = [(member, channels) for member, channels in feature_channels(self.layout_).items()]
        fit = MapPCAFit(self.params, sections, owner=self.id)
        scales = ScoreChannelsFit(len(sections))
        for members, valid in batches:
            maps, scores = self._maps(members)
            grid = common_grid(maps, self.params.max_grid)
            fit.add(maps, grid, valid)
            if scores:
                scales.add(scores, grid, valid)
        self.pca_, self.explained_ = fit.solve()
        if self.takes_scores:
            self.scores_ = scales.solve()

    def _transform(self, members: MemberFeatures) -> Tensor:
        maps, scores = self._maps(members)
        grid = common_grid(maps, self.params.max_grid)
        fused: Tensor = self.pca_(maps, grid)
        return torch.cat([fused, self.scores_(scores, grid)], dim=1) if scores else fused

    def _build(self) -> None:
        channels = sum(feature_channels(self.layout_).values())
        kept = len(self.explained_["variance"])
        self.pca_ = MapPCA(channels, kept, residual=self.params.residual)
        if self.takes_scores:
            self.scores_ = ScoreChannels(len(self.layout_))

    def _maps(self, members: MemberFeatures) -> tuple[list[Tensor], list[Tensor]]:
        """All feature maps, and all score maps where they are taken."""
        features, scores = apart(members)
        maps = [m for kept in features.values() for m in kept.maps]
        return maps, scores if self.takes_scores else []
