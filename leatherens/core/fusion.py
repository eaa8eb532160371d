"""The contract of a fusion block: feature maps of several members in, one stack of maps on one grid out.

A block learns from good images in one pass. The public methods check members, maps, shapes and
finiteness and put the members in the order of their ids, so that no block can depend on the order
in which a recipe names them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeAlias, final

import torch
from torch import Tensor
from typing_extensions import Self

from leatherens.core.component import Component
from leatherens.core.errors import InputError
from leatherens.core.geometry import Size, largest_grid
from leatherens.core.pca import Explained
from leatherens.core.score_channels import is_score_map
from leatherens.core.types import FeatureMaps, all_finite

MemberFeatures: TypeAlias = Mapping[str, FeatureMaps]
"""Member id to the maps fusion takes from it, already cut, of one batch of images."""

GoodFeatures: TypeAlias = tuple[MemberFeatures, "Tensor | None"]
"""Features of good images and their valid mask (B, H, W), `None` where every pixel may teach."""

Layout: TypeAlias = dict[str, list[list["str | int"]]]
"""Member id to its maps as [name, channels], as the artifact stores it."""


class FusionBlock(Component):
    """Brings the feature maps of several members to one grid and few channels."""

    layout_: Layout
    """Members and maps seen while learning; the same must come to be transformed."""

    @final
    def fit(self, batches: Iterable[GoodFeatures]) -> Self:
        """Learn from good images in one pass, forgetting earlier fits.

        Positions that lie mostly on invalid pixels teach nothing.
        """
        self.forget()
        try:
            self._fit(self._checked(self._begun(batches)))
        except BaseException:
            self.forget()  # half a fit must not pass for one
            raise
        return self

    @final
    def transform(self, features: MemberFeatures) -> Tensor:
        """The fused maps (B, N, h, w) float32 of a batch. Changes nothing; each image on its own."""
        self.require_fitted("transform")
        members = self._ordered(features)
        with torch.inference_mode():
            fused = self._transform(members)
        batch = {len(maps) for member in members.values() for maps in member.maps}
        if fused.ndim != 4 or fused.dtype != torch.float32 or {len(fused)} != batch:
            raise InputError(
                f"{self.id}: fused maps must be ({max(batch)}, N, h, w) float32, got {fused.dtype} "
                f"{tuple(fused.shape)}"
            )
        return fused

    @property
    def takes_scores(self) -> bool:
        """Whether members' score maps come beside their feature maps (`score_channels.with_score_map`)."""
        return False

    def require_members(self, ids: Sequence[str]) -> None:
        """Refuse options that name members other than these, before anything is learned."""

    def explained(self) -> tuple[Explained, ...]:
        """What its components explain of good images; none where it has no such thing."""
        return ()

    @abstractmethod
    def _fit(self, batches: Iterator[GoodFeatures]) -> None:
        """Learn; members come sorted and checked, as `layout_` says. Learned things end in `_`."""

    @abstractmethod
    def _transform(self, members: MemberFeatures) -> Tensor:
        """The fused maps of checked, sorted members."""

    def _begun(self, batches: Iterable[GoodFeatures]) -> Iterator[GoodFeatures]:
        """The stream, after a look at its first batch."""
        stream = iter(batches)
        first = next(stream, None)
        if first is None:
            raise InputError(
                f"{self.id}: no features to learn from; fit needs at least one batch of good images"
            )
        self.layout_ = layout_of(first[0])
        self.require_members(list(self.layout_))
        self._require_score_maps()
        return chain([first], stream)

    def _require_score_maps(self) -> None:
        for member, maps in self.layout_.items():
            if self.takes_scores and not any(is_score_map(str(name)) for name, _ in maps):
                raise InputError(
                    f"{self.id}: scores: the score map of member '{member}' must come with its features; "
                    "add it with score_channels.with_score_map, or set scores: false"
                )

    def _checked(self, batches: Iterator[GoodFeatures]) -> Iterator[GoodFeatures]:
        for features, valid in batches:
            yield self._ordered(features), valid

    def _ordered(self, features: MemberFeatures) -> MemberFeatures:
        found = layout_of(features)
        if found != self.layout_:
            raise InputError(
                f"{self.id}: expected the maps it learned from, {said(self.layout_)}; got {said(found)}"
            )
        for member in found:
            self._require_finite(member, features[member])
        return {member: features[member] for member in found}

    def _require_finite(self, member: str, features: FeatureMaps) -> None:
        for name, maps in zip(features.names, features.maps, strict=True):
            if not all_finite(maps):
                index = next(i for i, one in enumerate(maps) if not all_finite(one))
                image = features.ids[index] if features.ids else f"image {index + 1} of the batch"
                raise InputError(
                    f"{self.id}: map '{name}' of member '{member}' holds NaN or infinite values in {image}"
                )


def layout_of(features: MemberFeatures) -> Layout:
    """What the features consist of, members sorted by id."""
    return {
        member: [
            [name, m.shape[1]] for name, m in zip(features[member].names, features[member].maps, strict=True)
        ]
        for member in sorted(features)
    }


def feature_channels(layout: Layout) -> dict[str, int]:
    """Channels of each member's feature maps, its score map left out.

    >>> feature_channels({"stfpm": [["stfpm/difference1", 64], ["stfpm/score-map", 1]]})
    {'stfpm': 64}
    """
    return {
        member: sum(int(channels) for name, channels in maps if not is_score_map(str(name)))
        for member, maps in layout.items()
    }


def said(layout: Layout) -> str:
    """A layout in words, for messages.

    >>> said({"draem": [["draem/score", 1]], "stfpm": [["stfpm/difference1", 64]]})
    'draem/score (1), stfpm/difference1 (64)'
    """
    maps = [f"{name} ({channels})" for entries in layout.values() for name, channels in entries]
    return ", ".join(maps) or "nothing"


def common_grid(maps: Sequence[Tensor], most: int) -> Size:
    """The finest grid among maps, shrunk in proportion where a side is longer than `most`."""
    height, width = largest_grid(list(maps))
    longest = max(height, width)
    if longest <= most:
        return height, width
    return max(1, round(height * most / longest)), max(1, round(width * most / longest))
