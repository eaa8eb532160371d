"""Global transformation block: every map to one grid, all channels side by side, one PCA.

Heller et al., Intelligent Systems with Applications 19 (2023) 200264. For members that are alike and
have about as many channels; redundancy between members is removed. Members that differ much lose
components to the one with the most variance: take the independent block for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from leatherens.core.fusion import FusionBlock, GoodFeatures, MemberFeatures, common_grid
from leatherens.core.map_pca import MapPCA, MapPCAFit, PCAParams


class GlobalBlock(FusionBlock):
    """One PCA over the concatenated channels of all members."""

    id = "global"

    class Params(PCAParams):
        """As for any PCA; the cap is twice the independent block's, since all members share it."""

        max_components: Annotated[int, Field(ge=1)] = 128

    pca_: MapPCA
    explained_: dict[str, Any]

    def _fit(self, batches: Iterator[GoodFeatures]) -> None:
        fit: MapPCAFit | None = None
        for members, valid in batches:
            if fit is None:
                sections = [(m, sum(tensor.shape[1] for tensor in f.maps)) for m, f in members.items()]
                fit = MapPCAFit(self.params, sections, owner=self.id)
            maps = _all_maps(members)
            fit.add(maps, common_grid(maps, self.params.max_grid), valid)
        if fit is not None:
            self.pca_, self.explained_ = fit.solve()

    def _transform(self, members: MemberFeatures) -> Tensor:
        maps = _all_maps(members)
        return self.pca_(maps, common_grid(maps, self.params.max_grid))  # type: ignore[no-any-return]

    def _build(self) -> None:
        channels = sum(int(count) for maps in self.layout_.values() for _, count in maps)
        kept = len(self.explained_["variance"])
        self.pca_ = MapPCA(channels, kept, residual=self.params.residual)


def _all_maps(members: MemberFeatures) -> list[Tensor]:
    return [m for features in members.values() for m in features.maps]
