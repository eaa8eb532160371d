"""What FastFlow learns on each level: a normalisation and a convolutional flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leatherens.core.flows import ChannelAffine, Coupling, Flow, Permutation, Step, tanh_clamp
from leatherens.core.geometry import Size

Seen: TypeAlias = tuple[Tensor, Tensor]
"""What a flow makes of a level: latents (B, C, h, w), and log |det J| at each position (B, h, w)."""


def standardised(maps: Tensor, inspected: Tensor | None = None) -> Tensor:
    """(B, C, h, w) with mean 0 and variance 1 over the channels and inspected positions of each image.

    inspected: (B, h, w) bool. Without it, layer normalisation over (C, h, w).
    """
    if inspected is None:
        return F.layer_norm(maps, maps.shape[1:])
    weights = inspected[:, None] / (inspected.sum(dim=(1, 2)) * maps.shape[1]).view(-1, 1, 1, 1)
    centred = maps - (maps * weights).sum(dim=(1, 2, 3), keepdim=True)
    variance = (centred.square() * weights).sum(dim=(1, 2, 3), keepdim=True)
    return centred * (variance + 1e-5).rsqrt()


class LayerNorm(nn.Module):
    """`standardised`, then a learned scale and offset for each channel at each position of a grid.

    grid: `None` learns nothing, and takes any size.
    """

    def __init__(self, channels: int, grid: Size | None) -> None:
        super().__init__()
        self.learns = grid is not None
        if grid is not None:
            self.scale = nn.Parameter(torch.ones(channels, *grid))
            self.offset = nn.Parameter(torch.zeros(channels, *grid))

    def forward(self, maps: Tensor, inspected: Tensor | None = None) -> Tensor:
        """(B, C, h, w) to the same shape; the published likelihood does not count this scale's volume."""
        plain = standardised(maps, inspected)
        return plain * self.scale + self.offset if self.learns else plain


def subnetwork(channels: int, kernel: int, hidden_ratio: float) -> nn.Module:
    """From the passive channels of a coupling to log-scales and shifts of the active ones."""
    hidden = max(1, int(hidden_ratio * channels / 2))
    return nn.Sequential(
        nn.Conv2d(channels - channels // 2, hidden, kernel, padding="same"),
        nn.ReLU(),
        nn.Conv2d(hidden, 2 * (channels // 2), kernel, padding="same"),
    )


def convolutional_flow(
    channels: int, kernels: Sequence[int], *, clamp: float = 2.0, hidden_ratio: float = 1.0
) -> Flow:
    """One step for each kernel: a coupling, a scale and an offset for each channel, a permutation."""

    def step(kernel: int) -> list[Step]:
        coupling = Coupling(subnetwork(channels, kernel, hidden_ratio), tanh_clamp(clamp, slope=clamp))
        return [coupling, ChannelAffine(channels), Permutation(channels)]

    return Flow(part for kernel in kernels for part in step(kernel))


class LevelFlow(nn.Module):
    """One level's normalisation and flow."""

    def __init__(self, norm: LayerNorm, flow: Flow) -> None:
        super().__init__()
        self.norm = norm
        self.flow = flow

    def forward(self, maps: Tensor, inspected: Tensor | None = None) -> Seen:
        """Features (B, C, h, w) to latents and the flow's log-determinants."""
        latent, stretch = self.flow(self.norm(maps, inspected))
        return latent, stretch
