"""Sub-networks that speak of every scale and hear its neighbours, and the flow made of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leatherens.core.flows import DoubleCoupling, Levels, atan_clamp
from leatherens.core.geometry import resize
from leatherens.core.level_flows import MOST_SAID, LevelsFlow

SLOPE = 0.1
"""Of the leaky ReLU, below zero."""


class CrossConvolutions(nn.Module):
    """From half of the channels of every scale to log-scales and shifts of the other half.

    Per scale a convolution, a leaky ReLU and a convolution; besides, every scale hears the hidden maps of the
    next finer and the next coarser one. All that arrives at a scale is multiplied by a learned number of its
    own that starts at zero, so that the flow starts as the identity. The finest scale comes first; each has
    half the height and width of the one before.
    """

    def __init__(self, channels: int, hidden: int, side: int, scales: int) -> None:
        super().__init__()

        def many(count: int, inside: int, outside: int, stride: int = 1) -> nn.ModuleList:
            made = (nn.Conv2d(inside, outside, side, stride, padding=side // 2) for _ in range(count))
            return nn.ModuleList(made)

        self.enter = many(scales, channels // 2, hidden)
        self.leave = many(scales, hidden, channels)
        self.to_finer = many(scales - 1, hidden, channels)  # i: from scale i + 1 to scale i
        self.to_coarser = many(scales - 1, hidden, channels, stride=2)  # i: from scale i to scale i + 1
        self.gains = nn.Parameter(torch.zeros(scales))

    def forward(self, levels: Levels) -> list[Tensor]:
        """(B, C / 2, h_i, w_i) each to (B, C, h_i, w_i), log-scales first."""
        hidden = [F.leaky_relu(enter(m), SLOPE) for enter, m in zip(self.enter, levels, strict=True)]
        said = [leave(h) for leave, h in zip(self.leave, hidden, strict=True)]
        for i, (to_finer, to_coarser) in enumerate(zip(self.to_finer, self.to_coarser, strict=True)):
            fine, coarse = hidden[i], hidden[i + 1]
            said[i] = said[i] + to_finer(resize(coarse, (fine.shape[-2], fine.shape[-1])))
            said[i + 1] = said[i + 1] + to_coarser(fine)
        return [(gain * s).clamp(-MOST_SAID, MOST_SAID) for gain, s in zip(self.gains, said, strict=True)]


def cross_flow(channels: int, scales: int, *, hidden: int, sides: Sequence[int], clamp: float) -> LevelsFlow:
    """A block for each of `sides`, the kernels of its convolutions; channels are even."""

    def coupling(side: int) -> DoubleCoupling:
        first, second = (CrossConvolutions(channels, hidden, side, scales) for _ in range(2))
        return DoubleCoupling(first, second, atan_clamp(clamp))

    return LevelsFlow(channels, scales, map(coupling, sides))
