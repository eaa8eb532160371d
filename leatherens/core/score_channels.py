"""Members' score maps as channels of the fused maps, on a scale learned from good images and then frozen.

A channel is asinh of the distance from the mean good score, in deviations of good scores: about the unit of
whitened components for good positions, growing ever slower beyond, so that a member with a heavy tail does
not drown everything else. Strictly increasing: the order of a member's scores stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from leatherens.core.geometry import Size, largest_grid, resize
from leatherens.core.map_pca import on_grid
from leatherens.core.pca import ROUNDING, Moments
from leatherens.core.rows import rows_of
from leatherens.core.types import FeatureMaps, ScoreMap

SCORE_MAP = "score-map"
"""Ends the name of a member's score map among its feature maps: `stfpm/score-map`."""


def with_score_map(features: FeatureMaps, member: str, scores: ScoreMap) -> FeatureMaps:
    """The features and, last, the member's score map (B, 1, h, w), averaged down to their finest grid."""
    grid = largest_grid(list(features.maps))
    averaged = resize(scores.pixels[:, None], grid, antialias=True)
    return FeatureMaps((*features.maps, averaged), (*features.names, f"{member}/{SCORE_MAP}"), features.ids)


def apart(members: Mapping[str, FeatureMaps]) -> tuple[dict[str, FeatureMaps], list[Tensor]]:
    """The members without their score maps, and the score maps in the members' order."""
    kept = {
        id: features.select([name for name in features.names if not is_score_map(name)])
        for id, features in members.items()
    }
    return kept, [f[name] for f in members.values() for name in f.names if is_score_map(name)]


def is_score_map(name: str) -> bool:
    """Whether a map of this name is a member's score map."""
    return name.rpartition("/")[2] == SCORE_MAP


class ScoreChannels(nn.Module):
    """The frozen scale of K score maps. mean, deviation: (K,) of good positions."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, members: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(members))
        self.register_buffer("deviation", torch.ones(members))

    def forward(self, scores: Sequence[Tensor], size: Size) -> Tensor:
        """Score maps (B, 1, h_k, w_k) to (B, K, H, W)."""
        away = on_grid(scores, size) - self.mean.view(1, -1, 1, 1)
        return torch.asinh(away / self.deviation.view(1, -1, 1, 1))


class ScoreChannelsFit:
    """Learns a `ScoreChannels` from a stream of score maps, holding K x K numbers."""

    def __init__(self, members: int) -> None:
        self._moments = Moments(members)

    def add(self, scores: Sequence[Tensor], size: Size, valid: Tensor | None) -> None:
        """Take in the score maps of a batch, brought to a grid; invalid positions are left out."""
        self._moments.add(rows_of(on_grid(scores, size), valid))

    def solve(self) -> ScoreChannels:
        """The scale; a member whose scores never vary keeps its unit."""
        deviation = self._moments.covariance().diagonal().sqrt()
        found = ScoreChannels(len(deviation))
        found.mean.copy_(self._moments.mean)
        varies = deviation > ROUNDING * self._moments.mean.abs()
        found.deviation.copy_(torch.where(varies, deviation, 1.0))
        return found
