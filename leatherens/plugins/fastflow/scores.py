"""From latents to scores: how unlikely, how far from zero, how rare."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from leatherens.core.geometry import Size, resize_scores


def surprise(latent: Tensor, stretch: Tensor) -> Tensor:
    """(B, h, w): -log p at each position in nats, without the constant of the normal."""
    return 0.5 * latent.square().sum(dim=1) - stretch


def energy(latent: Tensor) -> Tensor:
    """(B, h, w): half the mean square over channels, 1/2 where latents are as normal as they should be."""
    return 0.5 * latent.square().mean(dim=1)


def rarity(latent: Tensor) -> Tensor:
    """(B, h, w) in -1..0: minus the density relative to its peak, per channel; 0 beyond an energy of 104."""
    return -torch.exp(-energy(latent))


def mean_map(levels: Sequence[Tensor], size: Size) -> Tensor:
    """(B, H, W): levels (B, h_i, w_i) brought to `size` and averaged."""
    return torch.stack([resize_scores(level, size) for level in levels]).mean(dim=0)


def inspected_sum(level: Tensor, inspected: Tensor | None) -> Tensor:
    """(B, h, w) summed over the positions that count: (B,)."""
    return (level if inspected is None else level.where(inspected, 0.0)).sum(dim=(1, 2))
