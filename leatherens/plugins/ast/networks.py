"""Teacher and student: two networks of different nature, so that they err differently on what is unusual."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leatherens.core.flows import DoubleCoupling, Levels, atan_clamp
from leatherens.core.level_flows import MOST_SAID, LevelsFlow
from leatherens.core.positions import position_code


def with_positions(maps: Tensor, channels: int) -> Tensor:
    """(B, C, h, w) to (B, channels + C, h, w): in front of it, where each position lies."""
    code = position_code((maps.shape[-2], maps.shape[-1]), channels).to(maps)
    return torch.cat([code.expand(len(maps), -1, -1, -1), maps], dim=1)


class Positioned(nn.Module):
    """From half of the channels, and where they lie, to log-scales and shifts of the other half.

    What it says is multiplied by a learned number that starts at zero: the flow starts as the identity.
    """

    def __init__(self, channels: int, positions: int, hidden: int, side: int) -> None:
        super().__init__()

        def convolution(inside: int, outside: int) -> nn.Conv2d:
            return nn.Conv2d(inside, outside, side, padding=side // 2, padding_mode="replicate")

        self.positions = positions
        self.body = nn.Sequential(
            convolution(channels // 2 + positions, hidden), nn.ReLU(), convolution(hidden, channels)
        )
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, levels: Levels) -> list[Tensor]:
        """The one level (B, C / 2, h, w) to (B, C, h, w), log-scales first."""
        (half,) = levels
        said = self.gain * self.body(with_positions(half, self.positions))
        return [said.clamp(-MOST_SAID, MOST_SAID)]


def teacher_flow(
    channels: int, *, positions: int, hidden: int, sides: Sequence[int], clamp: float
) -> LevelsFlow:
    """A block for each of `sides`, the kernels of its convolutions; channels are even."""

    def coupling(side: int) -> DoubleCoupling:
        first, second = (Positioned(channels, positions, hidden, side) for _ in range(2))
        return DoubleCoupling(first, second, atan_clamp(clamp))

    return LevelsFlow(channels, 1, map(coupling, sides))


class Residual(nn.Module):
    """Two normed convolutions; what came in is added after the last activation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(
                part
                for _ in range(2)
                for part in (nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.LeakyReLU())
            )
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, width, h, w) to the same shape."""
        return maps + self.body(maps)  # type: ignore[no-any-return]


class Student(nn.Module):
    """From the teacher's input, and where it lies, to the teacher's output; nothing in it is invertible.

    The authors' student holds a number besides that nothing uses; it is left out.
    """

    def __init__(self, channels: int, *, positions: int, width: int, blocks: int) -> None:
        super().__init__()
        self.positions = positions
        self.enter = nn.Conv2d(positions + channels, width, 3, padding=1)
        self.body = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.leave = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        hidden = F.leaky_relu(self.enter(with_positions(maps, self.positions)))
        return self.leave(self.body(hidden))  # type: ignore[no-any-return]
