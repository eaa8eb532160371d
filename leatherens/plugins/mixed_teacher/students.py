"""The two students, and batch normalisation that stands still after the first steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from leatherens.core.reverse import Block

STEM = 64
"""Channels of the first convolution."""


class ReducedStudent(nn.Module):
    """A ResNet's beginning with one block a level, each at twice its usual stride: 8, 16 and so on.

    Of ResNet-18's two shallow levels it has the published 317,888 weights.
    """

    def __init__(self, channels: Sequence[int], *, signed: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, STEM, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(STEM),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.blocks = nn.ModuleList(
            Block(a, b, "down", 0, signed=signed) for a, b in pairwise((STEM, *channels))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, 3, H, W), normalised, to (B, C_i, H / 8, W / 8), (B, C, H / 16, W / 16) and so on."""
        maps, levels = self.stem(pixels), []
        for block in self.blocks:
            maps = block(maps)
            levels.append(maps)
        return levels


class Settling(nn.Module):
    """A student whose batch normalisation goes by each batch in the first steps, then by what it gathered.

    Its count of steps is part of its state, so that a resumed training settles where the whole one does.
    """

    steps: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.after: int | None = None
        """Steps until it settles; `None`: never while learning."""
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Levels in float32."""
        if self.training:
            self.network.train(self.after is None or int(self.steps) < self.after)
            self.steps += 1
        levels: Any = self.network(pixels)
        return [level.float() for level in levels]
