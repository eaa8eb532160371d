"""Independent transformation block: one PCA per member, then all on one grid, side by side.

Heller et al., Intelligent Systems with Applications 19 (2023) 200264. No member can crowd out
another, whatever its unit or its number of channels; what members have in common is kept twice.

A member's several maps are stacked on that member's own finest grid and share one PCA: the levels of
one network are correlated, so one PCA says once what they say together, and the number of fused
channels grows with the number of members, not of maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.fusion import FusionBlock, GoodFeatures, MemberFeatures, common_grid, feature_channels
from leatherens.core.geometry import resize
from leatherens.core.map_pca import ComponentCount, MapPCA, MapPCAFit, PCAParams
from leatherens.core.pca import Explained, shared_out
from leatherens.core.score_channels import ScoreChannels, ScoreChannelsFit, apart


class IndependentBlock(FusionBlock):
    """One PCA per member."""

    id = "independent"

    class Params(PCAParams):
        """As for any PCA, applied to each member."""

        per_member: dict[str, ComponentCount] = Field(default_factory=dict)
        """Components of single members by id, a count or a fraction; the others keep `components`."""
        budget: Annotated[int, Field(ge=1)] | None = None
        """Components of all members together, instead of `components`: shared out so that every member
        explains about as much of its own variance (`core.pca.shared_out`)."""

        @model_validator(mode="after")
        def _one_rule(self) -> Self:
            if self.per_member and self.budget is not None:
                raise ValueError("per_member and budget both say how many components; give one of them")
            return self

    pcas_: nn.ModuleList
    """One `MapPCA` per member, in the order of `layout_`."""
    explained_: dict[str, dict[str, Any]]

    @property
    def takes_scores(self) -> bool:
        """Whether score maps are appended."""
        return bool(self.params.scores)

    def require_members(self, ids: Sequence[str]) -> None:
        """Refuse `per_member` for somebody who is no member, and a budget too small for one each."""
        for id in self.params.per_member:
            if id not in ids:
                near = did_you_mean(id, ids)
                raise ConfigError(
                    f"{self.id}: per_member: no member is called '{id}'{near} (members: {', '.join(ids)})"
                )
        if self.params.budget is not None and self.params.budget < len(ids):
            raise ConfigError(
                f"{self.id}: budget: {self.params.budget} components for {len(ids)} members; "
                "give each at least one"
            )

    def explained(self) -> tuple[Explained, ...]:
        """One spectrum per member."""
        self.require_fitted("explained")
        channels = feature_channels(self.layout_)
        fractions = {member: tuple(found["fraction"]) for member, found in self.explained_.items()}
        return tuple(
            Explained(member, channels[member], shares, {member: (1.0,) * len(shares)})
            for member, shares in fractions.items()
        )

    def _fit(self, batches: Iterator[GoodFeatures]) -> None:
        fits = {
            member: MapPCAFit(self.params, [(member, channels)], owner=f"{self.id} ({member})")
            for member, channels in feature_channels(self.layout_).items()
        }
        scales = ScoreChannelsFit(len(fits))
        for members, valid in batches:
            features, scores = apart(members)
            for member, kept in features.items():
                fits[member].add(kept.maps, common_grid(kept.maps, self.params.max_grid), valid)
            if self.takes_scores:
                scales.add(scores, self._grid(features), valid)
        counts = self._counts(fits)
        solved = {member: fit.solve(counts[member]) for member, fit in fits.items()}
        self.pcas_ = nn.ModuleList(pca for pca, _ in solved.values())
        self.explained_ = {member: explained for member, (_, explained) in solved.items()}
        if self.takes_scores:
            self.scores_ = scales.solve()

    def _counts(self, fits: dict[str, MapPCAFit]) -> dict[str, int | float]:
        """Components of each member, a count or a fraction."""
        if self.params.budget is None:
            return {member: self.params.per_member.get(member, self.params.components) for member in fits}
        shared = shared_out([fit.spectrum for fit in fits.values()], self.params.budget, owner=self.id)
        return dict(zip(fits, shared, strict=True))

    def _transform(self, members: MemberFeatures) -> Tensor:
        features, scores = apart(members)
        size = self._grid(features)
        parts = [
            resize(pca(kept.maps, common_grid(kept.maps, self.params.max_grid)), size)
            for pca, kept in zip(self.pcas_, features.values(), strict=True)
        ]
        if self.takes_scores:
            parts.append(self.scores_(scores, size))
        return torch.cat(parts, dim=1)

    def _grid(self, features: MemberFeatures) -> tuple[int, int]:
        return common_grid([m for kept in features.values() for m in kept.maps], self.params.max_grid)

    def _build(self) -> None:
        self.pcas_ = nn.ModuleList(
            MapPCA(channels, len(self.explained_[member]["variance"]), residual=self.params.residual)
            for member, channels in feature_channels(self.layout_).items()
        )
        if self.takes_scores:
            self.scores_ = ScoreChannels(len(self.layout_))
